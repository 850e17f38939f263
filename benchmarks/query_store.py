"""CPU time of queries on a store of 100,000 events, on SQLite and PostgreSQL.

    python benchmarks/query_store.py [--events 100000] [--repeats 50] [--small] [URL ...]

A URL is that of an empty database (``sqlite:///new.sqlite``, ``postgresql://...``). CPU time is
that of this process and, for PostgreSQL, of the server process that answers; so a busy machine does
not change it. Random numbers are seeded; the events are spread over ten years and a region.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from lithoscope import schema
from lithoscope.catalog import Catalog, EventQuery, Store
from lithoscope.service.solutions import COMPACT

START = pd.Timestamp("2016-01-01T00:00:00Z")
# What the page of a server asks for.
COLUMNS = [{"time_ms": "time"}.get(name, name) for name in COMPACT]
ARRIVALS = 8  # of every tenth event


def synthetic(n_events: int) -> Catalog:
    """Return a catalogue of a region over ten years, magnitudes by Gutenberg-Richter."""
    rng = np.random.default_rng(0)
    ns = START.value + np.sort(rng.integers(0, 10 * 365 * 86_400 * 10**9, n_events))
    numbers = {
        c.name: rng.uniform(0.1, 2.0, n_events) for c in schema.EVENTS.columns if c.kind == "float"
    }
    ids = np.array([f"ls{value}_S{i % 50:02d}" for i, value in enumerate(ns)])
    events = pd.DataFrame(numbers).assign(
        event_id=ids,
        time=pd.to_datetime(ns, utc=True),
        longitude=rng.normal(13.0, 1.5, n_events),
        latitude=rng.normal(46.5, 1.0, n_events),
        depth_km=rng.gamma(4.0, 2.5, n_events),
        magnitude=np.where(rng.random(n_events) < 0.1, np.nan, rng.exponential(0.45, n_events)),
        magnitude_type="ML",
        event_type="earthquake",
        n_p=8,
        n_s=6,
    )
    some = np.repeat(np.arange(0, n_events, 10), ARRIVALS)
    station = np.tile([f"XX.S{i:02d}..HH" for i in range(ARRIVALS)], len(some) // ARRIVALS)
    arrival_ns = ns[some] + np.tile(np.arange(1, ARRIVALS + 1) * 10**9, len(some) // ARRIVALS)
    picks = pd.DataFrame(
        {
            "pick_id": [f"{s}/P/{t}" for s, t in zip(station, arrival_ns, strict=True)],
            "station": station,
            "phase": "P",
            "time": pd.to_datetime(arrival_ns, utc=True),
            "time_sigma_s": 0.05,
        }
    )
    arrivals = picks[["pick_id", "station", "phase", "time"]].assign(
        event_id=ids[some], distance_km=20.0, azimuth_deg=10.0, residual_s=0.01, weight=0.9
    )
    return Catalog(events=events, arrivals=arrivals, picks=picks)


def queries(
    store: Store, events: pd.DataFrame
) -> dict[str, Callable[[np.random.Generator], object]]:
    """Return what a service asks, each with places and times drawn anew."""

    def place(rng: np.random.Generator) -> dict[str, float]:
        return {"longitude": rng.normal(13.0, 1.0), "latitude": rng.normal(46.5, 0.7)}

    def day(rng: np.random.Generator) -> pd.Timestamp:
        return START + pd.Timedelta(days=int(rng.integers(0, 3600)))

    def box(rng: np.random.Generator) -> EventQuery:
        lon, lat, first = *place(rng).values(), day(rng)
        return EventQuery(
            min_longitude=lon - 0.5,
            max_longitude=lon + 0.5,
            min_latitude=lat - 0.5,
            max_latitude=lat + 0.5,
            starttime=first,
            endtime=first + pd.Timedelta(days=365),
            limit=100,
        )

    known = events["event_id"].to_numpy()[::10]
    return {
        "latest 100": lambda rng: store.events(EventQuery(limit=100)),
        "latest 100, compact": lambda rng: store.events(EventQuery(limit=100), COLUMNS),
        "largest 100": lambda rng: store.events(EventQuery(limit=100, orderby="magnitude")),
        "100 of magnitude 2 and more": lambda rng: store.events(
            EventQuery(limit=100, min_magnitude=2.0, endtime=day(rng))
        ),
        "100 in a box and a year": lambda rng: store.events(box(rng)),
        "100 within 0.3 degrees": lambda rng: store.events(
            EventQuery(**place(rng), maxradius=0.3, limit=100)
        ),
        "count within 0.3 degrees": lambda rng: store.count(
            EventQuery(**place(rng), maxradius=0.3)
        ),
        "count all": lambda rng: store.count(EventQuery()),
        "100 after the first 50,000": lambda rng: store.events(
            EventQuery(limit=100, offset=len(events) // 2), COLUMNS
        ),
        "one event, all of it": lambda rng: store.event(str(rng.choice(known))),
        "one event, all of it, plain rows": lambda rng: store.solutions([str(rng.choice(known))]),
        "50 events, all of them, plain rows": lambda rng: store.solutions(
            rng.choice(known, 50).tolist()
        ),
        "latest 1000 arrivals of a station": lambda rng: store.of_station(
            "arrivals", f"XX.S{rng.integers(ARRIVALS):02d}..HH", 1000
        ),
        "what changed since": lambda rng: store.changes(after=len(events) - 10),
        "latest 1000": lambda rng: store.events(EventQuery(limit=1000)),
        "all, compact": lambda rng: store.events(EventQuery(), COLUMNS),
    }


def server_seconds(store: Store) -> Callable[[], float]:
    """Return the CPU time of the server's process; the store keeps one connection."""
    if store.database.is_sqlite:
        return lambda: 0.0
    with store.database.reading() as (connection, _):
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    path = Path(f"/proc/{pid}/schedstat")
    return lambda: int(path.read_text().split()[0]) / 1e9


def measure(url: str, catalog: Catalog, repeats: int) -> Iterator[tuple[str, float, float]]:
    """Yield what was done and its p50 and p95 in ms of CPU time."""
    with Store(url) as store:
        first = time.process_time()
        store.write(catalog)
        wrote = 1000.0 * (time.process_time() - first)
        yield "write, once", wrote, wrote
        store.count(EventQuery())
        server = server_seconds(store)
        for name, ask in queries(store, catalog.events).items():
            rng = np.random.default_rng(1)
            taken = []
            for _ in range(max(repeats // 10, 3) if name.startswith("all") else repeats):
                before = time.process_time() + server()
                ask(rng)
                taken.append(1000.0 * (time.process_time() + server() - before))
            yield name, float(np.median(taken)), float(np.percentile(taken, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("urls", nargs="*", help="default: an SQLite file that is deleted again")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--small", action="store_true", help="300 events, 2 repeats")
    chosen = parser.parse_args()
    if chosen.small:
        chosen.events, chosen.repeats = 300, 2
    catalog = synthetic(chosen.events)
    with tempfile.TemporaryDirectory() as folder:
        for url in chosen.urls or [f"sqlite:///{folder}/store.sqlite"]:
            print(f"\n{url.split(':')[0]}, {chosen.events} events: CPU ms\n\n| query | p50 | p95 |")
            print("|---|---|---|")
            for name, median, high in measure(url, catalog, chosen.repeats):
                print(f"| {name} | {median:.1f} | {high:.1f} |", flush=True)
            with Store(url) as store:
                n = store.count(EventQuery())
            done = time.process_time()
            print(f"{n} events counted, {chosen.events - n} differ; {done:.1f} CPU s in all")


if __name__ == "__main__":
    main()
