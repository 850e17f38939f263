"""The recordings behind a catalogue, indexed in the background."""

from __future__ import annotations

import logging
import threading
import time

import pandas as pd

from lithoscope.errors import LithoscopeError
from lithoscope.service.source import Source
from lithoscope.stations import Inventory, read_stations
from lithoscope.waveforms import Archive, Record, index_archive, read_records

_LOG = logging.getLogger("lithoscope.service")
_INDEXING = "the recordings are still being indexed"


class Recordings:
    """Archive of the run's own data, of the spool of a watch, or of ``--waveforms``.

    Indexing a large archive takes minutes, so it runs in a thread of its own; until it has ended
    the recordings are unknown, and `reason` says so. A spool grows, so its index is made anew
    when it is asked for after ``refresh_s``; the one before serves meanwhile.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._archive: Archive | None = None
        self._inventory: Inventory | None = None
        self._reason = _INDEXING
        self._done = threading.Event()
        self._busy = threading.Lock()
        self._made_s = 0.0

    def start(self) -> None:
        """Begin to index, unless that is under way."""
        if self._busy.acquire(blocking=False):
            threading.Thread(target=self._index, name="lithoscope-index", daemon=True).start()

    def _index(self) -> None:
        try:
            self._archive, self._reason = self._read_archive()
            if self._inventory is None:
                self._inventory = self._read_inventory(self._archive)
        finally:
            self._made_s = time.monotonic()
            self._done.set()
            self._busy.release()

    def _read_archive(self) -> tuple[Archive | None, str]:
        folders = self._source.waveforms()
        if not folders:
            return None, "the recordings are not at hand; name them with --waveforms"
        try:
            return index_archive(folders, self._source.run_settings.waveforms), ""
        except LithoscopeError as error:
            _LOG.warning("the recordings cannot be served: %s", error)
            return None, "the recordings cannot be read"

    def _read_inventory(self, archive: Archive | None) -> Inventory | None:
        files = self._source.station_files()
        if not files:
            return None
        try:
            codes = archive.stations() if archive else self._source.station_codes()
            return read_stations(files, self._source.run_settings.stations, codes=codes)
        except LithoscopeError as error:
            _LOG.warning("the station files cannot be served: %s", error)
            return None

    def wait(self, timeout_s: float) -> bool:
        """Wait until the first index is made; return whether it is."""
        if not self._done.is_set():
            self.start()
        return self._done.wait(timeout_s)

    @property
    def ready(self) -> bool:
        """Whether the index is made."""
        return self._done.is_set()

    @property
    def reason(self) -> str:
        """Why there are no recordings; empty if there are."""
        return self._reason

    @property
    def archive(self) -> Archive | None:
        """The index; None while it is made, or without recordings."""
        growing = self._source.live and self._done.is_set()
        if growing and time.monotonic() - self._made_s > self._source.settings.refresh_s:
            self.start()
        return self._archive

    @property
    def inventory(self) -> Inventory | None:
        """What the station files say; None while they are read, or without them."""
        return self._inventory

    def segments(self, station: str | None = None) -> pd.DataFrame | None:
        """Return the index's rows, of one station if named; None without an index."""
        archive = self.archive
        if archive is None:
            return None
        rows = archive.segments
        return rows if station is None else rows[rows["station"] == station]

    def read(self, station: str, start_ns: int, end_ns: int) -> list[Record]:
        """Return the records of a station in ``[start_ns, end_ns)``; none if it has none."""
        archive = self.archive
        if archive is None or not (archive.segments["station"] == station).any():
            return []
        channels = None if self._inventory is None else self._inventory.channels
        settings = self._source.run_settings.waveforms
        records, _ = read_records(
            archive, station, start_ns, end_ns, channels=channels, settings=settings
        )
        return records
