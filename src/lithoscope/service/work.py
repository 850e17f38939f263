"""Costly work off the event loop: few at a time, with a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


class Busy(Exception):
    """The server has more to do than it can do in time; the client may try again."""


class Workers:
    """Threads for costly work.

    Parameters
    ----------
    most
        Computations at once.
    waiting
        Requests that may wait for their turn; more are told to come again.
    limit_s
        Time that one may take, its wait included. What runs longer keeps its thread until it
        ends, so that the number at once holds whatever clients do.
    pool
        Where to compute; threads of its own by default.
    """

    def __init__(
        self, most: int, waiting: int, limit_s: float, *, pool: Executor | None = None
    ) -> None:
        self.limit_s = limit_s
        self._room = most + waiting
        self._pool = pool or ThreadPoolExecutor(most, thread_name_prefix="lithoscope-serve")
        self._queued = 0

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return what the function returns.

        Raises
        ------
        Busy
            If too many are waiting, or the time is over.
        """
        if self._queued >= self._room:
            raise Busy("too many costly requests at once; try again in a moment")
        self._queued += 1
        future = self._pool.submit(function, *arguments)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _later(loop, self._done))
        try:
            async with asyncio.timeout(self.limit_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            future.cancel()
            raise Busy(f"the answer was not ready after {self.limit_s:g} s; ask for less") from None

    def _done(self) -> None:
        self._queued -= 1

    def close(self, *, wait: bool = False) -> None:
        """Let go of the threads; what waits is dropped, what runs goes on unless waited for."""
        self._pool.shutdown(wait=wait, cancel_futures=True)


def _later(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)
