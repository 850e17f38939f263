"""The last packets of all streams, in the order in which they came, bounded in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from lithoscope.waveforms.seedlink.records import Cut
from lithoscope.waveforms.seedlink.selection import stream_id

# What Python adds to the bytes of a record: the entry, its keys and its place in the table.
_OVERHEAD_BYTES = 400


@dataclass(frozen=True, slots=True)
class Entry:
    """One packet of the ring: its number, its stream, its time and its record."""

    sequence: int
    station: str  # NET_STA
    stream: str  # LOC_B_S_SS
    starttime_ns: int
    endtime_ns: int
    raw: bytes


@dataclass(slots=True)
class StreamSpan:
    """What the ring holds of one stream: numbers and times of its first and last packets."""

    station: str
    stream: str
    first: int
    last: int
    starttime_ns: int
    endtime_ns: int


class Ring:
    """Packets numbered from 1; the oldest leave when ``max_bytes`` are reached.

    All methods may be called from any thread.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.started_ns = time.time_ns()
        self._entries: dict[int, Entry] = {}
        self._bytes = 0
        self._first = self._next = 1
        self._lock = threading.Lock()

    def append(self, cut: Cut) -> int:
        """Add a packet; return its number."""
        stream = stream_id(cut.codes[2], cut.codes[3])
        with self._lock:
            number = self._next
            self._entries[number] = Entry(
                number, cut.station_id, stream, cut.starttime_ns, cut.endtime_ns, cut.raw
            )
            self._next += 1
            self._bytes += len(cut.raw) + _OVERHEAD_BYTES
            while self._bytes > self.max_bytes and len(self._entries) > 1:
                # Counted, not asked of the dict: its first key takes long to find after many pops.
                old = self._entries.pop(self._first)
                self._first += 1
                self._bytes -= len(old.raw) + _OVERHEAD_BYTES
        return number

    @property
    def next(self) -> int:
        """Number of the packet to come."""
        return self._next

    @property
    def first(self) -> int:
        """Number of the oldest packet (of the one to come if there is none)."""
        return self._first

    @property
    def n_bytes(self) -> int:
        """Memory held."""
        return self._bytes

    def get(self, sequence: int) -> Entry | None:
        """Return a packet if the ring still has it."""
        return self._entries.get(sequence)

    def read(self, cursor: int, limit: int) -> list[Entry]:
        """Return up to ``limit`` packets from number ``cursor`` on; lost ones are skipped."""
        with self._lock:
            begin = max(cursor, self._first)
            return [self._entries[n] for n in range(begin, min(begin + limit, self._next))]

    def after(self, time_ns: int) -> int | None:
        """Return the number of the oldest packet that ends after a time, None if there is none."""
        with self._lock:
            return next(
                (e.sequence for e in self._entries.values() if e.endtime_ns > time_ns), None
            )

    def spans(self) -> list[StreamSpan]:
        """Return what is held of each stream, sorted by station and stream."""
        with self._lock:
            entries = list(self._entries.values())
        found: dict[tuple[str, str], StreamSpan] = {}
        for e in entries:
            span = found.get((e.station, e.stream))
            if span is None:
                found[e.station, e.stream] = StreamSpan(
                    e.station, e.stream, e.sequence, e.sequence, e.starttime_ns, e.endtime_ns
                )
            else:
                span.last, span.endtime_ns = e.sequence, max(span.endtime_ns, e.endtime_ns)
                span.starttime_ns = min(span.starttime_ns, e.starttime_ns)
        return [found[key] for key in sorted(found)]

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries.values()))
