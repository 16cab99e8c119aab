"""The second way: linear programs solved by HiGHS, independent of Qhull and of our own simplex method.

Slow (a millisecond or more per program) and used to check the others; the answers are the same to 1e-8 eV.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from nasicon_struct.errors import StabilityError

_OPTIONS: Final = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def _minimise(cost: np.ndarray, **constraints: Any) -> Any:
    from scipy.optimize import linprog

    solved = linprog(cost, method="highs-ds", options=_OPTIONS, **constraints)
    if solved.status != 0:
        raise StabilityError(
            f"HiGHS found no solution ({solved.message}); check the energies with check_entries"
        )
    return solved


def hull_energy(fractions: np.ndarray, energies_ev: np.ndarray, composition: np.ndarray) -> float:
    """Return the hull energy of a composition, eV per unit of it.

    Parameters
    ----------
    fractions : ndarray, shape (N, E)
        Atomic fractions of the phases.
    energies_ev : ndarray, shape (N,)
        Formation energies, eV per atom.
    composition : ndarray, shape (E,)
    """
    return float(_minimise(energies_ev, A_eq=fractions.T, b_eq=composition, bounds=(0, None)).fun)


def potential_limits(
    fractions: np.ndarray, energies_ev: np.ndarray, composition: np.ndarray, column: int
) -> tuple[float, float]:
    """Return the range of one chemical potential over the facets that hold a composition, eV.

    The phases of an optimal mixture lie on all these facets (complementary slackness), so the range is that
    of mu over ``x . mu <= e`` with equality for the mixture's phases.
    """
    scale = float(composition.sum())
    mixture = _minimise(energies_ev, A_eq=fractions.T, b_eq=composition / scale, bounds=(0, None)).x
    present = mixture > 1e-9
    cost = np.zeros(fractions.shape[1])
    limits = []
    for sign in (1.0, -1.0):
        if sign > 0 and composition[column] <= 1e-12 * scale:
            limits.append(-np.inf)
            continue
        cost[column] = sign
        solved = _minimise(
            cost,
            A_ub=fractions[~present],
            b_ub=energies_ev[~present],
            A_eq=fractions[present],
            b_eq=energies_ev[present],
            bounds=(None, None),
        )
        limits.append(sign * float(solved.fun))
    return limits[0], limits[1]


def plateaus(
    fractions: np.ndarray, energies_ev: np.ndarray, composition: np.ndarray, column: int
) -> np.ndarray:
    """Return the chemical potentials at which a composition exchanges one element, eV, falling from 0.

    At fixed potential mu the equilibrium is a small program; between two known equilibria the next one to try
    is at the potential where their energies cross. The search ends when nothing lies below a crossing.
    """
    closed = [j for j in range(fractions.shape[1]) if j != column]
    rest = composition[closed]

    def equilibrium(mu: float) -> tuple[float, float]:
        cost = energies_ev - mu * fractions[:, column]
        amounts = _minimise(cost, A_eq=fractions[:, closed].T, b_eq=rest, bounds=(0, None)).x
        return float(amounts @ fractions[:, column]), float(amounts @ energies_ev)

    def potential(amount: float) -> float:
        full_composition = composition.copy()
        full_composition[column] = amount
        solved = _minimise(energies_ev, A_eq=fractions.T, b_eq=full_composition, bounds=(0, None))
        return float(solved.eqlin.marginals[column])

    def between(low: tuple[float, float], high: tuple[float, float]) -> list[float]:
        if high[0] - low[0] < 1e-9 * rest.sum():
            return []
        mu = (high[1] - low[1]) / (high[0] - low[0])
        middle = equilibrium(mu)
        gain = (low[1] - mu * low[0]) - (middle[1] - mu * middle[0])
        if gain < 1e-11 * rest.sum():
            # The two lie on one plateau; on a short one a difference quotient loses digits.
            short = high[0] - low[0] < 1e-2 * rest.sum()
            return [potential((low[0] + high[0]) / 2) if short else mu]
        return between(low, middle) + between(middle, high)

    deepest = (
        10.0 * float(energies_ev.min()) / max(1e-3, float(fractions[fractions[:, column] > 0, column].min()))
    )
    empty = equilibrium(min(deepest, -100.0))
    full = equilibrium(0.0)
    found = np.sort([0.0, *between(empty, full)])[::-1]
    # A crossing that meets the hull inside a plateau returns the plateau twice.
    return found[np.concatenate([[True], np.diff(found) < -1e-9])]
