"""Other people's picks located by us beside their own answer; used by tests and by the figures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
from location_helpers import read_nlloc_hyp, read_nlloc_obs, tables_of
from pyproj import Geod
from scipy.optimize import least_squares

from lithoscope.catalog import read_catalog
from lithoscope.geo import LocalProjection, distance_azimuth
from lithoscope.location import Located, LocationSettings, locate
from lithoscope.stations import read_stations
from lithoscope.traveltimes import VelocityModel, builtin_model, read_velocity_model, travel_time

Result = tuple[Located, pd.DataFrame]


def differences(located: Located, reference: pd.DataFrame) -> pd.DataFrame:
    """Return one row an event: epicentre (km), depth (km, ours minus theirs) and ours beside."""
    both = located.events.merge(reference, on="event_id", suffixes=("", "_theirs"))
    distance, _ = distance_azimuth(
        both["longitude"], both["latitude"], both["longitude_theirs"], both["latitude_theirs"]
    )
    return both.assign(
        epicentre_km=distance, depth_difference_km=both["depth_km"] - both["depth_km_theirs"]
    )


def alaska(folder: Path) -> Result:
    """NonLinLoc's sample with the settings of its control file.

    LAYER as it is, extended up to the grid's top at -5 km; LOCGAU 0.2 s as the floor of the model
    error without correlation, LOCGAU2 0.02 as its fraction; S times are 1.68 times those of P
    (LOCMETH), not those of the Vs column; LOCQUAL2ERR does not apply (the phases carry errors); the
    phases that NonLinLoc used. EDT_OT_WT has no equal here: ours is the mixture likelihood.
    """
    read = read_velocity_model(folder / "nlloc_sample.in")
    layers = VelocityModel.constant_layers(
        read.depth_km, read.vp_km_s, vp_vs_ratio=1.68, name="nlloc_sample"
    )
    stations = []
    for line in (folder / "obs" / "station_coordinates.txt").read_text().splitlines():
        if line.startswith("GTSRCE"):
            _, label, _, lat, lon, depth, elevation = line.split()[:7]
            height = 1000.0 * (float(elevation) - float(depth))
            stations.append((_code(label), float(lon), float(lat), height))
    rows, parts, ids = [], [], []
    for path in sorted((folder / "reference").glob("alaska.2018*.hyp")):
        head, phases = read_nlloc_hyp(path)
        used = phases[phases["weight"] > 0]
        parts.append(used)
        ids += [path.name[7:22]] * len(used)
        rows.append({"event_id": path.name[7:22], **head})
    picks = pd.concat(parts, ignore_index=True)
    picks["station"] = [_code(label) for label in picks["label"]]
    picks["time_sigma_s"] = picks["error_s"]
    assignments, picks = tables_of(picks, pd.Series(ids))
    settings = LocationSettings(
        model_error_floor_s=0.2,
        model_error_fraction=0.02,
        model_error_correlation_km=0.0,
        min_depth_km=-5.0,
        max_depth_km=100.0,
    )
    columns = ["station", "longitude", "latitude", "elevation_m"]
    table = pd.DataFrame(stations, columns=columns).drop_duplicates("station")
    return locate(assignments, picks, table, layers, settings), pd.DataFrame(rows)


def _code(label: str) -> str:
    network, _, rest = label.partition("_")
    return f"{network}.{rest.replace('_', '-')}..HH"


def unterhaching() -> Result:
    """ObsPy's UH event in its own plane; linear P and S models fitted to the predicted times."""
    where = Path(os.path.dirname(obspy.__file__)) / "io/nlloc/tests/data/nlloc_custom.hyp"
    head, phases = read_nlloc_hyp_plane(where)
    plane = LocalProjection(11.6, 48.0)
    lon, lat = plane.inverse(phases["x"] - head["x"], phases["y"] - head["y"])
    phases = phases.assign(station=["BW." + v + "..EH" for v in phases["label"]])
    table = pd.DataFrame({"station": phases["station"], "longitude": lon, "latitude": lat})
    table["elevation_m"] = -1000.0 * phases["z"]
    distance = np.hypot(phases["x"] - head["x"], phases["y"] - head["y"])
    vp, gp = _gradient(phases, distance, head["z"], "P")
    vs, gs = _gradient(phases, distance, head["z"], "S")
    model = VelocityModel([-0.4], [vp], [vs], [gp], [gs], "from predicted times")
    picks = phases.assign(
        time=phases["time"] - pd.to_timedelta(phases["correction_s"], unit="s"),
        time_sigma_s=phases["error_s"],
    )
    assignments, picks = tables_of(picks, pd.Series(["uh"] * len(picks)))
    # The weights in the file follow 1 / (error^2 + 0.02^2).
    settings = LocationSettings(
        model_error_floor_s=0.02, model_error_fraction=0.0, model_error_correlation_km=0.0
    )
    located = locate(assignments, picks, table.drop_duplicates("station"), model, settings)
    lon0, lat0 = plane.inverse(0.0, 0.0)
    theirs = {"event_id": "uh", "longitude": float(lon0), "latitude": float(lat0)}
    return located, pd.DataFrame([{**theirs, "depth_km": head["z"]}])


