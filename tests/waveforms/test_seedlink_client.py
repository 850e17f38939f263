"""Our client: everything once, in order, over lost connections, bad packets and other servers."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from seedlink_data import START_NS, network

from lithoscope.errors import ConfigError
from lithoscope.waveforms.seedlink import Packet, SeedLinkClient, SeedLinkServer
from lithoscope.waveforms.seedlink.client import _newest, parse_url

QUICK = {"tick_s": 0.05, "backoff_s": (0.01, 0.05)}


def take(client: SeedLinkClient, n: int, seconds: float = 30.0) -> list[Packet]:
    """Return the next ``n`` packets."""
    got: list[Packet] = []
    end = time.monotonic() + seconds
    for packet in client:
        if packet is not None:
            got.append(packet)
        if len(got) == n or time.monotonic() > end:
            return got
    return got


@pytest.fixture(scope="module")
def made():
    return network()


@pytest.fixture
def server(made):
    with SeedLinkServer(port=0) as running:
        for cut in made[0]:
            running.send(cut)
        yield running


@pytest.fixture
def open_ones():
    """What is closed when a test ends, however it does."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("version", ["3.1", "4.0", None])
def test_all_packets_come_as_they_were_sent(server, made, version):
    cuts, samples = made
    with SeedLinkClient(server.url, start="earliest", version=version, **QUICK) as client:
        got = take(client, len(cuts))
        assert client.status.protocol == (version or "4.0")
    assert [p.raw for p in got] == [c.raw for c in cuts]
    assert [p.sequence for p in got] == list(range(1, len(cuts) + 1))
    assert client.state_of() == {"CI_CCC": len(cuts) - 2, "CI_WOR": len(cuts)}
    for code, values in samples.items():
        assert np.array_equal(np.concatenate([p.samples for p in got if p.code == code]), values)


@pytest.mark.parametrize("version", ["3.1", "4.0"])
@pytest.mark.parametrize(
    ("selections", "codes"),
    [
        (["CI_CCC"], {"CI.CCC..HHZ", "CI.CCC..HHN"}),
        (["*_*:HHZ"], {"CI.CCC..HHZ", "CI.WOR..HHZ"}),
        (["C?_W*:*_H_H_N", "CI_CCC:--HHZ"], {"CI.WOR..HHN", "CI.CCC..HHZ"}),
        (["CI_CCC:HHZ,HHN"], {"CI.CCC..HHZ", "CI.CCC..HHN"}),
        (["CI_CCC:HHZ.D", "CI_CCC:HHN.D"], {"CI.CCC..HHZ", "CI.CCC..HHN"}),
        (["CI_WOR:!HHZ"], {"CI.WOR..HHN"}),
    ],
)
def test_only_what_was_selected(server, version, selections, codes):
    client = SeedLinkClient(server.url, selections, start="earliest", version=version, **QUICK)
    with client:
        assert {p.code for p in take(client, 20)} == codes


@pytest.mark.parametrize("version", ["3.1", "4.0"])
def test_a_new_client_resumes_from_the_state(server, made, version):
    cuts = made[0]
    state: dict[str, int] = {}
    got: list[bytes] = []
    for n in (7, 1, 30, len(cuts) - 38):
        client = SeedLinkClient(server.url, start="earliest", state=state, version=version, **QUICK)
        with client:
            got += [p.raw for p in take(client, n)]
            state = client.state_of()
    assert got == [c.raw for c in cuts]


@pytest.mark.parametrize("version", ["3.1", "4.0"])
def test_cut_connections_lose_nothing(made, version):
    cuts = made[0]
    with SeedLinkServer(port=0) as server:
        client = SeedLinkClient(server.url, start="earliest", version=version, **QUICK)
        sent: list[int] = []

        def feed() -> None:
            for number, cut in enumerate(cuts, 1):
                sent.append(server.send(cut))
                if number % 16 == 0:
                    server.wait_for_clients(1, timeout=20)
                    server.disconnect()

        feeder = threading.Thread(target=feed)
        feeder.start()
        with client:
            got = take(client, len(cuts))
        feeder.join()
        assert [p.sequence for p in got] == sent
        assert client.status.n_reconnects >= 1
        assert client.status.last_error


