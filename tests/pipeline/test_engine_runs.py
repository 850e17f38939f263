"""Whole runs on a Dask cluster, with a worker or the client killed, equal those of one process."""

from __future__ import annotations

import operator
import subprocess
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from dask_cluster import Cluster, finished, run_command, wait_for
from synthetic_archive import SyntheticArchive, make

from lithoscope.catalog import Catalog
from lithoscope.errors import LithoscopeError
from lithoscope.pipeline import RunSettings, open_run, run
from lithoscope.pipeline.engine import make_engine
from lithoscope.pipeline.rundir import RunDirectory

N_STATIONS = 8
TABLES = ("events", "arrivals", "picks", "detections", "station_magnitudes", "stations", "problems")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SyntheticArchive:
    return make(tmp_path_factory.mktemp("network"), n_stations=N_STATIONS)


@pytest.fixture(scope="module")
def local(archive: SyntheticArchive, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Return the catalogue of a run in one process."""
    return run_with(archive, tmp_path_factory.mktemp("local") / "run", kind="local", workers=1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster") / "dask", 2)
    yield cluster
    cluster.stop()


def run_with(archive: SyntheticArchive, output: Path, **engine: object) -> Catalog:
    settings = RunSettings.parse({"engine": engine, "output": {"report": False}})
    return run([archive.waveforms], [archive.stations], output, settings).catalog


def assert_equal(a: Catalog, b: Catalog) -> None:
    """Every table is the same, to the last digit."""
    assert len(a.events) >= 3
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


def test_a_killed_worker_changes_nothing(archive, local, cluster, tmp_path: Path) -> None:
    output = tmp_path / "run"

    def kill() -> None:
        wait_for(lambda: finished(output, "pick") >= 2)
        before.append((finished(output, "pick"), RunDirectory(output).read_marker()["status"]))
        cluster.kill_worker()

    before: list[tuple[int, str]] = []
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    catalog = run_with(archive, output, kind="dask", scheduler=cluster.address)
    killer.join()
    assert before[0][1] == "running"
    assert_equal(open_run(output), local)
    pd.testing.assert_frame_equal(catalog.events, local.events)
    assert finished(output, "pick") == N_STATIONS
    assert not list((output / "work").rglob(".partial*"))


def test_a_killed_client_goes_on_where_it_stopped(archive, local, cluster, tmp_path: Path) -> None:
    cluster.add_worker()
    output = tmp_path / "run"
    words = run_command(archive, output, "--engine", "dask", "--scheduler", cluster.address)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: finished(output, "pick") >= 1 or process.poll() is not None)
        finally:
            process.kill()
    done = finished(output, "pick")
    assert done >= 1
    assert RunDirectory(output).read_marker()["status"] == "running"
    again = run_with(archive, output, kind="dask", scheduler=cluster.address)
    assert_equal(open_run(output), local)
    assert len(again.events) == len(local.events)
    assert "run resumed" in (output / "log.txt").read_text()


def test_a_lost_scheduler_is_reported(cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes last: the cluster is gone afterwards."""
    monkeypatch.setattr("lithoscope.pipeline.engine_dask.CONNECT_S", 10.0)
    engine = make_engine("dask", 1, cluster.address)
    results = engine.map(operator.call, time.sleep, [0.1] * 200)
    assert next(results) == (0.1, None)
    cluster.scheduler.kill()
    with pytest.raises(LithoscopeError, match="connection to the Dask scheduler was lost"):
        list(results)
    engine.close()
