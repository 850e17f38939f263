"""The stages of a run, each from tables to tables, cut into units that are kept once done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lithoscope import __version__
from lithoscope.association import associate
from lithoscope.constants import NS_PER_S
from lithoscope.location import Prior, StationTerms, locate
from lithoscope.magnitude import correct_stations, local_magnitudes
from lithoscope.picking import Picker
from lithoscope.pipeline.engine import Engine
from lithoscope.pipeline.pickers import make_picker, picker_key
from lithoscope.pipeline.prior import prior_key
from lithoscope.pipeline.progress import Reporter
from lithoscope.pipeline.rundir import RunDirectory, Tables, content_key
from lithoscope.pipeline.settings import RunSettings
from lithoscope.pipeline.tables import joined, ordered, stack
from lithoscope.pipeline.units import do_units, load_units
from lithoscope.schema import (
    ARRIVALS,
    ASSIGNMENTS,
    CANDIDATES,
    CHANNELS,
    DETECTIONS,
    EVENTS,
    PICKS,
    PROBLEMS,
    STATION_MAGNITUDES,
    Schema,
)
from lithoscope.stations import Inventory
from lithoscope.traveltimes import VelocityModel
from lithoscope.waveforms import Archive, Record, read_records

DAY_NS = 86_400 * NS_PER_S
# A unit is read and picked in blocks of this length: they bound memory and change no pick.
BLOCK_NS = 3 * 3600 * NS_PER_S
# Candidates are located and measured in groups: small enough to lose little work in a kill, large
# enough to pay for what each group needs (travel-time tables to locate, files to measure).
LOCATED_A_UNIT = 500
MEASURED_A_UNIT = 20
# An earlier event this long before can still disturb an amplitude.
OVERLAP = pd.Timedelta(seconds=300)


@dataclass(frozen=True)
class Context:
    """What every stage of one run shares."""

    directory: RunDirectory
    engine: Engine
    reporter: Reporter
    settings: RunSettings
    archive: Archive
    inventory: Inventory
    sites: pd.DataFrame
    model: VelocityModel
    picker: Picker
    prior: Prior | None = None
    used: dict[str, set[str]] = field(default_factory=dict)

    def key(self, stage: str, *parts: object) -> str:
        """Return the key of a unit and remember that this run uses it."""
        key = content_key(stage, __version__, *parts)
        self.used.setdefault(stage, set()).add(key)
        return key


@dataclass(frozen=True)
class PickUnit:
    """One station and one UTC day."""

    station: str
    start_ns: int
    end_ns: int


def pick_units(archive: Archive, stations: Sequence[str]) -> list[PickUnit]:
    """Cut the archive by station and UTC day; the cuts do not depend on how files are cut."""
    units = []
    for station in stations:
        first, last = archive.span_ns(station)
        for day in range(first // DAY_NS, last // DAY_NS + 1):
            units.append(PickUnit(station, day * DAY_NS, (day + 1) * DAY_NS))
    return units


def pick_stage(context: Context) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Pick every station; return PICKS, DETECTIONS and PROBLEMS."""
    margin = round(context.picker.context_s * NS_PER_S)
    common = (
        picker_key(context.settings.picking, context.picker),
        context.settings.waveforms.model_dump(mode="json"),
    )
    keys: dict[PickUnit, str] = {}
    for unit in pick_units(context.archive, list(context.sites["station"])):
        content = context.archive.digest(unit.station, unit.start_ns - margin, unit.end_ns + margin)
        channels = _channels_of(context.inventory, unit.station)
        keys[unit] = context.key(
            "pick", unit.station, unit.start_ns, content, channels.to_csv(), *common
        )
    todo = [u for u, key in keys.items() if not context.directory.has("pick", key)]
    if len(todo) < len(keys):
        context.reporter.say(f"picking: {len(keys) - len(todo)} of {len(keys)} units already done")
    shared = (context.archive, context.inventory.channels, context.settings)
    with context.reporter.track("picking", len(todo)) as step:
        units = {keys[unit]: unit for unit in todo}
        for _ in do_units(context.engine, context.directory, "pick", pick_unit, shared, units):
            step()
    loaded = load_units(context.directory, "pick", keys.values())
    return (
        ordered(_gather(loaded, "picks", PICKS), ["time", "station", "phase"]),
        ordered(_gather(loaded, "detections", DETECTIONS), ["starttime", "station"]),
        _gather(loaded, "problems", PROBLEMS),
    )


