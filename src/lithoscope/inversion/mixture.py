"""Likelihood of a datum that is either Gaussian or an outlier.

The density of a residual ``r`` is

    p(r) = (1 - eps) N(r; 0, sigma^2) + eps / width

(Jaynes 2003, *Probability Theory*, ch. 21): near zero it has the sharpness of the Gaussian, far
out it is flat, so that a gross error costs a constant and pulls nowhere. The outlier part is the
uniform density over ``width``, not cut off at its ends: a residual beyond it is as unlikely as one
inside.
"""

from __future__ import annotations

import math

from numba import njit

_SQRT_2PI = math.sqrt(2.0 * math.pi)


@njit(cache=True)
def mixture(residual: float, sigma: float, outlier: float, width: float) -> float:
    """Return the density of a residual; all arguments but ``outlier`` share one unit."""
    z = residual / sigma
    good = math.exp(-0.5 * min(z * z, 1400.0))
    return (1.0 - outlier) * good / (_SQRT_2PI * sigma) + outlier / width


@njit(cache=True)
def inlier_probability(residual: float, sigma: float, outlier: float, width: float) -> float:
    """Return the probability, given the residual, that the datum is no outlier."""
    bad = outlier / width
    return 1.0 - bad / mixture(residual, sigma, outlier, width)
