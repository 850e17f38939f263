"""The benchmark of reading runs, small, and finds no wrong sample."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "read_station_day.py"


def test_small_benchmark():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--small", "--repeats", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "0 of 180000 samples differ, 1 record(s), 0 problem(s)" in done.stdout
