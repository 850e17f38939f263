"""A whole run: accuracy against a reference beside CPU seconds, wall time and memory.

    python benchmarks/whole_run.py [--small] [--case NAME] [--workers N]

Real recordings are read from LITHOSCOPE_DATA (default ../shared/data). ``--small`` takes a
synthetic archive instead (6 stations, 10 minutes, seed 7), whose truth is the reference. A run on
that archive comes first, so that compiled code is loaded from its cache. CPU seconds are those of
this process and its workers, from reading headers to the exports; without the report.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "pipeline"))

from real_runs import CASES, case_settings  # noqa: E402
from synthetic_archive import DURATION_S, START, make  # noqa: E402

from lithoscope.catalog import Comparison, compare, read_reference  # noqa: E402
from lithoscope.constants import NS_PER_S  # noqa: E402
from lithoscope.pipeline import RunSettings, run  # noqa: E402
from lithoscope.waveforms import index_archive  # noqa: E402

DATA = Path(os.environ.get("LITHOSCOPE_DATA", ROOT.parent / "shared" / "data"))
REFERENCES = {
    "ridgecrest": ("reference/scsn_to_1733.tsv", 2.0),
    "iceland": ("reference_events.csv", 1.0),
}
DISTANCE_KM = 5.0


@dataclass(frozen=True)
class Job:
    """What to run, and what to compare it with."""

    name: str
    waveforms: Path
    stations: Path
    settings: RunSettings
    reference: pd.DataFrame
    time_s: float
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    cpu_s: float
    wall_s: float
    own_gb: float
    worker_gb: float


def synthetic_job(folder: Path) -> Job:
    """Return the synthetic archive as a job."""
    archive = make(folder)
    start = pd.Timestamp(START)
    return Job(
        "synthetic",
        archive.waveforms,
        archive.stations,
        RunSettings(),
        archive.events,
        2.0,
        (start, start + pd.Timedelta(seconds=DURATION_S)),
    )


def real_job(name: str) -> Job:
    """Return real recordings as a job."""
    case = CASES[name]
    folder = DATA / case.folder
    if not folder.is_dir():
        raise SystemExit(f"real data not found: {folder} (set LITHOSCOPE_DATA, or use --small)")
    file, time_s = REFERENCES[name]
    return Job(
        name,
        folder / case.waveforms,
        folder / case.stations,
        case_settings(case, folder),
        read_reference(folder / file),
        time_s,
    )


def measure(job: Job, output: Path, workers: int) -> tuple[pd.DataFrame, Cost]:
    """Run a job; return its events and what it took."""
    settings = job.settings.model_copy(
        update={
            "engine": job.settings.engine.model_copy(update={"workers": workers}),
            "output": job.settings.output.model_copy(update={"report": False}),
        }
    )
    cpu, wall = _cpu_s(), time.monotonic()
    result = run([job.waveforms], [job.stations], output, settings)
    cost = Cost(
        _cpu_s() - cpu,
        time.monotonic() - wall,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
    )
    return result.catalog.events, cost


def _cpu_s() -> float:
    every = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in every)


def station_hours(waveforms: Path) -> tuple[int, float]:
    """Return the number of stations and the hours of data, summed over stations."""
    archive = index_archive([waveforms])
    spans = [archive.span_ns(station) for station in archive.stations()]
    return len(spans), sum(end - start for start, end in spans) / NS_PER_S / 3600


def print_accuracy(found: Comparison, n_events: int) -> None:
    """Print matched, missed and new events and the median differences."""
    print(
        f"accuracy  {len(found.matched)} matched, {len(found.missed)} missed, {len(found.new)} "
        f"new, {len(found.outside)} outside the reference's time; {n_events} events in all "
        f"(pairs within {found.time_s:g} s and {found.distance_km:g} km)"
    )
    if len(found.matched):
        matched = found.matched
        sizes = matched["magnitude_difference"].dropna().abs()
        size = f"{np.median(sizes):.2f} ({len(sizes)} events)" if len(sizes) else "none"
        print(
            f"          median absolute difference: time "
            f"{matched['time_difference_s'].abs().median():.2f} s, epicentre "
            f"{matched['distance_km'].median():.2f} km, depth "
            f"{matched['depth_difference_km'].abs().median():.2f} km, magnitude {size}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="synthetic archive, 1 station-hour")
    parser.add_argument("--case", choices=sorted(REFERENCES), default="ridgecrest")
    parser.add_argument("--workers", type=int, help="default 2, with --small 1")
    options = parser.parse_args(arguments)
    workers = options.workers or (1 if options.small else 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = synthetic_job(folder / "synthetic")
        if options.small:
            job = small
        else:
            job = real_job(options.case)
            measure(small, folder / "warm", workers)
        events, cost = measure(job, folder / "run", workers)
        n_stations, hours = station_hours(job.waveforms)
    found = compare(
        events, job.reference, time_s=job.time_s, distance_km=DISTANCE_KM, span=job.span
    )
    print(
        f"{job.name}: {n_stations} stations, {hours:.1f} station-hours, {workers} "
        f"worker(s), Python {platform.python_version()}, numpy {np.__version__}"
    )
    print_accuracy(found, len(events))
    print(
        f"time      {cost.cpu_s:.1f} CPU s in all, {cost.cpu_s / hours:.2f} CPU s per "
        f"station-hour; wall {cost.wall_s:.1f} s, {cost.wall_s / hours:.2f} s per station-hour"
    )
    print(
        f"memory    peak {cost.own_gb:.2f} GB in this process, {cost.worker_gb:.2f} GB in the "
        f"largest worker"
    )


if __name__ == "__main__":
    main()