def pick_unit(shared: Any, unit: PickUnit) -> Tables:
    """Pick a station in a span of time; ``shared`` is (archive, CHANNELS, settings)."""
    archive, channels, settings = shared
    picker = make_picker(settings.picking)
    margin = round(picker.context_s * NS_PER_S)
    picks, detections, problems = [], [], []
    for block in _blocks(unit, *archive.span_ns(unit.station)):
        records, found = read_records(
            archive,
            unit.station,
            block.start_ns - margin,
            block.end_ns + margin,
            channels=channels,
            settings=settings.waveforms,
        )
        problems.append(found)
        while records:  # each is let go once it is picked
            record = records.pop(0)
            if record.endtime_ns < block.start_ns or record.starttime_ns >= block.end_ns:
                continue
            reason = picker.unusable(record)
            if reason is not None:
                problems.append(PROBLEMS.table([_unusable_row(record, reason)]))
                continue
            onsets, heard = picker.pick(record)
            picks.append(_within(onsets, "time", block))
            detections.append(_within(heard, "starttime", block))
    return {
        "picks": stack(picks, PICKS),
        "detections": stack(detections, DETECTIONS),
        "problems": joined(stack(problems, PROBLEMS)),
    }


def _blocks(unit: PickUnit, first_ns: int, last_ns: int) -> Iterator[PickUnit]:
    """Cut a unit at multiples of `BLOCK_NS`; blocks without data are left out."""
    for start in range(unit.start_ns, unit.end_ns, BLOCK_NS):
        end = min(start + BLOCK_NS, unit.end_ns)
        if start <= last_ns and end > first_ns:
            yield PickUnit(unit.station, start, end)


def _unusable_row(record: Record, reason: str) -> dict[str, Any]:
    return {
        "what": record.station,
        "problem": "cannot be picked",
        "detail": reason,
        "action": "skipped",
        "starttime": pd.Timestamp(record.starttime_ns, tz="UTC"),
        "endtime": pd.Timestamp(record.endtime_ns, tz="UTC"),
    }


def _within(table: pd.DataFrame, column: str, unit: PickUnit) -> pd.DataFrame:
    moments = table[column].astype("int64")
    return table[(moments >= unit.start_ns) & (moments < unit.end_ns)]


