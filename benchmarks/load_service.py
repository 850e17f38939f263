"""Many clients at once on `lithoscope serve`: errors, times of answers, CPU of the server.

    python benchmarks/load_service.py [--events 100000] [--clients 50] [--seconds 60]
                                      [--database URL] [--output FILE]

Fills a store (SQLite in a temporary folder, or the database of the URL, which must be empty) with
random events, starts a server on it, and asks as fast as it answers: half the requests go to the
FDSN event service, half to the page's API. Clients and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from lithoscope.catalog import Catalog, Store
from lithoscope.schema import ARRIVALS, EVENTS, PICKS, STATIONS, pick_id

START = pd.Timestamp("2015-01-01", tz="UTC")
YEARS = 5
N_STATIONS = 30


def make_catalog(n_events: int, seed: int = 0) -> Catalog:
    """Return random events over five years; the last 2000 have ten arrivals each."""
    generator = np.random.default_rng(seed)
    times = np.sort(generator.integers(0, YEARS * 365 * 86_400 * 10**6, n_events))
    frame = pd.DataFrame(
        {
            "event_id": [f"ls{k:08d}_S{k % N_STATIONS:02d}" for k in range(n_events)],
            "time": START + pd.to_timedelta(times, "us"),
            "longitude": generator.uniform(-119, -115, n_events),
            "latitude": generator.uniform(33, 37, n_events),
            "depth_km": generator.uniform(0, 20, n_events),
            "magnitude": generator.exponential(1 / np.log(10), n_events) + 0.5,
            "magnitude_type": "ML",
            "magnitude_sigma": 0.1,
            "event_type": "earthquake",
            "n_p": 6,
            "n_s": 4,
            "rms_s": 0.1,
            "azimuthal_gap_deg": 90.0,
            "nearest_station_km": 5.0,
            **dict.fromkeys(("time_sigma_s", "east_sigma_km", "north_sigma_km"), 0.2),
            "depth_sigma_km": 0.8,
        }
    )
    arrivals, picks = [], []
    for event in frame.tail(2000).itertuples():
        for k in range(10):
            station = f"XX.S{k:02d}..HH"
            moment = event.time + pd.Timedelta(seconds=3 + k)
            name = pick_id(station, "P", moment.value)
            picks.append(
                {
                    "pick_id": name,
                    "station": station,
                    "phase": "P",
                    "time": moment,
                    "time_sigma_s": 0.05,
                }
            )
            arrivals.append(
                {
                    "event_id": event.event_id,
                    "pick_id": name,
                    "station": station,
                    "phase": "P",
                    "time": moment,
                    "distance_km": 10.0 + k,
                    "azimuth_deg": 36.0 * k,
                    "residual_s": 0.01,
                    "weight": 0.95,
                }
            )
    stations = [
        {
            "station": f"XX.S{k:02d}..HH",
            "longitude": -119 + 4 * k / N_STATIONS,
            "latitude": 35.0,
            "elevation_m": 100.0,
        }
        for k in range(N_STATIONS)
    ]
    return Catalog(
        events=EVENTS.table(frame),
        arrivals=ARRIVALS.table(arrivals),
        picks=PICKS.table(picks).drop_duplicates("pick_id"),
        stations=STATIONS.table(stations),
    )


def request(generator: random.Random, n_events: int) -> tuple[str, str]:
    """Return a kind of request and its path, as users and the page make them."""
    day = START + pd.Timedelta(days=generator.randrange(YEARS * 365 - 10))
    window = f"starttime={day:%Y-%m-%d}&endtime={day + pd.Timedelta(days=7):%Y-%m-%d}"
    west, south = generator.uniform(-119, -116), generator.uniform(33, 36)
    box = f"minlatitude={south:.2f}&maxlatitude={south + 1:.2f}"
    box += f"&minlongitude={west:.2f}&maxlongitude={west + 1:.2f}"
    fdsn = "/fdsnws/event/1/query?"
    latest = n_events - 1 - generator.randrange(min(2000, n_events))
    event = f"ls{latest:08d}_S{latest % N_STATIONS:02d}"
    return generator.choices(
        [
            ("event text, a week", f"{fdsn}format=text&{window}"),
            ("event text, box", f"{fdsn}format=text&{box}&minmagnitude=2&limit=100"),
            ("event QuakeML, 20", f"{fdsn}{window}&limit=20"),
            ("event QuakeML by id, arrivals", f"{fdsn}eventid={event}&includearrivals=true"),
            ("event GeoJSON, 20", f"{fdsn}format=geojson&{box}&limit=20"),
            ("api events, a week", f"/api/events?{window}"),
            ("api events, all", "/api/events?orderby=time-asc&limit=200000"),
            ("api event", f"/api/events/{event}"),
            ("api summary", "/api/summary"),
            ("api stations", "/api/stations"),
        ],
        [15, 15, 10, 5, 5, 20, 1, 10, 10, 9],
    )[0]


@dataclass
class Counts:
    """What the clients saw."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    n_bytes: int = 0


