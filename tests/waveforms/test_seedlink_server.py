"""The server's side of the protocol, command by command, as ringserver answers it."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
import xml.etree.ElementTree as ElementTree
from contextlib import suppress
from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from seedlink_data import START_NS, network

from lithoscope.errors import ConfigError
from lithoscope.waveforms.seedlink import SeedLinkServer, ServerLimits, decode
from lithoscope.waveforms.seedlink._session import parse_time
from lithoscope.waveforms.seedlink.selection import matches, selector3_to_4, selector4_to_3

WORDS = [
    *("HELLO", "SLPROTO", "STATION", "SELECT", "DATA", "FETCH", "TIME", "END", "INFO", "BATCH"),
    *("CAPABILITIES", "AUTH", "USERAGENT", "ENDFETCH"),
]
ARGUMENTS = [
    *("4.0", "3.1", "CI_CCC", "CCC", "CI", "*", "??", "5", "ALL", "-1", "2019,07,04", "ID"),
    *("STREAMS", "!", "!*:3", ":", ".", "-", "\x0b"),
]
COMMANDS = st.builds(
    lambda word, rest: " ".join([word, *rest]).encode(),
    st.sampled_from(WORDS),
    st.lists(st.sampled_from(ARGUMENTS), max_size=4),
)


class Talk:
    """A bare connection: lines out, replies and packets in."""

    def __init__(self, server: SeedLinkServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.buffer = b""

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *lines: str, end: bytes = b"\r\n") -> None:
        self.socket.sendall(b"".join(line.encode() + end for line in lines))

    def take(self, n: int) -> bytes:
        while len(self.buffer) < n:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(self.buffer)
            self.buffer += data
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def line(self) -> str:
        out = b""
        while not out.endswith(b"\r\n"):
            out += self.take(1)
        return out[:-2].decode()

    def ask(self, line: str) -> str:
        self.say(line)
        return self.line()

    def packet3(self):
        head, raw = self.take(8), self.take(512)
        return head, raw

    def packet4(self):
        signature, form, sub, length, sequence, size = struct.unpack("<2sccIQB", self.take(17))
        assert signature == b"SE"
        station = self.take(size).decode()
        return form + sub, sequence, station, self.take(length)

    def info3(self, level: str) -> ElementTree.Element:
        self.say(f"INFO {level}")
        text = b""
        while True:
            head, raw = self.packet3()
            count = struct.unpack_from(">H", raw, 30)[0]
            text += raw[56 : 56 + count]
            if head == b"SLINFO  ":
                return ElementTree.fromstring(text)
            assert head == b"SLINFO *"

    def info4(self, level: str) -> dict:
        self.say(f"INFO {level}")
        form, sequence, station, payload = self.packet4()
        assert (form, sequence, station) == (b"JI", 0, "")
        return json.loads(payload)

    def start4(self, *stations: str) -> None:
        assert self.ask("SLPROTO 4.0") == "OK"
        for line in stations:
            assert self.ask(line) == "OK"
        self.say("END")

    def ended(self) -> bool:
        try:
            return self.take(1) == b""
        except (EOFError, ConnectionError):
            return True


def refused(server: SeedLinkServer) -> bool:
    """Connect to a server that is full; it may end that so early that connecting fails."""
    try:
        with Talk(server) as talk:
            return talk.ended()
    except ConnectionError:
        return True


@pytest.fixture(scope="module")
def cuts():
    return network()[0]


@pytest.fixture
def server(cuts):
    with SeedLinkServer(port=0, organization="Test network") as running:
        for cut in cuts:
            running.send(cut)
        yield running


def test_hello_names_software_versions_and_organization(server):
    with Talk(server) as talk:
        first = talk.ask("HELLO")
        assert re.fullmatch(
            r"SeedLink v4\.0 \(Lithoscope/\S+\) :: SLPROTO:4\.0 SLPROTO:3\.1 CAP", first
        )
        assert talk.line() == "Test network"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_commands_end_as_clients_end_them(server, end):
    with Talk(server) as talk:
        talk.say("STATION CCC CI", "select HHZ", "DATA", end=end)
        assert [talk.line() for _ in range(3)] == ["OK"] * 3


REPLIES_3 = [
    ("STATION CCC CI", "OK"),
    ("STATION CCC", "OK"),
    ("STATION C?? *", "OK"),
    ("STATION", "ERROR"),
    ("STATION A B C", "ERROR"),
    ("STATION C$C CI", "ERROR"),
    ("SELECT HHZ", "OK"),
    ("SELECT 00HHZ.D", "OK"),
    ("SELECT !HHZ", "OK"),
    ("SELECT --HHZ", "OK"),
    ("SELECT HZ", "ERROR"),
    ("SELECT", "ERROR"),
    ("SELECT A B", "ERROR"),
    ("TIME", "ERROR"),
    ("TIME yesterday", "ERROR"),
    ("TIME 2099,01,01,00,00,00", "ERROR"),
    ("TIME 2019,07,04,17,00,00 never", "ERROR"),
    ("DATA xyz", "ERROR"),
    ("DATA 1 2019,07,04,17,00,00 2", "ERROR"),
    ("SLPROTO 5.0", "ERROR UNSUPPORTED unsupported protocol version"),
    ("SLPROTO 3.1", "OK"),
    ("CAPABILITIES EXTREPLY", "OK"),
    ("BATCH", "OK"),
    ("CAT", "CAT command not implemented"),
    ("NONSENSE", "ERROR"),
    ("GET / HTTP/1.1", "ERROR"),
    ("AUTH USERPASS one", "ERROR"),
]


@pytest.mark.parametrize(("command", "reply"), REPLIES_3)
def test_replies_of_3(server, command, reply):
    with Talk(server) as talk:
        assert talk.ask(command) == reply


REPLIES_4 = [
    ("STATION CI_CCC", "OK"),
    ("STATION C?_*", "OK"),
    ("STATION CCC CI", "ERROR ARGUMENTS STATION requires 1 argument"),
    ("STATION CI_C$C", "ERROR ARGUMENTS Invalid characters in station ID"),
    ("SELECT *_H_H_Z", "OK"),
    ("SELECT 00_H_H_Z:native", "OK"),
    ("SELECT *_H_H_?:3", "OK"),
    ("SELECT *:2", "ERROR ARGUMENTS Filter not supported"),
    ("SELECT a b", "ERROR ARGUMENTS SELECT requires a single argument"),
    ("SELECT a$b", "ERROR ARGUMENTS Selector contains illegal characters"),
    ("DATA 12x", "ERROR ARGUMENTS Invalid sequence number"),
    ("DATA ALL someday", "ERROR ARGUMENTS Error parsing start time"),
    (
        "DATA ALL 2019-07-04T17:00:00Z someday",
        "ERROR ARGUMENTS Error parsing end time",
    ),
    ("DATA 1 2 3 4", "ERROR ARGUMENTS Too many arguments for DATA/FETCH"),
    ("TIME 2019,07,04", "ERROR UNSUPPORTED Unrecognized command: TIME 2019,07,04"),
    ("FETCH", "ERROR UNSUPPORTED Unrecognized command: FETCH"),
    ("NONSENSE", "ERROR UNSUPPORTED Unrecognized command: NONSENSE"),
    ("USERAGENT test/1.0", "OK"),
    ("AUTH JWT", "ERROR ARGUMENTS AUTH JWT requires 1 argument"),
]


@pytest.mark.parametrize(("command", "reply"), REPLIES_4)
def test_replies_of_4(server, command, reply):
    with Talk(server) as talk:
        assert talk.ask("SLPROTO 4.0") == "OK"
        assert talk.ask(command) == reply


def test_extended_replies_of_3_follow_a_carriage_return(server):
    with Talk(server) as talk:
        assert talk.ask("CAPABILITIES EXTREPLY") == "OK"
        assert talk.ask("SELECT HZ") == "ERROR\rARGUMENTS Invalid selector pattern"


def test_batch_leaves_out_the_replies(server):
    with Talk(server) as talk:
        assert talk.ask("BATCH") == "OK"
        talk.say("STATION CCC CI", "SELECT HHZ", "DATA 1", "END")
        head, raw = talk.packet3()
        assert head == b"SL000002"  # the first of HHZ
        assert decode(raw).code == "CI.CCC..HHZ"


def test_all_station_mode_of_3_answers_with_the_data(server, cuts):
    with Talk(server) as talk:
        assert talk.ask("SELECT HHN") == "OK"
        talk.say("DATA 000001")
        got = [talk.packet3() for _ in range(40)]
    assert {decode(raw).channel for _, raw in got} == {"HHN"}
    assert [raw for _, raw in got] == [c.raw for c in cuts if c.codes[3] == "HHN"]
    numbers = [int(head[2:], 16) for head, _ in got]
    assert numbers == sorted(numbers)


def test_a_sequence_number_resumes_there(server, cuts):
    with Talk(server) as talk:
        for line in ("STATION * CI", "DATA 00000B"):
            assert talk.ask(line) == "OK"
        talk.say("END")
        head, raw = talk.packet3()
    assert head == b"SL00000B"
    assert raw == cuts[10].raw
    with Talk(server) as talk:
        talk.start4("STATION *", "DATA 11")
        form, sequence, station, raw = talk.packet4()
    assert (form, sequence, station, raw) == (b"2D", 11, cuts[10].station_id, cuts[10].raw)


def test_the_newest_number_of_several_stations_decides(server, cuts):
    with Talk(server) as talk:
        talk.start4("STATION CI_CCC", "DATA 5", "STATION CI_WOR", "DATA 21", "STATION *", "DATA")
        assert talk.packet4()[1] == 21


def test_without_a_number_the_next_packet_comes_first(server, cuts):
    with Talk(server) as talk:
        talk.start4("STATION *", "DATA")
        assert server.wait_for_clients(1, timeout=20)
        number = server.send(cuts[0])
        assert talk.packet4()[1] == number == len(cuts) + 1


def test_numbers_of_3_wrap_at_24_bits(cuts):
    with SeedLinkServer(port=0) as server:
        server.ring._first = server.ring._next = (1 << 24) - 2
        for cut in cuts[:6]:
            server.send(cut)
        with Talk(server) as talk:
            assert [talk.ask(line) for line in ("STATION * *", "DATA FFFFFF")] == ["OK", "OK"]
            talk.say("END")
            heads = [talk.packet3()[0] for _ in range(5)]
    assert heads == [b"SLFFFFFF", b"SL000000", b"SL000001", b"SL000002", b"SL000003"]


def test_miniseed_3_on_request(server):
    with Talk(server) as talk:
        talk.start4("STATION CI_CCC", "SELECT *_H_H_Z:3", "SELECT *_H_H_N", "DATA ALL")
        packets = [talk.packet4() for _ in range(4)]
    forms = {decode(raw).channel: form for form, _, _, raw in packets}
    assert forms == {"HHZ": b"3D", "HHN": b"2D"}


def test_negated_selectors_leave_streams_out(server):
    with Talk(server) as talk:
        talk.start4("STATION CI_CCC", "SELECT !*_H_H_Z", "DATA ALL")
        assert {decode(talk.packet4()[3]).code for _ in range(20)} == {"CI.CCC..HHN"}


def test_a_time_window_ends_with_END(server):
    with Talk(server) as talk:
        assert talk.ask("STATION * *") == "OK"
        assert talk.ask("TIME 2019,07,04,17,00,05 2019,07,04,17,00,07") == "OK"
        talk.say("END")
        got = []
        while not talk.buffer.startswith(b"END"):
            got.append(decode(talk.packet3()[1]))
            if not talk.buffer:
                talk.buffer += talk.socket.recv(65536)
        assert talk.take(3) == b"END"
        assert talk.ended()
    assert min(p.endtime_ns for p in got) == START_NS + 5_990_000_000
    assert max(p.starttime_ns for p in got) == START_NS + 7_000_000_000
    assert len(got) == 4 * 3


def test_dialling_up_ends_with_the_ring(server, cuts):
    for lines, take in ((("STATION * *", "FETCH 1"), "3"), (("STATION *", "DATA ALL"), "4")):
        with Talk(server) as talk:
            if take == "4":
                assert talk.ask("SLPROTO 4.0") == "OK"
            assert [talk.ask(line) for line in lines] == ["OK", "OK"]
            talk.say("END" if take == "3" else "ENDFETCH")
            for _ in cuts:
                talk.packet3() if take == "3" else talk.packet4()
            assert talk.take(3) == b"END"
            assert talk.ended()


def test_information_of_4(server, cuts):
    with Talk(server) as talk:
        assert talk.ask("SLPROTO 4.0") == "OK"
        identity = talk.info4("ID")
        assert identity["organization"] == "Test network"
        assert identity["seedlink_protocol"] == ["SLPROTO:4.0", "SLPROTO:3.1"]
        assert "SLPROTO:4.0" in talk.info4("CAPABILITIES")["capability"]
        assert set(talk.info4("FORMATS")["filter"]) == {"native", "3"}
        stations = talk.info4("STATIONS")["station"]
        assert [s["id"] for s in stations] == ["CI_CCC", "CI_WOR"]
        assert (stations[0]["start_seq"], stations[1]["end_seq"]) == (1, len(cuts))
        streams = talk.info4("STREAMS CI_WOR *_H_H_Z")["station"]
        assert [s["id"] for s in streams] == ["CI_WOR"]
        assert streams[0]["stream"] == [
            {
                "id": "_H_H_Z",
                "format": "2",
                "subformat": "D",
                "start_time": "2019-07-04T17:00:00.000000Z",
                "end_time": "2019-07-04T17:00:19.990000Z",
            }
        ]
        assert talk.ask("USERAGENT me/1") == "OK"
        connections = talk.info4("CONNECTIONS")["connections"]
        assert connections["client_count"] == 1
        assert connections["client"][0]["client_id"] == "me/1"
        talk.say("INFO NONSENSE")
        form, _, _, payload = talk.packet4()
        assert form == b"JE"
        error = json.loads(payload)["error"]
        assert error == {"code": "ARGUMENTS", "message": "Unrecognized INFO item"}


def test_information_of_3(server, cuts):
    with Talk(server) as talk:
        assert talk.info3("ID").attrib["organization"] == "Test network"
        names = [c.attrib["name"] for c in talk.info3("CAPABILITIES")]
        assert {"multistation", "window-extraction", "info:streams"} <= set(names)
        station = talk.info3("STATIONS")[1]
        assert (station.attrib["network"], station.attrib["name"]) == ("CI", "WOR")
        stream = talk.info3("STREAMS")[0][0]
        assert stream.attrib == {
            **{"location": "", "seedname": "HHN", "type": "D"},
            **{"begin_time": "2019-07-04T17:00:00.000000Z"},
            **{"end_time": "2019-07-04T17:00:19.990000Z"},
        }
        assert talk.info3("CONNECTIONS")[0][0].attrib["host"] == "127.0.0.1"
        talk.say("INFO NONSENSE")
        _, raw = talk.packet3()
        assert raw[8:20] == b"INFO   ERRXX"


def test_keep_alives_come_between_the_data(server, cuts):
    with Talk(server) as talk:
        talk.start4("STATION *", "DATA 60")
        talk.say("INFO ID")
        kinds = [talk.packet4()[0] for _ in range(len(cuts) - 59 + 1)]
    assert sorted(kinds) == [b"2D"] * (len(cuts) - 59) + [b"JI"]


def test_lists_are_not_sent_among_the_data_of_3(server, cuts):
    with Talk(server) as talk:
        assert [talk.ask(line) for line in ("STATION * *", "DATA 000001")] == ["OK", "OK"]
        talk.say("END")
        heads = {talk.packet3()[0][:6] for _ in cuts}
        talk.say("INFO STATIONS", "INFO ID")
        head, raw = talk.packet3()
        assert b"SLINFO" not in heads
    assert head == b"SLINFO  "
    assert b"<station" not in raw


def test_a_client_that_takes_nothing_holds_nobody(cuts):
    server = SeedLinkServer(port=0, limits=ServerLimits(ring_mb=0.2)).start()
    with server, Talk(server) as slow, Talk(server) as quick:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for talk in (slow, quick):
            talk.start4("STATION *", "DATA")
        assert server.wait_for_clients(2, timeout=20)
        fast = next(c for c in server.clients if c.port == str(quick.socket.getsockname()[1]))
        taken = []

        def take() -> None:
            taken.extend(quick.packet4()[1] for _ in range(20_000))

        reader = threading.Thread(target=take)
        reader.start()
        for i in range(20_000):
            server.send(cuts[i % len(cuts)])
            if i % 50 == 0:  # the quick one keeps up, the other does not
                with server._moved:
                    assert server._moved.wait_for(
                        lambda last=i: (fast.cursor or 0) >= last - 50, timeout=30
                    )
        reader.join(timeout=60)
        assert taken == list(range(1, 20_001))
        assert next(c.cursor for c in server.clients if c is not fast) < 20_000
        assert server.ring.n_bytes <= server.ring.max_bytes


def test_a_client_too_far_behind_goes_on_with_the_oldest_packet(cuts):
    with SeedLinkServer(port=0, limits=ServerLimits(ring_mb=0.02)) as server:
        for cut in cuts:
            server.send(cut)
        oldest = server.ring.first
        assert 1 < oldest < len(cuts)
        with Talk(server) as talk:
            talk.start4("STATION *", "DATA 1")
            assert talk.packet4()[1] == oldest


def test_limits_on_connections_lines_and_errors(server, cuts):
    with Talk(server) as talk:
        assert talk.ask("X" * 5000) == "ERROR"
        talk.say("X" * 5000, end=b"")
        assert talk.ended()
    with Talk(server) as talk:
        talk.say(*["NONSENSE"] * 20)
        assert [talk.line() for _ in range(10)] == ["ERROR"] * 10
        assert talk.ended()
    limits = ServerLimits(max_clients=1)
    with SeedLinkServer(port=0, limits=limits) as small, Talk(small) as one:
        assert one.ask("HELLO").startswith("SeedLink")
        assert refused(small)
    limits = ServerLimits(first_command_s=0.2)
    with SeedLinkServer(port=0, limits=limits) as small, Talk(small) as silent:
        assert silent.ended()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.lists(st.one_of(COMMANDS, st.binary(max_size=80)), max_size=8))
@example(data=[b"\x0b", b"INFO"])
def test_no_bytes_of_a_client_harm_the_server(server, data):
    with Talk(server) as talk, suppress(ConnectionError):
        talk.socket.sendall(b"\r\n".join(data) + b"\r\n")
        with suppress(OSError):  # it may have ended by now
            talk.socket.shutdown(socket.SHUT_WR)
        while talk.socket.recv(65536):
            pass
    with Talk(server) as talk:
        assert talk.ask("HELLO").startswith("SeedLink v4.0")
    assert not server.failures


def test_patterns_take_no_time_to_speak_of():
    begin = time.process_time()
    assert not matches("*a" * 30, "a" * 29 + "b" * 30)
    assert matches("*?" * 30 + "*", "a" * 40)
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize("pattern", ["", "*", "?", "a*", "*a", "a?c", "a*c*", "**", "b", "abcd"])
@pytest.mark.parametrize("text", ["", "a", "abc", "abcabc", "c"])
def test_patterns_are_those_of_the_shell(pattern, text):
    assert matches(pattern, text) == fnmatchcase(text, pattern)


def test_an_address_in_use_is_one_line(server):
    with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{server.port}"):
        SeedLinkServer(port=server.port).start()


def test_bye_ends_the_connection(server):
    with Talk(server) as talk:
        talk.say("BYE")
        assert talk.ended()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019,07,04,17,00,00", START_NS),
        ("2019-07-04T17:00:00Z", START_NS),
        ("2019-07-04T17:00:00.25Z", START_NS + 250_000_000),
        ("2019/07/04", START_NS - 17 * 3600 * 10**9),
        ("2019,13,04", None),
        ("2019-07-04T25:00:00", None),
        ("soon", None),
    ],
)
def test_times_of_requests(text, expected):
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [("HHZ", "*_H_H_Z"), ("00HH?", "00_H_H_?"), ("!BHN", "!*_B_H_N"), ("--HHZ", "--_H_H_Z")],
)
def test_selectors_of_3_have_words_in_4(old, new):
    assert selector3_to_4(old) == new


def test_selectors_of_4_that_3_cannot_say():
    assert selector4_to_3("*_H_H_Z") == "HHZ"
    assert selector4_to_3("00_B_H_*") == "00BH?"
    assert selector4_to_3("_H_H_Z") == "--HHZ"
    assert selector4_to_3("*_H_H_ZZ") is None
    assert selector4_to_3("1*_H_H_Z") is not None
    assert selector3_to_4("HZ") is None
