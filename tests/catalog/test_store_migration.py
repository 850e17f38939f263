"""A store of an older schema version is read as it is, upgraded whole or not at all."""

from __future__ import annotations

import sqlite3

import pandas as pd
import pytest
import sqlalchemy as sa
from old_stores import rows, write_version_1
from random_catalogs import example_catalog

from lithoscope.catalog import EventQuery, Store, store_migrations
from lithoscope.errors import StorageError


def kind(of: object, sqlite: bool) -> str:
    """Return the name of a type; SQLite has one float, which SQLAlchemy gives two names."""
    name = str(of).replace("_", " ").removesuffix(" PRECISION")
    return "DOUBLE" if sqlite and name == "REAL" else name


def layout(store: Store) -> dict[str, object]:
    """Return tables, columns and indices of a store, without the order of columns."""
    with store.database.engine.connect() as connection:
        inspector = sa.inspect(connection)
        return {
            name: (
                {
                    c["name"]: kind(c["type"], store.database.is_sqlite)
                    for c in inspector.get_columns(name)
                },
                inspector.get_pk_constraint(name)["constrained_columns"],
                sorted(
                    (i["name"], i["column_names"], bool(i["unique"]))
                    for i in inspector.get_indexes(name)
                ),
            )
            for name in inspector.get_table_names()
        }


def test_an_old_store_is_read_without_being_changed(store):
    before = write_version_1(store)
    old = store.read()
    assert len(old.events) == 3
    assert len(old.arrivals) == 12
    assert store.table("events").equals(old.events)
    # What version 1 does not know is answered from an upgraded copy.
    newest = store.events(EventQuery(limit=2))
    assert list(newest["event_id"]) == list(old.events["event_id"])[:0:-1]
    assert set(newest["evaluation_status"]) == {"preliminary"}
    name = newest["event_id"].iloc[0]
    assert store.event(name).events["time"].iloc[0] == newest["time"].iloc[0]
    assert list(store.versions(name)["action"]) == ["new"]
    assert store.sequence() == len(store.changes()) == 3
    assert store.settings() is None
    assert rows(store) == before
    assert "versions" not in layout(store)


def test_an_old_store_is_upgraded_by_the_first_write(store):
    before = write_version_1(store)
    old = store.read()
    store.put_state("resume", {"XX.S00": 7})
    assert rows(store) == before
    assert store.read().equals(old)
    events = store.events(EventQuery(orderby="time-asc"))
    assert (events["version"] == 1).all()
    assert [c.action for c in store.changes()] == ["new"] * 3
    circle = EventQuery(latitude=35.7, longitude=-117.5, maxradius=1.0)
    assert store.count(circle) == 3
    assert store.cancel_event(events["event_id"].iloc[0], "test").sequence == 4


def test_an_upgraded_store_is_laid_out_as_a_new_one(store):
    """The next release has one layout to deal with, not two."""
    write_version_1(store)
    store.put_state("resume", 1)
    upgraded = layout(store)
    with store.database.writing() as connection:
        for name in upgraded:
            connection.exec_driver_sql(f"DROP TABLE {name}")
    with Store(store.url) as fresh:
        fresh.put_state("resume", 1)
        assert layout(fresh) == upgraded


def test_a_failed_upgrade_leaves_the_old_store(store, monkeypatch):
    before = write_version_1(store)
    tables = layout(store)
    broken = [*store_migrations._INDICES_2, "CREATE INDEX late ON no_such_table (x)"]
    monkeypatch.setattr(store_migrations, "_INDICES_2", broken)
    with pytest.raises(StorageError, match="no_such_table"):
        store.put_state("resume", 1)
    assert rows(store) == before
    assert layout(store) == tables
    monkeypatch.undo()
    assert store.read().events["event_id"].nunique() == 3
    store.put_state("resume", 1)
    assert store.state("resume") == 1


def test_an_id_that_occurs_twice_cannot_be_upgraded(store):
    write_version_1(store)
    with store.database.engine.execution_options(lithoscope_write=True).begin() as connection:
        connection.exec_driver_sql("UPDATE events SET event_id = 'twice'")
    with pytest.raises(StorageError, match="'twice' occurs twice") as error:
        store.put_state("resume", 1)
    assert "\n" not in str(error.value)
    store_two = Store(store.url)
    assert list(store_two.table("events")["event_id"]) == ["twice"] * 3
    store_two.close()


def test_a_catalogue_written_over_an_old_one(store):
    write_version_1(store)
    catalog = example_catalog(n_events=5)
    store.write(catalog)
    assert store.read().equals(catalog)
    assert store.sequence() >= 5


def test_tables_of_another_program_are_not_touched(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (concert TEXT)")
    connection.close()
    with pytest.raises(StorageError, match="'events' of another program"):
        Store(path).write(example_catalog())
    with sqlite3.connect(path) as connection:
        tables = pd.read_sql("SELECT name FROM sqlite_master", connection)
    connection.close()
    assert list(tables["name"]) == ["events"]
