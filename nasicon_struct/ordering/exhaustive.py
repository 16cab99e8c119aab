"""Every arrangement of a small ordering problem, compared one by one.

The arrangements of each group of sites are listed once. All groups but the longest list are combined in an outer
loop, the first of them only up to symmetry; the potentials they make on the sites of the longest list turn
the inner loop into a few additions per arrangement.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.ordering._compiled import compiled
from nasicon_struct.ordering.lattice import FloatArray, IntArray
from nasicon_struct.ordering.pool import Pool
from nasicon_struct.ordering.problem import OrderingProblem

#: Longest list of arrangements of one group that is held in memory.
LIST_LIMIT: Final = 2_000_000
#: Energies closer than this are equal, eV per supercell.
TIE_EV: Final = 1e-6
_BUFFER: Final = 400_000
#: Arrangements of equal energy beyond those asked for that are compared by form.
_MAX_TIES: Final = 2_000
_UInt8 = NDArray[np.uint8]


@compiled
def _fill(counts, out):  # type: ignore[no-untyped-def]
    """List all orders of ``counts[k]`` copies of k, lexicographically."""
    n = out.shape[1]
    row = np.empty(n, dtype=np.uint8)
    i = 0
    for k in range(counts.shape[0]):
        for _ in range(counts[k]):
            row[i] = k
            i += 1
    for line in range(out.shape[0]):
        out[line] = row
        i = n - 2
        while i >= 0 and row[i] >= row[i + 1]:
            i -= 1
        if i < 0:
            break
        j = n - 1
        while row[j] <= row[i]:
            j -= 1
        row[i], row[j] = row[j], row[i]
        left = i + 1
        right = n - 1
        while left < right:
            row[left], row[right] = row[right], row[left]
            left += 1
            right -= 1


@compiled
def _scan(  # type: ignore[no-untyped-def]
    first,
    radix,
    table,
    offset,
    width,
    start,
    charge,
    low,
    field,
    pair,
    inner,
    base,
    places,
    steps,
    own,
    limit,
    found_outer,
    found_inner,
    found_energy,
):
    """Compare all arrangements from outer number ``first`` on; keep those not above ``limit``.

    Returns (next outer number, arrangements kept); stops early when the buffer is full.
    """
    n_groups = radix.shape[0]
    n_outer = 1
    for g in range(n_groups):
        n_outer *= radix[g]
    n_in = width[inner]
    q = np.zeros(field.shape[0])
    phi = np.empty(n_in)
    kept = 0
    for outer in range(first, n_outer):
        before = kept
        rest = outer
        for g in range(n_groups):
            if g == inner:
                continue
            line = rest % radix[g]
            rest //= radix[g]
            at = offset[g] + line * width[g]
            for i in range(width[g]):
                q[start[g] + i] = charge[low[g] + table[at + i]]
        energy = 0.0
        for g in range(n_groups):
            if g == inner:
                continue
            for i in range(start[g], start[g] + width[g]):
                total = 2.0 * field[i]
                for h in range(n_groups):
                    if h != inner:
                        for j in range(start[h], start[h] + width[h]):
                            total += pair[i, j] * q[j]
                energy += 0.5 * q[i] * total
        for i in range(n_in):
            total = field[start[inner] + i]
            for h in range(n_groups):
                if h != inner:
                    for j in range(start[h], start[h] + width[h]):
                        total += pair[start[inner] + i, j] * q[j]
            phi[i] = total
            energy += base * total
        for line in range(places.shape[0]):
            value = energy + own[line]
            for i in range(places.shape[1]):
                value += steps[line, i] * phi[places[line, i]]
            if value <= limit:
                if kept == found_outer.shape[0]:
                    return outer, before
                found_outer[kept] = outer
                found_inner[kept] = line
                found_energy[kept] = value
                kept += 1
    return n_outer, kept


def n_orders(counts: IntArray | list[int]) -> int:
    """Return the number of orders of a multiset, exact."""
    total, ways = 0, 1
    for n in counts:
        total += int(n)
        ways *= math.comb(total, int(n))
    return ways


def list_orders(counts: IntArray | list[int]) -> _UInt8:
    """Return every order of ``counts[k]`` copies of k as rows, lexicographically."""
    array = np.asarray(counts, dtype=np.int64)
    out = np.empty((n_orders(array), int(array.sum())), dtype=np.uint8)
    _fill(array, out)
    return out


def group_counts(problem: OrderingProblem, g: int) -> IntArray:
    """Return the atoms of each species of one group."""
    return problem.count[problem.first_species[g] : problem.first_species[g + 1]]


def group_orders(problem: OrderingProblem, g: int) -> _UInt8:
    """Return every allowed arrangement of one group: rows of species numbers within the group."""
    orders = list_orders(group_counts(problem, g))
    here = slice(int(problem.start[g]), int(problem.start[g + 1]))
    allowed = problem.allowed[problem.first_species[g] : problem.first_species[g + 1], here]
    keep = np.ones(len(orders), dtype=np.bool_)
    if not allowed.all():
        keep[:] = allowed[orders, np.arange(orders.shape[1])].all(axis=1)
    occupied = problem.occupied[problem.first_species[g] : problem.first_species[g + 1]]
    inside = problem.excluded - problem.start[g]
    inside = inside[((inside >= 0) & (inside < orders.shape[1])).all(axis=1)]
    for i, j in inside:
        both = np.logical_and(occupied[orders[:, i]], occupied[orders[:, j]])
        keep[both] = False
    return np.ascontiguousarray(orders[keep])


def group_permutations(problem: OrderingProblem, permutations: IntArray, g: int) -> IntArray:
    """Return the permutations of the supercell acting on one group, each once."""
    here = slice(int(problem.start[g]), int(problem.start[g + 1]))
    return np.unique(permutations[:, here] - problem.start[g], axis=0)


def codes(orders: _UInt8, n_species: int) -> NDArray[np.uint64] | None:
    """Return one whole number per row that tells rows apart, None when 64 bits do not suffice."""
    if max(n_species, 2) ** orders.shape[1] >= 2**63:
        return None
    weights = np.array([max(n_species, 2) ** i for i in range(orders.shape[1])], dtype=np.uint64)
    total = np.zeros(len(orders), dtype=np.uint64)
    for i, w in enumerate(weights):
        total += orders[:, i] * w
    return total


def representatives(orders: _UInt8, permutations: IntArray, n_species: int) -> _UInt8:
    """Return one row of each class that the permutations make; all rows when they cannot be told apart cheaply."""
    smallest = codes(orders, n_species)
    if smallest is None or len(permutations) * len(orders) > 2e8:
        return orders
    own = smallest.copy()
    for row in permutations[1:] if (permutations[0] == np.arange(orders.shape[1])).all() else permutations:
        image = codes(orders[:, row], n_species)
        if image is not None:
            np.minimum(smallest, image, out=smallest)
    return orders[own == smallest]


@dataclass(frozen=True)
class Cost:
    """How many arrangements an exhaustive search would compare."""

    compared: float
    possible: bool


def search_cost(problem: OrderingProblem, n_operations: int) -> Cost:
    """Estimate the arrangements to compare, symmetry used on one group."""
    sizes = sorted(n_orders(group_counts(problem, g)) for g in range(len(problem.groups)))
    compared = float(math.prod(sizes))
    if len(sizes) > 1:
        compared /= min(n_operations, max(sizes[-2] / 2.0, 1.0))
    return Cost(compared, sizes[-1] <= LIST_LIMIT)


def lowest(problem: OrderingProblem, pool: Pool, k: int) -> int:
    """Put the ``k`` lowest distinct arrangements of all into the pool; returns how many there are of all."""
    n_groups = len(problem.groups)
    tables = [group_orders(problem, g) for g in range(n_groups)]
    total = math.prod(len(t) for t in tables)
    if not total:
        return 0
    inner = max(range(n_groups), key=lambda g: (len(tables[g]), g))
    outer = [g for g in range(n_groups) if g != inner]
    if outer:
        first = max(outer, key=lambda g: len(tables[g]))
        tables[first] = representatives(
            tables[first],
            group_permutations(problem, pool.permutations, first),
            int(problem.first_species[first + 1] - problem.first_species[first]),
        )
    width = np.diff(problem.start)
    radix = np.array([1 if g == inner else len(t) for g, t in enumerate(tables)], dtype=np.int64)
    flat = np.concatenate([t.ravel() for g, t in enumerate(tables) if g != inner] or [np.empty(0, np.uint8)])
    offset = np.zeros(n_groups, dtype=np.int64)
    for before, g in itertools.pairwise(outer):
        offset[g] = offset[before] + tables[before].size
    base, places, steps, own = _inner_table(problem, inner, tables[inner])
    n_outer = int(np.prod(radix))

    limit = math.inf
    at = 0
    size = max(_BUFFER, len(tables[inner]))  # one outer arrangement always fits
    found = (np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64), np.empty(size))
    while at < n_outer:
        at, kept = _scan(
            at, radix, flat, offset, width, problem.start, problem.charge, problem.first_species,
            problem.field, problem.pair, inner, base, places, steps, own, limit, *found,
        )  # fmt: skip
        _collect(problem, pool, k, tables, radix, inner, [array[:kept] for array in found])
        if pool.is_full(k):
            limit = pool.worst(k) - problem.constant + TIE_EV
    return total


def _inner_table(
    problem: OrderingProblem, g: int, orders: _UInt8
) -> tuple[float, IntArray, FloatArray, FloatArray]:
    """Describe each inner arrangement by its sites that differ from the commonest charge, and its own energy."""
    charge = problem.charge[problem.first_species[g] : problem.first_species[g + 1]]
    counts = group_counts(problem, g)
    amount = {z: int(counts[charge == z].sum()) for z in sorted(set(charge.tolist()))}
    base = max(amount, key=lambda z: (amount[z], z))
    odd = sum(n for z, n in amount.items() if z != base)
    q = charge[orders]
    places = np.nonzero(q != base)[1].reshape(len(orders), odd)
    steps = np.take_along_axis(q, places, axis=1) - base
    here = slice(int(problem.start[g]), int(problem.start[g + 1]))
    own = 0.5 * ((q @ problem.pair[here, here]) * q).sum(axis=1)
    return float(base), np.ascontiguousarray(places), np.ascontiguousarray(steps), own


def _collect(
    problem: OrderingProblem,
    pool: Pool,
    k: int,
    tables: list[_UInt8],
    radix: IntArray,
    inner: int,
    found: list[NDArray[Any]],
) -> None:
    """Add what a scan kept to the pool, lowest first, until k distinct ones and all their ties are in."""
    numbers, lines, energies = found
    for i in np.argsort(energies, kind="stable"):
        energy = float(energies[i]) + problem.constant
        if pool.is_full(k) and (energy > pool.worst(k) + TIE_EV or len(pool) > k + _MAX_TIES):
            break
        rest = int(numbers[i])
        occupation = np.empty(problem.n, dtype=np.int64)
        for g, table in enumerate(tables):
            if g == inner:
                row = table[int(lines[i])]
            else:
                row = table[rest % int(radix[g])]
                rest //= int(radix[g])
            here = slice(int(problem.start[g]), int(problem.start[g + 1]))
            occupation[here] = problem.first_species[g] + row
        if not len(problem.excluded) or problem.is_allowed(occupation):
            pool.add(energy, occupation)
