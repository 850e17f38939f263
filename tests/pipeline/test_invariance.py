"""The same data give the same catalogue (acceptance 6)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from real_runs import CASES, EXAMPLES, run_case

from lithoscope.catalog import Catalog
from lithoscope.picking import ClassicalPicker
from lithoscope.pipeline import open_run

pytestmark = [pytest.mark.data, pytest.mark.xdist_group("real_runs")]


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


def traces(real_data) -> list[obspy.Trace]:
    folder = real_data(CASES["iceland"].folder) / CASES["iceland"].waveforms
    return list(obspy.read(str(folder / "*")))


def write(path: Path, pieces: list[obspy.Trace]) -> None:
    path.mkdir(parents=True)
    for number, piece in enumerate(pieces):
        piece.write(str(path / f"{number:04d}.mseed"), format="MSEED")


@pytest.mark.parametrize("seed", [1, 2])
def test_cutting_files_elsewhere_changes_nothing(real_run, real_data, tmp_path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = []
    for trace in traces(real_data):
        cuts = np.sort(rng.integers(1, trace.stats.npts, size=rng.integers(1, 4)))
        edges = [0, *np.unique(cuts), trace.stats.npts]
        for i, j in pairwise(edges):
            piece = trace.copy()
            piece.data = trace.data[i:j].copy()
            piece.stats.starttime = trace.stats.starttime + i * trace.stats.delta
            pieces.append(piece)
    rng.shuffle(pieces)  # type: ignore[arg-type]
    write(tmp_path / "cut", pieces)
    again = run_case("iceland", real_data, tmp_path / "run", waveforms=tmp_path / "cut")
    assert_same(real_run("iceland").result.catalog, again.result.catalog)


@pytest.mark.parametrize("shift", [1, 37, 1501])
def test_later_start_changes_nothing_after_it(real_run, real_data, tmp_path, shift: int) -> None:
    every = traces(real_data)
    start = min(trace.stats.starttime for trace in every)
    for trace in every:
        if trace.stats.starttime < start + 30:
            trace.data = trace.data[shift:].copy()
            trace.stats.starttime += shift * trace.stats.delta
    write(tmp_path / "late", every)
    again = run_case("iceland", real_data, tmp_path / "run", waveforms=tmp_path / "late")
    whole = real_run("iceland").result.catalog
    context_s = ClassicalPicker().context_s
    after = pd.Timestamp(start.datetime, tz="UTC") + pd.Timedelta(
        seconds=shift / 100 + context_s + 30
    )
    assert_same(whole, again.result.catalog, after=after)


def test_one_worker_or_two(real_run, real_data, tmp_path) -> None:
    again = run_case("iceland", real_data, tmp_path / "run", extra={"engine": {"workers": 1}})
    assert_same(real_run("iceland").result.catalog, again.result.catalog)


def test_killed_and_resumed(real_run, real_data, tmp_path) -> None:
    whole = real_run("iceland")
    case = CASES["iceland"]
    folder = real_data(case.folder)
    command = [
        *(sys.executable, "-m", "lithoscope", "run", str(folder / case.waveforms)),
        *("--stations", str(folder / case.stations)),
        *("--config", str(EXAMPLES / case.config)),
        *("--model", str(folder / case.model["path"])),
        *("--output", str(tmp_path / "run")),
    ]
    rng = np.random.default_rng(5)
    kills = 0
    for wait_s in rng.uniform(2.0, whole.wall_s, size=4):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(wait_s)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert kills > 0
    assert_same(whole.result.catalog, open_run(tmp_path / "run"))
    leftovers = [p.name for p in (tmp_path / "run" / "work").rglob(".partial*")]
    assert leftovers == []
