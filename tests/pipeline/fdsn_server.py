"""A small FDSN server for tests: station and dataselect of given traces, with faults on demand."""

from __future__ import annotations

import io
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import obspy
from obspy import Stream, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response, Station

Query = dict[str, str]
# What a fault makes of a request: None for the true answer, or a status and a body.
Fault = Callable[[int, Query], tuple[int, bytes] | None]


class FdsnTestServer:
    """Serve traces and their stations at ``url``; ``queries`` lists the dataselect requests."""

    def __init__(self, traces: list[obspy.Trace], epoch: tuple[str, str | None]) -> None:
        self.traces, self.epoch = traces, epoch
        self.queries: list[Query] = []
        self.agents: set[str] = set()
        self.station_queries: list[Query] = []
        self.most_at_once = 0
        self.fault: Fault = lambda number, query: None
        self._open, self._lock = 0, threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *_: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, _, text = handler.path.partition("?")
        query = dict(urllib.parse.parse_qsl(text))
        if path.endswith("application.wadl"):
            status, body = 200, wadl(path.split("/")[2])
        elif path == "/fdsnws/station/1/query":
            self.station_queries.append(query)
            status, body = 200, self.inventory(query)
        elif path == "/fdsnws/dataselect/1/query":
            status, body = self._data(handler, query)
        else:
            status, body = 404, b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _data(self, handler: BaseHTTPRequestHandler, query: Query) -> tuple[int, bytes]:
        with self._lock:
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
            self.queries.append(query)
            number = len(self.queries)
            self.agents.add(handler.headers["User-Agent"])
        try:
            return self.fault(number, query) or self.records(query)
        finally:
            with self._lock:
                self._open -= 1

    def records(self, query: Query, hidden: tuple[str, str] | None = None) -> tuple[int, bytes]:
        """Return the records that overlap the request, but for a time that is kept back."""
        start, end = UTCDateTime(query["starttime"]), UTCDateTime(query["endtime"])
        location = query["location"].replace("--", "")
        wanted = (query["network"], query["station"], location, query["channel"])
        stream = Stream([t.copy() for t in self.traces if tuple(t.id.split(".")) == wanted])
        stream.trim(start, end, nearest_sample=False)
        if hidden is not None:
            stream.cutout(UTCDateTime(hidden[0]), UTCDateTime(hidden[1]))
        body = io.BytesIO()
        if len(stream):
            stream.write(body, format="MSEED", reclen=512)
        return (200, body.getvalue()) if len(stream) else (204, b"")

    def inventory(self, query: Query) -> bytes:
        stations: dict[tuple[str, str], list[Channel]] = {}
        start, end = (None if text is None else UTCDateTime(text) for text in self.epoch)
        where = {"latitude": 45.0, "longitude": 10.0, "elevation": 100.0}
        for identity in sorted({t.id for t in self.traces}):
            network, station, location, code = identity.split(".")
            channel = Channel(code, location, depth=0.0, start_date=start, end_date=end, **where)
            if query["level"] == "response":
                channel.response = Response.from_paz([], [], 1e9, input_units="M/S")
            stations.setdefault((network, station), []).append(channel)
        wanted = [
            Network(network, [Station(code, channels=channels, **where)])
            for (network, code), channels in stations.items()
            if query["station"] in ("*", code)
        ]
        body = io.BytesIO()
        Inventory(wanted, source="test").write(body, format="STATIONXML")
        return body.getvalue()


def wadl(service: str) -> bytes:
    """Return the least WADL from which ObsPy learns what a service takes."""
    names = {
        "dataselect": "starttime endtime network station location channel quality minimumlength "
        "longestonly",
        "station": "starttime endtime startbefore startafter endbefore endafter network station "
        "location channel level format minlatitude maxlatitude minlongitude maxlongitude "
        "latitude longitude minradius maxradius includerestricted includeavailability "
        "updatedafter matchtimeseries",
    }[service]
    params = "".join(
        f'<param name="{name}" style="query" type="xs:string"/>' for name in names.split()
    )
    return (
        '<?xml version="1.0"?><application xmlns="http://wadl.dev.java.net/2009/02">'
        f'<resources base="http://127.0.0.1/fdsnws/{service}/1/"><resource path="query">'
        f'<method name="GET" id="query"><request>{params}</request></method>'
        "</resource></resources></application>"
    ).encode()
