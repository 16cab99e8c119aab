"""Samples of arrangements: at random, random-like cations with the best sodium, and at a temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering._compiled import minus_log, next_bits
from nasicon_struct.ordering.annealing import HOT_EV, Layout, Walker, run_all, stream
from nasicon_struct.ordering.correlations import random_sublattices, randomness_error
from nasicon_struct.ordering.counting import count_all
from nasicon_struct.ordering.enumeration import list_distinct
from nasicon_struct.ordering.exhaustive import LIST_LIMIT
from nasicon_struct.ordering.lattice import FloatArray, IntArray
from nasicon_struct.ordering.pool import Pool
from nasicon_struct.ordering.problem import OrderingProblem, only_exclusions, reduced_problem
from nasicon_struct.ordering.search import Progress, all_lowest, anneal_lowest
from nasicon_struct.ordering.symmetry import site_permutations
from nasicon_struct.ordering.weighted import Weighted, weighted_lowest

#: Boltzmann constant, eV/K (exact since 2019).
BOLTZMANN_EV_PER_K: Final = 8.617333262145179e-5
#: Ratio of neighbouring temperatures in parallel tempering.
_LADDER: Final = 1.35
#: Proposals per site between exchanges of temperatures, cycles before the first sample, and between samples.
_SWEEPS, _BURN_IN, _BETWEEN = 20, 150, 5
#: Arrangements up to which a temperature's sample is drawn from the complete list.
_LISTED: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class Sample:
    """Arrangements with their energies (eV per supercell), and what else is known of them."""

    members: list[tuple[float, IntArray]]
    permutations: IntArray
    errors: list[float] | None = None
    exact: bool = False
    n_arrangements: int | None = None
    how: str = ""


def random_sample(problem: OrderingProblem, k: int, *, seed: int) -> Sample:
    """Draw ``k`` distinct arrangements, each with the probability of its class.

    Raises
    ------
    OrderingError
        When the rules leave no arrangement, or fewer than ``k`` distinct ones turn up.
    """
    pool = Pool(problem)
    rule = only_exclusions(problem)
    walker = Walker(Layout.of(rule))
    members: list[tuple[float, IntArray]] = []
    seen: set[bytes] = set()
    tries = 100 * k + 400
    for n in range(tries):
        order, bits = walker.shuffled(stream(seed, 31, n))
        if len(problem.excluded):
            walker.anneal(order, bits, 400 * problem.n, hot=1.0, cold=1.0)
        occupation = walker.layout.occupation(order)
        if not problem.is_allowed(occupation):
            continue
        key = pool.form(occupation)
        if key not in seen:
            seen.add(key)
            members.append((float(problem.energies(occupation)[0]), occupation))
        if len(members) == k:
            how = f"{k} distinct of {n + 1} random arrangements, in the order drawn"
            return Sample(members, pool.permutations, how=how)
    raise OrderingError(
        f"{len(members)} distinct arrangements turned up in {tries} random ones, {k} were asked for; ask for fewer, "
        "or list them all with enumerate_arrangements"
    )


def sqs_sample(
    problem: OrderingProblem,
    k: int,
    *,
    seed: int,
    n_anneals: int,
    workers: int = 1,
    progress: Progress | None = None,
) -> Sample:
    """Make the cations as random as they can be, then put the mobile ions where their energy is lowest.

    Raises
    ------
    OrderingError
        When no sublattice without vacancies holds two elements.
    """
    cations = random_sublattices(problem) & np.array(
        [sum(n > 0 for n in group.counts) > 1 for group in problem.groups]
    )
    if not cations.any():
        raise OrderingError(
            "objective='sqs' needs two elements that share a cation site; there are none here"
        )
    permutations = site_permutations(problem)
    weighted = Weighted.of(problem, {"sqs": 1.0})
    considered = random_sublattices(problem)[problem.group_of].astype(np.int64)
    best = weighted_lowest(
        weighted,
        permutations,
        k,
        seed=seed,
        n_anneals=max(n_anneals, 2 * k),
        workers=workers,
        progress=progress,
        considered=considered,
    )
    mobile = ~random_sublattices(problem)
    members, errors = [], []
    for number, (_, occupation) in enumerate(best.lowest):
        energy, whole = float(problem.energies(occupation)[0]), occupation
        if mobile.any():
            small, sites = reduced_problem(problem, occupation, mobile)
            own = np.arange(small.n)[None]
            outcome = all_lowest(small, 1, own) or anneal_lowest(
                small,
                1,
                seed=stream(seed, 53, number),
                n_anneals=max(8, n_anneals // 2),
                min_hits=3,
                workers=workers,
                permutations=own,
            )
            energy, part = outcome.lowest[0]
            old = np.concatenate(
                [
                    np.arange(problem.first_species[g], problem.first_species[g + 1])
                    for g in np.flatnonzero(mobile)
                ]
            )
            whole = occupation.copy()
            whole[sites] = old[part]
        members.append((energy, whole))
        errors.append(randomness_error(problem, weighted.shells, whole))
    how = (
        f"cations of lowest randomness error in {best.n_anneals} anneals ({best.hits} reached the lowest), then the "
        "lowest energy of the mobile ions"
    )
    return Sample(members, permutations, errors=errors, how=how)


def boltzmann_sample(
    problem: OrderingProblem, k: int, temperature_k: float, *, seed: int, workers: int = 1
) -> Sample:
    """Draw ``k`` arrangements (repeats allowed) with probability exp(-E/kT).

    Drawn from the complete list where that has up to a million arrangements, else by parallel tempering.
    """
    permutations = site_permutations(problem)
    try:
        total = count_all(problem)
    except OrderingError:  # too many to count under a distance rule
        total = _LISTED + 1
    if total <= _LISTED and max(_n_orders(problem)) <= LIST_LIMIT:
        return _from_list(problem, permutations, k, temperature_k, seed)
    return _tempered(problem, permutations, k, temperature_k, seed, workers)


def _n_orders(problem: OrderingProblem) -> list[int]:
    from nasicon_struct.ordering.exhaustive import group_counts, n_orders

    return [n_orders(group_counts(problem, g)) for g in range(len(problem.groups))]


def _uniform(bits: np.ndarray) -> float:
    return float((int(next_bits(bits)) >> 11) * 2.0**-53)


def _from_list(
    problem: OrderingProblem, permutations: IntArray, k: int, temperature_k: float, seed: int
) -> Sample:
    listing = list_distinct(problem, permutations)
    if not len(listing.energies):
        raise OrderingError(
            "no arrangement of this cell keeps the rules; take a smaller min_na_na_ang or free more sites"
        )
    gaps = (listing.energies - listing.energies.min()) / (BOLTZMANN_EV_PER_K * temperature_k)
    weights: FloatArray = listing.degeneracies * np.exp(-gaps)
    steps = np.cumsum(weights / weights.sum())
    bits = np.array([stream(seed, 91)], dtype=np.uint64)
    drawn = [min(int(np.searchsorted(steps, _uniform(bits), side="right")), len(steps) - 1) for _ in range(k)]
    members = [(float(listing.energies[i]), listing.occupations[i].astype(np.int64)) for i in drawn]
    total = int(listing.degeneracies.sum())
    how = f"drawn at {temperature_k:g} K from all {total:,} arrangements"
    return Sample(members, permutations, exact=True, n_arrangements=total, how=how)


def _tempered(
    problem: OrderingProblem, permutations: IntArray, k: int, temperature_k: float, seed: int, workers: int
) -> Sample:
    coldest = BOLTZMANN_EV_PER_K * temperature_k
    rungs = 1 + max(0, math.ceil(math.log(max(HOT_EV / coldest, 1.0)) / math.log(_LADDER)))
    ladder = [coldest * _LADDER**n for n in range(rungs)]
    layout = Layout.of(problem)
    walkers = [Walker(layout) for _ in ladder]
    orders, streams, energies = [], [], []
    for n, (temperature, walker) in enumerate(zip(ladder, walkers, strict=True)):
        order, bits = walker.shuffled(stream(seed, 17, n))
        walker.anneal(order, bits, 300 * problem.n, hot=max(HOT_EV, temperature), cold=temperature)
        orders.append(order)
        streams.append(bits)
        energies.append(walker.energy(order))
    coin = np.array([stream(seed, 18)], dtype=np.uint64)

    def step(n: int) -> float:
        walkers[n].anneal(orders[n], streams[n], _SWEEPS * problem.n, hot=ladder[n], cold=ladder[n])
        return walkers[n].energy(orders[n])

    members: list[tuple[float, IntArray]] = []
    cycle = 0
    while len(members) < k:
        energies = list(run_all(step, list(range(rungs)), workers))
        for n in range(cycle % 2, rungs - 1, 2):
            gain = (1.0 / ladder[n] - 1.0 / ladder[n + 1]) * (energies[n] - energies[n + 1])
            if gain > -minus_log(np.uint64(next_bits(coin))):
                orders[n], orders[n + 1] = orders[n + 1], orders[n]
                energies[n], energies[n + 1] = energies[n + 1], energies[n]
        cycle += 1
        if cycle > _BURN_IN and (cycle - _BURN_IN) % _BETWEEN == 0:
            occupation = layout.occupation(orders[0])
            if problem.is_allowed(occupation):
                members.append((energies[0], occupation))
            elif cycle > _BURN_IN + 100 * _BETWEEN * k:
                raise OrderingError(
                    "no arrangement that keeps the rules was found; take a smaller min_na_na_ang or free more sites"
                )
    how = (
        f"parallel tempering at {rungs} temperatures from {temperature_k:g} K, every {_BETWEEN * _SWEEPS} proposals per "
        "site"
    )
    return Sample(members, permutations, how=how)
