"""What a replay costs: cutting an archive into packets, serving them, and taking them.

Replays an archive over SeedLink to a client in a process of its own, and compares every sample
that the client got with the archive. Times are CPU times, so that neighbours do not count; how
late packets came is wall time and depends on them.

    python benchmarks/replay_network.py DATA [--speed 20] [--minutes 20] [--packet 1]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from obspy import Stream, Trace, UTCDateTime

from lithoscope.pipeline.replay import Replay, ReplaySettings
from lithoscope.waveforms import Archive, index_archive
from lithoscope.waveforms.seedlink import SeedLinkClient, decode, encode_records
from lithoscope.waveforms.seedlink.cutting import ArchiveCutter


class Digest:
    """Checksum and number of the samples of each channel."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[int, int]] = {}

    def add(self, code: str, samples: np.ndarray) -> None:
        """Take the next samples of a channel."""
        checksum, n = self.sums.get(code, (0, 0))
        self.sums[code] = zlib.crc32(samples.tobytes(), checksum), n + samples.size


def take(url: str, n_packets: int, answers: Any) -> None:
    """Be the client: take packets; answer with digests, bytes and CPU time."""
    digest, n_bytes = Digest(), 0
    decode_once()
    with SeedLinkClient(url, start="earliest") as client:
        begin = time.process_time()
        for packet in client:
            if packet is None:
                continue
            digest.add(packet.code, packet.samples)
            n_bytes += len(packet.raw)
            if client.status.n_packets == n_packets:
                break
        cpu_s = time.process_time() - begin
    answers.put((digest.sums, n_bytes, cpu_s))


def decode_once() -> None:
    """Compile before anything is timed."""
    code = ("XX", "A", "", "HHZ")
    for cut in encode_records(code, 0, 100.0, np.arange(10, dtype=np.int32)):
        decode(cut.raw)


def measure(archive: Archive, speed: float, end_ns: int, packet_s: float | None) -> str:
    """Return a table of what was measured."""
    decode_once()
    begin = time.process_time()
    cuts = list(ArchiveCutter(archive, end_ns=end_ns, packet_s=packet_s))
    cut_s = time.process_time() - begin
    expected = Digest()
    for cut in cuts:
        expected.add(cut.code, decode(cut.raw).samples)
    n, n_samples = len(cuts), sum(c.n_samples for c in cuts)
    del cuts
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    settings = ReplaySettings(
        port=0,
        speed=speed,
        wait_for_clients=1,
        packet_s=packet_s,
        end=pd.Timestamp(end_ns, tz="UTC").to_pydatetime(),
    )
    with Replay(archive, settings) as replay:
        client = context.Process(target=take, args=(replay.url, n, answers))
        client.start()
        replay.server.wait_for_clients(1, timeout=120)
        begin = time.process_time()
        sums, n_bytes, client_s = answers.get(timeout=3600)
        serve_s = time.process_time() - begin
        client.join()
        report = replay.report()
    wrong = sum(sums.get(code) != found for code, found in expected.sums.items())
    rows = [
        ("channels", f"{report.channels}"),
        ("packets", f"{n} of {n_samples / n:.0f} samples on average"),
        ("channels whose samples differ", f"{wrong}"),
        ("cut and compress alone", f"{cut_s:.2f} CPU s, {1e6 * cut_s / n:.0f} us a packet"),
        ("replay: read, cut, serve", f"{serve_s:.2f} CPU s, {1e6 * serve_s / n:.0f} us a packet"),
        ("client: receive, decode", f"{client_s:.2f} CPU s, {1e6 * client_s / n:.0f} us a packet"),
        ("sent", f"{n_bytes / 1e6:.1f} MB in {report.wall_s:.1f} s of wall time"),
        ("latest packet", f"{report.late_s:.2f} s after its time" if speed else "no clock"),
    ]
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def small_archive(folder: Path) -> Archive:
    """Return three channels of a minute."""
    rng = np.random.default_rng(0)
    start = UTCDateTime("2020-01-01")
    for channel in ("HHZ", "HHN", "HHE"):
        samples = np.cumsum(rng.integers(-99, 99, 6000)).astype(np.int32)
        header = {"network": "XX", "station": "A", "channel": channel}
        trace = Trace(samples, header | {"sampling_rate": 100.0, "starttime": start})
        Stream([trace]).write(folder / f"{channel}.mseed", format="MSEED")
    return index_archive(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="folder of recordings")
    parser.add_argument("--speed", type=float, default=0.0, help="times real time; 0 unpaced")
    parser.add_argument("--minutes", type=float, default=1e6, help="data time to replay")
    parser.add_argument("--packet", type=float, default=1.0, help="longest packet, s; 0 full")
    parser.add_argument("--small", action="store_true", help="a minute of three channels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.small:
            archive = small_archive(Path(folder))
        elif options.data is None:
            parser.error("name a folder of recordings, or --small")
        else:
            archive = index_archive(options.data)
        first, last = archive.span_ns()
        # To a millisecond, since settings hold times in microseconds.
        end_ns = min(first + int(options.minutes * 60e9), last + 10**6) // 10**6 * 10**6
        print(measure(archive, options.speed, end_ns, options.packet or None))


if __name__ == "__main__":
    main()
