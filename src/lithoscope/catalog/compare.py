"""One catalogue beside another: matched, missed and new events, and their differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.geo import distance_azimuth

DIFFERENCES = {
    "time_difference_s": "s",
    "distance_km": "km",
    "east_difference_km": "km",
    "north_difference_km": "km",
    "depth_difference_km": "km",
    "magnitude_difference": "",
}


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    matched
        One row a pair: ``event_id``, ``reference_id``, ``time``, ``reference_time`` and both
        positions, depths and magnitudes, and the differences (event minus reference):
        ``time_difference_s``, ``distance_km`` (epicentres), ``east_difference_km``,
        ``north_difference_km``, ``depth_difference_km``, ``magnitude_difference``.
    missed
        Reference events inside the span that no event matches.
    new
        Events inside the span that no reference event matches.
    outside
        Events outside the span: the reference says nothing about them.
    reference_outside
        Reference events outside the span.
    summary
        One row a difference: ``difference``, ``unit``, ``n``, ``median``, ``mad`` (median absolute
        deviation from the median, not scaled) and ``median_absolute``.
    span
        The time both catalogues are taken to cover.
    time_s, distance_km
        Largest differences of a pair.
    """

    matched: pd.DataFrame
    missed: pd.DataFrame
    new: pd.DataFrame
    outside: pd.DataFrame
    reference_outside: pd.DataFrame
    summary: pd.DataFrame
    span: tuple[pd.Timestamp, pd.Timestamp]
    time_s: float
    distance_km: float


def compare(
    events: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    time_s: float = 2.0,
    distance_km: float = 5.0,
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None,
) -> Comparison:
    """Match events with a reference catalogue, each at most once.

    Among all one-to-one matchings whose pairs differ by at most ``time_s`` in origin time and
    ``distance_km`` in epicentre, the one with the most pairs, and of those the one with the
    smallest sum of ``(dt / time_s)**2 + (distance / distance_km)**2``.

    Parameters
    ----------
    events
        Table with ``event_id``, ``time``, ``longitude``, ``latitude``, ``depth_km`` and, if known,
        ``magnitude``.
    reference
        The same columns, as `read_reference` returns them.
    time_s, distance_km
        Largest differences of a pair, inclusive.
    span
        Start and end (UTC) of the time both catalogues cover. By default the reference's own: its
        first to its last event, widened by ``time_s``. Give it where the reference was searched
        longer than its last event, or the data cover less than the reference.

    Raises
    ------
    DataError
        For a missing column, a NaN position or time, or limits that are not positive.
    """
    if not (time_s > 0 and distance_km > 0):
        raise DataError(
            f"time_s = {time_s} and distance_km = {distance_km}: both must be above zero"
        )
    ours, theirs = _checked(events, "events"), _checked(reference, "reference")
    span = _span(theirs, time_s, span)
    inside = _within(ours["time"], span)
    reference_inside = _within(theirs["time"], span)
    # An event just outside the span may still pair with a reference event inside it.
    candidates = ours[_within(ours["time"], span, time_s)].reset_index(drop=True)
    targets = theirs[reference_inside].reset_index(drop=True)
    first, second = _match(candidates, targets, time_s, distance_km)
    matched = _differences(candidates.iloc[first], targets.iloc[second])
    paired = set(candidates["event_id"].iloc[first])
    unpaired = ~ours["event_id"].isin(paired)
    return Comparison(
        matched=matched,
        missed=targets.drop(index=second).reset_index(drop=True),
        new=ours[inside & unpaired].reset_index(drop=True),
        outside=ours[~inside & unpaired].reset_index(drop=True),
        reference_outside=theirs[~reference_inside].reset_index(drop=True),
        summary=_summary(matched),
        span=span,
        time_s=time_s,
        distance_km=distance_km,
    )


