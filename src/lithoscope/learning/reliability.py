"""How well probabilities and sigmas hold: reliability, expected calibration error, coverage.

Measured on data that took no part in the fit (`lithoscope.learning.calibration`).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from lithoscope.errors import DataError


def reliability(probability: ArrayLike, hit: ArrayLike, *, n_classes: int = 10) -> pd.DataFrame:
    """Return promised and observed rates of hits by class of probability.

    Parameters
    ----------
    probability
        ``(n,)`` calibrated probabilities, 0 to 1.
    hit
        ``(n,)`` True where the pick is right.
    n_classes
        Classes of equal width; those without picks are left out.

    Returns
    -------
    DataFrame
        ``n``, ``promised`` (mean probability), ``observed`` (rate of hits), and ``low``, ``high``
        (68 % interval of the rate, Jeffreys).
    """
    p, y = _pairs(probability, hit)
    number = np.minimum((p * n_classes).astype(np.int64), n_classes - 1)
    return _rates(number, p, y).rename(columns={"value": "promised"})


def calibration_error(probability: ArrayLike, hit: ArrayLike, *, n_classes: int = 10) -> float:
    """Return the expected calibration error: mean of |promised - observed|, weighted by picks.

    Naeini, Cooper & Hauskrecht (2015), AAAI, 2901-2907. With few picks it is not zero even for
    perfect probabilities: about 0.3 / sqrt(picks in a class).
    """
    table = reliability(probability, hit, n_classes=n_classes)
    difference = (table["promised"] - table["observed"]).abs()
    return float((difference * table["n"]).sum() / table["n"].sum())


def coverage(
    residual_s: ArrayLike,
    sigma_s: ArrayLike,
    probability: ArrayLike,
    *,
    edges: tuple[float, ...] = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0),
) -> pd.DataFrame:
    """Return the part of residuals within one and two sigma, by class of probability and in all.

    Parameters
    ----------
    residual_s, sigma_s, probability
        ``(n,)`` of the picks that match a label.
    edges
        Limits of the classes.

    Returns
    -------
    DataFrame
        One row a class and a last one for all (``low_probability`` 0 to ``high_probability`` 1):
        ``n``, ``one_sigma`` (0.683 if calibrated), ``low``, ``high`` (its 68 % interval),
        ``two_sigma`` (0.954), ``median_s`` of the residuals.
    """
    r, sigma = np.ravel(residual_s).astype(np.float64), np.ravel(sigma_s).astype(np.float64)
    p, inside = _pairs(probability, np.abs(r) <= sigma)
    rows = []
    classes = [*pairwise(edges), (edges[0], edges[-1])]
    for low, high in classes:
        take = (p >= low) & ((p < high) | (high == edges[-1]))
        n = int(take.sum())
        if not n:
            continue
        interval = _interval(int(inside[take].sum()), n)
        rows.append(
            {
                "low_probability": low,
                "high_probability": high,
                "n": n,
                "one_sigma": inside[take].mean(),
                "low": interval[0],
                "high": interval[1],
                "two_sigma": (np.abs(r[take]) <= 2 * sigma[take]).mean(),
                "median_s": np.median(r[take]),
            }
        )
    return pd.DataFrame(rows)


def _pairs(probability: ArrayLike, hit: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    p, y = np.ravel(probability).astype(np.float64), np.ravel(hit).astype(bool)
    if len(p) != len(y) or not len(p):
        raise DataError(f"{len(p)} probabilities for {len(y)} picks; need one each, and one pick")
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("probabilities must lie within 0 and 1")
    return p, y


def _rates(
    number: NDArray[np.int64], value: NDArray[np.float64], hit: NDArray[np.bool_]
) -> pd.DataFrame:
    rows = []
    for k in np.unique(number):
        take = number == k
        n, hits = int(take.sum()), int(hit[take].sum())
        low, high = _interval(hits, n)
        rows.append(
            {"n": n, "value": value[take].mean(), "observed": hits / n, "low": low, "high": high}
        )
    return pd.DataFrame(rows)


def _interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 68 % interval of a rate (Jeffreys: beta distribution with 1/2, 1/2)."""
    low, high = beta.ppf([0.16, 0.84], hits + 0.5, n - hits + 0.5)
    return float(low), float(high)
