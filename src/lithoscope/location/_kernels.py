"""Compiled inner loops of the locator: predicted times, misfit at nodes, climbing to a maximum.

An event's picks are plain arrays, one row a pick: ``times`` (s after the event's reference),
``sigmas`` (s), ``outliers`` (probability), ``phases`` (0 P, 1 S), ``receivers`` (row in the
tables), ``easts``, ``norths`` (km, plane), ``scales`` (factor on the model error), ``coupling``
(matrix of `_coupling.coupling`, empty where errors are independent). ``errors`` is (floor_s,
fraction, outlier_width_s).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.inversion.mixture import inlier_probability, mixture
from lithoscope.traveltimes import lookup

Array = NDArray[np.float64]
_SQRT_2PI = math.sqrt(2.0 * math.pi)
# The look-up takes a third less time when its table of arrays is not passed on at each call.
_lookup = njit(inline="always")(lookup.py_func)


@njit(cache=True)
def predict(
    tables: Any, obs: Any, easting: float, northing: float, depth: float, out: Array
) -> None:
    """Fill ``out``'s first 4 columns: time (s), derivatives to easting, northing, depth (s/km)."""
    phases, receivers, easts, norths = obs[3], obs[4], obs[5], obs[6]
    for i in range(len(phases)):
        de = easting - easts[i]
        dn = northing - norths[i]
        distance = math.sqrt(de * de + dn * dn)
        time, per_distance, per_depth = _lookup(tables, phases[i], receivers[i], distance, depth)
        out[i, 0] = time
        if distance > 1e-9:
            out[i, 1] = per_distance * de / distance
            out[i, 2] = per_distance * dn / distance
        else:
            out[i, 1] = 0.0
            out[i, 2] = 0.0
        out[i, 3] = per_depth


class CoarseTimes(NamedTuple):
    """Times on a grid of depth and distance, good to some 0.05 s: enough to rank cells.

    ``times`` is (2, bands, depths, distances); receivers share a band of depths; ``grid`` is
    (top km, step km), one step for depth and distance.
    """

    times: NDArray[np.float32]
    band: NDArray[np.int64]
    grid: Array


@njit(cache=True)
def fill_coarse(tables: Any, first: NDArray, top: float, step: float, out: NDArray) -> None:
    """Fill the times of `CoarseTimes`; ``first`` is one receiver of each band."""
    limit, deepest = tables.limits[0], tables.limits[2]
    for phase in range(2):
        for band in range(out.shape[1]):
            for j in range(out.shape[2]):
                depth = min(top + j * step, deepest)
                for i in range(out.shape[3]):
                    out[phase, band, j, i] = lookup(
                        tables, phase, first[band], min(i * step, limit), depth
                    )[0]


@njit(cache=True)
def predict_coarse(
    coarse: Any, obs: Any, easting: float, northing: float, depth: float, out: Array
) -> None:
    """Fill ``out`` like `predict`, bilinear in the coarse grid."""
    phases, receivers, easts, norths = obs[3], obs[4], obs[5], obs[6]
    times, step = coarse.times, coarse.grid[1]
    z = (depth - coarse.grid[0]) / step
    j = min(max(int(z), 0), times.shape[2] - 2)
    v = z - j
    for i in range(len(phases)):
        de = easting - easts[i]
        dn = northing - norths[i]
        distance = math.sqrt(de * de + dn * dn)
        x = distance / step
        k = min(int(x), times.shape[3] - 2)
        u = x - k
        band, phase = coarse.band[receivers[i]], phases[i]
        t00, t01 = times[phase, band, j, k], times[phase, band, j, k + 1]
        t10, t11 = times[phase, band, j + 1, k], times[phase, band, j + 1, k + 1]
        upper, lower = t00 + u * (t01 - t00), t10 + u * (t11 - t10)
        slope = ((1.0 - v) * (t01 - t00) + v * (t11 - t10)) / step / max(distance, 1e-9)
        out[i, 0] = upper + v * (lower - upper)
        out[i, 1] = slope * de
        out[i, 2] = slope * dn
        out[i, 3] = (lower - upper) / step


@njit(cache=True)
def total_sigma(sigma: float, time: float, errors: Any, scale: float) -> float:
    """Return sigma of pick and model together (s) for a travel time (s)."""
    model = errors[1] * time
    return math.sqrt(sigma * sigma + scale * scale * (errors[0] * errors[0] + model * model))


