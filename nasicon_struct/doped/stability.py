"""Order a doped composition, relax the orderings, and hold them against the hull of the same level."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from pymatgen.core.structure import Structure

from nasicon_struct.cell import AverageCell, build_average_cell
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.doped.mixing import MIXING_SITES, mixing_entropy_ev_per_k_per_atom
from nasicon_struct.doped.result import DopedOrdering, DopedStability
from nasicon_struct.entries import as_entry_set, reference_energies
from nasicon_struct.errors import OrderingError, StabilityError
from nasicon_struct.formula import format_formula
from nasicon_struct.ordering import order_cell
from nasicon_struct.relaxation import load_calculator, relax_cell
from nasicon_struct.stability import hull_energies, stability_window

#: Calculator of each level whose rows it made: only these energies may be compared.
CALCULATORS: Final = {"chgnet-r2scan": "chgnet-r2scan", "chgnet-pbe": "chgnet"}
#: Monoclinic and rhombohedral parents with sane coordinates.
_PARENTS: Final = ("subramanian1985", "boilot1988_x235")


@dataclass(frozen=True)
class _Candidate:
    """A cell to relax."""

    structure: Structure
    formula_units: int
    composition: dict[str, int]
    composition_error: float
    electrostatic_ev_per_fu: float | None
    provenance: tuple[str, ...]


def doped_stability(
    composition: Any,
    *,
    level: str = "chgnet-r2scan",
    n_orderings: int = 3,
    parents: Sequence[str] = _PARENTS,
    formula_units: int | Sequence[int] | None = None,
    temperature_k: float | None = None,
    mixing: Iterable[str] = MIXING_SITES,
    calculator: Any = None,
    entries: Any = None,
    references_ev_per_atom: Mapping[str, float] | None = None,
    fmax_ev_per_ang: float = 0.03,
    max_steps: int = 500,
    min_na_na_ang: float = 2.0,
    rattle_ang: float = 0.02,
    seed: int = 0,
    uncertainty: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
) -> DopedStability:
    """Return energy above hull and window of a doped composition from relaxed, ordered cells.

    Every parent is filled with whole atoms (lowest Ewald energies), relaxed (atoms and lattice), and its energy
    held against the phases of the same level; the spread over orderings shows what the choice of cell costs.

    Parameters
    ----------
    composition : str, pymatgen Composition or Structure, ASE Atoms, or NasiconComposition
    level : str, keyword-only
        Energy set of the competing phases, made with the calculator of the same name.
    n_orderings : int, keyword-only
        Orderings of each parent and size that are relaxed, lowest Ewald energy first.
    parents : sequence of str, keyword-only
        Parent cells with prototype coordinates; by default one monoclinic and one rhombohedral.
    formula_units : int or sequence of int, optional, keyword-only
        Sizes of the cells; by default the smallest that holds the composition.
    temperature_k : float, optional, keyword-only
        Temperature of the ideal entropy of mixing, kelvin; without it none is taken into account. The
        competitors are taken as ordered, and nothing vibrates.
    mixing : iterable of str, keyword-only
        Kinds of site that mix: any of ``Na``, ``M``, ``T``.
    calculator : ASE calculator or str, optional, keyword-only
        In place of that of the level; needs ``references_ev_per_atom``.
    entries : anything that :func:`nasicon_struct.as_entry_set` takes, optional, keyword-only
        In place of those of the level: formation energies on the scale of the references.
    references_ev_per_atom : mapping of str to float, optional, keyword-only
        Energy of each element's reference state by the calculator, eV per atom.
    fmax_ev_per_ang, max_steps
        As for :func:`nasicon_struct.relax_cell`.
    min_na_na_ang : float, keyword-only
        Sodium sites nearer than this are never both filled, angstrom.
    rattle_ang : float, keyword-only
        Standard deviation of random displacements before relaxing, angstrom: without them a cell of high symmetry
        keeps forces of zero on atoms that would rather move.
    seed : int, keyword-only
        Seed of the ordering and of the displacements.
    uncertainty : bool, keyword-only
        Whether the window comes with intervals.
    progress : callable, optional, keyword-only
        Called with (done, total, what) before each relaxation.

    Returns
    -------
    DopedStability

    Raises
    ------
    CompositionError, OrderingError, CellError
        If the composition is no neutral NASICON or cannot be ordered or relaxed.
    EntriesError, StabilityError
        If the level has no calculator or lacks the energy of an element.
    MissingDependencyError
        If the calculator's package is not installed.
    """
    target = NasiconComposition.from_any(composition)
    if n_orderings < 1:
        raise StabilityError(f"n_orderings is at least 1, got {n_orderings}")
    if temperature_k is not None and not (math.isfinite(temperature_k) and temperature_k >= 0):
        raise StabilityError(f"temperature_k must be 0 or more, got {temperature_k}")
    if not (math.isfinite(rattle_ang) and 0 <= rattle_ang <= 0.2):
        raise StabilityError(f"rattle_ang must lie between 0 and 0.2 angstrom, got {rattle_ang}")
    kinds = tuple(mixing)
    elements = sorted(target.amounts)
    competitors = as_entry_set(level if entries is None else entries, system=elements)
    engine, references = _engine(level, calculator, references_ev_per_atom)
    missing = [symbol for symbol in elements if symbol not in references]
    if missing:
        raise StabilityError(
            f"the level {level!r} has no reference energy of {', '.join(missing)}; give references_ev_per_atom "
            "computed with the same calculator"
        )
    averages = {name: _average(target, name) for name in parents}
    if not averages:
        raise StabilityError("name at least one parent cell")
    temperature = 0.0 if temperature_k is None else float(temperature_k)
    entropies = {name: mixing_entropy_ev_per_k_per_atom(cell, sites=kinds) for name, cell in averages.items()}
    ordered, warnings = _orderings(averages, formula_units, n_orderings, min_na_na_ang, seed)
    if isinstance(engine, str):
        engine = load_calculator(engine)
    results = []
    for number, (name, cell) in enumerate(ordered):
        if progress is not None:
            progress(number, len(ordered), f"{name}, {cell.formula_units} formula units")
        relaxed = relax_cell(
            _rattled(cell, rattle_ang, seed), engine, fmax_ev_per_ang=fmax_ev_per_ang, max_steps=max_steps
        )
        amounts = {symbol: float(n) for symbol, n in cell.composition.items()}
        total = sum(amounts.values())
        formation = relaxed.energy_ev_per_atom - sum(n * references[s] for s, n in amounts.items()) / total
        above = formation - float(hull_energies([amounts], competitors)[0])
        results.append(
            DopedOrdering(
                parent=name,
                formula=_formula(cell),
                formula_units=cell.formula_units,
                n_atoms=len(cell.structure),
                composition_error=cell.composition_error,
                electrostatic_ev_per_fu=cell.electrostatic_ev_per_fu,
                energy_ev_per_atom=relaxed.energy_ev_per_atom,
                formation_energy_ev_per_atom=formation,
                e_above_hull_ev_per_atom=above,
                e_above_hull_mixed_ev_per_atom=above - temperature * entropies[name],
                relaxed=relaxed,
            )
        )
    results.sort(key=lambda item: (item.e_above_hull_mixed_ev_per_atom, item.parent, item.formula_units))
    best = results[0]
    if any(not item.relaxed.converged for item in results):
        warnings.append(f"relaxations stopped after {max_steps} steps before they converged")
    if best.composition_error > 0:
        warnings.append(f"the lowest cell is {best.formula}, not {target.formula}: whole atoms")
    window = stability_window(
        best.formula,
        competitors,
        formation_energy_ev_per_atom=best.formation_energy_ev_per_atom - temperature * entropies[best.parent],
        uncertainty=uncertainty,
    )
    return DopedStability(
        composition=target.formula,
        level=competitors.source,
        calculator=best.relaxed.provenance[-2],
        temperature_k=temperature_k,
        entropy_ev_per_k_per_atom=entropies[best.parent],
        mixing=kinds,
        orderings=tuple(results),
        window=window,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _engine(
    level: str, calculator: Any, references: Mapping[str, float] | None
) -> tuple[Any, Mapping[str, float]]:
    """Return calculator and element references that belong together."""
    if calculator is not None:
        if references is None:
            raise StabilityError(
                "a calculator of your own needs references_ev_per_atom: the energies of the elements by the same "
                "calculator, eV per atom"
            )
        return calculator, references
    if level not in CALCULATORS:
        raise StabilityError(
            f"no calculator makes energies of the level {level!r}; take one of {', '.join(CALCULATORS)}, or give "
            "calculator and references_ev_per_atom"
        )
    return CALCULATORS[level], reference_energies(level) if references is None else references


def _average(target: NasiconComposition, parent: str) -> AverageCell:
    return build_average_cell(target, parent=parent, coordinates="prototype", lattice="predicted")


def _orderings(
    averages: Mapping[str, AverageCell],
    formula_units: int | Sequence[int] | None,
    n_orderings: int,
    min_na_na_ang: float,
    seed: int,
) -> tuple[list[tuple[str, _Candidate]], list[str]]:
    """Return the cells to relax, and what could not be ordered."""
    sizes: list[int | None]
    sizes = (
        [formula_units] if formula_units is None or isinstance(formula_units, int) else list(formula_units)
    )
    found: list[tuple[str, _Candidate]] = []
    warnings: list[str] = []
    error: OrderingError | None = None
    for name, cell in averages.items():
        if cell.structure.is_ordered:
            found.append((name, _whole(cell)))
            continue
        for size in sizes:
            try:
                cells = order_cell(
                    cell,
                    formula_units=size,
                    n_structures=n_orderings,
                    min_na_na_ang=min_na_na_ang,
                    seed=seed,
                )
            except OrderingError as problem:
                error = problem
                warnings.append(f"{name}: {problem}")
                continue
            found += [
                (
                    name,
                    _Candidate(
                        item.structure,
                        item.formula_units,
                        item.composition,
                        item.composition_error,
                        item.energy_ev_per_fu,
                        item.provenance,
                    ),
                )
                for item in cells
            ]
            warnings += [text for item in cells for text in item.warnings if text not in cell.warnings]
    if not found and error is not None:
        raise error
    return found, warnings


def _whole(cell: AverageCell) -> _Candidate:
    """Return an average cell whose sites are full already, as its primitive cell."""
    structure = cell.structure.get_primitive_structure()
    composition = {symbol: round(n) for symbol, n in structure.composition.get_el_amt_dict().items()}
    units = composition["O"] // 12
    return _Candidate(structure, units, composition, 0.0, None, cell.provenance)


def _rattled(cell: _Candidate, rattle_ang: float, seed: int) -> _Candidate:
    """Return the cell with its atoms displaced at random."""
    structure = cell.structure.copy()
    shifts = np.random.default_rng(seed).normal(0.0, rattle_ang, (len(structure), 3))
    for number, shift in enumerate(shifts):
        structure.translate_sites([number], shift, frac_coords=False, to_unit_cell=False)
    text = f"Displaced at random by {rattle_ang:g} A (standard deviation) before relaxing."
    return dataclasses.replace(cell, structure=structure, provenance=(*cell.provenance, text))


def _formula(cell: _Candidate) -> str:
    """Return the content of a cell per O12, exactly."""
    return format_formula({symbol: Fraction(n, cell.formula_units) for symbol, n in cell.composition.items()})
