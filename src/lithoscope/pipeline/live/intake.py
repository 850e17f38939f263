"""From sources to one bounded queue: a thread a source, a clock of the network, a watchdog."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lithoscope.constants import NS_PER_S
from lithoscope.errors import LithoscopeError
from lithoscope.pipeline.live.health import steady_memory
from lithoscope.pipeline.live.sources import PacketSource
from lithoscope.waveforms.seedlink import Packet

_RETRY_S = (1.0, 60.0)
_PACE_S = 3.0


class NetworkClock:
    """Time up to which the network has sent data, whatever a few clocks of stations say.

    It is the k-th newest end of the stations' data, k a quarter of them, two at least where there
    are three or more; it never goes back. So neither stations that stopped nor a clock that is
    ahead moves it.
    """

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns
        self.ends: dict[str, int] = {}

    def see(self, station: str, end_ns: int) -> None:
        """Take note of the newest sample of a station."""
        if end_ns <= self.ends.get(station, 0):
            return
        self.ends[station] = end_ns
        if end_ns > self.now_ns:
            n = len(self.ends)
            k = max(2, math.ceil(n / 4)) if n >= 3 else 1
            self.now_ns = max(self.now_ns, sorted(self.ends.values())[-k])


class Pace:
    """How many seconds of data come in each second of the last few, or of the last turn."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque()

    def at(self, clock_ns: int) -> float:
        """Return the pace when the data have come to a time."""
        steps, now = self._steps, time.monotonic()
        while len(steps) > 1 and steps[1][0] < now - _PACE_S:
            steps.popleft()
        steps.append((now, clock_ns))
        seconds = now - steps[0][0]
        return (clock_ns - steps[0][1]) / NS_PER_S / seconds if seconds > 0 else 0.0


@dataclass
class SourceHealth:
    """What is known of one source."""

    name: str
    n_packets: int = 0
    last_packet: float = field(default_factory=time.monotonic)
    last_tick: float = field(default_factory=time.monotonic)
    blocked_s: float = 0.0
    ended: bool = False
    error: str = ""
    n_restarts: int = 0


@dataclass(frozen=True)
class Item:
    """A packet on its way: number of its source, what to remember of it, when it came."""

    source: int
    packet: Packet
    mark: tuple[str, int]
    came: float


class Intake:
    """Reads all sources at once into a queue of bounded length.

    A source that fails is begun again after a growing pause; one whose thread died, too.

    Parameters
    ----------
    sources
        To read; `resume` has been called.
    size
        Packets that wait at most; sources are held beyond it.
    """

    def __init__(self, sources: Sequence[PacketSource], size: int) -> None:
        self.sources = list(sources)
        self.health = [SourceHealth(s.name) for s in sources]
        self.clock = NetworkClock()
        self._queue: queue.Queue[Item] = queue.Queue(size)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        steady_memory()  # before there are threads, each with a place of its own for its memory
        self._threads = [self._thread(i) for i in range(len(self.sources))]
        for thread in self._threads:
            thread.start()

    def _thread(self, number: int) -> threading.Thread:
        name = f"source {self.sources[number].name}"
        return threading.Thread(target=self._read, args=(number,), name=name, daemon=True)

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    @property
    def done(self) -> bool:
        """Whether every source has ended and nothing waits."""
        return all(h.ended for h in self.health) and self._queue.empty()

    def take(self, most: int, timeout_s: float) -> list[Item]:
        """Return packets that came, waiting for the first one."""
        items: list[Item] = []
        try:
            items.append(self._queue.get(timeout=timeout_s))
            while len(items) < most:
                items.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return items

    def watch(self, silent_s: float) -> list[str]:
        """Return one line for each source that is silent or dead; begin dead ones again."""
        found = []
        now = time.monotonic()
        for number, health in enumerate(self.health):
            if health.ended or self._stop.is_set():
                continue
            if self._threads and not self._threads[number].is_alive():
                found.append(f"source {health.name}: its reader died; begun again")
                health.n_restarts += 1
                self._threads[number] = self._thread(number)
                self._threads[number].start()
            elif now - health.last_packet > silent_s:
                hangs = now - health.last_tick > silent_s
                what = "hangs" if hangs else "no packet"
                error = f" ({health.error})" if health.error else ""
                found.append(
                    f"source {health.name}: {what} for {now - health.last_packet:.0f} s{error}"
                )
        return found

    def about(self) -> list[dict[str, Any]]:
        """Return the state of each source for people."""
        now = time.monotonic()
        return [
            {
                "source": h.name,
                "n_packets": h.n_packets,
                "silent_s": round(now - h.last_packet, 1),
                "blocked_s": round(h.blocked_s, 1),
                "n_restarts": h.n_restarts,
                "error": h.error,
                **{k: str(v) for k, v in source.about().items() if k != "n_packets"},
            }
            for h, source in zip(self.health, self.sources, strict=True)
        ]

    def stop(self, timeout_s: float = 5.0) -> None:
        """End all sources; what waits stays in the queue."""
        self._stop.set()
        for source in self.sources:
            source.close()
        for thread in self._threads:
            thread.join(timeout_s)

    def _read(self, number: int) -> None:
        source, health = self.sources[number], self.health[number]
        pause = _RETRY_S[0]
        while not self._stop.is_set():
            try:
                for packet in source:
                    health.last_tick = time.monotonic()
                    if packet is not None:
                        health.error = ""
                        pause = _RETRY_S[0]
                        self._put(number, packet)
                    if self._stop.is_set():
                        return
                health.ended = True
                return
            except (LithoscopeError, OSError) as error:
                health.error = str(error)
                health.n_restarts += 1
                self._stop.wait(pause)
                pause = min(2 * pause, _RETRY_S[1])

    def _put(self, number: int, packet: Packet) -> None:
        health = self.health[number]
        item = Item(number, packet, self.sources[number].mark(), time.monotonic())
        health.n_packets += 1
        health.last_packet = item.came
        with self._lock:
            self.clock.see(packet.code[:-1], packet.endtime_ns)
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.5)
                return
            except queue.Full:
                health.last_tick = time.monotonic()
                health.blocked_s += 0.5
