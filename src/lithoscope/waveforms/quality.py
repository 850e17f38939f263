"""Stretches and samples that carry no ground motion: missing, flat, clipped, spikes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

VALID, MISSING, FLAT = 0, 1, 2

# 24-bit recorders saturate at 2^23 counts; their decimation filters overshoot it by up to half
# on a clipped wave, and broadband sensors saturate just below it. Larger values can only come
# from recorders of more bits, about whose full scale nothing is known.
_FULL_SCALE = 2.0**23
_RAIL_LOW, _RAIL_HIGH = 0.95, 1.7


@njit(cache=True)
def _moves(values, start, stop):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Tell whether a stretch varies by 2 counts a sample (by anything, if not integer)."""
    total = 0.0
    whole = True
    for k in range(max(start, 1), min(stop, values.size)):
        step = abs(values[k] - values[k - 1])
        if not np.isfinite(step):
            return True
        total += step
        whole = whole and values[k] == np.rint(values[k])
    return total > (2.0 * (stop - start) if whole else 0.0)


@njit(cache=True)
def stretches(values, flat_samples, fill_samples):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Divide a trace into stretches: rows of start, stop, kind (0 valid, 1 missing, 2 flat).

    Missing samples are not finite. A flat stretch repeats one value ``flat_samples`` times or
    more, or zero ``fill_samples`` times or more between data that vary too much to do so (zeros
    put in for missing data).
    """
    rows = []
    n = values.size
    i = 0
    valid_from = 0
    while i < n:
        value = values[i]
        j = i + 1
        kind = 0
        if np.isfinite(value):
            while j < n and values[j] == value:
                j += 1
            if j - i >= flat_samples:
                kind = 2
            elif value == 0.0 and j - i >= fill_samples:
                before = i <= fill_samples or _moves(values, i - fill_samples, i)
                after = j >= n - fill_samples or _moves(values, j + 1, j + 1 + fill_samples)
                kind = 2 if before and after else 0
        else:
            while j < n and not np.isfinite(values[j]):
                j += 1
            kind = 1
        if kind != 0:
            if i > valid_from:
                rows.append((valid_from, i, 0))
            rows.append((i, j, kind))
            valid_from = j
        i = j
    if n > valid_from:
        rows.append((valid_from, n, 0))
    out = np.empty((len(rows), 3), np.int64)
    for k in range(len(rows)):
        out[k, 0], out[k, 1], out[k, 2] = rows[k]
    return out


@njit(cache=True)
def _rail_samples(values, run_samples, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count samples in runs of equal values at the minimum or the maximum."""
    count = 0
    run = 1
    for i in range(1, values.size + 1):
        if i < values.size and values[i] == values[i - 1]:
            run += 1
            continue
        if run >= run_samples and (values[i - 1] == low or values[i - 1] == high):
            count += run
        run = 1
    return count


def clipped(values: NDArray[np.float32], run_samples: int = 3) -> bool:
    """Tell whether a component touches a rail.

    Two signs: the largest or smallest value is repeated at least ``run_samples`` times in a row
    and stands at least 20 median sample-to-sample steps from the median (quiet data repeat small
    integers too); or the largest absolute value lies at the full scale of a 24-bit recorder,
    0.95 to 1.7 times 2^23 counts. Slow saturation of a sensor below its recorder's full scale
    is not seen.
    """
    if values.size < 2:
        return False
    low, high = float(values.min()), float(values.max())
    peak = max(abs(low), abs(high))
    if _RAIL_LOW <= peak / _FULL_SCALE <= _RAIL_HIGH:
        return True
    if _rail_samples(values, run_samples, low, high) == 0:
        return False
    stride = max(values.size // 100_000, 1)
    step = float(np.median(np.abs(values[1::stride] - values[:-1:stride])))
    middle = float(np.median(values[::stride]))
    reach = 20.0 * max(step, np.spacing(np.float32(peak)), 1.0 if _integers(values) else 0.0)
    if high - middle > reach and _rail_samples(values, run_samples, np.inf, high):
        return True
    return middle - low > reach and _rail_samples(values, run_samples, low, -np.inf) > 0


def spikes(values: NDArray[np.float32], ratio: float) -> tuple[int, int]:
    """Count single samples that stand out of the 8 around them by ``ratio`` times their range.

    Returns
    -------
    count, first
        Number of spikes and the sample of the first (-1 if none). In integer data, steps of up
        to 4 counts are no spikes.
    """
    return _spikes(values, ratio, 4.0 if _integers(values) else 0.0)


@njit(cache=True)
def _spikes(values, ratio, floor):  # type: ignore[no-untyped-def]  # pragma: no cover
    count = 0
    first = -1
    for i in range(4, values.size - 4):
        a = abs(values[i] - values[i - 1])
        if a <= floor or abs(values[i] - values[i + 1]) < 0.5 * a:
            continue
        low = np.inf
        high = -np.inf
        for j in range(i - 4, i + 5):
            if j != i:
                low = min(low, values[j])
                high = max(high, values[j])
        over = max(values[i] - high, low - values[i])
        if over > ratio * max(high - low, 1e-6 * a):
            count += 1
            if first < 0:
                first = i
    return count, first


def _integers(values: NDArray[np.float32]) -> bool:
    head = values[:1000]
    return bool(np.all(head == np.rint(head)))
