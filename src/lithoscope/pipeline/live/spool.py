"""Waveforms of a watch on disk: every packet is here before it counts.

One folder a channel below ``RUN/spool``, files of a fixed length of time named after their first
possible moment, miniSEED records in order of time, none twice. So the same readers work on it as
on an archive, and after a kill everything that counted is read back.
"""

from __future__ import annotations

import os
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.files import replacing, storage_error, sync_path
from lithoscope.pipeline.live.segments import Piece, Segment, miniseed2, record_key, split_records
from lithoscope.schema import PROBLEMS
from lithoscope.waveforms import Archive, index_archive
from lithoscope.waveforms.record import nearest_sample, offset_ns
from lithoscope.waveforms.seedlink import Packet, decode

SPOOL = "spool"
# `read_records` looks this far beyond its window (s), longer only with a longer `flat_s`.
PAD_S = 60.0
# Files of a channel that a kill may have cut short: late data go into older ones whole.
NEWEST = 2
# Of a channel's origins, those that are kept.
_ORIGINS = 8


@dataclass
class Channel:
    """What the spool holds of one channel: segments by number, the newest sample, the grid."""

    code: str
    segments: dict[int, Segment] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    end_ns: int = 0
    first_ns: int = 0
    n_gaps: int = 0
    gap_s: float = 0.0
    # Where the run began whose first files are gone: its grid still holds.
    origin: tuple[int, float] | None = None
    origins: dict[int, tuple[int, float] | None] = field(default_factory=dict)

    @property
    def station(self) -> str:
        return self.code[:-1]


