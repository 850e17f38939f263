"""Replay of an archive: what arrives, when, and what faults do to it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime
from typer.testing import CliRunner

from lithoscope.cli import app
from lithoscope.errors import ConfigError
from lithoscope.pipeline.replay import FaultSettings, Replay, ReplaySettings
from lithoscope.pipeline.replay.faults import Faults
from lithoscope.waveforms import index_archive
from lithoscope.waveforms.seedlink import Packet, SeedLinkClient, decode
from lithoscope.waveforms.seedlink.cutting import ArchiveCutter

START = UTCDateTime("2021-06-01T12:00:00")
SECONDS, RATE_HZ = 120, 50.0
CHANNELS = [f"XX.{s}..HH{c}" for s in ("A", "B") for c in "ZNE"]
LOSSLESS = {
    **{"delay": 0.1, "delay_s": 15.0, "reorder": 0.1, "duplicate": 0.1},
    **{"disconnect_per_hour": 120.0},
}
QUICK: dict[str, Any] = {"tick_s": 0.05, "backoff_s": (0.01, 0.05)}


def walk(code: str) -> np.ndarray:
    rng = np.random.default_rng(list(code.encode()))
    return np.cumsum(rng.integers(-99, 99, int(SECONDS * RATE_HZ))).astype(np.int32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    for station in ("A", "B"):
        traces = []
        for code in (c for c in CHANNELS if f".{station}." in c):
            network, name, location, channel = code.split(".")
            header = {"network": network, "station": name, "channel": channel}
            header |= {"location": location, "starttime": START, "sampling_rate": RATE_HZ}
            traces.append(Trace(walk(code), header))
        Stream(traces).write(folder / f"{station}.mseed", format="MSEED")
    return folder


@pytest.fixture(scope="module")
def archive(folder):
    return index_archive(folder)


def collect(
    archive, faults: FaultSettings | None = None, **options: Any
) -> tuple[list[Packet], Any]:
    """Replay as fast as a client takes it; return the packets that arrived and the report."""
    settings = ReplaySettings(
        **{"port": 0, "speed": 0.0, "wait_for_clients": 1, "ring_mb": 16.0} | options,
        faults=faults or FaultSettings(),
    )
    got: list[Packet] = []
    with (
        Replay(archive, settings) as replay,
        SeedLinkClient(replay.url, start="earliest", **QUICK) as client,
    ):
        end = time.monotonic() + 60
        for packet in client:
            if packet is not None:
                got.append(packet)
            elif replay.wait(0) and got and got[-1].sequence == replay.server.ring.next - 1:
                break
            assert time.monotonic() < end
    return got, replay.report()


def samples_of(packets: list[Packet]) -> dict[str, np.ndarray]:
    """Return each channel's samples on its grid; what never arrived is the lowest integer."""
    out = {code: np.full(int(SECONDS * RATE_HZ), np.iinfo(np.int32).min) for code in CHANNELS}
    for p in packets:
        first = round((p.starttime_ns - START.ns) * RATE_HZ / 1e9)
        out[p.code][first : first + p.n_samples] = p.samples
    return out


def test_without_faults_all_arrives_in_order(archive):
    got, report = collect(archive)
    assert all(np.array_equal(samples_of(got)[code], walk(code)) for code in CHANNELS)
    ends = [p.endtime_ns for p in got]
    assert ends == sorted(ends)
    assert [p.sequence for p in got] == list(range(1, len(got) + 1))
    assert report.n_packets == report.n_sent == len(got) == 6 * SECONDS
    assert report.n_samples == 6 * SECONDS * RATE_HZ
    assert (report.channels, report.faults, report.problems) == (6, {}, [])
    assert report.starttime == "2021-06-01T12:00:00Z"
    assert report.endtime == "2021-06-01T12:01:59.980000Z"


@pytest.mark.parametrize("fault", [*LOSSLESS, "all"])
def test_faults_that_lose_nothing(archive, fault):
    chosen = LOSSLESS if fault == "all" else {fault: LOSSLESS[fault]}
    got, report = collect(archive, FaultSettings(seed=4, **chosen))
    assert all(np.array_equal(samples_of(got)[code], walk(code)) for code in CHANNELS)
    assert [p.sequence for p in got] == list(range(1, report.n_sent + 1))
    kinds = {name.removesuffix("_per_hour") for name in chosen} - {"delay_s"}
    assert set(report.faults) == kinds
    extra = report.faults.get("duplicate", 0)
    assert report.n_sent == report.n_packets + extra
    if "disconnect" in kinds:
        assert report.n_connections == 1 + report.faults["disconnect"]
    in_order = [p.endtime_ns for p in got] == sorted(p.endtime_ns for p in got)
    assert in_order == (kinds <= {"disconnect"})


