"""Series of doped compositions: energies above hull, windows and mixing energies against x."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.cell import build_average_cell
from nasicon_struct.composition import NasiconComposition
from nasicon_struct.doped.mixing import mixing_entropy_ev_per_k_per_atom
from nasicon_struct.doped.result import DopedStability
from nasicon_struct.doped.stability import doped_stability
from nasicon_struct.entries import EntrySet, as_entry_set
from nasicon_struct.errors import StabilityError
from nasicon_struct.formula import parse_formula
from nasicon_struct.series import composition_series
from nasicon_struct.stability import StabilityWindow, hull_energies, stability_window
from nasicon_struct.stability.error_model import error_model

#: Tables of the shipped series: every relaxed cell, and the compositions of each series.
CELLS_TABLE: Final = "doped_cells"
SERIES_TABLE: Final = "doped_series"


@dataclass(frozen=True, kw_only=True)
class SeriesCell(MSONable):
    """One relaxed cell of a composition.

    Attributes
    ----------
    parent : str
        Parent cell whose sites were filled.
    formula : str
        Content per O12.
    formula_units, n_atoms : int
    formation_energy_ev_per_atom, e_above_hull_ev_per_atom : float
        From the elements, and above the hull of the level's phases (negative below it), eV per atom, no entropy.
    entropy_ev_per_k_per_atom : float
        Ideal entropy of mixing on the sites of the parent.
    """

    parent: str
    formula: str
    formula_units: int
    n_atoms: int
    formation_energy_ev_per_atom: float
    e_above_hull_ev_per_atom: float
    entropy_ev_per_k_per_atom: float


@dataclass(frozen=True, kw_only=True)
class SeriesPoint(MSONable):
    """One composition of a series.

    Attributes
    ----------
    x : float
        Variable of the series.
    formula : str
    cells : tuple of SeriesCell
        Lowest energy first, without entropy.
    window : StabilityWindow
        Of the lowest cell, without entropy. A cell above the hull is shifted onto it: the limits are those that
        the compound would have if it just were stable.
    """

    x: float
    formula: str
    cells: tuple[SeriesCell, ...]
    window: StabilityWindow

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(self.cells))

    @property
    def lowest(self) -> SeriesCell:
        """Cell of lowest energy, without entropy."""
        return self.cells[0]

    @property
    def e_above_hull_ev_per_atom(self) -> float:
        """Of the lowest cell, eV per atom; negative below every phase of the level."""
        return self.lowest.e_above_hull_ev_per_atom

    @property
    def spread_ev_per_atom(self) -> float:
        """Highest minus lowest energy over the cells, eV per atom."""
        return self.cells[-1].e_above_hull_ev_per_atom - self.e_above_hull_ev_per_atom

    def e_above_hull_mixed_ev_per_atom(self, temperature_k: float) -> float:
        """Return the least energy above hull with the ideal entropy of mixing at a temperature, eV per atom."""
        return min(
            cell.e_above_hull_ev_per_atom - temperature_k * cell.entropy_ev_per_k_per_atom
            for cell in self.cells
        )


@dataclass(frozen=True, kw_only=True)
class MixingPoint(MSONable):
    """Energy of one composition against the ends of its series.

    Attributes
    ----------
    x : float
    formula : str
    energies_mev_per_fu : tuple of float
        Of every cell, in the order of ``SeriesPoint.cells``, against the line between the lowest energies of the
        first and the last composition, meV per formula unit (O12); negative where mixing is favoured.
    phase_mev_per_fu : float or None
        The same of the lowest phase of this composition in the entry set; None where it holds none.
    lowest_mev_per_fu : float
        The lowest of all these.
    standard_error_mev_per_fu : float
        Of the level of theory for this combination of energies, meV per formula unit.
    above_hull_mev_per_fu : float
        Of the lowest above the lower convex hull of the series alone, meV per formula unit; 0 on it.
    """

    x: float
    formula: str
    energies_mev_per_fu: tuple[float, ...]
    phase_mev_per_fu: float | None
    lowest_mev_per_fu: float
    standard_error_mev_per_fu: float
    above_hull_mev_per_fu: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "energies_mev_per_fu", tuple(self.energies_mev_per_fu))

    @property
    def on_hull(self) -> bool:
        """Whether this composition is a ground state of the series."""
        return self.above_hull_mev_per_fu < 1e-6


@dataclass(frozen=True, kw_only=True)
class DopedSeries(MSONable):
    """Energies and windows along a series.

    Attributes
    ----------
    template : str
        Formula with the variable x.
    level : str
        Entry set of the competing phases.
    points : tuple of SeriesPoint
        Upward in x.
    """

    template: str
    level: str
    points: tuple[SeriesPoint, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(self.points))

    def mixing_energies(self, entries: Any = None) -> list[MixingPoint]:
        """Return the energy of every composition against the line between the first and the last.

        Parameters
        ----------
        entries : anything that :func:`nasicon_struct.as_entry_set` takes, optional
            Whose phases of these compositions count too, and whose error model gives the standard errors; by
            default the level of the series.

        Returns
        -------
        list of MixingPoint

        Raises
        ------
        StabilityError
            If the series has fewer than two compositions, or its composition is not linear in x.
        """
        if len(self.points) < 2:
            raise StabilityError("mixing energies need at least two compositions")
        symbols = sorted({symbol for point in self.points for symbol in parse_formula(point.formula)})
        amounts = np.array(
            [[float(parse_formula(p.formula).get(symbol, 0)) for symbol in symbols] for p in self.points]
        )
        x = np.array([point.x for point in self.points])
        share = (x - x[0]) / (x[-1] - x[0])
        if np.abs(np.outer(1 - share, amounts[0]) + np.outer(share, amounts[-1]) - amounts).max() > 1e-9:
            raise StabilityError(
                f"the composition of {self.template} is not linear in x: no line to mix along"
            )
        atoms = amounts.sum(axis=1)
        held = as_entry_set(self.level if entries is None else entries, system=symbols)
        phases = [held.formation_energy_ev_per_atom(point.formula) for point in self.points]
        lowest = atoms * [
            min(e for e in (point.lowest.formation_energy_ev_per_atom, phase) if e is not None)
            for point, phase in zip(self.points, phases, strict=True)
        ]
        line = (1 - share) * lowest[0] + share * lowest[-1]
        # Errors are per atom; elements carry none.
        covariance = error_model(held).predict(amounts / atoms[:, None], symbols)[1] * np.outer(atoms, atoms)
        weights = np.eye(len(x))
        weights[:, 0] -= 1 - share
        weights[:, -1] -= share
        errors = np.sqrt(np.clip(np.einsum("ij,jk,ik->i", weights, covariance, weights), 0.0, None))
        above = lowest - line - _lower_hull(x, lowest - line)
        found = []
        for k, point in enumerate(self.points):
            phase = phases[k]
            energies = [atoms[k] * cell.formation_energy_ev_per_atom - line[k] for cell in point.cells]
            found.append(
                MixingPoint(
                    x=point.x,
                    formula=point.formula,
                    energies_mev_per_fu=tuple(1000 * float(energy) for energy in energies),
                    phase_mev_per_fu=None if phase is None else 1000 * float(atoms[k] * phase - line[k]),
                    lowest_mev_per_fu=1000 * float(lowest[k] - line[k]),
                    standard_error_mev_per_fu=1000 * float(errors[k]),
                    above_hull_mev_per_fu=1000 * float(above[k]),
                )
            )
        return found


def _lower_hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the lower convex hull of points upward in x, at each of them."""
    kept: list[int] = []
    for k in range(len(x)):
        while len(kept) > 1:
            i, j = kept[-2:]
            if (y[j] - y[i]) * (x[k] - x[i]) < (y[k] - y[i]) * (x[j] - x[i]):
                break
            kept.pop()
        kept.append(k)
    return np.interp(x, x[kept], y[kept])


