"""Queries select what a plain filter of the whole table selects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_catalogs import example_catalog

from lithoscope import schema
from lithoscope.catalog import Catalog, EventQuery, Store
from lithoscope.errors import DataError

START = pd.Timestamp("2020-01-01T00:00:00Z")


def scattered(n: int = 400, seed: int = 5) -> pd.DataFrame:
    """Return EVENTS over the whole globe, poles and date line included, with ties and NaN."""
    rng = np.random.default_rng(seed)
    latitude = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    longitude = rng.uniform(-180, 180, n)
    latitude[:8] = [90, -90, 89.9, -89.9, 0, 0, 45, 45]
    longitude[:8] = [0, 77, -120, 60, 180, -180, 179.99, -179.99]
    magnitude = np.round(rng.uniform(0, 5, n), 1)
    magnitude[rng.random(n) < 0.2] = np.nan
    template = example_catalog(n_events=1).events.iloc[[0] * n].reset_index(drop=True)
    return schema.EVENTS.check(
        template.assign(
            event_id=[f"ev{i:04d}" for i in range(n)],
            time=START + pd.to_timedelta(rng.integers(0, 50, n), unit="h"),
            longitude=longitude,
            latitude=latitude,
            depth_km=np.round(rng.uniform(0, 30, n)),
            magnitude=magnitude,
            magnitude_type=np.where(np.isnan(magnitude), "", "ML"),
            event_type=rng.choice(["earthquake", "quarry blast", "not classified"], n),
        )
    )


EVENTS = scattered()


@pytest.fixture
def filled(store):
    store.write(Catalog(events=EVENTS))
    return store


def distance_deg(query: EventQuery) -> np.ndarray:
    """Return the great-circle distance by another formula than the store's (Vincenty's)."""
    lon, lat = np.radians(EVENTS["longitude"]), np.radians(EVENTS["latitude"])
    lon0, lat0 = np.radians(query.longitude), np.radians(query.latitude)
    a = np.hypot(
        np.cos(lat) * np.sin(lon - lon0),
        np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(lon - lon0),
    )
    b = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(lon - lon0)
    return np.degrees(np.arctan2(a, b))


def plain(query: EventQuery) -> list[str]:
    """Return the ids that a query stands for, in order, by pandas alone."""
    e = EVENTS
    keep = pd.Series(True, index=e.index)
    if query.starttime is not None:
        keep &= e["time"] >= query.starttime
    if query.endtime is not None:
        keep &= e["time"] <= query.endtime
    for name in ("latitude", "depth_km", "magnitude"):
        low, high = getattr(query, f"min_{name}"), getattr(query, f"max_{name}")
        keep &= (e[name] >= low) if low is not None else True
        keep &= (e[name] <= high) if high is not None else True
    if query.min_longitude is not None and query.max_longitude is not None:
        width = (query.max_longitude - query.min_longitude) % 360.0
        whole = query.max_longitude - query.min_longitude >= 360.0
        keep &= whole | ((e["longitude"] - query.min_longitude) % 360.0 <= width)
    if query.maxradius is not None or query.minradius is not None:
        distance = distance_deg(query)
        keep &= distance <= (180.0 if query.maxradius is None else query.maxradius) + 1e-10
        keep &= distance >= (query.minradius or 0.0) - 1e-10
    if query.event_type is not None:
        wanted = query.event_type if isinstance(query.event_type, tuple) else (query.event_type,)
        keep &= e["event_type"].isin(wanted)
    found = e[keep]
    ascending = query.orderby.endswith("asc")
    found = found.sort_values(["time", "event_id"], ascending=ascending)
    if query.orderby.startswith("magnitude"):
        found = found.sort_values(
            "magnitude", ascending=ascending, kind="stable", na_position="last"
        )
    end = None if query.limit is None else query.offset + query.limit
    return list(found["event_id"].iloc[query.offset : end])


def ordered(low: st.SearchStrategy, high: st.SearchStrategy) -> st.SearchStrategy:
    return st.tuples(low, high).map(lambda pair: tuple(sorted(pair)))


LONGITUDES = st.integers(-360, 360).map(float)
BOXES = st.one_of(
    st.just({}),
    st.tuples(LONGITUDES, LONGITUDES).map(lambda p: {"min_longitude": p[0], "max_longitude": p[1]}),
    ordered(st.floats(-90, 90), st.floats(-90, 90)).map(
        lambda p: {"min_latitude": p[0], "max_latitude": p[1]}
    ),
    st.tuples(
        st.one_of(st.sampled_from([-90.0, 90.0, 89.95, 0.0]), st.floats(-90, 90)),
        st.one_of(st.sampled_from([-180.0, 180.0, 179.999, 0.0]), st.floats(-180, 180)),
        ordered(st.floats(0, 180), st.floats(0, 180)),
    ).map(
        lambda p: {
            "latitude": p[0],
            "longitude": p[1],
            "minradius": p[2][0],
            "maxradius": p[2][1],
        }
    ),
)
HOURS = st.integers(-1, 51).map(lambda h: START + pd.Timedelta(hours=h))
OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "min_magnitude": st.sampled_from([1.0, 2.5]),
        "max_magnitude": st.sampled_from([2.5, 4.0]),
        "min_depth_km": st.sampled_from([3.0, 10.0]),
        "starttime": HOURS.filter(lambda t: t < START + pd.Timedelta(hours=20)),
        "endtime": HOURS.filter(lambda t: t >= START + pd.Timedelta(hours=20)),
        "event_type": st.sampled_from(["earthquake", ("earthquake", "quarry blast")]),
        "orderby": st.sampled_from(["time", "time-asc", "magnitude", "magnitude-asc"]),
        "limit": st.integers(1, 60),
        "offset": st.integers(0, 40),
    },
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(box=BOXES, others=OTHERS)
def test_queries_agree_with_a_plain_filter(filled, box, others):
    query = EventQuery(**box, **others)
    assert list(filled.events(query, ["event_id"])["event_id"]) == plain(query)
    whole = EventQuery(**box, **{k: v for k, v in others.items() if k not in ("limit", "offset")})
    assert filled.count(query) == len(plain(whole))


def test_the_rim_of_a_circle_is_inside(filled):
    """Exactly at the pole, on the date line and at the other end of the Earth."""
    for latitude, longitude, radius, event in (
        (90.0, 10.0, 0.0, "ev0000"),
        (89.9, 60.0, 0.2, "ev0002"),
        (0.0, 180.0, 0.0, "ev0005"),
        (45.0, 179.99, 0.015, "ev0007"),
        (-90.0, 0.0, 180.0, "ev0000"),
    ):
        query = EventQuery(latitude=latitude, longitude=longitude, maxradius=radius)
        assert event in set(filled.events(query, ["event_id"])["event_id"])
    antipode = EventQuery(latitude=-90.0, longitude=0.0, minradius=179.99)
    assert list(filled.events(antipode, ["event_id"])["event_id"]) == ["ev0000"]


def test_columns_and_types(filled):
    everything = filled.events(EventQuery(limit=3))
    assert everything[schema.EVENTS.names].equals(schema.EVENTS.check(everything))
    names = ["magnitude", "time", "updated", "version", "evaluation_mode"]
    some = filled.events(EventQuery(limit=3), names)
    assert list(some.columns) == names
    pd.testing.assert_frame_equal(some, everything[names])
    none = filled.events(EventQuery(eventid="none"), names)
    assert none.empty
    assert list(none.dtypes) == list(some.dtypes)
    with pytest.raises(DataError, match="no column 'songs'"):
        filled.events(EventQuery(), ["songs"])


def test_what_changed_since(store):
    times = iter([1_000, 2_000, 3_000])
    with Store(store.url, clock=lambda: next(times)) as mine:
        mine.write(Catalog(events=EVENTS.iloc[:2]))
        mine.cancel_event("ev0000", "test")
    since = EventQuery(updatedafter=pd.Timestamp(1_500, tz="UTC"), status=("rejected",))
    assert list(store.events(since)["event_id"]) == ["ev0000"]
    assert store.count(EventQuery(updatedafter=pd.Timestamp(999, tz="UTC"))) == 1
    assert store.count(EventQuery(updatedafter=pd.Timestamp(1_000, tz="UTC"))) == 0


def test_hostile_words_are_data(filled):
    for word in ("'; DROP TABLE events; --", "%", "' OR '1'='1", 'a"b', "\\"):
        assert filled.count(EventQuery(eventid=word)) == 0
        assert filled.count(EventQuery(event_type=word, magnitude_type=word)) == 0
        with pytest.raises(DataError):
            filled.event(word)
    assert filled.count(EventQuery()) == len(EVENTS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"min_latitude": -91.0}, "out of range"),
        ({"max_longitude": 361.0}, "out of range"),
        ({"min_magnitude": 3.0, "max_magnitude": 2.0}, "above max_magnitude"),
        ({"min_depth_km": float("nan")}, "not a finite number"),
        ({"maxradius": 1.0}, "need latitude and longitude"),
        ({"latitude": 0.0, "longitude": 0.0, "maxradius": 181.0}, "radius"),
        ({"latitude": 0.0, "longitude": 0.0, "minradius": 2.0, "maxradius": 1.0}, "radius"),
        ({"orderby": "depth"}, "use time"),
        ({"status": "cancelled"}, "use preliminary"),
        ({"limit": 0}, "give 1 or more"),
        ({"offset": -1}, "give 0 or more"),
        ({"starttime": START, "endtime": pd.Timestamp("2019-01-01")}, "is after"),
    ],
)
def test_queries_that_make_no_sense(words, message):
    with pytest.raises(DataError, match=message) as error:
        EventQuery(**words)
    assert "\n" not in str(error.value)


def test_the_database_uses_its_indices(filled):
    """No query of a service reads the whole table, whatever the number of events."""
    from lithoscope.catalog.store_query import conditions, order

    if not filled.database.is_sqlite:
        pytest.skip("PostgreSQL reads small tables whole, and is right")
    c = filled.layout.events.c
    for query, index in (
        (EventQuery(limit=10), "events_by_time"),
        (EventQuery(limit=10, orderby="time-asc"), "events_by_time"),
        (EventQuery(limit=10, orderby="magnitude"), "events_by_magnitude"),
        (EventQuery(starttime=START, limit=10), "events_by_time"),
        (EventQuery(eventid="ev0000"), "events_by_id"),
    ):
        select = filled.layout.events.select().where(*conditions(query, c))
        select = select.order_by(*order(query, c)).limit(query.limit)
        text = str(select.compile(filled.database.engine, compile_kwargs={"literal_binds": True}))
        with filled.database.reading() as (connection, _):
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())
        assert index in plan
        assert "TEMP B-TREE" not in plan
