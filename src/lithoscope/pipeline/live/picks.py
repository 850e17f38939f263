"""Picks of every station, kept up to date as data come: provisional near the edge, then final.

A picker's output at a time depends on the data within its context to both sides, and a reader
looks some way further to tell a dead stretch from a live one. So picks are final once the data
reach that far beyond them and have been read from the spool, as a run reads its archive. Between
such readings the newest seconds are looked at in memory (`PickBoard.glance`), with the same picker.
Data that come late make the picks within the same reach provisional again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.picking import Picker
from lithoscope.pipeline.live.glimpse import (
    Glimpse,
    Key,
    Row,
    glimpses,
    key_of,
    reach_s,
    rows_of,
    table_of,
)
from lithoscope.pipeline.live.newest import Newest
from lithoscope.pipeline.live.spool import Spool
from lithoscope.pipeline.live.view import Old, View
from lithoscope.pipeline.pickers import PickingSettings, make_picker
from lithoscope.pipeline.tables import stack
from lithoscope.schema import DETECTIONS, PICKS, PROBLEMS
from lithoscope.waveforms import Archive, Record, WaveformSettings, read_records
from lithoscope.waveforms.seedlink import Packet

# A station that was away long is picked in pieces of this length, so that others get their turn.
_LONGEST_NS = 1800 * NS_PER_S
# A glance makes the picks of this long before the edge, and before the last glance, anew ...
_ANEW_NS = 6 * NS_PER_S
# ... if that one was no longer ago.
_GLANCE_NS = 120 * NS_PER_S
# Provisional picks that move or change by no more than this stay as they are: they would only make
# the same events anew.
_SAME_NS = NS_PER_S // 20
_SAME_PROBABILITY = 0.1
_NO_PROBLEMS = PROBLEMS.empty()
_ID = PICKS.names.index("pick_id")


@dataclass
class StationPicks:
    """Picks and detections of one station.

    Before ``final_ns`` nothing changes unless data come late; ``read_ns`` is how far the spool has
    been read, ``seen_ns`` how far the data have been looked at in memory. ``old`` are the picks
    before ``final_ns``, by time, ``young`` the others.
    """

    final_ns: int
    read_ns: int = 0
    seen_ns: int = 0
    old: pd.DataFrame = field(default_factory=PICKS.empty)
    young: list[Row] = field(default_factory=list)
    detections: pd.DataFrame = field(default_factory=DETECTIONS.empty)
    stored_ns: int = 0
    # Until when a reading that has begun goes, and whether data from before that came since.
    out_ns: int = 0
    late: bool = False
    keys: list[Key] = field(default_factory=list)  # of the young ones, in their order
    # What was given out as final and is so no more: ids of picks, start times of detections.
    given: set[str] = field(default_factory=set)
    given_starts: set[int] = field(default_factory=set)

    @property
    def n_picks(self) -> int:
        return len(self.old) + len(self.young)

    def put(self, young: Iterable[Row]) -> None:
        """Take other young picks."""
        self.young = sorted(young, key=key_of)
        self.keys = [key_of(row) for row in self.young]

    def reopen(self, final_ns: int) -> None:
        """Let picks change again from a time on."""
        if final_ns >= self.final_ns:
            return
        self.final_ns = final_ns
        again = rows_of(_from(self.old, "time", final_ns))
        self.given.update(row[_ID] for row in again if key_of(row)[0] < self.stored_ns)
        starts = _times(self.detections, "starttime")
        self.given_starts.update(starts[(starts >= final_ns) & (starts < self.stored_ns)].tolist())
        if again:
            self.old = _before(self.old, "time", final_ns)
            self.put([*again, *self.young])

    def settle(self, final_ns: int) -> None:
        """Let picks change no more before a time."""
        if final_ns <= self.final_ns:
            return
        self.final_ns = final_ns
        n = bisect_left(self.keys, (final_ns, "", 0.0))
        if n:
            self.old = _by_time(stack([self.old, table_of(self.young[:n])], PICKS))
            self.young, self.keys = self.young[n:], self.keys[n:]

    def since(self, start_ns: int) -> list[Key]:
        """Return the keys of the young picks from a time on: the last ones."""
        return self.keys[bisect_left(self.keys, (start_ns, "", 0.0)) :]


@dataclass(frozen=True)
class Repicked:
    """What picking changed.

    Attributes
    ----------
    changed_ns
        From when on picks differ by more than nothing to speak of; None: nowhere.
    renamed
        New ids of picks that moved by less than that, by their old ones.
    problems
        PROBLEMS.
    """

    changed_ns: int | None
    renamed: dict[str, str]
    problems: pd.DataFrame


@dataclass(frozen=True)
class Part:
    """Newest seconds of a station that are to be picked from ``start_ns`` on."""

    station: str
    record: Record
    start_ns: int
    edge_ns: int


@dataclass(frozen=True)
class Reading:
    """A part of a station's spool that is to be picked as a run would, here or elsewhere."""

    station: str
    archive: Archive
    channels: pd.DataFrame
    settings: WaveformSettings
    start_ns: int
    stop_ns: int
    reach_ns: int


