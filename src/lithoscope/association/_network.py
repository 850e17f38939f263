"""From the stations table and the model to sites, region, search grid and travel times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import xlogy

from lithoscope.association._arrays import FloatArray, Grid, IntArray, Net
from lithoscope.association.settings import AssociationSettings
from lithoscope.errors import ConfigError, StationError
from lithoscope.geo import LocalProjection
from lithoscope.traveltimes import VelocityModel
from lithoscope.traveltimes.tables import build_tables

# Stations closer than about 100 m record the same noise: they count once.
_SITE_DECIMALS = 3


@dataclass(frozen=True)
class Sites:
    """Distinct places of stations; ``of_row`` maps rows of the stations table to them."""

    projection: LocalProjection
    east: FloatArray
    north: FloatArray
    depth: FloatArray
    of_row: IntArray


def find_sites(stations: pd.DataFrame) -> Sites:
    """Merge station rows at one place and project them."""
    if stations.empty:
        raise StationError("the stations table is empty; give at least the stations with picks")
    places = stations[["longitude", "latitude", "elevation_m"]].to_numpy(float)
    if not np.all(np.isfinite(places)):
        name = stations["station"].iloc[int(np.argmax(~np.isfinite(places).all(axis=1)))]
        raise StationError(
            f"station {name} has no coordinates; give longitude, latitude, elevation"
        )
    keys = np.round(places[:, :2], _SITE_DECIMALS)
    order = np.lexsort((places[:, 2], places[:, 1], places[:, 0], keys[:, 1], keys[:, 0]))
    _, first, inverse = np.unique(keys[order], axis=0, return_index=True, return_inverse=True)
    of_row = np.empty(len(places), dtype=np.int64)
    of_row[order] = inverse.ravel()
    chosen = places[order[first]]
    projection = LocalProjection.around(chosen[:, 0], chosen[:, 1])
    east, north = projection.forward(chosen[:, 0], chosen[:, 1])
    return Sites(projection, east, north, -chosen[:, 2] / 1000.0, of_row)


def region_of(sites: Sites, settings: AssociationSettings) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest easting, northing and depth (km) of possible sources."""
    spread_e, spread_n = np.ptp(sites.east), np.ptp(sites.north)
    aperture = float(np.hypot(spread_e, spread_n))
    margin = settings.margin_km
    if margin is None:
        margin = min(max(0.5 * aperture, 10.0), 200.0)
    deepest = settings.max_depth_km
    if deepest is None:
        deepest = float(math.ceil(min(max(0.4 * aperture, 20.0), 250.0)))
    shallowest = settings.min_depth_km
    if shallowest is None:
        shallowest = math.floor(10 * min(0.0, float(sites.depth.min()))) / 10
    if deepest <= shallowest:
        raise ConfigError(
            f"association.max_depth_km = {deepest:g} is not below the shallowest source "
            f"({shallowest:g} km); give a larger one"
        )
    low = np.array([sites.east.min() - margin, sites.north.min() - margin, shallowest])
    high = np.array([sites.east.max() + margin, sites.north.max() + margin, deepest])
    return low, high


def build_net(
    sites: Sites,
    model: VelocityModel,
    low: FloatArray,
    high: FloatArray,
    settings: AssociationSettings,
) -> Net:
    """Tabulate travel times of P and S from every distance and depth to every site."""
    reach = 0.0
    for e in (low[0], high[0]):
        for n in (low[1], high[1]):
            reach = max(reach, float(np.hypot(sites.east - e, sites.north - n).max()))
    tables = build_tables(
        model,
        sites.depth,
        max_distance_km=1.001 * reach,
        min_depth_km=float(low[2]),
        max_depth_km=float(high[2]),
    )
    corners = [(reach, low[2]), (reach, high[2])]
    longest = max(
        float(tables.times("S", np.arange(sites.east.size), d, z).max()) for d, z in corners
    )
    return Net(
        sites.east,
        sites.north,
        tables.arrays,
        longest,
        settings.model_error_s,
        settings.model_error_fraction,
    )


def build_grid(
    low: FloatArray, high: FloatArray, n_rows: int, vp: float, settings: AssociationSettings
) -> Grid:
    """Lay out the octree: each level halves the longest axes until the cells are small."""
    size = high - low
    cell = settings.cell_km
    if cell is None:
        cell = max(float(size.max()) / 32.0, 2.0 * vp * settings.model_error_s)
    shape = [np.ones(3, dtype=np.int64)]
    while (size / shape[-1]).max() > cell * 1.0001:
        edge = size / shape[-1]
        split = np.ones(3, dtype=np.int64)
        split[int(np.argmax(edge))] = 2
        shape.append(split * shape[-1])
    shapes = np.array(shape)
    counts = shapes.prod(axis=1)
    total = int(counts.sum())
    return Grid(
        low,
        high,
        shapes,
        np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64),
        np.empty((total, n_rows), dtype=np.float32),
        np.empty((total, n_rows), dtype=np.float32),
        np.empty((total, n_rows // 2), dtype=np.int16),
        np.zeros(total, dtype=np.bool_),
        _stages(n_rows // 2),
        _entropy(n_rows // 2),
    )


def _stages(n_sites: int) -> IntArray:
    numbers = {n_sites}
    n = 3.0
    while n < n_sites:
        numbers.add(int(n))
        n = max(n + 1, 1.4 * n)
    return np.array(sorted(numbers), dtype=np.int64)


def _entropy(n_sites: int) -> FloatArray:
    m = np.arange(n_sites + 1.0)
    h = m[:, None]
    misses = np.maximum(m - h, 0.0)
    return xlogy(h, h) + xlogy(misses, misses) - xlogy(m, m)


def time_spans(net: Net, grid: Grid, vs: float) -> FloatArray:
    """Return the longest span of origin time of a node for each level, s."""
    edge = (grid.high - grid.low) / grid.shape
    interval = np.hypot(np.hypot(edge[:, 0], edge[:, 1]), edge[:, 2]) / vs
    floor = 4 * (net.error_s + net.error_fraction * float(net.longest_s) / 2)
    return 2.0 * (interval + floor)


def root_starts(times: FloatArray, net: Net, root_s: float) -> FloatArray:
    """Return the starts, multiples of ``root_s`` since 1970, that can hold an origin."""
    if times.size == 0:
        return np.empty(0)
    longest = float(net.longest_s) * (1 + 4 * net.error_fraction) + 10.0
    first = np.floor((times - longest) / root_s).astype(np.int64)
    last = np.floor((times + 10.0) / root_s).astype(np.int64)
    steps = np.arange(int((last - first).max()) + 1)
    windows = (first[:, None] + steps)[first[:, None] + steps <= last[:, None]]
    return np.unique(windows) * root_s


def smallest_promise(grid: Grid, vp: float, log_hypotheses: float) -> float:
    """Return the promise below which no event can be accepted.

    One sigma of the weakest events is taken as 0.6 of the smallest cells in each direction, and
    never so small that it would count against them.
    """
    edge = (grid.high - grid.low) / grid.shape[-1]
    volume = (2 * math.pi) ** 2 * float(np.prod(0.6 * edge)) * 0.6 * float(edge.max()) / vp
    return max(log_hypotheses - max(math.log(volume), 3.0), 1.0)
