"""The number of processes changes nothing but the time, and a lost one nothing at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engine_functions import die, die_once, fail, multiply

from lithoscope.errors import ConfigError, LithoscopeError
from lithoscope.pipeline.engine import LocalEngine, make_engine


@pytest.mark.parametrize("workers", [1, 2])
def test_same_results_for_any_number_of_workers(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    results = dict(LocalEngine(workers).map(multiply, 3, list(range(9))))
    assert {unit: value for unit, (value, _) in results.items()} == {n: 3 * n for n in range(9)}
    # Several processes use one thread each; a single one is the user's own.
    assert {threads for _, threads in results.values()} == {"7" if workers == 1 else "1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_what_a_killed_worker_had_in_work_is_done_again(tmp_path: Path) -> None:
    results = list(LocalEngine(2).map(die_once, tmp_path, list(range(8))))
    assert (tmp_path / "died").exists()
    assert sorted(results) == [(n, 3 * n) for n in range(8)]


def test_a_unit_that_kills_every_worker_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lithoscope.pipeline.engine.MOST_DEATHS", 1)
    with pytest.raises(LithoscopeError, match="worker process was killed 1 times"):
        list(LocalEngine(2).map(die, 0, [0, 1, 2, 3]))


def test_an_error_of_a_unit_reaches_the_caller() -> None:
    with pytest.raises(LithoscopeError, match="cannot be done"):
        list(LocalEngine(2).map(fail, 0, [0, 1]))


def test_a_scheduler_is_refused_for_the_local_engine() -> None:
    with pytest.raises(ConfigError, match="--engine dask"):
        make_engine("local", 2, "tcp://127.0.0.1:8786")
