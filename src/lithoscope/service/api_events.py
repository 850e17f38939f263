"""JSON API: summary, events, and what belongs to one event."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Query
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from lithoscope import __version__
from lithoscope.catalog.plain import ShownEvent
from lithoscope.service.errors import PROBLEMS, too_much
from lithoscope.service.events import draws, versions
from lithoscope.service.features import json_row
from lithoscope.service.models import (
    EventColumns,
    EventDetail,
    EventFilter,
    Samples,
    Section,
    Summary,
    Versions,
)
from lithoscope.service.replies import JSON, accepts_gzip, packed, reply
from lithoscope.service.sections import section
from lithoscope.service.selection import Selection
from lithoscope.service.snapshot import Snapshot
from lithoscope.service.solutions import COMPACT
from lithoscope.service.state import State, recordings_age
from lithoscope.service.times import iso, now_ns, parse_time

router = APIRouter(tags=["events"], responses=PROBLEMS)


def _state(request: Request) -> State:
    state: State = request.app.state.lithoscope
    return state


@router.get("/summary", response_model=Summary)
async def get_summary(request: Request) -> Any:
    """Return what is served."""
    state = _state(request)
    stations = state.sites.fresh_states()
    if stations is None:
        stations = await state.workers.run(state.sites.states)
    overview = dict(state.feed.snapshot.overview)
    return {
        "title": state.source.title,
        "catalog": state.settings.catalog,
        "version": __version__,
        "live": state.source.live,
        "review": bool(request.app.state.tokens),
        "n_stations": len(stations),
        "bounds": _bounds(overview.pop("limits"), stations),
        "sequence": state.feed.snapshot.sequence,
        "updated": iso(state.feed.changed_ns),
        "now": iso(now_ns()),
        **overview,
    }


def _bounds(
    limits: tuple[float, ...] | None, stations: list[dict[str, Any]]
) -> dict[str, float] | None:
    """Return the smallest box (degrees) around the limits of the events and the stations."""
    placed = [(s["longitude"], s["latitude"]) for s in stations]
    placed = [(x, y) for x, y in placed if x is not None and y is not None]
    if limits is not None:
        placed += [(limits[0], limits[1]), (limits[2], limits[3])]
    if not placed:
        return None
    longitude, latitude = zip(*placed, strict=True)
    return {
        "west": float(min(longitude)),
        "south": float(min(latitude)),
        "east": float(max(longitude)),
        "north": float(max(latitude)),
    }


@router.get("/events", response_model=EventColumns)
async def get_events(request: Request, wanted: Annotated[EventFilter, Query()]) -> Response:
    """Return events in columns; with If-None-Match 304 while nothing has changed."""
    state = _state(request)
    events = state.feed.snapshot
    tag = f'W/"{events.sequence}-{state.started_ns}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag})
    key = ("events", tag, wanted.model_dump_json(exclude_defaults=True))
    body = state.answers.get(key)
    if body is None:
        rows = selection(wanted).rows(events)
        n_matched = len(rows)
        stop = None if wanted.limit is None else wanted.offset + wanted.limit
        rows = rows[wanted.offset : stop]
        limits = state.settings.limits
        most = limits.rows if wanted.fields == "compact" else limits.events
        if len(rows) > most:
            raise too_much(len(rows), most)
        make = _compact if wanted.fields == "compact" else _full
        if len(rows) > 2000 or wanted.fields == "full":
            body = await state.workers.run(make, events, rows, n_matched)
        else:
            body = make(events, rows, n_matched)
        state.answers.put(key, body)
    return await _kept_reply(state, request, key, body, tag)


async def _kept_reply(
    state: State, request: Request, key: tuple[str, ...], body: bytes, tag: str
) -> Response:
    """Return a body, packed once where it is long."""
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if len(body) < 20_000 or not accepts_gzip(request):
        return await reply(state.workers, request, body, JSON, **headers)
    small = state.answers.get((*key, "gzip"))
    if small is None:
        small = await state.workers.run(packed, body)
        state.answers.put((*key, "gzip"), small)
    headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(small, media_type=JSON, headers=headers)


def _compact(events: Snapshot, rows: NDArray[np.intp], n_matched: int) -> bytes:
    names = ",".join(json.dumps(name) for name in COMPACT)
    return (
        f'{{"sequence":{events.sequence},"n_matched":{n_matched},"columns":[{names}],'
        f'"rows":[{events.compact(rows)}]}}'
    ).encode()


def _full(events: Snapshot, rows: NDArray[np.intp], n_matched: int) -> bytes:
    answer = {
        "sequence": events.sequence,
        "n_matched": n_matched,
        "columns": [name.removesuffix("_ns") for name in ShownEvent._fields],
        "rows": [list(json_row(row).values()) for row in events.records(rows)],
    }
    return json.dumps(answer, allow_nan=False).encode()


def selection(wanted: EventFilter) -> Selection:
    """Return what checked limits ask for.

    Raises
    ------
    HTTPException
        400 for a time that does not exist, limits the wrong way round, or half a centre.
    """
    start_ns, end_ns = _ns(wanted.starttime, "starttime"), _ns(wanted.endtime, "endtime")
    pairs: dict[str, tuple[float | None, float | None]] = {
        "starttime": (start_ns, end_ns),
        "minlatitude": (wanted.minlatitude, wanted.maxlatitude),
        "mindepth_km": (wanted.mindepth_km, wanted.maxdepth_km),
        "minmagnitude": (wanted.minmagnitude, wanted.maxmagnitude),
        "minradius_deg": (wanted.minradius_deg, wanted.maxradius_deg),
    }
    for name, (low, high) in pairs.items():
        if low is not None and high is not None and low > high:
            raise HTTPException(400, f"{name} is above its upper limit")
    centre = None
    if wanted.latitude is not None and wanted.longitude is not None:
        centre = (wanted.longitude, wanted.latitude)
    elif (wanted.latitude, wanted.longitude, *pairs["minradius_deg"]) != (None,) * 4:
        raise HTTPException(400, "a radius needs both latitude and longitude")
    low, high = pairs["minradius_deg"]
    return Selection(
        start_ns=start_ns,
        end_ns=end_ns,
        latitude=pairs["minlatitude"],
        longitude=(wanted.minlongitude, wanted.maxlongitude),
        depth_km=pairs["mindepth_km"],
        magnitude=pairs["minmagnitude"],
        centre=centre,
        radius_deg=(0.0 if low is None else low, 180.0 if high is None else high),
        magnitude_type=wanted.magnitude_type,
        event_types=_listed(wanted.event_type),
        statuses=_listed(wanted.status),
        updated_after_ns=_ns(wanted.updatedafter, "updatedafter"),
        event_ids=_listed(wanted.eventid),
        order=wanted.orderby,
    )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _ns(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise HTTPException(400, f"{name}: {error}") from None


@router.get("/events/{event_id}", response_model=EventDetail)
async def get_event(request: Request, event_id: str) -> Response:
    """Return one event with all that belongs to it."""
    state = _state(request)
    key = _key(state, "detail", event_id)
    body = state.answers.get(key)
    if body is None:
        body = await request.app.state.details.get(event_id)
        if body is None:
            raise HTTPException(404, "no such event")
        state.answers.put(key, body)
    return await reply(state.workers, request, body, JSON)


@router.get("/events/{event_id}/versions", response_model=Versions)
async def get_versions(request: Request, event_id: str) -> Response:
    """Return the versions of an event."""
    return await _of_event(_state(request), request, event_id, "versions", versions)


@router.get("/events/{event_id}/samples", response_model=Samples)
async def get_samples(
    request: Request, event_id: str, n: Annotated[int, Query(ge=1, le=10_000)] = 1000
) -> Response:
    """Return draws from the posterior of the hypocentre."""
    return await _of_event(_state(request), request, event_id, f"samples {n}", draws, n)


@router.get("/events/{event_id}/section", response_model=Section)
async def get_section(
    request: Request,
    event_id: str,
    stations: Annotated[int, Query(ge=1, le=200, description="nearest first")] = 40,
    columns: Annotated[int, Query(ge=50, le=2000, description="steps a trace")] = 600,
    component: Annotated[str, Query(pattern="^[zh]$", description="vertical or transverse")] = "z",
) -> Response:
    """Return the record section: traces in order of distance, with picks and predictions."""
    state = _state(request)
    name = f"section {stations} {columns} {component} {recordings_age(state)}"
    key = _key(state, name, event_id)
    body = state.answers.get(key)
    if body is None:
        body = await state.slow.shared(key, section, event_id, stations, columns, component)
        state.answers.put(key, body)
    return await reply(state.workers, request, body, JSON)


def _key(state: State, what: str, event_id: str) -> tuple[str, tuple[int, int]]:
    """Return what an answer about an event is kept under: another version is another answer.

    Raises
    ------
    HTTPException
        404 if there is no such event.
    """
    key = state.feed.snapshot.key(event_id)
    if key is None:
        raise HTTPException(404, "no such event")
    return what, key


async def _of_event(
    state: State, request: Request, event_id: str, what: str, make: Any, *arguments: Any
) -> Response:
    """Answer with ``make(state, event_id, ...)``, kept until the event changes."""
    key = _key(state, what, event_id)
    body = state.answers.get(key)
    if body is None:

        def answer() -> bytes:
            return json.dumps(make(state, event_id, *arguments), allow_nan=False).encode()

        body = await state.workers.run(answer)
        state.answers.put(key, body)
    return await reply(state.workers, request, body, JSON)
