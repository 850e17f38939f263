"""How a watch is doing: latencies of its stages, stations, sources, problems."""

from __future__ import annotations

import ctypes
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from numba import njit
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.schema import PROBLEMS
from lithoscope.waveforms.seedlink import Packet

_KEPT = 2000
# Of the running averages of noise and of steps, s of data. That of steps is short, so that the coda
# of an event is no onset.
_MEMORY_S = 60.0
_STEP_MEMORY_S = 10.0
# Mean step of a quarter of a second over the running mean that counts as an onset. In a swarm 88 %
# of the P of events are seen so, and a quarter of the seconds (71 and 13 % with 2.0 and 0.5 s).
_ONSET = 1.6
_BLOCK_S = 0.25
# The same problem of the same thing is reported once in this time (s of data).
_AGAIN_NS = 3600 * NS_PER_S
# Of mallopt (malloc.h), and what is large.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE_BYTES = 1 << 16


class Meter:
    """The latest latencies of each stage, s."""

    def __init__(self) -> None:
        self._values: dict[str, NDArray[np.float64]] = {}
        self.counts: dict[str, int] = {}

    def add(self, stage: str, seconds: float) -> None:
        if stage not in self._values:
            self._values[stage] = np.empty(_KEPT)
            self.counts[stage] = 0
        self._values[stage][self.counts[stage] % _KEPT] = seconds
        self.counts[stage] += 1

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.add(stage, time.monotonic() - started)

    def table(self) -> dict[str, dict[str, float]]:
        """Return number, median, 95th percentile and largest of the latest values by stage."""
        out = {}
        for stage, values in self._values.items():
            found = values[: self.counts[stage]]
            out[stage] = {
                "n": self.counts[stage],
                "latency_s": round(float(np.median(found)), 4),
                "p95_latency_s": round(float(np.quantile(found, 0.95)), 4),
                "max_latency_s": round(float(found.max()), 4),
            }
        return out


@njit(cache=True, nogil=True)
def _levels(samples: NDArray[np.float64], block: int) -> tuple[float, float, float]:
    """Return largest and mean of the mean steps of blocks, and the deviation of the samples."""
    n = samples.size
    largest = total = 0.0
    blocks = 0
    for start in range(0, n - 1, block):
        stop = min(start + block, n - 1)
        steps = 0.0
        for i in range(start, stop):
            steps += abs(samples[i + 1] - samples[i])
        steps /= stop - start
        largest = max(largest, steps)
        total += steps
        blocks += 1
    middle = samples.sum() / n
    square = 0.0
    for value in samples:
        square += (value - middle) ** 2
    return largest, total / blocks, math.sqrt(square / n)


@dataclass
class ChannelSignal:
    """Running level of a channel, to see noise and onsets cheaply."""

    step: float = 0.0
    rms: float = 0.0
    seen_s: float = 0.0

    def add(self, packets: Sequence[Packet]) -> bool:
        """Take packets in that follow each other; return whether an onset may be in them."""
        samples = np.concatenate([p.samples for p in packets], dtype=np.float64)
        rate_hz = packets[-1].sampling_rate_hz
        if samples.size < 2:
            return False
        duration = samples.size / rate_hz
        largest, mean, rms = _levels(samples, max(int(_BLOCK_S * rate_hz), 1))
        onset = self.seen_s > 5.0 and largest > _ONSET * self.step
        for name, memory_s, value in (
            ("step", _STEP_MEMORY_S, mean),
            ("rms", _MEMORY_S, rms),
        ):
            before = getattr(self, name)
            weight = duration / (min(self.seen_s, memory_s) + duration)
            setattr(self, name, before + weight * (value - before))
        self.seen_s += duration
        return onset


@dataclass
class Problems:
    """PROBLEMS to be stored, the same ones not over and over."""

    rows: list[pd.DataFrame] = field(default_factory=list)
    count: int = 0
    _said: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, table: pd.DataFrame, clock_ns: int) -> pd.DataFrame:
        """Take in what has not been said for an hour; return it."""
        if table.empty:
            return table
        keys = list(zip(table["what"], table["problem"], strict=True))
        fresh = [clock_ns - self._said.get(k, -_AGAIN_NS) >= _AGAIN_NS for k in keys]
        for key, new in zip(keys, fresh, strict=True):
            if new:
                self._said[key] = clock_ns
        if len(self._said) > 10_000:
            self._said = {k: t for k, t in self._said.items() if clock_ns - t < _AGAIN_NS}
        some = table[fresh].drop_duplicates(["what", "problem"])
        if len(some):
            self.rows.append(PROBLEMS.check(some))
            self.count += len(some)
        return some

    def say(self, what: str, problem: str, detail: str, action: str, clock_ns: int) -> bool:
        """Take in one problem; return whether it is news."""
        row = {"what": what, "problem": problem, "detail": detail, "action": action}
        moment = pd.Timestamp(clock_ns, tz="UTC") if clock_ns else pd.NaT
        return bool(
            len(
                self.add(
                    PROBLEMS.table([{**row, "starttime": moment, "endtime": moment}]), clock_ns
                )
            )
        )

    def take(self) -> list[pd.DataFrame]:
        """Return and forget what is to be stored."""
        rows, self.rows = self.rows, []
        return rows


def steady_memory() -> None:
    """Have the C library keep large arrays apart from small things, where it can (glibc).

    By default it learns from the first arrays that are freed to put those of up to 32 MB among the
    small things, and has such a place for each thread; what stays then holds much that is gone.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        library.mallopt(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Let free memory go back to the system, where the C library can do so (glibc).

    Tables of all sizes come and go; without this their holes add up for days.
    """
    pyarrow.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def memory_mb() -> float:
    """Return the resident memory of this process, MB; NaN where /proc does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6
    except OSError:
        return float("nan")


def open_files() -> int:
    """Return the number of open files of this process; -1 where /proc does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return -1


def status_line(health: dict[str, Any]) -> str:
    """Return the state in one line for a terminal."""
    first = health["stages"].get("first location (data)")
    latency = f", first location {first['latency_s']:.1f} s after the 4th P" if first else ""
    behind = f", {health['behind_s']:.0f} s behind" if health["behind_s"] >= 1 else ""
    return (
        f"{health['clock']}: {health['n_stations']} stations, {health['n_picks']} picks, "
        f"{health['n_events']} events{behind}{latency}, {health['memory_mb']:.0f} MB"
    )
