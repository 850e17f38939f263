"""The events in memory kept up with the store, and the readers who wait for changes."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from lithoscope.errors import LithoscopeError
from lithoscope.service.snapshot import Snapshot
from lithoscope.service.times import now_ns
from lithoscope.service.view import StoreView

_LOG = logging.getLogger("lithoscope.service")
#: More changes than this at once: read all events anew.
_MOST_CHANGES = 2000


class Feed:
    """Follows a store.

    One task asks the store for its latest change every ``poll_s``; requests read the snapshot
    and never wait for the database. A store that cannot be read for a while leaves the last
    snapshot in place, and `failing_since_ns` says since when.
    """

    def __init__(self, view: StoreView, poll_s: float) -> None:
        self.view = view
        self.poll_s = poll_s
        self.checked_ns = now_ns()
        self.changed_ns = self.checked_ns
        self.failing_since_ns: int | None = None
        self.readers = 0
        self._lock = threading.Lock()
        self._snapshot = self._load(view.sequence())
        self._changed = asyncio.Condition()

    @property
    def snapshot(self) -> Snapshot:
        """The events after the latest change seen."""
        return self._snapshot

    def refresh(self) -> bool:
        """Bring the snapshot up to the store; return whether it changed."""
        with self._lock:
            sequence = self.view.sequence()
            self.checked_ns = now_ns()
            if sequence == self._snapshot.sequence:
                return False
            self._snapshot = self._updated(sequence)
            self.changed_ns = now_ns()
            return True

    def _load(self, sequence: int) -> Snapshot:
        return Snapshot.of(self.view.events(), sequence)

    def _updated(self, sequence: int) -> Snapshot:
        before = self._snapshot
        if sequence < before.sequence:
            return self._load(sequence)
        changes = self.view.changes(before.sequence, _MOST_CHANGES)
        if not changes or len(changes) == _MOST_CHANGES or changes[-1].sequence < sequence:
            return self._load(sequence)
        touched = {change.event_id for change in changes}
        if "" in touched:  # all events were written anew
            return self._load(changes[-1].sequence)
        return before.after(touched, self.view.events(sorted(touched)), changes[-1].sequence)

    async def follow(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(self.poll_s)
            await self.look()

    async def look(self) -> None:
        """Ask the store once, and wake the readers if something changed."""
        try:
            changed = await asyncio.to_thread(self.refresh)
        except LithoscopeError as error:
            if self.failing_since_ns is None:
                self.failing_since_ns = now_ns()
                _LOG.warning("%s", error)
            return
        self.failing_since_ns = None
        if changed:
            async with self._changed:
                self._changed.notify_all()

    async def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until there is a change after ``after``; False when the time is over."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._snapshot.sequence > after)
        except TimeoutError:
            return False
        return True

    async def changes(self, after: int, limit: int = 500) -> list[Any]:
        """Return changes after a sequence number, oldest first."""
        return await asyncio.to_thread(self.view.changes, after, limit)