def _checked(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    needed = ["event_id", "time", "longitude", "latitude", "depth_km"]
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise DataError(f"{name}: lacks column(s) {', '.join(missing)}; needs {', '.join(needed)}")
    out = frame.reset_index(drop=True).copy()
    if "magnitude" not in out.columns:
        out["magnitude"] = np.nan
    out["time"] = pd.to_datetime(out["time"], utc=True).astype("datetime64[ns, UTC]")
    if out["event_id"].duplicated().any():
        twice = out.loc[out["event_id"].duplicated(), "event_id"].iloc[0]
        raise DataError(f"{name}: event_id '{twice}' occurs twice; ids must be unique")
    position = np.isfinite(out[["longitude", "latitude"]].to_numpy(float)).all(axis=1)
    bad = out["time"].isna() | ~position
    if bad.any():
        raise DataError(
            f"{name}: event '{out.loc[bad, 'event_id'].iloc[0]}' has no time or position; "
            f"take such events out first"
        )
    return out


def _span(
    reference: pd.DataFrame, time_s: float, span: tuple[pd.Timestamp, pd.Timestamp] | None
) -> tuple[pd.Timestamp, pd.Timestamp]:
    if span is not None:
        start, end = (pd.Timestamp(t) for t in span)
        start, end = (t.tz_localize("UTC") if t.tzinfo is None else t for t in (start, end))
        if not start < end:
            raise DataError(f"span: starts at {start} and ends at {end}; start must be earlier")
        return start, end
    if reference.empty:
        zero = pd.Timestamp(0, tz="UTC")
        return zero, zero
    margin = pd.Timedelta(round(time_s * NS_PER_S), "ns")
    return reference["time"].min() - margin, reference["time"].max() + margin


def _within(
    times: pd.Series, span: tuple[pd.Timestamp, pd.Timestamp], margin_s: float = 0.0
) -> pd.Series:
    margin = pd.Timedelta(round(margin_s * NS_PER_S), "ns")
    return (times >= span[0] - margin) & (times <= span[1] + margin)


def _pairs(
    a: pd.DataFrame, b: pd.DataFrame, time_s: float, distance_km: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return every pair within the limits and its cost."""
    time_a, time_b = a["time"].astype("int64").to_numpy(), b["time"].astype("int64").to_numpy()
    order = np.argsort(time_b, kind="stable")
    limit = round(time_s * NS_PER_S)
    low = np.searchsorted(time_b[order], time_a - limit, side="left")
    high = np.searchsorted(time_b[order], time_a + limit, side="right")
    count = high - low
    first = np.repeat(np.arange(len(a)), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    second = order[np.repeat(low, count) + offset]
    distance, _ = distance_azimuth(
        a["longitude"].to_numpy(float)[first],
        a["latitude"].to_numpy(float)[first],
        b["longitude"].to_numpy(float)[second],
        b["latitude"].to_numpy(float)[second],
    )
    near = distance <= distance_km
    first, second, distance = first[near], second[near], distance[near]
    delay = (time_a[first] - time_b[second]) / NS_PER_S
    return first, second, (delay / time_s) ** 2 + (distance / distance_km) ** 2


def _match(
    a: pd.DataFrame, b: pd.DataFrame, time_s: float, distance_km: float
) -> tuple[list[int], list[int]]:
    """Return the rows of the optimal pairs, in order of ``a``; each group on its own."""
    first, second, cost = _pairs(a, b, time_s, distance_km)
    n = len(a) + len(b)
    graph = coo_matrix((np.ones(len(first)), (first, second + len(a))), shape=(n, n))
    _, label = connected_components(graph, directed=False) if n else (0, np.zeros(0, int))
    pairs: list[tuple[int, int]] = []
    by_group = np.argsort(label[first], kind="stable")
    groups = np.split(by_group, np.flatnonzero(np.diff(label[first][by_group])) + 1)
    for rows in groups:
        if len(rows):
            pairs += _match_group(first[rows], second[rows], cost[rows])
    pairs.sort()
    return [i for i, _ in pairs], [j for _, j in pairs]


def _match_group(
    first: NDArray[np.intp], second: NDArray[np.intp], cost: NDArray[np.float64]
) -> list[tuple[int, int]]:
    rows, i = np.unique(first, return_inverse=True)
    columns, j = np.unique(second, return_inverse=True)
    # A pair costs at most 2, so one more pair always outweighs any sum of costs.
    reward = 2.0 * min(len(rows), len(columns)) + 1.0
    matrix = np.zeros((len(rows), len(columns)))
    matrix[i, j] = cost - reward
    chosen = zip(*linear_sum_assignment(matrix), strict=True)
    return [(int(rows[r]), int(columns[c])) for r, c in chosen if matrix[r, c] < 0.0]


def _differences(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    a, b = a.reset_index(drop=True), b.reset_index(drop=True)
    lon_a, lat_a = a["longitude"].to_numpy(float), a["latitude"].to_numpy(float)
    lon_b, lat_b = b["longitude"].to_numpy(float), b["latitude"].to_numpy(float)
    distance, azimuth = distance_azimuth(lon_b, lat_b, lon_a, lat_a)
    out = {"event_id": a["event_id"], "reference_id": b["event_id"]}
    for name in ("time", "longitude", "latitude", "depth_km", "magnitude"):
        out[name], out[f"reference_{name}"] = a[name], b[name]
    out["time_difference_s"] = (a["time"] - b["time"]).dt.total_seconds()
    out["distance_km"] = pd.Series(distance, dtype=float)
    out["east_difference_km"] = pd.Series(distance * np.sin(np.radians(azimuth)), dtype=float)
    out["north_difference_km"] = pd.Series(distance * np.cos(np.radians(azimuth)), dtype=float)
    out["depth_difference_km"] = a["depth_km"].astype(float) - b["depth_km"].astype(float)
    out["magnitude_difference"] = a["magnitude"].astype(float) - b["magnitude"].astype(float)
    return pd.DataFrame(out)


def _summary(matched: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, unit in DIFFERENCES.items():
        values = matched[name].dropna().to_numpy(float)
        median = float(np.median(values)) if len(values) else np.nan
        mad = float(np.median(np.abs(values - median))) if len(values) else np.nan
        absolute = float(np.median(np.abs(values))) if len(values) else np.nan
        rows.append((name, unit, len(values), median, mad, absolute))
    columns = ["difference", "unit", "n", "median", "mad", "median_absolute"]
    return pd.DataFrame(rows, columns=columns)
