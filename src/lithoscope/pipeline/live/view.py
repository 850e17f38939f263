"""Picks of a moment: arrays to associate, and whole rows of those that make up events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.association import PickArrays
from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.glimpse import Row, rows_of
from lithoscope.schema import PICKS

_COLUMNS = [
    PICKS.names.index(name)
    for name in ("pick_id", "station", "phase", "time", "time_sigma_s", "probability")
]
_ID, _STATION, _PHASE, _TIME = _COLUMNS[:4]
_HOUR_NS = 3600 * NS_PER_S
_FOREVER_NS = 1 << 62


def arrays_of(rows: Sequence[Row]) -> PickArrays:
    """Return rows as arrays."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(PICKS.names)
    kinds = (object, object, object, np.int64, np.float64, np.float64)
    some = (np.array(columns[k], dtype=kind) for k, kind in zip(_COLUMNS, kinds, strict=True))
    return PickArrays(*some)


@dataclass(frozen=True)
class Old:
    """Picks by time, and which of them are the first of their hour, station and phase."""

    arrays: PickArrays
    firsts: NDArray[np.int64]

    @classmethod
    def of(cls, picks: pd.DataFrame) -> Old:
        """Return the PICKS, by time, of one station."""
        arrays = PickArrays.of_table(picks)
        is_p = arrays.phase == "P"
        # The same few texts for all: there are many picks, for days.
        arrays = replace(
            arrays,
            station=np.full(len(arrays), picks["station"].iloc[0] if len(picks) else "", object),
            phase=np.where(is_p, "P", "S").astype(object),
        )
        hours = 2 * (arrays.time_ns // _HOUR_NS) + is_p
        return cls(arrays, np.unique(hours, return_index=True)[1])

    @classmethod
    def joined(cls, parts: Sequence[Old]) -> Old:
        """Return the picks of several stations."""
        whole = PickArrays.joined([arrays_of([]), *(part.arrays for part in parts)])
        order = np.argsort(whole.time_ns, kind="stable")
        place = np.empty(order.size, np.int64)
        place[order] = np.arange(order.size)
        starts = np.cumsum([0, *(len(part.arrays) for part in parts)])[:-1]
        firsts = [part.firsts + start for part, start in zip(parts, starts, strict=True)]
        return cls(whole.take(order), np.sort(place[np.concatenate([[], *firsts]).astype(int)]))


class View:
    """Picks as they are at one moment, whatever becomes of them later.

    Parameters
    ----------
    old
        Those that change seldom.
    tables
        The same by station, as PICKS in order of time.
    young
        The others.
    """

    def __init__(self, old: Old, tables: Mapping[str, pd.DataFrame], young: Iterable[Row]) -> None:
        self.old = old
        self._tables = dict(tables)
        self._young = list(young)

    def between(self, near_s: tuple[float, float], far_s: tuple[float, float]) -> PickArrays:
        """Return the picks of a span, and of a longer one the first of each hour at least.

        Of station and phase, that is. Both spans in s since 1970.
        """
        low, high = _ns(near_s[0]), _ns(near_s[1])
        far_low, far_high = _ns(far_s[0]), _ns(far_s[1])
        times = self.old.arrays.time_ns
        a, b = np.searchsorted(times, [low, high + 1])
        firsts = self.old.firsts
        beyond = (firsts < a) | (firsts >= b)
        beyond &= (times[firsts] >= far_low) & (times[firsts] <= far_high)
        rows, hours = [], set()
        for row in self._young:
            time = row[_TIME]
            if low <= time <= high:
                rows.append(row)
            elif far_low <= time <= far_high:
                hour = row[_STATION], row[_PHASE], time // _HOUR_NS
                if hour not in hours:
                    hours.add(hour)
                    rows.append(row)
        old = self.old.arrays
        return PickArrays.joined([old.take(firsts[beyond]), old.take(slice(a, b)), arrays_of(rows)])

    @cached_property
    def _by_id(self) -> dict[str, Row]:
        return {row[_ID]: row for row in self._young}

    def rows(self, ids: Iterable[str]) -> dict[str, Row]:
        """Return the picks of some ids that there are, whole."""
        wanted = set(ids)
        found = {name: self._by_id[name] for name in wanted & self._by_id.keys()}
        stations: dict[str, list[str]] = {}
        for name in wanted - found.keys():
            stations.setdefault(name.rsplit("/", 2)[0], []).append(name)
        for station, names in stations.items():
            table = self._tables.get(station)
            if table is None:
                continue
            times = table["time"].to_numpy("datetime64[ns]").view(np.int64)
            moments = np.array([int(name.rsplit("/", 1)[1]) for name in names])
            near = np.unique([np.searchsorted(times, moments + k) for k in (0, 1)])
            some = range(int(near[0]), int(near[-1]))
            for row in rows_of(table.iloc[some.start : some.stop]):
                if row[_ID] in wanted:
                    found[row[_ID]] = row
        return found


def _ns(seconds: float) -> int:
    limit = _FOREVER_NS / NS_PER_S
    return round(min(max(seconds, -limit), limit) * NS_PER_S)
