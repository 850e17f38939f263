"""What the picker's network sees of a record: free of units, offsets and window positions.

One function, `prepare`, serves training, evaluation and inference. Two scalings of the
high-passed record stand side by side: by its root mean square over some 30 s, which keeps the
contrast of an onset, and over some 2 s, which shows small onsets beside large ones.

Every average is taken over blocks whose borders are multiples of `ALIGN` samples counted from
1970, and over a fixed number of blocks, so the result at a sample depends on the samples within
`REACH` of it and not on where a chunk or a file begins.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.errors import DataError

#: Name of this preprocessing, written into model cards.
NAME = "two-scale-1"
#: Rate of the samples (Hz).
RATE_HZ = 100.0
#: Chunks begin and end at multiples of this, counted from 1970 (samples).
ALIGN = 128
#: Prepared channels: Z N E by the long scale, then Z N E by the short scale.
CHANNELS = 6

_MEAN_BLOCK = 8  # samples; its first spectral null is at 12.5 Hz, the rate of the block means
_MEAN_REACH = 12  # blocks each side: a Hann window of 2 s, high-pass corner (-6 dB) near 0.5 Hz
_LONG_BLOCK = 64
_LONG_REACH = 23  # blocks each side: +-15 s
_SHORT_BLOCK = 16
_SHORT_REACH = 6  # blocks each side: +-1 s
#: An output sample depends on input samples within this distance.
REACH = (_LONG_REACH + 2) * _LONG_BLOCK + (_MEAN_REACH + 2) * _MEAN_BLOCK
_KNEE = 8.0  # amplitudes of this many root mean squares are halved, larger ones bounded
_RESOLUTION = 2e-7  # of a float32: below this part of the local mean there is no signal


def prepare(
    data: NDArray[np.float32],
    mask: NDArray[np.bool_],
    first: int,
    valid: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Return the network's input for a stretch of a record.

    Parameters
    ----------
    data
        Z, N, E, ``(3, n)`` at 100 Hz in any unit; missing components are zeros.
    mask
        True where a component exists, ``(3,)``.
    first
        Index of sample 0 counted at 100 Hz from 1970; a multiple of `ALIGN`, as is n.
    valid
        Samples ``[begin, end)`` that hold data; the rest is filling. Default: all.

    Returns
    -------
    numpy.ndarray
        ``(6, n)``: the components high-passed at 0.5 Hz and divided by their common root mean
        square within 15 s (rows 0 to 2) and within 1 s (3 to 5), then compressed by
        ``x / (1 + |x| / 8)``. Zero where there are no data.

    Raises
    ------
    DataError
        If the shape or the alignment is wrong.
    """
    if data.ndim != 2 or data.shape[0] != 3:
        raise DataError(f"data of shape {data.shape}; three components (3, n) are required")
    n = data.shape[1]
    if first % ALIGN or n % ALIGN:
        raise DataError(
            f"{n} samples from index {first}; both must be multiples of {ALIGN} samples"
        )
    begin, end = valid or (0, n)
    out = np.zeros((CHANNELS, n), np.float32)
    if end > begin:
        _prepare(data, np.asarray(mask, np.bool_), begin, end, _HANN, out)
    return out


_HANN = np.hanning(2 * _MEAN_REACH + 3)[1:-1]


