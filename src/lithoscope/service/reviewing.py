"""An operator's decision carried out."""

from __future__ import annotations

import pandas as pd
from fastapi import HTTPException

from lithoscope.catalog import Change
from lithoscope.errors import DataError
from lithoscope.pipeline.review import NewPick, review
from lithoscope.service.errors import without_paths
from lithoscope.service.models import ReviewRequest
from lithoscope.service.state import State
from lithoscope.service.times import parse_time


def decide(state: State, event_id: str, wanted: ReviewRequest, user: str) -> Change:
    """Review an event as ``user``; return the change.

    Raises
    ------
    HTTPException
        404 for an unknown event, 400 for a time that does not exist, 409 if the review does not
        fit the event (with the reason).
    StorageError
        If the store cannot be written.
    """
    if event_id not in state.feed.snapshot:
        raise HTTPException(404, "no such event")
    time = None
    if wanted.time is not None:
        try:
            time = pd.Timestamp(parse_time(wanted.time), tz="UTC")
        except ValueError as error:
            raise HTTPException(400, f"time: {error}") from None
    try:
        return review(
            state.source.store,
            event_id,
            wanted.action,
            user=user,
            comment=wanted.comment,
            event_type=wanted.event_type or None,
            pick_id=wanted.pick_id or None,
            time=time,
            new=_new_pick(wanted),
            version=wanted.version,
        )
    except DataError as error:
        raise HTTPException(409, without_paths(str(error))) from None


def _new_pick(wanted: ReviewRequest) -> NewPick | None:
    """Return what is needed of a new pick, None if something is missing."""
    if not wanted.station or not wanted.phase or wanted.time_sigma_s is None:
        return None
    return NewPick(wanted.station, wanted.phase, wanted.time_sigma_s)
