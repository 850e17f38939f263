"""A small server with the shapes of docs/api.md and made-up data, for the tests of the page."""

from __future__ import annotations

import json
import queue
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

import lithoscope.service.coastlines as coast
from lithoscope.service.solutions import COMPACT

STATIC = Path(coast.__file__).with_name("static")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
START_MS = 1_562_259_600_000
TOKEN = "a-token-of-the-tests"
HOSTILE = '<img src=x onerror="window.hurt=1">'


def text_of(ms: float) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class Catalogue:
    """Events, stations and what a review did; all of it made up from a seed."""

    def __init__(self, n_events: int, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self.n_reviews: list[dict[str, Any]] = []
        self.sequence = n_events
        spread = rng.normal(size=(n_events, 2)) * [0.08, 0.14]
        bend = rng.normal(size=n_events) * 0.05
        times = np.sort(rng.uniform(0, 36_000_000, n_events))
        depth = np.clip(rng.gamma(4.0, 2.0, n_events), -1, 25)
        size = 0.6 + rng.exponential(0.55, n_events)
        self.rows: dict[str, list[Any]] = {}
        for i in range(n_events):
            magnitude = None if i % 17 == 5 else round(float(min(size[i], 7.1)), 2)
            row = [
                f"ls{i:06d}",
                START_MS + round(float(times[i])),
                round(-117.5 + float(spread[i, 0] + bend[i]), 5),
                round(35.7 + float(spread[i, 1] + bend[i]), 5),
                round(float(depth[i]), 3),
                magnitude,
                "" if magnitude is None else "ML",
                "not classified" if i % 5 else "earthquake",
                "reviewed" if i % 11 == 3 else "preliminary",
                "manual" if i % 11 == 3 else "automatic",
                1,
            ]
            self.rows[row[0]] = row
        states = ["ok", "late", "silent", "unknown"]
        self.stations = [
            {
                "station": f"XX.ST{k:02d}..HH",
                "longitude": round(-117.5 + 0.5 * float(np.cos(k * 2.4)), 4),
                "latitude": round(35.7 + 0.45 * float(np.sin(k * 2.4)), 4),
                "elevation_m": 600.0 + 35 * k,
                "state": states[min(3, k % 6)] if k % 6 < 4 else "ok",
                "latency_s": 1.2 + k if k % 6 < 3 else None,
                "n_gaps": k % 4,
                "noise_level": 3.4e-8 * (k + 1),
                "noise_unit": "m/s",
                "last_data": text_of(START_MS + 36_000_000),
            }
            for k in range(14)
        ]

    def compact(self, query: dict[str, str]) -> dict[str, Any]:
        wanted = query.get("eventid")
        rows = [self.rows[wanted]] if wanted in self.rows else []
        return {"columns": COMPACT, "rows": rows if wanted else list(self.rows.values())}

    def event(self, event_id: str) -> dict[str, Any] | None:
        row = self.rows.get(event_id)
        if row is None:
            return None
        values = dict(zip(COMPACT, row, strict=True))
        origin = values.pop("time_ms")
        event = values | {
            "time": text_of(origin),
            "time_sigma_s": 0.07,
            "east_sigma_km": 0.33,
            "north_sigma_km": 0.24,
            "depth_sigma_km": 0.9,
            "ellipse_68_major_km": 0.6,
            "ellipse_68_minor_km": 0.4,
            "ellipse_95_major_km": 1.0,
            "ellipse_95_minor_km": 0.65,
            "ellipse_azimuth_deg": 94.1,
            "depth_68_low_km": values["depth_km"] - 0.9,
            "depth_68_high_km": values["depth_km"] + 0.9,
            "depth_95_low_km": values["depth_km"] - 1.8,
            "depth_95_high_km": values["depth_km"] + 1.8,
            "n_p": 12,
            "n_s": 9,
            "azimuthal_gap_deg": 103.0,
            "nearest_station_km": 13.9,
            "rms_s": 0.21,
            "magnitude_sigma": 0.04,
            "n_magnitudes": 9,
            "magnitude_reason": "" if values["magnitude"] is not None else "no amplitude",
            "ambiguous": False,
            "made_at": text_of(origin + 9000),
            "author": HOSTILE,
        }
        version = {key: event.get(key) for key in (*COMPACT[2:6], "evaluation_mode", "author")}
        versions = [
            version | {"version": n + 1, "made_at": text_of(origin + 5000 * n), "action": "update"}
            for n in range(int(event["version"]))
        ]
        audit = [
            {
                "made_at": text_of(origin),
                "user": "op",
                "action": r["action"],
                "comment": r["comment"],
            }
            for r in self.n_reviews
            if r["event_id"] == event_id
        ]
        return {
            "event": event,
            "arrivals": self.arrivals(event_id, origin),
            "picks": [],
            "station_magnitudes": self.magnitudes(event),
            "stations": self.stations,
            "versions": versions,
            "audit": audit,
        }

    def arrivals(self, event_id: str, origin: int) -> list[dict[str, Any]]:
        found = []
        for k, station in enumerate(self.stations):
            for phase, speed in (("P", 6.0), ("S", 3.46)):
                seconds = (10 + 4 * k) / speed
                found.append(
                    {
                        "event_id": event_id,
                        "pick_id": f"{station['station']}/{phase}/{origin + round(1000 * seconds)}",
                        "station": station["station"],
                        "phase": phase,
                        "time": text_of(origin + 1000 * seconds),
                        "time_sigma_s": 0.05,
                        "residual_s": 0.02 * (k - 6),
                        "weight": 0.99 if k != 9 else 0.2,
                        "distance_km": 10.0 + 4 * k,
                        "azimuth_deg": 25.0 * k,
                        "probability": 0.9,
                    }
                )
        return found

    def magnitudes(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        if event["magnitude"] is None:
            return []
        return [
            {
                "station": station["station"],
                "magnitude_type": "ML",
                "magnitude": event["magnitude"] + 0.08 * np.sin(k) if k != 5 else None,
                "distance_km": 12.0 + 4 * k,
                "used": k != 5,
                "reason": "" if k != 5 else f"clipped {HOSTILE}",
            }
            for k, station in enumerate(self.stations)
        ]

    def section(self, event_id: str) -> dict[str, Any]:
        origin = int(self.rows[event_id][1])
        rng = np.random.default_rng(3)
        traces = []
        picks = self.arrivals(event_id, origin)
        for k, station in enumerate(self.stations):
            t = np.arange(600) * 0.06 - 4.0
            p, s = (10 + 4 * k) / 6.0, (10 + 4 * k) / 3.46
            noise = 0.04 * rng.random(600)
            shape = noise + (t > p) * np.exp(-(t - p) / 2) * 0.4 + (t > s) * np.exp(-(t - s) / 4)
            top = 1e-6 * shape * rng.random(600)
            traces.append(
                {
                    "station": station["station"],
                    "channel": station["station"] + "Z",
                    "distance_km": 10.0 + 4 * k,
                    "azimuth_deg": 25.0 * k,
                    "starttime": text_of(origin - 4000),
                    "step_s": 0.06,
                    "maximum": [None if 40 < i < 50 else float(v) for i, v in enumerate(top)],
                    "minimum": [None if 40 < i < 50 else -float(v) for i, v in enumerate(top)],
                    "picks": [pick for pick in picks if pick["station"] == station["station"]],
                    "predicted_p": text_of(origin + 1000 * p),
                    "predicted_s": text_of(origin + 1000 * s),
                }
            )
        return {"origin_time": text_of(origin), "unit": "m/s", "band_hz": [2, 20], "traces": traces}

    def samples(self, event_id: str) -> dict[str, Any]:
        row = self.rows[event_id]
        draws = np.random.default_rng(5).normal(size=(800, 3)) * [0.0036, 0.0021, 0.9]
        middle = [row[2], row[3], row[4]]
        names = ("longitude", "latitude", "depth_km")
        return {name: [float(v) for v in draws[:, k] + middle[k]] for k, name in enumerate(names)}

    def station(self, code: str, what: str) -> Any:
        station = next((s for s in self.stations if s["station"] == code), None)
        if station is None:
            return None
        end = START_MS + 36_000_000
        wave = np.abs(np.random.default_rng(2).normal(size=900))
        if what == "waveform":
            channels = [
                {
                    "channel": code + c,
                    "starttime": text_of(end - 3_600_000),
                    "step_s": 4.0,
                    "maximum": [float(v) for v in wave],
                    "minimum": [-float(v) for v in wave],
                }
                for c in "ZNE"
            ]
            return {
                "starttime": text_of(end - 3_600_000),
                "endtime": text_of(end),
                "unit": "counts",
                "channels": channels,
            }
        if what == "spectrogram":
            level = [[float(-20 * np.log10(1 + f) + 4 * w) for f in range(40)] for w in wave[:300]]
            frequencies = [0.5 * (f + 1) for f in range(40)]
            return {
                "channel": code + "Z",
                "starttime": text_of(end - 3_600_000),
                "step_s": 12.0,
                "frequencies_hz": frequencies,
                "level_db": level,
                "unit": "dB",
            }
        if what == "residuals":
            some = [self.arrivals(i, row[1]) for i, row in list(self.rows.items())[:30]]
            return {"residuals": [a for rows in some for a in rows if a["station"] == code]}
        if what == "availability":
            spans = [[START_MS, START_MS + 9_000_000], [START_MS + 9_100_000, end]]
            return {
                "starttime": text_of(START_MS),
                "endtime": text_of(end),
                "available_percent": 99.72,
                "n_gaps": 1,
                "spans": [[text_of(a), text_of(b)] for a, b in spans],
            }
        channels = [
            {"channel": code + c, "gain": 6.2e8, "unit": "m/s", "sampling_rate_hz": 100.0}
            | {"azimuth_deg": 0.0, "dip_deg": -90.0}
            for c in "ZNE"
        ]
        return {"station": station, "channels": channels, "n_picks": 321}


class PageServer:
    """Serves the page and a `Catalogue`; ``broken`` makes every answer an error of the server."""

    def __init__(self, n_events: int = 300, port: int = 0, archive: bool = False) -> None:
        self.catalogue = Catalogue(n_events)
        self.archive = archive
        self.stopped = False
        self.listeners: list[queue.Queue[str | None]] = []
        self.reviews_with: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.get(self)

            def do_POST(self) -> None:
                outer.post(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> PageServer:
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopped = True
        for listener in self.listeners:
            listener.put(None)
        self.http.shutdown()
        self.http.server_close()

    def announce(self, action: str, event_id: str) -> None:
        """Send one change to every page that listens."""
        self.catalogue.sequence += 1
        data = {"sequence": self.catalogue.sequence, "event_id": event_id, "version": 1}
        for listener in self.listeners:
            listener.put(f"event: {action}\nid: {data['sequence']}\ndata: {json.dumps(data)}\n\n")

    def wait_for_listener(self) -> None:
        for _ in range(1000):
            if self.listeners:
                return
            time.sleep(0.02)
        raise AssertionError("the page opened no stream")

    def reply(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Security-Policy", POLICY)
        handler.send_header("X-Content-Type-Options", "nosniff")
        handler.end_headers()
        handler.wfile.write(body)

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        if self.stopped:  # a connection that the browser kept open
            handler.close_connection = True
            return
        query = dict(parse_qsl(parts.query))
        if parts.path == "/api/stream":
            self.stream(handler)
        elif parts.path.startswith("/api/"):
            found = self.answer([unquote(p) for p in parts.path.split("/")[2:]], query)
            status = 404 if found is None else 200
            body = json.dumps({"detail": "no such thing"} if found is None else found).encode()
            self.reply(handler, status, body, "application/json")
        else:
            name = "index.html" if parts.path == "/" else parts.path.removeprefix("/static/")
            file = STATIC / name
            if not file.is_file():
                self.reply(handler, 404, b"{}", "application/json")
                return
            self.reply(handler, 200, file.read_bytes(), TYPES[file.suffix])

    def answer(self, path: list[str], query: dict[str, str]) -> Any:
        catalogue = self.catalogue
        stations = [dict(s) for s in catalogue.stations]
        if self.archive:
            stations = [s | {"state": "unknown", "latency_s": None} for s in stations]
        match path:
            case ["summary"]:
                return {"title": "Test <b>catalogue</b>", "live": not self.archive, "review": True}
            case ["events"]:
                return catalogue.compact(query)
            case ["events", event_id]:
                return catalogue.event(event_id)
            case ["events", event_id, "section"] if event_id in catalogue.rows:
                if self.archive:
                    return {"traces": [], "reason": "the recordings are not there"}
                return catalogue.section(event_id)
            case ["events", event_id, "samples"] if event_id in catalogue.rows:
                return catalogue.samples(event_id)
            case ["stations"]:
                return {"stations": stations}
            case ["stations", code]:
                return catalogue.station(code, "")
            case ["stations", code, what]:
                return catalogue.station(code, what)
            case ["health"]:
                stage = {"stage": "locate", "median_latency_s": 2.1, "p95_latency_s": 4.4, "n": 90}
                problem = {"what": HOSTILE, "problem": "gap", "detail": "1.2 s", "action": "used"}
                return {
                    "live": True,
                    "now": text_of(START_MS),
                    "uptime_s": 4000.0,
                    "stages": [stage],
                    "problems": [problem],
                    "stations": stations,
                }
            case ["coastlines"]:
                west, south, east, north = (
                    float(query[k]) for k in ("west", "south", "east", "north")
                )
                return coast.coastlines(west, south, east, north)
        return None

    def stream(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Cache-Control", "no-store")
        handler.end_headers()
        lines: queue.Queue[str | None] = queue.Queue()
        hello = json.dumps({"sequence": self.catalogue.sequence})
        lines.put(f"event: hello\ndata: {hello}\n\n")
        self.listeners.append(lines)
        try:
            while (text := lines.get()) is not None:
                handler.wfile.write(text.encode())
                handler.wfile.flush()
        except OSError:
            pass
        finally:
            self.listeners.remove(lines)
            handler.close_connection = True

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        event_id = unquote(handler.path.split("/")[3])
        self.reviews_with.append(handler.headers.get("Authorization", ""))
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.reply(handler, 403, b'{"detail": "wrong token"}', "application/json")
            return
        row = self.catalogue.rows[event_id]
        row[-1] += 1
        if body["action"] == "accept":
            row[8:10] = ["reviewed", "manual"]
        self.catalogue.n_reviews.append({"event_id": event_id, "comment": "", **body})
        self.reply(handler, 200, b'{"sequence": 1}', "application/json")
        self.announce("review", event_id)
