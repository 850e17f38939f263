"""Read and prepare a station-day: 3 components, 100 Hz, Steim2, in one file a component and day.

    python benchmarks/read_station_day.py [--small] [--repeats N]

The data are synthetic (seed 0): coloured noise with events, as integers. Prints accuracy beside
CPU time: samples that differ from those written (must be 0), and, for resampling from 200 Hz,
the error of a wave in the passband. CPU seconds are the median of the repeats after one run that
compiles; wall time and memory are those of the process.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import obspy
from obspy import Stream, Trace, UTCDateTime

from lithoscope.waveforms import Record, index_archive, read_records, resample

DAY_S = 86_400
STATION = "XX.BENCH..HH"
START_NS = 1_577_836_800 * 10**9


def write_day(folder: Path, seconds: int, rate_hz: int) -> np.ndarray:
    """Write three components in two files each; return the samples, (Z N E, n)."""
    rng = np.random.default_rng(0)
    n = seconds * rate_hz
    out = np.empty((3, n), np.int32)
    for row, component in enumerate("ZNE"):
        values = np.cumsum(rng.normal(0, 30, n)) * 0.01 + rng.normal(0, 200, n)
        for onset in rng.integers(0, n - 6000, max(n // 360_000, 1)):
            values[onset : onset + 6000] += (
                1e5 * rng.normal(size=6000) * np.exp(-np.arange(6000) / 1000)
            )
        out[row] = np.rint(values)
        half = n // 2
        for part, (low, high) in enumerate(((0, half), (half, n))):
            header = {
                "network": "XX",
                "station": "BENCH",
                "channel": f"HH{component}",
                "starttime": UTCDateTime(ns=START_NS + low * 10**9 // rate_hz),
                "sampling_rate": rate_hz,
            }
            trace = Trace(out[row, low:high], header)
            path = folder / f"{component}{part}.mseed"
            Stream([trace]).write(str(path), format="MSEED", encoding="STEIM2", reclen=512)
    return out


def timed(call: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Return the result and the median CPU seconds."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return result, statistics.median(seconds)


def resampling(seconds: int, repeats: int) -> None:
    """Resample three components from 200 to 100 Hz."""
    n = seconds * 200
    times = np.arange(n) / 200.0
    wave = np.cos(2 * np.pi * 30.0 * times).astype(np.float32)
    record = Record(
        STATION,
        START_NS,
        200.0,
        np.tile(wave, (3, 1)),
        np.ones(3, bool),
        ("z", "n", "e"),
        np.zeros(3, bool),
    )
    out, cpu = timed(lambda: resample(record, 100.0), repeats)
    expected = np.cos(2 * np.pi * 30.0 * np.arange(out.n_samples) / 100.0)
    error = np.abs(out.data[0] - expected)[100:-100].max()
    print(f"resample 200 -> 100 Hz   {cpu:8.3f} CPU s   largest error of a 30 Hz wave {error:.1e}")


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="ten minutes instead of a day")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    seconds = 600 if options.small else DAY_S
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ",
        end="",
    )
    print(f"ObsPy {obspy.__version__}, 3 x {seconds * 100} samples, {options.repeats} repeats")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = write_day(folder, seconds, 100)
        size = sum(p.stat().st_size for p in folder.iterdir()) / 1e6
        paths = sorted(folder.iterdir())
        _, plain = timed(lambda: [obspy.read(p) for p in paths], options.repeats)
        print(f"obspy.read ({size:.0f} MB)     {plain:8.3f} CPU s   (samples only, nothing joined)")
        archive, cpu = timed(lambda: index_archive(folder), options.repeats)
        print(f"index                    {cpu:8.3f} CPU s   {len(archive.segments)} segments")
        (records, problems), cpu = timed(lambda: read_records(archive, STATION), options.repeats)
        wrong = int((records[0].data != truth).sum()) if len(records) == 1 else truth.size
        print(
            f"read, join, check        {cpu:8.3f} CPU s   {wrong} of {truth.size} samples differ, "
            f"{len(records)} record(s), {len(problems)} problem(s)"
        )
        if wrong:
            raise SystemExit("the samples read are not those written")
    resampling(seconds, options.repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory              {peak:8.2f} GB")


if __name__ == "__main__":
    main()
