"""JSON API: health, live updates, coastlines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lithoscope.constants import NS_PER_S
from lithoscope.service.coastlines import CoastlineError, coastlines
from lithoscope.service.errors import PROBLEMS
from lithoscope.service.features import json_rows
from lithoscope.service.models import Coastlines, Health
from lithoscope.service.replies import JSON, reply
from lithoscope.service.state import State
from lithoscope.service.times import iso, now_ns

router = APIRouter(responses=PROBLEMS)
_KEEP_ALIVE_S = 15.0
_MOST_PROBLEMS = 200
_PROBLEM = ("what", "problem", "detail", "action", "starttime", "endtime")


@router.get("/health", response_model=Health, tags=["state"])
async def get_health(request: Request) -> Response:
    """Return whether the store can be read, and how the stations and stages are."""
    state: State = request.app.state.lithoscope
    body = await state.workers.run(lambda: json.dumps(_health(state), allow_nan=False).encode())
    return await reply(state.workers, request, body, JSON)


def _health(state: State) -> dict[str, Any]:
    feed = state.feed
    report = state.view.state("health")
    stages = [
        {
            "stage": str(name),
            "median_latency_s": stage.get("median_latency_s", stage.get("latency_s")),
            "p95_latency_s": stage.get("p95_latency_s"),
            "n": stage.get("n"),
        }
        for name, stage in dict(report.get("stages", {})).items()
    ]
    n_problems, problems = state.view.problems(_MOST_PROBLEMS)
    return {
        "status": "ok" if feed.failing_since_ns is None else "degraded",
        "live": state.source.live,
        "run_status": str(state.source.marker().get("status", "")),
        "now": iso(now_ns()),
        "uptime_s": (now_ns() - state.started_ns) / NS_PER_S,
        "sequence": feed.snapshot.sequence,
        "last_change": iso(feed.changed_ns),
        "checked": iso(feed.checked_ns),
        "stages": stages,
        "sources": list(report.get("sources", [])),
        "stations": state.sites.states(),
        "n_problems": n_problems,
        "problems": json_rows(problems[list(_PROBLEM)]),
    }


@router.get("/coastlines", response_model=Coastlines, tags=["map"])
async def get_coastlines(
    request: Request,
    west: Annotated[float, Query(ge=-540, le=540)] = -180.0,
    south: Annotated[float, Query(ge=-90, le=90)] = -90.0,
    east: Annotated[float, Query(ge=-540, le=540)] = 180.0,
    north: Annotated[float, Query(ge=-90, le=90)] = 90.0,
) -> Response:
    """Return land, lakes and borders inside a region."""
    state: State = request.app.state.lithoscope
    key = ("coastlines", west, south, east, north)
    body = state.answers.get(key)
    if body is None:
        try:
            answer = await state.workers.run(coastlines, west, south, east, north)
        except CoastlineError as error:
            raise HTTPException(400, str(error)) from None
        body = json.dumps(answer, allow_nan=False).encode()
        state.answers.put(key, body)
    headers = {"Cache-Control": "public, max-age=86400"}
    return await reply(state.workers, request, body, JSON, **headers)


@router.get(
    "/stream",
    tags=["state"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: hello, new, update, cancel, review",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def get_stream(
    request: Request,
    after: Annotated[
        int | None, Query(ge=0, le=2**62, description="begin after this change; default: now")
    ] = None,
) -> Response:
    """Return changes as they happen; `Last-Event-ID` resumes after a broken connection."""
    state: State = request.app.state.lithoscope
    if state.feed.readers >= state.settings.limits.streams:
        raise HTTPException(503, "too many readers of live updates", {"Retry-After": "10"})
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdigit() and len(last) < 19:
        after = int(last)
    return StreamingResponse(
        _changes(state, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _changes(state: State, after: int | None) -> AsyncIterator[str]:
    feed = state.feed
    feed.readers += 1
    try:
        current = feed.snapshot.sequence
        # A number from before the store was made anew would wait for ever.
        position = current if after is None or after > current else after
        yield f"retry: 3000\nevent: hello\ndata: {json.dumps({'sequence': current})}\n\n"
        while True:
            if feed.snapshot.sequence < position:
                position = 0
            seen = feed.snapshot.sequence
            if seen > position:
                # Not those that the answers of this service do not show yet.
                changes = [one for one in await feed.changes(position) if one.sequence <= seen]
                for change in changes:
                    yield _message(change)
                position = changes[-1].sequence if changes else seen
            elif not await feed.wait(position, _KEEP_ALIVE_S):
                yield ": still here\n\n"
    except asyncio.CancelledError:
        raise
    finally:
        feed.readers -= 1


def _message(change: Any) -> str:
    data = {
        "sequence": change.sequence,
        "event_id": change.event_id,
        "version": change.version,
        "action": change.action,
    }
    name = change.action if change.action in ("new", "update", "cancel", "review") else "update"
    return f"id: {change.sequence}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
