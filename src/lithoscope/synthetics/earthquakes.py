"""Clean three-component seismograms of drawn earthquakes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from lithoscope.synthetics.excitation import excite
from lithoscope.synthetics.paths import Paths
from lithoscope.synthetics.sources import Sources, log_uniform
from lithoscope.synthetics.training_settings import SyntheticSettings
from lithoscope.synthetics.wavelets import SPAN, attenuation_pulse, resonance, source_filter

PADDING = 2048  # samples ahead of the window: arrivals there still ring into it
_CHUNK = 16  # earthquakes at once, so that the work stays in the cache


def padded_length(n_samples: int) -> int:
    """Length of the transforms for windows of ``n_samples``."""
    return int(next_fast_len(n_samples + PADDING, real=True))


def seismograms(
    rng: np.random.Generator,
    sources: Sources,
    paths: Paths,
    sensor: NDArray[np.complex64],
    n_samples: int,
    rate_hz: float,
    how: SyntheticSettings,
) -> NDArray[np.float32]:
    """Return (k, 3, n_samples): Z N E of every earthquake, alone and without noise.

    Exactly zero before the first arrival when transforms round nothing; rounding is removed here.
    """
    k, n_fft = len(sources.trace), padded_length(n_samples)
    out = np.zeros((k, 3, n_samples), np.float32)
    site = _site_draws(rng, sources, how)
    for first in range(0, k, _CHUNK):
        part = slice(first, min(first + _CHUNK, k))
        out[part] = _chunk(rng, sources, paths, sensor, site, part, n_samples, n_fft, rate_hz)
    return out


def _site_draws(
    rng: np.random.Generator, sources: Sources, how: SyntheticSettings
) -> tuple[NDArray[np.float64], ...]:
    """Two resonances for the vertical and two for the horizontals: frequency, gain, quality."""
    k = len(sources.trace)
    frequency = log_uniform(rng, how.site_hz, (k, 2, 2))
    gain = log_uniform(rng, how.site_gain, (k, 2, 2))
    gain[:, 0] = np.sqrt(gain[:, 0])  # soft ground amplifies the horizontals more
    quality = rng.uniform(0.7, 4.0, (k, 2, 2))
    first = sources.place  # one station: the same ground for all its earthquakes
    return frequency[first], gain[first], quality[first]


def _chunk(
    rng: np.random.Generator,
    sources: Sources,
    paths: Paths,
    sensor: NDArray[np.complex64],
    site: tuple[NDArray[np.float64], ...],
    part: slice,
    n_samples: int,
    n_fft: int,
    rate_hz: float,
) -> NDArray[np.float32]:
    m = part.stop - part.start
    noise = rng.standard_normal((m, 3, n_fft), dtype=np.float32)
    coda = paths.coda[part].copy()
    coda[:, :, 0] += PADDING
    waves = np.zeros((m, 2, 3, n_fft), np.float32)
    tables = (paths.rays[part], paths.subevents[part], coda, paths.surface[part])
    excite(waves, *tables, noise, rate_hz)
    spectrum = rfft(waves, axis=-1)
    t_star = sources.t_star_s[part].ravel()
    onset = sources.onset[part].ravel()
    fraction = np.ceil(onset) - onset
    fraction[fraction == 0.0] = 1.0
    length = min(int(SPAN * t_star.max() * rate_hz) + 2, n_fft)
    pulse = rfft(attenuation_pulse(t_star, fraction, length, rate_hz), n_fft, axis=-1)
    brune = source_filter(sources.corner_hz[part].ravel(), rate_hz, n_fft)
    wavelet = (pulse * brune).reshape(m, 2, 1, -1)
    ground = (spectrum * wavelet).sum(axis=1)
    frequency, gain, quality = (x[part] for x in site)
    shape = resonance(frequency, gain, quality, rate_hz, n_fft).prod(axis=2)
    shape *= sensor[sources.trace[part]][:, None]
    ground[:, 0] *= shape[:, 0]
    ground[:, 1:] *= shape[:, 1:]
    motion = irfft(ground, n_fft, axis=-1)[:, :, PADDING : PADDING + n_samples]
    azimuth = sources.azimuth[part].astype(np.float32)[:, None]
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    radial, transverse = motion[:, 1].copy(), motion[:, 2]
    motion = np.stack(
        [motion[:, 0], radial * cosine - transverse * sine, radial * sine + transverse * cosine],
        axis=1,
    )
    start = np.ceil(sources.onset[part, 0]).astype(int)
    for e in range(m):
        motion[e, :, : max(start[e], 0)] = 0.0  # what rounding left there
    return np.asarray(motion, np.float32)
