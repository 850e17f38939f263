"""Faults of a network, drawn from a seed: what happens to each packet on its way."""

from __future__ import annotations

import heapq
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from lithoscope.constants import NS_PER_S
from lithoscope.settings import Settings
from lithoscope.waveforms.seedlink import Cut, decode, encode_records
from lithoscope.waveforms.seedlink.records import shifted

_HOUR_NS = 3600 * NS_PER_S
_KEPT_EVENTS = 100_000
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class FaultSettings(Settings):
    """Which faults, how often, how large. All are off by default."""

    seed: int = Field(default=0, ge=0, description="the same seed gives the same faults")
    drop: Probability = Field(default=0.0, description="part of the packets that is lost")
    delay: Probability = Field(default=0.0, description="part of the packets that comes late")
    delay_s: float = Field(
        default=20.0, gt=0, description="longest delay of a late packet, in data time"
    )
    reorder: Probability = Field(
        default=0.0,
        description="part of the packets that comes after the next one of its channel",
    )
    duplicate: Probability = Field(
        default=0.0, description="part of the packets that comes a second time"
    )
    disconnect_per_hour: float = Field(
        default=0.0, ge=0, description="times an hour of data at which all connections are cut"
    )
    gap_per_hour: float = Field(
        default=0.0, ge=0, description="times an hour at which a station's data are missing"
    )
    gap_s: float = Field(default=30.0, gt=0, description="length of such a gap")
    spike: Probability = Field(default=0.0, description="part of the packets with one false sample")
    spike_counts: float = Field(
        default=1e6, gt=0, description="what is added to or taken from the false sample"
    )
    clock_step_per_hour: float = Field(
        default=0.0, ge=0, description="times an hour at which a station's clock jumps"
    )
    clock_step_s: float = Field(default=2.0, gt=0, description="size of the jump, either way")
    clock_step_duration_s: float = Field(
        default=300.0, gt=0, description="time after which the clock jumps back"
    )


@dataclass
class FaultLog:
    """What was done: counts of packets by fault, and the first 100,000 events with their times."""

    counts: Counter[str] = field(default_factory=Counter)
    events: list[dict[str, Any]] = field(default_factory=list)

    def note(self, fault: str, what: str, time_ns: int, **details: float) -> None:
        """Count a fault and keep its event."""
        self.counts[fault] += 1
        if len(self.events) < _KEPT_EVENTS:
            text = pd.Timestamp(time_ns, tz="UTC").isoformat().replace("+00:00", "Z")
            self.events.append({"fault": fault, "what": what, "time": text, **details})


@dataclass(frozen=True, slots=True)
class Delivery:
    """What happens next at the server, at a data time: a packet comes, or (None) all is cut."""

    due_ns: int
    cut: Cut | None


class _Episodes:
    """Times at which something begins, and how long it lasts, drawn as time goes on."""

    def __init__(self, key: tuple[int, ...], start_ns: int, per_hour: float, length_s: float):
        self._rng = np.random.default_rng(key)
        self._mean_ns = _HOUR_NS / per_hour
        self._length_ns = int(length_s * NS_PER_S)
        self._begin = start_ns + self._draw()
        self._last = (0, -1, 0.0)

    def _draw(self) -> int:
        return int(self._rng.exponential(self._mean_ns))

    def at(self, start_ns: int, end_ns: int) -> tuple[int, int, float] | None:
        """Return the newest episode (begin, end, sign) that meets a time span, None without one."""
        while self._begin <= end_ns:
            sign = 1.0 if self._rng.random() < 0.5 else -1.0
            self._last = (self._begin, self._begin + self._length_ns, sign)
            self._begin += self._length_ns + self._draw()
        return self._last if self._last[1] > start_ns and self._last[0] <= end_ns else None


