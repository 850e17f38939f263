"""Reads as plain rows say what the tables say."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import sqlalchemy as sa
from random_catalogs import example_catalog

from lithoscope.catalog import EventQuery, Store
from lithoscope.catalog.plain import ROWS, plain_rows, solutions
from lithoscope.catalog.store_versions import Judged
from lithoscope.errors import StorageError

CATALOG = example_catalog(n_events=4)
IDS = list(CATALOG.events["event_id"])


def test_solutions_are_those_of_the_tables(store):
    store.write(CATALOG)
    judged = Judged("manual", "confirmed", "anna")
    store.put_review(IDS[1], judged, action="accept", before={}, after={}, comment="good <one>")
    store.cancel_event(IDS[2], "noise")
    found = store.solutions([IDS[3], IDS[0], IDS[1], IDS[2], "none", IDS[0]])
    assert set(found) == set(IDS)
    expected = {s.event.event_id: s for s in solutions(store.catalog(IDS))}
    for name, one in found.items():
        other = expected[name]
        # A judged event is read in another way; both know the columns of EVENTS.
        assert ROWS["events"](*one.event[: len(ROWS["events"]._fields)]) == other.event
        assert sorted(one.arrivals or ()) == sorted(other.arrivals or ())
        assert sorted(p.pick_id for p in one.picks) == sorted(p.pick_id for p in other.picks)
        assert len(one.magnitudes) == len(other.magnitudes)
        assert (one.mode, one.status) == (other.mode, other.status)
        assert [c.text for c in one.comments] == [c.text for c in other.comments]
    assert (found[IDS[1]].mode, found[IDS[1]].status) == ("manual", "confirmed")
    assert found[IDS[1]].event.version == 2
    assert found[IDS[2]].status == "rejected"
    assert store.solutions([]) == {}


def test_columns_are_those_of_the_table_of_events(store):
    store.write(CATALOG)
    columns, table = store.event_columns(EventQuery()), store.events(EventQuery())
    assert columns["event_id"].tolist() == table["event_id"].tolist()
    for name in table.columns:
        if isinstance(table[name].dtype, pd.DatetimeTZDtype):
            assert columns[f"{name}_ns"].tolist() == table[name].astype("int64").tolist()
        else:
            for a, b in zip(columns[name].tolist(), table[name].tolist(), strict=True):
                assert a == b or (math.isnan(a) and math.isnan(b))
    nothing = store.event_columns(EventQuery(eventid="none"))
    assert list(nothing) == list(columns)
    assert len(nothing["time_ns"]) == 0


def test_what_a_station_has(store):
    store.write(CATALOG)
    store.cancel_event(IDS[0], "noise")
    arrivals = CATALOG.arrivals[CATALOG.arrivals["event_id"] != IDS[0]]
    code = str(arrivals["station"].iloc[0])
    mine = arrivals[arrivals["station"] == code]
    found = store.of_station("arrivals", code, limit=3)
    latest = mine.sort_values("time", ascending=False).head(3)
    assert found["time"].tolist() == latest["time"].tolist()
    counts = store.counts(code)
    assert counts["arrivals"] == len(mine)
    assert counts["picks"] == (CATALOG.picks["station"] == code).sum()
    assert store.counts()["events"] == 3
    assert store.count_rows("picks") == len(CATALOG.picks)
    first = store.first_rows("picks", 2)
    assert first["pick_id"].tolist() == CATALOG.picks["pick_id"].head(2).tolist()
    with pytest.raises(StorageError, match="use arrivals"):
        store.of_station("events", code)


def test_rows_of_before_a_column_was_there_are_filled(store):
    store.write(CATALOG)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE picks SET polarity = NULL, model = NULL")
    (one,) = store.solutions([IDS[0]]).values()
    assert {(pick.polarity, pick.model) for pick in one.picks} == {(0, "")}


def test_an_older_store_gains_the_indices_by_its_first_write(store):
    store.write(CATALOG)
    with store.database.writing() as connection:
        connection.exec_driver_sql("DROP INDEX arrivals_by_station")
    with Store(store.url) as again:
        again.put_state("x", 1)
        with again.database.reading() as (connection, _):
            names = {i["name"] for i in sa.inspect(connection).get_indexes("arrivals")}
    assert "arrivals_by_station" in names


def test_plain_rows_have_no_value_for_what_is_not_known():
    row = plain_rows(CATALOG.events.assign(magnitude=math.nan), "events")[0]
    assert row.magnitude is None
    assert row.time_ns == CATALOG.events["time"].iloc[0].value