@njit(cache=True, nogil=True)
def _prepare(data, mask, begin, end, hann, out):  # type: ignore[no-untyped-def]
    n = data.shape[1]
    components = 0
    for c in range(3):
        if mask[c]:
            _high_pass(data[c], begin, end, hann, out[c])
            components += 1
    if components == 0:
        return
    energy = np.zeros(n // _SHORT_BLOCK)
    weight = np.zeros(n // _SHORT_BLOCK)
    for b in range(n // _SHORT_BLOCK):
        lo, hi = b * _SHORT_BLOCK, (b + 1) * _SHORT_BLOCK
        total = 0.0
        for c in range(3):
            for i in range(lo, hi):
                total += out[c, i] * out[c, i]
        energy[b] = total
        weight[b] = max(0, min(hi, end) - max(lo, begin)) * components
    short = _scale(energy, weight, _SHORT_REACH)
    per = _LONG_BLOCK // _SHORT_BLOCK
    coarse = np.zeros(n // _LONG_BLOCK)
    coarse_weight = np.zeros(n // _LONG_BLOCK)
    for b in range(len(energy)):
        coarse[b // per] += energy[b]
        coarse_weight[b // per] += weight[b]
    long = _scale(coarse, coarse_weight, _LONG_REACH)
    for c in range(3):
        if mask[c]:
            _divide(out[c], short, _SHORT_BLOCK, begin, end, out[c + 3])
            _divide(out[c], long, _LONG_BLOCK, begin, end, out[c])


@njit(cache=True, nogil=True)
def _high_pass(x, begin, end, hann, y):  # type: ignore[no-untyped-def]
    """Write x minus its local mean; what lies under the resolution of x becomes zero."""
    n_blocks = len(x) // _MEAN_BLOCK
    sums = np.zeros(n_blocks)
    counts = np.zeros(n_blocks)
    for b in range(begin // _MEAN_BLOCK, (end + _MEAN_BLOCK - 1) // _MEAN_BLOCK):
        lo, hi = max(b * _MEAN_BLOCK, begin), min((b + 1) * _MEAN_BLOCK, end)
        total = 0.0
        for i in range(lo, hi):
            total += x[i]
        sums[b] = total
        counts[b] = hi - lo
    mean = np.zeros(n_blocks)
    reach = len(hann) // 2
    for b in range(n_blocks):
        top, bottom = 0.0, 0.0
        for k in range(max(b - reach, 0), min(b + reach + 1, n_blocks)):
            h = hann[k - b + reach]
            top += h * sums[k]
            bottom += h * counts[k]
        if bottom > 0.0:
            mean[b] = top / bottom
    _fill(mean, counts)
    for k in range(-1, n_blocks):
        left, right, lo, hi, f = _ramp(mean, k, _MEAN_BLOCK, begin, end)
        step = (right - left) / _MEAN_BLOCK
        bound = _RESOLUTION * max(abs(left), abs(right))
        for i in range(lo, hi):
            d = x[i] - (left + step * (f + (i - lo)))
            y[i] = d if abs(d) > bound else 0.0


@njit(cache=True, nogil=True)
def _fill(values, weight):  # type: ignore[no-untyped-def]
    """Give blocks without weight the value of their neighbour with weight."""
    n = len(values)
    for b in range(1, n):
        if weight[b] == 0.0 and weight[b - 1] > 0.0:
            values[b] = values[b - 1]
    for b in range(n - 2, -1, -1):
        if weight[b] == 0.0 and weight[b + 1] > 0.0:
            values[b] = values[b + 1]


@njit(cache=True, nogil=True)
def _ramp(values, k, block, begin, end):  # type: ignore[no-untyped-def]
    """Return the values at the centres of blocks k and k + 1 and the valid samples between.

    The last number is how far the first of these samples lies after the first centre.
    """
    n = len(values)
    first = k * block + block // 2
    lo, hi = max(first, begin), min(first + block, end)
    return values[max(k, 0)], values[min(k + 1, n - 1)], lo, hi, lo - first + 0.5


@njit(cache=True, nogil=True)
def _scale(energy, weight, reach):  # type: ignore[no-untyped-def]
    """Return the root mean square around each block, weights falling to the sides (cosine)."""
    n = len(energy)
    taper = np.empty(2 * reach + 1)
    for k in range(2 * reach + 1):
        taper[k] = np.cos(0.5 * np.pi * (k - reach) / (reach + 1.0))
    out = np.zeros(n)
    for b in range(n):
        top, bottom = 0.0, 0.0
        for k in range(max(b - reach, 0), min(b + reach + 1, n)):
            h = taper[k - b + reach]
            top += h * energy[k]
            bottom += h * weight[k]
        if bottom > 0.0 and top > 0.0:
            out[b] = np.sqrt(top / bottom)
    return out


@njit(cache=True, nogil=True)
def _divide(y, scale, block, begin, end, out):  # type: ignore[no-untyped-def]
    inverse = np.zeros(len(scale))
    for b in range(len(scale)):
        if scale[b] > 0.0:
            inverse[b] = 1.0 / scale[b]
    _fill(inverse, inverse.copy())
    knee = np.float32(1.0 / _KNEE)
    one = np.float32(1.0)
    for k in range(-1, len(scale)):
        left, right, lo, hi, f = _ramp(inverse, k, block, begin, end)
        at, step = np.float64(left), (right - left) / block
        for i in range(lo, hi):
            v = np.float32(y[i] * (at + step * (f + (i - lo))))
            out[i] = v / (one + abs(v) * knee)
