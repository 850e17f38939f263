"""The classical picker on real records: labelled traces, catalogued events, vertical only."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lithoscope.constants import NS_PER_S
from lithoscope.picking import ClassicalPicker, ClassicalPickerSettings
from lithoscope.waveforms import index_archive, read_records

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PICKER = ClassicalPicker()

pytestmark = pytest.mark.data


def pick_all(folder: Path, start: str | None = None, end: str | None = None) -> pd.DataFrame:
    """Return the picks of all stations of a folder with their times in s since 1970."""
    archive = index_archive(folder)
    limits = [None if t is None else pd.Timestamp(t, tz="UTC").value for t in (start, end)]
    found = [
        PICKER.pick(record)[0]
        for station in archive.stations()
        for record in read_records(archive, station, *limits)[0]
    ]
    picks = pd.concat(found, ignore_index=True)
    return picks.assign(t=picks["time"].astype("int64") / NS_PER_S)


def test_every_station_of_le_teil_has_its_p(real_data):
    # vertical only, data from the origin time on; P at 20 to 110 km takes 4 to 20 s
    picks = pick_all(real_data("continuous/le_teil_2019"))
    origin = pd.Timestamp("2019-11-11T10:52:46", tz="UTC").timestamp()
    early = picks[(picks["phase"] == "P") & (picks["t"] - origin).between(3.0, 20.0)]
    assert early["station"].nunique() == 11
    assert len(picks) <= 33


def test_every_station_of_the_aegean_event_has_its_p(real_data):
    picks = pick_all(real_data("continuous/aegean_2020"))
    origin = pd.Timestamp("2020-10-05T14:57:51", tz="UTC").timestamp()
    early = picks[(picks["phase"] == "P") & (picks["t"] - origin).between(3.0, 30.0)]
    assert early[early["probability"] > 0.5]["station"].nunique() == 9


def test_foreshock_and_quiet_before_it_at_ridgecrest(real_data):
    waveforms = real_data("continuous/ridgecrest_2019") / "waveforms"
    picks = pick_all(waveforms, "2019-07-04T16:58:00", "2019-07-04T17:04:30")
    origin = pd.Timestamp("2019-07-04T17:02:55.34", tz="UTC").timestamp()
    near = picks[(picks["t"] - origin).between(0.0, 25.0) & (picks["probability"] > 0.5)]
    assert near[near["phase"] == "P"]["station"].nunique() >= 20
    assert near[near["phase"] == "S"]["station"].nunique() >= 16
    quiet = picks[(picks["t"] < origin) & (picks["probability"] > 0.5)]
    assert len(quiet) <= 40  # 21 stations, 5 minutes, P and S; some of them real


def test_picks_of_another_program_in_the_icelandic_swarm_are_found(real_data):
    # QuakeMigrate's own picks (automatic, sigma about 0.1 s) of 27 events on 12 stations
    folder = real_data("continuous/iceland_holuhraun_2014")
    picks = pick_all(folder / "mseed")
    picks["name"] = picks["station"].str.split(".").str[1]
    counts = {"P": [0, 0], "S": [0, 0]}
    for file in sorted((folder / "truth_qm_benchmark").glob("*.picks")):
        for row in pd.read_csv(file, skipinitialspace=True).itertuples():
            if str(row.PickTime).startswith("-1"):
                continue
            time = pd.Timestamp(row.PickTime).tz_localize(None).tz_localize("UTC").timestamp()
            same = picks[(picks["name"] == row.Station) & (picks["phase"] == row.Phase)]
            counts[row.Phase][0] += int((np.abs(same["t"] - time) < 0.3).any())
            counts[row.Phase][1] += 1
    for phase, least in (("P", 0.8), ("S", 0.8)):
        found, total = counts[phase]
        assert total > 200
        assert found / total > least


def test_scores_on_the_test_part_of_the_labelled_traces(real_data):
    real_data("labelled")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location(
            "evaluate_classical_picker", BENCHMARKS / "evaluate_classical_picker.py"
        )
        evaluate = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(evaluate)
    finally:
        sys.path.remove(str(BENCHMARKS))
    traces = [t for t in evaluate.load() if not t.training][::2]
    picks, labels = evaluate.collect(PICKER, traces)
    for phase, least in (("P", 0.85), ("S", 0.70)):
        p, q = picks[picks["phase"] == phase], labels[labels["phase"] == phase]
        assert evaluate.scores(p, q, 0.5)["f1"] > least
        manual = p[p["origin"].isin(evaluate.MANUAL)]
        assert 0.55 < evaluate.residuals(manual)["inside_1_sigma"] < 0.85


@pytest.mark.parametrize("shift", [11_286, 127_593])
def test_a_later_start_and_other_chunks_change_no_pick_of_a_real_sequence(real_data, shift):
    archive = index_archive(real_data("continuous/ridgecrest_2019") / "waveforms")
    (whole,) = read_records(archive, "CI.CLC..HH")[0]
    start_ns = whole.starttime_ns + shift * 10_000_000
    cut = replace(whole, data=whole.data[:, shift:], starttime_ns=start_ns)
    edge = pd.Timestamp(start_ns + round(PICKER.context_s * NS_PER_S), tz="UTC")
    picks, detections = zip(
        PICKER.pick(whole),
        ClassicalPicker(ClassicalPickerSettings(chunk_s=333.0)).pick(cut),
        strict=True,
    )
    ids = [set(p.loc[p["time"] >= edge, "pick_id"]) for p in picks]
    assert len(ids[0]) > 300
    assert ids[0] == ids[1]
    spans = [
        set(zip(d["starttime"], d["endtime"], strict=True)) for d in
        (d[d["starttime"] >= edge] for d in detections)
    ]  # fmt: skip
    assert len(spans[0]) > 200
    assert spans[0] == spans[1]
