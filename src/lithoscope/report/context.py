"""What every section of the report needs, worked out once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.catalog.compare import Comparison
from lithoscope.catalog.tables import Catalog
from lithoscope.geo import LocalProjection
from lithoscope.report.settings import ReportSettings

Reader = Callable[[str, int, int], list[Any]]  # station, start_ns, end_ns -> Records


@dataclass(frozen=True)
class Context:
    """Catalogue in order of time, and positions in a local plane (km).

    Row ``i`` of ``events`` is row ``i`` of every array about events here, and the mark
    ``data-e="i"`` on the page.
    """

    catalog: Catalog
    comparison: Comparison | None
    model: Any
    read: Reader | None
    segments: pd.DataFrame | None
    settings: ReportSettings

    @cached_property
    def events(self) -> pd.DataFrame:
        return self.catalog.events.sort_values(["time", "event_id"]).reset_index(drop=True)

    @cached_property
    def stations(self) -> pd.DataFrame:
        """One row a station code: its latest position."""
        table = self.catalog.stations.sort_values(["station", "starttime"])
        return table.drop_duplicates("station", keep="last").reset_index(drop=True)

    @cached_property
    def arrivals(self) -> pd.DataFrame:
        return self.catalog.arrivals.sort_values(["event_id", "time", "pick_id"])

    @cached_property
    def pick_sigma(self) -> dict[str, float]:
        picks = self.catalog.picks
        return dict(zip(picks["pick_id"], picks["time_sigma_s"], strict=True))

    @cached_property
    def picks_by_station(self) -> dict[str, pd.DataFrame]:
        """Picks of each station in order of time."""
        ordered = self.catalog.picks.sort_values(["time", "pick_id"])
        return {str(name): group for name, group in ordered.groupby("station")}

    @cached_property
    def projection(self) -> LocalProjection:
        """Plane around the stations, or around the events where there are none."""
        source = self.stations if len(self.stations) else self.events
        source = source[np.isfinite(source["longitude"]) & np.isfinite(source["latitude"])]
        if source.empty:
            return LocalProjection(0.0, 0.0)
        return LocalProjection.around(source["longitude"], source["latitude"])

    @cached_property
    def event_plane(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._plane(self.events)

    @cached_property
    def station_plane(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._plane(self.stations)

    def _plane(self, table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        east = np.full(len(table), np.nan)
        north = np.full(len(table), np.nan)
        lon, lat = table["longitude"].to_numpy(float), table["latitude"].to_numpy(float)
        good = np.isfinite(lon) & (np.abs(lat) <= 90)
        if good.any():
            east[good], north[good] = self.projection.forward(lon[good], lat[good])
        return east, north

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """First and last moment of data, or of picks, detections and events."""
        if self.segments is not None and len(self.segments):
            return (
                int(self.segments["starttime_ns"].min()),
                int(self.segments["endtime_ns"].max()),
            )
        moments = [self.catalog.picks["time"], self.events["time"]]
        moments += [self.catalog.detections["starttime"], self.catalog.detections["endtime"]]
        values = pd.concat(moments).dropna()
        if values.empty:
            return 0, 0
        return int(values.min().value), int(values.max().value)

    @cached_property
    def new_ids(self) -> set[str]:
        """Events that the reference should have and does not."""
        return set() if self.comparison is None else set(self.comparison.new["event_id"])

    @cached_property
    def matched_ids(self) -> set[str]:
        return set() if self.comparison is None else set(self.comparison.matched["event_id"])

    @cached_property
    def radius(self) -> NDArray[np.float64]:
        """Radius of each event's symbol, px: grows with magnitude, smaller in a crowd."""
        magnitude = self.events["magnitude"].to_numpy(float)
        shrink = 1.0 if len(magnitude) < 300 else 0.65
        known = magnitude[np.isfinite(magnitude)]
        low = float(np.quantile(known, 0.02)) if len(known) else 0.0
        size = 2.4 + 1.9 * np.clip(np.nan_to_num(magnitude, nan=low) - low, 0.0, 5.0)
        return shrink * size

    @cached_property
    def depth_class(self) -> list[str]:
        """Class d0 (shallow) to d7 (deep) of each event."""
        depth = self.events["depth_km"].to_numpy(float)
        edges = np.array(self.depth_edges[1:-1])
        return [f"d{int(np.searchsorted(edges, z, side='right'))}" for z in np.nan_to_num(depth)]

    @cached_property
    def depth_edges(self) -> list[float]:
        """Nine limits of the eight depth colours, km: equal steps over the bulk of the depths."""
        depth = self.events["depth_km"].to_numpy(float)
        depth = depth[np.isfinite(depth)]
        if len(depth) == 0:
            return [float(v) for v in range(9)]
        low, high = np.quantile(depth, [0.02, 0.98])
        low, high = np.floor(low), max(np.ceil(high), np.floor(low) + 4)
        return [float(v) for v in np.linspace(low, high, 9)]
