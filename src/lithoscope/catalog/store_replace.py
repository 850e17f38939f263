"""Replace the automatic catalogue of a store as a whole, and keep what operators decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from lithoscope.catalog.store_tables import to_columns, to_rows, unit_vectors
from lithoscope.catalog.store_versions import (
    Change,
    Judged,
    Versions,
    chunks,
    plain,
    to_document,
)
from lithoscope.catalog.tables import SCHEMAS, Catalog
from lithoscope.errors import DataError

_CHUNK = 20_000  # rows a statement; bounds the memory of one write
_GONE = "not in the catalogue that was written"
Tables = dict[str, pd.DataFrame]


def replace(versions: Versions, catalog: Catalog, old: Tables, now_ns: int) -> list[str]:
    """Write a whole catalogue; return the ids of the events that operators' decisions keep.

    Automatic events that are equal keep their version, others get the next one, those that are
    no longer there are logged as cancelled; solutions that a batch run replaces are not kept.
    An event with a manual solution (accepted, retyped, rejected, relocated) stays as it is, with
    its history; the new catalogue's event of the same id, or with most of its picks, becomes its
    latest automatic solution instead of a second event.

    Parameters
    ----------
    old
        What the tables of the catalogue hold now, the state columns of ``events`` included.
    """
    _check_ids(catalog)
    manual = old["events"][old["events"]["evaluation_mode"] == "manual"]
    kept = list(manual["event_id"])
    tables = {name: frame for name, frame in catalog.tables()}
    if kept:
        tables = _set_apart(versions, tables, kept, now_ns)
    state = _log(versions, tables, old, now_ns)
    if kept:
        tables, state = _with_kept(tables, state, old, manual)
    _rewrite(versions, tables, state)
    return kept


def _check_ids(catalog: Catalog) -> None:
    twice = catalog.events["event_id"].duplicated()
    if twice.any():
        name = catalog.events.loc[twice, "event_id"].iloc[0]
        raise DataError(f"event id '{name}' occurs twice; give each event an id of its own")


def _set_apart(versions: Versions, tables: Tables, kept: list[str], now_ns: int) -> Tables:
    """Give new solutions of reviewed events to these, and return the tables without them."""
    owner = _owners(versions, tables, kept)
    picks_by_id = tables["picks"].drop_duplicates("pick_id").set_index("pick_id", drop=False)
    for other, name in owner.items():
        solution = {t: f[f["event_id"] == other] for t, f in tables.items() if "event_id" in f}
        solution = {t: f.assign(event_id=name) for t, f in solution.items()}
        used = [p for p in solution["arrivals"]["pick_id"] if p in picks_by_id.index]
        solution["picks"] = picks_by_id.loc[used].reset_index(drop=True)
        content = to_document(plain(solution))
        last = versions.last_automatic(name)
        if last is None or last[1] != content:
            versions.record(name, "update", Judged(), now_ns, content)
    return {
        name: frame[~frame["event_id"].isin(owner)] if "event_id" in frame else frame
        for name, frame in tables.items()
    }


def _owners(versions: Versions, tables: Tables, kept: list[str]) -> dict[str, str]:
    """Return which new event is whose: the one of the same id, else that with most of its picks."""
    arrivals, names = tables["arrivals"], set(tables["events"]["event_id"])
    sizes = {str(n): int(size) for n, size in arrivals["event_id"].value_counts().items()}
    owner = {name: name for name in kept if name in names}
    for name in kept:
        if name in owner:
            continue
        shared: dict[str, int] = {}
        for picks in _pick_sets(versions, name):
            found = arrivals.loc[arrivals["pick_id"].isin(picks), "event_id"].value_counts()
            for other, n in ((str(other), int(n)) for other, n in found.items()):
                if 2 * n > min(len(picks), sizes[other]) and other not in owner:
                    shared[other] = max(n, shared.get(other, 0))
        if shared:
            owner[max(sorted(shared), key=lambda other: shared[other])] = name
    return owner


def _pick_sets(versions: Versions, event_id: str) -> list[set[str]]:
    """Return the picks of an event as it is shown, and as it was found automatically."""
    sets = [set(versions.shown([event_id])["arrivals"]["pick_id"])]
    automatic = versions.last_automatic_tables(event_id)
    if automatic is not None:
        sets.append(set(automatic["arrivals"]["pick_id"]))
    return [s for s in sets if s]


def _log(versions: Versions, tables: Tables, old: Tables, now_ns: int) -> pd.DataFrame:
    """Record what changes for followers; return version and update time by event id."""
    log, connection = versions.layout.versions, versions.connection
    before = old["events"][old["events"]["evaluation_mode"] == "automatic"]
    shown = before[before["evaluation_status"] != "rejected"]
    was, now = _digests(old), _digests(tables)
    now = now.reindex(tables["events"]["event_id"])
    there = now.index.isin(shown["event_id"])
    same = there & (was.reindex(now.index).to_numpy() == now.to_numpy())
    gone = shown.loc[~shown["event_id"].isin(now.index), "event_id"]
    names = [*now.index[~same], *gone]
    actions = [*np.where(there[~same], "update", "new"), *["cancel"] * len(gone)]
    state = shown.set_index("event_id")[["version", "updated_ns"]]
    if not names:
        return state
    highest = _highest_versions(versions)
    last, last_ns = versions.last_change()
    made_at_ns = max(now_ns, last_ns)
    changes = [
        Change(last + 1 + i, str(name), highest.get(str(name), 0) + 1, action, made_at_ns)
        for i, (name, action) in enumerate(zip(names, actions, strict=True))
    ]
    for some in chunks(str(name) for name in names if str(name) in highest):
        connection.execute(sa.delete(log).where(log.c.event_id.in_(some)))
    rows = [_log_row(change) for change in changes]
    for start in range(0, len(rows), _CHUNK):
        connection.execute(sa.insert(log), rows[start : start + _CHUNK])
    made = pd.DataFrame(
        {"version": [c.version for c in changes], "updated_ns": made_at_ns},
        index=[c.event_id for c in changes],
    )
    return pd.concat([state[~state.index.isin(made.index)], made])


def _log_row(change: Change) -> dict[str, Any]:
    gone = change.action == "cancel"
    return {
        "sequence": change.sequence,
        "event_id": change.event_id,
        "version": change.version,
        "action": change.action,
        "made_at_ns": change.made_at_ns,
        "evaluation_mode": "automatic",
        "evaluation_status": "rejected" if gone else "preliminary",
        "author": "",
        "note": _GONE if gone else "",
        "content": None,
    }


def _highest_versions(versions: Versions) -> dict[str, int]:
    log = versions.layout.versions
    query = sa.select(log.c.event_id, sa.func.max(log.c.version)).group_by(log.c.event_id)
    return {str(name): int(version) for name, version in versions.connection.execute(query)}


def _digests(tables: Tables) -> pd.Series:
    """Return a number for each event that depends on all rows of its solution, not their order."""
    picks = tables["picks"].drop_duplicates("pick_id")
    of_pick = pd.Series(_row_hashes(picks, "picks"), index=picks["pick_id"].to_numpy(object))
    total = pd.Series(dtype="uint64")
    for name in ("events", "arrivals", "station_magnitudes"):
        frame = tables[name]
        hashes = _row_hashes(frame, name)
        if name == "arrivals":
            hashes = hashes + 3 * of_pick.reindex(frame["pick_id"], fill_value=0).to_numpy("uint64")
        summed = pd.Series(hashes).groupby(frame["event_id"].to_numpy(object)).sum()
        total = total.add(summed, fill_value=0) if len(total) else summed
    return total


def _row_hashes(frame: pd.DataFrame, name: str) -> np.ndarray:
    known = frame[SCHEMAS[name].names]
    return pd.util.hash_pandas_object(known, index=False).to_numpy("uint64")


def _with_kept(
    tables: Tables, state: pd.DataFrame, old: Tables, manual: pd.DataFrame
) -> tuple[Tables, pd.DataFrame]:
    """Return the tables with the rows of reviewed events, in order of time."""
    kept = set(manual["event_id"])
    out = dict(tables)
    for name in ("events", "arrivals", "station_magnitudes"):
        mine = old[name][old[name]["event_id"].isin(kept)][SCHEMAS[name].names]
        out[name] = pd.concat([tables[name], mine], ignore_index=True)
    used = old["arrivals"].loc[old["arrivals"]["event_id"].isin(kept)]
    for name, key in (("picks", "pick_id"), ("stations", "station")):
        theirs = old[name][old[name][key].isin(used[key]) & ~old[name][key].isin(tables[name][key])]
        out[name] = pd.concat([tables[name], theirs[SCHEMAS[name].names]], ignore_index=True)
    out["events"] = out["events"].sort_values(["time", "event_id"], kind="stable")
    columns = ["version", "updated_ns", "evaluation_mode", "evaluation_status"]
    return out, pd.concat([state, manual.set_index("event_id")[columns]])


def _rewrite(versions: Versions, tables: Tables, state: pd.DataFrame) -> None:
    """Replace all rows of the tables of the catalogue."""
    for name, schema in SCHEMAS.items():
        table, frame = versions.layout.catalog[name], tables[name]
        versions.connection.execute(sa.delete(table))
        for start in range(0, len(frame), _CHUNK):
            part = frame.iloc[start : start + _CHUNK]
            columns = to_columns(part, schema)
            columns["row"] = list(range(start, start + len(part)))
            if name == "events":
                columns |= _state_of(part, state)
                columns |= unit_vectors(columns["longitude"], columns["latitude"])
            versions.connection.execute(sa.insert(table), to_rows(columns))


def _state_of(events: pd.DataFrame, state: pd.DataFrame) -> dict[str, list[Any]]:
    rows = state.reindex(events["event_id"])
    defaults = Judged()
    found: dict[str, list[Any]] = {
        name: [int(v) for v in rows[name]] for name in ("version", "updated_ns")
    }
    for name in ("evaluation_mode", "evaluation_status"):
        default = getattr(defaults, name)
        values = rows[name] if name in rows else pd.Series([None] * len(rows))
        found[name] = [default if pd.isna(v) else str(v) for v in values]
    return found