@dataclass(frozen=True)
class Read:
    """Picks and detections that begin in a part of a station's spool, and PROBLEMS."""

    picks: pd.DataFrame
    detections: pd.DataFrame
    problems: pd.DataFrame


def read(picker: Picker, part: Reading) -> Read:
    """Pick a part of a station's spool.

    Raises
    ------
    DataError
        If the data cannot be picked.
    """
    if not len(part.archive.segments):
        return Read(PICKS.empty(), DETECTIONS.empty(), PROBLEMS.empty())
    # The last sample counts: a window ends before its end.
    half_ns = int(0.5 * NS_PER_S / part.archive.segments["sampling_rate_hz"].max())
    records, problems = read_records(
        part.archive,
        part.station,
        part.start_ns - part.reach_ns,
        part.stop_ns + half_ns,
        channels=part.channels,
        settings=part.settings,
    )
    found = [picker.pick(r) for r in records if picker.unusable(r) is None]
    return Read(
        stack((_from(p, "time", part.start_ns) for p, _ in found), PICKS),
        stack((_from(d, "starttime", part.start_ns) for _, d in found), DETECTIONS),
        problems,
    )


def read_elsewhere(settings: PickingSettings, parts: list[Reading]) -> list[Read]:
    """Pick parts of stations' spools in another process, which keeps its picker."""
    picker = _picker(settings.model_dump_json())
    return [read(picker, part) for part in parts]


@lru_cache(maxsize=1)
def _picker(settings: str) -> Picker:
    return make_picker(PickingSettings.model_validate_json(settings))


