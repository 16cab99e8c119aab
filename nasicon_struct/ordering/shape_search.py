"""The supercell shape of lowest energy: many short anneals of every shape, more of those that do well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nasicon_struct.ordering.annealing import Layout, Walker, run_all, stream
from nasicon_struct.ordering.lattice import IntArray
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.search import Outcome, Progress, all_lowest, anneal_lowest, steps_for
from nasicon_struct.ordering.supercells import Shape


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

    Every shape is annealed a few times; then the better half twice as often, and so on. Shapes small enough
    are searched exhaustively. All shapes hold the same atoms, so energies per supercell compare.
    """
    entries = [_Entry(i, shape, build(shape)) for i, shape in enumerate(shapes)]
    for entry in entries:
        entry.outcome = all_lowest(entry.problem, k)
    rest = [entry for entry in entries if entry.outcome is None]
    wanted, done = 4, 0
    total = n_anneals + 4 * len(rest)
    while rest:

        def work(entry: _Entry, until: int = wanted) -> list[tuple[float, IntArray]]:
            walker = Walker(Layout.of(entry.problem))
            steps = steps_for(entry.problem)
            return [
                walker.search(stream(seed, entry.number, n), steps) for n in range(len(entry.ends), until)
            ]

        for entry, ends in zip(rest, run_all(work, rest, workers), strict=True):
            entry.ends += ends
            done += len(ends)
            if progress is not None:
                progress(min(done, total), total)
        rest.sort(key=lambda entry: (round(entry.best, 5), entry.number))
        if len(rest) <= 4:
            break
        rest = rest[: max(4, len(rest) // 3)]
        wanted *= 2
    best = min(entries, key=lambda entry: (round(entry.best, 5), entry.number))
    if best.outcome is not None:
        return best.shape, best.outcome
    outcome = anneal_lowest(
        best.problem,
        k,
        seed=stream(seed, best.number),
        n_anneals=n_anneals + len(best.ends),
        min_hits=min_hits,
        workers=workers,
        start=best.ends,
        progress=progress,
    )
    return best.shape, outcome
