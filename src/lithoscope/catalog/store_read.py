"""What a store answers: catalogues, queries, versions, the log of changes."""

from __future__ import annotations

import json
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from lithoscope.catalog.store_database import Database
from lithoscope.catalog.store_migrations import SCHEMA_VERSION
from lithoscope.catalog.store_query import EventQuery, conditions, order
from lithoscope.catalog.store_replace import replace
from lithoscope.catalog.store_tables import (
    SOLUTION,
    STATE_COLUMNS,
    from_columns,
    from_stored,
    stored_name,
    transposed,
)
from lithoscope.catalog.store_versions import Change, Versions, chunks, from_document
from lithoscope.catalog.tables import SCHEMAS, Catalog, Evaluation
from lithoscope.errors import DataError, StorageError

_STATE_KINDS = {
    "version": "integer",
    "updated_ns": "time",
    "evaluation_mode": "text",
    "evaluation_status": "text",
}
_VERSION_COLUMNS = (
    "version",
    "sequence",
    "action",
    "made_at_ns",
    "evaluation_mode",
    "evaluation_status",
    "author",
    "note",
)
_KINDS = {c.name: c.kind for c in SCHEMAS["events"].columns}
#: Kinds of the columns of EVENTS and of those that say which version is shown.
EVENT_KINDS = _KINDS | {name.removesuffix("_ns"): kind for name, kind in _STATE_KINDS.items()}


