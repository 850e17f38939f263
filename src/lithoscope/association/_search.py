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
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.association._arrays import (
    FloatArray,
    Grid,
    IntArray,
    Net,
    Picks,
    first_at,
    hour_index,
    travel_time,
)
from lithoscope.association._fit import N_FITTED, improbable, locate, score

BINS = 32
# Gate of the sweep in sigma: wide enough that a true arrival is missed in 1 of 80.
SWEEP_GATE = 2.5
MIN_SPAN_S = 0.25
# An event is sought from this many levels above the smallest cells on, and is taken there if its
# score is at least this part of the node's bound: no other event of the node is much better.
EARLY = (3, 6)
EXPLAINED = 0.7
# Nodes remember when they were bounded; picks taken since are noted in bins of this length, used
# again and again so that long records need no more of them.
NOTE_S = 4.0
NOTES = 1 << 16
# A node can begin this much before its root: spans are never made shorter than MIN_SPAN_S.
SLACK_S = 4.0


class Ground(NamedTuple):
    """What bounding a node needs, whichever it is."""

    net: Net
    grid: Grid
    picks: Picks
    free: NDArray[np.bool_]
    near: IntArray  # (roots, 2, rows) first pick that matters below a root and one past the last
    work: FloatArray  # (3, BINS + 1)
    promise_min: float


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
def _add_row(time, sigma, gains, free, first, stop, span, begin, per_s, error2, kind, work):  # type: ignore[no-untyped-def]
    """Add the origin times that the picks of one row allow to the differences in ``work``.

    ``first`` to ``stop`` are the picks, ``span`` the shortest and longest travel time and the
    last pick time of interest, and ``per_s`` the number of bins in a second.
    """
    low, high, until = span
    last_bin, last_gain = -1, 0.0
    for i in range(first, stop):
        if time[i] > until:
            break
        if not free[i]:
            continue
        s2 = error2 + sigma[i] ** 2
        gain = gains[i] - 0.5 * math.log(s2)
        if gain <= 0.0:
            continue
        half = SWEEP_GATE * math.sqrt(s2)
        a = math.floor((time[i] - high - half - begin) * per_s)
        b = math.floor((time[i] - low + half - begin) * per_s)
        if b >= 0 and a < BINS:
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


@njit(cache=True)
def sweep(ground, root, cell, begin, end):  # type: ignore[no-untyped-def]
    """Return the promise of a node, the moments between which it is large, and the best one.

    The promise is the largest, over moments and detection ranges, of the sum of gains of the
    rows that are hit plus the log likelihood of hits and misses among the alive rows in range.
    """
    net, grid, picks, free, near, work, promise_min = ground
    # Taken out of their tuples once: Numba counts a reference each time, which costs more than
    # the arithmetic.
    alive, entropy, nearest = picks.alive[hour_index(picks, begin)], grid.entropy, grid.nearest
    lows, highs, sigma_max = grid.time_low, grid.time_high, picks.sigma_max
    time, sigma, gains = picks.time, picks.sigma, picks.gain
    error_s2, fraction = net.error_s**2, net.error_fraction
    width = (end - begin) / BINS
    per_s = 1.0 / width
    work[:] = 0.0
    asked_p, asked_s, done = 0, 0, 0
    best, peak, peak_end, first_good, last_good = 0.0, 0, 0, BINS, -1
    for stage in grid.stages:
        for k in range(done, stage):
            site = int(nearest[cell, k])
            for row in range(2 * site, 2 * site + 2):
                if not alive[row]:
                    continue
                low, high = float(lows[cell, row]), float(highs[cell, row])
                error2 = error_s2 + (fraction * high) ** 2
                reach = SWEEP_GATE * math.sqrt(error2 + sigma_max[row] ** 2)
                kind = 1 + row - 2 * site
                if kind == 1:
                    asked_p += 1
                else:
                    asked_s += 1
                stop = near[root, 1, row]
                first = first_at(time, near[root, 0, row], stop, begin + low - reach)
                span = (low, high, end + high + reach)
                _add_row(
                    time, sigma, gains, free, first, stop, span, begin, per_s, error2, kind, work
                )
        done = stage
        total, hits_p, hits_s = 0.0, 0.0, 0.0
        for k in range(BINS):
            total += work[0, k]
            hits_p += work[1, k]
            hits_s += work[2, k]
            value = total
            if value >= promise_min:
                value += entropy[int(hits_p), asked_p] + entropy[int(hits_s), asked_s]
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
def windows(net, picks, roots, root_s):  # type: ignore[no-untyped-def]
    """Return (roots, 2, rows): the picks that nodes below each root can ask for."""
    rows = picks.start.size - 1
    out = np.empty((roots.size, 2, rows), dtype=np.int64)
    error2 = net.error_s**2 + (net.error_fraction * net.longest_s) ** 2
    for r in range(roots.size):
        for row in range(rows):
            reach = SWEEP_GATE * math.sqrt(error2 + picks.sigma_max[row] ** 2) + SLACK_S
            first, stop = picks.start[row], picks.start[row + 1]
            first = first_at(picks.time, first, stop, roots[r] - reach)
            late = roots[r] + root_s + net.longest_s + reach
            out[r, 0, row] = first
            out[r, 1, row] = first_at(picks.time, first, stop, late)
    return out


