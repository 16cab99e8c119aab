"""Ordered cells of a doped composition, lowest in energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.lattice import IntArray, cell_vectors, nearest_image_ang
from nasicon_struct.ordering.problem import (
    OrderingProblem,
    class_groups,
    ordering_problem,
    sublattice_groups,
)
from nasicon_struct.ordering.results import OrderedCell
from nasicon_struct.ordering.search import Outcome, all_lowest, anneal_lowest
from nasicon_struct.ordering.shape_search import search_shapes
from nasicon_struct.ordering.sites import VACANCY, SiteModel, site_model
from nasicon_struct.ordering.stoichiometry import Stoichiometry, integer_counts, refined_counts
from nasicon_struct.ordering.supercells import (
    MAX_FORMULA_UNITS,
    TOLERANCE,
    Shape,
    average_cell,
    cell_composition,
    choose_index,
    given_shape,
    matrix_in_given_basis,
    shapes,
    size_index,
)
from nasicon_struct.ordering.symmetry import stabiliser_size

#: Formula units up to which all shapes of a size are searched by default.
SEARCH_SHAPES_UP_TO: Final = 40


@dataclass(frozen=True)
class Request:
    """A cell, its whole-atom content and the rules, ready to be searched in any shape."""

    model: SiteModel
    index: int
    content: Stoichiometry
    keep_site_occupancies: bool = False
    min_na_na_ang: float = 0.0
    allowed_sites: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def problem(self, shape: Shape, *, keep: bool | None = None) -> OrderingProblem:
        """Set up one supercell shape."""
        if self.keep_site_occupancies if keep is None else keep:
            groups = class_groups(self.model, refined_counts(self.model, self.content.counts, self.index))
        else:
            groups = sublattice_groups(self.model, self.content.counts)
        return ordering_problem(
            self.model,
            shape.form,
            groups,
            allowed_sites=self.allowed_sites,
            min_na_na_ang=self.min_na_na_ang,
        )


def check_content(model: SiteModel, content: Stoichiometry, index: int) -> None:
    """Refuse a cell from which an element of the composition is missing."""
    lost = [
        (species.element, target * model.formula_units * index)
        for sublattice, row in zip(model.sublattices, content.counts, strict=True)
        for species, target, n in zip(sublattice.species, sublattice.target, row, strict=True)
        if species.element != VACANCY and not n
    ]
    if lost:
        element, wanted = min(lost, key=lambda item: item[1])
        units = float(model.formula_units * index)
        raise OrderingError(
            f"{units:g} formula units hold {float(wanted):.3g} atoms of {element}, which would be dropped; "
            f"take about {units / float(wanted):.0f} formula units, or leave {element} out of the composition"
        )


def order_cell(
    cell: Any,
    *,
    formula_units: int | None = None,
    supercell: Any = None,
    n_structures: int = 1,
    objective: str | Mapping[str, float] = "electrostatic",
    keep_site_occupancies: bool = False,
    min_na_na_ang: float = 0.0,
    fixed_sites: Mapping[str, str] | None = None,
    allowed_sites: Mapping[str, Sequence[str]] | None = None,
    search_shape: bool | None = None,
    tolerance: float = TOLERANCE,
    max_formula_units: int = MAX_FORMULA_UNITS,
    parent: str = "xun2025_s2",
    oxidation_states: Mapping[str, int] | None = None,
    seed: int = 0,
    workers: int = 1,
    effort: float = 1.0,
    n_anneals: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[OrderedCell]:
    """Order a disordered cell: whole atoms, exactly neutral, lowest in energy.

    Parameters
    ----------
    cell : AverageCell, Structure, or composition
        A composition is put on ``parent`` first, with its refined coordinates.
    formula_units : int, optional
        Size of the cell; chosen as the smallest that meets ``tolerance`` when neither this nor ``supercell``
        is given.
    supercell : int, three ints, or 3x3 matrix, optional
        The supercell itself, in the basis of the given cell (rows are the new vectors).
    n_structures : int
        How many structures, all symmetry-distinct, lowest first.
    objective : str
        ``"electrostatic"``.
    keep_site_occupancies : bool
        Keep the refined numbers of atoms on each site (Na1, Na2, Na3, T1, T2 ...), nearest whole numbers.
    min_na_na_ang : float
        Two sodium sites nearer than this are never both occupied, angstrom; 0 for no rule.
    fixed_sites : mapping of site label to element, optional
        Sites that hold one element (or ``"vacancy"``) throughout, such as ``{"Na1": "Na"}``.
    allowed_sites : mapping of element to site labels, optional
        Sites an element is confined to, such as ``{"P": ["T1"]}``.
    search_shape : bool, optional
        Search all supercell shapes of the size for the lowest energy (True) or take the most compact one (False).
        By default shapes are searched up to 40 formula units, except where the size is that of the
        given cell, which is then taken itself.
    tolerance, max_formula_units
        Bounds of the size chosen by itself: atoms per formula unit, and formula units.
    parent : str
        Parent cell for a composition.
    oxidation_states : mapping, optional
        Formal charges (whole numbers) that replace those of the cell.
    seed : int
        The same seed gives the same structures on any number of workers.
    workers : int
        Threads.
    effort : float
        Multiplies the number of anneals.
    n_anneals : int, optional
        Anneals of the final shape, exactly; replaces ``effort``.
    progress : callable, optional
        Called with (done, total).

    Returns
    -------
    list of OrderedCell

    Raises
    ------
    OrderingError
        When the rules leave no arrangement, the size does not fit the parent, or an element would be dropped.
    CompositionError
        When the composition cannot be read or is not neutral.
    """
    if formula_units is not None and supercell is not None:
        raise OrderingError("give formula_units or supercell, not both")
    if objective != "electrostatic":
        raise OrderingError(f"the objective is 'electrostatic', got {objective!r}")
    if n_structures < 1:
        raise OrderingError(f"n_structures is at least 1, got {n_structures}")
    average = average_cell(cell, parent=parent)
    model = site_model(average, oxidation_states=oxidation_states, fixed=fixed_sites)
    if supercell is not None:
        choices = [given_shape(model, supercell)]
    else:
        index = (
            choose_index(model, tolerance=tolerance, max_formula_units=max_formula_units)
            if formula_units is None
            else size_index(model, formula_units)
        )
        choices = shapes(model, index)
        own = round(abs(float(np.linalg.det(model.input_to_primitive)))) == index
        small = float(model.formula_units * index) <= SEARCH_SHAPES_UP_TO and not own
        if not (small if search_shape is None else search_shape):
            choices = choices[:1]
    index = choices[0].index
    content = integer_counts(model, index)
    check_content(model, content, index)
    request = Request(model, index, content, keep_site_occupancies, min_na_na_ang, allowed_sites or {})
    count = max(1, round(64 * effort)) if n_anneals is None else n_anneals
    hits = count if n_anneals is not None else max(2, round(4 * effort))
    shape, outcome = choices[0], None
    if len(choices) > 1:
        shape, outcome = search_shapes(
            request.problem,
            choices,
            n_structures,
            seed=seed,
            n_anneals=count,
            min_hits=hits,
            workers=workers,
            progress=progress,
        )
    else:
        problem = request.problem(shape)
        outcome = all_lowest(problem, n_structures) or anneal_lowest(
            problem,
            n_structures,
            seed=seed,
            n_anneals=count,
            min_hits=hits,
            workers=workers,
            progress=progress,
        )
    cost = None
    if keep_site_occupancies:
        free = request.problem(shape, keep=False)
        lower = all_lowest(free, 1) or anneal_lowest(
            free, 1, seed=seed, n_anneals=count, min_hits=hits, workers=workers
        )
        cost = lower.lowest[0][0]
    return [
        ordered_cell(
            average,
            request,
            shape,
            outcome,
            energy,
            occupation,
            n_shapes=len(choices),
            seed=seed,
            objective=str(objective),
            lowest_free_ev=cost,
        )
        for energy, occupation in outcome.lowest
    ]


def ordered_cell(
    average: Any,
    request: Request,
    shape: Shape,
    outcome: Outcome,
    energy_ev: float,
    occupation: IntArray,
    *,
    n_shapes: int,
    seed: int,
    objective: str,
    lowest_free_ev: float | None = None,
    temperature_k: float | None = None,
    sqs_error: float | None = None,
) -> OrderedCell:
    """Write one arrangement as an :class:`OrderedCell`."""
    model, problem = request.model, outcome.pool.problem
    units = float(model.formula_units * request.index)
    structure = ordered_structure(problem, shape, occupation)
    difference = {e: float(d) for e, d in request.content.difference.items()}
    parts = [
        *(getattr(average, "provenance", ()) or ("Parent: a structure given by the user.",)),
        f"Ordering: {len(problem.species_names)} species on {problem.n} disordered sites of {units:g} formula "
        f"units, seed {seed}; " + _how(outcome, n_shapes),
        "Energy: Ewald sum with formal charges "
        + ", ".join(f"{e} {z:+d}" for e, z in sorted(_charges(model).items()))
        + ".",
    ]
    return OrderedCell(
        structure=structure,
        energy_ev_per_fu=energy_ev / units,
        formula_units=round(units),
        supercell_matrix=matrix_in_given_basis(model, shape),
        nearest_image_distance_ang=nearest_image_ang(shape.basis @ model.lattice),
        composition=cell_composition(model, request.content, request.index),
        difference=difference,
        composition_error=float(request.content.error),
        objective=objective,
        objective_value=energy_ev / units,
        exact=outcome.exact and n_shapes >= 1,
        n_arrangements=outcome.n_arrangements,
        n_anneals=outcome.n_anneals,
        hit_rate=1.0 if outcome.exact else outcome.hits / max(outcome.n_anneals, 1),
        n_shapes=n_shapes,
        degeneracy=len(outcome.pool.permutations)
        // stabiliser_size(problem.element_number[occupation], outcome.pool.permutations),
        site_statistics=site_statistics(problem, occupation),
        refined_statistics=refined_statistics(model, request.index),
        cost_of_refined_ev_per_fu=None if lowest_free_ev is None else (energy_ev - lowest_free_ev) / units,
        shortest_na_na_ang=shortest_distance(structure, "Na"),
        sqs_error=sqs_error,
        temperature_k=temperature_k,
        seed=seed,
        provenance=tuple(parts),
        warnings=(*getattr(average, "warnings", ()), *request.content.warnings),
    )


def _how(outcome: Outcome, n_shapes: int) -> str:
    text = (
        f"all {outcome.n_arrangements:,} arrangements compared"
        if outcome.exact
        else f"{outcome.hits} of {outcome.n_anneals} independent anneals ended at the lowest energy"
    )
    return text + (f"; best of {n_shapes} supercell shapes." if n_shapes > 1 else ".")


def _charges(model: SiteModel) -> dict[str, int]:
    species = [s for row in model.sublattices for s in row.species] + list(model.fixed.values())
    return {s.element: s.charge for s in species if s.element != VACANCY}


def ordered_structure(problem: OrderingProblem, shape: Shape, occupation: IntArray) -> Structure:
    """Return an arrangement as an ordered structure with formal charges and site labels."""
    model = problem.model
    vectors = cell_vectors(problem.form)
    inverse = np.linalg.inv(shape.basis.astype(np.float64))
    atoms: list[tuple[Any, ...]] = []
    for i, species in model.fixed.items():
        if species.element != VACANCY:
            atoms += [(species.element, species.charge, model.classes[i], i, t) for t in range(len(vectors))]
    for k, s in enumerate(occupation):
        if problem.occupied[s]:
            i = int(problem.site[k])
            charge = int(problem.charge[s])
            atoms.append((problem.species_names[s], charge, model.classes[i], i, int(problem.cell[k])))
    rank = {"Na": 0, "Zr": 1, "Si": 3, "P": 4, "O": 6}
    atoms.sort(key=lambda a: (rank.get(a[0], 2), a[0], a[3], a[4]))
    frac = np.array([model.frac[a[3]] + vectors[a[4]] for a in atoms]) @ inverse
    frac -= np.floor(frac + 1e-9)
    return Structure(
        Lattice(shape.basis @ model.lattice),
        [Species(a[0], a[1]) for a in atoms],
        frac,
        site_properties={"label": [a[2] for a in atoms]},
    )


def site_statistics(problem: OrderingProblem, occupation: IntArray) -> dict[str, dict[str, int]]:
    """Return the atoms and vacancies on each kind of site."""
    counts: dict[str, dict[str, int]] = {}
    for i, s in zip(problem.site, occupation, strict=True):
        row = counts.setdefault(problem.model.classes[int(i)], {})
        name = problem.species_names[int(s)]
        row[name] = row.get(name, 0) + 1
    return {label: dict(sorted(row.items())) for label, row in sorted(counts.items())}


def refined_statistics(model: SiteModel, index: int) -> dict[str, dict[str, float]]:
    """Return what the average occupancies give on each kind of disordered site."""
    labels = sorted({model.classes[i] for s in model.sublattices for i in s.sites})
    return {
        label: {
            e: float(n * model.class_size(label) * index)
            for e, n in sorted(model.refined[label].items())
            if n
        }
        for label in labels
    }


def shortest_distance(structure: Structure, element: str) -> float | None:
    """Return the shortest distance between two atoms of an element, angstrom."""
    part = [site for site in structure if site.specie.symbol == element]
    if len(part) < 2:
        return None
    sub = Structure.from_sites(part)
    distances = sub.get_neighbor_list(min(12.0, max(structure.lattice.abc)))[3]
    return float(distances.min()) if len(distances) else None
