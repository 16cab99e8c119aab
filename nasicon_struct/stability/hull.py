"""The lower convex hull of formation energies, as planes of chemical potentials.

A facet of the hull is a vector mu of chemical potentials (eV per atom, relative to the elements) with
``x . mu <= e`` for every phase and equality for the phases on the facet. The hull energy of a composition is
the largest ``x . mu`` over the facets, so one array of planes answers any number of compositions exactly.
Two ways lead there: all facets at once from Qhull (up to six elements), or one facet at a time, where a
composition needs it, by the simplex method (any number of elements).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from nasicon_struct.errors import StabilityError
from nasicon_struct.stability import simplex
from nasicon_struct.stability.faces import FaceCache, dot_in_order, sum_in_order

#: Two energies closer than this, eV per atom, are the same up to the noise of the arithmetic.
TIE_TOLERANCE_EV: Final = 1e-12
#: With more elements than this, facets are found one by one.
MAX_ELEMENTS_OF_FULL_HULL: Final = 6
#: Numbers held at once: small enough to stay in the cache of a core.
_BLOCK: Final = 1 << 17
_SMALLEST: Final = np.finfo(float).tiny


class _Touching(NamedTuple):
    """Facets that hold compositions.

    ``energies`` and ``best``, the facet of each composition; where several may hold it, all of them: ``row``,
    ``facet``, and where each row ``starts`` in these two.
    """

    energies: np.ndarray
    best: np.ndarray
    row: np.ndarray
    facet: np.ndarray
    starts: np.ndarray


class Hull:
    """Hull of formation energies.

    Parameters
    ----------
    elements : sequence of str
    fractions : ndarray, shape (N, E)
        Atomic fractions.
    energies_ev : ndarray, shape (N,)
        Formation energies, eV per atom; each element's lowest phase at 0.
    labels : sequence of str
        Names, which decide between entries of one composition and energy, so that order does not.
    full : bool, optional
        Whether to build all facets; by default up to six elements.

    Attributes
    ----------
    x, e, origin : ndarrays
        Fractions and energies of the lowest entry of each composition, and its index in the input.
    faces : FaceCache
        The face that holds a composition.
    """

    def __init__(
        self,
        elements: Sequence[str],
        fractions: np.ndarray,
        energies_ev: np.ndarray,
        labels: Sequence[str],
        *,
        full: bool | None = None,
    ) -> None:
        self.elements = tuple(elements)
        order = sorted(range(len(labels)), key=lambda i: (labels[i], energies_ev[i]))
        rounded = np.round(fractions[order], 10)
        energies = np.asarray(energies_ev, dtype=float)[order]
        # Lowest energy of each composition; stable in the canonical order above.
        keys = np.lexsort((energies, *rounded.T[::-1]))
        first = np.ones(len(keys), dtype=bool)
        first[1:] = np.any(rounded[keys][1:] != rounded[keys][:-1], axis=1)
        kept = np.sort(keys[first])
        self.origin = np.asarray(order)[kept]
        self.x = np.ascontiguousarray(fractions[self.origin])
        self.e = np.asarray(energies_ev, dtype=float)[self.origin]
        self.labels = tuple(labels[i] for i in self.origin)
        self.elements_at = self._find_elements()
        self.full = len(self.elements) <= MAX_ELEMENTS_OF_FULL_HULL if full is None else full
        self._planes = np.empty((0, len(self.elements)))
        self.faces = FaceCache(self.x, self.e, self.elements_at)
        if self.full and not self._build():
            self.full = False

    def _find_elements(self) -> np.ndarray:
        at = np.full(len(self.elements), -1)
        for j in range(len(self.elements)):
            pure = np.flatnonzero(self.x[:, j] > 1 - 1e-12)
            if len(pure):
                at[j] = pure[0]
        if (at < 0).any():
            missing = ", ".join(self.elements[j] for j in np.flatnonzero(at < 0))
            raise StabilityError(f"the hull needs an elemental entry for {missing}; add it")
        return at

    # ---- all facets

    def _build(self) -> bool:
        """Find all facets with Qhull; False if its answer does not pass the check."""
        from scipy.spatial import ConvexHull, QhullError

        n = len(self.elements)
        # Energies from the pure phases: only what lies below them can be on the hull beside them.
        pure = self.e[self.elements_at]
        below = self.e - self.x @ pure
        candidates = np.union1d(np.flatnonzero(below < -1e-12), self.elements_at)
        if len(candidates) == n:
            self._planes = pure[None, :].copy()
            return True
        depth = -float(below[candidates].min())
        points = np.column_stack([self.x[candidates, 1:], below[candidates] / depth])
        # A point far above makes the body full-dimensional; its facets are dropped.
        top = np.append(np.full(n - 1, 1.0 / n), 1.0)
        try:
            simplices = ConvexHull(np.vstack([points, top]), qhull_options="Qt Q12").simplices
        except QhullError:
            return False
        simplices = candidates[simplices[(simplices < len(candidates)).all(axis=1)]]
        matrices = self.x[simplices]
        volumes = np.abs(np.linalg.det(matrices))
        solid = volumes > 1e-25
        simplices, matrices, volumes = simplices[solid], matrices[solid], volumes[solid]
        if not len(simplices):
            return False
        right = self.e[simplices][..., None]
        planes = np.linalg.solve(matrices, right)
        planes = (planes + np.linalg.solve(matrices, right - matrices @ planes))[..., 0]
        # Lower facets hold every phase above them and tile the simplex of compositions once. A sliver between
        # coplanar phases has no volume and may have no sound plane; its neighbours cover it.
        valid = self._worst_violation(planes) < 1e-10
        if abs(volumes[valid].sum() - 1.0) > 1e-9:
            return False
        planes = planes[valid]
        unique = np.unique(np.round(planes, 11), axis=0, return_index=True)[1]
        self._planes = np.ascontiguousarray(planes[np.sort(unique)])
        return True

    def _worst_violation(self, planes: np.ndarray) -> np.ndarray:
        worst = np.empty(len(planes))
        step = max(1, _BLOCK // max(1, len(self.x)))
        for at in range(0, len(planes), step):
            worst[at : at + step] = (planes[at : at + step] @ self.x.T - self.e).max(axis=1)
        return worst

    @property
    def planes_ev(self) -> np.ndarray:
        """Chemical potentials of the facets known so far, eV per atom, shape (facets, elements)."""
        return self._planes if self.full else self.faces.planes_ev

    # ---- compositions

    def energies(self, compositions: np.ndarray) -> np.ndarray:
        """Return the hull energy of each composition, eV per unit of it (per atom for atomic fractions).

        Parameters
        ----------
        compositions : ndarray, shape (M, E)
        """
        return self._touch(compositions).energies if self.full else self.faces.energies(compositions)

    def _touch(self, compositions: np.ndarray) -> _Touching:
        """Find the facets that hold each composition: a search in single precision, decided in double."""
        planes, atoms = self._planes, sum_in_order(compositions)
        shares = (compositions / np.maximum(atoms, _SMALLEST)[:, None]).astype(np.float32)
        transposed = np.ascontiguousarray(planes.T, dtype=np.float32)
        # What rounding to single precision can hide, twice: terms, inputs, sums.
        doubt = np.float32(2.0**-23 * (planes.shape[1] + 4) * np.abs(planes).max() + 2 * TIE_TOLERANCE_EV)
        step = max(1, _BLOCK // len(planes))
        numbers = np.arange(min(step, len(compositions)))
        values_of_block = np.empty((len(numbers), len(planes)), dtype=np.float32)
        best = np.empty(len(compositions), dtype=np.intp)
        rows, facets = [], []
        for at in range(0, len(compositions), step):
            block = shares[at : at + step]
            here = numbers[: len(block)]
            values = np.matmul(block, transposed, out=values_of_block[: len(block)])
            best[at : at + step] = first = values.argmax(axis=1)
            top = values[here, first]
            values[here, first] = -np.inf
            unsure = np.flatnonzero(values[here, values.argmax(axis=1)] >= top - doubt)
            if len(unsure):
                values[here, first] = top
                ties = np.flatnonzero(values[unsure] >= (top[unsure] - doubt)[:, None])
                row, facet = np.divmod(ties, len(planes))
                rows.append(unsure[row] + at)
                facets.append(facet)
        energies = dot_in_order(compositions, planes[best])
        row = np.concatenate([np.empty(0, dtype=np.intp), *rows])
        facet = np.concatenate([np.empty(0, dtype=np.intp), *facets])
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        if not len(row):
            return _Touching(energies, best, row, facet, starts)
        # Sums in a fixed order, so that a composition has the same energy alone and in any table.
        exact = dot_in_order(compositions[row], planes[facet])
        energies[row[starts]] = np.maximum.reduceat(exact, starts)
        held = exact >= (energies - TIE_TOLERANCE_EV * atoms)[row]
        row, facet = row[held], facet[held]
        return _Touching(energies, best, row, facet, np.flatnonzero(np.diff(row, prepend=-1)))

    def slopes(self, compositions: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest chemical potential of one element at each composition, eV.

        These are the one-sided derivatives of the hull energy: the range of the chemical potential over the
        facets that hold the composition. Without the element in the composition the lowest is -inf.
        """
        return self.energies_and_slopes(compositions, column)[1:]

    def energies_and_slopes(
        self, compositions: np.ndarray, column: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what :meth:`energies` and :meth:`slopes` do, from one search."""
        if self.full:
            touching = self._touch(compositions)
            energies, slope = touching.energies, self._planes[:, column]
            low = slope[touching.best]
            high = low.copy()
            if len(touching.row):
                several = touching.row[touching.starts]
                low[several] = np.minimum.reduceat(slope[touching.facet], touching.starts)
                high[several] = np.maximum.reduceat(slope[touching.facet], touching.starts)
        else:
            faces = self.faces.find(compositions)
            energies = self.faces.energies(compositions, faces)
            low = self.faces.slopes(compositions, column, -1, faces)
            high = self.faces.slopes(compositions, column, +1, faces)
        low = np.where(compositions[:, column] <= 1e-12 * sum_in_order(compositions), -np.inf, low)
        return energies, low, high

    def side(self, compositions: np.ndarray, column: int, sign: int) -> simplex.SimplexSolution:
        """Return the bases of the facets on one side of each composition.

        Parameters
        ----------
        compositions : ndarray, shape (M, E)
        column : int
            The element whose amount is changed by an infinitesimal step.
        sign : int
            +1 for more of it, -1 for less.
        """
        directions = simplex.perturbation(len(self.elements), column, sign)
        return simplex.solve(self.x, self.e, compositions, self.elements_at, directions=directions)
