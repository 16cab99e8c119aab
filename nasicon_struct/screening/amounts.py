"""Amounts of many compositions as exact integer fractions: from formulas, and back to formulas."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Final

import numpy as np

from nasicon_struct.composition import element_sites
from nasicon_struct.errors import CompositionError
from nasicon_struct.formula import ELEMENTS, parse_formula
from nasicon_struct.screening import _kernels

if TYPE_CHECKING:
    import pyarrow as pa

#: Elements that one block of rows may hold; rows beyond are read one by one.
MAX_COLUMNS: Final = 48
_LONGEST_AMOUNT: Final = 40


@dataclass
class Amounts:
    """Compositions as exact fractions, one row each.

    Attributes
    ----------
    elements : tuple of str
        Columns, in the order of a canonical formula: Na, Zr, the other M-site elements by symbol, Si, P, the
        other T-site elements, O.
    numerators : ndarray of int64, shape (M, E)
    denominators : ndarray of int64, shape (M,)
        Amount of an element: numerator / denominator. After :meth:`per_o12`, per O12 formula unit.
    read : ndarray of bool, shape (M,)
        Rows that hold a composition; the others are left to the code for single candidates.
    """

    elements: tuple[str, ...]
    numerators: np.ndarray
    denominators: np.ndarray
    read: np.ndarray

    def __len__(self) -> int:
        return len(self.denominators)

    def column(self, symbol: str) -> np.ndarray:
        """Return the numerators of one element, zeros where it is not there."""
        if symbol not in self.elements:
            return np.zeros(len(self), dtype=np.int64)
        return self.numerators[:, self.elements.index(symbol)]

    def per_o12(self) -> Amounts:
        """Return the amounts per O12; rows without oxygen are marked as not read."""
        oxygen = self.column("O")
        read = self.read & (oxygen > 0)
        numerators = np.where(read[:, None], self.numerators * 12, 0)
        return Amounts(self.elements, numerators, np.where(read, oxygen, 1), read)

    def floats(self) -> np.ndarray:
        """Return the amounts as floats, each rounded once, shape (M, E)."""
        return np.asarray(self.numerators / self.denominators[:, None])

    def take(self, rows: np.ndarray) -> Amounts:
        """Return some of the rows."""
        return Amounts(self.elements, self.numerators[rows], self.denominators[rows], self.read[rows])


def canonical_order(symbols: Iterable[str]) -> list[str]:
    """Return symbols in the order of a canonical formula; those without a site last."""
    known = element_sites()
    rank = {"Na": 0, "M": 1, "T": 2, "O": 3}

    def key(symbol: str) -> tuple[int, int, str]:
        site = known[symbol].site if symbol in known else ""
        first = {"Zr": 0, "Si": 0, "P": 1}.get(symbol, 2)
        return rank.get(site, 4), first, symbol

    return sorted(symbols, key=key)


@functools.cache
def _symbol_tables() -> tuple[np.ndarray, np.ndarray]:
    two, one = np.full((26, 26), -1, dtype=np.int64), np.full(26, -1, dtype=np.int64)
    for number, symbol in enumerate(ELEMENTS):
        first = ord(symbol[0]) - 65
        if len(symbol) == 2:
            two[first, ord(symbol[1]) - 97] = number
        else:
            one[first] = number
    return two, one


def read_formulas(formulas: pa.Array) -> Amounts:
    """Read formulas; rows that need more than symbols and decimals are marked as not read.

    Parameters
    ----------
    formulas : pyarrow string array, shape (M,)
        Nulls are not read.
    """
    import pyarrow as pa

    array = formulas.cast(pa.large_string())
    n_rows = len(array)
    buffers = array.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int64)[array.offset : array.offset + n_rows + 1]
    data = np.frombuffer(buffers[2], dtype=np.uint8) if buffers[2] is not None else np.empty(0, np.uint8)
    two, one = _symbol_tables()
    column_of = np.full(len(ELEMENTS), -1, dtype=np.int64)
    numerators = np.zeros((n_rows, MAX_COLUMNS), dtype=np.int64)
    denominators = np.ones(n_rows, dtype=np.int64)
    read = np.zeros(n_rows, dtype=bool)
    used = _kernels.read_formulas(data, offsets, two, one, column_of, 0, numerators, denominators, read)
    symbols = {int(column): ELEMENTS[number] for number, column in enumerate(column_of) if column >= 0}
    return _ordered([symbols[j] for j in range(used)], numerators[:, :used], denominators, read)


def _ordered(
    symbols: Sequence[str], numerators: np.ndarray, denominators: np.ndarray, read: np.ndarray
) -> Amounts:
    order = canonical_order(symbols)
    columns = [symbols.index(symbol) for symbol in order]
    return Amounts(tuple(order), np.ascontiguousarray(numerators[:, columns]), denominators, read)


def from_fractions(
    symbols: Sequence[str], numerators: np.ndarray, denominator: int, read: np.ndarray | None = None
) -> Amounts:
    """Make amounts from integers over one denominator."""
    n_rows = len(numerators)
    return _ordered(
        list(symbols),
        np.asarray(numerators, dtype=np.int64),
        np.full(n_rows, denominator, dtype=np.int64),
        np.ones(n_rows, dtype=bool) if read is None else read,
    )


def complete(amounts: Amounts, texts: Sequence[str | None]) -> Amounts:
    """Read the rows that are not read yet with the exact parser, where their integers are small enough.

    Rows that cannot be read stay as they are.
    """
    rows = np.flatnonzero(~amounts.read)
    found: dict[int, dict[str, Fraction]] = {}
    for row in rows.tolist():
        text = texts[row]
        if text is None:
            continue
        try:
            parsed = parse_formula(text)
        except CompositionError:
            continue
        common = lcm(*(amount.denominator for amount in parsed.values()))
        if common <= 10**12 and max(parsed.values()) * common <= _kernels.MAX_NUMERATOR:
            found[row] = parsed
    symbols = canonical_order({*amounts.elements, *(s for parsed in found.values() for s in parsed)})
    numerators = np.zeros((len(amounts), len(symbols)), dtype=np.int64)
    numerators[:, [symbols.index(s) for s in amounts.elements]] = amounts.numerators
    denominators, read = amounts.denominators.copy(), amounts.read.copy()
    for row, parsed in found.items():
        common = lcm(*(amount.denominator for amount in parsed.values()))
        denominators[row], read[row] = common, True
        for symbol, amount in parsed.items():
            numerators[row, symbols.index(symbol)] = int(amount * common)
    return Amounts(tuple(symbols), numerators, denominators, read)


def write_formulas(amounts: Amounts) -> pa.Array:
    """Return canonical formulas; an empty string where a row is not read."""
    import pyarrow as pa

    n_rows, n_columns = amounts.numerators.shape
    symbols = np.zeros((n_columns, 2), dtype=np.uint8)
    for j, symbol in enumerate(amounts.elements):
        encoded = symbol.encode()
        symbols[j, : len(encoded)] = list(encoded)
    per_row = int((amounts.numerators > 0).sum(axis=1).max(initial=0))
    out = np.empty(max(1, n_rows * per_row * _LONGEST_AMOUNT), dtype=np.uint8)
    offsets = np.zeros(n_rows + 1, dtype=np.int32)
    numerators = np.where(amounts.read[:, None], amounts.numerators, 0)
    _kernels.write_formulas(numerators, amounts.denominators, np.arange(n_columns), symbols, out, offsets)
    return pa.StringArray.from_buffers(
        n_rows, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]].tobytes())
    )
