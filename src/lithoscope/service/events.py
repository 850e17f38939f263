"""What belongs to one event."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from fastapi import HTTPException

from lithoscope.catalog import Catalog
from lithoscope.geo import LocalProjection
from lithoscope.service.features import json_rows
from lithoscope.service.state import State

_VERSION = (
    "version",
    "made_at",
    "action",
    "evaluation_mode",
    "evaluation_status",
    "author",
    "time",
    "longitude",
    "latitude",
    "depth_km",
    "magnitude",
    "magnitude_type",
)
_AUDIT = ("event_id", "made_at", "user", "action", "detail")


def catalog_of(state: State, event_id: str) -> Catalog:
    """Return one event with its tables.

    Raises
    ------
    HTTPException
        404 if it was withdrawn a moment ago.
    """
    catalog = state.view.catalog([event_id])
    if catalog.events.empty:
        raise HTTPException(404, "no such event")
    return catalog


def detail(state: State, event_id: str) -> dict[str, Any]:
    """Return the event with arrivals, station magnitudes, stations, versions and audit."""
    catalog = catalog_of(state, event_id)
    evaluated = state.view.events([event_id])
    picks = catalog.picks.drop_duplicates("pick_id").set_index("pick_id")
    arrivals = catalog.arrivals
    extra = picks.reindex(arrivals["pick_id"])[["time_sigma_s", "probability", "polarity", "model"]]
    arrivals = arrivals.assign(**{name: extra[name].to_numpy() for name in extra.columns})
    named = set(arrivals["station"]) | set(catalog.station_magnitudes["station"])
    stations = catalog.stations if len(catalog.stations) else state.sites.table()
    stations = stations[stations["station"].isin(named)].drop_duplicates("station", keep="last")
    history = _versions(state, event_id)
    event = json_rows(evaluated)[0]
    event["made_at"] = event.pop("updated")
    event["author"] = history[-1]["author"] if history else ""
    return {
        "event": event,
        "arrivals": json_rows(arrivals.sort_values(["distance_km", "station", "time"])),
        "station_magnitudes": json_rows(catalog.station_magnitudes),
        "stations": json_rows(stations),
        "versions": history,
        "audit": json_rows(_columns(state.view.audit(event_id), _AUDIT)),
    }


def versions(state: State, event_id: str) -> dict[str, Any]:
    """Return the versions of an event."""
    return {"event_id": event_id, "versions": _versions(state, event_id)}


def _versions(state: State, event_id: str) -> list[dict[str, Any]]:
    return json_rows(_columns(state.view.versions(event_id), _VERSION))


def _columns(table: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    return table.reindex(columns=list(names))


def draws(state: State, event_id: str, n: int) -> dict[str, Any]:
    """Return draws from the posterior; from a normal one where the posterior is not to be had."""
    method, samples = "posterior", state.view.samples(event_id, n)
    if samples is None:
        method, samples = "gaussian", _gaussian(catalog_of(state, event_id).events.iloc[0], n)
    good = samples[np.isfinite(samples).all(axis=1)]
    return {
        "event_id": event_id,
        "method": method,
        "longitude": np.round(good[:, 0], 6).tolist(),
        "latitude": np.round(good[:, 1], 6).tolist(),
        "depth_km": np.round(good[:, 2], 4).tolist(),
        "time_offset_s": np.round(good[:, 3], 4).tolist(),
    }


def _gaussian(event: pd.Series, n: int) -> np.ndarray:
    """Return draws from the normal distribution of the event's covariance."""
    names = ("time", "east", "north", "up")
    covariance = np.zeros((4, 4))
    for i, a in enumerate(names):
        for j, b in enumerate(names[i:], start=i):
            units = {0: "km2", 1: "s_km", 2: "s2"}[(a == "time") + (b == "time")]
            covariance[i, j] = covariance[j, i] = event[f"cov_{a}_{b}_{units}"]
    if not np.isfinite(covariance).all():
        return np.zeros((0, 4))
    generator = np.random.default_rng(0)
    time_s, east, north, up = generator.multivariate_normal(
        np.zeros(4), covariance, n, check_valid="ignore"
    ).T
    plane = LocalProjection(float(event["longitude"]), float(event["latitude"]))
    longitude, latitude = plane.inverse(east, north)
    return np.column_stack([longitude, latitude, event["depth_km"] - up, time_s])
