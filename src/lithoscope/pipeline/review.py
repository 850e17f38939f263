"""An operator's decisions on events: accept, reject, retype, comment; add, move, remove a pick."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import pandas as pd

from lithoscope.catalog import EVENT_TYPES, Catalog, Change, Judged, Store
from lithoscope.errors import DataError
from lithoscope.pipeline.relocate import Relocator
from lithoscope.schema import PICKS
from lithoscope.schema import pick_id as id_of_pick

Action = Literal["accept", "reject", "retype", "comment", "add_pick", "move_pick", "remove_pick"]
ACTIONS: tuple[str, ...] = get_args(Action)
# These make a new solution; the others judge the one that there is.
_WORK = ("retype", "add_pick", "move_pick", "remove_pick")
MAX_COMMENT = 5000
_MAX_USER = 100
# A pick of the same wave; what lies further off is another arrival, or a slip of the hand.
_MAX_MOVE_S = 120.0
# Slower than any S wave to any station of a regional network.
_MAX_AFTER_S = 1200.0
_MAX_SIGMA_S = 10.0
_SHOWN = ("time", "longitude", "latitude", "depth_km", "magnitude")


@dataclass(frozen=True)
class NewPick:
    """A pick that an operator makes: station NET.STA.LOC.BI, P or S, and 1 sigma of its time, s."""

    station: str
    phase: str
    time_sigma_s: float


def review(
    store: Store,
    event_id: str,
    action: Action,
    *,
    user: str,
    comment: str = "",
    event_type: str | None = None,
    pick_id: str | None = None,
    time: pd.Timestamp | None = None,
    new: NewPick | None = None,
    version: int | None = None,
) -> Change:
    """Do what an operator decided, as a new version of the event and a line of the audit trail.

    ``accept`` makes an event ``confirmed`` (``final`` if an operator had worked on it before),
    ``reject`` takes it out of catalogues and answers, ``retype`` sets its type, ``add_pick``,
    ``move_pick`` and ``remove_pick`` locate it anew at once with the settings, velocity model,
    prior and station terms of the store, and move its magnitudes along; these four make it
    ``reviewed``. All but ``comment`` make the solution manual: what is found automatically later is
    kept beside it but does not take its place.

    Parameters
    ----------
    user
        Who decides.
    comment
        Free text with any action; needed for ``comment``. It is data everywhere: never markup.
    event_type
        For ``retype``: one of QuakeML's words.
    pick_id, time
        The pick to move or remove, and where to (UTC, within 120 s).
    new
        For ``add_pick``, together with ``time``: within 20 minutes after the origin, at a station
        of the store that has no pick of that phase in this event.
    version
        Version that the operator saw; None for the latest.

    Raises
    ------
    DataError
        If the event or pick does not exist, a value is out of range, the event changed since
        ``version``, or it cannot be located without the pick.
    StorageError
        If the store cannot be written.
    """
    user, comment = _checked(action, user, comment)
    found = store.event(event_id)
    state = _state(store, event_id)
    if action in _WORK and state["status"] == "rejected":
        raise DataError(f"event '{event_id}' is rejected; accept it before you work on it")
    seen = state["version"] if version is None else version
    common: dict[str, Any] = {"action": action, "comment": comment, "based_on": seen}
    if action not in _WORK:
        status = _new_status(action, state["status"])
        mode = state["mode"] if action == "comment" else "manual"
        return store.put_review(
            event_id,
            Judged(mode, status, user, comment),
            before={"evaluation_status": state["status"]},
            after={"evaluation_status": status},
            **common,
        )
    if action == "retype":
        solution, before, after = _retyped(found, event_type)
    else:
        changed, before, after = (
            _added(store, found, new, time)
            if action == "add_pick"
            else _repicked(found, action, pick_id, time)
        )
        solution = Relocator.of(store).relocate(changed)
        before, after = before | _place(found), after | _place(solution)
    judged = Judged("manual", "reviewed", user, comment)
    return store.put_review(
        event_id, judged, before=before, after=after, solution=solution, **common
    )


def _checked(action: str, user: str, comment: str) -> tuple[str, str]:
    """Return who decides and the comment, if the action is known and has what it needs."""
    if action not in ACTIONS:
        raise DataError(f"action '{action}' is unknown; use {', '.join(ACTIONS)}")
    user, comment = _text("user", user, _MAX_USER), _text("comment", comment, MAX_COMMENT)
    if not user:
        raise DataError("user is empty; say who reviews")
    if action == "comment" and not comment:
        raise DataError("comment is empty; write one")
    return user, comment


def _state(store: Store, event_id: str) -> dict[str, Any]:
    versions = store.versions(event_id)
    row = versions[versions["preferred"]].iloc[0]
    return {
        "version": int(row["version"]),
        "mode": str(row["evaluation_mode"]),
        "status": str(row["evaluation_status"]),
    }


def _new_status(action: str, status: str) -> str:
    if action == "comment":
        return status
    if action == "reject":
        return "rejected"
    return "final" if status in ("reviewed", "final") else "confirmed"


def _text(name: str, text: str, longest: int) -> str:
    """Return a text that every database and file format can hold."""
    if len(text) > longest:
        raise DataError(f"{name} has {len(text)} characters; give at most {longest}")
    for character in text:
        kind = unicodedata.category(character)
        if (kind in ("Cc", "Cs") and character not in "\n\t") or character in "\ufffe\uffff":
            raise DataError(f"{name} has the control character {character!r}; leave it out")
    return text.strip()


def _retyped(
    found: Catalog, event_type: str | None
) -> tuple[Catalog, dict[str, Any], dict[str, Any]]:
    if event_type not in EVENT_TYPES:
        raise DataError(
            f"event_type '{event_type}' is no type of QuakeML; use {', '.join(sorted(EVENT_TYPES))}"
        )
    before = str(found.events["event_type"].iloc[0])
    events = found.events.assign(
        event_type=event_type, event_type_probability=1.0, event_type_reason="set by an operator"
    )
    solution = replace(found, events=events, evaluation=None)
    return solution, {"event_type": before}, {"event_type": event_type}


def _repicked(
    found: Catalog, action: str, pick_id: str | None, time: pd.Timestamp | None
) -> tuple[Catalog, dict[str, Any], dict[str, Any]]:
    """Return the event with a pick moved or removed, not located yet, and the two pick ids."""
    event_id = found.events["event_id"].iloc[0]
    if pick_id not in set(found.arrivals["pick_id"]):
        raise DataError(f"event '{event_id}' has no pick '{pick_id}'")
    mine = found.picks["pick_id"] == pick_id
    others = found.arrivals[found.arrivals["pick_id"] != pick_id]
    before: dict[str, Any] = {"pick_id": pick_id}
    left = replace(found, arrivals=others, picks=found.picks[~mine], evaluation=None)
    if action == "remove_pick":
        return left, before, {"pick_id": None}
    pick = _moved(found.picks[mine], time)
    if pick["pick_id"].iloc[0] in set(found.arrivals["pick_id"]):
        raise DataError(f"event '{event_id}' has a pick at {time} already")
    return _with_pick(left, pick), before, {"pick_id": pick["pick_id"].iloc[0]}


def _added(
    store: Store, found: Catalog, new: NewPick | None, time: pd.Timestamp | None
) -> tuple[Catalog, dict[str, Any], dict[str, Any]]:
    """Return the event with one more pick, not located yet, and the two pick ids."""
    if new is None or time is None or pd.isna(time):
        raise DataError("add_pick needs the station, phase, time and sigma of the pick")
    if new.phase not in ("P", "S"):
        raise DataError(f"phase '{new.phase}' of a pick; use P or S")
    if not 0.0 < new.time_sigma_s <= _MAX_SIGMA_S:
        raise DataError(
            f"sigma {new.time_sigma_s:g} s of a pick; give more than 0 and at most {_MAX_SIGMA_S:g}"
        )
    event = found.events.iloc[0]
    arrivals = found.arrivals
    if ((arrivals["station"] == new.station) & (arrivals["phase"] == new.phase)).any():
        raise DataError(
            f"event '{event['event_id']}' has a {new.phase} pick at {new.station}; move that one"
        )
    sites = store.table("stations")
    sites = sites[sites["station"] == new.station]
    if sites.empty:
        raise DataError(f"the store has no station '{new.station}'; name one of its own")
    stamp = _utc(time)
    after_s = (stamp - event["time"]).total_seconds()
    if not 0.0 <= after_s <= _MAX_AFTER_S:
        raise DataError(
            f"a pick {after_s:.1f} s after the origin; give 0 to {_MAX_AFTER_S:g} s after it"
        )
    pick = PICKS.table(
        {
            "pick_id": [id_of_pick(new.station, new.phase, stamp.value)],
            "station": new.station,
            "phase": new.phase,
            "time": stamp,
            "time_sigma_s": new.time_sigma_s,
            "probability": 1.0,
            "model": "manual",
        }
    )
    stations = pd.concat([found.stations, sites]).drop_duplicates("station", ignore_index=True)
    changed = _with_pick(replace(found, stations=stations, evaluation=None), pick)
    return changed, {"pick_id": None}, {"pick_id": pick["pick_id"].iloc[0]}


def _with_pick(found: Catalog, pick: pd.DataFrame) -> Catalog:
    """Return the event with one pick more; distance and residual follow from its location."""
    arrival = pick[["pick_id", "station", "phase", "time"]].assign(
        event_id=found.events["event_id"].iloc[0]
    )
    return replace(
        found,
        arrivals=pd.concat([found.arrivals, arrival], ignore_index=True),
        picks=PICKS.check(pd.concat([found.picks, pick], ignore_index=True)),
    )


def _place(solution: Catalog) -> dict[str, Any]:
    """Return hypocentre and magnitude for the audit trail."""
    row = solution.events.iloc[0]
    return {name: None if pd.isna(row[name]) else row[name] for name in _SHOWN}


def _utc(time: pd.Timestamp) -> pd.Timestamp:
    stamp = pd.Timestamp(time)
    return (stamp.tz_localize("UTC") if stamp.tz is None else stamp).as_unit("ns")


def _moved(pick: pd.DataFrame, time: pd.Timestamp | None) -> pd.DataFrame:
    """Return a pick at another time, as an operator's."""
    if time is None or pd.isna(time):
        raise DataError("move_pick needs the new time of the pick")
    stamp = _utc(time)
    row = pick.iloc[0]
    shift = (stamp - row["time"]).total_seconds()
    if abs(shift) > _MAX_MOVE_S:
        raise DataError(
            f"pick '{row['pick_id']}' would move by {shift:.1f} s; at most {_MAX_MOVE_S:g} s is "
            "the same arrival"
        )
    return PICKS.check(
        pick.assign(
            pick_id=id_of_pick(row["station"], row["phase"], stamp.value),
            time=stamp,
            probability=1.0,
            model="manual",
        )
    )
