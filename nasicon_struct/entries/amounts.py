"""Amounts of the elements from whatever a user holds: formula, pymatgen or ASE object, CIF, mapping."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nasicon_struct.errors import CompositionError
from nasicon_struct.formula import element_amounts, format_formula, parse_formula


@functools.lru_cache(maxsize=65536)
def _parsed(formula: str) -> tuple[tuple[str, Fraction], ...]:
    return tuple(parse_formula(formula).items())


def _is_cif(text: str) -> bool:
    """Whether a text is the name of a CIF; its reader is loaded only where that may be so."""
    if "cif" not in text[-7:].lower():
        return False
    from nasicon_struct.cif import is_cif_name

    return is_cif_name(text)


def amounts_of(obj: Any) -> dict[str, Fraction]:
    """Return the exact amount of each element.

    Parameters
    ----------
    obj : str, path of a CIF, Composition, Structure, PDEntry, ComputedEntry, Atoms, NasiconComposition or
    mapping
        Only the composition counts.

    Raises
    ------
    CompositionError
        If it cannot be read, an element is unknown, or an amount is negative or no number.
    """
    if isinstance(obj, Path) or (isinstance(obj, str) and _is_cif(obj)):
        from nasicon_struct.cif import read_structure

        obj = read_structure(obj)
    if isinstance(obj, str):
        return dict(_parsed(obj))
    amounts = getattr(obj, "amounts", None)
    if isinstance(amounts, Mapping):
        return dict(amounts)
    result: dict[str, Fraction] = {}
    for symbol, amount in element_amounts(
        obj,
        expected="a formula, a CIF path, a pymatgen Composition, Structure or entry, ASE Atoms or a mapping",
    ):
        if amount < 0:
            raise CompositionError(
                f"the amount of {symbol} is negative ({float(amount):g}); amounts are 0 or more"
            )
        if amount:
            result[symbol] = amount
    if not result:
        raise CompositionError("the composition is empty; give at least one element")
    return result


def formula_of(obj: Any) -> str:
    """Return a printable formula: the user's own where it is a string, else an exact one."""
    if isinstance(obj, str) and not _is_cif(obj):
        return obj.strip()
    formula = getattr(obj, "formula", None)
    if isinstance(getattr(obj, "amounts", None), Mapping) and isinstance(formula, str):
        return formula
    return format_formula(reduced(amounts_of(obj)))


def formula_unit(obj: Any) -> tuple[str, dict[str, Fraction]]:
    """Return a printable formula and the amounts that it says: one formula unit of whatever is given.

    A string or NasiconComposition is its own formula unit; a pymatgen or ASE object, a mapping or a CIF of whole
    numbers of atoms is divided by their greatest common divisor.
    """
    formula = formula_of(obj)
    amounts = amounts_of(obj)
    if isinstance(getattr(obj, "amounts", None), Mapping) or (isinstance(obj, str) and not _is_cif(obj)):
        return formula, amounts
    return formula, reduced(amounts)


def reduced(amounts: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Divide integer amounts by their greatest common divisor; leave fractional ones as they are."""
    if any(amount.denominator != 1 for amount in amounts.values()):
        return dict(amounts)
    divisor = math.gcd(*(amount.numerator for amount in amounts.values()))
    return {symbol: amount / divisor for symbol, amount in amounts.items()}


def composition_key(amounts: Mapping[str, Fraction]) -> tuple[tuple[str, int], ...]:
    """Return the smallest integer amounts, sorted: equal for every multiple of a formula."""
    items = [(symbol, Fraction(amount)) for symbol, amount in amounts.items() if amount]
    scale = math.lcm(*(amount.denominator for _, amount in items))
    numbers = [(symbol, int(amount * scale)) for symbol, amount in items]
    divisor = math.gcd(*(number for _, number in numbers))
    return tuple(sorted((symbol, number // divisor) for symbol, number in numbers))


def atomic_fractions(amounts: Iterable[Mapping[str, Any]], elements: Sequence[str]) -> np.ndarray:
    """Return atomic fractions, shape (compositions, elements).

    Raises
    ------
    CompositionError
        If a composition holds an element that is not among ``elements``.
    """
    column = {symbol: j for j, symbol in enumerate(elements)}
    rows = list(amounts)
    table = np.zeros((len(rows), len(elements)))
    for i, row in enumerate(rows):
        for symbol, amount in row.items():
            if symbol not in column:
                raise CompositionError(
                    f"{symbol} is not among the elements {', '.join(elements)}; load entries that hold it"
                )
            table[i, column[symbol]] = float(amount)
    return table / table.sum(axis=1, keepdims=True)
