"""From the spool to the store: picks, events, locations, magnitudes, versions, in turns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from lithoscope.catalog import Change, Store
from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.aside import Aside
from lithoscope.pipeline.live.events import (
    LiveEvent,
    LiveEvents,
    locate_event,
    needs_location,
)
from lithoscope.pipeline.live.health import Meter, Problems
from lithoscope.pipeline.live.lookout import Lookout, Seen
from lithoscope.pipeline.live.measure import Bench, job_of
from lithoscope.pipeline.live.network import Network
from lithoscope.pipeline.live.picking import Picking
from lithoscope.pipeline.live.picks import PickBoard, Repicked
from lithoscope.pipeline.live.rolling import cut
from lithoscope.pipeline.live.settings import LiveSettings
from lithoscope.pipeline.live.spool import Spool
from lithoscope.schema import EVENTS, STATION_MAGNITUDES

# While data wait, an update of a published event is followed by a rest of so many times its length.
_REST = 10.0
_MEASURED_AT_ONCE = 4
# Beyond the end of the signal window of a magnitude: margins of the response filter.
_MARGIN_S = 15.0


class Desk:
    """Works on what the spool holds.

    Parameters
    ----------
    spool, network, board, store, aside, beside, problems, meter
        What it works with.
    live
        Settings.
    tell
        Called with each change of the store and the event's row (None if it is cancelled).
    now_ns
        Returns the newest time that the sources have sent, to measure latency against.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        network: Network,
        board: PickBoard,
        store: Store,
        aside: Aside,
        beside: Aside,
        problems: Problems,
        meter: Meter,
        live: LiveSettings,
        tell: Callable[[Change, LiveEvent], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.spool = spool
        self.network = network
        self.board = board
        self.store = store
        self.bench = Bench(aside)
        self.problems = problems
        self.meter = meter
        self.live = live
        self.events = LiveEvents()
        self.settled_s = -math.inf
        self.lookout = Lookout(network, board, self.events, beside, meter)
        self.picking = Picking(
            spool=spool,
            network=network,
            board=board,
            aside=aside,
            meter=meter,
            live=live,
            changed=self._changed,
        )
        self.clock_ns = 0
        self._tell = tell
        self._now_ns = now_ns
        self._updates_at = 0.0
        self._todo: dict[str, LiveEvent] = {}
        # Ids of picks in the store that were not final when they were written, by station.
        self.provisional: dict[str, set[str]] = {}
        self.pruned = False
        self._stored_network = network.version

    def _changed(self, done: Repicked) -> None:
        self.problems.add(done.problems, self.clock_ns)
        self.events.rename(done.renamed)
        self.lookout.note(done)

    # Events

    def associate(self, *, hurry: bool) -> None:
        """Look again for the events that changed picks can belong to."""
        for seen in self.lookout.look(self.clock_ns, hurry=hurry):
            self._take(seen)

    def _take(self, seen: Seen, *, sure: bool = False) -> None:
        taken = self.events.take(seen.span_s, seen.found, seen.picks, sure=sure, quick=seen.quick)
        for event in taken.changed:
            self._todo[event.event_id] = event
        for event, into in taken.merged:
            self._todo[into.event_id] = into
            self._absorb(event, into)
        for event in taken.gone:
            self._cancel(event, "its picks are no longer explained by one event")

    def owe(self, event: LiveEvent) -> None:
        """Have an event located in its turn."""
        self._todo[event.event_id] = event

    def locate(self, *, hurry: bool = False) -> None:
        """Locate and publish changed events: those never published at once, others in their turn.

        While data wait, the first location is a quick one, an event is updated after 8, then 16,
        then 32 s of data, and so on, and updates take a part of the time only, newest first. The
        oldest one that data cannot change any more has its turn always: it must not wait for as
        long as data do.
        """
        order = sorted(self._todo.values(), key=lambda e: (bool(e.published), -e.origin_ns))
        late_ns = self.clock_ns - round(self.live.lateness_s * NS_PER_S)
        for event in order:
            started = time.monotonic()
            rests = started < self._updates_at or self.clock_ns < event.quiet_until_ns
            overdue = event is order[-1] and event.origin_ns < late_ns
            if hurry and event.published and rests and not overdue:
                continue
            quick = hurry and not event.published
            if needs_location(event):
                with self.meter.time("locate"):
                    found = locate_event(event, self.network.locator, quick=quick)
                self.problems.add(found, self.clock_ns)
            event.n_updates += 1
            event.quiet_until_ns = self.clock_ns + (NS_PER_S << min(event.n_updates + 2, 6))
            if event.events.empty:
                self._cancel(event, "too few picks are left to locate it")
            else:
                self.publish(event)
            if not quick:
                self._todo.pop(event.event_id, None)
            spent = time.monotonic() - started
            self._updates_at = max(self._updates_at, started + spent * (1.0 + _REST))

    # Publishing

    def publish(self, event: LiveEvent) -> None:
        """Put an event into the store, if anything about it is new."""
        first = not event.published
        catalog = self.events.solution_of(event, self.network.settings.magnitude)
        with self.meter.time("store"):
            change = self.store.put_event(catalog)
        self.written(event)
        event.published = event.located
        event.cancelled = False
        event.shown_magnitude = float(catalog.events["magnitude"].iloc[0])
        if change is None:
            return
        event.shown = catalog.events
        if first:
            self._measure_latency(event)
        self._tell(change, event)

    def written(self, event: LiveEvent) -> None:
        """Take note that an event's picks are in the store, final or not."""
        self.note_written(event.picks["pick_id"])

    def note_written(self, pick_ids: Iterable[str]) -> None:
        """Take note of picks in the store that may not be final."""
        for name in pick_ids:
            self.provisional.setdefault(name.rsplit("/", 2)[0], set()).add(name)

    def _measure_latency(self, event: LiveEvent) -> None:
        """Take the time since the fourth P, or the last pick if there are fewer."""
        times = event.picks["time"].sort_values()
        p = times[event.picks["phase"] == "P"]
        moment = p.iloc[3] if len(p) >= 4 else times.iloc[-1]
        self.meter.add("first location (data)", (self._now_ns() - moment.value) / NS_PER_S)

    def _cancel(self, event: LiveEvent, reason: str) -> None:
        self._todo.pop(event.event_id, None)
        event.cancelled = True
        self.events.by_id.pop(event.event_id, None)
        if not event.published:
            self.events.used.discard(event.event_id)
            return
        change = self.store.cancel_event(event.event_id, reason)
        if change is not None:
            self._tell(change, event)

    def _absorb(self, event: LiveEvent, into: LiveEvent) -> None:
        """Cancel an event whose picks another one has now."""
        self._cancel(event, f"merged into {into.event_id}")

    # Magnitudes

    def begin_measuring(self, *, everything: bool = False) -> bool:
        """Give the bench the next events whose magnitude is due; return whether there are any."""
        if self.bench.busy:
            return True
        ready = [e for e in self.events.all() if self._is_due(e, everything=everything)]
        if not ready:
            return False
        ready.sort(key=lambda e: (len(e.raw) > 0, -e.origin_ns))
        some = ready[:_MEASURED_AT_ONCE]
        span = 600 * NS_PER_S
        some = [e for e in some if abs(e.origin_ns - some[0].origin_ns) < span]
        keys = {e.event_id: self.events.measure_key(e) for e in some}
        settings = self.network.settings
        job = job_of(some, self.events, self.spool, self.network.inventory, settings)
        self.bench.begin(job, keys)
        return True

    def _is_due(self, event: LiveEvent, *, everything: bool) -> bool:
        if event.packed and event.measured and not everything:
            return False
        if event.events.empty or event.missed or needs_location(event):
            return False
        if everything:
            return event.measured != self.events.measure_key(event)
        if event.measured.partition("|")[0] == event.located:
            return False
        settings = self.network.settings.magnitude
        far = float(event.arrivals["distance_km"].max())
        wait_s = far / settings.end_velocity_km_s + settings.tail_s + _MARGIN_S
        wait_s = max(wait_s, self.live.magnitude_delay_s)
        return self.clock_ns - event.origin_ns >= wait_s * NS_PER_S

    def end_measuring(self, *, wait: bool = False) -> bool:
        """Take the magnitudes that the bench has finished; return whether there were any."""
        done = self.bench.end(wait=wait)
        if done is None:
            return False
        (events, magnitudes), keys = done
        for name, key in keys.items():
            event = self.events.by_id.get(name)
            if event is None or event.located != key.partition("|")[0]:
                continue
            event.events = EVENTS.check(events[events["event_id"] == name])
            event.raw = STATION_MAGNITUDES.check(magnitudes[magnitudes["event_id"] == name])
            first = not event.measured
            event.measured = key
            if first:
                seconds = (self._now_ns() - event.origin_ns) / NS_PER_S
                self.meter.add("first magnitude (data)", seconds)
            self._show_magnitude(event)
        return True

    def _show_magnitude(self, event: LiveEvent) -> None:
        """Have an event's magnitude published if it is news."""
        now = self.events.magnitude_of(event, self.network.settings.magnitude)
        shown = event.shown_magnitude
        same = math.isnan(now) and math.isnan(shown)
        if not same and not abs(now - shown) < self.live.magnitude_step:
            self._todo[event.event_id] = event

    # Settling

    def settle(self) -> None:
        """Associate, locate and measure once more what is older than the lateness window."""
        if not any(mine.n_picks for mine in self.board.stations.values()):
            return
        settings = self.network.settings.association
        behind_s = self.live.lateness_s + settings.rate_window_s + self.network.longest_s
        end = cut(self.events.solutions(), self.clock_ns / NS_PER_S - behind_s)
        if end - max(self.settled_s, 0.0) < self.live.settle_s or self.lookout.busy:
            return
        with self.meter.time("settle"):
            start = cut(self.events.solutions(), self.settled_s)
            self._take(self.lookout.span((start, end)), sure=True)
        self.events.estimate_corrections(self.network.settings.magnitude)
        for event in self.events.all():
            inside = start <= event.solution.origin_s < end
            if inside and len(event.events) and len(event.raw):
                self._show_magnitude(event)
        self.settled_s = end

    def settled_to_s(self) -> float:
        """Return until when all is settled, located and in the store."""
        return min([self.settled_s, *(e.solution.origin_s for e in self._todo.values())])

    def finish(self) -> None:
        """Make the final solution of all that is kept: no data follow."""
        self.lookout.forget()
        self.picking.finish()
        if self.network.picked:
            start = -math.inf
            if self.pruned:
                keep = self.live.keep_hours * 3600.0 - 3600.0
                start = cut(self.events.solutions(), self.clock_ns / NS_PER_S - keep)
            self._take(self.lookout.span((start, math.inf)), sure=True)
            for event in self.events.all():
                if needs_location(event) or event.published != event.located:
                    self._todo[event.event_id] = event
            self.locate()
        while self.begin_measuring(everything=True):
            self.end_measuring(wait=True)
        self.events.estimate_corrections(self.network.settings.magnitude)
        for event in self.events.all():
            if len(event.events):
                self.publish(event)

    # Keeping

    def prune(self) -> None:
        """Forget what is older than is kept."""
        before = self.clock_ns - round(self.live.keep_hours * 3600 * NS_PER_S)
        self.pruned = bool(self.spool.prune(before)) or self.pruned
        self.board.prune(before)
        self.events.prune(before)
        self.network.renew()
        for name in self._todo.keys() - self.events.by_id.keys():
            del self._todo[name]
        late = self.clock_ns - round(self.live.lateness_s * NS_PER_S)
        self.spool.compact(late)
        for event in self.events.all():
            if event.origin_ns < late and event.event_id not in self._todo:
                event.pack()

    def store_stations(self) -> None:
        """Write the stations, if they changed since they were written."""
        if self.network.version != self._stored_network:
            self.store.add("stations", self.network.sites)
            self._stored_network = self.network.version

    def store_tables(self) -> None:
        """Write what became final, and problems; take off picks that later data moved."""
        picks, detections = self.board.newly_final()
        for name, table in (("picks", picks), ("detections", detections)):
            if len(table):
                self.store.add(name, table)
        for station, starts in self.board.withdrawn().items():
            self.store.forget_detections(station, starts)
        for open_again in self.board.stations.values():
            self.note_written(open_again.given)
            open_again.given.clear()
        shown = {name for event in self.events.all() for name in event.arrival_ids}
        stale: list[str] = []
        for station, written in self.provisional.items():
            mine = self.board.stations.get(station)
            if mine is None:
                continue
            old = {p for p in written if int(p.rpartition("/")[2]) < mine.final_ns}
            known = old & set(mine.old["pick_id"])
            stale += sorted(old - known - shown)
            written -= known | (old - shown)
        if stale:
            self.store.forget_picks(stale)
        for table in self.problems.take():
            self.store.add("problems", table)

    def summary(self) -> dict[str, Any]:
        """Return counts for people."""
        return {
            "n_stations": len(self.network.picked),
            "n_picks": sum(s.n_picks for s in self.board.stations.values()),
            "n_events": len(self.events.all()),
        }
