"""Put earthquakes on noise at a wanted signal-to-noise ratio, and measure what is visible."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import butter

BAND_HZ = (1.0, 20.0)  # in which the signal-to-noise ratio is measured
AFTER_S = (1.0, 2.0)  # length of the signal window of P and S
BEFORE_S = 2.0  # length of the noise window


def band_filter(data: NDArray[np.float32], rate_hz: float) -> NDArray[np.float32]:
    """Causal Butterworth band pass of order 2, 1 to 20 Hz, along the last axis."""
    high = min(BAND_HZ[1], 0.45 * rate_hz)
    sos = butter(2, [BAND_HZ[0], high], "bandpass", fs=rate_hz, output="sos")
    out = np.empty_like(data)
    _cascade(data.reshape(-1, data.shape[-1]), out.reshape(-1, data.shape[-1]), sos)
    return out


@njit(cache=True)
def _cascade(data, out, sos):  # type: ignore[no-untyped-def]
    b0, b1, b2, a1, a2 = sos[0, 0], sos[0, 1], sos[0, 2], sos[0, 4], sos[0, 5]
    c0, c1, c2, d1, d2 = sos[1, 0], sos[1, 1], sos[1, 2], sos[1, 4], sos[1, 5]
    for r in range(data.shape[0]):
        u1 = u2 = v1 = v2 = 0.0
        for i in range(data.shape[1]):
            x = data[r, i]
            y = b0 * x + u1
            u1 = b1 * x - a1 * y + u2
            u2 = b2 * x - a2 * y
            w = c0 * y + v1
            v1 = c1 * y - d1 * w + v2
            v2 = c2 * y - d2 * w
            out[r, i] = w


@njit(cache=True)
def _mean_square(rows, first, last):  # type: ignore[no-untyped-def]
    """Largest mean square over the components of rows (3, n) between two samples."""
    first, last = max(first, 0), min(last, rows.shape[1])
    best = 0.0
    if last <= first:
        return best
    for c in range(3):
        total = 0.0
        for i in range(first, last):
            total += rows[c, i] * rows[c, i]
        best = max(best, total / (last - first))
    return best


@njit(cache=True)
def scale_factors(band, trace, onset, snr_db, noise_band, rate):  # type: ignore[no-untyped-def]
    """Factor that gives each earthquake its signal-to-noise ratio.

    Measured in the band over the first phase that lies in the window, else over the window's
    start, against the mean square of the noise of the whole trace.
    """
    k, n = len(trace), band.shape[2]
    out = np.zeros(k)
    for e in range(k):
        noise = _mean_square(noise_band[trace[e]], 0, n)
        if 0 <= onset[e, 0] < n:
            first, length = int(np.ceil(onset[e, 0])), int(AFTER_S[0] * rate)
        elif 0 <= onset[e, 1] < n:
            first, length = int(np.ceil(onset[e, 1])), int(AFTER_S[1] * rate)
        else:
            first, length = 0, int(AFTER_S[1] * rate)
        power = _mean_square(band[e], first, first + length)
        # A phase in the last samples has hardly begun: look at all that is left, at least.
        power = max(power, 1e-3 * _mean_square(band[e], 0, n))
        if power > 0.0:
            out[e] = np.sqrt(noise / power) * 10.0 ** (snr_db[e] / 20.0)
    return out


@njit(cache=True)
def onset_snr_db(band, noise, trace, onset, rate, before, after):  # type: ignore[no-untyped-def]
    """Signal-to-noise ratio at each onset, (k, 2) dB: power gained over the power before.

    ``band`` (n, 3, samples) holds all earthquakes of a trace, ``noise`` its noise, both
    band-passed. NaN where the onset lies outside the window.
    """
    k, n = len(trace), band.shape[2]
    out = np.full((k, 2), np.nan)
    for e in range(k):
        signal, rest = band[trace[e]], noise[trace[e]]
        for g in range(2):
            if not 0 <= onset[e, g] < n:
                continue
            at, length = int(np.ceil(onset[e, g])), int(after[g] * rate)
            early = at - int(before * rate)
            if at > 10:
                level = _mean_square(rest, early, at) + _mean_square(signal, early, at)
            else:
                level = _mean_square(rest, 0, int(before * rate))
            gain = _mean_square(signal, at, at + length) - _mean_square(signal, at - length, at)
            ratio = max(gain, 1e-4 * level) / level if level > 0.0 else 1e6
            out[e, g] = 10.0 * np.log10(ratio)
    return out


@njit(cache=True)
def last_visible(band, noise_band, trace, rate):  # type: ignore[no-untyped-def]
    """Last sample at which the second ending there holds more signal than noise; -1 if none."""
    k, n = len(trace), band.shape[2]
    out = np.full(k, -1)
    width = int(rate)
    for e in range(k):
        noise = _mean_square(noise_band[trace[e]], 0, n)
        at = n
        while at > 0:
            if _mean_square(band[e], at - width, at) > noise:
                out[e] = at - 1
                break
            at -= width // 4
    return out
