"""A small simulated catalogue in the schemas, with recordings to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lithoscope import schema
from lithoscope.catalog import Catalog
from lithoscope.geo import distance_azimuth
from lithoscope.traveltimes import VelocityModel
from lithoscope.waveforms.record import Record

START_NS = int(pd.Timestamp("2021-03-04T05:00:00", tz="UTC").value)
VP, VS = 6.0, 3.45


def model() -> VelocityModel:
    """A half space of 6.0 and 3.45 km/s under a slower layer."""
    return VelocityModel(
        np.array([-2.0, 30.0]),
        np.array([VP, 8.0]),
        np.array([VS, 4.6]),
        np.zeros(2),
        np.zeros(2),
        "half space",
    )


@dataclass(frozen=True)
class Simulated:
    """Catalogue, reader of noise with onsets, and the segments that the reader covers."""

    catalog: Catalog
    picks_ns: dict[str, np.ndarray]
    span_ns: tuple[int, int]

    def read(self, station: str, start_ns: int, end_ns: int) -> list[Record]:
        """Return 50 Hz of noise with a burst at each pick, on an absolute grid."""
        step = 20_000_000
        first, last = -(-start_ns // step), -(-end_ns // step)
        times = np.arange(first, last) * step
        rng = np.random.default_rng(abs(hash_of(station)) + int(first))
        data = rng.normal(0, 1, (3, len(times)))
        onsets = self.picks_ns.get(station, np.zeros(0, int))
        for onset in onsets[(onsets > start_ns - 10**10) & (onsets < end_ns)]:
            after = (times - onset) / 1e9
            wave = np.where(after > 0, np.exp(-np.clip(after, 0, 60) / 1.5), 0.0)
            data += 20 * wave * np.sin(2 * np.pi * 6 * np.clip(after, 0, 60))
        mask = np.array([True, not station.startswith("XX.S00"), not station.startswith("XX.S00")])
        data[~mask] = 0
        return [
            Record(
                station,
                int(times[0]),
                50.0,
                data.astype(np.float32),
                mask,
                ("Z", "N", "E"),
                np.zeros(3, bool),
            )
        ]

    @property
    def segments(self) -> pd.DataFrame:
        low, high = self.span_ns
        middle = (low + high) // 2
        rows = []
        for k, station in enumerate(self.catalog.stations["station"]):
            rows.append((station, low, middle if k % 3 == 0 else high, 50.0))
            if k % 3 == 0:
                rows.append((station, middle + (high - low) // 10, high, 50.0))
        names = ["station", "starttime_ns", "endtime_ns", "sampling_rate_hz"]
        return pd.DataFrame(rows, columns=names)


def hash_of(text: str) -> int:
    """Return a number that is the same in every process."""
    return int.from_bytes(text.encode()[:6], "big")


def build(
    n_events: int = 40,
    n_stations: int = 12,
    *,
    seed: int = 3,
    hours: float = 6.0,
    magnitudes: bool = True,
) -> Simulated:
    """Return a catalogue of ``n_events`` under ``n_stations`` around 12.5 E, 47.5 N."""
    rng = np.random.default_rng(seed)
    stations = schema.STATIONS.table(
        {
            "station": [f"XX.S{k:02d}..HH" for k in range(n_stations)],
            "longitude": 12.5 + rng.uniform(-0.4, 0.4, n_stations),
            "latitude": 47.5 + rng.uniform(-0.25, 0.25, n_stations),
            "elevation_m": rng.uniform(300, 1800, n_stations),
        }
    )
    times = np.sort(rng.uniform(0, hours * 3600, n_events))
    events, arrivals, picks = [], [], []
    for i in range(n_events):
        event, found = _event(i, times[i], stations, rng, magnitudes)
        events.append(event)
        for row, sigma in found:
            arrivals.append(row)
            picks.append(
                {
                    **row,
                    "time_sigma_s": sigma,
                    "probability": float(rng.beta(6, 2)),
                    "model": "fake",
                }
            )
    for k in range(2 * n_events):
        station = stations["station"].iloc[k % n_stations]
        at = START_NS + int(rng.uniform(0, hours * 3600) * 1e9)
        picks.append(
            {
                "pick_id": schema.pick_id(station, "P", at),
                "station": station,
                "phase": "P",
                "time": pd.Timestamp(at, tz="UTC"),
                "time_sigma_s": 0.2,
                "probability": float(rng.beta(2, 4)),
                "model": "fake",
            }
        )
    problems = [
        {
            "what": "XX.S01..HHZ",
            "problem": "gap",
            "detail": "12.0 s missing",
            "action": "kept as a gap",
            "starttime": pd.Timestamp(START_NS + 10**12, tz="UTC"),
            "endtime": pd.Timestamp(START_NS + 2 * 10**12, tz="UTC"),
        },
        {
            "what": "broken.mseed",
            "problem": "unreadable",
            "detail": "not a waveform file",
            "action": "skipped",
        },
    ]
    catalog = Catalog(
        events=schema.EVENTS.table(events),
        arrivals=schema.ARRIVALS.table(arrivals),
        picks=schema.PICKS.table(picks),
        stations=stations,
        problems=schema.PROBLEMS.table(problems),
    )
    own = catalog.arrivals
    onsets = {s: g["time"].astype("int64").to_numpy() for s, g in own.groupby("station")}
    return Simulated(catalog, onsets, (START_NS, START_NS + int(hours * 3.6e12)))


def _event(i, second, stations, rng, magnitudes):
    origin = START_NS + int(second * 1e9)
    lon, lat = 12.5 + rng.normal(0, 0.06), 47.5 + rng.normal(0, 0.04)
    depth = float(rng.uniform(2, 14))
    distance, azimuth = distance_azimuth(lon, lat, stations["longitude"], stations["latitude"])
    slant = np.hypot(distance, depth + stations["elevation_m"].to_numpy() / 1000)
    name = schema.event_id(stations["station"].iloc[0], origin)
    found = []
    for k in range(len(stations)):
        for phase, speed, sigma in (("P", VP, 0.05), ("S", VS, 0.1)):
            residual = float(rng.normal(0, sigma))
            outlier = rng.random() < 0.03
            if outlier:
                residual += 1.5
            at = origin + int((slant[k] / speed + residual) * 1e9)
            station = stations["station"].iloc[k]
            row = {
                "event_id": name, "pick_id": schema.pick_id(station, phase, at), "station": station,
                "phase": phase, "time": pd.Timestamp(at, tz="UTC"), "distance_km": distance[k],
                "azimuth_deg": azimuth[k], "takeoff_deg": 100.0, "residual_s": residual,
                "weight": 0.02 if outlier else 0.99,
            }  # fmt: skip
            found.append((row, sigma))
    major, minor = float(rng.uniform(0.3, 1.5)), float(rng.uniform(0.1, 0.3))
    event = {
        "event_id": name, "time": pd.Timestamp(origin, tz="UTC"), "longitude": lon, "latitude": lat,
        "depth_km": depth, "time_sigma_s": 0.05, "east_sigma_km": 0.3, "north_sigma_km": 0.3,
        "depth_sigma_km": 0.8, "ellipse_68_major_km": major, "ellipse_68_minor_km": minor,
        "ellipse_95_major_km": 1.62 * major, "ellipse_95_minor_km": 1.62 * minor,
        "ellipse_azimuth_deg": float(rng.uniform(0, 180)), "depth_68_low_km": depth - 0.8,
        "depth_68_high_km": depth + 0.7, "n_modes": 1 + (i % 9 == 4), "ambiguous": i % 9 == 4,
        "n_p": len(stations), "n_s": len(stations), "azimuthal_gap_deg": 80.0,
        "nearest_station_km": float(distance.min()), "rms_s": 0.07,
        "event_type": "not classified",
    }  # fmt: skip
    if magnitudes and i % 15 != 7:
        size = {
            "magnitude": float(0.5 + rng.exponential(0.45)),
            "magnitude_type": "ML",
            "magnitude_sigma": 0.12,
            "n_magnitudes": 8,
        }
    else:
        size = {"magnitude_reason": "no channel has a response", "n_magnitudes": 0}
    return {**event, **size}, found


def reference(catalog: Catalog, seed: int = 5) -> pd.DataFrame:
    """Return a reference that has most of the events, moved a little, and one of its own."""
    rng = np.random.default_rng(seed)
    table = catalog.events[["event_id", "time", "longitude", "latitude", "depth_km", "magnitude"]]
    table = table.iloc[[i for i in range(len(table)) if i % 8 != 3]].copy()
    table["time"] += pd.to_timedelta(rng.normal(0, 0.2, len(table)), unit="s")
    table["longitude"] += rng.normal(0, 0.005, len(table))
    table["depth_km"] += rng.normal(0, 1, len(table))
    table["magnitude"] += rng.normal(0.1, 0.1, len(table))
    table["event_id"] = [f"ref{i}" for i in range(len(table))]
    extra = table.iloc[[0]].assign(
        event_id="refX", time=table["time"].iloc[0] + pd.Timedelta("17 min")
    )
    return pd.concat([table, extra], ignore_index=True)
