"""Energies of phases: embedded sets, files, pymatgen lists, the Materials Project; checks on all of them."""

from __future__ import annotations

from nasicon_struct.entries.amounts import (
    amounts_of,
    atomic_fractions,
    composition_key,
    formula_of,
    formula_unit,
)
from nasicon_struct.entries.checks import EntryReport, check_entries, missing_phases
from nasicon_struct.entries.convert import as_entry_set, entries_from_file, entries_from_pymatgen
from nasicon_struct.entries.entry import Entry, EntrySet
from nasicon_struct.entries.materials_project import default_cache_dir, entries_from_mp
from nasicon_struct.entries.sources import (
    DEFAULT_SOURCE,
    EntrySource,
    chemical_system,
    default_source,
    entry_source,
    list_entry_sources,
    load_entries,
    reference_energies,
)

__all__ = [
    "DEFAULT_SOURCE",
    "Entry",
    "EntryReport",
    "EntrySet",
    "EntrySource",
    "amounts_of",
    "as_entry_set",
    "atomic_fractions",
    "check_entries",
    "chemical_system",
    "composition_key",
    "default_cache_dir",
    "default_source",
    "entries_from_file",
    "entries_from_mp",
    "entries_from_pymatgen",
    "entry_source",
    "formula_of",
    "formula_unit",
    "list_entry_sources",
    "load_entries",
    "missing_phases",
    "reference_energies",
]
