"""Clipped, spiky and flat data are found, clean data are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from lithoscope.waveforms.quality import FLAT, MISSING, VALID, clipped, spikes, stretches


def event(n: int = 6000, size: float = 1e5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 100.0
    envelope = np.where(t > 20, np.exp(-(t - 20) / 8), 0)
    return (rng.normal(0, 50, n) + size * envelope * np.sin(2 * np.pi * 3 * t)).astype(np.float32)


def test_a_clean_event_is_not_clipped():
    assert not any(clipped(np.rint(event(seed=k)).astype(np.float32)) for k in range(20))


@pytest.mark.parametrize("side", [1, -1])
def test_a_rail_is_found(side):
    values = np.minimum(side * event(), 6e4).astype(np.float32)
    assert clipped(side * values)


def test_quiet_integers_that_repeat_are_not_clipped():
    values = np.rint(np.random.default_rng(0).normal(0, 0.8, 20_000)).astype(np.float32)
    assert not clipped(values)


def test_full_scale_of_24_bits():
    values = event(size=1.0)
    values[3000] = 2**23 - 1
    assert clipped(values)
    values[3000] = 0.8 * 2**23
    assert not clipped(values)
    values[3000] = 2.0**25  # only a recorder of more bits can write this
    assert not clipped(values)


def test_clipping_does_not_depend_on_the_unit():
    values = np.minimum(event(), 6e4) * 1e-9
    assert clipped(values.astype(np.float32))
    assert not clipped((event() * 1e-9).astype(np.float32))


def test_spikes_are_counted_and_onsets_are_not():
    values = np.rint(event()).astype(np.float32)
    assert spikes(values, 50.0)[0] == 0
    values[[1000, 1500]] += 1e5
    assert spikes(values, 50.0) == (2, 1000)


def test_a_step_is_no_spike():
    values = np.rint(np.random.default_rng(0).normal(0, 5, 2000)).astype(np.float32)
    values[1000:] += 1e5
    assert spikes(values, 50.0)[0] == 0


def test_stretches_against_a_plain_implementation():
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = rng.integers(0, 2, 300).astype(np.float32)
        values[rng.integers(0, 300, 5)] = np.nan
        kind = np.empty(300, int)
        for i, value in enumerate(values):
            if np.isnan(value):
                kind[i] = MISSING
                continue
            a, b = i, i
            while a > 0 and values[a - 1] == value:
                a -= 1
            while b < 299 and values[b + 1] == value:
                b += 1
            kind[i] = FLAT if b - a + 1 >= 5 else VALID
        table = stretches(values, 5, 300)
        rebuilt = np.concatenate([np.full(b - a, k) for a, b, k in table])
        assert np.array_equal(rebuilt, kind)
        assert table[0, 0] == 0
        assert (table[1:, 0] == table[:-1, 1]).all()


def test_zeros_put_in_for_missing_data_are_found():
    values = np.rint(event(size=1.0)).astype(np.float32)
    values[1000:1150] = 0.0
    values[-200:] = 0.0
    kinds = stretches(values, 3000, 100)
    assert kinds.tolist() == [[0, 1000, 0], [1000, 1150, 2], [1150, 5800, 0], [5800, 6000, 2]]


def test_zeros_of_a_quiet_coarse_recorder_stay():
    values = np.zeros(6000, np.float32)
    values[::70] = 1.0
    values[3000:] += np.rint(event(3000, size=1.0))
    assert stretches(values, 3000, 60).tolist() == [[0, 6000, 0]]
