"""Locate 1,000 simulated events: accuracy and coverage beside CPU seconds an event.

    python benchmarks/locate_events.py [--small]

30 stations within 50 km, 20 P (0.05 s) and 20 S picks (0.1 s) an event, layered model, 5 and 30 %
of the picks off by 2 to 6 s.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "location"))
from location_helpers import LAYERS, check_against_truth, simulate

from lithoscope.location import LocationSettings, locate

EXACT = LocationSettings(model_error_floor_s=0.0, model_error_fraction=0.0)


def measure(n_events: int, outliers: float) -> None:
    """Print one row of the table."""
    assignments, picks, stations, truth = simulate(2024, n_events, outliers=outliers)
    few = assignments[assignments["event_id"].isin(truth["event_id"][:2])]
    locate(few, picks, stations, LAYERS, EXACT)
    start = time.process_time()
    located = locate(assignments, picks, stations, LAYERS, EXACT)
    cost = time.process_time() - start
    checks = check_against_truth(located.events, truth)
    cover = [
        f"{100 * checks[f'{what}_{mass}'].mean():4.1f}"
        for what in ("epicentre", "depth", "time")
        for mass in ("68", "95")
    ]
    print(
        f"{n_events:6d} {100 * outliers:4.0f} %  {checks['epicentre_km'].median():.3f} km  "
        f"{checks['depth_error_km'].median():.3f} km  {checks['epicentre_km'].max():.2f} km  "
        f"{' '.join(cover)}  {1000 * cost / n_events:.1f} ms  {n_events / cost:.0f}/s"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="100 events")
    n_events = 100 if parser.parse_args().small else 1000
    print(f"python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
    print("events outliers  median epicentre, depth  worst  coverage 68 95: epicentre depth time")
    for outliers in (0.0, 0.05, 0.3):
        measure(n_events, outliers)


if __name__ == "__main__":
    main()
