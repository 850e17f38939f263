"""Versions of events: what is current, what was before, and how a change is recorded.

The tables of the catalogue show the preferred solution of each event. ``versions`` has a row for
every version ever made; it holds the solution itself, as JSON of the table columns, as soon as the
tables of the catalogue show another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from lithoscope.catalog.store_database import Database
from lithoscope.catalog.store_tables import (
    OF_EVENT,
    SOLUTION,
    Columns,
    from_columns,
    plain_columns,
    to_columns,
    to_rows,
    transposed,
    unit_vectors,
)
from lithoscope.catalog.tables import SCHEMAS
from lithoscope.errors import DataError, StorageError

Action = Literal["new", "update", "cancel", "review"]
_IN = 500  # values in one IN; SQLite before 3.32 takes 999


@dataclass(frozen=True)
class Change:
    """One entry of the log of changes.

    Attributes
    ----------
    sequence
        Counts the changes of the whole store without gaps; later changes have larger numbers.
    event_id, version
        Version of that event which the change made.
    action
        ``new``, ``update``, ``cancel`` (automatic), or ``review`` (by an operator).
    made_at_ns
        When, ns since 1970 UTC; never less than that of the change before.
    """

    sequence: int
    event_id: str
    version: int
    action: Action
    made_at_ns: int


@dataclass(frozen=True)
class Judged:
    """How a version is judged, by whom and why."""

    evaluation_mode: str = "automatic"
    evaluation_status: str = "preliminary"
    author: str = ""
    note: str = ""


def plain(solution: Mapping[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """Return the tables of one solution as stored columns."""
    return {name: to_columns(solution[name], SCHEMAS[name]) for name in SOLUTION}


def to_document(parts: Mapping[str, Columns]) -> str:
    """Return the stored columns of one solution as JSON; equal solutions give equal text."""
    ordered: dict[str, Columns] = {}
    for name, columns in parts.items():
        keys = ["pick_id"] if "pick_id" in columns else ["station", "channel"]
        if name == "events":
            ordered[name] = columns
            continue
        places = list(zip(*(columns[key] for key in keys), strict=True))
        order = sorted(range(len(places)), key=places.__getitem__)
        ordered[name] = {column: [v[k] for k in order] for column, v in columns.items()}
    return json.dumps(ordered, allow_nan=False, separators=(",", ":"))


def from_document(text: str) -> dict[str, Any]:
    """Return the tables of a solution."""
    parts = json.loads(text)
    return {name: from_columns(parts.get(name, {}), SCHEMAS[name]) for name in SOLUTION}


def chunks(values: Iterable[Any], size: int = _IN) -> Iterable[list[Any]]:
    """Cut values into lists of a bounded length."""
    whole = list(values)
    return (whole[i : i + size] for i in range(0, len(whole), size))


class Versions:
    """Reads and writes solutions of single events inside a transaction."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self.database = database
        self.layout = database.layout
        self.statements = database.statements
        self.connection = connection

    def insert(self, columns: Mapping[str, Columns]) -> None:
        """Append rows to tables of the catalogue.

        They get the numbers after the last ones; writers take turns, so these are nobody else's.
        """
        last = self.connection.execute(self.statements.last_rows(tuple(columns))).one()
        for (name, mine), number in zip(columns.items(), last, strict=True):
            first = 0 if number is None else int(number) + 1
            rows = [{"row": first + i, **row} for i, row in enumerate(to_rows(mine))]
            if rows:
                self.connection.execute(self.statements.insert(name), rows)

    def current(self, event_id: str) -> sa.RowMapping | None:
        """Return the row of ``events`` of an event."""
        found = self.connection.execute(self.statements.current, {"event_id": event_id})
        return found.mappings().one_or_none()

    def shown(self, event_ids: Sequence[str]) -> dict[str, Any]:
        """Return the tables of the solutions that ``events`` shows."""
        found = {}
        for name in OF_EVENT:
            found[name] = self._where(name, "event_id", event_ids)
        picks = from_columns(self._picks_of(found["arrivals"]), SCHEMAS["picks"])
        found["picks"] = picks.drop_duplicates("pick_id").reset_index(drop=True)
        return found

    def shown_document(self, event_id: str, row: sa.RowMapping | None = None) -> str:
        """Return the solution that ``events`` shows as JSON, as `to_document` makes it.

        ``row`` may be what `current` returned.
        """
        parts: dict[str, dict[str, list[Any]]] = {}
        for name in SOLUTION:
            columns: Columns
            if name == "picks":
                columns = self._picks_of(parts["arrivals"])
            elif name == "events" and row is not None:
                columns = {column: [value] for column, value in row.items()}
            else:
                columns = self._columns_where(name, "event_id", [event_id])
            parts[name] = plain_columns(columns, SCHEMAS[name])
        ids = parts["picks"]["pick_id"]
        first = [k for k, name in enumerate(ids) if name not in ids[:k]]
        parts["picks"] = {n: [v[k] for k in first] for n, v in parts["picks"].items()}
        return to_document(parts)

    def _picks_of(self, arrivals: Mapping[str, Iterable[str]]) -> Columns:
        """Return the stored columns of the picks that arrivals name.

        The log has those that only cancelled events name.
        """
        event_of = dict(zip(arrivals["pick_id"], arrivals["event_id"], strict=True))
        wanted = list(event_of)
        found = self._columns_where("picks", "pick_id", wanted)
        missing = set(wanted).difference(found.get("pick_id", ()))
        if not missing:
            return found
        columns = plain_columns(found, SCHEMAS["picks"])
        for name in dict.fromkeys(event_of[pick_id] for pick_id in wanted if pick_id in missing):
            last = self._last_automatic(name)
            if last is None or last[1] is None:
                continue
            theirs = plain_columns(json.loads(last[1])["picks"], SCHEMAS["picks"])
            rows = [k for k, pick_id in enumerate(theirs["pick_id"]) if pick_id in missing]
            for column, values in columns.items():
                values += [theirs[column][k] for k in rows]
        return columns

    def _where(self, name: str, column: str, values: Iterable[str]) -> Any:
        return from_columns(self._columns_where(name, column, values), SCHEMAS[name])

    def _columns_where(
        self, name: str, column: str, values: Iterable[str]
    ) -> dict[str, Sequence[Any]]:
        names = self.database.columns(self.connection, name)
        select = self.statements.rows(name, column, names)
        rows: list[Any] = []
        for some in chunks(values):
            rows += self.connection.execute(select, {"wanted": some}).all()
        rows.sort(key=lambda row: row[0])
        return transposed(rows, ["row", *names])

    def document(self, event_id: str, version: int) -> str | None:
        """Return the content of a version that is no longer shown, None for the one that is."""
        versions = self.layout.versions.c
        query = sa.select(versions.content).where(
            versions.event_id == event_id, versions.version == version
        )
        found = self.connection.execute(query).one_or_none()
        if found is None:
            raise DataError(f"event '{event_id}' has no version {version}")
        content: str | None = found[0]
        return content

    def last_automatic(
        self, event_id: str, row: sa.RowMapping | None = None
    ) -> tuple[int, str] | None:
        """Return version and content of the latest automatic solution, or None.

        ``row`` may be what `current` returned.
        """
        found = self._last_automatic(event_id)
        if found is None:
            return None
        version, content = found
        if content is None:
            content = self.shown_document(event_id, row)
        return version, content

    def _last_automatic(self, event_id: str) -> tuple[int, str | None] | None:
        """Return version and kept content (None: it is shown) of the latest automatic solution."""
        query = self.statements.last_automatic
        found = self.connection.execute(query, {"event_id": event_id}).one_or_none()
        return None if found is None else (int(found[0]), found[1])

    def last_automatic_tables(self, event_id: str) -> dict[str, Any] | None:
        """Return the tables of the latest automatic solution, or None."""
        found = self.last_automatic(event_id)
        return None if found is None else from_document(found[1])

    def last_change(self) -> tuple[int, int]:
        """Return sequence number and time (ns) of the latest change, zeros for none."""
        return self._last("")[:2]

    def _last(self, event_id: str) -> tuple[int, int, int]:
        """Return sequence number and time of the latest change, and an event's highest version."""
        query = self.statements.last_change
        found = self.connection.execute(query, {"event_id": event_id}).one_or_none()
        return (0, 0, 0) if found is None else (int(found[0]), int(found[1]), int(found[2] or 0))

    def record(
        self,
        event_id: str,
        action: Action,
        judged: Judged,
        now_ns: int,
        content: str | None = None,
    ) -> Change:
        """Append a version to the log, numbered after all before it."""
        last, last_ns, highest = self._last(event_id)
        change = Change(last + 1, event_id, highest + 1, action, max(now_ns, last_ns))
        row = {
            "sequence": change.sequence,
            "event_id": event_id,
            "version": change.version,
            "action": action,
            "made_at_ns": change.made_at_ns,
            "evaluation_mode": judged.evaluation_mode,
            "evaluation_status": judged.evaluation_status,
            "author": judged.author,
            "note": judged.note,
            "content": content,
        }
        self.connection.execute(self.statements.insert("versions"), [row])
        return change

    def show(
        self,
        solution: Mapping[str, Columns],
        change: Change,
        judged: Judged,
        *,
        shown: int | None,
        known: tuple[int, str] | None = None,
    ) -> None:
        """Make a version the one that the catalogue shows; the one before goes into the log.

        Parameters
        ----------
        solution
            Stored columns.
        shown
            The version that is shown so far.
        known
            A version and its content, which are not read again if it is that one.
        """
        if shown is not None:
            content = known[1] if known is not None and known[0] == shown else None
            self._keep(change.event_id, shown, content or self.shown_document(change.event_id))
            for delete in self.statements.take_off:
                self.connection.execute(delete, {"event_id": change.event_id})
        columns = {name: dict(solution[name]) for name in OF_EVENT}
        events = columns["events"]
        events |= state_columns([change], [judged])
        events |= unit_vectors(events["longitude"], events["latitude"])
        self.insert(columns)

    def _keep(self, event_id: str, version: int, content: str) -> None:
        """Put the content of a version into the log."""
        values = {"of": event_id, "shown": version, "kept": content}
        self.connection.execute(self.statements.keep, values)

    def judge(self, event_id: str, change: Change, judged: Judged) -> None:
        """Give the shown solution of an event a new version and judgement, nothing else."""
        row = self.current(event_id)
        if row is None:
            raise StorageError(f"event '{event_id}' vanished while it was changed")
        events = self.layout.events
        self._keep(event_id, int(row["version"]), self.shown_document(event_id, row))
        values = {name: v[0] for name, v in state_columns([change], [judged]).items()}
        self.connection.execute(
            sa.update(events).where(events.c.event_id == event_id).values(**values)
        )


