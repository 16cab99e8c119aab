"""Piecewise linear paths of many compositions at once: the array form of :func:`profile.envelope`.

Every facet mu is a straight line ``mu . base + t (mu . direction)`` along a path; the energy of the hull is the
highest of them. From t = 0 the walk goes from line to line, each time to the one that is met first and, of
several that meet in one point, to the steepest; all compositions of one direction take their step together, and
only lines steeper than the least steep of theirs are looked at. With a cache of
facets instead of the full hull the path is accepted only where the hull itself has the energy of the envelope at
every corner and its slope in the end: the energy is convex and nowhere below the envelope, so the two are then
the same. Otherwise the facets that were lacking are in the cache now, and the path is walked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nasicon_struct.errors import StabilityError
from nasicon_struct.stability.faces import dot_in_order
from nasicon_struct.stability.hull import Hull
from nasicon_struct.stability.profile import SLOPE_TOLERANCE_EV

#: Lines closer than this at t = 0, eV per atom, meet there.
_TIE_EV: Final = 1e-12
#: Pieces shorter than this, as a share of the composition, are corners in which several lines meet.
_SHORTEST: Final = 1e-10
#: A corner of a cached envelope this far below the hull, eV per atom, is not one.
_VERIFIED_EV: Final = 1e-11
_BLOCK: Final = 1 << 17
_MAX_ROUNDS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Envelopes:
    """Pieces of M paths, one after the other: those of path i are ``offsets[i]:offsets[i + 1]``.

    Attributes
    ----------
    offsets : ndarray of int, shape (M + 1,)
    slopes : ndarray, shape (K,)
        Slope of each piece, eV per unit of t, rising within a path.
    starts : ndarray, shape (K,)
        t at which each piece starts; 0 for the first of a path.
    energies_ev : ndarray, shape (K,)
        Energy of the hull there, eV.
    """

    offsets: np.ndarray
    slopes: np.ndarray
    starts: np.ndarray
    energies_ev: np.ndarray

    @property
    def path(self) -> np.ndarray:
        """Path that each piece belongs to, shape (K,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def envelopes(hull: Hull, bases: np.ndarray, directions: np.ndarray) -> Envelopes:
    """Return the pieces of the hull energy along ``base + t direction``, t >= 0, of many paths.

    Parameters
    ----------
    hull : Hull
    bases : ndarray, shape (M, E)
        Amounts of the elements, non-negative; not all zero.
    directions : ndarray, shape (E,) or (M, E)
        One direction for all paths, or one each.
    """
    directions = np.broadcast_to(np.asarray(directions, dtype=float), bases.shape)
    if hull.full:
        return _join(len(bases), [(np.arange(len(bases)), *_walk(hull.planes_ev, bases, directions))])
    hull.energies(np.vstack([bases, np.unique(directions, axis=0)]))
    pending = np.arange(len(bases))
    parts: list[tuple[np.ndarray, ...]] = []
    for _ in range(_MAX_ROUNDS):
        path, slopes, starts, energies = _walk(hull.planes_ev, bases[pending], directions[pending])
        base, direction = bases[pending[path]], directions[pending[path]]
        corners = base + starts[:, None] * direction
        atoms = corners.sum(axis=1)
        bad = hull.energies(corners) > energies + _VERIFIED_EV * atoms
        last = np.append(path[1:] != path[:-1], True)
        final = hull.energies(direction[last])
        bad[last] |= final > slopes[last] + SLOPE_TOLERANCE_EV
        again = np.zeros(len(pending), dtype=bool)
        again[path[bad]] = True
        keep = ~again[path]
        parts.append((pending, path[keep], slopes[keep], starts[keep], energies[keep]))
        if not again.any():
            return _join(len(bases), parts)
        pending = pending[again]
    raise StabilityError(
        f"the paths of {len(pending)} compositions did not settle within {_MAX_ROUNDS} rounds; the energies are "
        "too badly scaled, check them with check_entries"
    )


def _join(n_paths: int, parts: Sequence[tuple[np.ndarray, ...]]) -> Envelopes:
    path = np.concatenate([rows[local] for rows, local, *_ in parts])
    slopes, starts, energies = (np.concatenate([part[k] for part in parts]) for k in (2, 3, 4))
    order = np.argsort(path, kind="stable")
    counts = np.bincount(path, minlength=n_paths)
    return Envelopes(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        slopes=slopes[order],
        starts=starts[order],
        energies_ev=energies[order],
    )


def _walk(
    planes: np.ndarray, bases: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return path, slope, start and energy of all pieces, those of one path together and in order."""
    found = [[np.empty(0, dtype=int)], [np.empty(0)], [np.empty(0)], [np.empty(0)]]
    for rows in _groups(directions):
        slopes = dot_in_order(planes, np.broadcast_to(directions[rows[0]], planes.shape))
        falling = np.argsort(-slopes, kind="stable")
        growth = float(directions[rows[0]].sum())
        transposed = np.ascontiguousarray(planes[falling].T)
        step = max(1, _BLOCK // max(1, len(planes)))
        for at in range(0, len(rows), step):
            block = rows[at : at + step]
            pieces = _walk_block(transposed, slopes[falling], bases[block], growth)
            path = np.concatenate([piece[0] for piece in pieces])
            order = np.argsort(path, kind="stable")
            found[0].append(block[path[order]])
            for k in (1, 2, 3):
                found[k].append(np.concatenate([piece[k] for piece in pieces])[order])
    path, slopes, starts, energies = (np.concatenate(part) for part in found)
    order = np.argsort(path, kind="stable")
    return path[order], slopes[order], starts[order], energies[order]


def _groups(directions: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each direction."""
    if not len(directions):
        return []
    if (directions == directions[0]).all():
        return [np.arange(len(directions))]
    _, group = np.unique(directions, axis=0, return_inverse=True)
    group = group.ravel()
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _walk_block(
    planes: np.ndarray, slopes: np.ndarray, bases: np.ndarray, growth: float
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Walk from t = 0 along lines of falling slope, shape (F,); ``planes`` has the shape (E, F)."""
    heights = bases @ planes
    size = bases.sum(axis=1)
    active = np.arange(len(bases))
    t = np.zeros(len(bases))
    # The steepest of the lines that are highest at t = 0.
    value = heights.max(axis=1)
    line = np.argmax(heights >= (value - _TIE_EV * size)[:, None], axis=1)
    gaps, crossings = np.empty_like(heights), np.empty_like(heights)
    pieces = []
    while True:
        slope, height = slopes[line], heights[np.arange(len(active)), line]
        pieces.append((active, slope, t, value))
        # Where the lines that are steeper cross this one: of those that meet in the next corner the steepest.
        steeper = int(np.searchsorted(-slopes, -(slope.min() + SLOPE_TOLERANCE_EV)))
        if not steeper:
            return pieces
        part = (slice(len(active)), slice(steeper))
        gap = np.subtract(slopes[:steeper], slope[:, None], out=gaps[part])
        crossing = np.subtract(height[:, None], heights[:, :steeper], out=crossings[part])
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(crossing, gap, out=crossing)
        np.copyto(crossing, np.inf, where=gap <= SLOPE_TOLERANCE_EV)
        following = crossing.min(axis=1)
        going = np.flatnonzero(np.isfinite(following))
        if not len(going):
            return pieces
        limit = following + _SHORTEST * (size / growth + following)
        met = np.argmax(crossing <= limit[:, None], axis=1)[going]
        t = np.maximum(crossing[going, met], t[going])
        value = height[going] + slope[going] * t
        line = met
        if len(going) < len(active):
            heights, size, active = heights[going, :steeper], size[going], active[going]
        else:
            heights = heights[:, :steeper]
