"""What is known about the stations, valid in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lithoscope.errors import StationError

# Channel and start of its epoch in ns since 1970 (None = always).
ResponseKey = tuple[str, int | None]

_ALWAYS = pd.Timestamp("1700-01-01", tz="UTC")


@dataclass(frozen=True)
class Inventory:
    """Positions, orientations, gains and responses of a network.

    Attributes
    ----------
    stations
        STATIONS, one row a station and epoch.
    channels
        CHANNELS, one row a channel and epoch.
    responses
        Full responses (ObsPy's), by channel and start of the epoch.
    problems
        PROBLEMS found on reading.
    """

    stations: pd.DataFrame
    channels: pd.DataFrame
    responses: Mapping[ResponseKey, Any] = field(default_factory=dict)
    problems: pd.DataFrame = field(default_factory=pd.DataFrame)

    def position(self, station: str, time_ns: int) -> tuple[float, float, float]:
        """Return longitude (deg), latitude (deg) and elevation (m) of a station at a time.

        Raises
        ------
        StationError
            If the station is unknown, or known at other times only.
        """
        rows = self.stations[self.stations["station"] == station]
        if rows.empty:
            raise StationError(f"station '{station}' has no metadata; add it to the station file")
        row = self.epoch(rows, time_ns)
        if row is None:
            when = pd.Timestamp(time_ns, tz="UTC")
            raise StationError(
                f"station '{station}' has metadata, but not for {when:%Y-%m-%d %H:%M:%S}; "
                f"valid {_span_text(rows)}"
            )
        return float(row["longitude"]), float(row["latitude"]), float(row["elevation_m"])

    def channel(self, channel: str, time_ns: int) -> pd.Series | None:
        """Return the CHANNELS row of a channel at a time, None if there is none."""
        return self.epoch(self.channels[self.channels["channel"] == channel], time_ns)

    @staticmethod
    def epoch(rows: pd.DataFrame, time_ns: int) -> pd.Series | None:
        """Return the row whose epoch holds the time (of several the latest start), or None."""
        when = pd.Timestamp(int(time_ns), tz="UTC")
        starts, ends = rows["starttime"], rows["endtime"]
        valid = rows[(starts.isna() | (starts <= when)) & (ends.isna() | (when < ends))]
        if valid.empty:
            return None
        order = valid["starttime"].fillna(_ALWAYS).argsort(kind="stable")
        return valid.iloc[int(order.iloc[-1])]


def _span_text(rows: pd.DataFrame) -> str:
    parts = []
    for start, end in zip(rows["starttime"], rows["endtime"], strict=True):
        low = "always" if pd.isna(start) else f"{start:%Y-%m-%d}"
        high = "now" if pd.isna(end) else f"{end:%Y-%m-%d}"
        parts.append(f"{low} to {high}")
    return ", ".join(dict.fromkeys(parts))


def start_key(starttime: Any) -> int | None:
    """Return the key of an epoch's start: ns since 1970, None for always."""
    return None if pd.isna(starttime) else int(pd.Timestamp(starttime).value)
