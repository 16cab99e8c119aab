"""An ordering problem on plain arrays: sites, species, counts, and one energy for every arrangement.

For charges q on the disordered sites the energy of the supercell is
``constant + field . q + 1/2 q . pair . q`` (eV). Pairs of sites too close for two Na get a repulsion added to
``pair``; arrangements that pay it are never returned.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.ewald import ewald_table, pair_matrix
from nasicon_struct.ordering.lattice import (
    FloatArray,
    HermiteForm,
    IntArray,
    cell_vectors,
    form_matrix,
)
from nasicon_struct.ordering.sites import VACANCY, SiteModel

#: Repulsion (eV) between two ions on an excluded pair of sites; far above any electrostatic gain.
EXCLUSION_EV: Final = 1000.0
#: The supercell of one primitive cell.
_UNIT: Final[HermiteForm] = (1, 0, 1, 0, 0, 1)


@dataclass(frozen=True)
class Group:
    """Sites of the supercell that exchange species among themselves.

    Attributes
    ----------
    sublattice : int
        Index of the sublattice in the model.
    sites : tuple of int
        Primitive sites.
    counts : tuple of int
        Atoms of each species of the sublattice in the supercell.
    """

    sublattice: int
    sites: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class OrderingProblem:
    """Sites and species of one supercell.

    Attributes
    ----------
    model : SiteModel
    form : HermiteForm
        The supercell.
    groups : tuple of Group
        Sites that exchange species: whole sublattices, or their classes where the refined numbers are kept.
    site, cell : (n,) integers
        Primitive site and cell number of each disordered site, group by group.
    start : (groups + 1,) integers
        First disordered site of each group.
    first_species : (groups + 1,) integers
        Number of the first species of each group; species are numbered throughout.
    charge : (species,) floats
        Formal charge of each numbered species.
    count : (species,) integers
        Atoms of each numbered species.
    allowed : (species, n) bool
        Whether a site may hold a species; species of other groups are never allowed.
    constant, field, pair
        Energy terms, eV; see the module.
    excluded : (m, 2) integers
        Pairs of sites that must not both hold Na.
    """

    model: SiteModel
    form: HermiteForm
    groups: tuple[Group, ...]
    site: IntArray
    cell: IntArray
    start: IntArray
    first_species: IntArray
    charge: FloatArray
    count: IntArray
    allowed: NDArray[np.bool_]
    constant: float
    field: FloatArray
    pair: FloatArray
    excluded: IntArray

    @property
    def n(self) -> int:
        """Disordered sites in the supercell."""
        return len(self.site)

    @property
    def index(self) -> int:
        """Primitive cells in the supercell."""
        return self.form[0] * self.form[2] * self.form[5]

    @property
    def formula_units(self) -> float:
        """Formula units in the supercell."""
        return float(self.model.formula_units * self.index)

    @functools.cached_property
    def species_names(self) -> tuple[str, ...]:
        """Element (or vacancy) of each numbered species."""
        return tuple(e for g in self.groups for e in self.model.sublattices[g.sublattice].elements)

    @functools.cached_property
    def element_number(self) -> IntArray:
        """A number for each numbered species that is the same for the same element in all groups."""
        names = sorted(set(self.species_names))
        return np.array([names.index(e) for e in self.species_names], dtype=np.int64)

    @functools.cached_property
    def occupied(self) -> NDArray[np.bool_]:
        """Whether each numbered species is an atom (not a vacancy)."""
        return np.array([e != VACANCY for e in self.species_names])

    @functools.cached_property
    def group_of(self) -> IntArray:
        """Group of each disordered site."""
        return np.repeat(np.arange(len(self.groups)), np.diff(self.start))

    def energies(self, occupations: IntArray) -> FloatArray:
        """Return the energy, eV per supercell, of arrangements (rows: species number of each site)."""
        q = self.charge[np.atleast_2d(occupations)]
        return np.asarray(
            self.constant + q @ self.field + 0.5 * np.einsum("ai,ai->a", q @ self.pair, q), dtype=np.float64
        )

    def is_allowed(self, occupation: IntArray) -> bool:
        """Whether an arrangement keeps the site rules and the distance rule."""
        if not self.allowed[occupation, np.arange(self.n)].all():
            return False
        full = self.occupied[occupation]
        return not bool((full[self.excluded[:, 0]] & full[self.excluded[:, 1]]).any())

    def first_arrangement(self) -> IntArray:
        """Return an arrangement with the right counts that keeps the site rules.

        Raises
        ------
        OrderingError
            When the site rules leave no such arrangement.
        """
        from scipy.optimize import linear_sum_assignment

        occupation = np.empty(self.n, dtype=np.int64)
        for g in range(len(self.groups)):
            here = slice(int(self.start[g]), int(self.start[g + 1]))
            species = np.arange(self.first_species[g], self.first_species[g + 1])
            wanted = np.repeat(species, self.count[species])
            if self.allowed[species, here].all():
                occupation[here] = wanted
                continue
            cost = (~self.allowed[wanted, here]).astype(float)
            rows, columns = linear_sum_assignment(cost)
            if cost[rows, columns].any():
                raise OrderingError(
                    "the allowed sites leave no room for all atoms: "
                    + ", ".join(f"{self.count[k]} {self.species_names[k]}" for k in species)
                )
            occupation[here][columns] = wanted[rows]
        return occupation


def close_pairs(
    model: SiteModel, form: HermiteForm, sites: IntArray, cells: IntArray, limit_ang: float
) -> IntArray:
    """Return the pairs of sites nearer than ``limit_ang`` through the periodic boundaries."""
    from scipy.spatial import cKDTree

    supercell = form_matrix(form) @ model.lattice
    frac = (model.frac[sites] + cell_vectors(form)[cells]) @ model.lattice @ np.linalg.inv(supercell)
    points = (frac - np.floor(frac)) @ supercell
    reach = np.ceil(limit_ang * np.linalg.norm(np.linalg.inv(supercell), axis=0)).astype(int)
    shifts = np.array(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")).reshape(3, -1).T
    images = (points[None] + (shifts @ supercell)[:, None]).reshape(-1, 3)
    tree = cKDTree(images)
    found = set()
    for i, near in enumerate(tree.query_ball_point(points, limit_ang * (1 - 1e-9))):
        found |= {(min(i, k % len(points)), max(i, k % len(points))) for k in near if k % len(points) != i}
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


@functools.lru_cache(maxsize=8)
def _background(model: SiteModel) -> tuple[tuple[float, ...], float]:
    """Potential of the fixed species at each primitive site, eV, and their energy per primitive cell."""
    table = ewald_table(model.lattice, model.frac, _UNIT)[:, :, 0]
    charges = [(i, float(model.fixed[i].charge)) for i in sorted(model.fixed)]
    potential = tuple(float(sum(table[i, j] * q for j, q in charges)) for i in range(model.n_sites))
    return potential, 0.5 * float(sum(potential[i] * q for i, q in charges))


def sublattice_groups(model: SiteModel, counts: Sequence[Sequence[int]]) -> tuple[Group, ...]:
    """Return one group per sublattice."""
    return tuple(
        Group(i, tuple(sorted(s.sites, key=lambda j: (model.classes[j], j))), tuple(row))
        for i, (s, row) in enumerate(zip(model.sublattices, counts, strict=True))
    )


def class_groups(model: SiteModel, shared: Sequence[Mapping[str, tuple[int, ...]]]) -> tuple[Group, ...]:
    """Return one group per class of sites, with the counts of :func:`~.stoichiometry.refined_counts`."""
    return tuple(
        Group(i, tuple(j for j in s.sites if model.classes[j] == name), row)
        for i, (s, table) in enumerate(zip(model.sublattices, shared, strict=True))
        for name, row in table.items()
    )


def ordering_problem(
    model: SiteModel,
    form: HermiteForm,
    groups: Sequence[Group],
    *,
    allowed_sites: Mapping[str, Sequence[str]] | None = None,
    min_na_na_ang: float = 0.0,
) -> OrderingProblem:
    """Set up one supercell.

    Parameters
    ----------
    model : SiteModel
    form : HermiteForm
    groups : sequence of Group
        From :func:`sublattice_groups` or :func:`class_groups`; neutral with the fixed sites.
    allowed_sites : mapping of element to classes, optional
        Sites an element is confined to.
    min_na_na_ang : float
        Two Na sites nearer than this are never both occupied, angstrom; 0 for no rule.

    Raises
    ------
    OrderingError
        When a rule names an unknown site or leaves a species no room.
    """
    index = form[0] * form[2] * form[5]
    flat = [i for group in groups for i in group.sites]
    site = np.repeat(np.array(flat, dtype=np.int64), index)
    cell = np.tile(np.arange(index, dtype=np.int64), len(flat))
    start = np.cumsum([0, *(len(g.sites) * index for g in groups)]).astype(np.int64)
    species = [model.sublattices[g.sublattice].species for g in groups]
    first = np.cumsum([0, *(len(s) for s in species)]).astype(np.int64)
    charge = np.array([x.charge for row in species for x in row], dtype=np.float64)
    count = np.array([n for g in groups for n in g.counts], dtype=np.int64)

    table = ewald_table(model.lattice, model.frac[flat], form)
    pair = pair_matrix(table, form)
    potential, energy = _background(model)
    rules = _check_rules(model, allowed_sites)
    allowed = np.zeros((len(charge), len(site)), dtype=np.bool_)
    for g, row in enumerate(species):
        here = slice(int(start[g]), int(start[g + 1]))
        for k, x in enumerate(row, start=int(first[g])):
            allowed[k, here] = [
                x.element not in rules or model.classes[i] in rules[x.element] for i in site[here]
            ]
            if allowed[k].sum() < count[k]:
                raise OrderingError(
                    f"{x.element} has {count[k]} atoms but only {int(allowed[k].sum())} allowed sites"
                )
    sodium = [
        i
        for g, row in enumerate(species)
        if {"Na", VACANCY} <= {x.element for x in row}
        for i in range(int(start[g]), int(start[g + 1]))
    ]
    excluded = np.empty((0, 2), dtype=np.int64)
    if min_na_na_ang > 0 and sodium:
        part = np.array(sodium)
        excluded = part[close_pairs(model, form, site[part], cell[part], min_na_na_ang)]
        pair[excluded[:, 0], excluded[:, 1]] += EXCLUSION_EV
        pair[excluded[:, 1], excluded[:, 0]] += EXCLUSION_EV
    return OrderingProblem(
        model=model,
        form=form,
        groups=tuple(groups),
        site=site,
        cell=cell,
        start=start,
        first_species=first,
        charge=charge,
        count=count,
        allowed=allowed,
        constant=energy * index,
        field=np.array([potential[i] for i in flat]).repeat(index),
        pair=pair,
        excluded=excluded,
    )


def only_exclusions(problem: OrderingProblem) -> OrderingProblem:
    """Return the problem with no energy but the repulsion of excluded pairs."""
    pair = np.zeros_like(problem.pair)
    pair[problem.excluded[:, 0], problem.excluded[:, 1]] = EXCLUSION_EV
    pair[problem.excluded[:, 1], problem.excluded[:, 0]] = EXCLUSION_EV
    return dataclasses.replace(problem, constant=0.0, field=np.zeros(problem.n), pair=pair)


def reduced_problem(
    problem: OrderingProblem, occupation: IntArray, keep: NDArray[np.bool_]
) -> tuple[OrderingProblem, IntArray]:
    """Hold all groups but those in ``keep`` (a mask of groups) as they are in ``occupation``.

    Returns
    -------
    OrderingProblem, (m,) integers
        The problem of the kept groups in the field of the others, and the sites it stands on. Its species
        are numbered anew, kept groups in their order.
    """
    groups = np.flatnonzero(keep)
    free = keep[problem.group_of]
    sites = np.flatnonzero(free)
    q = np.where(free, 0.0, problem.charge[occupation])
    species = np.concatenate(
        [np.arange(problem.first_species[g], problem.first_species[g + 1]) for g in groups]
    )
    place = np.full(problem.n, -1, dtype=np.int64)
    place[sites] = np.arange(len(sites))
    excluded = place[problem.excluded]
    small = OrderingProblem(
        model=problem.model,
        form=problem.form,
        groups=tuple(problem.groups[g] for g in groups),
        site=problem.site[sites],
        cell=problem.cell[sites],
        start=np.cumsum([0, *(problem.start[g + 1] - problem.start[g] for g in groups)]).astype(np.int64),
        first_species=np.cumsum(
            [0, *(problem.first_species[g + 1] - problem.first_species[g] for g in groups)]
        ).astype(np.int64),
        charge=problem.charge[species],
        count=problem.count[species],
        allowed=np.ascontiguousarray(problem.allowed[np.ix_(species, sites)]),
        constant=float(problem.constant + problem.field @ q + 0.5 * q @ problem.pair @ q),
        field=(problem.field + problem.pair @ q)[sites],
        pair=np.ascontiguousarray(problem.pair[np.ix_(sites, sites)]),
        excluded=excluded[(excluded >= 0).all(axis=1)],
    )
    return small, sites


def _check_rules(
    model: SiteModel, allowed_sites: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    names = {x.element for s in model.sublattices for x in s.species}
    classes = {model.classes[i] for s in model.sublattices for i in s.sites}
    rules = {e: (v,) if isinstance(v, str) else tuple(v) for e, v in (allowed_sites or {}).items()}
    for element, labels in rules.items():
        unknown = [f"the element {element!r}"] if element not in names else []
        unknown += [f"the site {label!r}" for label in labels if label not in classes]
        if unknown:
            raise OrderingError(
                f"allowed_sites names {unknown[0]}, which is not disordered here; there are "
                f"{', '.join(sorted(names))} on {', '.join(sorted(classes))}"
            )
    return rules
