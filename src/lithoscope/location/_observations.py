"""From tables to the picks of one event: joins, checks, and what cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

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
    """All events' picks joined with their stations, as columns of the same length."""

    columns: dict[str, NDArray]
    receiver_depths: Array
    problems: list[dict[str, object]]

    def events(self) -> Iterator[EventPicks]:
        """Yield the picks of each event, events in order of their ids."""
        ids = self.columns["event_id"]
        edges = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))[: len(ids)]
        ends = np.append(edges[1:], len(ids))[: len(edges)]
        for first, last in zip(edges, ends, strict=True):
            part = {name: values[first:last] for name, values in self.columns.items()}
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


class Picked(NamedTuple):
    """Picks of events as columns; text as objects."""

    ids: NDArray[np.object_]
    station: NDArray[np.object_]
    phase: NDArray[np.object_]
    time: NDArray[np.datetime64]
    sigma_s: Array
    probability: Array


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
    places = Places.of(schema.STATIONS.check(stations))
    ids = assignments["pick_id"].to_numpy(object)
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise DataError(
                f"pick {name} is assigned to more than one event; a pick belongs to at most one"
            )
        seen.add(name)
    row_of = {name: k for k, name in reversed(list(enumerate(picks["pick_id"])))}
    unknown = [name for name in ids if name not in row_of]
    if unknown:
        raise DataError(
            f"{len(unknown)} assigned pick(s) are not in the picks table, first {unknown[0]}; "
            "give the picks that were associated"
        )
    rows = np.array([row_of[name] for name in ids], dtype=np.int64)
    picked = Picked(
        ids,
        picks["station"].to_numpy(object)[rows],
        picks["phase"].to_numpy(object)[rows],
        picks["time"].to_numpy("datetime64[ns]")[rows],
        picks["time_sigma_s"].to_numpy()[rows],
        picks["probability"].to_numpy()[rows],
    )
    return observe(assignments["event_id"].to_numpy(str), picked, places, settings)


def observe(
    event_ids: NDArray[np.str_],
    picked: Picked,
    places: Places,
    settings: LocationSettings,
    depths: Array | None = None,
) -> Observations:
    """Return picks of some events with the places of their stations.

    ``depths`` are those of receivers to count with, beside the picks' own. Errors as of `join`.
    """
    _check_picks(picked.phase, picked.time, picked.sigma_s, picked.ids)
    columns = {
        "event_id": event_ids,
        "pick_id": picked.ids,
        "station": picked.station.astype(str),
        "time_ns": picked.time.view(np.int64),
        "sigma": np.maximum(picked.sigma_s, settings.min_sigma_s),
        "outlier": _outliers(picked.probability, settings),
        "phase_index": (picked.phase == "S").astype(np.int64),
    }
    found, problems = places.at(columns["station"], columns["time_ns"])
    columns |= found
    own = -columns["elevation_m"] / 1000.0
    receivers = np.unique(own if depths is None else np.concatenate([own, depths]))
    columns["receiver"] = np.searchsorted(receivers, own)
    order = np.lexsort([columns[n] for n in ("time_ns", "phase_index", "station", "event_id")])
    return Observations({n: v[order] for n, v in columns.items()}, receivers, problems)


def _outliers(probability: Array, settings: LocationSettings) -> Array:
    """Prior probability of an outlier, linear in the probability of the pick; NaN counts as 1."""
    known = np.clip(np.where(np.isfinite(probability), probability, 1.0), 0.0, 1.0)
    sure, unsure = settings.outlier_probability, settings.outlier_probability_unsure
    return np.asarray(sure + (max(unsure, sure) - sure) * (1.0 - known))


def _check_picks(phase: NDArray, time: NDArray, sigma: Array, ids: NDArray) -> None:
    """Check the values of picks that have these ids."""
    wrong = (phase != "P") & (phase != "S")
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(f"pick {ids[k]}: phase '{phase[k]}' must be P or S")
    missing = np.isnat(time)
    if missing.any():
        raise DataError(f"pick {ids[np.argmax(missing)]} has no time")
    wrong = ~((sigma > 0) & np.isfinite(sigma))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(f"pick {ids[k]}: time_sigma_s = {sigma[k]} must be positive")


