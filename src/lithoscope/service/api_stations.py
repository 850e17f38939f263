"""JSON API: stations."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from lithoscope.service.errors import PROBLEMS
from lithoscope.service.models import (
    Availability,
    Residuals,
    Spectrogram,
    StationDetail,
    Stations,
    Waveform,
)
from lithoscope.service.replies import JSON, reply
from lithoscope.service.state import State, recordings_age
from lithoscope.service.station_views import (
    availability_view,
    detail,
    residuals,
    spectrogram_view,
    waveform,
)

router = APIRouter(tags=["stations"], responses=PROBLEMS)
Hours = Annotated[float, Query(gt=0, le=48, description="length of the window")]
Columns = Annotated[int, Query(ge=10, le=4000, description="steps of a trace")]


@router.get("/stations", response_model=Stations)
async def get_stations(request: Request) -> Response:
    """Return positions and states of all stations."""
    state: State = request.app.state.lithoscope
    rows = state.sites.fresh_states()
    if rows is None:
        rows = await state.workers.run(state.sites.states)
    return await _json(state, request, {"stations": rows})


@router.get("/stations/{station}", response_model=StationDetail)
async def get_station(request: Request, station: str) -> Response:
    """Return one station and its channels."""
    return await _of_station(request, station, detail)


@router.get("/stations/{station}/waveform", response_model=Waveform)
async def get_waveform(
    request: Request, station: str, hours: Hours = 1.0, columns: Columns = 1200
) -> Response:
    """Return the last hours of each channel as least and greatest values, less the mean."""
    _check_hours(request, hours)
    return await _from_recordings(request, station, waveform, hours, columns)


@router.get("/stations/{station}/spectrogram", response_model=Spectrogram)
async def get_spectrogram(request: Request, station: str, hours: Hours = 1.0) -> Response:
    """Return the power of the last hours of the vertical (or the first) channel."""
    _check_hours(request, hours)
    return await _from_recordings(request, station, spectrogram_view, hours)


@router.get("/stations/{station}/residuals", response_model=Residuals)
async def get_residuals(
    request: Request, station: str, limit: Annotated[int, Query(ge=1, le=20_000)] = 2000
) -> Response:
    """Return observed minus predicted times, latest first."""
    return await _of_station(request, station, residuals, limit)


@router.get("/stations/{station}/availability", response_model=Availability)
async def get_availability(request: Request, station: str) -> Response:
    """Return when the station recorded."""
    return await _of_station(request, station, availability_view)


def _check_hours(request: Request, hours: float) -> None:
    most = request.app.state.lithoscope.settings.limits.hours
    if hours > most:
        raise HTTPException(413, f"hours = {hours:g}: one answer holds {most:g}")


async def _of_station(request: Request, station: str, make: Any, *arguments: Any) -> Response:
    state: State = request.app.state.lithoscope

    def answer() -> bytes:
        found = make(state, _site(state, station), *arguments)
        return json.dumps(found, allow_nan=False).encode()

    return await reply(state.workers, request, await state.workers.run(answer), JSON)


async def _from_recordings(request: Request, station: str, make: Any, *arguments: Any) -> Response:
    """Answer from recordings; the answer is kept until there are others."""
    state: State = request.app.state.lithoscope
    key = (make.__name__, station, arguments, recordings_age(state))
    body = state.answers.get(key)
    if body is None:
        site = await state.workers.run(_site, state, station)
        body = await state.slow.shared(key, make, site, *arguments)
        state.answers.put(key, body)
    return await reply(state.workers, request, body, JSON)


def _site(state: State, station: str) -> dict[str, Any]:
    site = next((s for s in state.sites.states() if s["station"] == station), None)
    if site is None:
        raise HTTPException(404, "no such station")
    return site


async def _json(state: State, request: Request, answer: Any) -> Response:
    return await reply(state.workers, request, json.dumps(answer, allow_nan=False).encode(), JSON)
