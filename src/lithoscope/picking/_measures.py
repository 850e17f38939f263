"""Amplitude, signal-to-noise ratio, first motion and duration of an onset."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

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
#: It is looked for within this time around the onset (s).
MOTION_S = (0.05, 0.25)


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
    filtered = candidates.filtered[candidates.used[i], own]
    second = round(fs)
    before, after = (
        filtered[:, max(onset - second, 0) : onset],
        filtered[:, onset : onset + second // 2],
    )
    noise = float(np.sqrt(np.mean(np.square(before)))) if before.size else 0.0
    signal = float(np.sqrt(np.mean(np.square(after)))) if after.size else 0.0
    return Measures(
        _peak(data[own], onset, fs),
        min(signal / noise, 1e6) if noise > 0 else 1e6,
        _first_motion(candidates.filtered[candidates.used[i], 0], onset, fs) if key == "Z" else 0,
        _duration(filtered, onset, noise, fs),
    )


def _peak(data: NDArray[np.float32], onset: int, fs: float) -> float:
    """Return the largest distance from the mean of the second before, in the data's unit."""
    before = data[:, max(onset - round(fs), 0) : onset]
    after = data[:, onset : onset + max(round(PEAK_S * fs), 1)].astype(np.float64)
    base = before.mean(axis=1, dtype=np.float64, keepdims=True) if before.shape[1] else 0.0
    return float(np.max(np.abs(after - base)))


def _first_motion(z: NDArray[np.float64], onset: int, fs: float) -> int:
    """Return the sign of the first half cycle that stands clear of the noise, 0 if none does.

    The band-passes are causal, so they do not turn the first motion over.
    """
    early, late = round(MOTION_S[0] * fs), round(MOTION_S[1] * fs)
    noise = z[max(onset - round(fs), 0) : max(onset - early, 0)]
    if noise.size < early:
        return 0
    level = CLEAR * float(np.sqrt(np.mean(np.square(noise))))
    piece = z[max(onset - early, 0) : onset + late]
    turns = np.flatnonzero(np.diff(np.sign(piece)) != 0)
    edges = np.concatenate([[0], turns + 1, [len(piece)]])
    peaks = [float(piece[a:b][np.argmax(np.abs(piece[a:b]))]) for a, b in pairwise(edges) if b > a]
    for now, following in zip(peaks, [*peaks[1:], 0.0], strict=True):
        if abs(now) > level:
            return int(np.sign(now)) if abs(now) >= CLEAN * abs(following) else 0
    return 0


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