def doped_series(
    template: str,
    *,
    x: Iterable[Any],
    level: str = "chgnet-r2scan",
    uncertainty: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
    **options: Any,
) -> DopedSeries:
    """Compute a series: :func:`doped_stability` of every composition.

    Parameters
    ----------
    template : str
        Formula with the variable x, as for :func:`nasicon_struct.composition_series`.
    x : iterable of numbers, keyword-only
    level : str, keyword-only
    uncertainty : bool, keyword-only
        Whether windows come with intervals.
    progress : callable, optional, keyword-only
        Called with (done, total, formula) before each composition.
    **options
        As for :func:`doped_stability`.

    Returns
    -------
    DopedSeries

    Raises
    ------
    NasiconError
        As :func:`doped_stability` and :func:`nasicon_struct.composition_series`.
    """
    values = list(x)
    compositions = composition_series(template, x=values)
    results: dict[Any, DopedStability] = {}
    for number, (value, composition) in enumerate(zip(values, compositions, strict=True)):
        if progress is not None:
            progress(number, len(values), composition.formula)
        results[value] = doped_stability(composition, level=level, uncertainty=False, **options)
    return series_of(template, results, entries=options.get("entries"), uncertainty=uncertainty)


def series_of(
    template: str,
    results: Mapping[Any, DopedStability],
    *,
    entries: Any = None,
    uncertainty: bool = True,
) -> DopedSeries:
    """Gather results of :func:`doped_stability` into a series.

    Parameters
    ----------
    template : str
        Formula with the variable x.
    results : mapping of x to DopedStability
        At one level.
    entries : anything that :func:`nasicon_struct.as_entry_set` takes, optional, keyword-only
        Competing phases; by default those of the level.
    uncertainty : bool, keyword-only
        Whether windows come with intervals.

    Returns
    -------
    DopedSeries

    Raises
    ------
    StabilityError
        If there is no result, or they are of several levels.
    """
    levels = {found.level for found in results.values()}
    if len(levels) != 1:
        raise StabilityError(f"a series is of one level, got {', '.join(sorted(levels)) or 'no result'}")
    (level,) = levels
    rows: dict[float, list[dict[str, Any]]] = {}
    for value, found in results.items():
        sites = found.mixing
        entropies = {
            parent: mixing_entropy_ev_per_k_per_atom(
                build_average_cell(found.composition, parent=parent, coordinates="prototype"), sites=sites
            )
            for parent in {item.parent for item in found.orderings}
        }
        rows[float(value)] = [
            {
                "parent": item.parent,
                "formula": item.formula,
                "formula_units": item.formula_units,
                "n_atoms": item.n_atoms,
                "formation_energy_ev_per_atom": item.formation_energy_ev_per_atom,
                "entropy_ev_per_k_per_atom": entropies[item.parent],
            }
            for item in found.orderings
        ]
    names = {float(value): found.composition for value, found in results.items()}
    return _series(template, level, names, rows, entries, uncertainty)


