"""Positions on the ellipsoid and in a local plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod, Transformer

_GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True)
class LocalProjection:
    """Azimuthal equidistant plane around a centre (WGS84), easting and northing in km.

    Distances from the centre are exact; at 300 km from it, distances across the radius are
    0.04 % too long (Snyder 1987, p. 191).
    """

    longitude: float
    latitude: float

    @classmethod
    def around(cls, longitude: ArrayLike, latitude: ArrayLike) -> LocalProjection:
        """Centre the plane on the mean direction of the given points, rounded to 0.01 degrees."""
        lon, lat = np.radians(np.asarray(longitude, float)), np.radians(np.asarray(latitude, float))
        x = np.mean(np.cos(lat) * np.cos(lon))
        y = np.mean(np.cos(lat) * np.sin(lon))
        z = np.mean(np.sin(lat))
        return cls(
            round(float(np.degrees(np.arctan2(y, x))), 2),
            round(float(np.degrees(np.arctan2(z, np.hypot(x, y)))), 2),
        )

    @property
    def _transformer(self) -> Transformer:
        return _transformer(self.longitude, self.latitude)

    def forward(
        self, longitude: ArrayLike, latitude: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return easting and northing in km."""
        east, north = self._transformer.transform(
            np.asarray(longitude, float), np.asarray(latitude, float)
        )
        return np.asarray(east), np.asarray(north)

    def inverse(
        self, easting_km: ArrayLike, northing_km: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return longitude and latitude in degrees."""
        lon, lat = self._transformer.transform(
            np.asarray(easting_km, float), np.asarray(northing_km, float), direction="INVERSE"
        )
        return np.asarray(lon), np.asarray(lat)


@lru_cache(maxsize=256)  # making one takes tens of milliseconds
def _transformer(longitude: float, latitude: float) -> Transformer:
    plane = f"+proj=aeqd +lon_0={longitude} +lat_0={latitude} +units=km +ellps=WGS84"
    return Transformer.from_crs("EPSG:4326", plane, always_xy=True)


def distance_azimuth(
    longitude_a: ArrayLike, latitude_a: ArrayLike, longitude_b: ArrayLike, latitude_b: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return geodesic distance (km) and azimuth from a to b (degrees from north, 0 to 360)."""
    lon_a, lat_a, lon_b, lat_b = np.broadcast_arrays(
        *(np.asarray(v, float) for v in (longitude_a, latitude_a, longitude_b, latitude_b))
    )
    azimuth, _, metres = _GEOD.inv(lon_a, lat_a, lon_b, lat_b)
    return np.asarray(metres) / 1000.0, np.mod(np.asarray(azimuth), 360.0)
