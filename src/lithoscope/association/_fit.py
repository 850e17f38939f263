"""Best origin of one candidate, the picks that support it and how improbable it is by chance.

Score of an event (natural log of a likelihood ratio, event against unrelated picks):

    J = sum over arrivals with a pick of  ln(p_d N(r; s)) - ln(rate of noise picks)
      + sum over arrivals without one of  ln(1 - p_d)

where ``r`` is the residual, ``s`` pick sigma and model error together, and ``p_d`` the
probability that an arrival is picked, falling with distance at a range that is fitted. The
residuals of an event also say how large its errors are: all its variances are multiplied by one
number, which is fitted with the stated errors counting as a few picks. Under noise a likelihood
ratio exceeds exp(J) with probability under exp(-J) (Markov), so the number of chance events a
day is at most (volume x day / volume of the posterior) x exp(-J).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from lithoscope.association._arrays import first_at, hour_index, travel_time

# Annealing of the cell's own spread of travel times, which lets the first steps reach far.
_ANNEAL = np.array([1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0, 0.0, 0.0, 0.0])
# Turns at which a candidate whose gains have become too small is given up.
_CHECKS = (2, 5, 7)
_P_MAX = np.array([0.3, 0.5, 0.7, 0.85, 0.95])
_N_RANGES = 8
# How steeply detection falls with distance; each is twice the one before.
_STEEPNESS = np.array([4.0, 8.0, 16.0])
# Places in what `score` fits: the factor on the variance of model errors, and whether an event
# was located anew from other depths (before them is what `detected` takes).
FACTOR, TRIED, N_FITTED = 4, 5, 6
_LOG_2PI = math.log(2 * math.pi)
# Factors on the stated variance of model errors that are tried for an event.
_FACTORS = 10.0 ** np.linspace(-2.0, 0.8, 15)


@njit(cache=True)
def best_pick(picks, free, row, predicted, error2, gate):  # type: ignore[no-untyped-def]
    """Return the free pick of ``row`` with the largest gain (-1 = none), and that gain."""
    reach = gate * math.sqrt(error2 + picks.sigma_max[row] ** 2)
    end = picks.start[row + 1]
    i = first_at(picks.time, picks.start[row], end, predicted - reach)
    best, best_gain = -1, -1e30
    while i < end and picks.time[i] <= predicted + reach:
        if free[i]:
            s2 = error2 + picks.sigma[i] ** 2
            r = picks.time[i] - predicted
            if r * r <= gate * gate * s2:
                gain = picks.gain[i] - 0.5 * math.log(s2) - 0.5 * r * r / s2
                if gain > best_gain:
                    best, best_gain = i, gain
        i += 1
    return best, best_gain


@njit(cache=True)
def solve4(a, b, x):  # type: ignore[no-untyped-def]
    """Solve a x = b for a symmetric positive 4 x 4 matrix; return ln det(a)."""
    low = np.zeros((4, 4))
    log_det = 0.0
    for i in range(4):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s -= low[i, k] * low[j, k]
            if i == j:
                low[i, i] = math.sqrt(max(s, 1e-12))
                log_det += 2 * math.log(low[i, i])
            else:
                low[i, j] = s / low[j, j]
    for i in range(4):
        s = b[i]
        for k in range(i):
            s -= low[i, k] * x[k]
        x[i] = s / low[i, i]
    for i in range(3, -1, -1):
        s = x[i]
        for k in range(i + 1, 4):
            s -= low[k, i] * x[k]
        x[i] = s / low[i, i]
    return log_det


@njit(cache=True)
def promise(grid, cell, alive, gains):  # type: ignore[no-untyped-def]
    """Return the gains of the hit rows and the log likelihood of hits and misses.

    Rows within some number of nearest sites are asked, at the best such number; a row is hit
    if its gain is positive.
    """
    total, best, done = 0.0, 0.0, 0
    hits_p, hits_s, asked_p, asked_s = 0, 0, 0, 0
    for stage in grid.stages:
        for site in grid.nearest[cell, done:stage]:
            p, s = 2 * int(site), 2 * int(site) + 1
            total += gains[p] + gains[s]
            hits_p += gains[p] > 0.0
            hits_s += gains[s] > 0.0
            asked_p += alive[p]
            asked_s += alive[s]
        done = stage
        missing = grid.entropy[hits_p, asked_p] + grid.entropy[hits_s, asked_s]
        best = max(best, total + missing)
    return best


@njit(cache=True)
def _gather(net, rules, picks, free, origin, factor, extra2, robust, fixed, chosen, gains, step):  # type: ignore[no-untyped-def]
    """Add up the normal equations of one step; ``chosen`` and ``gains`` receive the picks used.

    Returns the matrix; the right side is put into ``step``.
    """
    normal = np.zeros((4, 4))
    step[:] = 0.0
    error_s2, fraction2 = factor * net.error_s**2, factor * net.error_fraction**2
    for row in range(chosen.size):
        if fixed and chosen[row] < 0:
            continue
        de, dn = origin[0] - net.east[row // 2], origin[1] - net.north[row // 2]
        d = math.sqrt(de * de + dn * dn)
        tt, slope_d, slope_z = travel_time(net, row, d, origin[2])
        error2 = error_s2 + fraction2 * tt * tt + extra2
        if not fixed:
            i, gain = best_pick(picks, free, row, origin[3] + tt, error2, rules.gate)
            chosen[row] = i
            gains[row] = max(gain, 0.0)
        i = chosen[row]
        if i < 0:
            continue
        s2 = error2 + picks.sigma[i] ** 2
        r = picks.time[i] - origin[3] - tt
        w = 1.0 / s2
        if robust:
            w /= 1.0 + 0.25 * r * r / s2
        inverse_d = 1.0 / max(d, 1e-6)
        g = (slope_d * de * inverse_d, slope_d * dn * inverse_d, slope_z, 1.0)
        for k in range(4):
            step[k] += w * r * g[k]
            for m in range(k + 1):
                normal[k, m] += w * g[k] * g[m]
    for k in range(4):
        for m in range(k):
            normal[m, k] = normal[k, m]
    return normal


@njit(cache=True)
def _within(grid, origin, normal, right, step):  # type: ignore[no-untyped-def]
    """Solve again where ``step`` leaves the region: that coordinate is held at the wall."""
    walled = False
    for k in range(3):
        wall = min(max(origin[k] + step[k], grid.low[k]), grid.high[k]) - origin[k]
        if wall != step[k]:
            normal[k, k] += 1e6
            right[k] += 1e6 * wall
            walled = True
    if walled:
        solve4(normal, right, step)


@njit(cache=True)
def locate(net, grid, rules, picks, free, cell, origin, spread_s, factor, chosen):  # type: ignore[no-untyped-def]
    """Move ``origin`` (east, north, depth, time) to the best fit of the free picks.

    ``chosen`` (rows,) receives the picks used in the last step; where ``spread_s`` is negative
    it holds the only picks that may be used. ``factor`` multiplies the variance of model errors.
    Returns ln det of the inverse covariance, or -inf for a candidate that cannot be accepted.
    """
    fixed = spread_s < 0
    right, step, gains = np.zeros(4), np.zeros(4), np.zeros(chosen.size)
    log_det = 0.0
    limit = 0.25 * max(grid.high[0] - grid.low[0], grid.high[1] - grid.low[1])
    for turn in range(6 if fixed else 0, _ANNEAL.size):
        extra2 = 0.0 if fixed else (spread_s * _ANNEAL[turn]) ** 2
        last = turn == _ANNEAL.size - 1
        normal = _gather(
            net, rules, picks, free, origin, factor, extra2, not last, fixed, chosen, gains, right
        )
        for k in range(3):
            # The region is the prior: a uniform box has this variance.
            normal[k, k] += 12.0 / (grid.high[k] - grid.low[k]) ** 2
        normal[3, 3] += 1e-6
        log_det = solve4(normal, right, step)
        if last:
            break
        _within(grid, origin, normal, right, step)
        if not fixed and turn in _CHECKS:
            alive = picks.alive[hour_index(picks, origin[3])]
            if promise(grid, cell, alive, gains) < rules.promise_min:
                return -math.inf
        part = min(1.0, limit / max(1e-9, math.hypot(step[0], step[1])))
        for k in range(3):
            origin[k] = min(max(origin[k] + part * step[k], grid.low[k]), grid.high[k])
        origin[3] += step[3]
        if fixed and abs(step[0]) + abs(step[1]) + abs(step[2]) < 1e-4:
            # Converged: the remaining turns would only repeat this one.
            break
    return log_det


@njit(cache=True)
def residual_gain(net, picks, row, i, distance, origin, factor):  # type: ignore[no-untyped-def]
    """Return residual (s), its sigma and the gain of pick ``i`` before detection is weighed.

    ``factor`` multiplies the variance of model errors.
    """
    tt = travel_time(net, row, distance, origin[2])[0]
    s2 = factor * (net.error_s**2 + (net.error_fraction * tt) ** 2) + picks.sigma[i] ** 2
    r = picks.time[i] - origin[3] - tt
    return r, math.sqrt(s2), picks.gain[i] - 0.5 * math.log(s2) - 0.5 * r * r / s2


@njit(cache=True)
def fit_factor(rules, square, stated2, own2, peak):  # type: ignore[no-untyped-def]
    """Return the posterior mean of the factor on the variance of an event's model errors.

    Parameters
    ----------
    square, stated2, own2
        Squares of the residuals, variances of model errors as stated, and of picks (s^2).
    peak
        Gain of each pick for a residual of 0 and a sigma of 1 s.

    A pick that a factor does not explain is taken as noise. Four unknowns are fitted to the
    residuals: a smaller factor also makes the posterior of the origin smaller.
    """
    n = square.size
    freedom = max(n - 4, 0) / max(n, 1)
    logs = np.empty(_FACTORS.size)
    for k in range(_FACTORS.size):
        logs[k] = -0.125 * (math.log(_FACTORS[k]) / rules.model_doubt) ** 2
        for j in range(n):
            before = math.log(stated2[j] + own2[j])
            s2 = _FACTORS[k] * stated2[j] + own2[j]
            change = freedom * (math.log(s2) - before)
            logs[k] += max(peak[j] - 0.5 * (before + change) - 0.5 * square[j] / s2, 0.0)
    weight = np.exp(logs - logs.max())
    return (weight * _FACTORS).sum() / weight.sum()


@njit(cache=True)
def detected(distance, fitted, phase):  # type: ignore[no-untyped-def]
    """Probability that an arrival is picked, which falls with hypocentral distance (km).

    ``fitted`` holds the distance where it is half of that near the source, its largest value for P
    and for S, and the steepness of the fall.
    """
    return fitted[1 + phase] / (1.0 + (distance / fitted[0]) ** fitted[3])


@njit(cache=True)
def _phase_fit(alive, weights, fall, phase):  # type: ignore[no-untyped-def]
    """Return the best log likelihood of hits and misses of one phase, and its p_max.

    ``weights`` (rows,) are the likelihood ratios of the picks, 0 where there is none.
    """
    top, top_p = -math.inf, 0.0
    for p_max in _P_MAX:
        total, product = 0.0, 1.0
        for row in range(phase, alive.size, 2):
            if alive[row]:
                p = p_max * fall[row // 2]
                product *= max(weights[row] * p, 1.0 - p)
                if product < 1e-200 or product > 1e200:
                    total += math.log(product)
                    product = 1.0
        total += math.log(product)
        if total > top:
            top, top_p = total, p_max
    return top, top_p


@njit(cache=True)
def _fit_detection(alive, weights, distance, farthest, fitted):  # type: ignore[no-untyped-def]
    """Fit the model of `detected` to hits and misses; return the log likelihood.

    ``farthest`` is the distance of the farthest hit, km.
    """
    best = -math.inf
    for k in range(_N_RANGES):
        half = farthest * 0.35 * 1.45**k
        power = (distance / half) ** _STEEPNESS[0]
        for steep in _STEEPNESS:
            fall = 1.0 / (1.0 + power)
            part_p, p = _phase_fit(alive, weights, fall, 0)
            part_s, s = _phase_fit(alive, weights, fall, 1)
            if part_p + part_s > best:
                best = part_p + part_s
                fitted[:4] = half, p, s, steep
            power = power * power
    return best


@njit(cache=True)
def _own_factor(net, rules, picks, origin, chosen, used, flat):  # type: ignore[no-untyped-def]
    """Return the factor of an event, and by how much ln(volume of the posterior) exceeds that
    of ``used``, the factor that it was located with."""
    square, stated2, own2, peak = np.empty((4, chosen.size))
    n = 0
    for row in range(chosen.size):
        i = chosen[row]
        if i >= 0:
            tt = travel_time(net, row, flat[row // 2], origin[2])[0]
            square[n] = (picks.time[i] - origin[3] - tt) ** 2
            stated2[n] = net.error_s**2 + (net.error_fraction * tt) ** 2
            own2[n] = picks.sigma[i] ** 2
            peak[n] = picks.gain[i]
            n += 1
    factor = fit_factor(rules, square[:n], stated2[:n], own2[:n], peak[:n])
    change = 0.0
    for j in range(n):
        change += math.log((factor * stated2[j] + own2[j]) / (used * stated2[j] + own2[j]))
    return factor, 2.0 * change / max(n, 1)


@njit(cache=True)
def score(net, rules, picks, origin, chosen, used, fitted):  # type: ignore[no-untyped-def]
    """Return J of an origin; ``chosen`` keeps the picks better explained by it than by noise.

    ``fitted`` (`N_FITTED`,) receives the detection model and the factor on the variance of model
    errors that fit best. J includes what a factor below ``used``, that of the location, costs:
    the posterior shrinks, so there are more independent hypotheses.
    """
    rows = chosen.size
    alive = picks.alive[hour_index(picks, origin[3])]
    flat = np.hypot(origin[0] - net.east, origin[1] - net.north)
    distance = np.hypot(flat, origin[2])
    factor, growth = _own_factor(net, rules, picks, origin, chosen, used, flat)
    fitted[FACTOR] = factor
    weights = np.zeros(rows)
    farthest = 0.0
    for row in range(rows):
        if chosen[row] >= 0:
            d = flat[row // 2]
            r, s, gain = residual_gain(net, picks, row, chosen[row], d, origin, factor)
            if abs(r) > rules.gate * s:
                chosen[row] = -1
            else:
                weights[row] = math.exp(gain)
                farthest = max(farthest, distance[row // 2])
    if farthest <= 0.0:
        return -math.inf
    best = _fit_detection(alive, weights, distance, farthest, fitted)
    for row in range(rows):
        if chosen[row] >= 0:
            p = detected(distance[row // 2], fitted, row % 2)
            if weights[row] * p <= 1.0 - p:
                chosen[row] = -1
    return best + min(growth, 0.0)


@njit(cache=True)
def improbable(rules, chosen, total, log_det):  # type: ignore[no-untyped-def]
    """Return ln of (allowed chance events / expected ones); above 0 the event stands.

    Also counts: an event with too few picks or sites returns -inf.
    """
    n, sites = 0, 0
    for site in range(chosen.size // 2):
        both = (chosen[2 * site] >= 0) + (chosen[2 * site + 1] >= 0)
        n += both
        sites += both > 0
    if n < rules.min_picks or sites < rules.min_sites:
        return -math.inf
    log_posterior_volume = 2 * _LOG_2PI - 0.5 * log_det
    return total + log_posterior_volume - rules.log_hypotheses
