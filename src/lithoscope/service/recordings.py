"""The recordings behind a catalogue, indexed in the background."""

from __future__ import annotations

import logging
import threading

import pandas as pd

from lithoscope.errors import LithoscopeError
from lithoscope.service.source import Source
from lithoscope.stations import Inventory, read_stations
from lithoscope.waveforms import Archive, Record, index_archive, read_records

_LOG = logging.getLogger("lithoscope.service")


class Recordings:
    """Archive of the run's own data, or of ``--waveforms``.

    Indexing a large archive takes minutes, so it runs in a thread of its own; until it has ended
    the recordings are unknown, and the reason says so.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._archive: Archive | None = None
        self._inventory: Inventory | None = None
        self._reason = "the recordings are still being indexed"
        self._done = threading.Event()
        self._started = threading.Lock()

    def start(self) -> None:
        """Begin to index, once."""
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._index, name="lithoscope-index", daemon=True).start()

    def _index(self) -> None:
        try:
            folders = self._source.waveforms()
            if folders:
                self._archive = index_archive(folders, self._source.run_settings.waveforms)
                self._reason = ""
            else:
                self._reason = "the recordings are not at hand; name them with --waveforms"
        except LithoscopeError as error:
            _LOG.warning("the recordings cannot be served: %s", error)
            self._reason = "the recordings cannot be read"
        try:
            self._inventory = self._read_inventory()
        except LithoscopeError as error:
            _LOG.warning("the station files cannot be served: %s", error)
        finally:
            self._done.set()

    def _read_inventory(self) -> Inventory | None:
        files = self._source.station_files()
        if not files:
            return None
        codes = None if self._archive is None else self._archive.stations()
        if codes is None:
            codes = sorted(self._source.store.table("stations")["station"].unique())
        return read_stations(files, self._source.run_settings.stations, codes=codes)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the index is made; return whether it is."""
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
        return self._archive

    @property
    def inventory(self) -> Inventory | None:
        """What the station files say; None while they are read, or without them."""
        return self._inventory

    def segments(self, station: str | None = None) -> pd.DataFrame | None:
        """Return the index's rows, of one station if named; None without an index."""
        if self._archive is None:
            return None
        rows = self._archive.segments
        return rows if station is None else rows[rows["station"] == station]

    def read(self, station: str, start_ns: int, end_ns: int) -> list[Record]:
        """Return the records of a station in ``[start_ns, end_ns)``; none if it has none."""
        archive = self._archive
        if archive is None or station not in set(archive.segments["station"]):
            return []
        channels = None if self._inventory is None else self._inventory.channels
        settings = self._source.run_settings.waveforms
        records, _ = read_records(
            archive, station, start_ns, end_ns, channels=channels, settings=settings
        )
        return records
