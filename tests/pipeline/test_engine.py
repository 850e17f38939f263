"""The number of processes changes nothing but the time."""

from __future__ import annotations

import os
import signal

import pytest

from lithoscope.errors import LithoscopeError
from lithoscope.pipeline.engine import LocalEngine


def multiply(shared: int, unit: int) -> tuple[int, str]:
    return shared * unit, os.environ.get("OMP_NUM_THREADS", "")


def die(shared: int, unit: int) -> int:
    if unit == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def fail(shared: int, unit: int) -> int:
    raise LithoscopeError(f"unit {unit} cannot be done; change it")


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


def test_a_killed_worker_is_reported() -> None:
    with pytest.raises(LithoscopeError, match="worker process was killed"):
        list(LocalEngine(2).map(die, 0, [0, 1, 2, 3]))


def test_an_error_of_a_unit_reaches_the_caller() -> None:
    with pytest.raises(LithoscopeError, match="cannot be done"):
        list(LocalEngine(2).map(fail, 0, [0, 1]))
