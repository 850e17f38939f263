"""Changes of the store reach readers; slow clients hold nothing."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa
from service_run import CLIENT, get, make_catalog, make_run, serving

from lithoscope.catalog import Catalog, Store
from lithoscope.service.settings import Limits, ServiceSettings


def solution(whole: Catalog, name: str, **changes: Any) -> Catalog:
    """Return one event of a catalogue with changed columns."""
    events = whole.events[whole.events["event_id"] == name].assign(**changes)
    arrivals = whole.arrivals[whole.arrivals["event_id"] == name]
    picks = whole.picks[whole.picks["pick_id"].isin(arrivals["pick_id"])]
    return Catalog(events=events, arrivals=arrivals, picks=picks)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'live.sqlite'}"
        return
    server = os.environ.get("LITHOSCOPE_TEST_POSTGRES")
    if not server:
        pytest.skip("no PostgreSQL server (set LITHOSCOPE_TEST_POSTGRES)")
    name = f"serve_{os.getpid()}_{time.monotonic_ns()}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


class Listener(threading.Thread):
    """Reads server-sent events until it has as many as wanted."""

    def __init__(self, address: str, wanted: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.greeted = threading.Event()
        self._arguments = address, wanted, headers

    def run(self) -> None:
        with suppress(httpx.TransportError):  # the server ends
            self._listen()

    def _listen(self) -> None:
        address, wanted, headers = self._arguments
        name = ""
        with (
            httpx.Client(verify=False, timeout=60) as client,
            client.stream("GET", f"{address}/api/stream", headers=headers) as answer,
        ):
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.messages.append((name, json.loads(line.removeprefix("data: "))))
                    self.greeted.set()
                    if len(self.messages) > wanted:
                        return

    def changes(self) -> list[tuple[str, str, int]]:
        self.join(60)
        return [(n, m["event_id"], m["version"]) for n, m in self.messages if n != "hello"]


def test_changes_reach_readers_and_answers(database: str) -> None:
    whole = make_catalog(4)
    with Store(database) as store:
        store.write(make_catalog(2))
        settings = ServiceSettings(source=database, poll_s=0.05)
        with serving(settings) as url:
            before = get(url, "/api/events").json()
            reader = Listener(url, 3)
            reader.start()
            assert reader.greeted.wait(60)
            store.put_event(solution(whole, "ls0003_AAA"))
            store.put_event(solution(whole, "ls0000_AAA", magnitude=4.0))
            store.cancel_event("ls0001_AAA", "noise")
            expected = [
                ("new", "ls0003_AAA", 1),
                ("update", "ls0000_AAA", 2),
                ("cancel", "ls0001_AAA", 2),
            ]
            assert reader.changes() == expected
            answer = get(url, "/api/events?orderby=time-asc").json()
            assert answer["sequence"] == before["sequence"] + 3
            assert [row[0] for row in answer["rows"]] == ["ls0000_AAA", "ls0003_AAA"]
            assert answer["rows"][0][5] == 4.0
            text = get(url, "/fdsnws/event/1/query?format=text&minmag=3.9").text
            assert text.count("\n") == 2
            assert get(url, "/api/events/ls0000_AAA").json()["event"]["version"] == 2
            # A reader that was away gets what it missed, once, in order.
            again = Listener(url, 2, {"Last-Event-ID": str(before["sequence"] + 1)})
            again.start()
            assert again.changes() == expected[1:]


WRITER = """
import sys
from service_run import make_catalog
from test_service_live import solution
from lithoscope.catalog import Store
whole = make_catalog(4)
with Store(sys.argv[1]) as store:
    for line in sys.stdin:
        if line == "new\\n":
            store.put_event(solution(whole, "ls0003_AAA"))
        elif line == "update\\n":
            store.put_event(solution(whole, "ls0000_AAA", magnitude=4.0))
        else:
            store.cancel_event("ls0001_AAA", "noise")
