"""Entry sets from pymatgen objects and from files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nasicon_struct.entries.amounts import amounts_of, reduced
from nasicon_struct.entries.entry import Entry, EntrySet
from nasicon_struct.entries.sources import entry_source, load_entries
from nasicon_struct.errors import CompositionError, EntriesError
from nasicon_struct.formula import format_formula, parse_formula

#: Columns of a CSV that hold an energy, and what each means.
ENERGY_COLUMNS: Final[dict[str, str]] = {
    "formation_energy_ev_per_atom": "formation energy from the elements, eV per atom",
    "energy_ev_per_atom": "absolute energy, eV per atom",
    "energy_ev": "absolute energy of the formula as written, eV",
}
#: Packages whose classes a JSON file of entries may name.
_PACKAGES: Final = frozenset({"pymatgen", "nasicon_struct", "mp_api", "emmet"})
_GRAND: Final = (
    "these are grand potentials at a fixed chemical potential (GrandPotentialPhaseDiagram), not energies; give the "
    "entries that they were made from"
)
_THERMO_LEVELS: Final = {"GGA": "GGA/GGA+U", "GGA+U": "GGA/GGA+U", "R2SCAN": "r2SCAN", "SCAN": "SCAN"}


def as_entry_set(entries: Any = None, *, system: Any = None, open_element: str | None = "Na") -> EntrySet:
    """Turn whatever holds energies into an :class:`EntrySet`.

    Parameters
    ----------
    entries : EntrySet, str, path, list of Entry, list of pymatgen entries, PhaseDiagram, or None
        None loads the embedded set that is the default for the system (GGA without a system, see
        :func:`load_entries`); a string names an embedded set or a CSV or JSON file; a list may hold pymatgen
        PDEntry, ComputedEntry or ComputedStructureEntry objects.
    system : composition-like or chemical system, optional, keyword-only
        What an embedded set is cut down to.
    open_element : str or None, keyword-only
        Element added to the system.

    Returns
    -------
    EntrySet
        Formation energies, eV per atom.

    Raises
    ------
    EntriesError
        If the object holds no entries or mixes levels of theory.
    """
    if entries is None:
        return load_entries(system, open_element=open_element)
    if isinstance(entries, EntrySet):
        return _one_level_set(entries)
    if isinstance(entries, (str, Path)):
        text = str(entries)
        if Path(text).suffix.lower() in (".csv", ".json", ".gz"):
            return entries_from_file(text)
        return load_entries(system, source=entry_source(text).name, open_element=open_element)
    if hasattr(entries, "all_entries"):
        if hasattr(entries, "chempots"):
            raise EntriesError(_GRAND)
        entries = entries.all_entries
    if isinstance(entries, Mapping) or not isinstance(entries, Iterable):
        raise EntriesError(
            f"expected an entry set, a source name, a file or a list of entries, got {type(entries).__name__}"
        )
    items = list(entries)
    if items and all(isinstance(item, Entry) for item in items):
        levels = {item.level for item in items if item.level}
        return _one_level_set(EntrySet(entries=tuple(items), level=min(levels, default="")))
    return entries_from_pymatgen(items)


def _one_level_set(entries: EntrySet) -> EntrySet:
    """Return the set; refuse one whose entries state different levels of theory."""
    memo = entries.memo("checked")
    if "levels" not in memo:
        memo["levels"] = sorted({entry.level for entry in entries if entry.level})
    if len(memo["levels"]) > 1:
        raise EntriesError(
            f"the entry set {entries.source!r} mixes levels of theory ({', '.join(memo['levels'])}), whose "
            "energies may not be compared; keep one"
        )
    return entries


def entries_from_pymatgen(
    entries: Iterable[Any],
    *,
    source: str = "user",
    level: str = "",
    citation: str = "",
    licence: str = "",
    notes: Iterable[str] = (),
) -> EntrySet:
    """Make an entry set from pymatgen PDEntry, ComputedEntry or ComputedStructureEntry objects.

    Parameters
    ----------
    entries : iterable
        Objects with ``composition`` and ``energy`` (eV per cell, with corrections).
    source, level : str, keyword-only
        Name and level of theory of the set; the level is read from the entries where they state it.
    citation, licence : str, keyword-only
    notes : iterable of str, keyword-only

    Returns
    -------
    EntrySet
        Formation energies, eV per atom, against the elements among the entries.

    Raises
    ------
    EntriesError
        If the list is empty, an object is no entry, or the entries state different levels of theory.
    """
    made = []
    for item in entries:
        composition = getattr(item, "composition", None)
        energy = getattr(item, "energy", None)
        if hasattr(item, "chempots"):
            raise EntriesError(_GRAND)
        if composition is None or energy is None:
            raise EntriesError(
                f"expected pymatgen entries (PDEntry, ComputedEntry), got {type(item).__name__} in the list"
            )
        amounts = amounts_of(composition)
        n_atoms = float(sum(amounts.values()))
        try:
            energy = float(energy)
        except (TypeError, ValueError):
            raise EntriesError(
                f"the energy of {_pretty(amounts)} must be a number of eV, got {energy!r:.40}"
            ) from None
        entry_id = getattr(item, "entry_id", None) or getattr(item, "attribute", None)
        made.append(
            Entry(
                formula=_pretty(amounts),
                energy_ev_per_atom=energy / n_atoms,
                entry_id="" if entry_id is None else str(entry_id),
                level=_level_of(item),
            )
        )
    if not made:
        raise EntriesError("the list of entries is empty; give at least the elements")
    levels = sorted({entry.level for entry in made if entry.level})
    if len(levels) > 1:
        raise EntriesError(
            f"the entries mix levels of theory ({', '.join(levels)}), whose energies may not be compared; "
            "keep one level, or mix them with pymatgen's MaterialsProjectDFTMixingScheme first"
        )
    return EntrySet(
        entries=tuple(made),
        source=source,
        level=level or (levels[0] if levels else ""),
        citation=citation,
        licence=licence,
        notes=tuple(notes),
    )


def _pretty(amounts: Mapping[str, Any]) -> str:
    """Write amounts in the order of electronegativity, as chemists do."""
    from pymatgen.core.periodic_table import Element

    small = reduced(amounts)
    order = sorted(small, key=lambda symbol: (_electronegativity(Element(symbol)), symbol))
    return format_formula({symbol: small[symbol] for symbol in order})


def _electronegativity(element: Any) -> float:
    value = element.X
    return value if not math.isnan(value) else 10.0


def _level_of(entry: Any) -> str:
    """Return the level of theory that a pymatgen entry states, or an empty string."""
    for holder in (getattr(entry, "parameters", None), getattr(entry, "data", None)):
        if not isinstance(holder, Mapping):
            continue
        run_type = holder.get("run_type") or holder.get("functional")
        if run_type:
            name = str(getattr(run_type, "value", run_type))
            return _THERMO_LEVELS.get(name.upper().replace("PBE+U", "GGA+U").replace("PBE", "GGA"), name)
    return ""


def entries_from_file(path: str | Path, *, source: str | None = None) -> EntrySet:
    """Read an entry set from a CSV or JSON file.

    A CSV has a column ``formula`` and one energy column: ``formation_energy_ev_per_atom`` (elements that are
    not listed are added at 0, as the definition says), ``energy_ev_per_atom`` or ``energy_ev`` (of the
    formula as written). Optional columns: ``entry_id``, ``level``, ``flag``, ``note``. A JSON file holds what
    ``EntrySet.as_dict`` writes, or a list of pymatgen entries as dictionaries (``.json.gz`` is read too).

    Parameters
    ----------
    path : str or Path
    source : str, optional, keyword-only
        Name of the set; the file's name when absent.

    Returns
    -------
    EntrySet
        Formation energies, eV per atom.

    Raises
    ------
    EntriesError
        If the file is missing, damaged, or lacks a needed column; the sentence names the line.
    """
    file = Path(path)
    if not file.is_file():
        raise EntriesError(f"there is no file {file}; give a CSV or JSON of entries")
    name = source or file.name.split(".")[0]
    if file.suffix.lower() not in (".csv", ".json", ".gz"):
        raise EntriesError(f"{file} is neither CSV nor JSON by its name; name it .csv, .json or .json.gz")
    if file.suffix.lower() == ".csv":
        return _from_csv(file, name)
    return _from_json(file, name)


def _from_csv(file: Path, name: str) -> EntrySet:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, skipinitialspace=True)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise EntriesError(
            f"{file} is no readable CSV ({error}); save it as UTF-8 text with commas"
        ) from None
    held = [column for column in columns if column in ENERGY_COLUMNS]
    if columns.count("formula") != 1 or len(held) != 1:
        raise EntriesError(
            f"{file} needs one column 'formula' and exactly one of {', '.join(ENERGY_COLUMNS)}, separated by commas; "
            f"it has {', '.join(columns)[:200] or 'no columns'}"
        )
    column = held[0]
    made = []
    for number, row in enumerate(rows, start=2):
        if not any((value or "").strip() for value in row.values() if isinstance(value, str)):
            continue
        if any((cell or "").strip() for cell in row.get(None) or ()):
            raise EntriesError(
                f"line {number} of {file} has more cells than the header; write decimals with a point and put texts "
                "with commas in quotes"
            )
        try:
            formula = (row["formula"] or "").strip()
            amounts = parse_formula(formula)
            energy = float(row[column] or "")
            if not math.isfinite(energy) or "_" in row[column]:
                raise ValueError
        except CompositionError as error:
            raise EntriesError(f"line {number} of {file}: {error}") from None
        except ValueError:
            raise EntriesError(
                f"line {number} of {file}: the {column} of {formula} must be a finite number, "
                f"got {row[column]!r}"
            ) from None
        if column == "energy_ev":
            energy /= float(sum(amounts.values()))
        made.append(
            Entry(
                formula=formula,
                energy_ev_per_atom=energy,
                **{key: (row.get(key) or "").strip() for key in ("entry_id", "level", "flag", "note")},
            )
        )
    notes: tuple[str, ...] = ()
    if column == "formation_energy_ev_per_atom":
        present = _elements_at_zero(made, file)
        needed = sorted({symbol for entry in made for symbol in entry.amounts} - present)
        made += [
            Entry(formula=symbol, energy_ev_per_atom=0.0, note="zero by definition") for symbol in needed
        ]
        if needed:
            notes = (f"elements not listed, added at 0: {', '.join(needed)}",)
    _one_level(made, file)
    if not made:
        raise EntriesError(f"{file} holds no entries; give one phase per line")
    level = next((entry.level for entry in made if entry.level), "")
    return EntrySet(entries=tuple(made), source=name, level=level, notes=notes)


def _elements_at_zero(entries: Sequence[Entry], file: Path) -> set[str]:
    """Return the elements whose lowest phase is listed, at 0; refuse one below it."""
    lowest: dict[str, float] = {}
    for entry in entries:
        if entry.is_element:
            (symbol,) = entry.amounts
            lowest[symbol] = min(entry.energy_ev_per_atom, lowest.get(symbol, math.inf))
    for symbol, energy in lowest.items():
        if energy < -1e-6:
            raise EntriesError(
                f"{file} gives {symbol} a formation energy of {energy:g} eV/atom, but an element's lowest "
                "phase is at 0 by definition; name the column energy_ev_per_atom if these are total energies"
            )
    return {symbol for symbol, energy in lowest.items() if energy <= 1e-6}


def _one_level(entries: Sequence[Entry], file: Path) -> None:
    levels = sorted({entry.level for entry in entries if entry.level})
    if len(levels) > 1:
        raise EntriesError(
            f"{file} mixes levels of theory ({', '.join(levels)}), whose energies may not be compared; "
            "keep one"
        )


def _from_json(file: Path, name: str) -> EntrySet:
    from monty.io import zopen
    from monty.json import MontyDecoder

    try:
        with zopen(file, "rt", encoding="utf-8") as handle:
            raw = json.loads(handle.read())
        _refuse_foreign_classes(raw, file)
        decoded = MontyDecoder().process_decoded(raw)
    except EntriesError:
        raise
    except RecursionError:
        raise EntriesError(f"{file} nests too deeply to be a list of entries") from None
    except Exception as error:  # whatever a class of another package raises on damaged data
        raise EntriesError(f"{file} is no readable JSON of entries ({error})") from None
    if isinstance(decoded, EntrySet):
        return decoded
    if hasattr(decoded, "all_entries"):
        return as_entry_set(decoded)
    if isinstance(decoded, Mapping) and "entries" in decoded:
        decoded = decoded["entries"]
    if not isinstance(decoded, list):
        raise EntriesError(
            f"{file} must hold an entry set or a list of pymatgen entries as dictionaries, "
            f"got {type(decoded).__name__}"
        )
    items = []
    for number, item in enumerate(decoded, start=1):
        try:
            items.append(_plain_entry(item) if isinstance(item, Mapping) else item)
        except (ValueError, TypeError, KeyError) as error:
            raise EntriesError(f"entry {number} of {file}: {error}") from None
    if items and all(isinstance(item, Entry) for item in items):
        _one_level(items, file)
        return EntrySet(entries=tuple(items), source=name)
    return entries_from_pymatgen(items, source=name)


def _refuse_foreign_classes(value: Any, file: Path) -> None:
    """Refuse a file that names classes of other packages: reading it would import them."""
    if isinstance(value, list):
        for item in value:
            _refuse_foreign_classes(item, file)
    elif isinstance(value, Mapping):
        package = str(value.get("@module", "pymatgen")).partition(".")[0]
        if package not in _PACKAGES or "@callable" in value:
            raise EntriesError(
                f"{file} names a class of {package!r}; entries are those of {', '.join(sorted(_PACKAGES))}"
            )
        for item in value.values():
            _refuse_foreign_classes(item, file)


def _plain_entry(item: Mapping[str, Any]) -> Any:
    """Read a dictionary without class names: pymatgen's as_dict of older versions, or ours."""
    if "formula" in item and "energy_ev_per_atom" in item:
        keys = ("formula", "entry_id", "level", "flag", "note", "source")
        texts = {key: str(item[key]) for key in keys if item.get(key) is not None}
        entry = Entry(energy_ev_per_atom=_number(item["energy_ev_per_atom"]), **texts)
        parse_formula(entry.formula)
        return entry
    if "composition" in item and "energy" in item:
        from pymatgen.core.composition import Composition
        from pymatgen.entries.computed_entries import ComputedEntry

        found = item["composition"]
        amounts = amounts_of(found)  # names the element that does not exist
        corrected = _number(item["energy"]) + _number(item.get("correction") or 0.0)
        return ComputedEntry(
            Composition({symbol: float(amount) for symbol, amount in amounts.items()}),
            corrected,
            parameters=item.get("parameters"),
            data=item.get("data"),
            entry_id=item.get("entry_id"),
        )
    raise EntriesError(f"a dictionary that is no entry (keys {', '.join(map(str, list(item)[:6]))})")


def _number(value: Any) -> float:
    """Return a finite energy."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise EntriesError(f"an energy must be a finite number of eV, got {str(value)[:40]!r}")
    return number
