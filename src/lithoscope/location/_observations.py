"""From tables to the picks of one event: joins, checks, and what cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.errors import DataError, StationError
from lithoscope.location.settings import LocationSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EventPicks:
    """Picks of one event in an order that does not depend on the table's (station, phase, time).

    ``receivers`` counts rows of ``receiver_depths`` of `Observations`.
    """

    event_id: str
    pick_ids: list[str]
    stations: list[str]
    phases: NDArray[np.int64]
    times_ns: NDArray[np.int64]
    sigmas: Array
    outliers: Array
    longitudes: Array
    latitudes: Array
    elevations_m: Array
    receivers: NDArray[np.int64]

    @property
    def reference_ns(self) -> int:
        """Time that seconds are counted from: the first pick."""
        return int(self.times_ns.min())


@dataclass(frozen=True)
class Observations:
    """All events' picks joined with their stations."""

    table: pd.DataFrame
    receiver_depths: Array
    problems: list[dict[str, object]]

    def events(self) -> Iterator[EventPicks]:
        """Yield the picks of each event, events in order of their ids."""
        columns = {name: self.table[name].to_numpy() for name in self.table.columns}
        ids = columns["event_id"]
        edges = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))[: len(ids)]
        ends = np.append(edges[1:], len(ids))[: len(edges)]
        for first, last in zip(edges, ends, strict=True):
            part = {name: values[first:last] for name, values in columns.items()}
            yield EventPicks(
                str(part["event_id"][0]),
                [str(v) for v in part["pick_id"]],
                [str(v) for v in part["station"]],
                np.ascontiguousarray(part["phase_index"], dtype=np.int64),
                np.ascontiguousarray(part["time_ns"], dtype=np.int64),
                np.ascontiguousarray(part["sigma"], dtype=float),
                np.ascontiguousarray(part["outlier"], dtype=float),
                np.ascontiguousarray(part["longitude"], dtype=float),
                np.ascontiguousarray(part["latitude"], dtype=float),
                np.ascontiguousarray(part["elevation_m"], dtype=float),
                np.ascontiguousarray(part["receiver"], dtype=np.int64),
            )


def join(
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    settings: LocationSettings,
) -> Observations:
    """Join assignments, picks and stations.

    Raises
    ------
    DataError
        If an assignment names an unknown pick, a pick is assigned twice, or a pick's phase, time or
        sigma cannot be used.
    StationError
        If a picked station has no coordinates, or impossible ones.
    """
    assignments = schema.ASSIGNMENTS.check(assignments)
    picks = schema.PICKS.check(picks)
    stations = schema.STATIONS.check(stations)
    twice = assignments["pick_id"].duplicated()
    if twice.any():
        raise DataError(
            f"pick {assignments['pick_id'][twice].iloc[0]} is assigned to more than one event; "
            "a pick belongs to at most one"
        )
    table = assignments[["event_id", "pick_id"]].merge(
        picks.drop_duplicates("pick_id"), on="pick_id", how="left", indicator=True
    )
    unknown = table["_merge"] != "both"
    if unknown.any():
        raise DataError(
            f"{int(unknown.sum())} assigned pick(s) are not in the picks table, first "
            f"{table['pick_id'][unknown].iloc[0]}; give the picks that were associated"
        )
    _check_picks(table)
    table["time_ns"] = table["time"].astype("int64")
    table["sigma"] = table["time_sigma_s"].clip(lower=settings.min_sigma_s)
    table["outlier"] = _outliers(table["probability"].to_numpy(), settings)
    table["phase_index"] = (table["phase"] == "S").astype("int64")
    table, problems = _with_positions(table, stations)
    table = table.sort_values(["event_id", "station", "phase", "time_ns"], kind="stable")
    depths, index = np.unique(-table["elevation_m"].to_numpy() / 1000.0, return_inverse=True)
    table["receiver"] = index
    return Observations(table.reset_index(drop=True), depths, problems)


