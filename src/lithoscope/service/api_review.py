"""JSON API: what needs a token."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request

from lithoscope.service.auth import reviewer
from lithoscope.service.errors import PROBLEMS
from lithoscope.service.features import json_rows
from lithoscope.service.models import Audit, Problem, Reviewed, ReviewRequest
from lithoscope.service.reviewing import decide
from lithoscope.service.state import State

_REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "A token is needed"},
    403: {"model": Problem, "description": "The token is not known, or the server is read-only"},
    409: {"model": Problem, "description": "The review does not fit the event"},
}
router = APIRouter(tags=["review"], responses=PROBLEMS | _REFUSED)


def _owner(request: Request) -> str:
    return reviewer(request.app.state.tokens, request)


# The scheme is here for the OpenAPI document; `_owner` decides.
Owner = Annotated[str, Depends(_owner)]
_SCHEME = [Depends(HTTPBearer(auto_error=False))]


@router.post("/events/{event_id}/review", response_model=Reviewed, dependencies=_SCHEME)
async def post_review(request: Request, event_id: str, review: ReviewRequest, owner: Owner) -> Any:
    """Accept, reject, retype or comment an event, or move or remove a pick; relocates at once."""
    state: State = request.app.state.lithoscope
    change = await state.workers.run(decide, state, event_id, review, owner)
    await state.feed.look()
    return {
        "sequence": change.sequence,
        "event_id": change.event_id,
        "version": change.version,
        "action": change.action,
    }


@router.get("/audit", response_model=Audit, dependencies=_SCHEME)
async def get_audit(
    request: Request,
    owner: Owner,
    event_id: Annotated[str | None, Query(max_length=500)] = None,
) -> Any:
    """Return who changed what."""
    state: State = request.app.state.lithoscope
    names = ["event_id", "made_at", "user", "action", "detail"]
    table = await asyncio.to_thread(state.view.audit, event_id)
    return {"audit": json_rows(table.reindex(columns=names))}
