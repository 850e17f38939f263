"""How large model errors really are, from the residuals of the events found so far."""

from __future__ import annotations

import math

import numpy as np

from lithoscope.association._arrays import FloatArray, IntArray, Net, Picks

# Factors on the stated variance of model errors that are tried.
_FACTORS = 10.0 ** np.linspace(-2.0, 0.6, 27)
# The stated variance counts as about as many residuals as one event has; the logarithm of the
# factor is the variable, so that a small one is no harder to learn than a large one.
_PRIOR_PICKS = 20.0
# Squared residuals beyond three sigma count as three sigma: some picks are another event's.
_MOST = 9.0
_UNKNOWNS = 4


def model_factors(
    net: Net,
    picks: Picks,
    origins: FloatArray,
    residuals: FloatArray,
    chosen: IntArray,
    window_s: float,
) -> FloatArray:
    """Return for each hour the factor on the stated variance of model errors.

    Model errors belong to the network and the model, so all events within the window tell of
    them. For each factor the log likelihood of their residuals (four unknowns fitted each) is
    summed; returned is the posterior mean of the factor's logarithm, the stated variance being
    worth `_PRIOR_PICKS` residuals.

    Parameters
    ----------
    origins, residuals, chosen
        Events (n, 4), residuals (n, rows) in s and picks (n, rows), -1 = none.
    window_s
        Events within this time, rounded up to hours, count.
    """
    event, row = np.nonzero(chosen >= 0)
    onset, r = chosen[event, row], residuals[event, row]
    travel = picks.time[onset] - origins[event, 3] - r
    stated2 = net.error_s**2 + (net.error_fraction * travel) ** 2
    own2 = picks.sigma[onset] ** 2
    n = np.bincount(event, minlength=len(origins))[event]
    freedom = np.maximum(n - _UNKNOWNS, 0) / n
    n_hours = picks.alive.shape[0]
    hour = np.floor(origins[event, 3] / 3600.0).astype(np.int64) - picks.first_hour
    hour = np.clip(hour, 0, n_hours - 1)
    reach = math.ceil(window_s / 3600.0)
    logs = np.empty((len(_FACTORS), n_hours))
    for k, factor in enumerate(_FACTORS):
        s2 = factor * stated2 + own2
        value = -0.5 * (freedom * np.log(s2) + np.minimum(r * r / s2, _MOST))
        single = np.bincount(hour, value, minlength=n_hours).astype(np.float64)
        prior = -0.25 * _PRIOR_PICKS * math.log(factor) ** 2
        logs[k] = prior + _around(single, reach)
    weight = np.exp(logs - logs.max(axis=0))
    mean = (weight * np.log(_FACTORS)[:, None]).sum(axis=0) / weight.sum(axis=0)
    return np.exp(mean)


def _around(values: FloatArray, reach: int) -> FloatArray:
    """Return the sum over ``reach`` hours on either side, from the first to the last.

    Added in that order (no difference of running sums), so that hours outside change no digit.
    """
    padded = np.concatenate([np.zeros(reach), values, np.zeros(reach)])
    total = np.zeros(values.size)
    for k in range(2 * reach + 1):
        total += padded[k : k + values.size]
    return total
