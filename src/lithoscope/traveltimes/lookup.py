"""Constant-time travel times from tables, for Numba loops.

A first arrival is the earlier of two kinds of path, and each is smooth where the other is not:

- the path that stays between source and receiver. Its mean slowness along the straight line is
  tabulated over w = X / (X + \\|dz\\|) and depth, which takes the singularity at the receiver out;
- a path by way of a level outside them (head wave, turning ray, diffraction). It takes
  ``p_k X + receiver term_k + source term_k(depth)``, with one term per level k, valid beyond
  ``receiver distance_k + source distance_k(depth)``. Which levels can win in a cell of
  (distance, depth) is known beforehand, mostly one or two.

The kinks of the first arrival therefore need no fine grid.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class TableArrays(NamedTuple):
    """Arrays of `TravelTimeTables` for `lookup`; phase 0 is P, 1 is S.

    Attributes
    ----------
    row : (n_receivers,) int32
        Row of each receiver; receivers at one depth share a row.
    row_depth : (n_rows,) float64
        Receiver depth, km.
    row_cell : (n_rows,) int32
        Depth cell that holds the receiver, -1 if none.
    row_slowness : (2, n_rows) float64
        1 / velocity at the receiver, s/km.
    node : (n_nodes,) float64
        Depth nodes, km; interfaces are held between two nodes 2e-7 km apart.
    depth_bin : (n_bins,) int32
        Depth cell at the upper edge of equal depth bins.
    direct : (2, n_rows, n_nodes, n_w) float32
        Time over straight distance, s/km, of paths between source and receiver, at equal steps
        of w = X / (X + |dz|) from 0 to 1.
    level_slowness : (2, n_levels) float64
        Slowness along each level, falling.
    node_time, node_distance : (2, n_nodes, n_levels) float64
        Source term (s) and smallest distance (km) of each level.
    row_time, row_distance : (2, n_rows, n_levels) float64
        The same for the receivers.
    window : (2, n_rows, n_nodes - 1, n_x, 2) uint16
        First level and one past the last that can win, in bins of sqrt(distance).
    limits : (3,) float64
        Largest distance, smallest and largest depth, km.
    """

    row: NDArray[np.int32]
    row_depth: NDArray[np.float64]
    row_cell: NDArray[np.int32]
    row_slowness: NDArray[np.float64]
    node: NDArray[np.float64]
    depth_bin: NDArray[np.int32]
    direct: NDArray[np.float32]
    level_slowness: NDArray[np.float64]
    node_time: NDArray[np.float64]
    node_distance: NDArray[np.float64]
    row_time: NDArray[np.float64]
    row_distance: NDArray[np.float64]
    window: NDArray[np.uint16]
    limits: NDArray[np.float64]


@njit(cache=True, inline="always")
def _cell(t: TableArrays, z: float) -> int:
    n_bins = t.depth_bin.size
    i = int((z - t.limits[1]) / (t.limits[2] - t.limits[1]) * n_bins)
    j = t.depth_bin[min(max(i, 0), n_bins - 1)]
    while j < t.node.size - 2 and z >= t.node[j + 1]:
        j += 1
    return j


@njit(cache=True, inline="always")
def _direct(
    t: TableArrays, phase: int, row: int, j: int, x: float, z: float
) -> tuple[float, float, float]:
    """Return (time, dt/dx, dt/dz) of the path between source and receiver."""
    r = t.row_depth[row]
    dz = z - r
    sign = 1.0 if dz >= 0.0 else -1.0
    a = abs(dz)
    if x + a <= 1e-12:
        return 0.0, t.row_slowness[phase, row], 0.0
    n = t.direct.shape[3] - 1
    inverse = 1.0 / (x + a)
    w = x * inverse
    i = min(int(w * n), n - 1)
    f = w * n - i
    za, zb = t.node[j], t.node[j + 1]
    s0, s1 = t.direct[phase, row, j, i], t.direct[phase, row, j, i + 1]
    q0, q1 = t.direct[phase, row, j + 1, i], t.direct[phase, row, j + 1, i + 1]
    sa, sb = s0 + f * (s1 - s0), q0 + f * (q1 - q0)
    sa_w, sb_w = (s1 - s0) * n, (q1 - q0) * n
    if j == t.row_cell[row]:  # one of the nodes is on the far side: interpolate to the receiver
        s_r = t.row_slowness[phase, row]
        if dz >= 0.0:
            h, s_end, s_end_w = zb - r, sb, sb_w
        else:
            h, s_end, s_end_w = r - za, sa, sa_w
        g = a / h if h > 0.0 else 0.0
        s = s_r + g * (s_end - s_r)
        s_w = g * s_end_w
        s_z = sign * (s_end - s_r) / h if h > 0.0 else 0.0
    else:  # time at constant w is linear in depth where the medium is uniform
        h = zb - za
        g = (z - za) / h
        da, db = abs(za - r), abs(zb - r)
        wa, wb = (1.0 - g) * da / a, g * db / a
        s = wa * sa + wb * sb
        s_w = wa * sa_w + wb * sb_w
        s_z = ((db * sb - da * sa) / h - s * sign) / a
    line = math.sqrt(x * x + a * a)
    w_x = a * inverse * inverse
    w_z = -x * sign * inverse * inverse
    return line * s, x / line * s + line * s_w * w_x, dz / line * s + line * (s_w * w_z + s_z)


@njit(cache=True)
def lookup(
    t: TableArrays, phase: int, receiver: int, distance_km: float, depth_km: float
) -> tuple[float, float, float]:
    """Return first-arrival time and its derivatives from the tables.

    Parameters
    ----------
    t
        ``tables.arrays``.
    phase
        0 = P, 1 = S.
    receiver
        Index into the ``receiver_depth_km`` that the tables were built for.
    distance_km, depth_km
        Epicentral distance and source depth.

    Returns
    -------
    time_s, dt_ddistance_s_per_km, dt_ddepth_s_per_km
        NaN outside the tables (distance above the largest or negative, depth outside the range).
    """
    x, z = distance_km, depth_km
    if not (0.0 <= x <= t.limits[0] and t.limits[1] <= z <= t.limits[2]):
        return np.nan, np.nan, np.nan
    row = t.row[receiver]
    j = _cell(t, z)
    time, t_x, t_z = _direct(t, phase, row, j, x, z)
    n_x = t.window.shape[3]
    b = min(int(math.sqrt(x / t.limits[0]) * n_x), n_x - 1)
    first, last = t.window[phase, row, j, b, 0], t.window[phase, row, j, b, 1]
    if first < last:
        h = t.node[j + 1] - t.node[j]
        f = (z - t.node[j]) / h
        for k in range(first, last):
            reach = t.node_distance[phase, j, k]
            reach += f * (t.node_distance[phase, j + 1, k] - reach)
            if x < reach + t.row_distance[phase, row, k]:
                continue
            ta, tb = t.node_time[phase, j, k], t.node_time[phase, j + 1, k]
            p = t.level_slowness[phase, k]
            tau = p * x + t.row_time[phase, row, k] + ta + f * (tb - ta)
            if tau < time:
                time, t_x, t_z = tau, p, (tb - ta) / h
    return time, t_x, t_z


@njit(cache=True)
def lookup_many(
    t: TableArrays,
    phase: int,
    receiver: NDArray[np.int64],
    distance_km: NDArray[np.float64],
    depth_km: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Fill ``out`` (3, n) with `lookup` of every pair."""
    for i in range(distance_km.size):
        out[0, i], out[1, i], out[2, i] = lookup(t, phase, receiver[i], distance_km[i], depth_km[i])