"""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_another_process_writes_to_postgresql_is_seen(database: str) -> None:
    """A server that reads all the while, and an operator beside it, hold no writer up."""
    with Store(database) as store:
        store.write(make_catalog(2))
    words = [sys.executable, "-c", WRITER, database]
    with (
        serving(ServiceSettings(source=database, poll_s=0.05)) as url,
        subprocess.Popen(
            words, stdin=subprocess.PIPE, text=True, cwd=Path(__file__).parent
        ) as writer,
    ):
        try:
            reader = Listener(url, 3)
            reader.start()
            assert reader.greeted.wait(60)
            assert writer.stdin is not None
            writer.stdin.write("new\nupdate\ncancel\n")
            writer.stdin.close()
            while reader.is_alive():
                assert get(url, "/api/events/ls0000_AAA").status_code == 200
            assert reader.changes() == [
                ("new", "ls0003_AAA", 1),
                ("update", "ls0000_AAA", 2),
                ("cancel", "ls0001_AAA", 2),
            ]
            assert writer.wait(60) == 0
        finally:
            writer.kill()
        rows = get(url, "/api/events?orderby=time-asc").json()["rows"]
        assert [row[0] for row in rows] == ["ls0000_AAA", "ls0003_AAA"]


def test_a_catalogue_written_anew_is_seen(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_events=2)
    with serving(ServiceSettings(source=str(run), poll_s=0.05)) as url:
        reader = Listener(url, 1)
        reader.start()
        assert reader.greeted.wait(60)
        with Store(run / "catalogue.sqlite") as store:
            store.write(make_catalog(3))
        reader.join(60)
        assert get(url, "/api/summary").json()["n_events"] == 3


def test_a_watched_run_is_live_and_its_stations_have_states(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    marker = json.loads((run / "lithoscope-run.json").read_text())
    (run / "lithoscope-run.json").write_text(json.dumps(marker | {"status": "watching"}))
    (tmp_path / "data").rename(run / "spool")
    now_ns = time.time_ns()
    with Store(run / "catalogue.sqlite") as store:
        report = {"n_gaps": 2, "noise": 12.5, "noise_unit": "counts"}
        ages = {"XX.AAA..HH": 1, "XX.BBB.00.HH": 200, "YY.CCC..EH": 5000}
        store.put_state(
            "stations",
            {c: {"last_data_ns": now_ns - age * 10**9, **report} for c, age in ages.items()},
        )
        store.put_state("health", {"stages": {"pick": {"latency_s": 0.4}}, "sources": []})
    with serving(ServiceSettings(source=str(run))) as url:
        assert get(url, "/api/summary").json()["live"] is True
        rows = {row["station"]: row for row in get(url, "/api/stations").json()["stations"]}
        assert [rows[code]["state"] for code in ages] == ["ok", "late", "silent"]
        assert rows["XX.AAA..HH"]["noise_level"] == 12.5
        health = get(url, "/api/health").json()
        assert health["stages"][0]["median_latency_s"] == 0.4
        assert health["run_status"] == "watching"
        window = f"start={pd.Timestamp('2024-05-01'):%FT%T}&end=2024-05-01T00:00:05"
        assert get(url, f"/fdsnws/dataselect/1/query?net=XX&sta=AAA&{window}").status_code == 200


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory):
    """A server with short limits and a long answer."""
    path = tmp_path_factory.mktemp("strict") / "store.sqlite"
    Store(path).write(make_catalog(400))
    limits = Limits(request_s=1.0, stalled_s=1.0, connections_per_client=20, streams=2)
    with serving(ServiceSettings(source=str(path), limits=limits), send_buffer=16_384) as url:
        yield url


def host_and_port(address: str) -> tuple[str, int]:
    host, port = address.removeprefix("http://").split(":")
    return host, int(port)


def connect(address: str, receive_buffer: int = 0) -> socket.socket:
    """Connect as a client; a small buffer leaves with the server what is not read."""
    connection = socket.socket()
    try:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(60)
        connection.connect(host_and_port(address))
    except BaseException:
        connection.close()
        raise
    return connection


def sent_and_ended(connection: socket.socket, sent: bytes) -> bool:
    """Send, and read until the other side ends the connection, at whatever moment it does."""
    with suppress(ConnectionError):
        connection.sendall(sent)
        while connection.recv(65536):
            pass
    return True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /api/summary HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /fdsnws/dataselect/1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nXX",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_does_not_arrive_is_dropped(strict: str, sent: bytes) -> None:
    with connect(strict) as slow:
        assert sent_and_ended(slow, sent)


def test_a_reader_that_takes_nothing_is_cut_off_and_others_are_served(strict: str) -> None:
    with ExitStack() as open_ones:
        readers = [open_ones.enter_context(connect(strict, 4096)) for _ in range(5)]
        for slow in readers:
            with suppress(ConnectionError):  # on a busy machine it may be cut off already
                slow.sendall(b"GET /fdsnws/event/1/query HTTP/1.1\r\nHost: x\r\n\r\n")
        assert CLIENT.get(f"{strict}/api/events?limit=10").status_code == 200
        for slow in readers:
            poll = select.poll()
            poll.register(slow, 0)  # errors and the end only, not that there is something to read
            assert poll.poll(60_000)
    assert CLIENT.get(f"{strict}/api/events?limit=10").status_code == 200


def test_a_reader_that_is_slow_but_reads_gets_all(strict: str) -> None:
    whole = CLIENT.get(f"{strict}/fdsnws/event/1/query", headers={"Accept-Encoding": ""}).content
    with connect(strict, receive_buffer=4096) as slow:
        slow.sendall(b"GET /fdsnws/event/1/query HTTP/1.0\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answer.partition(b"\r\n\r\n")[2] == whole


class Asker:
    """A connection that may be refused, which may show at any moment of it."""

    def __init__(self, address: str, open_ones: ExitStack) -> None:
        self.refused = False
        try:
            self.connection = open_ones.enter_context(connect(address))
        except ConnectionError:
            self.refused = True

    def served(self) -> bool:
        """Ask for something small."""
        with suppress(ConnectionError):
            if not self.refused:
                self.connection.sendall(b"GET /fdsnws/event/1/version HTTP/1.1\r\nHost: x\r\n\r\n")
                return self.connection.recv(1) != b""
        return False


def test_one_address_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    Store(tmp_path / "store.sqlite").write(make_catalog(1))
    # Nothing ends by itself while this test runs, however busy the machine is.
    limits = Limits(request_s=600.0, connections_per_client=5)
    settings = ServiceSettings(source=str(tmp_path / "store.sqlite"), limits=limits)
    with serving(settings) as url:
        with ExitStack() as open_ones:
            askers = [Asker(url, open_ones) for _ in range(12)]
            # Connections are accepted in turn: when the last one has its answer, the lot of all
            # is known. `serving` may hold one more.
            assert sum(asker.served() for asker in reversed(askers)) in (4, 5)
        # Those that ended do not count, as soon as the server has heard of their end.
        deadline = time.monotonic() + 60
        while True:
            with ExitStack() as open_ones:
                if Asker(url, open_ones).served():
                    break
            assert time.monotonic() < deadline


def test_streams_are_bounded(strict: str) -> None:
    readers = [Listener(strict, 1_000_000) for _ in range(2)]
    for reader in readers:
        reader.start()
        assert reader.greeted.wait(60)
    assert CLIENT.get(f"{strict}/api/stream").status_code == 503
