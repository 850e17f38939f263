"""A store of synthetic events, located as a run locates them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lithoscope import schema
from lithoscope.catalog import Catalog, Store
from lithoscope.geo import LocalProjection
from lithoscope.location import locate, station_terms
from lithoscope.pipeline.prior import build_prior
from lithoscope.pipeline.relocate import keep_settings
from lithoscope.pipeline.run import velocity_model
from lithoscope.pipeline.settings import RunSettings
from lithoscope.traveltimes import travel_time

START = pd.Timestamp("2026-05-04T03:02:01.123456789Z")
PLANE = LocalProjection(16.0, 46.0)
MODEL_CSV = "depth_km,vp_km_s,vs_km_s\n-5,5.5,3.2\n10,6.2,3.6\n25,7.9,4.5\n"


def sites() -> pd.DataFrame:
    angle = np.radians(np.arange(8) * 45.0)
    reach = np.array([12.0, 25, 18, 40, 15, 30, 22, 35])
    lon, lat = PLANE.inverse(reach * np.sin(angle), reach * np.cos(angle))
    return schema.STATIONS.table(
        {
            "station": [f"XX.S{i}..HH" for i in range(8)],
            "longitude": lon,
            "latitude": lat,
            "elevation_m": 100.0 * np.arange(8),
        }
    )


def picked(settings: RunSettings, n_events: int = 2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return PICKS and ASSIGNMENTS of events with small errors of the picks."""
    model, stations, rng = velocity_model(settings.model), sites(), np.random.default_rng(3)
    east, north = PLANE.forward(stations["longitude"], stations["latitude"])
    picks, assigned = [], []
    for number in range(n_events):
        distance = np.hypot(east - 3.0 * number, north + 2.0)
        origin = START + pd.Timedelta(minutes=5 * number)
        name = f"ls_event_{number}"
        for i, row in enumerate(stations.itertuples()):
            for phase in "PS":
                seconds = travel_time(model, phase, distance[i], 8.0, -row.elevation_m / 1000.0)
                ns = origin.value + round((float(seconds) + 0.03 * rng.normal()) * 1e9)
                key = schema.pick_id(row.station, phase, ns)
                time = pd.Timestamp(ns, tz="UTC")
                picks.append((key, row.station, phase, time, 0.05, 0.9, "test"))
                assigned.append((name, key))
    columns = ["pick_id", "station", "phase", "time", "time_sigma_s", "probability", "model"]
    return (
        schema.PICKS.check(pd.DataFrame(picks, columns=columns)),
        schema.ASSIGNMENTS.check(pd.DataFrame(assigned, columns=["event_id", "pick_id"])),
    )


def run_catalog(settings: RunSettings) -> tuple[Catalog, object]:
    """Return what a run with these settings finds, magnitudes included, and the station terms."""
    picks, assignments = picked(settings)
    model, prior = velocity_model(settings.model), build_prior(settings.prior)
    tables = (assignments, picks, sites(), model, settings.location)
    terms = station_terms(*tables, prior=prior)
    located = locate(*tables, prior=prior, terms=terms)
    arrivals = located.arrivals[located.arrivals["phase"] == "S"]
    magnitudes = schema.STATION_MAGNITUDES.table(
        {
            "event_id": arrivals["event_id"],
            "station": arrivals["station"],
            "magnitude_type": "ML",
            "magnitude": 2.0,
            "amplitude_mm": 1.0,
            "distance_km": np.hypot(arrivals["distance_km"], 8.0),
            "used": True,
        }
    )
    events = located.events.assign(magnitude=2.0, magnitude_type="ML", n_magnitudes=8)
    catalog = Catalog(
        events=events,
        arrivals=located.arrivals,
        picks=picks,
        station_magnitudes=magnitudes,
        stations=sites(),
    )
    return catalog, terms


def fill(store: Store, settings: RunSettings) -> Catalog:
    """Write what a run would write, and return it."""
    catalog, terms = run_catalog(settings)
    store.write(catalog)
    keep_settings(store, settings, terms)
    return catalog
