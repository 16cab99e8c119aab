"""Reference data: where it lies, what each file is, and that nobody changed it by accident.

All data live in ``structures/`` (CIF files, tables, energies); ``structures/SOURCES.toml`` gives the source,
the licence and the SHA-256 of each file. This module alone knows where that folder lies: inside the installed
package, or beside it in a checkout.
"""

from __future__ import annotations

import csv
import difflib
import functools
import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monty.json import MSONable

from nasicon_struct.errors import ReferenceDataError

if TYPE_CHECKING:
    import pandas as pd

_PACKAGE_DIR = Path(__file__).resolve().parent
_MANIFEST: Final = "SOURCES.toml"
#: Files of ``structures/`` that describe the others and so have no entry of their own.
_UNREGISTERED: Final = frozenset({_MANIFEST, "README.md"})


@dataclass(frozen=True, kw_only=True)
class Source(MSONable):
    """Where a file of the reference data comes from.

    Attributes
    ----------
    key : str
        Short name, unique among all files.
    file : str
        Path relative to ``structures/``.
    doi : str
        DOI of the origin, several joined by ``"; "``; empty where none is known.
    what : str
        What the file holds.
    citation : str
        Printable citation.
    temperature_k : float or None
        Temperature of the measurement, K, where one holds for the whole file.
    licence : str
        Terms under which the file may be used.
    sha256 : str
        Checksum of the file, hexadecimal.
    """

    key: str
    file: str
    doi: str
    what: str
    citation: str
    temperature_k: float | None
    licence: str
    sha256: str


def structures_dir() -> Path:
    """Return the folder of the reference data.

    Raises
    ------
    ReferenceDataError
        If neither the installed package nor the checkout holds it.
    """
    installed, checkout = _PACKAGE_DIR / "structures", _PACKAGE_DIR.parent / "structures"
    for folder in (installed, checkout):
        if (folder / _MANIFEST).is_file():
            return folder
    raise ReferenceDataError(
        f"the reference data are missing: neither {installed} nor {checkout} holds {_MANIFEST}; "
        "install the package again"
    )


