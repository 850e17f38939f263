"""What a plan counts is exact; what it expects to take is near what the run takes."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from dask_cluster import run_command
from synthetic_archive import DURATION_S, SyntheticArchive, make

from lithoscope.pipeline.measure import Job, Measured, _windows
from lithoscope.pipeline.plan import _stages, recorded_hours
from lithoscope.pipeline.settings import RunSettings
from lithoscope.pipeline.spans import merged, total, without
from lithoscope.pipeline.stages import PickUnit
from lithoscope.schema import PROBLEMS
from lithoscope.waveforms import Archive, index_archive

N_STATIONS = 6


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SyntheticArchive:
    return make(tmp_path_factory.mktemp("network"), n_stations=N_STATIONS)


def cpu_of(words: list[str]) -> tuple[str, float]:
    """Return the output of a command, and the CPU seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_counts_are_exact_and_the_cost_is_near(archive: SyntheticArchive, tmp_path: Path) -> None:
    one = ("--workers", "1", "--json")
    cpu_of(run_command(archive, tmp_path / "warm", *one))  # compiles what is not yet in its cache
    text, _ = cpu_of(run_command(archive, tmp_path / "run", *one, "--plan"))
    assert not (tmp_path / "run").exists()
    plan = json.loads(text)
    assert plan["n_stations"] == plan["n_units"] == N_STATIONS
    assert plan["station_hours"] == pytest.approx(N_STATIONS * DURATION_S / 3600, rel=1e-4)
    assert plan["n_bytes"] == sum(p.stat().st_size for p in archive.waveforms.glob("*.mseed"))
    assert [s["stage"] for s in plan["stages"]][1:5] == ["pick", "associate", "locate", "magnitude"]
    assert plan["n_events"] == pytest.approx(4, abs=1)  # all of the data were looked at
    assert 0.1 < plan["worker_gb"] < 2.0
    _, cpu_s = cpu_of(run_command(archive, tmp_path / "run", *one))
    # Most of so short a run is loading libraries, which takes half as long again when caches of
    # the processor are shared with other work.
    assert cpu_s / 2 < plan["cpu_s"] < cpu_s * 2


def test_hours_count_once_what_overlaps(archive: SyntheticArchive) -> None:
    index = index_archive([archive.waveforms])
    station = index.stations()[0]
    once = recorded_hours(index, station)
    twice = Archive(pd.concat([index.segments, index.segments]), PROBLEMS.empty())
    assert recorded_hours(twice, station) == once == pytest.approx(DURATION_S / 3600, rel=1e-4)


def test_windows_are_spread_and_within_the_budget(archive: SyntheticArchive) -> None:
    index = index_archive([archive.waveforms])
    first, last = index.span_ns()
    sites = pd.DataFrame({"station": index.stations()})

    def windows(budget_s: float, shortest_s: float) -> list[tuple[int, int]]:
        largest = PickUnit(index.stations()[0], first, last)
        settings = RunSettings()
        job = Job(index, None, sites, settings, largest, budget_s, 3, shortest_s)  # type: ignore[arg-type]
        return _windows(job, 36.0)  # 36 s an hour

    assert windows(1000.0, 10.0) == [(first, last + 1)]  # all of it takes 36 s
    part = windows(6.0, 10.0)  # 600 s of one station: 100 s of six, in three windows
    lengths = [(end - start) / 1e9 for start, end in part]
    assert lengths == pytest.approx([100 / 3] * 3, rel=1e-6)
    assert part[0][0] - first == pytest.approx(last - part[2][1], abs=2)
    assert windows(6.0, 120.0)[0][1] - windows(6.0, 120.0)[0][0] == 120 * 10**9


def test_costs_grow_with_the_work_and_are_shared_by_workers() -> None:
    seen = Measured(
        loading_s=3.0,
        picker_s=0.5,
        s_an_hour=0.2,
        unit_hours=1.0,
        window_hours=10.0,
        n_picks=500,
        n_events=60,
        associate_once_s=1.0,
        associate_s=2.0,
        locate_once_s=4.0,
        locate_s=6.0,
        magnitude_s=12.0,
        publish_s=1.0,
        peak_gb=0.4,
        leader_gb=0.5,
    )
    costs = {}
    for parallel in (1, 2):
        # 1000 hours, a hundred times the windows: 6000 events.
        table, n_events = _stages(seen, 1000.0, 100.0, 50, parallel, 7.0)
        costs[parallel] = table.set_index("stage")
        assert n_events == 6000
    one, two = costs[1], costs[2]
    assert one.loc["pick", ["cpu_s", "wall_s"]].tolist() == pytest.approx([200.5, 200.5])
    # Two workers load the libraries (once for all stages) and the picker each, and share the work.
    assert two.loc["pick", ["cpu_s", "wall_s"]].tolist() == pytest.approx([207.0, 103.5])
    assert two.loc["associate", "wall_s"] == one.loc["associate", "wall_s"] == 201.0
    assert one.loc["locate", ["units", "wall_s"]].tolist() == pytest.approx([12, 604.0])
    assert two.loc["magnitude", ["units", "wall_s"]].tolist() == pytest.approx([300, 600.0])
    assert two.loc["start and headers", "wall_s"] == 10.0


def test_spans() -> None:
    assert merged([(5, 7), (0, 2), (2, 3), (6, 6), (6, 9)]) == [(0, 3), (5, 9)]
    assert without([(0, 10)], [(2, 3), (5, 20), (-5, 1)]) == [(1, 2), (3, 5)]
    assert without([(0, 10)], [(0, 10)]) == []
    assert without([(0, 4), (6, 8)], []) == [(0, 4), (6, 8)]
    assert total([(0, 4), (2, 8), (10, 11)]) == 9