_PLACE = ("longitude", "latitude", "elevation_m")


@dataclass(frozen=True)
class Places:
    """Where stations with coordinates are, and when: rows of a table of STATIONS."""

    names: list[str]
    place: Array  # (n, 3)
    epochs: NDArray[np.int64]  # (n, 2) ns since 1970
    unbounded: NDArray[np.bool_]
    rows_of: dict[str, list[int]]

    @classmethod
    def of(cls, stations: pd.DataFrame) -> Places:
        """Return those of a checked table."""
        place = stations[list(_PLACE)].to_numpy(float)
        start, always = _moments(stations["starttime"], pd.Timestamp.min.value)
        end, still = _moments(stations["endtime"], pd.Timestamp.max.value)
        names = stations["station"].tolist()
        rows_of: dict[str, list[int]] = {}
        for row in np.flatnonzero(~np.isnan(place).any(axis=1)):
            rows_of.setdefault(names[row], []).append(int(row))
        epochs = np.column_stack([start, end])
        return cls(names, place, epochs, always & still, rows_of)

    @property
    def depths_km(self) -> Array:
        """Depths of all stations with coordinates."""
        rows = [row for rows in self.rows_of.values() for row in rows]
        return np.asarray(-self.place[rows, 2] / 1000.0)

    def at(
        self, names: NDArray[np.str_], times_ns: NDArray[np.int64]
    ) -> tuple[dict[str, Array], list[dict[str, object]]]:
        """Return the coordinates that the station of each pick had at that time, and problems."""
        wanted, station_of = np.unique(names, return_inverse=True)
        missing = [str(name) for name in wanted if name not in self.rows_of]
        if missing:
            raise StationError(
                f"no coordinates for picked station(s) {', '.join(missing[:10])}"
                f"{' ...' if len(missing) > 10 else ''}; add them to the stations table"
            )
        self._check(sorted(row for name in wanted for row in self.rows_of[name]))
        rows = np.empty(len(names), np.int64)
        problems: list[dict[str, object]] = []
        for k, name in enumerate(wanted):
            mine = np.flatnonzero(station_of == k)
            some = np.array(sorted(self.rows_of[name], key=lambda row: self.epochs[row, 0]))
            rows[mine] = some[0]
            if len(some) == 1 and self.unbounded[some[0]]:
                continue
            outside = _epochs(some, self.epochs, times_ns, rows, mine)
            if outside:
                problems.append(
                    {
                        "what": str(name),
                        "problem": "coordinates outside their validity",
                        "detail": f"{outside} pick(s) at times that no epoch covers",
                        "action": "coordinates of the nearest epoch used",
                    }
                )
        return dict(zip(_PLACE, self.place[rows].T, strict=True)), problems

    def _check(self, rows: list[int]) -> None:
        lon, lat, elevation = self.place[rows].T
        bad = (np.abs(lat) > 90) | (np.abs(lon) > 360) | (elevation < -12000) | (elevation > 9000)
        if bad.any():
            k = int(np.argmax(bad))
            raise StationError(
                f"station {self.names[rows[k]]}: longitude {lon[k]}, latitude {lat[k]}, "
                f"elevation {elevation[k]} m are out of range; are they swapped?"
            )


def _moments(times: pd.Series, missing_ns: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times in ns since 1970, and which of them are not given."""
    moments = times.to_numpy("datetime64[ns]")
    missing = np.isnat(moments)
    return np.where(missing, missing_ns, moments.view(np.int64)), missing


def _epochs(
    some: NDArray[np.int64],
    epochs: NDArray[np.int64],
    times_ns: NDArray[np.int64],
    rows: NDArray[np.int64],
    mine: NDArray[np.int64],
) -> int:
    """Set ``rows[mine]`` to the one of some stations' rows whose epoch covers or is nearest to each
    time; return for how many none covers it.
    """
    moments = times_ns[mine].astype(float)[:, None]
    before = np.maximum(epochs[some, 0] - moments, 0.0)
    after = np.maximum(moments - epochs[some, 1], 0.0)
    gap = before + after
    best = gap.argmin(axis=1)
    rows[mine] = some[best]
    return int((gap[np.arange(len(mine)), best] > 1e9).sum())
