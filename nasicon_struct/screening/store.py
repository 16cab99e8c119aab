"""Finished chunks of a run on disk: written whole or not at all, and never mixed with those of another run."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

from nasicon_struct.errors import ScreeningError

if TYPE_CHECKING:
    import pyarrow as pa

_MANIFEST: Final = "manifest.json"
_LOCK: Final = "lock"
_KEPT: Final = "finished chunks are kept; run again with resume (--resume) to go on"


class Parts(Protocol):
    """Finished chunks."""

    def done(self) -> dict[int, int]:
        """Return first and last-plus-one candidate of each finished chunk."""

    def write(self, start: int, table: pa.Table) -> None:
        """Keep a chunk."""

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Return the chunks in order, all columns or some."""


class MemoryParts:
    """Finished chunks of a run that writes nothing."""

    def __init__(self) -> None:
        self._tables: dict[int, pa.Table] = {}

    def done(self) -> dict[int, int]:
        """Return first and last-plus-one candidate of each finished chunk."""
        return {start: start + table.num_rows for start, table in self._tables.items()}

    def write(self, start: int, table: pa.Table) -> None:
        """Keep a chunk."""
        self._tables[start] = table

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Return the chunks in order, all columns or some."""
        for start in sorted(self._tables):
            table = self._tables[start]
            yield table if columns is None else table.select(list(columns))


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only once it is whole and on the disk.

    Raises
    ------
    ScreeningError
        If the disk is full or cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        why = error.strerror or str(error)
        raise ScreeningError(f"cannot write {path.name}: {why}; {_KEPT}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sidecar_of(out: Path) -> Path:
    """Return the file beside a result that says how it was made."""
    return out.with_name(f"{out.name}.manifest.json")


def file_sha256(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    with atomic_file(path) as handle:
        handle.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, None where there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def differences(ours: Any, theirs: Any, name: str = "") -> list[str]:
    """Return in words where two manifests differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for key in sorted({*ours, *theirs}):
            found += differences(ours.get(key), theirs.get(key), f"{name} {key}".strip())
        return found
    return [] if ours == theirs else [f"{name} was {theirs!r}, is {ours!r}"]


class Store:
    """Chunks of one run in the folder ``<out>.parts``.

    Parameters
    ----------
    out : Path
        The result; its folder must be there.
    run : dict
        What determines the rows: candidates, settings, versions. Chunks of another run are refused.
    schema : pyarrow Schema
        Of the chunks.
    """

    def __init__(self, out: Path, run: dict[str, Any], schema: pa.Schema) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.parts")
        self.run = json.loads(json.dumps(run))
        self.schema = schema
        self._lock: int | None = None

    # ---- opening and closing

    def open(self, *, resume: bool, overwrite: bool) -> None:
        """Take hold of the folder, alone, for a new run or the one that was stopped.

        Raises
        ------
        ScreeningError
            If another process works on it, or it holds another run.
        """
        if not self.out.parent.is_dir():
            raise ScreeningError(f"there is no folder {self.out.parent}; create it first")
        if self.out.is_dir():
            raise ScreeningError(f"{self.out} is a folder; name a file")
        begun = (self.folder / _MANIFEST).exists()
        if not overwrite and ((begun and not resume) or (self.out.exists() and not begun)):
            what = "an unfinished run" if begun else "a finished run or another file"
            raise ScreeningError(
                f"{self.out.name} holds {what}; continue with resume (--resume), replace it with overwrite "
                "(--overwrite), or name another file"
            )
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ScreeningError(f"cannot write {self.folder.name}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ScreeningError(
                f"another process is working on {self.out.name}; wait for it or name another file"
            ) from None
        except OSError:
            pass  # a file system without locks: two runs on one result are then not noticed
        try:
            self._take_over(overwrite=overwrite and not resume)
        except BaseException:
            self.close()
            raise

    def _take_over(self, *, overwrite: bool) -> None:
        for stale in self.folder.glob(".*.tmp"):
            stale.unlink(missing_ok=True)
        for stale in self.out.parent.glob(f".{self.out.name}.*.tmp"):
            stale.unlink(missing_ok=True)
        held = read_json(self.folder / _MANIFEST)
        if held is not None and not overwrite:
            changed = differences(self.run, held)
            if changed:
                raise ScreeningError(
                    f"{self.out.name} was begun on something else ({'; '.join(changed)[:600]}), and rows of "
                    "two runs are never mixed; restore what changed, or begin again with overwrite "
                    "(--overwrite)"
                )
            return
        # Without a manifest nothing here can be trusted.
        for part in self.folder.glob("part-*.parquet"):
            part.unlink()
        write_json(self.folder / _MANIFEST, self.run)

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Remove the chunks."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    # ---- chunks

    def _path(self, start: int) -> Path:
        return self.folder / f"part-{start:012d}.parquet"

    def done(self) -> dict[int, int]:
        """Return first and last-plus-one candidate of each sound chunk; damaged ones are removed."""
        found = {}
        for path in sorted(self.folder.glob("part-*.parquet")):
            start = int(path.stem.removeprefix("part-"))
            rows = self._sound_rows(path, start)
            if rows is None:
                path.unlink()
            else:
                found[start] = start + rows
        return found

    def _sound_rows(self, path: Path, start: int) -> int | None:
        """Return the number of rows of a chunk, None where it is damaged."""
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path, page_checksum_verification=True, memory_map=False)
        except (OSError, ValueError):  # pyarrow's errors are one or the other
            return None
        numbers = table["candidate"]
        if not table.num_rows or table.schema != self.schema:
            return None
        if numbers[0].as_py() != start or numbers[-1].as_py() != start + table.num_rows - 1:
            return None
        return table.num_rows

    def write(self, start: int, table: pa.Table) -> None:
        """Write a chunk, whole or not at all."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        write_parquet(table, sink)
        with atomic_file(self._path(start)) as handle:
            handle.write(memoryview(sink.getvalue()))

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Return the chunks in order, all columns or some."""
        import pyarrow.parquet as pq

        for path in sorted(self.folder.glob("part-*.parquet")):
            yield pq.read_table(
                path, columns=None if columns is None else list(columns), page_checksum_verification=True
            )


def write_parquet(table: pa.Table, sink: Any) -> None:
    """Write a table as Parquet with checksums of its pages."""
    import pyarrow.parquet as pq

    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
