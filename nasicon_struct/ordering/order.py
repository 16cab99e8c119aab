"""Ordered cells of a doped composition, lowest in energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.cells import Certainty, ordered_cell
from nasicon_struct.ordering.request import prepare
from nasicon_struct.ordering.results import OrderedCell
from nasicon_struct.ordering.search import all_lowest, anneal_lowest
from nasicon_struct.ordering.shape_search import search_shapes
from nasicon_struct.ordering.supercells import MAX_FORMULA_UNITS, TOLERANCE


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
    if objective != "electrostatic":
        raise OrderingError(f"the objective is 'electrostatic', got {objective!r}")
    if n_structures < 1:
        raise OrderingError(f"n_structures is at least 1, got {n_structures}")
    request, choices = prepare(
        cell,
        formula_units=formula_units,
        supercell=supercell,
        search_shape=search_shape,
        tolerance=tolerance,
        max_formula_units=max_formula_units,
        keep_site_occupancies=keep_site_occupancies,
        min_na_na_ang=min_na_na_ang,
        fixed_sites=fixed_sites,
        allowed_sites=allowed_sites,
        parent=parent,
        oxidation_states=oxidation_states,
    )
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
    certainty = Certainty.of(outcome, len(choices))
    return [
        ordered_cell(
            request,
            shape,
            outcome.pool.problem,
            outcome.pool.permutations,
            occupation,
            energy,
            certainty,
            seed=seed,
            lowest_free_ev=cost,
        )
        for energy, occupation in outcome.lowest
    ]
