"""A week of a network through `watch`, as fast as it goes: memory, open files, latency, events.

    python benchmarks/watch_week.py [--hours 168] [--data FOLDER] [--output FOLDER]
    python benchmarks/watch_week.py --small

Noise is made as it is needed, block by block and in a process of its own, so that disk and memory
do not grow with the length and the memory of the watch is the watch's: an autoregression of first
order for each channel whose steps are as large as those of the recordings. Into it come, at random
times, synthetic earthquakes and cuts of real ones (`--data`, a folder of Ridgecrest with
``waveforms`` and ``stations.csv``) of random size. Every quarter of an hour of data the state goes
to ``week.csv``; the summary says how memory changed after the first hour, and how many of the
events put in were found.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import lithoscope  # noqa: F401 - before pandas, as in the command: see there

# isort: split
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.signal.windows import tukey

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "pipeline"))

from live_cases import catalogue  # noqa: E402

from lithoscope.constants import NS_PER_S  # noqa: E402
from lithoscope.pipeline import RunSettings, load_settings  # noqa: E402
from lithoscope.pipeline.live.engine import watch  # noqa: E402
from lithoscope.pipeline.live.sources import MemorySource  # noqa: E402
from lithoscope.synthetics import random_network, simulate_catalogue, simulate_records  # noqa: E402
from lithoscope.synthetics.seismograms import SeismogramSettings  # noqa: E402
from lithoscope.traveltimes import builtin_model  # noqa: E402
from lithoscope.waveforms import index_archive, read_records  # noqa: E402
from lithoscope.waveforms.seedlink import Packet, decode, encode_records  # noqa: E402

START_NS = pd.Timestamp("2024-03-01T00:00:00Z").value
RATE_HZ = 100.0
BLOCK_S = 120
COLOUR = 0.9
# Origin times of real events, and how much of the recordings around them is cut out (s).
REAL = ("2019-07-04T17:02:55.1Z", "2019-07-04T17:09:19.9Z", "2019-07-04T17:12:14.8Z")
CUT_S = (-2.0, 58.0)
QUIET = "2019-07-04T17:01:30Z"


@dataclass(frozen=True)
class Network:
    """Stations, their noise, and the events to put into it, each ``(stations, 3, n)``."""

    codes: list[str]
    stations: Path
    noise: NDArray[np.float64]  # (stations, 3), root mean square
    signals: list[NDArray[np.float64]]
    n_synthetic: int


def synthetic_signals(
    sites: pd.DataFrame, rng: np.random.Generator, n: int, noise: float
) -> list[NDArray[np.float64]]:
    """Return what the stations record of some events without noise, from 2 s before the origin."""
    model = builtin_model("southern_california")
    found = []
    centre = float(sites["longitude"].mean()), float(sites["latitude"].mean())
    for _ in range(n):
        event = simulate_catalogue(
            1,
            rng,
            longitude=centre[0],
            latitude=centre[1],
            half_width_km=15.0,
            depth_km=(4.0, 12.0),
            magnitude=(2.3, 2.8),
        )
        event["time"] = pd.Timestamp(START_NS, tz="UTC") + pd.Timedelta(2, "s")
        how = SeismogramSettings(noise_counts=1e-6)
        records, _ = simulate_records(
            event, sites, model, rng, start="2024-03-01T00:00:00Z", duration_s=60.0, settings=how
        )
        found.append(np.stack([r.data for r in records]).astype(float) * noise / 20.0)
    return found


def made_up(folder: Path, n_stations: int, rng: np.random.Generator) -> Network:
    """Return a network without recordings."""
    sites = random_network(n_stations, 20.0, rng, longitude=-117.5, latitude=35.7)
    path = folder / "stations.csv"
    sites.assign(gain=1e9, unit="m/s").to_csv(path, index=False)
    codes = list(sites["station"])
    noise = np.full((n_stations, 3), 20.0)
    return Network(codes, path, noise, synthetic_signals(sites, rng, 6, 20.0), 6)


def recorded(data: Path, n_stations: int, rng: np.random.Generator) -> Network:
    """Return stations, noise and events of recordings, and synthetic events of the same network."""
    archive = index_archive([data / "waveforms"])
    codes = [s for s in archive.stations() if s.endswith("HH")][:n_stations]
    table = pd.read_csv(data / "stations.csv")
    table["station"] = [f"{r.network}.{r.station}..{r.band}" for r in table.itertuples()]
    sites = table.set_index("station", drop=False).loc[codes].reset_index(drop=True)

    def cut(moment: str, begin_s: float, end_s: float) -> NDArray[np.float64]:
        zero = pd.Timestamp(moment).value
        n = round((end_s - begin_s) * RATE_HZ)
        out = np.zeros((len(codes), 3, n))
        for row, code in enumerate(codes):
            window = zero + round(begin_s * NS_PER_S), zero + round(end_s * NS_PER_S)
            records, _ = read_records(archive, code, *window)
            part = records[0].data[:, :n]
            out[row, :, : part.shape[1]] = part - part.mean(axis=1, keepdims=True)
        return out

    steps = np.diff(cut(QUIET, 0.0, 60.0), axis=2).std(axis=2)
    noise = steps / np.sqrt(2.0 * (1.0 - COLOUR))
    taper = tukey(round((CUT_S[1] - CUT_S[0]) * RATE_HZ), 0.05)
    real = [cut(moment, *CUT_S) * taper for moment in REAL]
    made = synthetic_signals(sites, rng, 6, float(np.median(noise)))
    return Network(codes, data / "stations.csv", noise, [*made, *real], len(made))


class Stream:
    """SeedLink packets of a network as bytes, made as they are asked for.

    Attributes
    ----------
    truth
        Times (ns) at which events were put in, with their number and size.
    """

    def __init__(self, network: Network, hours: float, every_s: float, seed: int) -> None:
        self.network = network
        self.n_blocks = round(hours * 3600 / BLOCK_S)
        self.every_s = every_s
        self.rng = np.random.default_rng(seed)
        self.truth: list[tuple[int, int, float]] = []

    def __iter__(self) -> Iterator[bytes]:
        net, n = self.network, round(BLOCK_S * RATE_HZ)
        state = np.zeros((len(net.codes), 3, 1))
        carried = np.zeros((len(net.codes), 3, n))
        wait = 0.0
        for block in range(self.n_blocks):
            start_ns = START_NS + block * BLOCK_S * NS_PER_S
            white = self.rng.standard_normal((len(net.codes), 3, n), np.float32)
            data, state = lfilter([np.sqrt(1 - COLOUR**2)], [1.0, -COLOUR], white, zi=state)
            data *= net.noise[:, :, np.newaxis]
            data += carried
            carried[:] = 0.0
            wait += BLOCK_S / self.every_s
            if block and wait >= 1.0 and block < self.n_blocks - 1:
                wait -= 1.0
                self._put(data, carried, start_ns)
            whole = np.round(data, out=data).astype(np.int32)
            del white, data
            yield from self._packets(whole, start_ns)

    def _put(self, data: NDArray, carried: NDArray, start_ns: int) -> None:
        """Add one event at a random time of a block; what is longer goes into the next one."""
        number = int(self.rng.integers(len(self.network.signals)))
        size = float(self.rng.uniform(0.7, 2.0))
        signal, n = self.network.signals[number] * size, data.shape[2]
        at = int(self.rng.integers(n))
        here = min(signal.shape[2], n - at)
        data[:, :, at : at + here] += signal[:, :, :here]
        carried[:, :, : signal.shape[2] - here] += signal[:, :, here:]
        self.truth.append((start_ns + round((at / RATE_HZ + 2.0) * NS_PER_S), number, size))

    def _packets(self, data: NDArray[np.int32], start_ns: int) -> Iterator[bytes]:
        """Yield packets in order of time."""
        channels = []
        for row, code in enumerate(self.network.codes):
            net, sta, loc, band = code.split(".")
            for k, component in enumerate("ZNE"):
                names = (net, sta, loc, f"{band}{component}")
                cuts = encode_records(names, start_ns, RATE_HZ, data[row, k])
                channels.append([(decode(cut.raw).endtime_ns, code, k, cut.raw) for cut in cuts])
        yield from (raw for *_, raw in heapq.merge(*channels))


def send(stream: Stream, pipe: Connection) -> None:
    """Send the packets of a stream by the hundred, None after the last one, and what is in them."""
    packets = iter(stream)
    while some := list(islice(packets, 100)):
        pipe.send(some)
    pipe.send(None)
    pipe.send(stream.truth)


class Elsewhere:
    """A stream that is made in a process of its own.

    Attributes
    ----------
    pid
        Of that process.
    truth
        As of the stream, once all has come.
    """

    def __init__(self, stream: Stream) -> None:
        spawn = multiprocessing.get_context("spawn")  # nothing of this process goes with it
        self._pipe, theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=send, args=(stream, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.pid = self._process.pid
        self.truth: list[tuple[int, int, float]] = []

    def __iter__(self) -> Iterator[Packet]:
        while (some := self._pipe.recv()) is not None:
            yield from map(decode, some)
        self.truth = self._pipe.recv()
        self._process.join()


def children_mb(but: int | None) -> float:
    """Return the resident memory of the processes begun here but one, MB; NaN if unknown."""
    try:
        own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        some = [child for child in own if child != str(but)]
        pages = [int(Path(f"/proc/{child}/statm").read_text().split()[1]) for child in some]
    except OSError:
        return float("nan")
    return round(sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


class Notes:
    """The state of a watch every quarter of an hour of data."""

    def __init__(self, path: Path, step_s: float, source: Elsewhere) -> None:
        self.path, self.step_ns, self.source = path, round(step_s * NS_PER_S), source
        path.unlink(missing_ok=True)
        self.rows: list[dict[str, Any]] = []
        self._next_ns = START_NS

    def __call__(self, health: dict[str, Any]) -> None:
        if health["clock_ns"] < self._next_ns:
            return
        self._next_ns = health["clock_ns"] + self.step_ns
        stages = health["stages"]
        self.rows.append(
            {
                "data_h": round((health["clock_ns"] - START_NS) / NS_PER_S / 3600, 3),
                "memory_mb": health["memory_mb"],
                "children_mb": children_mb(self.source.pid),
                "open_files": health["open_files"],
                "picks": health["n_picks"],
                "events": health["n_events"],
                "packets": health["n_packets"],
                "read_and_pick_s": stages.get("read and pick", {}).get("latency_s"),
                "associate_s": stages.get("associate", {}).get("latency_s"),
                "locate_s": stages.get("locate", {}).get("latency_s"),
                "store_s": stages.get("store", {}).get("latency_s"),
                "cpu_s": round(time.process_time(), 1),
            }
        )
        last = pd.DataFrame(self.rows[-1:])
        last.to_csv(self.path, mode="a", header=len(self.rows) == 1, index=False)


def report(notes: Notes, stream: Elsewhere, found: pd.DataFrame) -> None:
    """Print how memory, files and stages changed, and which events were found."""
    table = pd.DataFrame(notes.rows)
    later = table[table["data_h"] >= 1.0]
    if len(later) > 1:
        first, last = later.iloc[0], later.iloc[-1]
        change = 100.0 * (later["memory_mb"] / first["memory_mb"] - 1.0)
        print(
            f"memory: {first['memory_mb']:.0f} MB after {first['data_h']:.1f} h of data, "
            f"{last['memory_mb']:.0f} MB after {last['data_h']:.1f} h; change between "
            f"{change.min():+.1f} and {change.max():+.1f} %"
        )
        beside = later["children_mb"]
        print(f"processes beside: {beside.iloc[0]:.0f} MB, {beside.iloc[-1]:.0f} at the end")
        files = later["open_files"]
        print(f"open files: {files.min()} to {files.max()}, at the end {files.iloc[-1]}")
        quarters = np.array_split(np.arange(len(later)), min(4, len(later)))
        parts = [later.iloc[rows] for rows in quarters]
        for name in ("read_and_pick_s", "associate_s", "locate_s", "store_s"):
            medians = ", ".join(f"{1e3 * part[name].astype(float).median():.0f}" for part in parts)
            print(f"{name.removesuffix('_s')}: {medians} ms by quarter")
    times = found["time"].astype("int64").to_numpy()
    near = [np.abs(times - t).min(initial=10**18) <= 3 * NS_PER_S for t, _, _ in stream.truth]
    extra = sum(
        min((abs(t - s) for s, _, _ in stream.truth), default=10**18) > 3 * NS_PER_S for t in times
    )
    print(
        f"matched: {sum(near)} of {len(near)} events put in, by origin time within 3 s; "
        f"{extra} of {len(times)} found are none of them"
    )


def configuration(options: argparse.Namespace) -> RunSettings:
    live = {"status_s": 0.5, "keep_hours": options.keep_hours, "queue_packets": 2_000}
    values: dict[str, Any] = {
        "output": {"report": False, "exports": []},
        "model": {"name": "southern_california"},
        "live": live,
    }
    if options.small:
        values |= {"picking": {"method": "classical"}, "engine": {"workers": 1}}
    return load_settings(None, values)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=168.0)
    parser.add_argument("--stations", type=int, default=12)
    parser.add_argument("--every-s", type=float, default=900.0, help="mean time between events")
    parser.add_argument("--keep-hours", type=float, default=26.0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="20 minutes of 4 stations")
    options = parser.parse_args()
    if options.small:
        options.hours, options.stations, options.every_s = 1 / 3, 4, 400.0
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(options.seed)
        make = recorded if options.data else made_up
        network = make(options.data or folder, options.stations, rng)
        stream = Elsewhere(Stream(network, options.hours, options.every_s, options.seed))
        del network.signals[:]  # they are there now
        notes = Notes(folder / "week.csv", 900.0 if options.hours > 1 else 60.0, stream)
        wall = time.monotonic()
        result = watch(
            [MemorySource(stream)],
            [network.stations],
            folder / "watch",
            configuration(options),
            on_status=notes,
        )
        wall = time.monotonic() - wall
        print(
            f"{len(network.codes)} stations, {options.hours:g} h of data in {wall:.0f} s of wall "
            f"time, {time.process_time():.0f} CPU s; {result.n_packets} packets"
        )
        report(notes, stream, catalogue(folder / "watch").events)


if __name__ == "__main__":
    main()
