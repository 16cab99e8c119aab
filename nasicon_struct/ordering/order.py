"""Ordered cells of a doped composition, lowest in energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from nasicon_struct.errors import OrderingError
from nasicon_struct.ordering.cells import Certainty, ordered_cell, shortage
from nasicon_struct.ordering.correlations import pair_shells, randomness_error
from nasicon_struct.ordering.request import Request, prepare
from nasicon_struct.ordering.results import OrderedCell
from nasicon_struct.ordering.sampling import boltzmann_sample, random_sample, sqs_sample
from nasicon_struct.ordering.search import all_lowest, anneal_lowest
from nasicon_struct.ordering.shape_search import search_shapes
from nasicon_struct.ordering.supercells import MAX_FORMULA_UNITS, TOLERANCE, Shape
from nasicon_struct.ordering.symmetry import site_permutations
from nasicon_struct.ordering.weighted import Weighted, check_weights, weighted_lowest

#: Names of single objectives.
OBJECTIVES: Final = ("electrostatic", "refined", "sqs", "random", "boltzmann")
#: Largest factor on the number of anneals.
MAX_EFFORT: Final = 1000


def order_cell(
    cell: Any,
    *,
    formula_units: int | None = None,
    supercell: Any = None,
    n_structures: int = 1,
    objective: str | Mapping[str, float] = "electrostatic",
    temperature_k: float | None = None,
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
        How many structures, all symmetry-distinct, lowest first. Where there are fewer, those come, with a warning
        in each.
    objective : str or mapping of str to float
        ``"electrostatic"``: lowest Ewald energy. ``"refined"``: the same with the refined numbers on each site
        (see ``keep_site_occupancies``). ``"sqs"``: M and T as near to a random alloy as they come, then the
        lowest energy of sodium. ``"random"``: drawn at random, all distinct, in the order drawn.
        ``"boltzmann"``: drawn with probability exp(-E/kT) at ``temperature_k``, repeats allowed, for
        averages. Weights such as ``{"electrostatic": 1, "refined": 0.5, "sqs": 5}`` minimise a sum: energy in
        eV per formula unit, misplaced atoms per formula unit (against the refined numbers of each site), root
        mean square error of the shares of pairs.
    temperature_k : float, optional
        For ``"boltzmann"``, kelvin. Formal charges overstate differences of energy, so the sample is
        more ordered than a real one at this temperature.
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
        Multiplies the number of anneals (64, fewer in cells of more than 20 formula units), in a search of shapes
        their length.
    n_anneals : int, optional
        Anneals of one shape; replaces ``effort``. After a search of shapes the best one gets a quarter more.
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
    name, weights = _objective(objective, temperature_k)
    if n_structures < 1:
        raise OrderingError(f"n_structures is at least 1, got {n_structures}")
    if not 0 < effort <= MAX_EFFORT:  # NaN too
        raise OrderingError(f"effort is above 0 and at most {MAX_EFFORT}, got {effort}; 1 is the usual one")
    if not tolerance >= 0:
        raise OrderingError(f"the tolerance is 0 or more per formula unit, got {tolerance}")
    keep_site_occupancies = keep_site_occupancies or name == "refined"
    if name not in ("electrostatic", "refined"):
        search_shape = bool(search_shape)
        if search_shape:
            raise OrderingError("shapes are searched for the lowest energy only; leave search_shape out")
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
    size = float(request.model.formula_units * request.index)
    count = max(1, round(64 * effort * min(1.0, 20.0 / size))) if n_anneals is None else n_anneals
    hits = count if n_anneals is not None else max(2, round(6 * effort))
    if name not in ("electrostatic", "refined"):
        n_walks = max(1, round(16 * effort)) if n_anneals is None else n_anneals
        return _other(
            request, choices[0], name, weights, n_structures, temperature_k, seed, n_walks, workers, progress
        )
    shape, outcome = choices[0], None
    if len(choices) > 1:
        shape, outcome = search_shapes(
            request.problem,
            choices,
            n_structures,
            seed=seed,
            n_anneals=count,
            min_hits=hits,
            effort=effort if n_anneals is None else n_anneals / 64,
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
    certainty = Certainty.of(outcome, len(choices), n_structures)
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
            objective=name,
            lowest_free_ev=cost,
        )
        for energy, occupation in outcome.lowest
    ]


def _objective(
    objective: str | Mapping[str, float], temperature_k: float | None
) -> tuple[str, dict[str, float]]:
    """Return the name of the objective and, for a weighted sum, its weights."""
    weights: dict[str, float] = {}
    if isinstance(objective, Mapping):
        weights = check_weights(objective)
        used = [term for term, weight in weights.items() if weight]
        name = " + ".join(f"{weights[term]:g} {term}" for term in used)
        if len(used) == 1:
            name, weights = used[0], {}
    elif objective in OBJECTIVES:
        name = objective
    else:
        raise OrderingError(
            f"objective is one of {', '.join(OBJECTIVES)}, or weights such as {{'electrostatic': 1, 'sqs': 5}}; got "
            f"{objective!r}"
        )
    if (name == "boltzmann") != (temperature_k is not None):
        raise OrderingError(
            "objective='boltzmann' and temperature_k (in K) go together, got "
            f"objective={objective!r} and temperature_k={temperature_k}"
        )
    if temperature_k is not None and not temperature_k > 0:
        raise OrderingError(f"temperature_k is above 0, got {temperature_k}")
    return name, weights


def _other(
    request: Request,
    shape: Shape,
    name: str,
    weights: dict[str, float],
    k: int,
    temperature_k: float | None,
    seed: int,
    n_anneals: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> list[OrderedCell]:
    """Return cells for the objectives that are no lowest energies."""
    problem = request.problem(shape)
    if weights:
        weighted = Weighted.of(problem, weights)
        permutations = site_permutations(problem)
        best = weighted_lowest(
            weighted,
            permutations,
            k,
            seed=seed,
            n_anneals=max(n_anneals, k),
            workers=workers,
            progress=progress,
        )
        certainty = Certainty(
            how=f"{best.hits} of {best.n_anneals} independent anneals ended at the lowest sum",
            n_anneals=best.n_anneals,
            hit_rate=best.hits / best.n_anneals,
            warnings=shortage(len(best.lowest), k),
        )
        return [
            ordered_cell(
                request,
                shape,
                problem,
                permutations,
                occupation,
                float(problem.energies(occupation)[0]),
                certainty,
                seed=seed,
                objective=name,
                objective_value=value,
                sqs_error=randomness_error(problem, weighted.shells, occupation),
            )
            for value, occupation in best.lowest
        ]
    if name == "random":
        sample = random_sample(problem, k, seed=seed)
    elif name == "sqs":
        sample = sqs_sample(problem, k, seed=seed, n_anneals=n_anneals, workers=workers, progress=progress)
    else:
        sample = boltzmann_sample(problem, k, float(temperature_k or 0.0), seed=seed, workers=workers)
    shells = pair_shells(problem)
    certainty = Certainty(
        how=sample.how,
        exact=sample.exact,
        n_arrangements=sample.n_arrangements,
        warnings=shortage(len(sample.members), k),
    )
    cells = []
    for energy, occupation in sample.members:
        error = randomness_error(problem, shells, occupation)
        cells.append(
            ordered_cell(
                request,
                shape,
                problem,
                sample.permutations,
                occupation,
                energy,
                certainty,
                seed=seed,
                objective=name,
                objective_value=error if name == "sqs" else None,
                sqs_error=error,
                temperature_k=temperature_k,
            )
        )
    return cells
