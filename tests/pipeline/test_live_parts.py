"""Parts of a watch: spool, ids, clock, hooks, state."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError, StorageError
from lithoscope.pipeline import stages
from lithoscope.pipeline.live import intake, segments
from lithoscope.pipeline.live.glimpse import rows_of, table_of
from lithoscope.pipeline.live.health import ChannelSignal, Problems
from lithoscope.pipeline.live.hooks import Hooks, wanted
from lithoscope.pipeline.live.intake import NetworkClock, Pace
from lithoscope.pipeline.live.newest import Newest
from lithoscope.pipeline.live.picks import PickBoard, StationPicks, _compared
from lithoscope.pipeline.live.settings import HookSettings
from lithoscope.pipeline.live.spool import Spool
from lithoscope.pipeline.live.state import Saved, StateFiles
from lithoscope.pipeline.live.tracker import match
from lithoscope.pipeline.pickers import PickingSettings, make_picker
from lithoscope.pipeline.settings import RunSettings, load_settings, render_toml
from lithoscope.schema import CHANNELS, PICKS, pick_id
from lithoscope.waveforms import index_archive, read_records
from lithoscope.waveforms.seedlink import Packet, decode, encode_records

START_NS = 1_700_000_000 * NS_PER_S
RATE = 100.0
STATION = "XX.AAA..HH"


def packets(
    seconds: float, component: str = "Z", *, offset_ns: int = 0, seed: int = 1
) -> list[Packet]:
    """Return noise in packets of 2 s."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1000, round(seconds * RATE)).astype(np.int32)
    cuts = encode_records(
        ("XX", "AAA", "", f"HH{component}"), START_NS + offset_ns, RATE, values, max_samples=200
    )
    return [decode(cut.raw) for cut in cuts]


def samples(spool: Spool, start_ns: int, end_ns: int) -> list[tuple[int, bytes]]:
    archive = spool.archive([STATION], start_ns, end_ns)
    records, _ = read_records(archive, STATION, start_ns, end_ns)
    return [(r.starttime_ns, r.data.tobytes()) for r in records]


def test_spool_reads_as_the_archive_whatever_the_order(tmp_path: Path) -> None:
    stream = [*packets(200), *packets(200, "N", seed=2), *packets(200, "E", seed=3)]
    archive_file = tmp_path / "whole.mseed"
    archive_file.write_bytes(b"".join(p.raw for p in stream))
    window = START_NS + 20 * NS_PER_S, START_NS + 180 * NS_PER_S
    records, _ = read_records(index_archive(archive_file), STATION, *window)
    expected = [(r.starttime_ns, r.data.tobytes()) for r in records]
    rng = np.random.default_rng(5)
    for number, order in enumerate((np.arange(len(stream)), rng.permutation(len(stream)))):
        spool = Spool(tmp_path / f"spool{number}", 60.0)
        mixed = [stream[i] for i in order]
        for at in range(0, len(mixed), 60):
            part = mixed[at : at + 60]
            assert len(list(spool.append(part))) == len(part)
            assert list(spool.append(part[:3])) == []  # the same again
        assert samples(spool, *window) == expected
        assert samples(Spool(tmp_path / f"spool{number}", 60.0), *window) == expected


def test_a_run_keeps_its_grid_when_its_first_files_are_gone(tmp_path: Path) -> None:
    # Clocks of recorders jitter: later records begin up to 0.3 samples off the first one's grid.
    stream = [
        replace(p, starttime_ns=p.starttime_ns + (number % 4) * 1_000_000)
        for number, p in enumerate(packets(400))
    ]
    stream = [
        decode(next(encode_records(("XX", "AAA", "", "HHZ"), p.starttime_ns, RATE, p.samples)).raw)
        for p in stream
    ]
    spool = Spool(tmp_path / "spool", 60.0)
    list(spool.append(stream))
    window = START_NS + 300 * NS_PER_S, START_NS + 350 * NS_PER_S
    before = samples(spool, *window)
    assert spool.prune(START_NS + 250 * NS_PER_S) >= 2
    assert samples(spool, *window) == before
    assert before[0][0] == window[0]  # on the grid of the first sample


