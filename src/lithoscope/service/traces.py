"""What the page draws of recordings: least and greatest values in steps, and spectrograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch

from lithoscope.constants import NS_PER_S
from lithoscope.waveforms import Record

_DIGITS = 4  # of a drawn value: more than a screen has pixels


def shortened(values: NDArray[np.float64]) -> list[float | None]:
    """Return numbers of four digits, None for NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.floor(np.log10(np.abs(values)))
        scale = 10.0 ** np.clip(_DIGITS - 1 - np.where(np.isfinite(size), size, 0.0), -300, 300)
        rounded = np.round(values * scale) / scale
    return [v if ok else None for v, ok in zip(rounded.tolist(), np.isfinite(values), strict=True)]


def extremes(
    pieces: list[tuple[int, float, NDArray[Any]]], start_ns: int, end_ns: int, columns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the greatest sample of each of ``columns`` steps, NaN without any.

    Parameters
    ----------
    pieces
        Start (ns), sampling rate (Hz) and samples of gap-free pieces.
    """
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    step_ns = (end_ns - start_ns) / columns
    for first_ns, rate_hz, values in pieces:
        at = (first_ns - start_ns + np.arange(len(values)) * (NS_PER_S / rate_hz)) / step_ns
        column = np.floor(at).astype(np.int64)
        inside = (column >= 0) & (column < columns)
        column, part = column[inside], np.asarray(values[inside], float)
        if not len(column):
            continue
        begins = np.flatnonzero(np.r_[True, np.diff(column) > 0])
        here = column[begins]
        low[here] = np.minimum(low[here], np.minimum.reduceat(part, begins))
        high[here] = np.maximum(high[here], np.maximum.reduceat(part, begins))
    empty = ~np.isfinite(low)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def channel_pieces(records: list[Record]) -> dict[str, list[tuple[int, float, NDArray[Any]]]]:
    """Return the gap-free pieces of each channel of a station, in order Z, N, E."""
    out: dict[str, list[tuple[int, float, NDArray[Any]]]] = {}
    for row in range(3):
        for record in records:
            if record.mask[row]:
                piece = (record.starttime_ns, record.sampling_rate_hz, record.data[row])
                out.setdefault(record.channels[row], []).append(piece)
    return out


def without_mean(
    pieces: list[tuple[int, float, NDArray[Any]]],
) -> list[tuple[int, float, NDArray[Any]]]:
    """Return the pieces less the mean of all their samples."""
    total = sum(float(np.sum(values, dtype=float)) for _, _, values in pieces)
    mean = total / max(sum(len(values) for _, _, values in pieces), 1)
    return [(start, rate, np.asarray(values, float) - mean) for start, rate, values in pieces]


def spectrogram(
    pieces: list[tuple[int, float, NDArray[Any]]],
    start_ns: int,
    end_ns: int,
    steps: int,
    bins: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies (Hz) and the power in each step, dB of counts**2/Hz, NaN in gaps.

    Welch's mean of half-overlapping Hann windows of about 10 s (Welch 1967), each piece cut at
    the steps; frequencies are joined into at most ``bins``, zero left out.
    """
    if not pieces:
        return np.zeros(0), np.full((steps, 0), np.nan)
    rate = max(rate_hz for _, rate_hz, _ in pieces)
    step_ns = (end_ns - start_ns) / steps
    length = int(2 ** np.floor(np.log2(max(min(10.0, step_ns / NS_PER_S) * rate, 8.0))))
    group = max(1, int(np.ceil((length // 2) / bins)))
    n_bins = (length // 2) // group
    frequencies = (np.arange(n_bins) * group + (group + 1) / 2.0) * rate / length
    out = np.full((steps, n_bins), np.nan)
    for first_ns, rate_hz, values in pieces:
        if rate_hz != rate:
            continue
        for step in range(steps):
            low = int(np.ceil((start_ns + step * step_ns - first_ns) * rate / NS_PER_S))
            high = int(np.ceil((start_ns + (step + 1) * step_ns - first_ns) * rate / NS_PER_S))
            part = values[max(low, 0) : max(min(high, len(values)), 0)]
            if len(part) < length:
                continue
            _, power = welch(part, fs=rate, nperseg=length, detrend="constant")
            joined = power[1 : 1 + n_bins * group].reshape(n_bins, group).mean(axis=1)
            out[step] = 10.0 * np.log10(np.maximum(joined, 1e-12))
    return frequencies, out
