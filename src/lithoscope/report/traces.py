"""Traces for record sections: read a window, filter, and thin out to least and greatest values."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfilt_zi

from lithoscope.constants import NS_PER_S

SETTLE_S = 8.0  # read before the window, so that the filter has settled at its start
_GAP = -128


@dataclass(frozen=True)
class Window:
    """Time window of one record section and the number of its columns."""

    start_ns: int
    end_ns: int
    columns: int


def filtered(
    data: NDArray[np.floating[Any]], rate_hz: float, low_hz: float, high_hz: float
) -> NDArray[np.float64]:
    """Band-pass by a causal Butterworth filter of order 3: nothing moves ahead of its onset.

    The upper corner is at most 0.4 of the sampling rate; where that leaves no band, only the mean
    is taken off.
    """
    values = np.nan_to_num(np.asarray(data, dtype=float), posinf=0.0, neginf=0.0)
    if len(values) < 2:
        return np.zeros_like(values)
    high = min(high_hz, 0.4 * rate_hz)
    if low_hz >= 0.95 * high:
        return values - values.mean()
    sos = _design(rate_hz, low_hz, high)
    out, _ = sosfilt(sos, values, zi=sosfilt_zi(sos) * values[0])
    return np.asarray(out)


@lru_cache(maxsize=64)
def _design(rate_hz: float, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    return butter(3, [low_hz, high_hz], btype="bandpass", fs=rate_hz, output="sos")


def component(record: Any, kind: str, azimuth_deg: float) -> NDArray[np.floating[Any]] | None:
    """Return the vertical ('z') or a horizontal ('h') trace of a record, None if it has none.

    The horizontal is the one across the direction to the event (positive clockwise around it),
    or the only one that exists.
    """
    if kind == "z":
        return record.data[0] if record.mask[0] else None
    north, east = record.mask[1], record.mask[2]
    if north and east and np.isfinite(azimuth_deg):
        a = np.radians(azimuth_deg)
        return np.cos(a) * record.data[2] - np.sin(a) * record.data[1]
    if north or east:
        return record.data[1] if north else record.data[2]
    return None


def envelope(
    records: list[Any],
    window: Window,
    kind: str,
    azimuth_deg: float,
    band_hz: tuple[float, float],
) -> NDArray[np.float64]:
    """Return the least and greatest value in each column, ``(2, columns)``, NaN in gaps."""
    edges = np.linspace(window.start_ns, window.end_ns, window.columns + 1)
    out = np.full((2, window.columns), np.nan)
    for record in records:
        data = component(record, kind, azimuth_deg)
        if data is None or len(data) < 2:
            continue
        rate = float(record.sampling_rate_hz)
        trace = filtered(data, rate, *band_hz)
        at = np.ceil((edges - record.starttime_ns) * rate / NS_PER_S - 1e-4).astype(np.int64)
        first, last = at[:-1], at[1:]
        # a column between two samples shows the sample before it
        first = np.where(first == last, first - 1, first)
        first, last = np.clip(first, 0, len(trace)), np.clip(last, 0, len(trace))
        full = np.flatnonzero(last > first)
        if len(full) == 0:
            continue
        # contiguous blocks up to the end of the last column, so reduceat needs no pairs
        body = trace[: last[full[-1]]]
        low = np.minimum.reduceat(body, first[full])
        high = np.maximum.reduceat(body, first[full])
        out[0, full] = np.fmin(out[0, full], low)
        out[1, full] = np.fmax(out[1, full], high)
    return out


def packed(values: NDArray[np.float64]) -> str:
    """Return least and greatest values as base64 of int8 pairs, scaled to +-127; '' if no data."""
    peak = np.nanmax(np.abs(values)) if np.isfinite(values).any() else 0.0
    if not peak > 0:
        return ""
    scaled = np.rint(values / peak * 127)
    pairs = np.where(np.isfinite(scaled), scaled, _GAP).astype(np.int8)
    return base64.b64encode(np.ascontiguousarray(pairs.T).tobytes()).decode("ascii")
