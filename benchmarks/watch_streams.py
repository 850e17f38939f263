"""`watch` beside `run`: same catalogue, kills, latency, memory.

    python benchmarks/watch_streams.py replay [--data FOLDER --stations FILE --config FILE]
        [--speed N] [--faults KIND,...] [--output FOLDER]
    python benchmarks/watch_streams.py latency --data FOLDER --stations FILE [--speed N]
    python benchmarks/watch_streams.py kills [--kills N]
    python benchmarks/watch_streams.py --small

``replay`` serves recordings over SeedLink from another process and watches them; the final solution
is compared with a batch run on the same files, or on what arrived (the spool) where a fault loses
data or a part is replayed.
``latency`` feeds recordings in packets of 1 s at a pace that is counted in CPU seconds of the watch
and the seconds it waits for data, so that the figures are those of a core of its own on a busy
machine too. ``kills`` kills a watch with SIGKILL at random moments of a replay and begins it again
each time. For days of data see ``watch_week.py``. Without ``--data`` the recordings are synthetic
(5 stations, 5 minutes, seed 7), with the classical picker.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "pipeline"))

from live_cases import catalogue, packets_of, settings  # noqa: E402
from synthetic_archive import SyntheticArchive, make  # noqa: E402

from lithoscope.catalog import Catalog, Change, Store  # noqa: E402
from lithoscope.constants import NS_PER_S  # noqa: E402
from lithoscope.pipeline import RunSettings, load_settings, run  # noqa: E402
from lithoscope.pipeline.live.engine import Watch, watch  # noqa: E402
from lithoscope.pipeline.live.events import LiveEvent  # noqa: E402
from lithoscope.pipeline.live.intake import Intake, Item  # noqa: E402
from lithoscope.pipeline.live.sources import MemorySource, SeedLinkSource  # noqa: E402
from lithoscope.pipeline.live.spool import SPOOL  # noqa: E402
from lithoscope.pipeline.replay import Replay, ReplaySettings  # noqa: E402
from lithoscope.pipeline.replay.faults import FaultSettings  # noqa: E402
from lithoscope.waveforms.seedlink import Packet  # noqa: E402

FAULTS: dict[str, dict[str, Any]] = {
    "delay": {"delay": 0.02},
    "reorder": {"reorder": 0.02},
    "duplicate": {"duplicate": 0.02},
    "disconnect": {"disconnect_per_hour": 20.0},
    "drop": {"drop": 0.005},
    "gap": {"gap_per_hour": 2.0},
    "spike": {"spike": 0.0005},
    "clock": {"clock_step_per_hour": 0.5},
}
LOSSLESS = {"delay", "reorder", "duplicate", "disconnect"}


def small_case(folder: Path) -> SyntheticArchive:
    return make(folder, n_stations=5, n_events=2, duration_s=300.0)


def print_difference(live: Catalog, batch: Catalog) -> None:
    """Print how the final solution differs from the batch run's."""
    mine = live.events.sort_values("time", ignore_index=True)
    theirs = batch.events.sort_values("time", ignore_index=True)
    print(f"events: {len(mine)} in the watch, {len(theirs)} in the run")
    gap = np.abs(
        mine["time"].astype("int64").to_numpy()[:, None]
        - theirs["time"].astype("int64").to_numpy()[None, :]
    )
    pairs = [(i, int(gap[i].argmin())) for i in range(len(mine)) if gap.size]
    pairs = [(i, j) for i, j in pairs if gap[i, j] < NS_PER_S]
    a = mine.iloc[[i for i, _ in pairs]].reset_index(drop=True)
    b = theirs.iloc[[j for _, j in pairs]].reset_index(drop=True)
    off_ms = (a["time"] - b["time"]).abs().dt.total_seconds() * 1e3
    sizes = (a["magnitude"] - b["magnitude"]).abs()
    neither = int((a["magnitude"].isna() & b["magnitude"].isna()).sum())
    print(
        f"matched within 1 s: {len(pairs)}; largest time error {off_ms.max():.3f} ms, within 1 ms "
        f"{int((off_ms <= 1).sum())}; largest magnitude error {sizes.max():.4f}, within 0.01 "
        f"{int((sizes <= 0.01).sum())}, both none {neither}"
    )
    print(f"same id: {int((a['event_id'] == b['event_id']).sum())} of {len(pairs)}")
    sets = [set(c.arrivals["pick_id"]) for c in (live, batch)]
    print(f"arrivals that differ: {len(sets[0] ^ sets[1])} of {len(sets[1])}")
    sets = [set(c.picks["pick_id"]) for c in (live, batch)]
    print(f"picks that differ: {len(sets[0] ^ sets[1])} of {len(sets[1])}")


