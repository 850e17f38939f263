"""Completeness and b-value of one catalogue, with the uncertainty of both together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import DataError
from lithoscope.seismicity.b_value import BValue, b_positive, b_value, fit_counts
from lithoscope.seismicity.completeness import (
    CURVATURE_CORRECTION,
    N_BOOTSTRAP,
    Completeness,
    b_stability,
    magnitude_bins,
    maximum_curvature,
    resample_counts,
)


@dataclass(frozen=True)
class MagnitudeDistribution:
    """Binned magnitudes and what can be said about them.

    An estimate that the data do not allow is None, and ``reasons`` says why.

    Attributes
    ----------
    centres, counts
        Bin centres (magnitude) and events in each.
    completeness
        By maximum curvature; the b-value is taken above it.
    completeness_b_stability
        The second opinion.
    b
        Maximum likelihood above ``completeness``, which its sigma takes as known.
    b_sigma_total
        Standard deviation of b over bootstrap resamples in which the completeness is estimated
        anew each time: 1 sigma including the scatter of the completeness. NaN without ``b``.
    b_positive
        From differences of successive magnitudes; needs no completeness.
    """

    centres: NDArray[np.float64]
    counts: NDArray[np.int64]
    completeness: Completeness | None
    completeness_b_stability: Completeness | None
    b: BValue | None
    b_sigma_total: float
    b_positive: BValue | None
    reasons: tuple[str, ...]


def magnitude_distribution(
    magnitudes: ArrayLike, *, bin_width: float = 0.1, seed: int = 0
) -> MagnitudeDistribution:
    """Estimate completeness, b-value and b-positive; leave out what the data do not allow.

    Parameters
    ----------
    magnitudes
        In order of origin time (only `b_positive` uses the order); NaN are left out.
    bin_width
        Magnitude units, > 0.
    seed
        Of the bootstrap.

    Raises
    ------
    DataError
        If no magnitude is finite or ``bin_width`` is not positive.
    """
    centres, counts = magnitude_bins(magnitudes, bin_width)
    reasons: list[str] = []
    completeness = stability = b = positive = None
    try:
        completeness = maximum_curvature(magnitudes, bin_width=bin_width, seed=seed)
        b = b_value(magnitudes, completeness.magnitude, bin_width=bin_width)
    except DataError as error:
        reasons.append(str(error))
    try:
        stability = b_stability(magnitudes, bin_width=bin_width, seed=seed)
    except DataError as error:
        reasons.append(str(error))
    try:
        positive = b_positive(magnitudes, bin_width=bin_width)
    except DataError as error:
        reasons.append(f"b-positive: {error}")
    total = _total_sigma(counts, bin_width, seed) if b is not None else float("nan")
    unique = tuple(dict.fromkeys(reasons))
    return MagnitudeDistribution(
        centres, counts, completeness, stability, b, total, positive, unique
    )


def _total_sigma(counts: NDArray[np.int64], bin_width: float, seed: int) -> float:
    resampled = resample_counts(counts, N_BOOTSTRAP, seed)
    fullest = resampled.shape[-1] - 1 - np.argmax(resampled[:, ::-1], axis=-1)
    cut = fullest + round(CURVATURE_CORRECTION / bin_width)
    cut = np.minimum(cut, resampled.shape[-1] - 1)
    b, _, _ = fit_counts(resampled, bin_width)
    drawn = b[np.arange(len(b)), cut]
    drawn = drawn[np.isfinite(drawn)]
    return float(np.std(drawn, ddof=1)) if len(drawn) > 1 else float("nan")
