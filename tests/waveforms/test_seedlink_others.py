"""Clients of other people against our server, without special cases."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from obspy import UTCDateTime
from obspy.clients.seedlink.basic_client import Client
from obspy.clients.seedlink.slclient import SLClient
from obspy.clients.seedlink.slpacket import SLPacket
from seedlink_data import RATE_HZ, START_NS, network

from lithoscope.waveforms.seedlink import SeedLinkServer

seedlink_client = pytest.importorskip("seedlink_client")
START = UTCDateTime(ns=START_NS)


@pytest.fixture(scope="module")
def served():
    cuts, samples = network()
    with SeedLinkServer(port=0, organization="Test network") as server:
        for cut in cuts:
            server.send(cut)
        yield server, cuts, samples


@pytest.fixture
def basic(served):
    return Client("127.0.0.1", served[0].port, timeout=20)


def test_obspy_lists_stations_and_channels(basic):
    assert basic.get_info() == [("CI", "CCC"), ("CI", "WOR")]
    channels = basic.get_info(station="C*", level="channel", cache=False)
    assert channels == [("CI", "CCC", "", "HHN"), ("CI", "CCC", "", "HHZ")]


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        (("CI", "CCC", "", "HHZ"), ["CI.CCC..HHZ"]),
        (("CI", "CCC", "", "HH?"), ["CI.CCC..HHN", "CI.CCC..HHZ"]),
        (("*", "?OR", "*", "*N"), ["CI.WOR..HHN"]),
    ],
)
def test_obspy_gets_waveforms(basic, served, query, codes):
    samples = served[2]
    stream = basic.get_waveforms(*query, START + 5, START + 9).sort()
    assert [trace.id for trace in stream] == codes
    first, last = round(5 * RATE_HZ), round(9 * RATE_HZ)
    for trace in stream:
        assert trace.stats.starttime == START + 5
        assert np.array_equal(trace.data, samples[trace.id][first : last + 1])


def test_obspy_streams_and_resumes(served, tmp_path):
    server, cuts, _ = served
    state = tmp_path / "state"
    state.write_text("")
    got: list[tuple[int, str]] = []

    def run(count: int, begin: UTCDateTime | None) -> None:
        client = SLClient(timeout=20)
        client.slconn.set_sl_address(f"127.0.0.1:{server.port}")
        client.multiselect = "CI_CCC:HHZ"
        client.initialize()
        if begin is not None:
            client.slconn.set_begin_time(begin)
        client.slconn.streams[0].seqnum = got[-1][0] if got else -1
        wanted = len(got) + count

        def handle(_: int, packet: SLPacket) -> bool:
            if packet is not None and packet not in (SLPacket.SLNOPACKET, SLPacket.SLERROR):
                got.append((packet.get_sequence_number(), packet.get_trace().id))
            return len(got) >= wanted

        client.run(packet_handler=handle)

    run(5, START)
    run(5, None)
    expected = [i for i, c in enumerate(cuts, 1) if c.code == "CI.CCC..HHZ"][:10]
    assert got == [(number, "CI.CCC..HHZ") for number in expected]


PROTOCOLS = list(seedlink_client.Protocol)


def connection(server, protocol, **options):
    return seedlink_client.SeedLink(
        "127.0.0.1", server.port, timeout=20, protocol=protocol, **options
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_seedlink_client_asks_for_information(served, protocol):
    server, cuts, _ = served
    with connection(server, protocol) as link:
        assert link.protocol is protocol
        assert link.organization == "Test network"
        for level in ("ID", "CAPABILITIES", "STATIONS", "STREAMS", "CONNECTIONS"):
            text = link.info(level)
            assert json.loads(text) if protocol.value == "4" else text.startswith("<?xml")
        found = link.info_dict("STATIONS")
        stations = found["station"] if protocol.value == "4" else found["seedlink"]["station"]
        ends = [int(s["end_seq"]) for s in stations]
        assert max(ends) == len(cuts)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("batch", [False, True])
def test_seedlink_client_fetches_a_time_window(served, protocol, batch):
    server, _, samples = served
    with connection(server, protocol, dialup=True, batch=batch) as link:
        link.add_stream("CI_*", "HH?")
        link.set_timewindow("2019-07-04T17:00:05Z", "2019-07-04T17:00:07Z")
        records = [packet.record() for packet in link.collect(reconnect=False)]
    assert len(records) == 12
    for record in records:
        record.unpack_data()
        channel = record.sourceid.replace("FDSN:", "").split("_")
        code = f"{channel[0]}.{channel[1]}.{channel[2]}.{''.join(channel[3:])}"
        first = round((record.starttime - START_NS) * RATE_HZ / 1e9)
        expected = samples[code][first : first + record.numsamples]
        assert np.array_equal(record.datasamples, expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_seedlink_client_resumes_from_its_state_file(served, protocol, tmp_path):
    server, cuts, _ = served
    numbers = []
    for _ in range(2):
        with connection(server, protocol) as link:
            link.add_stream("CI_CCC", "HHZ", seqnum=numbers[-1] if numbers else 0)
            if numbers:
                link.recover_state(str(tmp_path / "state"))
            for packet in link.collect(reconnect=False):
                numbers.append(packet.seqnum)
                if len(numbers) % 4 == 0:
                    link.save_state(str(tmp_path / "state"))
                    break
    expected = [i for i, c in enumerate(cuts, 1) if c.code == "CI.CCC..HHZ"][:8]
    assert numbers == expected


def test_seedlink_client_gets_miniseed_3_and_is_told_what_is_wrong(served):
    server, _, samples = served
    with connection(server, PROTOCOLS[1], dialup=True) as link:
        link.add_stream("CI_CCC", "_H_H_Z:3", all_data=True)
        packets = list(link.collect(reconnect=False))
    assert {(p.payload_format, p.station_id) for p in packets} == {("3", "CI_CCC")}
    records = [p.record() for p in packets]
    assert sum(r.unpack_data() for r in records) == samples["CI.CCC..HHZ"].size
    with connection(server, PROTOCOLS[1]) as link:
        link.add_stream("CI_CCC", "_H_H_Z:9")
        with pytest.raises(seedlink_client.SeedLinkError, match="Filter not supported") as caught:
            link.negotiate()
        assert caught.value.code == "ARGUMENTS"


def test_seedlink_client_follows_live_packets_with_keep_alives():
    cuts, _ = network()
    with SeedLinkServer(port=0) as server:
        got: list[int] = []

        def follow() -> None:
            with connection(server, PROTOCOLS[1], keepalive=0.05) as link:
                link.set_all_stations()
                for packet in link.collect(reconnect=False):
                    got.append(packet.seqnum)
                    if len(got) == len(cuts):
                        return

        reader = threading.Thread(target=follow)
        reader.start()
        assert server.wait_for_clients(1, timeout=20)
        for cut in cuts:
            server.send(cut)
        reader.join(timeout=30)
        assert got == list(range(1, len(cuts) + 1))
