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


def quiet(**changes):
    """Return settings of one undisturbed earthquake per trace."""
    given = {
        "event_count_parts": (0.0, 1.0, 0.0, 0.0),
        "outside_parts": (0.0, 0.0),
        "nuisance_part": 0.0,
        "fault_part": 0.0,
        "vertical_only_part": 0.0,
        "unit_decades": (0.0, 0.0),
        "linear_phase_part": 0.0,
    }
    return dataclasses.replace(SyntheticSettings(), **(given | changes))


def test_signal_to_noise_ratio_is_what_was_asked_for_where_the_noise_is_steady():
    wanted = 20.0
    how = quiet(low_snr_part=1.0, p_snr_db=(wanted, 0.0))
    batch = synthesize(np.random.default_rng(5), 80, settings=how)
    got = [o.snr_db for rows in batch.onsets for o in rows if o.phase == "P"]
    assert len(got) > 60
    # Its level swings and 2 s of coloured noise differ from the mean of the window by some dB.
    assert np.median(got) == pytest.approx(wanted, abs=2.0)


def test_p_moves_along_the_ray_and_s_across_it():
    none = dict.fromkeys(
        ("head_wave_part", "conversion_part", "reflection_part", "explosion_part"), 0.0
    )
    how = quiet(**none, s_minus_p_s=(5.0, 10.0), low_snr_part=0.0, high_snr_db=(50.0, 60.0))
    how = dataclasses.replace(how, site_gain=(1.0, 1.0 + 1e-9))
    batch = synthesize(np.random.default_rng(6), 30, settings=how)
    vertical = {"P": [], "S": []}
    for data, rows in zip(batch.data, batch.onsets, strict=True):
        for onset in rows:
            first = int(np.ceil(onset.sample))
            power = (np.diff(data[:, first : first + 30], axis=1) ** 2).sum(axis=1)
            vertical[onset.phase].append(power[0] / power.sum())
    assert np.median(vertical["P"]) > 0.5
    assert np.median(vertical["S"]) < 0.25


def test_first_arrivals_hidden_in_noise_pass_their_label_on():
    """A loud earthquake keeps its first arrival; the same one in noise has the next, or later."""
    chosen = {"head_wave_part": 1.0, "subevent_part": 0.0, "s_minus_p_s": (8.0, 40.0)}
    loud = quiet(**chosen, low_snr_part=1.0, p_snr_db=(60.0, 0.0))
    faint = dataclasses.replace(loud, p_snr_db=(4.0, 0.0))
    times = []
    for how in (loud, faint):
        batch = synthesize(np.random.default_rng(11), 60, settings=how)
        times.append(
            {i: r[0].sample for i, r in enumerate(batch.onsets) if r and r[0].phase == "P"}
        )
    both = sorted(set(times[0]) & set(times[1]))
    moved = np.array([times[1][i] - times[0][i] for i in both])
    assert len(both) > 40
    assert (moved >= 0).all()
    assert 0.1 < (moved > 1).mean() < 0.9


def test_no_label_lies_in_a_gap():
    how = quiet(fault_part=1.0)
    batch = synthesize(np.random.default_rng(12), 120, settings=how)
    all_labels = synthesize(
        np.random.default_rng(12), 120, settings=dataclasses.replace(how, fault_part=0.0)
    )
    for data, rows in zip(batch.data, batch.onsets, strict=True):
        for onset in rows:
            at = int(np.ceil(onset.sample))
            assert np.ptp(data[:, max(at - 5, 0) : at + 15], axis=1).max() > 0
    assert sum(map(len, batch.onsets)) < sum(map(len, all_labels.onsets))


def test_real_noise_is_used_as_given():
    t = np.arange(8000) / RATE
    pool = np.broadcast_to(np.sin(2 * np.pi * 3.0 * t), (4, 3, 8000)).astype(np.float32)
    how = quiet(event_count_parts=(1.0, 0.0, 0.0, 0.0), real_noise_part=1.0)
    batch = synthesize(np.random.default_rng(1), 4, noise=pool, settings=how)
    spectrum = np.abs(np.fft.rfft(batch.data[:, 0])) ** 2
    peak = np.argmax(spectrum, axis=1) * RATE / N
    np.testing.assert_allclose(peak, 3.0, atol=0.02)
    assert batch.onsets == [[]] * 4
