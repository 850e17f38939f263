"""Depth nodes and levels of the travel-time tables.

Kernels that take long let other threads work beside them.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.traveltimes._rays import collect, direct_limit, direct_solve, layer_of, leg, speed
from lithoscope.traveltimes.models import Profile

# An interface is held between two nodes this far (km) above and below it: times are
# continuous there, but the two kinds of path swap roles.
SIDE_KM = 1e-7
_GROWTH = 0.25  # of node spacing with distance from an interface
_NEAR_KM = 0.5
UNREACHED = 1e9  # stands for infinity where interpolation must not make NaN

Array = NDArray[np.float64]


def gradient_step(v: float, g: float, tolerance_s: float) -> float:
    """Return the node spacing (km) that keeps turning rays within a third of the tolerance.

    Near its turning level the vertical time of a ray is c z^1.5 with c = 2/3 sqrt(2 g / v^3);
    linear interpolation over a step h is off by at most 0.148 c h^1.5.
    """
    c = 2.0 / 3.0 * math.sqrt(2.0 * abs(g) / v**3)
    return (0.35 * tolerance_s / (0.148 * c)) ** (2.0 / 3.0)


def depth_nodes(
    profiles: tuple[Profile, ...], upper: float, lower: float, tolerance_s: float, scale: float
) -> Array:
    """Return nodes from ``upper`` to ``lower``: pairs on interfaces, denser on their fast side.

    Direct times bend most just inside a layer faster than its neighbour, so spacing grows
    geometrically away from there to ``scale`` km; it stays below `gradient_step` in gradient
    layers.
    """
    inner = np.unique(np.concatenate([p.edge_km[1:-1] for p in profiles]))
    inner = inner[(inner > upper + 10 * SIDE_KM) & (inner < lower - 10 * SIDE_KM)]
    edges = np.concatenate([[upper], inner, [lower]])
    nodes: list[float] = []
    for i, (a, b) in enumerate(pairwise(edges)):
        a = float(a) + (SIDE_KM if i > 0 else 0.0)
        b = float(b) - (SIDE_KM if i < len(edges) - 2 else 0.0)
        nodes.extend(_graded(profiles, a, b, tolerance_s, scale))
    return np.array(nodes)


def _graded(
    profiles: tuple[Profile, ...], a: float, b: float, tolerance_s: float, scale: float
) -> list[float]:
    """Return nodes of one layer, both ends included."""
    beside = [a - 3 * SIDE_KM, a, b, b + 3 * SIDE_KM, a - _NEAR_KM, b + _NEAR_KM]
    v = np.array([p.velocity(beside) for p in profiles])
    slope = [(float(w[1]), float(w[2] - w[1]) / (b - a)) for w in v]
    grade_a = any(_is_fast_side(w[1], w[0], w[4], g) for w, (_, g) in zip(v, slope, strict=True))
    grade_b = any(_is_fast_side(w[2], w[3], w[5], -g) for w, (_, g) in zip(v, slope, strict=True))
    smallest = 0.01 * scale

    def step(z: float) -> float:
        h = scale
        if grade_a:
            h = min(h, max(smallest, _GROWTH * (z - a)))
        if grade_b:
            h = min(h, max(smallest, _GROWTH * (b - z)))
        for va, g in slope:
            if abs(g) > 1e-9:
                h = min(h, gradient_step(va + g * (z - a), g, tolerance_s) * scale)
        return h

    down, up = [a], [b]
    middle = 0.5 * (a + b)
    while (z := down[-1] + step(down[-1])) < middle:
        down.append(z)
    while (z := up[-1] - step(up[-1])) > middle:
        up.append(z)
    n_middle = math.ceil((up[-1] - down[-1]) / min(step(down[-1]), step(up[-1])))
    between = np.linspace(down[-1], up[-1], n_middle + 1)[1:-1]
    return down + between.tolist() + up[::-1]


def _is_fast_side(inside: float, outside: float, beyond: float, g: float) -> bool:
    """Return whether velocity jumps up, or rises and then rises much less, on entering a layer."""
    return inside > outside * 1.001 or (inside - beyond) / _NEAR_KM > 2.0 * max(g, 0.0) + 1e-3


@njit(cache=True)
def reach(
    edge: Array, vt: Array, vb: Array, z: float, level: float, v: float
) -> tuple[float, float]:
    """Return (distance, time) of the ray from z that grazes a level of velocity v."""
    upper, lower = min(z, level), max(z, level)
    if lower - upper <= 2.0 * SIDE_KM:
        return 0.0, 0.0
    _, _, _, fastest = collect(edge, vt, vb, upper, lower)
    if fastest > v * (1.0 + 1e-12):
        return UNREACHED, UNREACHED
    p = 1.0 / v
    distance, time = leg(edge, vt, vb, upper, lower, p)
    if not distance < UNREACHED:
        return UNREACHED, UNREACHED
    return distance, time - p * distance


@njit(cache=True, nogil=True)
def level_terms(
    edge: Array,
    vt: Array,
    vb: Array,
    depth: Array,
    level: Array,
    level_v: Array,
    previous: Array,
    previous_v: Array,
    entry: Array,
    receivers: bool,
    distance: Array,
    time: Array,
) -> None:
    """Fill distance and time (depths x levels).

    A level inside a gradient layer stands for its neighbourhood, so it may be used from the
    distance of the previous level on (``previous_v`` > 0), where its time is still late;
    ``entry`` is the slow edge of that layer. Depths of ``receivers`` near the level are kept
    to a distance at which no ray between the level's neighbourhood and them goes directly.
    """
    for i in range(depth.size):
        for k in range(level.size):
            x, tau = reach(edge, vt, vb, depth[i], level[k], level_v[k])
            if previous_v[k] > 0.0 and x < UNREACHED:
                side = 1.0 if level[k] > entry[k] else -1.0
                z = depth[i] * side
                own, _ = reach(edge, vt, vb, entry[k], level[k], level_v[k])
                other, _ = reach(edge, vt, vb, entry[k], previous[k], previous_v[k])
                if z <= entry[k] * side:  # outside, on the slow side: shorten the inner part
                    x += other - own
                elif receivers and z <= level[k] * side:
                    x = _near_level(edge, vt, vb, depth[i], previous[k], previous_v[k], level[k], x)
                elif z <= previous[k] * side:
                    x, _ = reach(edge, vt, vb, depth[i], previous[k], previous_v[k])
                elif z <= level[k] * side:  # between the two: what the other end lacks
                    x = (own - other) * (depth[i] - previous[k]) / (level[k] - previous[k])
            distance[i, k], time[i, k] = x, tau


@njit(cache=True)
def _near_level(
    edge: Array,
    vt: Array,
    vb: Array,
    z: float,
    previous: float,
    previous_v: float,
    level: float,
    own: float,
) -> float:
    """Return from which distance a receiver in the layer of two levels uses the faster of them.

    Closer in, a source between the two, or just beyond, is reached by a direct ray, which the
    level's straight line would precede.
    """
    if (z - previous) * (level - previous) > 0.0:
        return max(_grazing(edge, vt, vb, previous, z), _grazing(edge, vt, vb, z, level))
    if abs(z - previous) < abs(level - previous):
        return own
    return reach(edge, vt, vb, z, previous, previous_v)[0]


@njit(cache=True)
def _grazing(edge: Array, vt: Array, vb: Array, slow: float, fast: float) -> float:
    """Return the distance between two depths of a gradient layer, horizontal at the faster."""
    if abs(fast - slow) <= 2.0 * SIDE_KM:
        return 0.0
    v = speed(edge, vt, vb, layer_of(edge, 0.5 * (slow + fast)), fast)
    return leg(edge, vt, vb, min(slow, fast), max(slow, fast), 1.0 / v)[0]


# Of so many steps of w only one is solved for; its slowness gives the ones between.
_SOLVED = 4


@njit(cache=True, nogil=True)
def direct_rows(
    edge: Array, vt: Array, vb: Array, receiver: Array, node: Array, slow: NDArray[np.float32]
) -> None:
    """Fill slow (receivers, nodes, n_w): time over straight distance of paths between both."""
    for r in range(receiver.size):
        for j in range(node.size):
            dz = abs(node[j] - receiver[r])
            upper, lower = min(node[j], receiver[r]), max(node[j], receiver[r])
            h, va, vc, fastest = collect(edge, vt, vb, upper, lower)
            if h.size == 0 or min(va.min(), vc.min()) == fastest:
                slow[r, j, :] = 1.0 / fastest
            else:
                _direct_row(h, va, vc, fastest, dz, slow[r, j])


@njit(cache=True)
def _direct_row(
    h: Array, va: Array, vc: Array, fastest: float, dz: float, out: NDArray[np.float32]
) -> None:
    """Fill out (n_w,) for one pair of depths; cubic between solved rays where times are smooth.

    With s = T / L, L^2 = x^2 + dz^2 and dT/dx = p: ds/dw = (p - s x / L) / L dx/dw.
    """
    n = out.size - 1
    limit, limit_time = direct_limit(h, va, vc, fastest)
    y, x_before, s_before, slope_before = 0.0, 1.0, 0.0, 0.0
    out[n] = 1.0 / fastest
    step = _SOLVED if n % _SOLVED == 0 else 1
    i = 0
    while i < n:
        x = dz * i / (n - i)
        if x < limit:
            time, p, y = direct_solve(h, va, vc, fastest, x, y * x / x_before)
        else:
            time, p = limit_time + (x - limit) / fastest, 1.0 / fastest
        line = math.sqrt(x * x + dz * dz)
        s = time / line
        slope = (p - s * x / line) / line * dz * n / (n - i) ** 2  # a step of w
        out[i] = s
        if step > 1 and i > 0:
            if x_before < limit <= x:  # the ray starts to graze between: solve for all
                for k in range(i - step + 1, i):
                    xk = dz * k / (n - k)
                    if xk < limit:
                        tk = direct_solve(h, va, vc, fastest, xk, 0.0)[0]
                    else:
                        tk = limit_time + (xk - limit) / fastest
                    out[k] = tk / math.sqrt(xk * xk + dz * dz)
            else:
                bend_a = slope_before * step - (s - s_before)
                bend_b = (s - s_before) - slope * step
                for k in range(1, step):
                    f = k / step
                    value = s_before + f * (s - s_before)
                    value += f * (1.0 - f) * ((1.0 - f) * bend_a + f * bend_b)
                    out[i - step + k] = value
        x_before, s_before, slope_before = x if x > 0.0 else 1.0, s, slope
        if i >= n - step:
            step = 1
        i += step


@njit(cache=True, nogil=True)
def fill_windows(
    slowness: Array,
    node_time: Array,
    node_distance: Array,
    row_time: Array,
    row_distance: Array,
    max_distance: float,
    window: NDArray[np.uint16],
) -> None:
    """Fill window (receivers, cells, n_x, 2) with the range of levels that can be first."""
    n_x = window.shape[2]
    n_levels = slowness.size
    reach_k, tau, who = np.empty(n_levels), np.empty(n_levels), np.empty(n_levels, np.int64)
    for r in range(window.shape[0]):
        for j in range(window.shape[1]):
            window[r, j, :, 0] = n_levels
            window[r, j, :, 1] = 0
            for s in range(3):  # both nodes, and half way between them
                f = 0.5 * s
                n = 0
                for k in range(n_levels):
                    d = (1.0 - f) * node_distance[j, k] + f * node_distance[j + 1, k]
                    if d + row_distance[r, k] < max_distance:
                        reach_k[n] = d + row_distance[r, k]
                        tau[n] = (1.0 - f) * node_time[j, k] + f * node_time[j + 1, k]
                        tau[n] += row_time[r, k]
                        who[n] = k
                        n += 1
                _widen(slowness, reach_k[:n], tau[:n], who[:n], max_distance, window[r, j])
            for i in range(n_x):
                if window[r, j, i, 1] > window[r, j, i, 0] + 3:  # one more, for depths between
                    window[r, j, i, 0] = max(window[r, j, i, 0], 1) - 1


@njit(cache=True)
def _widen(
    slowness: Array,
    reach_k: Array,
    tau: Array,
    who: NDArray[np.int64],
    max_distance: float,
    window: NDArray[np.uint16],
) -> None:
    """Widen window (n_x, 2) by the levels that win at the edges of the bins, at one depth."""
    n_x = window.shape[0]
    before = False
    for i in range(n_x + 1):
        x = max_distance * (i / n_x) ** 2
        best, best_k, first = np.inf, -1, -1
        for m in range(who.size):
            if x >= reach_k[m]:
                first = m if first < 0 else first
                time = slowness[who[m]] * x + tau[m]
                if time < best:
                    best, best_k = time, m
        if best_k < 0:
            continue
        # Where the first level comes into reach, all up to the best may win.
        low, high = who[best_k if before else first], who[best_k]
        before = True
        if i > 0:
            window[i - 1, 0] = min(window[i - 1, 0], low)
            window[i - 1, 1] = max(window[i - 1, 1], high + 1)
        if i < n_x:
            window[i, 0] = min(window[i, 0], high)
            window[i, 1] = max(window[i, 1], high + 1)
