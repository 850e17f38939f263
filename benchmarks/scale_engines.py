"""Dask beside local processes: the same catalogue, what it costs, and how it grows.

    python benchmarks/scale_engines.py [--small] [--case NAME] [--engines]
    python benchmarks/scale_engines.py [--kills N] [--worker-kills N] --engine KIND

The same data are run with one local process and on a Dask cluster; every table of the catalogues
must be equal to the last digit. The cluster is spread over two network namespaces (it needs root
and ``ip``; without them it is on the loopback), its workers cannot see the run directory, and one
of them is killed in mid-run. Units that only wait show what the engines themselves cost, and their
speed-up, whatever else the machine does. The plan of a run (``--plan``) is printed beside what the
run took. ``--engines`` instead runs on one and two workers of each engine, which needs an idle
machine. Real recordings are read from LITHOSCOPE_DATA; ``--small`` takes a synthetic archive (6
stations, 10 minutes, seed 7), one process and the namespaces only. A run that is not counted comes
first, so that compiled code is in its cache.
``--kills N`` instead kills a run (SIGKILL; all its processes, or the client alone in turn) at N
random moments of its CPU time, seed 0, and starts it again each time; ``--worker-kills N`` kills N
single workers of runs, two a run, which must end by themselves.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def choose(case: str, folder: Path, n_events: int) -> Data:
    config = folder / "config.toml"
    if case == "synthetic":
        archive = make(folder / "network", n_events=n_events)
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


def engines(data: Data, folder: Path) -> None:
    """Run on one and two workers of each engine; print what each took and the speed-ups."""
    reference: Catalog | None = None
    for kind in ("local", "dask"):
        walls = []
        for workers in (1, 2):
            output = folder / f"{kind}-{workers}"
            options = ("--engine", kind, "--workers", str(workers))
            wall, cpu = timed(data.command(output, *options))
            spread = spread_s(output)
            walls.append((wall, spread))
            found = open_run(output)
            n = 0 if reference is None else differing(found, reference)
            reference = reference or found
            print(
                f"{kind}, {workers} worker(s): {len(found.events)} events, {n} of {len(TABLES)} "
                f"tables differ; wall {wall:.1f} s, of it {spread:.1f} s in spread stages; "
                f"{cpu:.1f} CPU s",
                flush=True,
            )
        whole, stages = (one / two for one, two in zip(*walls, strict=True))
        print(f"{kind}: 1 to 2 workers {whole:.2f} times faster, spread stages {stages:.2f}")


def spread_s(output: Path) -> float:
    """Return the wall time of the stages whose units go to workers, from the run's log."""
    stages = ("picking", "locating", "measuring")
    pattern = rf"end:   (?:{'|'.join(stages)}).*; ([0-9.]+) s$"
    return sum(map(float, re.findall(pattern, (output / "log.txt").read_text(), re.MULTILINE)))


def kills(data: Data, folder: Path, reference: Catalog, kind: str, n: int, cpu_s: float) -> None:
    """Kill a run at random moments and start it again; a run that got through begins anew.

    Every other time all processes of the run are killed, otherwise the client alone. Moments are
    drawn in CPU seconds, so that a busy machine does not put them all into the start.
    """
    rng = np.random.default_rng(0)
    n_killed, n_runs, n_wrong, n_orphans = 0, 0, 0, 0
    where: Counter[str] = Counter()
    while True:
        output = folder / f"killed-{kind}-{n_runs}"
        process, written = begin(data, output, kind), len(log_of(output))
        if n_killed < n and works_for(process, rng.uniform(0.02, 1.0) * cpu_s):
            stage = stage_of(log_of(output)[written:])
            if n_killed % 2:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
            n_orphans += not ends(process.pid)
            n_killed += 1
            where[stage] += 1
            print(f"{kind}, kill {n_killed} of run {n_runs} while {stage}", flush=True)
            continue
        n_wrong += wrong(process, output, reference)
        n_runs += 1
        if n_killed >= n:
            break
    print(
        f"{kind}, run killed at {n_killed} random moments ({counts(where)}), {n_runs} run(s) got "
        f"through: {n_wrong} failed or differ from the undisturbed one, {n_orphans} left processes "
        "behind",
        flush=True,
    )


