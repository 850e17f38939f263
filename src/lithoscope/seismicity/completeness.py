"""Magnitude of completeness from the shape of the magnitude distribution, with its sigma."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import DataError
from lithoscope.seismicity.b_value import MIN_EVENTS, fit_counts, to_bins

# Woessner & Wiemer (2005), section 2.1: maximum curvature underestimates gradual roll-offs.
CURVATURE_CORRECTION = 0.2
# Cao & Gao (2002) as modified by Woessner & Wiemer (2005), eq. 5: b is averaged over this range.
STABILITY_RANGE = 0.5
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Completeness:
    """Magnitude from which on a catalogue is complete.

    Attributes
    ----------
    magnitude
        Centre of the lowest complete bin.
    sigma
        Standard deviation of the estimate over bootstrap resamples of the events: the scatter of
        the method, not its bias.
    n_above
        Events at or above ``magnitude``.
    method
        Short name with the source.
    """

    magnitude: float
    sigma: float
    n_above: int
    method: str


def magnitude_bins(
    magnitudes: ArrayLike, bin_width: float = 0.1
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return bin centres (every multiple of ``bin_width`` in the range) and counts.

    Raises
    ------
    DataError
        If no magnitude is finite or ``bin_width`` is not positive.
    """
    index = to_bins(magnitudes, bin_width)
    if len(index) == 0:
        raise DataError("no finite magnitudes: nothing to count")
    counts = np.bincount(index - index.min())
    return (index.min() + np.arange(len(counts))) * bin_width, counts.astype(np.int64)


def maximum_curvature(
    magnitudes: ArrayLike,
    *,
    bin_width: float = 0.1,
    correction: float = CURVATURE_CORRECTION,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Completeness:
    """Take the fullest bin plus ``correction`` (Wiemer & Wyss 2000; Woessner & Wiemer 2005).

    Quick and steady, but too low where detection fades gradually; the correction of 0.2 is
    empirical. Of equally full bins the highest counts.

    Parameters
    ----------
    magnitudes
        Any order; NaN are left out.
    bin_width
        Magnitude units, > 0.
    correction
        Added to the fullest bin, magnitude units.
    n_bootstrap
        Resamples for ``sigma``.
    seed
        Of the resamples; the same input gives the same answer.

    Raises
    ------
    DataError
        With fewer than 30 magnitudes.
    """

    def estimate(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        last = counts.shape[-1] - 1
        return last - np.argmax(counts[..., ::-1], axis=-1) + round(correction / bin_width)

    name = f"maximum curvature + {correction:g}"
    return _bootstrap(magnitudes, bin_width, estimate, n_bootstrap, seed, name)


def b_stability(
    magnitudes: ArrayLike,
    *,
    bin_width: float = 0.1,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Completeness:
    """Take the lowest cut from which b stays the same (Cao & Gao 2002; Woessner & Wiemer 2005).

    b at the cut must agree, within its Shi & Bolt sigma, with the mean of b over the cuts up to
    0.5 magnitude units higher. With few events sigma is large and the criterion weak.

    Parameters
    ----------
    magnitudes, bin_width, n_bootstrap, seed
        As for `maximum_curvature`.

    Raises
    ------
    DataError
        With fewer than 30 magnitudes, or when b is stable at no cut with 30 events above.
    """
    span = max(1, round(STABILITY_RANGE / bin_width))

    def estimate(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        b, sigma, n = fit_counts(counts, bin_width)
        n_cuts = b.shape[-1] - span
        if n_cuts < 1:
            return np.full(counts.shape[:-1], np.nan)
        mean = np.mean([b[..., i : i + n_cuts] for i in range(span + 1)], axis=0)
        stable = np.abs(mean - b[..., :n_cuts]) <= sigma[..., :n_cuts]
        stable &= n[..., :n_cuts] >= MIN_EVENTS
        # cuts below the fullest bin cannot be complete, however noisy b is there
        fullest = np.argmax(counts, axis=-1)[..., None]
        stable &= np.arange(n_cuts) >= fullest
        return np.where(stable.any(axis=-1), np.argmax(stable, axis=-1), np.nan)

    return _bootstrap(magnitudes, bin_width, estimate, n_bootstrap, seed, "b-value stability")


def _bootstrap(
    magnitudes: ArrayLike,
    bin_width: float,
    estimate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    n_bootstrap: int,
    seed: int,
    method: str,
) -> Completeness:
    centres, counts = magnitude_bins(magnitudes, bin_width)
    n = int(counts.sum())
    if n < MIN_EVENTS:
        raise DataError(f"{n} magnitudes: a magnitude of completeness needs at least {MIN_EVENTS}")
    best = float(estimate(counts.astype(float)))
    if not np.isfinite(best):
        raise DataError(f"{method}: no cut with {MIN_EVENTS} events above it has a stable b-value")
    drawn = estimate(resample_counts(counts, n_bootstrap, seed))
    drawn = drawn[np.isfinite(drawn)]
    sigma = float(np.std(drawn, ddof=1)) * bin_width if len(drawn) > 1 else float("nan")
    lowest = round(best)
    magnitude = round(float(centres[0] + lowest * bin_width), 10)
    return Completeness(magnitude, sigma, int(counts[lowest:].sum()), method)


def resample_counts(counts: NDArray[np.int64], n_bootstrap: int, seed: int) -> NDArray[np.float64]:
    """Return bootstrap resamples of binned counts, shape ``(n_bootstrap, bins)``.

    Drawing events with replacement and counting them is one multinomial draw.
    """
    rng = np.random.default_rng(seed)
    n = int(counts.sum())
    return rng.multinomial(n, counts / n, size=n_bootstrap).astype(float)
