"""The day of picks of central Italy (14 October 2016) and the events others made of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from lithoscope.association import Association, AssociationSettings, associate
from lithoscope.geo import distance_azimuth
from lithoscope.schema import pick_id
from lithoscope.traveltimes import VelocityModel, read_velocity_model

DAY = pd.Timestamp("2016-10-14", tz="UTC")
# Picks are STA/LTA triggers on a 0.01 s grid; S on horizontals are less sharp.
SIGMA_S = {"P": 0.1, "S": 0.2}


def read_picks(folder: Path, *, hours: tuple[float, float] = (0.0, 24.0)) -> pd.DataFrame:
    """Return the picks between two hours of the day; the trigger ratio is the snr."""
    parts = []
    with zipfile.ZipFile(folder / "picks" / "20161014.zip") as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(".txt") or "__MACOSX" in name:
                continue
            net, sta, phase, _ = name.split("/")[-1].split(".")
            text = archive.read(name).decode()
            part = pd.read_csv(io.StringIO(text), sep=r"\s+", names=["t", "snr", "amplitude"])
            part = part[(part["t"] >= 3600 * hours[0]) & (part["t"] < 3600 * hours[1])]
            parts.append(part.assign(site=f"{net}.{sta}", phase=phase))
    table = pd.concat(parts, ignore_index=True)
    codes = read_stations(folder)["station"]
    full = {code.rsplit(".", 2)[0]: code for code in codes}
    table["station"] = table["site"].map(full)
    table = table.dropna(subset="station")
    ns = DAY.value + (table["t"].to_numpy() * 100).round().astype(np.int64) * 10_000_000
    rows = zip(table["station"], table["phase"], ns, strict=True)
    return pd.DataFrame(
        {
            "pick_id": [pick_id(*row) for row in rows],
            "station": table["station"].to_numpy(),
            "phase": table["phase"].to_numpy(),
            "time": pd.to_datetime(ns, utc=True),
            "time_sigma_s": table["phase"].map(SIGMA_S).to_numpy(),
            "snr": table["snr"].to_numpy(),
        }
    ).drop_duplicates("pick_id", ignore_index=True)


def read_stations(folder: Path) -> pd.DataFrame:
    names = ["longitude", "latitude", "network", "code", "channel", "elevation_km"]
    raw = pd.read_csv(folder / "station.dat", sep=r"\s+", names=names)
    codes = raw["network"] + "." + raw["code"] + ".." + raw["channel"].str[:2]
    return raw.assign(station=codes, elevation_m=1000 * raw["elevation_km"])


def read_model(folder: Path) -> VelocityModel:
    return read_velocity_model(folder / "itvel.nd")


def read_relocated(folder: Path) -> pd.DataFrame:
    """Return hypoDD's 539 events: time, latitude, longitude, depth_km."""
    raw = pd.read_csv(folder / "reference" / "hypoDD.reloc", sep=r"\s+", header=None)
    seconds = raw[13] * 3600 + raw[14] * 60 + raw[15]
    return _events(seconds, raw[1], raw[2], raw[3])


def read_real(folder: Path) -> pd.DataFrame:
    """Return REAL's 659 events."""
    raw = pd.read_csv(folder / "reference" / "catalog_sel.txt", sep=r"\s+", header=None)
    return _events(raw[5], raw[7], raw[8], raw[9])


def _events(seconds: pd.Series, lat: pd.Series, lon: pd.Series, depth: pd.Series) -> pd.DataFrame:
    time = DAY + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"time": time, "latitude": lat, "longitude": lon, "depth_km": depth})


def matches(
    reference: pd.DataFrame, events: pd.DataFrame, *, time_s: float = 3.0, distance_km: float = 10.0
) -> np.ndarray:
    """Return for each reference event the nearest unused event in time and space, or -1."""
    t = events["time"].astype("int64").to_numpy() / 1e9
    used = np.zeros(len(events), dtype=bool)
    out = np.full(len(reference), -1)
    for k, row in enumerate(reference.itertuples()):
        gap = np.abs(t - row.time.value / 1e9)
        near = np.flatnonzero((gap <= time_s) & ~used)
        d, _ = distance_azimuth(
            row.longitude,
            row.latitude,
            events["longitude"].iloc[near],
            events["latitude"].iloc[near],
        )
        near = near[d <= distance_km]
        if near.size:
            out[k] = near[np.argmin(gap[near])]
            used[out[k]] = True
    return out


def shuffled(picks: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Shift all picks of a station by one random time (mod a day): chance alone is left."""
    rng = np.random.default_rng(seed)
    shift = {s: int(rng.integers(0, 86400)) for s in sorted(picks["station"].unique())}
    inside = (picks["time"].astype("int64") - DAY.value).to_numpy()
    moved = (inside + picks["station"].map(shift).to_numpy() * 1_000_000_000) % (86400 * 10**9)
    return picks.assign(time=pd.to_datetime(moved + DAY.value, utc=True))


def associate_day(folder: Path, picks: pd.DataFrame) -> Association:
    return associate(picks, read_stations(folder), read_model(folder), AssociationSettings())
