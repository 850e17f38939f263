"""Which events: a query, checked once, and the SQL it stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd
import sqlalchemy as sa

from lithoscope.catalog.quakeml_words import STATUSES
from lithoscope.catalog.store_tables import UNIT_COLUMNS, unit_vectors
from lithoscope.errors import DataError

ORDERS = ("time", "time-asc", "magnitude", "magnitude-asc")
_SHOWN = tuple(word for word in STATUSES if word != "rejected")
_LIMITS = {
    "latitude": 90.0,
    "min_latitude": 90.0,
    "max_latitude": 90.0,
    "longitude": 360.0,
    "min_longitude": 360.0,
    "max_longitude": 360.0,
}
_RANGES = ("latitude", "depth_km", "magnitude")
# 1e-9 degrees (0.1 mm) more than asked for, so that rounding cannot cut the rim of a circle off.
_RIM_DEG = 1e-9


@dataclass(frozen=True, kw_only=True)
class EventQuery:
    """Events to select: every condition given must hold, limits included.

    Parameters
    ----------
    starttime, endtime
        Origin time, UTC.
    updatedafter
        Only events that changed later than this.
    min_latitude, max_latitude, min_longitude, max_longitude
        Box in degrees. A ``min_longitude`` above ``max_longitude`` is a box across the date line;
        longitudes may count from -180 or from 0.
    min_depth_km, max_depth_km
        Below sea level.
    min_magnitude, max_magnitude, magnitude_type
        Events without a magnitude match no limit.
    latitude, longitude, minradius, maxradius
        Great-circle distance from a point in degrees, on a sphere with geographic latitudes (what
        FDSN services use).
    event_type, eventid
        One, or several of which any will do.
    status
        Words of QuakeML's evaluationStatus; by default all but ``rejected``, which operators and a
        watch that takes an event back give.
    orderby
        ``time`` (latest first), ``time-asc``, ``magnitude`` (largest first; those without last),
        ``magnitude-asc``.
    limit, offset
        How many at most, and how many to leave out before the first.

    Raises
    ------
    DataError
        If a value is out of range or two contradict each other.
    """

    starttime: pd.Timestamp | None = None
    endtime: pd.Timestamp | None = None
    updatedafter: pd.Timestamp | None = None
    min_latitude: float | None = None
    max_latitude: float | None = None
    min_longitude: float | None = None
    max_longitude: float | None = None
    min_depth_km: float | None = None
    max_depth_km: float | None = None
    min_magnitude: float | None = None
    max_magnitude: float | None = None
    magnitude_type: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    minradius: float | None = None
    maxradius: float | None = None
    event_type: str | tuple[str, ...] | None = None
    eventid: str | tuple[str, ...] | None = None
    status: str | tuple[str, ...] | None = None
    orderby: str = "time"
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise DataError(f"{field.name} = {value} is not a finite number")
        for name, most in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and abs(value) > most:
                raise DataError(f"{name} = {value:g} is out of range; give -{most:g} to {most:g}")
        for name in _RANGES:
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low is not None and high is not None and low > high:
                raise DataError(f"min_{name} = {low:g} is above max_{name} = {high:g}")
        start, end = self.starttime, self.endtime
        if start is not None and end is not None and moment(start) > moment(end):
            raise DataError(f"starttime = {start} is after endtime = {end}")
        self._check_radius()
        self._check_words()

    def _check_radius(self) -> None:
        if self.minradius is None and self.maxradius is None:
            return
        if self.latitude is None or self.longitude is None:
            raise DataError("minradius and maxradius need latitude and longitude of the centre")
        low, high = self.minradius or 0.0, 180.0 if self.maxradius is None else self.maxradius
        if not 0.0 <= low <= high <= 180.0:
            raise DataError(
                f"radius {low:g} to {high:g} degrees; give 0 <= minradius <= maxradius <= 180"
            )

    def _check_words(self) -> None:
        if self.orderby not in ORDERS:
            raise DataError(f"orderby = '{self.orderby}' is unknown; use {', '.join(ORDERS)}")
        for word in _several(self.status) or ():
            if word not in STATUSES:
                raise DataError(f"status '{word}' is unknown; use {', '.join(STATUSES)}")
        if self.limit is not None and self.limit < 1:
            raise DataError(f"limit = {self.limit}; give 1 or more")
        if self.offset < 0:
            raise DataError(f"offset = {self.offset}; give 0 or more")


def moment(time: Any) -> int:
    """Return a time as nanoseconds since 1970; a time without zone is UTC."""
    stamp = pd.Timestamp(time)
    return int((stamp.tz_localize("UTC") if stamp.tz is None else stamp).as_unit("ns").value)


def _several(value: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    return (value,) if isinstance(value, str) else value


def conditions(query: EventQuery, c: Any) -> list[sa.ColumnElement[bool]]:
    """Return the SQL conditions of a query on the columns ``c`` of the events."""
    found: list[sa.ColumnElement[bool]] = []
    if query.starttime is not None:
        found.append(c.time_ns >= moment(query.starttime))
    if query.endtime is not None:
        found.append(c.time_ns <= moment(query.endtime))
    if query.updatedafter is not None:
        found.append(c.updated_ns > moment(query.updatedafter))
    for name in _RANGES:
        low, high = getattr(query, f"min_{name}"), getattr(query, f"max_{name}")
        found += [c[name] >= low] if low is not None else []
        found += [c[name] <= high] if high is not None else []
    found += _longitudes(query, c.longitude)
    found += _radius(query, c)
    if query.magnitude_type is not None:
        found.append(c.magnitude_type == query.magnitude_type)
    for column, value in ((c.event_type, query.event_type), (c.event_id, query.eventid)):
        words = _several(value)
        found += [column.in_(words)] if words is not None else []
    statuses = _several(query.status)
    found.append(c.evaluation_status.in_(_SHOWN if statuses is None else statuses))
    return found


def _longitudes(query: EventQuery, column: Any) -> list[sa.ColumnElement[bool]]:
    """Return the condition of a box; stored longitudes may count in any turn."""
    if query.min_longitude is None and query.max_longitude is None:
        return []
    low = -180.0 if query.min_longitude is None else float(query.min_longitude)
    east = 180.0 if low <= 180.0 else 360.0
    high = east if query.max_longitude is None else float(query.max_longitude)
    while high < low:
        high += 360.0
    if high - low >= 360.0:
        return []
    return [_between(column, low, high)]


def _between(column: Any, low: float, high: float) -> sa.ColumnElement[bool]:
    """Return that a longitude lies in a range, whatever turn either counts in."""
    turns = (-720.0, -360.0, 0.0, 360.0)
    return sa.or_(*(column.between(low + turn, high + turn) for turn in turns))


def _radius(query: EventQuery, c: Any) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of a circle: the box around it for the index, then the chord.

    The chord between unit vectors, 2 sin(distance / 2), grows with the distance, is exact near 0
    and 180 degrees, and knows neither poles nor the date line.
    """
    if query.minradius is None and query.maxradius is None:
        return []
    assert query.latitude is not None
    assert query.longitude is not None
    vector = unit_vectors([query.longitude], [query.latitude])
    chord: Any = sum(
        (c[name] - vector[name][0]) * (c[name] - vector[name][0]) for name in UNIT_COLUMNS
    )
    found = []
    if query.maxradius is not None:
        found += [
            c.latitude >= query.latitude - query.maxradius - _RIM_DEG,
            c.latitude <= query.latitude + query.maxradius + _RIM_DEG,
            chord <= _chord_squared(min(query.maxradius + _RIM_DEG, 180.0)),
        ]
        if abs(query.latitude) + query.maxradius < 89.0:  # the circle holds no pole
            reach = math.sin(math.radians(query.maxradius)) / math.cos(math.radians(query.latitude))
            half = math.degrees(math.asin(reach)) + 1e-6
            found.append(_between(c.longitude, query.longitude - half, query.longitude + half))
    if query.minradius:
        found.append(chord >= _chord_squared(query.minradius - _RIM_DEG))
    return found


def _chord_squared(distance_deg: float) -> float:
    chord = 2.0 * math.sin(math.radians(max(distance_deg, 0.0)) / 2.0)
    # At 180 degrees rounding of the stored vectors exceeds what the sine has left.
    return chord * chord * (1.0 + 1e-15) if distance_deg < 179.9 else chord * chord + 1e-9


def order(query: EventQuery, c: Any) -> list[Any]:
    """Return the columns to order by; equal times and magnitudes follow the event id."""
    if query.orderby == "time":
        return [c.time_ns.desc(), c.event_id.desc()]
    if query.orderby == "time-asc":
        return [c.time_ns, c.event_id]
    if query.orderby == "magnitude":
        return [c.magnitude.desc().nulls_last(), c.time_ns.desc(), c.event_id.desc()]
    return [c.magnitude.nulls_last(), c.time_ns, c.event_id]
