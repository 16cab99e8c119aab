"""Exact amounts of precursors: a linear system over the rationals, with non-negative unknowns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from nasicon_struct.composition import format_number
from nasicon_struct.errors import CompositionError

#: Most choices of independent precursors that are tried.
MAX_CHOICES: Final = 20_000


@dataclass(frozen=True)
class Equation:
    """``sum_j coefficients[j] n_j = total``, with a name for error messages."""

    name: str
    coefficients: tuple[Fraction, ...]
    total: Fraction


def solve(names: Sequence[str], equations: Sequence[Equation]) -> list[Fraction]:
    """Find amounts ``n_j >= 0`` that meet every equation exactly.

    Where several choices exist, the first precursor delivers as much as it can, then the second, and so on
    (the lexicographically largest solution), so that the order given decides.

    Parameters
    ----------
    names : sequence of str, length m
        Names of the unknowns, in order of preference.
    equations : sequence of Equation
        Each with m coefficients.

    Returns
    -------
    list of Fraction, length m
        Moles per formula unit of the target.

    Raises
    ------
    CompositionError
        If no such amounts exist; the sentence names the elements or precursors in conflict.
    """
    rows, totals = _reduce(equations)
    rank, m = len(rows), len(names)
    if math.comb(m, rank) > MAX_CHOICES:
        raise CompositionError(f"{m} precursors leave too many choices; name fewer, or give shares")
    best: list[Fraction] | None = None
    nearest: list[Fraction] | None = None
    for chosen in itertools.combinations(range(m), rank):
        part = _solve_square([[row[j] for j in chosen] for row in rows], totals)
        if part is None:
            continue
        full = [Fraction(0)] * m
        for j, value in zip(chosen, part, strict=True):
            full[j] = value
        if min(full) >= 0:
            best = full if best is None else max(best, full)
        else:
            nearest = full if nearest is None else max(nearest, full, key=min)
    if best is not None:
        return best
    assert nearest is not None  # rank independent columns exist
    negative = [f"{format_number(n)} {names[j]}" for j, n in enumerate(nearest) if n < 0]
    raise CompositionError(
        f"no non-negative amounts of {', '.join(names)} give the target: {' and '.join(negative)} would be "
        "needed per formula unit; replace the precursor that brings too much beside the element it is meant for"
    )


def _reduce(equations: Sequence[Equation]) -> tuple[list[list[Fraction]], list[Fraction]]:
    """Bring the equations to reduced row echelon form, remembering which ones each row combines."""
    count = len(equations)
    rows = [
        [*eq.coefficients, eq.total, *(Fraction(int(i == k)) for k in range(count))]
        for i, eq in enumerate(equations)
    ]
    width = len(equations[0].coefficients)
    done = 0
    for column in range(width):
        pivot = next((i for i in range(done, count) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[done], rows[pivot] = rows[pivot], rows[done]
        lead = rows[done][column]
        rows[done] = [value / lead for value in rows[done]]
        for i in range(count):
            if i != done and (factor := rows[i][column]):
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[done], strict=True)]
        done += 1
    for row in rows[done:]:
        if row[width]:
            tied = [eq.name for eq, used in zip(equations, row[width + 1 :], strict=True) if used]
            raise CompositionError(
                f"the precursors tie {' and '.join(tied)} together in another ratio than the target has; "
                "add a precursor that brings one of them alone"
            )
    return [row[:width] for row in rows[:done]], [row[width] for row in rows[:done]]


def _solve_square(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Solve a square system, or return None where it is singular."""
    size = len(right)
    rows = [[*row, total] for row, total in zip(matrix, right, strict=True)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        lead = rows[column][column]
        rows[column] = [value / lead for value in rows[column]]
        for i in range(size):
            if i != column and (factor := rows[i][column]):
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[size] for row in rows]


def share_equations(
    shares: Mapping[str, Mapping[str, Fraction]],
    names: Sequence[str],
    columns: Sequence[Mapping[str, Fraction]],
    needs: Mapping[str, Fraction],
) -> list[Equation]:
    """Turn shares (element -> precursor -> fraction of that element) into equations.

    Raises
    ------
    CompositionError
        If a share names an element or precursor that is not there, or shares exceed 1.
    """
    equations = []
    for element, parts in shares.items():
        if element not in needs:
            raise CompositionError(
                f"shares are given for {element}, which the target does not hold; it holds {', '.join(needs)}"
            )
        total = sum(parts.values(), Fraction(0))
        if total > 1 or any(part < 0 for part in parts.values()):
            raise CompositionError(
                f"the shares of {element} must be 0 or more and sum to at most 1, got {format_number(total)}"
            )
        sources = [name for name, column in zip(names, columns, strict=True) if element in column]
        if total < 1 and set(sources) <= set(parts):
            raise CompositionError(
                f"the shares of {element} sum to {format_number(total)} and no other precursor brings it; "
                "make them sum to 1"
            )
        for name, part in parts.items():
            if name not in sources:
                raise CompositionError(
                    f"{name} is given a share of {element} but is no source of it; sources are "
                    f"{', '.join(sources) or 'none'}"
                )
            index = list(names).index(name)
            row = [Fraction(0)] * len(names)
            row[index] = columns[index][element]
            equations.append(Equation(f"the share of {name} in {element}", tuple(row), part * needs[element]))
    return equations
