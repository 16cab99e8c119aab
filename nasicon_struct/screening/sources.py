"""Where candidates come from: files and lists of formulas, series, design spaces; in pieces, in order."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nasicon_struct.composition import NasiconComposition
from nasicon_struct.entries import amounts_of
from nasicon_struct.errors import CompositionError, NasiconError, ScreeningError
from nasicon_struct.formula import format_formula, parse_formula
from nasicon_struct.screening.series import Series
from nasicon_struct.screening.spaces import DesignSpace

if TYPE_CHECKING:
    import pyarrow as pa

#: Names that a column of formulas may have, the first that is there counts.
FORMULA_COLUMNS: Final = ("formula", "composition", "candidate")
_TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt")
_JSON_SUFFIXES: Final = (".jsonl", ".ndjson")
_PARQUET_SUFFIXES: Final = (".parquet", ".pq")
#: What may stand between the cells of a .csv; spreadsheets with a decimal comma write semicolons. The first wins a tie.
_DELIMITERS: Final = (",", ";", "\t")
_WIDEST_CELL: Final = min(sys.maxsize, 2**31 - 1)


@dataclass(frozen=True)
class Piece:
    """Consecutive candidates.

    Attributes
    ----------
    start : int
        Number of the first candidate.
    formulas : pyarrow string array or None
        Formulas as given; null where a candidate was no text.
    rule : DesignSpace, Series or None
        Where there are no formulas: what the candidates follow from.
    stop : int
        Number behind the last candidate.
    """

    start: int
    stop: int
    formulas: pa.Array | None = None
    rule: DesignSpace | Series | None = None


@dataclass
class Source:
    """A source of candidates.

    Attributes
    ----------
    description : dict
        What the source is, with a checksum of its content: equal for equal candidates.
    total : int or None
        Number of candidates, where it is known before reading.
    variables : tuple of str
        Variables of a series, which get a column each.
    """

    description: dict[str, Any]
    total: int | None
    variables: tuple[str, ...]
    _formulas: Any = None
    _rule: DesignSpace | Series | None = None

    def pieces(self, size: int, limit: int | None) -> Iterator[Piece]:
        """Return the candidates in pieces of ``size``, at most ``limit`` in all."""
        import pyarrow as pa

        if self._rule is not None:
            total = len(self._rule) if limit is None else min(limit, len(self._rule))
            for start in range(0, total, size):
                yield Piece(start, min(start + size, total), rule=self._rule)
            return
        start = 0
        held: list[str | None] = []
        for formula in self._formulas():
            if limit is not None and start + len(held) >= limit:
                break
            held.append(formula)
            if len(held) == size:
                yield Piece(start, start + size, pa.array(held, pa.string()))
                start, held = start + size, []
        if held:
            yield Piece(start, start + len(held), pa.array(held, pa.string()))


def open_source(candidates: Any, *, formula_column: str | None = None) -> Source:
    """Make a source of candidates.

    Parameters
    ----------
    candidates : path, DataFrame, DesignSpace, Series, or iterable of composition-like
        A path ends in .csv, .tsv, .txt (one formula per line), .jsonl, .parquet, or .toml (a design space).
    formula_column : str, optional, keyword-only
        Column of the formulas; by default ``formula``, ``composition``, ``candidate``, or the only column.

    Raises
    ------
    ScreeningError
        If there is no such file or column, or the object holds no candidates.
    """
    if isinstance(candidates, DesignSpace | Series):
        return _from_rule(candidates)
    if isinstance(candidates, str | Path) and Path(candidates).suffix:
        return _from_file(Path(candidates), formula_column)
    if isinstance(candidates, str | Path):
        raise ScreeningError(
            f"{str(candidates)[:60]!r} is no file of candidates (.csv, .tsv, .txt, .jsonl, .parquet, .toml); put a "
            "single formula into a list"
        )
    if hasattr(candidates, "columns") and hasattr(candidates, "to_numpy"):
        column = _choose([str(name) for name in candidates.columns], formula_column, "the DataFrame")
        candidates = candidates[column].tolist()
    single = isinstance(candidates, NasiconComposition | Mapping | bytes) or hasattr(
        candidates, "composition"
    )
    single |= hasattr(candidates, "get_el_amt_dict") or hasattr(candidates, "get_chemical_symbols")
    if single or not isinstance(candidates, Iterable):
        raise ScreeningError(
            f"expected a file, a list of formulas, a DesignSpace or a Series, got {type(candidates).__name__}; "
            "put a single composition into a list"
        )
    texts = [_text(item) for item in candidates]
    digest = hashlib.sha256()
    for text in texts:
        digest.update(b"\x00" if text is None else text.encode("utf-8", "surrogatepass") + b"\n")
    description = {"kind": "list", "candidates": len(texts), "sha256": digest.hexdigest()}
    return Source(description, len(texts), (), _formulas=lambda: iter(texts))


def _text(item: Any) -> str | None:
    """Return the formula of an item; None for what is none."""
    if isinstance(item, str):
        return _clean(item)
    if isinstance(item, NasiconComposition):
        return item.formula
    if item is None or isinstance(item, bool | int | float):
        return None
    try:
        return format_formula(amounts_of(item))
    except NasiconError:
        return None


def _clean(text: str) -> str:
    """Return text that can be stored as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _from_rule(rule: DesignSpace | Series) -> Source:
    plain = {key: value for key, value in rule.as_dict().items() if not key.startswith("@")}
    text = json.dumps(plain, sort_keys=True)
    description = {
        "kind": type(rule).__name__,
        "candidates": len(rule),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    return Source(description, len(rule), rule.variables, _rule=rule)


def _from_file(path: Path, formula_column: str | None) -> Source:
    if not path.is_file():
        raise ScreeningError(f"there is no file {path}; give a file of candidates or a list of formulas")
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return _from_rule(DesignSpace.from_toml(path))
    readers = dict.fromkeys(_TEXT_SUFFIXES, _read_text)
    readers |= dict.fromkeys(_JSON_SUFFIXES, _read_jsonl) | dict.fromkeys(_PARQUET_SUFFIXES, _read_parquet)
    if suffix not in readers:
        known = ", ".join([*readers, ".toml"])
        raise ScreeningError(f"{path.name} is no file of candidates that is known here; use one of {known}")
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    description = {"kind": "file", "suffix": suffix, "sha256": digest, "formula_column": formula_column}
    formulas = readers[suffix]
    next(formulas(path, formula_column), None)  # a wrong column is an error now, not later
    total = _count(path, suffix)
    return Source(description, total, (), _formulas=lambda: formulas(path, formula_column))


def _count(path: Path, suffix: str) -> int | None:
    """Return the number of candidates where that is cheap and exact."""
    if suffix in _PARQUET_SUFFIXES:
        import pyarrow.parquet as pq

        return int(pq.ParquetFile(path).metadata.num_rows)
    return None


def _choose(names: Sequence[str], wanted: str | None, where: str) -> str:
    if wanted is not None:
        if wanted not in names:
            raise ScreeningError(f"{where} has no column {wanted!r}; it has {', '.join(names)[:200]}")
        return wanted
    for name in FORMULA_COLUMNS:
        for found in names:
            if found.strip().lower() == name:
                return found
    if len(names) == 1:
        return names[0]
    raise ScreeningError(
        f"{where} has no column 'formula'; name the column of the formulas, one of {', '.join(names)[:200]}"
    )


def _any_width(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield rows with cells of any length; the limit of the csv module, which all share, stays as it was."""
    while True:
        shared = csv.field_size_limit(_WIDEST_CELL)
        try:
            row = next(rows, None)
        finally:
            csv.field_size_limit(shared)
        if row is None:
            return
        yield row


def _read_text(path: Path, formula_column: str | None) -> Iterator[str | None]:
    """Yield the formulas of a CSV, TSV or plain text file; a broken row costs only itself."""
    suffix = path.suffix.lower()
    with path.open("rb") as raw:
        wide = raw.read(2) in (b"\xff\xfe", b"\xfe\xff")
    encoding = "utf-16" if wide else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace", newline="") as handle:
        if suffix == ".txt":
            for line in handle:
                if line.strip() and not line.startswith("#"):
                    yield line.rstrip("\r\n")
            return
        first = next((line for line in handle if line.strip()), "")
        delimiter = "\t" if suffix == ".tsv" else max(_DELIMITERS, key=first.count)
        reader = _any_width(csv.reader(itertools.chain([first], handle), delimiter=delimiter))
        header = next(reader, None)
        if not first or header is None:
            raise ScreeningError(f"{path} is empty; its first line names the columns, such as formula")
        at = _bare_column(header) if formula_column is None else None
        if at is not None:
            yield header[at]
        else:
            at = header.index(_choose(header, formula_column, str(path)))
        for row in reader:
            if not row:  # a blank line
                continue
            cell = row[at] if at < len(row) else ""
            if "\n" in cell:
                # A quote that was never closed has swallowed the lines behind it: give them back.
                yield from _unclosed(cell, at, delimiter)
            else:
                yield cell


def _bare_column(row: Sequence[str]) -> int | None:
    """Return the column of the formulas in a table without a header: the only one that holds a whole candidate."""

    def elements(cell: str) -> set[str]:
        try:
            return set(parse_formula(cell))
        except CompositionError:
            return set()

    if any(cell.strip().lower() in FORMULA_COLUMNS for cell in row):
        return None
    found = [at for at, cell in enumerate(row) if len(elements(cell)) > 3 and "O" in elements(cell)]
    return found[0] if len(found) == 1 else None


def _unclosed(cell: str, at: int, delimiter: str) -> Iterator[str | None]:
    lines = cell.splitlines()
    yield lines[0]
    for line in lines[1:]:
        row = next(_any_width(csv.reader([line], delimiter=delimiter)), [])
        yield row[at] if at < len(row) else ""


def _read_jsonl(path: Path, formula_column: str | None) -> Iterator[str | None]:
    """Yield the formulas of JSON lines: objects with a formula, or strings."""
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        for line in handle:
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (json.JSONDecodeError, RecursionError, ValueError):
                yield line.rstrip("\r\n")
                continue
            if isinstance(item, dict):
                names = [str(name) for name in item]
                known = formula_column or next((n for n in names if n.lower() in FORMULA_COLUMNS), None)
                item = item.get(known) if known is not None else None
            yield _clean(item) if isinstance(item, str) else None


def _read_parquet(path: Path, formula_column: str | None) -> Iterator[str | None]:
    """Yield the formulas of a Parquet file, a group of rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ScreeningError(f"{path} is no Parquet file ({error})") from None
    column = _choose(file.schema_arrow.names, formula_column, str(path))
    kind = file.schema_arrow.field(column).type
    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(text) or pa.types.is_large_string(text) or pa.types.is_string_view(text)):
        raise ScreeningError(f"the column {column} of {path} holds {kind}, not text; name the formula column")
    for batch in file.iter_batches(batch_size=50_000, columns=[column]):
        yield from batch.column(0).to_pylist()
