"""Single requests for events read together: one query costs the same for one event as for fifty."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from lithoscope.service.work import Workers

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
#: Keys of one batch.
LARGEST = 100


class Batches(Generic[Key, Value]):
    """Collects the keys that are asked for while a batch is being read, and reads them next.

    Parameters
    ----------
    workers
        Where batches are read.
    load
        Returns the values of many keys; a key without one is left out.
    """

    def __init__(self, workers: Workers, load: Callable[[list[Key]], dict[Key, Value]]) -> None:
        self._workers, self._load = workers, load
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Value | None:
        """Return the value of a key, None if there is none."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        # One client that goes away takes nothing from the others.
        return await asyncio.shield(future)

    async def _read(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:LARGEST]
            futures = {key: self._waiting.pop(key) for key in keys}
            try:
                values = await self._workers.run(self._load, keys)
            except Exception as error:  # noqa: BLE001  (handed on to those who asked)
                for future in futures.values():
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # told even if nobody waits any more
                continue
            for key, future in futures.items():
                if not future.done():
                    future.set_result(values.get(key))