@njit(cache=True)
def _value_at(tables: Any, obs: Any, errors: Any, x: Array, widen: float, work: Array) -> float:
    """Return the log likelihood at (4,); leave times and weighted residuals in ``work`` (n, 5).

    Correlated errors add ``-z (inv(R) - 1) z / 2``, with ``z`` the residuals over their sigmas
    times the probability of no outlier: exact for Gaussian errors, nothing for outliers.
    """
    times, sigmas, outliers, scales, coupling = obs[0], obs[1], obs[2], obs[7], obs[8]
    predict(tables, obs, x[1], x[2], x[3], work)
    total = 0.0
    product = 1.0
    for i in range(len(times)):
        model = errors[1] * work[i, 0]
        sigma2 = sigmas[i] ** 2 + scales[i] ** 2 * (errors[0] ** 2 + model * model) + widen * widen
        sigma = math.sqrt(sigma2)
        residual = times[i] - x[0] - work[i, 0]
        density = mixture(residual, sigma, outliers[i], errors[2])
        product *= density
        # One logarithm serves many picks.
        if product < 1e-100 or product > 1e100:
            total += math.log(product)
            product = 1.0
        work[i, 4] = residual / sigma * (1.0 - outliers[i] / errors[2] / density)
    total += math.log(product)
    for i in range(len(coupling)):
        inner = 0.5 * coupling[i, i] * work[i, 4]
        for j in range(i):
            inner += coupling[i, j] * work[j, 4]
        total -= inner * work[i, 4]
    return total


@njit(cache=True)
def log_likelihood(tables: Any, obs: Any, errors: Any, points: Array) -> Array:
    """Return the log likelihood at points (n, 4): origin time (s), easting, northing, depth."""
    work = np.empty((len(obs[0]), 5))
    out = np.empty(len(points))
    for j in range(len(points)):
        out[j] = _value_at(tables, obs, errors, points[j], 0.0, work)
    return out


@njit(cache=True)
def _densest(values: Array, width: float) -> float:
    """Return the mean of the fullest window of the given width over sorted values."""
    n = len(values)
    best = 0
    best_first = 0
    last = 0
    for first in range(n):
        while last < n and values[last] - values[first] <= width:
            last += 1
        if last - first > best:
            best = last - first
            best_first = first
    total = 0.0
    for i in range(best_first, best_first + best):
        total += values[i]
    return total / best


@njit(cache=True)
def profile(
    tables: Any, coarse: Any, obs: Any, errors: Any, nodes: Array, radius: float, guess: Array
) -> Array:
    """Maximise over the origin time at nodes (n, 3) that stand for cells of a half diagonal.

    The sigma of each pick is widened, in square, by what its time can change within the cell
    (``radius`` km times the slowness at the node); the height of the Gaussian stays that of the
    unwidened one, so that a coarse cell is judged by the best that may lie inside it. Cells use the
    coarse times; a ``radius`` of 0 means the node itself and uses the exact ones. ``guess`` (n,)
    holds origin times to start from; where it is NaN the densest cluster of the picks' is used.

    Returns
    -------
    (n, 3): log likelihood, origin time (s), its conditional sigma (s).
    """
    n = len(obs[0])
    work = np.empty((n, 4))
    scratch = np.empty((4, n))
    out = np.empty((len(nodes), 3))
    for j in range(len(nodes)):
        if radius > 0.0:
            predict_coarse(coarse, obs, nodes[j, 0], nodes[j, 1], nodes[j, 2], work)
            _profile_node(obs, errors, work, radius, 2, guess[j], scratch, out[j])
        else:
            predict(tables, obs, nodes[j, 0], nodes[j, 1], nodes[j, 2], work)
            _profile_node(obs, errors, work, radius, 5, guess[j], scratch, out[j])
    return out


@njit(cache=True)
def _profile_node(
    obs: Any,
    errors: Any,
    work: Array,
    radius: float,
    steps: int,
    origin: float,
    scratch: Array,
    out: Array,
) -> None:
    times, sigmas, outliers = obs[0], obs[1], obs[2]
    odds, precisions, origins, heights = scratch[0], scratch[1], scratch[2], scratch[3]
    n = len(times)
    spread = 0.0
    logs = 0.0
    for i in range(n):
        exact = total_sigma(sigmas[i], work[i, 0], errors, obs[7][i])
        reach2 = work[i, 1] ** 2 + work[i, 2] ** 2 + work[i, 3] ** 2
        precisions[i] = 1.0 / (exact * exact + radius * radius * reach2)
        origins[i] = times[i] - work[i, 0]
        heights[i] = (1.0 - outliers[i]) / (_SQRT_2PI * exact)
        odds[i] = outliers[i] / errors[2] / heights[i]
        spread += 1.0 / precisions[i]
    if math.isnan(origin):
        origin = _densest(np.sort(origins), 2.5 * math.sqrt(spread / n))
    precision = 1.0
    for _ in range(steps):
        precision = 1e-12
        total = 0.0
        for i in range(n):
            step = origins[i] - origin
            good = math.exp(-0.5 * min(step * step * precisions[i], 700.0))
            w = good / (good + odds[i]) * precisions[i]
            precision += w
            total += w * step
        origin += total / precision
    product = 1.0
    for i in range(n):
        step = origins[i] - origin
        good = math.exp(-0.5 * min(step * step * precisions[i], 700.0))
        product *= heights[i] * (good + odds[i])
        if product < 1e-100 or product > 1e100:
            logs += math.log(product)
            product = 1.0
    out[0] = logs + math.log(product)
    out[1] = origin
    out[2] = 1.0 / math.sqrt(precision)


