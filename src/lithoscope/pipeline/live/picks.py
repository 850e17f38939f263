"""Picks of every station, kept up to date as data come: provisional near the edge, then final.

A picker's output at a time depends on the data within its context to both sides, and a reader
looks some way further to tell a dead stretch from a live one. So picks are final once the data
reach that far beyond them; younger ones are made anew with every turn. Data that come late make
the picks within the same reach provisional again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.picking import Picker
from lithoscope.pipeline.live.spool import Spool
from lithoscope.pipeline.tables import stack
from lithoscope.schema import DETECTIONS, PICKS, PROBLEMS
from lithoscope.waveforms import WaveformSettings, read_records

# A station that was away long is picked in pieces of this length, so that others get their turn.
_LONGEST_NS = 1800 * NS_PER_S
_WEIGHED = ["pick_id", "time_sigma_s", "probability"]


@dataclass
class StationPicks:
    """Picks and detections of one station.

    Before ``final_ns`` nothing changes unless data come late; ``picked_ns`` is how far the data
    that have been picked reach.
    """

    final_ns: int
    picked_ns: int = 0
    picks: pd.DataFrame = field(default_factory=PICKS.empty)
    detections: pd.DataFrame = field(default_factory=DETECTIONS.empty)
    stored_ns: int = 0


@dataclass(frozen=True)
class Repicked:
    """What a turn changed: from when on picks differ (None: nowhere), and PROBLEMS."""

    changed_ns: int | None
    problems: pd.DataFrame
    done: bool


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

    def touched(self, station: str, start_ns: int) -> None:
        """Take note that data have come that begin at a time."""
        found = self.stations.get(station)
        if found is None:
            self.stations[station] = StationPicks(start_ns - self.reach_ns)
        else:
            found.final_ns = min(found.final_ns, start_ns - self.reach_ns)
            if start_ns <= found.picked_ns:
                found.picked_ns = min(found.picked_ns, start_ns - 1)
            found.stored_ns = min(found.stored_ns, found.final_ns)

    def waiting_s(self, station: str, edge_ns: int) -> float:
        """Return how much of a station's data up to an edge has not been picked."""
        found = self.stations.get(station)
        return 0.0 if found is None else max(edge_ns - found.picked_ns, 0) / NS_PER_S

    def pick(self, station: str, spool: Spool, edge_ns: int, channels: pd.DataFrame) -> Repicked:
        """Pick what is not final of a station, up to the edge of its data.

        Raises
        ------
        DataError
            If the data cannot be picked.
        """
        mine = self.stations[station]
        start = mine.final_ns
        stop = min(edge_ns, max(start, mine.picked_ns) + _LONGEST_NS)
        archive = spool.archive([station], start - self.reach_ns, stop)
        picks, detections, problems = PICKS.empty(), DETECTIONS.empty(), []
        if len(archive.segments):
            # The last sample counts: a window ends before its end.
            half_ns = int(0.5 * NS_PER_S / archive.segments["sampling_rate_hz"].max())
            records, about = read_records(
                archive,
                station,
                start - self.reach_ns,
                stop + half_ns,
                channels=channels,
                settings=self.settings,
            )
            problems.append(about)
            found = [self.picker.pick(r) for r in records if self.picker.unusable(r) is None]
            picks = stack((_from(p, "time", start) for p, _ in found), PICKS)
            detections = stack((_from(d, "starttime", start) for _, d in found), DETECTIONS)
        changed = _first_change(_from(mine.picks, "time", start), picks)
        mine.picks = stack([_before(mine.picks, "time", start), picks], PICKS)
        mine.detections = stack(
            [_before(mine.detections, "starttime", start), detections], DETECTIONS
        )
        mine.picked_ns = max(mine.picked_ns, stop)
        mine.final_ns = max(mine.final_ns, stop - self.reach_ns)
        return Repicked(changed, stack(problems, PROBLEMS), stop >= edge_ns)

    def table(self, stations: Any, start_ns: int | None = None) -> pd.DataFrame:
        """Return the picks of some stations, from a time on, in order of time."""
        parts = [self.stations[s].picks for s in stations if s in self.stations]
        if start_ns is not None:
            parts = [_from(p, "time", start_ns) for p in parts]
        table = stack(parts, PICKS)
        return table.sort_values(["time", "station", "phase"], ignore_index=True)

    def newly_final(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return picks and detections that became final since the last call."""
        picks: list[pd.DataFrame] = []
        detections: list[pd.DataFrame] = []
        for mine in self.stations.values():
            if mine.final_ns > mine.stored_ns:
                for table, column, out in (
                    (mine.picks, "time", picks),
                    (mine.detections, "starttime", detections),
                ):
                    out.append(_before(_from(table, column, mine.stored_ns), column, mine.final_ns))
                mine.stored_ns = mine.final_ns
        return stack(picks, PICKS), stack(detections, DETECTIONS)

    def settle(self) -> None:
        """Take all picks as final: no data follow."""
        for mine in self.stations.values():
            mine.final_ns = max(mine.final_ns, mine.picked_ns + 1)

    def prune(self, before_ns: int) -> None:
        """Forget what lies before a time."""
        for mine in self.stations.values():
            mine.picks = _from(mine.picks, "time", before_ns)
            mine.detections = _from(mine.detections, "starttime", before_ns)


def _from(table: pd.DataFrame, column: str, start_ns: int) -> pd.DataFrame:
    return table[table[column].astype("int64") >= start_ns]


def _before(table: pd.DataFrame, column: str, end_ns: int) -> pd.DataFrame:
    return table[table[column].astype("int64") < end_ns]


def _first_change(old: pd.DataFrame, new: pd.DataFrame) -> int | None:
    """Return the time of the first pick that is in one table only, or is weighed otherwise."""
    rows = [
        set(zip(t["time"].astype("int64"), *(t[c] for c in _WEIGHED), strict=True))
        for t in (old, new)
    ]
    changed = rows[0] ^ rows[1]
    return min(row[0] for row in changed) if changed else None
