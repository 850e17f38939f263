"""What belongs to one event."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from fastapi import HTTPException

from lithoscope.catalog.plain import Solution
from lithoscope.geo import LocalProjection
from lithoscope.service.features import json_row, json_rows
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
_OF_PICK = ("time_sigma_s", "probability", "polarity", "model")
_PLACE = ("station", "longitude", "latitude", "elevation_m")
_AUDIT = ("event_id", "made_at", "user", "action", "detail")


def solution_of(state: Any, event_id: str) -> Solution:
    """Return one event with what it rests on.

    Raises
    ------
    HTTPException
        404 if it was withdrawn a moment ago.
    """
    found = state.view.solutions([event_id]).get(event_id)
    if found is None:
        raise HTTPException(404, "no such event")
    return found


def details(state: State, event_ids: list[str]) -> dict[str, bytes]:
    """Return the whole answers about some events, read together."""
    return {
        name: json.dumps(_detail(state, name, solution), allow_nan=False).encode()
        for name, solution in state.view.solutions(event_ids).items()
    }


def _detail(state: State, event_id: str, solution: Solution) -> dict[str, Any]:
    """Return the event with arrivals, station magnitudes, stations, versions and audit."""
    picks = {pick.pick_id: json_row(pick) for pick in solution.picks}
    arrivals = [json_row(arrival) for arrival in solution.arrivals or ()]
    for row in arrivals:
        pick = picks.get(row["pick_id"], {})
        row |= {column: pick.get(column) for column in _OF_PICK}
    arrivals.sort(key=lambda row: (row["distance_km"] or 0.0, row["time"] or ""))
    magnitudes = [json_row(row) for row in solution.magnitudes]
    named = {row["station"] for row in (*arrivals, *magnitudes)}
    places = [row for row in state.sites.states() if row["station"] in named]
    stations = [{name: row[name] for name in _PLACE} for row in places]
    event = json_row(solution.event)
    event["made_at"] = event.pop("updated")
    first_only = event["version"] == 1
    history = [_first(event)] if first_only else _versions(state, event_id)
    event["author"] = history[-1]["author"]
    return {
        "event": event,
        "arrivals": arrivals,
        "station_magnitudes": magnitudes,
        "stations": stations,
        "versions": history,
        # Operators act on a version, and make another.
        "audit": [] if first_only else json_rows(_columns(state.view.audit(event_id), _AUDIT)),
    }


def _first(event: dict[str, Any]) -> dict[str, Any]:
    """Return the only version of an event, which nobody has touched yet."""
    return {name: event.get(name) for name in _VERSION} | {"action": "new", "author": ""}


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
        method, samples = "gaussian", _gaussian(solution_of(state, event_id).event, n)
    good = samples[np.isfinite(samples).all(axis=1)]
    return {
        "event_id": event_id,
        "method": method,
        "longitude": np.round(good[:, 0], 6).tolist(),
        "latitude": np.round(good[:, 1], 6).tolist(),
        "depth_km": np.round(good[:, 2], 4).tolist(),
        "time_offset_s": np.round(good[:, 3], 4).tolist(),
    }


def _gaussian(event: Any, n: int) -> np.ndarray:
    """Return draws from the normal distribution of the event's covariance."""
    names = ("time", "east", "north", "up")
    covariance = np.zeros((4, 4))
    for i, a in enumerate(names):
        for j, b in enumerate(names[i:], start=i):
            units = {0: "km2", 1: "s_km", 2: "s2"}[(a == "time") + (b == "time")]
            covariance[i, j] = covariance[j, i] = _number(event, f"cov_{a}_{b}_{units}")
    if not np.isfinite(covariance).all():
        return np.zeros((0, 4))
    generator = np.random.default_rng(0)
    time_s, east, north, up = generator.multivariate_normal(
        np.zeros(4), covariance, n, check_valid="ignore"
    ).T
    plane = LocalProjection(event.longitude, event.latitude)
    longitude, latitude = plane.inverse(east, north)
    return np.column_stack([longitude, latitude, _number(event, "depth_km") - up, time_s])


def _number(event: Any, name: str) -> float:
    value = getattr(event, name)
    return np.nan if value is None else float(value)
