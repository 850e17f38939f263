"""The filter bank: octave bands for detection and wide bands for timing, all causal.

Causal filters put no energy before an onset. Butterworth poles at 1 Hz decay by a factor of
1e-12 within 10 s, far inside the picker's context, so output does not remember where the data
started.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

#: Lower corners (Hz) of the octave bands; the upper corner is 2.5 times the lower one.
OCTAVES_HZ = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
#: Lower corners (Hz) of the wide bands; the upper corner is 10 times the lower one.
WIDE_HZ = (1.0, 2.0, 4.0, 8.0)
#: Highest usable frequency as a part of the sampling rate (anti-alias filters begin here).
TOP = 0.45


@dataclass(frozen=True)
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
        x = data.astype(np.float64)
        x -= x[:, :1]
        out = np.empty((len(self.low_hz), *x.shape))
        for i, (low, high) in enumerate(zip(self.low_hz, self.high_hz, strict=True)):
            sos = butter(2, (low, high), btype="bandpass", fs=self.sampling_rate_hz, output="sos")
            for c in range(len(x)):
                if data[c].any():
                    out[i, c] = sosfilt(sos, x[c])
                else:
                    out[i, c] = 0.0
        return out


@lru_cache(maxsize=32)
def design(sampling_rate_hz: float) -> Bank:
    """Return the bank for a sampling rate; bands above the usable frequencies are left out."""
    top = TOP * sampling_rate_hz
    octaves = [(f, min(2.5 * f, top)) for f in OCTAVES_HZ if 1.8 * f <= top]
    wide = [(f, min(10 * f, top)) for f in WIDE_HZ if 3 * f <= top]
    low, high = np.array(octaves + wide).T
    return Bank(sampling_rate_hz, low, high, len(octaves))
