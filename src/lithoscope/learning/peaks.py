"""Local maxima of a curve: where a picker or a validation sees onsets."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def local_maxima(values: NDArray, radius: int, threshold: float) -> NDArray:
    """Return indices whose value is at least ``threshold`` and the largest within ``radius``.

    The choice at a sample depends on no sample farther than ``radius``; ties go to the earlier. A
    sample beside a larger one is none, however small the radius.

    Parameters
    ----------
    values
        The curve, ``(n,)``.
    radius
        Samples to each side.
    threshold
        Smallest value.

    Returns
    -------
    numpy.ndarray
        int64, ascending.
    """
    found = []
    n = values.size
    for i in range(n):
        v = values[i]
        if v < threshold or (i > 0 and values[i - 1] >= v) or (i + 1 < n and values[i + 1] > v):
            continue
        largest = True
        for j in range(max(0, i - radius), min(n, i + radius + 1)):
            if values[j] > v or (values[j] == v and j < i):
                largest = False
                break
        if largest:
            found.append(i)
    return np.array(found, dtype=np.int64)
