"""The log of a run directory tells what each run did, and never stops one."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from synthetic_archive import make

from lithoscope import __version__
from lithoscope.errors import DataError, StorageError
from lithoscope.pipeline import RunSettings, run, runlog
from lithoscope.pipeline.progress import Silent
from lithoscope.pipeline.runlog import RunLog
from lithoscope.schema import PROBLEMS

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning|error) +\S")
SETTINGS = RunSettings.parse(
    {"engine": {"workers": 1}, "output": {"report": False, "exports": ["csv"]}}
)


def new_log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "log.txt", Silent())


def test_a_failed_a_resumed_and_a_repeated_run_are_all_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(tmp_path)
    (data.waveforms / "broken.mseed").write_bytes(b"not miniSEED" * 40)
    arguments = ([data.waveforms], [data.stations], tmp_path / "run", SETTINGS)
    path = tmp_path / "run" / "log.txt"
    monkeypatch.setattr("sys.argv", ["lithoscope", "run", "my data"])

    whole = pd.DataFrame.to_parquet
    calls = []

    def full(self: pd.DataFrame, *args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) > 7:
            raise OSError(28, "No space left on device")
        return whole(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(StorageError):
            run(*arguments)
    failed = path.read_text()
    assert f"lithoscope {__version__}: new run" in failed
    assert "command: lithoscope run 'my data'" in failed
    assert re.search(r"warning .*broken\.mseed", failed)
    assert re.search(r"end: +reading .*; 6 stations, 6 used; \d+\.\d s\n", failed)
    assert "picking: 6 unit(s) to do" in failed
    assert re.search(r"error +cannot write .*the disk is full", failed)
    assert re.search(r"error +stopped after \d+\.\d s", failed)
    assert "done in" not in failed

    catalog = run(*arguments).catalog
    resumed = path.read_text().removeprefix(failed)
    assert "run resumed; the one before did not finish" in resumed
    assert re.search(r"picking: \d of 6 units already done", resumed)
    assert f"{len(catalog.picks)} picks" in resumed
    for stage in ("picking", "associating", "locating", "measuring magnitudes"):
        assert re.search(rf"start: {stage}", resumed)
        assert re.search(rf"end: +{stage}.*; \d+\.\d s", resumed)
    assert "done in" in resumed
    assert " error " not in resumed

    run(*arguments)
    repeated = path.read_text().removeprefix(failed + resumed)
    assert "run again; what has not changed is kept" in repeated
    assert "picking: 0 unit(s) to do" in repeated
    assert all(LINE.match(line) for line in path.read_text().splitlines())


def test_an_unforeseen_error_is_logged_with_its_place(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    with pytest.raises(ZeroDivisionError), log.session("new run"):
        1 / 0  # noqa: B018
    text = log.path.read_text()
    assert "ZeroDivisionError" in text
    assert Path(__file__).name in text
    # Only the first line of a message has a time: the others are indented.
    assert all(LINE.match(line) or line.startswith("    ") for line in text.splitlines())


def test_an_error_of_the_user_is_one_line(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    with pytest.raises(DataError), log.session("new run"):
        raise DataError("no files; name others")
    assert "Traceback" not in log.path.read_text()
    assert re.search(r"error +no files; name others\n", log.path.read_text())


def test_the_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "LONGEST_LOG", 10_000)
    log = new_log(tmp_path)
    for number in range(500):
        log.write(f"message {number}")
    with log.session("new run"):
        pass
    lines = log.path.read_text().splitlines()
    assert log.path.stat().st_size < 6_000
    assert lines[0] == "(older lines were removed)"
    assert all(LINE.match(line) for line in lines[1:])
    assert "message 499" in log.path.read_text()
    assert lines[-1].endswith(" s")


def test_one_message_and_one_list_of_problems_are_bounded(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    log.write("first " + "x" * 100_000 + " last")
    assert log.path.stat().st_size < 2_200
    assert log.path.read_text().endswith(" last\n")
    row = {"what": "A", "problem": "gap", "detail": "1 s", "action": "kept"}
    log.problems(PROBLEMS.table([row] * 1000))
    assert len(log.path.read_text().splitlines()) == 1 + runlog.MOST_PROBLEMS + 1
    assert "and 800 more problems" in log.path.read_text()


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    log = RunLog(tmp_path, Silent())  # a folder is in the way
    with log.session("new run"), log.stage("picking") as found:
        found("nothing")