def worker_kills(
    data: Data, folder: Path, reference: Catalog, kind: str, n: int, cpu_s: float
) -> None:
    """Kill single workers of runs at random moments; the runs must go on by themselves."""
    rng = np.random.default_rng(1)
    n_killed, n_runs, n_wrong = 0, 0, 0
    where: Counter[str] = Counter()
    while n_killed < n:
        output = folder / f"worker-{kind}-{n_runs}"
        process = begin(data, output, kind)
        # Twice at most: a unit that lost its worker three times ends the run, by design.
        for moment in np.sort(rng.uniform(0.02, 1.0, 2)):
            if works_for(process, moment * cpu_s) and (found := workers_of(process.pid)):
                stage = stage_of(log_of(output))
                with suppress(ProcessLookupError):
                    os.kill(int(rng.choice(found)), signal.SIGKILL)
                    n_killed += 1
                    where[stage] += 1
                    print(f"{kind}, worker kill {n_killed} of run {n_runs} while {stage}")
        n_wrong += wrong(process, output, reference)
        n_runs += 1
    print(
        f"{kind}, {n_killed} workers killed at random moments ({counts(where)}) of {n_runs} runs: "
        f"{n_wrong} failed or differ from the undisturbed one",
        flush=True,
    )


def works_for(process: subprocess.Popen, cpu_s: float) -> bool:
    """Wait until a run has taken so much CPU time; return False if it ended before."""
    while cpu_of(process.pid) < cpu_s:
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return process.poll() is None


def cpu_of(leader: int) -> float:
    """Return the CPU seconds that the processes of a group have taken, ended ones included."""
    ticks = 0
    for number in group_of(leader):
        with suppress(OSError):
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def log_of(output: Path) -> str:
    log = output / "log.txt"
    return log.read_text() if log.exists() else ""


def stage_of(log: str) -> str:
    """Return what a run was doing, by the last line of its log that tells."""
    lines = re.findall(r"(start|end): +(\w+)", log)
    if not lines:
        return "starting"
    what, stage = lines[-1]
    return stage if what == "start" else f"after {stage}"


def counts(where: Counter[str]) -> str:
    return ", ".join(f"{stage} {n}" for stage, n in where.most_common())


def begin(data: Data, output: Path, kind: str) -> subprocess.Popen:
    """Start a run with two workers as a group of processes of its own."""
    with said_by(output).open("ab") as errors:
        return subprocess.Popen(
            data.command(output, "--engine", kind, "--workers", "2"),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def said_by(output: Path) -> Path:
    """Return the file of what a run says on its way."""
    return output.with_suffix(".err")


def wrong(process: subprocess.Popen, output: Path, reference: Catalog) -> bool:
    """Wait for the end of a run; return whether it failed or found something else."""
    if process.wait():
        print(f"exit {process.returncode}: {said_by(output).read_text()[-4000:]}", flush=True)
        return True
    return differing(open_run(output), reference) > 0


def group_of(leader: int) -> dict[int, str]:
    """Return the living processes of a group: number and command line."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == leader and fields[0] != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text()
    return found


def workers_of(leader: int) -> list[int]:
    found = group_of(leader).items()
    return sorted(number for number, words in found if "spawn_main" in words)


def ends(leader: int, within_s: float = 60.0) -> bool:
    """Return whether a group whose leader was killed ends by itself; kill it if not."""
    deadline = time.monotonic() + within_s
    while group_of(leader):
        if time.monotonic() > deadline:
            os.killpg(leader, signal.SIGKILL)
            return False
        time.sleep(0.1)
    return True


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
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--worker-kills", type=int, default=0)
    parser.add_argument("--engine", default="local", choices=["local", "dask"])
    parser.add_argument("--case", default="ridgecrest", choices=["synthetic", *CASES])
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = "synthetic" if options.small else options.case
        data = choose(case, folder, n_events=4 if options.small else 16)
        if not options.small:
            timed(data.command(folder / "warm", "--workers", "1"))
        if options.engines:
            engines(data, folder)
            return
        wall, cpu = timed(data.command(folder / "one", "--workers", "1"))
        reference = open_run(folder / "one")
        print(f"{data.name}: {len(reference.events)} events, {len(reference.picks)} picks")
        print(f"local, 1 worker: wall {wall:.1f} s, {cpu:.1f} CPU s")
        if options.kills or options.worker_kills:
            kind = options.engine
            _, cpu = timed(data.command(folder / "two", "--workers", "2", "--engine", kind))
            if options.kills:
                kills(data, folder, reference, kind, options.kills, cpu)
            if options.worker_kills:
                worker_kills(data, folder, reference, kind, options.worker_kills, cpu)
            return
        over_network(data, folder, reference)
        if options.small:
            return
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
