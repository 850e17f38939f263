"""Slope of the Gutenberg-Richter law from binned magnitudes, and its standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import DataError

MIN_EVENTS = 30  # below this the asymptotic standard error is no longer worth stating


@dataclass(frozen=True)
class BValue:
    """b-value and what its uncertainty means.

    Attributes
    ----------
    b
        Slope of log10 N(magnitude >= m) = a - b m.
    sigma
        Standard error (1 sigma) of ``b`` from the scatter of the magnitudes (Shi & Bolt 1982).
        It takes the completeness as known.
    a
        log10 of the number of events of magnitude >= 0 in the catalogue's period if the law held
        that far; NaN for `b_positive`, which sees no rates.
    n
        Magnitudes (or differences) used.
    completeness
        Centre of the lowest magnitude bin used (or the smallest difference used).
    method
        Short name with the source.
    """

    b: float
    sigma: float
    a: float
    n: int
    completeness: float
    method: str


def b_value(magnitudes: ArrayLike, completeness: float, *, bin_width: float = 0.1) -> BValue:
    """Estimate b by maximum likelihood from the bins at and above ``completeness``.

    Magnitudes are rounded to multiples of ``bin_width``. The number of bins above the lowest is
    then geometric, and its likelihood (Aki 1965 with the exact correction for binning: Tinti &
    Mulargia 1987, eq. 9; Bender 1983) is largest at

        b = log10(1 + bin_width / (mean - completeness)) / bin_width

    which for narrow bins is Utsu's log10(e) / (mean - completeness + bin_width / 2).

    Parameters
    ----------
    magnitudes
        Any order; NaN are left out.
    completeness
        Centre of the lowest complete bin.
    bin_width
        Width of the bins, > 0; at least the rounding step of the catalogue.

    Raises
    ------
    DataError
        With fewer than 30 magnitudes at or above ``completeness``, or all in one bin.
    """
    index = to_bins(magnitudes, bin_width)
    lowest = int(to_bins([completeness], bin_width)[0])
    steps = index[index >= lowest] - lowest
    b, sigma = _fit(steps, bin_width, f"at or above magnitude {completeness:g}")
    a = float(np.log10(len(steps)) + b * (lowest - 0.5) * bin_width)
    return BValue(b, sigma, a, len(steps), lowest * bin_width, "Aki (1965), binned")


def b_positive(magnitudes: ArrayLike, *, bin_width: float = 0.1) -> BValue:
    """Estimate b from the positive differences of successive magnitudes (van der Elst 2021).

    Insensitive to a completeness that changes slowly in time, as after a large event: an event
    larger than its predecessor is recorded if the predecessor was.

    Parameters
    ----------
    magnitudes
        In order of origin time; NaN are left out.
    bin_width
        Width of the magnitude bins, > 0; the smallest difference used is one bin
        (van der Elst 2021, section 3).

    Raises
    ------
    DataError
        With fewer than 30 positive differences, or all in one bin.
    """
    steps = np.diff(to_bins(magnitudes, bin_width))
    steps = steps[steps >= 1] - 1
    b, sigma = _fit(steps, bin_width, "among the differences of successive events")
    return BValue(b, sigma, float("nan"), len(steps), bin_width, "van der Elst (2021), b-positive")


def to_bins(magnitudes: ArrayLike, bin_width: float) -> NDArray[np.int64]:
    """Return the number of each finite magnitude's bin; bin k is centred on ``k * bin_width``.

    Raises
    ------
    DataError
        If ``bin_width`` is not positive.
    """
    if not bin_width > 0:
        raise DataError(f"bin_width = {bin_width!r}: must be > 0, for example 0.1")
    values = np.asarray(magnitudes, dtype=float)
    values = values[np.isfinite(values)]
    # the small offset puts decimal half steps (1.25 in bins of 0.1) always into the upper bin
    return np.floor(values / bin_width + 0.5 + 1e-9).astype(np.int64)


def fit_counts(
    counts: NDArray[np.float64], bin_width: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return b, its sigma and n for every lower cut of binned counts (last axis = bins).

    Cut k uses bins k, k + 1, ...; b is NaN where fewer than two magnitudes or one bin is left.
    """
    k = np.arange(counts.shape[-1], dtype=float)

    def above(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]

    n, first, second = above(counts), above(counts * k), above(counts * k**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = first / n
        b = np.log10(1.0 + 1.0 / (mean - k)) / bin_width
        variance_of_mean = np.maximum(second / n - mean**2, 0.0) / (n - 1.0)
        sigma = np.log(10.0) * b**2 * bin_width * np.sqrt(variance_of_mean)
    bad = (n < 2) | ~np.isfinite(b)
    return np.where(bad, np.nan, b), np.where(bad, np.nan, sigma), n


def _fit(steps: NDArray[np.int64], bin_width: float, where: str) -> tuple[float, float]:
    if len(steps) < MIN_EVENTS:
        raise DataError(f"{len(steps)} magnitudes {where}: a b-value needs at least {MIN_EVENTS}")
    if not steps.any():
        raise DataError(f"all {len(steps)} magnitudes {where} lie in one bin of {bin_width:g}")
    b, sigma, _ = fit_counts(np.bincount(steps).astype(float), bin_width)
    return float(b[0]), float(sigma[0])
