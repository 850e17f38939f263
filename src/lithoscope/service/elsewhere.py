"""Answers from recordings: read and filtered in a process of their own.

A record section takes tenths of a second of computing. In a thread it would take them from every
other answer, because one process computes in one thread at a time.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from lithoscope.service.recordings import Recordings
from lithoscope.service.settings import ServiceSettings
from lithoscope.service.sites import Sites
from lithoscope.service.source import Source, open_source
from lithoscope.service.view import StoreView
from lithoscope.service.work import Busy, Workers
from lithoscope.stations import Inventory
from lithoscope.waveforms import Archive


@dataclass(frozen=True)
class Desk:
    """What answers from recordings rest on."""

    source: Source
    view: StoreView
    recordings: Recordings
    sites: Sites


class RecordingWork:
    """Computes answers from recordings.

    Parameters
    ----------
    desk
        Of this process.
    settings
        ``processes`` of them compute; with none, threads do. A process starts with the first
        request for recordings that are indexed; one that is killed is replaced.
    """

    def __init__(self, desk: Desk, settings: ServiceSettings) -> None:
        self._desk, self._settings = desk, settings
        limits = settings.limits
        self._limits = (limits.waiting, limits.compute_s)
        self._threads = Workers(limits.recordings, *self._limits)
        self._elsewhere: Workers | None = None
        self._running: dict[Any, asyncio.Task[bytes]] = {}

    async def shared(self, key: Hashable, make: Callable[..., Any], *arguments: Any) -> bytes:
        """Return what `run` does, computed once for all who ask for a key at the same time."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self.run(make, *arguments))
            task.add_done_callback(lambda done: self._ended(key, done))
        # One client that goes away takes nothing from the others.
        return await asyncio.shield(task)

    def _ended(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # told even if nobody waits any more

    async def run(self, make: Callable[..., Any], *arguments: Any) -> bytes:
        """Return ``make(desk, ...)`` as JSON.

        Raises
        ------
        Busy
            If too many wait, the time is over, or the process was killed.
        """
        archive = self._desk.recordings.archive
        if not self._settings.processes or archive is None:
            return await self._threads.run(_encoded, make, self._desk, arguments)
        if self._elsewhere is None:
            self._elsewhere = self._start(archive)
        try:
            return await self._elsewhere.run(_answer, make, arguments)
        except BrokenProcessPool:
            self._elsewhere = None
            raise Busy("the answer was lost; try again") from None

    def threads(self) -> Workers:
        """Return the threads of this process, for answers that are streamed."""
        return self._threads

    def _start(self, archive: Archive) -> Workers:
        number = self._settings.processes
        pool = ProcessPoolExecutor(
            number,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_open,
            initargs=(self._settings, archive, self._desk.recordings.inventory),
        )
        return Workers(number, *self._limits, pool=pool)

    def close(self) -> None:
        """Let go of threads and processes."""
        self._threads.close()
        if self._elsewhere is not None:  # a process left to itself would leave its locks behind
            self._elsewhere.close(wait=True)
            self._elsewhere = None


_HERE: list[Desk] = []  # the desk of a process for recordings


def _open(settings: ServiceSettings, archive: Archive, inventory: Inventory | None) -> None:
    """Make a process ready: it ends with its parent, and not by the keyboard."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    source = open_source(settings)
    recordings = Recordings(source, archive, inventory)
    view = StoreView(source.store)
    _HERE.append(Desk(source, view, recordings, Sites(source, view, recordings)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _answer(make: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    return _encoded(make, _HERE[0], arguments)


def _encoded(make: Callable[..., Any], desk: Desk, arguments: tuple[Any, ...]) -> bytes:
    return json.dumps(make(desk, *arguments), allow_nan=False).encode()
