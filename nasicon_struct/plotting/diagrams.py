"""Figures of phase diagrams: hulls of three elements, and regions in two chemical potentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nasicon_struct.errors import StabilityError
from nasicon_struct.plotting.labels import list_in_corner, place_labels, subscripted
from nasicon_struct.plotting.windows import new_axes
from nasicon_struct.stability.diagram import PotentialDiagram, TernaryHull

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STABLE_EV = 1e-8
#: Numbers in narrow regions are not smaller than this, points; where even that has no room they stand beside.
_SMALLEST_PT = 4.5
_LEAST_ROOM_PT = 1.7
_HEIGHT = np.sqrt(3) / 2


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
        Whether to name the phases; those above the hull get their distance to it, in meV per atom.

    Returns
    -------
    matplotlib Axes
    """
    axes = new_axes(ax, 6.4, 5.8)
    at = [(f[1] + 0.5 * f[2], _HEIGHT * f[2]) for f in (point.fractions for point in hull.points)]
    for i, j in hull.tie_lines:
        axes.plot([at[i][0], at[j][0]], [at[i][1], at[j][1]], color="0.6", linewidth=0.8, zorder=1)
    axes.set_aspect("equal")
    axes.set_xlim(-0.12, 1.12)
    axes.set_ylim(-0.09, _HEIGHT + 0.06)
    axes.axis("off")
    axes.set_title(f"{'-'.join(hull.elements)}, {hull.source} (crosses: meV/atom above the hull)", fontsize=9)
    named = []
    for k, point in enumerate(hull.points):
        above = point.e_above_hull_ev_per_atom
        stable = above < _STABLE_EV
        if not stable and above > max_above_ev_per_atom:
            continue
        axes.plot(*at[k], "o" if stable else "x", color="black" if stable else "0.35", markersize=5, zorder=3)
        text = subscripted(point.formula) + ("" if stable else f" +{1000 * above:.0f}")
        named.append((not stable, k, text))
    if labels:
        named.sort(key=lambda item: item[:2])
        place_labels(
            axes,
            [at[k] for _, k, _ in named],
            [text for _, _, text in named],
            [6.0 if above else 8.0 for above, _, _ in named],
            colours=["0.3" if above else "black" for above, _, _ in named],
            sides=[_outside(hull.points[k].fractions) for _, k, _ in named],
        )
    return axes


def _outside(fractions: tuple[float, ...]) -> tuple[int, int] | None:
    """Return the side of a point on which the triangle ends."""
    first, second, third = (value < 1e-9 for value in fractions)
    if third:
        return (1, -1) if first else (-1, -1) if second else (0, -1)
    if first:
        return (1, 1)
    return (-1, 1) if second else None


def plot_potential_diagram(diagram: PotentialDiagram, ax: Axes | None = None) -> Axes:
    """Draw where each phase is stable, in two chemical potentials.

    Parameters
    ----------
    diagram : PotentialDiagram
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        Regions too small for a name have a number, and their names stand in a list.

    Raises
    ------
    StabilityError
        If the diagram holds no region.
    """
    if not diagram.regions:
        raise StabilityError("the diagram holds no region; lower lowest_ev")
    axes = new_axes(ax, 6.0, 5.4)
    axes.set_xlim(diagram.lowest_ev, 0.0)
    axes.set_ylim(diagram.lowest_ev, 0.0)
    axes.set_xlabel(rf"$\Delta\mu$({diagram.x_element}) (eV/atom)")
    axes.set_ylabel(rf"$\Delta\mu$({diagram.y_element}) (eV/atom)")
    axes.set_title(
        f"{diagram.x_element}-{diagram.y_element}-{diagram.third_element}, {diagram.source}", fontsize=9
    )
    axes.figure.draw_without_rendering()
    greys = (0.93, 0.86, 0.79, 0.72)
    listed: list[str] = []
    outside: list[tuple[tuple[float, float], str]] = []
    for number, region in enumerate(diagram.regions):
        polygon = np.array(region.vertices_ev)
        axes.fill(
            polygon[:, 0],
            polygon[:, 1],
            facecolor=str(greys[number % len(greys)]),
            edgecolor="black",
            linewidth=0.8,
        )
        centre, room = _room(axes, polygon)
        name = subscripted(region.formula)
        note = axes.text(*centre, name, ha="center", va="center", fontsize=8)
        if not _fits(axes, note, polygon):
            listed.append(name)
            note.set_text(str(len(listed)))
            note.set_fontsize(min(8.0, max(_SMALLEST_PT, 1.5 * room)))
            if room < _LEAST_ROOM_PT:
                note.remove()
                outside.append((tuple(centre), str(len(listed))))
    lines = [f"{k}  {name}" for k, name in enumerate(listed, 1)]
    lines += [f"white: phases without {diagram.third_element}"]
    list_in_corner(axes, lines, fontsize=7)
    place_labels(
        axes,
        [centre for centre, _ in outside],
        [text for _, text in outside],
        [6.0] * len(outside),
        colours=["black"] * len(outside),
        sides=[(-1, -1)] * len(outside),
        reaches=(11.0, 18.0),
    )
    return axes


def _room(axes: Any, polygon: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the middle of the largest circle in a convex polygon, and its radius in points."""
    from scipy.optimize import linprog

    corners = axes.transData.transform(polygon) * 72.0 / axes.figure.dpi
    edges = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(*edges.T)
    kept = lengths > 1e-9
    normals = np.column_stack([edges[kept, 1], -edges[kept, 0]]) / lengths[kept, None]
    limits = (normals * corners[kept]).sum(axis=1)
    matrix = np.column_stack([normals, np.ones(len(normals))])
    solved = linprog([0.0, 0.0, -1.0], A_ub=matrix, b_ub=limits, bounds=[(None, None)] * 2 + [(0, None)])
    if not solved.success:
        return polygon.mean(axis=0), 0.0
    middle = axes.transData.inverted().transform(solved.x[:2] * axes.figure.dpi / 72.0)
    return middle, float(solved.x[2])


def _fits(axes: Any, note: Any, polygon: np.ndarray) -> bool:
    """Return whether the box of a text lies inside a convex polygon."""
    box = note.get_window_extent().padded(1.0)
    corners = axes.transData.inverted().transform(box.corners())
    edges = np.roll(polygon, -1, axis=0) - polygon
    inward = np.array(
        [edges[:, 0] * (y - polygon[:, 1]) - edges[:, 1] * (x - polygon[:, 0]) for x, y in corners]
    )
    return bool((inward >= -1e-12).all())
