"""Picks of an Earth that differs from the model: static station terms, or a random 3-D medium."""

from __future__ import annotations

import numpy as np
import pandas as pd
from location_helpers import simulate

from lithoscope.traveltimes import VelocityModel

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]
EVEN = VelocityModel.constant_layers([-1.0], [6.0], vp_vs_ratio=1.73, name="even")


def delayed(tables: Tables, delays: np.ndarray) -> Tables:
    """Return the tables with the pick times later by ``delays`` (s)."""
    assignments, picks, stations, truth = tables
    late = pd.to_timedelta(np.round(delays * 1e9), unit="ns")
    return assignments, picks.assign(time=picks["time"] + late), stations, truth


def with_station_terms(seed: int, n_events: int, sigma_s: float, **options: object) -> Tables:
    """Return events in one network, delayed by a term of each station.

    P terms are Gaussian with ``sigma_s``; those of S are 1.5 times P's and a third of their own.
    """
    tables = network(seed, n_events, **options)
    rng = np.random.default_rng(1000 + seed)
    names = tables[2]["station"].to_numpy()
    p = dict(zip(names, rng.normal(0, sigma_s, len(names)), strict=True))
    s = {k: 1.5 * v + rng.normal(0, sigma_s / 3) for k, v in p.items()}
    picks = tables[1]
    both = zip(picks["station"], picks["phase"], strict=True)
    return delayed(tables, np.array([(p if phase == "P" else s)[k] for k, phase in both]))


def network(seed: int, n_events: int, **options: object) -> Tables:
    """Return simulated events of a network of 20 stations; the nearest 14 have P, 10 have S."""
    base = {"n_stations": 20, "half_width_km": 40.0, "n_p": 14, "n_s": 10, "depth_km": (6.0, 12.0)}
    return simulate(seed, n_events, **{**base, **options})
