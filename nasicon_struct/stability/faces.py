"""The face of the hull that holds each composition: answers that depend on nothing but the composition.

A composition lies inside one face of the hull, the set of phases that it decomposes to. Its energy follows
from that face alone, and so do the one-sided potentials of an element. Keeping faces instead of facets makes
the answer for a composition the same to the last bit whether it is asked for alone, as one of a million, or
after others: which facets beside the face were found first does not matter.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from nasicon_struct.stability import simplex

#: Phases with less than this share of the atoms are not part of the mixture.
SUPPORT_TOLERANCE: Final = 1e-10
#: A facet holds a composition when no phase in it is needed below minus this share of the atoms.
_INSIDE_TOLERANCE: Final = 1e-11
_TIE_EV: Final = 1e-12
_BLOCK: Final = 1 << 18
_SOLVED_AT_ONCE: Final = 128


def dot_in_order(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return row-wise scalar products, added from left to right whatever the number of rows.

    Parameters
    ----------
    first, second : ndarray, shape (M, E)
    """
    total = first[:, 0] * second[:, 0]
    for j in range(1, first.shape[1]):
        total += first[:, j] * second[:, j]
    return total


def sum_in_order(table: np.ndarray) -> np.ndarray:
    """Return row sums, added from left to right whatever the number of rows: several times faster on narrow tables.

    Parameters
    ----------
    table : ndarray, shape (M, E)
    """
    total = np.zeros(len(table))
    for j in range(table.shape[1]):
        total += table[:, j]
    return total


