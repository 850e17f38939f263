"""Every solution that the server has seen, in columns."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.catalog.plain import ShownEvent

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
_CODED = ("magnitude_type", "event_type", "evaluation_status", "evaluation_mode")
_NAT = np.iinfo(np.int64).min
_GENERATIONS = itertools.count()


class Solutions:
    """Solutions of events in slots; a slot is filled once and never changes.

    So a slot stands for one version of one event, and what is made from it (a line, a text) holds
    for ever. Snapshots name the slots that are current. One thread adds, others read slots that
    were filled before.

    Parameters
    ----------
    columns
        As `Store.event_columns` gives them. Events without time or id are left out.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self.generation = next(_GENERATIONS)
        self.size = 0
        self.compact: list[str] = []
        self.lines: list[str | None] = []
        self._columns: dict[str, NDArray[Any]] = {}
        self._codes: dict[str, dict[str, int]] = {name: {} for name in _CODED}
        self.add(columns)

    def add(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.intp]:
        """Append solutions; return their slots."""
        good = (columns["time_ns"] != _NAT) & (columns["event_id"] != "")
        part = {name: columns[name][good] for name in ShownEvent._fields}
        longitude = part["longitude"]
        outside = np.abs(longitude) > 180.0
        part["turned_longitude"] = np.where(outside, (longitude + 180.0) % 360.0 - 180.0, longitude)
        part |= {f"{name} code": self._coded(name, part[name]) for name in _CODED}
        first, self_size = self.size, self.size + int(good.sum())
        for name, values in part.items():
            self._columns[name] = _appended(self._columns.get(name), first, values)
        self.compact += _compact(part)
        self.lines += [None] * (self_size - first)
        self.size = self_size
        return np.arange(first, self_size)

    def _coded(self, name: str, values: NDArray[Any]) -> NDArray[np.int16]:
        known = self._codes[name]
        codes = [known.setdefault(text.lower(), len(known)) for text in values.tolist()]
        return np.array(codes, np.int16)

    def codes(self, name: str, texts: tuple[str, ...]) -> list[int]:
        """Return the numbers that texts have in the column ``name + " code"``."""
        known = self._codes[name]
        return [known[text.lower()] for text in texts if text.lower() in known]

    def column(self, name: str, slots: NDArray[np.intp]) -> NDArray[Any]:
        """Return values of a column."""
        return self._columns[name][slots]

    def rows(self, slots: NDArray[np.intp]) -> list[Any]:
        """Return slots as plain rows (`ShownEvent`)."""
        columns = [self._columns[name][slots].tolist() for name in ShownEvent._fields]
        return [ShownEvent(*row) for row in zip(*columns, strict=True)]

    def only(self, slots: NDArray[np.intp]) -> Solutions:
        """Return the same without the slots that are not named."""
        return Solutions({name: self._columns[name][slots] for name in ShownEvent._fields})


def _appended(old: NDArray[Any] | None, size: int, values: NDArray[Any]) -> NDArray[Any]:
    """Return an array with room whose first ``size`` values are followed by more."""
    if old is None:
        return values.copy()
    need = size + len(values)
    if need > len(old):
        # Readers keep the array they hold; its slots stay as they are.
        grown = np.empty(max(need, len(old) + len(old) // 8 + 256), old.dtype)
        grown[:size] = old[:size]
        old = grown
    old[size:need] = values
    return old


def _compact(part: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return each solution as a JSON array of the columns `COMPACT`."""
    texts = [[json.dumps(text) for text in part[n].tolist()] for n in ("event_id", *_CODED)]
    numbers = [
        _rounded(part[name], digits)
        for name, digits in (
            ("turned_longitude", 5),
            ("latitude", 5),
            ("depth_km", 3),
            ("magnitude", 2),
        )
    ]
    times = (part["time_ns"] // 1_000_000).tolist()
    versions = part["version"].tolist()
    return [
        f"[{name},{t},{lon},{lat},{depth},{size},{kind},{sort},{status},{mode},{version}]"
        for name, t, lon, lat, depth, size, kind, sort, status, mode, version in zip(
            texts[0], times, *numbers, *texts[1:], versions, strict=True
        )
    ]


def _rounded(values: NDArray[np.float64], digits: int) -> list[str]:
    return ["null" if not math.isfinite(v) else repr(v) for v in np.round(values, digits).tolist()]
