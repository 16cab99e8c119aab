"""Spreading chunks over processes: executors of others, and a pool of our own that replaces what dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from multiprocessing import resource_tracker
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
            with _deaf_to_interrupts() if own else contextlib.nullcontext():
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
        # A pool of our own is ended by its owner: cancelled chunks would break it while it clears up.
        for future in () if own else waiting:
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
                except BaseException:
                    # The chunks under way are finished, though nobody keeps their rows: a process that is ended while
                    # it sends them would leave the pool waiting for the rest for ever.
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let processes that start meanwhile never see Ctrl-C: it is for their parent, which ends them in order.

    A terminal sends it to all of them, and a pool of which a process ends while it waits for work may hang. Here it
    is held back until the block ends, so that no process is left half started.
    """
    resource_tracker.ensure_running()  # which would lift the mask when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit the mask
    handler = signal.getsignal(signal.SIGINT)
    held: list[int] = []
    is_main = threading.current_thread() is threading.main_thread() and handler is not None
    if is_main:  # other threads of this process may still take the signal
        signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if is_main:
            signal.signal(signal.SIGINT, handler)
            if held:
                signal.raise_signal(signal.SIGINT)


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
