"""Reads of a store for services that answer many small requests: plain rows, no tables.

The statements are made once and kept, so that a read costs the database's own work and little more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray

from lithoscope.catalog.plain import ROWS, ShownEvent, Solution, gathered, solutions
from lithoscope.catalog.store_database import Database
from lithoscope.catalog.store_query import EventQuery
from lithoscope.catalog.store_read import EVENT_KINDS, Reader
from lithoscope.catalog.store_tables import (
    STATE_COLUMNS,
    array_of,
    from_columns,
    stored_name,
    transposed,
)
from lithoscope.catalog.store_versions import chunks
from lithoscope.catalog.tables import SCHEMAS
from lithoscope.errors import StorageError

_EMPTY = {"text": "", "integer": 0, "boolean": False}
_OF_STATION = ("arrivals", "picks", "station_magnitudes")


class PlainReader(Reader):
    """Adds to `Reader` the reads that a service repeats."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._statements: dict[tuple[str, str], sa.Select[Any]] = {}

    def event_columns(self, query: EventQuery) -> dict[str, NDArray[Any]]:
        """Return what `events` returns, all columns, as arrays under their stored names.

        Times are ns since 1970, NaT is the least integer.
        """
        kinds = {stored_name(name, kind): kind for name, kind in EVENT_KINDS.items()}
        values = self._select_events(query, list(kinds))
        return {name: array_of(values.get(name, ()), kind) for name, kind in kinds.items()}

    def solutions(self, event_ids: Iterable[str]) -> dict[str, Solution]:
        """Return the preferred solutions of some events as plain rows, by event id.

        Events that do not exist are left out; rejected ones are in.
        """
        names = list(dict.fromkeys(event_ids))
        with self._reading() as connection:
            tables = {
                table: self._rows(connection, table, "event_id", names)
                for table in ("events", "arrivals", "station_magnitudes")
            }
            picks = list(dict.fromkeys(row.pick_id for row in tables["arrivals"]))
            tables["picks"] = self._rows(connection, "picks", "pick_id", picks)
            found = {one.event.event_id: one for one in gathered(tables)}
            judged = [name for name, one in found.items() if _is_judged(one.event)]
            if judged:  # few, and what was decided about them lies in other tables
                for one in solutions(self._catalog(connection, judged)):
                    event = found[one.event.event_id].event
                    found[event.event_id] = replace(one, event=event)
        return found

    def of_station(self, name: str, station: str, limit: int = 5000) -> pd.DataFrame:
        """Return rows of a station in ``arrivals``, ``picks`` or ``station_magnitudes``.

        The latest come first; those of rejected events are left out.

        Raises
        ------
        StorageError
            If the store cannot be read, or for another table.
        """
        table = self._table_of_stations(name)
        with self._reading() as connection:
            names = self.database.columns(connection, name)
            last = table.c.row if name == "station_magnitudes" else table.c.time_ns
            select = sa.select(*(table.c[n] for n in names)).where(table.c.station == station)
            select = select.where(*self._shown_only(table)).order_by(last.desc()).limit(limit)
            rows = connection.execute(select).fetchall()
        return from_columns(transposed(rows, names), SCHEMAS[name])

    def counts(self, station: str | None = None) -> dict[str, int]:
        """Return the rows of each table; of a station only, in those that `of_station` reads."""
        names = SCHEMAS if station is None else _OF_STATION
        with self._reading() as connection:
            return {name: self._count(connection, name, station) for name in names}

    def count_rows(self, name: str) -> int:
        """Return the rows of one table, those of rejected events aside."""
        with self._reading() as connection:
            return self._count(connection, name, None)

    def _count(self, connection: sa.Connection, name: str, station: str | None) -> int:
        table = self.layout.catalog[name]
        select = sa.select(sa.func.count()).select_from(table).where(*self._shown_only(table))
        if station is not None:
            select = select.where(table.c.station == station)
        return int(connection.execute(select).scalar_one())

    def first_rows(self, name: str, limit: int) -> pd.DataFrame:
        """Return the first rows of a table, in the order they were written."""
        table = self.layout.catalog[name]
        with self._reading() as connection:
            names = self.database.columns(connection, name)
            select = sa.select(*(table.c[n] for n in names)).order_by(table.c.row).limit(limit)
            rows = connection.execute(select).fetchall()
        return from_columns(transposed(rows, names), SCHEMAS[name])

    def _table_of_stations(self, name: str) -> sa.Table:
        if name not in _OF_STATION:
            raise StorageError(f"no rows of a station in '{name}'; use {', '.join(_OF_STATION)}")
        return self.layout.catalog[name]

    def _shown_only(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Return the condition that leaves the rows of rejected events out."""
        if "event_id" not in table.c:
            return []
        events = self.layout.events.c
        rejected = sa.select(events.event_id).where(events.evaluation_status == "rejected")
        return [table.c.event_id.not_in(rejected)]

    def _rows(
        self, connection: sa.Connection, name: str, column: str, values: Sequence[str]
    ) -> list[Any]:
        """Return the rows with one of the values in a column, in the order they were written."""
        statement = self._statement(connection, name, column)
        found: list[Any] = []
        for some in chunks(values):
            found += connection.execute(statement, {"wanted": some}).all()
        found.sort(key=_first)
        make = ShownEvent if name == "events" else ROWS[name]
        return [make(*row[1:]) for row in found]

    def _statement(self, connection: sa.Connection, name: str, column: str) -> sa.Select[Any]:
        statement = self._statements.get((name, column))
        if statement is None:
            table = self.layout.catalog[name]
            present = set(self.database.columns(connection, name))
            columns: list[Any] = []
            for c in SCHEMAS[name].columns:
                stored = stored_name(c.name, c.kind)
                empty = sa.literal(_EMPTY.get(c.kind))
                if stored not in present:
                    columns.append(empty.label(stored))
                elif c.kind in _EMPTY:  # rows of before the table had the column
                    columns.append(sa.func.coalesce(table.c[stored], empty).label(stored))
                else:
                    columns.append(table.c[stored])
            if name == "events":
                columns += [table.c[n] for n in STATE_COLUMNS]
            wanted: sa.BindParameter[Any] = sa.bindparam("wanted", expanding=True)
            statement = sa.select(table.c.row, *columns).where(table.c[column].in_(wanted))
            self._statements[name, column] = statement
        return statement


def _is_judged(event: Any) -> bool:
    return (event.evaluation_mode, event.evaluation_status) != ("automatic", "preliminary")


def _first(row: Sequence[Any]) -> int:
    return int(row[0])
