"""Fitted parts of the classical picker: probabilities of P and S, time bias and time sigma.

The numbers are in ``classical_model.csv`` beside this file, written by
``python benchmarks/fit_classical_picker.py`` from the training part of the labelled traces (its
docstring says which). Each of the models ``P3``, ``S3`` (three components) and ``P1``, ``S1``
(one group of components only) is a logistic regression on standardised features, their squares
and products; ``P3-second`` and so on correct them by what the neighbours say (`_context`).
``P-bias``, ``S-bias`` (median of picked minus labelled time) and ``P-sigma``,
``S-sigma`` (logarithm of the 68 % quantile of its size) are linear quantile regressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.picking import _context
from lithoscope.picking._features import NAMES

#: Features that exist with one group of components only.
SINGLE = tuple(
    name
    for name in NAMES
    if not name.endswith("_other")
    and not name.startswith("vertical")
    and name not in ("linear", "steep")
)
#: Features that decide about bias and sigma.
TIMING = ("spread", "split", "rise_short", "pitch")
#: Standardised features are held within this many standard deviations ...
HOLD = 3.0
#: ... and these within tighter limits on the side where more says nothing against an onset: a
#: large or distant event grows for seconds and is slow, but its onset is no less an onset.
LIMITS = {
    "rise": (-HOLD, 2.5),
    "rise_short": (-HOLD, 2.5),
    "rise_long": (-HOLD, 2.0),
    "later": (-HOLD, 1.0),
    "later_other": (-HOLD, 1.0),
    "earlier": (-HOLD, 2.0),
    "earlier_other": (-HOLD, 2.0),
    "persistence": (-HOLD, 1.0),
    "pitch": (-1.5, HOLD),
}
#: Range of sigma (s): analysts do not agree better than the first; picks beyond the second are
#: not within the tolerance of 0.5 s that the fit knows about.
SIGMA_S = (0.015, 0.35)
BIAS_S = 0.15


@dataclass(frozen=True)
class Model:
    """A regression: features, their mean and scale, and one coefficient a term."""

    names: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    quadratic: bool

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the linear predictor for rows of its own features."""
        z = standardise(self.names, features, self.mean, self.scale)
        return terms(z, quadratic=self.quadratic) @ self.coefficients

    def of(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the linear predictor for rows of all of `lithoscope.picking._features.NAMES`."""
        return self(features[:, [NAMES.index(name) for name in self.names]])


def standardise(
    names: Sequence[str],
    x: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return ``(x - mean) / scale`` held within `LIMITS` by name, or `HOLD`."""
    low, high = np.array([LIMITS.get(name, (-HOLD, HOLD)) for name in names]).T
    return np.clip((x - mean) / scale, low, high)


def terms(z: NDArray[np.float64], *, quadratic: bool) -> NDArray[np.float64]:
    """Return the columns of a regression: 1, the features and, if asked, all their products."""
    parts = [np.ones((len(z), 1)), z]
    if quadratic:
        i, j = np.triu_indices(z.shape[1])
        parts.append(z[:, i] * z[:, j])
    return np.concatenate(parts, axis=1)


@cache
def models() -> dict[str, Model]:
    """Return the fitted models by name."""
    text = files("lithoscope.picking").joinpath("classical_model.csv")
    with text.open(encoding="utf-8") as file:
        table = pd.read_csv(file, comment="#", keep_default_na=False)
    out = {}
    for name, rows in table.groupby("model", sort=False):
        scale = rows[rows["kind"] == "scale"]
        mean = rows[rows["kind"] == "mean"]
        out[str(name)] = Model(
            tuple(scale["first"]),
            mean["value"].to_numpy(),
            scale["value"].to_numpy(),
            rows.loc[rows["kind"] == "coefficient", "value"].to_numpy(),
            bool((rows["second"] != "").any()),
        )
    return out


def first_look(name: str, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logit that each candidate is an onset of the model's phase, by itself."""
    if not len(features):
        return np.zeros(0)
    return np.clip(models()[name].of(features), -_context.LIMIT, _context.LIMIT)


def probability(name: str, related: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of each candidate from the features of the second look."""
    if not len(related):
        return np.zeros(0)
    return 1.0 / (1.0 + np.exp(-np.clip(models()[f"{name}-second"](related), -30, 30)))


def timing(
    phase: str, features: NDArray[np.float64], sampling_rate_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what to take off the onset's time, and its 1 sigma, both in s.

    The sigma holds 68 % of the absolute differences from an analyst's pick; the width of a sample
    is added in quadrature.
    """
    if not len(features):
        return np.zeros(0), np.zeros(0)
    bias = np.clip(models()[f"{phase}-bias"].of(features), -BIAS_S, BIAS_S)
    sigma = np.clip(np.exp(models()[f"{phase}-sigma"].of(features)), *SIGMA_S)
    return bias, np.hypot(sigma, 0.3 / sampling_rate_hz)
