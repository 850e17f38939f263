"""Simulated picks of known events, and how well an association recovers them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lithoscope.association import Association
from lithoscope.geo import LocalProjection
from lithoscope.schema import pick_id
from lithoscope.traveltimes import VelocityModel, travel_time

LAYERED = VelocityModel.constant_layers(
    [0.0, 5.0, 15.0, 32.0], [5.0, 6.0, 6.6, 7.9], vp_vs_ratio=1.75, name="layered"
)
EPOCH_S = 1_500_000_000
SIGMA_S = (0.05, 0.1)


@dataclass(frozen=True)
class Simulation:
    """Picks (with the column ``event``, -1 = noise), stations and events with known truth."""

    picks: pd.DataFrame
    stations: pd.DataFrame
    model: VelocityModel
    events: pd.DataFrame


def make_stations(rng: np.random.Generator, n: int = 30, half_km: float = 50.0) -> pd.DataFrame:
    """Return stations spread at random over a square around 13 E, 42.8 N."""
    east, north = rng.uniform(-half_km, half_km, (2, n))
    lon, lat = LocalProjection(13.0, 42.8).inverse(east, north)
    return pd.DataFrame(
        {
            "station": [f"XX.S{k:02d}..HH" for k in range(n)],
            "longitude": lon,
            "latitude": lat,
            "elevation_m": rng.uniform(0, 1500, n),
        }
    )


def make_events(
    rng: np.random.Generator, n: int, hours: float, half_km: float = 50.0
) -> pd.DataFrame:
    """Return events, half of them spread over the region, half in three clusters."""
    east, north = rng.uniform(-half_km, half_km, (2, n))
    centre = rng.uniform(-0.6 * half_km, 0.6 * half_km, (3, 2))
    member = rng.integers(0, 6, n)
    for k in range(3):
        inside = member == k
        east[inside] = centre[k, 0] + rng.normal(0, 2, inside.sum())
        north[inside] = centre[k, 1] + rng.normal(0, 2, inside.sum())
    return pd.DataFrame(
        {
            "time_s": EPOCH_S + np.sort(rng.uniform(60, 3600 * hours - 60, n)),
            "east": east,
            "north": north,
            "depth_km": rng.uniform(2, 15, n),
            "n_stations": rng.integers(8, 21, n),
        }
    )


def make_picks(
    rng: np.random.Generator,
    stations: pd.DataFrame,
    events: pd.DataFrame,
    model: VelocityModel,
    *,
    hours: float,
    noise: float = 0.3,
    shares: tuple[float, float] = (0.95, 0.8),
) -> pd.DataFrame:
    """Return picks: each event's nearest stations pick P and S, plus noise."""
    projection = LocalProjection(13.0, 42.8)
    se, sn = projection.forward(stations["longitude"], stations["latitude"])
    depth = -stations["elevation_m"].to_numpy() / 1000
    distance = np.hypot(
        events["east"].to_numpy()[:, None] - se, events["north"].to_numpy()[:, None] - sn
    )
    rank = distance.argsort(axis=1).argsort(axis=1)
    heard = rank < events["n_stations"].to_numpy()[:, None]
    parts = []
    for phase, share, sigma in zip("PS", shares, SIGMA_S, strict=True):
        event, site = np.nonzero(heard & (rng.random(heard.shape) < share))
        time = travel_time(
            model, phase, distance[event, site], events["depth_km"].to_numpy()[event], depth[site]
        )
        time = time + events["time_s"].to_numpy()[event] + rng.normal(0, sigma, event.size)
        parts.append(pd.DataFrame({"event": event, "site": site, "phase": phase, "t": time}))
    n_true = sum(len(part) for part in parts)
    n_noise = round(n_true * noise / (1 - noise))
    parts.append(
        pd.DataFrame(
            {
                "event": -1,
                "site": rng.integers(0, len(stations), n_noise),
                "phase": rng.choice(["P", "S"], n_noise),
                "t": EPOCH_S + rng.uniform(0, 3600 * hours, n_noise),
            }
        )
    )
    table = pd.concat(parts, ignore_index=True)
    return finish(table, stations, rng)


def finish(table: pd.DataFrame, stations: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Add ids, times and sigmas to rows of event, site, phase and t (s since 1970)."""
    ns = (table["t"].to_numpy() * 1e9).astype(np.int64)
    codes = stations["station"].to_numpy()[table["site"].to_numpy()]
    sigma = np.where(table["phase"] == "P", *SIGMA_S)
    p = np.where(table["event"] >= 0, rng.beta(4, 2, len(table)), rng.beta(2, 3, len(table)))
    return (
        pd.DataFrame(
            {
                "pick_id": [
                    pick_id(s, f, t) for s, f, t in zip(codes, table["phase"], ns, strict=True)
                ],
                "station": codes,
                "phase": table["phase"],
                "time": pd.to_datetime(ns, utc=True),
                "time_sigma_s": sigma,
                "probability": p,
                "event": table["event"],
            }
        )
        .drop_duplicates("pick_id")
        .sort_values("time", ignore_index=True)
    )


def simulate(
    n_picks: int, *, seed: int, hours: float = 24.0, model: VelocityModel = LAYERED
) -> Simulation:
    """Return about ``n_picks`` picks of 30 stations, 30 % of them noise."""
    rng = np.random.default_rng(seed)
    stations = make_stations(rng)
    # 14 stations an event, 1.75 picks each.
    events = make_events(rng, max(1, round(0.7 * n_picks / 24.5)), hours)
    picks = make_picks(rng, stations, events, model, hours=hours)
    return Simulation(picks, stations, model, events)


def evaluate(simulation: Simulation, result: Association) -> dict[str, float]:
    """Return recall and precision of events and of pick assignments.

    A candidate is the event that most of its picks come from, if that is at least half; of two
    candidates for one event, one is right.
    """
    truth = simulation.picks.set_index("pick_id")["event"]
    given = result.assignments.assign(true=truth.reindex(result.assignments["pick_id"]).to_numpy())
    main = {}
    for event, group in given.groupby("event_id"):
        counts = group["true"][group["true"] >= 0].value_counts()
        if len(counts) and counts.iloc[0] >= 0.5 * len(group):
            main[event] = counts.index[0]
    right = (given["true"] == given["event_id"].map(main).fillna(-2)).sum()
    found = len(set(main.values()))
    return {
        "event_recall": found / len(simulation.events),
        "event_precision": found / max(1, len(result.candidates)),
        "pick_recall": right / max(1, (truth >= 0).sum()),
        "pick_precision": right / max(1, len(given)),
    }
