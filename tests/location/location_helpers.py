"""Simulated picks with known truth, and readers of the reference data that only tests use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lithoscope import schema
from lithoscope.geo import LocalProjection, distance_azimuth
from lithoscope.traveltimes import VelocityModel, travel_time

CENTRE = LocalProjection(12.0, 46.0)
LAYERS = VelocityModel.constant_layers(
    [0.0, 4.0, 12.0, 24.0, 32.0], [5.2, 5.9, 6.3, 6.7, 8.0], vp_vs_ratio=1.74, name="layers"
)


def simulate(
    seed: int,
    n_events: int,
    *,
    model: VelocityModel = LAYERS,
    n_stations: int = 30,
    half_width_km: float = 50.0,
    n_p: int = 20,
    n_s: int = 20,
    sigma_p_s: float = 0.05,
    sigma_s_s: float = 0.1,
    outliers: float = 0.05,
    depth_km: tuple[float, float] = (2.0, 18.0),
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return assignments, picks, stations and truth; outliers are off by 2 to 6 s.

    Stations stand on a grid, each moved by up to 0.3 of its spacing; epicentres are uniform over
    the inner half of the network's area; the nearest stations have the picks.
    """
    rng = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(n_stations)))
    spacing = 2 * half_width_km / columns
    cell = rng.permutation(columns * columns)[:n_stations]
    middle = spacing * (np.stack([cell % columns, cell // columns]) + 0.5) - half_width_km
    east, north = middle + spacing * rng.uniform(-0.3, 0.3, (2, n_stations))
    lon, lat = CENTRE.inverse(east, north)
    names = np.array([f"XX.S{k:03d}..HH" for k in range(n_stations)])
    elevation = rng.uniform(0, 800, n_stations)
    stations = pd.DataFrame(
        {"station": names, "longitude": lon, "latitude": lat, "elevation_m": elevation}
    )
    place = rng.uniform(-0.7 * half_width_km, 0.7 * half_width_km, (n_events, 2))
    depth = rng.uniform(*depth_km, n_events)
    start = pd.Timestamp("2020-01-01", tz="UTC").value
    origin = start + np.arange(n_events) * 600_000_000_000 + rng.integers(0, 10**9, n_events)
    lon, lat = CENTRE.inverse(place[:, 0], place[:, 1])
    ids = np.array([f"ev{k:05d}" for k in range(n_events)])
    truth = pd.DataFrame(
        {
            "event_id": ids,
            "time": pd.to_datetime(origin, utc=True),
            "longitude": lon,
            "latitude": lat,
            "depth_km": depth,
        }
    )
    parts = []
    for phase, n, sigma in (("P", n_p, sigma_p_s), ("S", n_s, sigma_s_s)):
        event = np.repeat(np.arange(n_events), n)
        away = np.hypot(east - place[:, :1], north - place[:, 1:])
        who = np.argsort(away, axis=1)[:, :n].ravel()
        distance = np.hypot(east[who] - place[event, 0], north[who] - place[event, 1])
        time = travel_time(model, phase, distance, depth[event], -elevation[who] / 1000.0)
        time = time + rng.normal(0, sigma, len(who))
        wrong = rng.uniform(size=len(who)) < outliers
        time = time + wrong * rng.choice([-1, 1], len(who)) * rng.uniform(2, 6, len(who))
        ns = origin[event] + np.round(time * 1e9).astype(np.int64)
        parts.append(
            pd.DataFrame(
                {
                    "event_id": ids[event],
                    "station": names[who],
                    "phase": phase,
                    "time": pd.to_datetime(ns, utc=True),
                    "time_sigma_s": sigma,
                    "wrong": wrong,
                    "pick_id": [
                        schema.pick_id(s, phase, t) for s, t in zip(names[who], ns, strict=True)
                    ],
                }
            )
        )
    picks = pd.concat(parts, ignore_index=True)
    return picks[["event_id", "pick_id"]], picks, stations, truth


def check_against_truth(events: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return one row an event: errors, and whether each region holds the truth."""
    both = truth.merge(events, on="event_id", suffixes=("_true", ""))
    distance, azimuth = distance_azimuth(
        both["longitude"], both["latitude"], both["longitude_true"], both["latitude_true"]
    )
    turn = np.radians(azimuth - both["ellipse_azimuth_deg"])
    late = (both["time_true"] - both["time"]).dt.total_seconds()
    out = pd.DataFrame({"event_id": both["event_id"], "epicentre_km": distance})
    out["depth_error_km"] = (both["depth_km_true"] - both["depth_km"]).abs()
    out["time_error_s"] = late.abs()
    for mass in ("68", "95"):
        along = distance * np.cos(turn) / both[f"ellipse_{mass}_major_km"]
        across = distance * np.sin(turn) / both[f"ellipse_{mass}_minor_km"]
        out[f"epicentre_{mass}"] = along**2 + across**2 <= 1.0
        out[f"depth_{mass}"] = both["depth_km_true"].between(
            both[f"depth_{mass}_low_km"], both[f"depth_{mass}_high_km"]
        )
        out[f"time_{mass}"] = late.abs() <= both[f"time_{mass}_half_s"]
    return out


def read_nlloc_obs(path: Path) -> pd.DataFrame:
    """Read NonLinLoc phase lines: label, phase, time, error; blank lines start a new event."""
    rows, event, open_ = [], 0, False
    for line in Path(path).read_text().splitlines():
        parts = line.split()
        if len(parts) < 11 or line.startswith("#"):
            event += open_
            open_ = False
            continue
        open_ = True
        day = pd.Timestamp(f"{parts[6]}T{parts[7]}", tz="UTC")
        time = day + pd.Timedelta(round(float(parts[8]) * 1e9), "ns")
        rows.append((event, parts[0], parts[4], time, float(parts[10])))
    return pd.DataFrame(rows, columns=["event", "label", "phase", "time", "error_s"])


def read_nlloc_hyp(path: Path) -> tuple[dict[str, float | str], pd.DataFrame]:
    """Read a NonLinLoc hypocentre: the values of its header lines, and its phases."""
    head: dict[str, float | str] = {}
    rows: list[dict[str, object]] = []
    inside = False
    for line in Path(path).read_text().splitlines():
        parts = line.split()
        if line.startswith("HYPOCENTER"):
            head |= {"x": float(parts[2]), "y": float(parts[4]), "z": float(parts[6])}
        elif line.startswith("GEOGRAPHIC"):
            day = f"{parts[2]}-{parts[3]}-{parts[4]}T{parts[5]}:{parts[6]}"
            stamp = pd.Timestamp(day, tz="UTC") + pd.Timedelta(round(float(parts[7]) * 1e9), "ns")
            head |= {"time": str(stamp), "latitude": float(parts[9])}
            head |= {"longitude": float(parts[11]), "depth_km": float(parts[13])}
        elif line.startswith("STATISTICS"):
            head |= {"var_z": float(parts[18])}
        elif line.startswith("PHASE ID"):
            inside = True
        elif line.startswith("END_PHASE"):
            break
        elif inside:
            before, after = line.split(">")
            a, b = before.split(), after.split()
            day = pd.Timestamp(f"{a[6]}T{a[7]}", tz="UTC")
            rows.append(
                {
                    "label": a[0],
                    "phase": a[4],
                    "time": day + pd.Timedelta(round(float(a[8]) * 1e9), "ns"),
                    "error_s": float(a[10]),
                    "predicted_s": float(b[0]),
                    "residual_s": float(b[1]),
                    "weight": float(b[2]),
                    "x": float(b[3]),
                    "y": float(b[4]),
                    "z": float(b[5]),
                    "correction_s": float(b[11]),
                }
            )
    return head, pd.DataFrame(rows)


def tables_of(picks: pd.DataFrame, event_ids: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return assignments and picks tables from station, phase, time, time_sigma_s."""
    picks = picks.copy()
    ns = picks["time"].astype("datetime64[ns, UTC]").astype("int64")
    picks["pick_id"] = [
        schema.pick_id(s, p, t)
        for s, p, t in zip(picks["station"], picks["phase"], ns, strict=True)
    ]
    picks["event_id"] = list(event_ids)
    picks = picks.drop_duplicates("pick_id")
    return picks[["event_id", "pick_id"]], picks
