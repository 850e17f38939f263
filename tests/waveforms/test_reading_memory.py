"""Long files are read in parts, with the same result, and reading needs little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniseed_files import START_NS, make_trace, noise, save

from lithoscope.waveforms import _load, _long, index_archive, read_records

STATION = "XX.AAA..HH"
PART = 1 << 16


@pytest.fixture
def parts(monkeypatch):
    """Cut files into short parts; return which of them could be read so."""
    found: list[bool] = []

    def watched(*arguments):
        out = _long.read_long(*arguments)
        found.append(out is not None)
        return out

    monkeypatch.setattr(_long, "_PART_BYTES", PART)
    monkeypatch.setattr(_load, "read_long", watched)
    return found


# Prints what reading adds at its peak to the memory in use before, and the size of the record.
# Directions are given so that the vertical changes sign and the horizontals are turned.
CHILD = """
import sys
from pathlib import Path
from lithoscope.schema import CHANNELS
from lithoscope.waveforms import index_archive, read_records

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(dict(line.split(":", 1) for line in lines)[name].split()[0])

archive = index_archive(sys.argv[1])
station = archive.stations()[0]
rows = [
    {"channel": station + c, "station": station, "azimuth_deg": a, "dip_deg": d}
    for c, a, d in (("Z", 0.0, 90.0), ("N", 20.0, 0.0), ("E", 110.0, 0.0))
]
table = CHANNELS.table(rows)
start = archive.span_ns()[0]
read_records(archive, station, start, start + 10**11, channels=table)
before = memory("VmRSS")
records, _ = read_records(archive, station, channels=table)
print(memory("VmHWM") - before, records[0].data.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_peak_of_reading(tmp_path):
    for k, component in enumerate("ZNE"):
        trace = make_trace(STATION + component, noise(2_500_000, k))
        save(tmp_path / f"{k}.mseed", [trace], encoding="INT32", reclen=512)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True
    )
    peak, size = map(int, done.stdout.split())
    assert size == 3 * 4 * 2_500_000
    # The record and one component more (4 / 3) are in use at once; the rest is parts of a file with
    # their headers (some MB), and what the allocator keeps.
    assert peak < 5 / 3 * size


def drifting(n: int) -> list:
    # A clock fast by 2e-5: times in headers run away from the count of samples, 0.1 at a time.
    values = noise(n)
    return [
        make_trace(STATION + "Z", values[k : k + 5000], start_ns=START_NS + k * 10**7 + 200 * k)
        for k in range(0, n, 5000)
    ]


@pytest.mark.parametrize(
    ("traces", "in_parts"),
    [
        ([make_trace(STATION + "Z", noise(100_000))], True),
        ([make_trace(STATION + "Z", noise(100_000, size=2e7))], True),
        ([make_trace(STATION + "Z", noise(100_000) / np.float32(7))], True),
        (drifting(100_000), True),
        ([make_trace(STATION + c, noise(60_000, k)) for k, c in enumerate("ZN")], False),
        (
            [
                make_trace(STATION + "Z", noise(60_000)),
                make_trace(STATION + "Z", noise(60_000, 1), start_ns=START_NS + 700 * 10**9),
            ],
            False,
        ),
    ],
    ids=["plain", "large", "floats", "drift", "two channels", "gap"],
)
def test_parts_give_what_the_whole_gives(tmp_path, parts, monkeypatch, traces, in_parts):
    save(tmp_path / "a.mseed", traces, reclen=512)
    archive = index_archive(tmp_path)
    check(archive, parts, monkeypatch, in_parts)


@pytest.mark.parametrize("damage", ["order", "lost", "end", "noise"])
def test_damaged_files_are_read_at_once(tmp_path, parts, monkeypatch, damage):
    path = save(tmp_path / "a.mseed", [make_trace(STATION + "Z", noise(100_000))], reclen=512)
    content = path.read_bytes()
    if damage == "order":  # whole parts change places
        content = content[PART : 2 * PART] + content[:PART] + content[2 * PART :]
    elif damage == "lost":
        content = content[: PART + 5120] + content[PART + 5632 :]
    elif damage == "end":
        content = content[:-300]
    else:
        content = content[: PART + 600] + b"\x55" * 300 + content[PART + 900 :]
    path.write_bytes(content)
    check(index_archive(tmp_path), parts, monkeypatch, False)


def check(archive, parts, monkeypatch, in_parts):
    """Compare reading in parts with reading at once."""
    records, problems = read_records(archive, STATION)
    assert any(parts) == in_parts
    monkeypatch.setattr(_load, "read_long", lambda *_: None)
    expected, same = read_records(archive, STATION)
    assert len(records) == len(expected) > 0
    for record, other in zip(records, expected, strict=True):
        assert record.starttime_ns == other.starttime_ns
        assert np.array_equal(record.data, other.data)
    pd.testing.assert_frame_equal(problems, same)


def test_a_window_beyond_the_data_is_empty(three):
    archive = index_archive(three[0])
    end_ns = archive.span_ns()[1]
    records, problems = read_records(archive, STATION, end_ns + 10**12, end_ns + 2 * 10**12)
    assert records == []
    assert problems.empty
