"""Station terms of many events at once, by linear algebra around their hypocentres.

For event e, with residuals ``r`` before terms, derivatives ``G`` to origin time and hypocentre and
weights ``W``, the linear model is ``r = G dx + T s + noise``. The hypocentre is eliminated by the
projection ``Q = W - W G inv(G' W G + P) G' W`` (Pavlis & Booker 1983, doi:10.1029/JB088iB10p08253:
what a shift of the hypocentre can explain says nothing about the stations), so that

    N = sum T' Q T,  g = sum T' Q r,  s = inv(N + inv(D)) g

with D the prior covariance of the terms. What the picks cannot tell from a shift of all events (all
of it where the events are in one place, nothing where they surround the stations) is decided by D
alone, and a correlated D moves them on thin grounds. It is taken off again (`Shift`) and counts as
uncertainty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]

# How far a hypocentre may move within one linearisation (km, 1 sigma); origin time is free.
_STEP_KM = 20.0
# Trials for the size of the model error, relative to the settings, and for its static share.
_SCALES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.85, 0.95)
# A priori the settings are right within a factor of two (1 sigma of the logarithm).
_SCALE_SPREAD = math.log(2.0)


class Rows(NamedTuple):
    """Picks of all events, event after event: plain arrays.

    ``first`` (events + 1,) where each event begins; ``term`` index of the station and phase;
    ``residual`` (s) before terms; ``kernel`` (n, 4) derivatives; ``pick`` variance of the picks
    (s2); ``model`` model error of the settings (s, 1 sigma); ``weight`` probability of no outlier.
    """

    first: NDArray[np.int64]
    term: NDArray[np.int64]
    residual: Array
    kernel: Array
    pick: Array
    model: Array
    weight: Array


@dataclass(frozen=True)
class Shift:
    """What in the terms looks like a shift of an event that all stations recorded.

    Attributes
    ----------
    kernel
        (k, 4) mean derivatives of each term's travel times to origin time and hypocentre.
    operator
        (4, k) that gives the shift from terms: weighed by their prior, and held back by what the
        picks say of it.
    """

    kernel: Array
    operator: Array

    def of(self, terms: Array) -> Array:
        """Return the part (k,) of the terms that is a shift of the events."""
        return np.asarray(self.kernel @ (self.operator @ terms))


@dataclass(frozen=True)
class Fit:
    """Terms (s), their covariance (s2), their shift, and what was found of the model error."""

    terms: Array
    covariance: Array
    shift: Shift
    scale: float
    share: float


@njit(cache=True)
def project(kernel: Array, precision: Array) -> Array:
    """Return Q (n, n) of one event for the precisions (n,) of its picks."""
    n = len(precision)
    weighted = np.empty((n, 4))
    for i in range(n):
        weighted[i] = kernel[i] * precision[i]
    normal = kernel.T @ weighted
    normal[0, 0] += 1e-9
    for a in range(1, 4):
        normal[a, a] += 1.0 / (_STEP_KM * _STEP_KM)
    out: Array = -(weighted @ np.linalg.solve(normal, weighted.T))
    for i in range(n):
        out[i, i] += precision[i]
    return out


@njit(cache=True)
def _accumulate(rows: Rows, independent2: float, n_terms: int) -> tuple[Array, Array, float]:
    """Return N, g and the constant part of twice the log likelihood.

    ``independent2`` is the share of the model error's variance that differs from event to event.
    """
    matrix = np.zeros((n_terms, n_terms))
    vector = np.zeros(n_terms)
    constant = 0.0
    for e in range(len(rows.first) - 1):
        a, b = rows.first[e], rows.first[e + 1]
        precision = rows.weight[a:b] / (rows.pick[a:b] + independent2 * rows.model[a:b] ** 2)
        kernel = np.ascontiguousarray(rows.kernel[a:b])
        q = project(kernel, precision)
        normal = kernel.T @ (kernel * precision.reshape(-1, 1))
        normal[0, 0] += 1e-9
        for k in range(1, 4):
            normal[k, k] += 1.0 / (_STEP_KM * _STEP_KM)
        constant += np.log(np.maximum(precision, 1e-12)).sum() - np.log(np.linalg.det(normal))
        for i in range(b - a):
            for j in range(b - a):
                vector[rows.term[a + i]] += q[i, j] * rows.residual[a + j]
                matrix[rows.term[a + i], rows.term[a + j]] += q[i, j]
                constant -= rows.residual[a + i] * q[i, j] * rows.residual[a + j]
    return matrix, vector, constant


def solve(rows: Rows, alike: Array) -> Fit:
    """Return the terms, with the size and static share of the model error that fit the picks best.

    The two are chosen from a grid by the marginal likelihood of the residuals (empirical Bayes;
    terms and hypocentres integrated out), with a prior on the size around that of the settings.

    Parameters
    ----------
    rows
        Linearised picks.
    alike
        (k, k) correlations of the terms.
    """
    n = len(alike)
    typical = typical_error(rows, n)
    prior = alike * np.outer(typical, typical)
    prior += np.diag(1e-9 + 1e-6 * np.diag(prior))
    factor = cho_factor(prior, lower=True)
    inverse = cho_solve(factor, np.eye(n))
    log_prior = 2.0 * float(np.log(np.diag(factor[0])).sum())
    best, answer = -np.inf, None
    for scale in _SCALES:
        for share in _SHARES:
            matrix, vector, constant = _accumulate(rows, scale**2 * (1.0 - share), n)
            static = scale**2 * share
            post = cho_factor(matrix + inverse / static, lower=True)
            terms = cho_solve(post, vector)
            logdet = 2.0 * float(np.log(np.diag(post[0])).sum())
            value = 0.5 * (constant + vector @ terms - logdet - log_prior - n * math.log(static))
            value -= 0.5 * (math.log(scale) / _SCALE_SPREAD) ** 2
            if value > best:
                best, answer = value, (terms, post, matrix, scale, share)
    assert answer is not None
    terms, post, matrix, scale, share = answer
    shift = _shift(rows, matrix, scale**2 * share * np.diag(prior))
    return Fit(np.asarray(terms), np.asarray(cho_solve(post, np.eye(n))), shift, scale, share)


def _shift(rows: Rows, matrix: Array, variance: Array) -> Shift:
    n = len(variance)
    weight = rows.weight + 1e-6
    count = np.bincount(rows.term, weight, n)
    kernel = np.column_stack(
        [np.bincount(rows.term, weight * rows.kernel[:, a], n) / count for a in range(4)]
    )
    scaled = kernel.T / variance
    normal = scaled @ kernel + kernel.T @ matrix @ kernel
    normal += np.diag(1e-9 + 1e-9 * np.diag(normal))
    return Shift(kernel, np.asarray(np.linalg.solve(normal, scaled)))


def typical_error(rows: Rows, n_terms: int) -> Array:
    """Return the model error (s) of each term: root mean square over the events."""
    count = np.bincount(rows.term, rows.weight + 1e-6, n_terms)
    square = np.bincount(rows.term, (rows.weight + 1e-6) * rows.model**2, n_terms)
    return np.sqrt(square / np.maximum(count, 1e-12))


def without(
    fit: Fit, index: NDArray[np.int64], kernel: Array, precision: Array, residual: Array
) -> tuple[Array, Array]:
    """Return an event's terms (n,) and their covariance (n, n) as the other events give them.

    Its own picks would otherwise be used twice: in the terms, and in its location. A single event
    gets its prior back. ``index`` is the term of each pick; the rest is as in `project`.
    """
    columns = fit.covariance[:, index]
    own = columns[index]
    q = project(kernel, precision)
    more = np.linalg.solve(np.eye(len(index)) - q @ own, q)
    pull = q @ residual
    terms = fit.terms - columns @ pull + columns @ (more @ (fit.terms[index] - own @ pull))
    shift = fit.shift.of(terms)
    covariance = own + own @ more @ own
    covariance = 0.5 * (covariance + covariance.T) + np.outer(shift[index], shift[index])
    return np.asarray((terms - shift)[index]), np.asarray(covariance)
