"""Runs units of work in this process or in several, each held to one thread."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from lithoscope.errors import LithoscopeError

# Every numeric library we use reads its thread count from one of these when it is loaded.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)

Function = Callable[[Any, Any], Any]
_shared: Any = None


class LocalEngine:
    """Map a function over units, in order of completion, on ``workers`` processes.

    The function receives what is shared by all units (sent once to each process) and the unit.
    One worker means this process itself. Results do not depend on the number of workers, because
    a unit sees nothing of the others.
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
            If a worker process was killed (most often for memory).
        """
        if self.workers == 1 or len(units) < 2:
            for unit in units:
                yield unit, function(shared, unit)
            return
        yield from self._map_processes(function, shared, units)

    def _map_processes(
        self, function: Function, shared: Any, units: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        context = multiprocessing.get_context("spawn")
        with (
            _one_thread_each(),
            ProcessPoolExecutor(
                min(self.workers, len(units)),
                mp_context=context,
                initializer=_receive,
                initargs=(shared,),
            ) as pool,
        ):
            pending: dict[Future[Any], Any] = {}
            waiting = iter(units)
            try:
                # Few units in flight keep the results of a large run out of memory.
                for unit in waiting:
                    pending[pool.submit(_call, function, unit)] = unit
                    if len(pending) >= 2 * self.workers:
                        yield from _collect(pending)
                while pending:
                    yield from _collect(pending)
            except BrokenProcessPool:
                raise LithoscopeError(
                    "a worker process was killed (out of memory?); run again with fewer workers: "
                    "finished work is kept"
                ) from None
            finally:
                for future in pending:
                    future.cancel()


def _collect(pending: dict[Future[Any], Any]) -> Iterator[tuple[Any, Any]]:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        yield pending.pop(future), future.result()


def _receive(shared: Any) -> None:
    global _shared
    _shared = shared


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
