"""Magnitudes of a watch, in a process of their own where there is one: they must not hold picks."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.magnitude import local_magnitudes
from lithoscope.pipeline.engine import child_processes
from lithoscope.pipeline.live.events import LiveEvent, LiveEvents
from lithoscope.pipeline.live.spool import Spool
from lithoscope.pipeline.settings import RunSettings
from lithoscope.pipeline.stages import ArchiveReader
from lithoscope.pipeline.tables import stack
from lithoscope.schema import ARRIVALS, EVENTS
from lithoscope.stations import Inventory

# Blocks of 10 minutes and their margins around an event (see magnitude.blocks).
_BEFORE_NS, _AFTER_NS = 700 * NS_PER_S, 1000 * NS_PER_S
Result = tuple[pd.DataFrame, pd.DataFrame]
Job = tuple[Any, Inventory, RunSettings, pd.DataFrame, pd.DataFrame, pd.DataFrame]


def measure(job: Job) -> Result:
    """Return EVENTS and STATION_MAGNITUDES of a job, without corrections from the catalogue."""
    archive, inventory, settings, events, arrivals, others = job
    reader = ArchiveReader(archive, inventory.channels, settings)
    return local_magnitudes(events, arrivals, inventory, reader, settings.magnitude, others=others)


def job_of(
    events: Sequence[LiveEvent],
    known: LiveEvents,
    spool: Spool,
    inventory: Inventory,
    settings: RunSettings,
) -> Job:
    """Return all that the measuring of some events needs."""
    near = {e.event_id: e for event in events for e in [event, *known.neighbours(event)]}
    first = min(e.origin_ns for e in events) - _BEFORE_NS
    last = max(e.origin_ns for e in events) + _AFTER_NS
    return (
        spool.archive(spool.stations(), first, last),
        inventory,
        settings,
        stack((e.events for e in events), EVENTS),
        stack((e.arrivals for e in events), ARRIVALS),
        stack((e.events for e in near.values()), EVENTS),
    )


class Bench:
    """Where magnitudes are measured: another process, or here.

    Parameters
    ----------
    apart
        Whether to use another process.
    """

    def __init__(self, *, apart: bool) -> None:
        self.apart = apart
        self._pool: ProcessPoolExecutor | None = None
        self._running: tuple[Future[Result], list[str], dict[str, str]] | None = None

    @property
    def busy(self) -> bool:
        return self._running is not None

    def begin(self, job: Job, keys: dict[str, str]) -> None:
        """Begin a job; ``keys`` say for each event what it is measured from."""
        if self.apart:
            if self._pool is None:
                self._pool = child_processes(1)
            future: Future[Result] = self._pool.submit(measure, job)
        else:
            future = Future()
            future.set_result(measure(job))
        self._running = future, list(keys), keys

    def end(self, *, wait: bool = False) -> tuple[Result, dict[str, str]] | None:
        """Return a finished job's tables and keys, None while it works.

        Raises
        ------
        RuntimeError
            If the process died; the next job begins another.
        LithoscopeError
            As the measuring raises it.
        """
        if self._running is None or not (wait or self._running[0].done()):
            return None
        future, _, keys = self._running
        self._running = None
        try:
            return future.result(), keys
        except BrokenProcessPool:
            self.close()
            raise RuntimeError("the process that measures magnitudes died") from None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._running = None
