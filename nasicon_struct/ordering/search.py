"""The lowest arrangements of one supercell: by comparing all where that is possible, else by annealing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering import exhaustive
from nasicon_struct.ordering.annealing import (
    SWEEP,
    Layout,
    Walker,
    n_temperatures,
    run_all,
    stream,
)
from nasicon_struct.ordering.lattice import IntArray
from nasicon_struct.ordering.pool import Pool
from nasicon_struct.ordering.problem import OrderingProblem

#: Arrangements compared at most (after symmetry) before annealing takes over.
EXHAUSTIVE_LIMIT: Final = 3e7
#: An anneal hits the lowest energy when it ends this near to it, eV per supercell.
HIT_EV: Final = 1e-5
#: Walks of one length, the cycles per site of the first, how many times as long the next batches are, and the
#: proposals of one walk at most.
_BATCH: Final = 8
_CYCLES_PER_SITE: Final = 2
_LENGTHS: Final = (1, 4, 10)
_MOST_PROPOSALS: Final = 200_000_000
#: Anneals stop early only when at least this share of them agrees on the lowest energy.
_AGREE: Final = 0.25
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The lowest arrangements found in one supercell.

    Attributes
    ----------
    lowest : list of (float, ndarray)
        Energy, eV per supercell, and species number of each site; lowest first, all distinct.
    pool : Pool
    exact : bool
        True when all arrangements were compared.
    n_arrangements : int or None
        How many there are, when all were compared.
    n_anneals, hits : int
        Independent anneals, and how many of them ended at the lowest energy.
    """

    lowest: list[tuple[float, IntArray]]
    pool: Pool
    exact: bool
    n_arrangements: int | None
    n_anneals: int
    hits: int


def is_small(problem: OrderingProblem, pool: Pool) -> bool:
    """Whether all arrangements can be compared in about a second."""
    cost = exhaustive.search_cost(problem, len(pool.permutations))
    return cost.possible and cost.compared <= EXHAUSTIVE_LIMIT


def all_lowest(problem: OrderingProblem, k: int, permutations: IntArray | None = None) -> Outcome | None:
    """Compare all arrangements; None when there are too many."""
    pool = Pool(problem, permutations)
    if not is_small(problem, pool):
        return None
    total = exhaustive.lowest(problem, pool, k)
    if not len(pool):
        raise OrderingError(
            "no arrangement of this cell keeps the rules; take a smaller min_na_na_ang or free more sites"
        )
    return Outcome(pool.lowest(k), pool, True, total, 0, 0)


def steps_for(problem: OrderingProblem) -> int:
    """Return the proposals of one quick cooling: 300 per site."""
    return max(300 * problem.n, 20_000)


def proposals_per_cycle(problem: OrderingProblem) -> int:
    """Return the proposals of one cycle of a tempered walk."""
    return SWEEP * problem.n * n_temperatures(problem)


def bounded(problem: OrderingProblem, cycles: float) -> int:
    """Return whole cycles of a tempered walk, neither too few nor beyond the bound on proposals."""
    return max(int(min(cycles, _MOST_PROPOSALS / proposals_per_cycle(problem))), 20)


def tempered(
    layout: Layout, seed: int, numbers: range, workers: int, cycles: int
) -> list[tuple[float, IntArray]]:
    """Return the ends of numbered walks, in order."""

    def one(number: int) -> tuple[float, IntArray]:
        return Walker(layout).temper(stream(seed, number), cycles)

    return list(run_all(one, numbers, workers))


def anneal_lowest(
    problem: OrderingProblem,
    k: int,
    *,
    seed: int,
    n_anneals: int,
    min_hits: int,
    workers: int = 1,
    start: list[tuple[float, IntArray]] | None = None,
    quick: list[tuple[float, IntArray]] | None = None,
    cycles: int | None = None,
    progress: Progress | None = None,
    permutations: IntArray | None = None,
) -> Outcome:
    """Make ``n_anneals`` tempered walks, fewer when ``min_hits`` and a quarter of all reached the lowest energy.

    ``start`` holds the ends of walks made before, ``quick`` those of quick anneals, which count as no walks;
    ``cycles`` is the length of the first walks (2 per site by default).
    """
    layout = Layout.of(problem)
    pool = Pool(problem, permutations)
    ends, rough = list(start or []), list(quick or [])
    first = _CYCLES_PER_SITE * problem.n if cycles is None else cycles
    batch = 0
    while True:
        best = min((energy for energy, _ in (*ends, *rough)), default=0.0)
        hits = sum(energy < best + HIT_EV for energy, _ in ends)
        if len(ends) >= n_anneals or (hits >= min_hits and hits >= _AGREE * len(ends)):
            break
        numbers = range(len(ends), min(len(ends) + _BATCH, n_anneals))
        length = bounded(problem, first * _LENGTHS[min(batch, len(_LENGTHS) - 1)])
        ends += tempered(layout, seed, numbers, workers, length)
        batch += 1
        if progress is not None:
            progress(len(ends), n_anneals)
    for energy, occupation in sorted((*ends, *rough), key=lambda end: round(end[0], 6)):
        low = not pool.is_full(k) or energy < pool.worst(k) + HIT_EV
        if low and problem.is_allowed(occupation):
            pool.add(energy, occupation)
    if not len(pool):
        raise OrderingError(
            "no arrangement that keeps the rules was found; take a smaller min_na_na_ang, free more sites or "
            "anneal more often"
        )
    best = pool.worst(1)
    hits = sum(energy < best + HIT_EV for energy, _ in ends)
    n_walks = len(ends)
    if not hits:  # a quick anneal alone came here
        hits, n_walks = 1, n_walks + 1
    neighbours(layout, pool, k)
    return Outcome(pool.lowest(k), pool, False, None, n_walks, hits)


def neighbours(layout: Layout, pool: Pool, k: int) -> None:
    """Fill the pool with the lowest single exchanges around its lowest arrangements, until ``k`` are settled."""
    if k <= 1:
        return
    walker = Walker(layout)
    problem = layout.problem
    done: set[bytes] = set()
    while True:
        fresh = [(e, o) for e, o in pool.lowest(k) if pool.form(o) not in done]
        if not fresh:
            return
        energy, occupation = fresh[0]
        done.add(pool.form(occupation))
        added = 0
        for delta, image in walker.exchanges(layout.order(occupation)):
            if pool.is_full(k) and energy + delta > pool.worst(k) + HIT_EV:
                break
            if added > 50 * k:
                break
            added += problem.is_allowed(image) and pool.add(energy + delta, image)
