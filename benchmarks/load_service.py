"""Many clients at once on `lithoscope serve`: errors, times of answers, CPU of both sides.

    python benchmarks/load_service.py [--events 100000] [--clients 50] [--seconds 60]
                                      [--database URL] [--writes PER_SECOND] [--output FILE]
                                      [--without-recordings]

Makes a run directory: random events in a store (SQLite, or the empty database of the URL), of which
the last 2000 have ten arrivals each and the last 200 are a swarm of two hours with the recordings
of ten stations. Starts a server on it, and asks as fast as it answers: half the requests go to the
FDSN event service, half to the page's API. With ``--writes`` another process adds and updates
events meanwhile, as `lithoscope watch` does. A client that waits for a record section asks for
nothing else: ``--without-recordings`` leaves sections and waveforms out, so that all clients press
on the rest. Clients, server, writer and database share the machine's cores.
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd

from lithoscope.catalog import Catalog, Store
from lithoscope.pipeline.rundir import MARKER
from lithoscope.schema import ARRIVALS, EVENTS, PICKS, STATIONS, pick_id

START = pd.Timestamp("2015-01-01", tz="UTC")
YEARS = 5
N_STATIONS = 30
N_RECORDED = 10
N_LOCATED = 2000
N_SWARM = 200
SWARM_S = 7200
RATE_HZ = 100.0
END = START + pd.Timedelta(days=YEARS * 365)
FDSN = "/fdsnws/event/1/query?"


def event_times(n_events: int, generator: np.random.Generator) -> Any:
    """Return times over five years, the last of them within the last two hours."""
    n_swarm = min(N_SWARM, n_events // 2)
    long = generator.integers(0, (YEARS * 365 * 86_400 - SWARM_S) * 10**6, n_events - n_swarm)
    last = YEARS * 365 * 86_400 - generator.uniform(60, SWARM_S - 60, n_swarm)
    return START + pd.to_timedelta(np.sort(np.concatenate([long, (last * 1e6).astype(int)])), "us")


def make_catalog(n_events: int, seed: int = 0) -> Catalog:
    """Return random events; the last ones have ten arrivals each."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "event_id": [event_name(k) for k in range(n_events)],
            "time": event_times(n_events, generator),
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
    stations = [
        {
            "station": f"XX.S{k:02d}..HH",
            "longitude": -119 + 4 * k / N_STATIONS,
            "latitude": 35.0,
            "elevation_m": 100.0,
        }
        for k in range(N_STATIONS)
    ]
    arrivals, picks = made_arrivals(frame.tail(N_LOCATED))
    return Catalog(
        events=EVENTS.table(frame),
        arrivals=arrivals,
        picks=picks,
        stations=STATIONS.table(stations),
    )


def event_name(number: int) -> str:
    """Return the id of an event."""
    return f"ls{number:08d}_S{number % N_STATIONS:02d}"


