"""`run --plan`: what a run would do and cost, from a short calibration on the data themselves."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.engine import LocalEngine
from lithoscope.pipeline.measure import Job, Measured, measure
from lithoscope.pipeline.progress import Reporter, Silent
from lithoscope.pipeline.run import prepare
from lithoscope.pipeline.settings import RunSettings
from lithoscope.pipeline.spans import merged, total
from lithoscope.pipeline.stages import LOCATED_A_UNIT, MEASURED_A_UNIT, PickUnit, pick_units
from lithoscope.waveforms import Archive
from lithoscope.waveforms.remote import file_size

#: CPU seconds that the calibration may take for picking, beside loading what a worker needs.
BUDGET_S = 20.0
#: Windows in which the whole network is looked at, and the shortest one (s).
N_WINDOWS = 3
SHORTEST_WINDOW_S = 600.0
_HOUR_NS = 3600 * NS_PER_S


@dataclass(frozen=True)
class Plan:
    """What a run would do, and what it would take.

    Attributes
    ----------
    stages
        One row a stage: stage, units, cpu_s (all processes), wall_s (with idle cores), basis.
    calibrated_hours
        Station-hours that the calibration picked.
    worker_gb, client_gb
        Largest memory of one worker and of the process that leads, GB (10^9 bytes).
    """

    n_stations: int
    n_units: int
    station_hours: float
    n_bytes: int
    n_events: float
    workers: int
    cores: int
    calibrated_hours: float
    worker_gb: float
    client_gb: float
    stages: pd.DataFrame

    @property
    def cpu_s(self) -> float:
        return float(self.stages["cpu_s"].sum())

    @property
    def wall_s(self) -> float:
        return float(self.stages["wall_s"].sum())

    def as_dict(self) -> dict[str, Any]:
        """Return everything for machines."""
        values = {k: v for k, v in asdict(self).items() if k != "stages"}
        stages = self.stages.to_dict("records")
        return {**values, "cpu_s": self.cpu_s, "wall_s": self.wall_s, "stages": stages}


def plan(
    sources: Sequence[Path | str],
    stations: Sequence[Path],
    settings: RunSettings,
    *,
    reporter: Reporter | None = None,
    budget_s: float = BUDGET_S,
) -> Plan:
    """Say what a run would do and cost, without running it.

    The headers of all files are read. Then a process like a worker picks the unit with most data
    (its memory counts as a worker's), and all stations in a few short windows spread over the
    data, on which the later stages run too. Costs grow with the station-hours; the events in the
    windows stand for those of the whole time, so a swarm elsewhere is not foreseen.

    Parameters
    ----------
    sources, stations, settings
        As for `run`.
    reporter
        Receives messages.
    budget_s
        CPU seconds for picking in the calibration; short data are picked whole.

    Raises
    ------
    LithoscopeError
        As `run` does before it begins its work.
    """
    reporter = reporter or Silent()
    started = time.process_time()
    reporter.say("reading headers")
    archive, inventory, sites, _ = prepare([str(s) for s in sources], stations, settings)
    index_s = time.process_time() - started
    names = list(sites["station"])
    hours = {name: recorded_hours(archive, name) for name in names}
    units = pick_units(archive, names)
    largest = max(units, key=lambda unit: _samples(archive, unit))
    reporter.say(f"calibrating on a part of {sum(hours.values()):.1f} station-hours")
    job = Job(archive, inventory, sites, settings, largest, budget_s, N_WINDOWS, SHORTEST_WINDOW_S)
    measured: Measured = LocalEngine(1).apart(measure, job, None)
    n_bytes = sum(
        file_size(path)
        for path in archive.segments[archive.segments["station"].isin(names)]["path"].unique()
    )
    workers, cores = settings.engine.workers, len(os.sched_getaffinity(0))
    factor = sum(hours.values()) / max(measured.window_hours, 1e-9)
    stages, n_events = _stages(
        measured, sum(hours.values()), factor, len(units), min(workers, cores), index_s
    )
    return Plan(
        n_stations=len(names),
        n_units=len(units),
        station_hours=sum(hours.values()),
        n_bytes=n_bytes,
        n_events=n_events,
        workers=workers,
        cores=cores,
        calibrated_hours=measured.unit_hours + measured.window_hours,
        worker_gb=measured.peak_gb,
        client_gb=measured.leader_gb,
        stages=stages,
    )


def _stages(
    m: Measured, hours: float, factor: float, n_units: int, parallel: int, index_s: float
) -> tuple[pd.DataFrame, float]:
    """Return the cost of each stage, and the events to expect."""
    n_events = m.n_events * factor
    located = max(math.ceil(n_events / LOCATED_A_UNIT), 1)
    sized = max(math.ceil(n_events / MEASURED_A_UNIT), 1)
    rows: list[dict[str, Any]] = []
    # With one worker, or one unit, the leading process does the work and starts no other.
    spread = [name for name, n in (("pick", n_units), ("magnitude", sized)) if n > 1]
    starting = spread[0] if spread and parallel > 1 else ""

    def add(name: str, n: int, once_s: float, work_s: float, basis: str) -> None:
        """Add a stage: ``once_s`` in each process that takes part, ``work_s`` in all."""
        taking_part = min(parallel, n) if n > 1 else 1
        once_s += m.loading_s if name == starting else 0.0
        rows.append(
            {
                "stage": name,
                "units": n,
                "cpu_s": once_s * taking_part + work_s,
                "wall_s": once_s + work_s / taking_part,
                "basis": basis,
            }
        )

    add("start and headers", 1, m.loading_s + index_s, 0.0, "measured")
    add(
        "pick",
        n_units,
        m.picker_s,
        m.s_an_hour * hours,
        f"{m.s_an_hour:.3f} CPU s a station-hour",
    )
    add("associate", 1, m.associate_once_s, m.associate_s * factor, f"{m.n_picks} picks looked at")
    each = f"{m.n_events} events looked at"
    add(
        "locate",
        located,
        m.locate_once_s,
        m.locate_s * factor,
        each,
    )
    add("magnitude", sized, 0.0, m.magnitude_s * factor, each)
    add("store, exports, report", 1, m.publish_s, 0.0, "measured on the windows")
    return pd.DataFrame(rows), n_events


def recorded_hours(archive: Archive, station: str) -> float:
    """Return the hours in which any component of a station has data."""
    rows = archive.of_station(station)
    ends = rows["endtime_ns"] + (NS_PER_S / rows["sampling_rate_hz"]).astype("int64")
    return total(merged(zip(rows["starttime_ns"], ends, strict=True))) / _HOUR_NS


def _samples(archive: Archive, unit: PickUnit) -> float:
    """Return how many samples a unit has, of all components."""
    rows = archive.of_station(unit.station)
    start = rows["starttime_ns"].clip(lower=unit.start_ns)
    end = rows["endtime_ns"].clip(upper=unit.end_ns)
    seconds = ((end - start) / NS_PER_S).clip(lower=0.0)
    return float((seconds * rows["sampling_rate_hz"]).sum())
