"""A small network with a known catalogue, as files, for runs without real data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lithoscope.synthetics import (
    random_network,
    simulate_catalogue,
    simulate_records,
    write_archive,
)
from lithoscope.traveltimes import builtin_model

START = "2024-03-01T00:00:00Z"
DURATION_S = 600.0


@dataclass(frozen=True)
class SyntheticArchive:
    """Where the files are, and the truth."""

    waveforms: Path
    stations: Path
    events: pd.DataFrame


def make(
    folder: Path,
    *,
    n_stations: int = 6,
    n_events: int = 4,
    seed: int = 7,
    duration_s: float = DURATION_S,
) -> SyntheticArchive:
    """Write some minutes of a network and return where it is and what happened."""
    rng = np.random.default_rng(seed)
    model = builtin_model("iasp91")
    network = random_network(n_stations, 20.0, rng, longitude=10.0, latitude=45.0)
    events = simulate_catalogue(
        n_events,
        rng,
        longitude=10.0,
        latitude=45.0,
        half_width_km=10.0,
        depth_km=(3.0, 15.0),
        magnitude=(2.0, 3.0),
    )
    events["time"] = pd.Timestamp(START) + pd.to_timedelta(
        60 + np.arange(n_events) * (duration_s - 120) / n_events, unit="s"
    )
    records, _ = simulate_records(events, network, model, rng, start=START, duration_s=duration_s)
    write_archive(folder / "waveforms", records)
    stations = folder / "stations.csv"
    rows = ["network,station,band,longitude,latitude,elevation_m,gain,unit"]
    for site in network.itertuples():
        net, sta, _, band = site.station.split(".")
        rows.append(
            f"{net},{sta},{band},{site.longitude:.6f},{site.latitude:.6f},"
            f"{site.elevation_m:.1f},1e9,m/s"
        )
    stations.write_text("\n".join(rows) + "\n")
    return SyntheticArchive(folder / "waveforms", stations, events)
