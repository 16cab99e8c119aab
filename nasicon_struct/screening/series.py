"""Series to screen: a formula with variables, and the values they take, addressed by number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod
from typing import Any

import numpy as np
from monty.json import MSONable

from nasicon_struct.composition import NasiconComposition, format_number
from nasicon_struct.errors import CompositionError, ScreeningError
from nasicon_struct.formula import parse_formula
from nasicon_struct.screening import _kernels
from nasicon_struct.screening.amounts import Amounts, from_fractions
from nasicon_struct.screening.spaces import MAX_CANDIDATES, exact_number, grid


@dataclass(frozen=True, kw_only=True)
class Series(MSONable):
    """A formula with variables, and the values they take.

    Attributes
    ----------
    template : str
        For example ``"Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12"``.
    values : dict of str to tuple of str
        Values of each variable, as exact fractions in text; the last variable runs fastest.
    """

    template: str
    values: dict[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if not self.values:
            raise ScreeningError("a series needs the values of its variables, for example x=0:0.2:0.05")
        values = {}
        for name, held in dict(self.values).items():
            if not (isinstance(name, str) and len(name) == 1 and name.isascii() and name.islower()):
                raise ScreeningError(f"a variable must be one lower-case letter such as x, got {name!r}")
            if name not in self.template:
                raise ScreeningError(f"the template {self.template[:60]!r} does not hold the variable {name}")
            values[name] = tuple(str(exact_number(value, f"value of {name}")) for value in held)
            if not values[name]:
                raise ScreeningError(f"the variable {name} has no values")
        object.__setattr__(self, "values", values)
        if len(self) > MAX_CANDIDATES:
            raise ScreeningError(f"the series has {len(self):,} candidates; make the steps larger")
        self._check()

    def _check(self) -> None:
        """Refuse a template of which no member can be read for a reason that holds for all."""
        for number in dict.fromkeys(np.linspace(0, len(self) - 1, 5).astype(int).tolist()):
            try:
                parse_formula(self.template, self._point(number))
                return
            except CompositionError as error:
                found = error
        if "negative" not in str(found):
            raise ScreeningError(str(found))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(self.values)

    def __len__(self) -> int:
        return prod(len(held) for held in self.values.values())

    def _point(self, number: int) -> dict[str, Fraction]:
        shape = tuple(len(held) for held in self.values.values())
        at = np.unravel_index(number, shape)
        return {n: Fraction(held[int(k)]) for (n, held), k in zip(self.values.items(), at, strict=True)}

    def _affine(self) -> tuple[list[str], list[list[Fraction]]] | None:
        """Return elements and (constant, coefficients) of each, where the amounts are affine; else None."""
        rng = np.random.default_rng(0)
        picked = dict.fromkeys([0, len(self) - 1, *rng.integers(0, len(self), 60).tolist()])
        points, found = [], []
        for number in picked:
            point = self._point(number)
            try:
                found.append(parse_formula(self.template, point))
            except CompositionError:
                continue
            points.append([Fraction(1), *point.values()])
        base = _independent(points)
        varying = [name for name, held in self.values.items() if len(set(held)) > 1]
        if len(base) < len(varying) + 1:
            return None
        symbols = sorted({symbol for amounts in found for symbol in amounts})
        coefficients = []
        for symbol in symbols:
            solved = _solve([points[k] for k in base], [found[k].get(symbol, Fraction(0)) for k in base])
            coefficients.append(solved)
            for row, amounts in zip(points, found, strict=True):
                if sum(a * b for a, b in zip(solved, row, strict=True)) != amounts.get(symbol, Fraction(0)):
                    return None
        return symbols, coefficients

    def amounts(self, start: int, stop: int) -> tuple[Amounts, dict[str, np.ndarray]]:
        """Return the amounts of candidates ``start`` to ``stop``, and the values of the variables."""
        shape = tuple(len(held) for held in self.values.values())
        at = np.unravel_index(np.arange(start, stop), shape)
        exact_values = {name: [Fraction(v) for v in held] for name, held in self.values.items()}
        variables = {
            name: np.array([float(v) for v in held])[k]
            for (name, held), k in zip(exact_values.items(), at, strict=True)
        }
        affine = self._affine()
        unread = np.zeros(stop - start, dtype=bool)
        nothing = from_fractions(["O"], np.zeros((stop - start, 1)), 1, unread)
        if affine is None:
            return nothing, variables
        symbols, coefficients = affine
        every = [v for held in exact_values.values() for v in held]
        scale = lcm(*(v.denominator for v in every))
        factor = lcm(*(c.denominator for row in coefficients for c in row))
        largest = max([Fraction(1), *(abs(v) for v in every)])
        size = max(sum(abs(c) for c in row) for row in coefficients) * largest
        if size * scale * factor > _kernels.MAX_NUMERATOR or scale * factor > _kernels.MAX_NUMERATOR:
            return nothing, variables
        integers = [
            np.array([int(v * scale) for v in held], dtype=np.int64)[k]
            for held, k in zip(exact_values.values(), at, strict=True)
        ]
        table = np.zeros((stop - start, len(symbols)), dtype=np.int64)
        for j, row in enumerate(coefficients):
            table[:, j] = int(row[0] * factor) * scale
            for coefficient, values in zip(row[1:], integers, strict=True):
                table[:, j] += int(coefficient * factor) * values
        read = np.asarray((table >= 0).all(axis=1) & (table > 0).any(axis=1))
        return from_fractions(symbols, np.where(read[:, None], table, 0), scale * factor, read), variables

    def text(self, number: int) -> str:
        """Return template and values of candidate ``number``."""
        at = ", ".join(f"{name} = {format_number(value)}" for name, value in self._point(number).items())
        return f"{self.template} at {at}"

    def composition(self, number: int) -> NasiconComposition:
        """Return candidate ``number`` through the single-candidate code.

        Raises
        ------
        CompositionError
            If it is no neutral NASICON.
        """
        return NasiconComposition.from_any(parse_formula(self.template, self._point(number)))


def series(template: str, **values: Any) -> Series:
    """Make a series to screen.

    Parameters
    ----------
    template : str
        Formula with single-letter variables.
    **values : iterable of numbers, or "from:to:step"
        Values of each variable.

    Raises
    ------
    ScreeningError
        If the template or a value cannot be read.

    Examples
    --------
    >>> len(series("Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12", x="0:0.2:0.05"))
    5
    """
    held: dict[str, tuple[str, ...]] = {}
    for name, given in values.items():
        if isinstance(given, str):
            held[name] = tuple(str(value) for value in read_range(given, what=f"value of {name}"))
        elif isinstance(given, Iterable):
            held[name] = tuple(str(exact_number(value, f"value of {name}")) for value in given)
        else:
            held[name] = (str(exact_number(given, f"value of {name}")),)
    return Series(template=template, values=held)


def read_range(text: str, *, what: str) -> tuple[Fraction, ...]:
    """Read ``0:0.2:0.05`` or ``0,0.1,0.15``.

    Raises
    ------
    ScreeningError
        If it is neither.
    """
    parts = text.split(":")
    if len(parts) == 3:
        return grid(*parts, what=what)
    if len(parts) == 1:
        return tuple(exact_number(part, what) for part in text.split(","))
    raise ScreeningError(f"the {what} is written as from:to:step or as a list 0,0.1,0.2, got {text!r}")


def _independent(points: Sequence[Sequence[Fraction]]) -> list[int]:
    """Return the first affinely independent points, by exact elimination."""
    basis: list[list[Fraction]] = []
    chosen = []
    for number, point in enumerate(points):
        rest = list(point)
        for row in basis:
            lead = next(k for k, v in enumerate(row) if v)
            if rest[lead]:
                factor = rest[lead] / row[lead]
                rest = [a - factor * b for a, b in zip(rest, row, strict=True)]
        if any(rest):
            basis.append(rest)
            chosen.append(number)
    return chosen


def _solve(rows: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> list[Fraction]:
    """Return one exact solution of an underdetermined or square system of independent rows."""
    n = len(rows[0])
    work = [[*row, value] for row, value in zip(rows, right, strict=True)]
    leads: list[int] = []
    at = 0
    for column in range(n):
        pivot = next((k for k in range(at, len(work)) if work[k][column]), None)
        if pivot is None:
            continue
        work[at], work[pivot] = work[pivot], work[at]
        work[at] = [value / work[at][column] for value in work[at]]
        for k in range(len(work)):
            if k != at and work[k][column]:
                factor = work[k][column]
                work[k] = [a - factor * b for a, b in zip(work[k], work[at], strict=True)]
        leads.append(column)
        at += 1
    solution = [Fraction(0)] * n
    for row, column in zip(work, leads, strict=False):
        solution[column] = row[n]
    return solution