class PickBoard:
    """Picks of all stations of a spool.

    Parameters
    ----------
    picker
        As for a run.
    settings
        How waveforms are read.
    """

    def __init__(self, picker: Picker, settings: WaveformSettings) -> None:
        self.picker = picker
        self.settings = settings
        self.stations: dict[str, StationPicks] = {}
        pad_s = max(settings.flat_s, 10.0) + 3.0 * settings.fill_s + 2.0
        self.reach_ns = round((picker.context_s + pad_s) * NS_PER_S)
        self._before_ns = round(reach_s(picker) * NS_PER_S)
        self.newest = Newest((self._before_ns + _ANEW_NS + _GLANCE_NS) / NS_PER_S)
        self._olds: dict[str, tuple[pd.DataFrame, Old]] = {}
        self._old = Old.joined([])

    def touched(self, station: str, packets: Sequence[Packet]) -> None:
        """Take note of data of one channel that have come."""
        self.newest.add(packets)
        start_ns = min(p.starttime_ns for p in packets)
        found = self.stations.get(station)
        if found is None:
            self.stations[station] = StationPicks(start_ns - self.reach_ns)
            return
        found.late = found.late or start_ns < found.out_ns
        found.reopen(start_ns - self.reach_ns)
        found.read_ns = min(found.read_ns, start_ns - 1)
        found.seen_ns = min(found.seen_ns, start_ns - 1)
        found.stored_ns = min(found.stored_ns, found.final_ns)

    def unseen_s(self, station: str, edge_ns: int) -> float:
        """Return how much of a station's data up to an edge has not been looked at at all."""
        found = self.stations.get(station)
        return 0.0 if found is None else max(edge_ns - found.seen_ns, 0) / NS_PER_S

    def unread_s(self, station: str, edge_ns: int) -> float:
        """Return how much of a station's data up to an edge has not been read from the spool."""
        found = self.stations.get(station)
        return 0.0 if found is None else max(edge_ns - found.read_ns, 0) / NS_PER_S

    def part(self, station: str, edge_ns: int, channels: pd.DataFrame) -> Part | None:
        """Return what is to be looked at of a station's newest seconds; None if only files tell."""
        mine = self.stations[station]
        if edge_ns - max(mine.seen_ns, mine.read_ns) > _GLANCE_NS:
            return None
        start = min(edge_ns, mine.seen_ns) - _ANEW_NS
        start = max(start, mine.final_ns)
        record = self.newest.record(station, start - self._before_ns, edge_ns, channels)
        if record is None:
            return None
        return Part(station, record, max(start, record.starttime_ns), edge_ns)

    def glance(self, parts: Sequence[Part]) -> list[Glimpse]:
        """Return the picks of some parts; to be given to `see`.

        Raises
        ------
        DataError
            If the data cannot be picked.
        """
        return glimpses(self.picker, [(part.record, part.start_ns) for part in parts])

    def see(self, part: Part, seen: Glimpse) -> Repicked:
        """Put what has been seen of a part in the place of the provisional picks there."""
        mine = self.stations[part.station]
        zone = mine.since(part.start_ns)
        found = _compared(zone, seen.keys)
        if found.changed_ns is not None:
            first = len(mine.keys) - len(zone)
            kept = [mine.young[first + j] for j in found.same.values()]
            mine.put([*mine.young[:first], *kept, *seen.rows(found.fresh)])
        mine.seen_ns = max(mine.seen_ns, part.edge_ns)
        return Repicked(found.changed_ns, {}, _NO_PROBLEMS)

    def reading(self, station: str, spool: Spool, edge_ns: int, channels: pd.DataFrame) -> Reading:
        """Prepare to pick what is not final of a station, up to the edge of its data."""
        mine = self.stations[station]
        start = mine.final_ns
        stop = min(edge_ns, max(start, mine.read_ns) + _LONGEST_NS)
        mine.out_ns, mine.late = stop, False
        archive = spool.archive([station], start - self.reach_ns, stop)
        return Reading(station, archive, channels, self.settings, start, stop, self.reach_ns)

    def pick(self, station: str, spool: Spool, edge_ns: int, channels: pd.DataFrame) -> Repicked:
        """Pick what is not final of a station, as a run would, up to the edge of its data.

        Raises
        ------
        DataError
            If the data cannot be picked.
        """
        reading = self.reading(station, spool, edge_ns, channels)
        changes = self.take(reading, read(self.picker, reading))
        assert changes is not None  # nothing came between
        return changes

    def take(self, reading: Reading, found: Read) -> Repicked | None:
        """Put what a station's spool shows in the place of what is not final.

        Data may have come since it was read: what has been seen of the newest seconds and beyond
        stays. None if some of them belong before its end, or the station has been read since: it is
        void.
        """
        mine = self.stations.get(reading.station)
        if mine is None or mine.late or mine.final_ns != reading.start_ns:
            return None
        start, stop = reading.start_ns, reading.stop_ns
        rows = rows_of(found.picks)
        if mine.seen_ns > stop:
            since = _between([key[0] for key in mine.keys], stop - _ANEW_NS)
            rows = [row for row in rows if key_of(row)[0] < since]
            rows += mine.young[len(mine.keys) - len(mine.since(since)) :]
        changes = _compared(mine.keys, [key_of(row) for row in rows])
        ids = [row[_ID] for row in mine.young], [row[_ID] for row in rows]
        renamed = {ids[0][j]: ids[1][i] for i, j in changes.same.items() if ids[0][j] != ids[1][i]}
        if len(mine.detections) or len(found.detections):
            kept = _before(mine.detections, "starttime", start)
            mine.detections = stack([kept, found.detections], DETECTIONS)
        mine.read_ns = max(mine.read_ns, stop)
        mine.seen_ns = max(mine.seen_ns, stop)
        mine.put(rows)
        mine.settle(stop - self.reach_ns)
        return Repicked(changes.changed_ns, renamed, found.problems)

    def final(self) -> pd.DataFrame:
        """Return the picks that are final."""
        return stack((mine.old for mine in self.stations.values()), PICKS)

    def view(self, stations: Sequence[str]) -> View:
        """Return the picks of some stations as they are now."""
        some = [name for name in stations if name in self.stations]
        tables = {name: self.stations[name].old for name in some}
        if {name: id(table) for name, (table, _) in self._olds.items()} != {
            name: id(table) for name, table in tables.items()
        }:
            olds = {}
            for name, table in tables.items():
                known = self._olds.get(name)
                olds[name] = known if known and known[0] is table else (table, Old.of(table))
            self._olds, self._old = olds, Old.joined([old for _, old in olds.values()])
        young = [row for name in some for row in self.stations[name].young]
        return View(self._old, tables, young)

    def newly_final(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return picks and detections that became final since the last call."""
        picks: list[pd.DataFrame] = []
        detections: list[pd.DataFrame] = []
        for mine in self.stations.values():
            if mine.final_ns > mine.stored_ns:
                for table, column, out in (
                    (mine.old, "time", picks),
                    (mine.detections, "starttime", detections),
                ):
                    out.append(_before(_from(table, column, mine.stored_ns), column, mine.final_ns))
                mine.stored_ns = mine.final_ns
        return stack(picks, PICKS), stack(detections, DETECTIONS)

    def withdrawn(self) -> dict[str, list[int]]:
        """Return start times of detections, by station, that were given out and are no more.

        Each is returned once.
        """
        gone = {}
        for station, mine in self.stations.items():
            settled = {start for start in mine.given_starts if start < mine.final_ns}
            if not settled:
                continue
            mine.given_starts -= settled
            kept = _times(mine.detections, "starttime").tolist()
            if starts := sorted(settled.difference(kept)):
                gone[station] = starts
        return gone

    def settle(self) -> None:
        """Take all picks as final: no data follow."""
        for mine in self.stations.values():
            mine.settle(mine.read_ns + 1)

    def prune(self, before_ns: int) -> None:
        """Forget what lies before a time and has been given out as final."""
        for mine in self.stations.values():
            limit_ns = min(before_ns, mine.stored_ns)
            if len(mine.old) and int(mine.old["time"].iloc[0].value) < limit_ns:
                mine.old = _from(mine.old, "time", limit_ns)
            mine.detections = _from(mine.detections, "starttime", limit_ns)


def _between(times_ns: Sequence[int], near_ns: int) -> int:
    """Return the first moment from some time on that no pick is so near to as to be on both sides.

    ``times_ns`` are sorted.
    """
    for time_ns in times_ns:
        if abs(time_ns - near_ns) <= _SAME_NS:
            near_ns = time_ns + _SAME_NS + 1
    return near_ns


def _times(table: pd.DataFrame, column: str = "time") -> NDArray[np.int64]:
    return table[column].to_numpy("datetime64[ns]").view(np.int64)


def _from(table: pd.DataFrame, column: str, start_ns: int) -> pd.DataFrame:
    return table[_times(table, column) >= start_ns]


def _before(table: pd.DataFrame, column: str, end_ns: int) -> pd.DataFrame:
    return table[_times(table, column) < end_ns]


def _by_time(table: pd.DataFrame) -> pd.DataFrame:
    times = _times(table)
    if np.all(times[1:] >= times[:-1]):
        return table
    return table.iloc[np.argsort(times, kind="stable")]


@dataclass(frozen=True)
class _Compared:
    """Rows of new picks and of the old ones that they are; rows that have no partner."""

    same: dict[int, int]
    fresh: list[int]
    changed_ns: int | None


def _compared(known: list[Key], found: list[Key]) -> _Compared:
    """Find which of the new picks are old ones, moved or changed by nothing to speak of."""
    order = sorted(range(len(known)), key=lambda j: known[j][0])
    times = [known[j][0] for j in order]
    same: dict[int, int] = {}
    left = set(order)
    for i, (time_ns, phase, probability) in enumerate(found):
        first = bisect_left(times, time_ns - _SAME_NS)
        for j in order[first : bisect_right(times, time_ns + _SAME_NS)]:
            alike = known[j][1] == phase and abs(probability - known[j][2]) < _SAME_PROBABILITY
            if alike and j in left:
                same[i] = j
                left.remove(j)
                break
    fresh = [i for i in range(len(found)) if i not in same]
    changes = [known[j][0] for j in left] + [found[i][0] for i in fresh]
    return _Compared(same, fresh, int(min(changes)) if changes else None)
