"""Calibration: raw outputs of a picker -> probabilities and sigmas that mean what they say.

Fitted on validation picks, never on the test set:

- probability: of 100 picks with probability 0.8, 80 are onsets. A monotone regression (pool
  adjacent violators; Barlow et al. 1972) of hit on raw probability, made continuous and strictly
  increasing, so that the order of picks is kept and a rounding error stays a rounding error;
- an onset cannot be surer than the earthquake that it belongs to: before that regression, log
  odds of the onset are lowered where those of the event output beside it are low (`evidence`);
- sigma: 68.3 % of the residuals lie within it. The raw sigma times a factor that depends on the
  calibrated probability;
- thresholds: the probability above which noise gives no more than a wanted number of picks per
  station-hour, with a confidence of 90 %: hours of noise are few.

The tables are plain numbers (`Calibration`), kept in the model's card. `learning.reliability`
measures how well a calibration holds on other data.

References: Barlow, Bartholomew, Bremner & Brunk (1972), Statistical Inference under Order
Restrictions, Wiley; Zadrozny & Elkan (2002), KDD, 694-699 (isotonic calibration).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from scipy.optimize import isotonic_regression

from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.metrics import largest_mean
from lithoscope.settings import Settings

#: Part of a normal distribution within one sigma.
ONE_SIGMA = 0.6827
#: Log odds outside this range are held there (probabilities of 3e-7).
LIMIT = 15.0
#: Above the highest knot log odds rise this much per unit of raw log odds: enough to keep the
#: order, too little to promise what was not seen. Below the lowest knot the slope is 1.
END_SLOPE = 0.1
#: Event log odds above this lower no onset (probability 0.95), and how long after an onset the
#: event output may rise (s): its rise at a P is not steep.
EVENT_ENOUGH, EVENT_WITHIN_S = 3.0, 1.5
#: Fewest picks in a class of a fit, and the largest number of classes.
MIN_COUNT, MAX_CLASSES = 40, 15
#: How sure a threshold must be to keep the rate of false picks that is asked for.
CONFIDENCE = 0.9


class Curve(Settings):
    """A line through knots, for values between them; ``x`` ascends."""

    x: tuple[float, ...] = Field((), description="Knots, strictly ascending.")
    y: tuple[float, ...] = Field((), description="Values at the knots.")

    @model_validator(mode="after")
    def _check(self) -> Curve:
        if len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} knots but {len(self.y)} values")
        if not np.isfinite([*self.x, *self.y]).all():
            raise ValueError("knots and values must be finite")
        if (np.diff(self.x) <= 0).any():
            raise ValueError("knots must ascend")
        return self


class PhaseCalibration(Settings):
    """What turns the raw output for one phase into a probability and a sigma."""

    event_weight: float = Field(
        0.0,
        ge=0,
        description="How much each missing unit of the event output's log odds lowers those of a "
        "pick before anything else is done.",
    )
    probability: Curve = Field(
        Curve(), description="Raw probability to calibrated probability; empty = unchanged."
    )
    sigma_scale: Curve = Field(
        Curve(), description="Calibrated probability to factor on the raw sigma; empty = 1."
    )
    threshold: Curve = Field(
        Curve(),
        description="False picks per station-hour to calibrated probability; empty = unknown.",
    )


class Calibration(Settings):
    """Calibration of a picker by phase, and of its event output."""

    p: PhaseCalibration = Field(PhaseCalibration(), description="P picks.")
    s: PhaseCalibration = Field(PhaseCalibration(), description="S picks.")
    event: Curve = Field(Curve(), description="The same for the event output; empty = unchanged.")


def logit(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the log odds ``ln(p / (1 - p))``, held within `LIMIT`."""
    p = np.asarray(probability, np.float64)
    edge = 1.0 / (1.0 + np.exp(LIMIT))
    p = np.clip(p, edge, 1.0 - edge)
    return np.log(p) - np.log1p(-p)