@njit(cache=True)
def _normal_equations(
    obs: Any, errors: Any, x: Array, widen: float, work: Array, matrix: Array, vector: Array
) -> None:
    """Fill the weighted normal equations of one reweighted Gauss-Newton step."""
    times, sigmas, outliers, scales, coupling = obs[0], obs[1], obs[2], obs[7], obs[8]
    matrix[:] = 0.0
    vector[:] = 0.0
    rows = np.empty((len(times), 4))
    for i in range(len(times)):
        sigma = math.hypot(total_sigma(sigmas[i], work[i, 0], errors, scales[i]), widen)
        residual = times[i] - x[0] - work[i, 0]
        w = inlier_probability(residual, sigma, outliers[i], errors[2])
        rows[i, 0] = 1.0
        rows[i, 1:] = work[i, 1:4]
        for a in range(4):
            vector[a] += w / (sigma * sigma) * rows[i, a] * residual
            for b in range(4):
                matrix[a, b] += w / (sigma * sigma) * rows[i, a] * rows[i, b]
        rows[i] *= w / sigma
        work[i, 4] = w / sigma * residual
    if len(coupling) > 0:
        vector += rows.T @ (coupling @ np.ascontiguousarray(work[:, 4]))
        matrix += rows.T @ (coupling @ rows)


@njit(cache=True)
def climb(
    tables: Any, obs: Any, errors: Any, start: Array, box: Array, widen: Array, max_steps: int
) -> tuple[Array, Array, float, int]:
    """Climb to the nearest maximum of the likelihood inside a box.

    Reweighted Gauss-Newton steps, halved until the likelihood rises, first with the sigmas widened
    by each value of ``widen`` (s) in turn, so that picks far from the start still pull.

    Parameters
    ----------
    start
        (4,) origin time (s), easting, northing, depth (km).
    box
        (2, 4) lower and upper bounds.

    Returns
    -------
    maximum (4,), Gauss-Newton precision matrix (4, 4) there, log likelihood, steps taken.
    """
    n = len(obs[0])
    work = np.empty((n, 5))
    x = start.copy()
    trial = np.empty(4)
    matrix = np.empty((4, 4))
    vector = np.empty(4)
    steps = 0
    value = 0.0
    for stage in range(len(widen)):
        value = _value_at(tables, obs, errors, x, widen[stage], work)
        damping = 1e-6
        for _ in range(max_steps):
            _normal_equations(obs, errors, x, widen[stage], work, matrix, vector)
            step = _bounded_step(matrix, vector, x, box, damping)
            rise = False
            length = 1.0
            for _ in range(8):
                for a in range(4):
                    trial[a] = min(max(x[a] + length * step[a], box[0, a]), box[1, a])
                new = _value_at(tables, obs, errors, trial, widen[stage], work)
                if new > value:
                    rise = True
                    break
                length *= 0.4
            steps += 1
            if not rise:
                break
            gain = new - value
            x[:] = trial
            value = new
            if gain < 1e-7:
                break
        _value_at(tables, obs, errors, x, widen[stage], work)
    _normal_equations(obs, errors, x, widen[-1], work, matrix, vector)
    return x, matrix, value, steps


@njit(cache=True)
def climb_all(
    tables: Any, obs: Any, errors: Any, starts: Array, box: Array, widen: Array, max_steps: int
) -> tuple[Array, Array]:
    """Do as `climb` from each of ``starts`` (n, 4); return maxima and precision matrices."""
    points = np.empty((len(starts), 4))
    precisions = np.empty((len(starts), 4, 4))
    for k in range(len(starts)):
        found = climb(tables, obs, errors, starts[k], box, widen, max_steps)
        points[k] = found[0]
        precisions[k] = found[1]
    return points, precisions


@njit(cache=True)
def _bounded_step(matrix: Any, vector: Any, x: Array, box: Array, damping: float) -> Any:
    """Solve for the step; coordinates held at a bound that they push against stay there."""
    free = np.ones(4, dtype=np.bool_)
    step: Any = np.zeros(4)
    for _ in range(3):
        a = matrix.copy()
        b = vector.copy()
        for k in range(4):
            a[k, k] = a[k, k] * (1.0 + damping) + 1e-9
            if not free[k]:
                a[k, :] = 0.0
                a[:, k] = 0.0
                a[k, k] = 1.0
                b[k] = 0.0
        step = np.linalg.solve(a, b)
        changed = False
        for k in range(4):
            at_low = x[k] <= box[0, k] and step[k] < 0.0
            at_high = x[k] >= box[1, k] and step[k] > 0.0
            if free[k] and (at_low or at_high):
                free[k] = False
                changed = True
        if not changed:
            break
    return step


@njit(cache=True)
def weights(obs: Any, errors: Any, residuals: Array, predicted: Array) -> Array:
    """Return the probability of each pick to be no outlier, given its residual."""
    out = np.empty(len(residuals))
    for i in range(len(residuals)):
        sigma = total_sigma(obs[1][i], predicted[i, 0], errors, obs[7][i])
        out[i] = inlier_probability(residuals[i], sigma, obs[2][i], errors[2])
    return out
