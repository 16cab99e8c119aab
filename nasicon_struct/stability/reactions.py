"""Balanced reactions with exact coefficients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from monty.json import MSONable

#: A coefficient with a larger denominator is printed as a decimal number.
_LARGEST_DENOMINATOR = 5000


@dataclass(frozen=True, kw_only=True)
class PhaseAmount(MSONable):
    """A phase in an assemblage.

    Attributes
    ----------
    formula : str
    amount : float
        Formula units per formula unit of the target.
    atomic_fraction : float
        Share of all atoms of the assemblage, 0 to 1.
    """

    formula: str
    amount: float
    atomic_fraction: float

    def __str__(self) -> str:
        return term(Fraction(self.amount).limit_denominator(_LARGEST_DENOMINATOR), self.formula)


def term(amount: Fraction | float, formula: str) -> str:
    """Write one term of a reaction: ``2 Na2S``, ``0.2 Na2S5``, ``1/7 NaP7``."""
    text = coefficient(amount)
    return f"{text} {formula}" if text else formula


def coefficient(amount: Fraction | float) -> str:
    """Write a coefficient: empty for 1, a short decimal or a fraction where exact, else six digits."""
    exact = amount if isinstance(amount, Fraction) else Fraction(float(amount)).limit_denominator(10**9)
    if exact == 1:
        return ""
    if exact.denominator == 1:
        return str(exact.numerator)
    if exact.denominator > _LARGEST_DENOMINATOR:
        return f"{float(exact):.6g}"
    decimal = f"{float(exact):.4f}".rstrip("0")
    return decimal if Fraction(decimal) == exact else f"{exact.numerator}/{exact.denominator}"


def reaction(
    left: Sequence[tuple[Fraction | float, str]], right: Sequence[tuple[Fraction | float, str]]
) -> str:
    """Write a reaction from (amount, formula) pairs; zero amounts are left out."""
    sides = []
    for side in (left, right):
        sides.append(" + ".join(term(amount, formula) for amount, formula in side if amount))
    return " -> ".join(sides)


def solve_exactly(
    phases: Sequence[Mapping[str, Fraction]],
    target: Mapping[str, Fraction],
    exchanged: Iterable[str] = (),
) -> list[Fraction] | None:
    """Solve for the amounts of phases that make up a target, in rational arithmetic.

    Parameters
    ----------
    phases : sequence of mapping of element to Fraction
        Linearly independent compositions.
    target : mapping of element to Fraction
    exchanged : iterable of str
        Elements that are exchanged freely, so that their amounts are not balanced.

    Returns
    -------
    list of Fraction or None
        Amounts of the phases; None if they are not independent or cannot make up the target exactly.
    """
    free = set(exchanged)
    elements = sorted({symbol for phase in phases for symbol in phase} | set(target))
    zero = Fraction(0)
    rows = [
        _integers([*(phase.get(symbol, zero) for phase in phases), target.get(symbol, zero)])
        for symbol in elements
        if symbol not in free
    ]
    n = len(phases)
    if len(rows) < n:
        return None
    # Elimination without fractions (E. H. Bareiss, Math. Comp. 22 (1968) 565): every division is exact.
    previous = 1
    for column in range(n):
        best = next((r for r in range(column, len(rows)) if rows[r][column]), None)
        if best is None:
            return None
        rows[column], rows[best] = rows[best], rows[column]
        pivot = rows[column]
        lead = pivot[column]
        for r, row in enumerate(rows):
            if r != column:
                factor = row[column]
                rows[r] = [(lead * a - factor * b) // previous for a, b in zip(row, pivot, strict=True)]
        previous = lead
    if any(row[n] for row in rows[n:]):
        return None
    return [Fraction(rows[i][n], rows[i][i]) for i in range(n)]


def _integers(row: Sequence[Fraction]) -> list[int]:
    """Multiply a row by its least common denominator."""
    scale = math.lcm(*(value.denominator for value in row))
    return [value.numerator * (scale // value.denominator) for value in row]
