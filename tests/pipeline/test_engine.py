"""The number of processes changes nothing but the time, and a lost one nothing at all."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from dask_cluster import wait_for
from engine_functions import die, die_once, fail, multiply, name_process

from lithoscope.errors import ConfigError, LithoscopeError
from lithoscope.pipeline.engine import LocalEngine, make_engine


@pytest.fixture(scope="module")
def engine():
    """Return an engine of two processes; each costs seconds to start."""
    with closing(LocalEngine(2)) as engine:
        yield engine


@pytest.mark.parametrize("workers", [1, 2])
def test_same_results_for_any_number_of_workers(
    workers: int, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    engine = LocalEngine(1) if workers == 1 else engine
    results = dict(engine.map(multiply, 3, list(range(9))))
    # The next stage has other things to share, and finds the processes ready.
    again = dict(engine.map(multiply, 5, list(range(4))))
    assert {unit: value for unit, (value, _) in results.items()} == {n: 3 * n for n in range(9)}
    assert {unit: value for unit, (value, _) in again.items()} == {n: 5 * n for n in range(4)}
    # Several processes use one thread each; a single one is the user's own.
    assert {threads for _, threads in results.values()} == {"7" if workers == 1 else "1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_an_error_of_a_unit_reaches_the_caller(engine: LocalEngine) -> None:
    with pytest.raises(LithoscopeError, match="cannot be done"):
        list(engine.map(fail, 0, [0, 1]))


def test_what_a_killed_worker_had_in_work_is_done_again(
    engine: LocalEngine, tmp_path: Path
) -> None:
    results = list(engine.map(die_once, tmp_path, list(range(8))))
    assert (tmp_path / "died").exists()
    assert sorted(results) == [(n, 3 * n) for n in range(8)]
    # A process that dies between two stages is no loss either.
    ((_, (_, pid)), *_) = engine.map(name_process, 0, [0, 1])
    os.kill(pid, signal.SIGKILL)
    assert len(list(engine.map(name_process, 0, [0, 1, 2]))) == 3


@pytest.mark.timeout(300)
def test_workers_end_when_their_client_alone_is_killed(tmp_path: Path) -> None:
    """Someone who kills the command by its number must not leave its workers behind."""
    code = (
        "import sys; from pathlib import Path; from engine_functions import hold;"
        "from lithoscope.pipeline.engine import LocalEngine;"
        "list(LocalEngine(2).map(hold, Path(sys.argv[1]), [0, 1]))"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        start_new_session=True,
    )
    try:
        wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == 2, 200)
        client.kill()
        client.wait()
        for held in tmp_path.glob("held-*"):
            with held.open() as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)  # free once the worker is gone
    finally:
        with suppress(ProcessLookupError):
            os.killpg(client.pid, signal.SIGKILL)
        client.wait()


def test_a_unit_that_kills_every_worker_is_reported(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lithoscope.pipeline.engine.MOST_DEATHS", 1)
    with pytest.raises(LithoscopeError, match="worker process was killed 1 times"):
        list(engine.map(die, 0, [0, 1, 2, 3]))


def test_a_scheduler_is_refused_for_the_local_engine() -> None:
    with pytest.raises(ConfigError, match="--engine dask"):
        make_engine("local", 2, "tcp://127.0.0.1:8786")
