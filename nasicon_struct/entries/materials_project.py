"""Entries from the Materials Project through its own client, cached on disk."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from nasicon_struct.entries.convert import entries_from_pymatgen
from nasicon_struct.entries.entry import EntrySet
from nasicon_struct.entries.sources import chemical_system
from nasicon_struct.errors import EntriesError, MissingDependencyError

#: Thermo types of the Materials Project, and the run types that may stand in each.
THERMO_TYPES: Final[dict[str, frozenset[str]]] = {
    "GGA_GGA+U": frozenset({"GGA", "GGA+U", "PBE", "PBE+U"}),
    "R2SCAN": frozenset({"R2SCAN"}),
    "GGA_GGA+U_R2SCAN": frozenset({"GGA", "GGA+U", "PBE", "PBE+U", "R2SCAN"}),
}
_LEVELS: Final = {
    "GGA_GGA+U": "GGA/GGA+U (PBE), MP2020 corrections",
    "R2SCAN": "r2SCAN",
    "GGA_GGA+U_R2SCAN": "GGA/GGA+U and r2SCAN, mixed by the Materials Project scheme",
}
_CITATION: Final = "Materials Project, A. Jain et al., APL Mater. 1 (2013) 011002"
_LICENCE: Final = "CC BY 4.0"
_KEYS: Final = ("MP_API_KEY", "PMG_MAPI_KEY")
_CACHE_VERSION: Final = 1


def default_cache_dir() -> Path:
    """Return the folder of the disk cache: ``$XDG_CACHE_HOME/nasicon-struct/mp`` or ``~/.cache/...``."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "nasicon-struct" / "mp"


def entries_from_mp(
    system: Any,
    *,
    thermo_type: str = "GGA_GGA+U",
    open_element: str | None = "Na",
    api_key: str | None = None,
    endpoint: str | None = None,
    cache_dir: str | Path | None = None,
    refresh: bool = False,
) -> EntrySet:
    """Load the entries of a chemical system from the Materials Project.

    Parameters
    ----------
    system : str, composition-like, or iterable of them
        ``"Na-P-S"``, a formula, or several.
    thermo_type : str, keyword-only
        ``"GGA_GGA+U"``, ``"R2SCAN"`` or ``"GGA_GGA+U_R2SCAN"``. What comes back is checked: entries of
        another level of theory are an error, since their energies may not be compared.
    open_element : str or None, keyword-only
        Element added to the system.
    api_key : str, optional, keyword-only
        By default the environment variable ``MP_API_KEY``, then ``PMG_MAPI_KEY``.
    endpoint : str, optional, keyword-only
        Address of the API; the client's own by default.
    cache_dir : path, optional, keyword-only
        Folder of the cache, see :func:`default_cache_dir`; one file per chemical system and thermo type.
    refresh : bool, keyword-only
        Whether to ask again although the cache holds the answer.

    Returns
    -------
    EntrySet

    Raises
    ------
    MissingDependencyError
        If the client is not installed (``pip install "nasicon-struct[mp]"``).
    EntriesError
        If there is no key, the API does not answer, or the answer is of another thermo type or lacks an
        element.
    """
    if thermo_type not in THERMO_TYPES:
        raise EntriesError(f"the thermo type must be one of {', '.join(THERMO_TYPES)}, got {thermo_type!r}")
    elements = sorted({*chemical_system(system), *([open_element] if open_element else [])})
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    file = folder / f"{'-'.join(elements)}_{thermo_type.replace('+', 'p')}.json"
    if not refresh:
        cached = _read_cache(file, elements, thermo_type)
        if cached is not None:
            return cached
    found, database = _fetch(elements, thermo_type, api_key, endpoint)
    _check(found, elements, thermo_type)
    entries = entries_from_pymatgen(
        [_Plain(item) for item in found],
        source=f"materials-project-{thermo_type}",
        level=_LEVELS[thermo_type],
        citation=_CITATION,
        licence=_LICENCE,
        notes=(f"Materials Project database {database}",) if database else (),
    )
    _write_cache(file, entries, elements, thermo_type, database)
    return entries