def print_latency(health: dict[str, Any]) -> None:
    """Print the table of latencies; data: s of data time, else s of wall time."""
    print("| stage | n | median s | 95 % s | largest s |\n| --- | --- | --- | --- | --- |")
    for stage, row in health["stages"].items():
        print(
            f"| {stage} | {row['n']} | {row['latency_s']:.3f} | {row['p95_latency_s']:.3f} | "
            f"{row['max_latency_s']:.3f} |"
        )


def recordings(options: argparse.Namespace, folder: Path) -> tuple[Path, Path, RunSettings]:
    """Return data, stations and settings: those named, or a small synthetic network."""
    if options.data:
        chosen = load_settings(options.config, {"output": {"report": False, "exports": []}})
        return options.data, options.stations, chosen
    case = small_case(folder / "data")
    return case.waveforms, case.stations, settings()


class Server:
    """A replay in a process of its own, and when its data were due."""

    def __init__(self, data: Path, settings: ReplaySettings) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(data, settings, theirs), daemon=True)
        self._process.start()
        self.url = str(self._pipe.recv())

    def close(self) -> tuple[dict[str, Any], float, int]:
        """End it; return its report, and a moment (s) with the data time (ns) due then."""
        self._pipe.send("end")
        answer: tuple[dict[str, Any], float, int] = self._pipe.recv()
        self._process.join()
        return answer


def serve(data: Path, settings: ReplaySettings, pipe: Any) -> None:
    """Replay until told to end; the data time seen earliest tells when the replay began."""
    with Replay(data, settings) as server:
        pipe.send(server.url)
        first_ns = server.cutter.start_ns
        began, reached = math.inf, first_ns
        while not pipe.poll(0.02):
            if settings.speed and server.position_ns > first_ns:
                due_s = (server.position_ns - first_ns) / NS_PER_S / settings.speed
                began = min(began, time.time() - due_s)
        pipe.send((server.report().as_dict(), began, reached))


def replay(options: argparse.Namespace, folder: Path) -> None:
    """Watch a replay; print the difference from a run, and latencies."""
    data, stations, chosen = recordings(options, folder)
    output = options.output or folder
    kinds = options.faults.split(",") if options.faults else []
    faults = FaultSettings(seed=1, **{k: v for kind in kinds for k, v in FAULTS[kind].items()})
    how = ReplaySettings(
        port=0,
        speed=options.speed,
        wait_for_clients=1,
        packet_s=options.packet_s,
        start=options.start,
        end=options.end,
        faults=faults,
    )
    cpu, wall = time.process_time(), time.monotonic()
    server = Server(data, how)
    source = SeedLinkSource(server.url, start="earliest")
    result = watch(
        [source],
        [stations],
        output / "watch",
        chosen,
        until_idle_s=options.idle_s,
        on_status=print_status if options.verbose else None,
    )
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    report, began, start_ns = server.close()
    health = result.health
    print(
        f"watch at speed {options.speed:g} (0 = as fast as it goes): {cpu:.1f} CPU s without "
        f"server and magnitudes, {wall:.1f} s; {result.n_packets} of {report['n_packets']} "
        f"packets, {health['n_doubled']} doubled, {health['n_late']} too late; "
        f"faults {report['faults']}; server at most {report['late_s']} s late"
    )
    lossy = not set(kinds) <= LOSSLESS or options.start is not None
    source_of_run = output / "watch" / SPOOL if lossy else data
    cpu = time.process_time()
    batch = run([source_of_run], [stations], output / ("run-spool" if lossy else "run"), chosen)
    what = "what arrived" if lossy else "all data"
    print(f"run on {what}: {time.process_time() - cpu:.1f} CPU s in this process")
    live = catalogue(output / "watch")
    print_difference(live, batch.catalog)
    print_losses(live, batch.catalog)
    print_versions(output / "watch")
    if options.speed:
        moments = first_versions(output / "watch", (began, start_ns, options.speed))
        print_first_locations(live, moments)
    print_latency(result.health)


