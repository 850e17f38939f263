"""The filter bank: octave bands for detection and wide bands for timing, all causal.

Causal filters put no energy before an onset. Butterworth poles at 1 Hz decay by a factor of
1e-12 within 10 s, far inside the picker's context, so output does not remember where the data
started.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import butter

#: Lower corners (Hz) of the octave bands; the upper corner is 2.5 times the lower one.
OCTAVES_HZ = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
#: Lower corners (Hz) of the wide bands; the upper corner is 10 times the lower one.
WIDE_HZ = (1.0, 2.0, 4.0, 8.0)
#: Highest usable frequency as a part of the sampling rate (anti-alias filters begin here).
TOP = 0.45


@dataclass(frozen=True, eq=False)
class Bank:
    """Corners of the filters; the first ``n_octaves`` are the octave bands."""

    sampling_rate_hz: float
    low_hz: NDArray[np.float64]
    high_hz: NDArray[np.float64]
    n_octaves: int

    def apply(self, data: NDArray[np.float32]) -> NDArray[np.float64]:
        """Filter ``(3, n)`` samples; return ``(filters, 3, n)``.

        Each component starts as if its first sample had lasted for ever, so a constant offset
        makes no transient.
        """
        return apply_sections(_sections(self), np.ascontiguousarray(data))


@lru_cache(maxsize=32)
def _sections(bank: Bank) -> NDArray[np.float64]:
    """Return ``(filters, 2, 6)`` second-order sections of the Butterworth band-passes."""
    fs = bank.sampling_rate_hz
    return np.array(
        [
            butter(2, corners, btype="bandpass", fs=fs, output="sos")
            for corners in zip(bank.low_hz, bank.high_hz, strict=True)
        ]
    )


@lru_cache(maxsize=32)
def wide_sections(bank: Bank) -> NDArray[np.float64]:
    """Return the sections of the wide bands only."""
    return _sections(bank)[bank.n_octaves :].copy()


@njit(cache=True)
def apply_sections(sections: NDArray, data: NDArray) -> NDArray:
    """Run two second-order sections (transposed direct form II) over all components at once."""
    n_filters, n = sections.shape[0], data.shape[1]
    out = np.empty((n_filters, 3, n))
    for f in range(n_filters):
        b0, b1, b2, _, a1, a2 = sections[f, 0]
        d0, d1, d2, _, c1, c2 = sections[f, 1]
        u, v, p, q = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
        for i in range(n):
            for c in range(3):
                x = np.float64(data[c, i]) - np.float64(data[c, 0])
                y = b0 * x + u[c]
                u[c] = b1 * x - a1 * y + v[c]
                v[c] = b2 * x - a2 * y
                z = d0 * y + p[c]
                p[c] = d1 * y - c1 * z + q[c]
                q[c] = d2 * y - c2 * z
                out[f, c, i] = z
            if i % 512 == 0:  # denormal numbers are slow; they arise where a dead stretch begins
                for c in range(3):
                    if abs(u[c]) + abs(v[c]) + abs(p[c]) + abs(q[c]) < 1e-100:
                        u[c] = v[c] = p[c] = q[c] = 0.0
    return out


@lru_cache(maxsize=32)
def design(sampling_rate_hz: float) -> Bank:
    """Return the bank for a sampling rate; bands above the usable frequencies are left out."""
    top = TOP * sampling_rate_hz
    octaves = [(f, min(2.5 * f, top)) for f in OCTAVES_HZ if 1.8 * f <= top]
    wide = [(f, min(10 * f, top)) for f in WIDE_HZ if 3 * f <= top]
    low, high = np.array(octaves + wide).T
    return Bank(sampling_rate_hz, low, high, len(octaves))
