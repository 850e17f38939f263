"""Draw the figures of docs/location.md: reliability, and our hypocentres beside others'.

LITHOSCOPE_DATA=... python docs/figures/location_validation.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "location"))
import reference_events as reference  # noqa: E402
from location_helpers import LAYERS, simulate  # noqa: E402

from lithoscope.geo import LocalProjection  # noqa: E402
from lithoscope.location import LocationSettings, locate  # noqa: E402

OUT = Path(__file__).resolve().parent
DATA = Path(os.environ.get("LITHOSCOPE_DATA", ROOT.parent / "shared" / "data")) / "picks"


def beside(name: str, title: str, result: reference.Result) -> None:
    """Map of both hypocentres joined by lines, depth against depth."""
    located, theirs = result
    table = reference.differences(located, theirs)
    plane = LocalProjection.around(table["longitude"], table["latitude"])
    east, north = plane.forward(table["longitude"], table["latitude"])
    east2, north2 = plane.forward(table["longitude_theirs"], table["latitude_theirs"])
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.0), layout="constrained")
    turn = np.linspace(0, 2 * np.pi, 60)
    for k, row in enumerate(table.itertuples()):
        azimuth = np.radians(row.ellipse_azimuth_deg)
        u = row.ellipse_68_major_km * np.cos(turn)
        v = row.ellipse_68_minor_km * np.sin(turn)
        left.plot(
            east[k] + u * np.sin(azimuth) + v * np.cos(azimuth),
            north[k] + u * np.cos(azimuth) - v * np.sin(azimuth),
            color="0.75",
            lw=0.7,
        )
        left.plot([east[k], east2[k]], [north[k], north2[k]], color="tab:red", lw=0.8)
    left.plot(east, north, ".", color="tab:blue", label="Lithoscope, 68 % ellipse")
    left.plot(east2, north2, "x", color="k", ms=4, label="reference")
    left.set(xlabel="easting (km)", ylabel="northing (km)", aspect="equal")
    left.legend(fontsize=7)
    low = np.maximum(table["depth_km"] - table["depth_68_low_km"], 0)
    high = np.maximum(table["depth_68_high_km"] - table["depth_km"], 0)
    right.errorbar(
        table["depth_km_theirs"], table["depth_km"], [low, high], fmt=".", lw=0.7, color="tab:blue"
    )
    ends = [table[["depth_km", "depth_km_theirs"]].min().min(), table["depth_km"].max()]
    right.plot(ends, ends, color="0.6", lw=0.8)
    right.set(xlabel="reference depth (km)", ylabel="our depth (km), 68 % interval")
    median = table["epicentre_km"].median()
    figure.suptitle(f"{title}: {len(table)} events, median epicentre difference {median:.2f} km")
    figure.savefig(OUT / f"location_{name}.png", dpi=90)
    plt.close(figure)


def reliability() -> None:
    """Share of events whose truth lies within the central mass, against that mass."""
    settings = LocationSettings(model_error_floor_s=0.0, model_error_fraction=0.0)
    levels = {"easting": [], "northing": [], "depth": [], "origin time": []}
    for seed in range(5):
        assignments, picks, stations, truth = simulate(seed, 100)
        found = locate(assignments, picks, stations, LAYERS, settings, keep_samples=True)
        for row, true in zip(found.events.itertuples(), truth.itertuples(), strict=True):
            plane = LocalProjection(row.longitude, row.latitude)
            east, north = plane.forward(true.longitude, true.latitude)
            late = (true.time - row.time).total_seconds()
            draws = found.samples[row.event_id]
            for name, k, value in zip(
                levels,
                (1, 2, 3, 0),
                (float(east), float(north), true.depth_km - row.depth_km, late),
                strict=True,
            ):
                levels[name].append(abs(2 * np.mean(draws[:, k] < value) - 1))
    figure, axis = plt.subplots(figsize=(4.2, 4.0), layout="constrained")
    axis.plot([0, 1], [0, 1], color="0.6", lw=0.8)
    for name, values in levels.items():
        axis.plot(np.sort(values), (np.arange(len(values)) + 0.5) / len(values), label=name)
    axis.set(xlabel="mass of the central region", ylabel="share of events inside", aspect="equal")
    axis.legend(fontsize=8)
    axis.set_title("500 simulated events, 5 % outliers", fontsize=10)
    figure.savefig(OUT / "location_reliability.png", dpi=90)
    plt.close(figure)


def main() -> None:
    """Draw all figures."""
    beside("alaska", "Alaska, NonLinLoc sample", reference.alaska(DATA / "alaska_nonlinloc"))
    beside("unterhaching", "Unterhaching, NonLinLoc", reference.unterhaching())
    beside("mt_carmel", "Mt Carmel, NonLinLoc", reference.mt_carmel(DATA / "mt_carmel_2008"))
    beside("swiss", "Switzerland, SED", reference.swiss(DATA / "swiss_sed"))
    reliability()


if __name__ == "__main__":
    main()