class FaceCache:
    """Faces of a hull, found where compositions need them.

    Parameters
    ----------
    fractions : ndarray, shape (N, E)
        Atomic fractions of the phases.
    energies_ev : ndarray, shape (N,)
        Formation energies, eV per atom.
    elements_at : ndarray of int, shape (E,)
        For each element, its pure phase.
    """

    def __init__(self, fractions: np.ndarray, energies_ev: np.ndarray, elements_at: np.ndarray) -> None:
        self._x, self._e, self._elements_at = fractions, energies_ev, elements_at
        n = fractions.shape[1]
        self._bases = np.empty((0, n), dtype=np.intp)
        self._planes = np.empty((0, n))
        self._inverses = np.empty((0, n, n))
        self._faces: dict[bytes, int] = {}
        self._members: list[np.ndarray] = []
        self._potentials = np.empty((0, n))
        self._slopes: dict[tuple[int, int], np.ndarray] = {}

    @property
    def planes_ev(self) -> np.ndarray:
        """Chemical potentials of the facets found so far, eV per atom, shape (facets, elements)."""
        return self._planes

    def energies(self, compositions: np.ndarray, faces: np.ndarray | None = None) -> np.ndarray:
        """Return the hull energy of each composition, eV per unit of it.

        Parameters
        ----------
        compositions : ndarray, shape (M, E)
        faces : ndarray of int, shape (M,), optional
            From :meth:`find`, where they are known.
        """
        faces = self.find(compositions) if faces is None else faces
        return dot_in_order(compositions, self._potentials[faces])

    def slopes(
        self, compositions: np.ndarray, column: int, sign: int, faces: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the one-sided potential of an element at each composition, eV.

        Parameters
        ----------
        compositions : ndarray, shape (M, E)
        column : int
            The element.
        sign : int
            +1 for more of it, -1 for less (then -inf where there is none).
        faces : ndarray of int, shape (M,), optional
            From :meth:`find`, where they are known.
        """
        faces = self.find(compositions) if faces is None else faces
        result = self._slopes_of_faces(np.unique(faces), column, sign)[faces]
        return np.where(compositions[:, column] > 0, result, -np.inf) if sign < 0 else result

    def members(self, face: int) -> np.ndarray:
        """Return the phases of a face, as indices into the hull's phases, rising."""
        return self._members[face]

    def _slopes_of_faces(self, faces: np.ndarray, column: int, sign: int) -> np.ndarray:
        """Return the potentials by face, NaN for a face that was not asked for."""
        known = self._slopes.get((column, sign), np.empty(0))
        known = np.concatenate([known, np.full(len(self._members) - len(known), np.nan)])
        new = faces[np.isnan(known[faces])]
        if len(new):
            centres = np.array([self._x[self._members[face]].mean(axis=0) for face in new])
            inside = np.flatnonzero((centres[:, column] > 0) | (sign > 0))
            known[np.delete(new, inside)] = -np.inf
            if len(inside):
                directions = simplex.perturbation(len(self._elements_at), column, sign)
                solved = simplex.solve(
                    self._x, self._e, centres[inside], self._elements_at, directions=directions
                )
                bases = np.sort(solved.basis, axis=1)
                known[new[inside]] = self._planes_of(bases)[1][:, column]
        self._slopes[column, sign] = known
        return known

    def _planes_of(self, bases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inverses and planes of sorted bases, one at a time, so that company does not matter."""
        inverses = np.array([np.linalg.inv(self._x[basis]) for basis in bases])
        planes = np.array(
            [(inverse * self._e[basis]).sum(axis=1) for inverse, basis in zip(inverses, bases, strict=True)]
        )
        return inverses, planes

    # ---- finding

    def find(self, compositions: np.ndarray) -> np.ndarray:
        """Return the face of each composition, an index, shape (M,)."""
        faces = np.full(len(compositions), -1)
        pending = np.arange(len(compositions))
        while len(pending):
            if len(self._planes):
                faces[pending] = self._look_up(compositions[pending])
                pending = pending[faces[pending] < 0]
            if not len(pending):
                break
            spread = np.unique(np.linspace(0, len(pending) - 1, _SOLVED_AT_ONCE).astype(int))
            chosen = compositions[pending[spread]]
            solved = simplex.solve(self._x, self._e, chosen, self._elements_at)
            share = solved.amounts > SUPPORT_TOLERANCE * chosen.sum(axis=1, keepdims=True)
            for row, basis, held in zip(pending[spread], solved.basis, share, strict=True):
                faces[row] = self._face(np.sort(basis[held]))
            self._remember(solved.basis)
            pending = np.delete(pending, spread)
        return faces

    def _remember(self, bases: np.ndarray) -> None:
        new = np.unique(np.sort(bases, axis=1), axis=0)
        known = {basis.tobytes() for basis in self._bases}
        new = np.array([basis for basis in new if basis.tobytes() not in known], dtype=np.intp)
        if not len(new):
            return
        inverses, planes = self._planes_of(new)
        self._bases = np.concatenate([self._bases, new])
        self._inverses = np.concatenate([self._inverses, inverses])
        self._planes = np.concatenate([self._planes, planes])

    def _face(self, members: np.ndarray) -> int:
        """Return the index of a face, by its phases in rising order."""
        key = members.tobytes()
        if key not in self._faces:
            self._faces[key] = len(self._members)
            self._members.append(members)
            potential = np.linalg.lstsq(self._x[members], self._e[members], rcond=None)[0]
            self._potentials = np.vstack([self._potentials, potential])
        return self._faces[key]

    def _look_up(self, compositions: np.ndarray) -> np.ndarray:
        """Return the face of each composition, -1 where no known facet holds it."""
        faces = np.full(len(compositions), -1)
        transposed = np.ascontiguousarray(self._planes.T)
        step = max(1, _BLOCK // max(len(self._planes), self._planes.shape[1] ** 2))
        for at in range(0, len(compositions), step):
            block = compositions[at : at + step]
            values = block @ transposed
            facet = np.argmax(values, axis=1)
            found = self._inside(block, facet)
            rows = np.flatnonzero(found < 0)
            if len(rows):
                # Several bases may share one plane (coplanar phases): any of them may hold the composition.
                total = block[rows].sum(axis=1, keepdims=True)
                ties = values[rows] >= values[rows].max(axis=1, keepdims=True) - _TIE_EV * total
                ties[np.arange(len(rows)), facet[rows]] = False
                while len(rows) and ties.any():
                    alive = ties.any(axis=1)
                    rows, ties = rows[alive], ties[alive]
                    other = np.argmax(ties, axis=1)
                    found[rows] = self._inside(block[rows], other)
                    ties[np.arange(len(rows)), other] = False
                    rows, ties = rows[found[rows] < 0], ties[found[rows] < 0]
            faces[at : at + step] = found
        return faces

    def _inside(self, compositions: np.ndarray, facet: np.ndarray) -> np.ndarray:
        """Return the face of each composition in one facet each, -1 where the facet does not hold it."""
        amounts = np.einsum("me,mej->mj", compositions, self._inverses[facet])
        total = compositions.sum(axis=1, keepdims=True)
        inside = (amounts >= -_INSIDE_TOLERANCE * total).all(axis=1)
        n = compositions.shape[1]
        keys = (facet << n) | ((amounts > SUPPORT_TOLERANCE * total) @ (1 << np.arange(n)))
        keys = np.where(inside, keys, -1)
        unique, inverse = np.unique(keys, return_inverse=True)
        known = np.full(len(unique), -1)
        for i, key in enumerate(unique.tolist()):
            if key >= 0:
                held = (key >> np.arange(n)) & 1 == 1
                known[i] = self._face(self._bases[key >> n][held])
        return known[inverse]
