"""Diagrams of three elements: tie lines of the hull, regions of chemical potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct.entries import EntrySet, as_entry_set, chemical_system
from nasicon_struct.errors import StabilityError
from nasicon_struct.stability.reservoirs import as_reservoirs
from nasicon_struct.stability.result import as_tuples
from nasicon_struct.stability.system import System

_TIE_EV: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class HullPoint(MSONable):
    """A phase in a ternary diagram.

    Attributes
    ----------
    formula : str
    fractions : tuple of float
        Atomic fractions of the three elements.
    e_above_hull_ev_per_atom : float
    """

    formula: str
    fractions: tuple[float, ...]
    e_above_hull_ev_per_atom: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "fractions", tuple(self.fractions))


@dataclass(frozen=True, kw_only=True)
class TernaryHull(MSONable):
    """Hull of three elements.

    Attributes
    ----------
    elements : tuple of str
    source : str
    points : tuple of HullPoint
        Lowest phase of each composition.
    tie_lines : tuple of (int, int)
        Pairs of stable points that coexist and bound a field of three (or more) phases.
    reservoirs : tuple of str
    """

    elements: tuple[str, ...]
    source: str
    points: tuple[HullPoint, ...]
    tie_lines: tuple[tuple[int, int], ...]
    reservoirs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        as_tuples(self, points=HullPoint, elements=None, reservoirs=None)
        object.__setattr__(self, "tie_lines", tuple((int(i), int(j)) for i, j in self.tie_lines))


@dataclass(frozen=True, kw_only=True)
class PotentialRegion(MSONable):
    """Where a phase is stable, in two chemical potentials.

    Attributes
    ----------
    formula : str
    vertices_ev : tuple of (float, float)
        Corners of a convex polygon, counter-clockwise, eV relative to the elements.
    """

    formula: str
    vertices_ev: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices_ev", tuple((float(x), float(y)) for x, y in self.vertices_ev))


@dataclass(frozen=True, kw_only=True)
class PotentialDiagram(MSONable):
    """Regions of stability in two chemical potentials; the third element's is the highest possible.

    Attributes
    ----------
    x_element, y_element, third_element : str
    source : str
    lowest_ev : float
        Lower end of both axes, eV; the upper end is 0, the elements.
    regions : tuple of PotentialRegion
        Phases that hold the third element.
    """

    x_element: str
    y_element: str
    third_element: str
    source: str
    lowest_ev: float
    regions: tuple[PotentialRegion, ...]

    def __post_init__(self) -> None:
        as_tuples(self, regions=PotentialRegion)


def _ternary(entries: Any, system: Any, reservoirs: Any) -> tuple[System, EntrySet]:
    held = as_reservoirs(reservoirs)
    found = as_entry_set(entries, system=system, open_element=None)
    names = set(found.elements if system is None else chemical_system(system))
    names |= {item.element for item in held}
    made = System(found, names, reservoirs=held)
    if len(made.free) != 3:
        raise StabilityError(
            f"the diagram needs three free elements, got {', '.join(made.free)}; name a system such as "
            "'Na-P-S' or hold "
            "the others by reservoirs"
        )
    return made, found


def ternary_hull(entries: Any = None, *, system: Any = None, reservoirs: Any = None) -> TernaryHull:
    """Return phases and tie lines of a system of three elements.

    Parameters
    ----------
    entries : anything that :func:`nasicon_struct.as_entry_set` takes
    system : str or composition-like, optional, keyword-only
        ``"Na-P-S"``; by default all elements of the entries.
    reservoirs : Reservoir or sequence of Reservoir, optional, keyword-only
        Further elements.

    Returns
    -------
    TernaryHull

    Raises
    ------
    StabilityError
        If there are not three free elements.
    """
    made, found = _ternary(entries, system, reservoirs)
    hull = made.hull
    above = hull.e - hull.energies(hull.x)
    above[np.abs(above) < _TIE_EV] = 0.0
    points = tuple(
        HullPoint(formula=label, fractions=tuple(map(float, x)), e_above_hull_ev_per_atom=float(gap))
        for label, x, gap in zip(hull.labels, hull.x, above, strict=True)
    )
    edges: set[tuple[int, int]] = set()
    for plane in hull.planes_ev:
        tight = np.flatnonzero(hull.e - hull.x @ plane <= _TIE_EV)
        corners = _convex_order(hull.x[tight][:, 1:])
        ring = [int(tight[i]) for i in corners]
        edges.update((min(i, j), max(i, j)) for i, j in zip(ring, [*ring[1:], ring[0]], strict=True))
    return TernaryHull(
        elements=made.free,
        source=found.source,
        points=points,
        tie_lines=tuple(sorted(edges)),
        reservoirs=tuple(item.description for item in made.reservoirs),
    )


def _convex_order(points: np.ndarray) -> list[int]:
    """Return the corners of the convex hull of points in a plane, in order."""
    order = sorted(range(len(points)), key=lambda i: (points[i][0], points[i][1]))

    def half(indices: Sequence[int]) -> list[int]:
        chain: list[int] = []
        for i in indices:
            while len(chain) >= 2:
                (ax, ay), (bx, by), (cx, cy) = points[chain[-2]], points[chain[-1]], points[i]
                if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 1e-12:
                    break
                chain.pop()
            chain.append(i)
        return chain[:-1]

    return half(order) + half(order[::-1])


def potential_diagram(
    entries: Any = None,
    *,
    x_element: str = "Na",
    y_element: str = "S",
    system: Any = None,
    reservoirs: Any = None,
    lowest_ev: float = -4.0,
) -> PotentialDiagram:
    """Return where each phase of a ternary system is stable, in two chemical potentials.

    Parameters
    ----------
    entries, system, reservoirs
        As for :func:`ternary_hull`.
    x_element, y_element : str, keyword-only
        Elements of the axes; the third has the highest potential that the phases allow.
    lowest_ev : float, keyword-only
        Lower end of the axes, eV.

    Returns
    -------
    PotentialDiagram
        The regions are intersections of half-planes, exact.

    Raises
    ------
    StabilityError
        If there are not three free elements or an axis is none of them.
    """
    made, found = _ternary(entries, system, reservoirs)
    if x_element not in made.free or y_element not in made.free or x_element == y_element:
        raise StabilityError(
            f"the axes must be two of {', '.join(made.free)}, got {x_element} and {y_element}"
        )
    if not (np.isfinite(lowest_ev) and lowest_ev < 0):
        raise StabilityError(f"the lower end of the axes must be below 0 eV, got {lowest_ev}")
    (third,) = [symbol for symbol in made.free if symbol not in (x_element, y_element)]
    hull = made.hull
    order = [made.free.index(symbol) for symbol in (x_element, y_element, third)]
    x = hull.x[:, order]
    above = hull.e - hull.energies(hull.x)
    regions = []
    for i in np.flatnonzero((x[:, 2] > 1e-9) & (above < _TIE_EV)):
        # mu_third follows from phase i; every other phase j must not gain by it.
        ratio = x[:, 2] / x[i, 2]
        normal = x[:, :2] - ratio[:, None] * x[i, :2]
        limit = hull.e - ratio * hull.e[i]
        polygon = _clip(normal, limit, lowest_ev)
        if len(polygon) >= 3:
            regions.append(PotentialRegion(formula=hull.labels[i], vertices_ev=tuple(polygon)))
    return PotentialDiagram(
        x_element=x_element,
        y_element=y_element,
        third_element=third,
        source=found.source,
        lowest_ev=lowest_ev,
        regions=tuple(regions),
    )


def _clip(normals: np.ndarray, limits: np.ndarray, lowest: float) -> list[tuple[float, float]]:
    """Return the polygon of ``normal . p <= limit`` within the square from ``lowest`` to 0."""
    polygon = [(lowest, lowest), (0.0, lowest), (0.0, 0.0), (lowest, 0.0)]
    for (a, b), c in zip(normals, limits, strict=True):
        if abs(a) < 1e-14 and abs(b) < 1e-14:
            if c < -_TIE_EV:
                return []
            continue
        kept: list[tuple[float, float]] = []
        for p, q in zip(polygon, [*polygon[1:], polygon[0]], strict=True) if polygon else ():
            inside, following = a * p[0] + b * p[1] - c, a * q[0] + b * q[1] - c
            if inside <= 0:
                kept.append(p)
            if (inside < 0 < following) or (following < 0 < inside):
                t = inside / (inside - following)
                kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        polygon = kept
    distinct: list[tuple[float, float]] = []
    for p in polygon:
        if not distinct or max(abs(p[0] - distinct[-1][0]), abs(p[1] - distinct[-1][1])) > 1e-9:
            distinct.append(p)
    return distinct
