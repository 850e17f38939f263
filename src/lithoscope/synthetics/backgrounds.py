"""Background noise of many colours, and windows of real noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft

from lithoscope.errors import DataError
from lithoscope.synthetics.sources import log_uniform

# Nodes of the random spectra, Hz.
_NODES = np.array([0.02, 0.06, 0.12, 0.2, 0.35, 0.7, 1.5, 3.0, 6.0, 12.0, 25.0, 50.0])
_CHUNK = 32


def coloured_noise(
    rng: np.random.Generator,
    n: int,
    n_samples: int,
    rate_hz: float,
    response: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Return (n, 3, n_samples) noise as recorded, each trace of its own spectrum.

    ``response`` (n, n_samples/2 + 1) is the amplitude response of each sensor.

    Spectra are random walks over log frequency around a random slope (white to 1/f^2), with a
    microseism peak at 0.1 to 0.35 Hz, cultural bands at 1 to 30 Hz, and components that differ
    by a few dB; the level swings slowly in time. Traces have root mean square 1.
    """
    n_frequency = n_samples // 2 + 1
    frequency = np.maximum(np.arange(n_frequency) * rate_hz / n_samples, 0.5 * rate_hz / n_samples)
    weights = _interpolation(np.log(_NODES), np.log(frequency))
    out = np.empty((n, 3, n_samples), np.float32)
    for first in range(0, n, _CHUNK):
        m = min(_CHUNK, n - first)
        level = _levels(rng, m) @ weights
        _add_bands(rng, level, frequency)
        amplitude = np.exp(level, dtype=np.float32)
        phase = rng.standard_normal((m, 3, n_frequency, 2), dtype=np.float32)
        amplitude *= response[first : first + m, None].astype(np.float32)
        spectrum = phase.view(np.complex64)[..., 0] * amplitude
        spectrum[:, :, 0] = 0.0
        noise = irfft(spectrum, n_samples, axis=-1)
        noise *= _swing(rng, m, n_samples)
        noise /= np.sqrt(np.mean(noise**2, axis=(1, 2), keepdims=True))
        out[first : first + m] = noise
    return out


def real_noise(
    rng: np.random.Generator, pool: NDArray[np.float32], n: int, n_samples: int
) -> NDArray[np.float32]:
    """Draw windows from a pool of real noise (k, 3, at least n_samples), each of rms 1.

    Windows start anywhere, may be reversed in sign, run backwards or with horizontals swapped.
    """
    if pool.ndim != 3 or pool.shape[1] != 3 or pool.shape[2] < n_samples or not len(pool):
        raise DataError(
            f"noise has shape {pool.shape}; (windows, 3, at least {n_samples} samples) is required"
        )
    out = np.empty((n, 3, n_samples), np.float32)
    for i, row in enumerate(rng.integers(0, len(pool), n)):
        start = int(rng.integers(0, pool.shape[2] - n_samples + 1))
        window = pool[row, :, start : start + n_samples].astype(np.float32)
        window = window - window.mean(axis=1, keepdims=True)
        if rng.uniform() < 0.5:
            window = window[[0, 2, 1]]
        if rng.uniform() < 0.3:
            window = window[:, ::-1]
        scale = float(np.abs(window).max()) or 1.0
        window = window / scale
        rms = float(np.sqrt(np.mean(window**2))) or 1.0
        out[i] = window * (rng.choice([-1.0, 1.0]) / rms)
    return out


def _interpolation(nodes: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Matrix (nodes, points) of linear interpolation, flat beyond the ends."""
    columns = [np.interp(at, nodes, unit) for unit in np.eye(len(nodes))]
    return np.asarray(columns, np.float32)


def _levels(rng: np.random.Generator, m: int) -> NDArray[np.float32]:
    """Natural log of the amplitude at the nodes, (m, 3, nodes)."""
    nodes = np.log(_NODES)
    slope = rng.uniform(-1.6, 0.3, (m, 1, 1))
    walk = np.cumsum(rng.normal(size=(m, 1, len(nodes))) * 0.45, axis=2)
    own = np.cumsum(rng.normal(size=(m, 3, len(nodes))) * 0.15, axis=2)
    offset = rng.normal(size=(m, 3, 1)) * 0.25
    return np.asarray(slope * nodes + walk + own + offset, np.float32)


def _add_bands(
    rng: np.random.Generator, level: NDArray[np.float32], frequency: NDArray[np.float64]
) -> None:
    """Add microseism and cultural peaks in place."""
    log_f = np.log(frequency).astype(np.float32)
    m = len(level)
    for limits, part, most, widths in (
        ((0.1, 0.35), 0.6, 3.5, (0.15, 0.5)),
        ((1.0, 8.0), 0.5, 1.8, (0.05, 0.5)),
        ((5.0, 45.0), 0.5, 2.2, (0.01, 0.4)),
    ):
        has = np.flatnonzero(rng.uniform(size=m) < part)
        if not has.size:
            continue
        centre = np.log(log_uniform(rng, limits, has.size)).astype(np.float32)[:, None]
        width = log_uniform(rng, widths, has.size).astype(np.float32)[:, None]
        peak = np.exp(-0.5 * ((log_f - centre) / width) ** 2)
        height = rng.uniform(0.3, most, (has.size, 1, 1)) + rng.normal(size=(has.size, 3, 1)) * 0.3
        level[has] += height.astype(np.float32) * peak[:, None]


def _swing(rng: np.random.Generator, m: int, n_samples: int) -> NDArray[np.float32]:
    """Slow change of level, (m, 1, n_samples): wind, traffic far away."""
    knots = 12
    strength = np.abs(rng.normal(size=(m, 1))) * 0.25
    values = np.cumsum(rng.normal(size=(m, knots)), axis=1) * strength
    weights = _interpolation(np.linspace(0.0, 1.0, knots), np.linspace(0.0, 1.0, n_samples))
    return np.asarray(np.exp(values.astype(np.float32) @ weights))[:, None]