def test_the_last_sample_counts_where_a_new_file_begins_with_it(tmp_path: Path) -> None:
    """Data to the full minute, both ends included, as archives give them out."""
    begin_ns = START_NS - START_NS % (60 * NS_PER_S)
    values = np.arange(1, 12_002, dtype=np.int32)
    cuts = encode_records(("XX", "AAA", "", "HHZ"), begin_ns, RATE, values, max_samples=200)
    spool = Spool(tmp_path / "spool", 60.0)
    list(spool.append([decode(cut.raw) for cut in cuts]))
    records, _ = read_records(spool.archive([STATION]), STATION)
    assert [r.n_samples for r in records] == [12_001]
    assert np.array_equal(records[0].data[0], values)


def test_half_a_record_at_the_end_is_taken_off(tmp_path: Path) -> None:
    stream = packets(40)
    spool = Spool(tmp_path / "spool", 600.0)
    list(spool.append(stream[:10]))
    (path,) = (tmp_path / "spool").rglob("*.mseed")
    whole = path.read_bytes()
    path.write_bytes(whole + stream[10].raw[:300])
    again = Spool(tmp_path / "spool", 600.0)
    assert again.n_repaired == 1
    assert path.read_bytes() == whole
    assert len(list(again.append(stream))) == len(stream) - 10


def test_memory_of_the_spool_is_bounded(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 60.0)
    stream = packets(1200)
    list(spool.append(stream))
    spool.compact(stream[-1].endtime_ns)
    (channel,) = spool.channels.values()
    kept = [s for s in channel.segments.values() if s.records is not None]
    assert len(kept) <= 3
    assert list(spool.append(stream[:5])) == []  # found on the disk


def test_data_that_come_late_belong_to_old_files_too(tmp_path: Path) -> None:
    stream = packets(600)
    window = START_NS + 20 * NS_PER_S, START_NS + 580 * NS_PER_S
    whole = Spool(tmp_path / "whole", 60.0)
    list(whole.append(stream))
    expected = samples(whole, *window)
    whole.compact(stream[-1].endtime_ns)
    assert samples(whole, *window) == expected
    spool = Spool(tmp_path / "spool", 60.0)
    list(spool.append([*stream[:50], *stream[52:]]))
    spool.compact(stream[-1].endtime_ns)
    assert len(samples(spool, *window)) == 2
    assert len(list(spool.append(stream[50:53]))) == 2
    assert samples(spool, *window) == expected


def test_a_write_that_a_full_disk_cuts_short_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    stream = packets(40)
    spool = Spool(tmp_path / "spool", 600.0)
    list(spool.append(stream[:10]))
    (path,) = (tmp_path / "spool").rglob("*.mseed")
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "write", lambda file, content: write(file, content[:100]))
        with pytest.raises(StorageError, match="the disk is full"):
            list(spool.append(stream[10:12]))
    assert path.read_bytes() == whole
    assert len(list(spool.append(stream))) == len(stream) - 10


def turned(azimuth_deg: float) -> pd.DataFrame:
    """Return CHANNELS of a borehole: vertical, and two horizontals turned by an angle."""
    rows = [
        {"channel": f"{STATION}{c}", "station": STATION, "azimuth_deg": azimuth, "dip_deg": dip}
        for c, azimuth, dip in (
            ("Z", 0.0, -90.0),
            ("1", azimuth_deg, 0.0),
            ("2", azimuth_deg + 90.0, 0.0),
        )
    ]
    return CHANNELS.table(rows)


