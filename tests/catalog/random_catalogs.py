"""Catalogues for tests: one that looks like a run's, and random ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from lithoscope import schema
from lithoscope.catalog import SCHEMAS, Catalog

START_NS = 1562259775340123457

# No surrogates (no encoding has them) and no NUL (PostgreSQL text cannot hold it).
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12)
CODES = st.text("ABCXYZ0189 -_é", min_size=1, max_size=10)
VALUES = {
    "text": TEXT,
    "float": st.floats(allow_infinity=False, width=64),
    "integer": st.integers(-(2**62), 2**62),
    "boolean": st.booleans(),
    "time": st.one_of(
        st.none(),
        st.integers(0, 4 * 10**18).map(lambda ns: pd.Timestamp(ns, tz="UTC")),
    ),
}


def tables(name: str, max_rows: int = 4) -> st.SearchStrategy[pd.DataFrame]:
    columns = {c.name: VALUES[c.kind] for c in SCHEMAS[name].columns}
    unique = (lambda row: row["event_id"]) if name == "events" else None
    rows = st.lists(st.fixed_dictionaries(columns), max_size=max_rows, unique_by=unique)
    return rows.map(SCHEMAS[name].table)


def catalogs() -> st.SearchStrategy[Catalog]:
    """Return any tables that the schemas allow, whether they make sense or not.

    Only the ids of events are distinct: a store refuses others.
    """
    return st.builds(Catalog, **{name: tables(name) for name in SCHEMAS})


def example_catalog(
    n_events: int = 3, n_stations: int = 4, seed: int = 1, codes: list[str] | None = None
) -> Catalog:
    """Return a consistent catalogue: events with picks, arrivals, magnitudes and NaNs."""
    rng = np.random.default_rng(seed)
    codes = codes or [f"XX.S{i:02d}..HH" for i in range(n_stations)]
    stations = [
        {
            "station": code,
            "longitude": -117.5 + 0.1 * rng.normal(),
            "latitude": 35.7 + 0.1 * rng.normal(),
            "elevation_m": float(rng.integers(-50, 2000)),
        }
        for code in codes
    ]
    events, picks, arrivals, magnitudes = [], [], [], []
    for number in range(n_events):
        origin = START_NS + number * 37_000_000_011
        name = schema.event_id(codes[0], origin + 2_000_000_000)
        events.append(_event(name, origin, rng, number))
        for i, code in enumerate(codes):
            for phase, delay in (("P", 2.0), ("S", 3.5)):
                time = origin + round((delay + i + 0.1 * rng.normal()) * 1e9)
                picks.append(_pick(code, phase, time, rng))
                arrivals.append(_arrival(name, picks[-1], rng))
            magnitudes.append(_magnitude(name, code, origin, rng, used=i > 0))
    picks.append(_pick(codes[0], "P", START_NS - 10**12, rng))  # of no event
    detection = {
        "station": codes[0],
        "starttime": pd.Timestamp(START_NS, tz="UTC"),
        "endtime": pd.Timestamp(START_NS + 10**10, tz="UTC"),
        "probability": 0.9,
    }
    problem = {"what": codes[0], "problem": "gap", "detail": "2 s, größer", "action": "kept"}
    return Catalog(
        events=schema.EVENTS.table(events),
        arrivals=schema.ARRIVALS.table(arrivals),
        picks=schema.PICKS.table(picks),
        detections=schema.DETECTIONS.table([detection]),
        station_magnitudes=schema.STATION_MAGNITUDES.table(magnitudes),
        stations=schema.STATIONS.table(stations),
        problems=schema.PROBLEMS.table([problem]),
    )


def _event(name: str, origin: int, rng: np.random.Generator, number: int) -> dict:
    row = {c.name: float(rng.uniform(0.1, 2.0)) for c in schema.EVENTS.columns if c.kind == "float"}
    depth = float(rng.uniform(2, 15))
    row |= {
        "event_id": name,
        "time": pd.Timestamp(origin, tz="UTC"),
        "longitude": -117.5 + 0.05 * rng.normal(),
        "latitude": 35.7 + 0.05 * rng.normal(),
        "depth_km": depth,
        "depth_68_low_km": depth - 0.7,
        "depth_68_high_km": depth + 0.9,
        "n_modes": 1,
        "ambiguous": number == 1,
        "n_p": 4,
        "n_s": 4,
        "magnitude_type": "ML",
        "n_magnitudes": 3,
        "magnitude_reason": "",
        "event_type": "earthquake" if number == 0 else "not classified",
        "event_type_reason": "" if number == 0 else "no classifier yet",
    }
    if number == 2:
        row |= {"magnitude": np.nan, "magnitude_sigma": np.nan, "magnitude_type": ""}
        row |= {"n_magnitudes": 0, "magnitude_reason": "no usable station of 4: 4 clipped"}
    return row


def _pick(code: str, phase: str, time: int, rng: np.random.Generator) -> dict:
    return {
        "pick_id": schema.pick_id(code, phase, time),
        "station": code,
        "phase": phase,
        "time": pd.Timestamp(time, tz="UTC"),
        "time_sigma_s": float(rng.uniform(0.01, 0.2)),
        "probability": float(rng.uniform(0.3, 1.0)),
        "amplitude": float(rng.uniform(1, 1e6)),
        "snr": np.nan if rng.random() < 0.3 else float(rng.uniform(2, 50)),
        "polarity": int(rng.integers(-1, 2)),
        "model": "classical",
    }


def _arrival(event: str, pick: dict, rng: np.random.Generator) -> dict:
    return {
        "event_id": event,
        "pick_id": pick["pick_id"],
        "station": pick["station"],
        "phase": pick["phase"],
        "time": pick["time"],
        "distance_km": float(rng.uniform(1, 100)),
        "azimuth_deg": float(rng.uniform(0, 360)),
        "takeoff_deg": float(rng.uniform(0, 180)),
        "residual_s": float(rng.normal(0, 0.1)),
        "weight": float(rng.uniform(0.6, 1.0)),
    }


def _magnitude(event: str, code: str, origin: int, rng: np.random.Generator, *, used: bool) -> dict:
    row = {
        "event_id": event,
        "station": code,
        "channel": code + "E",
        "magnitude_type": "ML",
        "magnitude": float(rng.normal(2, 0.3)),
        "amplitude_mm": float(rng.uniform(0.01, 10)),
        "amplitude_time": pd.Timestamp(origin + 5_000_000_007, tz="UTC"),
        "distance_km": float(rng.uniform(1, 100)),
        "snr": float(rng.uniform(2, 100)),
        "used": used,
        "reason": "",
    }
    if not used:
        row |= {"magnitude": np.nan, "amplitude_mm": np.nan, "amplitude_time": pd.NaT}
        row |= {"reason": "clipped: N sits on a rail"}
    return row
