"""Plain arrays that the compiled code works on, and the travel time of one arrival."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Net(NamedTuple):
    """Sites in the plane and their travel times; row ``2 * site + phase`` (P = 0, S = 1)."""

    east: FloatArray
    north: FloatArray
    times: NDArray[np.float64]  # (2 * n_sites, n_distances, n_depths), s
    distance_step_km: float
    depth_step_km: float
    depth_start_km: float
    error_s: float
    error_fraction: float


class Grid(NamedTuple):
    """The region and its recursive partition; level 0 is the whole region."""

    low: FloatArray  # (3,) east, north, depth
    high: FloatArray
    shape: IntArray  # (levels, 3) cells of each level
    offset: IntArray  # (levels,) index of the first cell of each level
    time_low: NDArray[np.float32]  # (cells, rows) earliest travel time from the cell, s
    time_high: NDArray[np.float32]
    known: NDArray[np.bool_]  # (cells,) the two above are filled when a cell is first visited


class Picks(NamedTuple):
    """Picks sorted by row and time; one per onset."""

    start: IntArray  # (rows + 1,) first pick of each row
    time: FloatArray  # s since 1970
    sigma: FloatArray
    gain: FloatArray  # ln of density if true over density if noise, for a residual of 0, sigma 1
    twin: IntArray  # the same onset picked as the other phase, -1 = none
    sigma_max: FloatArray  # (rows,)


class Rules(NamedTuple):
    """Scalars that decide."""

    gate: float
    log_hypotheses: float  # ln(volume km3 * one day s / false events allowed a day)
    bound_min: float  # no event can be accepted below this sum of gains
    promise_min: float  # nor below this quick estimate of its score
    min_picks: int
    min_sites: int
    alive_s: float


@njit(cache=True)
def travel_time(net, row, distance_km, depth_km):  # type: ignore[no-untyped-def]
    """Return time (s) and its derivatives with distance and depth (s/km), bilinear."""
    x = distance_km / net.distance_step_km
    z = (depth_km - net.depth_start_km) / net.depth_step_km
    i = min(max(int(x), 0), net.times.shape[1] - 2)
    k = min(max(int(z), 0), net.times.shape[2] - 2)
    x -= i
    z -= k
    a, b = net.times[row, i, k], net.times[row, i, k + 1]
    c, d = net.times[row, i + 1, k], net.times[row, i + 1, k + 1]
    near = a + (b - a) * z
    far = c + (d - c) * z
    slope = ((b - a) * (1 - x) + (d - c) * x) / net.depth_step_km
    return near + (far - near) * x, (far - near) / net.distance_step_km, slope


@njit(cache=True)
def first_at(values, low, high, target):  # type: ignore[no-untyped-def]
    """Return the first index in [low, high) whose value is not under ``target``."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < target:
            low = middle + 1
        else:
            high = middle
    return low
