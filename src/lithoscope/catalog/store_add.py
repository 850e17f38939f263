"""Append rows to tables of a store, each at most once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import sqlalchemy as sa

from lithoscope.catalog.store_tables import Columns, to_columns, transposed
from lithoscope.catalog.store_versions import Versions, chunks
from lithoscope.catalog.tables import SCHEMAS
from lithoscope.errors import StorageError

# What makes a row of a table the same row; the first column has an index.
KEYS = {
    "picks": ("pick_id",),
    "detections": ("starttime_ns", "station", "model"),
    "stations": ("station", "starttime_ns"),
    "problems": ("what", "problem", "detail", "action", "starttime_ns", "endtime_ns"),
}


def add_rows(versions: Versions, name: str, frame: pd.DataFrame) -> None:
    """Append the rows of a table; a row that is there already is brought up to date in place.

    Raises
    ------
    StorageError
        If rows of that table are not added but come with their event.
    DataError
        If the table does not fit its schema.
    """
    if name not in KEYS:
        raise StorageError(
            f"rows of '{name}' cannot be added; add {', '.join(KEYS)}, and events by put_event"
        )
    schema = SCHEMAS[name]
    add_columns(versions, name, to_columns(schema.check(frame), schema))


def add_columns(versions: Versions, name: str, columns: Columns) -> None:
    """Do as `add_rows` with the stored columns of a checked table."""
    names, rows = list(columns), list(zip(*columns.values(), strict=True))
    places = [names.index(key) for key in KEYS[name]]
    wanted = {tuple(row[k] for k in places): row for row in rows}  # the last of equal keys
    known = _known(versions, name, names, places, wanted)
    changed, fresh = [], []
    for key, row in wanted.items():
        if key not in known:
            fresh.append(row)
        elif known[key][1] != row:
            new = zip((f"new_{c}" for c in names), row, strict=True)
            changed.append({"at_row": known[key][0], **dict(new)})
    if changed:
        table = versions.layout.catalog[name]
        values: dict[str, Any] = {c: sa.bindparam(f"new_{c}") for c in names}
        update = sa.update(table).where(table.c.row == sa.bindparam("at_row")).values(**values)
        versions.connection.execute(update, changed)
    if fresh:
        versions.insert({name: transposed(fresh, names)})


def forget_picks(versions: Versions, pick_ids: Iterable[str]) -> int:
    """Delete picks that no event but cancelled ones uses; return how many."""
    picks, arrivals = versions.layout.catalog["picks"], versions.layout.catalog["arrivals"]
    events = versions.layout.events
    cancelled = sa.select(events.c.event_id).where(
        events.c.evaluation_mode == "automatic", events.c.evaluation_status == "rejected"
    )
    n = 0
    for some in chunks(pick_ids):
        used = sa.select(arrivals.c.pick_id).where(
            arrivals.c.pick_id.in_(some), arrivals.c.event_id.not_in(cancelled)
        )
        unused = picks.c.pick_id.in_(some) & picks.c.pick_id.not_in(used)
        n += versions.connection.execute(sa.delete(picks).where(unused)).rowcount
    return n


def forget_detections(versions: Versions, station: str, starttimes_ns: Iterable[int]) -> int:
    """Delete detections of a station; return how many."""
    table = versions.layout.catalog["detections"]
    n = 0
    for some in chunks(starttimes_ns):
        which = (table.c.station == station) & table.c.starttime_ns.in_(some)
        n += versions.connection.execute(sa.delete(table).where(which)).rowcount
    return n


def _known(
    versions: Versions,
    name: str,
    names: list[str],
    places: list[int],
    wanted: Iterable[tuple[Any, ...]],
) -> dict[tuple[Any, ...], tuple[int, tuple[Any, ...]]]:
    """Return row number and content of the rows that have one of the keys."""
    select = versions.statements.rows(name, names[places[0]], names)
    found = {}
    for some in chunks({key[0] for key in wanted}):
        for number, *values in versions.connection.execute(select, {"wanted": some}):
            found[tuple(values[k] for k in places)] = (int(number), tuple(values))
    return found
