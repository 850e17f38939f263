"""The classical picker: timing, calibration of its parts, invariance, bad data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from lithoscope import schema
from lithoscope.constants import NS_PER_S
from lithoscope.picking import ClassicalPicker, ClassicalPickerSettings, Picker
from lithoscope.picking._bank import design
from lithoscope.picking._detect import window_sums
from lithoscope.waveforms import Record

START_NS = 1_600_000_000 * NS_PER_S
PICKER = ClassicalPicker()


def make_record(data, fs=100.0, mask=(True, True, True), start_ns=START_NS) -> Record:
    """Wrap samples; rows of missing components become zeros."""
    kept = np.asarray(data) * np.array(mask)[:, np.newaxis]
    return Record(
        "XX.SYN..HH", start_ns, fs, kept.astype(np.float32), np.array(mask), ("", "", ""),
        np.zeros(3, dtype=bool),
    )  # fmt: skip


def seismogram(events, length_s, fs=100.0, seed=0, noise=1.0, amplitude=30.0):
    """Return noise with, for each (P time, S time), a P on Z and a larger, slower S on N and E."""
    rng = np.random.default_rng(seed)
    n = round(length_s * fs)
    t = np.arange(n) / fs
    top = min(15.0, 0.4 * fs)
    fast = butter(2, (2.0, top), btype="bandpass", fs=fs, output="sos")
    slow = butter(2, (1.5, 0.5 * top), btype="bandpass", fs=fs, output="sos")
    data = noise * rng.normal(size=(3, n))
    for p, s in events:
        after = np.clip(t - p, 0, None)
        late = np.clip(t - s, 0, None)
        for row, (on_p, on_s) in enumerate(((1.0, 0.7), (0.3, 2.5), (0.3, 2.5))):
            wave = amplitude * on_p * (t >= p) * np.exp(-after / 3.0) * rng.normal(size=n)
            data[row] += sosfilt(fast, wave)
            wave = amplitude * on_s * (t >= s) * np.exp(-late / 4.0) * rng.normal(size=n)
            data[row] += sosfilt(slow, wave)
    return data


def seconds(picks: pd.DataFrame, phase: str) -> np.ndarray:
    """Return the times of one phase, s after the start."""
    rows = picks[picks["phase"] == phase]
    return (rows["time"].astype("int64").to_numpy() - START_NS) / NS_PER_S


EVENTS = [(30.0, 34.0), (75.0, 81.0), (130.0, 133.0), (170.0, 177.5)]


@pytest.fixture(scope="module")
def data():
    return seismogram(EVENTS, 220.0)


@pytest.fixture(scope="module")
def picks(data):
    return PICKER.pick(make_record(data))[0]


def test_it_is_a_picker_and_its_tables_have_the_schema(data):
    assert isinstance(PICKER, Picker)
    picks, detections = PICKER.pick(make_record(data))
    assert list(picks.columns) == schema.PICKS.names
    assert list(detections.columns) == schema.DETECTIONS.names
    assert picks["probability"].between(0, 1).all()
    assert (picks["time_sigma_s"] > 0).all()
    assert picks["time"].is_monotonic_increasing
    assert picks["pick_id"].is_unique
    assert (detections["endtime"] > detections["starttime"]).all()


def test_onsets_of_known_time_are_found_and_timed(picks):
    # emergent noise bursts, 100 Hz: the first half cycle of the slowest S band is 0.1 s
    for phase, column, tolerance in (("P", 0, 0.05), ("S", 1, 0.25)):
        found = seconds(picks[picks["probability"] >= 0.5], phase)
        for event in EVENTS:
            assert np.min(np.abs(found - event[column])) < tolerance


def test_each_event_has_a_detection(data):
    _, detections = PICKER.pick(make_record(data))
    start = (detections["starttime"].astype("int64") - START_NS) / NS_PER_S
    end = (detections["endtime"].astype("int64") - START_NS) / NS_PER_S
    for p, _ in EVENTS:
        assert ((start <= p + 0.1) & (end > p + 1.0) & (detections["probability"] > 0.5)).any()


def test_annotation_shows_the_picks(data, picks):
    values = PICKER.annotate(make_record(data))
    assert values.shape == (3, data.shape[1])
    assert values.min() >= 0
    assert values.max() <= 1
    for row in picks.itertuples():
        at = round((row.time.value - START_NS) / NS_PER_S * 100)
        shown = values["PS".index(row.phase), at - 1 : at + 2].max()
        assert shown > 0.8 * row.probability
    assert values[2, 3100] > 0.5
    assert values[2, 1000] < 0.5


@settings(max_examples=12, deadline=None)
@given(shift=st.integers(0, 5000))
def test_shifting_the_start_changes_no_pick_beyond_the_context(data, picks, shift):
    whole = make_record(data)
    cut = replace(whole, data=whole.data[:, shift:], starttime_ns=START_NS + shift * 10_000_000)
    found, _ = PICKER.pick(cut)
    edge = START_NS + shift * 10_000_000 + round(PICKER.context_s * NS_PER_S)
    _same(picks, found, edge, None)


@settings(max_examples=8, deadline=None)
@given(chunk_s=st.floats(60.0, 300.0), end=st.integers(15_000, 22_000))
def test_chunks_and_the_end_of_the_data_change_no_pick_beyond_the_context(
    data, picks, chunk_s, end
):
    whole = make_record(data)
    picker = ClassicalPicker(ClassicalPickerSettings(chunk_s=chunk_s))
    found, _ = picker.pick(replace(whole, data=whole.data[:, :end]))
    last = START_NS + end * 10_000_000 - round(PICKER.context_s * NS_PER_S)
    _same(picks, found, None, None if end == 22_000 else last)


def _same(expected, found, first_ns, last_ns):
    for frame in (expected, found):
        assert len(frame)
    kept = []
    for frame in (expected, found):
        t = frame["time"].astype("int64")
        keep = (t >= (first_ns or 0)) & (t < (last_ns or 2**62))
        kept.append(frame[keep].reset_index(drop=True))
    assert len(kept[0])
    assert list(kept[0]["pick_id"]) == list(kept[1]["pick_id"])
    for column in ("probability", "time_sigma_s", "amplitude", "snr"):
        np.testing.assert_allclose(kept[0][column], kept[1][column], rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_the_unit_of_the_data_does_not_matter(data, picks, factor):
    found, _ = PICKER.pick(make_record(data * factor))
    assert list(found["pick_id"]) == list(picks["pick_id"])
    np.testing.assert_allclose(found["amplitude"], picks["amplitude"] * factor, rtol=1e-4)
    np.testing.assert_allclose(found["probability"], picks["probability"], atol=1e-3)


@pytest.mark.parametrize("fs", [20.0, 50.0, 100.0, 200.0, 250.0, 500.0])
def test_any_usual_sampling_rate(fs):
    events = [(20.0, 24.0), (60.0, 65.0)]
    found, _ = PICKER.pick(make_record(seismogram(events, 90.0, fs, seed=3), fs))
    for p, _ in events:
        assert np.min(np.abs(seconds(found, "P") - p)) < max(0.1, 2 / fs)


def test_an_offset_of_the_data_does_not_matter(data, picks):
    # a float32 sample of 1e5 counts is rounded by 0.004 counts, far below the noise of 1
    found, _ = PICKER.pick(make_record(data + 1e5))
    strong = picks[picks["probability"] > 0.5]
    assert set(strong["pick_id"]) <= set(found["pick_id"])


@pytest.mark.parametrize(
    "mask", [(True, False, False), (True, True, False), (False, True, True), (True, False, True)]
)
def test_missing_components(data, mask):
    found, _ = PICKER.pick(make_record(data, mask=mask))
    assert len(seconds(found, "P")) < 4 * len(EVENTS)
    if mask[0]:
        for p, _ in EVENTS:
            assert np.min(np.abs(seconds(found, "P") - p)) < 0.1


@pytest.mark.parametrize("lead_s", [1.0, 2.0, 5.0])
def test_data_that_start_just_before_the_onset(data, lead_s):
    first = round((EVENTS[0][0] - lead_s) * 100)
    record = replace(
        make_record(data[:, first : first + 1500]), starttime_ns=START_NS + first * 10_000_000
    )
    found, _ = PICKER.pick(record)
    assert np.min(np.abs(seconds(found, "P") - EVENTS[0][0])) < 0.05


def test_noise_alone_gives_few_picks():
    rng = np.random.default_rng(5)
    coloured = np.cumsum(rng.normal(size=(3, 180_000)), axis=1) + rng.normal(size=(3, 180_000))
    for data in (rng.normal(size=(3, 180_000)), coloured):
        found, _ = PICKER.pick(make_record(data))
        assert len(found) <= 5  # 30 minutes; steady noise, so far below the rate on real noise


def test_spikes_steps_and_pulses_are_no_onsets():
    rng = np.random.default_rng(6)
    data = rng.normal(size=(3, 60_000))
    for k in range(10):
        at = 3000 + 5000 * k
        if k % 3 == 0:
            data[:, at] += 1000.0
        elif k % 3 == 1:
            data[:, at:] += 300.0
        else:
            data[0, at : at + 2] -= 5000.0
    found, _ = PICKER.pick(make_record(data))
    assert (found["probability"] > 0.5).sum() <= 4  # of 10 glitches, P and S together


def test_a_dead_channel_that_comes_alive_is_no_onset():
    rng = np.random.default_rng(7)
    data = rng.normal(size=(3, 12_000))
    data[:, :6000] = 17.0
    found, _ = PICKER.pick(make_record(data))
    assert not (np.abs(seconds(found, "P") - 60.0) < 0.5).any()


@pytest.mark.parametrize("n", [0, 1, 2, 30, 99])
def test_too_short_is_said_and_gives_empty_tables(n):
    record = make_record(np.ones((3, n)))
    assert "picking needs at least 1 s" in PICKER.unusable(record)
    picks, detections = PICKER.pick(record)
    assert len(picks) == len(detections) == 0
    assert list(picks.columns) == schema.PICKS.names
    assert PICKER.annotate(record).shape == (3, n)


@pytest.mark.parametrize("n", [100, 150, 1000, 20_000])
def test_flat_data_give_nothing(n):
    assert len(PICKER.pick(make_record(np.full((3, n), 5.0)))[0]) == 0


def test_records_that_cannot_be_picked_are_named():
    assert "8 Hz" in PICKER.unusable(make_record(np.ones((3, 500)), fs=1.0))
    assert "no component" in PICKER.unusable(make_record(np.ones((3, 500)), mask=(False,) * 3))
    assert PICKER.unusable(make_record(np.ones((3, 500)))) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_clear_first_motions_have_their_sign(sign):
    rng = np.random.default_rng(8)
    t = np.arange(6000) / 100
    data = 0.2 * rng.normal(size=(3, 6000))
    wave = np.where(t >= 30, np.sin(2 * np.pi * 5 * (t - 30)) * np.exp(-(t - 30) / 2), 0.0)
    data[0] += sign * 100 * wave
    data[1:] += 20 * wave
    found, _ = PICKER.pick(make_record(data))
    near = found[(np.abs(found["time"].astype("int64") - START_NS - 30 * NS_PER_S) < 1e8)]
    assert list(near.loc[near["phase"] == "P", "polarity"]) == [sign]


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=60),
    st.integers(1, 60),
)
def test_window_sums_are_sums(values, width):
    energy = np.array(values)
    found = window_sums(energy, width)
    expected = [energy[i : i + width].sum() for i in range(len(energy) - width + 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-6)


def test_a_large_event_leaves_no_rounding_in_later_sums():
    energy = np.full(1000, 1e-6)
    energy[100] = 1e20
    assert window_sums(energy, 50)[500] == pytest.approx(5e-5, rel=1e-12)


def test_filters_are_those_of_scipy_and_forget_their_start():
    rng = np.random.default_rng(9)
    x = np.cumsum(rng.normal(size=(3, 8000)), axis=1).astype(np.float32)
    bank = design(100.0)
    out = bank.apply(x)
    base = x.astype(np.float64) - x[:, :1].astype(np.float64)
    for i, corners in enumerate(zip(bank.low_hz, bank.high_hz, strict=True)):
        sos = butter(2, corners, btype="bandpass", fs=100.0, output="sos")
        np.testing.assert_allclose(out[i], sosfilt(sos, base), rtol=1e-7, atol=1e-9)
    late = bank.apply(x[:, 1000:])
    np.testing.assert_allclose(late[:, :, 2000:], out[:, :, 3000:], rtol=1e-6, atol=1e-9)
