"""Balanced reactions with exact coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    phases: Sequence[Mapping[str, Fraction]], target: Mapping[str, Fraction], free: str | None = None
) -> tuple[list[Fraction], Fraction] | None:
    """Solve for the amounts of phases that make up a target, in rational arithmetic.

    Parameters
    ----------
    phases : sequence of mapping of element to Fraction
        Linearly independent compositions.
    target : mapping of element to Fraction
    free : str, optional
        Element that is exchanged freely: its amount is not balanced but returned.

    Returns
    -------
    (amounts, exchanged) or None
        Amounts of the phases, and how much of the free element the phases hold beyond the target; None if
        the phases are not independent or cannot make up the target exactly.
    """
    elements = sorted({s for phase in phases for s in phase} | set(target))
    rows = [
        [phase.get(symbol, Fraction(0)) for phase in phases] + [target.get(symbol, Fraction(0))]
        for symbol in elements
        if symbol != free
    ]
    n = len(phases)
    pivot_row = 0
    for column in range(n):
        best = next((r for r in range(pivot_row, len(rows)) if rows[r][column]), None)
        if best is None:
            return None
        rows[pivot_row], rows[best] = rows[best], rows[pivot_row]
        lead = rows[pivot_row][column]
        rows[pivot_row] = [value / lead for value in rows[pivot_row]]
        for r, row in enumerate(rows):
            if r != pivot_row and row[column]:
                factor = row[column]
                rows[r] = [a - factor * b for a, b in zip(row, rows[pivot_row], strict=True)]
        pivot_row += 1
    if any(row[n] for row in rows[pivot_row:]):
        return None
    amounts = [rows[i][n] for i in range(n)]
    exchanged = Fraction(0)
    if free is not None:
        held = sum(
            (a * phase.get(free, Fraction(0)) for a, phase in zip(amounts, phases, strict=True)), Fraction(0)
        )
        exchanged = held - target.get(free, Fraction(0))
    return amounts, exchanged
