"""Plain arrays that the compiled code works on, and the travel time of one arrival."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.traveltimes.lookup import TableArrays, lookup

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Net(NamedTuple):
    """Sites in the plane and their travel times; row ``2 * site + phase`` (P = 0, S = 1)."""

    east: FloatArray
    north: FloatArray
    tables: TableArrays  # receivers in the order of the sites
    longest_s: float  # longest travel time in the region
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
    nearest: NDArray[np.int16]  # (cells, sites) sites by distance from the cell
    known: NDArray[np.bool_]  # (cells,) the three above are filled when a cell is first visited
    stages: IntArray  # numbers of nearest sites at which a detection range is tried
    entropy: FloatArray  # (sites + 1, sites + 1) ln likelihood of h hits in m trials at p = h / m


class Picks(NamedTuple):
    """Picks sorted by row and time; one per onset."""

    start: IntArray  # (rows + 1,) first pick of each row
    time: FloatArray  # s since 1970
    sigma: FloatArray
    rate: FloatArray  # local rate of noise picks of the row, 1/s
    gain: FloatArray  # ln of density if true over density if noise, for a residual of 0, sigma 1
    twin: IntArray  # the same onset picked as the other phase, -1 = none
    sigma_max: FloatArray  # (rows,)
    alive: NDArray[np.bool_]  # (hours, rows) the row has a pick within hours of this hour
    first_hour: int


class Rules(NamedTuple):
    """Scalars that decide."""

    gate: float
    log_hypotheses: float  # ln(volume km3 * one day s / false events allowed a day)
    promise_min: float  # no event can be accepted below this quick estimate of its score
    min_picks: int
    min_sites: int
    model_doubt: float  # 1 sigma of ln(model error), from one event to the next
    n_starts: int  # depths from which an event is located anew


@njit(cache=True)
def travel_time(net, row, distance_km, depth_km):  # type: ignore[no-untyped-def]
    """Return time (s) and its derivatives with distance and depth (s/km)."""
    return lookup(net.tables, row % 2, row // 2, distance_km, depth_km)


@njit(cache=True)
def hour_index(picks, time):  # type: ignore[no-untyped-def]
    """Return the line of ``picks.alive`` that holds at a time."""
    hour = math.floor(time / 3600.0) - picks.first_hour
    return min(max(hour, 0), picks.alive.shape[0] - 1)


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
