"""Work that must not hold up picks: in a process of its own where there is one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from lithoscope.pipeline.engine import child_processes

T = TypeVar("T")


class Aside:
    """One process that works beside this one, or this one.

    Parameters
    ----------
    apart
        Whether to use another process.
    niceness
        How far it stands back for others where processors are short.
    """

    def __init__(self, *, apart: bool, niceness: int = 0) -> None:
        self.apart = apart
        self.niceness = niceness
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Begin a piece of work; without another process it is done on return."""
        if self.apart:
            if self._pool is None:
                self._pool = child_processes(1, self.niceness)
            return self._pool.submit(work, *arguments)
        done: Future[T] = Future()
        done.set_result(work(*arguments))
        return done

    def result(self, future: Future[T]) -> T:
        """Return what a piece of work has come to, when it is done.

        Raises
        ------
        RuntimeError
            If the process died; the next piece of work begins another.
        LithoscopeError
            As the work raises it.
        """
        try:
            return future.result()
        except BrokenProcessPool:
            self.close()
            raise RuntimeError("the process that works beside the watch died") from None

    def close(self) -> None:
        """Let the process end; what waits is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