def print_status(health: dict[str, Any]) -> None:
    names = ("clock", "n_picks", "n_events", "behind_s", "memory_mb")
    print(*(health[n] for n in names), flush=True)


def print_first_locations(live: Catalog, moments: dict[str, float]) -> None:
    """Print how long after the fourth P of an event its first version came, s of data time.

    The fourth P is that of the final solution; ``moments`` are the data times (s since 1970) at
    which the first versions were in the store.
    """
    found = []
    for name, arrivals in live.arrivals[live.arrivals["phase"] == "P"].groupby("event_id"):
        times = np.sort(arrivals["time"].astype("int64").to_numpy())
        if len(times) >= 4 and name in moments:
            found.append(moments[str(name)] - int(times[3]) / NS_PER_S)
    if found:
        low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
        part = float(np.mean(np.array(found) < 5.0))
        print(
            f"first location after the fourth P, {len(found)} events: median {middle:.1f} s of "
            f"data, quartiles {low:.1f} and {high:.1f} s, within 5 s {part:.0%}"
        )


def first_versions(output: Path, clock: tuple[float, int, float]) -> dict[str, float]:
    """Return the data time of the first version of each event, from wall clock and replay."""
    began, start_ns, speed = clock
    with Store(output / "catalogue.sqlite") as store:
        changes = store.changes(limit=1_000_000)
    return {
        c.event_id: start_ns / NS_PER_S + (c.made_at_ns / NS_PER_S - began) * speed
        for c in changes
        if c.action == "new"
    }


def print_versions(output: Path) -> None:
    with Store(output / "catalogue.sqlite") as store:
        changes = store.changes(limit=100_000)
    counts = pd.Series([c.action for c in changes]).value_counts().to_dict()
    print(f"changes: {counts}")


class PacedSource(MemorySource):
    """Packets at their pace: CPU seconds of this process, and seconds in which it waits."""

    def __init__(self, packets: list[Packet], speed: float) -> None:
        super().__init__(packets)
        self.speed = speed
        self.idle_s = 0.0
        self.waiting_since: float | None = None
        self._began = self._first_s = 0.0

    def now_s(self) -> float:
        since = self.waiting_since
        return time.process_time() + self.idle_s + (time.monotonic() - since if since else 0.0)

    def data_s(self) -> float:
        """Return the data time that is due, s since 1970."""
        return self._first_s + (self.now_s() - self._began) * self.speed

    def __iter__(self) -> Iterator[Packet | None]:
        self._began = self.now_s()
        self._first_s = self._packets[0].endtime_ns / NS_PER_S  # type: ignore[index]
        for packet in super().__iter__():
            assert packet is not None
            due = self._began + (packet.endtime_ns / NS_PER_S - self._first_s) / self.speed
            while self.now_s() < due:
                time.sleep(0.002)
            yield packet


def latency(options: argparse.Namespace, folder: Path) -> None:
    """Feed recordings at a pace; print latencies."""
    data, stations, chosen = recordings(options, folder)
    limits = [pd.Timestamp(t or d, tz="UTC") for t, d in ((options.start, 0), (options.end, 2**62))]
    packets = packets_of(data, packet_s=options.packet_s or 1.0)
    packets = [p for p in packets if limits[0].value <= p.starttime_ns < limits[1].value]
    source = PacedSource(packets, options.speed or 1.0)
    take, tell = Intake.take, Watch._tell
    moments: dict[str, float] = {}

    def telling(self: Watch, change: Change, event: LiveEvent) -> None:
        moments.setdefault(change.event_id, source.data_s())
        tell(self, change, event)

    def waiting(self: Intake, most: int, timeout_s: float) -> list[Item]:
        source.waiting_since = time.monotonic()
        try:
            return take(self, most, timeout_s)
        finally:
            since, source.waiting_since = source.waiting_since, None
            source.idle_s += time.monotonic() - since

    Intake.take, Watch._tell = waiting, telling  # type: ignore[method-assign]
    cpu = time.process_time()
    result = watch([source], [stations], folder / "watch", chosen)
    cpu = time.process_time() - cpu
    print(f"speed {source.speed:g}: {cpu:.1f} CPU s for {result.n_packets} packets")
    print(f"matched: {result.n_events} events")
    print_first_locations(catalogue(folder / "watch"), moments)
    print_latency(result.health)


