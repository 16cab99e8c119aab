"""Figures of series of doped compositions: energy above hull, window and mixing energy against x."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasicon_struct.doped import DopedSeries
from nasicon_struct.errors import StabilityError
from nasicon_struct.parents import load_parent
from nasicon_struct.plotting.labels import place_labels, subscripted, voltage_label
from nasicon_struct.plotting.windows import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Markers of the parents, filled from dark to light.
_MARKERS = (("s", "0.2"), ("o", "white"), ("^", "0.6"), ("D", "0.85"))
_INTERVAL = "0.82"
#: Cells relaxed to their end come back within this to a phase of the hull that they are, eV per atom.
_ON_HULL_EV = 0.001


def plot_doped_series(
    series: DopedSeries,
    ax: Axes | None = None,
    *,
    temperature_k: float | None = 1400.0,
) -> Axes:
    """Draw energies above hull along a series, with the spread over orderings and the ideal entropy of mixing.

    Parameters
    ----------
    series : DopedSeries
    ax : matplotlib Axes, optional
    temperature_k : float or None, keyword-only
        Temperature of the line with the ideal entropy of mixing, kelvin; None leaves it out.

    Returns
    -------
    matplotlib Axes
        Each marker is a relaxed cell, its shape the parent; the bar reaches from the lowest to the highest, the
        full line joins the lowest. Dashed: the lowest with the entropy of mixing.

    Raises
    ------
    StabilityError
        If the series is empty, or the temperature is no number of kelvin.
    """
    _check(series)
    if temperature_k is not None and not (math.isfinite(temperature_k) and temperature_k >= 0):
        raise StabilityError(f"temperature_k must be 0 or more, got {temperature_k}")
    axes = new_axes(ax, 5.2, 3.6)
    x = [point.x for point in series.points]
    lowest = [1000 * point.e_above_hull_ev_per_atom for point in series.points]
    axes.axhline(0.0, color="0.7", linewidth=0.8, zorder=1)
    axes.plot(x, lowest, color="black", linewidth=1.0, zorder=2, label="lowest cell, 0 K")
    for point, low in zip(series.points, lowest, strict=True):
        axes.plot(
            [point.x] * 2,
            [low, low + 1000 * point.spread_ev_per_atom],
            color="0.55",
            linewidth=2.5,
            solid_capstyle="butt",
            zorder=2,
        )
    _mark(axes, series, [[1000 * cell.e_above_hull_ev_per_atom for cell in p.cells] for p in series.points])
    if temperature_k is not None:
        axes.plot(
            x,
            [1000 * point.e_above_hull_mixed_ev_per_atom(temperature_k) for point in series.points],
            color="0.35",
            linewidth=1.0,
            linestyle=(0, (5, 2)),
            marker="x",
            markersize=4.5,
            zorder=2,
            label=f"with ideal mixing, {temperature_k:g} K",
        )
    axes.set_ylabel("Energy above hull (meV/atom)")
    _finish(axes, series)
    return axes


def plot_doped_windows(series: DopedSeries, ax: Axes | None = None) -> Axes:
    """Draw the limits of reduction and oxidation along a series, with 95 % intervals.

    Parameters
    ----------
    series : DopedSeries
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Lines: limits of the lowest cell at 0 K, shifted onto the hull where it lies more than 1 meV/atom above
        (open markers).
        Grey bars: 95 % intervals of the level's error over the samples in which the compound is stable, with a
        tick at the median.

    Raises
    ------
    StabilityError
        If the series is empty.
    """
    _check(series)
    axes = new_axes(ax, 5.2, 3.6)
    x = [point.x for point in series.points]
    wide = 0.022 * ((max(x) - min(x)) or 1.0)
    named: set[str] = set()

    def once(text: str) -> str:
        shown = "_nolegend_" if text in named else text
        named.add(text)
        return shown

    for name, marker in (("oxidation", "v"), ("reduction", "^")):
        limits = [getattr(point.window, f"assemblage_{name}_v") for point in series.points]
        axes.plot(x, limits, color="0.2", linewidth=1.0, zorder=3)
        for point, limit in zip(series.points, limits, strict=True):
            above = point.e_above_hull_ev_per_atom > _ON_HULL_EV
            axes.plot(
                [point.x],
                [limit],
                color="black",
                linestyle="none",
                marker=marker,
                markersize=6,
                markerfacecolor="white" if above else "0.2",
                markeredgecolor="0.2",
                zorder=4,
                label=once(f"{name}, {'shifted onto the hull' if above else 'on the hull'}"),
            )
            known = point.window.uncertainty
            interval = getattr(known, f"{name}_v_interval", None)
            median = getattr(known, f"{name}_v_median", None)
            if interval is None or median is None:
                continue
            axes.bar(
                point.x,
                interval[1] - interval[0],
                width=2 * wide,
                bottom=interval[0],
                color=_INTERVAL,
                zorder=1,
                label=once("95 % interval and median"),
            )
            axes.plot([point.x - wide, point.x + wide], [median] * 2, color="0.45", linewidth=1.2, zorder=2)
    window = series.points[0].window
    axes.set_ylabel(voltage_label(window.open_element, window.charge))
    _finish(axes, series)
    return axes


def plot_mixing_energies(
    series: DopedSeries,
    ax: Axes | None = None,
    *,
    ground_states: Sequence[float] = (),
) -> Axes:
    """Draw mixing energies along a series: every cell against the line between the two ends, and the hull.

    Parameters
    ----------
    series : DopedSeries
        Whose composition is linear in x.
    ax : matplotlib Axes, optional
    ground_states : sequence of float, keyword-only
        Values of x that are published as ground states, marked on the axis for comparison.

    Returns
    -------
    matplotlib Axes
        Markers are relaxed cells, crosses phases of the entry set; the full line is the lower hull, with the formulas
        of its ground states, the grey band the standard error of the level of theory.

    Raises
    ------
    StabilityError
        If the series has fewer than two compositions, or is not linear in x.
    """
    _check(series)
    points = series.mixing_energies()
    axes = new_axes(ax, 5.6, 4.0)
    x = [point.x for point in points]
    lowest = [point.lowest_mev_per_fu for point in points]
    errors = [point.standard_error_mev_per_fu for point in points]
    axes.fill_between(
        x,
        [low - error for low, error in zip(lowest, errors, strict=True)],
        [low + error for low, error in zip(lowest, errors, strict=True)],
        color="0.9",
        linewidth=0,
        zorder=0,
        label="standard error of the level",
    )
    axes.axhline(0.0, color="0.7", linewidth=0.8, zorder=1)
    states = [point for point in points if point.on_hull]
    axes.plot(
        [point.x for point in states],
        [point.lowest_mev_per_fu for point in states],
        color="black",
        linewidth=1.0,
        zorder=2,
        label="hull of these points",
    )
    _mark(axes, series, [list(point.energies_mev_per_fu) for point in points])
    known = [(point.x, point.phase_mev_per_fu) for point in points if point.phase_mev_per_fu is not None]
    if known:
        axes.plot(
            *zip(*known, strict=True),
            linestyle="none",
            marker="x",
            markersize=7,
            color="black",
            markeredgewidth=1.4,
            zorder=6,
            label=f"phases of {series.level}",
        )
    if ground_states:
        axes.plot(
            list(ground_states),
            [0.0] * len(ground_states),
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            color="black",
            linestyle="none",
            marker="^",
            markersize=9,
            markerfacecolor="white",
            markeredgecolor="black",
            zorder=6,
            label="published ground state",
        )
    axes.set_ylabel("Energy of mixing (meV per formula unit)")
    _finish(axes, series)
    deepest = min(range(len(states)), key=lambda k: states[k].lowest_mev_per_fu)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.16 * (high - low), high)
    left, right = axes.get_xlim()
    axes.set_xlim(left - 0.06 * (right - left), right + 0.06 * (right - left))
    place_labels(
        axes,
        [(point.x, point.lowest_mev_per_fu) for point in states],
        [subscripted(point.formula) for point in states],
        [7.5] * len(states),
        colours=["black"] * len(states),
        sides=[
            (1, 1) if k == 0 else (-1, 1) if k == len(states) - 1 else (-1, -1) if k <= deepest else (1, -1)
            for k in range(len(states))
        ],
        reaches=(6.0, 9.0, 14.0, 20.0),
    )
    return axes


def _check(series: DopedSeries) -> None:
    if not series.points:
        raise StabilityError(f"the series {series.template} has no composition; there is nothing to draw")


def _mark(axes: Any, series: DopedSeries, heights: Sequence[Sequence[float]]) -> None:
    """Draw one marker for each cell: the shape is its parent."""
    parents = sorted({cell.parent for point in series.points for cell in point.cells}, reverse=True)
    for number, parent in enumerate(parents):
        marker, fill = _MARKERS[number % len(_MARKERS)]
        pairs = [
            (point.x, height)
            for point, row in zip(series.points, heights, strict=True)
            for cell, height in zip(point.cells, row, strict=True)
            if cell.parent == parent
        ]
        axes.plot(
            *zip(*pairs, strict=True),
            color="black",
            linestyle="none",
            marker=marker,
            markersize=5,
            markerfacecolor=fill,
            markeredgecolor="black",
            markeredgewidth=0.8,
            zorder=3 + number,
            label=f"cells of {parent} ({_lattice(parent)})",
        )


def _lattice(parent: str) -> str:
    return "rhombohedral" if load_parent(parent).space_group.startswith("R") else "monoclinic"


def _finish(axes: Any, series: DopedSeries) -> None:
    axes.set_xlabel(f"x in {_subscripted(series.template)}")
    axes.set_title(f"{series.level}, 0 K", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=7, framealpha=1.0, edgecolor="none", loc="best")


def _subscripted(template: str) -> str:
    """Return the formula of a series as matplotlib text with subscripts."""
    return re.sub(r"(?<=[A-Za-z\)\]])((?:\d|\.|[+-]|(?<![A-Z])[a-z](?![a-z]))+)", r"$_{\1}$", template)
