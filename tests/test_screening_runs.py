"""Screening runs: nothing lost, nothing mixed, whatever executor runs the chunks."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nasicon_struct.errors import ScreeningError
from nasicon_struct.screening import (
    DesignSpace,
    ScreenSettings,
    executors,
    read_screen,
    screen,
    series,
    settings,
    store,
    write_screen,
)
from nasicon_struct.screening.sources import Piece

CHUNK = 40


def space() -> DesignSpace:
    return DesignSpace.from_ranges(["Sc", "Zn"], stop="0.4", step="0.05", si=("1.6", "2.6", "0.2"))


def content(out: Path) -> str:
    """Checksum of the sorted rows of a result."""
    table = read_screen(out).sort_values("candidate")
    return hashlib.sha256(table.to_csv(index=False, float_format="%.17g").encode()).hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "result.parquet"
    done = write_screen(space(), out, chunk_rows=CHUNK)
    assert done.candidates == done.rows == len(space())
    assert not out.with_name("result.parquet.parts").exists()
    return out


class Stopping(Executor):
    """An executor that runs some chunks and then fails as told."""

    def __init__(self, chunks: int, error: BaseException) -> None:
        self.left, self.error = chunks, error

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.left:
            self.left -= 1
            future.set_result(fn(*args, **kwargs))
        else:
            future.set_exception(self.error)
        return future


def stop_after(out: Path, chunks: int, **options: Any) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        write_screen(
            space(),
            out,
            chunk_rows=CHUNK,
            executor=Stopping(chunks, RuntimeError("stopped")),
            in_flight=1,
            **options,
        )


def parts(out: Path) -> list[Path]:
    return sorted(out.with_name(out.name + ".parts").glob("part-*.parquet"))


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "result.parquet"
    stop_after(out, 4)
    assert len(parts(out)) == 4
    assert not out.exists()
    with pytest.raises(ScreeningError, match="unfinished run"):
        write_screen(space(), out, chunk_rows=CHUNK)
    done = write_screen(space(), out, chunk_rows=CHUNK, resume=True)
    assert done.resumed == 4 * CHUNK
    assert out.read_bytes() == whole.read_bytes()
    assert not parts(out)
    again = write_screen(space(), out, chunk_rows=CHUNK, resume=True)
    assert (again.resumed, again.counts) == (done.candidates, done.counts)
    assert type(again).from_dict(again.as_dict()) == again


def test_damaged_and_half_written_chunks_are_made_again(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "result.parquet"
    stop_after(out, 6)
    found = parts(out)
    found[0].write_bytes(found[0].read_bytes()[:-100])
    flipped = bytearray(found[1].read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    found[1].write_bytes(flipped)
    found[2].write_bytes(b"")
    found[3].write_bytes(found[4].read_bytes())
    (found[0].parent / f".{found[0].name}.1.tmp").write_bytes(b"half")
    (tmp_path / ".result.parquet.1.tmp").write_bytes(b"half")
    done = write_screen(space(), out, chunk_rows=CHUNK, resume=True)
    assert done.resumed == 2 * CHUNK
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "result.parquet",
        "result.parquet.manifest.json",
    ]


def test_a_folder_without_manifest_counts_for_nothing(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "result.parquet"
    stop_after(out, 3)
    (parts(out)[0].parent / "manifest.json").unlink()
    assert write_screen(space(), out, chunk_rows=CHUNK, resume=True).resumed == 0
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("candidates", "options", "word"),
    [
        (DesignSpace.from_ranges(["Sc", "Zn"], stop="0.4", step="0.05"), {}, "sha256"),
        (series("Na3+xZr2-xScxSi2PO12", x="0:1:0.1"), {}, "Series"),
        (None, {"temperature_k": 400.0}, "temperature_k was 298.15, is 400.0"),
        (None, {"limit": 100}, "limit was None, is 100"),
        (None, {"open_element": "Zn"}, "open_element"),
        (None, {"entries": "mp2019-gga"}, "entries"),
        (None, {"chunk_rows": 30}, "chunk_rows was 40, is 30"),
        (None, {"predicted_cell": True}, "predicted_cell"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, candidates: Any, options: dict[str, Any], word: str) -> None:
    out = tmp_path / "result.parquet"
    stop_after(out, 2)
    before = [path.read_bytes() for path in parts(out)]
    with pytest.raises(ScreeningError, match="never mixed") as caught:
        write_screen(candidates or space(), out, resume=True, **{"chunk_rows": CHUNK, **options})
    assert word in str(caught.value)
    assert [path.read_bytes() for path in parts(out)] == before


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path) -> None:
    from nasicon_struct.screening import run

    out = tmp_path / "result.parquet"
    stop_after(out, 2)
    held = settings.versions()
    for name in ("nasicon-struct", "code", "data", "numpy"):
        monkeypatch.setattr(run, "versions", lambda name=name: {**held, name: "other"})
        with pytest.raises(ScreeningError, match=f"versions {name} was"):
            write_screen(space(), out, chunk_rows=CHUNK, resume=True)
    with pytest.raises(ScreeningError, match="is the result of something else"):
        write_screen(space(), whole, chunk_rows=CHUNK, resume=True)
    monkeypatch.undo()
    write_screen(space(), out, chunk_rows=CHUNK, resume=True)
    assert out.read_bytes() == whole.read_bytes()


def test_a_changed_file_of_candidates_is_refused(tmp_path: Path) -> None:
    file, out = tmp_path / "c.csv", tmp_path / "result.csv"
    file.write_text("formula\n" + "Na3Zr2Si2PO12\n" * 100)
    with pytest.raises(RuntimeError):
        write_screen(file, out, chunk_rows=20, executor=Stopping(2, RuntimeError("stopped")), in_flight=1)
    file.write_text("formula\n" + "Na3Zr2Si2PO12\n" * 99 + "NaZr2P3O12\n")
    with pytest.raises(ScreeningError, match="candidates sha256"):
        write_screen(file, out, chunk_rows=20, resume=True)
    done = write_screen(file, out, chunk_rows=20, overwrite=True)
    assert done.resumed == 0


def test_files_of_others_are_left_alone(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "notes.csv"
    out.write_text("mine")
    for options in ({}, {"resume": True}):
        with pytest.raises(ScreeningError, match="another file"):
            write_screen(space(), out, **options)
    assert out.read_text() == "mine"
    copy = tmp_path / "result.parquet"
    write_screen(space(), copy, chunk_rows=CHUNK)
    copy.write_bytes(copy.read_bytes() + b"x")
    with pytest.raises(ScreeningError, match="changed since it was written"):
        write_screen(space(), copy, chunk_rows=CHUNK, resume=True)
    with pytest.raises(ScreeningError, match="no folder"):
        write_screen(space(), tmp_path / "nowhere" / "x.csv")
    with pytest.raises(ScreeningError, match=r"must end in \.parquet"):
        write_screen(space(), tmp_path / "x.xlsx")
    with pytest.raises(ScreeningError, match="need a file"):
        screen(space(), resume=True)


def test_two_processes_do_not_share_a_result(tmp_path: Path) -> None:
    out = tmp_path / "result.parquet"
    first = store.Store(out, {}, None)  # type: ignore[arg-type]
    first.open(resume=False, overwrite=False)
    with pytest.raises(ScreeningError, match="another process"):
        write_screen(space(), out, resume=True)
    first.close()


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path) -> None:
    out = tmp_path / "result.parquet"
    real, calls = os.fsync, 0

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(store.os, "fsync", fsync)
    with pytest.raises(ScreeningError, match="No space left on device; finished chunks are kept"):
        write_screen(space(), out, chunk_rows=CHUNK)
    monkeypatch.undo()
    held = len(parts(out))
    assert held == 5  # two calls for the manifest and each chunk
    assert not list(tmp_path.glob("**/*.tmp"))
    assert write_screen(space(), out, chunk_rows=CHUNK, resume=True).resumed == held * CHUNK
    assert out.read_bytes() == whole.read_bytes()


def test_a_result_that_does_not_fit_is_not_left_half_written(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "result.parquet"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = whole.stat().st_size // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        with pytest.raises(ScreeningError, match=r"cannot write result\.parquet: File too large"):
            write_screen(space(), out, chunk_rows=CHUNK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not out.exists()
    done = write_screen(space(), out, chunk_rows=CHUNK, resume=True)
    assert done.resumed == done.candidates
    assert out.read_bytes() == whole.read_bytes()


# ---- executors


def test_threads_give_the_same_file(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "result.parquet"
    with ThreadPoolExecutor(3) as pool:
        write_screen(space(), out, chunk_rows=CHUNK, executor=pool)
    assert out.read_bytes() == whole.read_bytes()


def test_a_lost_worker_of_an_executor_is_tried_again(tmp_path: Path, whole: Path) -> None:
    class KilledWorker(Exception):
        pass

    class Losing(Stopping):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.left += 1
            future: Future[Any] = Future()
            if self.left % 3:
                future.set_exception(KilledWorker())
            else:
                future.set_result(fn(*args, **kwargs))
            return future

    out = tmp_path / "result.parquet"
    write_screen(space(), out, chunk_rows=CHUNK, executor=Losing(0, KilledWorker()), in_flight=1)
    assert out.read_bytes() == whole.read_bytes()
    with pytest.raises(ScreeningError, match="died 3 times"):
        screen(space(), executor=Stopping(0, KilledWorker()))


def test_errors_of_a_chunk_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        screen(space(), executor=Stopping(1, ZeroDivisionError()), chunk_rows=CHUNK)


@pytest.mark.parametrize("moment", range(6))
@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("at_submit", [False, True])
def test_no_piece_is_lost_with_its_pool(moment: int, in_flight: int, at_submit: bool) -> None:
    class Breaking(Executor):
        left = moment

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.left -= 1
            if self.left >= 0:
                future.set_result("rows")
            elif at_submit:
                raise BrokenExecutor
            else:
                future.set_exception(BrokenExecutor())
            return future

    every = [Piece(start, start + 1) for start in range(8)]
    pieces, kept = iter(every), []
    with pytest.raises(executors._PoolLost) as lost:
        executors.spread(
            pieces, ScreenSettings(), Breaking(), in_flight, lambda piece, _: kept.append(piece), own=True
        )
    assert sorted(piece.start for piece in (*kept, *lost.value.pieces, *pieces)) == list(range(8))


@pytest.mark.slow
def test_processes_that_are_killed_are_replaced(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "result.parquet"
    killed: list[int] = []

    def kill_one() -> None:
        end = time.monotonic() + 60
        while not killed and time.monotonic() < end:
            children = multiprocessing.active_children()
            if children and parts(out):
                killed.append(children[0].pid or 0)
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.002)

    thread = threading.Thread(target=kill_one)
    thread.start()
    write_screen(space(), out, chunk_rows=5, workers=2)
    thread.join()
    assert killed
    assert content(out) == content(whole)


SCRIPT = """
import sys
from nasicon_struct.screening import DesignSpace, write_screen
space = DesignSpace.from_ranges(["Sc", "Zn"], stop="0.4", step="0.05", si=("1.6", "2.6", "0.2"))
write_screen(space, sys.argv[1], chunk_rows=5, resume=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed(tmp_path: Path, whole: Path) -> None:
    kills = int(os.environ.get("NASICON_STRUCT_KILLS", "4"))
    rng = random.Random(7)
    command = [sys.executable, "-c", SCRIPT]
    first = tmp_path / "first.parquet"
    # The first of two runs may compile or read from a cold disk; kills are aimed by the second.
    for name in (tmp_path / "warm.parquet", first):
        begun = time.monotonic()
        subprocess.run([*command, str(name)], check=True)
        lasted = time.monotonic() - begun
    expected, bytes_of_result = content(whole), first.read_bytes()
    assert content(first) == expected
    killed = finished = 0
    while killed < kills or not finished:
        out = tmp_path / f"{finished}.parquet"
        begun = time.monotonic()
        process = subprocess.Popen([*command, str(out)])
        try:
            # From the middle of the imports to the end; late kills strike while the result is put together.
            code = process.wait(lasted * rng.uniform(0.3, 1.05) if killed < kills else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            continue
        assert code == 0
        assert content(out) == expected
        assert out.read_bytes() == bytes_of_result
        lasted = min(lasted, time.monotonic() - begun)
        finished += 1


@pytest.mark.slow
def test_dask_cluster_that_loses_a_worker(tmp_path: Path, whole: Path) -> None:
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "result.parquet"
    killed: list[int] = []
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster) as client:
        workers = [worker.pid for worker in cluster.workers.values()]

        def kill_one() -> None:
            end = time.monotonic() + 120
            while not killed and time.monotonic() < end:
                if parts(out):
                    os.kill(workers[0], signal.SIGKILL)
                    killed.append(workers[0])
                time.sleep(0.002)

        thread = threading.Thread(target=kill_one)
        thread.start()
        write_screen(space(), out, chunk_rows=5, executor=client.get_executor(), in_flight=8)
        thread.join()
    assert killed
    assert content(out) == content(whole)


# ---- the rest


@pytest.mark.parametrize(("workers", "pause_s"), [(1, 0.2), (2, 0.0), (2, 0.6), (2, 1.5), (2, 3.0)])
def test_an_interrupt_of_the_terminal_ends_all_processes_at_once(
    tmp_path: Path, workers: int, pause_s: float
) -> None:
    """A terminal sends Ctrl-C to the workers too; chunks larger than a pipe wait for them then."""
    file, out = tmp_path / "many.csv", tmp_path / "many.parquet"
    file.write_text("formula\n" + "".join(f"Na3.{n:06}Zr2Si2PO12\n" for n in range(900_000)))
    argv = ["screen", str(file), "--out", str(out), "--chunk-rows", "10000", "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from nasicon_struct.cli import main; main()", *argv],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Started in the background, a test run ignores SIGINT, and so would the child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        waited = 0.0
        while not out.with_name("many.parquet.parts").exists() and waited < 60:
            time.sleep(0.02)
            waited += 0.02
        time.sleep(pause_s)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, error.strip()) == (130, "error: interrupted")
    assert not out.exists()


