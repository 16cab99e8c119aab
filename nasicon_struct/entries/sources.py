"""Embedded entry sets: every CSV under ``structures/entries/`` is a source, described in ``levels.toml``."""

from __future__ import annotations

import csv
import difflib
import functools
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monty.json import MSONable

from nasicon_struct import reference
from nasicon_struct.entries.amounts import amounts_of
from nasicon_struct.entries.entry import DEFAULT_EXCLUDED_FLAGS, Entry, EntrySet
from nasicon_struct.errors import CompositionError, EntriesError
from nasicon_struct.formula import ELEMENTS

#: Source that is used when neither a level nor a chemical system is named, or no level is the default of the
#: system: the one with the most compounds.
DEFAULT_SOURCE: Final = "mp2019-gga"
_DEFAULT_COLUMN: Final = "formation_energy_ev_per_atom"
_SYMBOL: Final = re.compile(r"[A-Z][a-z]?")


@dataclass(frozen=True, kw_only=True)
class EntrySource(MSONable):
    """An embedded entry set.

    Attributes
    ----------
    name : str
        Name to pass as ``source=``.
    files : tuple of str
        File names under ``structures/entries/``.
    column : str
        Column of the energies (formation energies, eV per atom).
    level : str
        Level of theory, in words.
    corrections : str
        Empirical corrections in the energies, in words.
    citation, licence, doi : str
        From ``structures/SOURCES.toml``.
    elements : tuple of str
        Elements covered, without those of systems of which only a few phases were computed.
    n_entries : int
        Number of rows: phases, and polymorphs where the set holds several.
    methods : tuple of str
        How many rows come from which kind of calculation, for example ``"CHGNet r2SCAN potential: 512"``.
    default_for : tuple of str
        Elements within which this level is the default, because its error against measurement is the smallest
        there; empty where it is never preferred.
    notes : tuple of str
        What a user of the set must know.
    held_against : str
        Density-functional level of the same functional that the error of a potential is judged by where nothing
        was measured; empty where there is none.
    """

    name: str
    files: tuple[str, ...]
    column: str
    level: str
    corrections: str
    citation: str
    licence: str
    doi: str
    elements: tuple[str, ...]
    n_entries: int
    methods: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    default_for: tuple[str, ...] = ()
    held_against: str = ""

    def __post_init__(self) -> None:
        for name in ("files", "elements", "methods", "notes", "default_for"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


def _levels(folder: Path) -> list[dict[str, Any]]:
    path = folder / "levels.toml"
    described: list[dict[str, Any]] = []
    if path.is_file():
        try:
            described = tomllib.loads(path.read_text(encoding="utf-8")).get("level", [])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise EntriesError(f"{path} is damaged ({error}); install the package again") from None
    files = {file for item in described for file in _files(item)}
    for csv_path in sorted(folder.glob("*.csv")):
        if csv_path.name not in files:
            described.append({"name": csv_path.stem, "file": csv_path.name})
    return described


def _files(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files of a level: ``file`` names one, ``files`` several."""
    return tuple(item["files"]) if "files" in item else (item["file"],)


def _flags(row: Mapping[str, str]) -> list[str]:
    """Return the flags of a row; one column or the other holds them."""
    return (row.get("flag") or row.get("flags") or "").split("; ")


@functools.lru_cache(maxsize=4)
def _sources(folder: Path) -> dict[str, EntrySource]:
    provenance = {item.file: item for item in reference.list_sources()}
    found: dict[str, EntrySource] = {}
    for item in _levels(folder):
        files = _files(item)
        origin = provenance.get(f"entries/{files[0]}")
        column = item.get("column", _DEFAULT_COLUMN)
        held: list[dict[str, str]] = []
        for file in files:
            rows = _rows(folder / file)
            if not rows or column not in rows[0]:
                raise EntriesError(f"{folder / file} has no column {column}; install the package again")
            held.extend(row for row in rows if row[column].strip())
        methods = Counter(row.get("model") or item.get("method", "") for row in held)
        whole = [row["formula"] for row in held if "incomplete_system" not in _flags(row)]
        elements = sorted(set(_SYMBOL.findall(" ".join(whole))))
        found[item["name"]] = EntrySource(
            name=item["name"],
            files=files,
            column=column,
            level=item.get("level", origin.what if origin else item["name"]),
            corrections=item.get("corrections", ""),
            citation=origin.citation if origin else "",
            licence=origin.licence if origin else "",
            doi=origin.doi if origin else "",
            elements=tuple(elements),
            n_entries=len(held),
            methods=tuple(f"{method}: {count}" for method, count in sorted(methods.items()) if method),
            notes=tuple(item.get("notes", ())),
            default_for=tuple(item.get("default_for", ())),
            held_against=item.get("held_against", ""),
        )
    return found


@functools.lru_cache(maxsize=16)
def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def list_entry_sources() -> list[EntrySource]:
    """Return the embedded entry sets, ``DEFAULT_SOURCE`` first.

    Which one is used when none is named depends on the elements, see :func:`default_source`.

    Returns
    -------
    list of EntrySource
        Name, level of theory, elements, citation and licence of each.

    Raises
    ------
    ReferenceDataError, EntriesError
        If the reference data are missing or damaged.
    """
    found = _sources(reference.structures_dir() / "entries")
    return sorted(found.values(), key=lambda item: (item.name != DEFAULT_SOURCE, item.name))


def entry_source(name: str) -> EntrySource:
    """Return one embedded entry set by name.

    Raises
    ------
    EntriesError
        If there is none; the sentence gives the nearest name and lists all.
    """
    found = _sources(reference.structures_dir() / "entries")
    if name not in found:
        near = difflib.get_close_matches(str(name), found, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}? The" if near else "the"
        raise EntriesError(f"there is no entry source {name!r}; {hint} embedded ones are {', '.join(found)}")
    return found[name]


def default_source(system: Any = None) -> str:
    """Return the level that is used for a chemical system when none is named.

    The level with the smallest error against measured formation enthalpies among those that cover the system
    (argued in ``docs/energies.md``); ``DEFAULT_SOURCE``, the one with the most compounds, for everything else.

    Parameters
    ----------
    system : str, composition-like, iterable of them, or None
        As for :func:`load_entries`; None, no system, gives ``DEFAULT_SOURCE``.
    """
    if system is None:
        return DEFAULT_SOURCE
    elements = set(chemical_system(system))
    described = _sources(reference.structures_dir() / "entries").values()
    found = [item.name for item in described if item.default_for and elements <= set(item.default_for)]
    return found[0] if found else DEFAULT_SOURCE


def chemical_system(system: Any) -> tuple[str, ...]:
    """Return the elements of a system, a formula, or several of either, sorted.

    Parameters
    ----------
    system : str, composition-like, or iterable of them
        ``"Na-P-S"``, ``"Na3PS4"``, ``["Na3PS4", "Na3SbS4"]``, a Composition, Structure or entry.

    Raises
    ------
    CompositionError
        If it names no elements.
    """
    if isinstance(system, str):
        parts = [part.strip() for part in system.split("-")]
        if all(part in ELEMENTS for part in parts):
            return tuple(sorted(set(parts)))
        return tuple(sorted(amounts_of(system)))
    if (
        isinstance(system, Iterable)
        and not isinstance(system, Mapping)
        and not hasattr(system, "composition")
    ):
        items = list(system)
        # A pymatgen Composition iterates over its elements, Atoms over atoms: both are one composition.
        if hasattr(system, "get_el_amt_dict") or hasattr(system, "get_chemical_symbols"):
            return tuple(sorted(amounts_of(system)))
        if not items:
            raise CompositionError("the chemical system is empty; name it as 'Na-P-S' or by a formula")
        return tuple(sorted({symbol for item in items for symbol in chemical_system(item)}))
    return tuple(sorted(amounts_of(system)))


def load_entries(
    system: Any = None,
    *,
    source: str | None = None,
    open_element: str | None = "Na",
    exclude_flags: Iterable[str] = DEFAULT_EXCLUDED_FLAGS,
) -> EntrySet:
    """Load an embedded entry set, or the part of it that a chemical system needs.

    Parameters
    ----------
    system : str, composition-like, iterable of them, or None
        ``"Na-P-S"``, a formula such as ``"Na3PS4"``, or several; None loads the whole set.
    source : str, optional, keyword-only
        Name of the set, see :func:`list_entry_sources`; without one, that of :func:`default_source` for the
        system. ``load_entries()``, without a system either, is ``DEFAULT_SOURCE``: GGA, the set with the most
        compounds, and not the level that windows and hulls are computed at by default. Name the set to be sure.
    open_element : str or None, keyword-only
        Element that is added to the system in any case.
    exclude_flags : iterable of str, keyword-only
        Entries with one of these flags stay out of the hull; they are listed in ``EntrySet.excluded``.
        An empty iterable keeps all.

    Returns
    -------
    EntrySet

    Raises
    ------
    EntriesError
        If the source is unknown or does not cover an element of the system.
    """
    elements = set() if system is None else set(chemical_system(system))
    if elements and open_element:
        elements.add(open_element)
    described = entry_source(default_source(elements or None) if source is None else source)
    whole = _load_all(described.name, frozenset(exclude_flags))
    if system is None:
        return whole
    missing = sorted(elements - set(whole.elements))
    if missing:
        if source is None:  # no set holds them all: name the one that holds the most
            described = min(
                list_entry_sources(),
                key=lambda item: (len(elements - set(item.elements)), not item.default_for),
            )
            missing = sorted(elements - set(described.elements))
        raise EntriesError(
            f"the source {described.name!r} does not cover {', '.join(missing)}; "
            f"it holds {', '.join(described.elements)}. "
            "Give your own entries (a list of pymatgen entries, a CSV or JSON file) or entries_from_mp(...)"
        )
    return whole.subset(elements)


def reference_energies(source: str) -> dict[str, float]:
    """Return the energy of each element's reference state on the scale of a level's calculator.

    Formation energies of an embedded set refer to these. Oxygen's is fitted to measured enthalpies of oxides.

    Returns
    -------
    dict of str to float
        eV per atom.

    Raises
    ------
    EntriesError
        If the source is unknown or holds formation energies only.
    """
    described = entry_source(source)
    folder = reference.structures_dir() / "entries"
    found: dict[str, float] = {}
    for row in (row for file in described.files for row in _rows(folder / file)):
        flags = _flags(row)
        text = row.get("energy_ev_per_atom", "").strip()
        if "element" in flags and text:
            (symbol,) = _SYMBOL.findall(row["formula"])
            found[symbol] = min(float(text), found.get(symbol, float("inf")))
    if not found:
        raise EntriesError(
            f"the source {source!r} holds formation energies only, no energies of the elements"
        )
    return found


@functools.lru_cache(maxsize=16)
def _load_all(name: str, exclude_flags: frozenset[str]) -> EntrySet:
    described = entry_source(name)
    kept: list[Entry] = []
    excluded: list[Entry] = []
    folder = reference.structures_dir() / "entries"
    for row in (row for file in described.files for row in _rows(folder / file)):
        text = row[described.column].strip()
        if not text:
            continue
        flags = _flags(row)
        barred = [flag for flag in flags if flag in exclude_flags]
        entry = Entry(
            formula=row["formula"],
            energy_ev_per_atom=float(text),
            entry_id=row.get("mp_id_inferred") or row.get("entry_id") or row.get("source_id") or "",
            level=described.name,
            flag=(barred or flags)[0],
            note=row.get("note", ""),
            source=row.get("source", ""),
            method=row.get("model", ""),
            polymorph=row.get("polymorph", ""),
        )
        (excluded if barred else kept).append(entry)
    return EntrySet(
        entries=tuple(kept),
        excluded=tuple(excluded),
        source=described.name,
        level=described.level,
        citation=described.citation,
        licence=described.licence,
        notes=described.notes,
    )
