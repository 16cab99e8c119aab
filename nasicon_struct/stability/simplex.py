"""Many small linear programs at once: the primal simplex method, vectorised over compositions or energies.

Each program is ``min e . y`` with ``sum_i y_i x_i = c``, ``y >= 0``: the mixture of phases of lowest energy
at composition c. Its dual solution is the vector of chemical potentials. The elements are the first basis, so
every program has a solution. Ties are broken by a lexicographic perturbation of c, which makes the method
finite on degenerate data (a composition on a phase or on a tie line) and, with the open element as the first
direction, gives one-sided derivatives: the limits of a stability window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasicon_struct.errors import StabilityError

#: A reduced cost below this (eV per atom) is zero.
COST_TOLERANCE_EV = 1e-11
_PIVOT_TOLERANCE = 1e-10


@dataclass(frozen=True, kw_only=True)
class SimplexSolution:
    """Optimal bases of S programs over E elements.

    Attributes
    ----------
    basis : ndarray of int, shape (S, E)
        Phases in the basis.
    mu_ev : ndarray, shape (S, E)
        Chemical potentials, eV per atom.
    amounts : ndarray, shape (S, E)
        Atoms of composition in each basis phase (sum of c over the elements).
    energies_ev : ndarray, shape (S,)
        ``mu . c``, eV per unit of c.
    """

    basis: np.ndarray
    mu_ev: np.ndarray
    amounts: np.ndarray
    energies_ev: np.ndarray


def perturbation(n_elements: int, column: int | None = None, sign: int = 0) -> np.ndarray:
    """Return the directions in which c is perturbed, the first by the largest amount.

    Parameters
    ----------
    n_elements : int
    column : int, optional
        Element that goes first.
    sign : int
        +1 or -1: its direction. 0 leaves the natural order.
    """
    identity = np.eye(n_elements)
    if column is None or not sign:
        return identity
    return np.vstack([sign * identity[column], identity])


def solve(
    fractions: np.ndarray,
    energies_ev: np.ndarray,
    compositions: np.ndarray,
    elements_at: np.ndarray,
    *,
    directions: np.ndarray | None = None,
    start: np.ndarray | None = None,
    max_pivots: int = 2000,
) -> SimplexSolution:
    """Solve S programs.

    Parameters
    ----------
    fractions : ndarray, shape (N, E)
        Atomic fractions of the phases.
    energies_ev : ndarray, shape (N,) or (S, N)
        Energies per atom, eV.
    compositions : ndarray, shape (S, E) or (E,)
        Compositions c, non-negative, in any multiple; one for all programs, or one each.
    elements_at : ndarray of int, shape (E,)
        For each element, its pure phase.
    directions : ndarray, shape (K, E), optional
        Lexicographic perturbations of c; see :func:`perturbation`.
    start : ndarray of int, shape (S, E), optional
        Bases to start from; they must be feasible for c with its perturbation.
    max_pivots : int
        Bound on the number of pivots.

    Raises
    ------
    StabilityError
        If a program does not end within ``max_pivots``.
    """
    compositions = np.atleast_2d(np.asarray(compositions, dtype=float))
    energies_ev = np.asarray(energies_ev, dtype=float)
    n_programs = max(len(compositions), len(energies_ev) if energies_ev.ndim == 2 else 1)
    n_elements = fractions.shape[1]
    compositions = np.broadcast_to(compositions, (n_programs, n_elements))
    per_program = energies_ev.ndim == 2
    directions = np.eye(n_elements) if directions is None else directions
    basis = np.tile(elements_at, (n_programs, 1)) if start is None else np.array(start, dtype=np.intp)
    mu = np.empty((n_programs, n_elements))
    active = np.arange(n_programs)
    transposed = np.ascontiguousarray(fractions.T)
    for _ in range(max_pivots):
        held = basis[active]
        inverse = np.linalg.inv(fractions[held])
        if per_program:
            energy = energies_ev[active]
            held_energy = np.take_along_axis(energy, held, axis=1)
        else:
            energy = energies_ev
            held_energy = energies_ev[held]
        now = np.einsum("sij,sj->si", inverse, held_energy)
        mu[active] = now
        cost = energy - now @ transposed
        entering = np.argmin(cost, axis=1)
        improving = cost[np.arange(len(active)), entering] < -COST_TOLERANCE_EV
        if not improving.any():
            break
        active, inverse, entering = active[improving], inverse[improving], entering[improving]
        leaving = _leaving(inverse, fractions[entering], compositions[active], directions)
        basis[active, leaving] = entering
    else:
        raise StabilityError(
            f"{len(active)} linear programs did not end within {max_pivots} pivots; the energies are "
            "too badly scaled, check them with check_entries"
        )
    inverse = np.linalg.inv(fractions[basis])
    amounts = np.einsum("se,sej->sj", compositions, inverse)
    return SimplexSolution(
        basis=basis, mu_ev=mu, amounts=amounts, energies_ev=np.einsum("se,se->s", mu, compositions)
    )


def _leaving(
    inverse: np.ndarray, entering: np.ndarray, compositions: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Return the position in each basis that leaves: the lexicographic ratio test."""
    column = np.einsum("se,sej->sj", entering, inverse)
    candidate = column > _PIVOT_TOLERANCE
    safe = np.where(candidate, column, 1.0)
    ratios = np.where(candidate, np.einsum("se,sej->sj", compositions, inverse) / safe, np.inf)
    candidate &= ratios <= ratios.min(axis=1, keepdims=True) + _PIVOT_TOLERANCE
    undecided = np.flatnonzero(candidate.sum(axis=1) > 1)
    for direction in directions:
        if not len(undecided):
            break
        rows = np.einsum("e,sej->sj", direction, inverse[undecided])
        ratios = np.where(candidate[undecided], rows / safe[undecided], np.inf)
        candidate[undecided] &= ratios <= ratios.min(axis=1, keepdims=True) + _PIVOT_TOLERANCE
        undecided = undecided[candidate[undecided].sum(axis=1) > 1]
    # Among what is left, the largest pivot is the most accurate one.
    return np.argmax(np.where(candidate, column, -np.inf), axis=1)
