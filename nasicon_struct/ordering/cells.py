"""Arrangements written as ordered cells: structures with charges and labels, and what is worth knowing of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure

from nasicon_struct.ordering.lattice import IntArray, cell_vectors, nearest_image_ang
from nasicon_struct.ordering.problem import OrderingProblem
from nasicon_struct.ordering.request import Request
from nasicon_struct.ordering.results import OrderedCell
from nasicon_struct.ordering.search import Outcome
from nasicon_struct.ordering.sites import VACANCY, SiteModel
from nasicon_struct.ordering.supercells import Shape, cell_composition, matrix_in_given_basis
from nasicon_struct.ordering.symmetry import stabiliser_size

#: Sodium atoms nearer than this get a warning, angstrom: twice the Shannon radius of Na+ is 2.04 (R. D. Shannon,
#: Acta Cryst. A32 (1976) 751), and sites of split positions lie nearer.
CLOSE_NA_ANG: Final = 2.5


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """How an arrangement was found and how sure that is; see :class:`OrderedCell` for the fields."""

    how: str
    exact: bool = False
    n_arrangements: int | None = None
    n_anneals: int = 0
    hit_rate: float | None = None
    n_shapes: int = 1
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, outcome: Outcome, n_shapes: int = 1, wanted: int = 1) -> Certainty:
        """Describe the outcome of a search for the ``wanted`` lowest energies."""
        how = (
            f"all {outcome.n_arrangements:,} arrangements compared"
            if outcome.exact
            else f"{outcome.hits} of {outcome.n_anneals} independent anneals ended at the lowest energy"
        )
        return cls(
            how=how + (f"; best of {n_shapes} supercell shapes" if n_shapes > 1 else ""),
            exact=outcome.exact,
            n_arrangements=outcome.n_arrangements,
            n_anneals=outcome.n_anneals,
            hit_rate=1.0 if outcome.exact else outcome.hits / max(outcome.n_anneals, 1),
            n_shapes=n_shapes,
            warnings=shortage(len(outcome.lowest), wanted, exact=outcome.exact),
        )


def shortage(found: int, wanted: int, *, exact: bool = False) -> tuple[str, ...]:
    """Return the warning that there are fewer arrangements than asked for; nothing where there are enough."""
    if found >= wanted:
        return ()
    number = "1 distinct arrangement" if found == 1 else f"{found} distinct arrangements"
    verb = ("exists" if found == 1 else "exist") if exact else ("was found" if found == 1 else "were found")
    return (f"{number} {verb}, {wanted} were asked for",)


def ordered_cell(
    request: Request,
    shape: Shape,
    problem: OrderingProblem,
    permutations: IntArray,
    occupation: IntArray,
    energy_ev: float,
    certainty: Certainty,
    *,
    seed: int,
    objective: str = "electrostatic",
    objective_value: float | None = None,
    lowest_free_ev: float | None = None,
    temperature_k: float | None = None,
    sqs_error: float | None = None,
) -> OrderedCell:
    """Write one arrangement (energy in eV per supercell) as an :class:`OrderedCell`."""
    model, average = request.model, request.average
    units = float(model.formula_units * request.index)
    structure = ordered_structure(problem, shape, occupation)
    parts = [
        *(getattr(average, "provenance", ()) or ("Parent: a structure given by the user.",)),
        f"Ordering: {len(problem.species_names)} species on {problem.n} disordered sites of {units:g} formula "
        f"units, objective {objective}, seed {seed}; {certainty.how}.",
        "Energy: Ewald sum with formal charges "
        + ", ".join(f"{e} {z:+d}" for e, z in sorted(_charges(model).items()))
        + ".",
    ]
    shortest = shortest_distance(structure, "Na")
    close = (
        (
            f"two sodium atoms are {shortest:.2f} A apart (split sites?); set min_na_na_ang, for example "
            f"to {CLOSE_NA_ANG}",
        )
        if shortest is not None and shortest < CLOSE_NA_ANG
        else ()
    )
    same = stabiliser_size(problem.element_number[occupation], permutations)
    return OrderedCell(
        structure=structure,
        energy_ev_per_fu=energy_ev / units,
        formula_units=round(units),
        supercell_matrix=matrix_in_given_basis(model, shape),
        nearest_image_distance_ang=nearest_image_ang(shape.basis @ model.lattice),
        composition=cell_composition(model, request.content, request.index),
        difference={e: float(d) for e, d in request.content.difference.items()},
        composition_error=float(request.content.error),
        objective=objective,
        objective_value=energy_ev / units if objective_value is None else objective_value,
        exact=certainty.exact,
        n_arrangements=certainty.n_arrangements,
        n_anneals=certainty.n_anneals,
        hit_rate=certainty.hit_rate,
        n_shapes=certainty.n_shapes,
        degeneracy=len(permutations) // same,
        site_statistics=site_statistics(problem, occupation),
        refined_statistics=refined_statistics(model, request.index),
        cost_of_refined_ev_per_fu=None if lowest_free_ev is None else (energy_ev - lowest_free_ev) / units,
        shortest_na_na_ang=shortest,
        sqs_error=sqs_error,
        temperature_k=temperature_k,
        seed=seed,
        provenance=tuple(parts),
        warnings=(*getattr(average, "warnings", ()), *request.content.warnings, *certainty.warnings, *close),
    )


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