def kills(options: argparse.Namespace, folder: Path) -> None:
    """Kill a watch again and again; print the difference from a run."""
    minutes = 3 if options.small else 45
    n_events = minutes // 2
    case = make(folder / "data", n_stations=5, n_events=n_events, duration_s=60.0 * minutes)
    batch = run([case.waveforms], [case.stations], folder / "run", settings()).catalog
    rng = np.random.default_rng(options.seed)
    output, began = folder / "watch", time.monotonic()
    how = ReplaySettings(port=0, speed=0, wait_for_clients=1)
    n_taking = 0
    with Replay(case.waveforms, how) as server:
        end_ns = server.cutter.end_ns
        words = [
            *(sys.executable, "-m", "lithoscope", "watch", server.url, "--start", "earliest"),
            *("--stations", str(case.stations), "--output", str(output), "--picker", "classical"),
            *("--set", "engine.workers=1", "--set", "live.status_s=0.05", "--json"),
            *("--set", "live.queue_packets=100", "--until-idle", "20"),
        ]
        for left in range(options.kills, 0, -1):
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            share = rng.uniform(0.0, 2.0) / (2 * left + 1)
            n_packets, clock_ns = reach(process, share, server.cutter.start_ns, end_ns)
            time.sleep(float(rng.uniform(0.0, 0.2)))  # not always just after a status
            process.send_signal(signal.SIGKILL)
            process.communicate()
            n_taking += n_packets > 0 and clock_ns < end_ns - NS_PER_S
            if options.verbose:
                past = (end_ns - clock_ns) / NS_PER_S
                print(f"killed after {n_packets} packets, {past:.0f} s before the end", flush=True)
        done = subprocess.run(words, capture_output=True, check=False)
    print(
        f"{options.kills} kills in {time.monotonic() - began:.0f} s, {n_taking} of them while "
        f"packets were taken; last exit {done.returncode}"
    )
    live = catalogue(output)
    print_difference(live, batch)
    print_losses(live, batch)
    print_versions(output)


def reach(
    process: subprocess.Popen[bytes], share: float, start_ns: int, end_ns: int
) -> tuple[int, int]:
    """Read the status of a watch until it has taken a share of the data that are left.

    Return how many packets it has taken and the data time (ns) that it has reached.
    """
    assert process.stdout is not None
    n_packets, clock_ns, wanted_ns = 0, start_ns, 0.0
    for line in process.stdout:
        status = json.loads(line).get("status", {})
        n_packets = status.get("n_packets", n_packets)
        clock_ns = max(status.get("clock_ns", 0), clock_ns)
        wanted_ns = wanted_ns or clock_ns + share * (end_ns - clock_ns)
        if n_packets and clock_ns >= wanted_ns:
            break
    return n_packets, clock_ns


def print_losses(live: Catalog, batch: Catalog) -> None:
    """Print how many events are lost, and how many more there are, beside a run.

    Each event of the run takes the nearest event of the watch within 1 s that no other one has.
    """
    mine, theirs = (np.sort(c.events["time"].astype("int64").to_numpy()) for c in (live, batch))
    free = np.ones(mine.size, dtype=bool)
    lost = 0
    for moment in theirs:
        gap = np.where(free, np.abs(mine - moment), NS_PER_S + 1)
        if mine.size and gap.min() <= NS_PER_S:
            free[gap.argmin()] = False
        else:
            lost += 1
    print(f"lost: {lost}, invented or doubled: {int(free.sum())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mode", nargs="?", choices=["replay", "latency", "kills"], default="replay")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--stations", type=Path)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--speed", type=float, default=0.0)
    parser.add_argument("--packet-s", type=float, default=None)
    parser.add_argument("--start", type=datetime.fromisoformat, help="replay: first data time, UTC")
    parser.add_argument("--end", type=datetime.fromisoformat)
    parser.add_argument("--idle-s", type=float, default=10.0)
    parser.add_argument("--faults", default="", help=f"kinds, by commas: {', '.join(FAULTS)}")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.small:
        options.idle_s, options.speed, options.faults = 2.0, 0.0, ",".join(sorted(LOSSLESS))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        modes = {"replay": replay, "latency": latency, "kills": kills}
        modes[options.mode](options, Path(folder))


if __name__ == "__main__":
    main()
