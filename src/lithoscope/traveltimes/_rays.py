"""Exact rays between two depths of a layered profile (Numba kernels).

In a layer with linear velocity the horizontal distance and time of a ray with slowness p
between velocities va and vb over a thickness h are closed forms. With c = sqrt(1 - (p v)^2)::

    X = p h (va + vb) / (ca + cb)
    T = h E log1p(e) / e,  E = (1 + (va + vb) / (vb ca + va cb)) / (va (1 + cb)),  e = (vb - va) E

which hold without loss of digits down to a constant velocity (Cerveny 2001, Seismic Ray Theory,
sec. 3.7, rearranged). The first arrival is the fastest of: the direct ray; rays that turn
in a gradient layer below both ends; paths along the faster side of an interface below both ends
(head waves, and diffractions along the top of a shadow); and the mirror images of the last two
above both ends. Where velocity falls with depth the shadow is lit by the diffraction along its top,
so every pair of points has a first arrival and all times are finite.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Samples of turning depth per gradient layer that look for the root before it is refined.
_N_TURN = 24

_NOTHING_KM = 1e-12  # thinner pieces of a layer count as none
# From this tangent of the angle on slowness is that of a horizontal ray to all digits, and the
# distance still missing is covered with it.
_HORIZONTAL = 1e9

Array = NDArray[np.float64]


@njit(cache=True)
def layer_of(edge: Array, z: float) -> int:
    """Return the layer that holds z; on an interface, the one below."""
    i = int(np.searchsorted(edge, z, side="right")) - 1
    return min(max(i, 0), edge.size - 2)


@njit(cache=True)
def speed(edge: Array, vt: Array, vb: Array, i: int, z: float) -> float:
    """Return the velocity at z inside layer i."""
    return vt[i] + (vb[i] - vt[i]) * (z - edge[i]) / (edge[i + 1] - edge[i])


@njit(cache=True)
def layer_time(h: float, va: float, vb: float, ca: float, cb: float) -> float:
    """Return the time through one layer, given the cosines at its ends."""
    denominator = vb * ca + va * cb
    if denominator <= 0.0:
        return np.inf
    big_e = (1.0 + (va + vb) / denominator) / (va * (1.0 + cb))
    e = (vb - va) * big_e
    return h * big_e * (math.log1p(e) / e if abs(e) > 1e-12 else 1.0 - 0.5 * e)


@njit(cache=True)
def cosine(p: float, v: float) -> float:
    """Return cos(angle from vertical) of a ray with slowness p where the velocity is v."""
    pv = p * v
    return math.sqrt((1.0 - pv) * (1.0 + pv)) if pv < 1.0 else 0.0


@njit(cache=True)
def leg(
    edge: Array, vt: Array, vb: Array, upper: float, lower: float, p: float
) -> tuple[float, float]:
    """Return (distance, time) of a ray with slowness p from upper to lower; inf if it cannot."""
    distance, time = 0.0, 0.0
    for i in range(layer_of(edge, upper), layer_of(edge, lower) + 1):
        a, b = max(upper, edge[i]), min(lower, edge[i + 1])
        if b - a <= _NOTHING_KM:
            continue
        va, vc = speed(edge, vt, vb, i, a), speed(edge, vt, vb, i, b)
        ca, cb = cosine(p, va), cosine(p, vc)
        if ca + cb <= 0.0:
            return np.inf, np.inf
        distance += p * (b - a) * (va + vc) / (ca + cb)
        time += layer_time(b - a, va, vc, ca, cb)
    return distance, time


@njit(cache=True)
def collect(
    edge: Array, vt: Array, vb: Array, upper: float, lower: float
) -> tuple[Array, Array, Array, float]:
    """Return thicknesses and end velocities of the pieces between two depths, and the fastest."""
    first, last = layer_of(edge, upper), layer_of(edge, lower)
    h, va, vc = np.empty(last - first + 1), np.empty(last - first + 1), np.empty(last - first + 1)
    n = 0
    fastest = 0.0
    for i in range(first, last + 1):
        a, b = max(upper, edge[i]), min(lower, edge[i + 1])
        if b - a <= _NOTHING_KM:
            continue
        h[n] = b - a
        va[n], vc[n] = speed(edge, vt, vb, i, a), speed(edge, vt, vb, i, b)
        fastest = max(fastest, va[n], vc[n])
        n += 1
    if n == 0:
        fastest = speed(edge, vt, vb, first, upper)
    return h[:n], va[:n], vc[:n], fastest


@njit(cache=True)
def direct_limit(h: Array, va: Array, vc: Array, fastest: float) -> tuple[float, float]:
    """Return (distance, time) at which the direct ray grazes the fastest level; inf if never."""
    distance, time = 0.0, 0.0
    p = 1.0 / fastest
    for i in range(h.size):
        ca = math.sqrt(max(0.0, (fastest - va[i]) * (fastest + va[i]))) * p
        cb = math.sqrt(max(0.0, (fastest - vc[i]) * (fastest + vc[i]))) * p
        # Differences of close velocities are exact, so only a constant fastest layer gives 0; just
        # below an interface with a slow decrease the limit is small however small the cosines.
        if ca + cb <= 0.0:
            return np.inf, np.inf
        distance += p * h[i] * (va[i] + vc[i]) / (ca + cb)
        time += layer_time(h[i], va[i], vc[i], ca, cb)
    return distance, time


@njit(cache=True)
def direct_solve(
    h: Array, va: Array, vc: Array, fastest: float, x: float, start: float
) -> tuple[float, float, float]:
    """Return (time, slowness, y) of the direct ray over distance x below its limit.

    Solved in y = tan(angle where the velocity is fastest): distance is increasing and concave
    in y, so Newton's method from the left never overshoots. ``start`` is a value of y known
    to lie left of the root (0 for none).
    """
    rate = 0.0
    for i in range(h.size):
        rate += h[i] * (va[i] + vc[i]) * 0.5 / fastest
    y = max(start, x / rate)
    f = x
    for _ in range(200):
        f, slope = 0.0, 0.0
        for i in range(h.size):
            a = math.sqrt(1.0 + y * y * (fastest - va[i]) * (fastest + va[i]) / fastest**2)
            b = math.sqrt(1.0 + y * y * (fastest - vc[i]) * (fastest + vc[i]) / fastest**2)
            k = h[i] * (va[i] + vc[i]) / fastest
            f += k * y / (a + b)
            slope += k / (a * b * (a + b))
        step = (x - f) / slope
        if not step > 1e-13 * y or y > _HORIZONTAL:
            break
        y += step
    norm = math.sqrt(1.0 + y * y)
    time = 0.0
    for i in range(h.size):
        a = math.sqrt(1.0 + y * y * (fastest - va[i]) * (fastest + va[i]) / fastest**2)
        b = math.sqrt(1.0 + y * y * (fastest - vc[i]) * (fastest + vc[i]) / fastest**2)
        time += layer_time(h[i], va[i], vc[i], a / norm, b / norm)
    p = y / (norm * fastest)
    return time + p * (x - f), p, y


@njit(cache=True)
def direct(
    edge: Array, vt: Array, vb: Array, upper: float, lower: float, x: float
) -> tuple[float, float]:
    """Return (time, slowness) of the fastest path that stays between two depths."""
    h, va, vc, fastest = collect(edge, vt, vb, upper, lower)
    if h.size == 0:
        return x / fastest, 1.0 / fastest
    limit, limit_time = direct_limit(h, va, vc, fastest)
    if x >= limit:
        return limit_time + (x - limit) / fastest, 1.0 / fastest
    time, p, _ = direct_solve(h, va, vc, fastest, x, 0.0)
    return time, p


@njit(cache=True)
def _turning(
    edge: Array,
    vt: Array,
    vb: Array,
    upper: float,
    lower: float,
    i: int,
    top: float,
    v_turn: float,
    x: float,
) -> tuple[float, float, float]:
    """Return (distance - x, time, slowness) of the ray that turns in layer i where v = v_turn."""
    p = 1.0 / v_turn
    d1, t1 = leg(edge, vt, vb, upper, lower, p)
    d2, t2 = leg(edge, vt, vb, lower, top, p)
    g = (vb[i] - vt[i]) / (edge[i + 1] - edge[i])
    v0 = speed(edge, vt, vb, i, top)
    c = cosine(p, v0)
    distance = d1 + 2.0 * d2 + 2.0 * c / (p * g)
    return distance - x, t1 + 2.0 * t2 + 2.0 * math.log((1.0 + c) / (p * v0)) / g, p


@njit(cache=True)
def _refine(
    edge: Array,
    vt: Array,
    vb: Array,
    upper: float,
    lower: float,
    i: int,
    top: float,
    v_low: float,
    v_high: float,
    s0: float,
    f0: float,
    s1: float,
    f1: float,
    x: float,
) -> tuple[float, float]:
    """Return (time, slowness) of the turning ray between two samples s of turning velocity."""
    side = 0
    time, p = np.inf, 0.0
    for _ in range(200):
        s = s1 - f1 * (s1 - s0) / (f1 - f0) if np.isfinite(f0) else 0.5 * (s0 + s1)
        if not s0 < s < s1:
            s = 0.5 * (s0 + s1)
        v = v_low + (v_high - v_low) * s * s
        f, time, p = _turning(edge, vt, vb, upper, lower, i, top, v, x)
        if abs(f) <= 1e-10 * (1.0 + x) or s1 - s0 < 1e-15:
            break
        if f < 0.0:
            s0, f0 = s, f
            if side == -1:
                f1 *= 0.5
            side = -1
        else:
            s1, f1 = s, f
            if side == 1:
                f0 *= 0.5
            side = 1
        if not np.isfinite(f):
            side = 0
    return time - p * f, p  # second order in what is left of f


@njit(cache=True)
def via_below(
    edge: Array, vt: Array, vb: Array, upper: float, lower: float, x: float, best: float
) -> tuple[float, float]:
    """Return (time, slowness) of the fastest path by way of a level below both ends.

    ``best`` is the time to beat; slowness is negative if no path does.
    """
    slowness = -1.0
    _, _, _, fastest = collect(edge, vt, vb, upper, lower)
    _, vertical = leg(edge, vt, vb, upper, lower, 0.0)
    for i in range(layer_of(edge, lower), edge.size - 1):
        top = max(lower, edge[i])
        if vertical >= best:  # every leg takes at least its vertical time
            break
        v0 = speed(edge, vt, vb, i, top)
        if v0 > fastest:
            best, slowness = _along(edge, vt, vb, upper, lower, top, v0, x, best, slowness)
            fastest = v0
        if vb[i] > fastest:
            # A ray sinks less into its turning layer than half the distance it covers there.
            bottom = min(edge[i + 1], top + 0.5 * x + 1e-9)
            v1 = speed(edge, vt, vb, i, bottom)
            s0, f0 = 0.0, _turning(edge, vt, vb, upper, lower, i, top, fastest, x)[0]
            for k in range(1, _N_TURN + 1):
                if v1 <= fastest:
                    break
                s1 = k / _N_TURN
                v = fastest + (v1 - fastest) * s1 * s1
                f1 = _turning(edge, vt, vb, upper, lower, i, top, v, x)[0]
                if f0 <= 0.0 < f1:
                    time, p = _refine(
                        edge, vt, vb, upper, lower, i, top, fastest, v1, s0, f0, s1, f1, x
                    )
                    if time < best:
                        best, slowness = time, p
                s0, f0 = s1, f1
            fastest = vb[i]
            best, slowness = _along(
                edge, vt, vb, upper, lower, edge[i + 1], fastest, x, best, slowness
            )
        vertical += 2.0 * leg(edge, vt, vb, top, edge[i + 1], 0.0)[1]
    return best, slowness


@njit(cache=True)
def _along(
    edge: Array,
    vt: Array,
    vb: Array,
    upper: float,
    lower: float,
    level: float,
    v: float,
    x: float,
    best: float,
    slowness: float,
) -> tuple[float, float]:
    """Improve (best, slowness) by the path that runs along ``level`` with velocity v."""
    p = 1.0 / v
    d1, t1 = leg(edge, vt, vb, upper, lower, p)
    d2, t2 = leg(edge, vt, vb, lower, level, p)
    critical = d1 + 2.0 * d2
    if x >= critical:
        time = t1 + 2.0 * t2 + p * (x - critical)
        if time < best:
            return time, p
    return best, slowness


@njit(cache=True)
def first_arrival(
    edge: Array,
    vt: Array,
    vb: Array,
    mirror_edge: Array,
    mirror_vt: Array,
    mirror_vb: Array,
    x: float,
    source: float,
    receiver: float,
) -> tuple[float, float, int]:
    """Return (time, slowness, direction) of the first arrival; direction 1 down, -1 up, at source.

    ``mirror_*`` is the profile turned upside down (depth -> -depth).
    """
    upper, lower = min(source, receiver), max(source, receiver)
    time, p = direct(edge, vt, vb, upper, lower, x)
    direction = -1 if source > receiver else 1
    t, q = via_below(edge, vt, vb, upper, lower, x, time)
    if q >= 0.0:
        time, p, direction = t, q, 1
    t, q = via_below(mirror_edge, mirror_vt, mirror_vb, -lower, -upper, x, time)
    if q >= 0.0:
        time, p, direction = t, q, -1
    return time, p, direction


@njit(cache=True, nogil=True)
def first_arrivals_kernel(
    edge: Array,
    vt: Array,
    vb: Array,
    distance: Array,
    source: Array,
    receiver: Array,
    time: Array,
    slowness: Array,
    direction: Array,
) -> None:
    """Fill time, slowness and direction for arrays of source-receiver pairs (km)."""
    mirror_edge = -edge[::-1]
    mirror_vt, mirror_vb = vb[::-1].copy(), vt[::-1].copy()
    for i in range(distance.size):
        time[i], slowness[i], direction[i] = first_arrival(
            edge, vt, vb, mirror_edge, mirror_vt, mirror_vb, distance[i], source[i], receiver[i]
        )
