"""A store of each kind of database for every test that asks for one."""

from __future__ import annotations

import os
import uuid

import pytest
import sqlalchemy as sa

from lithoscope.catalog import Store

POSTGRES = os.environ.get("LITHOSCOPE_TEST_POSTGRES", "")


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request, tmp_path):
    """Return the URL of an empty database; for PostgreSQL a schema of its own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
        return
    if not POSTGRES:
        pytest.skip("no PostgreSQL server (set LITHOSCOPE_TEST_POSTGRES to its URL)")
    name = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    yield f"{POSTGRES}?options=-csearch_path%3D{name}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@pytest.fixture
def store(store_url):
    with Store(store_url) as found:
        yield found
