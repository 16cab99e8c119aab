"""From finished chunks to the result: ranks, order, choice of columns, and the file formats."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from nasicon_struct.errors import ScreeningError
from nasicon_struct.screening.columns import PARETO_COLUMN, Column
from nasicon_struct.screening.pareto import PARETO_DECIMALS, Objective, pareto_ranks, read_objectives
from nasicon_struct.screening.store import Parts, atomic_file

if TYPE_CHECKING:
    import pyarrow as pa

#: File formats by suffix.
FORMATS: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
#: A cell of a CSV file that begins so would be run as a formula by spreadsheets; it gets an apostrophe.
_FORMULA_START: Final = r"^\s*[=+\-@\t\r\n＝＋－＠]"
_BLOCK: Final = 50_000


@dataclass(frozen=True)
class View:
    """Which rows and columns a result shows, and in which order.

    Attributes
    ----------
    columns : tuple of str or None
        Columns, None for all.
    sort : tuple of (str, bool)
        Columns to sort by, and whether downward; rows without a value come last.
    top : int or None
        Rows kept, from the front.
    objectives : tuple of Objective
        Columns of the Pareto rank.
    """

    columns: tuple[str, ...] | None
    sort: tuple[tuple[str, bool], ...]
    top: int | None
    objectives: tuple[Objective, ...]

    def describe(self) -> dict[str, Any]:
        """Return the view as plain JSON."""
        return {
            "columns": None if self.columns is None else list(self.columns),
            "sort": [f"{name}:{'desc' if down else 'asc'}" for name, down in self.sort],
            "top": self.top,
            "pareto": [str(objective) for objective in self.objectives],
        }

    def shown(self, known: dict[str, Column]) -> list[str]:
        """Return the columns of the result."""
        if self.columns is not None:
            return list(self.columns)
        return [*known, PARETO_COLUMN] if self.objectives else list(known)


def read_view(
    known: dict[str, Column],
    *,
    columns: Any = None,
    sort: Any = None,
    top: int | None = None,
    pareto: Any = None,
) -> View:
    """Check what a result should show.

    Raises
    ------
    ScreeningError
        If a column is not known or an option does not fit.
    """
    objectives = read_objectives(pareto)
    for objective in objectives:
        if objective.column not in known or known[objective.column].kind not in ("number", "integer"):
            raise ScreeningError(
                f"a Pareto rank needs columns of numbers, got {objective.column!r}; there are "
                + ", ".join(name for name, column in known.items() if column.kind == "number")
            )
    offered = [*known, *([PARETO_COLUMN] if objectives else [])]
    chosen = None
    if columns is not None:
        chosen = tuple(_names(columns))
        if not chosen or len(set(chosen)) < len(chosen):
            raise ScreeningError(f"columns must name each column once, got {', '.join(chosen) or 'nothing'}")
        for name in chosen:
            _check_known(name, offered)
    order = []
    for item in _names(sort) if sort is not None else []:
        name, _, direction = item.partition(":")
        if direction not in ("", "asc", "desc"):
            raise ScreeningError(f"an order is written as column, column:asc or column:desc, got {item!r}")
        _check_known(name, offered)
        order.append((name, direction == "desc"))
    if top is not None and (not isinstance(top, int) or isinstance(top, bool) or top < 1):
        raise ScreeningError(f"top must be a whole number above 0, got {top!r}")
    if not order and objectives and top is not None:
        order = [(PARETO_COLUMN, False)]
    if top is not None and not order:
        raise ScreeningError("top needs an order; give sort (--sort) or a Pareto rank (--pareto)")
    return View(chosen, tuple(order), top, objectives)


def _names(given: Any) -> list[str]:
    if isinstance(given, str):
        given = given.split(",")
    if not isinstance(given, Iterable):
        raise ScreeningError(f"columns are given as a list of names, got {given!r}")
    return [str(name).strip() for name in given]


def _check_known(name: str, offered: Sequence[str]) -> None:
    if name not in offered:
        raise ScreeningError(f"there is no column {name[:60]!r}; there are {', '.join(offered)}")


# ---- blocks of the result


def blocks(parts: Parts, view: View, known: dict[str, Column]) -> Iterator[pa.Table]:
    """Return the result in blocks of rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    shown = view.shown(known)
    held = [name for name in shown if name != PARETO_COLUMN]
    ranks = _ranks(parts, view.objectives) if view.objectives else None
    if not view.sort:
        at = 0
        for table in parts.tables(held or ["candidate"]):
            yield _with_ranks(table, ranks, slice(at, at + table.num_rows)).select(shown)
            at += table.num_rows
        return
    keys = [name for name, _ in view.sort]
    wanted = [*dict.fromkeys(["candidate", *(k for k in keys if k != PARETO_COLUMN)])]
    pieces = [_undictionaried(table) for table in parts.tables(wanted)]
    if not pieces:
        return
    plain = _with_ranks(pa.concat_tables(pieces), ranks, slice(None))
    ways = [(name, "descending" if down else "ascending") for name, down in view.sort]
    if "candidate" not in keys:
        ways.append(("candidate", "ascending"))
    order = pc.sort_indices(plain, sort_keys=ways).to_numpy()
    order = order[: view.top]
    del plain, pieces
    table = _gathered(parts, held or ["candidate"], order)
    # Rows come in the order of the candidates; put them into that of the result.
    place = np.empty(len(order), dtype=np.int64)
    place[np.argsort(order, kind="stable")] = np.arange(len(order))
    for at in range(0, len(order), _BLOCK):
        rows = place[at : at + _BLOCK]
        block = _small_texts(table.take(pa.array(rows)))
        yield _with_ranks(
            block, None if ranks is None else ranks[order[at : at + _BLOCK]], slice(None)
        ).select(shown)


