"""The second way: linear programs solved by HiGHS, independent of Qhull and of our own simplex method.

Slow (a millisecond or more per program) and used to check the others; the answers are the same to 1e-8 eV.

Every program here has a solution and a finite one by its form, whatever the last bits of the data are. An
equilibrium ``min e . y, y . x = c, y >= 0`` is solved at worst by the elements, and y adds up to c. A slope of
the hull energy along a direction d is the program that is dual to a range of potentials: the cheapest reaction
``w . x = d`` that may consume the phases present and only form the others, at the price ``r = e - x . mu`` of
forming a phase, which is zero for phases present and not negative for any. The elements and the phases present
make it feasible, and its cost cannot fall below zero. (The ranges themselves, ``min mu_j`` over free mu with
equalities for the phases present, are unbounded as soon as these equalities miss by a bit.)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from nasicon_struct.errors import StabilityError

_OPTIONS: Final = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
#: Solvers of one program, the next where one gives up.
_METHODS: Final = (("highs-ds", True), ("highs-ds", False), ("highs-ipm", True), ("highs-ipm", False))
#: Phases with less than this share of the atoms are not part of a mixture.
_PRESENT: Final = 1e-10
#: Prices and slopes, eV per atom, closer than this are one.
_SAME_EV: Final = 1e-9
_MAX_PLATEAUS: Final = 10_000


def _minimise(
    cost: np.ndarray, fractions: np.ndarray, right: np.ndarray, free: np.ndarray | None = None
) -> Any:
    """Solve ``min cost . y`` with ``y . fractions = right`` and y >= 0 where it is not free."""
    from scipy.optimize import linprog

    bounds = np.zeros((len(cost), 2))
    bounds[:, 1] = np.inf
    if free is not None:
        bounds[free, 0] = -np.inf
    message = ""
    for method, presolve in _METHODS:
        options = {**_OPTIONS, "presolve": presolve}
        solved = linprog(cost, A_eq=fractions.T, b_eq=right, bounds=bounds, method=method, options=options)
        if solved.status == 0:
            return solved
        message = message or str(solved.message)
    raise StabilityError(f"HiGHS found no solution ({message}); check the energies with check_entries")


def hull_energy(fractions: np.ndarray, energies_ev: np.ndarray, composition: np.ndarray) -> float:
    """Return the hull energy of a composition, eV per unit of it.

    Parameters
    ----------
    fractions : ndarray, shape (N, E)
        Atomic fractions of the phases, the elements among them.
    energies_ev : ndarray, shape (N,)
        Formation energies, eV per atom.
    composition : ndarray, shape (E,)
    """
    scale = float(composition.sum())
    return float(_minimise(energies_ev, fractions, composition / scale).fun) * scale


def _slope(
    fractions: np.ndarray,
    energies_ev: np.ndarray,
    amounts: np.ndarray,
    mu_ev: np.ndarray,
    direction: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the slope of the hull energy along a direction and potentials that hold beyond it.

    Parameters
    ----------
    amounts : ndarray, shape (N,)
        A mixture of lowest energy, atoms of each phase, adding up to about 1.
    mu_ev : ndarray, shape (E,)
        Potentials of that mixture, eV.
    direction : ndarray, shape (E,)
        May take away only what the mixture holds.
    """
    present = amounts > _PRESENT
    price = np.maximum(energies_ev - fractions @ mu_ev, 0.0)
    price[present] = 0.0
    solved = _minimise(price, fractions, direction, present)
    return float(mu_ev @ direction + solved.fun), mu_ev + solved.eqlin.marginals


def potential_limits(
    fractions: np.ndarray, energies_ev: np.ndarray, composition: np.ndarray, column: int
) -> tuple[float, float]:
    """Return the range of one chemical potential over the facets that hold a composition, eV.

    The ends are the slopes of the hull energy towards less and towards more of the element; without the element
    in the composition the lower one is -inf.
    """
    scale = float(composition.sum())
    solved = _minimise(energies_ev, fractions, composition / scale)
    unit = np.eye(fractions.shape[1])[column]
    low = -np.inf
    if composition[column] > 1e-12 * scale:
        low = -_slope(fractions, energies_ev, solved.x, solved.eqlin.marginals, -unit)[0]
    high = _slope(fractions, energies_ev, solved.x, solved.eqlin.marginals, unit)[0]
    return low, high


def plateaus(
    fractions: np.ndarray, energies_ev: np.ndarray, composition: np.ndarray, column: int
) -> np.ndarray:
    """Return the chemical potentials at which a composition exchanges one element, eV, falling from 0.

    From the composition without the element upward: the slope of the hull energy is the next potential, and the
    plateau ends at the mixture that holds most of the element among the phases which cost nothing there.
    """
    unit = np.eye(fractions.shape[1])[column]
    closed = np.arange(fractions.shape[1]) != column
    rest = np.where(closed, composition, 0.0) / composition[closed].sum()
    compounds = fractions[:, closed].sum(axis=1) > 1e-12
    solved = _minimise(energies_ev, fractions, rest)
    amounts, mu = solved.x, solved.eqlin.marginals
    found: list[float] = []
    for _ in range(_MAX_PLATEAUS):
        slope, mu = _slope(fractions, energies_ev, amounts / amounts.sum(), mu, unit)
        if slope > -_SAME_EV:
            return np.array([0.0, *found[::-1]])
        if not found or slope > found[-1] + _SAME_EV:
            found.append(slope)
        costless = np.flatnonzero(compounds & (energies_ev - fractions @ mu < _SAME_EV))
        kept = fractions[costless]
        fullest = _minimise(-kept[:, column], kept[:, closed], rest[closed])
        amounts = np.zeros(len(energies_ev))
        amounts[costless] = fullest.x
    raise StabilityError(f"a profile has more than {_MAX_PLATEAUS} steps; check the energies")
