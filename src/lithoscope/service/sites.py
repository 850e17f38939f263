"""Stations and their state."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.schema import STATIONS
from lithoscope.service.recordings import Recordings
from lithoscope.service.source import Source
from lithoscope.service.times import iso, now_ns
from lithoscope.service.view import StoreView

#: A break shorter than this many samples is the rounding of start times, no gap.
_GAP_SAMPLES = 1.5
_FRESH_S = 1.0


class Sites:
    """Positions, channels and states of the stations."""

    def __init__(self, source: Source, view: StoreView, recordings: Recordings) -> None:
        self._source, self._view, self._recordings = source, view, recordings
        self._from_archive: tuple[int, dict[str, dict[str, Any]]] = (0, {})
        self._kept: tuple[float, bool, list[dict[str, Any]]] = (-_FRESH_S, False, [])

    def table(self) -> pd.DataFrame:
        """Return STATIONS: of the station files, and of the store for what they do not name."""
        stored = self._view.table("stations")
        inventory = self._recordings.inventory
        if inventory is None:
            return stored
        own = inventory.stations
        more = stored[~stored["station"].isin(set(own["station"]))]
        table = pd.concat([own, more], ignore_index=True) if len(more) else own
        return STATIONS.check(table)

    def states(self) -> list[dict[str, Any]]:
        """Return one row a station code, in order of code: the latest position, and its state.

        What was found less than a second ago is good enough, however many ask.
        """
        rows = self.fresh_states()
        if rows is None:
            now_s, ready = time.monotonic(), self._recordings.ready
            rows = self._states()
            self._kept = (now_s, ready, rows)
        return rows

    def fresh_states(self) -> list[dict[str, Any]] | None:
        """Return what `states` found less than a second ago, None if that is too long ago."""
        made_s, ready, rows = self._kept
        if ready == self._recordings.ready and time.monotonic() - made_s < _FRESH_S:
            return rows
        return None

    def _states(self) -> list[dict[str, Any]]:
        table = self.table().sort_values(["station", "starttime"])
        table = table.drop_duplicates("station", keep="last")
        live, archive = self._view.state("stations"), self._archive_states()
        rows = []
        for site in table.to_dict("records"):
            code = site["station"]
            state = self._live(live[code]) if code in live else archive.get(code, _UNKNOWN)
            rows.append(
                {
                    "station": code,
                    "longitude": _known(site["longitude"]),
                    "latitude": _known(site["latitude"]),
                    "elevation_m": _known(site["elevation_m"]),
                    **state,
                }
            )
        return rows

    def _live(self, report: dict[str, Any]) -> dict[str, Any]:
        last_ns = report.get("last_data_ns")
        settings = self._source.settings
        state, latency_s = "unknown", None
        if last_ns is not None:
            latency_s = max(0.0, (now_ns() - int(last_ns)) / NS_PER_S)
            late = latency_s > settings.late_s
            state = "silent" if latency_s > settings.silent_s else "late" if late else "ok"
        return {
            "state": state,
            "latency_s": _known(latency_s),
            "n_gaps": report.get("n_gaps"),
            "noise_level": _known(report.get("noise")),
            "noise_unit": str(report.get("noise_unit", "")),
            "last_data": None if last_ns is None else iso(int(last_ns)),
        }

    def _archive_states(self) -> dict[str, dict[str, Any]]:
        segments = self._recordings.segments()
        if segments is None:
            return {}
        if self._from_archive[0] != id(segments):
            states = {
                str(station): {
                    "state": "archive",
                    "latency_s": None,
                    "n_gaps": availability(part)["n_gaps"],
                    "noise_level": None,
                    "noise_unit": "",
                    "last_data": iso(int(part["endtime_ns"].max())),
                }
                for station, part in segments.groupby("station")
            }
            self._from_archive = (id(segments), states)
        return self._from_archive[1]

    def channels(self, station: str) -> list[dict[str, Any]]:
        """Return the channels of a station: those of the station files and of the recordings."""
        rows: dict[str, dict[str, Any]] = {}
        segments = self._recordings.segments(station)
        rates: dict[str, float] = {}
        if segments is not None:
            last = segments.drop_duplicates("channel", keep="last")
            rates = dict(zip(last["channel"], last["sampling_rate_hz"], strict=True))
        for name in rates:
            rows[name] = {"azimuth_deg": None, "dip_deg": None, "gain": None, "unit": ""}
        inventory = self._recordings.inventory
        if inventory is not None:
            table = inventory.channels
            for row in table[table["station"] == station].to_dict("records"):
                rows[row["channel"]] = {
                    "azimuth_deg": _known(row["azimuth_deg"]),
                    "dip_deg": _known(row["dip_deg"]),
                    "gain": _known(row["gain"]),
                    "unit": row["unit"],
                }
        return [
            {"channel": name, **rows[name], "sampling_rate_hz": _known(rates.get(name))}
            for name in sorted(rows)
        ]


_UNKNOWN: dict[str, Any] = {
    "state": "unknown",
    "latency_s": None,
    "n_gaps": None,
    "noise_level": None,
    "noise_unit": "",
    "last_data": None,
}


def _known(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def availability(segments: pd.DataFrame) -> dict[str, Any]:
    """Return when a station recorded on any channel: spans (ns), gaps and percent of its time."""
    if segments.empty:
        return {"start_ns": None, "end_ns": None, "percent": None, "n_gaps": 0, "spans": []}
    rows = segments.sort_values("starttime_ns")
    starts = rows["starttime_ns"].to_numpy(np.int64)
    step = np.rint(NS_PER_S / rows["sampling_rate_hz"].to_numpy(float)).astype(np.int64)
    ends = rows["endtime_ns"].to_numpy(np.int64) + step
    spans: list[list[int]] = []
    for start, end, gap in zip(starts.tolist(), ends.tolist(), step.tolist(), strict=True):
        if spans and start - spans[-1][1] <= (_GAP_SAMPLES - 1.0) * gap:
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([start, end])
    total = spans[-1][1] - spans[0][0]
    return {
        "start_ns": spans[0][0],
        "end_ns": spans[-1][1],
        "percent": 100.0 * sum(b - a for a, b in spans) / total if total else 100.0,
        "n_gaps": len(spans) - 1,
        "spans": spans,
    }
