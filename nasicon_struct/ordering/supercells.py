"""Sizes and shapes of ordered cells: exact and nearest neutral contents, and every shape of one size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from nasicon_struct.cell import AverageCell, build_average_cell
from nasicon_struct.errors import OrderingError
from nasicon_struct.formula import exact
from nasicon_struct.ordering.lattice import (
    HermiteForm,
    IntArray,
    distinct_forms,
    form_matrix,
    hermite_form,
    nearest_image_ang,
    rank_shapes,
    reduce_basis,
)
from nasicon_struct.ordering.results import CandidateSupercell, Matrix, cell_formula
from nasicon_struct.ordering.sites import VACANCY, SiteModel, site_model
from nasicon_struct.ordering.stoichiometry import Stoichiometry, integer_counts

#: Largest size tried when the size is chosen by itself, formula units.
MAX_FORMULA_UNITS: Final = 40
#: Largest size taken at all, formula units: some ten thousand sites, whose pair energies still fit into memory.
LARGEST_FORMULA_UNITS: Final = 500
#: Largest difference of an element, atoms per formula unit, that a size chosen by itself may have.
TOLERANCE: Final = 0.02


@dataclass(frozen=True)
class Shape:
    """A supercell: its lattice, and the vectors that describe it (rows, primitive basis)."""

    form: HermiteForm
    basis: IntArray

    @property
    def index(self) -> int:
        """Primitive cells in the supercell."""
        return self.form[0] * self.form[2] * self.form[5]


def average_cell(cell: Any, *, parent: str = "xun2025_s2") -> Any:
    """Return the average cell of a composition, or the cell or structure that was given."""
    if isinstance(cell, AverageCell) or hasattr(cell, "lattice"):
        return cell
    return build_average_cell(cell, parent=parent)


def shape_of(model: SiteModel, form: HermiteForm) -> Shape:
    """Describe a lattice by multiples of the given cell's vectors where that is possible, else by reduced ones."""
    index = form[0] * form[2] * form[5]
    given = model.input_to_primitive
    size = round(abs(float(np.linalg.det(given))))
    if index % size == 0:
        rest = index // size
        for p, q in itertools.product(range(1, rest + 1), repeat=2):
            if rest % (p * q) == 0:
                rows = np.diag([p, q, rest // (p * q)]) @ given
                if hermite_form(rows) == form:
                    return Shape(form, _right_handed(rows))
    rows = form_matrix(form)
    return Shape(form, reduce_basis(rows @ model.lattice) @ rows)


def _right_handed(rows: IntArray) -> IntArray:
    return rows if np.linalg.det(rows) > 0 else -rows


def shapes(model: SiteModel, index: int) -> list[Shape]:
    """Return every shape of a size that symmetry does not relate, most compact first.

    The given cell itself, where it has this size, comes first.
    """
    forms = [form for _, form in rank_shapes(model.lattice, distinct_forms(index, model.rotations))]
    own = model.input_to_primitive
    if round(abs(float(np.linalg.det(own)))) == index:
        form = hermite_form(own)
        related = {hermite_form(form_matrix(form) @ np.asarray(w).T) for w in model.rotations}
        forms = [form] + [f for f in forms if f not in related]
    return [shape_of(model, form) for form in forms]


def given_shape(model: SiteModel, supercell: Any) -> Shape:
    """Return the shape of a supercell given as a number, three numbers or a matrix in the given cell's basis."""
    array = np.array(
        [[float(x) for x in row] if isinstance(row, Sequence) or hasattr(row, "__len__") else float(row)
         for row in (supercell if hasattr(supercell, "__len__") else [supercell] * 3)]
    )  # fmt: skip
    matrix = np.diag(array) if array.shape == (3,) else array
    if matrix.shape != (3, 3):
        raise OrderingError(
            f"supercell is a whole number, three of them or a 3x3 matrix, got shape {array.shape}"
        )
    rows = matrix @ model.input_to_primitive
    if np.abs(rows - np.rint(rows)).max() > 1e-6 or round(float(np.linalg.det(rows))) == 0:
        raise OrderingError(
            f"the supercell {matrix.tolist()} does not lead to lattice points of the parent, or has no volume; "
            "entries are whole numbers (or the centring's fractions)"
        )
    units = abs(float(np.linalg.det(rows))) * model.formula_units
    _refuse_beyond(units, f"the supercell {matrix.tolist()} holds, in formula units,")
    whole = np.rint(rows).astype(np.int64)
    return Shape(hermite_form(whole), _right_handed(whole))


def matrix_in_given_basis(model: SiteModel, shape: Shape) -> Matrix:
    """Return the supercell's vectors (rows) in the basis of the given cell."""
    index = round(float(np.linalg.det(model.input_to_primitive)))
    adjugate = np.rint(np.linalg.inv(model.input_to_primitive) * index).astype(np.int64)
    whole = shape.basis @ adjugate
    return tuple(tuple(float(Fraction(int(x), index)) for x in row) for row in whole)


def _refuse_beyond(units: Any, what: str) -> None:
    if not units <= LARGEST_FORMULA_UNITS:
        raise OrderingError(f"{what} {float(units):g}; at most {LARGEST_FORMULA_UNITS} are ordered here")


def size_index(model: SiteModel, formula_units: Any) -> int:
    """Return the primitive cells that hold a number of formula units."""
    units = exact(formula_units, what="formula_units")
    _refuse_beyond(units, "formula_units is")
    index = units / model.formula_units
    if units <= 0 or index.denominator != 1:
        step = model.formula_units
        raise OrderingError(
            f"cells of this parent hold whole multiples of {step} formula units, got {float(units):g}; take "
            f"{max(1, round(float(index))) * step}"
        )
    return int(index)


def cell_composition(model: SiteModel, stoichiometry: Stoichiometry, index: int) -> dict[str, int]:
    """Return the atoms of each element in a supercell: Na, Zr, other cations by name, Si, P, O."""
    atoms: dict[str, int] = {}
    for species in model.fixed.values():
        if species.element != VACANCY:
            atoms[species.element] = atoms.get(species.element, 0) + index
    for sublattice, row in zip(model.sublattices, stoichiometry.counts, strict=True):
        for species, n in zip(sublattice.species, row, strict=True):
            if species.element != VACANCY:
                atoms[species.element] = atoms.get(species.element, 0) + n
    rank = {"Na": 0, "Zr": 1, "Si": 3, "P": 4, "O": 6}
    return {e: atoms[e] for e in sorted(atoms, key=lambda e: (rank.get(e, 2), e)) if atoms[e]}


def candidate_supercells(
    composition: Any,
    *,
    parent: str = "xun2025_s2",
    max_formula_units: int = MAX_FORMULA_UNITS,
    tolerance: float | None = None,
    oxidation_states: dict[str, int] | None = None,
) -> list[CandidateSupercell]:
    """List sizes of ordered cells for a composition: exact ones by size, then neutral ones by error.

    Parameters
    ----------
    composition
        Formula, NasiconComposition, pymatgen Composition, AverageCell, or a disordered structure.
    parent : str
        Parent cell for a composition; see :func:`nasicon_struct.parents.list_parents`.
    max_formula_units : int
        Largest cell, O12 formula units.
    tolerance : float, optional
        Leave out sizes whose composition error (atoms per formula unit) is larger.
    oxidation_states : mapping, optional
        Formal charges (whole numbers) that replace the table's.

    Returns
    -------
    list of CandidateSupercell
        Exact sizes first, smallest first; then the others by composition error, smaller cells first between
        equals. Every one is exactly neutral. Elements that would be dropped or far off are named in
        ``warnings``, and those sizes come last.

    Raises
    ------
    CompositionError
        When the composition cannot be read or is not neutral.
    OrderingError
        When no size up to ``max_formula_units`` exists.
    """
    if tolerance is not None and not tolerance >= 0:  # NaN too
        raise OrderingError(f"the tolerance is 0 or more per formula unit, got {tolerance}")
    model = site_model(average_cell(composition, parent=parent), oxidation_states=oxidation_states)
    most = exact(max_formula_units, what="max_formula_units")
    _refuse_beyond(most, "max_formula_units is")
    largest = int(most / model.formula_units)
    found = []
    for index in range(1, largest + 1):
        whole = integer_counts(model, index)
        if tolerance is not None and whole.error > tolerance:
            continue
        here = shapes(model, index)
        shape = here[0]
        atoms = cell_composition(model, whole, index)
        found.append(
            CandidateSupercell(
                formula_units=int(model.formula_units * index),
                supercell_matrix=matrix_in_given_basis(model, shape),
                composition=atoms,
                formula=cell_formula(atoms),
                difference={e: float(d) for e, d in whole.difference.items()},
                composition_error=float(whole.error),
                exact=not whole.difference,
                nearest_image_distance_ang=nearest_image_ang(shape.basis @ model.lattice),
                n_atoms=sum(atoms.values()),
                n_shapes=len(here),
                warnings=whole.warnings,
            )
        )
    if not found:
        raise OrderingError(
            f"no cell of up to {max_formula_units} formula units"
            + (f" is within {tolerance} of the composition" if tolerance is not None else " exists")
            + "; allow larger cells or a larger tolerance"
        )
    return sorted(
        found,
        key=lambda c: (not c.exact, bool(c.warnings), round(c.composition_error, 9), c.formula_units),
    )


def choose_index(
    model: SiteModel, *, tolerance: float = TOLERANCE, max_formula_units: int = MAX_FORMULA_UNITS
) -> int:
    """Return the smallest number of primitive cells that meets a tolerance and keeps every element.

    Raises
    ------
    OrderingError
        When no size up to ``max_formula_units`` does.
    """
    best: tuple[Fraction, int] | None = None
    _refuse_beyond(max_formula_units, "max_formula_units is")
    for index in range(1, int(max_formula_units / model.formula_units) + 1):
        whole = integer_counts(model, index)
        if whole.error <= tolerance and not whole.warnings:
            return index
        if best is None or whole.error < best[0]:
            best = (whole.error, index)
    near = (
        f"; the nearest, {float(best[1] * model.formula_units):g}, is off by {float(best[0]):.4f}"
        if best
        else ""
    )
    raise OrderingError(
        f"no cell of up to {max_formula_units} formula units is within {tolerance:g} atoms per formula unit of "
        f"the composition and keeps every element{near}; name the size, or allow a larger one"
    )