def test_lost_packets_are_those_reported(archive):
    got, report = collect(archive, FaultSettings(seed=1, drop=0.1, gap_per_hour=60, gap_s=10))
    lost = Counter(report.faults)
    assert lost["drop"] > 20
    assert lost["gap"] >= 1
    assert len(got) == report.n_packets - lost["drop"] - lost["packets in gaps"]
    dropped = {(e["what"], e["time"]) for e in report.events if e["fault"] == "drop"}
    assert len(dropped) == lost["drop"]
    for p in got:
        assert (p.code, _text(p.starttime_ns)) not in dropped
        for e in report.events:
            if e["fault"] == "gap" and e["what"] == p.station_id:
                begin = UTCDateTime(e["time"]).ns
                assert p.endtime_ns < begin or p.starttime_ns >= begin + 10 * 10**9
    values = samples_of(got)
    there = {c: v != np.iinfo(np.int32).min for c, v in values.items()}
    assert all(np.array_equal(values[c][there[c]], walk(c)[there[c]]) for c in CHANNELS)


def test_spikes_change_one_sample_each(archive):
    got, report = collect(archive, FaultSettings(seed=2, spike=0.05, spike_counts=1e7))
    values = samples_of(got)
    changed = [values[c].astype(np.int64) - walk(c) for c in CHANNELS]
    found = np.concatenate(changed)
    assert np.count_nonzero(found) == report.faults["spike"] > 10
    assert set(np.abs(found[found != 0])) == {10_000_000}


def test_clock_steps_shift_a_station_and_go_back(archive):
    faults = FaultSettings(
        seed=3, clock_step_per_hour=60, clock_step_s=2.5, clock_step_duration_s=20
    )
    got, report = collect(archive, faults)
    clean, _ = collect(archive)
    assert report.faults["clock step"] >= 1
    assert len(got) == len(clean)
    shifts = [(a.starttime_ns - b.starttime_ns) / 1e9 for a, b in zip(got, clean, strict=True)]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(got, clean, strict=True))
    wrong = [(b, s) for b, s in zip(clean, shifts, strict=True) if s]
    assert len(wrong) == report.faults["packets with a wrong clock"]
    steps = [e for e in report.events if e["fault"] == "clock step"]
    for packet, shift in wrong:
        begun = [
            e["step_s"]
            for e in steps
            if e["what"] == packet.station_id
            and 0 <= (packet.starttime_ns - UTCDateTime(e["time"]).ns) / 1e9 + 1 <= 21
        ]
        assert shift in begun


def _text(time_ns: int) -> str:
    return UTCDateTime(ns=time_ns).datetime.isoformat() + "Z"


ALL = {
    **LOSSLESS,
    **{"drop": 0.05, "spike": 0.05, "gap_per_hour": 60.0, "clock_step_per_hour": 60.0},
}


def test_a_seed_repeats_and_another_does_not(archive):
    def run(seed: int) -> tuple[list[tuple[int, Any]], list[dict[str, Any]]]:
        cutter = ArchiveCutter(archive, packet_s=1.0)
        faults = Faults(FaultSettings(seed=seed, **ALL), cutter.start_ns)
        return [(d.due_ns, d.cut) for d in faults.deliveries(cutter)], faults.log.events

    first, again, other = run(7), run(7), run(8)
    assert first == again
    assert first != other
    due = [d for d, _ in first[0]]
    assert due == sorted(due)


def test_a_fault_does_not_change_the_others(archive):
    def events(**chosen: float) -> list[dict[str, Any]]:
        cutter = ArchiveCutter(archive, packet_s=1.0)
        faults = Faults(FaultSettings(seed=7, **chosen), cutter.start_ns)
        for _ in faults.deliveries(cutter):
            pass
        return [e for e in faults.log.events if e["fault"] == "drop"]

    assert events(drop=0.1) == events(drop=0.1, **{**LOSSLESS, "clock_step_per_hour": 60.0})


