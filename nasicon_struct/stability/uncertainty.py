"""Standard errors and intervals of a window: the error of the level of theory, sampled over whole hulls."""

from __future__ import annotations

from numbers import Integral
from typing import Final

import numpy as np

from nasicon_struct.entries import EntrySet
from nasicon_struct.errors import StabilityError
from nasicon_struct.stability import simplex
from nasicon_struct.stability.case import STABLE_TOLERANCE_EV, Case
from nasicon_struct.stability.error_model import error_model
from nasicon_struct.stability.result import CompetitorEffect, WindowUncertainty
from nasicon_struct.stability.system import System

#: Phases farther above the hull than this, eV per atom, are left out of the samples.
_NEAR_HULL_EV: Final = 0.3
#: At most this many phases are sampled, those nearest to the hull first.
_MAX_PHASES: Final = 800
#: Fewer stable samples than this do not make an interval.
_MIN_STABLE: Final = 20
_ABSENT_EV: Final = 1e3


def window_uncertainty(case: Case, *, n_samples: int, seed: int) -> WindowUncertainty | None:
    """Return the uncertainty of a case's window; None where the target has no energy.

    Parameters
    ----------
    case : Case
    n_samples : int, keyword-only
        Number of samples of the hull.
    seed : int, keyword-only
        Seed of the random numbers.
    """
    for name, value, least in (("n_samples", n_samples, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise StabilityError(f"{name} must be a whole number, {least} or more, got {value!r}")
    if case.energy is None or case.index is None:
        return None
    model = error_model(case.entries)
    low_side, high_side, above, stable = _sample(case, n_samples, seed)
    reduction, oxidation = np.abs(high_side) / case.charge, np.abs(low_side) / case.charge
    kept_red, kept_ox = reduction[stable], oxidation[stable]
    enough = int(stable.sum()) >= _MIN_STABLE
    finite = enough and bool(np.isfinite(kept_ox).all())
    return WindowUncertainty(
        reduction_v_median=float(np.median(kept_red)) if enough else None,
        oxidation_v_median=float(np.median(kept_ox)) if finite else None,
        reduction_v_interval=_interval(kept_red) if enough else None,
        oxidation_v_interval=_interval(kept_ox) if finite else None,
        reduction_v_se=_standard_error(kept_red) if enough else None,
        oxidation_v_se=_standard_error(kept_ox) if finite else None,
        e_above_hull_median_ev_per_atom=float(np.median(above)),
        e_above_hull_interval_ev_per_atom=_interval(above),
        probability_stable=float(stable.mean()),
        n_samples=n_samples,
        seed=seed,
        model=model.describe(),
        competitors=competitor_effects(case),
    )


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _standard_error(values: np.ndarray) -> float:
    low, high = np.percentile(values, [15.865, 84.135])
    return float(high - low) / 2


def _sample(case: Case, n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return per sample the low and high potential of the open element, e above hull, and whether stable."""
    hull, index = case.hull, case.index
    assert index is not None
    assert case.energy is not None
    gap = hull.e - hull.energies(hull.x)
    near = np.argsort(gap, kind="stable")[:_MAX_PHASES]
    near = np.unique(np.concatenate([near[gap[near] < _NEAR_HULL_EV], hull.elements_at, [index]]))
    x, energies = hull.x[near], hull.e[near]
    elements_at = np.searchsorted(near, hull.elements_at)
    target = int(np.searchsorted(near, index))
    errors = sample_errors(case.entries, case.system, near, n_samples, seed)
    sampled = energies[None, :] - errors
    vector = case.vector
    sides = []
    for sign in (-1, 1):
        if sign < 0 and vector[case.column] <= 0:
            sides.append(np.full(n_samples, -np.inf))
            continue
        directions = simplex.perturbation(len(vector), case.column, sign)
        start = simplex.solve(x, energies, vector, elements_at, directions=directions).basis
        solved = simplex.solve(
            x, sampled, vector, elements_at, directions=directions, start=np.repeat(start, n_samples, axis=0)
        )
        sides.append(solved.mu_ev[:, case.column])
    own = case.system.grand_energy(case.amounts, case.energy) - hull.e[index] * vector.sum()
    above = (sampled[:, target] * vector.sum() + own - solved.energies_ev) / case.n_atoms
    above = np.where(np.abs(above) < STABLE_TOLERANCE_EV, 0.0, above)
    return sides[0], np.minimum(sides[1], 0.0), above, above == 0.0


def sample_errors(
    entries: EntrySet, system: System, phases: np.ndarray, n_samples: int, seed: int
) -> np.ndarray:
    """Return samples of the errors of phases, eV per free atom, shape (samples, phases)."""
    elements = system.elements
    amounts = np.array([[float(system.exact[i].get(symbol, 0)) for symbol in elements] for i in phases])
    atoms = amounts.sum(axis=1)
    free = np.array([system.atoms_per_formula(i) for i in phases])
    mean, covariance = error_model(entries).predict(amounts / atoms[:, None], elements)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    normal = np.random.default_rng(seed).standard_normal((n_samples, len(phases)))
    return (mean + normal @ root.T) * (atoms / free)


def competitor_effects(case: Case) -> tuple[CompetitorEffect, ...]:
    """Return what the window would be without each of the phases that limit it.

    Only phases on the facets at the limits can move them; elements are not left out, since they are the
    reference.
    """
    hull, index = case.hull, case.index
    if index is None:
        return ()
    limits = case.limits_v()
    elements = set(hull.elements_at.tolist())
    bases = [hull.side(case.vector[None, :], case.column, sign).basis[0] for sign in _signs(case)]
    candidates = sorted(
        {int(i) for basis in bases for i in basis} - elements - {index}, key=lambda i: hull.labels[i]
    )
    if not candidates:
        return ()
    energies = np.tile(hull.e, (len(candidates), 1))
    energies[np.arange(len(candidates)), candidates] = _ABSENT_EV
    potentials = {-1: np.full(len(candidates), -np.inf)}
    for sign in _signs(case):
        directions = simplex.perturbation(len(hull.elements), case.column, sign)
        solved = simplex.solve(hull.x, energies, case.vector, hull.elements_at, directions=directions)
        potentials[sign] = solved.mu_ev[:, case.column]
    own = case.system.grand_energy(case.amounts, case.energy or 0.0)
    effects = []
    for k, i in enumerate(candidates):
        above = (own - float(solved.energies_ev[k])) / case.n_atoms
        above = 0.0 if abs(above) < STABLE_TOLERANCE_EV else above
        reduction = abs(min(0.0, potentials[1][k])) / case.charge
        oxidation = abs(potentials[-1][k]) / case.charge
        effects.append(
            CompetitorEffect(
                formula=hull.labels[i],
                e_above_hull_ev_per_atom=above,
                reduction_v=float(reduction) if above == 0.0 else None,
                oxidation_v=float(oxidation) if above == 0.0 else None,
                reduction_shift_v=_shift(reduction, limits[0]) if case.is_stable else None,
                oxidation_shift_v=_shift(oxidation, limits[1]) if case.is_stable else None,
            )
        )
    changed = [effect for effect in effects if _size(effect, case.e_above_hull or 0.0) > 1e-9]
    return tuple(sorted(changed, key=lambda e: (-_size(e, case.e_above_hull or 0.0), e.formula)))


def _shift(value: float, nominal: float) -> float | None:
    """Return the change of a limit; None without an upper limit, 0 within the noise of the arithmetic."""
    if not np.isfinite(nominal) or not np.isfinite(value):
        return None
    change = float(value - nominal)
    return 0.0 if abs(change) < 1e-9 else change


def _signs(case: Case) -> tuple[int, ...]:
    return (-1, 1) if case.vector[case.column] > 0 else (1,)


def _size(effect: CompetitorEffect, above: float) -> float:
    """Return the size of an effect: the larger shift in V, or the change of the energy above hull in eV."""
    shifts = [
        abs(value) for value in (effect.reduction_shift_v, effect.oxidation_shift_v) if value is not None
    ]
    return max([*shifts, abs(effect.e_above_hull_ev_per_atom - above)])
