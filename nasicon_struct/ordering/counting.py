"""How many arrangements a supercell has, exactly, without listing them.

The number of classes of arrangements that a group of permutations makes is the mean, over the group, of the
number of arrangements each permutation leaves unchanged (Burnside's lemma; with fixed contents this is Polya's
theorem). A permutation leaves an arrangement unchanged when every cycle holds one species, so each count
is a distribution of cycles over species with given numbers of atoms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.lattice import IntArray
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.symmetry import site_permutations

#: Partial arrangements held at once when pairs of sites exclude each other.
_STATE_LIMIT = 2_000_000
_Cycle = tuple[int, tuple[int, ...]]  # its length, and the species (within the group) it may hold


def cycles(permutation: IntArray) -> list[list[int]]:
    """Return the cycles of a permutation, each with its smallest site first."""
    seen = np.zeros(len(permutation), dtype=np.bool_)
    found = []
    for first in range(len(permutation)):
        if seen[first]:
            continue
        cycle = []
        i = first
        while not seen[i]:
            seen[i] = True
            cycle.append(i)
            i = int(permutation[i])
        found.append(cycle)
    return found


def _colourings(kinds: Iterable[tuple[_Cycle, int]], counts: tuple[int, ...]) -> int:
    """Return the ways to give each cycle one species so that each species gets its number of sites.

    ``kinds`` holds each kind of cycle and how many there are of it.
    """
    ways = {counts: 1}
    for (length, species), number in kinds:
        for _ in range(number):
            merged: dict[tuple[int, ...], int] = {}
            for left, n in ways.items():
                for k in species:
                    if left[k] >= length:
                        rest = (*left[:k], left[k] - length, *left[k + 1 :])
                        merged[rest] = merged.get(rest, 0) + n
            ways = merged
    return ways.get((0,) * len(counts), 0)


class _Fixed:
    """Counts the arrangements that a permutation leaves unchanged; equal cycle types are counted once."""

    def __init__(self, problem: OrderingProblem) -> None:
        self.problem = problem
        n_groups = len(problem.groups)
        self.species = [
            tuple(range(int(problem.first_species[g]), int(problem.first_species[g + 1])))
            for g in range(n_groups)
        ]
        self.counts = [tuple(int(problem.count[k]) for k in row) for row in self.species]
        #: groups that the distance rule binds to each other
        self.bound = {int(problem.group_of[i]) for i in problem.excluded.ravel()}
        self.known: dict[tuple[int, tuple[tuple[_Cycle, int], ...]], int] = {}

    def allowed(self, g: int, site: int) -> tuple[int, ...]:
        return tuple(i for i, k in enumerate(self.species[g]) if self.problem.allowed[k, site])

    def __call__(self, permutation: IntArray) -> int:
        found = cycles(permutation)
        of_group: list[list[list[int]]] = [[] for _ in self.species]
        for cycle in found:
            of_group[int(self.problem.group_of[cycle[0]])].append(cycle)
        ways = 1
        for g, members in enumerate(of_group):
            if g in self.bound:
                continue
            kinds = Counter((len(c), self.allowed(g, c[0])) for c in members)
            key = (g, tuple(sorted(kinds.items())))
            if key not in self.known:
                self.known[key] = _colourings(key[1], self.counts[g])
            ways *= self.known[key]
            if not ways:
                return 0
        return (
            ways * self._bound([c for g in sorted(self.bound) for c in of_group[g]]) if self.bound else ways
        )

    def _bound(self, members: list[list[int]]) -> int:
        """Count over cycles with excluded pairs: a sweep that remembers the cycles still seen by later ones."""
        problem = self.problem
        number = {i: n for n, cycle in enumerate(members) for i in cycle}
        near: list[set[int]] = [set() for _ in members]
        for i, j in problem.excluded.tolist():
            near[number[i]].add(number[j])
            near[number[j]].add(number[i])
        order = _sweep(near)
        place = {n: at for at, n in enumerate(order)}
        last = [max((place[m] for m in near[n]), default=-1) for n in range(len(members))]
        groups = sorted(self.bound)
        offset = {g: sum(len(self.counts[h]) for h in groups if h < g) for g in groups}
        start = tuple(c for g in groups for c in self.counts[g])
        states: dict[tuple[frozenset[int], tuple[int, ...]], int] = {(frozenset(), start): 1}
        for at, n in enumerate(order):
            g = int(problem.group_of[members[n][0]])
            length = len(members[n])
            merged: dict[tuple[frozenset[int], tuple[int, ...]], int] = {}
            for (full, left), ways in states.items():
                blocked = n in near[n] or not full.isdisjoint(near[n])
                kept = frozenset(m for m in full if last[m] > at)
                for k in self.allowed(g, members[n][0]):
                    occupied = bool(problem.occupied[self.species[g][k]])
                    slot = offset[g] + k
                    if (occupied and blocked) or left[slot] < length:
                        continue
                    seen = kept | {n} if occupied and last[n] > at else kept
                    key = (seen, (*left[:slot], left[slot] - length, *left[slot + 1 :]))
                    merged[key] = merged.get(key, 0) + ways
            states = merged
            if len(states) > _STATE_LIMIT:
                raise OrderingError(
                    f"counting under min_na_na_ang needs more than {_STATE_LIMIT:,} partial arrangements; take a "
                    "smaller cell or a smaller distance"
                )
        return sum(ways for (_, left), ways in states.items() if not any(left))


def _sweep(near: list[set[int]]) -> list[int]:
    """Order the cycles so that few are waiting for a later neighbour at any time (greedy)."""
    order: list[int] = []
    waiting: set[int] = set()
    left = set(range(len(near)))
    while left:
        touching = {m for n in waiting for m in near[n]} & left or left
        best = min(_sweep_cost(n, near, left, waiting) for n in touching)[1]
        order.append(best)
        left.discard(best)
        waiting = {n for n in [*waiting, best] if near[n] & left}
    return order


def _sweep_cost(n: int, near: list[set[int]], left: set[int], waiting: set[int]) -> tuple[int, int]:
    """Return by how many the waiting cycles grow when cycle ``n`` comes next; its number breaks ties."""
    done = sum(near[m] & left == {n} for m in waiting)
    return bool(near[n] & left - {n}) - done, n


def count_all(problem: OrderingProblem) -> int:
    """Return the number of arrangements that keep contents and rules, exact."""
    return _Fixed(problem)(np.arange(problem.n))


def count_distinct(problem: OrderingProblem, permutations: IntArray | None = None) -> int:
    """Return the number of arrangements that symmetry does not relate, exact."""
    rows = site_permutations(problem) if permutations is None else permutations
    fixed = _Fixed(problem)
    total = sum(fixed(row) for row in rows)
    if total % len(rows):
        raise AssertionError(f"{total} fixed arrangements are no multiple of {len(rows)} operations")
    return total // len(rows)
