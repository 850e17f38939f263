"""How the tables of `lithoscope.schema` lie in a database, and rows there and back.

Times are integers, nanoseconds since 1970 UTC (column name + ``_ns``), because neither database
keeps nanoseconds itself; NaN and NaT are NULL. ``row`` keeps the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from numpy.typing import NDArray

from lithoscope.catalog.tables import SCHEMAS
from lithoscope.schema import Schema

_TYPES: dict[str, Any] = {
    "text": sa.Text,
    "float": sa.Double,
    "integer": sa.BigInteger,
    "boolean": sa.Boolean,
    "time": sa.BigInteger,
}
_NAT = np.iinfo("int64").min
# The rows of a table under their stored names, as plain values.
Columns = Mapping[str, Sequence[Any]]
# Columns of the table ``events`` beside EVENTS: the version that it shows and how that was judged;
# the epicentre as a unit vector serves queries by radius.
STATE_COLUMNS = ("version", "updated_ns", "evaluation_mode", "evaluation_status")
UNIT_COLUMNS = ("unit_x", "unit_y", "unit_z")
# What one solution of an event consists of; the tables of which have rows that are its own.
SOLUTION = ("events", "arrivals", "picks", "station_magnitudes")
OF_EVENT = ("events", "arrivals", "station_magnitudes")
# So many rows are made plain in one piece: to give a column takes pandas as long as 30 values.
_FEW = 100


def stored_name(name: str, kind: str) -> str:
    """Return the name that a column has in the database."""
    return f"{name}_ns" if kind == "time" else name


class Layout:
    """All tables of a store, as SQLAlchemy tables of one metadata.

    Attributes
    ----------
    catalog
        The tables of `SCHEMAS`, by name; ``events`` shows the preferred solutions.
    versions
        One row for every version of every event, in the order they were made: the log that
        followers read. ``content`` is the whole solution, NULL while ``events`` shows it.
    audit
        What operators did.
    documents, state
        Configuration and what belongs to it; small durable state of a watch.
    schema_version
        One row.
    """

    def __init__(self) -> None:
        self.metadata = sa.MetaData()
        self.schema_version = sa.Table(
            "lithoscope_store",
            self.metadata,
            sa.Column("schema_version", sa.BigInteger, primary_key=True, autoincrement=False),
        )
        self.catalog = {name: self._catalog_table(name) for name in SCHEMAS}
        self.events = self.catalog["events"]
        self.versions = self._versions()
        self.audit = self._audit()
        self.documents = sa.Table(
            "documents",
            self.metadata,
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("content", sa.LargeBinary, nullable=False),
        )
        self.state = sa.Table(
            "state",
            self.metadata,
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("content", sa.Text, nullable=False),
        )
        self._indices()

    def _catalog_table(self, name: str) -> sa.Table:
        columns = [
            sa.Column(stored_name(c.name, c.kind), _TYPES[c.kind], comment=c.meaning or None)
            for c in SCHEMAS[name].columns
        ]
        if name == "events":
            types = (sa.BigInteger, sa.BigInteger, sa.Text, sa.Text)
            columns += [sa.Column(c, t) for c, t in zip(STATE_COLUMNS, types, strict=True)]
            columns += [sa.Column(c, sa.Double) for c in UNIT_COLUMNS]
        row = sa.Column("row", sa.BigInteger, primary_key=True, autoincrement=False)
        return sa.Table(name, self.metadata, row, *columns)

    def _versions(self) -> sa.Table:
        return sa.Table(
            "versions",
            self.metadata,
            sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("event_id", sa.Text, nullable=False),
            sa.Column("version", sa.BigInteger, nullable=False),
            sa.Column("action", sa.Text, nullable=False),
            sa.Column("made_at_ns", sa.BigInteger, nullable=False),
            sa.Column("evaluation_mode", sa.Text, nullable=False),
            sa.Column("evaluation_status", sa.Text, nullable=False),
            sa.Column("author", sa.Text, nullable=False),
            sa.Column("note", sa.Text, nullable=False),
            sa.Column("content", sa.Text),
        )

    def _audit(self) -> sa.Table:
        return sa.Table(
            "audit",
            self.metadata,
            sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("event_id", sa.Text, nullable=False),
            sa.Column("version", sa.BigInteger, nullable=False),
            sa.Column("made_at_ns", sa.BigInteger, nullable=False),
            sa.Column("username", sa.Text, nullable=False),
            sa.Column("action", sa.Text, nullable=False),
            sa.Column("before", sa.Text, nullable=False),
            sa.Column("after", sa.Text, nullable=False),
            sa.Column("comment", sa.Text, nullable=False),
        )

    def _indices(self) -> None:
        events, parts = self.events.c, self.catalog
        sa.Index("events_by_id", events.event_id, unique=True)
        sa.Index("events_by_time", events.time_ns, events.event_id, events.evaluation_status)
        sa.Index("events_by_magnitude", events.magnitude, events.time_ns, events.event_id)
        sa.Index("events_by_latitude", events.latitude, events.longitude)
        sa.Index("events_by_update", events.updated_ns)
        sa.Index("arrivals_by_event", parts["arrivals"].c.event_id)
        sa.Index("arrivals_by_pick", parts["arrivals"].c.pick_id)
        sa.Index("arrivals_by_station", parts["arrivals"].c.station, parts["arrivals"].c.time_ns)
        sa.Index("magnitudes_by_station", parts["station_magnitudes"].c.station)
        sa.Index("magnitudes_by_event", parts["station_magnitudes"].c.event_id)
        sa.Index("picks_by_id", parts["picks"].c.pick_id)
        sa.Index("picks_by_station", parts["picks"].c.station, parts["picks"].c.time_ns)
        sa.Index("detections_by_time", parts["detections"].c.starttime_ns)
        sa.Index("problems_by_what", parts["problems"].c.what)
        versions = self.versions.c
        sa.Index("versions_by_event", versions.event_id, versions.version, unique=True)
        sa.Index("audit_by_event", self.audit.c.event_id)


def to_columns(frame: pd.DataFrame, schema: Schema) -> dict[str, list[Any]]:
    """Return the columns of a checked table under their stored names, as plain values."""
    if list(frame.columns) != schema.names:
        frame = frame[schema.names]
    names = [stored_name(column.name, column.kind) for column in schema.columns]
    kinds = [column.kind for column in schema.columns]
    if len(frame) <= _FEW:
        plain = map(_plain_few, frame.to_numpy(object).T.tolist(), kinds)
    else:
        plain = map(_plain_many, (frame[name] for name in schema.names), kinds)
    return dict(zip(names, plain, strict=True))


def _plain_few(values: list[Any], kind: str) -> list[Any]:
    if kind == "float":
        return [None if v != v else v for v in values]
    return [None if v is pd.NaT else v.value for v in values] if kind == "time" else values


def _plain_many(values: pd.Series, kind: str) -> list[Any]:
    if kind not in ("time", "float"):
        return values.tolist()
    array = values.to_numpy("datetime64[ns]" if kind == "time" else float)
    nothing = np.isnan(array)
    plain: list[Any] = (array.astype(np.int64) if kind == "time" else array).tolist()
    if nothing.any():
        plain = [None if no else v for v, no in zip(plain, nothing, strict=True)]
    return plain


def to_rows(columns: Columns) -> list[dict[str, Any]]:
    """Return columns as one mapping a row, what SQLAlchemy inserts."""
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def from_columns(columns: Columns, schema: Schema) -> pd.DataFrame:
    """Return a checked table from stored columns; those that are not there are filled."""
    if not columns or not len(next(iter(columns.values()))):
        return schema.empty()
    out = {}
    for column in schema.columns:
        name = stored_name(column.name, column.kind)
        if name in columns:
            out[column.name] = from_stored(columns[name], column.kind)
    return schema.check(pd.DataFrame(out))


def plain_columns(columns: Columns, schema: Schema) -> dict[str, list[Any]]:
    """Return stored columns as `to_columns` gives them of the table that they make.

    Shorter than to make that table, which costs milliseconds.
    """
    n = len(next(iter(columns.values()))) if columns else 0
    filled: dict[str, Any] = {"text": "", "integer": 0, "boolean": False, "float": None}
    out = {}
    for column in schema.columns:
        name = stored_name(column.name, column.kind)
        empty = filled.get(column.kind)
        out[name] = [empty if v is None else v for v in columns.get(name, [None] * n)]
    return out


def array_of(values: Sequence[Any], kind: str) -> NDArray[Any]:
    """Return stored values as an array; NULL becomes NaN, NaT as an integer, "", 0 or False."""
    if kind == "float":
        return np.array(values, float)
    if kind == "text":
        found = np.empty(len(values), object)
        found[:] = ["" if v is None else v for v in values]
        return found
    if kind == "time":
        return np.array([_NAT if v is None else v for v in values], np.int64)
    dtype: Any = np.int64 if kind == "integer" else np.bool_
    return np.array([0 if v is None else v for v in values], dtype)


def from_stored(values: Sequence[Any], kind: str) -> pd.Series:
    """Return stored values as a column; NULL becomes NaN, NaT, "", 0 or False by kind."""
    array = array_of(values, kind)
    if kind == "time":
        return pd.Series(pd.to_datetime(array.view("M8[ns]"), utc=True))
    return pd.Series(array, dtype="str") if kind == "text" else pd.Series(array)


def transposed(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return fetched rows as columns."""
    return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}


def unit_vectors(
    longitude: Iterable[float | None], latitude: Iterable[float | None]
) -> dict[str, list[float | None]]:
    """Return the unit vectors of epicentres on the sphere; None where there is no position."""
    lon, lat = (
        np.radians(np.array([np.nan if v is None else v for v in values], float))
        for values in (longitude, latitude)
    )
    parts = (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    found = {}
    for name, values in zip(UNIT_COLUMNS, parts, strict=True):
        plain = values.astype(object)
        plain[np.isnan(values) | np.isnan(parts[0])] = None
        found[name] = plain.tolist()
    return found
