"""Versions of events: what a watch does to a store, and what followers see."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from random_catalogs import example_catalog

from lithoscope.catalog import Catalog, EventQuery, Judged, Store
from lithoscope.errors import DataError, StorageError


def one(catalog: Catalog, number: int, **changes: object) -> Catalog:
    """Return one event of a catalogue as a solution, columns of the event changed."""
    events = catalog.events.iloc[[number]].assign(**changes).reset_index(drop=True)
    name = catalog.events["event_id"].iloc[number]
    arrivals = catalog.arrivals[catalog.arrivals["event_id"] == name]
    magnitudes = catalog.station_magnitudes
    return Catalog(
        events=events,
        arrivals=arrivals,
        picks=catalog.picks[catalog.picks["pick_id"].isin(arrivals["pick_id"])],
        station_magnitudes=magnitudes[magnitudes["event_id"] == name],
    )


CATALOG = example_catalog(n_events=4)
IDS = list(CATALOG.events["event_id"])


def test_added_piece_by_piece_equals_written_at_once(store):
    for name in ("stations", "picks", "detections", "problems"):
        store.add(name, getattr(CATALOG, name))
    for number in range(4):
        change = store.put_event(one(CATALOG, number))
        assert (change.sequence, change.version, change.action) == (number + 1, 1, "new")
    assert store.read().equals(CATALOG)
    store.write(CATALOG)
    assert store.sequence() == 4  # the batch run finds the same events: no news
    assert (store.events(EventQuery())["version"] == 1).all()


def test_the_same_again_changes_nothing(store):
    for _ in range(2):
        for name in ("stations", "picks", "detections", "problems"):
            store.add(name, getattr(CATALOG, name))
        store.put_event(one(CATALOG, 0))
    assert store.put_event(one(CATALOG, 0)) is None
    assert store.sequence() == 1
    assert store.read().picks.equals(CATALOG.picks)
    assert store.read().problems.equals(CATALOG.problems)
    later = CATALOG.picks.assign(snr=3.0)
    store.add("picks", pd.concat([CATALOG.picks, later]))
    assert store.read().picks.equals(later)


def test_updates_keep_every_version(store):
    store.put_event(one(CATALOG, 1))
    store.put_event(one(CATALOG, 1, depth_km=20.0))
    change = store.put_event(one(CATALOG, 1, depth_km=30.0, magnitude=np.nan))
    assert (change.version, change.action) == (3, "update")
    versions = store.versions(IDS[1])
    assert list(versions["version"]) == [1, 2, 3]
    assert list(versions["depth_km"])[1:] == [20.0, 30.0]
    assert list(versions["preferred"]) == [False, False, True]
    for number, solution in ((1, one(CATALOG, 1)), (2, one(CATALOG, 1, depth_km=20.0))):
        found = store.event(IDS[1], number)
        for name in ("events", "arrivals", "picks", "station_magnitudes"):
            keys = list(getattr(found, name).columns[:3])
            mine, theirs = (
                getattr(c, name).sort_values(keys).reset_index(drop=True) for c in (found, solution)
            )
            pd.testing.assert_frame_equal(mine, theirs)
    with pytest.raises(DataError, match="no version 4"):
        store.event(IDS[1], 4)
    with pytest.raises(DataError, match="no event"):
        store.event("none")


def test_cancelled_and_merged_events(store):
    for number in range(3):
        store.put_event(one(CATALOG, number))
    assert store.cancel_event("none", "unknown") is None
    change = store.cancel_event(IDS[0], "no longer supported")
    assert (change.action, change.version) == ("cancel", 2)
    assert store.cancel_event(IDS[0], "again") is None
    store.put_event(one(CATALOG, 1, depth_km=5.0), replaces=[IDS[2]])
    assert list(store.read().events["event_id"]) == [IDS[1]]
    assert list(store.table("arrivals")["event_id"].unique()) == [IDS[1]]
    assert list(store.versions(IDS[2])["note"]) == ["", f"merged into {IDS[1]}"]
    assert store.count(EventQuery(status="rejected")) == 2
    assert [c.action for c in store.changes(after=3)] == ["cancel", "update", "cancel"]
    back = store.put_event(one(CATALOG, 0))
    assert (back.action, back.version) == ("update", 3)
    assert set(store.read().events["event_id"]) == set(IDS[:2])


def test_picks_that_nothing_names_can_be_forgotten(store):
    store.add("picks", CATALOG.picks)
    store.put_event(one(CATALOG, 0))
    assert store.forget_picks(CATALOG.picks["pick_id"]) == len(CATALOG.picks) - 8
    assert store.event(IDS[0]).picks.equals(one(CATALOG, 0).picks)


def test_picks_of_cancelled_events_can_be_forgotten_and_come_back(store):
    for number in range(2):
        store.put_event(one(CATALOG, number))
    picks = one(CATALOG, 0).picks
    store.cancel_event(IDS[0], "no longer supported")
    everything = [*picks["pick_id"], *one(CATALOG, 1).picks["pick_id"]]
    assert store.forget_picks(everything) == len(picks) > 0
    assert store.read().picks.equals(one(CATALOG, 1).picks)
    # Whoever looks at the cancelled event still sees them ...
    assert store.event(IDS[0]).picks.equals(picks)
    assert {p.pick_id for p in store.solutions([IDS[0]])[IDS[0]].picks} == set(picks["pick_id"])
    assert set(store.catalog(IDS[:2]).picks["pick_id"]) == set(everything)
    # ... and an operator who accepts it has them in the catalogue again.
    accepted = Judged("manual", "confirmed", author="ana")
    store.put_review(IDS[0], accepted, action="accept", before={}, after={})
    assert set(store.read().picks["pick_id"]) == set(everything)
    assert store.event(IDS[0], 1).picks.equals(picks)
    assert store.event(IDS[0]).picks.equals(picks)


def test_detections_can_be_forgotten(store):
    store.add("detections", CATALOG.detections)
    one_station = CATALOG.detections["station"].iloc[0]
    starts = CATALOG.detections["starttime"].astype("int64")
    mine = CATALOG.detections["station"] == one_station
    assert store.forget_detections(one_station, [int(starts[mine].iloc[0]), 5]) == 1
    assert len(store.table("detections")) == len(CATALOG.detections) - 1
    assert store.forget_detections("XX.NO..HH", starts.tolist()) == 0


def test_picks_of_an_event_found_again_come_back(store):
    picks = one(CATALOG, 0).picks
    store.put_event(one(CATALOG, 0))
    store.cancel_event(IDS[0], "no longer supported")
    assert store.forget_picks(picks["pick_id"]) == len(picks)
    store.put_event(one(CATALOG, 0))
    assert store.read().picks.equals(picks)
    assert store.event(IDS[0], 2).picks.equals(picks)


def test_wrong_solutions_are_refused(store):
    good = one(CATALOG, 0)
    with pytest.raises(DataError, match="exactly one event"):
        store.put_event(CATALOG)
    with pytest.raises(DataError, match="lacks the pick"):
        store.put_event(Catalog(events=good.events, arrivals=good.arrivals))
    with pytest.raises(DataError, match="rows of event"):
        store.put_event(Catalog(events=good.events, arrivals=CATALOG.arrivals))
    with pytest.raises(StorageError, match="cannot be added"):
        store.add("events", CATALOG.events)
    with pytest.raises(StorageError, match="as JSON"):
        store.put_state("bad", {1, 2})


def test_settings_and_state(store):
    store.write(Catalog())
    assert store.settings() is None
    assert store.state("resume", {}) == {}
    store.put_settings("a = 1\n", {"model.csv": b"\x00\xff"})
    store.put_settings("a = 2\n", {"map.tif": b"1"})
    assert (store.settings(), store.attachment("model.csv")) == ("a = 2\n", None)
    assert store.attachment("map.tif") == b"1"
    for value in ({"XX.S00": [1, None]}, {"XX.S00": 2**53 + 1}):
        store.put_state("resume", value)
        assert store.state("resume") == value
    store.write(CATALOG)
    assert store.settings() == "a = 2\n"


def test_times_of_changes_never_run_backwards(store_url):
    ticks = itertools.chain([100, 50, 70], itertools.count(200))
    with Store(store_url, clock=lambda: next(ticks)) as store:
        made = [store.put_event(one(CATALOG, n)).made_at_ns for n in range(4)]
    assert made == [100, 100, 100, 200]


def test_a_batch_run_over_a_batch_run(store):
    """Unchanged events keep their version, changed ones get the next, others are cancelled."""
    store.write(CATALOG)
    events = CATALOG.events.copy()
    events.loc[2, "depth_km"] = 40.0
    kept = events[events["event_id"] != IDS[0]].reset_index(drop=True)
    arrivals = CATALOG.arrivals[CATALOG.arrivals["event_id"] != IDS[0]].reset_index(drop=True)
    magnitudes = CATALOG.station_magnitudes
    again = Catalog(
        events=kept,
        arrivals=arrivals,
        picks=CATALOG.picks,
        station_magnitudes=magnitudes[magnitudes["event_id"] != IDS[0]].reset_index(drop=True),
    )
    store.write(again)
    assert store.read().equals(again)
    assert [(c.event_id, c.version, c.action) for c in store.changes(after=4)] == [
        (IDS[2], 2, "update"),
        (IDS[0], 2, "cancel"),
    ]
    by_id = store.events(EventQuery()).set_index("event_id")["version"]
    assert by_id.to_dict() == {IDS[1]: 1, IDS[2]: 2, IDS[3]: 1}
    store.write(CATALOG)
    assert store.read().equals(CATALOG)
    assert store.versions(IDS[0])["version"].max() == 3


class _Watching(RuleBasedStateMachine):
    """Any order of updates, cancellations, reviews and batch runs against a plain model."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        with self.store.database.writing() as connection:
            for table in self.store.layout.metadata.sorted_tables:
                if table.name != "lithoscope_store":
                    connection.execute(table.delete())
        self.shown: dict[str, tuple[float, str]] = {}  # depth and who decided
        self.n_changes = 0

    @rule(number=st.integers(0, 3), depth=st.sampled_from([1.0, 2.0, 3.0]))
    def update(self, number: int, depth: float) -> None:
        change = self.store.put_event(one(CATALOG, number, depth_km=depth))
        self.n_changes += change is not None
        if self.shown.get(IDS[number], (0.0, ""))[1] not in ("operator", "rejected"):
            self.shown[IDS[number]] = (depth, "watch")

    @rule(number=st.integers(0, 3))
    def cancel(self, number: int) -> None:
        change = self.store.cancel_event(IDS[number], "test")
        here = self.shown.get(IDS[number], (0.0, ""))[1] == "watch"
        assert (change is not None) == here
        if here:
            del self.shown[IDS[number]]
            self.n_changes += 1

    @rule(number=st.integers(0, 3), status=st.sampled_from(["confirmed", "rejected"]))
    def judge(self, number: int, status: str) -> None:
        if IDS[number] not in self.shown:
            return
        judged = Judged("manual", status, "ana")
        self.store.put_review(IDS[number], judged, action="accept", before={}, after={})
        depth = self.shown[IDS[number]][0]
        self.shown[IDS[number]] = (depth, "operator" if status == "confirmed" else "rejected")
        self.n_changes += 1

    @rule(depth=st.sampled_from([2.0, 7.0]))
    def run(self, depth: float) -> None:
        before = self.store.sequence()
        self.store.write(
            Catalog(**dict(CATALOG.tables()) | {"events": CATALOG.events.assign(depth_km=depth)})
        )
        self.n_changes += self.store.sequence() - before
        for name in IDS:
            if self.shown.get(name, (0.0, ""))[1] not in ("operator", "rejected"):
                self.shown[name] = (depth, "watch")

    @invariant()
    def agree(self) -> None:
        events = self.store.read().events
        expected = {n: d for n, (d, who) in self.shown.items() if who != "rejected"}
        assert dict(zip(events["event_id"], events["depth_km"], strict=True)) == expected
        changes = self.store.changes()
        assert self.store.sequence() == self.n_changes
        assert all(a.sequence < b.sequence for a, b in itertools.pairwise(changes))
        for name in self.shown:
            versions = self.store.versions(name)
            assert versions["version"].is_unique
            assert versions["preferred"].sum() == 1


@pytest.mark.no_cover  # the same lines many times
def test_any_history_agrees_with_a_plain_model(store):
    store.write(Catalog())
    _Watching.store = store
    run_state_machine_as_test(
        _Watching,
        settings=settings(
            max_examples=3,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
