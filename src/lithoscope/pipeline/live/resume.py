"""Take up what an earlier process of a watch left, whatever ended it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from lithoscope.catalog import Change, EventQuery, Store
from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.desk import Desk
from lithoscope.pipeline.live.events import restored
from lithoscope.pipeline.live.picks import StationPicks
from lithoscope.pipeline.live.state import Saved
from lithoscope.schema import STATION_MAGNITUDES


def resume_picks(desk: Desk, saved: Saved) -> None:
    """Take up picks that are final; the others are made anew from the spool."""
    # Whatever came after the state was saved began no earlier than this.
    since = saved.clock_ns - round(desk.live.lateness_s * NS_PER_S) - desk.board.reach_ns
    for station in desk.spool.stations():
        first = min(c.first_ns for c in desk.spool.of_station(station))
        final = min(saved.final_ns.get(station, 0), since)
        mine = StationPicks(max(final, first - desk.board.reach_ns))
        times = saved.picks["time"].astype("int64")
        mine.old = saved.picks[(saved.picks["station"] == station) & (times < mine.final_ns)]
        starts = saved.detections["starttime"].astype("int64")
        here = saved.detections["station"] == station
        mine.detections = saved.detections[here & (starts < mine.final_ns)]
        # What the store has beyond may have been given out as final, and may change now.
        in_store = desk.store.of_station("picks", station)
        desk.note_written(
            in_store.loc[in_store["time"].astype("int64") >= mine.final_ns, "pick_id"]
        )
        mine.given_starts = set(starts[here & (starts >= mine.final_ns)].tolist())
        mine.stored_ns = mine.final_ns
        mine.read_ns = mine.final_ns
        desk.board.stations[station] = mine
    desk.settled_s = saved.settled_s or -math.inf


def resume_events(desk: Desk, saved: Saved) -> None:
    """Take up the events that are kept; where picks may be other ones, all is looked at again.

    Events that data can still change are located again: a kill may have left a quick location.
    """
    keep_ns = round(desk.live.keep_hours * 3600 * NS_PER_S)
    start = pd.Timestamp(max(desk.clock_ns - keep_ns, 0), tz="UTC")
    late_ns = desk.clock_ns - round(desk.live.lateness_s * NS_PER_S)
    ids = list(desk.store.events(EventQuery(starttime=start), ["event_id"])["event_id"])
    for event in restored(desk.store.catalog(ids)) if ids else []:
        desk.events.by_id[event.event_id] = event
        desk.events.used.add(event.event_id)
        desk.written(event)
        if event.origin_ns >= late_ns:
            desk.owe(event)
        mine = saved.magnitudes[saved.magnitudes["event_id"] == event.event_id]
        if len(mine) and event.event_id in saved.measured:
            event.raw = STATION_MAGNITUDES.check(mine)
            event.measured = saved.measured[event.event_id]
    desk.note_written(saved.provisional)
    for change in _changes_after(desk.store, saved.sequence):
        if change.action != "cancel":
            tables = desk.store.event(change.event_id, change.version)
            desk.note_written(tables.picks["pick_id"])
    desk.lookout.owed_ns = min(s.final_ns for s in desk.board.stations.values())


def _changes_after(store: Store, sequence: int) -> Iterator[Change]:
    """Yield what a killed process changed after it last saved its state."""
    while some := store.changes(sequence):
        yield from some
        sequence = some[-1].sequence
