"""Print the figures of docs/real-data.md that `lithoscope compare` does not print.

    python docs/figures/real_data_checks.py DATA RUNS

DATA is the folder of real data; RUNS holds the run directories ``ridgecrest``, ``iceland``,
``aegean``, ``le_teil`` and ``le_teil_map`` made by the commands in docs/real-data.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.catalog import compare, read_reference
from lithoscope.geo import distance_azimuth
from lithoscope.location import locate
from lithoscope.pipeline import load_settings, open_run, velocity_model
from lithoscope.traveltimes import travel_time

MAINSHOCK = pd.Timestamp("2019-07-04T17:33:00Z")
START = pd.Timestamp("2019-07-04T16:50:00Z")
WELL_RECORDED = 19  # P picks: nearly all of the 21 stations
PLACES = {  # longitude, latitude of the published main events
    "aegean": (23.3465, 39.8812),
    "le_teil": (4.65, 44.53),
    "le_teil_map": (4.65, 44.53),
}


def ridgecrest_against_gamma(run: Path, reference: Path) -> None:
    """Print which unmatched events PhaseNet + GaMMA has within 2 s, and how far away."""
    events = open_run(run).events
    events = events[events["time"] < MAINSHOCK].sort_values("time")
    span = (START, MAINSHOCK)
    scsn = compare(events, read_reference(reference / "scsn_to_1733.tsv"), span=span)
    theirs = read_reference(reference / "gamma_to_1733.tsv")
    gamma = compare(events, theirs, distance_km=50, span=span)
    pairs = gamma.matched.set_index("event_id")
    print(f"{len(events)} events before {MAINSHOCK:%H:%M}, {len(scsn.matched)} match SCSN;")
    print(f"{len(pairs)} match one of GaMMA's {len(theirs)}; the others:")
    for event in events[~events["event_id"].isin(scsn.matched["event_id"])].itertuples():
        known = "none"
        if event.event_id in pairs.index:
            pair = pairs.loc[event.event_id]
            known = f"{pair['time_difference_s']:+.2f} s, {pair['distance_km']:.1f} km"
        print(f"  {event.time:%H:%M:%S}  {known}")
    ellipse = events.set_index("event_id")["ellipse_95_major_km"]
    inside = (scsn.matched["distance_km"] <= scsn.matched["event_id"].map(ellipse)).sum()
    print(f"SCSN epicentre nearer than the 95 % half axis: {inside} of {len(scsn.matched)}")


def ridgecrest_offset(run: Path, reference: Path) -> None:
    """Relocate with fewer stations, and with station terms: what the offset to SCSN is."""
    catalog = open_run(run)
    settings = load_settings(run / "config.toml")
    model = velocity_model(settings.model)
    matched = compare(catalog.events, read_reference(reference / "scsn_to_1733.tsv")).matched
    matched = matched.set_index("event_id")
    n_p = catalog.events.set_index("event_id")["n_p"].reindex(matched.index)
    large, small = (
        set(matched.index[n_p >= WELL_RECORDED]),
        set(matched.index[n_p < WELL_RECORDED]),
    )
    of_large = catalog.arrivals[catalog.arrivals["event_id"].isin(large)]
    of_small = catalog.arrivals[catalog.arrivals["event_id"].isin(small)]
    key = ["station", "phase"]
    counts = of_small[of_small["weight"] >= 0.5].groupby(key)["event_id"].nunique()
    usual = set(counts[counts >= len(small) / 2].index)
    kept = of_large[
        [pair in usual for pair in zip(of_large["station"], of_large["phase"], strict=True)]
    ]
    good = of_large[of_large["weight"] >= 0.5]
    terms = good.groupby(key)["residual_s"].median()
    picks = catalog.picks.copy()
    shift = [terms.get(pair, 0.0) for pair in zip(picks["station"], picks["phase"], strict=True)]
    corrected = picks.assign(time=picks["time"] - pd.to_timedelta(shift, unit="s"))
    for name, arrivals, used in (
        ("well recorded, all picks", of_large, picks),
        ("well recorded, picks of a usual small one", kept, picks),
        ("small, all picks", of_small, picks),
        ("small, station terms of the others taken off", of_small, corrected),
    ):
        rows = arrivals[["event_id", "pick_id"]].assign(residual_s=0.0)
        events = locate(rows, used, catalog.stations, model, settings.location).events
        found = compare(events, read_reference(reference / "scsn_to_1733.tsv"), distance_km=20)
        print(
            f"{name}: {len(found.matched)} events, median east "
            f"{found.matched['east_difference_km'].median():+.2f} km, epicentre "
            f"{found.matched['distance_km'].median():.2f} km"
        )
    print("station terms (s):", terms.round(2).unstack().to_string(), sep="\n")
    spread = (good["residual_s"] - good.groupby(key)["residual_s"].transform("median")).abs()
    print(f"between events these residuals differ by a median {spread.median():.3f} s")


def iceland_picks(run: Path, reference: pd.DataFrame, window_s: float = 0.25) -> None:
    """Print how many picks of each unmatched event one source on the dyke explains.

    Sources: the listed epicentres at 6 km depth, origin 8 s before to 16 s after the event's own.
    """
    catalog = open_run(run)
    model = velocity_model(load_settings(run / "config.toml").model)
    found = compare(catalog.events, reference, time_s=1.0)
    sites = catalog.stations.set_index("station")
    tables = []
    for place in reference.itertuples():
        far = distance_azimuth(
            place.longitude, place.latitude, sites["longitude"], sites["latitude"]
        )[0]
        depth = -sites["elevation_m"] / 1e3
        tables.append(
            {
                (site, phase): float(travel_time(model, phase, km, 6.0, elevation))
                for site, km, elevation in zip(sites.index, far, depth, strict=True)
                for phase in ("P", "S")
            }
        )
    events = catalog.events[~catalog.events["event_id"].isin(found.matched["event_id"])]
    for event in events.sort_values("time").itertuples():
        mine = catalog.arrivals[catalog.arrivals["event_id"] == event.event_id]
        at = (mine["time"] - event.time).dt.total_seconds().to_numpy()
        travel = np.array(
            [[t[k] for k in zip(mine["station"], mine["phase"], strict=True)] for t in tables]
        )
        count, origin = best_origin(at - travel, window_s)
        listed = (reference["time"] - event.time).dt.total_seconds()
        nearest = listed.iloc[(listed - origin).abs().argmin()]
        print(
            f"  {event.time:%H:%M:%S.%f} {count} of {len(mine)} picks with origin {origin:+.2f} s; "
            f"nearest listed event {nearest:+.2f} s"
        )


def best_origin(origins: NDArray[np.float64], window_s: float) -> tuple[int, float]:
    """Return the largest number of picks within ``window_s`` of one origin time, and that time."""
    tried = np.arange(-8.0, 16.0, 0.05)
    counts = (np.abs(origins[:, :, None] - tried) < window_s).sum(axis=1)
    place, moment = np.unravel_index(counts.argmax(), counts.shape)
    return int(counts[place, moment]), float(tried[moment])


def regional(runs: Path) -> None:
    """Print distances to the published places, and the areas of the regions."""
    for name, (longitude, latitude) in PLACES.items():
        catalog = open_run(runs / name)
        for event in catalog.events.sort_values("time").itertuples():
            km = distance_azimuth(event.longitude, event.latitude, longitude, latitude)[0]
            areas = [
                np.pi * major * minor
                for major, minor in (
                    (event.ellipse_68_major_km, event.ellipse_68_minor_km),
                    (event.ellipse_95_major_km, event.ellipse_95_minor_km),
                )
            ]
            print(
                f"{name} {event.time:%H:%M:%S}: {km:.2f} km from the published place; "
                f"68 % region {areas[0]:.1f} km2, 95 % region {areas[1]:.1f} km2"
            )
            if name == "aegean":
                mine = catalog.arrivals[catalog.arrivals["event_id"] == event.event_id]
                print(mine[["station", "phase", "residual_s", "weight"]].round(2).to_string())


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    options = parser.parse_args()
    references = options.data / "continuous" / "ridgecrest_2019" / "reference"
    ridgecrest_against_gamma(options.runs / "ridgecrest", references)
    ridgecrest_offset(options.runs / "ridgecrest", references)
    listed = options.data / "continuous" / "iceland_holuhraun_2014" / "reference_events.csv"
    iceland_picks(options.runs / "iceland", read_reference(listed))
    regional(options.runs)


if __name__ == "__main__":
    main()
