"""The packaged picker on real data: the same picks however the data are cut, and known onsets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lithoscope.constants import NS_PER_S
from lithoscope.learning.models import list_models
from lithoscope.picking import LearnedPicker, LearnedPickerSettings
from lithoscope.waveforms import index_archive, read_records, resample

LOW = {"p_threshold": 0.1, "s_threshold": 0.1}


@pytest.fixture(scope="module")
def model():
    packaged = [m.name for m in list_models() if m.packaged and m.card is not None]
    assert packaged, "the package holds no model"
    return packaged[0]


@pytest.fixture(scope="module")
def record(real_data):
    """Return the first 50 minutes at CI.CLC: a foreshock, the M6.4 and its first coda."""
    path = real_data("continuous/ridgecrest_2019") / "waveforms" / "CI.CLC.mseed"
    archive = index_archive(path)
    start_ns = archive.span_ns()[0]
    records, _ = read_records(archive, archive.stations()[0], start_ns, start_ns + 3000 * NS_PER_S)
    return records[0]


@pytest.fixture(scope="module")
def picks(model, record):
    return LearnedPicker(model, LearnedPickerSettings(**LOW)).pick(record)[0]


def between(table, first_ns, last_ns):
    moments = table["time"].astype("int64")
    return table[(moments >= first_ns) & (moments < last_ns)].reset_index(drop=True)


def assert_same(expected, found):
    assert len(expected) > 50
    assert list(expected["phase"]) == list(found["phase"])
    late = expected["time"].astype("int64") - found["time"].astype("int64")
    assert late.abs().max() <= 1_000_000
    assert (expected["probability"] - found["probability"]).abs().max() < 1e-3


@pytest.mark.data
def test_where_the_data_begin_and_how_they_are_cut_changes_no_pick(model, record, picks):
    picker = LearnedPicker(model, LearnedPickerSettings(**LOW, chunk_s=71.0, batch=3))
    shift = 12_345
    start_ns = record.starttime_ns + shift * 10_000_000
    end_ns = record.endtime_ns - 400 * NS_PER_S
    found = picker.pick(record.cut(start_ns, end_ns))[0]
    context_ns = round(picker.context_s * NS_PER_S)
    edges = (start_ns + context_ns, end_ns - context_ns)
    assert_same(between(picks, *edges), between(found, *edges))


@pytest.mark.data
@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_the_unit_of_the_data_changes_no_pick(model, record, picks, factor):
    scaled = replace(record, data=(record.data * np.float64(factor)).astype(np.float32))
    assert_same(picks, LearnedPicker(model, LearnedPickerSettings(**LOW)).pick(scaled)[0])


@pytest.mark.data
@pytest.mark.parametrize("fs", [50.0, 100.0, 250.0])
def test_the_large_onsets_are_found_at_any_rate(model, record, fs):
    # P of the M3.98 foreshock and of the M6.4 (origins in the data's README; 5 to 20 km away)
    origins = [pd.Timestamp(t, tz="UTC") for t in ("2019-07-04 17:02:55", "2019-07-04 17:33:49")]
    picks = LearnedPicker(model).pick(resample(record, fs))[0]
    for origin in origins:
        after = (picks["time"] - origin).dt.total_seconds()
        for phase, first, last in (("P", 0.0, 5.0), ("S", 1.0, 9.0)):
            if phase == "S" and origin is origins[1]:
                continue  # the M6.4 has no clear S so near its source
            near = picks[(picks["phase"] == phase) & after.between(first, last)]
            assert near["probability"].max() > 0.5, (origin, phase)


@pytest.mark.data
def test_the_vertical_alone_is_enough_for_p(model, record):
    alone = replace(
        record,
        mask=np.array([True, False, False]),
        data=record.data * np.array([[1], [0], [0]], np.float32),
    )
    whole = LearnedPicker(model, LearnedPickerSettings(p_threshold=0.8)).pick(record)[0]
    whole = whole[whole["phase"] == "P"]
    found = LearnedPicker(model).pick(alone)[0]
    found = found[found["phase"] == "P"]["time"].astype("int64").to_numpy()
    gaps = np.abs(found - whole["time"].astype("int64").to_numpy()[:, None]).min(axis=1)
    # three quarters of the clear P are found without the horizontals
    assert len(whole) > 30
    assert np.mean(gaps < 0.2 * NS_PER_S) > 0.75
