"""The benchmark of queries runs, small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "query_store.py"


def test_small_benchmark(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(SCRIPT),
            f"sqlite:///{tmp_path / 'store.sqlite'}",
            "--events",
            "200",
            "--repeats",
            "1",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "| all, compact |" in done.stdout