class Reader:
    """The reading half of `Store`; no method changes anything.

    A store of an older version is read through an upgraded copy where its own tables cannot
    answer; the copy is temporary and made once.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.layout = database.layout
        self._upgraded: Database | None = None

    # ---- whole tables

    def read(self) -> Catalog:
        """Return the catalogue that is shown: the preferred solution of every event not rejected.

        Raises
        ------
        StorageError
            If there is no store, it is damaged, or a newer Lithoscope wrote it.
        """
        with self.database.reading() as (connection, version):
            tables: dict[str, Any] = {n: self._read_table(connection, n) for n in SCHEMAS}
            if version < SCHEMA_VERSION:
                return Catalog(**tables)
            states = self._read_states(connection, tables["events"])
            rejected = set(states.loc[states["evaluation_status"] == "rejected", "event_id"])
            if rejected:
                for name in ("events", "arrivals", "station_magnitudes"):
                    out = tables[name]["event_id"].isin(rejected)
                    tables[name] = tables[name][~out].reset_index(drop=True)
            shown = states[~states["event_id"].isin(rejected)]
            return Catalog(**tables, evaluation=self._evaluation(connection, shown))

    def table(self, name: str) -> pd.DataFrame:
        """Return one table of the catalogue (``events``, ``picks``, ...) without the others.

        Raises
        ------
        StorageError
            As `read`, or if the catalogue has no table of that name.
        """
        if name not in SCHEMAS:
            raise StorageError(f"the store has no table '{name}'; it has {', '.join(SCHEMAS)}")
        with self.database.reading() as (connection, version):
            frame = self._read_table(connection, name)
            if version < SCHEMA_VERSION or "event_id" not in frame.columns:
                return frame
            events = self.layout.events.c
            query = sa.select(events.event_id).where(events.evaluation_status == "rejected")
            rejected = set(connection.execute(query).scalars())
            return frame[~frame["event_id"].isin(rejected)].reset_index(drop=True)

    def _read_table(self, connection: sa.Connection, name: str) -> pd.DataFrame:
        table = self.layout.catalog[name]
        known = [table.c[n] for n in self.database.columns(connection, name)]
        rows = connection.execute(sa.select(*known).order_by(table.c.row)).fetchall()
        return from_columns(transposed(rows, [c.name for c in known]), SCHEMAS[name])

    def _read_states(self, connection: sa.Connection, events: pd.DataFrame) -> pd.DataFrame:
        """Return the events with their state columns; a table in the order of ``events``."""
        c = self.layout.events.c
        query = sa.select(*(c[name] for name in STATE_COLUMNS)).order_by(c.row)
        rows = connection.execute(query).fetchall()
        columns = transposed(rows, STATE_COLUMNS)
        found = {n: list(columns.get(n, [])) for n in STATE_COLUMNS}
        return events.assign(**found)

    # ---- queries

    def events(self, query: EventQuery, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the preferred solutions that match, filtered, ordered and cut by the database.

        Parameters
        ----------
        query
            What to select.
        columns
            Columns wanted, of EVENTS and ``version``, ``updated`` (time of the last change),
            ``evaluation_mode``, ``evaluation_status``; default all. A few are far cheaper.
        """
        known = [*_KINDS, *(name.removesuffix("_ns") for name in STATE_COLUMNS)]
        wanted = known if columns is None else list(columns)
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise DataError(f"events have no column '{unknown[0]}'; they have {', '.join(known)}")
        stored = [stored_name(name, EVENT_KINDS[name]) for name in wanted]
        values = self._select_events(query, stored)
        out = {
            name: from_stored(values.get(where, ()), EVENT_KINDS[name])
            for name, where in zip(wanted, stored, strict=True)
        }
        return pd.DataFrame(out)

    def _select_events(self, query: EventQuery, stored: Sequence[str]) -> dict[str, Sequence[Any]]:
        """Return the stored columns of the events that match; empty if none does."""
        c = self.layout.events.c
        select = sa.select(*(c[name] for name in stored)).where(*conditions(query, c))
        select = select.order_by(*order(query, c)).limit(query.limit)
        if query.offset:
            select = select.offset(query.offset)
            if query.limit is None:
                select = select.limit(2**62)  # SQLite knows OFFSET after LIMIT only
        with self._reading() as connection:
            return transposed(connection.execute(select).fetchall(), stored)

    def count(self, query: EventQuery) -> int:
        """Return how many events match, limit and offset aside."""
        c = self.layout.events.c
        select = sa.select(sa.func.count()).select_from(self.layout.events)
        with self._reading() as connection:
            return int(connection.execute(select.where(*conditions(query, c))).scalar_one())

    def catalog(self, event_ids: Sequence[str]) -> Catalog:
        """Return the preferred solutions of some events as they stand at one moment.

        Events that do not exist are left out; rejected ones are in. ``stations`` holds the
        stations of the arrivals; ``evaluation`` how the events are judged and, of those with a
        manual solution, the latest automatic one.
        """
        with self._reading() as connection:
            return self._catalog(connection, event_ids)

    def _catalog(self, connection: sa.Connection, event_ids: Sequence[str]) -> Catalog:
        tables = self._versions(connection).shown(list(dict.fromkeys(event_ids)))
        tables["stations"] = self._stations(connection, tables)
        states = self._states(connection, list(tables["events"]["event_id"]))
        return Catalog(**tables, evaluation=self._evaluation(connection, states))

    def event(self, event_id: str, version: int | None = None) -> Catalog:
        """Return one event: its preferred solution, or that of a version.

        Raises
        ------
        DataError
            If there is no such event or version.
        """
        with self._reading() as connection:
            versions = self._versions(connection)
            row = versions.current(event_id)
            if row is None:
                raise DataError(f"there is no event '{event_id}'")
            content = None if version is None else versions.document(event_id, version)
            if content is not None:
                tables = from_document(content)
                tables["stations"] = self._stations(connection, tables)
                return Catalog(**tables)
            if version is not None and version != row["version"]:
                raise DataError(f"version {version} of event '{event_id}' is no longer kept")
            tables = versions.shown([event_id])
            tables["stations"] = self._stations(connection, tables)
            states = self._states(connection, [event_id])
            return Catalog(**tables, evaluation=self._evaluation(connection, states))

    def versions(self, event_id: str) -> pd.DataFrame:
        """Return one row a version, oldest first: who made it, how it is judged, and its solution.

        Columns ``version``, ``sequence``, ``action``, ``made_at``, ``evaluation_mode``,
        ``evaluation_status``, ``author``, ``note`` (comment, or why an event was cancelled),
        ``preferred``, and those of EVENTS.

        Raises
        ------
        DataError
            If there is no such event.
        """
        log = self.layout.versions.c
        with self._reading() as connection:
            select = sa.select(*(log[n] for n in _VERSION_COLUMNS), log.content)
            select = select.where(log.event_id == event_id).order_by(log.version)
            rows = connection.execute(select).mappings().all()
            shown = self._states(connection, [event_id])
            current = self._versions(connection).shown([event_id])["events"]
        if not rows:
            raise DataError(f"there is no event '{event_id}'")
        preferred = int(shown["version"].iloc[0]) if len(shown) else -1
        events = []
        for row in rows:
            if row["content"] is not None:
                events.append(from_document(row["content"])["events"])
            else:
                events.append(current if row["version"] == preferred else _nothing(event_id))
        out = pd.DataFrame([{n: row[n] for n in _VERSION_COLUMNS} for row in rows])
        out["made_at_ns"] = pd.to_datetime(out["made_at_ns"], utc=True)
        out = out.rename(columns={"made_at_ns": "made_at"})
        out["preferred"] = out["version"] == preferred
        return pd.concat([out, pd.concat(events, ignore_index=True)], axis=1)

    # ---- the log

    def sequence(self) -> int:
        """Return the number of the latest change, 0 for none."""
        with self._reading() as connection:
            return self._versions(connection).last_change()[0]

    def changes(self, after: int = 0, limit: int = 1000) -> list[Change]:
        """Return the changes with a sequence number above ``after``, oldest first."""
        log = self.layout.versions.c
        select = (
            sa.select(log.sequence, log.event_id, log.version, log.action, log.made_at_ns)
            .where(log.sequence > after)
            .order_by(log.sequence)
            .limit(limit)
        )
        with self._reading() as connection:
            return [Change(*row) for row in connection.execute(select)]

    def audit(self, event_id: str | None = None, limit: int = 1000) -> pd.DataFrame:
        """Return what operators did, latest first.

        Columns ``sequence``, ``event_id``, ``version``, ``made_at``, ``user``, ``action``,
        ``before`` and ``after`` (mappings of what the action changed), ``comment``.
        """
        table = self.layout.audit
        select = sa.select(table).order_by(table.c.sequence.desc()).limit(limit)
        if event_id is not None:
            select = select.where(table.c.event_id == event_id)
        with self._reading() as connection:
            rows = connection.execute(select).fetchall()
        out = pd.DataFrame(rows, columns=[c.name for c in table.columns])
        out = out.rename(columns={"username": "user", "made_at_ns": "made_at"})
        out["made_at"] = pd.to_datetime(out["made_at"].astype("int64"), utc=True)
        for name in ("before", "after"):
            out[name] = [json.loads(text) for text in out[name]]
        return out

    def settings(self) -> str | None:
        """Return the configuration that the catalogue was made with (TOML), None if unknown."""
        content = self._document("settings")
        return None if content is None else content.decode()

    def attachment(self, name: str) -> bytes | None:
        """Return the content of a file that the configuration names."""
        return self._document(f"attached/{name}")

    def _document(self, name: str) -> bytes | None:
        table = self.layout.documents.c
        with self._reading() as connection:
            found = connection.execute(
                sa.select(table.content).where(table.name == name)
            ).scalar_one_or_none()
        return None if found is None else bytes(found)

    def state(self, name: str, default: Any = None) -> Any:
        """Return what `Store.put_state` has kept under a name."""
        table = self.layout.state.c
        with self._reading() as connection:
            found = connection.execute(
                sa.select(table.content).where(table.name == name)
            ).scalar_one_or_none()
        return default if found is None else json.loads(found)

    # ---- parts

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """Give a connection to tables of today's version."""
        with self.database.reading() as (connection, version):
            if version == SCHEMA_VERSION:
                self._upgraded = None
                yield connection
                return
            if self._upgraded is None:
                self._upgraded = self._upgraded_copy(connection)
        with self._upgraded.reading() as (connection, _):
            yield connection

    def _upgraded_copy(self, connection: sa.Connection) -> Database:
        folder = tempfile.TemporaryDirectory(prefix="lithoscope-", ignore_cleanup_errors=True)
        copy = Database(Path(folder.name) / "store.sqlite")
        weakref.finalize(copy, folder.cleanup)
        with copy.writing() as target:
            tables: dict[str, Any] = {n: self._read_table(connection, n) for n in SCHEMAS}
            catalog = Catalog(**tables)
            empty = {name: frame.iloc[:0] for name, frame in catalog.tables()}
            empty["events"] = empty["events"].assign(**{name: [] for name in STATE_COLUMNS})
            replace(Versions(copy, target), catalog, empty, time.time_ns())
        return copy

    def _versions(self, connection: sa.Connection) -> Versions:
        return Versions(self.database, connection)

    def _stations(self, connection: sa.Connection, tables: dict[str, Any]) -> pd.DataFrame:
        stations = self._read_table(connection, "stations")
        codes = set(tables["arrivals"]["station"]) | set(tables["station_magnitudes"]["station"])
        return stations[stations["station"].isin(codes)].reset_index(drop=True)

    def _states(self, connection: sa.Connection, event_ids: Sequence[str]) -> pd.DataFrame:
        c = self.layout.events.c
        select = sa.select(c.event_id, *(c[name] for name in STATE_COLUMNS))
        rows: list[Any] = []
        for some in chunks(event_ids):
            rows += connection.execute(select.where(c.event_id.in_(some))).fetchall()
        return pd.DataFrame(rows, columns=["event_id", *STATE_COLUMNS])

    def _evaluation(self, connection: sa.Connection, states: pd.DataFrame) -> Evaluation | None:
        """Return how events are judged, None if all are automatic and preliminary."""
        plain = (states["evaluation_mode"] == "automatic") & (
            states["evaluation_status"] == "preliminary"
        )
        judged = states[~plain]
        if judged.empty:
            return None
        versions = self._versions(connection)
        manual = list(judged.loc[judged["evaluation_mode"] == "manual", "event_id"])
        found = [versions.last_automatic(name) for name in manual]
        tables = [from_document(content) for _, content in filter(None, found)]
        automatic: dict[str, Any] = {}
        if tables:
            automatic = {n: pd.concat([t[n] for t in tables]) for n in SOLUTION}
        return Evaluation(
            judged[["event_id", "evaluation_mode", "evaluation_status"]].reset_index(drop=True),
            Catalog(**automatic),
            self._comments(connection, list(judged["event_id"])),
        )

    def _comments(self, connection: sa.Connection, event_ids: Sequence[str]) -> pd.DataFrame:
        c = self.layout.audit.c
        select = sa.select(c.event_id, c.username, c.made_at_ns, c.comment).order_by(c.sequence)
        rows: list[Any] = []
        for some in chunks(event_ids):
            rows += connection.execute(
                select.where(c.event_id.in_(some), c.comment != "")
            ).fetchall()
        out = pd.DataFrame(rows, columns=["event_id", "user", "made_at", "text"])
        return out.assign(made_at=pd.to_datetime(out["made_at"].astype("int64"), utc=True))


def _nothing(event_id: str) -> pd.DataFrame:
    """Return an EVENTS row without content, for a version that is no longer kept."""
    row: dict[str, list[Any]] = {
        stored_name(c.name, c.kind): [None] for c in SCHEMAS["events"].columns
    }
    return from_columns({**row, "event_id": [event_id]}, SCHEMAS["events"])
