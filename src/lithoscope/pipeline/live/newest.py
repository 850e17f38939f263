"""The newest samples of every station in memory, to look at the edge of the data without files.

A record made of them differs from one read from the spool by no more than what a reader needs time
for: flat stretches that are not yet long, clock steps. It serves picks that are provisional.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.waveforms import Record
from lithoscope.waveforms.orientation import orient
from lithoscope.waveforms.record import nearest_sample, offset_ns
from lithoscope.waveforms.seedlink import Packet

# Rows of a record by the last letter of a channel; stations with other letters are read from files.
_ROWS = {"Z": 0, "N": 1, "1": 1, "E": 2, "2": 2}


@dataclass
class Trace:
    """Newest samples of a channel on the grid of the first one; NaN where none have come."""

    code: str
    rate_hz: float
    origin_ns: int
    values: NDArray[np.float32]
    stop: int = 0  # one more than the newest sample

    @property
    def end_ns(self) -> int:
        return self.origin_ns + offset_ns(self.stop - 1, self.rate_hz)

    def reaches(self, edge_ns: int) -> bool:
        """Tell whether there are samples up to a time, to half a sample."""
        return self.stop > 0 and self.end_ns + offset_ns(1, 2 * self.rate_hz) >= edge_ns

    def add(self, packet: Packet) -> None:
        """Put samples in their place; those older than what is kept are left."""
        kept = self.values.size // 2
        first = nearest_sample(packet.starttime_ns - self.origin_ns, self.rate_hz)
        samples = packet.samples
        if not self.stop or first - self.stop >= kept:  # nothing of what is there matters
            self.origin_ns, self.stop, first = packet.starttime_ns, 0, 0
            self.values[:] = np.nan
        if first < 0:
            samples, first = samples[-first:], 0
        samples = samples[-kept:]
        if first + samples.size > self.values.size:
            shift = max(self.stop - kept, first + samples.size - self.values.size)
            self.values[: self.values.size - shift] = self.values[shift:].copy()
            self.values[self.values.size - shift :] = np.nan
            self.origin_ns += offset_ns(shift, self.rate_hz)
            self.stop, first = self.stop - shift, first - shift
        self.values[first : first + samples.size] = samples
        self.stop = max(self.stop, first + samples.size)


class Newest:
    """Newest samples of all stations.

    Parameters
    ----------
    seconds
        How much of each channel is kept at least.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._stations: dict[str, list[Trace | None]] = {}
        self._odd: set[str] = set()
        self._turns: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def add(self, packets: Sequence[Packet]) -> None:
        """Take packets of one channel in."""
        oldest_ns = max(p.endtime_ns for p in packets) - round(self.seconds * NS_PER_S)
        for packet in packets:
            if packet.endtime_ns > oldest_ns:
                self._add(packet)

    def _add(self, packet: Packet) -> None:
        station, row = packet.code[:-1], _ROWS.get(packet.code[-1])
        if row is None:
            self._odd.add(station)
            return
        traces = self._stations.setdefault(station, [None, None, None])
        trace = traces[row]
        if trace is None or trace.rate_hz != packet.sampling_rate_hz:
            size = 2 * round(self.seconds * packet.sampling_rate_hz)
            values = np.full(size, np.nan, np.float32)
            trace = Trace(packet.code, packet.sampling_rate_hz, packet.starttime_ns, values)
            traces[row] = trace
        elif trace.code != packet.code:
            self._odd.add(station)
            return
        trace.add(packet)

    def forget_directions(self) -> None:
        """Look up azimuths anew: the stations' files have been read again."""
        self._turns.clear()

    def record(
        self, station: str, start_ns: int, edge_ns: int, channels: pd.DataFrame
    ) -> Record | None:
        """Return the record from a time to an edge, None where only files can tell.

        It begins later where there is a gap. Components that end before the edge are missing in it.
        """
        if station in self._odd or station not in self._stations:
            return None
        traces = self._stations[station]
        here = [t is not None and t.reaches(edge_ns) for t in traces]
        some = [t for t, present in zip(traces, here, strict=True) if present and t is not None]
        if not some or len({t.rate_hz for t in some}) > 1:
            return None
        rate = some[0].rate_hz
        stops = [min(nearest_sample(edge_ns - t.origin_ns, rate) + 1, t.stop) for t in some]
        wanted = nearest_sample(edge_ns - start_ns, rate) + 1
        n = min(
            _length(t.values[max(stop - wanted, 0) : stop])
            for t, stop in zip(some, stops, strict=True)
        )
        data = np.zeros((3, n), np.float32)
        mask = np.zeros(3, bool)
        parts = iter(zip(some, stops, strict=True))
        for row in np.flatnonzero(here):
            trace, stop = next(parts)
            data[row] = trace.values[stop - n : stop]
            mask[row] = n > 0 and float(np.ptp(data[row])) > 0.0
        names = tuple(t.code if t and m else "" for t, m in zip(traces, mask, strict=True))
        start_ns = edge_ns - offset_ns(n - 1, rate)
        whole = Record(station, start_ns, rate, data, mask, names, np.zeros(3, bool))  # type: ignore[arg-type]
        return _turned(whole, self._turn(whole, channels))

    def _turn(self, record: Record, channels: pd.DataFrame) -> NDArray[np.float64]:
        """Return what a reader multiplies the rows of a record by, from a record of three."""
        names = record.channels
        if names not in self._turns:
            unit = np.eye(3, dtype=np.float32) * record.mask[:, np.newaxis]
            probe = Record(
                *(record.station, record.starttime_ns, record.sampling_rate_hz, unit),
                *(record.mask, names, record.clipped),
            )
            (found,), _ = orient([probe], channels)
            self._turns[names] = found.data.astype(np.float64)
        return self._turns[names]


def _length(values: NDArray[np.float32]) -> int:
    """Return how many samples at the end are there."""
    holes = np.flatnonzero(np.isnan(values))
    return values.size - (int(holes[-1]) + 1 if holes.size else 0)


def _turned(record: Record, matrix: NDArray[np.float64]) -> Record:
    wanted = np.diag(record.mask.astype(np.float64))
    if not np.array_equal(matrix, wanted):
        record.data[:] = matrix @ record.data.astype(np.float64)
    return record
