"""Wavelets and scattered waves against their closed forms."""

import numpy as np
import pytest

from lithoscope.synthetics.excitation import (
    N_CODA_COLUMNS,
    N_RAY_COLUMNS,
    N_SURFACE_COLUMNS,
    excite,
)
from lithoscope.synthetics.wavelets import (
    attenuation_pulse,
    instrument_filter,
    resonance,
    source_filter,
)

RATE, N = 100.0, 8192
FREQUENCY = np.fft.rfftfreq(N, 1.0 / RATE)


def near(hz):
    return int(np.argmin(np.abs(FREQUENCY - hz)))


@pytest.mark.parametrize("t_star", [0.02, 0.1, 0.3])
def test_attenuation_pulse_has_the_spectrum_of_constant_q(t_star):
    pulse = attenuation_pulse(np.array([t_star]), np.array([1.0]), 4000, RATE)[0]
    spectrum = np.abs(np.fft.rfft(pulse, N))
    mean = np.abs(np.sinc(FREQUENCY / RATE))  # each sample is a mean over its interval
    use = (FREQUENCY > 0.3) & (FREQUENCY * t_star < 1.0) & (FREQUENCY < 20.0)
    expected = np.exp(-np.pi * FREQUENCY * t_star) * mean
    # The start below 1 % of the peak is missing: a few per cent of the amplitude.
    np.testing.assert_allclose(spectrum[use], expected[use], rtol=0.06)
    assert pulse.sum() == pytest.approx(1.0, abs=1e-5)


def test_attenuation_pulse_moves_with_the_fraction_of_a_sample():
    fraction = np.array([1.0, 0.75, 0.3])
    pulse = attenuation_pulse(np.full(3, 0.05), fraction, 2000, RATE).astype(float)
    centre = (pulse * np.arange(2000)).sum(axis=1)
    # Sample 0 lies the fraction after the onset, so the later onset is the smaller fraction.
    np.testing.assert_allclose(centre[1:] - centre[0], 1.0 - fraction[1:], atol=1e-3)


def test_source_filter_is_the_brune_spectrum_of_velocity():
    corner = 4.0
    shape = np.abs(source_filter(np.array([corner]), RATE, N)[0])
    use = (FREQUENCY > 0.1) & (FREQUENCY < 10.0)
    expected = 2 * np.pi * FREQUENCY / RATE / (1.0 + (FREQUENCY / corner) ** 2)
    # Sampling in time folds the spectrum back: (10 / 50)^2 at the upper end.
    np.testing.assert_allclose(shape[use], expected[use], rtol=0.04)


def test_resonance_amplifies_its_frequency_only():
    shape = np.abs(resonance(np.array([6.0]), np.array([3.0]), np.array([2.0]), RATE, N)[0])
    assert shape[near(6.0)] == pytest.approx(3.0, rel=1e-2)
    assert shape[0] == pytest.approx(1.0, abs=1e-3)
    assert shape[-1] == pytest.approx(1.0, abs=1e-3)


def test_sensors_have_their_corner_and_accelerometers_differentiate():
    corner, damping = np.array([4.5, 0.0, 0.0]), np.array([0.6, 0.7, 0.7])
    out = instrument_filter(corner, damping, np.array([False, False, True]), RATE, N)
    use = (FREQUENCY > 0.2) & (FREQUENCY < 10.0)
    s, w = 2j * np.pi * FREQUENCY[use], 2 * np.pi * 4.5
    expected = s * s / (s * s + 2 * 0.6 * w * s + w * w)
    # The bilinear transform bends frequencies by (pi f / rate)^2 / 3: 3 % at 10 Hz.
    np.testing.assert_allclose(np.abs(out[0, use]), np.abs(expected), rtol=0.04)
    np.testing.assert_array_equal(out[1], 1.0)
    np.testing.assert_allclose(np.abs(out[2, use]), FREQUENCY[use] / 5.0, rtol=0.04)


def scattered(**changes):
    """Return the excitation of one S coda: start 1000, travel time 10 s, decay time 20 s."""
    rng = np.random.default_rng(1)
    coda = np.zeros((1, 2, N_CODA_COLUMNS))
    coda[0, 1] = [1000, 1000.0, 10.0, 2000.0, 1.0, 0.0]
    coda[0, 0, 0] = 400
    surface = np.zeros((1, N_SURFACE_COLUMNS))
    for column, value in changes.items():
        surface[0, int(column[1:])] = value
    waves = np.zeros((1, 2, 3, N), np.float32)
    noise = rng.standard_normal((1, 3, N), dtype=np.float32)
    excite(
        waves, np.zeros((1, 1, N_RAY_COLUMNS)), np.zeros((1, 2, 1, 2)), coda, surface, noise, RATE
    )
    return waves[0]


def test_coda_starts_at_its_onset_and_decays_as_single_scattering():
    waves = scattered()
    assert not waves[0].any()
    assert not waves[1, :, :1000].any()
    assert (waves[1, :, :1500] ** 2).sum() == pytest.approx(1.0, rel=0.1)
    power = (waves[1] ** 2).mean(axis=0)
    levels = [power[at - 300 : at + 300].mean() for at in (2500, 6000)]
    x = np.array([1.0 + 15.0 / 10.0, 1.0 + 50.0 / 10.0])
    single = np.log((x + 1) / (x - 1)) / x * np.exp(-2 * np.array([15.0, 50.0]) / 20.0)
    # 1800 squared normals: sigma 3.3 % each; 4 sigma of the ratio.
    assert levels[1] / levels[0] == pytest.approx(single[1] / single[0], rel=0.2)


def test_surface_waves_have_their_energy_and_come_in_their_time():
    with_them = scattered(c0=500, c1=2000, c2=0.002, c3=0.01, c4=50.0, c5=0.0) - scattered()
    assert not with_them[1, :, :1500].any()
    assert not with_them[1, :, 3501:].any()
    assert (with_them[1, 0] ** 2).sum() == pytest.approx(50.0, rel=0.1)
    assert not with_them[1, 2].any()