def test_newest_samples_are_those_a_reader_finds(tmp_path: Path) -> None:
    """Out of order and with a hole: the longest whole piece that ends at the edge."""
    stream = [p for k, c in enumerate("Z12") for p in packets(90, c, seed=k)]
    stream.sort(key=lambda p: p.endtime_ns)
    spool, newest = Spool(tmp_path / "spool", 60.0), Newest(30.0)
    channels = turned(30.0)
    # One packet of component 1 never comes: 70 to 72 s.
    came = [
        p for p in stream if not (p.code[-1] == "1" and p.starttime_ns == START_NS + 70 * 10**9)
    ]
    list(spool.append(came))
    came[-8], came[-2] = came[-2], came[-8]
    for packet in came:
        newest.add([packet])
    edge = max(p.endtime_ns for p in came)
    found = newest.record(STATION, edge - 30 * NS_PER_S, edge, channels)
    assert found is not None
    assert (found.starttime_ns, found.endtime_ns) == (START_NS + 72 * NS_PER_S, edge)
    archive = spool.archive([STATION])
    (*_, expected), _ = read_records(archive, STATION, found.starttime_ns, channels=channels)
    np.testing.assert_allclose(found.data, expected.data, atol=1e-3)  # float32 of thousands
    assert found.channels == expected.channels
    # An edge that one component has not reached: it is missing there.
    alone = packets(2, "Z", offset_ns=90 * NS_PER_S)
    newest.add(alone)
    record = newest.record(STATION, edge, alone[0].endtime_ns, channels)
    assert record is not None
    assert record.mask.tolist() == [True, False, False]


def test_what_newest_cannot_tell_is_left_to_the_reader() -> None:
    newest = Newest(30.0)
    assert newest.record(STATION, START_NS, START_NS, turned(0.0)) is None
    newest.add(packets(4, "N"))
    newest.add(packets(4, "1"))  # two channels for one row
    assert newest.record(STATION, START_NS, START_NS + 3 * NS_PER_S, turned(0.0)) is None


def test_small_moves_of_picks_are_no_news() -> None:
    known = [(10 * NS_PER_S, "P", 0.9), (12 * NS_PER_S, "S", 0.8)]
    moved = [(10 * NS_PER_S + 10_000_000, "P", 0.85), (12 * NS_PER_S, "S", 0.8)]
    assert _compared(known, moved).changed_ns is None
    for other in (
        [(10 * NS_PER_S + 200_000_000, "P", 0.9), known[1]],  # elsewhere
        [(10 * NS_PER_S, "P", 0.5), known[1]],  # less sure
        [(10 * NS_PER_S, "S", 0.9), known[1]],  # another phase
        [known[1]],  # gone
    ):
        assert _compared(known, other).changed_ns == 10 * NS_PER_S


def test_clock_follows_the_network_not_one_station() -> None:
    clock = NetworkClock()
    for second in range(1, 101):
        for station in "ABCD":
            if station != "D" or second < 20:  # D stops
                clock.see(station, second * NS_PER_S)
        clock.see("E", (second + 3600) * NS_PER_S)  # an hour ahead
    assert clock.now_ns == 100 * NS_PER_S


def test_pace_is_that_of_the_last_seconds_or_of_a_longer_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(intake.time, "monotonic", lambda: now)
    pace = Pace()
    assert pace.at(START_NS) == 0.0
    for _ in range(40):
        now += 0.5
        found = pace.at(START_NS + round((now - 100.0) * 20 * NS_PER_S))
    assert found == pytest.approx(20.0)
    now += 8.0  # a long turn
    assert pace.at(START_NS + round(400 + 20 * NS_PER_S * 20 + 8 * NS_PER_S)) < 4.0
    for _ in range(10):
        now += 0.5
        found = pace.at(START_NS + round((now - 128.0) * NS_PER_S) + 408 * NS_PER_S)
    assert found == pytest.approx(1.0)


def test_ids_stay_with_the_picks() -> None:
    def arrivals(*times: float, at: str = "ABCDEFGH") -> list[tuple[str, str, int]]:
        return [(s, "P", round(t * NS_PER_S)) for s, t in zip(at, times, strict=False)]

    first = arrivals(1.0, 2.0, 3.0, 4.0)
    # The same one, an earlier pick found and one moved; and a new one.
    found = match([first], [arrivals(20.0, 21.0, 22.0), arrivals(1.0, 2.01, 3.0, 4.0, 0.5)])
    assert (found.same, found.new, found.merged, found.gone) == ([(0, 1)], [0], [], [])
    # Two become one: the one with more picks in it stays.
    second = arrivals(5.0, 6.0, at="EF")
    merged = match([second, first], [[*first, *second]])
    assert (merged.same, merged.merged, merged.gone) == ([(1, 0)], [(0, 0)], [])
    # One becomes two.
    split = match([[*first, *second]], [first, second])
    assert (split.same, split.new) == ([(0, 0)], [1])
    assert match([first], []).gone == [0]


