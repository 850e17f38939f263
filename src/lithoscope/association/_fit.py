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

from lithoscope.association._arrays import first_at, hour_index, model_factor, travel_time

# Annealing of the cell's own spread of travel times, which lets the first steps reach far.
_ANNEAL = np.array([1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0, 0.0, 0.0, 0.0])
# Turns at which a candidate whose gains have become too small is given up.
_CHECKS = (2, 5, 7)
_P_MAX = np.array([0.3, 0.5, 0.7, 0.85, 0.95])
_N_RANGES = 8
_LOG_2PI = math.log(2 * math.pi)


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
def locate(net, grid, rules, picks, free, cell, origin, spread_s, scale, chosen):  # type: ignore[no-untyped-def]
    """Move ``origin`` (east, north, depth, time) to the best fit of the free picks.

    ``chosen`` (rows,) receives the picks used in the last step; where ``spread_s`` is negative
    it holds the only picks that may be used, and ``scale`` multiplies the variance beyond which
    a residual counts less. Returns ln det of the inverse covariance, or -inf
    for a candidate that cannot be accepted.
    """
    fixed = spread_s < 0
    normal = np.zeros((4, 4))
    right = np.zeros(4)
    step = np.zeros(4)
    gains = np.zeros(chosen.size)
    log_det = 0.0
    limit = 0.25 * max(grid.high[0] - grid.low[0], grid.high[1] - grid.low[1])
    first = 6 if fixed else 0
    model2 = model_factor(picks, origin[3])
    error_s2, fraction2 = model2 * net.error_s**2, model2 * net.error_fraction**2
    for turn in range(first, _ANNEAL.size):
        extra2 = 0.0 if fixed else (spread_s * _ANNEAL[turn]) ** 2
        last = turn == _ANNEAL.size - 1
        normal[:] = 0.0
        right[:] = 0.0
        for k in range(3):
            # The region is the prior: a uniform box has this variance.
            normal[k, k] = 12.0 / (grid.high[k] - grid.low[k]) ** 2
        normal[3, 3] = 1e-6
        for row in range(2 * net.east.size):
            if fixed and chosen[row] < 0:
                continue
            site = row // 2
            de, dn = origin[0] - net.east[site], origin[1] - net.north[site]
            d = math.sqrt(de * de + dn * dn)
            tt, slope_d, slope_z = travel_time(net, row, d, origin[2])
            error2 = error_s2 + fraction2 * tt * tt + extra2
            if fixed:
                i = chosen[row]
            else:
                i, gain = best_pick(picks, free, row, origin[3] + tt, error2, rules.gate)
                chosen[row] = i
                gains[row] = max(gain, 0.0)
            if i < 0:
                continue
            s2 = error2 + picks.sigma[i] ** 2
            r = picks.time[i] - origin[3] - tt
            w = 1.0 / s2
            if not last:
                w /= 1.0 + 0.25 * r * r / (scale * s2)
            inverse_d = 1.0 / max(d, 1e-6)
            g0, g1 = slope_d * de * inverse_d, slope_d * dn * inverse_d
            g = (g0, g1, slope_z, 1.0)
            for k in range(4):
                right[k] += w * r * g[k]
                for m in range(k + 1):
                    normal[k, m] += w * g[k] * g[m]
        for k in range(4):
            for m in range(k):
                normal[m, k] = normal[k, m]
        log_det = solve4(normal, right, step)
        if last:
            break
        walled = False
        for k in range(3):
            wall = min(max(origin[k] + step[k], grid.low[k]), grid.high[k]) - origin[k]
            if wall != step[k]:
                # Hold this coordinate at the wall, so that the others are fitted given it.
                normal[k, k] += 1e6
                right[k] += 1e6 * wall
                walled = True
        if walled:
            solve4(normal, right, step)
        if not fixed and turn in _CHECKS:
            alive = picks.alive[hour_index(picks, origin[3])]
            if promise(grid, cell, alive, gains) < rules.promise_min:
                return -math.inf
        scale = min(1.0, limit / max(1e-9, math.hypot(step[0], step[1])))
        for k in range(3):
            origin[k] = min(max(origin[k] + scale * step[k], grid.low[k]), grid.high[k])
        origin[3] += step[3]
        if fixed and abs(step[0]) + abs(step[1]) + abs(step[2]) < 1e-4:
            # Converged: the remaining turns would only repeat this one.
            break
    return log_det


