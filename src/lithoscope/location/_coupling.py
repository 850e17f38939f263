"""Correlated errors of the velocity model: how alike they are between picks of one event.

What the Earth does to one travel time it does, in part, to the next station's and to the other
phase (Tarantola & Valette 1982, doi:10.1029/RG020i002p00219, section 10, take a Gaussian of the
distance between stations, as does NonLinLoc's LOCGAU).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.location import _kernels

Array = NDArray[np.float64]

# Share of the model error's variance that belongs to the site alone.
_SITE_SHARE = 0.2
# Between P and S of one station, and of the same path.
_PHASES_ALIKE = 0.7


def correlation(easts: Array, norths: Array, phases: NDArray, length_km: float) -> Array:
    """Return (n, n) correlations of the model error between picks.

    ``length_km`` is the distance at which a Gaussian has fallen to 0.61; 0 leaves the picks of one
    station alike, and nothing else.
    """
    square = (easts[:, None] - easts) ** 2 + (norths[:, None] - norths) ** 2
    same = (square < 1e-6).astype(float)
    near = np.exp(-0.5 * square / length_km**2) if length_km > 0 else same
    alike = np.where(phases[:, None] == phases, 1.0, _PHASES_ALIKE)
    return np.asarray(alike * ((1.0 - _SITE_SHARE) * near + _SITE_SHARE * same))


def model_error(travel_times: Array, errors: Any) -> Array:
    """Return the model error (s, 1 sigma) of travel times (s)."""
    return np.sqrt(errors[0] ** 2 + (errors[1] * travel_times) ** 2)


def coupling(tables: Any, obs: Any, errors: Any, point: Array, shared: Any, alike: Array) -> Array:
    """Return ``inv(R) - 1`` with R the correlation of the picks' errors, for `_kernels`.

    Parameters
    ----------
    point
        (4,) where model errors and the probabilities of no outlier are taken: outliers are errors
        of their own and stay uncorrelated.
    shared
        (n, n) covariance of station terms (s2), on the diagonal part of the picks' sigmas; or None.
    alike
        Correlations of the rest of the model error, from `correlation`.
    """
    n = len(obs[0])
    work = np.empty((n, 4))
    _kernels.predict(tables, obs, point[1], point[2], point[3], work)
    model = obs[7] * model_error(work[:, 0], errors)
    sigma = np.hypot(obs[1], model)
    weight = _kernels.weights(obs, errors, obs[0] - point[0] - work[:, 0], work)
    covariance = alike * np.outer(model, model)
    if shared is not None:
        covariance = covariance + shared
    scale = np.sqrt(np.clip(weight, 0.0, 1.0)) / sigma
    matrix = covariance * np.outer(scale, scale)
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(np.linalg.inv(matrix) - np.eye(n))
