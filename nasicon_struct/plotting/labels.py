"""Text in figures: formulas with subscripts, and places where labels do not cover each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

#: Places of a label around its point, best first: x and y as -1, 0 or 1.
_AROUND = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def subscripted(formula: str) -> str:
    """Return a formula as matplotlib text with subscripts."""
    return re.sub(r"(?<=[A-Za-z\)\]])(\d+(?:\.\d+)?)", r"$_{\1}$", formula)


def letter(number: int) -> str:
    """Return a, b, ... z, aa, ab, ... for 0, 1, ..."""
    head, tail = divmod(number, len(_LETTERS))
    return (letter(head - 1) if head else "") + _LETTERS[tail]


def list_in_corner(axes: Any, lines: Sequence[str], *, fontsize: float) -> None:
    """Write lines into the upper right corner of the axes."""
    axes.text(
        0.98,
        0.98,
        "\n".join(lines),
        transform=axes.transAxes,
        ha="right",
        ma="left",
        va="top",
        fontsize=fontsize,
        linespacing=1.4,
    )


def voltage_label(ion: str, charge: int = 1) -> str:
    """Return the label of a voltage axis."""
    return f"Voltage (V vs {ion}/{ion}$^{{{'+' if charge == 1 else f'{charge}+'}}}$)"


def place_labels(
    axes: Any,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    sizes: Sequence[float],
    *,
    colours: Sequence[str],
    sides: Sequence[tuple[int, int] | None],
    reaches: Sequence[float] = (5.0, 11.0, 18.0),
) -> None:
    """Write labels beside points so that they cover neither each other, nor the points, nor the text that is there.

    Parameters
    ----------
    axes : matplotlib Axes
        With its limits and aspect set.
    points : sequence of (float, float)
        In data coordinates.
    texts : sequence of str
    sizes : sequence of float
        Font sizes, points; where two labels fight, the one listed first wins.
    colours : sequence of str, keyword-only
    sides : sequence of (int, int) or None, keyword-only
        The side to prefer, as signs of x and y; None for any.
    reaches : sequence of float, keyword-only
        Distances to try, points; from 10 on a thin line leads to the point.
    """
    from matplotlib.text import Text

    figure = axes.figure
    figure.draw_without_rendering()
    pixel = figure.dpi / 72.0
    at = [axes.transData.transform(point) for point in points]
    taken = [(x - 3 * pixel, y - 3 * pixel, x + 3 * pixel, y + 3 * pixel) for x, y in at]
    taken += [Text.get_window_extent(text).extents for text in axes.texts]
    for k, text in enumerate(texts):
        ways = list(_AROUND)
        preferred = sides[k]
        if preferred is not None:
            ways = [
                preferred,
                *sorted(ways, key=lambda way: -(way[0] * preferred[0] + way[1] * preferred[1])),
            ]
        best = None
        for reach in reaches:
            for rank, (right, up) in enumerate(ways):
                note = axes.annotate(
                    text,
                    points[k],
                    xytext=(reach * right, reach * up * (0.8 if right else 1.0)),
                    textcoords="offset points",
                    fontsize=sizes[k],
                    color=colours[k],
                    ha={1: "left", 0: "center", -1: "right"}[right],
                    va={1: "bottom", 0: "center", -1: "top"}[up],
                    zorder=5,
                    bbox={
                        "boxstyle": "square,pad=0.05",
                        "facecolor": "white",
                        "edgecolor": "none",
                        "alpha": 0.8,
                    },
                    arrowprops=None
                    if reach < 10
                    else {"arrowstyle": "-", "linewidth": 0.4, "color": "0.4", "shrinkA": 0, "shrinkB": 2},
                )
                note.get_window_extent()  # puts the text into its place
                box = Text.get_window_extent(note)  # of the text alone, without its pointer
                cut = box.width * box.height - _overlap(box.extents, axes.bbox.extents)
                cost = rank + 4 * reach + cut + sum(_overlap(box.extents, other) for other in taken)
                if best is None or cost < best[0]:
                    if best is not None:
                        best[1].remove()
                    best = (cost, note, box.extents)
                else:
                    note.remove()
        if best is not None:
            taken.append(best[2])


def _overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the common area of two boxes, pixels."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return float(max(wide, 0.0) * max(high, 0.0))
