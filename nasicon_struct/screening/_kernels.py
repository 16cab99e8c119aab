"""Compiled loops over formulas: reading, writing, and the features of the phase model."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

#: Most decimals and largest numerator that integer arithmetic handles; beyond, a row is read exactly.
MAX_DECIMALS: Final = 9
#: 12 times this stays below 2^53, so a quotient of two amounts is rounded once.
MAX_NUMERATOR: Final = 750_000_000_000_000
#: Largest amount of one element that the exact parser accepts.
MAX_AMOUNT: Final = 1_000_000
#: Mentions of elements in one formula, and characters of it.
MAX_MENTIONS: Final = 32
MAX_CHARACTERS: Final = 400
_POWERS = np.array([10**k for k in range(MAX_DECIMALS + 1)], dtype=np.int64)


@njit(cache=True)
def read_formulas(
    data: np.ndarray,
    offsets: np.ndarray,
    two_letters: np.ndarray,
    one_letter: np.ndarray,
    column_of: np.ndarray,
    n_columns: int,
    numerators: np.ndarray,
    denominators: np.ndarray,
    read: np.ndarray,
) -> int:
    """Read plain formulas (symbols and decimal numbers) into integers; leave all others unread.

    Parameters
    ----------
    data : ndarray of uint8
        Characters of all formulas.
    offsets : ndarray of int64, shape (M + 1,)
    two_letters : ndarray of int64, shape (26, 26); one_letter : ndarray of int64, shape (26,)
        Number of the element of a symbol, -1 for none.
    column_of : ndarray of int64
        Column of each element, -1 where it has none yet; filled in here.
    n_columns : int
        Columns used so far.
    numerators : ndarray of int64, shape (M, K); denominators : ndarray of int64, shape (M,)
        Amounts are numerators / denominator. Zero on entry.
    read : ndarray of bool, shape (M,)
        Set where the row was read.

    Returns
    -------
    int
        Columns used.
    """
    element = np.empty(MAX_MENTIONS, np.int64)
    mantissa = np.empty(MAX_MENTIONS, np.int64)
    decimals = np.empty(MAX_MENTIONS, np.int64)
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        if end == at or end - at > MAX_CHARACTERS:
            continue
        mentions, good, most = 0, True, 0
        while at < end:
            first = np.int64(data[at]) - 65
            if first < 0 or first > 25 or mentions == MAX_MENTIONS:
                good = False
                break
            at += 1
            found = np.int64(-1)
            if at < end and 97 <= data[at] <= 122:
                found = two_letters[first, np.int64(data[at]) - 97]
                at += 1
            else:
                found = one_letter[first]
            if found < 0:
                good = False
                break
            value, places, digits, point = np.int64(0), 0, 0, False
            while at < end:
                char = data[at]
                if 48 <= char <= 57:
                    if value > 10**14:
                        good = False
                        break
                    value = value * 10 + (np.int64(char) - 48)
                    digits += 1
                    if point:
                        places += 1
                elif char == 46 and not point and digits > 0:
                    point = True
                else:
                    break
                at += 1
            if not good or places > MAX_DECIMALS:
                good = False
                break
            if digits == 0:
                value = np.int64(1)
            element[mentions], mantissa[mentions], decimals[mentions] = found, value, places
            most = max(most, places)
            mentions += 1
        if not good:
            continue
        scale = _POWERS[most]
        for k in range(mentions):
            factor = _POWERS[most - decimals[k]]
            if mantissa[k] > MAX_NUMERATOR // factor or mantissa[k] * factor > MAX_AMOUNT * scale:
                good = False
                break
            column = column_of[element[k]]
            if column < 0:
                if n_columns == numerators.shape[1]:
                    good = False
                    break
                column = n_columns
                column_of[element[k]] = column
                n_columns += 1
            numerators[row, column] += mantissa[k] * factor
            if numerators[row, column] > MAX_NUMERATOR:
                good = False
                break
        if not good:
            numerators[row, :] = 0
            continue
        denominators[row] = scale
        read[row] = True
    return n_columns


@njit(cache=True)
def _write_integer(out: np.ndarray, at: int, value: int) -> int:
    if value == 0:
        out[at] = 48
        return at + 1
    digits = 0
    rest = value
    while rest:
        digits += 1
        rest //= 10
    for k in range(digits - 1, -1, -1):
        out[at + k] = 48 + value % 10
        value //= 10
    return at + digits


@njit(cache=True)
def _write_amount(out: np.ndarray, at: int, numerator: int, denominator: int) -> int:
    """Write an amount as ``format_amount`` does."""
    a, b = numerator, denominator
    while b:
        a, b = b, a % b
    numerator //= a
    denominator //= a
    if denominator == 1:
        return at if numerator == 1 else _write_integer(out, at, numerator)
    rest, twos, fives = denominator, 0, 0
    while rest % 2 == 0:
        rest //= 2
        twos += 1
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    places = max(twos, fives)
    if rest == 1 and places <= 8:
        scale = _POWERS[places]
        at = _write_integer(out, at, numerator // denominator)
        out[at] = 46
        at += 1
        fraction = (numerator % denominator) * (scale // denominator)
        for k in range(places - 1, -1, -1):
            out[at + k] = 48 + fraction % 10
            fraction //= 10
        return at + places
    at = _write_integer(out, at, numerator)
    out[at] = 47
    return _write_integer(out, at + 1, denominator)


@njit(cache=True)
def write_formulas(
    numerators: np.ndarray,
    denominators: np.ndarray,
    order: np.ndarray,
    symbols: np.ndarray,
    out: np.ndarray,
    offsets: np.ndarray,
) -> None:
    """Write amounts as canonical formulas.

    Parameters
    ----------
    numerators : ndarray of int64, shape (M, K); denominators : ndarray of int64, shape (M,)
        A row of zeros is written as nothing.
    order : ndarray of int64
        Columns in the order of the formula.
    symbols : ndarray of uint8, shape (K, 2)
        Characters of each column's symbol, 0 for none.
    out : ndarray of uint8
        Room for the characters.
    offsets : ndarray of int32, shape (M + 1,)
        Filled.
    """
    at = 0
    for row in range(len(numerators)):
        offsets[row] = at
        for column in order:
            if numerators[row, column] <= 0:
                continue
            out[at] = symbols[column, 0]
            at += 1
            if symbols[column, 1]:
                out[at] = symbols[column, 1]
                at += 1
            at = _write_amount(out, at, numerators[row, column], denominators[row])
    offsets[len(numerators)] = at


@njit(cache=True)
def phase_rows(
    na: np.ndarray,
    si: np.ndarray,
    p: np.ndarray,
    t_total: np.ndarray,
    m_amounts: np.ndarray,
    radii: np.ndarray,
    states: np.ndarray,
    is_zr: np.ndarray,
    zr_radius: float,
    half_amount: float,
    two: float,
    features: np.ndarray,
    elements: np.ndarray,
) -> None:
    """Fill the features of the phase model, in the order and rounding of the single-candidate code.

    Parameters
    ----------
    na, si, p, t_total : ndarray, shape (M,)
        Per O12.
    m_amounts : ndarray, shape (M, K)
        Amounts of the M-site elements per O12, Zr first, then by symbol.
    radii, states : ndarray, shape (K,)
        Shannon radii, angstrom, and formal charges.
    is_zr : ndarray of bool, shape (K,)
    zr_radius, half_amount : float
        Constants of the phase model.
    two : float
        2: an argument, so that the power is taken as Python takes it.
    features : ndarray, shape (M, 10)
        Filled, in the order of ``nasicon_struct.phase_model.FEATURES``.
    elements : ndarray, shape (M, K)
        Filled: d / (d + half_amount).
    """
    k = m_amounts.shape[1]
    for row in range(len(na)):
        total = 0.0
        for j in range(k):
            total += m_amounts[row, j]
        mean, squares, trivalent, divalent = 0.0, 0.0, 0.0, 0.0
        for j in range(k):
            amount = m_amounts[row, j]
            if amount > 0.0:
                fraction = amount / total
                mean += fraction * radii[j]
                squares += fraction * fraction
                if states[j] == 3:
                    trivalent += fraction
                if states[j] == 2:
                    divalent += amount
        variance = 0.0
        for j in range(k):
            amount = m_amounts[row, j]
            elements[row, j] = 0.0
            if amount > 0.0:
                variance += (amount / total) * (radii[j] - mean) ** two
                if not is_zr[j]:
                    elements[row, j] = amount / (amount + half_amount)
        p_fraction = p[row] / t_total[row]
        ordered = max(0.0, 1.0 - abs(na[row] - 3.0) / 0.1)
        ordered *= max(0.0, 1.0 - 3.0 * (1.0 - p_fraction) / 0.1)
        ordered *= max(0.0, 1.0 - (1.0 - trivalent) / 0.1)
        features[row, 0] = 1.0
        features[row, 1] = max(0.0, 3.0 - na[row])
        features[row, 2] = max(0.0, na[row] - 3.0)
        features[row, 3] = max(0.0, 2.0 - si[row])
        features[row, 4] = 1.0 - squares
        features[row, 5] = divalent
        features[row, 6] = (mean - zr_radius) / 0.1
        features[row, 7] = math.sqrt(max(0.0, variance)) / 0.1
        features[row, 8] = max(0.0, 2.0 - total)
        features[row, 9] = ordered


@njit(cache=True)
def quadratic_rows(
    linear: np.ndarray,
    near: np.ndarray,
    inverse: np.ndarray,
    weights: np.ndarray,
    covariance: np.ndarray,
    value: np.ndarray,
    variance: np.ndarray,
    explained: np.ndarray,
) -> None:
    """Fill value, variance and explained share of the local term, each sum taken from first to last.

    Parameters
    ----------
    linear : ndarray, shape (M, P)
    near : ndarray, shape (M, N)
    inverse : ndarray, shape (N, N)
    weights : ndarray, shape (P + N,); covariance : ndarray, shape (P + N, P + N)
    value, variance, explained : ndarray, shape (M,)
        Filled.
    """
    n_linear, n_near = linear.shape[1], near.shape[1]
    size = n_linear + n_near
    full = np.empty(size)
    spread = np.empty(size)
    for row in range(len(linear)):
        full[:n_linear] = linear[row]
        for j in range(n_near):
            full[n_linear + j] = near[row, 0] * inverse[0, j]
        for i in range(1, n_near):
            for j in range(n_near):
                full[n_linear + j] += near[row, i] * inverse[i, j]
        for j in range(size):
            spread[j] = full[0] * covariance[0, j]
        for i in range(1, size):
            for j in range(size):
                spread[j] += full[i] * covariance[i, j]
        total = full[0] * weights[0]
        square = spread[0] * full[0]
        for j in range(1, size):
            total += full[j] * weights[j]
            square += spread[j] * full[j]
        held = 0.0
        if n_near:
            held = full[n_linear] * near[row, 0]
            for j in range(1, n_near):
                held += full[n_linear + j] * near[row, j]
        value[row], variance[row], explained[row] = total, square, held
