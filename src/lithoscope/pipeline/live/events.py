"""Events of a watch: what is known of each, located and measured by the stages of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lithoscope.catalog import Catalog
from lithoscope.classification import type_columns
from lithoscope.constants import NS_PER_S
from lithoscope.location import NetworkLocator, Picked
from lithoscope.magnitude import estimate_station_corrections
from lithoscope.magnitude.network import network_columns
from lithoscope.magnitude.settings import MagnitudeSettings
from lithoscope.pipeline.live.glimpse import Row, rows_of, same_row, table_of
from lithoscope.pipeline.live.packing import Packed
from lithoscope.pipeline.live.rolling import Solution
from lithoscope.pipeline.live.tracker import arrivals_of, free_id, match
from lithoscope.pipeline.tables import stack
from lithoscope.schema import ARRIVALS, EVENTS, PICKS, PROBLEMS, STATION_MAGNITUDES

# An event that one association does not find is kept until the next one agrees.
_MISSED = 2
# Effective posterior samples of a quick location: regions good to 5 % or so.
_QUICK_SAMPLES = 200
_MAGNITUDE = [
    "magnitude",
    "magnitude_type",
    "magnitude_sigma",
    "n_magnitudes",
    "magnitude_reason",
]
# What of a station magnitude decides that of the network.
_OF_STATION = ("magnitude", "magnitude_type", "used", "reason")


@dataclass(eq=False)
class LiveEvent(Packed):
    """One event.

    ``raw`` are its station magnitudes without corrections estimated from the catalogue;
    ``located`` and ``measured`` say what location and magnitudes were made from.
    """

    tables: ClassVar[tuple[str, ...]] = ("picks", "events", "arrivals", "raw", "shown")

    event_id: str
    solution: Solution
    picks: pd.DataFrame
    events: pd.DataFrame = field(default_factory=EVENTS.empty)
    arrivals: pd.DataFrame = field(default_factory=ARRIVALS.empty)
    raw: pd.DataFrame = field(default_factory=STATION_MAGNITUDES.empty)
    shown: pd.DataFrame = field(default_factory=EVENTS.empty)
    located: str = ""
    measured: str = ""
    published: str = ""
    shown_magnitude: float = float("nan")
    missed: int = 0
    n_updates: int = 0
    quiet_until_ns: int = 0
    time_ns: int | None = None  # of `events`
    arrival_ids: frozenset[str] = frozenset()  # of `arrivals`
    digested: pd.DataFrame | None = None  # table of picks that `digest` is of
    digest: str = ""
    cancelled: bool = False
    rows: list[Row] | None = None  # of `picks`, while they change

    @property
    def origin_ns(self) -> int:
        if self.time_ns is not None:
            return self.time_ns
        return round(self.solution.origin_s * NS_PER_S)

    def put_picks(self, rows: list[Row]) -> bool:
        """Take picks, by id; return whether they differ from those known before."""
        before = rows_of(self.picks) if self.rows is None else self.rows
        self.rows = rows
        if len(before) == len(rows) and all(map(same_row, before, rows)):
            return False
        self.picks = table_of(rows)
        return True

    def put(self, events: pd.DataFrame, arrivals: pd.DataFrame) -> None:
        """Take a location.

        What is asked for often is kept beside the tables, which are packed some time.
        """
        self.events, self.arrivals = events, arrivals
        self.time_ns = int(events["time"].iloc[0].value) if len(events) else None
        self.arrival_ids = frozenset(arrivals["pick_id"])

    def pack(self) -> None:
        """Put the tables away; what was located from the picks is remembered."""
        self.rows = None
        if not self.packed:
            _located_key(self)
            self.digested = None
            if self.arrival_ids == self.solution.pick_ids:
                self.arrival_ids = self.solution.pick_ids
            super().pack()

    @property
    def last_arrival_ns(self) -> int:
        return max((a[2] for a in arrivals_of(self.solution)), default=self.origin_ns)


@dataclass(frozen=True)
class Taken:
    """What a new association changed."""

    changed: list[LiveEvent]
    merged: list[tuple[LiveEvent, LiveEvent]]
    gone: list[LiveEvent]


class LiveEvents:
    """All events that can still change, by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, LiveEvent] = {}
        self.used: set[str] = set()
        self.corrections: dict[str, float] = {}
        self._magnitudes: tuple[dict[str, str], pd.DataFrame] = {}, STATION_MAGNITUDES.empty()

    def magnitudes(self) -> pd.DataFrame:
        """Return the station magnitudes of all events, without corrections."""
        measured = {e.event_id: e.measured for e in self.all() if e.measured}
        before, table = self._magnitudes
        if measured != before:
            same = [name for name, key in measured.items() if before.get(name) == key]
            fresh = [self.by_id[name].raw for name in measured if name not in set(same)]
            table = stack([table[table["event_id"].isin(same)], *fresh], STATION_MAGNITUDES)
            table = table.sort_values("event_id", kind="stable", ignore_index=True)
            self._magnitudes = measured, table
        return table

    def all(self) -> list[LiveEvent]:
        return [e for e in self.by_id.values() if not e.cancelled]

    def solutions(self) -> list[Solution]:
        return [e.solution for e in self.all() if not e.missed]

    def take(
        self,
        span_s: tuple[float, float],
        found: list[Solution],
        picks: Mapping[str, Row],
        *,
        sure: bool = False,
        quick: bool = False,
    ) -> Taken:
        """Put the events of an association in the place of those known in its span.

        Parameters
        ----------
        span_s
            Of origin times, s since 1970.
        found
            Events with an origin there.
        picks
            All picks that these are made of, by id.
        sure
            Whether an event that is not found is gone for good at once.
        quick
            Whether one that is not found stays as long as no other has a pick of it.
        """
        known = [e for e in self.all() if span_s[0] <= e.solution.origin_s < span_s[1]]
        # One outside the span that was missed before may be one of these.
        known += [e for e in self.all() if e.missed and e not in known]
        result = match([arrivals_of(e.solution) for e in known], [arrivals_of(s) for s in found])
        changed, by_solution = [], {}
        for number, other in result.same:
            event, solution = known[number], found[other]
            by_solution[other] = event
            event.missed = 0
            other_picks = event.put_picks([picks[k] for k in sorted(solution.pick_ids)])
            if other_picks or solution.name != event.solution.name:
                changed.append(event)
            event.solution = solution
        for other in result.new:
            solution = found[other]
            rows = [picks[k] for k in sorted(solution.pick_ids)]
            event = LiveEvent(free_id(solution, self.used), solution, table_of(rows), rows=rows)
            self.used.add(event.event_id)
            self.by_id[event.event_id] = by_solution[other] = event
            changed.append(event)
        merged = [(known[n], by_solution[o]) for n, o in result.merged]
        gone = []
        taken = frozenset().union(*(s.pick_ids for s in found))
        for number in result.gone:
            event = known[number]
            if quick and event.solution.pick_ids.isdisjoint(taken):
                continue
            event.missed += 1
            if sure or event.missed >= _MISSED:
                gone.append(event)
        return Taken(changed, merged, gone)

    def rename(self, renamed: dict[str, str]) -> None:
        """Let events know the picks of theirs by new ids; solutions keep what they rest on."""
        if not renamed:
            return
        for event in self.all():
            ids = event.solution.pick_ids
            if not ids.isdisjoint(renamed):
                fresh = frozenset(renamed.get(name, name) for name in ids)
                event.solution = replace(event.solution, pick_ids=fresh)

    def prune(self, before_ns: int) -> None:
        """Forget events before a time."""
        for name in [n for n, e in self.by_id.items() if e.origin_ns < before_ns]:
            del self.by_id[name]
        if len(self.used) > 4 * len(self.by_id) + 1000:
            self.used = set(self.by_id)

    def neighbours(self, event: LiveEvent, seconds: float = 300.0) -> list[LiveEvent]:
        """Return the other events near in time, which may disturb its amplitudes."""
        return [
            e
            for e in self.all()
            if e is not event
            and abs(e.origin_ns - event.origin_ns) <= seconds * NS_PER_S
            and len(e.events)
        ]

    def measure_key(self, event: LiveEvent) -> str:
        near = sorted(f"{e.event_id}:{e.located}" for e in self.neighbours(event))
        return "|".join([event.located, *near])

    def estimate_corrections(self, settings: MagnitudeSettings) -> None:
        """Estimate station corrections from all events that are kept, as a run does at its end."""
        if settings.correction_events:
            self.corrections = estimate_station_corrections(
                self.magnitudes(),
                min_events=settings.correction_events,
                station_sigma=settings.station_sigma,
            )

    def solution_of(self, event: LiveEvent, settings: MagnitudeSettings) -> Catalog:
        """Return the event with its tables, station corrections applied."""
        events, raw = event.events, self._corrected(event)
        if len(raw):
            columns = network_columns(_records(raw), settings)
            events = events.assign(**{k: [v] for k, v in columns.items()})
        return Catalog(
            events=events.assign(**type_columns(events)),
            arrivals=event.arrivals,
            picks=event.picks,
            station_magnitudes=raw,
        )

    def magnitude_of(self, event: LiveEvent, settings: MagnitudeSettings) -> float:
        """Return the magnitude that `solution_of` gives the event."""
        raw = self._corrected(event)
        if len(raw):
            return float(network_columns(_records(raw), settings)["magnitude"])
        return float(event.events["magnitude"].iloc[0])

    def _corrected(self, event: LiveEvent) -> pd.DataFrame:
        """Return the station magnitudes of an event, station corrections applied."""
        raw = event.raw
        if raw.empty:
            return raw
        added = np.array([self.corrections.get(name, 0.0) for name in raw["station"].tolist()])
        return raw.assign(magnitude=raw["magnitude"].to_numpy(float) + added)


