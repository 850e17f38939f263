"""Onset times: the best split of a window in two variances (AIC), in the best of the bands.

Maeda's AIC (1985) of a split at sample k is ``k ln var(x[:k]) + (n - k) ln var(x[k:])``; half of
the drop against no split is the log likelihood ratio of `_detect`, here with the degrees of
freedom of the band. ``exp(L(k) - max L)`` is then the posterior of the onset under a flat prior,
and its spread is the raw uncertainty that `_calibration` turns into a calibrated sigma.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def _split(
    filtered: NDArray, first: int, last: int, dof: float, margin: int
) -> tuple[float, int, float]:
    """Return (largest L, its sample, spread of the posterior in samples) for one band."""
    n = last - first
    total = 0.0
    for c in range(filtered.shape[0]):
        for i in range(first, last):
            total += filtered[c, i] ** 2
    curve = np.zeros(n)
    if total <= 0.0 or n < 2 * margin + 2:
        return 0.0, first, float(n)
    head = 0.0
    best, at = -1.0, first
    floor = 1e-10 * total / n
    for k in range(n):
        if margin <= k <= n - margin:
            before = head / k + floor
            after = (total - head) / (n - k) + floor
            if after > before:
                mean = (k * before + (n - k) * after) / n
                value = (
                    0.5 * dof * (n * np.log(mean) - k * np.log(before) - (n - k) * np.log(after))
                )
                curve[k] = value
                if value > best:
                    best, at = value, k
        for c in range(filtered.shape[0]):
            head += filtered[c, first + k] ** 2
    if best <= 0.0:
        return 0.0, first, float(n)
    weight, mean_k, square = 0.0, 0.0, 0.0
    for k in range(margin, n - margin + 1):
        if curve[k] > best - 25.0:
            w = np.exp(curve[k] - best)
            weight += w
            mean_k += w * k
            square += w * k * k
    mean_k /= weight
    return best, first + at, np.sqrt(max(square / weight - mean_k * mean_k, 0.0))


@njit(cache=True)
def refine(
    filtered: NDArray,
    own: tuple[int, int],
    dof: NDArray,
    fs: float,
    centres: NDArray,
    limits: NDArray,
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return onsets near ``centres``: sample, filter used, log likelihood ratio, spread (samples).

    Parameters
    ----------
    filtered
        ``(filters, 3, n)`` output of the bank.
    own
        First and one past the last component to time on.
    dof
        ``(filters,)`` degrees of freedom per sample of all components together.
    centres
        Candidate samples, ascending.
    limits
        Earliest sample allowed for each candidate.
    """
    n = filtered.shape[2]
    m = centres.size
    onset = centres.copy()
    used = np.zeros(m, dtype=np.int64)
    gain = np.zeros(m)
    spread = np.zeros(m)
    margin = max(2, int(0.04 * fs + 0.5))
    for i in range(m):
        first = max(centres[i] - int(1.5 * fs), limits[i], 0)
        last = min(centres[i] + int(0.7 * fs), n)
        best = -1.0
        for b in range(filtered.shape[0]):
            value, at, _ = _split(filtered[b, own[0] : own[1]], first, last, dof[b], margin)
            if value > best:
                best, onset[i], used[i] = value, at, b
        b = used[i]
        first = max(onset[i] - int(1.0 * fs), limits[i], 0)
        last = min(onset[i] + int(0.4 * fs), n)
        gain[i], at, spread[i] = _split(filtered[b, own[0] : own[1]], first, last, dof[b], margin)
        if gain[i] > 0.0:
            onset[i] = at
    return onset, used, gain, spread
