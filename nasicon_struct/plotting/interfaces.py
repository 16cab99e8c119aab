"""Figures of interfaces: mixing curves, and maps of voltage against mixing ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasicon_struct.interface.maps import InterfaceMap
from nasicon_struct.interface.reactions import InterfaceReactions
from nasicon_struct.plotting.labels import letter, list_in_corner, place_labels, subscripted, voltage_label
from nasicon_struct.plotting.windows import new_axes
from nasicon_struct.stability.inputs import ION_CHARGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNCHANGED_MEV = 1.0


def plot_interface(result: InterfaceReactions, ax: Axes | None = None, *, max_listed: int = 6) -> Axes:
    """Draw the reaction energy against the mixing ratio, with its kinks.

    Parameters
    ----------
    result : InterfaceReactions
    ax : matplotlib Axes, optional
    max_listed : int, keyword-only
        The products of this many kinks are written beside the curve, those of lowest energy first.

    Returns
    -------
    matplotlib Axes
    """
    axes = new_axes(ax, 6.4, 4.2)
    x = [kink.fraction_b for kink in result.kinks]
    y = [1000 * kink.energy_ev_per_atom for kink in result.kinks]
    axes.plot(
        x, y, color="black", linewidth=1.4, marker="o", markersize=4.5, markerfacecolor="white", zorder=3
    )
    inner = [k for k in range(len(x)) if y[k] < -1e-6]
    listed = sorted(sorted(inner, key=lambda k: y[k])[:max_listed], key=lambda k: x[k])
    lines = []
    for number, k in enumerate(listed):
        names = " + ".join(subscripted(part.formula) for part in result.kinks[k].products)
        lines.append(f"{letter(number)}  {names}")
    if lines:
        list_in_corner(axes, lines, fontsize=7.5)
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=1)
    low = min(y, default=0.0)
    span = max(-low, 1.0)
    axes.set_ylim(low - 0.12 * span, (0.08 * len(lines) + 0.1) * span)
    # The list stands where no energy of a reaction can be; no ticks there.
    axes.set_yticks([tick for tick in axes.get_yticks() if low - 0.12 * span <= tick <= 0.0])
    axes.set_xlim(-0.02, 1.02)
    place_labels(
        axes,
        [(x[k], y[k]) for k in listed],
        [letter(number) for number in range(len(listed))],
        [8.0] * len(listed),
        colours=["black"] * len(listed),
        sides=[(0, -1)] * len(listed),
    )
    axes.set_xlabel(f"Share of atoms from {subscripted(result.b)} (rest {subscripted(result.a)})")
    axes.set_ylabel("Reaction energy (meV/atom)")
    at = "closed" if result.voltage_v is None else f"at {result.voltage_v:g} V vs {result.open_element} metal"
    axes.set_title(f"{subscripted(result.a)} | {subscripted(result.b)}, {at}, {result.source}", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def plot_interface_map(result: InterfaceMap, ax: Axes | None = None, *, mutual: bool = False) -> Axes:
    """Draw the reaction energy against mixing ratio and voltage.

    Parameters
    ----------
    result : InterfaceMap
    ax : matplotlib Axes, optional
    mutual : bool, keyword-only
        Whether to draw only the part that needs both materials, without what each gives off alone.

    Returns
    -------
    matplotlib Axes
        Contours are labelled in meV per atom, so that the map reads in grey; inside the dashed one less than
        1 meV per atom is given off.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    axes = new_axes(ax, 6.0, 4.4)
    values = -1000 * (result.mutual_energy_ev_per_atom if mutual else result.energy_ev_per_atom)
    top = max(float(values.max()), 1.0)
    image = axes.pcolormesh(
        result.fractions_b,
        result.voltages_v,
        values,
        cmap=ListedColormap(
            colormaps["Greys"](np.linspace(0.0, 0.6, 256))
        ),  # black labels stay legible on it
        vmin=0.0,
        vmax=top,
        shading="nearest",
        rasterized=True,
    )
    levels = _levels(top)
    if min(values.shape) >= 2 and len(levels):
        contours = axes.contour(
            result.fractions_b, result.voltages_v, values, levels=levels, colors="black", linewidths=0.7
        )
        axes.clabel(contours, fontsize=7, fmt="%g", manual=_crossings(result, values, levels))
        axes.contour(
            result.fractions_b,
            result.voltages_v,
            values,
            levels=[_UNCHANGED_MEV],
            colors="black",
            linewidths=1.0,
            linestyles="dashed",
        )
    axes.figure.colorbar(image, ax=axes, label="Energy given off (meV/atom)")
    axes.set_xlabel(f"Share of atoms from {subscripted(result.b)} (rest {subscripted(result.a)})")
    axes.set_ylabel(voltage_label(result.open_element, ION_CHARGES[result.open_element]))
    part = "mutual part" if mutual else "total"
    axes.set_title(f"{subscripted(result.a)} | {subscripted(result.b)}, {part}, {result.source}", fontsize=9)
    return axes


def _crossings(result: InterfaceMap, values: np.ndarray, levels: np.ndarray) -> list[tuple[float, float]]:
    """Return where contours cross the middle of the map, for their labels: far from its edges."""
    middle = values.shape[1] // 2
    column, voltages = values[:, middle], result.voltages_v
    margin = 0.04 * np.ptp(voltages)
    found = []
    for level in levels:
        for k in np.flatnonzero((column[:-1] < level) != (column[1:] < level)):
            share = (level - column[k]) / (column[k + 1] - column[k])
            voltage = float(voltages[k] + share * (voltages[k + 1] - voltages[k]))
            if voltages.min() + margin < voltage < voltages.max() - margin:
                found.append((float(result.fractions_b[middle]), voltage))
    return found


def _levels(top: float) -> np.ndarray:
    """Return round contour levels between 0 and just below ``top``."""
    rough = top / 8
    magnitude = 10 ** np.floor(np.log10(rough))
    step = magnitude * min((f for f in (1, 2, 5, 10) if f * magnitude >= rough), default=10)
    return np.arange(step, 0.9 * top, step)
