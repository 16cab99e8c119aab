"""The supercell shape of lowest energy: some walks over every shape, more and longer ones where they do well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from nasicon_struct.ordering.annealing import Layout, Walker, run_all, stream
from nasicon_struct.ordering.lattice import IntArray
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.search import (
    HIT_EV,
    Outcome,
    Progress,
    all_lowest,
    anneal_lowest,
    bounded,
    proposals_per_cycle,
    steps_for,
)
from nasicon_struct.ordering.supercells import Shape

#: Quick rounds that rank the shapes where these are many: how many take part, anneals of each.
_QUICK: Final = ((10_000, 4), (60, 8))
#: With more shapes than this the first round has half the anneals.
_MANY: Final = 200
#: Thorough rounds: how many shapes take part, tempered walks of each, and their level.
_THOROUGH: Final = ((24, 2, 0), (10, 8, 1), (4, 6, 1))
#: A shape is settled, and gets no more walks, when so many of its walks, and half of them, ended at its lowest energy.
_SETTLED: Final = 6
#: Proposals of all thorough rounds together, and most cycles of a walk at level 0, per site.
_PROPOSALS: Final = 420_000_000
_MOST_CYCLES: Final = 2.0
#: A quick anneal takes so many times as long as its proposals, because of its descent.
_DESCENT: Final = 4


@dataclass
class _Entry:
    """One shape and the ends of its anneals."""

    number: int
    shape: Shape
    problem: OrderingProblem
    quick: list[tuple[float, IntArray]] = field(default_factory=list)
    ends: list[tuple[float, IntArray]] = field(default_factory=list)
    outcome: Outcome | None = None

    @property
    def best(self) -> float:
        if self.outcome is not None:
            return self.outcome.lowest[0][0]
        return min(energy for energy, _ in (*self.quick, *self.ends))

    @property
    def settled(self) -> bool:
        hits = sum(energy < self.best + HIT_EV for energy, _ in self.ends)
        return hits >= _SETTLED and 2 * hits >= len(self.ends)


def base_cycles(entries: list[_Entry], rounds: list[tuple[int, int, int]], effort: float) -> float:
    """Return the cycles of a tempered walk at level 0, such that all rounds together keep to their proposals."""
    problem = entries[0].problem
    quick = sum(min(most, len(entries)) * runs for most, runs, level in rounds if level < 0)
    walks = sum(min(most, len(entries)) * runs * 4**level for most, runs, level in rounds if level >= 0)
    left = max(_PROPOSALS - _DESCENT * quick * steps_for(problem), _PROPOSALS / 2)
    return effort * min(left / (walks * proposals_per_cycle(problem)), _MOST_CYCLES * problem.n)


def search_shapes(
    build: Callable[[Shape], OrderingProblem],
    shapes: list[Shape],
    k: int,
    *,
    seed: int,
    n_anneals: int,
    min_hits: int,
    effort: float = 1.0,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Shape, Outcome]:
    """Return the shape of lowest energy and its lowest arrangements.

    Where there are many, quick anneals rank the shapes; the best are searched by tempered walks, in rounds. Shapes
    small enough are searched exhaustively. All shapes hold the same atoms, so energies per supercell compare.
    """
    entries = [_Entry(i, shape, build(shape)) for i, shape in enumerate(shapes)]
    for entry in entries:
        entry.outcome = all_lowest(entry.problem, k)
    rest = [entry for entry in entries if entry.outcome is None]
    rounds = [(most, runs, -1) for most, runs in _QUICK] if len(rest) > _THOROUGH[0][0] else []
    if len(rest) > _MANY:
        rounds[0] = (rounds[0][0], rounds[0][1] // 2, -1)
    rounds += _THOROUGH
    base = base_cycles(rest, rounds, effort) if rest else 0.0
    total = max(n_anneals // 4, 1) + sum(min(most, len(rest)) * runs for most, runs, _ in rounds)
    done = 0
    for most, runs, level in rounds:
        rest = rest[:most]

        def work(entry: _Entry, runs: int = runs, level: int = level) -> None:
            problem, walker = entry.problem, Walker(Layout.of(entry.problem))
            first = len(entry.quick) + len(entry.ends)
            for n in range(runs):
                state = stream(seed, entry.number, first + n)
                if level < 0:
                    entry.quick.append(walker.quick(state, steps_for(problem)))
                elif not entry.settled:
                    entry.ends.append(walker.temper(state, bounded(problem, base * 4**level)))

        for _ in run_all(work, rest, workers):
            done += runs
            if progress is not None:
                progress(min(done, total), total)
        rest.sort(key=lambda entry: (round(entry.best, 5), entry.number))
    best = min(entries, key=lambda entry: (round(entry.best, 5), entry.number))
    if best.outcome is not None:
        return best.shape, best.outcome
    outcome = anneal_lowest(
        best.problem,
        k,
        seed=stream(seed, best.number),
        n_anneals=max(n_anneals // 4, 1) + len(best.ends),
        min_hits=min_hits,
        workers=workers,
        quick=best.quick,
        cycles=bounded(best.problem, base * 4 ** _THOROUGH[-1][2]),
        start=best.ends,
        progress=progress,
    )
    return best.shape, outcome
