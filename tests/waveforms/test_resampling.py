"""Resampling moves no onset, lets no alias through and does not see where the data start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniseed_files import START_NS

from lithoscope.errors import DataError
from lithoscope.waveforms import Record, resample
from lithoscope.waveforms.resampling import half_width_s

NONE = np.zeros(3, bool)


def record(values, rate_hz: float, start_ns: int = START_NS) -> Record:
    data = np.zeros((3, len(values)), np.float32)
    data[0] = values
    mask = np.array([True, False, False])
    return Record("XX.AAA..HH", start_ns, rate_hz, data, mask, ("XX.AAA..HHZ", "", ""), NONE)


def inside(out: Record, source: Record) -> np.ndarray:
    """Return True for output samples that no end of the source reaches."""
    width = 1.01 * half_width_s(source.sampling_rate_hz, out.sampling_rate_hz) * 1e9
    times = out.times_ns()
    return (times > source.starttime_ns + width) & (times < source.endtime_ns - width)


def seconds(times_ns: np.ndarray) -> np.ndarray:
    return (times_ns - START_NS) / 1e9


@pytest.mark.parametrize(
    "rate_in", [1.0, 20.0, 40.0, 50.0, 62.5, 100.0, 125.0, 200.0, 250.0, 500.0, 1000.0]
)
@pytest.mark.parametrize("rate_out", [20.0, 100.0])
def test_waves_in_the_band_are_kept_at_their_times(rate_in, rate_out):
    """Against the wave itself: 80 dB are 1e-4, the passband's ripple is as large."""
    frequency = 0.3 * min(rate_in, rate_out)  # 60 % of Nyquist
    n = int(max(120 * 100.0 / min(rate_in, rate_out), 30) * rate_in)
    source = record(np.zeros(n), rate_in, START_NS + 1_234_567)
    source.data[0] = np.cos(2 * np.pi * frequency * seconds(source.times_ns()) + 0.3)
    out = resample(source, rate_out)
    expected = np.cos(2 * np.pi * frequency * seconds(out.times_ns()) + 0.3)
    keep = inside(out, source)
    assert keep.sum() > 100
    assert np.abs(out.data[0] - expected)[keep].max() < 3e-4


@pytest.mark.parametrize(("rate_in", "rate_out"), [(200.0, 100.0), (250.0, 100.0), (1000.0, 50.0)])
def test_aliases_are_rejected_by_more_than_60_db(rate_in, rate_out):
    rng = np.random.default_rng(0)
    for frequency in rng.uniform(0.5 * rate_out, 0.5 * rate_in, 10):
        source = record(np.zeros(int(30 * rate_in)), rate_in)
        source.data[0] = np.cos(2 * np.pi * frequency * seconds(source.times_ns()))
        out = resample(source, rate_out)
        assert np.abs(out.data[0][inside(out, source)]).max() < 1e-3


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(50.0, 100.0), (125.0, 100.0), (200.0, 100.0), (500.0, 100.0), (99.8, 100.0)],
)
def test_a_known_onset_moves_by_less_than_a_millisecond(rate_in, rate_out):
    """A Gaussian pulse of known centre: its centroid is found to 1 ms, at any offset of grids."""
    for offset_ns in (0, 3_300_000, 7_777_777):
        centre_ns = START_NS + 15_003_210_000
        source = record(np.zeros(int(30 * rate_in)), rate_in, START_NS + offset_ns)
        width = 2.0 / min(rate_in, rate_out)
        source.data[0] = np.exp(-0.5 * ((source.times_ns() - centre_ns) / 1e9 / width) ** 2)
        out = resample(source, rate_out)
        values = out.data[0].astype(float)
        centroid = np.sum(seconds(out.times_ns()) * values) / values.sum()
        assert abs(centroid - (centre_ns - START_NS) / 1e9) < 1e-4
        # And the crossing of 10 %, which a picker sees.
        level = np.interp(
            0.1, values[: values.argmax()], seconds(out.times_ns())[: values.argmax()]
        )
        true = (centre_ns - START_NS) / 1e9 - width * np.sqrt(2 * np.log(10))
        assert abs(level - true) < 1.5e-3


def test_ringing_in_front_of_an_impulsive_onset_is_short_and_small():
    """A step in a 200 Hz record, the worst case: documented, so held."""
    source = record(np.zeros(4000), 200.0)
    source.data[0, 2000:] = 1.0
    out = resample(source, 100.0)
    before = seconds(out.times_ns()) - seconds(source.times_ns())[2000]
    values = np.abs(out.data[0])
    assert values[before < -half_width_s(200.0, 100.0) - 0.005].max() == 0.0
    assert values[before < -0.05].max() < 0.04
    assert values[before < -0.1].max() < 0.01


@settings(max_examples=25, deadline=None)
@given(
    shift=st.integers(1, 500),
    rates=st.sampled_from([(200.0, 100.0), (125.0, 100.0), (50.0, 100.0), (250.0, 20.0)]),
    offset_ns=st.integers(0, 9_999_999),
)
def test_the_result_does_not_depend_on_where_the_data_start(shift, rates, offset_ns):
    rate_in, rate_out = rates
    values = np.random.default_rng(0).normal(0, 1000, 4000)
    whole = record(values, rate_in, START_NS + offset_ns)
    later = record(values[shift:], rate_in, int(whole.times_ns()[shift]))
    a, b = resample(whole, rate_out), resample(later, rate_out)
    left, right = inside(a, later), inside(b, later)
    assert np.array_equal(a.times_ns()[left], b.times_ns()[right])
    # Equal to the rounding of float32 (values to 4000).
    assert np.abs(a.data[0][left] - b.data[0][right]).max() <= 5e-4


def test_output_lies_on_the_absolute_grid_within_the_record():
    source = record(np.zeros(1000), 125.0, START_NS + 1)
    out = resample(source, 100.0)
    assert np.all(out.times_ns() % 10_000_000 == 0)
    assert source.starttime_ns <= out.starttime_ns < source.starttime_ns + 10_000_000
    assert source.endtime_ns - 10_000_000 < out.endtime_ns <= source.endtime_ns


def test_the_same_rate_changes_nothing():
    source = record(np.arange(10.0), 100.0, START_NS + 1234)
    assert resample(source, 100.0) is source


def test_a_constant_stays_exactly_constant_to_the_ends():
    out = resample(record(np.full(500, 12345.0), 200.0), 100.0)
    assert np.all(out.data[0] == np.float32(12345.0))
    assert not out.data[1:].any()


def test_rates_without_a_simple_ratio():
    """99.973 to 100 Hz has no short cycle of phases."""
    source = record(np.zeros(6000), 99.973)
    source.data[0] = np.cos(2 * np.pi * 10.0 * seconds(source.times_ns()))
    out = resample(source, 100.0)
    keep = inside(out, source)
    error = out.data[0] - np.cos(2 * np.pi * 10.0 * seconds(out.times_ns()))
    # Rounding to 1/4096 of a sample: 1.2 microseconds of a 10 Hz wave.
    assert np.abs(error[keep]).max() < 2 * np.pi * 10.0 * 1.3e-6 + 2e-4


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(DataError, match="must be above 0"):
        resample(record(np.zeros(10), 100.0), rate)


def test_too_short_for_the_rate():
    with pytest.raises(DataError, match="too short"):
        resample(record(np.zeros(3), 1000.0, START_NS + 1), 1.0)