class _Catcher(BaseHTTPRequestHandler):
    got: ClassVar[list[dict]] = []
    failures: ClassVar[int] = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if _Catcher.failures:
            _Catcher.failures -= 1
            self.send_response(503)
        else:
            _Catcher.got.append(json.loads(body))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    _Catcher.got, _Catcher.failures = [], 1
    found = HTTPServer(("127.0.0.1", 0), _Catcher)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}/"
    found.shutdown()
    thread.join()
    found.server_close()


MESSAGE = {
    "action": "new",
    "event_id": "ls1",
    "magnitude": 3.1,
    "longitude": 10.0,
    "latitude": 45.0,
}


def test_hooks_get_the_event_and_failures_stay_theirs(server: str, tmp_path: Path) -> None:
    target = tmp_path / "got.json"
    write = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    complaints: list[str] = []
    hooks = Hooks(
        [
            HookSettings(command=(sys.executable, "-c", write, str(target))),
            HookSettings(url=server),  # fails once, then takes it
            HookSettings(command=("no-such-program",), tries=2),
            HookSettings(command=(sys.executable, "-c", "input(); input()"), tries=1),
            HookSettings(
                command=(sys.executable, "-c", "import time; time.sleep(60)"),
                tries=1,
                timeout_s=0.2,
            ),
        ],
        complaints.append,
        pause_s=0.01,
    )
    hooks.tell(MESSAGE)
    hooks.close(60.0)
    assert json.loads(target.read_text()) == MESSAGE
    assert _Catcher.got == [MESSAGE]
    assert (hooks.n_done, hooks.n_failed) == (2, 3)
    reasons = [c.rpartition("given up: ")[2] for c in complaints]
    assert reasons == ["No such file or directory", "exit status 1", "no end within 0.2 s"]


@pytest.mark.parametrize(
    ("filters", "message", "expected"),
    [
        ({}, {}, True),
        ({"min_magnitude": 3.2}, {}, False),
        ({"min_magnitude": 3.1}, {}, True),
        ({"min_magnitude": 0.0}, {"magnitude": None}, False),
        ({"actions": ("cancel",)}, {}, False),
        ({"region_deg": (9.0, 11.0, 44.0, 46.0)}, {}, True),
        ({"region_deg": (9.0, 11.0, 46.0, 47.0)}, {}, False),
        ({"region_deg": (170.0, -170.0, 44.0, 46.0)}, {"longitude": 175.0}, True),
        ({"region_deg": (170.0, -170.0, 44.0, 46.0)}, {}, False),
    ],
)
def test_filters_of_hooks(filters: dict, message: dict, expected: bool) -> None:
    hook = HookSettings(command=("x",), **filters)
    assert wanted(hook, {**MESSAGE, **message}) is expected


