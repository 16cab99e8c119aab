"""Figures of stability windows: bars for several electrolytes, the profile of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nasicon_struct.errors import StabilityError
from nasicon_struct.plotting.labels import letter, place_labels, subscripted, voltage_label
from nasicon_struct.stability.published import PUBLISHED_AGAINST, published_windows
from nasicon_struct.stability.result import StabilityWindow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR = "0.45"
_DOUBTFUL = "0.88"
_IN_FEW = "window in under half of the draws"
_LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
_EDGE = "0.15"
_INTERVAL = "0.78"
_HEIGHT = 0.40
_STRIP = 0.13


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

    Raises
    ------
    StabilityError
        If there is no window, or not one label for each.

    Notes
    -----
    Filled bar: window of a phase on the hull. Light and cross-hatched: the same, but in under half of the draws of
    the error model of the energies the phase is on the hull; the share stands in the bar. Hatched, dashed outline: no window of the compound (above the
    hull, or without an energy); the range in which the mixture it would form exchanges nothing. Light strips:
    95 % intervals, with a tick at the median; that of the reduction limit above the bar, that of the oxidation
    limit below it.
    """
    items = [windows] if isinstance(windows, StabilityWindow) else list(windows)
    if not items:
        raise StabilityError("there is no window to draw; give at least one")
    sources = {item.source for item in items}
    names = [subscripted(item.target) + (f"\n{item.source}" if len(sources) > 1 else "") for item in items]
    names = names if labels is None else list(labels)
    if len(names) != len(items):
        raise StabilityError(f"there are {len(items)} windows but {len(names)} labels; give one for each")
    axes = new_axes(ax, 6.4, 1.3 + 0.66 * len(items))
    used: dict[str, Any] = {}
    any_plain = any(item.is_stable and not item.is_doubtful for item in items)
    for row, item in enumerate(items):
        y = len(items) - 1 - row
        # The legend names the set of energies once, where there is only one.
        named = len(sources) == 1 and not (item.is_doubtful and any_plain)
        _draw_bar(axes, item, y, v_max, used, "window" + (f", {item.source}" if named else ""))
        if published and item.open_element == PUBLISHED_AGAINST:
            _draw_published(axes, item, y, used)
    axes.set_yticks(range(len(items)), names[::-1])
    axes.set_ylim(-0.6, len(items) - 0.5)
    axes.set_xlim(0.0, v_max)
    axes.set_xlabel(voltage_label(items[0].open_element, items[0].charge))
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if used:
        axes.legend(
            used.values(),
            used.keys(),
            fontsize=7,
            frameon=False,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=2,
            columnspacing=1.2,
        )
    return axes


