"""Cut an archive into packets, in the order in which a network would have sent them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from obspy import UTCDateTime

from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError, DataError, StorageError
from lithoscope.waveforms._files import channel_code, read_quietly
from lithoscope.waveforms.archive import Archive
from lithoscope.waveforms.record import nearest_sample, offset_ns, sample_at_or_after
from lithoscope.waveforms.remote import local_copy
from lithoscope.waveforms.seedlink.records import Cut, encode_record, whole_numbers

# Samples read at once, of all channels together (32 MB as int32).
_CHUNK_SAMPLES = 8_000_000
_CHUNK_S = (60.0, 6 * 3600.0)  # shortest and longest time read at once
_STEP_S = 10.0  # data time cut between two sortings


@dataclass
class _Piece:
    """One segment of the archive: samples ``done <= i < stop`` of ``n`` are still to be cut."""

    path: str
    format: str
    code: str
    start_ns: int
    rate_hz: float
    n: int
    done: int
    stop: int
    first: int = 0  # sample number of values[0]
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0, np.int32))

    def time_ns(self, sample: int) -> int:
        return self.start_ns + offset_ns(sample, self.rate_hz)

    def at(self, time_ns: int) -> int:
        """Return the number of the first sample at or after a time, at most the last one's + 1."""
        return min(max(sample_at_or_after(time_ns - self.start_ns, self.rate_hz), 0), self.stop)


