"""When and where stations are picked: at the edge in memory, behind it as a run does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.aside import Aside
from lithoscope.pipeline.live.health import Meter
from lithoscope.pipeline.live.network import Network
from lithoscope.pipeline.live.picks import (
    PickBoard,
    Read,
    Reading,
    Repicked,
    read_elsewhere,
)
from lithoscope.pipeline.live.settings import LiveSettings
from lithoscope.pipeline.live.spool import Spool

# A station is read as a run reads it after so much new data (s), sooner if there is time.
_READ_S, _READ_IDLE_S = 240.0, 60.0
# A component whose data end so much earlier than the others' (s) is not waited for.
_LAG_S = 8.0
# Stations whose reading beside is taken in in one turn while data wait.
_READ_AT_ONCE = 2
# A station without an onset is picked after so much new data (s) while no data wait.
_CALM_S = 1.0


class Picking:
    """Picks the stations of a spool as data come.

    Parameters
    ----------
    spool, network, board, meter
        What it works with.
    aside
        Where stations are read while data wait.
    live
        Settings.
    changed
        Called with what picking changed.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        network: Network,
        board: PickBoard,
        aside: Aside,
        meter: Meter,
        live: LiveSettings,
        changed: Callable[[Repicked], None],
    ) -> None:
        self.spool = spool
        self.network = network
        self.board = board
        self.aside = aside
        self.meter = meter
        self.live = live
        self._changed = changed
        self._reading: tuple[list[Reading], Future[list[Read]], float] | None = None
        self._read: list[tuple[Reading, Read]] = []

    def edge_ns(self, station: str) -> int:
        """Return until when the components of a station have data; one that lags long is left."""
        ends = [c.end_ns for c in self.spool.of_station(station)]
        newest = max(ends)
        return min(e for e in ends if newest - e <= _LAG_S * NS_PER_S)

    def due(self, onsets: set[str], *, idle: bool, hurry: bool) -> list[str]:
        """Return the stations to pick now: those with an onset first, then the longest waiting.

        Parameters
        ----------
        onsets
            Stations that show one.
        idle, hurry
            Whether nothing came in this turn, and whether data wait.
        """
        waiting = []
        enough_s = 0.0 if idle else self.live.lazy_s if hurry else min(self.live.lazy_s, _CALM_S)
        for station in self.network.picked:
            if station not in self.board.stations:
                continue
            seconds = self.board.unseen_s(station, self.edge_ns(station))
            if seconds <= 0:
                continue
            urgent = station in onsets
            if urgent or seconds >= enough_s:
                waiting.append((not urgent, -seconds, station))
        return [station for _, _, station in sorted(waiting)]

    # At the edge of the data

    def look(self, stations: Sequence[str]) -> list[str]:
        """Pick stations in memory up to the edge of their data; return those that must be read."""
        parts, left = [], []
        for station in stations:
            part = self.board.part(station, self.edge_ns(station), self.network.channels(station))
            if part is None:
                left.append(station)
            else:
                parts.append(part)
        began = time.monotonic()
        for part, found in zip(parts, self.board.glance(parts), strict=True):
            before = self.board.stations[part.station].seen_ns
            done = self.board.see(part, found)
            self.meter.add("pick", (time.monotonic() - began) / len(parts))
            if done.changed_ns is not None:
                self._changed(done)
                self._measure(part.station, part.edge_ns, before)
        return left

    def _measure(self, station: str, edge_ns: int, before_ns: int) -> None:
        for time_ns, _, _ in self.board.stations[station].since(before_ns - 2 * NS_PER_S):
            self.meter.add("pick after onset (data)", (edge_ns - time_ns) / NS_PER_S)

    # Behind it

    def pick(self, station: str) -> None:
        """Pick one station from the spool up to the edge of its data."""
        edge, before = self.edge_ns(station), self.board.stations[station].seen_ns
        if self.read_to(station, edge).changed_ns is not None:
            self._measure(station, edge, before)

    def unread(self, *, idle: bool) -> list[str]:
        """Return the stations whose data are to be read as a run reads them, longest wait first."""
        if self._reading is not None or self._read:
            return []
        least = _READ_IDLE_S if idle else _READ_S
        waiting = [
            (self.board.unread_s(s, self.edge_ns(s)), s)
            for s in self.network.picked
            if s in self.board.stations
        ]
        return [s for seconds, s in sorted(waiting, reverse=True) if seconds >= least]

    def read(self, stations: list[str], *, hurry: bool) -> None:
        """Pick stations as a run would: the first one now, or all beside, while data wait."""
        if not (hurry and self.aside.apart):
            self.read_to(stations[0], self.edge_ns(stations[0]))
            return
        parts = [
            self.board.reading(s, self.spool, self.edge_ns(s), self.network.channels(s))
            for s in stations
        ]
        settings = self.network.settings.picking
        self._reading = parts, self.aside.submit(read_elsewhere, settings, parts), time.monotonic()

    def end_reading(self, *, hurry: bool) -> None:
        """Take in what has been read beside the picking; of few stations at a time in a hurry."""
        if self._reading is not None and self._reading[1].done():
            (parts, answer, begun), self._reading = self._reading, None
            read = self.aside.result(answer)
            self._read = list(zip(parts, read, strict=True))
            self.meter.add("read and pick beside", (time.monotonic() - begun) / len(parts))
        n = _READ_AT_ONCE if hurry else len(self._read)
        some, self._read = self._read[:n], self._read[n:]
        for part, found in some:
            done = self.board.take(part, found)
            if done is None:  # it could be so each time, where a component lags
                self.read_to(part.station, self.edge_ns(part.station))
            else:
                self._changed(done)

    def read_to(self, station: str, edge_ns: int) -> Repicked:
        """Pick what is not final of a station up to a time, as a run would."""
        with self.meter.time("read and pick"):
            done = self.board.pick(station, self.spool, edge_ns, self.network.channels(station))
        self._changed(done)
        return done

    def finish(self) -> None:
        """Read all that is there: no data follow."""
        self._reading, self._read = None, []
        for station in self.network.picked:
            while station in self.board.stations and self.board.unread_s(
                station, last := max(c.end_ns for c in self.spool.of_station(station))
            ):
                self.read_to(station, last)
        self.board.settle()