def locate_event(event: LiveEvent, locator: NetworkLocator, *, quick: bool = False) -> pd.DataFrame:
    """Locate an event as a run would; return PROBLEMS.

    The id that the run would give it decides the random numbers; the event keeps its own. A quick
    location has fewer posterior samples, so rougher regions, and is to be made again.
    """
    n_samples = min(locator.settings.n_samples, _QUICK_SAMPLES) if quick else None
    found = locator.locate(event.solution.name, _picked(event), n_samples=n_samples)
    if found.row is None:
        event.put(EVENTS.empty(), ARRIVALS.empty())
    else:
        row = found.row | {"event_id": event.event_id}
        if len(event.events):
            row |= {name: event.events[name].iloc[0] for name in _MAGNITUDE}
        times, stations = found.arrivals["time_ns"], found.arrivals["station"]
        order = np.lexsort([stations, times])
        columns = {name: values[order] for name, values in found.arrivals.items()}
        columns["event_id"] = np.full(len(order), event.event_id)
        columns["time"] = pd.to_datetime(columns.pop("time_ns"), unit="ns", utc=True)
        event.put(EVENTS.table([row]), ARRIVALS.table(columns))
    event.located = f"{_located_key(event)}{':quick' if quick else ''}"
    return PROBLEMS.table(found.problems)


