"""Integer lattices: Hermite normal forms, reduced bases, and supercell shapes up to symmetry.

A supercell is an integer matrix H whose rows are its lattice vectors in the primitive basis. Each sublattice
of index n has exactly one lower-triangular Hermite normal form ((a,0,0),(b,c,0),(d,e,f)) with acf = n,
0 <= b,d < a and 0 <= e < c, so listing these forms lists every supercell of n primitive cells once
(G. L. W. Hart, R. W. Forcade, Phys. Rev. B 77 (2008) 224115, doi 10.1103/PhysRevB.77.224115).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
HermiteForm = tuple[int, int, int, int, int, int]


def hermite_form(rows: Sequence[Sequence[int]] | IntArray) -> HermiteForm:
    """Return (a, b, c, d, e, f) of the lower-triangular Hermite normal form of the lattice of ``rows``.

    Parameters
    ----------
    rows : (n, 3) integers
        Vectors that span the lattice; n may exceed 3.

    Raises
    ------
    ValueError
        If the rows do not span three dimensions.
    """
    work = [[int(x) for x in row] for row in rows]
    basis: list[list[int]] = []
    for axis in (2, 1, 0):
        while True:
            nonzero = [row for row in work if row[axis]]
            if not nonzero:
                raise ValueError("the vectors do not span three dimensions")
            pivot = min(nonzero, key=lambda row: abs(row[axis]))
            done = True
            for row in work:
                if row is not pivot and row[axis]:
                    factor = row[axis] // pivot[axis]
                    for k in range(3):
                        row[k] -= factor * pivot[k]
                    done = done and not row[axis]
            if done:
                break
        work = [row for row in work if row is not pivot]
        basis.insert(0, [-x for x in pivot] if pivot[axis] < 0 else pivot)
    (a, _, _), (b, c, _), (d, e, f) = basis
    b %= a
    shift = e // c
    d, e = d - shift * b, e - shift * c
    return a, b, c, d % a, e, f


def form_matrix(form: HermiteForm) -> IntArray:
    """Return the 3x3 integer matrix of a Hermite normal form."""
    a, b, c, d, e, f = form
    return np.array([[a, 0, 0], [b, c, 0], [d, e, f]], dtype=np.int64)


def hermite_forms(index: int) -> Iterator[HermiteForm]:
    """Yield the Hermite normal form of every sublattice of the given index."""
    for a in (n for n in range(1, index + 1) if index % n == 0):
        for c in (n for n in range(1, index // a + 1) if (index // a) % n == 0):
            for b, d, e in itertools.product(range(a), range(a), range(c)):
                yield a, b, c, d, e, index // (a * c)


def cell_index(cells: IntArray, form: HermiteForm) -> IntArray:
    """Number the primitive cells of a supercell: translations equal modulo it get the same number.

    Parameters
    ----------
    cells : (..., 3) integers
        Lattice translations in the primitive basis.

    Returns
    -------
    (...) integers, 0 ... index-1
    """
    a, b, c, d, e, f = form
    x, y, z = (np.array(cells[..., k], dtype=np.int64) for k in range(3))
    k = z // f
    x, y, z = x - k * d, y - k * e, z - k * f
    k = y // c
    x, y = x - k * b, y - k * c
    return ((x % a) * c + y) * f + z


def cell_vectors(form: HermiteForm) -> IntArray:
    """Return the translation (primitive basis) of each numbered cell; inverse of :func:`cell_index`."""
    a, _, c, _, _, f = form
    return np.array(list(itertools.product(range(a), range(c), range(f))), dtype=np.int64)


def reduce_basis(basis: FloatArray) -> IntArray:
    """Return an integer matrix U, det +1, with the rows of ``U @ basis`` Minkowski-reduced.

    Ties within 1e-7 angstrom^2 keep the present vectors, so rounding does not decide.

    Parameters
    ----------
    basis : (3, 3) floats
        Lattice vectors as rows, angstrom.
    """
    metric = np.asarray(basis @ basis.T, dtype=np.float64)
    u = [[int(i == j) for j in range(3)] for i in range(3)]

    def square(v: Sequence[int]) -> float:
        return float(sum(v[i] * v[j] * metric[i, j] for i in range(3) for j in range(3)))

    def dot(v: Sequence[int], w: Sequence[int]) -> float:
        return float(sum(v[i] * w[j] * metric[i, j] for i in range(3) for j in range(3)))

    for _ in range(10_000):
        lengths = [square(v) for v in u]
        changed = False
        for i, j in ((i, j) for i in range(3) for j in range(3) if i != j):
            n = round(dot(u[i], u[j]) / lengths[j])
            candidate = [u[i][k] - n * u[j][k] for k in range(3)]
            if n and square(candidate) < lengths[i] - 1e-7:
                u[i], changed = candidate, True
                break
        if not changed:
            longest = max(range(3), key=lambda i: (round(lengths[i], 6), i))
            i, j = (k for k in range(3) if k != longest)
            for s, t in itertools.product((-1, 0, 1), repeat=2):
                candidate = [u[longest][k] + s * u[i][k] + t * u[j][k] for k in range(3)]
                if square(candidate) < lengths[longest] - 1e-7:
                    u[longest], changed = candidate, True
                    break
        if not changed:
            break
    order = sorted(range(3), key=lambda i: (round(square(u[i]), 6), i))
    result = np.array([u[i] for i in order], dtype=np.int64)
    for i in range(3):  # point each vector along the positive direction of its first nonzero coefficient
        if next(x for x in result[i] if x) < 0:
            result[i] *= -1
    if round(float(np.linalg.det(result))) < 0:
        result[2] *= -1
    return result


def nearest_image_ang(basis: FloatArray) -> float:
    """Return the distance between a site and its nearest periodic image, angstrom."""
    reduced = reduce_basis(basis) @ basis
    return float(np.sqrt((reduced**2).sum(axis=1)).min())


def short_vectors(lattice: FloatArray, radius_ang: float) -> IntArray:
    """Return the nonzero lattice translations within a radius, one of each +- pair, shortest first."""
    reach = np.floor(radius_ang * np.linalg.norm(np.linalg.inv(lattice), axis=0) + 1e-9).astype(int)
    grid = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))), dtype=np.int64)
    first = np.where(grid[:, 0] != 0, grid[:, 0], np.where(grid[:, 1] != 0, grid[:, 1], grid[:, 2]))
    grid = grid[first > 0]
    lengths = np.sqrt(((grid @ lattice) ** 2).sum(axis=1))
    keep = lengths <= radius_ang
    grid, lengths = grid[keep], lengths[keep]
    return grid[np.lexsort((*grid.T[::-1], np.round(lengths, 6)))]


def distinct_forms(index: int, rotations: Iterable[IntArray]) -> list[HermiteForm]:
    """Return one Hermite normal form per class of supercells that symmetry maps on each other.

    Parameters
    ----------
    index : int
        Primitive cells per supercell.
    rotations : iterable of (3, 3) integers
        Rotation parts of the space group on fractional coordinates (columns) of the primitive basis.
    """
    operations = [np.asarray(w).T for w in rotations]
    seen: set[HermiteForm] = set()
    kept = []
    for form in hermite_forms(index):
        if form in seen:
            continue
        matrix = form_matrix(form)
        seen.update(hermite_form(matrix @ w) for w in operations)
        kept.append(form)
    return kept


def rank_shapes(lattice: FloatArray, forms: Sequence[HermiteForm]) -> list[tuple[float, HermiteForm]]:
    """Return (nearest image distance in angstrom, form), most compact first.

    Equal distances are ordered by the sum of squared lengths of the reduced vectors, then by the form.
    """
    if not forms:
        return []
    index = forms[0][0] * forms[0][2] * forms[0][5]
    volume = abs(float(np.linalg.det(lattice))) * index
    radius = (np.sqrt(2.0) * volume) ** (1.0 / 3.0) * 1.001  # no lattice has a longer shortest vector
    vectors = short_vectors(lattice, radius)
    lengths = np.sqrt(((vectors @ lattice) ** 2).sum(axis=1))
    ranked: list[tuple[tuple[Any, ...], float, HermiteForm]] = []
    for form in forms:
        hit = int(np.argmax(cell_index(vectors, form) == 0))
        ranked.append(((-round(float(lengths[hit]), 6),), float(lengths[hit]), form))
    ranked.sort(key=lambda item: (item[0], item[2]))
    best = []
    for i, (key, length, form) in enumerate(ranked):
        if i < 200:  # the tie-break needs a reduction, so it is made for the shapes that can matter
            basis = form_matrix(form) @ lattice
            spread = float(((reduce_basis(basis) @ basis) ** 2).sum())
            key = (*key, round(spread, 5))
        best.append(((*key, form), length, form))
    head = sorted(best[:200], key=lambda item: item[0])
    return [(length, form) for _, length, form in [*head, *best[200:]]]
