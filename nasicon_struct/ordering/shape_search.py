"""The supercell shape of lowest energy: many short anneals of every shape, more of those that do well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from nasicon_struct.ordering.annealing import Layout, Walker, run_all, stream
from nasicon_struct.ordering.lattice import IntArray
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.search import (
    Outcome,
    Progress,
    all_lowest,
    anneal_lowest,
    kicks_for,
    steps_for,
)
from nasicon_struct.ordering.supercells import Shape

#: Rounds of the search: how many shapes take part, anneals of each, and whether these are kicked.
_ROUNDS: Final = ((10_000, 4, False), (60, 8, False), (24, 2, True), (8, 4, True), (3, 8, True))
#: With more shapes than this the first round has half the anneals.
_MANY: Final = 200


@dataclass
class _Entry:
    """One shape and the ends of its anneals."""

    number: int
    shape: Shape
    problem: OrderingProblem
    ends: list[tuple[float, IntArray]] = field(default_factory=list)
    outcome: Outcome | None = None

    @property
    def best(self) -> float:
        if self.outcome is not None:
            return self.outcome.lowest[0][0]
        return min(energy for energy, _ in self.ends)


def search_shapes(
    build: Callable[[Shape], OrderingProblem],
    shapes: list[Shape],
    k: int,
    *,
    seed: int,
    n_anneals: int,
    min_hits: int,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Shape, Outcome]:
    """Return the shape of lowest energy and its lowest arrangements.

    Every shape is annealed a few times; the better ones more often and more thoroughly, in rounds. Shapes small
    enough are searched exhaustively. All shapes hold the same atoms, so energies per supercell compare.
    """
    entries = [_Entry(i, shape, build(shape)) for i, shape in enumerate(shapes)]
    for entry in entries:
        entry.outcome = all_lowest(entry.problem, k)
    rest = [entry for entry in entries if entry.outcome is None]
    rounds = [
        (most, runs // 2 if len(rest) > _MANY and not n else runs, kicked)
        for n, (most, runs, kicked) in enumerate(_ROUNDS)
    ]
    total = max(n_anneals // 4, 1) + sum(min(most, len(rest)) * runs for most, runs, _ in rounds)
    done = 0
    for most, runs, kicked in rounds:
        if not rest:
            break
        rest = rest[:most]

        def work(entry: _Entry, runs: int = runs, kicked: bool = kicked) -> list[tuple[float, IntArray]]:
            walker = Walker(Layout.of(entry.problem))
            steps, kicks = steps_for(entry.problem), kicks_for(entry.problem) if kicked else 0
            first = len(entry.ends)
            return [walker.search(stream(seed, entry.number, first + n), steps, kicks) for n in range(runs)]

        for entry, ends in zip(rest, run_all(work, rest, workers), strict=True):
            entry.ends += ends
            done += len(ends)
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
        start=best.ends,
        progress=progress,
    )
    return best.shape, outcome
