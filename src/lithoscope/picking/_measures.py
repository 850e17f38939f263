"""Amplitude, signal-to-noise ratio, first motion and duration of an onset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.picking._bank import apply_sections, design, wide_sections
from lithoscope.picking._candidates import HORIZONTAL, VERTICAL, Candidates

#: The peak is looked for in this time after the onset (s).
PEAK_S = 1.0
#: A signal lasts until a second of it has less than this times the power before the onset,
#: at most `LONGEST_S`.
ENDS_BELOW, LONGEST_S = 2.0, 30.0
#: A first motion must exceed the noise before it by this factor ...
CLEAR = 4.0
#: ... and be no smaller than this part of the next half cycle.
CLEAN = 0.25
#: It is looked for within this time before and after the onset (s).
EARLY_S, LATE_S = 0.05, 0.25
#: Filters that start this long before the noise window have forgotten it: 1 Hz poles decay by
#: a factor of 1e-6 (s).
WARM_S = 3.0
#: Ratio where there is no noise at all.
_NO_NOISE = 1e6


@dataclass(frozen=True)
class Measures:
    """What is reported beside time and probability."""

    amplitude: float
    snr: float
    polarity: int
    duration_s: float


def measure(
    data: NDArray[np.float32], candidates: Candidates, i: int, key: str, fs: float
) -> Measures:
    """Return the measures of candidate ``i`` of group ``key`` in ``(3, n)`` raw samples."""
    own = VERTICAL if key == "Z" else HORIZONTAL
    onset = int(candidates.onset[i])
    filtered = candidates.filtered[candidates.used[i]]
    noise, signal = _levels(filtered[own], onset, fs)
    return Measures(
        _peak(data[own], onset, fs),
        _ratio(noise, signal),
        _first_motion(filtered[0], onset, fs) if key == "Z" else 0,
        _duration(filtered[own], onset, noise, fs),
    )


def measure_onsets(
    data: NDArray[np.float32], onsets: NDArray[np.int64], vertical: bool, fs: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return amplitude, signal-to-noise ratio and polarity of onsets without a band of their own.

    As `measure` does for a candidate, in the wide band of the bank in which the signal stands
    out most. Samples from ``WARM_S + 1`` s before to ``PEAK_S`` after an onset count.

    Parameters
    ----------
    data
        Raw samples, ``(3, n)``.
    onsets
        Samples of the onsets, within the data.
    vertical
        Measure on the vertical, else on the horizontals, where polarity is 0.
    fs
        Sampling rate (Hz).
    """
    return _measure(data, np.asarray(onsets, np.int64), vertical, fs, wide_sections(design(fs)))


@njit(cache=True)
def _measure(data, onsets, vertical, fs, sections):  # type: ignore[no-untyped-def]
    amplitude, snr = np.empty(len(onsets)), np.empty(len(onsets))
    polarity = np.zeros(len(onsets), np.int64)
    a, b = (0, 1) if vertical else (1, 3)
    early, late = round((WARM_S + 1.0) * fs), round(0.5 * fs) + 1
    for i in range(len(onsets)):
        onset = onsets[i]
        low = max(onset - early, 0)
        piece = np.ascontiguousarray(data[:, low : onset + late])
        filtered = apply_sections(sections, piece)
        best, snr[i] = 0, -1.0
        for k in range(len(filtered)):
            noise, signal = _levels(filtered[k, a:b], onset - low, fs)
            value = _ratio(noise, signal)
            if value > snr[i]:
                best, snr[i] = k, value
        amplitude[i] = _peak(data[a:b], onset, fs)
        if vertical:
            polarity[i] = _first_motion(filtered[best, 0], onset - low, fs)
    return amplitude, snr, polarity


@njit(cache=True)
def _levels(filtered, onset, fs):  # type: ignore[no-untyped-def]
    """Return the root mean squares of the second before and the half second after."""
    second = round(fs)
    return (
        _rms(filtered, max(onset - second, 0), onset),
        _rms(filtered, onset, onset + second // 2),
    )


@njit(cache=True)
def _rms(x, first, last):  # type: ignore[no-untyped-def]
    """Return the root mean square over components and samples, 0 for an empty window."""
    last = min(last, x.shape[1])
    if last <= first:
        return 0.0
    total = 0.0
    for c in range(x.shape[0]):
        for i in range(first, last):
            total += x[c, i] * x[c, i]
    return np.sqrt(total / (x.shape[0] * (last - first)))


@njit(cache=True)
def _ratio(noise, signal):  # type: ignore[no-untyped-def]
    return min(signal / noise, _NO_NOISE) if noise > 0.0 else _NO_NOISE


@njit(cache=True)
def _peak(data, onset, fs):  # type: ignore[no-untyped-def]
    """Return the largest distance from the mean of the second before, in the data's unit."""
    first = max(onset - round(fs), 0)
    last = min(onset + max(round(PEAK_S * fs), 1), data.shape[1])
    peak = 0.0
    for c in range(data.shape[0]):
        base = 0.0
        for i in range(first, onset):
            base += data[c, i]
        if onset > first:
            base /= onset - first
        for i in range(onset, last):
            peak = max(peak, abs(np.float64(data[c, i]) - base))
    return peak


@njit(cache=True)
def _first_motion(z, onset, fs):  # type: ignore[no-untyped-def]
    """Return the sign of the first half cycle that stands clear of the noise, 0 if none does.

    The band-passes are causal, so they do not turn the first motion over.
    """
    early, late = round(EARLY_S * fs), round(LATE_S * fs)
    begin, end = max(onset - round(fs), 0), max(onset - early, 0)
    if end - begin < early:
        return 0
    total = 0.0
    for i in range(begin, end):
        total += z[i] * z[i]
    level = CLEAR * np.sqrt(total / max(end - begin, 1))
    i, last = end, min(onset + late, len(z))
    previous = 0.0  # the first half cycle that stands clear, once it is found
    while i < last:
        peak, sign = 0.0, np.sign(z[i])
        while i < last and np.sign(z[i]) == sign:
            if abs(z[i]) > abs(peak):
                peak = z[i]
            i += 1
        if previous != 0.0:
            return int(np.sign(previous)) if abs(previous) >= CLEAN * abs(peak) else 0
        if abs(peak) > level:
            previous = peak
    return int(np.sign(previous))


def _duration(filtered: NDArray[np.float64], onset: int, noise: float, fs: float) -> float:
    """Return the time (s) until the power of a whole second sinks to that before the onset."""
    second = round(fs)
    for k in range(int(LONGEST_S)):
        piece = filtered[:, onset + k * second : onset + (k + 1) * second]
        if piece.shape[1] < second:
            return k + piece.shape[1] / fs
        if float(np.mean(np.square(piece))) < ENDS_BELOW * noise**2:
            return float(max(k, 1))
    return LONGEST_S
