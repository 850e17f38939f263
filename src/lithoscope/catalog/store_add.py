"""Append rows to tables of a store, each at most once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import sqlalchemy as sa

from lithoscope.catalog.store_tables import stored_name, to_columns, to_rows
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
    rows = to_rows(to_columns(schema.check(frame), schema))
    keys = KEYS[name]
    wanted = {tuple(row[key] for key in keys): row for row in rows}  # the last of equal keys
    table = versions.layout.catalog[name]
    known = _known(versions, table, keys, list(wanted))
    changed, fresh = [], []
    for key, row in wanted.items():
        if key not in known:
            fresh.append(row)
        elif known[key][1] != row:
            changed.append({"at_row": known[key][0], **{f"new_{k}": v for k, v in row.items()}})
    if changed:
        values: dict[str, Any] = {c: sa.bindparam(f"new_{c}") for c in rows[0]}
        update = sa.update(table).where(table.c.row == sa.bindparam("at_row")).values(**values)
        versions.connection.execute(update, changed)
    if fresh:
        columns = {c: [row[c] for row in fresh] for c in fresh[0]}
        versions.insert(name, columns)


def forget_picks(versions: Versions, pick_ids: Iterable[str]) -> int:
    """Delete picks that no shown solution uses; return how many."""
    picks, arrivals = versions.layout.catalog["picks"], versions.layout.catalog["arrivals"]
    n = 0
    for some in chunks(pick_ids):
        used = sa.select(arrivals.c.pick_id).where(arrivals.c.pick_id.in_(some))
        unused = picks.c.pick_id.in_(some) & picks.c.pick_id.not_in(used)
        n += versions.connection.execute(sa.delete(picks).where(unused)).rowcount
    return n


def _known(
    versions: Versions, table: sa.Table, keys: tuple[str, ...], wanted: list[tuple[Any, ...]]
) -> dict[tuple[Any, ...], tuple[int, dict[str, Any]]]:
    """Return row number and content of the rows that have one of the keys."""
    schema = SCHEMAS[table.name]
    names = [stored_name(c.name, c.kind) for c in schema.columns]
    found = {}
    first = {key[0] for key in wanted}
    for some in chunks(first):
        query = sa.select(table.c.row, *(table.c[n] for n in names))
        for row in versions.connection.execute(query.where(table.c[keys[0]].in_(some))).mappings():
            content = {n: row[n] for n in names}
            found[tuple(content[key] for key in keys)] = (int(row["row"]), content)
    return found
