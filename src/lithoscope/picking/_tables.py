"""Onsets and stretches of a network as tables; what every trained picker asks of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lithoscope import schema
from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.picking._measures import PEAK_S, WARM_S, measure_onsets
from lithoscope.waveforms import Record, resample

#: Slowest records (Hz): below, the band in which networks are trained is mostly missing.
LOWEST_HZ = 20.0
#: Faster records are measured (amplitude, ratio, polarity) at the network's rate.
MEASURED_HZ = 250.0
#: Shortest record that can hold an onset and noise before it (s).
SHORTEST_S = 1.0
#: Times are rounded to this (ns), so that the rounding of a start time does not show in an id.
TIME_STEP_NS = 100_000


def unusable(record: Record) -> str | None:
    """Return why nothing can be picked on a record, or None."""
    if record.data.ndim != 2 or record.data.shape[0] != 3 or len(record.mask) != 3:
        return f"samples of shape {record.data.shape}; picking needs three components (3, n)"
    if record.sampling_rate_hz < LOWEST_HZ:
        return f"sampled at {record.sampling_rate_hz:g} Hz; picking needs at least {LOWEST_HZ:g} Hz"
    if record.n_samples < SHORTEST_S * record.sampling_rate_hz:
        return f"{record.n_samples} samples; picking needs at least {SHORTEST_S:g} s of data"
    if not record.mask.any():
        return "no component with data"
    return None


def require_finite(record: Record) -> None:
    """Refuse a record with samples that are not finite.

    Raises
    ------
    DataError
        If there is one; it would spoil everything within the network's reach.
    """
    for row in np.flatnonzero(record.mask):
        # A sum is not finite if a term is not; float64 cannot overflow on float32 terms.
        if not np.isfinite(record.data[row].sum(dtype=np.float64)):
            raise DataError(
                f"{record.station}: samples that are not finite (NaN or infinite); "
                "read the data with lithoscope.waveforms, which makes gaps of them"
            )


def rounded(start_ns: int, offset_s: ArrayLike) -> NDArray[np.int64]:
    """Return start + offset in whole steps; a float holds an absolute time to 256 ns only."""
    offset_ns = np.rint(np.asarray(offset_s, np.float64) * NS_PER_S).astype(np.int64)
    return (start_ns + offset_ns + TIME_STEP_NS // 2) // TIME_STEP_NS * TIME_STEP_NS


def picks_columns(
    record: Record,
    phase: str,
    times_ns: NDArray[np.int64],
    sigma_s: NDArray[np.float64],
    probability: NDArray[np.float64],
    *,
    model: str,
    rate_hz: float,
) -> dict[str, list[Any]]:
    """Return onsets of one phase, measured on the record, as columns of PICKS; times in ns.

    Parameters
    ----------
    record
        That they were found on.
    phase
        P or S.
    times_ns, sigma_s, probability
        Of the onsets.
    model
        Name and version of the picker.
    rate_hz
        To which faster records than `MEASURED_HZ` are resampled for the measures.
    """
    amplitude, snr, polarity = _measured(record, phase, times_ns, rate_hz)
    times, n = times_ns.tolist(), len(times_ns)
    return {
        "pick_id": [schema.pick_id(record.station, phase, t) for t in times],
        "station": [record.station] * n,
        "phase": [phase] * n,
        "time": times,
        "time_sigma_s": sigma_s.tolist(),
        "probability": probability.tolist(),
        "amplitude": amplitude.tolist(),
        "snr": snr.tolist(),
        "polarity": polarity.tolist() if phase == "P" else [0] * n,
        "model": [model] * n,
    }


def picks_of(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return columns of `picks_columns` as the table PICKS."""
    times = pd.to_datetime(np.array(columns["time"], np.int64), unit="ns", utc=True)
    return schema.PICKS.table({**columns, "time": times})


def detections_table(
    station: str,
    start_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    probability: NDArray[np.float64],
    *,
    model: str,
) -> pd.DataFrame:
    """Return stretches as the table DETECTIONS."""
    return schema.DETECTIONS.table(
        {
            "station": station,
            "starttime": pd.to_datetime(start_ns, unit="ns", utc=True),
            "endtime": pd.to_datetime(end_ns, unit="ns", utc=True),
            "probability": probability,
            "model": model,
        }
    )


def _measured(
    record: Record, phase: str, times_ns: NDArray[np.int64], rate_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return amplitude, signal-to-noise ratio and polarity of onsets of one phase."""
    horizontal = bool(record.mask[1:].any())
    vertical = bool(record.mask[0]) and (phase == "P" or not horizontal)
    if record.sampling_rate_hz <= MEASURED_HZ:
        at = _nearest(record, times_ns)
        return measure_onsets(record.data, at, vertical, record.sampling_rate_hz)
    before, after = round((WARM_S + 2.0) * NS_PER_S), round((PEAK_S + 1.0) * NS_PER_S)
    rows = []
    for time_ns in times_ns.tolist():
        piece = resample(record.cut(time_ns - before, time_ns + after), rate_hz)
        at = _nearest(piece, np.array([time_ns]))
        rows.append(np.concatenate(measure_onsets(piece.data, at, vertical, rate_hz)))
    amplitude, snr, polarity = np.array(rows, np.float64).reshape(-1, 3).T
    return amplitude, snr, polarity.astype(np.int64)


def _nearest(record: Record, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the samples of a record nearest to some times."""
    offset = (times_ns - record.starttime_ns) / NS_PER_S * record.sampling_rate_hz
    # Halves always go up, whatever a float makes of them, so the start of the record has no say.
    at = np.floor(offset + 0.5 + 1e-6).astype(np.int64)
    return np.clip(at, 0, record.n_samples - 1)
