"""Running a screen: chunks over executors, kept as they finish, resumed where they stopped."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monty.json import MSONable

from nasicon_struct.errors import ScreeningError
from nasicon_struct.screening.chunk import chunk_table, schema_of
from nasicon_struct.screening.columns import (
    CELL_COLUMNS,
    COLUMNS,
    PARETO_COLUMN,
    STATUSES,
    Column,
    columns_of,
)
from nasicon_struct.screening.executors import spread, spread_local
from nasicon_struct.screening.output import View, blocks, format_of, read_view, write_result
from nasicon_struct.screening.settings import ScreenSettings, versions
from nasicon_struct.screening.sources import Piece, Source, open_source
from nasicon_struct.screening.store import (
    MemoryParts,
    Parts,
    Store,
    differences,
    file_sha256,
    read_json,
    sidecar_of,
    write_json,
)
from nasicon_struct.units import ROOM_TEMPERATURE_K

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Candidates of one chunk: what is lost at most of each worker when a run is killed.
CHUNK_ROWS: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class ScreenRun(MSONable):
    """What a run wrote.

    Attributes
    ----------
    out : str
        The result.
    rows : int
        Rows of the result.
    candidates : int
        Candidates judged, in this run and those it continues.
    resumed : int
        Candidates that an earlier run had judged.
    counts : dict of str to int
        Candidates by status.
    seconds : float
        Wall time of this run, s.
    """

    out: str
    rows: int
    candidates: int
    resumed: int
    counts: dict[str, int]
    seconds: float


def screen(
    candidates: Any,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    columns: Any = None,
    sort: Any = None,
    top: int | None = None,
    pareto: Any = None,
    limit: int | None = None,
    formula_column: str | None = None,
    entries: Any = None,
    open_element: str = "Na",
    temperature_k: float = ROOM_TEMPERATURE_K,
    predicted_cell: bool = False,
    n_samples: int = 1000,
    seed: int = 0,
    workers: int = 1,
    executor: Executor | None = None,
    in_flight: int | None = None,
    chunk_rows: int = CHUNK_ROWS,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Judge every candidate: one row each, rejected ones with their reason.

    Parameters
    ----------
    candidates : path, DataFrame, DesignSpace, Series, or iterable of composition-like
        A path ends in .csv, .tsv, .txt, .jsonl or .parquet (formulas), or .toml (a design space).
    out : path, optional, keyword-only
        Write the result here (.parquet, .csv or .jsonl), chunk by chunk; without it all stays in memory.
    resume : bool, keyword-only
        Continue a run that was stopped; a finished one is returned as it is. Another input, another setting or
        another version of the package or its data is refused.
    overwrite : bool, keyword-only
        Replace what is there.
    columns : list of str, optional, keyword-only
        Columns of the result, see ``nasicon_struct.screening.COLUMNS``; all when absent.
    sort : str or list of str, optional, keyword-only
        Columns to sort by, such as ``"probability_monoclinic:desc"``; rows without a value come last.
    top : int, optional, keyword-only
        Keep the first rows of the sorted result only.
    pareto : list of str or mapping, optional, keyword-only
        Columns of the Pareto rank, such as ``["na:max", "assemblage_oxidation_v:max"]``.
    limit : int, optional, keyword-only
        Judge the first candidates only.
    formula_column : str, optional, keyword-only
        Column of the formulas in a file or DataFrame.
    entries, open_element : keyword-only
        Energies and open element, as for :func:`nasicon_struct.stability_window`.
    temperature_k : float, keyword-only
        Temperature of the phase assignment, K.
    predicted_cell : bool, keyword-only
        Add the predicted lattice (about 0.4 ms per possible candidate).
    n_samples, seed : int, keyword-only
        Samples of the error model of the energies.
    workers : int, keyword-only
        Processes on this machine. With more than one, a script must guard its start by
        ``if __name__ == "__main__":``, as with every process pool.
    executor : concurrent.futures.Executor, optional, keyword-only
        Runs the chunks instead, for example ``dask.distributed.Client(...).get_executor()``; only this process
        writes.
    in_flight : int, optional, keyword-only
        Chunks handed to the executor at once; by default 2 per worker, for another executor 32.
    chunk_rows : int, keyword-only
    progress : bool, optional, keyword-only
        Progress bar with rate and time left on standard error; by default where that is a terminal.

    Returns
    -------
    pandas DataFrame
        Columns as in ``nasicon_struct.screening.COLUMNS``, with units in their names; labels are categories.

    Raises
    ------
    ScreeningError
        If the candidates cannot be found, an option does not fit, the disk is full, or the files at ``out`` belong
        to another run.

    Examples
    --------
    >>> table = screen(["Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", "Na3.4Zr2Si2PO12"])
    >>> table["status"].tolist()
    ['possible', 'rejected']
    """
    options = {
        "columns": columns,
        "sort": sort,
        "top": top,
        "pareto": pareto,
        "limit": limit,
        "formula_column": formula_column,
        "entries": entries,
        "open_element": open_element,
        "temperature_k": temperature_k,
        "predicted_cell": predicted_cell,
        "n_samples": n_samples,
        "seed": seed,
        "workers": workers,
        "executor": executor,
        "in_flight": in_flight,
        "chunk_rows": chunk_rows,
        "progress": progress,
    }
    if out is not None:
        write_screen(candidates, out, resume=resume, overwrite=overwrite, **options)
        return read_screen(out)
    if resume or overwrite:
        raise ScreeningError("resume and overwrite need a file; give out")
    return screen_in_memory(candidates, **options)[0]


