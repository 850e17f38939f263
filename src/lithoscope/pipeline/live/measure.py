"""Magnitudes of a watch, measured beside the picking."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.magnitude import local_magnitudes
from lithoscope.pipeline.live.aside import Aside
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
    """Measures a few events at a time."""

    def __init__(self, aside: Aside) -> None:
        self.aside = aside
        self._running: tuple[Future[Result], dict[str, str]] | None = None

    @property
    def busy(self) -> bool:
        return self._running is not None

    def begin(self, job: Job, keys: dict[str, str]) -> None:
        """Begin a job; ``keys`` say for each event what it is measured from."""
        self._running = self.aside.submit(measure, job), keys

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
        future, keys = self._running
        self._running = None
        return self.aside.result(future), keys
