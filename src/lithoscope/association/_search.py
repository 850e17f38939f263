"""Search of space and time: best-first through an octree, with an exact sweep over origin time.

A node is a cell of space and a span of origin time. For every pick that a source in the cell
could have caused, the origin times it allows form an interval; the sum of gains over the best
moment, one pick per site and phase, is an upper bound on the score of any event in the node.
Nodes are opened in the order of their bounds (Muenchmeyer 2024, Seismica 3(1),
doi:10.26443/seismica.v3i1.1130, bounds counts of picks and splits time as a fourth
dimension). A leaf is handed to the fit; an accepted event takes its picks away, and bounds are
brought up to date when a node comes to the top again.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
from numba import njit

from lithoscope.association._arrays import first_at, hour_index, travel_time
from lithoscope.association._fit import improbable, locate, score

BINS = 32
# Gate of the sweep in sigma: wide enough that a true arrival is missed in 1 of 80.
SWEEP_GATE = 2.5
MIN_SPAN_S = 0.25


@njit(cache=True)
def fill_cell(net, grid, level, cell):  # type: ignore[no-untyped-def]
    """Bound the travel times from a cell to every site and phase."""
    local = cell - grid.offset[level]
    nx, ny = grid.shape[level, 0], grid.shape[level, 1]
    index = (local % nx, (local // nx) % ny, local // (nx * ny))
    low = np.empty(3)
    high = np.empty(3)
    for k in range(3):
        edge = (grid.high[k] - grid.low[k]) / grid.shape[level, k]
        low[k] = grid.low[k] + index[k] * edge
        high[k] = low[k] + edge
    distance = np.empty(net.east.size)
    for row in range(2 * net.east.size):
        site = row // 2
        e, n = net.east[site], net.north[site]
        near = math.hypot(e - min(max(e, low[0]), high[0]), n - min(max(n, low[1]), high[1]))
        far = math.hypot(max(e - low[0], high[0] - e), max(n - low[1], high[1] - n))
        first, last = math.inf, 0.0
        for k in range(3):
            depth = low[2] + 0.5 * k * (high[2] - low[2])
            first = min(first, travel_time(net, row, near, depth)[0])
            last = max(last, travel_time(net, row, far, depth)[0])
        grid.time_low[cell, row] = first
        grid.time_high[cell, row] = last
        if row % 2 == 0:
            distance[site] = near + 0.1 * far
    grid.nearest[cell] = np.argsort(distance)
    grid.known[cell] = True


@njit(cache=True)
def _mark(work, kind, first, last, amount):  # type: ignore[no-untyped-def]
    work[kind, first] += amount
    work[kind, last + 1] -= amount


@njit(cache=True)
def _add_row(net, grid, picks, free, cell, row, begin, end, work):  # type: ignore[no-untyped-def]
    """Add the origin times that the picks of one row allow to the differences in ``work``."""
    width = (end - begin) / BINS
    kind = 1 + row % 2
    low, high = float(grid.time_low[cell, row]), float(grid.time_high[cell, row])
    error2 = net.error_s**2 + (net.error_fraction * high) ** 2
    reach = SWEEP_GATE * math.sqrt(error2 + picks.sigma_max[row] ** 2)
    stop = picks.start[row + 1]
    i = first_at(picks.time, picks.start[row], stop, begin + low - reach)
    last_bin, last_gain = -1, 0.0
    while i < stop and picks.time[i] <= end + high + reach:
        if free[i]:
            s2 = error2 + picks.sigma[i] ** 2
            gain = picks.gain[i] - 0.5 * math.log(s2)
            half = SWEEP_GATE * math.sqrt(s2)
            a = math.floor((picks.time[i] - high - half - begin) / width)
            b = math.floor((picks.time[i] - low + half - begin) / width)
            if gain > 0.0 and b >= 0 and a < BINS:
                a, b = max(int(a), 0), min(int(b), BINS - 1)
                if a > last_bin:
                    _mark(work, 0, a, b, gain)
                    _mark(work, kind, a, b, 1.0)
                    last_bin, last_gain = b, gain
                else:
                    # Two picks of one row overlap: count the larger only.
                    if gain > last_gain:
                        _mark(work, 0, a, last_bin, gain - last_gain)
                        last_gain = gain
                    if b > last_bin:
                        _mark(work, 0, last_bin + 1, b, last_gain)
                        _mark(work, kind, last_bin + 1, b, 1.0)
                        last_bin = b
        i += 1


@njit(cache=True)
def sweep(net, grid, picks, free, cell, begin, end, promise_min, work):  # type: ignore[no-untyped-def]
    """Return the promise of a node, the moments between which it is large, and the best one.

    The promise is the largest, over moments and detection ranges, of the sum of gains of the
    rows that are hit plus the log likelihood of hits and misses among the alive rows in range.
    """
    width = (end - begin) / BINS
    work[:] = 0.0
    alive = picks.alive[hour_index(picks, begin)]
    asked_p, asked_s, done = 0, 0, 0
    best, peak, peak_end, first_good, last_good = 0.0, 0, 0, BINS, -1
    for stage in grid.stages:
        for site in grid.nearest[cell, done:stage]:
            row = 2 * int(site)
            if alive[row]:
                asked_p += 1
                _add_row(net, grid, picks, free, cell, row, begin, end, work)
            if alive[row + 1]:
                asked_s += 1
                _add_row(net, grid, picks, free, cell, row + 1, begin, end, work)
        done = stage
        total, hits_p, hits_s = 0.0, 0.0, 0.0
        for k in range(BINS):
            total += work[0, k]
            hits_p += work[1, k]
            hits_s += work[2, k]
            value = total
            if value >= promise_min:
                value += grid.entropy[int(hits_p), asked_p] + grid.entropy[int(hits_s), asked_s]
            if value >= promise_min:
                first_good = min(first_good, k)
                last_good = max(last_good, k)
            if value > best + 1e-9:
                best, peak, peak_end = value, k, k
            elif value > best - 1e-9 and peak_end == k - 1:
                peak_end = k
    middle = begin + (0.5 * (peak + peak_end) + 0.5) * width
    return best, begin + first_good * width, begin + (last_good + 1) * width, middle


@njit(cache=True)
def _push(heap, net, grid, picks, free, promise_min, level, cell, begin, end, work):  # type: ignore[no-untyped-def]
    """Bound a node and put it on the heap where it can hold an event."""
    if not grid.known[cell]:
        fill_cell(net, grid, level, cell)
    bound = sweep(net, grid, picks, free, cell, begin, end, promise_min, work)[0]
    if bound >= promise_min:
        heapq.heappush(heap, (-bound, -level, begin, cell, end))


@njit(cache=True)
def _open(heap, net, grid, picks, free, promise_min, level, cell, begin, end, work):  # type: ignore[no-untyped-def]
    """Push the children of a node: halves of the cell along each axis that is split."""
    local = cell - grid.offset[level]
    nx, ny = grid.shape[level, 0], grid.shape[level, 1]
    ix, iy, iz = local % nx, (local // nx) % ny, local // (nx * ny)
    child = level + 1
    fx = grid.shape[child, 0] // nx
    fy = grid.shape[child, 1] // ny
    fz = grid.shape[child, 2] // grid.shape[level, 2]
    for jz in range(iz * fz, iz * fz + fz):
        for jy in range(iy * fy, iy * fy + fy):
            for jx in range(ix * fx, ix * fx + fx):
                cx, cy = grid.shape[child, 0], grid.shape[child, 1]
                index = grid.offset[child] + (jz * cy + jy) * cx + jx
                _push(heap, net, grid, picks, free, promise_min, child, index, begin, end, work)


@njit(cache=True)
def search(net, grid, rules, picks, free, roots, root_s, spans):  # type: ignore[no-untyped-def]
    """Find events among the free picks, best first; their picks cease to be free.

    Parameters
    ----------
    roots
        Starts of the spans of origin time to search, each ``root_s`` long.
    spans
        Longest span of origin time of a node at each level; longer ones are halved.

    Returns
    -------
    Origins (n, 4): east, north, depth, time; and detection ranges (n, 3) as from `score`.
    """
    rows = 2 * net.east.size
    deepest = grid.shape.shape[0] - 1
    work = np.zeros((3, BINS + 1))
    chosen = np.empty(rows, dtype=np.int64)
    gains = np.empty(rows)
    reach = np.empty(3)
    max_events = free.sum() // rules.min_picks + 1
    origins = np.empty((max_events, 4))
    ranges = np.empty((max_events, 3))
    n = 0
    heap = [(0.0, 0, 0.0, 0, 0.0)]
    heap.pop()
    for begin in roots:
        _push(heap, net, grid, picks, free, rules.promise_min, 0, 0, begin, begin + root_s, work)
    while len(heap) > 0 and n < max_events:
        old, minus_level, begin, cell, end = heapq.heappop(heap)
        level = -minus_level
        bound, first, last, middle = sweep(
            net, grid, picks, free, cell, begin, end, rules.promise_min, work
        )
        if bound < rules.promise_min:
            continue
        if bound < -old - 1e-9:
            heapq.heappush(heap, (-bound, minus_level, begin, cell, end))
            continue
        if last - first < MIN_SPAN_S:
            first = 0.5 * (first + last - MIN_SPAN_S)
            last = first + MIN_SPAN_S
        if last - first > spans[level]:
            half = 0.5 * (first + last)
            _push(heap, net, grid, picks, free, rules.promise_min, level, cell, first, half, work)
            _push(heap, net, grid, picks, free, rules.promise_min, level, cell, half, last, work)
            continue
        if level < deepest:
            _open(heap, net, grid, picks, free, rules.promise_min, level, cell, first, last, work)
            continue
        origin = _middle_of(grid, deepest, cell, middle)
        spread = 0.0
        for row in range(rows):
            spread = max(spread, float(grid.time_high[cell, row] - grid.time_low[cell, row]))
        log_det = locate(net, grid, rules, picks, free, cell, origin, 0.3 * spread, chosen)
        if log_det == -math.inf:
            continue
        total = score(net, rules, picks, origin, chosen, gains, reach)
        if improbable(grid, rules, chosen, total, log_det) < 0.0:
            continue
        origins[n] = origin
        ranges[n] = reach
        n += 1
        _claim(picks, free, chosen)
        _push(heap, net, grid, picks, free, rules.promise_min, level, cell, begin, end, work)
    return origins[:n], ranges[:n]


@njit(cache=True)
def _middle_of(grid, level, cell, moment):  # type: ignore[no-untyped-def]
    local = cell - grid.offset[level]
    nx, ny = grid.shape[level, 0], grid.shape[level, 1]
    index = (local % nx, (local // nx) % ny, local // (nx * ny))
    origin = np.empty(4)
    for k in range(3):
        edge = (grid.high[k] - grid.low[k]) / grid.shape[level, k]
        origin[k] = grid.low[k] + (index[k] + 0.5) * edge
    origin[3] = moment
    return origin


@njit(cache=True)
def _claim(picks, free, chosen):  # type: ignore[no-untyped-def]
    """Take the chosen picks, and the same onsets picked as the other phase, out of the search."""
    for row in range(chosen.size):
        i = chosen[row]
        if i >= 0:
            free[i] = False
            if picks.twin[i] >= 0:
                free[picks.twin[i]] = False