def expit(log_odds: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of log odds, ``1 / (1 + exp(-x))``."""
    x = np.asarray(log_odds, np.float64)
    return 1.0 / (1.0 + np.exp(-np.clip(x, -2 * LIMIT, 2 * LIMIT)))


def calibrated(curve: Curve, log_odds: ArrayLike) -> NDArray[np.float64]:
    """Return calibrated probabilities of raw log odds; strictly increasing.

    Between knots log odds are interpolated; beyond them they go on with slope 1 (below) and
    `END_SLOPE` (above). An empty curve returns the raw probabilities.
    """
    x = np.clip(np.asarray(log_odds, np.float64), -LIMIT, LIMIT)
    if not curve.x:
        return expit(x)
    knots, values = _knots(tuple(curve.x), tuple(curve.y))
    inside = np.interp(x, knots, values)
    below = np.minimum(x - knots[0], 0.0)
    above = np.maximum(x - knots[-1], 0.0)
    return expit(inside + below + END_SLOPE * above)


@lru_cache(maxsize=64)
def _knots(
    x: tuple[float, ...], y: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return logit(x), logit(y)


def evidence(log_odds: ArrayLike, event: ArrayLike, weight: float) -> NDArray[np.float64]:
    """Return the log odds of onsets, lowered where no event is seen.

    ``log_odds - weight * max(EVENT_ENOUGH - event, 0)``, event in log odds: the largest within
    `EVENT_WITHIN_S` after the onset. Never above ``log_odds``.
    """
    y, e = np.asarray(log_odds, np.float64), np.asarray(event, np.float64)
    return y - weight * np.maximum(EVENT_ENOUGH - e, 0.0)


def sigma_factor(curve: Curve, probability: ArrayLike) -> NDArray[np.float64]:
    """Return the factor on the raw sigma at calibrated probabilities; flat beyond the knots."""
    p = np.asarray(probability, np.float64)
    return np.interp(p, curve.x, curve.y) if curve.x else np.ones_like(p)


def threshold(curve: Curve, false_per_hour: float, *, what: str = "picks") -> float:
    """Return the calibrated probability above which that many false picks an hour remain.

    Linear in log odds against the logarithm of the rate.

    Parameters
    ----------
    curve
        From `fit_threshold`; the rate on x.
    false_per_hour
        Wanted number of false picks per station-hour, in the range of the curve.
    what
        What the message calls the picks ("P picks").

    Raises
    ------
    ConfigError
        If the curve is empty or the rate lies outside it: it is not extrapolated.
    """
    if not curve.x:
        raise ConfigError(
            f"no rate of false {what} is known for this model; give a threshold instead"
        )
    low, high = curve.x[0], curve.x[-1]
    if not low * (1 - 1e-9) <= false_per_hour <= high * (1 + 1e-9):
        raise ConfigError(
            f"{false_per_hour:g} false {what} per station-hour: this model's rates were measured "
            f"from {low:g} to {high:g}; choose one of these or give a threshold instead"
        )
    return float(expit(np.interp(np.log(false_per_hour), np.log(curve.x), logit(curve.y))))


def fit_probability(raw: ArrayLike, hit: ArrayLike, *, weight: ArrayLike | None = None) -> Curve:
    """Fit the probability that a pick is a hit to its raw probability.

    Picks are put in order into classes of equal number (at least `MIN_COUNT`, at most
    `MAX_CLASSES` classes); classes whose rate of hits falls are pooled (isotonic regression);
    each pool is one knot at its mean raw log odds, with the rate of hits
    ``(hits + 0.5) / (n + 1)``, so that no finite sample promises certainty.

    Parameters
    ----------
    raw
        ``(n,)`` raw probabilities of validation picks (down to a low floor, not only those
        above a threshold).
    hit
        ``(n,)`` True where the pick matches a label that no other pick matches.
    weight
        ``(n,)`` weight of each pick, e.g. to balance sources; default 1.

    Raises
    ------
    DataError
        With fewer than `MIN_COUNT` picks, all hits, or none.
    """
    x, y = logit(np.ravel(raw)), np.ravel(np.asarray(hit)).astype(np.float64)
    w = np.ones_like(y) if weight is None else np.ravel(np.asarray(weight, np.float64))
    _enough(len(y), "picks")
    if not 0 < y.sum() < len(y):
        raise DataError("calibration needs hits and misses; all picks are one or the other")
    parts = _classes(x, MIN_COUNT, MAX_CLASSES)
    count = np.array([w[i].sum() for i in parts])
    hits = np.array([(w[i] * y[i]).sum() for i in parts])
    centre = np.array([np.average(x[i], weights=w[i]) for i in parts])
    blocks = np.asarray(isotonic_regression(hits / count, weights=count).blocks)
    sums = [np.add.reduceat(v, blocks[:-1]) for v in (count, hits, count * centre)]
    # The half hit in a small pool can leave a step back, a flat place in place of a rise.
    values = np.maximum.accumulate((sums[1] + 0.5) / (sums[0] + 1.0))
    return _curve(expit(sums[2] / sums[0]), values)


def fit_sigma(residual_s: ArrayLike, raw_sigma_s: ArrayLike, probability: ArrayLike) -> Curve:
    """Fit the factor that makes 68.3 % of residuals lie within one sigma.

    By class of calibrated probability (equal numbers): the 68.3 % quantile of
    ``|residual| / raw sigma``.

    Parameters
    ----------
    residual_s
        ``(n,)`` pick minus label of the hits (manual labels).
    raw_sigma_s
        ``(n,)`` the network's sigma of those picks, above zero.
    probability
        ``(n,)`` their calibrated probability.

    Raises
    ------
    DataError
        With fewer than `MIN_COUNT` residuals, or a sigma that is not above zero.
    """
    r, sigma = np.ravel(residual_s).astype(np.float64), np.ravel(raw_sigma_s).astype(np.float64)
    p = np.ravel(probability).astype(np.float64)
    _enough(len(r), "residuals")
    if not (np.isfinite(sigma) & (sigma > 0)).all():
        raise DataError("raw sigmas must be above zero and finite")
    ratio = np.abs(r) / sigma
    # A quantile needs more data than a mean; classes of 60 leave it known to about 10 %.
    parts = _classes(p, 60, 6)
    centre = np.array([p[i].mean() for i in parts])
    factor = np.array([np.quantile(ratio[i], ONE_SIGMA) for i in parts])
    return _curve(centre, np.maximum(factor, 1e-3))


def fit_threshold(
    false_probability: ArrayLike, hours: float, *, rates_per_hour: ArrayLike | None = None
) -> Curve:
    """Return the probability above which no more than given rates of false picks remain.

    Hours of noise are few, and what they hold by chance is no promise: for a rate r the threshold
    leaves as many of the false picks as can be while the upper bound of their mean number
    (`CONFIDENCE`, `metrics.largest_mean`) is at most r times the hours.

    Parameters
    ----------
    false_probability
        Calibrated probabilities of all picks made where there is no event (down to the floor of
        the picker).
    hours
        Station-hours they were made in.
    rates_per_hour
        Rates to tabulate; default 0.1 to 100 in steps of a factor of about 2. Rates that would
        leave none of the picks, or all, are left out.

    Returns
    -------
    Curve
        Rate (x, ascending) to probability (y, falling). Where k picks may remain, the threshold is
        the mean of the k-th and the next largest false probability.

    Raises
    ------
    DataError
        If no rate can be given: too few hours or too few false picks.
    """
    if not (np.isfinite(hours) and hours > 0):
        raise DataError(f"{hours} station-hours of noise; thresholds need more than 0")
    values = -np.sort(-np.ravel(np.asarray(false_probability, np.float64)))
    wanted = np.array([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100], np.float64)
    wanted = wanted if rates_per_hour is None else np.sort(np.ravel(rates_per_hour))
    bounds = largest_mean(np.arange(len(values)), CONFIDENCE)
    k = np.searchsorted(bounds, wanted * hours * (1 + 1e-9), side="right") - 1
    keep = (k > 0) & (k < len(values) - 1)
    if not keep.any():
        raise DataError(
            f"{len(values)} false picks in {hours:g} station-hours give no rate between "
            f"{wanted[0]:g} and {wanted[-1]:g} per hour; use more hours of noise"
        )
    return _curve(wanted[keep], 0.5 * (values[k[keep] - 1] + values[k[keep]]))


def _classes(
    values: NDArray[np.float64], min_count: int, max_classes: int
) -> list[NDArray[np.int64]]:
    """Return the indices in ascending classes of about equal number; equal values stay together."""
    n = int(np.clip(len(values) // min_count, 1, max_classes))
    edges = np.quantile(values, np.arange(1, n) / n)
    number = np.searchsorted(edges, values, side="right")
    return [np.flatnonzero(number == k) for k in np.unique(number)]


def _curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
    """Return a curve of numbers rounded to six digits, equal knots left out."""
    rounded = [float(f"{v:.6g}") for v in x]
    keep = [i for i, v in enumerate(rounded) if i == 0 or v > rounded[i - 1]]
    return Curve(x=tuple(rounded[i] for i in keep), y=tuple(float(f"{y[i]:.6g}") for i in keep))


def _enough(n: int, what: str) -> None:
    if n < MIN_COUNT:
        raise DataError(f"{n} {what}; calibration needs at least {MIN_COUNT}")
