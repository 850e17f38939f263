"""INFO answers: JSON in SeedLink 4, XML inside miniSEED records in 3.1."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from lithoscope.constants import NS_PER_S
from lithoscope.waveforms.seedlink._connection import HEADER_4
from lithoscope.waveforms.seedlink._session import SOFTWARE
from lithoscope.waveforms.seedlink.ring import Ring
from lithoscope.waveforms.seedlink.selection import Selection, StreamFilter

CAPABILITIES_4 = ["SLPROTO:4.0", "SLPROTO:3.1", "TIME"]
CAPABILITIES_3 = [
    *("dialup", "multistation", "window-extraction", "info:id", "info:capabilities"),
    *("info:stations", "info:streams", "info:connections"),
]
_FORMATS = {
    "2": {"mimetype": "application/vnd.fdsn.mseed", "subformat": {"D": "Data"}},
    "3": {"mimetype": "application/vnd.fdsn.mseed3", "subformat": {"D": "Data"}},
}
_FILTERS = {
    "native": "native format of data, no conversion",
    "3": "data in miniSEED v3 (if possible)",
}
_TEXT_BYTES = 512 - 56
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(time_ns: int, *, micro: bool = True) -> str:
    """Return a time as INFO documents give it."""
    seconds, rest = divmod(time_ns, NS_PER_S)
    moment = _EPOCH + timedelta(seconds=seconds)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 1000:06d}Z" if micro else f"{text}Z"


def root(organization: str) -> dict[str, Any]:
    """Return what every document begins with."""
    return {"software": SOFTWARE, "organization": organization}


def document(
    level: str,
    organization: str,
    ring: Ring,
    connections: list[dict[str, Any]],
    only: Selection | None = None,
) -> dict[str, Any]:
    """Return the INFO document of a level as SeedLink 4 has it."""
    out = root(organization)
    if level == "ID":
        out["server_start"] = iso(ring.started_ns, micro=False)
        out["seedlink_protocol"] = ["SLPROTO:4.0", "SLPROTO:3.1"]
    elif level == "CAPABILITIES":
        out["capability"] = CAPABILITIES_4
    elif level == "FORMATS":
        out["format"], out["filter"] = _FORMATS, _FILTERS
    elif level in ("STATIONS", "STREAMS"):
        out["station"] = _stations(ring, with_streams=level == "STREAMS", only=only)
    else:
        out["connections"] = {"client_count": len(connections), "client": connections}
    return out


def _stations(ring: Ring, *, with_streams: bool, only: Selection | None) -> list[dict[str, Any]]:
    wanted = StreamFilter([only] if only is not None else [])
    stations: dict[str, dict[str, Any]] = {}
    for span in ring.spans():
        if wanted.format_of(span.station, span.stream) is None:
            continue
        entry = stations.setdefault(
            span.station,
            {
                "id": span.station,
                "description": f"Station ID {span.station}",
                "start_seq": span.first,
                "end_seq": span.last,
            },
        )
        entry["start_seq"] = min(entry["start_seq"], span.first)
        entry["end_seq"] = max(entry["end_seq"], span.last)
        if with_streams:
            entry.setdefault("stream", []).append(
                {
                    **{"id": span.stream, "format": "2", "subformat": "D"},
                    **{"start_time": iso(span.starttime_ns), "end_time": iso(span.endtime_ns)},
                }
            )
    return list(stations.values())


def error_packet(organization: str, code: str, message: str) -> bytes:
    """Return the packet of SeedLink 4 that refuses an INFO request."""
    return json_packet({**root(organization), "error": {"code": code, "message": message}}, b"E")


def json_packet(value: dict[str, Any], subformat: bytes = b"I") -> bytes:
    """Return a document as a packet of SeedLink 4."""
    payload = json.dumps(value, separators=(",", ":")).encode()
    return HEADER_4.pack(b"SE", b"J", subformat, len(payload), 0, 0) + payload


def xml_packets(value: dict[str, Any], server_start: str, now_ns: int, *, error: bool) -> bytes:
    """Return a document as packets of SeedLink 3.1."""
    top = ElementTree.Element(
        "seedlink",
        software=value["software"],
        organization=value["organization"],
        started=server_start,
    )
    for name in CAPABILITIES_3 if "capability" in value else ():
        ElementTree.SubElement(top, "capability", name=name)
    for station in value.get("station", ()):
        _station_xml(top, station)
    for client in value.get("connections", {}).get("client", ()):
        _client_xml(top, client)
    text = b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(top)
    parts = [text[i : i + _TEXT_BYTES] for i in range(0, len(text), _TEXT_BYTES)]
    out = []
    for number, part in enumerate(parts, 1):
        out.append(b"SLINFO  " if number == len(parts) else b"SLINFO *")
        out.append(_text_record(part, (number - 1) % 999_999 + 1, now_ns, error=error))
    return b"".join(out)


def _station_xml(top: ElementTree.Element, station: dict[str, Any]) -> None:
    network, _, name = station["id"].partition("_")
    element = ElementTree.SubElement(
        top,
        "station",
        name=name,
        network=network,
        description=station["description"],
        begin_seq=str(station["start_seq"]),
        end_seq=str(station["end_seq"]),
        stream_check="enabled",
    )
    for stream in station.get("stream", ()):
        location, _, channel = stream["id"].partition("_")
        if len(channel) == 5 and channel[1] == channel[3] == "_":
            channel = channel.replace("_", "")
        ElementTree.SubElement(
            element,
            "stream",
            location=location,
            seedname=channel,
            type=stream["subformat"],
            begin_time=stream["start_time"],
            end_time=stream["end_time"],
        )


def _client_xml(top: ElementTree.Element, client: dict[str, Any]) -> None:
    station = ElementTree.SubElement(
        top,
        "station",
        name="CLIENT",
        network="SL",
        description="Lithoscope client",
        begin_seq="0",
        end_seq="0",
        stream_check="enabled",
    )
    ElementTree.SubElement(
        station,
        "connection",
        host=client["ip_address"],
        port=client["client_port"],
        ctime=client["connect_time"],
        begin_seq="0",
        current_seq=str(client.get("packet_id", 0)),
        sequence_gaps="0",
        txcount=str(client["transmit_packets"]),
        totBytes=str(client["transmit_bytes"]),
        begin_seq_valid="yes",
        realtime="yes",
        end_of_data="no",
    )


def _text_record(text: bytes, number: int, now_ns: int, *, error: bool) -> bytes:
    """Return a miniSEED 2 record of 512 bytes that holds text (encoding 0)."""
    time = _EPOCH + timedelta(seconds=now_ns // NS_PER_S)
    channel = b"ERR" if error else b"INF"
    head = f"{number:06d}D ".encode() + b"INFO   " + channel + b"XX"
    times = (time.year, time.timetuple().tm_yday, time.hour, time.minute, time.second, 0)
    fixed = struct.pack(">HHBBBxHHhhBBBBiHH", *times, len(text), 0, 0, 0, 0, 0, 1, 0, 56, 48)
    blockette = struct.pack(">HHBBBx", 1000, 0, 0, 1, 9)
    return (head + fixed + blockette + text).ljust(512, b"\0")
