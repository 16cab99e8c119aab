"""Checks that every entry set passes before it is believed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.entries.amounts import composition_key
from nasicon_struct.entries.convert import as_entry_set
from nasicon_struct.entries.entry import EntrySet
from nasicon_struct.formula import parse_formula

#: Formation energies outside this range, eV per atom, do not occur: the most strongly bound compounds known
#: (HfO2, Y2O3, CaF2) lie near -4 to -4.3 eV per atom.
PLAUSIBLE_FORMATION_EV_PER_ATOM: Final = (-5.0, 1.5)


@dataclass(frozen=True, kw_only=True)
class EntryReport(MSONable):
    """What is wrong or notable about an entry set.

    Attributes
    ----------
    source, level : str
    n_entries : int
    elements : tuple of str
    unreferenced : tuple of str
        Elements without an entry of their own: no formation energy can be computed with them.
    duplicates : tuple of str
        Formulas given more than once (polymorphs); only the lowest one counts in the hull.
    mixed_levels : tuple of str
        Levels of theory, where there is more than one.
    missing : tuple of str
        Known compounds of the chemical system that the set lacks.
    implausible : tuple of str
        Formulas whose formation energy is out of all bounds, with the value.
    flagged : tuple of str
        Formulas that the source itself marks, with the flag.
    excluded : tuple of str
        Formulas kept out of the hull because of their flag.
    """

    source: str
    level: str
    n_entries: int
    elements: tuple[str, ...]
    unreferenced: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    mixed_levels: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    implausible: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = "elements unreferenced duplicates mixed_levels missing implausible flagged excluded"
        for name in names.split():
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def usable(self) -> bool:
        """Whether a hull may be built: every element has a reference and the levels are not mixed."""
        return not self.unreferenced and not self.mixed_levels

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, one sentence each."""
        texts = {
            "unreferenced": "no elemental entry, so no reference, for",
            "mixed_levels": "levels of theory are mixed, whose energies may not be compared:",
            "implausible": "formation energies out of all bounds (eV/atom):",
            "missing": "known compounds that the set lacks:",
        }
        return tuple(
            f"{text} {', '.join(getattr(self, name))}" for name, text in texts.items() if getattr(self, name)
        )


def check_entries(entries: Any) -> EntryReport:
    """Check an entry set: references, duplicates, levels of theory, missing and implausible phases.

    Parameters
    ----------
    entries : EntrySet, or anything else that :func:`as_entry_set` takes

    Returns
    -------
    EntryReport
    """
    if not isinstance(entries, EntrySet):
        entries = as_entry_set(entries)
    unreferenced = tuple(symbol for symbol in entries.elements if symbol not in entries.reference_ev_per_atom)
    counts = Counter(composition_key(entry.amounts) for entry in entries)
    names: dict[tuple[tuple[str, int], ...], str] = {}
    for entry in entries:
        names.setdefault(composition_key(entry.amounts), entry.formula)
    levels = {entry.level for entry in entries if entry.level}
    return EntryReport(
        source=entries.source,
        level=entries.level,
        n_entries=len(entries),
        elements=entries.elements,
        unreferenced=unreferenced,
        duplicates=tuple(sorted(names[key] for key, count in counts.items() if count > 1)),
        mixed_levels=tuple(sorted(levels)) if len(levels) > 1 else (),
        missing=missing_phases(entries),
        implausible=() if unreferenced else implausible_energies(entries),
        flagged=tuple(f"{e.formula} ({e.flag})" for e in entries if e.flag not in ("", "element", "user")),
        excluded=tuple(f"{e.formula} ({e.flag})" for e in entries.excluded),
    )


def implausible_energies(entries: EntrySet) -> tuple[str, ...]:
    """Return formula and formation energy (eV per atom) of entries out of all bounds.

    Raises
    ------
    EntriesError
        If an element has no entry of its own.
    """
    low, high = PLAUSIBLE_FORMATION_EV_PER_ATOM
    energies = entries.formation_energies_ev_per_atom
    odd = np.flatnonzero((energies < low) | (energies > high))
    return tuple(f"{entries.entries[i].formula} {energies[i]:.3f}" for i in odd)


def missing_phases(entries: EntrySet, elements: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return known compounds of a chemical system that an entry set lacks.

    Parameters
    ----------
    entries : EntrySet
    elements : iterable of str, optional
        The system; by default all elements of the set.

    Notes
    -----
    The list of known compounds is ``structures/tables/expected_phases.csv``; every row names its evidence.
    """
    system = frozenset(entries.elements if elements is None else elements)
    memo = entries.memo("missing")
    if system not in memo:
        memo[system] = tuple(
            formula
            for formula, amounts in _expected()
            if system.issuperset(amounts) and entries.find(amounts) is None
        )
    return memo[system]


@functools.lru_cache(maxsize=1)
def _expected() -> tuple[tuple[str, dict[str, Fraction]], ...]:
    return tuple(
        (row["formula"], parse_formula(row["formula"])) for row in reference.read_rows("expected_phases")
    )
