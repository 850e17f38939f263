"""Runs units of work in this process or in several, each held to one thread."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
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

    The function receives what is shared by all units (loaded once by each process) and the unit.
    One worker means this process itself. Processes start with the first units and live until
    `close`, so that later calls of `map` find them ready. Results do not depend on the number of
    workers, because a unit sees nothing of the others. What a killed process had in work is done
    again by another.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

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
        with tempfile.NamedTemporaryFile(prefix="lithoscope-units-") as common:
            pickle.dump((function, shared), common)
            common.flush()
            while left:
                lost = yield from self._until_a_death(common.name, left)
                deaths.update(number for number, _ in lost)
                if lost and max(deaths.values()) >= MOST_DEATHS:
                    raise LithoscopeError(
                        f"a worker process was killed {MOST_DEATHS} times at the same work (out of "
                        "memory?); run again with fewer workers: finished work is kept"
                    )
                left.extendleft(reversed(lost))

    def apart(self, function: Function, shared: Any, unit: Any) -> Any:
        """Return ``function(shared, unit)``, called in a new process that ends with it."""
        with _one_thread_each(), child_processes(1) as pool:
            try:
                return pool.submit(function, shared, unit).result()
            except BrokenProcessPool:
                raise LithoscopeError(
                    "a worker process was killed (out of memory?); a worker needs more memory than "
                    "there is"
                ) from None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _until_a_death(
        self, common: str, left: deque[tuple[int, Any]]
    ) -> Generator[tuple[Any, Any], None, list[tuple[int, Any]]]:
        """Take units from ``left``; return those that were in work when a process was killed."""
        pending: dict[Future[Any], tuple[int, Any]] = {}
        pool = self._pool = self._pool or child_processes(self.workers)
        try:
            while left or pending:
                # Few units in flight keep the results of a large run out of memory.
                while left and len(pending) < 2 * self.workers:
                    with _one_thread_each():  # processes start when there is work for them
                        future = pool.submit(_call, common, left[0][1])
                    pending[future] = left.popleft()
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    yield pending.pop(future)[1], result
        except BrokenProcessPool:
            self.close()
        finally:
            for future in pending:
                future.cancel()
            # What could not be cancelled must not outlive what it shares.
            wait(pending)
        return list(pending.values())


def child_processes(n: int, niceness: int = 0) -> ProcessPoolExecutor:
    """Return a pool of processes that end with this one, whatever ends it.

    With ``niceness`` they leave the processor to others, this one too, where there is not enough.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        n, mp_context=context, initializer=_begin_child, initargs=(niceness,)
    )


def _call(common: str, unit: Any) -> Any:
    """Do a unit of the work that lies in a file, which each process loads once."""
    function, shared = _load(common)
    return function(shared, unit)


@lru_cache(maxsize=1)
def _load(common: str) -> tuple[Function, Any]:
    with open(common, "rb") as file:
        loaded: tuple[Function, Any] = pickle.load(file)
    return loaded


def _begin_child(niceness: int) -> None:
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: the pool's would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
