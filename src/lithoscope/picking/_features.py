"""Numbers that tell a P onset from an S onset from noise, measured around a candidate.

All are logarithms of ratios or pure shapes, so the unit of the data does not matter; all use data
from at most `BEFORE_S` before to `AFTER_S` after the onset, in the band the onset was timed in.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Reach of the features before and after an onset (s).
BEFORE_S, AFTER_S = 20.0, 10.0

#: Names of the features, in the order of the columns that `measure` returns.
NAMES = (
    "rise",  # ln energy 0.5 s after / 1 s before, own components
    "rise_other",  # the same on the other components
    "rise_short",  # ln energy 0.15 s after / 0.5 s before
    "rise_long",  # ln energy 3 s after / 6 s before
    "gain",  # ln(1 + log likelihood ratio) of the detection, own components
    "gain_other",  # the same on the other components
    "split",  # ln(1 + log likelihood ratio) of the onset's best split
    "spread",  # ln(spread of the onset's posterior in s)
    "floor",  # ln energy 1 s before / quietest second of the last 20 s
    "later",  # ln strongest half second of the next 10 s / first half second
    "earlier",  # ln first half second / strongest half second of the last 10 s
    "persistence",  # ln energy 0.5 to 1.5 s after / first half second
    "spike",  # ln largest sample / mean, first half second
    "pitch",  # ln centre frequency after the onset
    "pitch_change",  # ln centre frequency after / before
    "vertical",  # ln energy Z / mean horizontal, first 0.5 s
    "vertical_before",  # the same before the onset
    "linear",  # 1 - (l2 + l3) / (2 l1) of the polarisation, first 0.5 s
    "steep",  # squared vertical part of the polarisation's first axis
    "later_other",  # ln strongest half second on the other components later / first half second
    "earlier_other",  # ln first half second / strongest on the other components earlier
)


@njit(cache=True)
def _mean(x: NDArray, first: int, last: int) -> float:
    """Return the mean over samples of the energy summed over components, 0 for an empty window."""
    first = max(first, 0)
    last = min(last, x.shape[1])
    total = 0.0
    if last <= first:
        return 0.0
    for c in range(x.shape[0]):
        for i in range(first, last):
            total += x[c, i] * x[c, i]
    return total / (last - first)


@njit(cache=True)
def _strongest(x: NDArray, first: int, last: int, width: int) -> float:
    """Return the largest mean energy in consecutive windows of ``width`` within [first, last)."""
    best = 0.0
    at = first
    while at + width <= last:
        if at >= 0 and at + width <= x.shape[1]:
            best = max(best, _mean(x, at, at + width))
        at += width
    return best


@njit(cache=True)
def _quietest(x: NDArray, onset: int, width: int, count: int) -> float:
    best = -1.0
    for j in range(count):
        last = onset - j * width
        if last - width < 0:
            break
        value = _mean(x, last - width, last)
        if best < 0 or value < best:
            best = value
    return best


@njit(cache=True)
def _ratio(a: float, b: float) -> float:
    """Return ln(a / b), held within +-20; 0 where either is missing."""
    if a <= 0.0 or b <= 0.0:
        return 0.0
    return min(max(np.log(a / b), -20.0), 20.0)


@njit(cache=True)
def _polarisation(x: NDArray, first: int, last: int) -> tuple[float, float]:
    """Return (linearity, vertical part of the first axis) of ``(3, n)`` samples in a window."""
    last = min(last, x.shape[1])
    cov = np.zeros((3, 3))
    for i in range(first, last):
        for a in range(3):
            for b in range(a, 3):
                cov[a, b] += x[a, i] * x[b, i]
    scale = max(cov[0, 0] + cov[1, 1] + cov[2, 2], 1e-300)
    for a in range(3):
        for b in range(a, 3):
            cov[a, b] /= scale
            cov[b, a] = cov[a, b]
    values, vectors = np.linalg.eigh(cov)
    linear = 1.0 - (values[0] + values[1]) / max(2.0 * values[2], 1e-300)
    return linear, vectors[0, 2] ** 2


@njit(cache=True)
def _pitch(
    filtered: NDArray, own: slice, n_octaves: int, centres: NDArray, first: int, last: int
) -> float:
    """Return ln of the energy-weighted mean of the octaves' centre frequencies."""
    weight, total = 1e-300, 0.0
    for b in range(n_octaves):
        e = _mean(filtered[b, own], first, last)
        weight += e
        total += e * np.log(centres[b])
    return total / weight


@njit(cache=True)
def measure(
    filtered: NDArray,
    own: slice,
    other: slice,
    n_octaves: int,
    centres: NDArray,
    fs: float,
    onsets: NDArray,
    used: NDArray,
    split: NDArray,
    spread: NDArray,
    gain: NDArray,
    gain_other: NDArray,
) -> NDArray:
    """Return ``(candidates, features)`` in the order of `NAMES`.

    Parameters
    ----------
    filtered
        ``(filters, 3, n)`` output of the bank; ``centres`` its centre frequencies (Hz).
    own, other
        Slices of the components the onset was timed on, and the others.
    onsets, used, split, spread
        From `lithoscope.picking._onset.refine`.
    gain, gain_other
        ``(n,)`` characteristic functions of both groups of components.
    """
    out = np.zeros((onsets.size, 21))
    half, second = int(0.5 * fs), int(fs)
    near = int(0.3 * fs)
    n = filtered.shape[2]
    for i in range(onsets.size):
        t = onsets[i]
        x = filtered[used[i]]
        mine, rest = x[own], x[other]
        after, before = _mean(mine, t, t + half), _mean(mine, t - second, t)
        f = out[i]
        f[0] = _ratio(after, before)
        f[1] = _ratio(_mean(rest, t, t + half), _mean(rest, t - second, t))
        f[2] = _ratio(_mean(mine, t, t + int(0.15 * fs)), _mean(mine, t - half, t))
        f[3] = _ratio(_mean(mine, t, t + 3 * second), _mean(mine, t - 6 * second, t))
        low, high = max(t - near, 0), min(t + near, n)
        f[4] = np.log1p(np.max(gain[low:high]))
        f[5] = np.log1p(np.max(gain_other[low:high]))
        f[6] = np.log1p(split[i])
        f[7] = np.log(max(spread[i], 0.2) / fs)
        f[8] = _ratio(before, _quietest(mine, t, second, 20))
        f[9] = _ratio(_strongest(mine, t + half, t + 10 * second, half), after)
        f[10] = _ratio(after, _strongest(mine, t - 10 * second, t - half // 4, half))
        f[11] = _ratio(_mean(mine, t + half, t + 3 * half), after)
        peak = 0.0
        for j in range(t, min(t + half, n)):
            e = 0.0
            for c in range(mine.shape[0]):
                e += mine[c, j] ** 2
            peak = max(peak, e)
        f[12] = _ratio(peak, after)
        f[13] = _pitch(filtered, own, n_octaves, centres, t, t + half)
        f[14] = f[13] - _pitch(filtered, own, n_octaves, centres, t - second, t)
        f[15] = _ratio(_mean(x[:1], t, t + half), 0.5 * _mean(x[1:], t, t + half))
        f[16] = _ratio(_mean(x[:1], t - second, t), 0.5 * _mean(x[1:], t - second, t))
        f[17], f[18] = _polarisation(x, t, t + half)
        f[19] = _ratio(_strongest(rest, t + half, t + 10 * second, half), after)
        f[20] = _ratio(after, _strongest(rest, t - 10 * second, t - half // 4, half))
    return out
