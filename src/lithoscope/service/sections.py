"""Record sections of single events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.catalog.quakeml_text import finite
from lithoscope.catalog.tables import rows_of
from lithoscope.constants import NS_PER_S
from lithoscope.errors import LithoscopeError
from lithoscope.geo import distance_azimuth
from lithoscope.report.traces import SETTLE_S, Window, envelope
from lithoscope.service.elsewhere import Desk
from lithoscope.service.events import solution_of
from lithoscope.service.features import json_value
from lithoscope.service.times import iso
from lithoscope.service.traces import shortened
from lithoscope.traveltimes import travel_time


def section(
    state: Desk, event_id: str, n_stations: int, columns: int, component: str
) -> dict[str, Any]:
    """Return traces around the arrivals of an event, band-passed as in the report.

    Stations with arrivals come first, then the nearest others, ``n_stations`` in all.
    """
    solution = solution_of(state, event_id)
    event, origin_ns = solution.event, solution.event.time_ns
    arrivals: dict[str, list[Any]] = {}
    for arrival in solution.arrivals or ():
        arrivals.setdefault(arrival.station, []).append(arrival)
    sites = _sites(state, event, arrivals, n_stations)
    predicted = _predicted(state, event, sites)
    start_s, end_s = _window(state, origin_ns, solution.arrivals or [], predicted)
    window = Window(
        origin_ns + round(start_s * NS_PER_S), origin_ns + round(end_s * NS_PER_S), columns
    )
    settings = state.source.run_settings.report
    band = (settings.filter_low_hz, settings.filter_high_hz)
    reason = "" if state.recordings.archive is not None else state.recordings.reason
    sigma = {pick.pick_id: pick.time_sigma_s for pick in solution.picks}
    traces = []
    for number, site in enumerate(rows_of(sites)) if not reason else ():
        traces.append(
            {
                "station": site.station,
                **_trace(state, site, window, component, band),
                "distance_km": json_value(site.distance_km),
                "azimuth_deg": json_value(site.azimuth_deg),
                "starttime": iso(window.start_ns),
                "step_s": (end_s - start_s) / columns,
                "picks": _picks(arrivals.get(site.station, []), sigma),
                **{
                    f"predicted_{phase.lower()}": _moment(origin_ns, times[number])
                    for phase, times in predicted.items()
                },
            }
        )
    return {
        "event_id": event_id,
        "origin_time": iso(origin_ns),
        "starttime": iso(window.start_ns),
        "endtime": iso(window.end_ns),
        "unit": "counts",
        "band_hz": list(band),
        "traces": traces,
        "reason": reason,
    }


def _sites(state: Desk, event: Any, arrivals: dict[str, Any], n_stations: int) -> pd.DataFrame:
    table = state.sites.table().drop_duplicates("station", keep="last")
    table = table[np.isfinite(table["longitude"]) & np.isfinite(table["latitude"])]
    distance, azimuth = distance_azimuth(
        event.longitude, event.latitude, table["longitude"], table["latitude"]
    )
    table = table.assign(distance_km=distance, azimuth_deg=azimuth)
    table = table.assign(without=~table["station"].isin(set(arrivals)))
    table = table.sort_values(["without", "distance_km", "station"]).head(n_stations)
    return table.sort_values(["distance_km", "station"], ignore_index=True)


def _predicted(state: Desk, event: Any, sites: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return times after the origin with station terms, s; NaN where the model has none."""
    out = {phase: np.full(len(sites), np.nan) for phase in ("P", "S")}
    model = state.source.model
    if model is None or sites.empty or not finite(event.depth_km):
        return out
    for phase in out:
        try:
            out[phase] = np.asarray(
                travel_time(
                    model,
                    phase,
                    sites["distance_km"].to_numpy(float),
                    event.depth_km,
                    -np.nan_to_num(sites["elevation_m"].to_numpy(float)) / 1000.0,
                )
            )
        except LithoscopeError:  # an event outside the model has no predictions
            break
        terms = [state.source.terms.get((code, phase), 0.0) for code in sites["station"]]
        out[phase] = out[phase] + np.array(terms)
    return out


def _window(
    state: Desk,
    origin_ns: int,
    arrivals: list[Any],
    predicted: dict[str, NDArray[np.float64]],
) -> tuple[float, float]:
    """Return start and end, s after the origin: all arrivals and some time around them."""
    after = np.array([a.time_ns - origin_ns for a in arrivals], float) / NS_PER_S
    times = np.concatenate([after, predicted["P"], predicted["S"]])
    times = times[np.isfinite(times)]
    first, last = (float(times.min()), float(times.max())) if len(times) else (0.0, 20.0)
    length = max(last - first, 2.0)
    start = min(first, max(0.0, first - length)) - max(2.0, 0.12 * length)
    longest = state.source.run_settings.report.record_section_max_s
    return start, min(last + max(3.0, 0.3 * length), start + longest)


def _trace(
    state: Desk, site: Any, window: Window, component: str, band: tuple[float, float]
) -> dict[str, Any]:
    start_ns = window.start_ns - round(SETTLE_S * NS_PER_S)
    try:
        records = state.recordings.read(
            site.station, start_ns, window.end_ns, vertical=component == "z"
        )
    except LithoscopeError:  # named among the problems of the run
        records = []
    low, high = envelope(records, window, component, site.azimuth_deg, band)
    rows = (0,) if component == "z" else (1, 2)
    names = sorted({r.channels[i] for r in records for i in rows if r.mask[i]})
    return {"channel": ", ".join(names), "minimum": shortened(low), "maximum": shortened(high)}


def _picks(arrivals: list[Any], sigma: dict[str, float | None]) -> list[dict[str, Any]]:
    return [
        {
            "pick_id": row.pick_id,
            "phase": row.phase,
            "time": iso(row.time_ns),
            "time_sigma_s": json_value(sigma.get(row.pick_id)),
            "residual_s": json_value(row.residual_s),
            "weight": json_value(row.weight),
        }
        for row in arrivals
    ]


def _moment(origin_ns: int, after_s: float) -> str | None:
    return iso(origin_ns + round(float(after_s) * NS_PER_S)) if np.isfinite(after_s) else None
