"""What the stages of a run take on a part of its data, measured in a process like a worker."""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.catalog import Catalog, Store
from lithoscope.classification import classify
from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.engine import LocalEngine
from lithoscope.pipeline.pickers import make_picker
from lithoscope.pipeline.prior import build_prior
from lithoscope.pipeline.progress import Silent
from lithoscope.pipeline.run import publish, velocity_model
from lithoscope.pipeline.rundir import RunDirectory
from lithoscope.pipeline.runlog import LOG_NAME, RunLog
from lithoscope.pipeline.settings import RunSettings
from lithoscope.pipeline.spans import Span, merged, total
from lithoscope.pipeline.stages import (
    Context,
    PickUnit,
    associate_stage,
    locate_stage,
    magnitude_stage,
    pick_unit,
)
from lithoscope.pipeline.tables import ordered, stack
from lithoscope.pipeline.terms import terms_stage
from lithoscope.schema import DETECTIONS, PICKS, PROBLEMS
from lithoscope.stations import Inventory
from lithoscope.waveforms import Archive

_HOUR_NS = 3600 * NS_PER_S
_WARM_NS = 600 * NS_PER_S


@dataclass(frozen=True)
class Job:
    """What to measure on: the archive, its largest unit of picking, and windows of all stations."""

    archive: Archive
    inventory: Inventory
    sites: pd.DataFrame
    settings: RunSettings
    largest: PickUnit
    budget_s: float
    n_windows: int
    shortest_window_s: float


@dataclass(frozen=True)
class Measured:
    """CPU seconds (``..._once_s`` in each process, the others on the windows), hours, memory."""

    loading_s: float
    picker_s: float
    s_an_hour: float
    unit_hours: float
    window_hours: float
    n_picks: int
    n_events: int
    associate_once_s: float
    associate_s: float
    locate_once_s: float
    locate_s: float
    magnitude_s: float
    publish_s: float
    peak_gb: float
    leader_gb: float


class _Clock:
    """CPU seconds since it was last asked."""

    def __init__(self) -> None:
        self._last = time.process_time()

    def __call__(self) -> float:
        now = time.process_time()
        since, self._last = now - self._last, now
        return since


def measure(job: Job, _: Any) -> Measured:
    """Pick the largest unit and all stations in windows; run the later stages on these.

    The first picks and the first event load models and build tables; they count apart.
    """
    loading_s = time.process_time()
    clock = _Clock()
    shared = (job.archive, job.inventory.channels, job.settings)
    unit = job.largest
    first = _first_data(job.archive, unit)
    pick_unit(shared, replace(unit, start_ns=first, end_ns=min(first + _WARM_NS, unit.end_ns)))
    picker_s = clock()
    pick_unit(shared, unit)
    unit_s = clock()
    unit_hours = _hours(job.archive, unit)
    peak_gb = _peak_gb()
    windows = _windows(job, unit_s / max(unit_hours, 1e-9))
    parts = [
        replace(unit, station=station, start_ns=start, end_ns=end)
        for start, end in windows
        for station in job.sites["station"]
    ]
    picks = [pick_unit(shared, part)["picks"] for part in parts]
    window_s = clock()
    window_hours = sum(_hours(job.archive, part) for part in parts)
    table = ordered(stack(picks, PICKS), ["time", "station", "phase"])
    later = _later_stages(job, table)
    return Measured(
        loading_s=loading_s,
        picker_s=picker_s,
        s_an_hour=(unit_s + window_s) / max(unit_hours + window_hours, 1e-9),
        unit_hours=unit_hours,
        window_hours=window_hours,
        n_picks=len(table),
        peak_gb=max(peak_gb, _peak_gb()),
        leader_gb=_peak_gb(),
        **later,
    )


def _later_stages(job: Job, picks: pd.DataFrame) -> dict[str, Any]:
    """Run association to report on picks, without keeping anything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        context = Context(
            directory=RunDirectory(folder),
            engine=LocalEngine(1),
            reporter=Silent(),
            settings=job.settings,
            archive=job.archive,
            inventory=job.inventory,
            sites=job.sites,
            model=velocity_model(job.settings.model),
            picker=make_picker(job.settings.picking),
            prior=build_prior(job.settings.prior),
        )
        context.directory.write_marker({})
        clock = _Clock()
        # A part first: it loads compiled code and builds tables, whose cost does not grow.
        part = picks.head(max(len(picks) // 4, 1))
        associate_stage(context, part)
        part_s = clock()
        candidates, assignments = associate_stage(context, picks)
        whole_s = clock()
        once_s = max(part_s - whole_s * len(part) / max(len(picks), 1), 0.0)
        found: dict[str, Any] = {"associate_once_s": once_s, "associate_s": whole_s}
        locate_stage(context, candidates.head(1), assignments, picks)
        found["locate_once_s"] = clock()
        terms = terms_stage(context, assignments, picks)
        events, arrivals, _ = locate_stage(context, candidates, assignments, picks, terms)
        found["locate_s"] = clock()
        events, magnitudes = magnitude_stage(context, events, arrivals)
        found["magnitude_s"] = clock()
        log = RunLog(folder / LOG_NAME, Silent())
        catalog = Catalog(
            events=classify(events),
            arrivals=arrivals,
            picks=picks,
            detections=DETECTIONS.empty(),
            station_magnitudes=magnitudes,
            stations=job.sites,
            problems=PROBLEMS.empty(),
        )
        with Store(f"sqlite:///{folder / 'catalogue.sqlite'}") as store:
            store.write(catalog)
        publish(context, catalog, None, log)
        return {**found, "publish_s": clock(), "n_events": len(events)}


def _windows(job: Job, s_an_hour: float) -> list[Span]:
    """Return times in which all stations are picked: everything if the budget allows it."""
    first, last = job.archive.span_ns()
    end = last + 1
    stations = list(job.sites["station"])
    affordable = job.budget_s / max(s_an_hour, 1e-6) * _HOUR_NS  # ns of one station
    length = round(max(affordable / len(stations) / job.n_windows, job.shortest_window_s * 1e9))
    if length * job.n_windows >= end - first:
        return [(first, end)]
    # Evenly spread, each in the middle of its part of the time.
    step = (end - first) / job.n_windows
    starts = [first + round((i + 0.5) * step - length / 2) for i in range(job.n_windows)]
    return [(start, start + length) for start in starts]


def _hours(archive: Archive, part: PickUnit) -> float:
    """Return the hours of a part in which any component has data."""
    rows = archive.of_station(part.station)
    spans = [
        (max(start, part.start_ns), min(end, part.end_ns))
        for start, end in zip(rows["starttime_ns"], rows["endtime_ns"], strict=True)
    ]
    return total(merged(spans)) / _HOUR_NS


def _first_data(archive: Archive, unit: PickUnit) -> int:
    rows = archive.of_station(unit.station)
    rows = rows[(rows["endtime_ns"] > unit.start_ns) & (rows["starttime_ns"] < unit.end_ns)]
    return max(int(rows["starttime_ns"].min()), unit.start_ns)


def _peak_gb() -> float:
    """Return the largest memory of this process so far (Linux counts in kB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
