"""A store of schema version 1, as the code of that time wrote it, in either kind of database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa

from lithoscope.catalog import Store

SQL = Path(__file__).with_name("version_1.sql")
TABLES = (
    "arrivals",
    "detections",
    "events",
    "picks",
    "problems",
    "station_magnitudes",
    "stations",
    "lithoscope_store",
)


def write_version_1(store: Store) -> dict[str, list[tuple]]:
    """Fill an empty database with a store of version 1; return its rows by table."""
    source = sqlite3.connect(":memory:")
    source.executescript(SQL.read_text())
    with store.database.engine.execution_options(lithoscope_write=True).begin() as connection:
        for name in TABLES:
            create = source.execute("SELECT sql FROM sqlite_master WHERE name = ?", [name])
            text = create.fetchone()[0].replace("DOUBLE", "DOUBLE PRECISION")
            connection.exec_driver_sql(text)
            columns = [row[1:3] for row in source.execute(f"PRAGMA table_info({name})")]
            marks = ", ".join(f":c{i}" for i in range(len(columns)))
            insert = sa.text(f"INSERT INTO {name} VALUES ({marks})")
            for row in source.execute(f"SELECT * FROM {name}"):
                values = {
                    f"c{i}": bool(value) if kind == "BOOLEAN" else value
                    for i, (value, (_, kind)) in enumerate(zip(row, columns, strict=True))
                }
                connection.execute(insert, values)
    source.close()
    return rows(store)


def rows(store: Store) -> dict[str, list[tuple]]:
    """Return what the tables of version 1 hold, in the columns of that version."""
    source = sqlite3.connect(":memory:")
    source.executescript(SQL.read_text())
    found = {}
    with store.database.engine.connect() as connection:
        for name in TABLES[:-1]:
            columns = [f'"{row[1]}"' for row in source.execute(f"PRAGMA table_info({name})")]
            query = f'SELECT {", ".join(columns)} FROM {name} ORDER BY "row"'
            found[name] = [tuple(row) for row in connection.exec_driver_sql(query)]
    source.close()
    return found