@njit(cache=True)
def latest_note(notes, begin, end):  # type: ignore[no-untyped-def]
    """Return the number of the last claim of a pick between two times."""
    latest = 0
    for k in range(math.floor(begin / NOTE_S), math.floor(end / NOTE_S) + 1):
        latest = max(latest, notes[k % NOTES])
    return latest


@njit(cache=True)
def _push(heap, ground, root, now, level, cell, begin, end):  # type: ignore[no-untyped-def]
    """Bound a node and put it on the heap where it can hold an event."""
    if not ground.grid.known[cell]:
        fill_cell(ground.net, ground.grid, level, cell)
    bound, first, last, middle = sweep(ground, root, cell, begin, end)
    if bound >= ground.promise_min:
        heapq.heappush(heap, (-bound, -level, begin, cell, end, first, last, middle, root, now))


@njit(cache=True)
def _open(heap, ground, root, now, level, cell, begin, end):  # type: ignore[no-untyped-def]
    """Push the children of a node: halves of the cell along each axis that is split."""
    grid = ground.grid
    local = cell - grid.offset[level]
    nx, ny = grid.shape[level, 0], grid.shape[level, 1]
    ix, iy, iz = local % nx, (local // nx) % ny, local // (nx * ny)
    child = level + 1
    fx = grid.shape[child, 0] // nx
    fy = grid.shape[child, 1] // ny
    fz = grid.shape[child, 2] // grid.shape[level, 2]
    cx, cy = grid.shape[child, 0], grid.shape[child, 1]
    for jz in range(iz * fz, iz * fz + fz):
        for jy in range(iy * fy, iy * fy + fy):
            for jx in range(ix * fx, ix * fx + fx):
                index = grid.offset[child] + (jz * cy + jy) * cx + jx
                _push(heap, ground, root, now, child, index, begin, end)


@njit(cache=True)
def search(net, grid, rules, picks, free, roots, root_s, span_s, spans, most):  # type: ignore[no-untyped-def]
    """Find events among the free picks, best first; their picks cease to be free.

    Parameters
    ----------
    roots
        Starts of the spans of origin time to search, each ``root_s`` long.
    span_s
        Nothing before or after these origin times is searched.
    spans
        Longest span of origin time of a node at each level; longer ones are halved.
    most
        Nodes that are taken from the top at most; the best ones have had their turn then.

    Returns
    -------
    Origins (n, 4): east, north, depth, time; and what `score` fitted (n, `N_FITTED`).
    """
    deepest = grid.shape.shape[0] - 1
    chosen = np.empty(2 * net.east.size, dtype=np.int64)
    fitted = np.zeros(N_FITTED)
    origin = np.empty(4)
    max_events = free.sum() // rules.min_picks + 1
    origins = np.empty((max_events, 4))
    ranges = np.empty((max_events, N_FITTED))
    near, work = windows(net, picks, roots, root_s), np.zeros((3, BINS + 1))
    ground = Ground(net, grid, picks, free, near, work, rules.promise_min)
    wide = net.error_s + net.error_fraction * net.longest_s + picks.sigma_max.max()
    before, after = SWEEP_GATE * wide + SLACK_S, SWEEP_GATE * wide + SLACK_S + net.longest_s
    notes = np.zeros(NOTES, dtype=np.int64)
    n = 0
    heap = [(0.0, 0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0)]
    heap.pop()
    for r in range(roots.size):
        begin, end = max(roots[r], span_s[0]), min(roots[r] + root_s, span_s[1])
        _push(heap, ground, r, n, 0, 0, begin, end)
    while len(heap) > 0 and n < max_events and most > 0:
        most -= 1
        old, minus_level, begin, cell, end, first, last, middle, r, then = heapq.heappop(heap)
        level, bound = -minus_level, -old
        if latest_note(notes, begin - before, end + after) > then:
            bound, first, last, middle = sweep(ground, r, cell, begin, end)
            if bound < rules.promise_min:
                continue
            if bound < -old - 1e-9 and len(heap) > 0 and -bound > heap[0][0]:
                # No longer the best: its turn comes later.
                node = (-bound, minus_level, begin, cell, end, first, last, middle, r, n)
                heapq.heappush(heap, node)
                continue
        if last - first < MIN_SPAN_S:
            first = 0.5 * (first + last - MIN_SPAN_S)
            last = first + MIN_SPAN_S
        if last - first > spans[level]:
            half = 0.5 * (first + last)
            _push(heap, ground, r, n, level, cell, first, half)
            _push(heap, ground, r, n, level, cell, half, last)
            continue
        above = deepest - level
        least = 0.0 if above == 0 else EXPLAINED * bound
        if not (above == 0 or above in EARLY) or not _fit_node(
            net, grid, rules, picks, free, level, cell, middle, least, origin, chosen, fitted
        ):
            if above > 0:
                _open(heap, ground, r, n, level, cell, first, last)
            continue
        origins[n] = origin
        ranges[n] = fitted
        n += 1
        _claim(picks, free, chosen, notes, n)
        _push(heap, ground, r, n, level, cell, begin, end)
    return origins[:n], ranges[:n]


@njit(cache=True)
def _fit_node(  # type: ignore[no-untyped-def]
    net, grid, rules, picks, free, level, cell, moment, least, origin, chosen, fitted
):
    """Fit an event from the middle of a node; return whether it stands and its score suffices."""
    origin[:] = middle_of(grid, level, cell, moment)
    spread = cell_spread(grid, cell)
    log_det = locate(net, grid, rules, picks, free, cell, origin, 0.3 * spread, 1.0, chosen)
    if log_det == -math.inf:
        return False
    total = score(net, rules, picks, origin, chosen, 1.0, fitted)
    return total > least and improbable(rules, chosen, total, log_det) >= 0.0


@njit(cache=True)
def cell_spread(grid, cell):  # type: ignore[no-untyped-def]
    """Return the largest range of travel times from a cell, s."""
    spread = 0.0
    for row in range(grid.time_low.shape[1]):
        spread = max(spread, float(grid.time_high[cell, row] - grid.time_low[cell, row]))
    return spread


@njit(cache=True)
def leaf_of(grid, origin):  # type: ignore[no-untyped-def]
    """Return the index of the smallest cell that holds an origin."""
    level = grid.shape.shape[0] - 1
    index = 0
    for k in range(2, -1, -1):
        n = grid.shape[level, k]
        part = (origin[k] - grid.low[k]) / (grid.high[k] - grid.low[k])
        index = index * n + min(max(int(part * n), 0), n - 1)
    return grid.offset[level] + index


@njit(cache=True)
def middle_of(grid, level, cell, moment):  # type: ignore[no-untyped-def]
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
def _claim(picks, free, chosen, notes, number):  # type: ignore[no-untyped-def]
    """Take the chosen picks, and the same onsets picked as the other phase, out of the search."""
    for row in range(chosen.size):
        i = chosen[row]
        if i >= 0:
            for k in (i, picks.twin[i]):
                if k >= 0:
                    free[k] = False
                    notes[math.floor(picks.time[k] / NOTE_S) % NOTES] = number