def list_doped_series() -> dict[str, str]:
    """Return the shipped series: name and template.

    Source: ``structures/tables/doped_series.csv``, computed by this project with ``scripts/doped_series.py``.
    """
    return {row["series"]: row["template"] for row in reference.read_rows(SERIES_TABLE)}


def load_doped_series(name: str, *, uncertainty: bool = True) -> DopedSeries:
    """Return a shipped series, against the phases of its level as they are now.

    Parameters
    ----------
    name : str
        One of :func:`list_doped_series`, such as ``"Sc"``.
    uncertainty : bool, keyword-only
        Whether windows come with intervals.

    Returns
    -------
    DopedSeries

    Raises
    ------
    StabilityError
        If there is no such series.
    """
    members = [row for row in reference.read_rows(SERIES_TABLE) if row["series"] == name]
    if not members:
        raise StabilityError(f"there is no series {name!r}; there are {', '.join(list_doped_series())}")
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in reference.read_rows(CELLS_TABLE):
        cells.setdefault(row["formula"], []).append(
            {
                "parent": row["parent"],
                "formula": row["formula"],
                "formula_units": int(row["formula_units"]),
                "n_atoms": int(row["n_atoms"]),
                "formation_energy_ev_per_atom": float(row["formation_energy_ev_per_atom"]),
                "entropy_ev_per_k_per_atom": float(row["entropy_ev_per_k_per_atom"]),
            }
        )
    names = {float(row["x"]): row["formula"] for row in members}
    rows = {x: cells[formula] for x, formula in names.items()}
    return _series(members[0]["template"], members[0]["level"], names, rows, None, uncertainty)


def _series(
    template: str,
    level: str,
    names: Mapping[float, str],
    rows: Mapping[float, Sequence[Mapping[str, Any]]],
    entries: Any,
    uncertainty: bool,
) -> DopedSeries:
    points = []
    for x in sorted(rows):
        system = sorted(NasiconComposition.from_formula(names[x]).amounts)
        competitors = as_entry_set(level if entries is None else entries, system=system)
        cells = sorted(
            (_cell(row, competitors) for row in rows[x]), key=lambda cell: cell.e_above_hull_ev_per_atom
        )
        best = cells[0]
        window = stability_window(
            best.formula,
            competitors,
            formation_energy_ev_per_atom=best.formation_energy_ev_per_atom
            - max(0.0, best.e_above_hull_ev_per_atom),
            uncertainty=uncertainty,
        )
        points.append(SeriesPoint(x=x, formula=names[x], cells=tuple(cells), window=window))
    return DopedSeries(template=template, level=level, points=tuple(points))


def _cell(row: Mapping[str, Any], competitors: EntrySet) -> SeriesCell:
    amounts = {symbol: float(n) for symbol, n in parse_formula(row["formula"]).items()}
    above = row["formation_energy_ev_per_atom"] - float(hull_energies([amounts], competitors)[0])
    return SeriesCell(**row, e_above_hull_ev_per_atom=above)
