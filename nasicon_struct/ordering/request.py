"""What is asked of the ordering engine, checked and ready to be searched in any shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.problem import (
    OrderingProblem,
    class_groups,
    ordering_problem,
    sublattice_groups,
)
from nasicon_struct.ordering.sites import VACANCY, SiteModel, site_model
from nasicon_struct.ordering.stoichiometry import Stoichiometry, integer_counts, refined_counts
from nasicon_struct.ordering.supercells import (
    MAX_FORMULA_UNITS,
    TOLERANCE,
    Shape,
    average_cell,
    choose_index,
    given_shape,
    shapes,
    size_index,
)

#: Formula units up to which all shapes of a size are searched by default.
SEARCH_SHAPES_UP_TO: Final = 40


@dataclass(frozen=True)
class Request:
    """A cell, its whole-atom content and the rules, ready to be searched in any shape."""

    average: Any
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


def prepare(
    cell: Any,
    *,
    formula_units: int | None = None,
    supercell: Any = None,
    search_shape: bool | None = False,
    tolerance: float = TOLERANCE,
    max_formula_units: int = MAX_FORMULA_UNITS,
    keep_site_occupancies: bool = False,
    min_na_na_ang: float = 0.0,
    fixed_sites: Mapping[str, str] | None = None,
    allowed_sites: Mapping[str, Sequence[str]] | None = None,
    parent: str = "xun2025_s2",
    oxidation_states: Mapping[str, int] | None = None,
) -> tuple[Request, list[Shape]]:
    """Check a request (options as in :func:`~.order.order_cell`) and list the shapes to be searched.

    Raises
    ------
    OrderingError
        When the options contradict each other, the size does not fit the parent, or an element would be dropped.
    CompositionError
        When the composition cannot be read or is not neutral.
    """
    if formula_units is not None and supercell is not None:
        raise OrderingError("give formula_units or supercell, not both")
    if not 0.0 <= min_na_na_ang < float("inf"):
        raise OrderingError(f"min_na_na_ang is a distance in angstrom, 0 or more, got {min_na_na_ang}")
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
    request = Request(
        average, model, index, content, keep_site_occupancies, min_na_na_ang, allowed_sites or {}
    )
    return request, choices


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
