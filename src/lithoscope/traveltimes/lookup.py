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

    Small tables are laid end to end in two arrays, because Numba counts a reference for every
    array taken out of a tuple, which would cost more than the arithmetic.

    Attributes
    ----------
    layout : int32
        `N_HEADER` numbers (positions below), then: row of each receiver (receivers at one depth
        share one), depth cell that holds each row's receiver (-1 if none), depth cell at the
        upper edge of equal depth bins.
    real : float64
        Per row: depth (km). Per phase and row: 1 / velocity at the receiver (s/km). Depth nodes
        (km; interfaces lie between two nodes 2e-7 km apart) and 1 / width of the cells. Per phase
        and level: slowness (s/km), falling. Per phase, row and level: time (s), then smallest
        distance (km). The same per phase, node and level.
    direct : (2, n_rows, n_nodes, n_w) float32
        Time over straight distance, s/km, of paths between source and receiver, at equal steps
        of w = X / (X + |dz|) from 0 to 1.
    window : (2, n_rows, n_nodes - 1, n_x, 2) uint16
        First level and one past the last that can win, in bins of sqrt(distance).
    limits : (5,) float64
        Largest distance, smallest and largest depth, km; depth bins per km; (distance bins)^2
        per km.
    """

    layout: NDArray[np.int32]
    real: NDArray[np.float64]
    direct: NDArray[np.float32]
    window: NDArray[np.uint16]
    limits: NDArray[np.float64]


N_HEADER = 12
# Positions in the header: sizes, then where each part starts in ``index`` or ``real``.
N_ROWS, N_NODES, N_LEVELS, N_BINS = 0, 1, 2, 3
AT_CELL, AT_BIN = 4, 5
AT_SLOWNESS, AT_NODE, AT_LEVEL, AT_ROW_TERM, AT_NODE_TERM = 6, 7, 8, 9, 10


@njit(cache=True, error_model="numpy", inline="always")
def _direct(
    corner: tuple[float, float, float, float],
    ends: tuple[float, float],
    f: float,
    n: int,
    depths: tuple[float, float, float, float],
    s_r: float,
    here: bool,
    x: float,
    z: float,
) -> tuple[float, float, float]:
    """Return (time, dt/dx, dt/dz) of the path between source and receiver.

    ``corner`` holds the table around (w, z), ``ends`` the table of both nodes at w = 1,
    ``depths`` receiver, nodes and 1 / width; ``here`` says that the receiver lies in this cell.
    """
    r, za, zb, per_h = depths
    s0, s1, q0, q1 = corner
    dz = z - r
    sign = 1.0 if dz >= 0.0 else -1.0
    a = abs(dz)
    inverse = 1.0 / (x + a)
    sa, sb = s0 + f * (s1 - s0), q0 + f * (q1 - q0)
    sa_w, sb_w = (s1 - s0) * n, (q1 - q0) * n
    if here:  # one of the nodes is on the far side: interpolate to the receiver
        if dz >= 0.0:
            h, s_end, s_end_w = zb - r, sb, sb_w
        else:
            h, s_end, s_end_w = r - za, sa, sa_w
        per_h = 1.0 / h if h > 0.0 else 0.0
        g = a * per_h
        s = s_r + g * (s_end - s_r)
        s_w = g * s_end_w
        s_z = sign * (s_end - s_r) * per_h
    else:
        # Over the slowness along the faster end, which is linear in depth and all that is left of
        # level paths, time at constant w is linear in depth where the medium is uniform.
        per_a = 1.0 / a
        e0, e1 = ends
        g = (z - za) * per_h
        da, db = abs(za - r), abs(zb - r)
        wa, wb = (1.0 - g) * da * per_a, g * db * per_a
        ra, rb = sa - e0, sb - e1
        part = wa * ra + wb * rb
        s = e0 + g * (e1 - e0) + part
        s_w = wa * sa_w + wb * sb_w
        s_z = (e1 - e0) * per_h + ((db * rb - da * ra) * per_h - part * sign) * per_a
    line = math.sqrt(x * x + a * a)
    w_x = a * inverse * inverse
    w_z = -x * sign * inverse * inverse
    part = s / line
    return line * s, x * part + line * s_w * w_x, dz * part + line * (s_w * w_z + s_z)


@njit(cache=True, error_model="numpy")
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
    layout, real, direct, window, limits = t
    x, z = distance_km, depth_km
    time, t_x, t_z = np.nan, np.nan, np.nan
    if 0.0 <= x <= limits[0] and limits[1] <= z <= limits[2]:
        n_rows, n_nodes, n_levels = layout[N_ROWS], layout[N_NODES], layout[N_LEVELS]
        row = layout[N_HEADER + receiver]
        node = layout[AT_NODE]
        j = layout[layout[AT_BIN] + min(int((z - limits[1]) * limits[3]), layout[N_BINS] - 1)]
        while j < n_nodes - 2 and z >= real[node + j + 1]:
            j += 1
        za, per_h = real[node + j], real[node + n_nodes + j]
        depths = (real[row], za, real[node + j + 1], per_h)
        s_r = real[layout[AT_SLOWNESS] + phase * n_rows + row]
        reach = x + abs(z - depths[0])
        if reach > 1e-12:
            n = direct.shape[3] - 1
            w = x / reach * n
            i = min(int(w), n - 1)
            corner = (
                direct[phase, row, j, i],
                direct[phase, row, j, i + 1],
                direct[phase, row, j + 1, i],
                direct[phase, row, j + 1, i + 1],
            )
            ends = (direct[phase, row, j, n], direct[phase, row, j + 1, n])
            here = j == layout[layout[AT_CELL] + row]
            time, t_x, t_z = _direct(corner, ends, w - i, n, depths, s_r, here, x, z)
        else:
            time, t_x, t_z = 0.0, s_r, 0.0
        b = min(int(math.sqrt(x * limits[4])), window.shape[3] - 1)
        first, last = int(window[phase, row, j, b, 0]), int(window[phase, row, j, b, 1])
        if first < last:
            f = (z - za) * per_h
            level = layout[AT_LEVEL] + phase * n_levels
            at_row = layout[AT_ROW_TERM] + 2 * (phase * n_rows + row) * n_levels
            at_node = layout[AT_NODE_TERM] + 2 * (phase * n_nodes + j) * n_levels
            for k in range(first, last):
                above = at_node + 2 * k
                below = above + 2 * n_levels
                least = real[above + 1] + f * (real[below + 1] - real[above + 1])
                if x >= least + real[at_row + 2 * k + 1]:
                    p, step = real[level + k], real[below] - real[above]
                    via = p * x + real[at_row + 2 * k] + real[above] + f * step
                    if via < time:
                        time, t_x, t_z = via, p, step * per_h
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
