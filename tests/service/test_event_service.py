"""FDSN event 1: each parameter against a plain reading of it, and the errors of the standard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from service_run import START, get, make_catalog, serving

from lithoscope.catalog import Catalog, EventQuery, Store
from lithoscope.schema import EVENTS
from lithoscope.service.fdsn_event import SERVICE, selection_of
from lithoscope.service.settings import Limits, ServiceSettings
from lithoscope.service.snapshot import Snapshot
from lithoscope.service.times import iso, parse_time

QUERY = "/fdsnws/event/1/query"


def ids(address: str, query: str) -> list[str]:
    """Return the ids of the text answer, in its order."""
    answer = get(address, f"{QUERY}?format=text&{query}")
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    return [line.split("|")[0] for line in answer.text.splitlines()[1:]]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [5, 4, 3, 2, 1, 0]),
        ("orderby=time-asc", [0, 1, 2, 3, 4, 5]),
        ("orderby=magnitude", [5, 4, 3, 2, 0, 1]),
        ("orderby=magnitude-asc", [0, 2, 3, 4, 5, 1]),
        ("starttime=2024-05-01T00:04:00", [5, 4, 3]),
        ("start=2024-05-01T00:04:00.000001Z", [5, 4]),
        ("endtime=2024-05-01T00:02:00", [1, 0]),
        ("start=2024-05-01&end=2024-05-02", [5, 4, 3, 2, 1, 0]),
        ("minmag=2.5", [5, 4, 3]),
        ("maxmagnitude=2", [2, 0]),
        ("mindepth=7&maxdepth=8", [3, 2]),
        ("minlatitude=45.1", [5, 4]),
        ("maxlat=45.0", [0]),
        ("minlongitude=10.05&maxlongitude=10.09", [4, 3]),
        ("minlon=10.09&maxlon=10.01", [5, 0]),  # across the date line
        ("lat=45&lon=10&maxradius=0.04", [1, 0]),
        ("lat=45&lon=10&minradius=0.12", [5, 4]),
        ("magtype=ml", [5, 4, 3, 2, 0]),
        ("magnitudetype=Mw", []),
        ("eventtype=quarry%20blast", [2]),
        ("eventtype=quarry%20blast,earthquake&limit=1", [5]),
        ("eventid=ls0001_AAA", [1]),
        ("eventid=ls0001_AAA,ls0004_AAA,none", [4, 1]),
        ("limit=2", [5, 4]),
        ("limit=2&offset=2", [4, 3]),
        ("offset=7", []),
        ("catalog=LITHOSCOPE", [5, 4, 3, 2, 1, 0]),
        ("catalog=other", []),
        ("contributor=other", []),
        ("updatedafter=2100-01-01", []),
        ("updatedafter=2000-01-01", [5, 4, 3, 2, 1, 0]),
        ("endtime=2599-12-31T23:59:59&starttime=1500-01-01", [5, 4, 3, 2, 1, 0]),
    ],
)
def test_parameters_mean_what_the_standard_says(
    address: str, query: str, numbers: list[int]
) -> None:
    assert ids(address, query) == [f"ls{n:04d}_AAA" for n in numbers]


@pytest.mark.parametrize(
    "query",
    [
        "minmag=x",
        "minmag=",
        "minmag=nan",
        "minmag=1e999",
        "minmag=1_0",
        "minlat=-91",
        "maxlon=181",
        "starttime=yesterday",
        "starttime=2024-13-01",
        "starttime=2024-05-01T25:00:00",
        "start=2024-05-02&end=2024-05-01",
        "mindepth=9&maxdepth=8",
        "lat=45",
        "maxradius=3",
        "lat=45&lon=10&maxradius=200",
        "limit=0",
        "limit=-1",
        "limit=1.5",
        "offset=0",
        "orderby=size",
        "format=yaml",
        "nodata=500",
        "includearrivals=maybe",
        "unknown=1",
        "minmag=1&minmagnitude=2",
    ],
)
def test_wrong_requests_get_400_in_the_standards_form(address: str, query: str) -> None:
    answer = get(address, f"{QUERY}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert lines[0] == "Error 400: Bad Request"
    for heading in ("Request:", "Request Submitted:", "Service version:"):
        assert heading in lines
    assert lines[-1] == "1.2.0"


def test_nothing_found_is_204_or_404(address: str) -> None:
    empty = get(address, f"{QUERY}?minmag=9")
    assert (empty.status_code, empty.content) == (204, b"")
    missing = get(address, f"{QUERY}?minmag=9&nodata=404")
    assert missing.status_code == 404
    assert missing.text.startswith("Error 404: Not Found")


def test_too_much_is_413_and_parts_are_given(small_run: Path) -> None:
    settings = ServiceSettings(source=str(small_run), limits=Limits(events=3, arrival_events=1))
    with serving(settings) as url:
        refused = get(url, QUERY)
        assert refused.status_code == 413
        assert "6 events fit and one answer holds 3" in refused.text
        assert get(url, f"{QUERY}?limit=3&offset=4").status_code == 200
        assert get(url, f"{QUERY}?limit=2&includearrivals=true").status_code == 413
        assert get(url, f"{QUERY}?format=text").status_code == 200
        assert get(url, "/api/events?fields=full").status_code == 413


def test_text_has_the_columns_of_the_standard(address: str) -> None:
    head, line = get(address, f"{QUERY}?format=text&eventid=ls0003_AAA").text.splitlines()
    row = dict(zip(head.removeprefix("#").split("|"), line.split("|"), strict=True))
    assert row == {
        "EventID": "ls0003_AAA",
        "Time": "2024-05-01T00:04:00.000000",
        "Latitude": "45.09",
        "Longitude": "10.06",
        "Depth/km": "8",
        "Author": "lithoscope",
        "Catalog": "lithoscope",
        "Contributor": "lithoscope",
        "ContributorID": "ls0003_AAA",
        "MagType": "ML",
        "Magnitude": "2.5",
        "MagAuthor": "lithoscope",
        "EventLocationName": "",
        "EventType": "earthquake",
    }


@pytest.mark.parametrize("name", ["json", "geojson"])
def test_geojson_is_rfc_7946(address: str, name: str) -> None:
    answer = get(address, f"{QUERY}?format={name}&orderby=time-asc")
    assert answer.headers["content-type"] == "application/geo+json"
    document = json.loads(answer.text, parse_constant=lambda text: pytest.fail(text))
    assert [f["id"] for f in document["features"]] == [f"ls{n:04d}_AAA" for n in range(6)]
    assert document["features"][1]["geometry"]["coordinates"] == [10.02, 45.03, -6000.0]
    assert document["features"][1]["properties"]["magnitude"] is None


def test_a_long_answer_in_pieces_equals_the_short_ones(tmp_path: Path) -> None:
    Store(tmp_path / "many.sqlite").write(make_catalog(140))  # QuakeML comes in pieces of 50
    with serving(ServiceSettings(source=str(tmp_path / "many.sqlite"))) as url:
        whole = get(url, f"{QUERY}?orderby=time-asc").text
        assert whole.count("<event ") == 140
        first = get(url, f"{QUERY}?orderby=time-asc&limit=50").text
        assert whole.startswith(first.partition("</eventParameters>")[0])
        assert whole.endswith("</eventParameters>\n</q:quakeml>\n")
        assert get(url, f"{QUERY}?orderby=time-asc", headers={"Accept-Encoding": ""}).text == whole


def test_selection_equals_a_plain_loop_over_random_events(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    n = 400
    frame = EVENTS.table(
        {
            "event_id": [f"e{k}" for k in range(n)],
            "time": START + pd.to_timedelta(generator.integers(0, 10**6, n), "ms"),
            "longitude": generator.uniform(-180, 180, n),
            "latitude": generator.uniform(-90, 90, n),
            "depth_km": np.where(generator.random(n) < 0.1, np.nan, generator.uniform(0, 50, n)),
            "magnitude": np.where(generator.random(n) < 0.3, np.nan, generator.normal(2, 1, n)),
            **{c: 0.1 for c in ("time_sigma_s", "east_sigma_km", "north_sigma_km")},
            **{"depth_sigma_km": 0.1, "n_p": 3, "n_s": 3},
        }
    )
    with Store(tmp_path / "random.sqlite") as store:
        store.write(Catalog(events=frame))
        events = Snapshot.of(store.event_columns(EventQuery()), 1)
    defaults = {p.name: p.default for p in SERVICE.parameters}
    for _ in range(40):
        west, east = generator.uniform(-180, 180, 2)
        low, high = np.sort(generator.uniform(-90, 90, 2))
        centre = generator.uniform(-180, 180), generator.uniform(-90, 90)
        radius = generator.uniform(10, 180)
        least = generator.normal(2, 1)
        values = {
            **defaults,
            **{"minlongitude": west, "maxlongitude": east, "minlatitude": low},
            **{"maxlatitude": high, "longitude": centre[0], "latitude": centre[1]},
            **{"maxradius": radius, "minmagnitude": least, "orderby": "time-asc"},
        }
        found = events.event_ids(selection_of(values).rows(events))
        expected = [
            e.event_id
            for e in frame.sort_values(["time", "event_id"]).itertuples()
            if (west <= e.longitude <= east if west <= east else not east < e.longitude < west)
            and low <= e.latitude <= high
            and e.magnitude >= least
            and degrees_apart(centre, (e.longitude, e.latitude)) <= radius
        ]
        assert found == expected


def degrees_apart(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the angle between two points by their unit vectors, another way than the service."""
    vectors = []
    for longitude, latitude in (a, b):
        x, y = np.radians(longitude), np.radians(latitude)
        vectors.append([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)])
    return float(np.degrees(np.arccos(np.clip(np.dot(*vectors), -1, 1))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01", "2024-05-01T00:00:00.000000Z"),
        ("2024-05-01T01:02", "2024-05-01T01:02:00.000000Z"),
        ("2024-05-01T01:02:03", "2024-05-01T01:02:03.000000Z"),
        ("2024-05-01T01:02:03.5Z", "2024-05-01T01:02:03.500000Z"),
        ("2016-12-31T23:59:60", "2017-01-01T00:00:00.000000Z"),
        ("1969-12-31T23:59:59.25", "1969-12-31T23:59:59.250000Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert iso(parse_time(text)) == expected


def test_an_empty_catalogue_is_served(tmp_path: Path) -> None:
    Store(tmp_path / "empty.sqlite").write(Catalog())
    with serving(ServiceSettings(source=str(tmp_path / "empty.sqlite"))) as url:
        assert get(url, QUERY).status_code == 204
        assert get(url, "/api/events").json()["rows"] == []
        assert get(url, "/api/summary").json()["bounds"] is None
        assert get(url, "/api/stations").json() == {"stations": []}
        assert get(url, "/fdsnws/station/1/query").status_code == 204