def _draw_bar(
    axes: Any, item: StabilityWindow, y: float, v_max: float, used: dict[str, Any], name: str
) -> None:
    height = _HEIGHT
    if item.is_stable:
        low, high = item.reduction_v or 0.0, min(item.oxidation_v or 0.0, v_max)
        if math.isinf(high):
            high = v_max
        known = item.uncertainty
        doubtful = item.is_doubtful and known is not None
        bar = axes.barh(
            y,
            high - low,
            left=low,
            height=height,
            facecolor=_DOUBTFUL if doubtful else _BAR,
            edgecolor=_EDGE,
            linewidth=0.8,
            hatch="xxx" if doubtful else None,
            zorder=3,
        )
        used.setdefault(name.replace("window", _IN_FEW, 1) if doubtful else name, bar)
        if doubtful and known is not None:
            axes.text(
                (low + high) / 2,
                y,
                known.percent_stable,
                fontsize=7,
                ha="center",
                va="center",
                zorder=6,
                bbox=_LABEL,
                clip_on=True,
            )
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
        used.setdefault(f"no {name}: range of the decomposed mixture", bar)
        above = item.e_above_hull_ev_per_atom
        text = "no energy" if above is None else f"{1000 * above:.0f} meV/atom above hull"
        if item.uncertainty is not None:
            text += f", on it in {item.uncertainty.percent_stable} of draws"
        end = max(high, low + 0.012)
        axes.annotate(text, (end, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7)
    known = item.uncertainty
    if known is None:
        return
    for interval, median, bottom in (
        (known.reduction_v_interval, known.reduction_v_median, y + height / 2),
        (known.oxidation_v_interval, known.oxidation_v_median, y - height / 2 - _STRIP),
    ):
        if interval is None or interval[0] >= v_max:
            continue
        left, right = interval[0], min(interval[1], v_max)
        strip = axes.barh(
            bottom, right - left, left=left, height=_STRIP, align="edge", color=_INTERVAL, zorder=1
        )
        used.setdefault("95 % interval, reduction above, oxidation below", strip)
        if median is not None and median <= v_max:
            axes.plot([median] * 2, [bottom, bottom + _STRIP], color="black", linewidth=1.0, zorder=4)


def _draw_published(axes: Any, item: StabilityWindow, y: float, used: dict[str, Any]) -> None:
    for found in published_windows(item.target):
        limits = [value for value in (found.reduction_v, found.oxidation_v) if value is not None]
        if not found.is_computed or not limits:
            continue
        (mark,) = axes.plot(
            limits,
            [y - _HEIGHT / 2 - _STRIP - 0.08] * len(limits),
            linestyle="-" if len(limits) == 2 else "none",
            linewidth=1.2,
            color="black",
            marker="D",
            markersize=4.5,
            markerfacecolor="white",
            zorder=5,
        )
        used.setdefault("published, computed", mark)


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
        Each vertical piece is an assemblage, marked by a letter and named in the list; each horizontal piece a
        reaction between two. The thick piece is the window, dashed where it is that of a mixture.
    """
    axes = new_axes(ax, 6.4, 4.4)
    steps = [step for step in window.steps if step.v_low < v_max]
    ends = [(step.v_low, min(step.v_high, v_max)) for step in steps]
    axes.plot(
        [step.exchanged for step in steps for _ in range(2)],
        [value for pair in ends for value in pair],
        color="0.25",
        linewidth=1.2,
        zorder=2,
    )
    lines = []
    for number, (step, (low, high)) in enumerate(reversed(list(zip(steps, ends, strict=True)))):
        names = " + ".join(subscripted(part.formula) for part in step.products)
        between = f"above {low:.2f} V" if step.v_high > v_max else f"{low:.2f}-{high:.2f} V"
        lines.append(f"{letter(number)}  {between}  {names}")
        if step.is_target or abs(step.exchanged) < 1e-9:
            axes.plot(
                [step.exchanged] * 2,
                [low, high],
                color="black",
                linewidth=4.0,
                linestyle="-" if step.is_target else (0, (1.5, 0.6)),
                solid_capstyle="butt",
                zorder=3,
            )
    # A profile falls from the upper left to the lower right: the upper right is free.
    axes.text(
        0.99,
        0.99,
        "\n".join(lines),
        transform=axes.transAxes,
        ha="right",
        ma="left",
        va="top",
        fontsize=7 if len(lines) <= 14 else 5.5,
        linespacing=1.4,
    )
    axes.set_ylim(0.0, v_max)
    low, high = min(step.exchanged for step in steps), max(step.exchanged for step in steps)
    wide = high - low or 1.0
    axes.set_xlim(low - 0.05 * wide, high + 0.12 * wide)
    middles = [(step.exchanged, sum(pair) / 2) for step, pair in zip(steps, ends, strict=True)][::-1]
    place_labels(
        axes,
        middles,
        [letter(number) for number in range(len(middles))],
        [8.0] * len(middles),
        colours=["black"] * len(middles),
        sides=[(1, 0) if high - low > 0.03 * v_max else (0, 1) for low, high in reversed(ends)],
    )
    axes.set_xlabel(f"{window.open_element} taken up per {subscripted(window.target)}")
    axes.set_ylabel(voltage_label(window.open_element, window.charge))
    axes.set_title(f"{subscripted(window.target)}, {window.source}", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes
