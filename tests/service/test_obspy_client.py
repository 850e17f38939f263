"""ObsPy's FDSN client against the service, as a user has it, without special cases."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import obspy
import pytest
from lxml import etree
from obspy import UTCDateTime
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.header import FDSNNoDataException
from obspy.io.quakeml.core import _validate as valid_quakeml
from obspy.io.stationxml.core import validate_stationxml
from service_run import LENGTH_S, RATE_HZ, START, get

T0 = UTCDateTime(ns=START.value)


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address)


def test_discovery_finds_three_services_and_all_parameters(client: Client) -> None:
    assert {"event", "station", "dataselect"} <= set(client.services)
    assert client.services["available_event_catalogs"] == {"lithoscope"}
    assert client.services["available_event_contributors"] == {"lithoscope"}
    optional = {"includearrivals", "magnitudetype", "eventtype", "updatedafter", "offset"}
    assert optional <= set(client.services["event"])
    assert client.get_webservice_version("event") == [1, 2, 0]


def test_events_come_with_their_values(client: Client) -> None:
    catalog = client.get_events(minmagnitude=2.0, orderby="time-asc")
    assert [e.preferred_magnitude().mag for e in catalog] == [2.0, 2.5, 3.0, 3.5]
    first = catalog[0].preferred_origin()
    assert first.time == T0 + 180
    assert first.depth == pytest.approx(7000.0)
    assert catalog[0].event_type == "quarry blast"
    assert not catalog[0].picks


def test_arrivals_and_station_magnitudes_come_on_demand(client: Client) -> None:
    (event,) = client.get_events(eventid="ls0003_AAA", includearrivals=True)
    assert len(event.picks) == len(event.preferred_origin().arrivals) == 6
    assert not event.station_magnitudes
    (event,) = client.get_events(eventid="ls0003_AAA", includeallmagnitudes=True)
    assert len(event.station_magnitudes) == 3
    assert not event.picks


def test_an_event_is_found_by_the_id_that_its_quakeml_gives(client: Client) -> None:
    (event,) = client.get_events(limit=1)
    (again,) = client.get_events(eventid=str(event.resource_id))
    assert again.resource_id == event.resource_id


def test_no_data_is_obspys_own_error(client: Client) -> None:
    with pytest.raises(FDSNNoDataException):
        client.get_events(minmagnitude=9)
    with pytest.raises(FDSNNoDataException):
        client.get_waveforms("ZZ", "*", "*", "*", T0, T0 + 1)
    with pytest.raises(FDSNNoDataException):
        client.get_stations(network="ZZ")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "includearrivals=true",
        "includeallmagnitudes=true&includeallorigins=true&includearrivals=true",
        "limit=1",
        "orderby=magnitude",
    ],
)
def test_quakeml_is_valid(address: str, query: str) -> None:
    body = get(address, f"/fdsnws/event/1/query?{query}").content
    assert valid_quakeml(io.BytesIO(body))


@pytest.mark.parametrize(
    "level", ["network", "station", "channel", "response&includeavailability=true"]
)
def test_stationxml_is_valid(address: str, level: str) -> None:
    body = get(address, f"/fdsnws/station/1/query?level={level}").content
    good, errors = validate_stationxml(io.BytesIO(body))
    assert good, errors


def test_the_schemas_would_refuse_a_wrong_document(address: str) -> None:
    body = get(address, "/fdsnws/event/1/query?limit=1").content
    assert not valid_quakeml(
        io.BytesIO(body.replace(b"<depth>", b"<deep>").replace(b"</depth>", b"</deep>"))
    )
    assert etree.fromstring(body) is not None


def test_availability_is_that_of_the_recordings(client: Client) -> None:
    found = client.get_stations(level="channel", station="BBB", includeavailability=True)
    station = found[0][0]
    first, last = UTCDateTime(ns=START.value), UTCDateTime(ns=START.value) + LENGTH_S - 1 / RATE_HZ
    for level in (station, *station.channels):
        assert (level.data_availability.start, level.data_availability.end) == (first, last)
    found = client.get_stations(level="channel", station="BBB")
    assert found[0][0].data_availability is None


def test_stations_of_every_level(client: Client, small_run: Path) -> None:
    assert [n.code for n in client.get_stations(level="network")] == ["XX", "YY"]
    stations = client.get_stations(level="station", network="XX")
    assert [s.code for s in stations[0]] == ["AAA", "BBB"]
    channels = client.get_stations(level="channel", station="BBB", channel="??Z")
    (channel,) = channels[0][0].channels
    assert (channel.location_code, channel.code) == ("00", "HHZ")
    assert channel.sample_rate == RATE_HZ
    full = client.get_stations(level="response", network="YY", channel="EHZ")
    response = full[0][0][0].response
    assert len(response.response_stages) >= 1
    original = obspy.read_inventory(small_run.parent / "stations.xml").select("YY", channel="EHZ")
    known = original[0][0][0].response
    assert response.instrument_sensitivity.value == known.instrument_sensitivity.value
    assert response.get_paz().poles == known.get_paz().poles


@pytest.mark.parametrize("level", ["network", "station", "channel"])
def test_station_text_is_what_obspy_reads(client: Client, level: str) -> None:
    text = client.get_stations(level=level, format="text")
    xml = client.get_stations(level=level)
    assert sorted(text.get_contents()["networks"]) == sorted(xml.get_contents()["networks"])
    assert sorted(set(text.get_contents()["channels"])) == sorted(xml.get_contents()["channels"])


def test_waveforms_are_the_files_samples(client: Client, small_run: Path) -> None:
    stream = client.get_waveforms("XX", "AAA", "", "HHZ", T0 + 10, T0 + 20)
    (trace,) = stream
    whole = obspy.read(small_run.parent / "data" / "XX.AAA..HHZ.mseed")[0]
    expected = whole.slice(T0 + 10, T0 + 20)
    assert trace.stats.starttime == T0 + 10
    assert np.array_equal(trace.data, expected.data)


def test_waveforms_by_wildcard_and_in_bulk(client: Client) -> None:
    stream = client.get_waveforms("*", "*", "*", "?H?", T0, T0 + LENGTH_S)
    assert len({trace.id for trace in stream}) == 9
    assert len(stream.select(station="BBB", channel="HHZ")) == 2  # around the gap
    bulk = [("XX", "AAA", "--", "HHN", T0, T0 + 5), ("YY", "*", "*", "*Z", T0 + 5, T0 + 10)]
    stream = client.get_waveforms_bulk(bulk)
    assert sorted(trace.id for trace in stream) == ["XX.AAA..HHN", "YY.CCC..EHZ"]
    inventory = client.get_stations_bulk([("XX", "A*", "*", "*", "*", "*")], level="station")
    assert [s.code for s in inventory[0]] == ["AAA"]


def test_pieces_may_be_chosen_by_length(client: Client) -> None:
    window = ("XX", "BBB", "00", "HHZ", T0, T0 + LENGTH_S)
    (longest,) = client.get_waveforms(*window, longestonly=True)
    assert longest.stats.npts == 300 * RATE_HZ
    (long_enough,) = client.get_waveforms(*window, minimumlength=280)
    assert long_enough.stats.starttime == longest.stats.starttime