def screen_in_memory(candidates: Any, **options: Any) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the table of :func:`screen` and how many of all candidates, shown or not, have which status."""
    job = _Job(candidates, **options)
    parts = MemoryParts()
    job.compute(parts)
    tables = list(blocks(parts, job.view, job.known))
    return to_dataframe(tables, job.shown_schema()), _counts(parts)


def write_screen(
    candidates: Any, out: str | Path, *, resume: bool = False, overwrite: bool = False, **options: Any
) -> ScreenRun:
    """Judge every candidate and write the result; as :func:`screen`, without holding the table in memory.

    Beside the result stands ``<out>.manifest.json``: candidates, settings, versions, checksum, and what the
    columns mean. Until the run is complete, finished chunks are in the folder ``<out>.parts``.

    Parameters
    ----------
    candidates : see :func:`screen`
    out : path
        Ends in .parquet, .csv or .jsonl.
    resume, overwrite : bool, keyword-only
    **options
        As for :func:`screen`.

    Returns
    -------
    ScreenRun

    Raises
    ------
    ScreeningError
        See :func:`screen`.
    """
    begun = time.perf_counter()
    path = Path(out)
    format_of(path)
    if isinstance(candidates, str | Path) and Path(candidates).resolve() == path.resolve():
        raise ScreeningError(f"{path} holds the candidates and cannot take the result; name another file")
    job = _Job(candidates, **options)
    store = Store(path, job.run, schema_of(job.known))
    finished = _finished(path, job) if resume else None
    if finished is not None:
        store.remove()
        return finished
    store.open(resume=resume, overwrite=overwrite)
    try:
        resumed = job.compute(store)
        counts = _counts(store)
        rows = write_result(path, blocks(store, job.view, job.known), job.shown_schema())
        total = sum(counts.values())
        shown = job.view.shown(job.known)
        meanings = {name: column.meaning for name, column in job.known.items() if name in shown}
        if PARETO_COLUMN in shown:
            names = ", ".join(map(str, job.view.objectives))
            meanings[PARETO_COLUMN] = f"1 for rows that no other beats in every one of {names}; then 2, ..."
        manifest = {
            "run": store.run,
            "view": job.view.describe(),
            "rows": rows,
            "candidates": total,
            "counts": counts,
            "sha256": file_sha256(path),
            "columns": meanings,
        }
        write_json(sidecar_of(path), manifest)
        store.remove()
    finally:
        store.close()
    return ScreenRun(
        out=str(out),
        rows=rows,
        candidates=total,
        resumed=resumed,
        counts=counts,
        seconds=time.perf_counter() - begun,
    )


def _finished(path: Path, job: _Job) -> ScreenRun | None:
    """Return the run that a result comes from, if it is the one asked for; None where there is no result.

    Raises
    ------
    ScreeningError
        If the result is that of another run.
    """
    held = read_json(sidecar_of(path))
    if held is None or not path.is_file():
        return None
    ours = {"run": job.run, "view": job.view.describe()}
    changed = differences(ours, {"run": held.get("run"), "view": held.get("view")})
    if not changed and file_sha256(path) != held.get("sha256"):
        changed = ["the file was changed since it was written"]
    if changed:
        raise ScreeningError(
            f"{path.name} is the result of something else ({'; '.join(changed)[:600]}); name another file, or "
            "replace it with overwrite (--overwrite)"
        )
    return ScreenRun(
        out=str(path),
        rows=held["rows"],
        candidates=held["candidates"],
        resumed=held["candidates"],
        counts=held["counts"],
        seconds=0.0,
    )


def _counts(parts: Parts) -> dict[str, int]:
    counts = dict.fromkeys(STATUSES, 0)
    for table in parts.tables(["status"]):
        for item in table["status"].value_counts().to_pylist():
            counts[item["values"]] += item["counts"]
    return counts


def read_screen(path: str | Path) -> pd.DataFrame:
    """Return the table of a finished run.

    Parameters
    ----------
    path : str or Path
        A result of :func:`screen` or of ``nasicon-struct screen``.

    Returns
    -------
    pandas DataFrame
        Columns as in ``nasicon_struct.screening.COLUMNS``.

    Raises
    ------
    ScreeningError
        If there is no such file.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    found = Path(path)
    kind = format_of(found)
    if not found.is_file():
        raise ScreeningError(f"there is no file {found}; give the result of a screen")
    if kind == "parquet":
        table = pq.read_table(found, page_checksum_verification=True)
        return to_dataframe([table], table.schema)
    if kind == "csv":
        kinds = {**COLUMNS, **CELL_COLUMNS}
        texts = [name for name, column in kinds.items() if column.kind in ("text", "label")]
        return pd.read_csv(found, dtype=dict.fromkeys(texts, "str"))
    return pd.read_json(found, lines=True)


