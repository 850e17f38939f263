"""Who may write, what cannot be reached, and texts that are code elsewhere."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from urllib.parse import quote

import obspy
import pandas as pd
import pytest
from obspy.io.quakeml.core import _validate as valid_quakeml
from pydantic import SecretStr
from service_run import CLIENT, START, get, make_catalog, make_run, serving

from lithoscope.catalog import Catalog, Store
from lithoscope.errors import ConfigError
from lithoscope.service.errors import without_paths
from lithoscope.service.guard import HEADERS
from lithoscope.service.settings import Limits, ServiceSettings, read_tokens

TOKEN = "0123456789abcdef0123"
NASTY = "<script>alert(1)</script>|'; DROP TABLE events; --\x07\n&amp;"


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory):
    run = make_run(tmp_path_factory.mktemp("reviewed"))
    tokens = (("anna", SecretStr(TOKEN)),)
    with serving(ServiceSettings(source=str(run), tokens=tokens)) as url:
        yield url


def protected(address: str) -> list[tuple[str, str]]:
    """Return method and path of every route that may write or that names who did."""
    paths = get(address, "/api/openapi.json").json()["paths"]
    return [
        (method.upper(), path.replace("{event_id}", "ls0003_AAA"))
        for path, methods in paths.items()
        for method, route in methods.items()
        if (method != "get" and not path.startswith("/fdsnws")) or route.get("security")
    ]


def send(address: str, method: str, path: str, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = {"action": "comment", "comment": "x"} if method == "POST" else None
    return CLIENT.request(method, address + path, headers=headers, json=body).status_code


def test_every_route_that_writes_needs_the_right_token(reviewed: str, address: str) -> None:
    routes = protected(reviewed)
    assert ("POST", "/api/events/ls0003_AAA/review") in routes
    assert ("GET", "/api/audit") in routes
    for method, path in routes:
        assert send(reviewed, method, path, None) == 401
        for wrong in ("x", TOKEN[:-1], TOKEN + "0", TOKEN.upper()):
            assert send(reviewed, method, path, wrong) in (401, 403)
        assert send(reviewed, method, path, TOKEN) == 200
        # A server without tokens lets nobody write, whatever they send.
        assert send(address, method, path, TOKEN) == 403


def test_all_other_routes_refuse_to_write(address: str) -> None:
    for path in get(address, "/api/openapi.json").json()["paths"]:
        path = path.replace("{event_id}", "ls0003_AAA").replace("{station}", "XX.AAA..HH")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            if method == "POST" and path.endswith(("/review", "/query")):
                continue
            assert CLIENT.request(method, address + path).status_code == 405, (method, path)
    assert CLIENT.post(address + "/fdsnws/event/1/query", content="x").status_code == 405


def test_reviews_change_the_catalogue_and_leave_a_trail(reviewed: str) -> None:
    path, headers = "/api/events/ls0004_AAA/review", {"Authorization": f"Bearer {TOKEN}"}
    answer = CLIENT.post(reviewed + path, json={"action": "accept"}, headers=headers)
    assert answer.status_code == 200, answer.text
    event = get(reviewed, "/api/events/ls0004_AAA").json()
    assert event["event"]["evaluation_mode"] == "manual"
    assert event["event"]["evaluation_status"] == "confirmed"
    assert [version["author"] for version in event["versions"]][-1] == "anna"
    (entry,) = event["audit"]
    assert (entry["user"], entry["action"]) == ("anna", "accept")
    body = get(reviewed, "/fdsnws/event/1/query?eventid=ls0004_AAA").content
    assert valid_quakeml(io.BytesIO(body))
    origin = obspy.read_events(io.BytesIO(body))[0].preferred_origin()
    assert (origin.evaluation_mode, origin.evaluation_status) == ("manual", "confirmed")
    answer = CLIENT.post(reviewed + path, json={"action": "reject"}, headers=headers)
    assert answer.status_code == 200
    assert get(reviewed, "/fdsnws/event/1/query?eventid=ls0004_AAA").status_code == 204
    rows = get(reviewed, "/api/events?status=rejected").json()["rows"]
    assert [row[0] for row in rows] == ["ls0004_AAA"]


def test_a_moved_pick_relocates_at_once_and_both_origins_are_there(reviewed: str) -> None:
    event = get(reviewed, "/api/events/ls0002_AAA").json()
    pick = event["arrivals"][0]
    later = pd.Timestamp(pick["time"]) + pd.Timedelta(seconds=0.2)
    wanted = {"action": "move_pick", "pick_id": pick["pick_id"], "time": f"{later:%FT%T.%fZ}"}
    answer = CLIENT.post(
        reviewed + "/api/events/ls0002_AAA/review",
        json=wanted,
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert answer.status_code == 200, answer.text
    moved = get(reviewed, "/api/events/ls0002_AAA").json()
    assert moved["event"]["version"] == 2
    assert moved["event"]["evaluation_status"] == "reviewed"
    assert moved["event"]["time"] != event["event"]["time"]
    query = "/fdsnws/event/1/query?eventid=ls0002_AAA"
    one = get(reviewed, query).content
    both = get(reviewed, query + "&includeallorigins=true&includearrivals=true").content
    assert valid_quakeml(io.BytesIO(one))
    assert valid_quakeml(io.BytesIO(both))
    assert len(obspy.read_events(io.BytesIO(one))[0].origins) == 1
    modes = [o.evaluation_mode for o in obspy.read_events(io.BytesIO(both))[0].origins]
    assert sorted(modes) == ["automatic", "manual"]
    # What an operator has worked on and accepts is final.
    answer = CLIENT.post(
        reviewed + "/api/events/ls0002_AAA/review",
        json={"action": "accept"},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert answer.status_code == 200, answer.text
    last = get(reviewed, query).content
    assert valid_quakeml(io.BytesIO(last))
    assert obspy.read_events(io.BytesIO(last))[0].preferred_origin().evaluation_status == "final"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "accept", "nonsense": 1}, 422),
        ({"action": "delete"}, 422),
        ({"action": "comment"}, 409),
        ({"action": "retype", "event_type": "ufo"}, 409),
        ({"action": "move_pick", "pick_id": "none", "time": "2024-05-01"}, 409),
        ({"action": "move_pick", "pick_id": "none", "time": "2024-02-31"}, 400),
        ({"action": "accept", "version": 99}, 409),
        ({"action": "comment", "comment": "x" * 2001}, 422),
    ],
)
def test_reviews_that_do_not_fit_are_refused(reviewed: str, body: dict, status: int) -> None:
    answer = CLIENT.post(
        reviewed + "/api/events/ls0003_AAA/review",
        json=body,
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert answer.status_code == status, answer.text
    assert "/" not in answer.json()["detail"].replace("remove_pick", "")


def test_headers_of_every_kind_of_answer(address: str) -> None:
    for path in ("/", "/api/summary", "/api/none", "/fdsnws/event/1/query?x=1", "/static/none.js"):
        answer = get(address, path)
        for name, text in HEADERS.items():
            assert answer.headers[name] == text, (path, name)
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static/....//settings.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/..\\settings.py",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/api/events/..%2f..%2fetc%2fpasswd",
        "/api/stations/..%2f..%2f",
        "/fdsnws/dataselect/1/query?net=..%2f..&sta=*",
    ],
)
def test_no_way_out_of_the_folder(address: str, path: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as raw:  # no client tidies it
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.split()[1] in (b"400", b"404")
    assert b"root:" not in answer
    assert b"import annotations" not in answer


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory):
    """A server on a catalogue whose texts an attacker chose."""
    catalog = make_catalog(2)
    tables = dict(catalog.tables())
    for name, columns in {
        "events": ["event_type", "magnitude_type", "magnitude_reason"],
        "picks": ["model"],
        "stations": [],
        "problems": ["what", "problem", "detail", "action"],
    }.items():
        tables[name] = tables[name].assign(**dict.fromkeys(columns, NASTY))
    station = "X<.S'\"|&.<.HH"
    for name in ("picks", "arrivals", "station_magnitudes", "stations"):
        tables[name] = tables[name].replace({"station": {"XX.AAA..HH": station}})
    tables["events"] = tables["events"].replace({"event_id": {"ls0001_AAA": "ls<b>'|&"}})
    for name in ("arrivals", "station_magnitudes"):
        tables[name] = tables[name].replace({"event_id": {"ls0001_AAA": "ls<b>'|&"}})
    path = tmp_path_factory.mktemp("hostile") / "store.sqlite"
    Store(path).write(Catalog(**tables))
    with serving(ServiceSettings(source=str(path))) as url:
        yield url


def test_hostile_texts_stay_texts(hostile: str) -> None:
    for query in ("", "includearrivals=true&includeallmagnitudes=true"):
        body = get(hostile, f"/fdsnws/event/1/query?{query}").content
        assert b"<script" not in body
        assert valid_quakeml(io.BytesIO(body))
        assert len(obspy.read_events(io.BytesIO(body))) == 2
    text = get(hostile, "/fdsnws/event/1/query?format=text")
    assert text.headers["content-type"].startswith("text/plain")
    assert [line.count("|") for line in text.text.splitlines()] == [13, 13, 13]
    event = quote("ls<b>'|&", safe="")
    assert get(hostile, f"/api/events/{event}").json()["event"]["event_type"] == NASTY
    for path in ("/api/health", "/api/events", "/fdsnws/station/1/query?level=channel"):
        answer = get(hostile, path)
        assert answer.status_code == 200
        assert not answer.headers["content-type"].startswith("text/html")
    obspy.read_inventory(io.BytesIO(get(hostile, "/fdsnws/station/1/query").content))


@pytest.mark.parametrize(
    "text", ["' OR '1'='1", "x'; DROP TABLE events; --", 'x" UNION SELECT 1', "%", "_", "\x00"]
)
def test_requests_are_no_sql(address: str, text: str) -> None:
    coded = quote(text, safe="")
    paths = {
        f"/fdsnws/event/1/query?eventid={coded}": (204,),
        f"/fdsnws/event/1/query?eventtype={coded}": (204,),
        f"/api/events/{coded}": (404,),
        f"/api/stations/{coded}/residuals": (404,),
        f"/fdsnws/station/1/query?sta={coded}": (204, 400),
    }
    for path, allowed in paths.items():
        assert get(address, path).status_code in allowed, path
    assert get(address, f"/api/events?eventid={coded}").json()["rows"] == []
    assert get(address, "/api/summary").json()["n_events"] == 6


def test_no_answer_names_a_path_of_the_machine(address: str, small_run: Path) -> None:
    forbidden = [str(small_run), str(small_run.parent), str(Path(__file__).parents[2])]
    for path in get(address, "/api/openapi.json").json()["paths"]:
        path = path.replace("{event_id}", "ls0003_AAA").replace("{station}", "XX.AAA..HH")
        if path in ("/api/stream", "/fdsnws/dataselect/1/query"):
            continue
        text = get(address, path).text
        assert not any(name in text for name in forbidden), path


def test_a_broken_store_is_reported_without_its_path(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with serving(ServiceSettings(source=str(run))) as url:
        (run / "catalogue.sqlite").write_bytes(b"no longer a database" * 100)
        for suffix in ("-wal", "-shm"):
            (run / f"catalogue.sqlite{suffix}").unlink(missing_ok=True)
        answer = get(url, "/api/events/ls0003_AAA/versions")
        assert answer.status_code in (200, 503)
        assert str(tmp_path) not in answer.text
        assert get(url, "/fdsnws/event/1/query").status_code == 200  # from memory


def test_messages_lose_their_paths() -> None:
    assert without_paths("cannot read /a/b c") == "cannot read ... c"
    assert without_paths("'sqlite:////a/b.sqlite' is bad") == "'...' is bad"
    assert without_paths("pick 'XX.A..HH/P/17' is bad") == "pick 'XX.A..HH/P/17' is bad"


def test_tokens_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# reviewers\n\nanna:{TOKEN}\n{TOKEN}1\n")
    names = [(name, token.get_secret_value()) for name, token in read_tokens(path)]
    assert names == [("anna", TOKEN), ("operator", TOKEN + "1")]
    monkeypatch.delenv("LITHOSCOPE_TOKEN", raising=False)
    assert read_tokens(None) == ()
    monkeypatch.setenv("LITHOSCOPE_TOKEN", TOKEN)
    assert [name for name, _ in read_tokens(None)] == ["operator"]
    assert TOKEN not in repr(ServiceSettings(source="x", tokens=read_tokens(None)))
    for text in ("short\n", "", "# nothing\n"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            read_tokens(path)


def test_a_large_body_is_refused(address: str) -> None:
    size = Limits().body_bytes
    for body in (b"x" * (size + 1), iter([b"x" * size, b"x"])):  # with and without its length
        answer = CLIENT.post(address + "/fdsnws/dataselect/1/query", content=body)
        assert answer.status_code == 413
    many = "\n".join(["XX AAA -- HHZ 2024-05-01 2024-05-02"] * 6000)
    answer = CLIENT.post(address + "/fdsnws/dataselect/1/query", content=many)
    assert answer.status_code == 413


def test_too_many_samples_are_refused_before_any_is_read(small_run: Path) -> None:
    limits = Limits(samples=100_000)
    with serving(ServiceSettings(source=str(small_run), limits=limits)) as url:
        assert get(url, "/fdsnws/dataselect/1/query?net=*").status_code == 413
        window = f"start={START:%FT%T}&end={START + pd.Timedelta(seconds=9):%FT%T}"
        assert get(url, f"/fdsnws/dataselect/1/query?net=XX&{window}").status_code == 200


def test_openapi_needs_no_other_site(address: str) -> None:
    assert get(address, "/docs").status_code == 404
    assert get(address, "/redoc").status_code == 404
    json.loads(get(address, "/api/openapi.json").text)
