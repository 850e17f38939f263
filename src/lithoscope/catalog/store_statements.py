"""Statements of SQL that single events are read and written with.

They are made once for a database: to make one takes longer than to run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from lithoscope.catalog.store_tables import OF_EVENT, Layout


class Statements:
    """Statements for one layout; parameters are named as their columns, ``wanted`` is a list."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._rows: dict[tuple[str, ...], sa.Select[Any]] = {}
        self._inserts: dict[str, sa.Insert] = {}
        self._last_rows: dict[tuple[str, ...], sa.Select[Any]] = {}

    def rows(self, name: str, column: str, names: Sequence[str]) -> sa.Select[Any]:
        """Return what reads some columns of the rows with one of the wanted values in a column."""
        key = (name, column, *names)
        if key not in self._rows:
            table = self.layout.catalog[name]
            key_column = table.c[column]
            wanted = sa.bindparam("wanted", expanding=True, type_=key_column.type)
            select = sa.select(table.c.row, *(table.c[n] for n in names))
            self._rows[key] = select.where(key_column.in_(wanted))
        return self._rows[key]

    def insert(self, name: str) -> sa.Insert:
        """Return what appends rows to a table."""
        if name not in self._inserts:
            self._inserts[name] = sa.insert(self.layout.metadata.tables[name])
        return self._inserts[name]

    @cached_property
    def schema_version(self) -> sa.Select[Any]:
        """What reads the schema version of the store."""
        return sa.select(sa.func.max(self.layout.schema_version.c.schema_version))

    @cached_property
    def current(self) -> sa.Select[Any]:
        """What reads the row of ``events`` of an event."""
        table = self.layout.events
        return sa.select(table).where(table.c.event_id == sa.bindparam("event_id"))

    def last_rows(self, names: tuple[str, ...]) -> sa.Select[Any]:
        """Return what reads the number of the last row of some tables of the catalogue."""
        if names not in self._last_rows:
            rows = [sa.func.max(self.layout.catalog[name].c.row) for name in names]
            self._last_rows[names] = sa.select(*(sa.select(r).scalar_subquery() for r in rows))
        return self._last_rows[names]

    @cached_property
    def take_off(self) -> list[sa.Delete]:
        """What deletes the rows of an event."""
        tables = [self.layout.catalog[name] for name in OF_EVENT]
        return [sa.delete(t).where(t.c.event_id == sa.bindparam("event_id")) for t in tables]

    @cached_property
    def last_automatic(self) -> sa.Select[Any]:
        """What reads version and content of the latest automatic solution of an event."""
        versions = self.layout.versions.c
        return (
            sa.select(versions.version, versions.content)
            .where(
                versions.event_id == sa.bindparam("event_id"),
                versions.evaluation_mode == "automatic",
                versions.action != "cancel",
            )
            .order_by(versions.version.desc())
            .limit(1)
        )

    @cached_property
    def last_change(self) -> sa.Select[Any]:
        """What reads sequence number and time of the latest change, and an event's last version."""
        log = self.layout.versions.c
        mine = log.event_id == sa.bindparam("event_id")
        highest = sa.select(sa.func.max(log.version)).where(mine).scalar_subquery()
        return (
            sa.select(log.sequence, log.made_at_ns, highest).order_by(log.sequence.desc()).limit(1)
        )

    @cached_property
    def keep(self) -> sa.Update:
        """What puts the content of a version into the log."""
        log = self.layout.versions
        return (
            sa.update(log)
            .where(log.c.event_id == sa.bindparam("of"), log.c.version == sa.bindparam("shown"))
            .values(content=sa.bindparam("kept"))
        )