def _outliers(probability: Array, settings: LocationSettings) -> Array:
    """Prior probability of an outlier, linear in the probability of the pick; NaN counts as 1."""
    known = np.clip(np.where(np.isfinite(probability), probability, 1.0), 0.0, 1.0)
    sure, unsure = settings.outlier_probability, settings.outlier_probability_unsure
    return np.asarray(sure + (max(unsure, sure) - sure) * (1.0 - known))


def _check_picks(table: pd.DataFrame) -> None:
    wrong = ~table["phase"].isin(["P", "S"])
    if wrong.any():
        row = table[wrong].iloc[0]
        raise DataError(f"pick {row['pick_id']}: phase '{row['phase']}' must be P or S")
    if table["time"].isna().any():
        raise DataError(f"pick {table['pick_id'][table['time'].isna()].iloc[0]} has no time")
    sigma = table["time_sigma_s"]
    wrong = ~(sigma > 0) | ~np.isfinite(sigma)
    if wrong.any():
        row = table[wrong].iloc[0]
        raise DataError(
            f"pick {row['pick_id']}: time_sigma_s = {row['time_sigma_s']} must be positive"
        )


def _with_positions(
    table: pd.DataFrame, stations: pd.DataFrame
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Give each pick the coordinates its station had at that time."""
    wanted = set(table["station"])
    used = stations[stations["station"].isin(wanted)]
    known = used.dropna(subset=["longitude", "latitude", "elevation_m"])
    missing = sorted(wanted - set(known["station"]))
    if missing:
        raise StationError(
            f"no coordinates for picked station(s) {', '.join(missing[:10])}"
            f"{' ...' if len(missing) > 10 else ''}; add them to the stations table"
        )
    bad = (known["latitude"].abs() > 90) | (known["longitude"].abs() > 360)
    bad |= (known["elevation_m"] < -12000) | (known["elevation_m"] > 9000)
    if bad.any():
        row = known[bad].iloc[0]
        raise StationError(
            f"station {row['station']}: longitude {row['longitude']}, latitude {row['latitude']}, "
            f"elevation {row['elevation_m']} m are out of range; are they swapped?"
        )
    start = known["starttime"].fillna(pd.Timestamp.min.tz_localize("UTC")).astype("int64")
    end = known["endtime"].fillna(pd.Timestamp.max.tz_localize("UTC")).astype("int64")
    known = known.assign(start_ns=start, end_ns=end).sort_values(
        ["station", "start_ns"], kind="stable"
    )
    rows = np.empty(len(table), int)
    problems: list[dict[str, object]] = []
    groups = {name: part for name, part in known.reset_index(drop=True).groupby("station")}
    names = table["station"].to_numpy()
    times = table["time_ns"].to_numpy()
    for name in sorted(wanted):
        part = groups[name]
        mine = np.flatnonzero(names == name)
        rows[mine] = part.index[0]
        if len(part) == 1 and part["starttime"].isna().all() and part["endtime"].isna().all():
            continue
        outside = _epochs(part, times[mine], rows, mine)
        if outside:
            problems.append(
                {
                    "what": name,
                    "problem": "coordinates outside their validity",
                    "detail": f"{outside} pick(s) at times that no epoch covers",
                    "action": "coordinates of the nearest epoch used",
                }
            )
    for column in ("longitude", "latitude", "elevation_m"):
        table[column] = known[column].to_numpy()[rows]
    return table, problems


def _epochs(part: pd.DataFrame, times: NDArray, rows: NDArray, mine: NDArray) -> int:
    """Set ``rows[mine]`` to the epoch that covers or is nearest to each time; count the latter."""
    start, end = part["start_ns"].to_numpy(), part["end_ns"].to_numpy()
    before = np.maximum(start[None].astype(float) - times[:, None], 0.0)
    after = np.maximum(times[:, None] - end[None].astype(float), 0.0)
    gap = before + after
    best = gap.argmin(axis=1)
    rows[mine] = part.index.to_numpy()[best]
    return int((gap[np.arange(len(times)), best] > 1e9).sum())
