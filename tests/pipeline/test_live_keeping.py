"""What a watch keeps, and for how long: its memory must not grow with the data."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lithoscope.constants import NS_PER_S
from lithoscope.learning.runtime import OnnxModel
from lithoscope.picking import LearnedPicker
from lithoscope.pipeline.live import aside, desk, measure
from lithoscope.pipeline.live.aside import Aside
from lithoscope.pipeline.live.desk import Desk
from lithoscope.pipeline.live.events import LiveEvent, LiveEvents
from lithoscope.pipeline.live.glimpse import rows_of
from lithoscope.pipeline.live.measure import Bench
from lithoscope.pipeline.live.picks import PickBoard, StationPicks
from lithoscope.pipeline.live.rolling import Solution
from lithoscope.pipeline.live.segments import record_key
from lithoscope.pipeline.live.settings import LiveSettings
from lithoscope.pipeline.live.warming import warmed
from lithoscope.pipeline.pickers import PickingSettings
from lithoscope.pipeline.settings import RunSettings
from lithoscope.schema import DETECTIONS, PICKS, pick_id
from lithoscope.waveforms import Record
from lithoscope.waveforms.seedlink import decode, encode_records

START_NS = 1_700_000_000 * NS_PER_S
MINUTE_NS = 60 * NS_PER_S


class _Picker:
    context_s = 10.0


def board_of(mine: StationPicks) -> PickBoard:
    board = PickBoard(_Picker(), RunSettings().waveforms)  # type: ignore[arg-type]
    board.stations["XX.A..HH"] = mine
    return board


def test_no_event_waits_as_long_as_data_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates rest while data wait; those that nothing can change any more are done even so."""
    nothing: Any = None
    settings = LiveSettings()
    some = Desk(
        **dict.fromkeys(("spool", "board", "store", "aside", "beside"), nothing),
        **dict.fromkeys(("problems", "meter", "tell", "now_ns"), nothing),
        network=SimpleNamespace(version=0),
        live=settings,
    )
    published: list[str] = []
    monkeypatch.setattr(desk, "needs_location", lambda event: False)
    monkeypatch.setattr(Desk, "publish", lambda self, event: published.append(event.event_id))
    for minute in range(60):
        some.clock_ns = START_NS + minute * MINUTE_NS
        solution = Solution("s", some.clock_ns / NS_PER_S, frozenset())
        event = LiveEvent(f"e{minute}", solution, PICKS.empty(), pd.DataFrame({"event_id": ["e"]}))
        event.published, event.quiet_until_ns = "before", sys.maxsize
        some.events.by_id[event.event_id] = some._todo[event.event_id] = event
        some.locate(hurry=True)
    kept = round(settings.lateness_s / 60) + 1
    assert published == [f"e{minute}" for minute in range(60 - kept)]
    assert list(some._todo) == [f"e{minute}" for minute in range(60 - kept, 60)]


def test_what_is_not_stored_yet_is_kept() -> None:
    times = pd.to_datetime([START_NS + k * MINUTE_NS for k in range(4)], utc=True)
    picks = PICKS.table({"pick_id": list("abcd"), "station": "XX.A..HH", "phase": "P",
                         "time": times, "time_sigma_s": 0.1})  # fmt: skip
    spans = DETECTIONS.table({"station": "XX.A..HH", "starttime": times, "endtime": times,
                              "probability": 0.9})  # fmt: skip
    stored_ns, final_ns = START_NS + 2 * MINUTE_NS, START_NS + 4 * MINUTE_NS
    mine = StationPicks(final_ns, old=picks, detections=spans, stored_ns=stored_ns)
    board = board_of(mine)
    board.prune(START_NS + 3 * MINUTE_NS)
    assert list(mine.old["pick_id"]) == ["c", "d"]
    assert [len(table) for table in board.newly_final()] == [2, 2]
    board.prune(START_NS + 3 * MINUTE_NS)
    assert list(mine.old["pick_id"]) == ["d"]


def test_late_data_let_final_picks_change_again() -> None:
    """Each pick is either final or not, whatever comes, and none is there twice."""
    moments = [START_NS + k * MINUTE_NS for k in range(4)]
    picks = PICKS.table({"pick_id": list("abcd"), "station": ["XX.A..HH"] * 4, "phase": ["P"] * 4,
                         "time": pd.to_datetime(moments, utc=True),
                         "time_sigma_s": [0.1] * 4})  # fmt: skip
    mine = StationPicks(START_NS, stored_ns=START_NS)
    board = board_of(mine)
    mine.put(rows_of(picks))
    mine.settle(moments[2])
    assert list(mine.old["pick_id"]) == ["a", "b"]
    assert [len(table) for table in board.newly_final()] == [2, 0]
    mine.reopen(moments[1] - 1)
    assert list(mine.old["pick_id"]) == ["a"]
    assert mine.given == {"b"}  # was given out, and may change now
    assert [row[0] for row in mine.young] == ["b", "c", "d"]
    assert [key[0] for key in mine.keys] == moments[1:]
    mine.reopen(moments[3])  # no earlier: nothing changes
    assert (mine.final_ns, mine.n_picks) == (moments[1] - 1, 4)
    mine.settle(moments[3] + 1)
    assert (list(mine.old["pick_id"]), mine.young, mine.keys) == (list("abcd"), [], [])


