"""The same data give the same catalogue (acceptance 6)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd
import pytest
from real_runs import CASES, command, run_case

from lithoscope.catalog import Catalog
from lithoscope.pipeline import open_run
from lithoscope.pipeline.pickers import PickingSettings, make_picker

# Minutes of work, on a busy machine many.
pytestmark = [pytest.mark.data, pytest.mark.no_cover, pytest.mark.timeout(1800)]


def assert_same(a: Catalog, b: Catalog, *, after: pd.Timestamp | None = None) -> None:
    """Same events (ids, times to 1 ms) and same picks, from ``after`` on."""
    tables = []
    for catalog in (a, b):
        picks, events = catalog.picks, catalog.events
        if after is not None:
            picks = picks[picks["time"] >= after]
            first = catalog.arrivals.groupby("event_id")["time"].min()
            late = set(first.index[first >= after])
            events = events[events["event_id"].isin(late)]
        tables.append((events.set_index("event_id").sort_index(), set(picks["pick_id"])))
    (events_a, picks_a), (events_b, picks_b) = tables
    assert picks_a == picks_b
    assert list(events_a.index) == list(events_b.index)
    assert len(events_a) > 5
    difference = (events_a["time"] - events_b["time"]).abs()
    assert difference.max() <= pd.Timedelta("1ms")
    for column in ("longitude", "latitude", "depth_km", "magnitude"):
        np.testing.assert_allclose(events_a[column], events_b[column], rtol=1e-6, atol=1e-6)


# An event every 14 s, so more than enough of them.
EXCERPT_S = 210.0
# Layers, as their tables of travel times take a tenth of the time of gradients.
MODEL = "southern_california"
# One process and no report, unless a test is about them.
PLAIN: dict[str, Any] = {
    "engine": {"workers": 1},
    "output": {"report": False},
    "model": {"path": "", "name": MODEL},
}


@pytest.fixture(scope="session")
def excerpt(real_data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the recordings that these tests cut, shift and kill on."""
    folder = real_data(CASES["iceland"].folder) / CASES["iceland"].waveforms
    every = obspy.read(str(folder / "*"))
    start = min(trace.stats.starttime for trace in every)
    every.trim(endtime=start + EXCERPT_S)
    path = tmp_path_factory.mktemp("excerpt") / "mseed"
    write(path, list(every))
    return path


@pytest.fixture(scope="session")
def whole(excerpt: Path, real_data, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Return the catalogue of the recordings as they are."""
    return catalogue(excerpt, real_data, tmp_path_factory.mktemp("whole"))


def catalogue(waveforms: Path, real_data, tmp_path: Path, **extra: Any) -> Catalog:
    settings = {**PLAIN, **extra}
    run = run_case("iceland", real_data, tmp_path / "run", waveforms=waveforms, extra=settings)
    return run.result.catalog


def traces(folder: Path) -> list[obspy.Trace]:
    return list(obspy.read(str(folder / "*")))


def write(path: Path, pieces: list[obspy.Trace]) -> None:
    path.mkdir(parents=True)
    for number, piece in enumerate(pieces):
        piece.write(str(path / f"{number:04d}.mseed"), format="MSEED")


def test_cutting_files_elsewhere_changes_nothing(whole, excerpt, real_data, tmp_path) -> None:
    rng = np.random.default_rng(1)
    pieces = []
    for trace in traces(excerpt):
        cuts = rng.integers(1, trace.stats.npts, size=rng.integers(1, 3))
        for i, j in pairwise([0, *np.unique(cuts), trace.stats.npts]):
            piece = trace.copy()
            piece.data = trace.data[i:j].copy()
            piece.stats.starttime = trace.stats.starttime + i * trace.stats.delta
            pieces.append(piece)
    rng.shuffle(pieces)  # type: ignore[arg-type]
    write(tmp_path / "cut", pieces)
    assert_same(whole, catalogue(tmp_path / "cut", real_data, tmp_path))


# Up to 6 s: the first event lies 8 s after the start, and without it the noise level of the picks
# after it is another.
@pytest.mark.parametrize("shift", [1, 601])
def test_later_start_changes_nothing_after_it(
    whole, excerpt, real_data, tmp_path, shift: int
) -> None:
    every = traces(excerpt)
    start = min(trace.stats.starttime for trace in every)
    for trace in every:
        if trace.stats.starttime < start + 30:
            trace.data = trace.data[shift:].copy()
            trace.stats.starttime += shift * trace.stats.delta
    write(tmp_path / "late", every)
    again = catalogue(tmp_path / "late", real_data, tmp_path)
    after = pd.Timestamp(start.datetime, tz="UTC") + pd.Timedelta(
        seconds=shift / 100 + make_picker(PickingSettings()).context_s
    )
    assert_same(whole, again, after=after)


def test_one_worker_or_two(whole, excerpt, real_data, tmp_path) -> None:
    assert_same(whole, catalogue(excerpt, real_data, tmp_path, engine={"workers": 2}))


# Where the run is killed: after so many finished units of picking, or in the stage after location
# (benchmarks/scale_engines.py --kills does it at random moments).
KILL_AT = [("pick", 1), ("pick", 8), ("locate", 1)]


def test_killed_and_resumed(whole, excerpt, real_data, tmp_path) -> None:
    folder = real_data(CASES["iceland"].folder)
    words = command("iceland", folder, tmp_path / "run", waveforms=excerpt, model=MODEL)
    words += ["--set", "output.report=false"]
    for stage, count in KILL_AT:
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while process.poll() is None and finished(tmp_path / "run", stage) < count:
                time.sleep(0.005)
            assert process.poll() is None, f"the run ended before it could be killed in {stage}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    subprocess.run(words, check=True, capture_output=True)
    assert_same(whole, open_run(tmp_path / "run"))
    leftovers = [p.name for p in (tmp_path / "run" / "work").rglob(".partial*")]
    assert leftovers == []
    # The log knows of every run.
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("run resumed; the one before did not finish") == len(KILL_AT)


def finished(run: Path, stage: str) -> int:
    """Count the published units of a stage."""
    folder = run / "work" / stage
    return sum(not p.name.startswith(".") for p in folder.iterdir()) if folder.is_dir() else 0