def read_nlloc_hyp_plane(path: Path) -> tuple[dict, pd.DataFrame]:
    """Read a hypocentre whose GEOGRAPHIC line holds plane coordinates."""
    head, phases = read_nlloc_hyp(path)
    return head, phases


def _gradient(
    phases: pd.DataFrame, distance: pd.Series, depth_km: float, phase: str
) -> tuple[float, float]:
    """Fit velocity at the stations' level and gradient to the predicted times of one phase."""
    mine = (phases["phase"] == phase).to_numpy()

    def misfit(x: np.ndarray) -> np.ndarray:
        model = VelocityModel([-0.4], [2.0 * x[0]], [x[0]], [2.0 * x[1]], [x[1]])
        level = phases["z"].to_numpy()[mine]
        times = travel_time(model, "S", distance.to_numpy()[mine], depth_km, level)
        return times - phases["predicted_s"].to_numpy()[mine]

    start = [3.5, 0.1] if phase == "P" else [1.9, 0.05]
    found = least_squares(misfit, start, bounds=([0.5, 0.0], [8.0, 1.0]))
    return float(found.x[0]), float(found.x[1])


CARMEL_MODEL = VelocityModel.constant_layers(
    [0.0, 2.0, 20.0, 40.0], [5.60, 6.15, 6.70, 8.18], [3.24, 3.55, 3.87, 4.73], name="catalogue"
)


def mt_carmel(folder: Path) -> Result:
    """Four P picks an event, with the model and the sigma (0.2 s) of the catalogue."""
    stations = _carmel_stations(folder)
    parts, ids = [], []
    for path in sorted((folder / "obs").glob("*.obs")):
        picks = read_nlloc_obs(path)
        parts.append(picks)
        ids += [path.stem] * len(picks)
    picks = pd.concat(parts, ignore_index=True)
    picks["station"] = [f"Z3.{label}..HH" for label in picks["label"]]
    picks["time_sigma_s"] = 0.2
    assignments, picks = tables_of(picks, pd.Series(ids))
    settings = LocationSettings(
        model_error_floor_s=0.0, model_error_fraction=0.0, min_depth_km=0.0, max_depth_km=30.0
    )
    located = locate(assignments, picks, stations, CARMEL_MODEL, settings)
    return located, _carmel_catalogue(folder, located)


def _carmel_stations(folder: Path) -> pd.DataFrame:
    rows = []
    for line in (folder / "MtCarmel_station.in").read_text().splitlines():
        if line.startswith("GTSRCE"):
            _, name, _, lat, lon, _, elevation = line.split()
            rows.append((f"Z3.{name}..HH", float(lon), float(lat), 1000 * float(elevation)))
    return pd.DataFrame(rows, columns=["station", "longitude", "latitude", "elevation_m"])


def _carmel_catalogue(folder: Path, located: Located) -> pd.DataFrame:
    """Give each row of the catalogue the event whose origin time is nearest, within 3 s."""
    columns = ["longitude", "latitude", "y", "month", "day", "m", "depth_km", "hour", "minute", "s"]
    rows = pd.read_csv(folder / "MtCarmel_4_21_2008.txt", sep=r"\s+", names=columns)
    rows = rows[rows["y"] > 2000].drop_duplicates()
    date = pd.to_datetime(
        {"year": 2008, "month": rows["month"], "day": rows["day"], "hour": rows["hour"]}, utc=True
    )
    rows["time"] = date + pd.to_timedelta(60 * rows["minute"] + rows["s"], unit="s")
    ours = located.events
    late = (ours["time"].to_numpy()[None] - rows["time"].to_numpy()[:, None]) / np.timedelta64(
        1, "s"
    )
    nearest = np.abs(late).argmin(axis=1)
    rows["event_id"] = ours["event_id"].to_numpy()[nearest]
    return rows[np.abs(late).min(axis=1) < 3.0].drop_duplicates("event_id")


