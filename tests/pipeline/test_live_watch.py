"""`watch` makes the catalogue that `run` makes of the same data, whatever the stream does."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from live_cases import (
    Faults,
    assert_same_catalogue,
    catalogue,
    command,
    packets_of,
    settings,
    watched,
)
from synthetic_archive import SyntheticArchive, make

from lithoscope import cli
from lithoscope.catalog import Catalog, Store
from lithoscope.errors import ConfigError, DataError
from lithoscope.pipeline import run
from lithoscope.pipeline.live import aside, engine, intake, lookout, picking
from lithoscope.pipeline.live.engine import watch
from lithoscope.pipeline.live.sources import FolderSource, MemorySource, SeedLinkSource, open_source
from lithoscope.pipeline.replay import Replay, ReplaySettings
from lithoscope.pipeline.replay.faults import FaultSettings
from lithoscope.pipeline.rundir import RunDirectory
from lithoscope.waveforms import WaveformSettings
from lithoscope.waveforms.seedlink import Packet


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> SyntheticArchive:
    folder = tmp_path_factory.mktemp("live")
    return make(folder, n_stations=5, n_events=2, duration_s=300.0)


@pytest.fixture(scope="module")
def packets(case: SyntheticArchive) -> list[Packet]:
    return packets_of(case.waveforms)


@pytest.fixture(scope="module")
def batch(case: SyntheticArchive, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("batch")
    return run([case.waveforms], [case.stations], folder / "run", settings()).catalog


def small_turns() -> dict[str, int]:
    """Return settings under which a watch takes at most so many packets at once."""
    return {"queue_packets": 250}


def test_final_solution_is_that_of_a_run(case, packets, batch, tmp_path: Path) -> None:
    """Late, mixed and doubled packets change nothing; ids stay, versions are kept."""
    # 3 channels x 5 stations x 4 s: 300 packets are 80 s, well within the lateness window.
    stream = list(Faults(3, late=300, doubled=0.1)(packets))
    assert stream[:50] != packets[:50]
    live, result = watched(stream, case, tmp_path / "w", settings(live=small_turns()))
    assert len(batch.events) == 2  # the truth
    assert_same_catalogue(live, batch)
    assert set(live.picks["pick_id"]) == set(batch.picks["pick_id"])
    assert result.n_packets == len(packets)
    assert result.health["n_doubled"] == len(stream) - len(packets)
    assert result.health["n_late"] == 0
    with Store(tmp_path / "w" / "catalogue.sqlite") as store:
        changes = store.changes()
        health, stations = store.state("health"), store.state("stations")
    for name in live.events["event_id"]:
        actions = [c.action for c in changes if c.event_id == name]
        assert actions[0] == "new"
        assert set(actions[1:]) == {"update"}  # at least the magnitude came later
    assert set(stations) == set(batch.stations["station"])
    assert {"pick", "associate", "locate", "first location (data)"} <= set(health["stages"])


def test_work_beside_the_picking_changes_nothing(
    case, packets, batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a thread in the place of the process, which would take seconds to begin."""
    submit, done = aside.Aside.submit, set()

    def noted(self, work, *arguments):
        if arguments[-1] != []:  # at the start nothing is read but the picker
            done.add(work.__name__)
        return submit(self, work, *arguments)

    monkeypatch.setattr(aside, "child_processes", lambda n, niceness: ThreadPoolExecutor(n))
    monkeypatch.setattr(aside.Aside, "submit", noted)
    monkeypatch.setattr(picking, "_READ_S", 60.0)
    stream = list(Faults(5, late=100, doubled=0.1)(packets))
    configuration = settings(live=small_turns(), engine={"workers": 2})
    live, _ = watched(stream, case, tmp_path / "w", configuration)
    assert_same_catalogue(live, batch)
    assert set(live.picks["pick_id"]) == set(batch.picks["pick_id"])
    assert done == {"measure", "associate_elsewhere", "seek_once", "read_elsewhere"}


