"""Every benchmark runs, small, and prints how good its answer is beside how long it took."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
# Files of the folder that measure nothing, and why they are there.
NO_BENCHMARKS = {
    "picker_data.py": "labelled traces for the scripts on pickers",
    "event_evidence.py": "the score of inspect_unmatched.py",
    "event_section.py": "the figures of inspect_unmatched.py",
    "fit_classical_picker.py": "writes the classical picker's model into the package",
}
NEED_REAL_DATA = {
    "evaluate_classical_picker.py": "labelled",
    "evaluate_pickers.py": "labelled",
    "picker_sampling_rates.py": "labelled",
}
ACCURACY = re.compile(
    r"recall|matched|differ|error|median epicentre|coverage|residual", re.IGNORECASE
)
TIME = re.compile(r"\d\s*(CPU s|CPU ms|ms|s|ns)\b|, (s|ns) \|")
SCRIPTS = sorted(p.name for p in FOLDER.glob("*.py") if p.name not in NO_BENCHMARKS)


def test_the_folder_holds_what_is_promised() -> None:
    assert set(NO_BENCHMARKS) <= {p.name for p in FOLDER.glob("*.py")}
    assert {
        "read_station_day.py",
        "evaluate_classical_picker.py",
        "evaluate_pickers.py",
        "associate_picks.py",
        "locate_events.py",
        "whole_run.py",
    } <= set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_small_benchmark_prints_accuracy_and_time(name: str, real_data) -> None:
    if name in NEED_REAL_DATA:
        real_data(NEED_REAL_DATA[name])
    done = subprocess.run(
        [sys.executable, str(FOLDER / name), "--small"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert ACCURACY.search(done.stdout), done.stdout
    assert TIME.search(done.stdout), done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_benchmark_has_its_row_in_the_table(name: str) -> None:
    assert f"benchmarks/{name}" in (FOLDER.parent / "docs" / "benchmarks.md").read_text()
