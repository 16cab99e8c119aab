"""Whole atoms for a composition: exactly neutral, nearest to the target, with the difference stated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Final

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.sites import VACANCY, SiteModel

#: How far (in atoms) counts may lie from the target before the search gives up.
_REACH: Final = (1, 2, 4, 8)
#: A dopant whose amount is off by more than this share is named in a warning.
_RELATIVE: Final = Fraction(1, 4)


@dataclass(frozen=True)
class Stoichiometry:
    """Whole atoms of one supercell.

    Attributes
    ----------
    counts : tuple of tuple of int
        Atoms of each species of each sublattice, vacancies included, in the model's order.
    difference : dict of str to Fraction
        Amount minus target, per formula unit, of each element that is not exact.
    warnings : tuple of str
        Dopants dropped or far off.
    """

    counts: tuple[tuple[int, ...], ...]
    difference: dict[str, Fraction]
    warnings: tuple[str, ...]

    @property
    def error(self) -> Fraction:
        """Largest difference of one element per formula unit; 0 when exact."""
        return max((abs(d) for d in self.difference.values()), default=Fraction(0))


def _options(target: Sequence[Fraction], total: int, reach: int) -> list[tuple[int, ...]]:
    """Return count vectors within ``reach`` of the target that sum to ``total``."""
    ranges = [range(max(0, floor(t) - reach + 1), min(total, ceil(t) + reach - 1) + 1) for t in target[:-1]]
    options = []
    for head in itertools.product(*ranges):
        last = total - sum(head)
        if last >= 0:
            options.append((*head, last))
    return options


def integer_counts(model: SiteModel, cells: int) -> Stoichiometry:
    """Choose whole atoms for a supercell of ``cells`` primitive cells.

    Among all exactly neutral integer counts the one with the smallest sum of squared differences (in atoms)
    from the target is taken; between equals, the one that keeps most species, then the smallest largest
    difference.

    Raises
    ------
    OrderingError
        When no neutral whole-atom cell lies near the target.
    """
    units = model.formula_units * cells
    targets = [[t * units for t in s.target] for s in model.sublattices]
    sizes = [len(s.sites) * cells for s in model.sublattices]
    background = cells * sum(s.charge for s in model.fixed.values())
    for reach in _REACH:
        best: dict[int, tuple[tuple[Fraction, int, Fraction], tuple[tuple[int, ...], ...]]] = {
            background: ((Fraction(0), 0, Fraction(0)), ())
        }
        for sublattice, target, size in zip(model.sublattices, targets, sizes, strict=True):
            merged: dict[int, tuple[tuple[Fraction, int, Fraction], tuple[tuple[int, ...], ...]]] = {}
            for counts in _options(target, size, reach):
                gaps = [n - t for n, t in zip(counts, target, strict=True)]
                cost = sum((g * g for g in gaps), Fraction(0))
                lost = sum(not n for n in counts)
                charge = sum(n * s.charge for n, s in zip(counts, sublattice.species, strict=True))
                for q, (key, chosen) in best.items():
                    total = (key[0] + cost, key[1] + lost, max(key[2], *(abs(g) for g in gaps)))
                    item = (total, (*chosen, counts))
                    if q + charge not in merged or item < merged[q + charge]:
                        merged[q + charge] = item
            best = merged
        if 0 in best:
            return _with_warnings(model, best[0][1], units)
    raise OrderingError(
        f"no neutral cell of {cells} primitive cells lies within {_REACH[-1]} atoms of the composition; "
        "check the formal charges or take another size"
    )


def _with_warnings(model: SiteModel, counts: tuple[tuple[int, ...], ...], units: Fraction) -> Stoichiometry:
    difference: dict[str, Fraction] = {}
    warnings = []
    for sublattice, row in zip(model.sublattices, counts, strict=True):
        for species, target, n in zip(sublattice.species, sublattice.target, row, strict=True):
            if species.element == VACANCY:
                continue
            gap = n / units - target
            if gap:
                difference[species.element] = difference.get(species.element, Fraction(0)) + gap
            wanted = target * units
            if not n:
                warnings.append(
                    f"{species.element} is dropped: the composition asks for {float(wanted):.3g} atoms in this cell; "
                    "take a larger cell to keep it"
                )
            elif abs(n - wanted) > _RELATIVE * wanted:
                warnings.append(
                    f"{species.element} is {n} atom{'s' if n > 1 else ''} where the composition asks for "
                    f"{float(wanted):.3g} ({float(n / wanted):.2f} times as much)"
                )
    return Stoichiometry(counts, {e: d for e, d in difference.items() if d}, tuple(warnings))


def refined_counts(
    model: SiteModel, counts: Sequence[Sequence[int]], cells: int
) -> tuple[dict[str, tuple[int, ...]], ...]:
    """Share the counts of each sublattice over its classes, nearest to the refined occupancies.

    Returns
    -------
    tuple of dict
        For each sublattice, class name to atoms of each species; columns sum to ``counts``, rows to the
        positions of the class. No exchange of two atoms brings it nearer (least squares) to the
        refined numbers.
    """
    shared = []
    for sublattice, row in zip(model.sublattices, counts, strict=True):
        names = sorted({model.classes[i] for i in sublattice.sites})
        sizes = [sum(model.classes[i] == name for i in sublattice.sites) * cells for name in names]
        wanted = [
            [model.refined[name].get(s.element, Fraction(0)) * size for s in sublattice.species]
            for name, size in zip(names, sizes, strict=True)
        ]
        table = _transport(wanted, sizes, list(row))
        shared.append({name: tuple(line) for name, line in zip(names, table, strict=True)})
    return tuple(shared)


def _transport(wanted: list[list[Fraction]], rows: list[int], columns: list[int]) -> list[list[int]]:
    """Return a whole-number table with given margins near ``wanted``, optimal under exchanges of two atoms."""
    n_rows, n_columns = len(rows), len(columns)
    table = [[floor(x) for x in line] for line in wanted]
    for i in range(n_rows):  # make the row sums right, cheapest change first
        while sum(table[i]) != rows[i]:
            step = 1 if sum(table[i]) < rows[i] else -1
            j = min(
                (j for j in range(n_columns) if table[i][j] + step >= 0),
                key=lambda j: (2 * step * (table[i][j] - wanted[i][j]) + 1, j),
            )
            table[i][j] += step
    # cancel column surpluses along the cheapest exchanges, then any exchange that lowers the cost
    while True:
        excess = [sum(line[j] for line in table) - columns[j] for j in range(n_columns)]
        moves = []
        for i, j, k in itertools.product(range(n_rows), range(n_columns), range(n_columns)):
            if excess[j] > 0 > excess[k] and table[i][j] > 0:
                cost = 2 + 2 * ((table[i][k] - wanted[i][k]) - (table[i][j] - wanted[i][j]))
                moves.append((cost, i, j, k))
        if not moves:
            break
        _, i, j, k = min(moves)
        table[i][j] -= 1
        table[i][k] += 1
    while True:
        swaps = []
        for (i, m), (j, k) in itertools.product(
            itertools.permutations(range(n_rows), 2), itertools.permutations(range(n_columns), 2)
        ):
            if table[i][j] and table[m][k]:  # row i: j -> k; row m: k -> j
                cost = 4 + 2 * (
                    (table[i][k] - wanted[i][k])
                    - (table[i][j] - wanted[i][j])
                    + (table[m][j] - wanted[m][j])
                    - (table[m][k] - wanted[m][k])
                )
                if cost < 0:
                    swaps.append((cost, i, m, j, k))
        if not swaps:
            return table
        _, i, m, j, k = min(swaps)
        table[i][j] -= 1
        table[i][k] += 1
        table[m][k] -= 1
        table[m][j] += 1