def made_arrivals(events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return arrivals and picks at ten stations for each event."""
    arrivals, picks = [], []
    for event in events.itertuples():
        for k in range(N_RECORDED):
            station, moment = f"XX.S{k:02d}..HH", event.time + pd.Timedelta(seconds=3 + k)
            name = pick_id(station, "P", moment.value)
            both = {"pick_id": name, "station": station, "phase": "P", "time": moment}
            picks.append(both | {"time_sigma_s": 0.05})
            arrivals.append(
                both
                | {
                    "event_id": event.event_id,
                    "distance_km": 10.0 + k,
                    "azimuth_deg": 36.0 * k,
                    "residual_s": 0.01,
                    "weight": 0.95,
                }
            )
    return ARRIVALS.table(arrivals), PICKS.table(picks).drop_duplicates("pick_id")


def make_run(folder: Path, database: str, n_events: int, hours: float) -> None:
    """Write a run directory with noise for recordings, and fill its store."""
    url = database or f"sqlite:///{folder}/catalogue.sqlite"
    with Store(url) as store:
        store.write(make_catalog(n_events))
    data = folder / "data"
    data.mkdir()
    generator = np.random.default_rng(1)
    start = END - pd.Timedelta(hours=hours)
    for k in range(N_RECORDED):
        for component in "ZNE":
            samples = generator.normal(0, 100, int(hours * 3600 * RATE_HZ)).astype(np.int32)
            header = {
                "network": "XX",
                "station": f"S{k:02d}",
                "channel": f"HH{component}",
                "sampling_rate": RATE_HZ,
                "starttime": obspy.UTCDateTime(ns=start.value),
            }
            trace = obspy.Trace(samples, header)
            trace.write(str(data / f"S{k:02d}.{component}.mseed"), format="MSEED", reclen=512)
    marker = {"status": "finished", "sources": [str(data)], "store": url}
    (folder / MARKER).write_text(json.dumps(marker))


def request(generator: random.Random, n_events: int, recordings: bool = True) -> tuple[str, str]:
    """Return a kind of request and its path, as users and the page make them."""
    day = datetime(2015, 1, 1, tzinfo=UTC) + timedelta(generator.randrange(YEARS * 365 - 10))
    window = f"starttime={day:%Y-%m-%d}&endtime={day + timedelta(7):%Y-%m-%d}"
    west, south = generator.uniform(-119, -116), generator.uniform(33, 36)
    box = f"minlatitude={south:.2f}&maxlatitude={south + 1:.2f}"
    box += f"&minlongitude={west:.2f}&maxlongitude={west + 1:.2f}"
    event = event_name(n_events - 1 - generator.randrange(min(N_LOCATED, n_events)))
    recent = event_name(n_events - 1 - generator.randrange(min(N_SWARM, n_events)))
    station = f"/api/stations/XX.S{generator.randrange(N_RECORDED):02d}..HH"
    return generator.choices(
        [
            ("event text, a week", f"{FDSN}format=text&{window}"),
            ("event text, box", f"{FDSN}format=text&{box}&minmagnitude=2&limit=100"),
            ("event QuakeML, 20", f"{FDSN}{window}&limit=20"),
            ("event QuakeML by id, arrivals", f"{FDSN}eventid={event}&includearrivals=true"),
            ("event GeoJSON, 20", f"{FDSN}format=geojson&{box}&limit=20"),
            ("api events, a week", f"/api/events?{window}"),
            ("api events, all", "/api/events?orderby=time-asc&limit=200000"),
            ("api event", f"/api/events/{event}"),
            ("api section", f"/api/events/{recent}/section"),
            ("api summary", "/api/summary"),
            ("api stations", "/api/stations"),
            ("api station", station),
            ("api station waveform", f"{station}/waveform?hours=1"),
            ("api health", "/api/health"),
        ],
        [15, 15, 10, 5, 5, 19, 1, 10, 3 * recordings, 6, 5, 2, 1 * recordings, 3],
    )[0]


@dataclass
class Counts:
    """What the clients saw."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    n_bytes: int = 0


async def client(
    port: int, seed: int, n_events: int, until: float, counts: Counts, recordings: bool
) -> None:
    """Ask one thing after the other over one connection."""
    generator = random.Random(seed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    while time.monotonic() < until:
        kind, path = request(generator, n_events, recordings)
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


async def load(
    port: int, n_clients: int, n_events: int, seconds: float, recordings: bool = True
) -> Counts:
    """Run all clients; return what they saw."""
    counts = Counts()
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for seed in range(n_clients):
            group.create_task(client(port, seed, n_events, until, counts, recordings))
    return counts


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write(url: str, rate: float) -> None:
    """Add an event ``rate`` times a second and update every other one, until killed."""
    number = 0
    with Store(url) as store:
        while True:
            started = time.monotonic()
            for size in (2.0, 2.1)[: 1 + number % 2]:
                event = make_catalog(1).events.assign(
                    event_id=f"lsnew{number:07d}",
                    time=END + pd.Timedelta(seconds=10 * number),
                    magnitude=size,
                )
                arrivals, picks = made_arrivals(event)
                store.put_event(Catalog(events=event, arrivals=arrivals, picks=picks))
            number += 1
            time.sleep(max(0.0, 1.0 / rate - (time.monotonic() - started)))


def report(counts: Counts, seconds: float, cpu_s: dict[str, float]) -> dict[str, object]:
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
    shares = ", ".join(
        f"{name} {100 * used / seconds:.0f} % of a core" for name, used in cpu_s.items()
    )
    print(
        f"\n{len(counts.errors)} errors; {n / seconds:.0f} requests/s; server CPU "
        f"{1000 * cpu_s['server'] / n:.2f} ms/request; {counts.n_bytes / 1e6 / seconds:.1f} MB/s; "
        f"{shares}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    for text in counts.errors[:5]:
        print(f"error: {text}")
    used = {f"{name}_cpu_s": value for name, value in cpu_s.items()}
    return out | used | {"errors": len(counts.errors), "requests_per_s": n / seconds}


def main() -> None:
    """Fill, serve, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--database", default="")
    parser.add_argument("--writes", type=float, default=0.0, help="events added a second")
    parser.add_argument("--without-recordings", action="store_true", help="no sections")
    parser.add_argument("--repeat", type=int, default=1, help="times, each with a fresh server")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--small", action="store_true", help="a few events and clients")
    parser.add_argument("--only-write", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_write:
        write(options.only_write, options.writes)
    if options.small:
        options.events, options.clients, options.seconds = 500, 4, 2.0
    with tempfile.TemporaryDirectory() as folder:
        hours = 0.05 if options.small else SWARM_S / 3600
        make_run(Path(folder), options.database, options.events, hours)
        figures = [measure(Path(folder), options) for _ in range(options.repeat)]
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Start a server and perhaps a writer, ask, and stop them."""
    command = [sys.executable, "-m", "lithoscope", "serve", str(folder), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    processes = {"server": server}
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().rsplit(":", 1)[1].split("/")[0])
        # What users meet is a warm server; this one may not know all answers yet.
        kinds = not options.without_recordings
        asyncio.run(load(port, 1, options.events, min(5.0, options.seconds), kinds))
        if options.writes:
            url = json.loads((folder / MARKER).read_text())["store"]
            words = [sys.executable, __file__, "--only-write", url]
            words += ["--writes", str(options.writes)]
            processes["writer"] = subprocess.Popen(words)
        before = {name: cpu_seconds(one.pid) for name, one in processes.items()}
        started, own = time.monotonic(), time.process_time()
        counts = asyncio.run(load(port, options.clients, options.events, options.seconds, kinds))
        seconds = time.monotonic() - started
        used = {name: cpu_seconds(one.pid) - before[name] for name, one in processes.items()}
        return report(counts, seconds, used | {"clients": time.process_time() - own})
    finally:
        for one in processes.values():
            one.terminate()
            one.wait(60)
        if server.stdout is not None:
            server.stdout.close()


if __name__ == "__main__":
    main()
