"""Batches, workers and caches: bounded, shared, and safe when a client leaves."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

from lithoscope.service.batches import Batches
from lithoscope.service.cache import Cache
from lithoscope.service.sections import section
from lithoscope.service.server import listen
from lithoscope.service.settings import ServiceSettings
from lithoscope.service.state import make_state
from lithoscope.service.work import Busy, Workers


def test_requests_that_wait_are_read_together() -> None:
    calls: list[list[str]] = []
    gate = threading.Event()

    def load(keys: list[str]) -> dict[str, int]:
        calls.append(keys)
        gate.wait(30)
        return {key: len(key) for key in keys if key != "none"}

    async def main() -> list[Any]:
        workers = Workers(1, 100, 30.0)
        batches = Batches(workers, load)
        first = asyncio.create_task(batches.get("a"))
        while not calls:
            await asyncio.sleep(0)
        others = [asyncio.create_task(batches.get(k)) for k in ("bb", "ccc", "bb", "none", "dd")]
        await asyncio.sleep(0)
        others.pop().cancel()  # takes nothing from the others
        gate.set()
        found = [await first, *await asyncio.gather(*others)]
        workers.close()
        return found

    assert asyncio.run(main()) == [1, 2, 3, 2, None]
    assert calls == [["a"], ["bb", "ccc", "none", "dd"]]


def test_an_error_reaches_all_who_asked_and_the_next_batch_works() -> None:
    def load(keys: list[str]) -> dict[str, int]:
        if "bad" in keys:
            raise ValueError("no")
        return dict.fromkeys(keys, 1)

    async def main() -> None:
        workers = Workers(1, 100, 30.0)
        batches = Batches(workers, load)
        found = await asyncio.gather(batches.get("bad"), batches.get("x"), return_exceptions=True)
        assert [str(error) for error in found] == ["no", "no"]
        assert await batches.get("good") == 1
        workers.close()

    asyncio.run(main())


def test_more_work_than_fits_is_refused_and_late_work_is_given_up() -> None:
    gate = threading.Event()

    async def main() -> None:
        workers = Workers(1, 1, 0.2)
        slow = asyncio.create_task(workers.run(gate.wait, 30))
        waiting = asyncio.create_task(workers.run(int))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="too many"):
            await workers.run(int)
        for task in (slow, waiting):
            with pytest.raises(Busy, match="not ready after"):
                await task
        # The thread is still taken: it counts until it is free.
        with pytest.raises(Busy):
            await workers.run(int)
        gate.set()
        while workers._queued:
            await asyncio.sleep(0.001)
        assert await workers.run(int) == 0
        workers.close()

    asyncio.run(main())


def test_a_cache_forgets_what_was_not_used_for_longest() -> None:
    cache: Cache[str] = Cache(10)
    cache.put("a", "1234")
    cache.put("b", "1234")
    assert cache.get("a") == "1234"
    cache.put("c", "1234")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("1234", None, "1234")
    cache.put("a", "12")
    cache.put("d", "1234")
    assert [cache.get(k) for k in "acd"] == ["12", "1234", "1234"]
    cache.put("too long", "12345678901")
    assert cache.get("too long") is None


def test_answers_are_sent_at_once() -> None:
    """Nagle's algorithm would hold the end of an answer back for 40 ms."""

    async def main() -> int:
        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set_result(writer)

        told = asyncio.get_running_loop().create_future()
        with listen("127.0.0.1", 0) as listener:
            server = await asyncio.start_server(connected, sock=listener)
            async with server:
                _, mine = await asyncio.open_connection(*listener.getsockname())
                theirs = await told
                held = theirs.get_extra_info("socket")
                option = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                for writer in (mine, theirs):
                    writer.close()
                    await writer.wait_closed()
        return int(option)

    assert asyncio.run(main()) != 0


def test_recordings_are_read_in_another_process(small_run: Path) -> None:
    """The answer is that of a thread, and one that is killed is told of."""
    settings = ServiceSettings(source=str(small_run), processes=1)

    async def main() -> None:
        state = make_state(settings)
        try:
            assert state.recordings.wait(60)
            wanted = (section, "ls0003_AAA", 3, 100, "z")
            expected = json.dumps(section(state, *wanted[1:]), allow_nan=False).encode()
            assert await state.slow.run(*wanted) == expected
            with pytest.raises(HTTPException, match="no such event"):
                await state.slow.run(section, "none", 3, 100, "z")
            (child,) = multiprocessing.active_children()
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
            with pytest.raises(Busy, match="try again"):
                await state.slow.run(*wanted)
        finally:
            state.close()
        assert multiprocessing.active_children() == []

    asyncio.run(main())