@njit(cache=True)
def residual_gain(net, picks, row, i, distance, origin, scale, model2):  # type: ignore[no-untyped-def]
    """Return residual (s), its sigma and the gain of pick ``i`` before detection is weighed.

    ``model2`` multiplies the variance of model errors, ``scale`` that of all errors, which stays
    at least that of the pick.
    """
    tt = travel_time(net, row, distance, origin[2])[0]
    own2 = picks.sigma[i] ** 2
    error2 = model2 * (net.error_s**2 + (net.error_fraction * tt) ** 2)
    s2 = max(scale * (error2 + own2), own2)
    r = picks.time[i] - origin[3] - tt
    return r, math.sqrt(s2), picks.gain[i] - 0.5 * math.log(s2) - 0.5 * r * r / s2


@njit(cache=True)
def fit_scale(rules, squares):  # type: ignore[no-untyped-def]
    """Return by how much the variance of an event's residuals differs from the stated one.

    ``squares`` are (residual / stated sigma)^2; four unknowns are fitted to them. Squares
    beyond 3 sigma count as 3 sigma.
    """
    scale = 1.0
    freedom = rules.scale_prior + max(squares.size - 4, 0)
    for _ in range(4):
        total = rules.scale_prior
        for z2 in squares:
            total += min(z2, 9.0 * scale)
        scale = max(total / freedom, 0.01)
    return min(scale, 4.0)


@njit(cache=True)
def detected(distance, half_range, p_max):  # type: ignore[no-untyped-def]
    """Probability that an arrival is picked: ``p_max`` near the source, half at half_range."""
    return p_max / (1.0 + (distance / half_range) ** 4)


@njit(cache=True)
def _phase_fit(alive, chosen, gains, fall, phase):  # type: ignore[no-untyped-def]
    """Return the best log likelihood of hits and misses of one phase, and its p_max."""
    top, top_p = -math.inf, 0.0
    for p_max in _P_MAX:
        part = 0.0
        product = 1.0
        for row in range(phase, alive.size, 2):
            if alive[row]:
                p = p_max * fall[row // 2]
                if chosen[row] >= 0:
                    part += max(gains[row] + math.log(p), math.log(1.0 - p))
                else:
                    product *= 1.0 - p
                    if product < 1e-200:
                        part += math.log(product)
                        product = 1.0
        part += math.log(product)
        if part > top:
            top, top_p = part, p_max
    return top, top_p


@njit(cache=True)
def score(net, rules, picks, origin, chosen, gains, range_out):  # type: ignore[no-untyped-def]
    """Return J of an origin; ``chosen`` keeps the picks better explained by it than by noise.

    ``gains`` (rows,) receives the log-likelihood ratio of each chosen pick, detection included;
    ``range_out`` half range (km) and the two p_max of the detection model that fits best, and
    the scale of the variances. J includes what a smaller scale costs: the posterior shrinks, so
    there are more independent hypotheses.
    """
    rows = 2 * net.east.size
    distance = np.empty(rows // 2)
    alive = picks.alive[hour_index(picks, origin[3])]
    flat = np.empty(rows // 2)
    squares = np.empty(rows)
    n = 0
    model2 = model_factor(picks, origin[3])
    for site in range(rows // 2):
        flat[site] = math.hypot(origin[0] - net.east[site], origin[1] - net.north[site])
        distance[site] = math.hypot(flat[site], origin[2])
        for row in (2 * site, 2 * site + 1):
            if chosen[row] >= 0:
                i, d = chosen[row], flat[site]
                r, s, _ = residual_gain(net, picks, row, i, d, origin, 1.0, model2)
                squares[n] = (r / s) ** 2
                n += 1
    scale = fit_scale(rules, squares[:n])
    range_out[3] = scale
    reach = 0.0
    for row in range(rows):
        if chosen[row] >= 0:
            d = flat[row // 2]
            r, s, gain = residual_gain(net, picks, row, chosen[row], d, origin, scale, model2)
            gains[row] = gain
            if abs(r) > rules.gate * s:
                chosen[row] = -1
            else:
                reach = max(reach, distance[row // 2])
    if reach <= 0.0:
        return -math.inf
    best = -math.inf
    fall = np.empty(rows // 2)
    for k in range(_N_RANGES):
        half = reach * 0.35 * 1.45**k
        for site in range(rows // 2):
            fall[site] = 1.0 / (1.0 + (distance[site] / half) ** 4)
        part_p, p = _phase_fit(alive, chosen, gains, fall, 0)
        part_s, s = _phase_fit(alive, chosen, gains, fall, 1)
        if part_p + part_s > best:
            best = part_p + part_s
            range_out[0], range_out[1], range_out[2] = half, p, s
    for row in range(rows):
        if chosen[row] >= 0:
            p = detected(distance[row // 2], range_out[0], range_out[1 + row % 2])
            gains[row] += math.log(p) - math.log(1.0 - p)
            if gains[row] <= 0.0:
                chosen[row] = -1
    return best + 2.0 * math.log(min(scale, 1.0))


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