def to_dataframe(tables: list[pa.Table], schema: pa.Schema) -> pd.DataFrame:
    """Return tables as one DataFrame, labels as categories."""
    import pyarrow as pa

    table = pa.concat_tables(tables) if tables else schema.empty_table()
    return table.unify_dictionaries().to_pandas(split_blocks=True)


class _Job:
    """What is to be computed, checked before anything is."""

    def __init__(
        self,
        candidates: Any,
        *,
        columns: Any = None,
        sort: Any = None,
        top: int | None = None,
        pareto: Any = None,
        limit: int | None = None,
        formula_column: str | None = None,
        workers: int = 1,
        executor: Executor | None = None,
        in_flight: int | None = None,
        chunk_rows: int = CHUNK_ROWS,
        progress: bool | None = None,
        **settings: Any,
    ) -> None:
        for name, value, least in (
            ("limit", limit, 0),
            ("workers", workers, 1),
            ("in_flight", in_flight, 1),
            ("chunk_rows", chunk_rows, 1),
        ):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise ScreeningError(f"{name} must be a whole number from {least} up, got {value!r}")
        self.settings = ScreenSettings(**settings)
        self.source: Source = open_source(candidates, formula_column=formula_column)
        self.known: dict[str, Column] = columns_of(
            predicted_cell=self.settings.predicted_cell, variables=self.source.variables
        )
        self.view: View = read_view(self.known, columns=columns, sort=sort, top=top, pareto=pareto)
        self.limit, self.workers, self.executor = limit, workers, executor
        self.in_flight = in_flight or (32 if executor is not None else 2 * workers)
        self.chunk_rows, self.progress = chunk_rows, progress
        self.run: dict[str, Any] = {
            "candidates": self.source.description,
            "settings": self.settings.describe(),
            "limit": limit,
            "chunk_rows": chunk_rows,
            "versions": dict(versions()),
        }

    def shown_schema(self) -> pa.Schema:
        """Return the schema of the result."""
        known = {**self.known, PARETO_COLUMN: Column("integer", "")}
        return schema_of({name: known[name] for name in self.view.shown(self.known)})

    def compute(self, parts: Parts) -> int:
        """Compute the chunks that are missing; returns the number of candidates that were there before."""
        done = parts.done()
        resumed = sum(stop - start for start, stop in done.items())
        total = self.source.total
        if total is not None and self.limit is not None:
            total = min(total, self.limit)
        asked, kept = 0, 0
        with _bar(total, resumed, self.progress) as advance:

            def keep(piece: Piece, table: pa.Table) -> None:
                nonlocal kept
                parts.write(piece.start, table)
                kept += piece.stop - piece.start
                advance(piece.stop - piece.start)

            def pieces() -> Iterator[Piece]:
                nonlocal asked
                for piece in self.source.pieces(self.chunk_rows, self.limit):
                    asked = piece.stop
                    if done.get(piece.start) != piece.stop:
                        yield piece

            missing = pieces()
            if self.executor is not None:
                spread(missing, self.settings, self.executor, self.in_flight, keep)
            elif self.workers > 1:
                spread_local(missing, self.settings, self.workers, self.in_flight, keep)
            else:
                for piece in missing:
                    keep(piece, chunk_table(piece, self.settings))
        if kept + resumed != asked:
            raise ScreeningError(
                f"{asked} candidates were read and {kept + resumed} rows made; the candidates changed while they "
                "were read, run again with overwrite"
            )
        return resumed


@contextlib.contextmanager
def _bar(total: int | None, done: int, wanted: bool | None) -> Iterator[Callable[[int], object]]:
    """Show a bar on standard error; by default only on a terminal."""
    from tqdm import tqdm

    quiet = not sys.stderr.isatty() if wanted is None else not wanted
    with tqdm(
        total=total, initial=done, unit=" rows", unit_scale=True, disable=quiet, smoothing=0.1, desc="screen"
    ) as bar:
        yield bar.update
