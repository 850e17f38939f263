"""Bootstrap intervals that resample stations or events, never single picks.

Picks of one station or of one event share their difficulties, so single picks would give intervals
that are too narrow (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 to 8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lithoscope.learning.splits import site

#: A source is resampled by the coarser of station and event that has this many groups.
LEAST_GROUPS = 10


def groups(metadata: pd.DataFrame) -> NDArray[np.str_]:
    """Return the group of each row that is resampled as a whole.

    By source: the coarser of station (NET.STA) and event that has at least `LEAST_GROUPS`
    groups; else the finer. A row without an event is an event of its own.

    Parameters
    ----------
    metadata
        Columns ``source``, ``station``, ``event``.
    """
    out = np.empty(len(metadata), dtype=object)
    source = metadata["source"].to_numpy(str)
    station = metadata["station"].map(site).to_numpy(str)
    alone = np.array([f"row {i}" for i in range(len(metadata))], dtype=object)
    event = metadata["event"].to_numpy(str)
    event = np.where(event == "", alone, event).astype(str)
    for name in np.unique(source):
        here = source == name
        coarse, fine = sorted((station[here], event[here]), key=lambda x: len(np.unique(x)))
        chosen = coarse if len(np.unique(coarse)) >= LEAST_GROUPS else fine
        out[here] = [f"{name}|{value}" for value in chosen]
    return out.astype(str)


@dataclass(frozen=True)
class Resampling:
    """Weights of groups in bootstrap samples; the same for all models, so they can be compared.

    Attributes
    ----------
    names
        Groups, sorted; the part before ``|`` is the source.
    weights
        ``(n_samples, n_groups)`` how often each group is drawn; within each source as many
        groups are drawn as there are.
    """

    names: NDArray[np.str_]
    weights: NDArray[np.int64]

    def of(self, group: ArrayLike) -> NDArray[np.int64]:
        """Return the column of each of some groups."""
        return np.searchsorted(self.names, np.asarray(group, str))

    def sums(self, group: ArrayLike, value: ArrayLike) -> NDArray[np.float64]:
        """Return ``(n_samples,)`` sums of values, each as often as its group is drawn."""
        per_group = np.bincount(self.of(group), np.asarray(value, float), minlength=len(self.names))
        return np.asarray(self.weights @ per_group, np.float64)


def resampling(group: ArrayLike, n_samples: int = 1000, seed: int = 0) -> Resampling:
    """Draw bootstrap weights of groups, stratified by source."""
    names = np.unique(np.asarray(group, str))
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_samples, len(names)), np.int64)
    source = np.array([name.partition("|")[0] for name in names], str)
    for one in np.unique(source):
        here = np.flatnonzero(source == one)
        drawn = rng.multinomial(len(here), np.full(len(here), 1.0 / len(here)), n_samples)
        weights[:, here] = drawn
    return Resampling(names, weights)


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap samples; empty samples where nothing could be resampled."""

    value: float
    samples: NDArray[np.float64]
    n: int

    def interval(self) -> tuple[float, float]:
        """Return the 95 % percentile interval, NaN where it is not known."""
        good = self.samples[np.isfinite(self.samples)]
        if len(good) < 2:
            return float("nan"), float("nan")
        low, high = np.quantile(good, [0.025, 0.975])
        return float(low), float(high)


def ratio(part: float, whole: float) -> float:
    """Return part / whole, NaN for an empty whole."""
    return float(part / whole) if whole else float("nan")


def ratios(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    """Return part / whole of each, NaN where the whole is empty."""
    out = np.full(len(whole), np.nan)
    return np.divide(part, whole, out=out, where=whole > 0)


def medians(values: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """Return the median of values repeated as often as each row of weights says.

    Parameters
    ----------
    values
        ``(n,)``, or ``(n_samples, n)`` with values of its own for each row of weights.
    weights
        ``(n_samples, n)`` whole numbers.

    Returns
    -------
    ``(n_samples,)``, NaN where all weights are zero.
    """
    rows = np.broadcast_to(values, weights.shape)
    order = np.argsort(rows, axis=1, kind="stable")
    rows = np.take_along_axis(rows, order, axis=1)
    total = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    n = total[:, -1:]
    # The two middle ones of n; one and the same where n is odd.
    low = (total < (n + 1) // 2).sum(axis=1, keepdims=True)
    high = (total < n // 2 + 1).sum(axis=1, keepdims=True)
    last = weights.shape[1] - 1
    both = [np.take_along_axis(rows, np.minimum(k, last), axis=1) for k in (low, high)]
    return np.where(n > 0, 0.5 * (both[0] + both[1]), np.nan)[:, 0]


def mads(values: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """Return the median absolute deviation from the median; see `medians`."""
    middle = medians(values, weights)
    return medians(np.abs(values - middle[:, np.newaxis]), weights)