def _picked(event: LiveEvent) -> Picked:
    """Return the picks of an event as location takes them."""
    rows = rows_of(event.picks) if event.rows is None else event.rows
    columns = dict(zip(PICKS.names, zip(*rows, strict=True), strict=True))
    return Picked(
        np.array(columns["pick_id"], object),
        np.array(columns["station"], object),
        np.array(columns["phase"], object),
        np.array(columns["time"], np.int64).view("datetime64[ns]"),
        np.array(columns["time_sigma_s"], float),
        np.array(columns["probability"], float),
    )


def needs_location(event: LiveEvent) -> bool:
    """Tell whether an event's picks are not those that it was located from."""
    return event.located != _located_key(event)


def _located_key(event: LiveEvent) -> str:
    if not event.packed and event.digested is not event.picks:
        event.digested, event.digest = event.picks, _digest(event.picks)
    return f"{event.solution.name}:{event.digest}"


def restored(catalog: Catalog) -> list[LiveEvent]:
    """Return the events of a store, to be gone on with."""
    out = []
    picks = catalog.picks.drop_duplicates("pick_id").set_index("pick_id", drop=False)
    for row in catalog.events.itertuples():
        name = str(row.event_id)
        arrivals = catalog.arrivals[catalog.arrivals["event_id"] == name]
        ids = frozenset(arrivals["pick_id"])
        origin_s = row.time.value / NS_PER_S  # type: ignore[union-attr]
        event = LiveEvent(name, Solution(name, origin_s, ids), picks.loc[sorted(ids)])
        mine = catalog.events[catalog.events["event_id"] == name]
        event.put(EVENTS.check(mine), ARRIVALS.check(arrivals))
        event.picks = event.picks.reset_index(drop=True)
        event.published = "restored"
        event.shown_magnitude = float(event.events["magnitude"].iloc[0])
        out.append(event)
    return out


def _digest(picks: pd.DataFrame) -> str:
    """Return a hash of what decides a location, whatever the order of the picks."""
    names = picks["pick_id"].tolist()
    values = zip(names, picks["time_sigma_s"].tolist(), picks["probability"].tolist(), strict=True)
    return hashlib.sha256(repr(sorted(values)).encode()).hexdigest()[:16]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return of station magnitudes what a network magnitude is made of."""
    columns = [table[name].tolist() for name in _OF_STATION]
    return [dict(zip(_OF_STATION, row, strict=True)) for row in zip(*columns, strict=True)]
