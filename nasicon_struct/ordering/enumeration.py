"""Every arrangement of a small supercell that symmetry does not relate, sublattice by sublattice.

The arrangements of the first group of sites are listed up to symmetry; each keeps the operations that leave it
unchanged, and the next group is listed up to those, and so on. What comes out is one arrangement of
each class of the joint problem, with the size of the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.exhaustive import LIST_LIMIT, codes, group_counts, group_orders, n_orders
from nasicon_struct.ordering.lattice import FloatArray, IntArray
from nasicon_struct.ordering.problem import OrderingProblem

#: Rows whose energies are computed at once.
_CHUNK: Final = 20_000
_UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Listing:
    """All distinct arrangements of one supercell.

    Attributes
    ----------
    occupations : (m, n) uint8
        Species number of each site, one row per class.
    degeneracies : (m,) integers
        Arrangements in each class.
    energies : (m,) floats
        Energy, eV per supercell.
    """

    occupations: _UInt8
    degeneracies: IntArray
    energies: FloatArray


def _classes(orders: _UInt8, permutations: IntArray, n_species: int) -> list[tuple[_UInt8, IntArray]]:
    """Return one row of each class, gathered by the permutations that leave it unchanged.

    Each item: rows, and the numbers of the permutations that leave all of them unchanged.
    """
    own = codes(orders, n_species)
    if own is None:
        raise OrderingError("one sublattice has too many sites to list its arrangements; take a smaller cell")
    smallest = own.copy()
    fixed = np.empty((len(permutations), len(orders)), dtype=np.bool_)
    for g, row in enumerate(permutations):
        image = codes(orders[:, row], n_species)
        assert image is not None
        np.minimum(smallest, image, out=smallest)
        fixed[g] = image == own
    keep = np.flatnonzero(own == smallest)
    patterns, number = np.unique(fixed[:, keep], axis=1, return_inverse=True)
    number = number.ravel()
    return [(orders[keep[number == p]], np.flatnonzero(patterns[:, p])) for p in range(patterns.shape[1])]


def list_distinct(problem: OrderingProblem, permutations: IntArray) -> Listing:
    """List one arrangement of each class, lowest energy first.

    Raises
    ------
    OrderingError
        When one group of sites alone has too many arrangements to list.
    """
    tables = []
    for g, group in enumerate(problem.groups):
        n = n_orders(group_counts(problem, g))
        if n > LIST_LIMIT:
            name = problem.model.sublattices[group.sublattice].name
            raise OrderingError(
                f"sublattice {name} alone has {n:,} arrangements, more than can be listed; take a smaller cell, or "
                "a sample with objective='random'"
            )
        tables.append(group_orders(problem, g))
    order = sorted(range(len(tables)), key=lambda g: (len(tables[g]), g))
    pieces: list[tuple[_UInt8, IntArray]] = [
        (np.zeros((1, problem.n), dtype=np.uint8), np.arange(len(permutations)))
    ]
    for g in order:
        here = slice(int(problem.start[g]), int(problem.start[g + 1]))
        n_species = int(problem.first_species[g + 1] - problem.first_species[g])
        local = permutations[:, here] - problem.start[g]
        known: dict[bytes, list[tuple[_UInt8, IntArray]]] = {}
        grown: dict[bytes, tuple[list[_UInt8], IntArray]] = {}
        for rows, members in pieces:
            key = members.tobytes()
            if key not in known:
                known[key] = _classes(tables[g], local[members], n_species)
            for lines, kept in known[key]:
                joint = np.repeat(rows, len(lines), axis=0)
                joint[:, here] = np.tile(lines, (len(rows), 1)) + np.uint8(problem.first_species[g])
                left = members[kept]
                grown.setdefault(left.tobytes(), ([], left))[0].append(joint)
        pieces = [(np.concatenate(parts), left) for parts, left in grown.values()]
    occupations = np.concatenate([rows for rows, _ in pieces])
    degeneracies = np.concatenate(
        [np.full(len(rows), len(permutations) // len(left), dtype=np.int64) for rows, left in pieces]
    )
    if len(problem.excluded):
        full = problem.occupied[occupations]
        clash = np.zeros(len(occupations), dtype=np.bool_)
        for i, j in problem.excluded:
            clash |= np.logical_and(full[:, i], full[:, j])
        occupations, degeneracies = occupations[~clash], degeneracies[~clash]
    energies = np.concatenate(
        [problem.energies(occupations[i : i + _CHUNK]) for i in range(0, len(occupations), _CHUNK)]
        or [np.empty(0)]
    )
    rank = np.lexsort((*occupations.T[::-1], energies.round(6)))
    return Listing(occupations[rank], degeneracies[rank], energies[rank])
