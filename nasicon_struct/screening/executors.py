"""Spreading chunks over processes: executors of others, and a pool of our own that replaces what dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from typing import Any, Final

from nasicon_struct.errors import NasiconError, ScreeningError
from nasicon_struct.screening.chunk import chunk_table
from nasicon_struct.screening.settings import ScreenSettings
from nasicon_struct.screening.sources import Piece

#: A chunk whose worker died is tried this often.
_TRIES: Final = 3
#: Exceptions by which distributed executors say that a worker was lost.
_LOST_WORKER: Final = ("KilledWorker", "CommClosedError", "WorkerLostError", "TerminatedWorkerError")
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _PoolLost(Exception):
    """A process of our own pool died; holds the pieces that were under way."""

    def __init__(self, pieces: list[Piece]) -> None:
        super().__init__()
        self.pieces = pieces


def spread(
    pieces: Iterator[Piece],
    settings: ScreenSettings,
    executor: Executor,
    in_flight: int,
    keep: Callable[[Piece, Any], None],
    tries: dict[int, int] | None = None,
    *,
    own: bool = False,
) -> None:
    """Compute pieces on an executor, a bounded number at once."""
    tries = {} if tries is None else tries
    waiting: dict[Future[Any], Piece] = {}
    unsent: list[Piece] = []

    def submit(piece: Piece) -> None:
        try:
            future = executor.submit(chunk_table, piece, settings)
        except BrokenExecutor:
            unsent.append(piece)
            raise
        tries[piece.start] = tries.get(piece.start, 0) + 1
        waiting[future] = piece

    def collect(future: Future[Any]) -> None:
        piece = waiting.pop(future)
        try:
            table = future.result()
        except BrokenExecutor:
            waiting[future] = piece
            raise
        except Exception as error:
            lost = type(error).__name__ in _LOST_WORKER
            if not lost or tries[piece.start] >= _TRIES:
                if isinstance(error, NasiconError) or not lost:
                    raise
                raise ScreeningError(_died(piece)) from error
            submit(piece)
            return
        keep(piece, table)

    try:
        for piece in pieces:
            unsent.append(piece)  # not lost, should the pool break before it is sent
            while len(waiting) >= in_flight:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    collect(future)
            submit(unsent.pop())
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                collect(future)
    except BrokenExecutor as error:
        if own:
            raise _PoolLost([*waiting.values(), *unsent]) from error
        raise ScreeningError(
            "the executor stopped working; finished chunks are kept if a file was named, give it a new executor and "
            "run again with resume"
        ) from error
    except BaseException:
        for future in waiting:
            future.cancel()
        raise


def _died(piece: Piece) -> str:
    return (
        f"the process at work on the candidates {piece.start} to {piece.stop - 1} died {_TRIES} times, perhaps for "
        "lack of memory; use fewer workers or smaller chunks (chunk_rows), and run again with resume"
    )


def spread_local(
    pieces: Iterator[Piece],
    settings: ScreenSettings,
    workers: int,
    in_flight: int,
    keep: Callable[[Piece, Any], None],
) -> None:
    """Compute pieces in processes of our own; a process that dies is replaced."""
    tries: dict[int, int] = {}
    left: list[Piece] = []

    def all_pieces() -> Iterator[Piece]:
        while left:
            yield left.pop(0)
        while (piece := next(pieces, None)) is not None:  # "yield from" would close them with a lost pool
            yield piece

    with _one_thread_each():
        while True:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
                try:
                    spread(all_pieces(), settings, pool, in_flight, keep, tries, own=True)
                    return
                except _PoolLost as lost:
                    often = [piece for piece in lost.pieces if tries.get(piece.start, 0) >= _TRIES]
                    if often:
                        raise ScreeningError(_died(often[0])) from lost
                    left = lost.pieces + left


def _end_with_parent() -> None:
    """Let a worker process end when the process that started it was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let worker processes that start meanwhile use one thread each for linear algebra."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update({name: os.environ.get(name) or "1" for name in _THREADS})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
