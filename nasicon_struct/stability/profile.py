"""Piecewise linear paths through a phase diagram, exactly: plateaus of a profile, kinks of an interface.

Along ``base + t direction`` the energy of the equilibrium assemblage is the largest of the straight lines
``mu . base + t (mu . direction)`` over the facets mu: an upper envelope. With the open element as direction
the slopes are the potentials of the plateaus and the corners the assemblages between them; with a second
reactant as direction the corners are the kinks of the mixing diagram. Nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from nasicon_struct.errors import StabilityError
from nasicon_struct.stability import simplex
from nasicon_struct.stability.hull import Hull
from nasicon_struct.stability.system import System

#: Lines whose slopes differ by less than this, eV, are one.
SLOPE_TOLERANCE_EV: Final = 1e-9
_ENVELOPE_TOLERANCE_EV: Final = 1e-12
_MAX_PIECES: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """A row of a profile: an assemblage and the range of chemical potential in which it is at equilibrium.

    Attributes
    ----------
    mu_high_ev, mu_low_ev : float
        Chemical potential of the open element, eV relative to the element; ``mu_low_ev`` is -inf in the last
        row.
    phases : tuple of int
        Phases of the system's hull.
    units : tuple of Fraction or float
        Formula units of each phase.
    exchanged : dict of str to Fraction or float
        What the assemblage holds more than the composition, by element: the open one and the held ones.
    """

    mu_high_ev: float
    mu_low_ev: float
    phases: tuple[int, ...]
    units: tuple[Fraction | float, ...]
    exchanged: dict[str, Fraction | float]


def envelope(hull: Hull, base: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pieces of the hull energy along ``base + t direction``, t >= 0.

    Parameters
    ----------
    hull : Hull
    base, direction : ndarray, shape (E,)
        Amounts of the elements, non-negative.

    Returns
    -------
    slopes : ndarray, shape (K,)
        Slopes, eV per unit of t, rising.
    starts : ndarray, shape (K,)
        Where each piece starts; the first is 0.
    """
    if not hull.full:
        return _walk(hull, base, direction)
    scale = float(base.sum() + direction.sum())
    return upper_envelope(hull.planes_ev @ direction, hull.planes_ev @ base, scale)


def upper_envelope(slopes: np.ndarray, heights: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and starts of the pieces of ``max(heights + slopes t)`` over t >= 0, slopes rising.

    Parameters
    ----------
    slopes, heights : ndarray, shape (F,)
    scale : float
        Atoms in the composition, which sets the tolerance of the heights.
    """
    order = np.lexsort((-heights, slopes))
    slope, height = slopes[order], heights[order]
    # Of lines with one slope the highest counts.
    group = np.concatenate([[0], np.cumsum(np.diff(slope) > SLOPE_TOLERANCE_EV)])
    starts = np.flatnonzero(np.concatenate([[True], np.diff(group) > 0]))
    height = np.maximum.reduceat(height, starts)
    slope = slope[starts]
    # From the left (t = 0): the highest there, of equals the steepest, is the first piece.
    tolerance = _ENVELOPE_TOLERANCE_EV * scale
    first = int(np.flatnonzero(height >= height.max() - tolerance)[-1])
    return _chain(slope[first:].tolist(), height[first:].tolist(), tolerance)


def _chain(slope: list[float], height: list[float], tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and starts of the upper envelope of lines sorted by slope, the first one first."""
    pieces = [0]
    left = [0.0]
    for i in range(1, len(slope)):
        while True:
            last = pieces[-1]
            crossing = (height[last] - height[i]) / (slope[i] - slope[last])
            if len(pieces) == 1:
                break
            # The last piece goes if, where its neighbours cross, it does not stand above them.
            before = pieces[-2]
            meet = (height[before] - height[i]) / (slope[i] - slope[before])
            if height[last] + slope[last] * meet > height[i] + slope[i] * meet + tolerance:
                break
            pieces.pop()
            left.pop()
        pieces.append(i)
        left.append(crossing)
    return np.array([slope[i] for i in pieces]), np.array(left)


def _walk(hull: Hull, base: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow the pieces from t = 0 upward, one linear program each."""
    directions = np.vstack([direction, np.eye(len(base))])
    slopes: list[float] = []
    starts: list[float] = []
    t = 0.0
    step = 1e-13 * max(1.0, float(base.sum() / direction.sum()))
    for _ in range(_MAX_PIECES):
        point = base + t * direction
        solved = simplex.solve(hull.x, hull.e, point, hull.elements_at, directions=directions)
        slope = float(solved.mu_ev[0] @ direction)
        if not slopes or slope > slopes[-1] + SLOPE_TOLERANCE_EV:
            slopes.append(slope)
            starts.append(t)
        inverse = np.linalg.inv(hull.x[solved.basis[0]])
        held, change = base @ inverse, direction @ inverse
        falling = change < -1e-12
        if not falling.any():
            return np.array(slopes), np.array(starts)
        following = float(np.min(held[falling] / -change[falling]))
        # Where several bases meet in one corner, step over it by the noise of the arithmetic.
        t = following if following > t + step else t + step
    raise StabilityError(f"a path has more than {_MAX_PIECES} pieces; check the energies with check_entries")


def plateaus(system: System, amounts: Mapping[str, Fraction], open_element: str) -> list[Plateau]:
    """Return the assemblages of a composition open to one element, from high to low potential of it.

    Parameters
    ----------
    system : System
    amounts : mapping of element to Fraction
        The composition; exact.
    open_element : str
    """
    hull, column = system.hull, system.column(open_element)
    unit = np.zeros(len(system.free))
    unit[column] = 1.0
    base = system.vector(amounts)
    base[column] = 0.0
    slopes, starts = envelope(hull, base, unit)
    points = base + starts[:, None] * unit
    solved = simplex.solve(hull.x, hull.e, points, hull.elements_at)
    rows = []
    for k in range(len(starts) - 1, -1, -1):
        phases, units = system.formula_units(solved.basis[k], solved.amounts[k], amounts, (open_element,))
        rows.append(
            Plateau(
                mu_high_ev=min(0.0, float(slopes[k])),
                mu_low_ev=float(slopes[k - 1]) if k else -np.inf,
                phases=tuple(phases),
                units=tuple(units),
                exchanged=system.balance(phases, units, amounts, (open_element,)),
            )
        )
    return rows