def test_a_server_that_comes_back_is_found_again(made, open_ones):
    cuts = made[0]
    with SeedLinkServer(port=0) as first:
        port = first.port
        for cut in cuts[:3]:
            first.send(cut)
        client = open_ones.enter_context(SeedLinkClient(first.url, start="earliest", **QUICK))
        packets = iter(client)
        got = list(itertools.islice((p for p in packets if p is not None), 3))
    assert next(packets) is None  # gone: ticks, no error
    with SeedLinkServer(port=port) as second:
        for cut in cuts[:5]:
            second.send(cut)
        got += list(itertools.islice((p for p in packets if p is not None), 2))
        open_ones.close()
    assert [p.raw for p in got] == [c.raw for c in cuts[:5]]


def test_ticks_come_while_nothing_else_does(server):
    with SeedLinkClient(server.url, **QUICK) as client:
        packets = iter(client)
        assert [next(packets) for _ in range(3)] == [None] * 3
        assert client.status.connected
    with socket.socket() as closed:  # a port where nobody listens
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with SeedLinkClient(f"seedlink://127.0.0.1:{port}", **QUICK) as client:
        packets = iter(client)
        assert [next(packets) for _ in range(3)] == [None] * 3
        assert not client.status.connected
        assert "refused" in client.status.last_error.lower()


