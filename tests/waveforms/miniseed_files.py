"""Synthetic waveform files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from obspy import Stream, Trace, UTCDateTime

START_NS = 1_577_836_800_000_000_000  # 2020-01-01


def make_trace(channel: str, values: np.ndarray, *, start_ns: int = START_NS, rate_hz=100.0):
    network, station, location, code = channel.split(".")
    header = {
        "network": network,
        "station": station,
        "location": location,
        "channel": code,
        "starttime": UTCDateTime(ns=int(start_ns)),
        "sampling_rate": rate_hz,
    }
    return Trace(np.ascontiguousarray(values), header)


def save(path: Path, traces: list[Trace], **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Stream(traces).write(str(path), format="MSEED", **options)
    return path


def noise(n: int, seed: int = 0, size: float = 1000.0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).normal(0.0, size, n)).astype(np.int32)
