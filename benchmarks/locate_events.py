"""Locate 1,000 simulated events: accuracy and coverage beside CPU seconds an event.

    python benchmarks/locate_events.py [--small] [--networks 8]

30 stations within 50 km, 20 P (0.05 s) and 20 S picks (0.1 s) an event, layered model, 5 and 30 %
of the picks off by 2 to 6 s. The median error depends on where the stations are, and 1,000 events
know it to 3.6 % only: with --networks there are 150 events in each of several networks.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "location"))
from location_helpers import LAYERS, check_against_truth, simulate

from lithoscope.location import LocationSettings, locate

EXACT = LocationSettings(model_error_floor_s=0.0, model_error_fraction=0.0)


def measure(seeds: range, n_events: int, outliers: float) -> None:
    """Print one row of the table: ``n_events`` in the network of each seed."""
    parts, cost = [], 0.0
    for seed in seeds:
        assignments, picks, stations, truth = simulate(seed, n_events, outliers=outliers)
        if seed == seeds[0]:
            few = assignments[assignments["event_id"].isin(truth["event_id"][:2])]
            locate(few, picks, stations, LAYERS, EXACT)  # compiles
        start = time.process_time()
        located = locate(assignments, picks, stations, LAYERS, EXACT)
        cost += time.process_time() - start
        parts.append(check_against_truth(located.events, truth))
    checks = pd.concat(parts)
    n_events = len(checks)
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
    parser.add_argument("--networks", type=int, default=1, help="150 events in each of so many")
    options = parser.parse_args()
    n_events = 100 if options.small else 1000
    seeds = range(2024, 2025)
    if options.networks > 1:
        n_events, seeds = (20 if options.small else 150), range(100, 100 + options.networks)
    print(f"python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
    print("events outliers  median epicentre, depth  worst  coverage 68 95: epicentre depth time")
    for outliers in (0.0, 0.05, 0.3):
        measure(seeds, n_events, outliers)


if __name__ == "__main__":
    main()