class Faults:
    """Turn the packets of an archive into what arrives at the server.

    Each kind of fault draws from its own generator (and each station from its own where a fault
    befalls a station), so that switching one on does not change the others. A packet's time of
    delivery is that of its last sample plus its delay.
    """

    def __init__(self, settings: FaultSettings, start_ns: int) -> None:
        self.settings = settings
        self.log = FaultLog()
        self._start_ns = start_ns
        self._rng = {
            name: np.random.default_rng((settings.seed, number))
            for number, name in enumerate(("drop", "delay", "reorder", "duplicate", "spike"))
        }
        self._gaps: dict[str, _Episodes] = {}
        self._clocks: dict[str, _Episodes] = {}
        self._noted: set[tuple[str, str, int]] = set()

    def deliveries(self, cuts: Iterable[Cut]) -> Iterator[Delivery]:
        """Yield what happens, in order of time; ``cuts`` come in order of their last sample."""
        heap: list[tuple[int, int, Delivery]] = []
        held: dict[str, list[Cut]] = {}  # reordered packets wait for the next of their channel
        n = 0
        cutting = self._disconnects()
        next_cut_ns = next(cutting, None)
        now_ns = self._start_ns
        for cut in cuts:
            now_ns = cut.endtime_ns
            while next_cut_ns is not None and next_cut_ns <= now_ns:
                n += 1
                heapq.heappush(heap, (next_cut_ns, n, Delivery(next_cut_ns, None)))
                next_cut_ns = next(cutting)
            for due_ns, packet in self._arrivals(cut, held):
                n += 1
                heapq.heappush(heap, (due_ns, n, Delivery(due_ns, packet)))
            while heap and heap[0][0] <= now_ns:
                yield self._passed(heapq.heappop(heap)[-1])
        for waiting in held.values():
            for packet in waiting:
                n += 1
                heapq.heappush(heap, (now_ns, n, Delivery(now_ns, packet)))
        while heap:
            yield self._passed(heapq.heappop(heap)[-1])

    def _passed(self, delivery: Delivery) -> Delivery:
        if delivery.cut is None:
            self.log.note("disconnect", "all clients", delivery.due_ns)
        return delivery

    def _arrivals(self, cut: Cut, held: dict[str, list[Cut]]) -> list[tuple[int, Cut]]:
        """Return when and as what a packet arrives; a held one of its channel comes after it."""
        settings, due_ns = self.settings, cut.endtime_ns
        if self._hits("drop", settings.drop):
            self.log.note("drop", cut.code, cut.starttime_ns)
            return []
        if self._in_gap(cut):
            return []
        packets = self._spiked(self._clocked(cut))
        if self._hits("reorder", settings.reorder):
            self.log.note("reorder", cut.code, cut.starttime_ns)
            held.setdefault(cut.code, []).extend(packets)
            return []
        arrivals = [(due_ns, packet) for packet in packets]
        if self._hits("delay", settings.delay):
            delay_s = float(self._rng["delay"].uniform(0.0, settings.delay_s))
            self.log.note("delay", cut.code, cut.starttime_ns, delay_s=round(delay_s, 3))
            arrivals = [(due_ns + int(delay_s * NS_PER_S), packet) for packet in packets]
        if self._hits("duplicate", settings.duplicate):
            later_s = float(self._rng["duplicate"].uniform(0.0, settings.delay_s))
            self.log.note("duplicate", cut.code, cut.starttime_ns, after_s=round(later_s, 3))
            arrivals += [(due + int(later_s * NS_PER_S), packet) for due, packet in arrivals]
        return arrivals + [(due_ns, packet) for packet in held.pop(cut.code, [])]

    def _hits(self, fault: str, probability: float) -> bool:
        return probability > 0 and float(self._rng[fault].random()) < probability

    def _episodes(
        self, kept: dict[str, _Episodes], kind: int, station: str, rate: float, length_s: float
    ) -> _Episodes:
        if station not in kept:
            key = (self.settings.seed, kind, zlib.crc32(station.encode()))
            kept[station] = _Episodes(key, self._start_ns, rate, length_s)
        return kept[station]

    def _in_gap(self, cut: Cut) -> bool:
        """Tell whether a packet falls into a gap of its station: any part of it is enough."""
        s = self.settings
        if not s.gap_per_hour:
            return False
        episodes = self._episodes(self._gaps, 10, cut.station_id, s.gap_per_hour, s.gap_s)
        gap = episodes.at(cut.starttime_ns, cut.endtime_ns)
        if gap is None:
            return False
        self._note_once("gap", cut.station_id, gap[0], length_s=s.gap_s)
        self.log.counts["packets in gaps"] += 1
        return True

    def _clocked(self, cut: Cut) -> Cut:
        s = self.settings
        if not s.clock_step_per_hour:
            return cut
        episodes = self._episodes(
            *(self._clocks, 11, cut.station_id, s.clock_step_per_hour, s.clock_step_duration_s)
        )
        step = episodes.at(cut.starttime_ns, cut.starttime_ns)
        if step is None:
            return cut
        shift_s = step[2] * s.clock_step_s
        self._note_once("clock step", cut.station_id, step[0], step_s=shift_s)
        self.log.counts["packets with a wrong clock"] += 1
        return shifted(cut, round(shift_s * NS_PER_S))

    def _note_once(self, fault: str, station: str, begin_ns: int, **details: float) -> None:
        key = (fault, station, begin_ns)
        if key not in self._noted:
            self._noted.add(key)
            self.log.note(fault, station, begin_ns, **details)

    def _spiked(self, cut: Cut) -> list[Cut]:
        """Put a false sample into a packet, which may then need two records."""
        if not self._hits("spike", self.settings.spike):
            return [cut]
        rng = self._rng["spike"]
        samples = decode(cut.raw).samples.copy()
        place = int(rng.integers(samples.size))
        size = self.settings.spike_counts * (1.0 if rng.random() < 0.5 else -1.0)
        value = float(samples[place]) + size
        if samples.dtype == np.int32:
            value = min(max(value, -(2.0**31)), 2.0**31 - 1)
        samples[place] = value
        self.log.note("spike", cut.code, cut.starttime_ns, sample=place, counts=size)
        return list(encode_records(cut.codes, cut.starttime_ns, cut.sampling_rate_hz, samples))

    def _disconnects(self) -> Iterator[int]:
        per_hour = self.settings.disconnect_per_hour
        if not per_hour:
            return
        rng = np.random.default_rng((self.settings.seed, 12))
        time_ns = self._start_ns
        while True:
            time_ns += int(rng.exponential(_HOUR_NS / per_hour))
            yield time_ns
