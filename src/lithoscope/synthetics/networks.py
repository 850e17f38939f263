"""Random networks of stations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lithoscope.errors import StationError
from lithoscope.geo import LocalProjection
from lithoscope.schema import STATIONS


def random_network(
    n_stations: int,
    half_width_km: float,
    rng: np.random.Generator,
    *,
    longitude: float = 10.0,
    latitude: float = 45.0,
    elevation_m: tuple[float, float] = (0.0, 1500.0),
    spacing: float = 0.5,
) -> pd.DataFrame:
    """Scatter stations over a square.

    Parameters
    ----------
    n_stations
        How many; codes are ``XX.S000..HH`` and on.
    half_width_km
        Stations lie within +- this of the centre, east and north.
    rng
        Source of the random numbers.
    longitude, latitude
        Centre, degrees.
    elevation_m
        Lowest and highest elevation; uniform between.
    spacing
        Of 8 random places the one farthest from the stations so far is taken until the distance
        exceeds this part of the mean spacing; 0 scatters without regard to neighbours.

    Returns
    -------
    pandas.DataFrame
        STATIONS table.

    Raises
    ------
    StationError
        If there is no station or the square is empty.
    """
    if n_stations < 1 or not half_width_km > 0:
        raise StationError(
            f"a network of {n_stations} station(s) within {half_width_km:g} km cannot be made; "
            "both numbers must be positive"
        )
    wanted = spacing * 2.0 * half_width_km / np.sqrt(n_stations)
    places = rng.uniform(-half_width_km, half_width_km, (1, 2))
    while len(places) < n_stations:
        tries = rng.uniform(-half_width_km, half_width_km, (8, 2))
        apart = np.linalg.norm(tries[:, None] - places[None], axis=2).min(axis=1)
        far = np.flatnonzero(apart >= wanted)
        best = far[0] if far.size else int(np.argmax(apart))
        places = np.vstack([places, tries[best]])
    lon, lat = LocalProjection(longitude, latitude).inverse(places[:, 0], places[:, 1])
    return STATIONS.table(
        {
            "station": [f"XX.S{i:03d}..HH" for i in range(n_stations)],
            "longitude": lon,
            "latitude": lat,
            "elevation_m": rng.uniform(*elevation_m, n_stations),
        }
    )