def state_columns(changes: Sequence[Change], judged: Sequence[Judged]) -> dict[str, list[Any]]:
    """Return the columns of ``events`` that say which version it shows."""
    return {
        "version": [change.version for change in changes],
        "updated_ns": [change.made_at_ns for change in changes],
        "evaluation_mode": [j.evaluation_mode for j in judged],
        "evaluation_status": [j.evaluation_status for j in judged],
    }


def check_solution(solution: Mapping[str, Columns], event_id: str | None = None) -> str:
    """Return the id of the only event of a solution, given as stored columns.

    Raises
    ------
    DataError
        If there is not exactly one event, or a row belongs to another.
    """
    names = solution["events"]["event_id"]
    if len(names) != 1:
        raise DataError(f"a solution holds exactly one event; this one has {len(names)}")
    name = str(names[0])
    if event_id is not None and name != event_id:
        raise DataError(f"the solution is of event '{name}', not of '{event_id}'")
    for table in ("arrivals", "station_magnitudes"):
        others = set(solution[table]["event_id"]) - {name}
        if others:
            raise DataError(f"solution of event '{name}' has rows of event '{min(others)}'")
    missing = set(solution["arrivals"]["pick_id"]) - set(solution["picks"]["pick_id"])
    if missing:
        raise DataError(f"solution of event '{name}' lacks the pick '{min(missing)}'")
    return name


def used_picks(solution: Mapping[str, Columns]) -> dict[str, list[Any]]:
    """Return the picks that the arrivals of a solution name, each once."""
    used = set(solution["arrivals"]["pick_id"])
    first: dict[str, int] = {}
    for k, name in enumerate(solution["picks"]["pick_id"]):
        if name in used:
            first.setdefault(name, k)
    return {n: [v[k] for k in first.values()] for n, v in solution["picks"].items()}
