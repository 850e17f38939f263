"""Random catalogues of earthquakes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.geo import LocalProjection

COLUMNS = ("event_id", "time", "longitude", "latitude", "depth_km", "magnitude")


def simulate_catalogue(
    n_events: int,
    rng: np.random.Generator,
    *,
    half_width_km: float = 50.0,
    depth_km: tuple[float, float] = (2.0, 15.0),
    longitude: float = 10.0,
    latitude: float = 45.0,
    start: str = "2024-01-01T00:00:00",
    duration_s: float = 86400.0,
    every_s: float | None = None,
    b_value: float = 1.0,
    magnitude: tuple[float, float] = (0.5, 5.0),
) -> pd.DataFrame:
    """Draw events uniform in space with Gutenberg-Richter magnitudes.

    Parameters
    ----------
    n_events
        How many.
    rng
        Source of the random numbers.
    half_width_km
        Epicentres lie within +- this of the centre, east and north.
    depth_km
        Shallowest and deepest; uniform between.
    longitude, latitude
        Centre, degrees.
    start
        UTC time of the earliest possible origin.
    duration_s
        Origins are uniform over this time (a Poisson process given its number of events), unless
        ``every_s`` is given.
    every_s
        Instead: mean time between events, with exponential waiting times.
    b_value, magnitude
        Magnitudes follow 10^(-b M) between these two.

    Returns
    -------
    pandas.DataFrame
        Columns event_id, time (UTC), longitude, latitude, depth_km, magnitude; by time.

    Raises
    ------
    DataError
        If a range is empty or a duration not positive.
    """
    ranges = {"depth_km": depth_km, "magnitude": magnitude}
    for name, (low, high) in ranges.items():
        if not low <= high:
            raise DataError(f"{name} = ({low:g}, {high:g}); give the smaller value first")
    if n_events < 0 or not duration_s > 0 or (every_s is not None and not every_s > 0):
        raise DataError(
            f"n_events = {n_events}, duration_s = {duration_s:g}, every_s = {every_s}; "
            "numbers of events and times must be positive"
        )
    if every_s is None:
        offset = np.sort(rng.uniform(0.0, duration_s, n_events))
    else:
        offset = np.cumsum(rng.exponential(every_s, n_events))
    east, north = rng.uniform(-half_width_km, half_width_km, (2, n_events))
    lon, lat = LocalProjection(longitude, latitude).inverse(east, north)
    depth = rng.uniform(*depth_km, n_events)
    low, high = 10.0 ** (-b_value * np.array(magnitude))
    size = -np.log10(low - rng.uniform(0.0, 1.0, n_events) * (low - high)) / b_value
    nanoseconds = np.round(offset * NS_PER_S).astype(np.int64)
    time = pd.Timestamp(start, tz="UTC").as_unit("ns") + pd.to_timedelta(nanoseconds, unit="ns")
    return pd.DataFrame(
        {
            "event_id": [f"sim{i:06d}" for i in range(n_events)],
            "time": pd.DatetimeIndex(time).as_unit("ns"),
            "longitude": lon,
            "latitude": lat,
            "depth_km": depth,
            "magnitude": size,
        },
        columns=list(COLUMNS),
    )
