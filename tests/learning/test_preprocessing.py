"""What the network sees: free of units, offsets and the place of cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import DataError
from lithoscope.learning.preprocessing import ALIGN, CHANNELS, REACH, prepare

THREE = np.ones(3, bool)


def noise(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(3, n)).astype(np.float32)
    data[:, n // 2 : n // 2 + 300] *= 1000.0  # an event: six orders of magnitude in energy
    return data


def test_a_chunk_with_its_reach_gives_what_the_whole_record_gives() -> None:
    n = ALIGN * 200
    data = noise(n)
    whole = prepare(data, THREE, 0)
    pad = -(-REACH // ALIGN) * ALIGN
    for begin, end in ((ALIGN * 40, ALIGN * 60), (ALIGN * 95, ALIGN * 103)):
        part = prepare(data[:, begin - pad : end + pad], THREE, begin - pad)
        np.testing.assert_array_equal(part[:, pad : pad + end - begin], whole[:, begin:end])


def test_data_beyond_the_reach_do_not_matter_and_data_within_do() -> None:
    n, at = ALIGN * 100, ALIGN * 50
    data = noise(n)
    before = prepare(data, THREE, 0)[:, at]
    data[:, at + REACH :] = 0.0
    np.testing.assert_array_equal(prepare(data, THREE, 0)[:, at], before)
    data[:, at + 1000 : at + 1100] = 77.0
    assert np.abs(prepare(data, THREE, 0)[:, at] - before).max() > 1e-4


@settings(max_examples=20, deadline=None)
@given(st.floats(-9, 9), st.integers(0, 2**31))
def test_the_unit_does_not_matter(decades: float, seed: int) -> None:
    data = noise(ALIGN * 20, seed)
    scaled = (data.astype(np.float64) * 10.0**decades).astype(np.float32)
    np.testing.assert_allclose(
        prepare(scaled, THREE, 0), prepare(data, THREE, 0), rtol=0, atol=2e-5
    )


def test_an_offset_is_removed() -> None:
    data = noise(ALIGN * 40)
    # float32 keeps 1e-7 of the offset: 1e-4 of the noise here.
    np.testing.assert_allclose(
        prepare(data + np.float32(1000.0), THREE, 0), prepare(data, THREE, 0), atol=2e-3
    )


def test_slow_motion_is_taken_out_and_the_band_of_earthquakes_kept() -> None:
    t = np.arange(ALIGN * 100) / 100.0
    kept = {}
    for hz in (0.1, 2.0, 20.0):
        data = np.zeros((3, len(t)), np.float32)
        data[0] = np.sin(2 * np.pi * hz * t)
        data[1] = np.random.default_rng(0).normal(size=len(t))  # gives the scale
        middle = prepare(data, THREE, 0)[0, 4000:-4000]
        kept[hz] = float(np.sqrt(np.mean(middle**2)))
    assert kept[0.1] < 0.1 * kept[2.0]
    assert kept[20.0] == pytest.approx(kept[2.0], rel=0.05)


def test_missing_components_and_filling_stay_zero_and_do_not_change_the_scale() -> None:
    data = noise(ALIGN * 30)
    one = prepare(data, np.array([True, False, False]), 0)
    assert not one[[1, 2, 4, 5]].any()
    alone = np.zeros_like(data)
    alone[0] = data[0]
    np.testing.assert_array_equal(prepare(alone, np.array([True, False, False]), 0), one)
    part = prepare(data, THREE, 0, (500, 2500))
    assert not part[:, :500].any()
    assert not part[:, 2500:].any()
    # An offset must not make a step where the data begin.
    lifted = np.where(np.arange(data.shape[1]) < 500, 0, data + 1e4).astype(np.float32)
    edge = prepare(lifted, THREE, 0, (500, data.shape[1]))[:, 500:600]
    assert np.abs(edge).max() < 8.0


def test_constant_data_give_zeros_not_rounding_noise() -> None:
    data = np.full((3, ALIGN * 10), 12345.678, np.float32)
    assert not prepare(data, THREE, 0).any()


def test_shape_and_alignment_are_checked() -> None:
    with pytest.raises(DataError, match="three components"):
        prepare(np.zeros((2, ALIGN), np.float32), THREE, 0)
    with pytest.raises(DataError, match="multiples"):
        prepare(np.zeros((3, ALIGN + 1), np.float32), THREE, 0)
    with pytest.raises(DataError, match="multiples"):
        prepare(np.zeros((3, ALIGN), np.float32), THREE, 5)
    assert prepare(np.zeros((3, 0), np.float32), THREE, 0).shape == (CHANNELS, 0)
