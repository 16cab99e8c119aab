"""Annealing and tempering of one ordering problem: independent walks, the same on any number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.ordering import _kernels
from nasicon_struct.ordering.lattice import FloatArray, IntArray
from nasicon_struct.ordering.problem import OrderingProblem

#: Temperatures between which a walk cools, eV (formal charges make energies large).
HOT_EV: Final = 0.5
COLD_EV: Final = 0.08
#: Neighbours of a site, and the share (of 2^32) of the proposals of a tempered walk that exchange neighbours.
N_NEAR: Final = 6
LOCAL_SHARE: Final = 1 << 31
#: Highest and lowest temperature of a tempered walk, eV, and proposals per site and temperature between exchanges.
WARMEST_EV: Final = 0.6
COOLEST_EV: Final = 0.15
SWEEP: Final = 3
_MASK: Final = (1 << 64) - 1
_T = TypeVar("_T")
_R = TypeVar("_R")


def stream(seed: int, *numbers: int) -> int:
    """Return a 64-bit starting state for a random stream, from a seed and any numbers."""
    state = seed & _MASK
    for number in (*numbers, 0x5EED):
        state = (state + 0x9E3779B97F4A7C15 + (number & _MASK)) & _MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        state = z ^ (z >> 31)
    return state


def n_temperatures(problem: OrderingProblem) -> int:
    """Return the temperatures of a tempered walk: more in larger cells, whose energies at two of them overlap less."""
    return max(8, round(8 * math.sqrt(problem.n / 150)))


def run_all(task: Callable[[_T], _R], items: Sequence[_T], workers: int) -> Iterable[_R]:
    """Yield ``task(item)`` for each item in order, on several threads when asked."""
    if workers <= 1 or len(items) < 2:
        yield from map(task, items)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(task, items)


@dataclass(frozen=True, eq=False)
class Layout:
    """An ordering problem as the compiled walks want it: sites listed species by species."""

    problem: OrderingProblem
    start: IntArray
    species: IntArray
    low: IntArray
    high: IntArray
    sub_low: IntArray
    sub_high: IntArray
    sub_of: IntArray
    weight: IntArray
    allowed: NDArray[np.bool_]
    spread: FloatArray
    near: IntArray
    n_swaps: int

    @classmethod
    def of(cls, problem: OrderingProblem) -> Layout:
        """Prepare a problem."""
        high = np.cumsum(problem.count)
        low = high - problem.count
        groups = np.repeat(np.arange(len(problem.groups)), np.diff(problem.first_species))
        n_swaps = 0
        open_sites = np.zeros(len(problem.groups))
        for g in range(len(problem.groups)):
            here = np.flatnonzero(groups == g)
            for i, k in enumerate(here):
                for m in here[i + 1 :]:
                    if problem.charge[k] != problem.charge[m]:
                        n_swaps += int(problem.count[k] * problem.count[m])
                        open_sites[g] = problem.start[g + 1] - problem.start[g]
        share = np.cumsum(open_sites) / max(open_sites.sum(), 1.0)
        spread = np.zeros_like(problem.pair)
        _kernels.spreads(problem.pair, problem.start, spread)
        near = np.empty((problem.n, N_NEAR), dtype=np.int64)
        _kernels.neighbours(problem.pair, problem.start, near)
        return cls(
            problem=problem,
            start=np.argsort(problem.first_arrangement(), kind="stable").astype(np.int64),
            species=np.repeat(np.arange(len(problem.count)), problem.count).astype(np.int64),
            low=low.astype(np.int64),
            high=high.astype(np.int64),
            sub_low=problem.start[:-1].copy(),
            sub_high=problem.start[1:].copy(),
            sub_of=problem.group_of.astype(np.int64),
            weight=np.floor(share * 2.0**32).astype(np.int64),
            allowed=np.ascontiguousarray(problem.allowed.T),
            spread=spread,
            near=near,
            n_swaps=n_swaps,
        )

    def occupation(self, order: IntArray) -> IntArray:
        """Return the species number of each site."""
        occupation = np.empty_like(order)
        occupation[order] = self.species
        return occupation

    def order(self, occupation: IntArray) -> IntArray:
        """Return the sites listed species by species."""
        return np.argsort(occupation, kind="stable").astype(np.int64)


class Walker:
    """One thread's working memory for walks over a layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        n = layout.problem.n
        self.q: FloatArray = np.empty(n)
        self.phi: FloatArray = np.empty(n)
        self.place: IntArray = np.empty(n, dtype=np.int64)
        self.swaps: IntArray = np.empty((max(layout.n_swaps, 1), 2), dtype=np.int64)
        self.deltas: FloatArray = np.empty(max(layout.n_swaps, 1))

    def _load(self, order: IntArray) -> None:
        problem = self.layout.problem
        self.q[order] = problem.charge[self.layout.species]
        _kernels.potentials(self.q, problem.field, problem.pair, self.phi)

    def shuffled(self, state: int) -> tuple[IntArray, NDArray[np.uint64]]:
        """Return a random arrangement and the random stream that continues it."""
        lay = self.layout
        bits = np.array([state], dtype=np.uint64)
        order = lay.start.copy()
        _kernels.shuffle(order, lay.species, lay.sub_of, lay.sub_low, lay.sub_high, lay.allowed, bits)
        return order, bits

    def anneal(
        self,
        order: IntArray,
        bits: NDArray[np.uint64],
        steps: int,
        *,
        hot: float = HOT_EV,
        cold: float = COLD_EV,
    ) -> None:
        """Anneal an arrangement in place."""
        lay, problem = self.layout, self.layout.problem
        self._load(order)
        _kernels.anneal(
            self.q, self.phi, order, self.place, lay.species, lay.low, lay.high, lay.sub_low, lay.sub_high,
            lay.weight, lay.allowed, problem.charge, problem.pair, lay.near, hot, cold, steps, bits,
        )  # fmt: skip

    def temper(self, state: int, cycles: int) -> tuple[float, IntArray]:
        """Temper random arrangements, one at each temperature, and descend from the lowest arrangement met.

        Returns the energy of the end (eV per supercell) and the species number of each site.
        """
        lay, problem = self.layout, self.layout.problem
        orders = []
        for number in range(n_temperatures(problem)):
            order, bits = self.shuffled(stream(state, number))
            orders.append(order)
        order = np.array(orders)
        best = np.empty(problem.n, dtype=np.int64)
        q, phi = np.empty(order.shape), np.empty(order.shape)
        _kernels.temper(
            q, phi, order, np.empty_like(order), lay.species, lay.low, lay.high, lay.sub_low, lay.sub_high, lay.weight,
            lay.allowed, problem.charge, problem.field, problem.pair, lay.near, LOCAL_SHARE,
            WARMEST_EV, COOLEST_EV, SWEEP * problem.n, cycles, bits, best,
        )  # fmt: skip
        energy = self.descend(best)
        return energy, lay.occupation(best)

    def descend(self, order: IntArray) -> float:
        """Take an arrangement down in place; returns its energy, eV per supercell."""
        lay, problem = self.layout, self.layout.problem
        self._load(order)
        _kernels.descend(
            self.q, self.phi, order, lay.species, lay.low, lay.high, lay.sub_of, lay.allowed, problem.charge,
            problem.pair, lay.spread, self.swaps, self.deltas,
        )  # fmt: skip
        return self.energy(order)

    def energy(self, order: IntArray) -> float:
        """Return the energy of an arrangement, eV per supercell, summed in the order of the sites."""
        problem = self.layout.problem
        self._load(order)
        return problem.constant + 0.5 * math.fsum((self.q * (self.phi + problem.field)).tolist())

    def quick(self, state: int, steps: int) -> tuple[float, IntArray]:
        """Anneal once from a random start and descend.

        Returns the energy (eV per supercell) and the species number of each site.
        """
        order, bits = self.shuffled(state)
        self.anneal(order, bits, steps)
        energy = self.descend(order)
        return energy, self.layout.occupation(order)

    def exchanges(self, order: IntArray) -> Iterator[tuple[float, IntArray]]:
        """Yield every exchange of two unlike species, lowest first: energy change (eV) and arrangement."""
        lay, problem = self.layout, self.layout.problem
        self._load(order)
        n = _kernels.list_swaps(
            self.phi, order, lay.low, lay.high, lay.sub_of, lay.allowed, problem.charge, problem.pair,
            self.swaps, self.deltas,
        )  # fmt: skip
        swaps, deltas = self.swaps[:n].copy(), self.deltas[:n].copy()
        for x in np.argsort(deltas.round(6), kind="stable"):
            image = order.copy()
            u, v = swaps[x]
            image[u], image[v] = order[v], order[u]
            yield float(deltas[x]), lay.occupation(image)
