"""Which events a request asks for, worked out on columns in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.service.snapshot import Snapshot

ORDERS = ("time", "time-asc", "magnitude", "magnitude-asc")


@dataclass(frozen=True)
class Selection:
    """Limits are inclusive; None = no limit. Longitudes west above east cross the date line.

    ``radius_deg`` are degrees of a great circle around ``centre`` (longitude, latitude). An event
    without depth or magnitude fails every limit on it. Without ``statuses`` rejected events (by an
    operator, or cancelled) are left out.
    """

    start_ns: int | None = None
    end_ns: int | None = None
    latitude: tuple[float | None, float | None] = (None, None)
    longitude: tuple[float | None, float | None] = (None, None)
    depth_km: tuple[float | None, float | None] = (None, None)
    magnitude: tuple[float | None, float | None] = (None, None)
    centre: tuple[float, float] | None = None
    radius_deg: tuple[float, float] = (0.0, 180.0)
    magnitude_type: str | None = None
    event_types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    updated_after_ns: int | None = None
    event_ids: tuple[str, ...] = ()
    order: str = "time"

    def rows(self, events: Snapshot) -> NDArray[np.intp]:
        """Return the rows of the events that fit, in the order asked for."""
        if self.event_ids:
            known = {row for name in self.event_ids if (row := events.row(name)) is not None}
            candidates = np.array(sorted(known), np.intp)
            return self._ordered(events, candidates[self._fits(events, candidates)])
        low, high = 0, len(events)
        if self.start_ns is not None:
            low = int(np.searchsorted(events.time_ns, self.start_ns))
        if self.end_ns is not None:
            high = int(np.searchsorted(events.time_ns, self.end_ns, side="right"))
        part = slice(low, max(low, high))
        return self._ordered(events, low + np.flatnonzero(self._fits(events, part)))

    def _fits(self, events: Snapshot, part: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        good = (
            events.equal("evaluation_status", self.statuses)[part]
            if self.statuses
            else ~events.withdrawn[part]
        )
        if self.event_ids:
            good = good & _within(events.time_ns[part], (self.start_ns, self.end_ns))
        good = good & _within(events.latitude[part], self.latitude)
        good = good & around(events.longitude[part], self.longitude)
        good = good & _within(events.depth_km[part], self.depth_km)
        good = good & _within(events.magnitude[part], self.magnitude)
        if self.centre is not None:
            distance = angle(self.centre, events.longitude[part], events.latitude[part])
            good = good & _within(distance, self.radius_deg)
        if self.magnitude_type is not None:
            good = good & events.equal("magnitude_type", (self.magnitude_type,))[part]
        if self.event_types:
            good = good & events.equal("event_type", self.event_types)[part]
        if self.updated_after_ns is not None:
            good = good & (events.updated_ns[part] > self.updated_after_ns)
        return good

    def _ordered(self, events: Snapshot, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        if self.order == "time-asc":
            return rows
        if self.order == "time":
            return rows[::-1]
        size = events.magnitude[rows]
        if self.order == "magnitude-asc":
            return rows[np.argsort(size, kind="stable")]  # NaN comes last
        return rows[np.argsort(-size, kind="stable")]


def _within(
    values: NDArray[Any], limits: tuple[float | None, float | None]
) -> NDArray[np.bool_] | bool:
    low, high = limits
    if low is None and high is None:
        return True
    good = np.ones(len(values), bool)
    if low is not None:
        good &= values >= low
    if high is not None:
        good &= values <= high
    return good


def around(
    longitude: NDArray[np.float64], limits: tuple[float | None, float | None]
) -> NDArray[np.bool_] | bool:
    low, high = limits
    if low is not None and high is not None and low > high:
        return (longitude >= low) | (longitude <= high)
    return _within(longitude, limits)


def angle(
    centre: tuple[float, float], longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return degrees of the great circle by the haversine, exact for small angles too."""
    lon, lat = np.radians(longitude - centre[0]), np.radians(latitude)
    lat0 = np.radians(centre[1])
    half = np.sin((lat - lat0) / 2) ** 2 + np.cos(lat) * np.cos(lat0) * np.sin(lon / 2) ** 2
    return np.asarray(2.0 * np.degrees(np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))))
