"""Network magnitude: a robust mean of station magnitudes, with its sigma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lithoscope.magnitude.settings import MagnitudeSettings

# 95 % efficiency on Gaussian scatter: Huber (1981), Robust Statistics, section 4.5.
_HUBER = 1.345
# The expected scatter counts as this many observations of it.
_PRIOR_WEIGHT = 3.0
_MAD_TO_SIGMA = 1.4826  # of a Gaussian


@dataclass(frozen=True)
class NetworkMagnitude:
    """Mean, its 1 sigma, and the weights (0 to 1) that the values had."""

    magnitude: float
    sigma: float
    weights: np.ndarray


def robust_mean(values: ArrayLike, station_sigma: float = 0.3) -> NetworkMagnitude:
    """Return Huber's M-estimate of the mean of station magnitudes.

    The scatter between stations is unknown and small networks cannot measure it, so its variance
    is the average of ``station_sigma**2``, counted as three observations, and that of the values.
    The sigma of the mean is the Huber estimate's own (sandwich) with that scatter. It describes
    how well the mean over stations is known; errors common to all stations (the scale's
    calibration, the depth, radiation towards the network) are not in it.

    Parameters
    ----------
    values
        Station magnitudes, finite, at least one.
    station_sigma
        Expected scatter (1 sigma) of single station magnitudes.
    """
    x = np.asarray(values, float)
    n = len(x)
    centre = float(np.median(x))
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(x - centre)))
    scale = _pooled(spread**2, n, station_sigma)
    for _ in range(100):
        weights = _weights(x - centre, scale)
        moved = float(np.sum(weights * x) / np.sum(weights))
        done = abs(moved - centre) < 1e-9
        centre = moved
        if done:
            break
    residual = np.clip(x - centre, -_HUBER * scale, _HUBER * scale)
    inner = max(float(np.sum(np.abs(x - centre) <= _HUBER * scale)), 1.0)
    variance = float(np.sum(residual**2)) / max(n - 1, 1) if n > 1 else 0.0
    scatter = _pooled(variance, n - 1, station_sigma)
    return NetworkMagnitude(centre, scatter * np.sqrt(n) / inner, _weights(x - centre, scale))


def _pooled(variance: float, n: int, station_sigma: float) -> float:
    total = _PRIOR_WEIGHT * station_sigma**2 + n * variance
    return float(np.sqrt(total / (_PRIOR_WEIGHT + n)))


def _weights(residual: np.ndarray, scale: float) -> np.ndarray:
    return np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(residual), 1e-12))


def network_columns(rows: list[dict[str, Any]], settings: MagnitudeSettings) -> dict[str, Any]:
    """Return the magnitude columns of an event from its STATION_MAGNITUDES rows."""
    used = [row for row in rows if row["used"]]
    if not used:
        if not rows:
            reason = "no station to measure: no arrivals, or none in the station list"
        else:
            reasons = pd.Series([row["reason"].split(":")[0] for row in rows]).value_counts()
            counts = ", ".join(f"{n} {text}" for text, n in reasons.items())
            reason = f"no usable station of {len(rows)}: {counts}"
        return {
            "magnitude": np.nan,
            "magnitude_type": "",
            "magnitude_sigma": np.nan,
            "n_magnitudes": 0,
            "magnitude_reason": reason,
        }
    mean = robust_mean([row["magnitude"] for row in used], settings.station_sigma)
    verticals = sum(row["magnitude_type"] == "MLv" for row in used)
    clipped = sum(row["reason"].startswith("clipped") for row in rows)
    caution = f"may be too small: {clipped} of {len(rows)} stations are clipped"
    return {
        "magnitude": mean.magnitude,
        "magnitude_type": "MLv" if 2 * verticals > len(used) else "ML",
        "magnitude_sigma": mean.sigma,
        "n_magnitudes": len(used),
        "magnitude_reason": caution if clipped > len(used) else "",
    }
