"""An operator's decision carried out."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException

from lithoscope.service.models import ReviewRequest
from lithoscope.service.state import State


def decide(state: State, event_id: str, review: ReviewRequest, user: str) -> Any:
    """Review an event as ``user``; return the change.

    Raises
    ------
    HTTPException
        404 for an unknown event, 400 for what the action lacks.
    DataError
        If the review does not fit the event.
    """
    if event_id not in state.feed.snapshot.position:
        raise HTTPException(404, "no such event")
    raise HTTPException(503, "reviews are not possible yet")
