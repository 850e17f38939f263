"""Detection: where the power in the bands of the filter bank rises, by a likelihood ratio.

For Gaussian noise whose variance changes from ``v1`` (before t) to ``v2`` (after t), the
logarithm of the likelihood ratio against no change, with ``n1`` and ``n2`` degrees of freedom, is

    L = (n1 + n2)/2 ln v0 - n1/2 ln v1 - n2/2 ln v2,   v0 = (n1 v1 + n2 v2) / (n1 + n2),

which is a function of the ratio ``v2 / v1`` alone: a ratio of short to long averages (STA/LTA) in
the only units in which windows of different length and bands of different width can be added
and compared. A band of width B observed for T seconds has 2 B T degrees of freedom. L is summed
over the octave bands, only where power rises.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Windows after and before t, and distance between maxima (s): sharp for onsets close to
#: another or in coda, long for weak ones.
SCALES = ((0.3, 1.0, 0.2), (0.8, 3.0, 0.3), (2.0, 8.0, 0.5))
#: Shortest windows at the edges of a record (s).
MIN_BEFORE_S, MIN_AFTER_S = 0.5, 0.3
#: Rises of power outside this range count as none, or as the upper end.
MIN_RISE, MAX_RISE = 1.5, 1e8


@njit(cache=True)
def window_sums(energy: NDArray, width: int) -> NDArray:
    """Return ``s[t] = sum(energy[t : t + width])`` for every full window.

    Sums of block prefixes and suffixes (van Herk 1992): nothing is subtracted, so a large event
    leaves no rounding error behind, and each sum depends on its own window alone.
    """
    n = energy.size
    out = np.empty(max(n - width + 1, 0))
    suffix = np.empty(n)
    total = 0.0
    for i in range(n - 1, -1, -1):
        total = energy[i] if (i + 1) % width == 0 else total + energy[i]
        suffix[i] = total
    total = 0.0
    prefix = 0.0
    for t in range(out.size):
        end = t + width - 1
        if t == 0:
            prefix = 0.0
            out[0] = suffix[0]
            continue
        if end % width == 0:
            prefix = 0.0
        prefix += energy[end]
        out[t] = suffix[t] + prefix if t % width else suffix[t]
    return out


@njit(cache=True)
def _gain(ratio: float, n1: float, n2: float) -> float:
    return 0.5 * ((n1 + n2) * np.log((n1 + n2 * ratio) / (n1 + n2)) - n2 * np.log(ratio))


@njit(cache=True)
def characteristic(
    energy: NDArray, dof_per_sample: NDArray, fs: float, after_s: float, before_s: float
) -> NDArray:
    """Return the log likelihood ratio of a rise of power at every sample, summed over bands.

    Parameters
    ----------
    energy
        ``(bands, n)`` squared samples, summed over components.
    dof_per_sample
        ``(bands,)`` degrees of freedom per sample.
    fs
        Sampling rate (Hz).
    after_s, before_s
        Lengths of the windows (s); they shrink near the edges down to `MIN_AFTER_S` and
        `MIN_BEFORE_S`, and closer to an edge the result is 0.
    """
    n_bands, n = energy.shape
    after, before = int(after_s * fs + 0.5), int(before_s * fs + 0.5)
    min_after, min_before = int(MIN_AFTER_S * fs + 0.5), int(MIN_BEFORE_S * fs + 0.5)
    total = np.zeros(n)
    for b in range(n_bands):
        e = energy[b]
        dof = dof_per_sample[b]
        forward = window_sums(e, after)
        backward = window_sums(e, before)
        head = np.cumsum(e[: min(before, n)])
        tail = np.cumsum(e[max(n - after, 0) :][::-1])
        factor = MIN_RISE * after / before
        for t in range(min_before, n - min_after):
            if before <= t <= n - after:
                k1, k2 = before, after
                back, front = backward[t - before], forward[t]
                if front <= factor * back:
                    continue
            else:
                k1, k2 = min(t, before), min(n - t, after)
                back = backward[t - before] if t >= before else head[t - 1]
                front = forward[t] if n - t >= after else tail[k2 - 1]
                if front * k1 <= MIN_RISE * back * k2:
                    continue
            ratio = min(front * k1 / max(back * k2, 1e-300), MAX_RISE)
            total[t] += _gain(ratio, dof * k1, dof * k2)
    return total
