"""Profile of a composition open to one element: all plateaus, exactly.

With n the amount of the open element and c' the rest, the energy of the equilibrium assemblage is
``G(n) = max over facets of (mu_open n + mu_rest . c')``: an upper envelope of straight lines, whose slopes are
the chemical potentials of the plateaus and whose corners are the assemblages between them. Nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nasicon_struct.stability import simplex
from nasicon_struct.stability.hull import Hull
from nasicon_struct.stability.reactions import solve_exactly

#: Lines of one slope, eV.
SLOPE_TOLERANCE_EV = 1e-9
_ENVELOPE_TOLERANCE_EV = 1e-12
_SUPPORT_TOLERANCE = 1e-10


@dataclass(frozen=True, kw_only=True)
class Corner:
    """The assemblage between two plateaus.

    Attributes
    ----------
    mu_high_ev, mu_low_ev : float
        Chemical potential of the open element where the assemblage appears and disappears, eV relative to
        the element; ``mu_low_ev`` is -inf where nothing is left to give.
    open_amount : Fraction or float
        Atoms of the open element per unit of the composition given.
    phases : tuple of int
        Indices of the phases in the hull.
    amounts : tuple of Fraction or float
        Amount of each phase: formula units where ``formulas`` were given, else atoms.
    """

    mu_high_ev: float
    mu_low_ev: float
    open_amount: Fraction | float
    phases: tuple[int, ...]
    amounts: tuple[Fraction | float, ...]


def envelope(hull: Hull, rest: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the plateaus of a composition, from high to low chemical potential.

    Parameters
    ----------
    hull : Hull
    rest : ndarray, shape (E,)
        Amounts of all elements; the open one is ignored.
    column : int
        The open element.

    Returns
    -------
    slopes : ndarray, shape (K,)
        Chemical potential of the open element at each plateau, eV; the first is 0 (the pure element).
    corners : ndarray, shape (K,)
        Amount of the open element at the lower end of each plateau; the last is 0.
    """
    rest = np.array(rest, dtype=float)
    rest[column] = 0.0
    if not hull.full:
        return _walk(hull, rest, column)
    return upper_envelope(hull.planes_ev[:, column], hull.planes_ev @ rest, float(rest.sum()))


def upper_envelope(slopes: np.ndarray, heights: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and left ends of the pieces of ``max(heights + slopes n)`` over n >= 0, steepest first.

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
    # From the left (n = 0): the highest there, of equals the steepest, is the first piece.
    tolerance = _ENVELOPE_TOLERANCE_EV * max(scale, 1e-300)
    first = int(np.flatnonzero(height >= height.max() - tolerance)[-1])
    pieces: list[int] = [first]
    left = [0.0]
    for i in range(first + 1, len(slope)):
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
    return slope[pieces][::-1], np.array(left)[::-1]


def _walk(hull: Hull, rest: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Follow the plateaus from n = 0 upward, one linear program each."""
    directions = simplex.perturbation(len(rest), column, +1)
    open_unit = np.zeros(len(rest))
    open_unit[column] = 1.0
    slopes: list[float] = []
    left: list[float] = []
    amount = 0.0
    while True:
        solved = simplex.solve(
            hull.x, hull.e, rest + amount * open_unit, hull.elements_at, directions=directions
        )
        slope = float(solved.mu_ev[0, column])
        if not slopes or slope > slopes[-1] + SLOPE_TOLERANCE_EV:
            slopes.append(slope)
            left.append(amount)
        inverse = np.linalg.inv(hull.x[solved.basis[0]])
        held, change = rest @ inverse, open_unit @ inverse
        falling = change < -1e-12
        if slope >= -SLOPE_TOLERANCE_EV or not falling.any():
            break
        following = float(np.min(held[falling] / -change[falling]))
        # A program with several bases at one corner may return the same one: then step over it.
        amount = (
            following
            if following > amount * (1 + 1e-13)
            else np.nextafter(amount, np.inf) + 1e-13 * rest.sum()
        )
    return np.array(slopes[::-1]), np.array(left[::-1])


def corners(
    hull: Hull,
    amounts: Mapping[str, Fraction],
    column: int,
    formulas: Sequence[Mapping[str, Fraction]] | None = None,
) -> list[Corner]:
    """Return the assemblages of a composition, from high to low chemical potential of the open element.

    Parameters
    ----------
    hull : Hull
    amounts : mapping of element to Fraction
        The composition; its amount of the open element does not matter here.
    column : int
        The open element.
    formulas : sequence of mapping of element to Fraction, optional
        Exact amounts per formula unit of each phase of the hull; makes the result exact.
    """
    vector = np.array([float(amounts.get(symbol, 0)) for symbol in hull.elements])
    slopes, left = envelope(hull, vector, column)
    points = np.repeat(vector[None, :], len(left), axis=0)
    points[:, column] = left
    solved = simplex.solve(hull.x, hull.e, points, hull.elements_at)
    found = []
    for k, amount in enumerate(left):
        phases, held = _assemblage(hull, solved.basis[k], solved.amounts[k], points[k])
        exact = None if formulas is None else _exact(hull, phases, amounts, column, formulas)
        if exact is not None:
            kept, portions, open_amount = exact
        else:
            kept, open_amount = phases, float(amount)
            portions = _in_formula_units(phases, held, formulas)
        found.append(
            Corner(
                mu_high_ev=float(slopes[k]),
                mu_low_ev=float(slopes[k + 1]) if k + 1 < len(slopes) else -np.inf,
                open_amount=open_amount,
                phases=tuple(kept),
                amounts=tuple(portions),
            )
        )
    return found


def _in_formula_units(
    phases: Sequence[int], atoms: Sequence[float], formulas: Sequence[Mapping[str, Fraction]] | None
) -> list[float]:
    if formulas is None:
        return list(atoms)
    return [held / float(sum(formulas[i].values())) for i, held in zip(phases, atoms, strict=True)]


def _assemblage(
    hull: Hull, basis: np.ndarray, amounts: np.ndarray, composition: np.ndarray
) -> tuple[list[int], list[float]]:
    """Return the phases that are present, by falling amount, ties by name."""
    present = amounts > _SUPPORT_TOLERANCE * composition.sum()
    pairs = sorted(
        zip(basis[present].tolist(), amounts[present].tolist(), strict=True),
        key=lambda pair: hull.labels[pair[0]],
    )
    return [phase for phase, _ in pairs], [amount for _, amount in pairs]


def _exact(
    hull: Hull,
    phases: Sequence[int],
    amounts: Mapping[str, Fraction],
    column: int,
    formulas: Sequence[Mapping[str, Fraction]],
) -> tuple[list[int], list[Fraction], Fraction] | None:
    """Solve the balance in rational numbers; None where the phases do not allow it."""
    symbol = hull.elements[column]
    closed = {s: a for s, a in amounts.items() if s != symbol and a}
    solved = solve_exactly([formulas[i] for i in phases], closed, free=symbol)
    if solved is None or any(amount < 0 for amount in solved[0]):
        return None
    kept = [(i, a) for i, a in zip(phases, solved[0], strict=True) if a]
    return [i for i, _ in kept], [a for _, a in kept], solved[1]