def test_detections_that_late_data_change_are_taken_back_once() -> None:
    times = pd.to_datetime([START_NS + k * MINUTE_NS for k in range(4)], utc=True)
    spans = DETECTIONS.table({"station": "XX.A..HH", "starttime": times, "endtime": times,
                              "probability": 0.9})  # fmt: skip
    final_ns = START_NS + 3 * MINUTE_NS
    mine = StationPicks(final_ns, detections=spans, stored_ns=final_ns)
    board = board_of(mine)
    mine.reopen(START_NS + MINUTE_NS)
    assert board.withdrawn() == {}
    mine.detections = spans.iloc[[0, 2]]
    mine.settle(START_NS + MINUTE_NS + 1)
    assert board.withdrawn() == {"XX.A..HH": [START_NS + MINUTE_NS]}
    mine.settle(final_ns)
    assert board.withdrawn() == {}


def test_records_are_known_by_little_and_in_the_order_of_time() -> None:
    samples = np.arange(1200, dtype=np.int32)
    cuts = encode_records(("XX", "A", "", "HHZ"), START_NS, 100.0, samples, max_samples=100)
    packets = [decode(cut.raw) for cut in cuts]
    keys = [record_key(p) for p in packets]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(packets) == 12
    assert max(map(sys.getsizeof, keys)) < 64


def test_the_measuring_process_ends_with_a_watch_that_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is one of those that `test_engine` kills the parent of."""
    made: list[int] = []

    def pool(n: int, niceness: int) -> ThreadPoolExecutor:
        made.append(n)
        return ThreadPoolExecutor(n)

    monkeypatch.setattr(aside, "child_processes", pool)
    monkeypatch.setattr(measure, "measure", lambda job: ("done", job))
    beside = Aside(apart=True)
    bench = Bench(beside)
    for key in "ab":
        bench.begin(key, {key: "key"})  # type: ignore[arg-type]
        assert bench.end(wait=True) == (("done", key), {key: "key"})
    beside.close()
    assert made == [1]


def test_a_network_has_worked_on_its_longest_piece_before_the_first_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The runtime then has the memory that it will ever need."""
    ran: list[tuple[int, ...]] = []
    real = OnnxModel.run

    def run(self: OnnxModel, x: np.ndarray) -> list[np.ndarray]:
        ran.append(x.shape)
        return real(self, x)

    monkeypatch.setattr(OnnxModel, "run", run)
    picker = warmed(PickingSettings())
    assert isinstance(picker, LearnedPicker)
    longest = max(shape[-1] for shape in ran)
    assert longest >= picker.settings.chunk_s * picker.sampling_rate_hz
    noise = np.random.default_rng(1).standard_normal((3, 90_000), np.float32)
    names = ("XX.A..HHZ", "XX.A..HHN", "XX.A..HHE")
    record = Record("XX.A..HH", 0, 100.0, noise, np.ones(3, bool), names, np.zeros(3, bool))
    ran.clear()
    picker.pick(record)
    assert max(shape[-1] for shape in ran) == longest


def test_an_event_that_a_quick_look_misses_stays() -> None:
    """Unless another one has its picks: only a thorough look knows that it is none."""
    times = [START_NS + k * NS_PER_S for k in range(8)]
    names = [pick_id("XX.A..HH", "P", t) for t in times]
    rows = {
        name: (name, "XX.A..HH", "P", t, *[0.1] * 4, 0, "m")
        for name, t in zip(names, times, strict=True)
    }
    start_s = START_NS / NS_PER_S
    span_s = start_s - 10.0, start_s + 10.0
    first = Solution("first", start_s, frozenset(names[:4]))
    other = Solution("other", start_s, frozenset(names[3:]))

    def known() -> LiveEvents:
        events = LiveEvents()
        events.take(span_s, [first], rows)
        return events

    events = known()
    for _ in range(3):
        assert not events.take(span_s, [], rows, quick=True).gone
    assert len(events.solutions()) == 1
    assert [len(events.take(span_s, [], rows).gone) for _ in range(2)] == [0, 1]
    events = known()
    gone = [len(events.take(span_s, [other], rows, quick=True).gone) for _ in range(2)]
    assert gone == [0, 1]
