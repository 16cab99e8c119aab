"""How well a driving force is known: the error of the level of theory, sampled over whole hulls."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from monty.json import MSONable

from nasicon_struct.errors import StabilityError
from nasicon_struct.interface.reactions import Pair, interface_reactions
from nasicon_struct.stability import simplex
from nasicon_struct.stability.error_model import error_model
from nasicon_struct.stability.result import as_tuples
from nasicon_struct.stability.uncertainty import sample_errors

#: At most this many phases are sampled, those nearest to the hull first.
_MAX_PHASES = 800
_NEAR_HULL_EV = 0.3
_NOISE_EV = 1e-9


@dataclass(frozen=True, kw_only=True)
class InterfaceUncertainty(MSONable):
    """Driving force of an interface with its interval.

    Attributes
    ----------
    a, b : str
    source : str
    voltage_v : float or None
    fraction_b : float
        Share of the atoms from ``b``: the ratio of the strongest mutual reaction.
    mutual_driving_force_ev_per_atom : float
        At that ratio, with the energies as they are, eV per atom, positive.
    median_ev_per_atom : float
    interval_ev_per_atom : tuple of float
        95 % interval of the driving force at that ratio.
    probability_reacts : float
        Share of the samples with a driving force above zero.
    n_samples, seed : int
    model : str
        The error model in one sentence.
    """

    a: str
    b: str
    source: str
    voltage_v: float | None
    fraction_b: float
    mutual_driving_force_ev_per_atom: float
    median_ev_per_atom: float
    interval_ev_per_atom: tuple[float, float]
    probability_reacts: float
    n_samples: int
    seed: int
    model: str

    def __post_init__(self) -> None:
        as_tuples(self, interval_ev_per_atom=None)


def interface_uncertainty(
    a: Any,
    b: Any,
    entries: Any = None,
    *,
    voltage_v: float | None = None,
    open_element: str = "Na",
    reservoirs: Any = None,
    n_samples: int = 1000,
    seed: int = 0,
) -> InterfaceUncertainty:
    """Return the driving force of two materials' strongest mutual reaction with a 95 % interval.

    Errors are drawn for all phases of the system at once, correlated as the error model says, and the hull is
    found anew for each draw; the mixing ratio stays that of the strongest mutual reaction.

    Parameters
    ----------
    a, b, entries, voltage_v, open_element, reservoirs
        As for :func:`interface_reactions`.
    n_samples, seed : int, keyword-only
        Number of samples of the hull and seed of the random numbers.

    Returns
    -------
    InterfaceUncertainty

    Raises
    ------
    CompositionError, EntriesError, StabilityError
        As for :func:`interface_reactions`, or if ``n_samples`` or ``seed`` is no whole number.
    """
    for name, value, least in (("n_samples", n_samples, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise StabilityError(f"{name} must be a whole number, {least} or more, got {value!r}")
    options: dict[str, Any] = {"voltage_v": voltage_v, "open_element": open_element, "reservoirs": reservoirs}
    nominal = interface_reactions(a, b, entries, **options)
    kink = nominal.strongest_mutual
    pair = Pair(a, b, entries, **options)
    hull = pair.system.hull
    gap = hull.e - hull.energies(hull.x)
    near = np.argsort(gap, kind="stable")[:_MAX_PHASES]
    near = np.unique(np.concatenate([near[gap[near] < _NEAR_HULL_EV], hull.elements_at]))
    sampled = hull.e[near] - sample_errors(pair.entries, pair.system, near, n_samples, seed)
    elements_at = np.searchsorted(near, hull.elements_at)
    energies = []
    shares = (1 - kink.fraction_b, kink.fraction_b)
    # a and b per atom of each, counted as in the reactions: all atoms, held elements included
    parts = [
        share * vector / number
        for share, vector, number in zip(shares, pair.vectors, pair.atoms, strict=True)
    ]
    for vector in (*parts, parts[0] + parts[1]):
        if vector.sum() <= 0:
            energies.append(np.zeros(n_samples))
            continue
        start = simplex.solve(hull.x[near], hull.e[near], vector, elements_at).basis
        solved = simplex.solve(
            hull.x[near], sampled, vector, elements_at, start=np.repeat(start, n_samples, axis=0)
        )
        energies.append(solved.energies_ev)
    force = energies[0] + energies[1] - energies[2]
    force = np.where(np.abs(force) < _NOISE_EV, 0.0, force)
    low, high = np.percentile(force, [2.5, 97.5])
    return InterfaceUncertainty(
        a=nominal.a,
        b=nominal.b,
        source=nominal.source,
        voltage_v=voltage_v,
        fraction_b=kink.fraction_b,
        mutual_driving_force_ev_per_atom=nominal.mutual_driving_force_ev_per_atom,
        median_ev_per_atom=float(np.median(force)),
        interval_ev_per_atom=(float(low), float(high)),
        probability_reacts=float(np.mean(force > 0)),
        n_samples=n_samples,
        seed=seed,
        model=error_model(pair.entries).describe(),
    )
