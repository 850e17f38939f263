"""The JSON API: its answers, and that they are what its own document says."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import obspy
import pytest
from service_run import CLIENT, START, STATION_CODES, get, make_run, serving

from lithoscope.service import models
from lithoscope.service.settings import ServiceSettings
from lithoscope.service.traces import extremes, spectrogram

EVENT = "ls0003_AAA"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("summary", models.Summary),
        ("events", models.EventColumns),
        ("events?fields=full&limit=2", models.EventColumns),
        (f"events/{EVENT}", models.EventDetail),
        (f"events/{EVENT}/versions", models.Versions),
        (f"events/{EVENT}/samples?n=20", models.Samples),
        (f"events/{EVENT}/section", models.Section),
        (f"events/{EVENT}/section?component=h&columns=100&stations=1", models.Section),
        ("stations", models.Stations),
        ("stations/XX.AAA..HH", models.StationDetail),
        ("stations/XX.AAA..HH/waveform", models.Waveform),
        ("stations/XX.BBB.00.HH/spectrogram", models.Spectrogram),
        ("stations/XX.AAA..HH/residuals", models.Residuals),
        ("stations/XX.BBB.00.HH/availability", models.Availability),
        ("health", models.Health),
        ("coastlines?west=9&south=44&east=11&north=46", models.Coastlines),
    ],
)
def test_answers_have_the_shape_of_the_document(address: str, path: str, model: type) -> None:
    answer = get(address, f"/api/{path}")
    assert answer.status_code == 200, answer.text
    model.model_validate(answer.json(), strict=False)
    document = get(address, "/api/openapi.json").json()
    template = "/api/" + path.partition("?")[0]
    template = template.replace(EVENT, "{event_id}")
    for code in STATION_CODES:
        template = template.replace(code, "{station}")
    content = document["paths"][template]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("/" + model.__name__)


def test_compact_events_are_the_stores_events(address: str) -> None:
    answer = get(address, "/api/events?orderby=time-asc").json()
    rows = [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
    assert [row["event_id"] for row in rows] == [f"ls{n:04d}_AAA" for n in range(6)]
    assert rows[2]["time_ms"] == (START.value + 180 * 10**9) // 10**6
    assert rows[1]["magnitude"] is None
    assert rows[3]["longitude"] == pytest.approx(10.06)
    assert answer["n_matched"] == 6


def test_limit_and_offset_page_through(address: str) -> None:
    whole = get(address, "/api/events").json()["rows"]
    parts = [
        row
        for offset in (0, 2, 4)
        for row in get(address, f"/api/events?limit=2&offset={offset}").json()["rows"]
    ]
    assert parts == whole


def test_an_answer_that_has_not_changed_is_not_sent_again(address: str) -> None:
    first = get(address, "/api/events")
    again = get(address, "/api/events", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_gzip_only_for_those_who_take_it(address: str) -> None:
    path = "/api/events?fields=full"
    plain = get(address, path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with CLIENT.stream("GET", address + path, headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content


def test_an_event_has_all_that_belongs_to_it(address: str) -> None:
    answer = get(address, f"/api/events/{EVENT}").json()
    assert answer["event"]["event_id"] == EVENT
    assert answer["event"]["evaluation_mode"] == "automatic"
    assert len(answer["arrivals"]) == 6
    assert answer["arrivals"][0]["time_sigma_s"] == 0.05
    assert {row["station"] for row in answer["stations"]} == set(STATION_CODES)
    assert [row["version"] for row in answer["versions"]] == [1]


def test_a_section_holds_the_extremes_of_the_recordings(address: str, small_run: Path) -> None:
    answer = get(address, f"/api/events/{EVENT}/section?columns=200").json()
    assert [t["station"] for t in answer["traces"]] == sorted(
        STATION_CODES, key=[t["station"] for t in answer["traces"]].index
    )
    distances = [trace["distance_km"] for trace in answer["traces"]]
    assert distances == sorted(distances)
    trace = answer["traces"][0]
    assert len(trace["minimum"]) == len(trace["maximum"]) == 200
    assert all(low <= high for low, high in zip(trace["minimum"], trace["maximum"], strict=True))
    assert [pick["phase"] for pick in trace["picks"]] == ["P", "S"]
    assert answer["starttime"] < trace["predicted_p"] < trace["predicted_s"] < answer["endtime"]


def test_a_gap_shows_in_waveform_and_availability(address: str) -> None:
    trace = get(address, "/api/stations/XX.BBB.00.HH/waveform?columns=600").json()["channels"][0]
    # 600 steps over 600 s: the gap of 30 s begins at 300 s
    empty = [step for step, value in enumerate(trace["minimum"]) if value is None]
    assert empty == list(range(300, 330))
    answer = get(address, "/api/stations/XX.BBB.00.HH/availability").json()
    assert answer["n_gaps"] == 1
    assert answer["available_percent"] == pytest.approx(95.0, abs=0.01)


def test_extremes_are_those_of_every_step() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=1000)
    pieces = [(0, 10.0, values[:400]), (50_000_000_000, 10.0, values[500:])]
    low, high = extremes(pieces, 0, 100_000_000_000, 50)
    for step in range(50):
        part = values[step * 20 : (step + 1) * 20]
        inside = part if not 20 <= step < 25 else np.array([])
        assert (
            (np.isnan(low[step]) and np.isnan(high[step]))
            if not len(inside)
            else (low[step] == inside.min() and high[step] == inside.max())
        )


def test_a_spectrogram_shows_where_the_power_is() -> None:
    time = np.arange(60_000) / 100.0
    sine = 100.0 * np.sin(2 * np.pi * 7.0 * time)
    frequencies, level = spectrogram([(0, 100.0, sine)], 0, 600 * 10**9, 20, 64)
    assert level.shape == (20, len(frequencies))
    width = frequencies[1] - frequencies[0]
    assert np.all(np.abs(frequencies[level.argmax(axis=1)] - 7.0) <= width)
    # the variance of a sine of amplitude 100 is 5000
    power = (10 ** (level / 10)).sum(axis=1) * width
    assert power == pytest.approx(5000.0, rel=0.05)


def test_residuals_and_samples(address: str) -> None:
    rows = get(address, "/api/stations/XX.AAA..HH/residuals").json()["residuals"]
    assert len(rows) == 12
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)
    answer = get(address, f"/api/events/{EVENT}/samples?n=500").json()
    assert len(answer["longitude"]) == 500
    again = get(address, f"/api/events/{EVENT}/samples?n=500").json()
    assert answer == again


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/events?minmagnitude=x", 422),
        ("/api/events?minmagnitude=nan", 422),
        ("/api/events?no_such=1", 422),
        ("/api/events?starttime=2024-02-30", 400),
        ("/api/events?starttime=2024-02-03&endtime=2024-02-02", 400),
        ("/api/events?latitude=3", 400),
        ("/api/events?minradius_deg=3", 400),
        ("/api/events/nothing", 404),
        ("/api/events/nothing/section", 404),
        ("/api/stations/nothing", 404),
        ("/api/stations/XX.AAA..HH/waveform?hours=900", 422),
        ("/api/coastlines?west=3&east=2", 400),
        ("/api/nothing", 404),
        ("/nothing", 404),
    ],
)
def test_errors_say_what_is_wrong(address: str, path: str, status: int) -> None:
    answer = get(address, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert answer.json()["detail"]


def test_recordings_that_are_gone_leave_the_rest_standing(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with serving(ServiceSettings(source=str(run))) as url:
        answer = get(url, f"/api/events/{EVENT}/section").json()
        assert answer["traces"] == []
        assert "--waveforms" in answer["reason"]
        assert get(url, "/fdsnws/event/1/query").status_code == 200
        assert get(url, "/fdsnws/dataselect/1/query?net=XX").status_code == 204
    settings = ServiceSettings(
        source=str(run / "catalogue.sqlite"),
        waveforms=(str(tmp_path / "elsewhere"),),
        stations=(str(tmp_path / "stations.xml"),),
    )
    with serving(settings) as url:
        body = get(url, f"/fdsnws/dataselect/1/query?net=XX&sta=AAA&end={START:%Y-%m-%dT%H:%M:%S}")
        assert obspy.read(io.BytesIO(body.content))[0].stats.npts == 1
