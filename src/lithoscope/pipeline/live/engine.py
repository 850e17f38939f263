"""`watch`: packets to a catalogue while they come."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.catalog import Change, Store
from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError, LithoscopeError
from lithoscope.pipeline.live.aside import Aside
from lithoscope.pipeline.live.desk import Desk
from lithoscope.pipeline.live.events import LiveEvent
from lithoscope.pipeline.live.health import (
    Meter,
    Problems,
    give_back_memory,
    memory_mb,
    open_files,
)
from lithoscope.pipeline.live.hooks import Hooks, check_hooks
from lithoscope.pipeline.live.intake import Intake, Pace
from lithoscope.pipeline.live.network import Network
from lithoscope.pipeline.live.picks import PickBoard, read_elsewhere
from lithoscope.pipeline.live.receive import Receiver
from lithoscope.pipeline.live.rehearsal import until
from lithoscope.pipeline.live.resume import resume_events, resume_picks
from lithoscope.pipeline.live.sources import PacketSource
from lithoscope.pipeline.live.spool import SPOOL, Spool
from lithoscope.pipeline.live.state import Saved, StateFiles
from lithoscope.pipeline.live.warming import warmed
from lithoscope.pipeline.progress import Reporter, Silent
from lithoscope.pipeline.relocate import keep_settings
from lithoscope.pipeline.run import STORE_NAME, versions
from lithoscope.pipeline.rundir import RunDirectory
from lithoscope.pipeline.runlog import LOG_NAME, RunLog
from lithoscope.pipeline.settings import RunSettings, absolute_paths, render_toml
from lithoscope.pipeline.tables import stack
from lithoscope.schema import DETECTIONS

# What a stage may fail with on odd data or a full disk without ending the watch.
FAILURES = (
    LithoscopeError,
    ArithmeticError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_MOST_PACKETS = 20_000
_SAVE_S = 20.0
# Data time between two times that what is old is put away: a watch that catches up has it often.
_PRUNE_NS = 300 * NS_PER_S
_RETRY_S = 5.0
# Picks and first locations come before thorough associations, these before magnitudes.
_BESIDE_NICENESS, _ASIDE_NICENESS = 5, 10
# Stations without an onset that are picked in a turn while data wait: events must not wait for all.
_LAZY_AT_ONCE = 5
# Data that come faster than this many times real time are worked on as if some waited.
_HURRY = 2.0


@dataclass(frozen=True)
class WatchResult:
    """What a watch did until it stopped."""

    path: Path
    n_events: int
    n_packets: int
    health: dict[str, Any]


def watch(
    sources: Sequence[PacketSource],
    stations: Sequence[Path],
    output: Path,
    settings: RunSettings | None = None,
    *,
    store: str = "",
    until_idle_s: float | None = None,
    stop: threading.Event | None = None,
    reporter: Reporter | None = None,
    on_status: Callable[[dict[str, Any]], None] | None = None,
) -> WatchResult:
    """Make and keep up a catalogue from data that come in, until stopped.

    Parameters
    ----------
    sources
        Where packets come from, see `lithoscope.pipeline.live.sources`.
    stations
        Station files.
    output
        Run directory: a new one, or one of an earlier watch, which is gone on with.
    settings
        Configuration; the group ``live`` is about watching.
    store
        URL of a database; by default the SQLite store of the run directory.
    until_idle_s
        Stop after this long (wall clock) without data, or when all sources have ended, and make
        the final solution of all that is kept, as a batch run on the same data would.
    stop
        Stops the watch when set, at the end of its turn: what has been received is in the spool,
        and events go on changing when the watch is begun again.
    reporter
        Receives messages.
    on_status
        Receives the health record every ``live.status_s`` seconds.

    Raises
    ------
    LithoscopeError
        If the run directory, the stations or the configuration cannot be used. Failures later on
        are reported and retried.
    """
    settings = absolute_paths(settings or RunSettings())
    check_hooks(settings.live.hooks)
    directory = RunDirectory(output)
    log = RunLog(output / LOG_NAME, reporter or Silent())
    with directory.lock():
        before = directory.read_marker()
        if before and before.get("status") != "watching":
            raise DataError(f"'{output}' holds a batch run; choose another --output for a watch")
        about = {
            "sources": [s.name for s in sources],
            "stations": [str(Path(p).resolve()) for p in stations],
            "versions": versions(),
        }
        directory.write_marker({"status": "watching", **about})
        with log.session("watch resumed" if before else "new watch"):
            directory.write_text("config.toml", render_toml(settings))
            with Store(store or f"sqlite:///{(output / STORE_NAME).resolve()}") as opened:
                engine = Watch(sources, stations, output, settings, opened, log, on_status)
                return engine.run(stop or threading.Event(), until_idle_s)


class Watch:
    """The loop of `watch`; see there."""

    def __init__(
        self,
        sources: Sequence[PacketSource],
        stations: Sequence[Path],
        output: Path,
        settings: RunSettings,
        store: Store,
        log: RunLog,
        on_status: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.path, self.settings, self.live, self.log = output, settings, settings.live, log
        self.store = store
        store.put_state("watch", {"begun_ns": time.time_ns()})  # makes a new store
        self.files = StateFiles(output)
        self.marks = self.files.marks()
        for source in sources:
            if source.name in self.marks:
                source.resume(self.marks[source.name])
        self.intake = Intake(sources, self.live.queue_packets)
        self.meter, self.problems = Meter(), Problems()
        self.hooks = Hooks(self.live.hooks, log.say)
        self._on_status = on_status
        self._times = dict.fromkeys(("sync", "status", "slow"), time.monotonic())
        self._times["save"] = -math.inf  # at once: a folder that refuses shows at the start
        self._retry: dict[str, float] = {}
        self._pace = Pace()
        self._pruned_ns = 0
        self._syncer = ThreadPoolExecutor(1, "sync")
        self._syncing: Future[None] | None = None
        picker = warmed(settings.picking)
        self.aside = Aside(apart=settings.engine.workers > 1, niceness=_ASIDE_NICENESS)
        self.beside = Aside(apart=settings.engine.workers > 1, niceness=_BESIDE_NICENESS)
        self.desk = Desk(
            spool=Spool(output / SPOOL, self.live.segment_s),
            network=Network(stations, settings),
            board=PickBoard(picker, settings.waveforms),
            store=store,
            aside=self.aside,
            beside=self.beside,
            problems=self.problems,
            meter=self.meter,
            live=self.live,
            tell=self._tell,
            now_ns=lambda: max(self.intake.clock.now_ns, self.clock.now_ns),
        )
        names = [source.name for source in sources]
        self.receiver = Receiver(
            self.desk.spool, self.desk.board, settings, self.problems, names, self.marks
        )
        self.clock = self.receiver.clock
        self._restore()

    # Beginning and end

    def run(self, stop: threading.Event, until_idle_s: float | None) -> WatchResult:
        """Work until stopped, or until no data come."""
        keep_settings(self.store, self.settings, self.desk.network.terms)
        self._rehearse(stop)
        gc.collect()
        gc.freeze()  # what is there now stays; to look through it takes a fifth of a second
        self.intake.start()
        last, seen = time.monotonic(), False
        try:
            while not stop.is_set():
                came = self.turn()
                last = time.monotonic() if came else last
                seen = seen or came
                # Nothing at all is waited for longer: a server may be slow to answer.
                limit = (
                    (until_idle_s or 0.0)
                    if seen
                    else max(until_idle_s or 0.0, self.live.watchdog_s)
                )
                idle = until_idle_s is not None and time.monotonic() - last >= limit
                if self.intake.done or idle:
                    self.desk.finish()
                    break
        finally:
            self.intake.stop()
            self._close()
        health = self.health()
        return WatchResult(self.path, health["n_events"], health["n_packets"], health)

    def _close(self) -> None:
        """Work on what has been received, and leave everything on the disk."""
        receiver = self.receiver
        while receiver.pending or (items := self.intake.take(_MOST_PACKETS, 0.0)):
            receiver.pending = receiver.pending or items
            self._retry.clear()
            self._attempt("spool", receiver.receive)
            if receiver.pending:  # the disk refuses: the source has them still
                break
        self._attempt("magnitude", self._last_magnitudes)
        self.aside.close()
        self.beside.close()
        self._sync(wait=True)
        self._syncer.shutdown()
        self._save()
        self._status()
        self.hooks.close()

    def _last_magnitudes(self) -> None:
        self.desk.end_measuring(wait=True)
        self.desk.locate()

    def _restore(self) -> None:
        """Go on where an earlier process stopped, whatever stopped it."""
        spool = self.desk.spool
        if spool.n_repaired:
            self.log.say(f"spool: {spool.n_repaired} file(s) ended inside a record; repaired")
        if not spool.channels:
            return
        for channel in spool.channels.values():
            self.clock.see(channel.station, channel.end_ns)
        self.desk.clock_ns = self.clock.now_ns
        saved = self.files.load()
        resume_picks(self.desk, saved)
        self._update_network()
        resume_events(self.desk, saved)

    def _rehearse(self, stop: threading.Event) -> None:
        """Do what takes long the first time before data come; leave it when stopped."""
        self.log.say("getting ready: travel times, compiled code")
        if self.aside.apart:
            self.aside.submit(read_elsewhere, self.settings.picking, [])  # it loads its picker
        until(stop, partial(self.desk.network.rehearse, self.beside))

    # One turn

    def turn(self) -> bool:
        """Take in what has come and do what is due; return whether anything came."""
        receiver = self.receiver
        if not receiver.pending:
            receiver.pending = self.intake.take(_MOST_PACKETS, self.live.turn_s)
        items = bool(receiver.pending)
        if items:
            self.meter.add("queue", time.monotonic() - receiver.pending[0].came)
        self._attempt("spool", receiver.receive)
        if receiver.pending:  # it failed; not to be tried in a tight circle
            time.sleep(self.live.turn_s)
        self._attempt("stations", self._update_network)
        desk = self.desk
        desk.clock_ns = self.clock.now_ns
        hurry = self.intake.waiting > 0 or self._pace.at(self.clock.now_ns) > _HURRY
        due = desk.picking.due(receiver.onsets, idle=not items, hurry=hurry)
        # While data wait, events come before the stations that show no onset.
        first = [s for s in due if s in receiver.onsets] if hurry else due
        others = [s for s in due if s not in first][:_LAZY_AT_ONCE]
        self._pick(first)
        self._attempt("associate", partial(desk.associate, hurry=hurry))
        self._attempt("locate", partial(desk.locate, hurry=hurry))
        self._pick(others)
        self._attempt("read", partial(desk.picking.end_reading, hurry=hurry))
        if unread := desk.picking.unread(idle=not items):
            self._attempt(f"pick {unread[0]}", partial(desk.picking.read, unread, hurry=hurry))
        self._attempt("magnitude", desk.end_measuring)
        if not hurry or self._since("slow") > 2.0:
            self._attempt("magnitude", desk.begin_measuring)
            self._attempt("settle", desk.settle)
            self._mark("slow")
        self._housekeeping()
        return items

    def _pick(self, stations: Sequence[str]) -> None:
        """Pick stations together; alone those that cannot be, or all if that fails."""
        left = list(stations)

        def together() -> None:
            left[:] = self.desk.picking.look(stations)

        if stations:
            self._attempt("pick together", together)
        for station in left:
            self._attempt(f"pick {station}", partial(self.desk.picking.pick, station))
        self.receiver.onsets.difference_update(stations)

    def _housekeeping(self) -> None:
        if self._since("sync") >= self.live.sync_s:
            self._attempt("sync", self._sync)
            self._mark("sync")
        if self.clock.now_ns - self._pruned_ns >= _PRUNE_NS:
            self._attempt("prune", self.desk.prune)
            self._pruned_ns = self.clock.now_ns
        if self._since("save") >= _SAVE_S:
            self._attempt("save", self._save)
            self._mark("save")
        if self._since("status") >= self.live.status_s:
            for line in self.intake.watch(self.live.watchdog_s):
                self._complain(line.partition(":")[0], "source silent", line)
            self._attempt("status", self._status)
            self._mark("status")

    def _since(self, what: str) -> float:
        return time.monotonic() - self._times[what]

    def _mark(self, what: str) -> None:
        self._times[what] = time.monotonic()

    def _attempt(self, stage: str, work: Callable[[], Any]) -> None:
        """Do a part of a turn; a failure is reported, and the part done again a while later."""
        if time.monotonic() < self._retry.get(stage, 0.0):
            return
        try:
            work()
            self._retry.pop(stage, None)
        except FAILURES as error:
            self._retry[stage] = time.monotonic() + _RETRY_S
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            self._complain(stage, "stage failed", f"{type(error).__name__}: {reason}")

    def _complain(self, what: str, problem: str, detail: str) -> None:
        if self.problems.say(what, problem, detail, "tried again", self.clock.now_ns):
            self.log.say(f"{what}: {problem}: {detail}")

    def _update_network(self) -> None:
        found = self.desk.network.update(self.desk.spool)
        if found is not None:
            self.desk.board.newest.forget_directions()
            self.problems.add(found, self.clock.now_ns)
            self.log.problems(found)
        self.desk.store_stations()

    # Telling and keeping

    def _tell(self, change: Change, event: LiveEvent) -> None:
        row = event.shown.iloc[0] if len(event.shown) else None
        message: dict[str, Any] = {
            "action": change.action,
            "event_id": change.event_id,
            "version": change.version,
            "sequence": change.sequence,
        }
        if row is not None:
            message["time"] = row["time"].isoformat().replace("+00:00", "Z")
            names = ("longitude", "latitude", "depth_km", "magnitude", "magnitude_sigma")
            message |= {n: _finite(row[n]) for n in (*names, "azimuthal_gap_deg", "rms_s")}
            message |= {"magnitude_type": row["magnitude_type"]}
            message |= {n: int(row[n]) for n in ("n_p", "n_s")}
        self.hooks.tell(message)
        size = message.get("magnitude")
        what = "" if size is None else f" {message['magnitude_type']} {size:.1f}"
        self.log.write(f"{change.action} {change.event_id} version {change.version}{what}")

    def _sync(self, *, wait: bool = False) -> None:
        """Have the disk take what was written, then remember how far sources have been read.

        In a thread: a disk may be slow, and picks cannot wait for it.
        """
        if self._syncing is not None and (wait or self._syncing.done()):
            done, self._syncing = self._syncing, None
            done.result()
        if self._syncing is None and self.receiver.moved:
            marks = {name: dict(found) for name, found in self.marks.items()}
            self.receiver.moved = False
            self._syncing = self._syncer.submit(self._write, self.desk.spool.written(), marks)
            if wait:
                self._sync(wait=True)

    def _write(self, paths: set[Path], marks: dict[str, dict[str, int]]) -> None:
        try:
            self.desk.spool.sync(paths)
            self.files.save_marks(marks)
        except BaseException:
            self.receiver.moved = True
            raise

    def _save(self) -> None:
        desk = self.desk
        desk.store_tables()
        boards = desk.board.stations
        live = desk.events.all()
        self.files.save(
            Saved(
                self.clock.now_ns,
                desk.settled_to_s(),
                {name: mine.final_ns for name, mine in boards.items()},
                {e.event_id: e.measured for e in live if e.measured},
                self.store.sequence(),
                sorted(name for ids in desk.provisional.values() for name in ids),
                desk.board.final(),
                stack((m.detections for m in boards.values()), DETECTIONS),
                desk.events.magnitudes(),
            )
        )

    def _status(self) -> None:
        give_back_memory()
        health = self.health()
        self.store.put_state("health", health)
        self.store.put_state("stations", self._station_states())
        if self._on_status is not None:
            self._on_status(health)

    def health(self) -> dict[str, Any]:
        """Return how the watch is doing."""
        now = max(self.intake.clock.now_ns, self.clock.now_ns)
        clock = pd.Timestamp(self.clock.now_ns, tz="UTC")
        behind = (now - self.clock.now_ns) / NS_PER_S if self.clock.now_ns else 0.0
        return {
            "updated_ns": time.time_ns(),
            "clock": f"{clock:%Y-%m-%dT%H:%M:%S}Z",
            "clock_ns": self.clock.now_ns,
            **self.desk.summary(),
            **self.receiver.counts(),
            "n_problems": self.problems.count,
            "waiting_packets": self.intake.waiting,
            "behind_s": round(behind, 1),
            "memory_mb": round(memory_mb(), 1),
            "open_files": open_files(),
            "hooks": {
                "done": self.hooks.n_done,
                "failed": self.hooks.n_failed,
                "dropped": self.hooks.n_dropped,
            },
            "sources": self.intake.about(),
            "stages": self.meter.table(),
        }

    def _station_states(self) -> dict[str, Any]:
        states: dict[str, Any] = {}
        now = time.time_ns()
        for station in self.desk.spool.stations():
            channels = self.desk.spool.of_station(station)
            last = max(c.end_ns for c in channels)
            signals = self.receiver.signals
            levels = [signals[c.code].rms for c in channels if c.code in signals]
            states[station] = {
                "last_data_ns": last,
                "latency_s": round((self.clock.now_ns - last) / NS_PER_S, 2),
                "n_gaps": sum(c.n_gaps for c in channels),
                "gap_s": round(sum(c.gap_s for c in channels), 3),
                "noise": round(max(levels), 6) if levels else None,
                "noise_unit": "counts rms",
                "updated_ns": now,
            }
        return states


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(float(value)) else None