class Spool:
    """Packets as files, and the files as an archive.

    Parameters
    ----------
    folder
        Made if it is not there; what an earlier watch left is read.
    segment_s
        Length of a file. Another value than before is refused by nothing: old files keep theirs.
    """

    def __init__(self, folder: Path, segment_s: float) -> None:
        self.folder = folder
        self.length_ns = round(segment_s * NS_PER_S)
        self.channels: dict[str, Channel] = {}
        self._by_station: dict[str, list[Channel]] = {}
        self.n_repaired = 0
        self._dirty: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error("make", folder, error) from None
        for place in sorted(p for p in folder.iterdir() if p.is_dir()):
            self._reopen_channel(place.name, sorted(place.glob("*.mseed")))

    # Writing

    def append(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Write packets; yield those that are new (samples not there already), once written.

        Raises
        ------
        StorageError
            If the disk refuses; nothing of the packets' file then counts.
        """
        groups: dict[tuple[str, int], list[Packet]] = {}
        for packet in packets:
            groups.setdefault((packet.code, packet.starttime_ns // self.length_ns), []).append(
                packet
            )
        for (code, number), group in groups.items():
            yield from self._append(code, number, group)

    def _append(self, code: str, number: int, packets: list[Packet]) -> list[Packet]:
        channel = self._channel(code)
        segment = channel.segments.get(number)
        if segment is None:
            begin_s = number * self.length_ns // NS_PER_S
            segment = Segment(str(self.folder / code), begin_s, records=[])
        records, fresh, in_order = segment.open(), [], True
        for packet in packets:
            key = record_key(packet)
            place = bisect_right(records, key)
            if place and records[place - 1] == key:
                continue
            in_order = in_order and place == len(records)
            fresh.append(packet)
            records.insert(place, key)
        if not fresh:
            return []
        new = number not in channel.segments
        try:
            if new:
                segment.path.parent.mkdir(exist_ok=True)
            if in_order:
                segment.write(b"".join(miniseed2(p) for p in fresh))
            else:
                self._rewrite(segment.path, fresh)
        except OSError as error:
            for packet in fresh:
                records.remove(record_key(packet))
            raise storage_error("write", segment.path, error) from None
        if new:
            channel.segments[number] = segment
            insort(channel.numbers, number)
        self._dirty.add(segment.file)
        if not in_order or number != channel.numbers[-1]:
            channel.origins.clear()
        self._note(channel, segment, fresh, in_order)
        return fresh

    def _rewrite(self, path: Path, packets: list[Packet]) -> None:
        """Write a file anew with packets put in where they belong, whole or not at all."""
        content = path.read_bytes() if path.exists() else b""
        kept = [(record_key(decode(raw)), raw) for raw in split_records(content)]
        merged = sorted(kept + [(record_key(p), miniseed2(p)) for p in packets])
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(raw for _, raw in merged))

    def _note(
        self, channel: Channel, segment: Segment, fresh: list[Packet], in_order: bool
    ) -> None:
        known = in_order
        for packet in fresh:
            if channel.end_ns:
                gap = (packet.starttime_ns - channel.end_ns) / NS_PER_S
                gap -= 1.0 / packet.sampling_rate_hz
                if gap > 0.5 / packet.sampling_rate_hz:
                    channel.n_gaps += 1
                    channel.gap_s += gap
            channel.first_ns = min(channel.first_ns or packet.starttime_ns, packet.starttime_ns)
            channel.end_ns = max(channel.end_ns, packet.endtime_ns)
            known = known and segment.extend(packet)
        if not known:
            self._index(segment)

    def _index(self, segment: Segment) -> None:
        """Let the readers of miniSEED say what the pieces are."""
        try:
            table = index_archive(segment.path).segments
        except DataError:  # no piece is longer than a sample
            start_ns, end_ns = segment.first_record()
            segment.pieces = [Piece(start_ns, 1.0, 1, end_ns)]
            return
        rows: Any = table.sort_values("starttime_ns").itertuples()
        segment.pieces = [
            Piece(
                int(r.starttime_ns), float(r.sampling_rate_hz), int(r.n_samples), int(r.endtime_ns)
            )
            for r in rows
        ]

    def compact(self, before_ns: int) -> None:
        """Forget the single records of files that end before a time; they stay on the disk."""
        limit = before_ns // self.length_ns - 2
        for channel in self.channels.values():
            for number in reversed(channel.numbers[: bisect_right(channel.numbers, limit)]):
                if channel.segments[number].records is None:
                    break
                channel.segments[number].pack()

    def written(self) -> set[Path]:
        """Return the files written to since the last call, to be given to `sync`."""
        files, self._dirty = self._dirty, set()
        return {Path(file) for file in files}

    def sync(self, paths: set[Path]) -> None:
        """Wait until what was written to some files is on the disk; from any thread.

        Raises
        ------
        StorageError
            If the disk refuses; the files then count as written to again.
        """
        try:
            for path in paths:
                with suppress(FileNotFoundError):
                    sync_path(path)
            for folder in {path.parent for path in paths}:
                sync_path(folder)
        except OSError as error:
            self._dirty |= {str(path) for path in paths}
            raise storage_error("write", self.folder, error) from None

    def prune(self, before_ns: int) -> int:
        """Remove files whose data all lie before a time; return how many."""
        count = 0
        for channel in self.channels.values():
            while channel.numbers and (channel.numbers[0] + 2) * self.length_ns <= before_ns:
                following = channel.numbers[1] if len(channel.numbers) > 1 else None
                channel.origin = _find_origin(channel, following)
                segment = channel.segments.pop(channel.numbers.pop(0))
                segment.path.unlink(missing_ok=True)
                self._dirty.discard(segment.file)
                channel.origins.clear()
                count += 1
        return count

    # Reading

    def stations(self) -> list[str]:
        """Return the codes NET.STA.LOC.BI, sorted."""
        return sorted({c.station for c in self.channels.values() if c.segments})

    def of_station(self, station: str) -> list[Channel]:
        """Return the channels of a station that have data."""
        return [c for c in self._by_station.get(station, ()) if c.segments]

    def _channel(self, code: str) -> Channel:
        if code not in self.channels:
            channel = self.channels[code] = Channel(code)
            self._by_station.setdefault(channel.station, []).append(channel)
        return self.channels[code]

    def archive(
        self, stations: Iterable[str], start_ns: int | None = None, end_ns: int | None = None
    ) -> Archive:
        """Return an index of some stations, of the files that reach into a window.

        A run of samples that began in a file outside the window keeps its grid: a piece without
        a file stands for what lies before.
        """
        pad = round(PAD_S * NS_PER_S)
        rows: list[dict[str, Any]] = []
        for channel in (c for station in stations for c in self.of_station(station)):
            rows += self._rows(
                channel,
                None if start_ns is None else start_ns - pad,
                None if end_ns is None else end_ns + pad,
            )
        columns = ["path", "channel", "station", "starttime_ns", "endtime_ns"]
        columns += ["sampling_rate_hz", "n_samples", "format", "file_digest"]
        segments = pd.DataFrame(rows, columns=columns)
        return Archive(segments, PROBLEMS.empty())

    def _rows(
        self, channel: Channel, start_ns: int | None, end_ns: int | None
    ) -> list[dict[str, Any]]:
        numbers = channel.numbers
        first, stop = 0, len(numbers)
        if start_ns is not None:
            # A packet may reach from one file's time into the next one's.
            first = max(bisect_right(numbers, start_ns // self.length_ns) - 2, 0)
        if end_ns is not None:
            stop = bisect_right(numbers, end_ns // self.length_ns)
        if stop <= first:
            return []
        rows = []
        origin = self._origin(channel, numbers[first])
        head = channel.segments[numbers[first]].pieces[0]
        if origin is not None and _continues(origin, head):
            n = nearest_sample(head.start_ns - origin[0], origin[1])
            rows.append(_row(channel, "", Piece(origin[0], origin[1], n, head.start_ns)))
        before: Piece | None = None
        for number in numbers[first:stop]:
            segment = channel.segments[number]
            for piece in segment.pieces:
                # A sample alone is none of an archive, unless a file's end cut it off.
                if piece.n_samples > 1 or (before is not None and _follows(before, piece)):
                    rows.append(_row(channel, segment.file, piece))
                before = piece
        return rows

    def _origin(self, channel: Channel, number: int) -> tuple[int, float] | None:
        origins = channel.origins
        if number not in origins:
            origins[number] = _find_origin(channel, number)
            if len(origins) > _ORIGINS:
                del origins[next(iter(origins))]
        return origins[number]

    # Opening what is there

    def _reopen_channel(self, code: str, paths: list[Path]) -> None:
        """Take up the files of a channel; the newest may end in half a record."""
        channel = self._channel(code)
        for path in paths[:-NEWEST]:
            segment = Segment(str(path.parent), int(path.stem), records=None)
            self._index(segment)
            self._take(channel, segment)
            segment.pack()
        for path in paths[-NEWEST:]:
            packets = self._repaired(path)
            if packets:
                records = sorted(record_key(p) for p in packets)
                segment = Segment(str(path.parent), int(path.stem), records)
                self._take(channel, segment)
                self._note(channel, segment, packets, in_order=False)

    def _take(self, channel: Channel, segment: Segment) -> None:
        number = int(segment.path.stem) * NS_PER_S // self.length_ns
        channel.segments[number] = segment
        insort(channel.numbers, number)
        for piece in segment.pieces:
            channel.end_ns = max(channel.end_ns, piece.end_ns)
            channel.first_ns = min(channel.first_ns or piece.start_ns, piece.start_ns)

    def _repaired(self, path: Path) -> list[Packet]:
        """Return the packets of a file; the end of a write that a kill cut short is taken off."""
        packets, size = [], 0
        try:
            content = path.read_bytes()
            for raw in split_records(content):
                packets.append(decode(raw))
                size += len(raw)
        except DataError:
            pass  # what follows the last good record goes
        except OSError as error:
            raise storage_error("read", path, error) from None
        if size < len(content):
            self.n_repaired += 1
            os.truncate(path, size)
        if not packets:
            path.unlink()
        return packets


def _find_origin(channel: Channel, number: int | None) -> tuple[int, float] | None:
    """Return start and rate of the run that goes on up to a segment, None if none does.

    The first piece of a run fixes the grid of all that continue it.
    """
    run, end_ns = channel.origin, None
    if run is not None and channel.numbers:
        head = channel.segments[channel.numbers[0]].pieces[0]
        run, end_ns = (run, head.start_ns) if _continues(run, head) else (None, None)
    for n in channel.numbers:
        if number is not None and n >= number:
            break
        for piece in channel.segments[n].pieces:
            if run is None or end_ns is None or not _joins(run, end_ns, piece):
                run, end_ns = (piece.start_ns, piece.rate_hz), 0
            end_ns = max(end_ns, piece.end_ns + offset_ns(1, piece.rate_hz))
    if run is None or end_ns is None or number is None:
        return run
    return run if _joins(run, end_ns, channel.segments[number].pieces[0]) else None


def _row(channel: Channel, path: str, piece: Piece) -> dict[str, Any]:
    return {
        "path": path,
        "channel": channel.code,
        "station": channel.station,
        "starttime_ns": piece.start_ns,
        "endtime_ns": piece.end_ns,
        "sampling_rate_hz": piece.rate_hz,
        "n_samples": piece.n_samples,
        "format": "MSEED",
        "file_digest": path,
    }


def _joins(run: tuple[int, float], end_ns: int, piece: Piece) -> bool:
    """Tell whether a piece lies on the grid of a run that ends where it begins, or later."""
    if abs(piece.rate_hz / run[1] - 1.0) > 1e-8:
        return False
    late = (piece.start_ns - end_ns) * run[1] / NS_PER_S
    return late <= 0.5 and _continues(run, piece)


def _continues(run: tuple[int, float], piece: Piece) -> bool:
    if abs(piece.rate_hz / run[1] - 1.0) > 1e-8 or piece.start_ns <= run[0]:
        return False
    place = (piece.start_ns - run[0]) * run[1] / NS_PER_S
    return abs(place - round(place)) <= 0.5


def _follows(before: Piece, piece: Piece) -> bool:
    """Tell whether a piece begins where another ends."""
    step = offset_ns(1, before.rate_hz)
    after = piece.start_ns - before.end_ns >= step - step // 2
    return after and _joins((before.start_ns, before.rate_hz), before.end_ns + step, piece)
