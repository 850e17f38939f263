"""Serve an archive over SeedLink at the pace at which it was recorded, or faster."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError, LithoscopeError
from lithoscope.pipeline.replay.faults import Faults, FaultSettings
from lithoscope.settings import Settings
from lithoscope.waveforms import Archive, WaveformSettings, index_archive
from lithoscope.waveforms.seedlink import Cut, SeedLinkServer, ServerLimits
from lithoscope.waveforms.seedlink.cutting import ArchiveCutter
from lithoscope.waveforms.seedlink.records import shifted

_BATCH = 500  # packets handed over at once by the thread that reads and cuts
_BATCHES_AHEAD = 8
_CHECK_EVERY = 200  # packets between two looks at how far clients are, without a clock
_LOSSLESS_PART = 0.5  # of the ring that a client may lag behind in a replay without a clock


class ReplaySettings(Settings):
    """How an archive is replayed."""

    host: str = Field(default="127.0.0.1", description="address to listen at; 0.0.0.0 for all")
    port: int = Field(default=18000, ge=0, le=65535, description="port; 0 takes a free one")
    speed: float = Field(
        default=1.0,
        ge=0,
        description="times real time; 0 as fast as the slowest connected client takes it",
    )
    start: datetime | None = Field(default=None, description="first data time (UTC); all if unset")
    end: datetime | None = Field(default=None, description="end of the data time (UTC)")
    packet_s: float | None = Field(
        default=1.0, gt=0, description="longest packet; unset fills each record of 512 bytes"
    )
    wait_for_clients: int = Field(
        default=0, ge=0, description="begin only when so many clients have asked for data"
    )
    shift_to_now: bool = Field(
        default=False, description="shift all times by whole seconds so that the data begin now"
    )
    ring_mb: float = Field(default=64.0, gt=0, description="memory for packets kept for clients")
    faults: FaultSettings = FaultSettings()


@dataclass
class ReplayReport:
    """What a replay did.

    Attributes
    ----------
    n_packets, n_sent
        Packets cut from the archive; packets put before the clients (faults make the difference).
    n_samples
        Samples in the packets cut.
    channels
        How many channels.
    starttime, endtime
        First and last sample replayed, ISO 8601, as recorded.
    shift_s
        What was added to all times.
    speed, wall_s
        Speed asked for; time from the first to the last packet.
    late_s
        Longest time by which a packet came after its due time (0 without a clock).
    n_connections
        Connections of clients during the replay.
    faults
        Number of each kind of fault.
    events
        The faults themselves (the first 100,000), with channel or station and time as recorded.
    problems
        Files and channels left out.
    """

    n_packets: int = 0
    n_sent: int = 0
    n_samples: int = 0
    channels: int = 0
    starttime: str = ""
    endtime: str = ""
    shift_s: float = 0.0
    speed: float = 1.0
    wall_s: float = 0.0
    late_s: float = 0.0
    n_connections: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


class Replay:
    """A SeedLink server that replays an archive, from `start` on in threads of its own.

    Parameters
    ----------
    source
        An archive, or folders and files to index.
    settings
        Pace, place, packets and faults.
    waveforms
        Channels to use, when ``source`` is to be indexed.

    Raises
    ------
    ConfigError
        If the address is in use, the time asked for holds no data, or times are to be shifted
        to now at a speed that would outrun the clock.
    DataError
        If there are no data.
    """

    def __init__(
        self,
        source: Archive | Path | str | Sequence[Path | str],
        settings: ReplaySettings | None = None,
        waveforms: WaveformSettings | None = None,
    ) -> None:
        self.settings = s = settings or ReplaySettings()
        if s.shift_to_now and not 0 < s.speed <= 1:
            raise ConfigError(
                f"speed {s.speed:g} with shift_to_now: the data would outrun the clock; use speed 1"
            )
        archive = source if isinstance(source, Archive) else index_archive(source, waveforms)
        self.cutter = ArchiveCutter(
            archive, start_ns=_ns(s.start), end_ns=_ns(s.end), packet_s=s.packet_s
        )
        self.server = SeedLinkServer(
            s.host,
            s.port,
            organization="Lithoscope replay",
            limits=ServerLimits(ring_mb=s.ring_mb),
        )
        self._faults = Faults(s.faults, self.cutter.start_ns)
        self._report = ReplayReport(
            channels=len(self.cutter.channels),
            starttime=_iso(self.cutter.start_ns),
            endtime=_iso(self.cutter.end_ns),
            speed=s.speed,
        )
        self._stop = threading.Event()
        self._done = threading.Event()
        self._failure: LithoscopeError | OSError | None = None
        self._position_ns = self.cutter.start_ns
        self._until_check = 0
        self._ready: queue.Queue[list[Cut] | None] = queue.Queue(_BATCHES_AHEAD)
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """Port that is served."""
        return self.server.port

    @property
    def url(self) -> str:
        """``seedlink://HOST:PORT``."""
        return self.server.url

    @property
    def position_ns(self) -> int:
        """Data time (as recorded) that the replay has come to."""
        return self._position_ns

    def start(self) -> Replay:
        """Listen, and begin (when as many clients are there as settings say)."""
        self.server.start()
        for target in (self._cut, self._feed):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def close(self) -> None:
        """Stop at once and close all connections."""
        self._stop.set()
        self.server.moved()
        for thread in self._threads:
            thread.join()
        self.server.close()

    def __enter__(self) -> Replay:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the last packet is put before the clients; return whether it is.

        Raises
        ------
        LithoscopeError
            If the replay ended before, with the reason.
        """
        done = self._done.wait(timeout)
        if self._failure is not None:
            raise self._failure
        return done

    def delivered(self, timeout: float | None = None) -> bool:
        """Wait until the last packet has been sent to every connected client, as `wait`."""
        begin = time.monotonic()
        if not self.wait(timeout):
            return False
        left = None if timeout is None else max(timeout - (time.monotonic() - begin), 0.0)
        return self.server.wait_backlog(0, left)

    def run_on(self) -> None:
        """Keep serving what the ring holds until `close` (or an interrupt)."""
        self._stop.wait()

    def report(self) -> ReplayReport:
        """Return what was done so far."""
        report = self._report
        report.n_connections = self.server.n_connections
        report.faults = dict(sorted(self._faults.log.counts.items()))
        report.events = list(self._faults.log.events)
        report.problems = list(self.cutter.problems)
        return report

    def _cut(self) -> None:
        """Read and cut ahead of time (first thread)."""
        try:
            cuts = iter(self.cutter)
            while not self._stop.is_set() and (batch := list(itertools.islice(cuts, _BATCH))):
                self._hand_over(batch)
        except (LithoscopeError, OSError) as error:
            self._failure = error
        self._hand_over(None)

    def _hand_over(self, batch: list[Cut] | None) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(batch, timeout=0.2)
                return
            except queue.Full:
                continue

    def _cuts(self) -> Iterator[Cut]:
        while not self._stop.is_set():
            try:
                batch = self._ready.get(timeout=0.2)
            except queue.Empty:
                continue
            if batch is None:
                return
            for cut in batch:
                self._report.n_packets += 1
                self._report.n_samples += cut.n_samples
                yield cut

    def _feed(self) -> None:
        """Put packets before the clients when they are due (second thread)."""
        settings, server, report = self.settings, self.server, self._report
        while not self._stop.is_set() and not server.wait_for_clients(
            settings.wait_for_clients, timeout=0.2
        ):
            continue
        deliveries = self._faults.deliveries(self._cuts())
        ready = list(itertools.islice(deliveries, 1))  # the clock starts when data are there
        begin = time.monotonic()
        first_ns = self.cutter.start_ns
        if settings.shift_to_now:
            report.shift_s = float(round(time.time() - first_ns / NS_PER_S))
        shift_ns = round(report.shift_s * NS_PER_S)
        for delivery in itertools.chain(ready, deliveries):
            if not self._await(delivery.due_ns, begin, first_ns):
                return
            self._position_ns = delivery.due_ns
            if delivery.cut is None:
                server.disconnect()
                self._until_check = 0
                continue
            server.send(shifted(delivery.cut, shift_ns) if shift_ns else delivery.cut)
            report.n_sent += 1
        report.wall_s = round(time.monotonic() - begin, 3)
        if not self._stop.is_set():
            self._done.set()

    def _await(self, due_ns: int, begin: float, first_ns: int) -> bool:
        """Wait until a packet is due; return False if the replay is to stop."""
        if self.settings.speed > 0:
            target = begin + (due_ns - first_ns) / (NS_PER_S * self.settings.speed)
            left = target - time.monotonic()
            if left > 0:
                return not self._stop.wait(left)
            self._report.late_s = max(self._report.late_s, round(-left, 3))
            return not self._stop.is_set()
        self._until_check -= 1
        if self._until_check < 0:
            self._until_check = _CHECK_EVERY
            # Cut connections come back: nothing may leave the ring before they do.
            room = int(self.server.ring.max_bytes * _LOSSLESS_PART / 1024)
            while not self._stop.is_set() and not (
                self.server.wait_for_clients(self.settings.wait_for_clients, timeout=0.2)
                and self.server.wait_backlog(room, timeout=0.2)
            ):
                continue
        return not self._stop.is_set()


def _ns(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(pd.Timestamp(aware).value)


def _iso(time_ns: int) -> str:
    return pd.Timestamp(time_ns, tz="UTC").isoformat().replace("+00:00", "Z")
