"""The lowest arrangements of one supercell: by comparing all where that is possible, else by annealing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering import exhaustive
from nasicon_struct.ordering.annealing import Layout, Walker, run_all, stream
from nasicon_struct.ordering.lattice import IntArray
from nasicon_struct.ordering.pool import Pool
from nasicon_struct.ordering.problem import OrderingProblem

#: Arrangements compared at most (after symmetry) before annealing takes over.
EXHAUSTIVE_LIMIT: Final = 3e7
#: An anneal hits the lowest energy when it ends this near to it, eV per supercell.
HIT_EV: Final = 1e-5
#: Anneals before longer ones are made, and proposals of the longest.
_PER_LEVEL: Final = 16
_MOST_PROPOSALS: Final = 4_000_000
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
    """Return the proposals of one cooling: 300 per site (more gain less than another start does)."""
    return max(300 * problem.n, 20_000)


def kicks_for(problem: OrderingProblem) -> int:
    """Return how often one anneal warms its minimum up again; large cells have more to repair."""
    return problem.n // 9


def plan(problem: OrderingProblem, number: int) -> tuple[int, int]:
    """Return the proposals of one cooling and the kicks of anneal ``number``.

    Where the first 16 anneals did not agree on the lowest energy, the next 16 are kicked up to four times as
    often, and those after up to sixteen times, within a bound on the whole anneal.
    """
    steps, kicks = steps_for(problem), max(kicks_for(problem), 2)
    level = min(number // _PER_LEVEL, 2)
    most = max(kicks, _MOST_PROPOSALS // steps)
    return steps, min(kicks * 4**level, most)


def annealed(layout: Layout, seed: int, numbers: range, workers: int) -> list[tuple[float, IntArray]]:
    """Return the ends of numbered anneals, in order."""

    def one(number: int) -> tuple[float, IntArray]:
        return Walker(layout).search(stream(seed, number), *plan(layout.problem, number))

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
    progress: Progress | None = None,
    permutations: IntArray | None = None,
) -> Outcome:
    """Anneal ``n_anneals`` times, fewer when ``min_hits`` and a quarter of all reached the lowest energy."""
    layout = Layout.of(problem)
    pool = Pool(problem, permutations)
    ends = list(start or [])
    batch = 8
    while len(ends) < n_anneals:
        numbers = range(len(ends), min(len(ends) + batch, n_anneals))
        ends += annealed(layout, seed, numbers, workers)
        best = min(energy for energy, _ in ends)
        if progress is not None:
            progress(len(ends), n_anneals)
        hits = sum(energy < best + HIT_EV for energy, _ in ends)
        if hits >= min_hits and hits >= _AGREE * len(ends):
            break
    for energy, occupation in sorted(ends, key=lambda end: round(end[0], 6)):
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
    neighbours(layout, pool, k)
    return Outcome(pool.lowest(k), pool, False, None, len(ends), hits)


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
