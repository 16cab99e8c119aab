"""Symmetry of a supercell as permutations of its disordered sites, and one form for each class of arrangements.

Two arrangements are equivalent when a space-group operation of the bare positions, or a lattice translation of
the primitive cell, maps one on the other. Only operations that keep the supercell's lattice count.
"""

from __future__ import annotations

import functools

import numpy as np

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.lattice import (
    IntArray,
    cell_index,
    cell_vectors,
    form_matrix,
    hermite_form,
)
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.sites import SiteModel


@functools.lru_cache(maxsize=8)
def _site_images(model: SiteModel) -> tuple[IntArray, IntArray]:
    """Return, for each operation and primitive site, the image site and the cell it lies in."""
    images = np.empty((len(model.rotations), model.n_sites), dtype=np.int64)
    shifts = np.empty((len(model.rotations), model.n_sites, 3), dtype=np.int64)
    for n, (w, t) in enumerate(zip(model.rotations, model.translations, strict=True)):
        moved = model.frac @ w.T + t
        delta = moved[:, None] - model.frac[None]
        whole = np.rint(delta)
        gaps = ((((delta - whole) @ model.lattice) ** 2).sum(axis=2)).round(6)
        images[n] = gaps.argmin(axis=1)
        rows = np.arange(model.n_sites)
        if gaps[rows, images[n]].max() > 1e-3 or len(set(images[n].tolist())) < model.n_sites:
            raise OrderingError("the symmetry found does not map the positions on themselves")
        shifts[n] = whole[rows, images[n]].astype(np.int64)
    return images, shifts


def site_permutations(problem: OrderingProblem) -> IntArray:
    """Return the symmetry of the supercell as permutations of the disordered sites.

    Operations that exchange groups or break the site rules (allowed sites, kept site occupancies) are left out,
    so that every permutation maps allowed arrangements on allowed ones.

    Returns
    -------
    (operations, n) integers
        Row g sends site i to ``row[i]``; the identity comes first, no row twice.
    """
    model, form = problem.model, problem.form
    images, shifts = _site_images(model)
    matrix, vectors = form_matrix(form), cell_vectors(form)
    place = np.full((model.n_sites, problem.index), -1, dtype=np.int64)
    place[problem.site, problem.cell] = np.arange(problem.n)
    rows = []
    for w, image, shift in zip(model.rotations, images, shifts, strict=True):
        if hermite_form(matrix @ w.T) != form:
            continue
        start = vectors[problem.cell] @ w.T + shift[problem.site]
        cells = cell_index(start[None] + vectors[:, None], form)
        rows.append(place[image[problem.site][None], cells])
    permutations = np.concatenate(rows)
    group = problem.group_of
    keep = (permutations >= 0).all(axis=1)
    keep &= (group[permutations] == group[None]).all(axis=1)
    for rule in np.unique(problem.allowed, axis=0):
        keep &= (rule[permutations] == rule[None]).all(axis=1)
    permutations = permutations[keep]
    unique = np.unique(permutations, axis=0)
    identity = np.arange(problem.n)
    others = unique[(unique != identity).any(axis=1)]
    return np.concatenate([identity[None], others])


def canonical(values: IntArray, permutations: IntArray) -> bytes:
    """Return the smallest image of an arrangement under all permutations, as bytes.

    Parameters
    ----------
    values : (n,) integers, 0 ... 255
        What each site holds.
    permutations : (operations, n) integers
        From :func:`site_permutations`.
    """
    images = np.ascontiguousarray(values.astype(np.uint8)[permutations])
    return _smallest(images)


def _smallest(images: np.ndarray) -> bytes:
    """Return the lexicographically smallest row."""
    rows = np.arange(len(images))
    for column in range(images.shape[1]):
        if len(rows) == 1:
            break
        part = images[rows, column]
        rows = rows[part == part.min()]
    return images[rows[0]].tobytes()


def stabiliser_size(values: IntArray, permutations: IntArray) -> int:
    """Return how many permutations leave an arrangement unchanged."""
    return int((values[permutations] == values[None]).all(axis=1).sum())