def test_a_time_window_ends_the_iteration(server):
    for version in ("3.1", "4.0"):
        client = SeedLinkClient(
            server.url,
            ["*_*:HHZ"],
            start=START_NS + 5 * 10**9,
            end_ns=START_NS + 7 * 10**9,
            version=version,
            **QUICK,
        )
        got = [p for p in client if p is not None]
        assert [(p.starttime_ns - START_NS) // 10**9 for p in got] == [5, 5, 6, 6, 7, 7]


def test_closing_from_another_thread_ends_the_iteration(server):
    client = SeedLinkClient(server.url, **QUICK)
    ended = threading.Event()

    def run() -> None:
        for _ in client:
            pass
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    with client:
        assert server.wait_for_clients(1, timeout=20)
    assert ended.wait(timeout=20)
    thread.join()


def test_how_stations_are_resumed_depends_on_the_numbering(made):
    good = [b"SL%06X" % i + c.raw for i, c in enumerate(made[0][:4], 16)]
    for name, asked in (
        ("SeedLink v3.1 (2020.075 RingServer)", ["STATION * *", "DATA 000014"]),
        (
            "SeedLink v3.3 (2023.001)",
            [
                *("STATION CCC CI", "DATA 000012", "STATION WOR CI", "DATA 000014"),
                *("STATION * *", "DATA"),
            ],
        ),
    ):
        first = Scripted(lambda c: c.sendall(b"".join(good)), lambda c: None, name=name)
        with SeedLinkClient(first.url, **QUICK) as client:
            assert len(take(client, 4)) == 4
            for _ in client:  # connects anew
                if first.commands.count("END") == 2:
                    break
        first.thread.join(timeout=20)
        again = first.commands[first.commands.index("END") + 2 :]
        assert again == [*asked, "END"]


def test_the_newest_number_of_3_may_be_a_small_one():
    assert _newest([5, 9], "3.1") == 9
    assert _newest([0xFFFFF0, 0xFFFFFE, 3, 1], "3.1") == 3
    assert _newest([0xFFFFF0, 3], "4.0") == 0xFFFFF0


class Scripted:
    """A server that plays a script to each connection in turn, once it has asked for data."""

    def __init__(
        self, *scripts: Callable[[socket.socket], None], name: str = "SeedLink v3.1 (2020.075)"
    ) -> None:
        self.name = name
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        self.url = f"seedlink://127.0.0.1:{self.listener.getsockname()[1]}"
        self.commands: list[str] = []
        self.thread = threading.Thread(target=self._run, args=(scripts,), daemon=True)
        self.thread.start()

    def _run(self, scripts: tuple[Callable[[socket.socket], None], ...]) -> None:
        left = list(scripts)
        with self.listener:
            while left:
                try:
                    connection, _ = self.listener.accept()
                except OSError:  # nobody came for the rest
                    return
                with connection, suppress(OSError):  # clients leave when they like
                    self._talk(connection, left)

    def _talk(self, connection: socket.socket, left: list[Callable[[socket.socket], None]]) -> None:
        for line in self._lines(connection):
            self.commands.append(line)
            if line == "HELLO":
                connection.sendall(f"{self.name}\r\nSomebody\r\n".encode())
            elif line == "END":
                left.pop(0)(connection)
                return
            else:
                connection.sendall(b"OK\r\n")

    @staticmethod
    def _lines(connection: socket.socket) -> Iterator[str]:
        buffer = b""
        while data := connection.recv(4096):
            *lines, buffer = (buffer + data).split(b"\r\n")
            yield from (line.decode() for line in lines)


def test_bad_packets_are_counted_and_passed_over(made):
    good = [b"SL%06X" % i + c.raw for i, c in enumerate(made[0][:8], 1)]
    bad = bytearray(good[3])
    bad[8 + 64 + 14] ^= 255  # inside the samples
    text = good[4][:8] + bytearray(good[4][8:])
    text = text[: 8 + 30] + bytes(6) + text[8 + 36 :]  # no samples at no rate
    noise = b"SL000006" + bytes(range(256)) * 2
    script = b"".join([*good[:3], bytes(bad), bytes(text), noise, *good[6:]])

    scripted = Scripted(lambda c: c.sendall(script), lambda c: c.sendall(good[7]))
    client = SeedLinkClient(scripted.url, **QUICK)
    with client:
        got = take(client, 6)
    assert [p.sequence for p in got] == [1, 2, 3, 7, 8, 8]
    assert client.status.protocol == "3.1"
    assert (client.status.n_bad, client.status.n_other) == (2, 1)
    assert any("packet 4" in text and "damaged" in text for text in client.status.problems)
    assert any("packet 6" in text for text in client.status.problems)
    # What came before and after the damage is resumed from, not the damage again.
    assert scripted.commands.count("DATA 000008") + scripted.commands.count("DATA 000009") >= 1


@pytest.mark.parametrize(
    "script",
    [b"this is no SeedLink packet at all", b"ERROR\r\n", b"SE2D\xff\xff\xff\xff" + bytes(9)],
)
def test_a_stream_that_is_none_is_left(made, script):
    good = b"SL000001" + made[0][0].raw
    scripted = Scripted(lambda c: c.sendall(script), lambda c: c.sendall(good))
    with SeedLinkClient(scripted.url, **QUICK) as client:
        assert [p.sequence for p in take(client, 1)] == [1]
        assert client.status.n_reconnects == 1
        assert client.status.last_error


def test_a_silent_connection_is_asked_then_left(made):
    asked = threading.Event()

    def silent(connection: socket.socket) -> None:
        if connection.recv(64).startswith(b"INFO ID"):
            asked.set()
        while connection.recv(64):  # until the client gives up
            pass

    good = b"SL000001" + made[0][0].raw
    scripted = Scripted(silent, lambda c: c.sendall(good))
    with SeedLinkClient(scripted.url, timeout_s=0.3, **QUICK) as client:
        assert len(take(client, 1)) == 1
        assert asked.is_set()
        assert any("nothing heard for 0.3 s" in text for text in client.status.problems)


@pytest.mark.parametrize("selection", ["CCC", "CI_CCC:HZ", "CI_C CC", "CI_CCC:HH$", ""])
def test_selections_that_are_none(selection):
    with pytest.raises(ConfigError, match="selection"):
        SeedLinkClient("seedlink://localhost", [selection])


def test_selectors_of_a_station_are_asked_together():
    client = SeedLinkClient("localhost", ["A_B:HHZ", "C_*", "A_B:HHN", "C_*:HHZ"])
    assert client.selections == [("A_B", ["HHZ", "HHN"]), ("C_*", [])]


def test_addresses():
    assert parse_url("seedlink://example.org") == ("example.org", 18000)
    assert parse_url("seedlink://[::1]:18001") == ("::1", 18001)
    assert parse_url("10.0.0.1:18002/") == ("10.0.0.1", 18002)
    for wrong in ("http://example.org", "seedlink://a:b", "seedlink://a:99999", "a b"):
        with pytest.raises(ConfigError, match="no SeedLink address"):
            parse_url(wrong)
    with pytest.raises(ConfigError, match=r"allowed are 3\.1 and 4\.0"):
        SeedLinkClient("localhost", version="2")
    with pytest.raises(ConfigError, match="needs its start"):
        SeedLinkClient("localhost", end_ns=0)
