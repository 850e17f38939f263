"""The recordings behind a catalogue, indexed in the background."""

from __future__ import annotations

import logging
import threading
import time

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.errors import LithoscopeError
from lithoscope.service.source import Source
from lithoscope.stations import Inventory, read_stations
from lithoscope.waveforms import Archive, Record, index_archive, read_records

_LOG = logging.getLogger("lithoscope.service")
# What lies so near a window may still bear on it: filters of resampling, files that overlap.
_MARGIN_NS = 600 * NS_PER_S
_INDEXING = "the recordings are still being indexed"


class Recordings:
    """Archive of the run's own data, of the spool of a watch, or of ``--waveforms``.

    Indexing a large archive takes minutes, so it runs in a thread of its own; until it has ended
    the recordings are unknown, and `reason` says so. A spool grows, so its index is made anew
    when it is asked for after ``refresh_s``; the one before serves meanwhile. ``generation``
    counts them.
    """

    def __init__(
        self, source: Source, archive: Archive | None = None, inventory: Inventory | None = None
    ) -> None:
        self._source = source
        self._archive, self._inventory = archive, inventory
        self._reason = _INDEXING if archive is None else ""
        self._done = threading.Event()
        if archive is not None:  # another process has made the index
            self._done.set()
        self._busy = threading.Lock()
        self._made_s = time.monotonic()
        self._named: tuple[Archive | None, set[str]] = (None, set())
        self.generation = 0

    def start(self) -> None:
        """Begin to index, unless that is under way."""
        if self._busy.acquire(blocking=False):
            threading.Thread(target=self._index, name="lithoscope-index", daemon=True).start()

    def _index(self) -> None:
        try:
            self._archive, self._reason = self._read_archive()
            self.generation += 1
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

    def _stations_of(self, archive: Archive) -> set[str]:
        if self._named[0] is not archive:
            self._named = (archive, set(archive.stations()))
        return self._named[1]

    def segments(self, station: str | None = None) -> pd.DataFrame | None:
        """Return the index's rows, of one station if named; None without an index."""
        archive = self.archive
        if archive is None:
            return None
        rows = archive.segments
        return rows if station is None else rows[rows["station"] == station]

    def read(
        self, station: str, start_ns: int, end_ns: int, *, vertical: bool = False
    ) -> list[Record]:
        """Return the records of a station in ``[start_ns, end_ns)``; none if it has none.

        With ``vertical`` the horizontals are not read where there is a channel called Z.
        """
        archive = self.archive
        if archive is None or station not in self._stations_of(archive):
            return []
        archive = _cut(archive, station, start_ns, end_ns, vertical=vertical)
        if archive.segments.empty:
            return []
        channels = None if self._inventory is None else self._inventory.channels
        settings = self._source.run_settings.waveforms
        records, _ = read_records(
            archive, station, start_ns, end_ns, channels=channels, settings=settings
        )
        return records


def _cut(archive: Archive, station: str, start_ns: int, end_ns: int, *, vertical: bool) -> Archive:
    """Return what of an archive a window of one station needs: of years, a few files."""
    rows = archive.of_station(station)
    near = (rows["endtime_ns"] >= start_ns - _MARGIN_NS) & (
        rows["starttime_ns"] <= end_ns + _MARGIN_NS
    )
    rows = rows[near]
    if vertical and (upright := rows["channel"].str.endswith("Z")).any():
        rows = rows[upright]
    return Archive(rows.reset_index(drop=True), archive.problems.iloc[:0])
