"""What it costs to put one event into a store: statements and transactions, not time."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa
from random_catalogs import example_catalog

from lithoscope.catalog import Catalog, Store
from lithoscope.catalog.store_tables import to_columns
from lithoscope.catalog.tables import SCHEMAS

CATALOG = example_catalog(n_events=4)


def one(number: int, depth_km: float) -> Catalog:
    """Return one event of the catalogue as a solution."""
    events = CATALOG.events.iloc[[number]].assign(depth_km=depth_km)
    name = events["event_id"].iloc[0]
    arrivals = CATALOG.arrivals[CATALOG.arrivals["event_id"] == name]
    magnitudes = CATALOG.station_magnitudes
    return Catalog(
        events=events,
        arrivals=arrivals,
        picks=CATALOG.picks[CATALOG.picks["pick_id"].isin(arrivals["pick_id"])],
        station_magnitudes=magnitudes[magnitudes["event_id"] == name],
    )


def told(store: Store) -> list[str]:
    """Return a list that gets the statements of a store, and its commits."""
    heard: list[str] = []

    @sa.event.listens_for(store.database.engine, "before_cursor_execute")
    def _statement(_connection, _cursor, text, *_rest):
        heard.append(text)

    @sa.event.listens_for(store.database.engine, "commit")
    def _commit(_connection):
        heard.append("COMMIT")

    return heard


def test_an_event_is_one_transaction_of_few_statements(store):
    for depth_km in (0.0, 1.0):
        store.put_event(one(0, depth_km))
    heard = told(store)
    for number, depth_km, most in ((0, 2.0, 20), (1, 1.0, 14), (0, 2.0, 9)):
        heard.clear()
        store.put_event(one(number, depth_km))
        assert heard.count("COMMIT") == 1
        assert len(heard) <= most, heard


def test_statements_are_made_once(store):
    for number in range(2):
        store.put_event(one(number, 1.0))
        store.put_event(one(number, 2.0))
    made = len(store.database.statements._rows)
    for number in range(4):
        store.put_event(one(number, 3.0))
        store.cancel_event(CATALOG.events["event_id"].iloc[number], "test")
    assert len(store.database.statements._rows) == made


def test_many_rows_are_made_plain_as_few_are():
    for name, frame in CATALOG.tables():
        schema = SCHEMAS[name]
        few = [to_columns(frame.iloc[k : k + 7], schema) for k in range(0, len(frame), 7)]
        copies = 1 + 200 // len(frame)
        many = to_columns(pd.concat([frame] * copies, ignore_index=True), schema)
        for column in many:
            joined = [value for part in few for value in part[column]] * copies
            assert repr(many[column]) == repr(joined), (name, column)
