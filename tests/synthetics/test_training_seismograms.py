"""Training seismograms: causal, labelled exactly, reproducible, varied."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lithoscope.errors import DataError
from lithoscope.synthetics.earthquakes import padded_length, seismograms
from lithoscope.synthetics.instruments import draw_instruments
from lithoscope.synthetics.paths import draw_paths
from lithoscope.synthetics.sources import draw_sources
from lithoscope.synthetics.training import SyntheticSettings, synthesize

N, RATE = 6144, 100.0


def clean(seed, n=40, **changes):
    """Return sources, paths and their noise-free seismograms."""
    rng = np.random.default_rng(seed)
    how = dataclasses.replace(SyntheticSettings(), **changes)
    sensor = draw_instruments(rng, n, how).response(padded_length(N), RATE)
    sources = draw_sources(rng, n, N, RATE, how)
    paths = draw_paths(rng, sources, RATE, how)
    return sources, paths, seismograms(rng, sources, paths, sensor, N, RATE, how)


def test_nothing_precedes_the_onset_and_the_wave_starts_there():
    sources, _, data = clean(1)
    checked = 0
    for e, onset in enumerate(sources.onset[:, 0]):
        if not 0 <= onset < N - 300:
            continue
        first = int(np.ceil(onset))
        assert not data[e, :, :first].any()
        # The label is the last place without motion: the next two samples move.
        assert np.abs(data[e, :, first : first + 2]).max() > 0
        checked += 1
    assert checked > 20


def test_rounding_before_the_onset_is_all_that_was_removed(monkeypatch):
    """The transforms themselves are causal: what is cut off is rounding noise."""
    import lithoscope.synthetics.earthquakes as module

    raw = []
    monkeypatch.setattr(
        module,
        "irfft",
        lambda x, n, axis: raw.append(np.fft.irfft(x, n, axis=axis)) or raw[-1].astype(np.float32),
    )
    sources, _, _ = clean(2, n=20)
    motion = np.concatenate(raw)
    assert len(motion) == len(sources.trace)
    for e, onset in enumerate(sources.onset[:, 0]):
        first = int(np.ceil(onset)) + module.PADDING
        if module.PADDING < first < N:
            early = np.abs(motion[e, :, module.PADDING : first]).max()
            # Wavelets that outlast the padding of 20.48 s wrap around: the 0.2 Hz sensor of
            # damping 0.5 has decayed to exp(-0.5 * 2 pi * 0.2 * 20.48) = 3e-6 of its start.
            assert early < 1e-5 * np.abs(motion[e]).max()


def test_the_same_seed_gives_the_same_batch_and_others_do_not():
    a, b, c = (synthesize(np.random.default_rng(s), 6) for s in (7, 7, 8))
    np.testing.assert_array_equal(a.data, b.data)
    assert a.onsets == b.onsets
    assert a.intervals == b.intervals
    assert not np.array_equal(a.data, c.data)


def test_batches_are_finite_over_all_amplitude_units_and_masks_mean_zeros():
    batch = synthesize(np.random.default_rng(3), 96)
    assert batch.data.dtype == np.float32
    assert batch.data.shape == (96, 3, N)
    assert np.isfinite(batch.data).all()
    assert not batch.data[~batch.mask].any()
    peak = np.abs(batch.data).max(axis=(1, 2))
    assert peak.min() < 1e-6
    assert peak.max() > 1e6
    assert 0 < (~batch.mask[:, 1]).mean() < 0.4
    assert batch.mask[:, 0].all()


def test_bad_requests_are_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(DataError, match="n = 0"):
        synthesize(rng, 0)
    with pytest.raises(DataError, match="noise has shape"):
        synthesize(rng, 1, noise=np.zeros((2, 3, 100), np.float32))
