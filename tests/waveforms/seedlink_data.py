"""Packets to serve in tests."""

from __future__ import annotations

import numpy as np

from lithoscope.waveforms.seedlink import Cut, encode_records

START_NS = 1_562_259_600_000_000_000  # 2019-07-04T17:00:00
RATE_HZ = 100.0


def walk(seed: int, n: int, step: float = 50.0) -> np.ndarray:
    """Return a random walk of integers."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(0, step, n)).astype(np.int32)


def network(
    stations: tuple[str, ...] = ("CCC", "WOR"),
    channels: tuple[str, ...] = ("HHZ", "HHN"),
    seconds: int = 20,
) -> tuple[list[Cut], dict[str, np.ndarray]]:
    """Return packets of one second in order of time, and the samples of each channel."""
    samples = {
        f"CI.{station}..{channel}": walk(10 * i + j, int(seconds * RATE_HZ))
        for i, station in enumerate(stations)
        for j, channel in enumerate(channels)
    }
    cuts = [
        cut
        for code, values in samples.items()
        for cut in encode_records(tuple(code.split(".")), START_NS, RATE_HZ, values, 100)
    ]
    return sorted(cuts, key=lambda c: (c.endtime_ns, c.code)), samples
