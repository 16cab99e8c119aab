"""Entries and entry sets: phases with their energies, all on one scale."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct.entries.amounts import amounts_of, atomic_fractions, composition_key
from nasicon_struct.errors import EntriesError
from nasicon_struct.formula import parse_formula

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry

#: No total energy per atom, of all electrons of the heaviest element, reaches this, eV.
_LARGEST_ENERGY_EV: Final = 1e7
#: Entries with one of these flags stay out of the hull unless asked for.
DEFAULT_EXCLUDED_FLAGS: Final = (
    "hypothetical",
    "below_reference",
    "high_energy",
    "unphysical",
    "not_converged",
    "incomplete_system",
)


@dataclass(frozen=True, kw_only=True)
class Entry(MSONable):
    """One phase and its energy.

    Attributes
    ----------
    formula : str
        Chemical formula; any multiple of it is the same phase.
    energy_ev_per_atom : float
        Energy, eV per atom, on the scale of the set it belongs to: a formation energy from the elements, or
        an absolute (total) energy, the same for all entries of a set.
    entry_id : str
        Identifier in the database it comes from, for example ``"mp-985584"``.
    level : str
        Level of theory of the energy, where it is known for this entry.
    flag, note, source : str
        What is special about the entry, in one word and in a sentence, and where it comes from.
    method : str
        Kind of calculation of this row, for example ``"CHGNet r2SCAN potential"`` or ``"GPAW r2SCAN"``.
    polymorph : str
        Space group of the cell, where it is known.
    """

    formula: str
    energy_ev_per_atom: float
    entry_id: str = ""
    level: str = ""
    flag: str = ""
    note: str = ""
    source: str = ""
    method: str = ""
    polymorph: str = ""

    @functools.cached_property
    def amounts(self) -> dict[str, Fraction]:
        """Exact amounts per formula unit."""
        return amounts_of(self.formula)

    @functools.cached_property
    def n_atoms(self) -> float:
        """Atoms per formula unit."""
        return float(sum(self.amounts.values()))

    @property
    def is_element(self) -> bool:
        """Whether the phase holds a single element."""
        return len(self.amounts) == 1

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        names = [field.name for field in fields(self)]
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            **{name: getattr(self, name) for name in names},
        }


@dataclass(frozen=True, kw_only=True)
class EntrySet(MSONable):
    """Phases whose energies may be compared: one level of theory, one scale.

    The scale may be formation energies (each element's lowest phase at 0) or absolute energies; the set finds
    the element references itself, and everything computed from it uses formation energies.

    Attributes
    ----------
    entries : tuple of Entry
    source : str
        Name of the set, for example ``"mp2019-gga"``.
    level : str
        Level of theory, in words.
    citation, licence : str
        Printable citation and terms of use.
    excluded : tuple of Entry
        Entries that were kept out of the hull because of their flag.
    notes : tuple of str
        What a user of the set must know.
    """

    entries: tuple[Entry, ...]
    source: str = "user"
    level: str = ""
    citation: str = ""
    licence: str = ""
    excluded: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("entries", "excluded"):
            if isinstance(getattr(self, name), str) or not isinstance(getattr(self, name), Iterable):
                raise EntriesError(
                    f"the {name} must be a list of Entry objects, got {getattr(self, name)!r:.40}"
                )
            items = tuple(
                Entry.from_dict(dict(item)) if isinstance(item, Mapping) else item
                for item in getattr(self, name)
            )
            foreign = next((item for item in items if not isinstance(item, Entry)), None)
            if foreign is not None:
                raise EntriesError(
                    f"the {name} must be Entry objects, got {type(foreign).__name__}; for pymatgen entries use "
                    "entries_from_pymatgen"
                )
            object.__setattr__(self, name, items)
        object.__setattr__(self, "notes", tuple(self.notes))
        if not self.entries:
            raise EntriesError(f"the entry set {self.source!r} is empty; give at least the elements")
        for entry in self.entries:
            energy = entry.energy_ev_per_atom
            if not (isinstance(energy, Real) and abs(energy) <= _LARGEST_ENERGY_EV):
                raise EntriesError(
                    f"the energy of {entry.formula} is {energy}, not a finite number of eV per atom; "
                    "remove the entry or correct its energy"
                )

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __getitem__(self, formula: Any) -> Entry:
        """Return the lowest entry of a composition."""
        found = self.find(formula)
        if found is None:
            raise EntriesError(f"the entry set {self.source!r} holds no phase of composition {formula}")
        return found

    def __contains__(self, formula: Any) -> bool:
        return self.find(formula) is not None

    @functools.cached_property
    def excluded_names(self) -> str:
        """What is kept out of the hull, by flag, as text: ``"hypothetical: P2S, SbS2; below_reference: Na (9)"``."""
        by_flag: dict[str, collections.Counter[str]] = {}
        for entry in self.excluded:
            by_flag.setdefault(entry.flag or "other", collections.Counter())[entry.formula] += 1
        return "; ".join(
            f"{flag}: "
            + ", ".join(name if n == 1 else f"{name} ({n})" for name, n in sorted(by_flag[flag].items()))
            for flag in sorted(by_flag)
        )

    @functools.cached_property
    def elements(self) -> tuple[str, ...]:
        """Elements of all entries, in alphabetical order."""
        return tuple(sorted({symbol for entry in self.entries for symbol in entry.amounts}))

    @functools.cached_property
    def fractions(self) -> np.ndarray:
        """Atomic fractions, shape (entries, elements), columns as in :attr:`elements`."""
        return atomic_fractions([entry.amounts for entry in self.entries], self.elements)

    @functools.cached_property
    def reference_ev_per_atom(self) -> dict[str, float]:
        """Lowest energy of each element that has an entry, eV per atom, on the scale of the set."""
        lowest: dict[str, float] = {}
        for entry in self.entries:
            if entry.is_element:
                (symbol,) = entry.amounts
                lowest[symbol] = min(entry.energy_ev_per_atom, lowest.get(symbol, np.inf))
        return lowest

    @functools.cached_property
    def formation_energies_ev_per_atom(self) -> np.ndarray:
        """Formation energies from the elements of the set, eV per atom, shape (entries,).

        Raises
        ------
        EntriesError
            If an element has no entry of its own.
        """
        references = self.reference_ev_per_atom
        missing = [symbol for symbol in self.elements if symbol not in references]
        if missing:
            raise EntriesError(
                f"the entry set {self.source!r} has no elemental entry for {', '.join(missing)}, so its "
                "energies have no reference; add the element (energy 0 on a scale of formation energies)"
            )
        # Added in a fixed order: a matrix product rounds differently with the position of a row.
        offset = np.zeros(len(self.entries))
        for column, symbol in zip(self.fractions.T, self.elements, strict=True):
            offset += column * references[symbol]
        return np.array([entry.energy_ev_per_atom for entry in self.entries]) - offset

    @property
    def is_formation_scale(self) -> bool:
        """Whether the energies are formation energies: every element's lowest phase is at 0."""
        return all(abs(value) < 1e-12 for value in self.reference_ev_per_atom.values())

    @functools.cached_property
    def _lowest(self) -> dict[tuple[tuple[str, int], ...], int]:
        lowest: dict[tuple[tuple[str, int], ...], int] = {}
        for index, entry in enumerate(self.entries):
            key = composition_key(entry.amounts)
            best = lowest.get(key)
            if best is None or _rank(entry) < _rank(self.entries[best]):
                lowest[key] = index
        return lowest

    def find(self, formula: Any) -> Entry | None:
        """Return the lowest entry of a composition, or None.

        Parameters
        ----------
        formula : str, Composition, Structure, Atoms or mapping of element to amount
        """
        index = self._lowest.get(composition_key(amounts_of(formula)))
        return None if index is None else self.entries[index]

    def formation_energy_ev_per_atom(self, formula: Any) -> float | None:
        """Return the formation energy of the lowest entry of a composition, eV per atom, or None."""
        index = self._lowest.get(composition_key(amounts_of(formula)))
        return None if index is None else float(self.formation_energies_ev_per_atom[index])

    def memo(self, kind: str) -> dict[Any, Any]:
        """Return a store of results that depend on this set alone, such as hulls."""
        return self._memos.setdefault(kind, {})

    @functools.cached_property
    def _memos(self) -> dict[str, dict[Any, Any]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def subset(self, elements: Iterable[str]) -> EntrySet:
        """Return the entries that hold no other elements than these.

        Raises
        ------
        EntriesError
            If nothing is left, or one of the elements has no entry at all.
        """
        wanted = frozenset(elements)
        unknown = sorted(wanted - set(self.elements))
        if unknown:
            raise EntriesError(
                f"the entry set {self.source!r} does not cover {', '.join(unknown)}; it holds "
                f"{', '.join(self.elements)}"
            )
        if wanted == frozenset(self.elements):
            return self
        memo = self.memo("subset")
        if wanted not in memo:
            kept = tuple(entry for entry in self.entries if wanted.issuperset(entry.amounts))
            dropped = tuple(entry for entry in self.excluded if wanted.issuperset(entry.amounts))
            if not kept:
                raise EntriesError(
                    f"the entry set {self.source!r} holds no phase within {', '.join(sorted(wanted))}; add "
                    "the elements"
                )
            memo[wanted] = replace(self, entries=kept, excluded=dropped)
        return memo[wanted]

    def without(self, formulas: str | Iterable[str]) -> EntrySet:
        """Return the set without every entry of the given compositions."""
        if formulas is None or not isinstance(formulas, Iterable):
            raise EntriesError(
                f"name the phases to leave out by their formulas, got {type(formulas).__name__}"
            )
        names = [formulas] if isinstance(formulas, str) else list(formulas)
        keys = {composition_key(parse_formula(name)) for name in names}
        kept = tuple(entry for entry in self.entries if composition_key(entry.amounts) not in keys)
        return replace(self, entries=kept)

    def with_entry(
        self, formula: str, *, formation_energy_ev_per_atom: float, note: str = "added by the user"
    ) -> EntrySet:
        """Return the set with one more phase, given by its formation energy.

        Parameters
        ----------
        formula : str
        formation_energy_ev_per_atom : float
            Formation energy from the elements at the level of this set, eV per atom.
        """
        amounts = parse_formula(formula)
        total = sum(amounts.values())
        given = formation_energy_ev_per_atom
        if isinstance(given, bool) or not isinstance(given, Real):
            raise EntriesError(
                f"the formation energy of {formula} must be a number of eV per atom, got {given!r}"
            )
        references = self.reference_ev_per_atom
        try:
            offset = sum(float(amount / total) * references[symbol] for symbol, amount in amounts.items())
        except KeyError as error:
            raise EntriesError(
                f"the entry set {self.source!r} has no element {error.args[0]}; add it before {formula}"
            ) from None
        added = Entry(formula=formula, energy_ev_per_atom=float(given) + offset, flag="user", note=note)
        return replace(self, entries=(*self.entries, added))

    def pdentries(self) -> list[PDEntry]:
        """Return pymatgen PDEntry objects on the scale of the set (energies in eV per formula unit)."""
        from pymatgen.analysis.phase_diagram import PDEntry
        from pymatgen.core.composition import Composition

        return [
            PDEntry(
                Composition({symbol: float(amount) for symbol, amount in entry.amounts.items()}),
                entry.energy_ev_per_atom * entry.n_atoms,
                name=entry.formula,
                attribute=entry.entry_id or None,
            )
            for entry in self.entries
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            "entries": [entry.as_dict() for entry in self.entries],
            "excluded": [entry.as_dict() for entry in self.excluded],
            "notes": list(self.notes),
            **{name: getattr(self, name) for name in ("source", "level", "citation", "licence")},
        }


def _rank(entry: Entry) -> tuple[float, str, str]:
    """Order of entries of one composition: energy first, then names, never the position in the list."""
    return (entry.energy_ev_per_atom, entry.formula, entry.entry_id)
