"""The store returns what was written, on SQLite and PostgreSQL, and fails in one line."""

from __future__ import annotations

import os
import sqlite3

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from random_catalogs import catalogs, example_catalog

from lithoscope.catalog import SCHEMAS, Catalog, Store
from lithoscope.errors import DataError, LithoscopeError, StorageError


def rows_in(store: Store) -> dict[str, list]:
    with store.database.reading() as (connection, _):
        return {
            table.name: [tuple(r) for r in connection.execute(sa.select(table).order_by(*table.c))]
            for table in store.layout.metadata.sorted_tables
        }


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(catalogs())
def test_what_was_written_comes_back(store, catalog):
    store.write(catalog)
    assert store.read().equals(catalog)
    assert store.table("events").equals(catalog.events)


def test_writing_twice_changes_nothing(store):
    catalog = example_catalog()
    store.write(catalog)
    before = rows_in(store)
    store.write(catalog)
    assert rows_in(store) == before


def test_a_new_catalogue_replaces_the_old(store):
    store.write(example_catalog())
    store.write(Catalog())
    assert store.read().equals(Catalog())


def test_nanoseconds_and_nulls_are_stored_as_such(store):
    time = pd.Timestamp(1562259775340123457, tz="UTC")
    events = example_catalog().events.iloc[:1].assign(time=time, magnitude=np.nan)
    store.write(Catalog(events=events))
    with store.database.reading() as (connection, _):
        row = connection.execute(sa.text("SELECT time_ns, magnitude FROM events")).one()
    assert row == (1562259775340123457, None)


def test_a_failed_write_leaves_the_old_catalogue(store):
    catalog = example_catalog()
    store.write(catalog)
    # The problems come last, so the other tables are already replaced when they fail.
    problem = {"what": "a", "problem": "b", "detail": "c\x00d", "action": "e"}
    if store.database.is_sqlite:  # SQLite holds anything, so a trigger refuses
        with sqlite3.connect(store.database.file) as connection:
            connection.execute(
                "CREATE TRIGGER no BEFORE INSERT ON problems BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        connection.close()
    with pytest.raises(StorageError, match="cannot write the store"):
        store.write(Catalog(problems=SCHEMAS["problems"].table([problem])))
    assert store.read().equals(catalog)


def test_columns_of_another_version_are_migrated(store):
    catalog = example_catalog()
    store.write(catalog)
    with store.database.writing() as connection:
        connection.execute(sa.text("ALTER TABLE events DROP COLUMN magnitude_reason"))
    read = Store(store.url).read()
    assert (read.events["magnitude_reason"] == "").all()
    assert read.events.drop(columns="magnitude_reason").equals(
        catalog.events.drop(columns="magnitude_reason")
    )
    Store(store.url).write(catalog)
    assert store.read().equals(catalog)


def test_a_newer_store_is_refused(store):
    store.write(example_catalog())
    with store.database.writing() as connection:
        connection.execute(sa.text("UPDATE lithoscope_store SET schema_version = 99"))
    for use in (store.read, lambda: Store(store.url).write(Catalog()), store.sequence):
        with pytest.raises(StorageError, match="schema version 99") as error:
            use()
        assert "newer Lithoscope" in one_line(error)


def one_line(error: pytest.ExceptionInfo[LithoscopeError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_missing_store(tmp_path):
    with pytest.raises(StorageError) as error:
        Store(tmp_path / "none.sqlite").read()
    assert "no such file" in one_line(error)
    assert not (tmp_path / "none.sqlite").exists()
    with pytest.raises(StorageError) as error:
        Store(tmp_path / "no" / "folder.sqlite").write(Catalog())
    assert "folder does not exist" in one_line(error)


def test_a_damaged_store(tmp_path):
    path = tmp_path / "bad.sqlite"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StorageError) as error:
        Store(path).read()
    assert "not a database" in one_line(error)


def test_another_database(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(StorageError) as error:
        Store(path).read()
    assert "no Lithoscope catalogue" in one_line(error)


def test_disk_full(tmp_path):
    store = Store(tmp_path / "small.sqlite")
    sa.event.listen(
        store.database.engine, "connect", lambda c, _: c.execute("PRAGMA max_page_count = 20")
    )
    big = pd.concat([example_catalog().problems] * 5000)
    with pytest.raises(StorageError) as error:
        store.write(Catalog(problems=big))
    assert "free space" in one_line(error)


def test_read_only(tmp_path):
    path = tmp_path / "fixed.sqlite"
    Store(path).write(example_catalog())
    store = Store(f"sqlite:///file:{path}?mode=ro&uri=true")
    store.database.file = path
    with pytest.raises(StorageError) as error:
        store.write(Catalog())
    assert "choose another place" in one_line(error)
    assert Store(path).read().equals(example_catalog())


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    """SQLite could not put its log there; the file itself is enough while nobody writes."""
    path = tmp_path / "catalogue.sqlite"
    with Store(path) as store:
        store.write(example_catalog())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with Store(path) as store:
        assert store.read().equals(example_catalog())
        assert [p.name for p in tmp_path.iterdir()] == ["catalogue.sqlite"]
        with pytest.raises(StorageError, match="choose another place"):
            store.write(Catalog())


def test_unreachable_server_and_bad_urls():
    with pytest.raises(StorageError) as error:
        Store("postgresql://nobody:secret@127.0.0.1:1/none").read()
    text = one_line(error)
    assert "secret" not in text
    with pytest.raises(StorageError) as error:
        Store("nosuchdatabase://x")
    assert "cannot use the store" in one_line(error)


def test_event_ids_are_unique(store):
    events = example_catalog().events
    with pytest.raises(DataError, match="occurs twice"):
        store.write(Catalog(events=pd.concat([events, events])))


def test_unknown_table(store):
    store.write(Catalog())
    with pytest.raises(StorageError, match="no table 'songs'"):
        store.table("songs")


def test_a_catalogue_checks_its_tables():
    with pytest.raises(DataError, match="lacks column"):
        Catalog(events=pd.DataFrame({"event_id": ["a"]}))
    assert set(SCHEMAS) == {name for name, _ in Catalog().tables()}