def _key(given: str | None) -> str:
    for value in (given, *(os.environ.get(name) for name in _KEYS)):
        if value:
            return value
    raise EntriesError(
        "the Materials Project needs an API key; set the environment variable MP_API_KEY or give api_key"
    )


def _fetch(
    elements: Iterable[str], thermo_type: str, api_key: str | None, endpoint: str | None
) -> tuple[list[Any], str]:
    key = _key(api_key)
    try:
        from mp_api.client import MPRester
    except ImportError:
        raise MissingDependencyError(
            'the Materials Project client is not installed; install it with pip install "nasicon-struct[mp]"'
        ) from None
    options: dict[str, Any] = {"mute_progress_bars": True, "use_document_model": False}
    if endpoint is not None:
        options["endpoint"] = endpoint
    try:
        with MPRester(key, **options) as client:
            found = client.get_entries_in_chemsys(
                list(elements), additional_criteria={"thermo_types": [thermo_type]}
            )
            database = getattr(client, "db_version", None) or ""
    except EntriesError:
        raise
    except Exception as error:  # the client raises its own and those of requests and pydantic
        text = " ".join(str(error).split())[:300].replace(key, "***")
        raise EntriesError(f"the Materials Project did not answer as expected: {text}") from None
    if not found:
        raise EntriesError(
            f"the Materials Project holds no {thermo_type} entries of {'-'.join(elements)}; try another "
            "thermo type"
        )
    return list(found), str(database)


def _run_type(entry: Any) -> str:
    parameters = getattr(entry, "parameters", None) or {}
    value = parameters.get("run_type", "")
    return str(getattr(value, "value", value)).upper()


def _check(found: Iterable[Any], elements: Iterable[str], thermo_type: str) -> None:
    """Refuse an answer of another level of theory, or without an element."""
    allowed = THERMO_TYPES[thermo_type]
    items = list(found)
    wrong = sorted({_run_type(item) for item in items} - allowed)
    if wrong:
        raise EntriesError(
            "the Materials Project returned entries of run type "
            f"{', '.join(name or 'none' for name in wrong)} for the "
            f"thermo type {thermo_type}; their energies may not be compared"
        )
    pure = {
        next(iter(item.composition.get_el_amt_dict()))
        for item in items
        if len(item.composition.elements) == 1
    }
    missing = sorted(set(elements) - pure)
    if missing:
        raise EntriesError(
            f"the Materials Project returned no {thermo_type} entry of the element {', '.join(missing)}, so "
            "energies "
            "have no reference; try another thermo type"
        )


class _Plain:
    """An entry without its run type, which was checked against the thermo type already."""

    def __init__(self, entry: Any) -> None:
        self.composition = entry.composition
        self.energy = entry.energy
        self.entry_id = entry.entry_id


def _read_cache(file: Path, elements: list[str], thermo_type: str) -> EntrySet | None:
    if not file.is_file():
        return None
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        if (raw["version"], raw["elements"], raw["thermo_type"]) != (_CACHE_VERSION, elements, thermo_type):
            return None
        found = EntrySet.from_dict(raw["entries"])
        return found if isinstance(found, EntrySet) else None
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        return None  # a damaged cache is no error: ask again


def _write_cache(file: Path, entries: EntrySet, elements: list[str], thermo_type: str, database: str) -> None:
    """Write the cache in one step; a folder that cannot be written is no error."""
    content = {
        "version": _CACHE_VERSION,
        "elements": elements,
        "thermo_type": thermo_type,
        "database": database,
        "entries": entries.as_dict(),
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=file.stem, suffix=".part", delete=False
        ) as handle:
            json.dump(content, handle)
        Path(handle.name).replace(file)
    except OSError:
        return
