"""Results are published whole or not at all, and errors name the file and the remedy."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from lithoscope.errors import StorageError
from lithoscope.pipeline.rundir import MARKER, RunDirectory, content_key

TABLE = pd.DataFrame({"a": [1.0, 2.5], "b": ["x", "y"]})


def test_a_unit_is_computed_once(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    calls = []

    def compute() -> dict[str, pd.DataFrame]:
        calls.append(1)
        return {"t": TABLE}

    first = directory.cached("stage", "key", compute)["t"]
    second = directory.cached("stage", "key", compute)["t"]
    assert calls == [1]
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(first, TABLE, check_dtype=False)


def test_keys_follow_the_content() -> None:
    assert content_key("s", TABLE) == content_key("s", TABLE.copy())
    changed = TABLE.assign(a=[1.0, 2.5 + 1e-15])
    assert content_key("s", TABLE) != content_key("s", changed)
    assert content_key("a", "b") != content_key("ab")


def _save_for_ever(path: str) -> None:
    directory = RunDirectory(Path(path))
    big = pd.DataFrame({"a": range(200_000)})
    n = 0
    while True:
        directory.save("stage", f"key{n}", {"t": big})
        n += 1


def test_a_killed_writer_leaves_only_whole_results(tmp_path: Path) -> None:
    path = tmp_path / "run"
    RunDirectory(path).write_marker({})
    process = multiprocessing.get_context("spawn").Process(target=_save_for_ever, args=(str(path),))
    process.start()
    deadline = time.monotonic() + 60
    while not (path / "work/stage/key3").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    directory = RunDirectory(path)
    keys = [p.name for p in (path / "work" / "stage").iterdir() if not p.name.startswith(".")]
    assert len(keys) >= 4
    for key in keys:
        tables = directory.load("stage", key)
        assert tables is not None
        assert len(tables["t"]) == 200_000
    directory.sweep({"stage": {"key0"}})
    assert [p.name for p in (path / "work" / "stage").iterdir()] == ["key0"]


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with directory.lock(), pytest.raises(StorageError, match="another process"):  # noqa: SIM117
        with RunDirectory.lock(directory):
            pass


def test_foreign_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StorageError, match="not empty and holds no Lithoscope run"):
        RunDirectory(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_output_that_cannot_be_made(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(StorageError, match="choose another with --output"):
        RunDirectory(blocker / "run")


def test_full_disk_is_one_line_and_keeps_finished_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.save("stage", "first", {"t": TABLE})

    def full(self: pd.DataFrame, path: object, **_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(StorageError, match="the disk is full; free space") as caught:
        directory.save("stage", "second", {"t": TABLE})
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert directory.load("stage", "first") is not None
    assert directory.load("stage", "second") is None


def test_damaged_marker_is_named(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    (directory.path / MARKER).write_text("{")
    with pytest.raises(StorageError, match="is damaged"):
        directory.read_marker()
