"""Runs units of work in this process or in several, each held to one thread."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol

from lithoscope.errors import ConfigError, LithoscopeError

# Every numeric library we use reads its thread count from one of these when it is loaded.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
#: A unit that was in work in this many killed processes is not tried again.
MOST_DEATHS = 3

Function = Callable[[Any, Any], Any]
_shared: Any = None


class Engine(Protocol):
    """Spreads units of work; never changes a result."""

    @property
    def workers(self) -> int:
        """Units that can be in work at once."""

    def map(
        self, function: Function, shared: Any, units: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield (unit, ``function(shared, unit)``) in order of completion, each unit once."""

    def close(self) -> None:
        """Let go of processes and connections."""


def make_engine(kind: str, workers: int, scheduler: str = "") -> Engine:
    """Return the engine that a run asks for.

    Parameters
    ----------
    kind
        ``local`` or ``dask``.
    workers
        Processes of this machine; with a scheduler its workers are taken as they are.
    scheduler
        Address of a running Dask scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    ConfigError
        If a scheduler is named for the local engine, or Dask is not installed.
    LithoscopeError
        If the scheduler does not answer, has no workers, or they have other versions.
    """
    if kind == "dask":
        from lithoscope.pipeline.engine_dask import DaskEngine

        return DaskEngine(scheduler, workers)
    if scheduler:
        raise ConfigError(
            f"scheduler '{scheduler}' is for the engine dask, and this run has the engine local; "
            "add --engine dask"
        )
    return LocalEngine(workers)


class LocalEngine:
    """Map a function over units, in order of completion, on ``workers`` processes.

    The function receives what is shared by all units (sent once to each process) and the unit.
    One worker means this process itself. Results do not depend on the number of workers, because
    a unit sees nothing of the others. What a killed process had in work is done again by another.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(
        self, function: Function, shared: Any, units: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield (unit, result) as units finish.

        Raises
        ------
        LithoscopeError
            If the processes that had a unit in work were killed `MOST_DEATHS` times (most often
            for memory).
        """
        if self.workers == 1 or len(units) < 2:
            for unit in units:
                yield unit, function(shared, unit)
            return
        left = deque(enumerate(units))
        deaths: Counter[int] = Counter()
        while left:
            lost = yield from self._until_a_death(function, shared, left)
            deaths.update(number for number, _ in lost)
            if lost and max(deaths.values()) >= MOST_DEATHS:
                raise LithoscopeError(
                    f"a worker process was killed {MOST_DEATHS} times at the same work (out of "
                    "memory?); run again with fewer workers: finished work is kept"
                )
            left.extendleft(reversed(lost))

    def apart(self, function: Function, shared: Any, unit: Any) -> Any:
        """Return ``function(shared, unit)``, called in a new process that ends with it."""
        context = multiprocessing.get_context("spawn")
        with (
            _one_thread_each(),
            ProcessPoolExecutor(
                1, mp_context=context, initializer=_receive, initargs=(shared,)
            ) as pool,
        ):
            try:
                return pool.submit(_call, function, unit).result()
            except BrokenProcessPool:
                raise LithoscopeError(
                    "a worker process was killed (out of memory?); a worker needs more memory than "
                    "there is"
                ) from None

    def close(self) -> None:
        """Nothing stays open between two calls of `map`."""

    def _until_a_death(
        self, function: Function, shared: Any, left: deque[tuple[int, Any]]
    ) -> Generator[tuple[Any, Any], None, list[tuple[int, Any]]]:
        """Take units from ``left``; return those that were in work when a process was killed."""
        context = multiprocessing.get_context("spawn")
        pending: dict[Future[Any], tuple[int, Any]] = {}
        with (
            _one_thread_each(),
            ProcessPoolExecutor(
                min(self.workers, len(left)),
                mp_context=context,
                initializer=_receive,
                initargs=(shared,),
            ) as pool,
        ):
            try:
                while left or pending:
                    # Few units in flight keep the results of a large run out of memory.
                    while left and len(pending) < 2 * self.workers:
                        pending[pool.submit(_call, function, left[0][1])] = left[0]
                        left.popleft()
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        result = future.result()
                        yield pending.pop(future)[1], result
            except BrokenProcessPool:
                pass
            finally:
                for future in pending:
                    future.cancel()
        return list(pending.values())


def _receive(shared: Any) -> None:
    global _shared
    _shared = shared
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: the pool's would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Function, unit: Any) -> Any:
    return function(_shared, unit)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Children inherit these variables at their start; our own process keeps its values."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
