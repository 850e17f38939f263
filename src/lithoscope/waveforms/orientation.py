"""Components in the directions of the ground: up, north, east."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.waveforms._load import _problem
from lithoscope.waveforms.record import Record

_NEAR_DEG = 1.0  # directions that agree to this are left alone
_STEEP_DEG = 45.0
_PIECE = 1 << 16  # samples turned at once
_NOMINAL = {"N": 0.0, "E": 90.0}


def orient(
    records: Sequence[Record], channels: pd.DataFrame | None
) -> tuple[list[Record], list[dict[str, Any]]]:
    """Turn the rows of each record to up, north and east, in place.

    Azimuths and dips come from the CHANNELS table at the record's start. Without an entry, N and
    E are taken at their word, and 1 and R count as north, 2 and T as east, which is reported. A
    vertical whose dip points down changes sign. Two horizontals at least 30 degrees from being
    parallel are solved for north and east, ``a = north cos(az) + east sin(az)``; a single one
    that points elsewhere is kept as it is and reported.

    Returns
    -------
    records, problems
        Records with turned rows (their ``channels`` still name the rows before) and PROBLEMS
        rows.
    """
    problems: list[dict[str, Any]] = []
    return [_oriented(record, channels, problems) for record in records], problems


def epoch_starts_ns(channels: pd.DataFrame | None, codes: Sequence[str]) -> list[int]:
    """Return the times at which the direction of any of the channels may change."""
    if channels is None or channels.empty:
        return []
    rows = channels[channels["channel"].isin(codes)]
    moments = pd.concat([rows["starttime"], rows["endtime"]]).dropna().unique()
    return sorted(int(pd.Timestamp(m).value) for m in moments)


def _oriented(
    record: Record, channels: pd.DataFrame | None, problems: list[dict[str, Any]]
) -> Record:
    data = record.data
    _, dip = _direction(record.channels[0], channels, record.starttime_ns)
    if record.mask[0] and dip > _STEEP_DEG:
        data[0] *= -1.0
        detail = f"dip {dip:g} degrees: positive is down"
        problems.append(_problem(record.channels[0], "vertical reversed", detail, "sign changed"))
    elif record.mask[0] and abs(dip) < _STEEP_DEG:
        detail = f"dip {dip:g} degrees"
        problems.append(_problem(record.channels[0], "vertical not vertical", detail, "used as Z"))
    first, second = record.channels[1:]
    if first and second:
        return _turned(replace(record, data=data), channels, problems)
    for row, name in ((1, first), (2, second)):
        if name:
            data = _single(data, row, name, channels, record.starttime_ns, problems)
    return replace(record, data=data)


def _turned(
    record: Record, channels: pd.DataFrame | None, problems: list[dict[str, Any]]
) -> Record:
    """Solve two horizontals for north and east."""
    names = record.channels[1:]
    azimuths = [_direction(name, channels, record.starttime_ns)[0] for name in names]
    if any(np.isnan(azimuths)):
        if names[0][-1] != "N":
            problems.append(_unknown(names))
        return record
    if max(_apart(a, b) for a, b in zip(azimuths, (0.0, 90.0), strict=True)) <= _NEAR_DEG:
        return record
    detail = f"azimuths {azimuths[0]:g} and {azimuths[1]:g} degrees"
    angle = np.radians(azimuths)
    matrix = np.column_stack([np.cos(angle), np.sin(angle)])
    if abs(np.linalg.det(matrix)) < 0.5:
        problems.append(_problem(names[0], "horizontals parallel", detail, "used as N and E"))
        return record
    if names[0][-1] == "N":
        problems.append(_problem(names[0], "horizontals turned", detail, "rotated to N and E"))
    _combine(record.data[1:], np.linalg.inv(matrix))
    clipped = record.clipped.copy()
    clipped[1:] = record.clipped[1:].any()
    return replace(record, clipped=clipped)


def _combine(rows: NDArray[np.float32], matrix: NDArray[np.float64]) -> None:
    """Multiply two rows by a matrix in float64, in place and a piece at a time."""
    for begin in range(0, rows.shape[1], _PIECE):
        piece = rows[:, begin : begin + _PIECE]
        a, b = piece.astype(np.float64)
        piece[0] = matrix[0, 0] * a + matrix[0, 1] * b
        piece[1] = matrix[1, 0] * a + matrix[1, 1] * b


def _single(
    data: Any,
    row: int,
    name: str,
    channels: pd.DataFrame | None,
    time_ns: int,
    problems: list[dict[str, Any]],
) -> Any:
    azimuth, _ = _direction(name, channels, time_ns)
    if np.isnan(azimuth):
        if name[-1] not in _NOMINAL:
            problems.append(_unknown((name,)))
        return data
    off = _apart(azimuth, 90.0 * (row - 1))
    if off >= 180.0 - _NEAR_DEG:
        data[row] *= -1.0
    elif off > _NEAR_DEG:
        detail = f"azimuth {azimuth:g} degrees, and no second horizontal to turn it with"
        action = f"used as {'NE'[row - 1]}"
        problems.append(_problem(name, "horizontal not aligned", detail, action))
    return data


def _unknown(names: Sequence[str]) -> dict[str, Any]:
    letters = ", ".join(f"{name[-1]} used as {row}" for name, row in zip(names, "NE", strict=False))
    detail = f"no azimuth known for {', '.join(names)}"
    return _problem(names[0][:-1], "orientation unknown", detail, letters)


def _direction(channel: str, channels: pd.DataFrame | None, time_ns: int) -> tuple[float, float]:
    """Return azimuth and dip of a channel at a time, NaN where unknown."""
    nan = float("nan")
    if not channel or channels is None or channels.empty:
        return nan, nan
    rows = channels[channels["channel"] == channel]
    when = pd.Timestamp(time_ns, tz="UTC")
    starts, ends = rows["starttime"], rows["endtime"]
    rows = rows[(starts.isna() | (starts <= when)) & (ends.isna() | (when < ends))]
    if rows.empty:
        return nan, nan
    row = rows.sort_values("starttime", na_position="first").iloc[-1]
    return float(row["azimuth_deg"]), float(row["dip_deg"])


def _apart(a: float, b: float) -> float:
    return abs((a - b + 180.0) % 360.0 - 180.0)
