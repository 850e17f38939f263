"""Causal wavelets: attenuation pulses, source, site and instrument filters.

Every factor is causal by construction. The attenuation pulse is sampled in continuous time from
its onset, and all other factors are stable rational functions of z^-1, so a product of them is
exactly zero before the onset, which may lie between samples.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Where the attenuation pulse begins, as part of its peak; the minimum-phase pulse of constant Q
# starts infinitely slowly, and no analyst sees less than this.
ONSET_LEVEL = 0.01
_STEP = 1.0 / 64.0  # of the table, in units of t*
SPAN = 32  # length of the table in units of t*


@lru_cache(maxsize=1)
def attenuation_table() -> NDArray[np.float64]:
    """Integral of the minimum-phase pulse of the spectrum exp(-pi f t*), against time / t*.

    Starts where the pulse reaches `ONSET_LEVEL` of its peak; ends at 1. Minimum phase by folding
    the cepstrum (Oppenheim & Schafer 1989, section 12.7).
    """
    n = 1 << 17
    frequency = np.abs(np.fft.fftfreq(n, _STEP))
    cepstrum = np.fft.ifft(-np.pi * frequency).real
    cepstrum[1 : n // 2] *= 2.0
    cepstrum[n // 2 + 1 :] = 0.0
    pulse = np.fft.ifft(np.exp(np.fft.fft(cepstrum))).real
    first = int(np.argmax(pulse >= ONSET_LEVEL * pulse.max()))
    pulse = pulse[first : first + round(SPAN / _STEP)]
    # The tail falls as 1/t^2; faded out, it ends without a step.
    pulse *= np.minimum(2.0 * np.linspace(1.0, 0.0, len(pulse)), 1.0)
    total = np.concatenate([[0.0], np.cumsum(pulse)])
    return np.asarray(total / total[-1])


def attenuation_pulse(
    t_star_s: NDArray[np.float64], fraction: NDArray[np.float64], n: int, rate_hz: float
) -> NDArray[np.float32]:
    """Sample attenuation pulses of unit area.

    Parameters
    ----------
    t_star_s
        (k,) travel time over Q, s; positive.
    fraction
        (k,) how far sample 0 lies after the onset, in samples, above 0 to 1.
    n
        Number of samples.
    rate_hz
        Samples per second.

    Returns
    -------
    (k, n) float32; each sample is the mean over the interval that ends at it, so nothing of the
    pulse is lost where it is shorter than a sample, and a sample before the onset would be zero.
    """
    table = attenuation_table()
    edges = np.maximum(np.arange(-1, n)[None] + fraction[:, None], 0.0)
    place = edges / (rate_hz * t_star_s[:, None])
    total = np.interp(place.ravel() / _STEP, np.arange(len(table)), table)
    return np.diff(total.reshape(place.shape), axis=1).astype(np.float32)


def delay_terms(n_fft: int) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return z^-1 and z^-2 on the frequencies of a real transform of ``n_fft`` samples."""
    z = np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft)
    return z.astype(np.complex64), (z * z).astype(np.complex64)


def source_filter(
    corner_hz: NDArray[np.float64], rate_hz: float, n_fft: int
) -> NDArray[np.complex64]:
    """Ground velocity of the Brune (1970) source: displacement pulse w^2 t exp(-w t), unit area.

    Returns (k, n_fft/2 + 1); the derivative is a difference of neighbours.
    """
    z, _ = delay_terms(n_fft)
    pole = np.exp(-2.0 * np.pi * corner_hz / rate_hz).astype(np.float32)[:, None]
    out = (1.0 - pole) / (1.0 - pole * z)
    return np.asarray(out * out * (1.0 - z))


def resonance(
    frequency_hz: NDArray[np.float64],
    gain: NDArray[np.float64],
    quality: NDArray[np.float64],
    rate_hz: float,
    n_fft: int,
) -> NDArray[np.complex64]:
    """Peaking filters: ``gain`` at ``frequency_hz``, 1 far from it; minimum phase.

    Bilinear transform of (s^2 + s g w/Q + w^2) / (s^2 + s w/Q + w^2).
    """
    z, zz = delay_terms(n_fft)
    angle = 2.0 * np.pi * np.minimum(frequency_hz, 0.45 * rate_hz) / rate_hz
    alpha = (np.sin(angle) / (2.0 * quality))[..., None].astype(np.float32)
    cosine = np.cos(angle)[..., None].astype(np.float32)
    g = gain[..., None].astype(np.float32)
    middle = -2.0 * cosine * z
    top = (1.0 + alpha * g) + middle + (1.0 - alpha * g) * zz
    return np.asarray(top / ((1.0 + alpha) + middle + (1.0 - alpha) * zz))


def instrument_filter(
    corner_hz: NDArray[np.float64],
    damping: NDArray[np.float64],
    accelerometer: NDArray[np.bool_],
    rate_hz: float,
    n_fft: int,
) -> NDArray[np.complex64]:
    """Velocity sensors s^2 / (s^2 + 2 h w s + w^2) by the bilinear transform; accelerometers.

    A corner of 0 means flat. Accelerometers return the difference of neighbours per
    sample, scaled to gain 1 at 5 Hz.
    """
    z, zz = delay_terms(n_fft)
    k = np.tan(np.pi * corner_hz / rate_hz)[:, None]
    h = damping[:, None]
    top = (1.0 - z) ** 2
    bottom = (1 + 2 * h * k + k * k) + (2 * k * k - 2) * z + (1 - 2 * h * k + k * k) * zz
    # At zero frequency a flat sensor would be 0 / 0.
    bottom[:, 0] = np.where(corner_hz > 0, bottom[:, 0], 1.0)
    out = top / bottom
    out[corner_hz <= 0] = 1.0
    out[accelerometer] *= (1.0 - z) / (2.0 * np.pi * 5.0 / rate_hz)
    return out.astype(np.complex64)
