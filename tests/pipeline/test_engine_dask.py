"""Units on a Dask cluster of several processes, workers lost, added and wrong ones included."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from engine_functions import Counted, counted, die, die_once, fail

from lithoscope.errors import ConfigError, LithoscopeError
from lithoscope.pipeline.engine import make_engine
from lithoscope.pipeline.engine_dask import DaskEngine, task_size


@pytest.fixture(scope="module")
def engine():
    """Return an engine with a cluster of two processes of its own."""
    engine = make_engine("dask", 2)
    yield engine
    engine.close()


def test_same_results_and_shared_data_sent_once(engine, tmp_path: Path) -> None:
    results = list(engine.map(counted, Counted(tmp_path, 3), list(range(60))))
    assert sorted(unit for unit, _ in results) == list(range(60))
    assert all(value == 3 * unit for unit, (value, _) in results)
    workers = {pid for _, (_, pid) in results}
    assert len(workers) == 2
    assert os.getpid() not in workers
    assert len(list(tmp_path.iterdir())) == 2  # one arrival in each worker


def test_a_worker_with_other_versions_is_refused(engine) -> None:
    with pytest.raises(LithoscopeError, match=r"has pandas .* and this client pandas 0\.0\.9"):
        engine._check_versions({"pandas": "0.0.9"})
    with pytest.raises(LithoscopeError, match="has no stringed-instrument and this client"):
        engine._check_versions({"stringed-instrument": "1.0"})


def test_a_worker_lost_while_versions_are_asked_for_is_no_wrong_one(
    engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "tcp://127.0.0.1:1": OSError("in <comm>: connection reset"),
        "tcp://127.0.0.1:2": "1",
    }
    monkeypatch.setattr(engine._client, "run", lambda *_, **__: answers)
    engine._check_versions({"pandas": "1"})


def test_workers_killed_while_they_start_are_started_again(
    engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def start(**options) -> str:
        tries.append(options["n_workers"])
        if len(tries) < 3:
            raise RuntimeError("Nanny failed to start.")
        return "a cluster"

    monkeypatch.setattr(engine._dask, "LocalCluster", start)
    assert engine._start(2) == "a cluster"
    tries.clear()
    monkeypatch.setattr("lithoscope.pipeline.engine_dask.START_TRIES", 2)
    with pytest.raises(LithoscopeError, match="failed to start 2 times"):
        engine._start(2)


def test_what_a_killed_worker_had_in_work_is_done_again(engine, tmp_path: Path) -> None:
    results = list(engine.map(die_once, tmp_path, list(range(8))))
    assert (tmp_path / "died").exists()
    assert sorted(results) == [(n, 3 * n) for n in range(8)]


def test_errors_are_one_line_and_the_engine_works_on(engine, tmp_path: Path) -> None:
    with pytest.raises(LithoscopeError, match=r"^unit . cannot be done; change it$"):
        list(engine.map(fail, 0, [0, 1]))
    assert dict(engine.map(die_once, tmp_path, [0, 1])) == {0: 0, 1: 3}
    assert list(engine.map(fail, 0, [])) == []


def test_a_unit_that_kills_every_worker_is_reported(engine) -> None:
    engine._cluster.scheduler.allowed_failures = 0  # three, otherwise
    with pytest.raises(LithoscopeError, match="killed again and again"):
        list(engine.map(die, 0, [1]))


def test_no_scheduler_and_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lithoscope.pipeline.engine_dask.CONNECT_S", 0.5)
    with pytest.raises(LithoscopeError, match="does not answer"):
        DaskEngine("tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match="is no address"):
        DaskEngine("nonsense://1")


def test_without_distributed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install lithoscope\[scale\]"):
        DaskEngine()


@pytest.mark.parametrize(
    ("seconds", "left", "workers", "size"),
    [
        (None, 1000, 2, 1),  # nothing known yet
        (3.0, 10_000, 2, 20),  # a minute of work
        (3.0, 80, 2, 10),  # less towards the end: four tasks a worker are left
        (3.0, 5, 2, 1),
        (200.0, 10_000, 2, 1),  # one unit is long enough
        (0.0, 800, 2, 100),
    ],
)
def test_tasks_take_a_minute_and_less_towards_the_end(seconds, left, workers, size) -> None:
    assert task_size(seconds, left, workers) == size


def test_workers_that_do_not_end_in_time_are_no_failure_of_the_run() -> None:
    class Slow:
        closed = 0

        def close(self) -> None:
            self.closed += 1
            raise TimeoutError

    engine = DaskEngine.__new__(DaskEngine)
    engine._client, engine._cluster = Slow(), Slow()
    engine.close()
    assert engine._client.closed == engine._cluster.closed == 1
