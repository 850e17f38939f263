"""Dask beside local processes: the same catalogue, what it costs, and how it grows.

    python benchmarks/scale_engines.py [--small] [--case NAME] [--kills N]

The same data are run with one local process, with local processes, and on Dask clusters; every
table of the catalogues must be equal to the last digit. One cluster is spread over two network
namespaces (it needs root and ``ip``; without them it is on the loopback), its workers cannot see
the run directory, and one of them is killed in mid-run. Units that only wait show what the engines
themselves cost, and their speed-up, whatever else the machine does. The plan of a run
(``--plan``) is printed beside what the run took. Real recordings are read from LITHOSCOPE_DATA;
``--small`` takes a synthetic archive (6 stations, 10 minutes, seed 7), one process and the
namespaces only. A run that is not counted comes first, so that compiled code is in its cache.
``--kills N`` instead kills a run (SIGKILL, all its processes) at N random moments for each engine,
seed 0, and goes on each time.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "pipeline"))

from dask_cluster import Cluster, finished, wait_for  # noqa: E402
from real_runs import CASES, case_settings  # noqa: E402
from synthetic_archive import make  # noqa: E402

from lithoscope.catalog import Catalog  # noqa: E402
from lithoscope.pipeline import RunSettings, open_run, render_toml  # noqa: E402
from lithoscope.pipeline.engine import make_engine  # noqa: E402
from lithoscope.pipeline.plan import plan  # noqa: E402

DATA = Path(os.environ.get("LITHOSCOPE_DATA", ROOT.parent / "shared" / "data"))
TABLES = ("events", "arrivals", "picks", "detections", "station_magnitudes", "stations", "problems")
# Addresses of our own two namespaces; nothing else is ever spoken to.
NAMES, ADDRESSES, LINKS = ("litho-a", "litho-b"), ("10.77.0.1", "10.77.0.2"), ("lva", "lvb")


@dataclass(frozen=True)
class Data:
    """What is run."""

    name: str
    waveforms: Path
    stations: Path
    config: Path

    def command(self, output: Path, *options: str) -> list[str]:
        words = [sys.executable, "-m", "lithoscope", "run", str(self.waveforms)]
        words += ["-s", str(self.stations), "-c", str(self.config), "-o", str(output)]
        return [*words, *options]


def waiting(seconds: float, unit: int) -> int:
    """Stand for work of known length that needs no processor."""
    time.sleep(seconds)
    return unit


def choose(case: str, folder: Path) -> Data:
    config = folder / "config.toml"
    if case == "synthetic":
        archive = make(folder / "network")
        settings = RunSettings()
        waveforms, stations = archive.waveforms, archive.stations
    else:
        chosen = CASES[case]
        settings = case_settings(chosen, DATA / chosen.folder)
        waveforms = DATA / chosen.folder / chosen.waveforms
        stations = DATA / chosen.folder / chosen.stations
    output = settings.output.model_copy(update={"report": False})
    config.write_text(render_toml(settings.model_copy(update={"output": output})))
    return Data(case, waveforms, stations, config)


def timed(words: list[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of a command and its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu


def differing(a: Catalog, b: Catalog) -> int:
    """Count the tables that differ in any digit."""
    return sum(not getattr(a, name).equals(getattr(b, name)) for name in TABLES)


@contextmanager
def namespaces() -> Iterator[str]:
    """Give two network namespaces joined by a cable, or the reason why not."""
    try:
        for name in NAMES:
            ip("netns", "add", name)
        ip("link", "add", LINKS[0], "type", "veth", "peer", "name", LINKS[1])
        for name, address, link in zip(NAMES, ADDRESSES, LINKS, strict=True):
            ip("link", "set", link, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield ""
    except (OSError, subprocess.CalledProcessError) as error:
        yield getattr(error, "stderr", "") or str(error)
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def over_network(data: Data, folder: Path, reference: Catalog) -> None:
    """Run on a cluster in two namespaces whose workers see no run directory; kill one."""
    output = folder / "hidden" / "run"
    output.parent.mkdir()
    with namespaces() as refusal:
        if refusal:
            print(f"network namespaces are not allowed here ({refusal.strip()}): loopback")
        inside = [] if refusal else ["ip", "netns", "exec", NAMES[0]]
        # The second namespace has an empty folder mounted where the run directory is.
        hide = f'mount -t tmpfs none "{output.parent}" && exec "$@"'
        beyond = ["ip", "netns", "exec", NAMES[1], "unshare", "-m", "sh", "-c", hide, "sh"]
        cluster = Cluster(
            folder / "cluster",
            2,
            host="127.0.0.1" if refusal else ADDRESSES[0],
            scheduler_words=inside,
            worker_words=[] if refusal else beyond,
        )

        def kill() -> None:
            wait_for(lambda: finished(output, "pick") >= 2, 600)
            cluster.kill_worker()
            killed.append(finished(output, "pick"))

        killed: list[int] = []
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            options = ("--engine", "dask", "--scheduler", cluster.address)
            wall, cpu = timed([*inside, *data.command(output, *options)])
            killer.join()
        finally:
            cluster.stop()
    n = differing(open_run(output), reference)
    where = "loopback" if refusal else "two namespaces, run directory hidden from the workers"
    total = finished(output, "pick")
    print(
        f"dask over the network ({where}), a worker killed at unit {killed[0]} of {total}: "
        f"{n} of {len(TABLES)} tables differ; wall {wall:.1f} s, client {cpu:.1f} CPU s"
    )


def engines(data: Data, folder: Path, reference: Catalog) -> None:
    for kind, workers in (("local", 2), ("dask", 1), ("dask", 2)):
        output = folder / f"{kind}-{workers}"
        wall, cpu = timed(data.command(output, "--engine", kind, "--workers", str(workers)))
        n = differing(open_run(output), reference)
        print(
            f"{kind}, {workers} worker(s): {n} of {len(TABLES)} tables differ; "
            f"wall {wall:.1f} s, {cpu:.1f} CPU s"
        )


def kills(data: Data, folder: Path, reference: Catalog, kind: str, n: int, wall_s: float) -> None:
    """Kill a run at random moments and start it again; a run that got through begins anew."""
    rng = np.random.default_rng(0)
    n_killed, n_wrong, outputs = 0, 0, [folder / f"killed-{kind}-0"]
    while True:
        words = data.command(outputs[-1], "--engine", kind, "--workers", "2")
        limit = rng.uniform(0.1, 1.1) * wall_s if n_killed < n else None
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            n_killed += 1
            continue
        n_wrong += differing(open_run(outputs[-1]), reference) > 0
        if n_killed >= n:
            break
        outputs.append(folder / f"killed-{kind}-{len(outputs)}")
    print(
        f"{kind}, killed at {n_killed} random moments, {len(outputs)} run(s) got through: "
        f"{n_wrong} differ from the undisturbed one",
        flush=True,
    )


def waits(seconds: float, n_units: int) -> None:
    """Print the pace at units that wait, once all workers are up, and what is not waiting."""
    for kind in ("local", "dask"):
        paces = {}
        for workers in (1, 2):
            engine = make_engine(kind, workers)
            dict(engine.map(waiting, 0.0, list(range(8))))  # the cluster's processes are up
            found, moments = [], [time.monotonic()]
            for unit, result in engine.map(waiting, seconds, list(range(n_units))):
                found.append((unit, result))
                moments.append(time.monotonic())
            engine.close()
            assert sorted(found) == [(n, n) for n in range(n_units)]
            # Local processes live as long as the call: their first units wait for them.
            begun = 2 * workers if kind == "local" else 0
            paces[workers] = (n_units - begun) / (moments[-1] - moments[begun])
        over = 2 / paces[2] - seconds
        print(
            f"{kind}: {n_units} units that wait {seconds:g} s: speed-up from 1 to 2 workers "
            f"{paces[2] / paces[1]:.2f}; error none; overhead {1000 * over:.0f} ms a unit",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--case", default="ridgecrest", choices=["synthetic", *CASES])
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = choose("synthetic" if options.small else options.case, folder)
        if not options.small:
            timed(data.command(folder / "warm", "--workers", "1"))
        wall, cpu = timed(data.command(folder / "one", "--workers", "1"))
        reference = open_run(folder / "one")
        print(f"{data.name}: {len(reference.events)} events, {len(reference.picks)} picks")
        print(f"local, 1 worker: wall {wall:.1f} s, {cpu:.1f} CPU s")
        if options.kills:
            for kind in ("local", "dask"):
                kills(data, folder, reference, kind, options.kills, wall)
            return
        over_network(data, folder, reference)
        if options.small:
            return
        engines(data, folder, reference)
        waits(1.0, 30)
        settings = RunSettings.parse({"output": {"report": False}, "engine": {"workers": 1}})
        if data.name != "synthetic":
            chosen = CASES[data.name]
            extra = {"output": {"report": False}, "engine": {"workers": 1}}
            settings = case_settings(chosen, DATA / chosen.folder, extra)
        expected = plan([data.waveforms], [data.stations], settings).cpu_s
        print(f"plan: {expected:.1f} CPU s expected, {cpu:.1f} taken: ratio {expected / cpu:.2f}")


if __name__ == "__main__":
    main()
