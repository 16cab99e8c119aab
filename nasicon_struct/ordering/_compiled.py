"""Arithmetic that gives the same bits everywhere, for the compiled parts of the ordering engine.

``exp``, ``erfc``, ``log`` and the trigonometric functions of system libraries differ in the last bit between
platforms, and one flipped bit can send a random walk another way. The versions here use only additions,
multiplications, divisions and square roots in a fixed order, which IEEE 754 defines exactly (no fast-math,
no fused operations), and random numbers come from the 64-bit SplitMix generator (G. L. Steele, D. Lea,
C. H. Flood, OOPSLA 2014, doi 10.1145/2660193.2660195) in integer arithmetic.

This module imports numba and is loaded only when an ordering is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock, with a disk cache where a folder can be written."""
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder for the cache: a read-only installation without a home
        return njit(nogil=True, error_model="numpy")(function)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = (np.uint64(n) for n in (30, 27, 31, 11, 32))
_LOW32 = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)

_LN2 = 0.6931471805599453
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
_TWO_PI = 6.283185307179586
#: exp(-n^2 h^2) and n^2 h^2 for h = 1/2, the nodes of the sum in :func:`erfc`.
_NODE_SQUARES = np.array([0.25 * n * n for n in range(1, 14)])
_NODE_WEIGHTS = np.array(
    [
        0.77880078307140486825,
        0.36787944117144232160,
        0.10539922456186433678,
        0.018315638888734180294,
        0.0019304541362277092422,
        0.00012340980408667954950,
        4.7851173921290088840e-06,
        1.1253517471925911451e-07,
        1.6052280551856116087e-09,
        1.3887943864964020594e-11,
        7.2877240958196924193e-14,
        2.3195228302435693883e-16,
        4.4777324417183015199e-19,
    ]
)


@compiled
def mix(counter):  # type: ignore[no-untyped-def]
    """Return the SplitMix64 output of a 64-bit counter."""
    z = (counter ^ (counter >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    return z ^ (z >> _S31)


@compiled
def next_bits(state):  # type: ignore[no-untyped-def]
    """Advance ``state`` (uint64 array of one) and return 64 random bits."""
    state[0] += _GOLDEN
    return mix(state[0])


@compiled
def below(bits32, n):  # type: ignore[no-untyped-def]
    """Map 32 random bits to 0 ... n-1 (n < 2^31; bias below n / 2^32)."""
    return np.int64((bits32 * np.uint64(n)) >> _S32)


@compiled
def minus_log(bits):  # type: ignore[no-untyped-def]
    """Return -ln(u) for u uniform in (0, 1] made of 64 random bits (error below 1e-8)."""
    k = (bits >> _S11) + _ONE
    mantissa, exponent = math.frexp(np.float64(k))
    z = (mantissa - 1.0) / (mantissa + 1.0)
    z2 = z * z
    series = 1.0 / 15.0
    for n in range(13, 0, -2):
        series = series * z2 + 1.0 / n
    return (53 - exponent) * _LN2 - 2.0 * z * series


@compiled
def exp_minus(x):  # type: ignore[no-untyped-def]
    """Return exp(-x) for x >= 0 (relative error about 1e-16)."""
    if x > 700.0:
        return 0.0
    k = math.floor(x / _LN2 + 0.5)
    r = -((x - k * _LN2_HIGH) - k * _LN2_LOW)
    series = 1.0
    for n in range(15, 0, -1):
        series = 1.0 + series * r / n
    return math.ldexp(series, -int(k))


@compiled
def erfc(x):  # type: ignore[no-untyped-def]
    """Return the complementary error function for x > 0 (relative error about 1e-15).

    Trapezoidal sum of the integral (F. Matta, A. Reichel, Math. Comp. 25 (1971) 339) with step 1/2.
    """
    x2 = x * x
    total = 0.5 / x2
    for n in range(_NODE_SQUARES.shape[0]):
        total += _NODE_WEIGHTS[n] / (_NODE_SQUARES[n] + x2)
    value = exp_minus(x2) * x * total / math.pi
    if x < 6.0:  # the pole of the integrand; 4 pi x for step 1/2
        e = exp_minus(4.0 * math.pi * x)
        value -= 2.0 * e / (1.0 - e) if x > 0.0 else 0.0
    return value


@compiled
def cos_sin_turns(turns):  # type: ignore[no-untyped-def]
    """Return (cos, sin) of 2 pi ``turns`` (absolute error about 1e-16)."""
    t = turns - math.floor(turns)
    eighth = math.floor(t * 4.0 + 0.5)
    x = (t - 0.25 * eighth) * _TWO_PI
    x2 = x * x
    c = 1.0
    s = 1.0
    for n in range(18, 0, -2):
        c = 1.0 - c * x2 / (n * (n - 1))
        s = 1.0 - s * x2 / (n * (n + 1))
    s *= x
    quadrant = eighth % 4
    if quadrant == 0:
        return c, s
    if quadrant == 1:
        return -s, c
    if quadrant == 2:
        return -c, -s
    return s, -c
