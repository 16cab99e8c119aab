"""Figures of interfaces and phase diagrams: mixing curves, voltage maps, ternary hulls, potential diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasicon_struct.errors import StabilityError
from nasicon_struct.interface.maps import InterfaceMap
from nasicon_struct.interface.reactions import InterfaceReactions
from nasicon_struct.plotting.windows import new_axes, subscripted
from nasicon_struct.stability.diagram import PotentialDiagram, TernaryHull
from nasicon_struct.stability.result import StabilityWindow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


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
        letter = _LETTERS[number % len(_LETTERS)]
        axes.annotate(
            letter, (x[k], y[k]), xytext=(0, -12), textcoords="offset points", ha="center", fontsize=8
        )
        names = " + ".join(subscripted(part.formula) for part in result.kinks[k].products)
        lines.append(f"{letter}  {names}")
    if lines:
        axes.text(
            0.98,
            0.97,
            "\n".join(lines),
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=7,
            linespacing=1.4,
        )
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=1)
    low = min(y, default=0.0)
    span = max(-low, 1.0)
    axes.set_ylim(low - 0.12 * span, (0.14 * len(lines) / 2 + 0.1) * span)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"Share of atoms from {subscripted(result.b)} (rest {subscripted(result.a)})")
    axes.set_ylabel("Reaction energy (meV/atom)")
    at = "closed" if result.voltage_v is None else f"at {result.voltage_v:g} V vs {result.open_element}"
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
        Contours are labelled in meV per atom, so that the map reads in grey.
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
        axes.clabel(contours, fontsize=7, fmt="%g")
    axes.figure.colorbar(image, ax=axes, label="Energy given off (meV/atom)")
    axes.set_xlabel(f"Share of atoms from {subscripted(result.b)} (rest {subscripted(result.a)})")
    axes.set_ylabel(f"Voltage (V vs {result.open_element})")
    part = "mutual part" if mutual else "total"
    axes.set_title(f"{subscripted(result.a)} | {subscripted(result.b)}, {part}, {result.source}", fontsize=9)
    return axes


def _levels(top: float) -> np.ndarray:
    """Return round contour levels between 0 and just below ``top``."""
    rough = top / 8
    magnitude = 10 ** np.floor(np.log10(rough))
    step = magnitude * min((f for f in (1, 2, 5, 10) if f * magnitude >= rough), default=10)
    return np.arange(step, 0.9 * top, step)


def plot_voltage_profile(window: StabilityWindow, ax: Axes | None = None, *, v_max: float = 5.0) -> Axes:
    """Draw the steps of a profile: voltage against the amount of the open element exchanged.

    Parameters
    ----------
    window : StabilityWindow
    ax : matplotlib Axes, optional
    v_max : float, keyword-only
        Upper end of the voltage axis, V.

    Returns
    -------
    matplotlib Axes
        The thick vertical line is the window; each horizontal piece a reaction between two assemblages.
    """
    axes = new_axes(ax, 6.0, 4.2)
    xs: list[float] = []
    ys: list[float] = []
    for step in window.steps:
        xs += [step.exchanged, step.exchanged]
        ys += [min(step.v_low, v_max), min(step.v_high, v_max)]
    axes.plot(xs, ys, color="0.25", linewidth=1.2, zorder=2)
    for step in window.steps:
        if step.is_target:
            axes.plot(
                [step.exchanged] * 2,
                [step.v_low, min(step.v_high, v_max)],
                color="black",
                linewidth=4.0,
                zorder=3,
            )
            axes.annotate(
                subscripted(window.target),
                (step.exchanged, (step.v_low + min(step.v_high, v_max)) / 2),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    for step in window.steps:
        wide = min(step.v_high, v_max) - step.v_low
        if wide > 0.06 * v_max and not step.is_target:
            names = " + ".join(subscripted(part.formula) for part in step.products)
            axes.annotate(
                names,
                (step.exchanged, step.v_low + wide / 2),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
            )
    axes.set_ylim(0.0, v_max)
    low, high = min(xs), max(xs)
    axes.set_xlim(low - 0.05 * (high - low or 1.0), high + 0.45 * (high - low or 1.0))
    ion = window.open_element
    axes.set_xlabel(f"{ion} taken up per {subscripted(window.target)}")
    axes.set_ylabel(f"Voltage (V vs {ion})")
    axes.set_title(f"{subscripted(window.target)}, {window.source}", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def plot_ternary_hull(
    hull: TernaryHull, ax: Axes | None = None, *, max_above_ev_per_atom: float = 0.1, labels: bool = True
) -> Axes:
    """Draw a ternary hull: stable phases, tie lines, and phases a little above.

    Parameters
    ----------
    hull : TernaryHull
    ax : matplotlib Axes, optional
    max_above_ev_per_atom : float, keyword-only
        Phases up to this energy above the hull are drawn, as crosses, eV per atom.
    labels : bool, keyword-only
        Whether to name the stable phases.

    Returns
    -------
    matplotlib Axes
    """
    axes = new_axes(ax, 5.6, 5.2)
    height = np.sqrt(3) / 2

    def place(fractions: tuple[float, ...]) -> tuple[float, float]:
        return fractions[1] + 0.5 * fractions[2], height * fractions[2]

    at = [place(point.fractions) for point in hull.points]
    for i, j in hull.tie_lines:
        axes.plot([at[i][0], at[j][0]], [at[i][1], at[j][1]], color="0.55", linewidth=0.8, zorder=1)
    for (x, y), point in zip(at, hull.points, strict=True):
        stable = point.e_above_hull_ev_per_atom < 1e-8
        if stable:
            axes.plot(x, y, "o", color="black", markersize=5, zorder=3)
            if labels:
                bottom = point.fractions[2] < 1e-9
                axes.annotate(
                    subscripted(point.formula),
                    (x, y),
                    xytext=(-2, -5) if bottom else (4, 4),
                    textcoords="offset points",
                    fontsize=7,
                    zorder=4,
                    rotation=45 if bottom else 0,
                    rotation_mode="anchor",
                    ha="right" if bottom else "left",
                    va="center" if bottom else "bottom",
                )
        elif point.e_above_hull_ev_per_atom <= max_above_ev_per_atom:
            axes.plot(x, y, "x", color="0.35", markersize=5, zorder=2)
            if labels:
                text = f"{subscripted(point.formula)} +{1000 * point.e_above_hull_ev_per_atom:.0f}"
                axes.annotate(
                    text,
                    (x, y),
                    xytext=(4, -8),
                    textcoords="offset points",
                    fontsize=5.5,
                    color="0.3",
                    zorder=4,
                )
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(f"{'-'.join(hull.elements)}, {hull.source} (crosses: meV/atom above the hull)", fontsize=8)
    return axes


def plot_potential_diagram(diagram: PotentialDiagram, ax: Axes | None = None) -> Axes:
    """Draw where each phase is stable, in two chemical potentials.

    Parameters
    ----------
    diagram : PotentialDiagram
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    if not diagram.regions:
        raise StabilityError("the diagram holds no region; lower lowest_ev")
    axes = new_axes(ax, 5.6, 5.0)
    greys = np.linspace(0.97, 0.72, max(2, len(diagram.regions)))
    for grey, region in zip(greys, diagram.regions, strict=False):
        points = np.array(region.vertices_ev)
        axes.fill(
            points[:, 0], points[:, 1], facecolor=str(round(float(grey), 3)), edgecolor="black", linewidth=0.8
        )
        if np.ptp(points, axis=0).min() > 0.045 * abs(diagram.lowest_ev):
            centre = points.mean(axis=0)
            axes.text(centre[0], centre[1], subscripted(region.formula), ha="center", va="center", fontsize=7)
    axes.set_xlim(diagram.lowest_ev, 0.02)
    axes.set_ylim(diagram.lowest_ev, 0.02)
    axes.set_xlabel(rf"$\Delta\mu$({diagram.x_element}) (eV/atom)")
    axes.set_ylabel(rf"$\Delta\mu$({diagram.y_element}) (eV/atom)")
    axes.set_title(
        f"{diagram.x_element}-{diagram.y_element}-{diagram.third_element}, {diagram.source}", fontsize=9
    )
    return axes
