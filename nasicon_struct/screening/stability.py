"""Hull energies and windows of many compositions: the same numbers as ``stability_window``."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import numpy as np

from nasicon_struct.entries import EntrySet, as_entry_set
from nasicon_struct.errors import NasiconError, StabilityError
from nasicon_struct.screening.judge import Judgement
from nasicon_struct.stability import StabilityWindow, stability_window
from nasicon_struct.stability.inputs import ION_CHARGES
from nasicon_struct.stability.system import System

#: Columns of numbers, in the order of :attr:`StabilityRows.numbers`.
NUMBERS: Final = (
    "hull_energy_ev_per_atom",
    "e_above_hull_ev_per_atom",
    "e_above_hull_low_ev_per_atom",
    "e_above_hull_high_ev_per_atom",
    "probability_stable",
    "reduction_v",
    "reduction_low_v",
    "reduction_high_v",
    "oxidation_v",
    "oxidation_low_v",
    "oxidation_high_v",
    "assemblage_reduction_v",
    "assemblage_oxidation_v",
)


@dataclass
class StabilityRows:
    """Stability of some rows.

    Attributes
    ----------
    numbers : dict of str to ndarray, shape (m,)
        NaN where there is none.
    sources, phases, notes : ndarray of str, shape (m,)
        Set of energies, competing phases of each composition; why a number is missing.
    """

    numbers: dict[str, np.ndarray]
    sources: np.ndarray
    phases: np.ndarray
    notes: np.ndarray


@dataclass
class StabilityArrays:
    """Hulls for screening, one for each set of elements.

    Parameters
    ----------
    entries : anything that :func:`nasicon_struct.as_entry_set` takes
    open_element : str
    n_samples, seed : int
        Samples of the error model for a composition with an energy of its own.
    """

    entries: Any = None
    open_element: str = "Na"
    n_samples: int = 1000
    seed: int = 0
    _systems: dict[tuple[str, ...], tuple[System, EntrySet] | str] = field(default_factory=dict)
    _own: dict[str, StabilityWindow] = field(default_factory=dict)
    _names: dict[tuple[str, ...], dict[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.open_element not in ION_CHARGES:
            raise StabilityError(
                f"a voltage needs an ion of known charge, got {self.open_element!r}; use one of "
                f"{', '.join(ION_CHARGES)}"
            )

    def rows(self, judgement: Judgement, rows: np.ndarray, formulas: list[str]) -> StabilityRows:
        """Return the stability of some rows.

        Parameters
        ----------
        judgement : Judgement
        rows : ndarray of int, shape (m,)
            Possible compositions.
        formulas : list of str, length m
            Their canonical formulas.
        """
        n_rows = len(rows)
        numbers = {name: np.full(n_rows, np.nan) for name in NUMBERS}
        result = StabilityRows(numbers, *(np.full(n_rows, "", dtype=object) for _ in range(3)))
        present = judgement.amounts.numerators[rows] > 0
        bits = present @ (1 << np.arange(present.shape[1], dtype=np.int64))
        for value in np.unique(bits).tolist():
            part = np.flatnonzero(bits == value)
            elements = tuple(symbol for j, symbol in enumerate(judgement.amounts.elements) if value >> j & 1)
            self._fill(judgement, rows, part, elements, formulas, result)
        return result

    def _fill(
        self,
        judgement: Judgement,
        rows: np.ndarray,
        part: np.ndarray,
        elements: tuple[str, ...],
        formulas: list[str],
        result: StabilityRows,
    ) -> None:
        """Fill the rows of one set of elements."""
        found = self._system(elements)
        if isinstance(found, str):
            result.notes[part] = found
            return
        system, entries = found
        result.sources[part] = entries.source
        names = judgement.amounts.elements
        floats, chosen = judgement.floats, rows[part]
        table = np.zeros((len(part), len(system.free)))
        for j, symbol in enumerate(system.free):
            if symbol in names:
                table[:, j] = floats[chosen, names.index(symbol)]
        column = system.column(self.open_element)
        charge = ION_CHARGES[self.open_element]
        hull = system.hull
        faces = hull.faces.find(table)
        if hull.full:
            energies = hull.energies(table)
            low, high = hull.slopes(table, column)
        else:
            energies = hull.faces.energies(table, faces)
            low = hull.faces.slopes(table, column, -1, faces)
            high = hull.faces.slopes(table, column, +1, faces)
        amounts = judgement.amounts
        atoms = amounts.numerators[chosen].sum(axis=1) / amounts.denominators[chosen]
        result.numbers["hull_energy_ev_per_atom"][part] = energies / atoms
        result.numbers["assemblage_reduction_v"][part] = np.abs(np.minimum(0.0, high)) / charge
        result.numbers["assemblage_oxidation_v"][part] = np.abs(low) / charge
        labels = self._names.setdefault(elements, {})
        for face in np.unique(faces).tolist():
            if face not in labels:
                labels[face] = " + ".join(sorted(hull.labels[i] for i in hull.faces.members(face)))
        result.phases[part] = [labels[face] for face in faces.tolist()]
        result.notes[part] = (
            f"no energy of this composition in {entries.source!r}: hull energy and assemblage range are those "
            "of its competing phases"
        )
        for k in self._with_energy(entries, judgement, chosen):
            self._fill_own(int(part[k]), formulas[part[k]], entries, result)

    def _system(self, elements: tuple[str, ...]) -> tuple[System, EntrySet] | str:
        """Return the system of a set of elements, or why there is none."""
        if elements not in self._systems:
            wanted = {*elements, self.open_element}
            try:
                entries = as_entry_set(self.entries, system=wanted, open_element=self.open_element)
                memo = entries.memo("system")
                key = (frozenset(wanted), ())
                if key not in memo:
                    memo[key] = System(entries, wanted)
                self._systems[elements] = (memo[key], entries)
            except NasiconError as error:
                self._systems[elements] = str(error)
        return self._systems[elements]

    def _with_energy(self, entries: EntrySet, judgement: Judgement, rows: np.ndarray) -> list[int]:
        """Return the positions in ``rows`` of compositions that have an entry of their own."""
        names = judgement.amounts.elements
        keys = _fingerprints(entries)
        if not len(keys):
            return []
        weights = np.array([_weight(symbol) for symbol in names])
        floats = judgement.floats[rows]
        values = (floats @ weights) / floats.sum(axis=1)
        at = np.searchsorted(keys, values - 1e-9)
        near = (at < len(keys)) & (keys[np.minimum(at, len(keys) - 1)] <= values + 1e-9)
        found = []
        for k in np.flatnonzero(near).tolist():
            row = rows[k]
            amounts = {
                symbol: Fraction(int(n), int(judgement.amounts.denominators[row]))
                for symbol, n in zip(names, judgement.amounts.numerators[row], strict=True)
                if n
            }
            if entries.find(amounts) is not None:
                found.append(k)
        return found

    def _fill_own(self, row: int, formula: str, entries: EntrySet, result: StabilityRows) -> None:
        """Take the answer for a composition with an energy of its own from the single-candidate code."""
        if formula not in self._own:
            self._own[formula] = stability_window(
                formula, entries, open_element=self.open_element, n_samples=self.n_samples, seed=self.seed
            )
        values, phases, note = own_numbers(self._own[formula])
        for name, value in values.items():
            result.numbers[name][row] = value
        result.phases[row], result.notes[row] = phases, note


def own_numbers(window: StabilityWindow) -> tuple[dict[str, float], str, str]:
    """Return numbers, competing phases and note of one window."""

    def number(value: float | None) -> float:
        return np.nan if value is None else float(value)

    def interval(value: tuple[float, float] | None) -> tuple[float, float]:
        return (np.nan, np.nan) if value is None else (float(value[0]), float(value[1]))

    known = window.uncertainty
    above = interval(known.e_above_hull_interval_ev_per_atom if known else None)
    reduction = interval(known.reduction_v_interval if known else None)
    oxidation = interval(known.oxidation_v_interval if known else None)
    values = (
        window.hull_energy_ev_per_atom,
        number(window.e_above_hull_ev_per_atom),
        *above,
        number(known.probability_stable if known else None),
        number(window.reduction_v),
        *reduction,
        number(window.oxidation_v),
        *oxidation,
        window.assemblage_reduction_v,
        window.assemblage_oxidation_v,
    )
    phases = " + ".join(sorted(part.formula for part in window.decomposition))
    note = window.reason
    if window.e_above_hull_ev_per_atom is None:
        note = (
            f"no energy of this composition in {window.source!r}: hull energy and assemblage range are those "
            "of its competing phases"
        )
    return dict(zip(NUMBERS, values, strict=True)), phases, note


def _weight(symbol: str) -> float:
    """Return a number for each element, the same in every run."""
    from nasicon_struct.formula import ELEMENTS

    return float(np.random.default_rng(ELEMENTS.index(symbol) + 1).random())


def _fingerprints(entries: EntrySet) -> np.ndarray:
    """Return one number per composition of the set, sorted; equal compositions have equal numbers."""
    memo = entries.memo("screening")
    if "fingerprints" not in memo:
        weights = np.array([_weight(symbol) for symbol in entries.elements])
        memo["fingerprints"] = np.unique(entries.fractions @ weights)
    return memo["fingerprints"]
