"""The lowest arrangements found so far, each class of equivalent ones once."""

from __future__ import annotations

import numpy as np

from nasicon_struct.ordering.lattice import IntArray
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.symmetry import canonical, site_permutations

#: Decimals (eV per supercell) to which energies are compared when arrangements are put in order.
_DECIMALS = 6


class Pool:
    """Distinct arrangements of one problem, by energy.

    Parameters
    ----------
    problem : OrderingProblem
    permutations : (operations, n) integers, optional
        From :func:`~nasicon_struct.ordering.symmetry.site_permutations`.
    """

    def __init__(self, problem: OrderingProblem, permutations: IntArray | None = None) -> None:
        self.problem = problem
        self.permutations = site_permutations(problem) if permutations is None else permutations
        self._entries: dict[bytes, tuple[float, IntArray]] = {}
        self._sorted: list[float] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def form(self, occupation: IntArray) -> bytes:
        """Return the canonical form of an arrangement."""
        return canonical(self.problem.element_number[occupation], self.permutations)

    def add(self, energy: float, occupation: IntArray) -> bool:
        """Add an arrangement (energy in eV per supercell); returns whether its class is new."""
        key = self.form(occupation)
        if key in self._entries:
            return False
        self._entries[key] = (energy, self._representative(key))
        self._sorted = None
        return True

    def _representative(self, key: bytes) -> IntArray:
        """Turn a canonical form back into species numbers, so that the choice within a class is fixed."""
        elements = np.frombuffer(key, dtype=np.uint8).astype(np.int64)
        occupation = np.empty(self.problem.n, dtype=np.int64)
        for g in range(len(self.problem.groups)):
            species = np.arange(self.problem.first_species[g], self.problem.first_species[g + 1])
            lookup = {int(self.problem.element_number[s]): int(s) for s in species}
            for i in range(int(self.problem.start[g]), int(self.problem.start[g + 1])):
                occupation[i] = lookup[int(elements[i])]
        return occupation

    def is_full(self, k: int) -> bool:
        """Whether at least ``k`` classes are in."""
        return len(self._entries) >= k

    def worst(self, k: int) -> float:
        """Return the energy of the k-th lowest class, eV per supercell."""
        if self._sorted is None:
            self._sorted = sorted(energy for energy, _ in self._entries.values())
        return self._sorted[k - 1]

    def lowest(self, k: int) -> list[tuple[float, IntArray]]:
        """Return the ``k`` lowest classes, lowest first; equal energies in the order of their forms."""
        ranked = sorted(self._entries.items(), key=lambda item: (round(item[1][0], _DECIMALS), item[0]))
        return [entry for _, entry in ranked[:k]]