def test_packets_are_never_early_and_pace_is_kept(archive):
    speed = 100.0
    settings = ReplaySettings(port=0, speed=speed, wait_for_clients=1)
    with (
        Replay(archive, settings) as replay,
        SeedLinkClient(replay.url, start="earliest", **QUICK) as client,
    ):
        packets = iter(client)
        arrivals = []
        while len(arrivals) < 6 * SECONDS:
            if (packet := next(packets)) is not None:
                arrivals.append((time.monotonic(), packet.endtime_ns))
        assert replay.delivered(timeout=20)
        report = replay.report()
    (first, first_ns), *later = arrivals
    # What came first may itself be late; nothing after it may come before its own time.
    slack = report.late_s + 0.05
    assert all(t - first >= (ns - first_ns) / 1e9 / speed - slack for t, ns in later)
    assert report.wall_s >= (SECONDS - 1) / speed


def test_part_of_the_time_shifted_to_now(archive):
    settings = {"start": "2021-06-01T12:00:10Z", "end": "2021-06-01T12:00:12Z", "speed": 1.0}
    before = time.time()
    got, report = collect(archive, **settings, shift_to_now=True)
    assert len(got) == 12
    assert report.shift_s == round(report.shift_s)
    begin = min(p.starttime_ns for p in got) / 1e9
    assert before - 1 <= begin <= time.time()
    assert begin - report.shift_s == pytest.approx((START + 10).timestamp, abs=1e-6)
    with pytest.raises(ConfigError, match="outrun the clock"):
        Replay(archive, ReplaySettings(speed=2, shift_to_now=True))
    with pytest.raises(ConfigError, match="no data in the time asked for"):
        Replay(archive, ReplaySettings(start="2022-01-01T00:00:00Z"))


def test_stopping_early_and_waiting(archive):
    with Replay(archive, ReplaySettings(port=0, speed=0.01)) as replay:
        assert not replay.wait(0.01)
        assert not replay.delivered(0.01)
        assert replay.position_ns >= START.ns
    assert replay.report().n_sent < 6 * SECONDS


@pytest.mark.parametrize("version", ["3", "4"])
def test_other_clients_follow_a_replay_with_faults(archive, version):
    seedlink_client = pytest.importorskip("seedlink_client")
    faults = FaultSettings(seed=4, **LOSSLESS)
    settings = ReplaySettings(port=0, speed=0, wait_for_clients=1, ring_mb=16, faults=faults)
    seen: dict[int, bytes] = {}
    with Replay(archive, settings) as replay:
        link = seedlink_client.SeedLink(
            "127.0.0.1",
            replay.port,
            timeout=20,
            protocol=seedlink_client.Protocol(version),
            reconnect_delay=0.05,
        )
        if version == "4":
            link.add_stream("*", None, all_data=True)
        else:  # 3.1 cannot ask for all from the beginning but by time
            link.add_stream("*_*")
            link.set_timewindow("2021-06-01T00:00:00Z")

        def follow() -> None:
            with link:  # it connects
                for packet in link.collect():
                    seen[packet.seqnum] = packet.payload
                    if replay.wait(0) and packet.seqnum == replay.server.ring.next - 1:
                        return

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        thread.join(timeout=60)
        assert not thread.is_alive()
    values = samples_of([decode(raw) for raw in seen.values()])
    assert all(np.array_equal(values[code], walk(code)) for code in CHANNELS)


def test_the_command(folder, tmp_path):
    report = tmp_path / "report.json"
    arguments = ["replay", str(folder), "--port", "0", "--speed", "0", "--seed", "5"]
    arguments += ["--drop", "0.1", "--report", str(report)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "packets sent of 720" in result.output
    values = json.loads(report.read_text())
    assert values["n_sent"] + values["faults"]["drop"] == values["n_packets"] == 720
    assert len(values["events"]) == values["faults"]["drop"]


def test_the_command_may_stay_until_it_is_interrupted(folder, monkeypatch):
    def interrupted(_: Replay) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Replay, "run_on", interrupted)
    arguments = ["replay", str(folder), "--port", "0", "--speed", "0", "--stay", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n_sent"] == 720


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--drop", "1.5"], "faults: drop = 1.5"),
        (["--speed", "-1"], "replay: speed = -1.0"),
        (["--start", "soon"], "--start 'soon' is no time"),
        (["--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
    ],
)
def test_wrong_use_is_one_line(folder, options, message):
    result = CliRunner().invoke(app, ["replay", str(folder), "--port", "0", *options])
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