def swiss(folder: Path) -> Result:
    """Manual picks of the SED, located in the crust of iasp91; their own model is 3-D.

    The inventories hold 7 of the 296 picked stations. The others are put where the SED's arrivals
    see them (distance and azimuth from their origins, median of all), at 0.7 km above sea level:
    their true elevations are not in the data.
    """
    parts = [read_catalog(path) for path in sorted(folder.glob("catalog_*.scml"))]
    reference = pd.concat([p.events for p in parts]).drop_duplicates("event_id")
    arrivals = pd.concat([p.arrivals for p in parts]).drop_duplicates("pick_id")
    picks = pd.concat([p.picks for p in parts]).drop_duplicates("pick_id")
    picks["time_sigma_s"] = picks["time_sigma_s"].fillna(0.1)  # the SED's middle class
    arrivals = arrivals[arrivals["event_id"].isin(reference["event_id"])]
    paths = sorted([*folder.glob("inventory_*.scml"), *folder.glob("stations_*")])
    stations = read_stations(paths, codes=sorted(set(picks["station"]))).stations
    seen = _seen_from_origins(arrivals, reference)
    seen = seen[~seen["station"].isin(stations["station"])]
    table = pd.concat([stations, seen], ignore_index=True)
    return locate(arrivals, picks, table, builtin_model("iasp91")), reference


def _seen_from_origins(arrivals: pd.DataFrame, origins: pd.DataFrame) -> pd.DataFrame:
    both = arrivals.dropna(subset=["distance_km", "azimuth_deg"]).merge(
        origins[["event_id", "longitude", "latitude"]], on="event_id"
    )
    lon, lat, _ = Geod(ellps="WGS84").fwd(
        both["longitude"], both["latitude"], both["azimuth_deg"], 1000 * both["distance_km"]
    )
    both = both.assign(longitude=lon, latitude=lat)
    middle = both.groupby("station")[["longitude", "latitude"]].median().reset_index()
    return middle.assign(elevation_m=700.0)


# Cells that NonLinLoc's search ended with at Mt Carmel, from the catalogue's own numbers: 100 km in
# 10 * 2^6 parts and 30 km in 10 * 2^5; its plane (TRANS SIMPLE) has 10,000 / 90 km a degree.
_CELL_KM = (0.15625, 0.09375)
_DEGREE_KM = 10_000.0 / 90.0


def carmel_on_the_catalogues_lattice(
    folder: Path, located: Located, rows: pd.DataFrame
) -> pd.DataFrame:
    """Return how far the best node of the catalogue's lattice is from the catalogue's (km).

    Nodes within 3 cells (10 in depth) of the catalogue's hypocentre are ranked by the sum of
    squared residuals with our travel times, in the catalogue's plane.
    """
    stations = _carmel_stations(folder)
    away = np.meshgrid(np.arange(-3, 4), np.arange(-3, 4), np.arange(-10, 11), indexing="ij")
    east, north = _CELL_KM[0] * away[0], _CELL_KM[0] * away[1]
    out = []
    for row in rows.itertuples():
        mine = located.arrivals[located.arrivals["event_id"] == row.event_id].set_index("station")
        observed = (mine["time"] - row.time_theirs).dt.total_seconds()
        misfit = []
        for site in stations.itertuples():
            stretch = _DEGREE_KM * np.cos(np.radians(stations["latitude"].mean()))
            x = (row.longitude_theirs - site.longitude) * stretch + east
            y = (row.latitude_theirs - site.latitude) * _DEGREE_KM + north
            z = row.depth_km_theirs + _CELL_KM[1] * away[2]
            level = -site.elevation_m / 1000.0
            time = travel_time(CARMEL_MODEL, "P", np.hypot(x, y).ravel(), z.ravel(), level)
            misfit.append(observed[site.station] - time)
        best = int(np.argmin(np.var(misfit, axis=0)))
        out.append((np.hypot(east.ravel()[best], north.ravel()[best]), row.event_id))
    return pd.DataFrame(out, columns=["epicentre_km", "event_id"])
