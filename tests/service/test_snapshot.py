"""The events in memory after changes are those of the store read anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from service_run import make_catalog

from lithoscope.catalog import Catalog, EventQuery, Store
from lithoscope.catalog.store_query import STATUSES
from lithoscope.service import snapshot
from lithoscope.service.snapshot import Snapshot

ALL = EventQuery(status=tuple(STATUSES))


def said(events: Snapshot) -> tuple[object, ...]:
    """Return all that answers are made of."""
    rows = np.arange(len(events))
    names = events.event_ids(rows)
    assert [events.row(name) for name in names] == rows.tolist()
    return (
        names,
        events.compact(rows),
        events.lines(rows, "c", "s"),
        repr(events.records(rows)),
        events.withdrawn.tolist(),
        events.plain.tolist(),
        events.equal("event_type", ("QUARRY blast",)).tolist(),
        events.overview,
        events.sequence,
    )


@pytest.mark.parametrize("most_empty", [10_000, 0])  # with 0 the slots are taken back often
def test_changes_one_by_one_give_what_reading_all_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_empty: int
) -> None:
    monkeypatch.setattr(snapshot, "_MOST_EMPTY", most_empty)
    whole = make_catalog(6)
    solutions = {
        name: Catalog(
            events=whole.events[whole.events["event_id"] == name],
            arrivals=whole.arrivals[whole.arrivals["event_id"] == name],
            picks=whole.picks,
        )
        for name in whole.events["event_id"]
    }
    names = list(solutions)
    generator = np.random.default_rng(4)
    with Store(tmp_path / "store.sqlite") as store:
        store.write(make_catalog(2))
        events = Snapshot.of(store.event_columns(ALL), store.sequence())
        for step in range(8):
            before, sequence = said(events), events.sequence
            for name in generator.choice(names, 2, replace=False):
                if generator.random() < 0.3 and name in events:
                    store.cancel_event(name, "noise")
                    continue
                one = solutions[name]
                # Some at the very same time: their ids order them.
                time = one.events["time"].dt.floor("10min" if step % 2 else "1min")
                moved = one.events.assign(time=time, magnitude=generator.normal(2.0, 1.0))
                store.put_event(Catalog(events=moved, arrivals=one.arrivals, picks=one.picks))
            touched = {change.event_id for change in store.changes(sequence)}
            fresh = store.event_columns(EventQuery(eventid=tuple(touched), status=ALL.status))
            after = events.after(touched, fresh, store.sequence())
            assert said(events) == before  # readers of the one before are not disturbed
            assert said(after) == said(Snapshot.of(store.event_columns(ALL), store.sequence()))
            events = after
        assert events.solutions.size > len(events)
        assert (events.solutions.size > 2 * len(events)) is (most_empty > 0)
        assert events.row("none") is None
        assert events.key("none") is None