async def client(port: int, seed: int, n_events: int, until: float, counts: Counts) -> None:
    """Ask one thing after the other over one connection."""
    generator = random.Random(seed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    while time.monotonic() < until:
        kind, path = request(generator, n_events)
        started = time.monotonic()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        )
        status, n_bytes = await answer(reader)
        counts.seconds[kind].append(time.monotonic() - started)
        counts.n_bytes += n_bytes
        if status not in (200, 204):
            counts.errors.append(f"{status} {path}")
    writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Read one answer; return its status and the bytes of its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    if "transfer-encoding: chunked" not in head:
        length = 0
        if "content-length: " in head:
            length = int(head.partition("content-length: ")[2].partition("\r")[0])
        await reader.readexactly(length)
        return status, length
    total = 0
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
        total += size
    await reader.readexactly(2)
    return status, total


async def load(port: int, n_clients: int, n_events: int, seconds: float) -> Counts:
    """Run all clients; return what they saw."""
    counts = Counts()
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for seed in range(n_clients):
            group.create_task(client(port, seed, n_events, until, counts))
    return counts


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(counts: Counts, seconds: float, cpu_s: float) -> dict[str, object]:
    """Return the figures, and print them as a table."""
    rows = {"all": [s for group in counts.seconds.values() for s in group], **counts.seconds}
    print("| request | n | median, ms | p95, ms | p99, ms | longest, ms |")
    print("|---|---|---|---|---|---|")
    out: dict[str, object] = {}
    for kind in ["all", *sorted(counts.seconds)]:
        values = np.array(rows[kind]) * 1000
        p50, p95, p99 = np.percentile(values, [50, 95, 99])
        print(
            f"| {kind} | {len(values)} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {values.max():.0f} |"
        )
        out[kind] = {"n": len(values), "median_ms": p50, "p95_ms": p95, "p99_ms": p99}
    n = len(rows["all"])
    print(
        f"\n{len(counts.errors)} errors; {n / seconds:.0f} requests/s; server CPU "
        f"{1000 * cpu_s / n:.2f} ms/request; {counts.n_bytes / 1e6 / seconds:.1f} MB/s; "
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    for text in counts.errors[:5]:
        print(f"error: {text}")
    return out | {"errors": len(counts.errors), "requests_per_s": n / seconds}


def main() -> None:
    """Fill, serve, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--database", default="")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--small", action="store_true", help="a few events and clients")
    options = parser.parse_args()
    if options.small:
        options.events, options.clients, options.seconds = 500, 4, 2.0
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/load.sqlite"
        with Store(url) as store:
            store.write(make_catalog(options.events))
        command = [sys.executable, "-m", "lithoscope", "serve", url, "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rsplit(":", 1)[1].split("/")[0])
            asyncio.run(
                load(port, 1, options.events, min(5.0, options.seconds))
            )  # what users meet is a warm server
            before = cpu_seconds(server.pid)
            started = time.monotonic()
            counts = asyncio.run(load(port, options.clients, options.events, options.seconds))
            seconds = time.monotonic() - started
            figures = report(counts, seconds, cpu_seconds(server.pid) - before)
        finally:
            server.terminate()
            server.wait(30)
            if server.stdout is not None:
                server.stdout.close()
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
