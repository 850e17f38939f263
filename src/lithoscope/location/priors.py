"""What is known about a hypocentre before the picks: depth, region, any map.

A prior is any object with ``log_density(easting_km, northing_km, depth_km)``. Coordinates are those
of the plane the event is located in; a prior that is given in degrees receives the plane through
``on(projection)`` and returns itself bound to it. Densities need not be normalised. Priors
multiply: ``ProductPrior((a, b))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import ConfigError
from lithoscope.geo import LocalProjection

Array = NDArray[np.float64]


@runtime_checkable
class Prior(Protocol):
    """Log density of the hypocentre before the picks."""

    def log_density(
        self, easting_km: ArrayLike, northing_km: ArrayLike, depth_km: ArrayLike
    ) -> Array:
        """Return the log density (any constant added), -inf where impossible."""
        ...


def bind(prior: Prior, projection: LocalProjection) -> Prior:
    """Return the prior for the plane of one event; priors without ``on`` are used as they are."""
    on = getattr(prior, "on", None)
    return prior if on is None else on(projection)


@dataclass(frozen=True)
class DepthPrior:
    """Prior on depth alone.

    Parameters
    ----------
    kind
        'uniform' between ``low_km`` and ``high_km``; 'gaussian' with ``mean_km`` and ``sigma_km``;
        'exponential' below ``low_km`` with scale ``mean_km``.
    low_km, high_km, mean_km, sigma_km
        km below sea level, positive down; those the kind does not use are ignored.

    Raises
    ------
    ConfigError
        For an unknown kind, or a scale that is not positive.
    """

    kind: Literal["uniform", "gaussian", "exponential"]
    low_km: float = 0.0
    high_km: float = np.inf
    mean_km: float = 10.0
    sigma_km: float = 5.0

    def __post_init__(self) -> None:
        if self.kind not in ("uniform", "gaussian", "exponential"):
            raise ConfigError(
                f"depth prior kind = {self.kind!r}: allowed are uniform, gaussian, exponential"
            )
        if self.kind == "uniform" and not self.low_km < self.high_km:
            raise ConfigError(
                f"depth prior: low_km = {self.low_km} must be less than high_km = {self.high_km}"
            )
        if self.kind == "gaussian" and not self.sigma_km > 0:
            raise ConfigError(f"depth prior: sigma_km = {self.sigma_km} must be positive")
        if self.kind == "exponential" and not self.mean_km > 0:
            raise ConfigError(f"depth prior: mean_km = {self.mean_km} must be positive")

    def depth_seeds(self) -> Array:
        """Return depths where the prior is large, for the search."""
        if self.kind == "gaussian":
            return self.mean_km + self.sigma_km * np.linspace(-1.5, 1.5, 5)
        if self.kind == "exponential":
            return self.low_km + self.mean_km * np.array([0.1, 0.5, 1.0, 2.0])
        if not np.isfinite(self.high_km):
            return np.array([self.low_km])
        return np.linspace(self.low_km, self.high_km, 7)[1:-1]

    def log_density(
        self, easting_km: ArrayLike, northing_km: ArrayLike, depth_km: ArrayLike
    ) -> Array:
        """Return the log density at depths; easting and northing do not matter."""
        depth = np.asarray(depth_km, float)
        if self.kind == "gaussian":
            return np.asarray(-0.5 * ((depth - self.mean_km) / self.sigma_km) ** 2)
        if self.kind == "exponential":
            below = depth - self.low_km
            return np.where(below >= 0, -below / self.mean_km, -np.inf)
        inside = (depth >= self.low_km) & (depth <= self.high_km)
        return np.where(inside, 0.0, -np.inf)


@dataclass(frozen=True)
class RegionPrior:
    """Epicentre inside a polygon of longitudes and latitudes; outside it ``outside`` as likely.

    The polygon's sides are straight in the event's plane; it must not cross itself.
    """

    longitude: Sequence[float]
    latitude: Sequence[float]
    outside: float = 0.0
    _corners: Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.longitude) != len(self.latitude) or len(self.longitude) < 3:
            raise ConfigError(
                f"region prior: {len(self.longitude)} longitudes and {len(self.latitude)} "
                "latitudes; give at least three corners, as many of one as of the other"
            )
        if not 0.0 <= self.outside < 1.0:
            raise ConfigError(f"region prior: outside = {self.outside} must be in 0 to below 1")

    @classmethod
    def box(
        cls, west: float, east: float, south: float, north: float, outside: float = 0.0
    ) -> RegionPrior:
        """Return the prior of a box in degrees."""
        return cls((west, east, east, west), (south, south, north, north), outside)

    def on(self, projection: LocalProjection) -> RegionPrior:
        """Return the prior in a plane."""
        corners = np.stack(projection.forward(self.longitude, self.latitude), axis=1)
        return RegionPrior(self.longitude, self.latitude, self.outside, corners)

    def seeds(self) -> Array:
        """Return (n, 2) places inside, for the search: the region may be smaller than its cells."""
        assert self._corners is not None
        low, high = self._corners.min(axis=0), self._corners.max(axis=0)
        e, n = (np.linspace(low[k], high[k], 12)[1:-1] for k in range(2))
        places = np.stack(np.meshgrid(e, n), axis=-1).reshape(-1, 2)
        inside = self.log_density(places[:, 0], places[:, 1], np.zeros(len(places))) == 0.0
        return np.asarray(places[inside])

    def log_density(
        self, easting_km: ArrayLike, northing_km: ArrayLike, depth_km: ArrayLike
    ) -> Array:
        """Return 0 inside and log(outside) elsewhere."""
        if self._corners is None:
            raise ConfigError("region prior is in degrees: call on(projection) first")
        e, n = np.asarray(easting_km, float), np.asarray(northing_km, float)
        inside = np.zeros(e.shape, bool)
        a = self._corners
        for (e0, n0), (e1, n1) in zip(a, np.roll(a, -1, axis=0), strict=True):
            crosses = (n0 > n) != (n1 > n)
            with np.errstate(divide="ignore", invalid="ignore"):
                at = e0 + (n - n0) * (e1 - e0) / (n1 - n0)
            inside ^= crosses & (e < at)
        with np.errstate(divide="ignore"):
            return np.where(inside, 0.0, np.log(self.outside))


@dataclass(frozen=True)
class MapPrior:
    """Prior on the epicentre from a regular grid of weights in degrees.

    Parameters
    ----------
    longitude, latitude
        ``(nx,)`` and ``(ny,)`` centres of the cells, ascending, evenly spaced.
    weights
        ``(ny, nx)``, not negative, row by latitude; any scale. NaN counts as unknown and takes
        ``background``.
    background
        Weight outside the map and least weight inside it, as a fraction of the largest weight. Zero
        forbids what the map does not allow; a positive value keeps the picks able to overrule it.
    """

    longitude: Array
    latitude: Array
    weights: Array
    background: float = 0.01
    _plane: LocalProjection | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights)
        if weights.shape != (len(self.latitude), len(self.longitude)) or weights.size < 4:
            raise ConfigError(
                f"map prior: weights have shape {weights.shape}, but there are "
                f"{len(self.latitude)} latitudes and {len(self.longitude)} longitudes (2 or more)"
            )
        if np.any(np.diff(self.longitude) <= 0) or np.any(np.diff(self.latitude) <= 0):
            raise ConfigError("map prior: longitudes and latitudes must ascend")
        for axis in (self.longitude, self.latitude):
            if not np.allclose(np.diff(axis), np.diff(axis).mean(), rtol=1e-3):
                raise ConfigError("map prior: longitudes and latitudes must be evenly spaced")
        if not np.nanmax(weights) > 0 or np.nanmin(weights) < 0:
            raise ConfigError("map prior: weights must not be negative, and not all zero")
        if not 0.0 <= self.background < 1.0:
            raise ConfigError(f"map prior: background = {self.background} must be in 0 to below 1")

    def on(self, projection: LocalProjection) -> MapPrior:
        """Return the prior in a plane."""
        return MapPrior(self.longitude, self.latitude, self.weights, self.background, projection)

    def seeds(self) -> Array:
        """Return (n, 2) places that share the weight evenly, for the search."""
        assert self._plane is not None
        weights = np.nan_to_num(self.weights, nan=0.0).ravel()
        positions = (np.arange(40) + 0.5) / 40 * weights.sum()
        cells = np.searchsorted(np.cumsum(weights), positions)
        rows, columns = np.unravel_index(cells, self.weights.shape)
        return np.stack(self._plane.forward(self.longitude[columns], self.latitude[rows]), axis=1)

    def log_density(
        self, easting_km: ArrayLike, northing_km: ArrayLike, depth_km: ArrayLike
    ) -> Array:
        """Return the log of the bilinear weight, never below that of the background."""
        if self._plane is None:
            raise ConfigError("map prior is in degrees: call on(projection) first")
        lon, lat = self._plane.inverse(easting_km, northing_km)
        peak = float(np.nanmax(self.weights))
        floor = self.background * peak
        grid = np.nan_to_num(self.weights, nan=floor)
        x = (lon - self.longitude[0]) / (self.longitude[-1] - self.longitude[0])
        y = (lat - self.latitude[0]) / (self.latitude[-1] - self.latitude[0])
        x, y = x * (len(self.longitude) - 1), y * (len(self.latitude) - 1)
        inside = (x >= 0) & (x <= len(self.longitude) - 1) & (y >= 0)
        inside &= y <= len(self.latitude) - 1
        i = np.clip(x.astype(int), 0, len(self.longitude) - 2)
        j = np.clip(y.astype(int), 0, len(self.latitude) - 2)
        u, v = x - i, y - j
        low = grid[j, i] * (1 - u) + grid[j, i + 1] * u
        high = grid[j + 1, i] * (1 - u) + grid[j + 1, i + 1] * u
        value = np.where(inside, low * (1 - v) + high * v, floor)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.maximum(value, floor) / peak))


@dataclass(frozen=True)
class ProductPrior:
    """Several independent pieces of knowledge at once."""

    parts: Sequence[Prior]

    def on(self, projection: LocalProjection) -> ProductPrior:
        """Return the product in a plane."""
        return ProductPrior(tuple(bind(part, projection) for part in self.parts))

    def seeds(self) -> Array:
        """Return the places of all parts that have some."""
        found = [getattr(part, "seeds", None) for part in self.parts]
        places = [np.asarray(seeds()) for seeds in found if seeds is not None]
        return np.concatenate([np.empty((0, 2)), *places])

    def depth_seeds(self) -> Array:
        """Return the depths of all parts that have some."""
        found = [getattr(part, "depth_seeds", None) for part in self.parts]
        return np.concatenate([np.empty(0), *[np.asarray(f()) for f in found if f is not None]])

    def log_density(
        self, easting_km: ArrayLike, northing_km: ArrayLike, depth_km: ArrayLike
    ) -> Array:
        """Return the sum of the log densities."""
        shape = np.broadcast_shapes(*(np.shape(v) for v in (easting_km, northing_km, depth_km)))
        total = np.zeros(shape)
        for part in self.parts:
            total = total + part.log_density(easting_km, northing_km, depth_km)
        return total