def test_lost_packets_invent_nothing(case, packets, tmp_path: Path) -> None:
    stream = list(Faults(4, dropped=0.01)(packets[: len(packets) // 2]))
    live, _ = watched(stream, case, tmp_path / "w", settings(live=small_turns()))
    truth = case.events["time"].sort_values()
    assert len(live.events) <= 1
    for moment in live.events["time"]:
        assert (truth - moment).abs().min() < pd.Timedelta("1s")
    with Store(tmp_path / "w" / "catalogue.sqlite") as store:
        states = store.state("stations")
    assert sum(s["n_gaps"] for s in states.values()) > 0


def test_packets_after_the_lateness_window_are_dropped_and_reported(
    case, packets, tmp_path: Path
) -> None:
    some = packets[: len(packets) // 3]
    held = [p for p in some if p.station == "S000"][:3]
    rest = [p for p in some if all(p is not q for q in held)]
    configuration = settings(live={**small_turns(), "lateness_s": 30.0})
    live, result = watched([*rest, *held], case, tmp_path / "w", configuration)
    assert result.health["n_late"] == 3
    late = live.problems[live.problems["problem"] == "too late"]
    assert late["action"].tolist() == ["dropped"] * len(late)
    assert len(late) >= 1


def test_a_stopped_watch_goes_on(case, packets, batch, tmp_path: Path) -> None:
    half = len(packets) // 2
    configuration = settings()

    class Waiting(MemorySource):
        """Gives the first half, then nothing."""

        def __iter__(self):
            for number, packet in enumerate(packets[:half]):
                self._count = number + 1
                yield packet
            while not self._closed.wait(0.05):
                yield None

    stop = threading.Event()

    def stop_at_an_event(health: dict) -> None:
        if health["n_events"]:
            stop.set()

    first = watch(
        [Waiting([])],
        [case.stations],
        tmp_path / "w",
        settings(live={"status_s": 0.1}),
        stop=stop,
        on_status=stop_at_an_event,
    )
    seen = set(catalogue(tmp_path / "w").events["event_id"])
    assert len(seen) == first.n_events >= 1
    live, _ = watched(packets, case, tmp_path / "w", configuration)
    assert_same_catalogue(live, batch)
    assert seen <= set(live.events["event_id"])  # ids stay
    assert_same_stations(tmp_path / "w" / "catalogue.sqlite", batch)


def test_failures_are_reported_and_tried_again(
    case, packets, batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that breaks and a stage that breaks cost nothing but time."""

    class Failing(MemorySource):
        failures = 0

        def __iter__(self):
            for number, packet in enumerate(packets):
                if number < self._count:
                    continue
                self._count = number + 1
                yield packet
                if number == len(packets) // 2 and not self.failures:
                    Failing.failures += 1
                    raise OSError("the cable was pulled")

    real, calls = lookout.associate_span, []

    def flaky(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise FloatingPointError("once")
        return real(*args, **kwargs)

    monkeypatch.setattr(lookout, "associate_span", flaky)
    monkeypatch.setattr(engine, "_RETRY_S", 0.0)
    monkeypatch.setattr(intake, "_RETRY_S", (0.01, 0.01))
    result = engine.watch([Failing([])], [case.stations], tmp_path / "w", settings())
    assert result.health["sources"][0]["n_restarts"] == 1
    live = catalogue(tmp_path / "w")
    assert_same_catalogue(live, batch)
    failed = live.problems[live.problems["problem"] == "stage failed"]
    assert failed["what"].tolist() in (["associate"], ["settle"])  # whichever came first
    assert "once" in failed["detail"].iloc[0]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_several_servers_and_another_store(kind, case, batch, tmp_path: Path) -> None:
    """Each server has some of the stations; the catalogue goes where it is told to."""
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}" if kind == "sqlite" else None
    with postgres_schema() if url is None else nullcontext(url) as url, ExitStack() as stack:
        sources = []
        for pattern in ("*.S00[0-2]*", "*.S00[3-9]*"):
            how = ReplaySettings(port=0, speed=0, wait_for_clients=1)
            some = WaveformSettings(include=(pattern,))
            server = stack.enter_context(Replay(case.waveforms, how, some))
            sources.append(SeedLinkSource(server.url, start="earliest"))
        output = tmp_path / "w"
        result = watch(sources, [case.stations], output, settings(), store=url, until_idle_s=3.0)
        with Store(url) as store:
            live = store.read()
        assert_same_stations(url, batch)
    assert [s["n_packets"] > 0 for s in result.health["sources"]] == [True, True]
    assert not (output / "catalogue.sqlite").exists()
    assert_same_catalogue(live, batch)


def assert_same_stations(url: str | Path, batch: Catalog) -> None:
    """Hold the stations in a store to those of a run, each once though they came one by one."""
    with Store(url) as store:
        found = store.table("stations").sort_values("station", ignore_index=True)
    pd.testing.assert_frame_equal(found, batch.stations)


@contextmanager
def postgres_schema() -> Iterator[str]:
    """Give the URL of an empty schema of its own."""
    server = os.environ.get("LITHOSCOPE_TEST_POSTGRES", "")
    if not server:
        pytest.skip("no PostgreSQL server (set LITHOSCOPE_TEST_POSTGRES to its URL)")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"test_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    try:
        yield f"{server}?options=-csearch_path%3D{name}"
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        engine.dispose()


def test_folder_that_grows(case, batch, tmp_path: Path) -> None:
    """Files appear one after the other, and one of them in two parts, cut inside a record."""
    folder = tmp_path / "in"
    folder.mkdir()
    files = sorted(case.waveforms.rglob("*.mseed"))
    for path in files[1:]:
        (folder / path.name).write_bytes(path.read_bytes())
    content = files[0].read_bytes()
    (folder / files[0].name).write_bytes(content[: len(content) // 2 + 100])

    class Growing(FolderSource):
        def __iter__(self):
            for packet in super().__iter__():
                yield packet
                if packet is None and self._read:
                    with (folder / files[0].name).open("ab") as file:
                        file.write(content[len(content) // 2 + 100 :])
                    yield from self._new_packets()
                    return

    configuration = settings(live={"lateness_s": 3600.0})
    watch([Growing(folder)], [case.stations], tmp_path / "w", configuration)
    assert_same_catalogue(catalogue(tmp_path / "w"), batch)


def test_sources_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="sources are seedlink"):
        open_source("http://example.org")
    with pytest.raises(ConfigError, match="is no selector"):
        SeedLinkSource("seedlink://host:18000?CI.CLC")
    with pytest.raises(DataError, match="no such folder"):
        open_source("nowhere/at/all")
    assert SeedLinkSource("seedlink://h:1?CI_CLC:HH?,PB_*").selections == ["CI_CLC:HH?", "PB_*"]


def test_what_a_watch_refuses(case, packets, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="station_terms"):
        watched(packets, case, tmp_path / "a", settings(location={"station_terms": "estimate"}))
    with pytest.raises(ConfigError, match="either command or url"):
        watched(packets, case, tmp_path / "b", settings(live={"hooks": [{}]}))
    RunDirectory(tmp_path / "run").write_marker({"status": "done"})
    with pytest.raises(DataError, match="holds a batch run"):
        watched(packets, case, tmp_path / "run")


@pytest.mark.parametrize(("source", "code"), [("no/such/folder", 1), ("ftp://x", 2)])
def test_command_line_errors_are_one_line(
    source, code, case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    words = command(case, source, tmp_path / "w")
    monkeypatch.setattr("sys.argv", ["lithoscope", *words[3:]])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("lithoscope: source '")


def test_killed_again_and_again(case, batch, tmp_path: Path) -> None:
    """Kill -9 at random moments of a replay with faults: no event lost, none doubled."""
    rng = np.random.default_rng(11)
    output = tmp_path / "w"
    faults = FaultSettings(seed=2, delay=0.05, reorder=0.05, duplicate=0.05)
    how = ReplaySettings(port=0, speed=0, wait_for_clients=1, packet_s=None, faults=faults)
    with Replay(case.waveforms, how) as server:
        words = command(case, server.url, output, "--start", "earliest", "--json")
        words += ["--set", "live.queue_packets=200", "--set", "live.status_s=0.5"]
        words += ["--set", "live.watchdog_s=10"]
        for number in (signal.SIGKILL, signal.SIGTERM):
            process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            try:
                assert process.stdout is not None
                line = process.stdout.readline()  # its first sign of life: a health record
                assert '"status"' in line
                time.sleep(float(rng.uniform(0.0, 1.0)))
                process.send_signal(number)
                out, err = process.communicate(timeout=300)
            finally:
                process.kill()
                process.communicate()
        assert process.returncode == 0, err  # SIGTERM stops cleanly
        assert '"health"' in out
        words += ["--until-idle", "5"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    live = catalogue(output)
    assert_same_catalogue(live, batch)
    assert set(live.picks["pick_id"]) == set(batch.picks["pick_id"])  # none of an earlier look