def _undictionaried(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    fields = [pa.field(f.name, pa.large_string() if _is_text(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(fields))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind))


def _gathered(parts: Parts, columns: list[str], order: np.ndarray) -> pa.Table:
    """Return the rows of an order, in the order of the candidates, with one dictionary for each label."""
    import pyarrow as pa

    wanted = np.sort(order)
    kept, at = [], 0
    for table in parts.tables(columns):
        low, high = np.searchsorted(wanted, [at, at + table.num_rows])
        if high > low:
            picked = table if high - low == table.num_rows else table.take(pa.array(wanted[low:high] - at))
            fields = [
                pa.field(f.name, pa.large_string() if pa.types.is_string(f.type) else f.type)
                for f in picked.schema
            ]
            kept.append(picked.cast(pa.schema(fields)))
        at += table.num_rows
    return pa.concat_tables(kept).unify_dictionaries()


def _small_texts(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    fields = [
        pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def _ranks(parts: Parts, objectives: Sequence[Objective]) -> np.ndarray:
    """Return the Pareto ranks of all rows, 0 for none."""
    names = [objective.column for objective in objectives]
    found = [
        np.column_stack([table[name].to_numpy(zero_copy_only=False).astype(float) for name in names])
        for table in parts.tables(names)
    ]
    values = np.concatenate(found) if found else np.empty((0, len(names)))
    values = np.round(values, PARETO_DECIMALS)
    return pareto_ranks(values, maximise=[objective.maximise for objective in objectives])


def _with_ranks(table: pa.Table, ranks: np.ndarray | None, rows: slice) -> pa.Table:
    import pyarrow as pa

    if ranks is None:
        return table
    part = ranks[rows]
    return table.append_column(PARETO_COLUMN, pa.array(part, pa.int64(), mask=part == 0))


# ---- files


def format_of(out: Path) -> str:
    """Return the format that a file name asks for.

    Raises
    ------
    ScreeningError
        If the suffix is none of ours.
    """
    found = FORMATS.get(out.suffix.lower())
    if found is None:
        raise ScreeningError(f"cannot write {out.name!r}: the name must end in {', '.join(FORMATS)}")
    return found


def write_result(out: Path, tables: Iterator[pa.Table], schema: pa.Schema) -> int:
    """Write a result, whole or not at all; returns the number of rows.

    Parameters
    ----------
    out : Path
        The suffix chooses the format.
    tables : iterator of pyarrow Table
    schema : pyarrow Schema
        Of the tables, for a result without rows.
    """
    kind = format_of(out)
    with atomic_file(out) as handle:
        if kind == "parquet":
            return _write_parquet(handle, tables, schema)
        if kind == "csv":
            return _write_csv(handle, tables, schema)
        rows = 0
        for table in tables:
            for row in table.to_pylist():
                handle.write((json.dumps(_json_row(row), ensure_ascii=False) + "\n").encode())
            rows += table.num_rows
        return rows


def _write_parquet(handle: BinaryIO, tables: Iterator[pa.Table], schema: pa.Schema) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(handle, schema, compression="zstd", write_page_checksum=True) as writer:
        for table in tables:
            writer.write_table(table.unify_dictionaries())
            rows += table.num_rows
    return rows


def _write_csv(handle: BinaryIO, tables: Iterator[pa.Table], schema: pa.Schema) -> int:
    import pyarrow as pa
    from pyarrow import csv

    plain = pa.schema([(f.name, pa.string() if _is_text(f.type) else f.type) for f in schema])
    rows = 0
    with csv.CSVWriter(handle, plain) as writer:
        for table in tables:
            writer.write_table(_safe_texts(table.cast(plain)))
            rows += table.num_rows
    return rows


def _safe_texts(table: pa.Table) -> pa.Table:
    """Return the table with an apostrophe before every text that a spreadsheet would run."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for at, name in enumerate(table.column_names):
        if pa.types.is_string(table.schema.field(name).type):
            column = table.column(at)
            risky = pc.match_substring_regex(column, _FORMULA_START)
            if pc.any(risky).as_py():
                guarded = pc.binary_join_element_wise("'", column, "")
                table = table.set_column(at, name, pc.if_else(risky, guarded, column))
    return table


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON knows it: no infinity."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