def test_progress_is_quiet_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    screen(["Na3Zr2Si2PO12"])
    assert capsys.readouterr().err == ""
    screen(["Na3Zr2Si2PO12"] * 3, progress=True)
    assert "rows/s" in capsys.readouterr().err


def test_manifest_says_how_the_rows_were_made(whole: Path) -> None:
    manifest = json.loads(whole.with_name("result.parquet.manifest.json").read_text())
    assert manifest["rows"] == len(space())
    assert (
        manifest["counts"]
        == read_screen(whole)["status"].value_counts().reindex(manifest["counts"], fill_value=0).to_dict()
    )
    assert manifest["sha256"] == store.file_sha256(whole)
    assert {"numpy", "code", "data"} <= set(manifest["run"]["versions"])
    assert "S/cm" in manifest["columns"]["literature_sigma_s_per_cm"]


def test_rows_do_not_depend_on_the_chunks(whole: Path) -> None:
    pd.testing.assert_frame_equal(
        screen(space(), chunk_rows=7).astype(object), read_screen(whole).astype(object), check_exact=True
    )


@pytest.mark.parametrize(
    "options", [{"limit": -1}, {"workers": 0}, {"chunk_rows": 0}, {"limit": 1.5}, {"in_flight": 0}]
)
def test_bad_counts_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ScreeningError, match=next(iter(options))):
        screen(["Na3Zr2Si2PO12"], **options)


@pytest.mark.parametrize(
    "options",
    [{"open_element": "Xe"}, {"temperature_k": -1}, {"temperature_k": float("nan")}, {"n_samples": 1}],
)
def test_bad_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ScreeningError):
        screen(["Na3Zr2Si2PO12"], **options)
