"""The catalogue in a database: SQLite or PostgreSQL by the same SQLAlchemy Core code.

A batch run writes its catalogue as a whole; a watch adds picks and solutions one by one; operators
review; services read. Several processes may do so at once (see `store_database`). Every automatic
solution and every decision of an operator is a version of its event; see ``docs/store.md``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
import sqlalchemy as sa

from lithoscope.catalog.store_add import add_columns, add_rows, forget_detections, forget_picks
from lithoscope.catalog.store_database import Database
from lithoscope.catalog.store_plain import PlainReader
from lithoscope.catalog.store_replace import replace
from lithoscope.catalog.store_tables import Columns
from lithoscope.catalog.store_versions import (
    Action,
    Change,
    Judged,
    Versions,
    check_solution,
    plain,
    to_document,
    used_picks,
)
from lithoscope.catalog.tables import SCHEMAS, Catalog
from lithoscope.errors import DataError, StorageError

_AUTOMATIC = Judged()


class Store(PlainReader):
    """A catalogue in a database.

    Threads may share a store; processes may not, but each may have its own on the same database.

    Parameters
    ----------
    url
        SQLAlchemy URL (``sqlite:////full/path.sqlite``, ``postgresql+psycopg://user@host/name``)
        or the path of an SQLite file. One database (for PostgreSQL: one search path) holds one
        catalogue.
    clock
        Returns the time that changes are marked with, ns since 1970.

    Raises
    ------
    StorageError
        On use, if the database cannot be reached, read or written. A store of an older version is
        upgraded by the first write, in its transaction; one of a newer version is refused.
    """

    def __init__(self, url: str | Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(Database(url))
        self.url = str(url)
        self._clock = clock

    def close(self) -> None:
        """Close the connections; a later use opens new ones."""
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, catalog: Catalog) -> list[str]:
        """Replace the automatic catalogue by ``catalog`` in one transaction.

        A reader or a kill sees the old catalogue or the new one, never a mixture; writing the
        same catalogue again changes nothing. What operators decided stays (see `replace`).

        Returns
        -------
        Ids of the events that are kept as operators left them.

        Raises
        ------
        DataError
            If an event id occurs twice.
        StorageError
            If the database cannot be written (no permission, disk full, damaged file).
        """
        with self.database.writing() as connection:
            versions = self._versions(connection)
            old = {name: self._read_table(connection, name) for name in SCHEMAS}
            old["events"] = self._read_states(connection, old["events"])
            return replace(versions, catalog, old, self._clock())

    def add(self, name: str, frame: pd.DataFrame) -> None:
        """Add rows of ``picks``, ``detections``, ``stations`` or ``problems``, durable on return.

        A pick with the id of one that is there, a detection of the same station, start and model,
        and a station of the same code and start take the place of the old row; a problem that is
        there already is left.

        Raises
        ------
        DataError
            If the table does not fit its schema.
        StorageError
            If there is no such table, or the database cannot be written.
        """
        with self.database.writing() as connection:
            add_rows(self._versions(connection), name, frame)

    def forget_picks(self, pick_ids: Sequence[str]) -> int:
        """Delete picks that no event names, durable on return; return how many.

        Versions that are no longer shown and cancelled events hold their picks themselves.
        """
        with self.database.writing() as connection:
            return forget_picks(self._versions(connection), pick_ids)

    def forget_detections(self, station: str, starttimes_ns: Sequence[int]) -> int:
        """Delete detections of a station by their starts, durable on return; return how many."""
        with self.database.writing() as connection:
            return forget_detections(self._versions(connection), station, starttimes_ns)

    def put_event(self, solution: Catalog, *, replaces: Sequence[str] = ()) -> Change | None:
        """Give an event its latest automatic solution, durable on return.

        Parameters
        ----------
        solution
            One event with its arrivals, the picks they name, and station magnitudes.
        replaces
            Ids of events that this one absorbs; they are cancelled with it.

        Returns
        -------
        The change, or None if the solution equals the latest automatic one. An event that an
        operator has judged keeps the operator's solution: the new one is its latest version in
        the log but not the one that queries show.

        Raises
        ------
        DataError
            If ``solution`` is not one event with its picks.
        StorageError
            If the database cannot be written.
        """
        parts = plain(dict(solution.tables()))
        name = check_solution(parts)
        parts["picks"] = used_picks(parts)
        with self.database.writing() as connection:
            versions = self._versions(connection)
            change = self._put_automatic(versions, name, parts)
            for other in replaces:
                self._cancel(versions, other, f"merged into {name}")
            return change

    def _put_automatic(
        self, versions: Versions, name: str, parts: Mapping[str, Columns]
    ) -> Change | None:
        content = to_document(parts)
        row = versions.current(name)
        last = None if row is None else versions.last_automatic(name, row)
        if last is not None and last[1] == content and not _is_cancelled(row):
            return None
        add_columns(versions, "picks", parts["picks"])
        action: Action = "new" if row is None else "update"
        if row is not None and row["evaluation_mode"] == "manual":
            return versions.record(name, "update", _AUTOMATIC, self._clock(), content)
        change = versions.record(name, action, _AUTOMATIC, self._clock())
        shown = None if row is None else int(row["version"])
        versions.show(parts, change, _AUTOMATIC, shown=shown, known=last)
        return change

    def cancel_event(self, event_id: str, reason: str) -> Change | None:
        """Take an automatic event back, durable on return; its versions stay.

        Returns
        -------
        The change, or None if there is no such event, it is taken back already, or an operator
        has judged it (the operator's word stands).
        """
        with self.database.writing() as connection:
            return self._cancel(self._versions(connection), event_id, reason)

    def _cancel(self, versions: Versions, event_id: str, reason: str) -> Change | None:
        row = versions.current(event_id)
        if row is None or row["evaluation_mode"] == "manual" or _status(row) == "rejected":
            return None
        judged = Judged("automatic", "rejected", note=reason)
        change = versions.record(event_id, "cancel", judged, self._clock())
        versions.judge(event_id, change, judged)
        return change

    def put_review(
        self,
        event_id: str,
        judged: Judged,
        *,
        action: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        comment: str = "",
        solution: Catalog | None = None,
        based_on: int | None = None,
    ) -> Change:
        """Record an operator's decision as a version and in the audit trail, in one transaction.

        Parameters
        ----------
        judged
            Mode and status the event has from now on, and who says so.
        action, before, after, comment
            What goes into the audit trail; the mappings hold what the action changed.
        solution
            The new solution; None keeps the one shown.
        based_on
            Version that the operator saw.

        Raises
        ------
        DataError
            If there is no such event, or it has changed since ``based_on``.
        StorageError
            If the database cannot be written.
        """
        with self.database.writing() as connection:
            versions = self._versions(connection)
            row = versions.current(event_id)
            if row is None:
                raise DataError(f"there is no event '{event_id}'")
            if based_on is not None and based_on != row["version"]:
                raise DataError(
                    f"event '{event_id}' changed meanwhile (version {based_on} to "
                    f"{row['version']}); look at it again"
                )
            change = versions.record(event_id, "review", judged, self._clock())
            if solution is None:
                if _is_cancelled(row):  # its picks may be in its log only
                    add_rows(versions, "picks", versions.shown([event_id])["picks"])
                versions.judge(event_id, change, judged)
            else:
                parts = plain(dict(solution.tables()))
                check_solution(parts, event_id)
                add_columns(versions, "picks", parts["picks"])
                versions.show(parts, change, judged, shown=int(row["version"]))
            trail = {
                "sequence": change.sequence,
                "event_id": event_id,
                "version": change.version,
                "made_at_ns": change.made_at_ns,
                "username": judged.author,
                "action": action,
                "before": json.dumps(dict(before), default=str),
                "after": json.dumps(dict(after), default=str),
                "comment": comment,
            }
            connection.execute(sa.insert(self.layout.audit), [trail])
            return change

    def put_settings(self, text: str, attachments: Mapping[str, bytes] | None = None) -> None:
        """Store the configuration that the catalogue is made with, and the files it rests on.

        Parameters
        ----------
        text
            Resolved configuration, TOML.
        attachments
            Contents of files that the configuration names, by that name; they replace all before.
        """
        documents = {"settings": text.encode()}
        documents |= {f"attached/{n}": content for n, content in (attachments or {}).items()}
        table = self.layout.documents
        with self.database.writing() as connection:
            connection.execute(sa.delete(table))
            rows = [{"name": n, "content": content} for n, content in documents.items()]
            connection.execute(sa.insert(table), rows)

    def put_state(self, name: str, content: Any) -> None:
        """Keep a small durable value under a name (anything that JSON can hold)."""
        try:
            text = json.dumps(content, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise StorageError(f"state '{name}' cannot be stored as JSON: {error}") from None
        table = self.layout.state
        with self.database.writing() as connection:
            connection.execute(sa.delete(table).where(table.c.name == name))
            connection.execute(sa.insert(table), [{"name": name, "content": text}])


def _status(row: sa.RowMapping) -> str:
    return str(row["evaluation_status"])


def _is_cancelled(row: sa.RowMapping | None) -> bool:
    """Tell whether a watch has taken an event back."""
    return row is not None and row["evaluation_mode"] == "automatic" and _status(row) == "rejected"