class ArchiveCutter:
    """Iterate over the packets of an archive by the time of their last sample.

    Every sample of every file is sent once, in records of its own segment, integers as integers:
    overlapping files give overlapping packets. Only a stretch of the archive is in memory.

    Parameters
    ----------
    archive
        What to cut.
    start_ns, end_ns
        Only samples with ``start_ns <= time < end_ns``; None means all.
    packet_s
        A packet holds at most so many seconds of data; None fills each of the 512 bytes.

    Attributes
    ----------
    problems
        Lines on files that could not be read and channels that miniSEED 2 cannot hold.

    Raises
    ------
    ConfigError
        If nothing of the archive lies in the time asked for.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
        packet_s: float | None = None,
    ) -> None:
        self.packet_s = packet_s
        self.problems: list[str] = []
        self._pieces = _pieces(archive, start_ns, end_ns)
        if not self._pieces:
            first, last = (str(UTCDateTime(ns=t)) for t in archive.span_ns())
            raise ConfigError(f"no data in the time asked for; the archive has {first} to {last}")
        self.start_ns = min(p.time_ns(p.done) for p in self._pieces)
        self.end_ns = max(p.time_ns(p.stop - 1) for p in self._pieces)
        self.channels = sorted({p.code for p in self._pieces})

    def __iter__(self) -> Iterator[Cut]:
        rates = {p.code: p.rate_hz for p in self._pieces}
        chunk_ns = int(NS_PER_S * np.clip(_CHUNK_SAMPLES / sum(rates.values()), *_CHUNK_S))
        # A packet cut later ends at most one sample before the end of the step before.
        slack_ns = int(NS_PER_S / min(rates.values())) + 1000
        heap: list[tuple[int, str, int, int, Cut]] = []
        waiting = sorted(self._pieces, key=lambda p: p.time_ns(p.done), reverse=True)
        current: list[_Piece] = []
        n_cut = 0
        for begin in range(self.start_ns, self.end_ns + 1, chunk_ns):
            end = begin + chunk_ns
            while waiting and waiting[-1].time_ns(waiting[-1].done) < end:
                current.append(waiting.pop())
            self._read(current, end)
            for step_end in range(begin, end, int(_STEP_S * NS_PER_S)):
                until = min(step_end + int(_STEP_S * NS_PER_S), end)
                for piece in current:
                    for cut in self._cut(piece, until):
                        n_cut += 1
                        key = (cut.endtime_ns, cut.code, cut.starttime_ns, n_cut)
                        heapq.heappush(heap, (*key, cut))
                while heap and heap[0][0] < until - slack_ns:
                    yield heapq.heappop(heap)[-1]
            current = [p for p in current if p.done < p.stop]
        while heap:
            yield heapq.heappop(heap)[-1]

    def _cut(self, piece: _Piece, until_ns: int) -> Iterator[Cut]:
        """Cut whole packets of what lies before a time; the rest waits unless the piece ends."""
        limit = None if self.packet_s is None else max(1, round(self.packet_s * piece.rate_hz))
        codes = (*piece.code.split("."),)
        stop = min(piece.at(until_ns), piece.first + piece.values.size)
        while piece.done < stop:
            ready = stop - piece.done
            is_end = stop == piece.stop
            if not is_end and limit is not None and ready < limit:
                return
            inside = piece.done - piece.first
            samples = piece.values[inside : inside + min(ready, limit or ready)]
            try:
                time_ns = piece.time_ns(piece.done)
                cut = encode_record(codes, time_ns, piece.rate_hz, samples)  # type: ignore[arg-type]
            except DataError as error:
                self.problems.append(f"{error}; left out")
                piece.done = piece.stop
                return
            if cut.n_samples == ready and not is_end and cut.n_samples != limit:
                return  # more samples may fit
            piece.done += cut.n_samples
            yield cut

    def _read(self, pieces: list[_Piece], end_ns: int) -> None:
        """Read what each piece needs up to a time, every file once."""
        by_file: dict[tuple[str, str], list[_Piece]] = {}
        for piece in pieces:
            by_file.setdefault((piece.path, piece.format), []).append(piece)
        for (path, form), group in sorted(by_file.items()):
            try:
                window, traces = _traces(path, form, group, end_ns)
            except (DataError, StorageError) as error:
                self.problems.append(f"{Path(path).name}: {error}; left out")
                for piece in group:
                    piece.done = piece.stop
                continue
            for piece in group:
                self._fill(piece, traces, window, end_ns)

    def _fill(self, piece: _Piece, traces: list[Any], window: tuple[int, int], end_ns: int) -> None:
        """Take a piece's samples from ``done`` up to a time out of the traces of its file."""
        stop = piece.at(end_ns)
        low, high = max(0, piece.at(window[0])), min(piece.n, piece.at(window[1]))
        best, smallest = None, np.inf
        for trace in traces:
            first = nearest_sample(trace.stats.starttime.ns - piece.start_ns, piece.rate_hz)
            last = first + trace.stats.npts
            # Of traces that overlap, the piece's own begins and ends as the index says.
            misfit = abs(first - low) + abs(last - high)
            fits = channel_code(trace) == piece.code and first <= piece.done and last >= stop
            if fits and misfit < smallest:
                best, smallest = (first, trace.data), misfit
        if best is None or best[1].dtype.kind not in "iuf" or np.ma.isMaskedArray(best[1]):
            name = Path(piece.path).name
            self.problems.append(f"{piece.code}: {name} changed or holds no numbers; left out")
            piece.done = piece.stop
            return
        first, data = best
        piece.first = piece.done
        piece.values = whole_numbers(np.asarray(data[piece.done - first : stop - first]))


def _pieces(archive: Archive, start_ns: int | None, end_ns: int | None) -> list[_Piece]:
    found = []
    columns = ["path", "format", "channel", "starttime_ns", "sampling_rate_hz", "n_samples"]
    for row in archive.segments[columns].itertuples(index=False):
        path, form, code, origin, rate, n = row
        piece = _Piece(str(path), str(form), str(code), int(origin), float(rate), int(n), 0, int(n))
        if end_ns is not None:
            piece.stop = piece.at(end_ns)
        if start_ns is not None:
            piece.done = piece.at(start_ns)
        if piece.done < piece.stop:
            found.append(piece)
    return found


def _traces(
    path: str, form: str, group: list[_Piece], end_ns: int
) -> tuple[tuple[int, int], list[Any]]:
    """Read the part of a file that its pieces need; return the time window read as well."""
    options: dict[str, Any] = {"format": form} if form else {}
    window = (0, max(p.time_ns(p.n) for p in group))
    if form == "MSEED":
        margin = int(3 * NS_PER_S / min(p.rate_hz for p in group))
        window = (min(p.time_ns(p.done) for p in group) - margin, end_ns + margin)
        options["starttime"], options["endtime"] = (UTCDateTime(ns=t) for t in window)
    with local_copy(path) as copy:
        return window, list(read_quietly(copy, **options)[0])
