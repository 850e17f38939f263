"""Runs on real data that several tests look at; each is made once a session."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lithoscope.pipeline import RunResult, RunSettings, load_settings, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Case:
    """What to run: folder of real data, waveforms, station file, example configuration."""

    folder: str
    waveforms: str
    stations: str
    config: str
    model: dict[str, str]


CASES = {
    "ridgecrest": Case(
        "continuous/ridgecrest_2019", "waveforms", "stations.csv", "ridgecrest.toml", {}
    ),
    "iceland": Case(
        "continuous/iceland_holuhraun_2014",
        "mseed",
        "iceland_stations.txt",
        "iceland.toml",
        {"path": "iceland_vmodel.txt"},
    ),
    "aegean": Case(
        "continuous/aegean_2020",
        "aegean_sea_example.mseed",
        "aegean_stations.csv",
        "aegean.toml",
        {},
    ),
    "le_teil": Case(
        "continuous/le_teil_2019",
        "leteil_2019-11-11_HHZ.mseed",
        "stations.csv",
        "le_teil.toml",
        {},
    ),
}


@dataclass(frozen=True)
class Timed:
    """A run and how long it took."""

    result: RunResult
    wall_s: float


def case_settings(case: Case, folder: Path, extra: dict[str, Any] | None = None) -> RunSettings:
    """Return the example configuration of a case with its velocity model."""
    overrides: dict[str, Any] = dict(extra or {})
    if case.model:
        path = str(folder / case.model["path"])
        overrides["model"] = {"path": path, **overrides.get("model", {})}
    return load_settings(EXAMPLES / case.config, overrides)


def run_case(
    name: str,
    real_data: Callable[[str], Path],
    output: Path,
    *,
    waveforms: Path | None = None,
    extra: dict[str, Any] | None = None,
) -> Timed:
    """Run a case into ``output``; ``waveforms`` takes the place of its recordings."""
    case = CASES[name]
    folder = real_data(case.folder)
    started = time.monotonic()
    result = run(
        [waveforms or folder / case.waveforms],
        [folder / case.stations],
        output,
        case_settings(case, folder, extra),
    )
    return Timed(result, time.monotonic() - started)


def command(
    name: str, folder: Path, output: Path, *, waveforms: Path | None = None, model: str = ""
) -> list[str]:
    """Return the command line of a case, as a user would type it.

    ``waveforms`` takes the place of its recordings, ``model`` that of its velocity model.
    """
    case = CASES[name]
    words = [
        *(sys.executable, "-m", "lithoscope", "run", str(waveforms or folder / case.waveforms)),
        *("--stations", str(folder / case.stations)),
        *("--config", str(EXAMPLES / case.config), "--output", str(output)),
    ]
    if case.model:
        words += ["--model", model or str(folder / case.model["path"])]
    return words
