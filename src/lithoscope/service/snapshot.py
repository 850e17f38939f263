"""The events in memory: columns to select by, and each event's text made once."""

from __future__ import annotations

import json
import math
from collections import namedtuple
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.schema import EVENTS
from lithoscope.service.times import iso

COMPACT = (
    "event_id",
    "time_ms",
    "longitude",
    "latitude",
    "depth_km",
    "magnitude",
    "magnitude_type",
    "event_type",
    "evaluation_status",
    "evaluation_mode",
    "version",
)

_STATE = ("version", "updated", "evaluation_mode", "evaluation_status")
_Row = namedtuple("_Row", [*EVENTS.names, *_STATE])  # type: ignore[misc]
_TEXT_COLUMNS = (
    "event_id",
    "time",
    "latitude",
    "longitude",
    "depth_km",
    "magnitude_type",
    "magnitude",
    "event_type",
)


class Snapshot:
    """All events of a store at one moment, in order of time.

    Parameters
    ----------
    frame
        EVENTS with ``version``, ``updated`` (time), ``evaluation_mode``, ``evaluation_status``.
    sequence
        The store's count of changes that this is the state after.
    before
        An earlier snapshot, whose texts are kept for the events that have not changed.
    """

    def __init__(self, frame: pd.DataFrame, sequence: int, before: Snapshot | None = None) -> None:
        frame = frame[list(_Row._fields)]
        frame = frame[frame["time"].notna() & (frame["event_id"] != "")]
        self.frame = frame.sort_values(["time", "event_id"], kind="stable", ignore_index=True)
        self.sequence = sequence
        self.event_ids: list[str] = self.frame["event_id"].tolist()
        self.position = {name: row for row, name in enumerate(self.event_ids)}
        self.time_ns = self.frame["time"].astype("int64").to_numpy()
        self.updated_ns = self.frame["updated"].astype("int64").to_numpy()
        longitude = self._numbers("longitude")
        outside = np.abs(longitude) > 180.0
        self.longitude = np.where(outside, (longitude + 180.0) % 360.0 - 180.0, longitude)
        self.latitude, self.depth_km = self._numbers("latitude"), self._numbers("depth_km")
        self.magnitude = self._numbers("magnitude")
        self.versions = self.frame["version"].to_numpy(np.int64)
        self._magnitude_types = _Codes(self.frame["magnitude_type"].str.lower())
        self._event_types = _Codes(self.frame["event_type"].str.lower())
        self._statuses = _Codes(self.frame["evaluation_status"].str.lower())
        self.withdrawn = self._statuses.equal(("rejected",))
        modes = _Codes(self.frame["evaluation_mode"])
        # Events nobody has judged: all that QuakeML says of them is in the columns.
        self.plain = modes.equal(("automatic",)) & self._statuses.equal(("preliminary",))
        self._fragments = self._kept(before)

    def __len__(self) -> int:
        return len(self.event_ids)

    def _numbers(self, name: str) -> NDArray[np.float64]:
        return self.frame[name].to_numpy(np.float64)

    def _kept(self, before: Snapshot | None) -> list[str]:
        """Return the compact JSON of every event."""
        known: dict[str, str] = {}
        if before is not None:
            known = dict(zip(before.keys(), before._fragments, strict=True))
        keys = self.keys()
        new = np.array([row for row, key in enumerate(keys) if key not in known], np.intp)
        made = dict(zip(new.tolist(), _compact(self, new), strict=True))
        return [made[row] if row in made else known[key] for row, key in enumerate(keys)]

    def keys(self) -> list[str]:
        """Return what tells one solution from every other."""
        pairs = zip(self.event_ids, self.versions.tolist(), self.updated_ns.tolist(), strict=True)
        return [f"{name} {version} {updated}" for name, version, updated in pairs]

    def is_magnitude_type(self, name: str) -> NDArray[np.bool_]:
        return self._magnitude_types.equal((name,))

    def is_event_type(self, names: Sequence[str]) -> NDArray[np.bool_]:
        return self._event_types.equal(tuple(names))

    def is_status(self, names: Sequence[str]) -> NDArray[np.bool_]:
        return self._statuses.equal(tuple(names))

    def compact(self, rows: NDArray[np.intp]) -> str:
        """Return the rows as the inner part of a JSON array of arrays."""
        fragments = self._fragments
        return ",".join([fragments[row] for row in rows.tolist()])

    @cached_property
    def _columns(self) -> dict[str, NDArray[Any]]:
        """The table as plain arrays: a few rows of a pandas table cost as much as thousands."""
        out = {}
        for name, values in self.frame.items():
            if isinstance(values.dtype, pd.DatetimeTZDtype):
                out[str(name)] = values.astype("int64").to_numpy()
            elif values.dtype.kind in "fiub":
                out[str(name)] = values.to_numpy()
            else:
                out[str(name)] = values.to_numpy(object)
        return out

    def records(self, rows: NDArray[np.intp]) -> list[Any]:
        """Return the rows as named tuples of all columns."""
        columns = []
        for name, values in self._columns.items():
            part = values[rows].tolist()
            if name in ("time", "updated"):
                part = pd.DatetimeIndex(part, tz="UTC").tolist()
            columns.append(part)
        return [_Row(*row) for row in zip(*columns, strict=True)] if columns else []

    def lines(self, rows: NDArray[np.intp], catalog: str, contributor: str) -> list[str]:
        """Return the rows as lines of the FDSN event text format (1.2, with the event type)."""
        c = self._columns
        return [
            _text_line(event, catalog, contributor)
            for event in zip(*(c[name][rows].tolist() for name in _TEXT_COLUMNS), strict=True)
        ]

    @cached_property
    def overview(self) -> dict[str, Any]:
        """Number, times, magnitudes and limits of the events that are not withdrawn."""
        shown = ~self.withdrawn
        times, size = self.time_ns[shown], self.magnitude[shown]
        size = size[np.isfinite(size)]
        placed = shown & np.isfinite(self.longitude) & np.isfinite(self.latitude)
        longitude, latitude = self.longitude[placed], self.latitude[placed]
        limits = None
        if len(longitude):
            limits = (longitude.min(), latitude.min(), longitude.max(), latitude.max())
        return {
            "n_events": int(shown.sum()),
            "starttime": iso(int(times[0])) if len(times) else None,
            "endtime": iso(int(times[-1])) if len(times) else None,
            "min_magnitude": float(size.min()) if len(size) else None,
            "max_magnitude": float(size.max()) if len(size) else None,
            "limits": limits,
        }