def test_state_is_whole_or_as_before(tmp_path: Path) -> None:
    files = StateFiles(tmp_path)
    assert files.load().final_ns == {}
    for number in (1, 2):
        files.save(Saved(number, float("-inf"), {"A": number}, {"e": "key"}))
        files.save_marks({"server": {"A_B": number}})
    assert files.load().final_ns == {"A": 2}
    assert files.load().settled_s == float("-inf")
    assert files.marks() == {"server": {"A_B": 2}}
    assert len(list((tmp_path / "live").glob("*.parquet"))) == 3
    (tmp_path / "live" / "state.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        files.load()


def test_an_onset_is_seen_in_its_packet_and_noise_is_not() -> None:
    signal = ChannelSignal()
    noise = packets(60)
    assert not any([signal.add([p]) for p in noise])
    assert signal.rms == pytest.approx(1000, rel=0.05)
    assert signal.add([noise[0], replace(noise[0], samples=noise[0].samples * 5)])


def test_the_same_problem_is_said_once_an_hour() -> None:
    problems = Problems()
    said = [problems.say("A", "gap", "1 s", "kept", t * 60 * NS_PER_S) for t in range(100, 220, 10)]
    assert sum(said) == 2
    assert pd.concat(problems.take())["what"].tolist() == ["A", "A"]


def test_a_misspelt_key_of_a_hook_is_named() -> None:
    hooks = [{"comand": ["x"]}]
    with pytest.raises(ConfigError, match=r"live.hooks.0.comand.*did you mean 'command'"):
        load_settings(None, {"live": {"hooks": hooks}})


def test_hooks_are_kept_in_the_configuration_of_a_run(tmp_path: Path) -> None:
    hooks = [{"command": ["a", "b"], "min_magnitude": 2.0}, {"url": "http://x/"}]
    chosen = load_settings(None, {"live": {"hooks": hooks}})
    (tmp_path / "config.toml").write_text(render_toml(chosen))
    assert load_settings(tmp_path / "config.toml") == chosen


def test_events_of_one_unit_disturb_each_other_in_a_run_too() -> None:
    """What a magnitude is measured beside must not depend on how events are grouped."""
    start = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame(
        {
            "event_id": ["a", "b", "c", "d"],
            "time": start + pd.to_timedelta([0, 10, 200, 4000], unit="s"),
        }
    )
    assert list(stages._near_in_time(events, events[:2])["event_id"]) == ["a", "b", "c"]


def test_a_view_shows_picks_as_they_were() -> None:
    """All picks of a span, the first of each hour beyond it, and whole rows by id."""
    rng = np.random.default_rng(5)
    hour_s = 3600.0
    board = PickBoard(make_picker(PickingSettings(method="classical")), RunSettings().waveforms)
    tables = []
    for station in ("XX.A..HH", "XX.B..HH"):
        times = np.sort(rng.uniform(0, 10 * hour_s, 60))
        moments = (times * 1e3).astype(np.int64) * 10**6
        phases = rng.choice(["P", "S"], 60)
        ids = [pick_id(station, p, t) for p, t in zip(phases, moments.tolist(), strict=True)]
        columns = {"pick_id": ids, "station": station, "phase": phases, "time_sigma_s": 0.1}
        table = PICKS.table(pd.DataFrame({**columns, "time": pd.to_datetime(moments, utc=True)}))
        tables.append(table)
        mine = board.stations[station] = StationPicks(0, old=table.iloc[:40])
        mine.put(rows_of(table.iloc[40:]))
    view = board.view(list(board.stations))
    picks = pd.concat(tables, ignore_index=True)
    times = picks["time"].astype("int64").to_numpy() / NS_PER_S
    near, far = (3.2 * hour_s, 7.1 * hour_s), (1.1 * hour_s, 9.3 * hour_s)
    found = view.between(near, far)
    inside = (times >= near[0]) & (times <= near[1])
    assert set(picks["pick_id"][inside]) <= set(found.ids)
    # No hour, station and phase is lost within the longer span; few others are there.
    wide = picks[(times >= far[0]) & (times <= far[1])]
    hours = [wide["time"].astype("int64") // (3600 * NS_PER_S), wide["station"], wide["phase"]]
    firsts = wide.groupby(hours)["pick_id"].first()
    whole_hours = [name for name, first in firsts.items() if 2 <= name[0] <= 8]
    assert set(firsts.loc[whole_hours]) <= set(found.ids)
    assert set(found.ids) <= set(wide["pick_id"])
    assert len(set(found.ids)) == len(found) < len(wide)
    # What becomes of the picks later does not change it.
    board.stations["XX.A..HH"].put([])
    rows = view.rows([*picks["pick_id"], "XX.A..HH/P/1", "XX.C..HH/P/1"])
    assert (
        table_of(list(rows.values()))
        .sort_values("pick_id", ignore_index=True)
        .equals(picks.sort_values("pick_id", ignore_index=True))
    )
