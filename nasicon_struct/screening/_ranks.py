"""Compiled loops of the non-dominated sorting."""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.typed import List


@njit(cache=True)
def _first_above(y: np.ndarray, n: int, value: float) -> int:
    """Return the first of ``n`` rising values that is greater."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if y[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def ranks_by_staircase(points: np.ndarray) -> np.ndarray:
    """Return the rank of each of distinct points that come in lexicographic order of (x, y, z).

    Parameters
    ----------
    points : ndarray, shape (M, 2)
        y and z; x has done its work in the order. Less is better.

    Returns
    -------
    ndarray of int, shape (M,)

    Notes
    -----
    Of each front the staircase of (y, z) is kept: y rises, z falls. A point is beaten by the front when the step
    at or before its y has a z that is not greater. If a front does not beat a point, no later front does, since
    each member of a later front is beaten by one of this front: so the front is found by bisection.
    """
    m = len(points)
    ranks = np.zeros(m, np.int64)
    ys = List()
    zs = List()
    sizes = List()
    for i in range(m):
        y, z = points[i, 0], points[i, 1]
        low, high = 0, len(sizes)
        while low < high:
            middle = (low + high) // 2
            step = _first_above(ys[middle], sizes[middle], y)
            if step > 0 and zs[middle][step - 1] <= z:
                low = middle + 1
            else:
                high = middle
        ranks[i] = low + 1
        if low == len(sizes):
            ys.append(np.empty(4))
            zs.append(np.empty(4))
            sizes.append(0)
        front_y, front_z, n = ys[low], zs[low], sizes[low]
        at = _first_above(front_y, n, y)
        first = at
        if at > 0 and front_y[at - 1] == y:  # same y, greater z: replaced
            first = at - 1
        last = at
        while last < n and front_z[last] >= z:  # steps that the new one covers
            last += 1
        shift = 1 - (last - first)
        if n + shift > len(front_y):
            wider_y, wider_z = np.empty(2 * len(front_y)), np.empty(2 * len(front_y))
            wider_y[:n], wider_z[:n] = front_y[:n], front_z[:n]
            front_y, front_z = wider_y, wider_z
            ys[low], zs[low] = front_y, front_z
        if shift > 0:
            for k in range(n - 1, last - 1, -1):
                front_y[k + shift], front_z[k + shift] = front_y[k], front_z[k]
        elif shift < 0:
            for k in range(last, n):
                front_y[k + shift], front_z[k + shift] = front_y[k], front_z[k]
        front_y[first], front_z[first] = y, z
        sizes[low] = n + shift
    return ranks


@njit(cache=True)
def _beaten(points: np.ndarray, i: int, members: np.ndarray, n: int) -> bool:
    for k in range(n - 1, -1, -1):
        other = members[k]
        worse = False
        for j in range(points.shape[1]):
            if points[other, j] > points[i, j]:
                worse = True
                break
        if not worse:
            return True
    return False


@njit(cache=True)
def ranks_by_members(points: np.ndarray) -> np.ndarray:
    """Return the rank of each of distinct points in lexicographic order, shape (M, K); less is better."""
    m = len(points)
    ranks = np.zeros(m, np.int64)
    fronts = List()
    sizes = List()
    for i in range(m):
        low, high = 0, len(sizes)
        while low < high:
            middle = (low + high) // 2
            if _beaten(points, i, fronts[middle], sizes[middle]):
                low = middle + 1
            else:
                high = middle
        ranks[i] = low + 1
        if low == len(sizes):
            fronts.append(np.empty(4, np.int64))
            sizes.append(0)
        n = sizes[low]
        if n == len(fronts[low]):
            wider = np.empty(2 * n, np.int64)
            wider[:n] = fronts[low]
            fronts[low] = wider
        fronts[low][n] = i
        sizes[low] = n + 1
    return ranks
