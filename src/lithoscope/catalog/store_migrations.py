"""Numbered migrations: what turns a store of one schema version into the next.

A migration is written once and never changed, so it spells its SQL out instead of using the
tables of today. It runs in the transaction of the write that needs it, DDL included: a failure
leaves the old store as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa

from lithoscope.catalog.store_tables import unit_vectors
from lithoscope.errors import StorageError

SCHEMA_VERSION = 2
_CHUNK = 20_000

_EVENT_COLUMNS_2 = {
    "version": "BIGINT",
    "updated_ns": "BIGINT",
    "evaluation_mode": "TEXT",
    "evaluation_status": "TEXT",
    "unit_x": "DOUBLE PRECISION",
    "unit_y": "DOUBLE PRECISION",
    "unit_z": "DOUBLE PRECISION",
}
_TABLES_2 = (
    """CREATE TABLE versions (
        sequence BIGINT NOT NULL PRIMARY KEY, event_id TEXT NOT NULL, version BIGINT NOT NULL,
        action TEXT NOT NULL, made_at_ns BIGINT NOT NULL, evaluation_mode TEXT NOT NULL,
        evaluation_status TEXT NOT NULL, author TEXT NOT NULL, note TEXT NOT NULL, content TEXT)""",
    """CREATE TABLE audit (
        sequence BIGINT NOT NULL PRIMARY KEY, event_id TEXT NOT NULL, version BIGINT NOT NULL,
        made_at_ns BIGINT NOT NULL, username TEXT NOT NULL, action TEXT NOT NULL,
        before TEXT NOT NULL, after TEXT NOT NULL, comment TEXT NOT NULL)""",
    "CREATE TABLE documents (name TEXT NOT NULL PRIMARY KEY, content {binary} NOT NULL)",
    "CREATE TABLE state (name TEXT NOT NULL PRIMARY KEY, content TEXT NOT NULL)",
)
_INDICES_2 = (
    "CREATE UNIQUE INDEX events_by_id ON events (event_id)",
    "CREATE INDEX events_by_time ON events (time_ns, event_id, evaluation_status)",
    "CREATE INDEX events_by_magnitude ON events (magnitude, time_ns, event_id)",
    "CREATE INDEX events_by_latitude ON events (latitude, longitude)",
    "CREATE INDEX events_by_update ON events (updated_ns)",
    "CREATE INDEX arrivals_by_event ON arrivals (event_id)",
    "CREATE INDEX arrivals_by_pick ON arrivals (pick_id)",
    "CREATE INDEX magnitudes_by_event ON station_magnitudes (event_id)",
    "CREATE INDEX picks_by_id ON picks (pick_id)",
    "CREATE INDEX picks_by_station ON picks (station, time_ns)",
    "CREATE INDEX detections_by_time ON detections (starttime_ns)",
    "CREATE INDEX problems_by_what ON problems (what)",
    "CREATE UNIQUE INDEX versions_by_event ON versions (event_id, version)",
    "CREATE INDEX audit_by_event ON audit (event_id)",
)


def upgrade(connection: sa.Connection, version: int) -> None:
    """Bring a store of an older schema version up to `SCHEMA_VERSION` within the transaction."""
    for number in range(version, SCHEMA_VERSION):
        MIGRATIONS[number](connection)
        connection.exec_driver_sql("DELETE FROM lithoscope_store")
        connection.exec_driver_sql(f"INSERT INTO lithoscope_store VALUES ({number + 1})")


def _from_1(connection: sa.Connection) -> None:
    """Add versions of events, audit trail, settings, state and indices to a bare catalogue."""
    twice = connection.exec_driver_sql(
        "SELECT event_id FROM events GROUP BY event_id HAVING count(*) > 1"
    ).scalar()
    if twice is not None:
        raise StorageError(
            f"cannot upgrade the store: event id '{twice}' occurs twice; give each event an id of "
            "its own, or write the catalogue anew"
        )
    for name, kind in _EVENT_COLUMNS_2.items():
        connection.exec_driver_sql(f"ALTER TABLE events ADD COLUMN {name} {kind}")
    binary = "BLOB" if connection.dialect.name == "sqlite" else "BYTEA"
    for statement in _TABLES_2:
        connection.exec_driver_sql(statement.format(binary=binary))
    # When the events were made is not known; followers see them as of the upgrade.
    now = {"now": time.time_ns()}
    connection.execute(
        sa.text(
            "UPDATE events SET version = 1, updated_ns = :now, evaluation_mode = 'automatic', "
            "evaluation_status = 'preliminary'"
        ),
        now,
    )
    connection.execute(
        sa.text(
            "INSERT INTO versions SELECT \"row\" + 1, event_id, 1, 'new', "
            "CAST(:now AS BIGINT), 'automatic', 'preliminary', '', '', NULL FROM events"
        ),
        now,
    )
    _fill_unit_vectors(connection)
    for statement in _INDICES_2:
        connection.exec_driver_sql(statement)


def _fill_unit_vectors(connection: sa.Connection) -> None:
    positions = connection.exec_driver_sql('SELECT "row", longitude, latitude FROM events').all()
    rows, longitudes, latitudes = zip(*positions, strict=True) if positions else ((), (), ())
    vectors = unit_vectors(longitudes, latitudes)
    update = sa.text(
        'UPDATE events SET unit_x = :x, unit_y = :y, unit_z = :z WHERE "row" = :number'
    )
    numbered = [
        {"number": n, "x": x, "y": y, "z": z}
        for n, x, y, z in zip(rows, *vectors.values(), strict=True)
    ]
    for start in range(0, len(numbered), _CHUNK):
        connection.execute(update, numbered[start : start + _CHUNK])


MIGRATIONS: dict[int, Callable[[sa.Connection], None]] = {1: _from_1}
