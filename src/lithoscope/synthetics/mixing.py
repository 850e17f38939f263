"""Put earthquakes on noise at a wanted signal-to-noise ratio, and measure what is visible."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import butter

BAND_HZ = (1.0, 20.0)  # in which the signal-to-noise ratio is measured
AFTER_S = (1.0, 2.0)  # length of the signal window of P and S
BEFORE_S = 2.0  # length of the noise window
SEEN_DB = -5.0  # a first arrival below this gives its label to the next


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
def _snr_db(signal, rest, at, before, after):  # type: ignore[no-untyped-def]
    """Power gained after a sample over the noise, dB; all lengths in samples.

    The noise is what is there before the sample, or the noise alone after it where that is more.
    """
    if at > 10:
        level = _mean_square(rest, at - before, at) + _mean_square(signal, at - before, at)
    else:
        level = _mean_square(rest, 0, before)
    level = max(level, _mean_square(rest, at, at + after))
    gain = _mean_square(signal, at, at + after) - _mean_square(signal, at - after, at)
    return 10.0 * np.log10(max(gain, 1e-4 * level) / level) if level > 0.0 else 60.0


@njit(cache=True)
def visible_onsets(band, noise, trace, onset, arrivals, rate):  # type: ignore[no-untyped-def]
    """Return onset and signal-to-noise ratio in dB of the first arrival that can be seen.

    An arrival is seen if the power gained at it, times the square of its part of the largest
    amplitude soon after it, is at least `SEEN_DB` over the power before; where none is, the
    first counts. So a head wave or a first part of the source far below the noise gives no label.

    Parameters
    ----------
    band, noise
        (n, 3, samples) all earthquakes of a trace, and its noise, band-passed.
    trace, onset
        (k,) and (k, 2): trace and first arrivals of each earthquake.
    arrivals
        (k, 2, m, 2) delay in samples and amplitude of the candidates, by time.
    rate
        Samples per second.

    Returns
    -------
    (k, 2, 2): onset in samples and dB; NaN dB where the first arrival lies outside the window.
    """
    k, n, m = len(trace), band.shape[2], arrivals.shape[2]
    out = np.full((k, 2, 2), np.nan)
    before = int(BEFORE_S * rate)
    for e in range(k):
        signal, rest = band[trace[e]], noise[trace[e]]
        for g in range(2):
            first, after = onset[e, g], int(AFTER_S[g] * rate)
            out[e, g, 0] = first
            if not 0 <= first < n:
                continue
            out[e, g, 1] = _snr_db(signal, rest, int(np.ceil(first)), before, after)
            for j in range(m):
                delay, size = arrivals[e, g, j]
                if size == 0.0 or first + delay >= n:
                    break
                largest = 0.0
                for i in range(j, m):
                    if arrivals[e, g, i, 0] < delay + after:
                        largest = max(largest, arrivals[e, g, i, 1])
                snr = _snr_db(signal, rest, int(np.ceil(first + delay)), before, after)
                if snr + 20.0 * np.log10(size / largest) >= SEEN_DB:
                    out[e, g, 0], out[e, g, 1] = first + delay, snr
                    break
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