class _Codes:
    """Texts of few kinds as small integers, so that a comparison costs little."""

    def __init__(self, values: pd.Series) -> None:
        codes, names = pd.factorize(values)
        self._codes = codes.astype(np.int32)
        self._names = {str(name): code for code, name in enumerate(names)}
        self.equal = lru_cache(maxsize=64)(self._equal)

    def _equal(self, names: tuple[str, ...]) -> NDArray[np.bool_]:
        wanted = [self._names[n.lower()] for n in names if n.lower() in self._names]
        return np.isin(self._codes, wanted)


def _compact(events: Snapshot, rows: NDArray[np.intp]) -> list[str]:
    part = events.frame.iloc[rows]
    texts = [
        [json.dumps(text) for text in part[name].tolist()]
        for name in (
            "event_id",
            "magnitude_type",
            "event_type",
            "evaluation_status",
            "evaluation_mode",
        )
    ]
    numbers = [
        _rounded(values[rows], digits)
        for values, digits in (
            (events.longitude, 5),
            (events.latitude, 5),
            (events.depth_km, 3),
            (events.magnitude, 2),
        )
    ]
    times = (events.time_ns[rows] // 1_000_000).tolist()
    versions = events.versions[rows].tolist()
    return [
        f"[{name},{t},{lon},{lat},{depth},{size},{kind},{sort},{status},{mode},{version}]"
        for name, t, lon, lat, depth, size, kind, sort, status, mode, version in zip(
            texts[0], times, *numbers, *texts[1:], versions, strict=True
        )
    ]


def _rounded(values: NDArray[np.float64], digits: int) -> list[str]:
    return ["null" if not math.isfinite(v) else repr(v) for v in np.round(values, digits).tolist()]


def _text_line(event: tuple[Any, ...], catalog: str, contributor: str) -> str:
    name, time_ns, latitude, longitude, depth, magnitude_type, magnitude, event_type = event
    known = math.isfinite(magnitude)
    fields = (
        _plain(name),
        iso(time_ns)[:-1],
        _number(latitude, 6),
        _number(longitude, 6),
        _number(depth, 3),
        _plain(contributor),
        _plain(catalog),
        _plain(contributor),
        _plain(name),
        _plain(magnitude_type) if known else "",
        _number(magnitude, 2),
        _plain(contributor) if known else "",
        "",
        _plain(event_type),
    )
    return "|".join(fields) + "\n"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if math.isfinite(value) else ""


def _plain(text: str) -> str:
    """Return text that cannot end a field or a line."""
    if text.isprintable() and "|" not in text:
        return text
    return "".join(c if c.isprintable() and c != "|" else "_" for c in text)