def associate_stage(context: Context, picks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return CANDIDATES and ASSIGNMENTS."""
    settings = context.settings.association
    key = context.key(
        "associate", picks, context.sites, repr(context.model), settings.model_dump(mode="json")
    )

    def compute() -> Tables:
        found = associate(picks, context.sites, context.model, settings)
        return {"candidates": found.candidates, "assignments": found.assignments}

    tables = context.directory.cached("associate", key, compute)
    return CANDIDATES.check(tables["candidates"]), ASSIGNMENTS.check(tables["assignments"])


def _event_groups(events: pd.DataFrame, size: int) -> list[list[str]]:
    ordered = list(events.sort_values(["time", "event_id"])["event_id"])
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def locate_stage(
    context: Context,
    candidates: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    terms: StationTerms | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return EVENTS, ARRIVALS and the PROBLEMS of events that could not be located."""
    units: dict[int, tuple[pd.DataFrame, pd.DataFrame]] = {}
    keys: dict[int, str] = {}
    same_terms = "none" if terms is None else content_key(*terms.to_tables().values())
    for number, group in enumerate(_event_groups(candidates, LOCATED_A_UNIT)):
        mine = assignments[assignments["event_id"].isin(group)].reset_index(drop=True)
        theirs = picks[picks["pick_id"].isin(mine["pick_id"])].reset_index(drop=True)
        units[number] = (mine, theirs)
        keys[number] = context.key(
            "locate",
            mine,
            theirs,
            context.sites,
            repr(context.model),
            prior_key(context.settings.prior),
            context.settings.location.model_dump(mode="json"),
            same_terms,
        )
    shared = (context.sites, context.model, context.settings.location, context.prior, terms)
    loaded = _run_units(context, "locate", keys, units, _locate_unit, shared)
    return (
        ordered(_gather(loaded, "events", EVENTS), ["time", "event_id"]),
        ordered(_gather(loaded, "arrivals", ARRIVALS), ["event_id", "time", "station"]),
        _gather(loaded, "problems", PROBLEMS),
    )


def _locate_unit(shared: Any, numbered: tuple[int, tuple[pd.DataFrame, pd.DataFrame]]) -> Tables:
    sites, model, settings, prior, terms = shared
    _, (assignments, picks) = numbered
    if terms is None:
        settings = settings.model_copy(update={"station_terms": "none"})
    located = locate(assignments, picks, sites, model, settings, prior=prior, terms=terms)
    return {
        "events": located.events,
        "arrivals": located.arrivals,
        "problems": located.problems,
    }


def magnitude_stage(
    context: Context, events: pd.DataFrame, arrivals: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return EVENTS with magnitudes, and STATION_MAGNITUDES."""
    units: dict[int, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = {}
    keys: dict[int, str] = {}
    waveforms = {
        station: context.archive.digest(station, *context.archive.span_ns(station))
        for station in context.archive.stations()
    }
    for number, group in enumerate(_event_groups(events, MEASURED_A_UNIT)):
        mine = events[events["event_id"].isin(group)].reset_index(drop=True)
        theirs = arrivals[arrivals["event_id"].isin(group)].reset_index(drop=True)
        others = _near_in_time(events, mine)
        units[number] = (mine, theirs, others)
        keys[number] = context.key(
            "magnitude",
            mine,
            theirs,
            others,
            waveforms,
            context.inventory.stations.to_csv(),
            context.inventory.channels.to_csv(),
            context.settings.magnitude.model_dump(mode="json"),
        )
    shared = (context.archive, context.inventory, context.settings)
    loaded = _run_units(context, "magnitude", keys, units, _magnitude_unit, shared)
    return correct_stations(
        ordered(_gather(loaded, "events", EVENTS), ["time", "event_id"]),
        ordered(_gather(loaded, "magnitudes", STATION_MAGNITUDES), ["event_id", "station"]),
        context.settings.magnitude,
    )


def _near_in_time(events: pd.DataFrame, group: pd.DataFrame) -> pd.DataFrame:
    """Return the events whose waves may reach into a group's windows, those of the group too."""
    low, high = group["time"].min() - OVERLAP, group["time"].max() + OVERLAP
    near = (events["time"] >= low) & (events["time"] <= high)
    return events[near].reset_index(drop=True)


def _magnitude_unit(
    shared: Any, numbered: tuple[int, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]
) -> Tables:
    archive, inventory, settings = shared
    _, (events, arrivals, others) = numbered
    reader = ArchiveReader(archive, inventory.channels, settings)
    events, magnitudes = local_magnitudes(
        events, arrivals, inventory, reader, settings.magnitude, others=others
    )
    return {"events": events, "magnitudes": magnitudes}


@dataclass(frozen=True)
class ArchiveReader:
    """Read windows of an archive: station, start and end (ns since 1970) to records."""

    archive: Archive
    channels: pd.DataFrame
    settings: RunSettings

    def __call__(self, station: str, start_ns: int, end_ns: int) -> list[Record]:
        records, _ = read_records(
            self.archive,
            station,
            start_ns,
            end_ns,
            channels=self.channels,
            settings=self.settings.waveforms,
        )
        return records


def _run_units(
    context: Context,
    stage: str,
    keys: dict[int, str],
    units: dict[int, Any],
    function: Any,
    shared: Any,
) -> list[Tables]:
    todo = {k: (n, units[n]) for n, k in keys.items() if not context.directory.has(stage, k)}
    with context.reporter.track(stage, len(todo)) as step:
        for _ in do_units(context.engine, context.directory, stage, function, shared, todo):
            step()
    return load_units(context.directory, stage, keys.values())


def _channels_of(inventory: Inventory, station: str) -> pd.DataFrame:
    rows = inventory.channels[inventory.channels["station"] == station]
    return CHANNELS.check(rows)


def _gather(loaded: list[Tables], name: str, schema: Schema) -> pd.DataFrame:
    return stack([tables[name] for tables in loaded if name in tables], schema)


def site_positions(inventory: Inventory, stations: Sequence[str], moment_ns: int) -> pd.DataFrame:
    """Return one STATIONS row for each station that has coordinates at the given time."""
    moment = pd.Timestamp(np.int64(moment_ns), unit="ns", tz="UTC")
    table = inventory.stations
    table = table[table["station"].isin(set(stations))]
    valid = (table["starttime"].isna() | (table["starttime"] <= moment)) & (
        table["endtime"].isna() | (table["endtime"] >= moment)
    )
    return table[valid].drop_duplicates("station").sort_values("station").reset_index(drop=True)