@functools.lru_cache(maxsize=8)
def _read_manifest(path: Path, _mtime_ns: int) -> tuple[Source, ...]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8")).get("source", [])
        sources = tuple(
            Source(
                key=entry["key"],
                file=entry["file"],
                doi=entry["doi"],
                what=entry["what"],
                citation=entry["citation"],
                temperature_k=float(entry["temperature_k"]) if "temperature_k" in entry else None,
                licence=entry["licence"],
                sha256=entry["sha256"],
            )
            for entry in raw
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ReferenceDataError(f"{path} is damaged ({error}); install the package again") from None
    for field in ("key", "file"):
        values = [getattr(entry, field) for entry in sources]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ReferenceDataError(f"{path} names the {field} {twice[0]!r} twice; each must be unique")
    return sources


def list_sources() -> list[Source]:
    """Return the source of every file of the reference data, in the order of ``SOURCES.toml``.

    Returns
    -------
    list of Source

    Raises
    ------
    ReferenceDataError
        If the reference data are missing or damaged.
    """
    path = structures_dir() / _MANIFEST
    return list(_read_manifest(path, path.stat().st_mtime_ns))


def source(key: str) -> Source:
    """Return the source of one file by its key, for example ``"xun2025_s2"``.

    Raises
    ------
    ReferenceDataError
        If no file has this key; the sentence lists the nearest ones.
    """
    sources = {entry.key: entry for entry in list_sources()}
    if key not in sources:
        raise _unknown("source", key, sources)
    return sources[key]


def cif_path(key: str) -> Path:
    """Return the path of a CIF file of the reference data by its key, for example ``"xun2025_s2"``.

    Raises
    ------
    ReferenceDataError
        If no CIF has this key; the sentence lists the nearest ones.
    """
    return _path(key, "CIF", "cif/", ".cif", {entry.key: entry for entry in list_sources()})


def entries_path(name: str) -> Path:
    """Return the path of an energy table by its file name without suffix, for example ``"mp2019-gga"``.

    Raises
    ------
    ReferenceDataError
        If no such file exists; the sentence lists the nearest ones.
    """
    return _path(name, "energy table", "entries/", ".csv", _by_stem("entries/"))


def data_path(key: str) -> Path:
    """Return the path of any file of the reference data by its key in ``SOURCES.toml``.

    Raises
    ------
    ReferenceDataError
        If no file has this key; the sentence lists the nearest ones.
    """
    return _path(key, "file", "", "", {entry.key: entry for entry in list_sources()})


def read_rows(name: str) -> list[dict[str, str]]:
    """Read a table as text cells, without pandas; empty cells are empty strings.

    Parameters
    ----------
    name : str
        File name in ``structures/tables/`` without suffix, for example ``"oxidation_states"``.

    Raises
    ------
    ReferenceDataError
        If no such table exists (the sentence lists the nearest ones), or it is damaged.
    """
    path = _table_path(name)
    return [dict(row) for row in _rows(path, path.stat().st_mtime_ns)]


def read_table(name: str) -> pd.DataFrame:
    """Read a table into a new pandas DataFrame; empty cells are NaN.

    Parameters
    ----------
    name : str
        File name in ``structures/tables/`` without suffix, for example ``"conductivity"``.

    Returns
    -------
    pandas.DataFrame
        A new one at each call; units stand in the column names.

    Raises
    ------
    ReferenceDataError
        If no such table exists; the sentence lists the nearest ones.
    """
    path = _table_path(name)
    return _frame(path, path.stat().st_mtime_ns).copy()


def list_tables() -> list[str]:
    """Return the names that :func:`read_table` and :func:`read_rows` know."""
    return sorted(_by_stem("tables/"))


def verify_checksums() -> list[str]:
    """Compare each file of the reference data with its checksum.

    Returns
    -------
    list of str
        One sentence for each file that is missing, changed, or not registered; empty when all is well.
    """
    folder = structures_dir()
    problems = []
    registered = {entry.file: entry for entry in list_sources()}
    for file, entry in registered.items():
        path = folder / file
        if not path.is_file():
            problems.append(f"{file} is registered in {_MANIFEST} but missing")
        elif (found := sha256_of(path)) != entry.sha256:
            problems.append(f"{file} has the SHA-256 {found}, {_MANIFEST} says {entry.sha256 or 'nothing'}")
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(folder).as_posix()
        if (
            path.is_file()
            and file not in registered
            and file not in _UNREGISTERED
            and not path.name.startswith(".")
        ):
            problems.append(f"{file} is not registered in {_MANIFEST}")
    return problems


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _by_stem(prefix: str) -> dict[str, Source]:
    """Return the CSV files of one folder by their names without suffix."""
    files = {entry.file: entry for entry in list_sources()}
    return {Path(f).stem: s for f, s in files.items() if f.startswith(prefix) and f.endswith(".csv")}


def _table_path(name: str) -> Path:
    return _path(name, "table", "tables/", ".csv", _by_stem("tables/"))


def _path(key: str, kind: str, prefix: str, suffix: str, sources: dict[str, Source]) -> Path:
    fitting = {k: s for k, s in sources.items() if s.file.startswith(prefix) and s.file.endswith(suffix)}
    if key not in fitting:
        raise _unknown(kind, key, fitting)
    path = structures_dir() / fitting[key].file
    if not path.is_file():
        raise ReferenceDataError(f"the reference data lack {fitting[key].file}; install the package again")
    return path


def _unknown(kind: str, key: str, known: Iterable[str]) -> ReferenceDataError:
    names = sorted(known)
    near = difflib.get_close_matches(str(key), names, n=5, cutoff=0.4) or names[:10]
    return ReferenceDataError(
        f"there is no {kind} {key!r} in the reference data; nearest: {', '.join(near) or 'none'}"
    )


@functools.lru_cache(maxsize=64)
def _rows(path: Path, _mtime_ns: int) -> tuple[dict[str, str], ...]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = tuple(csv.DictReader(handle, strict=True))
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ReferenceDataError(
                f"row {number} of {path} has not as many cells as the header; install the package again"
            )
    return rows


@functools.lru_cache(maxsize=64)
def _frame(path: Path, _mtime_ns: int) -> pd.DataFrame:
    import pandas as pd

    # Only empty cells are missing: "NA" and "None" are text here, and "Na" must stay an element.
    return pd.read_csv(path, keep_default_na=False, na_values=[""])
