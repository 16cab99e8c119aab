"""Randomness of the cations: pair correlations of M and T sites against a random alloy.

For each shell s of pairs (same kind of neighbours at nearly the same distance) P_s(a, b) is the share of pairs that
hold species a and b, and for each kind of site P(a) its share of atoms a. A random alloy has
P_s(a, b) = x_a x_b and P(a) = x_a. The error is the root mean square of the differences, every shell and
every kind of site weighing the same (special quasi-random structures: A. Zunger et al., Phys. Rev. Lett. 65
(1990) 353, doi 10.1103/PhysRevLett.65.353).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.ordering.lattice import FloatArray, IntArray, cell_vectors, form_matrix
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.sites import VACANCY

#: Pairs up to this distance are compared, angstrom: about the first two shells of M-M, T-T and M-T.
RADIUS_ANG: Final = 7.0
#: Distances that differ by less than this belong to one shell, angstrom.
_GAP_ANG: Final = 0.25


@dataclass(frozen=True, eq=False)
class Shells:
    """Neighbours of the sites whose randomness counts.

    Attributes
    ----------
    first : (n + 1,) integers
        Where the neighbours of each site start in ``other`` and ``shell``.
    other, shell : (m,) integers
        Neighbour and shell of each ordered pair (both directions are listed).
    target : (shells, elements, elements) floats
        x_a x_b of a random alloy.
    size : (shells,) floats
        Ordered pairs in each shell.
    kind : (n,) integers
        Kind of each site that counts, -1 for others.
    kind_target : (kinds, elements) floats
        x_a of each kind's sublattice.
    kind_size : (kinds,) floats
        Sites of each kind.
    """

    first: IntArray
    other: IntArray
    shell: IntArray
    target: FloatArray
    size: FloatArray
    kind: IntArray
    kind_target: FloatArray
    kind_size: FloatArray


def random_sublattices(problem: OrderingProblem) -> NDArray[np.bool_]:
    """Return for each group whether it belongs to a sublattice of cations without vacancies."""
    return np.array([VACANCY not in problem.model.sublattices[g.sublattice].elements for g in problem.groups])


def _distances(problem: OrderingProblem, sites: IntArray) -> list[tuple[int, int, float]]:
    """Return every ordered pair of sites within the radius, periodic images one by one."""
    supercell = form_matrix(problem.form) @ problem.model.lattice
    inverse = np.linalg.inv(supercell)
    cells = cell_vectors(problem.form)[problem.cell[sites]]
    frac = (problem.model.frac[problem.site[sites]] + cells) @ problem.model.lattice @ inverse
    reach = np.ceil(RADIUS_ANG * np.linalg.norm(inverse, axis=0)).astype(int)
    shifts = np.array(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")).reshape(3, -1).T
    pairs = []
    for i in range(len(sites)):
        delta = frac - frac[i]
        delta -= np.rint(delta)
        lengths = np.sqrt((((delta[:, None] + shifts[None]) @ supercell) ** 2).sum(axis=2)).round(6)
        near = np.argwhere((lengths <= RADIUS_ANG) & (lengths > 0.1))
        pairs += [(int(sites[i]), int(sites[j]), float(lengths[j, t])) for j, t in near]
    return pairs


def pair_shells(problem: OrderingProblem) -> Shells:
    """Collect the shells of pairs among the cation sites without vacancies."""
    counts = random_sublattices(problem)
    sublattice = np.array([g.sublattice for g in problem.groups])
    sites = np.flatnonzero(counts[problem.group_of])
    of_site = sublattice[problem.group_of]
    n_elements = int(problem.element_number.max()) + 1
    share = np.zeros((len(problem.model.sublattices), n_elements))
    for g in np.flatnonzero(counts):
        here = slice(int(problem.first_species[g]), int(problem.first_species[g + 1]))
        np.add.at(share[sublattice[g]], problem.element_number[here], problem.count[here])
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1.0)
    pairs = _distances(problem, sites) if len(sites) else []
    kinds = sorted(
        {(min(a, b), max(a, b), r) for a, b, r in ((of_site[i], of_site[j], r) for i, j, r in pairs)}
    )
    number: dict[tuple[int, int, float], int] = {}
    blocks: list[tuple[int, int]] = []
    for n, (a, b, r) in enumerate(kinds):
        if not n or kinds[n - 1][:2] != (a, b) or r - kinds[n - 1][2] > _GAP_ANG:
            blocks.append((a, b))
        number[a, b, r] = len(blocks) - 1
    rows = sorted(
        (i, j, number[min(of_site[i], of_site[j]), max(of_site[i], of_site[j]), r]) for i, j, r in pairs
    )
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    target = np.zeros((len(blocks), n_elements, n_elements))
    for n, (a, b) in enumerate(blocks):
        outer = np.outer(share[a], share[b])
        target[n] = outer if a == b else 0.5 * (outer + outer.T)
    classes = [problem.model.classes[int(i)] for i in problem.site]
    names = sorted({(int(of_site[i]), classes[i]) for i in sites})
    kind = np.full(problem.n, -1, dtype=np.int64)
    for i in sites:
        kind[i] = names.index((int(of_site[i]), classes[i]))
    return Shells(
        first=np.searchsorted(table[:, 0], np.arange(problem.n + 1)).astype(np.int64),
        other=np.ascontiguousarray(table[:, 1]),
        shell=np.ascontiguousarray(table[:, 2]),
        target=target,
        size=np.bincount(table[:, 2], minlength=len(blocks)).astype(np.float64),
        kind=kind,
        kind_target=np.array([share[a] for a, _ in names]).reshape(len(names), n_elements),
        kind_size=np.bincount(kind[sites], minlength=len(names)).astype(np.float64),
    )


def randomness_error(problem: OrderingProblem, shells: Shells, occupation: IntArray) -> float:
    """Return the root mean square difference of pair and site shares from a random alloy."""
    element = problem.element_number[occupation]
    counts = np.zeros_like(shells.target)
    centre = np.repeat(np.arange(problem.n), np.diff(shells.first))
    np.add.at(counts, (shells.shell, element[centre], element[shells.other]), 1.0)
    squares = ((counts / shells.size[:, None, None] - shells.target) ** 2).sum(axis=(1, 2))
    points = np.zeros_like(shells.kind_target)
    here = np.flatnonzero(shells.kind >= 0)
    np.add.at(points, (shells.kind[here], element[here]), 1.0)
    squares2 = ((points / shells.kind_size[:, None] - shells.kind_target) ** 2).sum(axis=1)
    total = len(squares) + len(squares2)
    return float(np.sqrt((squares.sum() + squares2.sum()) / total)) if total else 0.0
