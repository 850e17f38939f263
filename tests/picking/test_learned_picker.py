"""The learned picker: the same answer however data are cut, scaled or sampled; bad data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import card, write_model

from lithoscope import schema
from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError, DataError, ModelError
from lithoscope.learning.cards import Output, Windows
from lithoscope.learning.models import Model
from lithoscope.picking import LearnedPicker, LearnedPickerSettings, Picker
from lithoscope.waveforms import Record, resample

pytest.importorskip("torch", reason="the network of these tests is made with torch")

START_NS = 1_600_000_000 * NS_PER_S
SECONDS = 340.0


def make_record(data, fs=100.0, mask=(True, True, True), start_ns=START_NS) -> Record:
    """Wrap samples of any factor; rows of missing components become zeros."""
    kept = np.asarray(data) * np.array(mask)[:, np.newaxis]
    return Record(
        "XX.SYN..HH", start_ns, fs, kept.astype(np.float32), np.array(mask), ("", "", ""),
        np.zeros(3, dtype=bool),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def picker(folder):
    return LearnedPicker(folder)


@pytest.fixture(scope="module")
def data():
    """Return noise of changing strength and colour, with an offset, and a few bursts."""
    rng = np.random.default_rng(1)
    n = round(SECONDS * 100)
    x = rng.normal(size=(3, n))
    x += 2 * np.cumsum(rng.normal(size=(3, n)), axis=1) / 30
    for at in rng.uniform(0, SECONDS, 20):
        after = np.arange(n) / 100 - at
        x += 20 * (after > 0) * np.exp(-np.clip(after, 0, None) / 3) * rng.normal(size=(3, n))
    return (1000 + 50 * x).astype(np.float32)


@pytest.fixture(scope="module")
def result(picker, data):
    record = make_record(data)
    return picker.annotate(record), *picker.pick(record)


def cut(record, first, last):
    return record.cut(
        record.starttime_ns + first * 10_000_000, record.starttime_ns + last * 10_000_000
    )


def assert_same(expected, found, first_ns=0, last_ns=2**62):
    """Hold picks between two times to 1 ms and 1e-3, the other columns to 1 %."""
    kept = []
    for frame in (expected, found):
        moments = frame["time"].astype("int64")
        kept.append(frame[(moments >= first_ns) & (moments < last_ns)].reset_index(drop=True))
    assert len(kept[0]) > 20, "nothing to compare"
    assert list(kept[0]["phase"]) == list(kept[1]["phase"])
    late = kept[0]["time"].astype("int64") - kept[1]["time"].astype("int64")
    assert late.abs().max() <= 1_000_000
    assert (kept[0]["probability"] - kept[1]["probability"]).abs().max() < 1e-3
    for column in ("time_sigma_s", "amplitude", "snr"):
        np.testing.assert_allclose(kept[0][column], kept[1][column], rtol=1e-2)
    assert (kept[0]["polarity"] == kept[1]["polarity"]).all()


def test_it_is_a_picker_and_its_tables_have_the_schema(picker, result, data):
    values, picks, detections = result
    assert isinstance(picker, Picker)
    assert (picker.name, picker.sampling_rate_hz) == ("tiny-1", 100.0)
    assert values.shape == data.shape
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() <= 1
    assert list(picks.columns) == schema.PICKS.names
    assert list(detections.columns) == schema.DETECTIONS.names
    assert picks["probability"].between(0.25, 1).all()
    assert (picks["time_sigma_s"] > 0).all()
    assert picks["time"].is_monotonic_increasing
    assert picks["pick_id"].is_unique
    assert set(picks["phase"]) == {"P", "S"}
    assert (picks.loc[picks["phase"] == "S", "polarity"] == 0).all()
    assert set(picks["polarity"]) <= {-1, 0, 1}
    assert (detections["endtime"] > detections["starttime"]).all()
    assert detections["starttime"].is_monotonic_increasing
    assert detections["probability"].between(0.5, 1).all()


@settings(max_examples=8, deadline=None)
@given(chunk_s=st.floats(5.0, 500.0), batch=st.integers(1, 8), threads=st.sampled_from([1, 2]))
def test_pieces_batches_and_threads_change_nothing(folder, data, result, chunk_s, batch, threads):
    other = LearnedPicker(
        folder, LearnedPickerSettings(chunk_s=chunk_s, batch=batch, threads=threads)
    )
    record = make_record(data)
    assert np.abs(other.annotate(record) - result[0]).max() < 1e-4
    picks, detections = other.pick(record)
    assert_same(result[1], picks)
    assert len(detections) == len(result[2])


@settings(max_examples=8, deadline=None)
@given(first=st.integers(0, 8_000), last=st.integers(26_000, 34_000))
def test_where_the_data_begin_and_end_changes_nothing_beyond_the_context(
    picker, data, result, first, last
):
    record = cut(make_record(data), first, last)
    far = round(picker.context_s * 100)
    low, high = (first + far if first else 0), (last - far if last < 34_000 else 34_000)
    values = picker.annotate(record)
    assert np.abs(values[:, low - first : high - first] - result[0][:, low:high]).max() < 1e-4
    picks, detections = picker.pick(record)
    edges = [START_NS + k * 10_000_000 for k in (low, high)]
    assert_same(result[1], picks, *edges)
    tables = [
        d[d["starttime"].astype("int64").between(*edges)].reset_index(drop=True)
        for d in (result[2], detections)
    ]
    for column in ("starttime", "endtime"):
        difference = tables[0][column].astype("int64") - tables[1][column].astype("int64")
        assert difference.abs().max() <= 1_000_000


@pytest.mark.parametrize("since_s", [30.0, 171.3, 338.0])
def test_onsets_from_a_time_on_are_the_last_of_all(picker, data, since_s):
    record = make_record(data)
    since_ns = START_NS + round(since_s * NS_PER_S)
    parts = picker.onsets(record), picker.onsets(record, since_ns=since_ns)
    n = 0
    for whole, late in zip(*parts, strict=True):
        wanted, found = (some.take(some.time_s >= since_s) for some in (whole, late))
        n += len(wanted.time_s)
        np.testing.assert_allclose(found.time_s, wanted.time_s, atol=1e-3)
        np.testing.assert_allclose(found.probability, wanted.probability, atol=1e-3)
        np.testing.assert_allclose(found.sigma_s, wanted.sigma_s, rtol=1e-2)
    assert n > (20 if since_s < 200 else 0)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e9])
def test_the_unit_of_the_data_does_not_matter(picker, data, result, factor):
    record = make_record(data.astype(np.float64) * factor)
    assert np.abs(picker.annotate(record) - result[0]).max() < 1e-4
    picks, _ = picker.pick(record)
    picks["amplitude"] /= factor
    assert_same(result[1], picks)


@pytest.mark.parametrize("mask", [(True, False, False), (False, True, True), (True, True, False)])
def test_missing_components_are_not_read(picker, data, result, mask):
    record = make_record(data, mask=mask)
    rubbish = np.where(np.array(mask)[:, np.newaxis], data, np.float32(np.nan))
    other = picker.annotate(replace(record, data=rubbish))
    np.testing.assert_array_equal(picker.annotate(record), other)
    assert np.abs(other - result[0]).max() > 0.05
    assert len(picker.pick(record)[0])


@pytest.mark.parametrize("fs", [20.0, 50.0, 125.0, 200.0, 1000.0])
def test_other_rates_are_resampled_in_pieces_as_if_whole(picker, folder, data, fs):
    part = make_record(data[:, :9000], start_ns=START_NS + 3_300_000)
    record = resample(part, fs)
    whole = resample(record, 100.0)
    small = LearnedPicker(folder, LearnedPickerSettings(chunk_s=13.0, batch=2))
    # The ends of the record lie up to a sample off the ends of the resampled one.
    ends = part.starttime_ns + NS_PER_S, part.endtime_ns - NS_PER_S
    expected, found = (
        p[p["time"].astype("int64").between(*ends)].reset_index(drop=True)
        for p in (picker.pick(whole)[0], small.pick(record)[0])
    )
    assert len(expected) > 20
    # Amplitudes are those of the record's own samples, so they differ; times do not.
    assert (expected["time"] - found["time"]).abs().max().total_seconds() <= 1e-3
    assert (expected["probability"] - found["probability"]).abs().max() < 1e-3
    values = small.annotate(record)
    assert values.shape == (3, record.n_samples)
    # The network's own samples, every other one, at the samples of the record.
    own = picker.annotate(whole)
    first = whole.starttime_ns // 10_000_000 % 2
    at = (record.times_ns() - whole.starttime_ns) / 1e7
    shown = np.interp(at, np.arange(first, whole.n_samples, 2), own[0, first::2])
    assert np.abs(shown - values[0]).max() < 1e-4


def test_times_follow_a_record_off_the_grid(picker, data, result):
    late = make_record(data, start_ns=START_NS + 3_000_000)
    picks, _ = picker.pick(late)
    moved = result[1].assign(time=result[1]["time"] + np.timedelta64(3, "ms"))
    assert_same(moved, picks)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": np.zeros((3, 0), np.float32)}, "0 samples"),
        ({"data": np.zeros((3, 1), np.float32)}, "1 samples"),
        ({"data": np.zeros((1, 900), np.float32)}, "three components"),
        ({"mask": np.zeros(1, bool)}, "three components"),
        ({"mask": np.zeros(3, bool)}, "no component with data"),
        ({"sampling_rate_hz": 10.0}, "at least 20 Hz"),
    ],
)
def test_unusable_records_say_why_and_give_empty_tables(picker, data, change, reason):
    record = replace(make_record(data[:, :1000]), **change)
    assert reason in picker.unusable(record)
    picks, detections = picker.pick(record)
    assert picks.empty
    assert detections.empty
    assert list(picks.columns) == schema.PICKS.names
    assert picker.annotate(record).shape == (3, record.n_samples)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(picker, data, value):
    bad = data[:, :2000].copy()
    bad[1, 77] = value
    for call in (picker.pick, picker.annotate):
        with pytest.raises(DataError, match=r"XX\.SYN\.\.HH: samples that are not finite"):
            call(make_record(bad))


@pytest.mark.parametrize("n", [100, 127, 128, 129, 1000])
def test_short_and_constant_records_work(picker, n):
    rng = np.random.default_rng(n)
    picks, _ = picker.pick(make_record(rng.normal(size=(3, n))))
    moments = picks["time"].astype("int64") - START_NS
    assert moments.between(0.3 * NS_PER_S, n * 1e7).all()
    values = picker.annotate(make_record(np.full((3, n), 7.0)))
    assert np.isfinite(values).all()
    assert values.shape == (3, n)


def test_thresholds_are_given_or_follow_from_the_rate_of_false_picks_or_the_card(folder, data):
    def thresholds(**values):
        return LearnedPicker(folder, LearnedPickerSettings(**values)).thresholds

    assert thresholds() == (0.25, 0.25, 0.5)
    assert thresholds(false_picks_per_hour=10.0)[:2] == pytest.approx((0.5, 0.5))
    assert thresholds(false_picks_per_hour=10.0, s_threshold=0.1) == pytest.approx((0.5, 0.1, 0.5))
    assert thresholds(event_threshold=0.7)[2] == 0.7
    with pytest.raises(ConfigError, match=r"'tiny': 0\.1 false P picks.*from 1 to 100"):
        thresholds(false_picks_per_hour=0.1)
    with pytest.raises(ConfigError, match=r"no S pick reaches a probability of 0\.99; .* 0\.96"):
        thresholds(s_threshold=0.99)
    record = make_record(data)
    every = LearnedPicker(folder, LearnedPickerSettings(p_threshold=0.05)).pick(record)[0]
    few = LearnedPicker(folder, LearnedPickerSettings(p_threshold=0.6)).pick(record)[0]
    kept = every[(every["phase"] == "P") & (every["probability"] >= 0.6)]
    assert list(kept["pick_id"]) == list(few.loc[few["phase"] == "P", "pick_id"])
    assert every["probability"].min() < 0.25


def test_models_that_do_not_fit_are_refused(folder, data):
    network = LearnedPicker(folder).model.network
    wrong = Model(card(output=Output(stride=4)), network, folder)
    with pytest.raises(ModelError, match="returned shape"):
        LearnedPicker(wrong).pick(make_record(data))
    windowed = card(family="phasenet", windows=Windows(length=3001, step=1500))
    with pytest.raises(ModelError, match="family phasenet"):
        LearnedPicker(Model(windowed, network, folder))
    with pytest.raises(ModelError, match="no model 'nonesuch'"):
        LearnedPicker("nonesuch")
