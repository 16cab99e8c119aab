"""Figures of stability windows: bars for several electrolytes, the profile of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nasicon_struct.errors import StabilityError
from nasicon_struct.stability.published import published_windows
from nasicon_struct.stability.result import StabilityWindow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR = "0.45"
_EDGE = "0.15"
_INTERVAL = "0.80"


def subscripted(formula: str) -> str:
    """Return a formula as matplotlib text with subscripts."""
    import re

    return re.sub(r"(?<=[A-Za-z\)\]])(\d+(?:\.\d+)?)", r"$_{\1}$", formula)


def new_axes(ax: Any, width: float, height: float) -> Any:
    """Return the given axes, or those of a new figure of a size in inches."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure.subplots()


def plot_windows(
    windows: StabilityWindow | Iterable[StabilityWindow],
    ax: Axes | None = None,
    *,
    labels: Sequence[str] | None = None,
    published: bool = True,
    v_max: float = 5.0,
) -> Axes:
    """Draw the windows of several electrolytes as bars, with 95 % intervals and published values.

    Parameters
    ----------
    windows : StabilityWindow or iterable of StabilityWindow
    ax : matplotlib Axes, optional
    labels : sequence of str, optional, keyword-only
        Names of the bars; by default the formulas, with the set of energies where they are of several.
    published : bool, keyword-only
        Whether to mark published computed windows (diamonds) beside ours.
    v_max : float, keyword-only
        Upper end of the axis, V.

    Returns
    -------
    matplotlib Axes

    Notes
    -----
    Filled bar: window of a phase on the hull. Hatched, dashed outline: no window of the compound (above the
    hull, or without an energy); the range in which the mixture it would form exchanges nothing. Light bands:
    95 % interval of each limit.
    """
    items = [windows] if isinstance(windows, StabilityWindow) else list(windows)
    if not items:
        raise StabilityError("there is no window to draw; give at least one")
    sources = {item.source for item in items}
    names = [subscripted(item.target) + (f"\n{item.source}" if len(sources) > 1 else "") for item in items]
    names = names if labels is None else list(labels)
    if len(names) != len(items):
        raise StabilityError(f"there are {len(items)} windows but {len(names)} labels; give one for each")
    axes = new_axes(ax, 6.4, 1.3 + 0.62 * len(items))
    used: dict[str, Any] = {}
    for row, item in enumerate(items):
        y = len(items) - 1 - row
        _draw_bar(axes, item, y, v_max, used, "window" + (f", {item.source}" if len(sources) == 1 else ""))
        if published:
            _draw_published(axes, item, y, used)
    axes.set_yticks(range(len(items)), names[::-1])
    axes.set_ylim(-0.6, len(items) - 0.4)
    axes.set_xlim(0.0, v_max)
    ion = items[0].open_element
    axes.set_xlabel(f"Voltage (V vs {ion}/{ion}$^{{{_superscript(items[0].charge)}}}$)")
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if used:
        axes.legend(
            used.values(),
            used.keys(),
            fontsize=7,
            frameon=False,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
        )
    return axes


def _superscript(charge: int) -> str:
    return "+" if charge == 1 else f"{charge}+"


def _draw_bar(
    axes: Any, item: StabilityWindow, y: float, v_max: float, used: dict[str, Any], name: str
) -> None:
    height = 0.44
    if item.is_stable:
        low, high = item.reduction_v or 0.0, min(item.oxidation_v or 0.0, v_max)
        if math.isinf(high):
            high = v_max
        bar = axes.barh(
            y, high - low, left=low, height=height, color=_BAR, edgecolor=_EDGE, linewidth=0.8, zorder=3
        )
        used.setdefault(name, bar)
    else:
        low, high = item.assemblage_reduction_v, min(item.assemblage_oxidation_v, v_max)
        if math.isinf(high):
            high = v_max
        bar = axes.barh(
            y,
            max(high - low, 0.012),
            left=low,
            height=height,
            facecolor="white",
            edgecolor=_EDGE,
            linewidth=0.9,
            linestyle=(0, (3, 2)),
            hatch="///",
            zorder=3,
        )
        used.setdefault("no window: range of the decomposed mixture", bar)
        above = item.e_above_hull_ev_per_atom
        text = "no energy" if above is None else f"{1000 * above:.0f} meV/atom above hull"
        if item.uncertainty is not None:
            text += f", on it in {100 * item.uncertainty.probability_stable:.0f} % of samples"
        end = max(high, low + 0.012)
        axes.annotate(
            text, (end, y + 0.08), xytext=(5, 0), textcoords="offset points", va="bottom", fontsize=7
        )
    known = item.uncertainty
    if known is not None:
        for interval in (known.reduction_v_interval, known.oxidation_v_interval):
            if interval is not None:
                left, right = interval[0], min(interval[1], v_max)
                band = axes.barh(y, right - left, left=left, height=height + 0.22, color=_INTERVAL, zorder=1)
                used.setdefault("95 % interval of each limit", band)


def _draw_published(axes: Any, item: StabilityWindow, y: float, used: dict[str, Any]) -> None:
    for found in published_windows(item.target):
        limits = [value for value in (found.reduction_v, found.oxidation_v) if value is not None]
        if not found.is_computed or not limits:
            continue
        (mark,) = axes.plot(
            limits,
            [y - 0.32] * len(limits),
            linestyle="-" if len(limits) == 2 else "none",
            linewidth=1.2,
            color="black",
            marker="D",
            markersize=4.5,
            markerfacecolor="white",
            zorder=5,
        )
        used.setdefault("published, computed", mark)
