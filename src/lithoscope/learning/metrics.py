"""How good picks are beside labels: one-to-one matching, precision, recall, F1, residuals.

A hit is a pick of the label's phase within the tolerance; each label and each pick is used once.
A pick counts as false only where the labels can be trusted to be complete (`judged_spans`): an
onset that nobody labelled is not a mistake of the picker.

Intervals come from `lithoscope.learning.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import chi2

from lithoscope.errors import DataError
from lithoscope.learning.bootstrap import Estimate, Resampling, mads, medians, ratio, ratios

TOLERANCES_S = (0.1, 0.2, 0.5)
#: Labels of a phase made by hand are taken to be complete from the start of the trace to this
#: long after its last label (s): later, aftershocks are often left unlabelled.
COMPLETE_AFTER_S = 10.0
#: Automatic labels are taken to be complete this near (s) to a label of either phase only.
COMPLETE_NEAR_S = 1.0


def match(
    label_times: ArrayLike, pick_times: ArrayLike, tolerance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair labels and picks one to one.

    As many pairs as can be made within the tolerance, and of all such pairings the one with the
    smallest sum of time differences.

    Parameters
    ----------
    label_times, pick_times
        ``(n,)`` and ``(m,)`` times, any order and any common unit.
    tolerance
        Largest difference of a pair, in that unit; pairs at exactly this distance count.

    Returns
    -------
    labels, picks
        Index arrays of equal length, in order of the labels' times.
    """
    a, b = np.ravel(np.asarray(label_times, float)), np.ravel(np.asarray(pick_times, float))
    if not len(a) or not len(b):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    times = np.concatenate([a, b])
    order = np.argsort(times, kind="stable")
    # Where neighbours in time lie farther apart than the tolerance, no pair crosses.
    cuts = np.flatnonzero(np.diff(times[order]) > tolerance) + 1
    found = []
    for cluster in np.split(order, cuts):
        i, j = cluster[cluster < len(a)], cluster[cluster >= len(a)] - len(a)
        if len(i) and len(j):
            found.append(_assign(a, b, i, j, tolerance))
    rows = np.concatenate([f[0] for f in found]) if found else np.empty(0, np.int64)
    columns = np.concatenate([f[1] for f in found]) if found else np.empty(0, np.int64)
    by_time = np.argsort(a[rows], kind="stable")
    return rows[by_time], columns[by_time]


def _assign(
    a: NDArray, b: NDArray, i: NDArray, j: NDArray, tolerance: float
) -> tuple[NDArray, NDArray]:
    gap = np.abs(a[i][:, np.newaxis] - b[j])
    allowed = gap <= tolerance
    # A forbidden pair costs more than any set of allowed ones, so their number comes first.
    forbidden = (tolerance + 1.0) * (min(gap.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(allowed, gap, forbidden))
    good = allowed[rows, columns]
    return i[rows[good]], j[columns[good]]


def judged_spans(
    labels: Sequence[tuple[str, float]], phase: str, kind: str, end_s: float
) -> list[tuple[float, float]]:
    """Return where an unmatched pick of a phase counts as false.

    Nowhere in a trace without a label of that phase, since it was perhaps not looked for. Made
    by hand: from the start of the trace to `COMPLETE_AFTER_S` after its last label. Automatic:
    within `COMPLETE_NEAR_S` of its labels of either phase. A trace of noise: everywhere.

    Parameters
    ----------
    labels
        (phase, seconds from the start of the trace).
    phase
        P or S.
    kind
        manual, auto or noise.
    end_s
        Length of the trace (s).

    Returns
    -------
    list of (first, last)
        In seconds from the start of the trace; may overlap.
    """
    if kind == "noise":
        return [(0.0, end_s)]
    if not any(p == phase for p, _ in labels):
        return []
    if kind == "auto":
        return [(t - COMPLETE_NEAR_S, t + COMPLETE_NEAR_S) for _, t in labels]
    return [(0.0, max(t for _, t in labels) + COMPLETE_AFTER_S)]


def inside(times: ArrayLike, spans: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Return True for times inside any of the spans, ends included."""
    t = np.ravel(np.asarray(times, float))
    out = np.zeros(len(t), bool)
    for first, last in spans:
        out |= (t >= first) & (t <= last)
    return out


@dataclass(frozen=True)
class Matched:
    """Labels and picks of one model after matching at one tolerance.

    Attributes
    ----------
    labels
        The labels with ``hit``.
    picks
        The picks with ``offset_s`` (pick minus label, NaN without).
    """

    labels: pd.DataFrame
    picks: pd.DataFrame


def match_all(labels: pd.DataFrame, picks: pd.DataFrame, tolerance_s: float) -> Matched:
    """Match trace by trace and phase by phase.

    Parameters
    ----------
    labels, picks
        Columns ``trace``, ``phase``, ``time_s``.
    tolerance_s
        Largest difference of a hit.
    """
    hit = np.zeros(len(labels), bool)
    offset = np.full(len(picks), np.nan)
    label_t, pick_t = labels["time_s"].to_numpy(float), picks["time_s"].to_numpy(float)
    of_label = labels.groupby(["trace", "phase"]).indices
    of_pick = picks.groupby(["trace", "phase"]).indices
    for key, i in of_label.items():
        j = of_pick.get(key)
        if j is None:
            continue
        a, b = match(label_t[i], pick_t[j], tolerance_s)
        hit[i[a]] = True
        offset[j[b]] = pick_t[j[b]] - label_t[i[a]]
    return Matched(labels.assign(hit=hit), picks.assign(offset_s=offset))


def detection(matched: Matched, draws: Resampling) -> dict[str, Estimate]:
    """Return precision, recall and F1 of one phase (or one class of it).

    Precision is hits over judged picks, recall is hits over labels, F1 their harmonic mean,
    ``2 hits / (judged picks + labels)``.

    Parameters
    ----------
    matched
        Tables with ``group``; picks also with ``judged``.
    draws
        From `resampling` of all groups.
    """
    labels = matched.labels
    judged = matched.picks[matched.picks["judged"].to_numpy(bool)]
    hit = labels["hit"].to_numpy(float)
    ones = np.ones(len(labels)), np.ones(len(judged))
    tp, n_labels, n_picks = hit.sum(), float(len(labels)), float(len(judged))
    drawn_tp = draws.sums(labels["group"], hit)
    drawn_labels = draws.sums(labels["group"], ones[0])
    drawn_picks = draws.sums(judged["group"], ones[1])
    return {
        "precision": Estimate(ratio(tp, n_picks), ratios(drawn_tp, drawn_picks), len(judged)),
        "recall": Estimate(ratio(tp, n_labels), ratios(drawn_tp, drawn_labels), len(labels)),
        "f1": Estimate(
            ratio(2 * tp, n_picks + n_labels),
            ratios(2 * drawn_tp, drawn_picks + drawn_labels),
            len(labels),
        ),
    }


def timing(matched: Matched, draws: Resampling) -> dict[str, Estimate]:
    """Return median and median absolute deviation (s) of the hits' residuals, pick minus label."""
    hits = matched.picks[matched.picks["offset_s"].notna()]
    offset = hits["offset_s"].to_numpy(float)
    if not len(offset):
        nothing = Estimate(np.nan, np.empty(0), 0)
        return {"residual_median_s": nothing, "residual_mad_s": nothing}
    weights = draws.weights[:, draws.of(hits["group"])]
    one = np.ones((1, len(offset)), np.int64)
    return {
        "residual_median_s": Estimate(
            float(medians(offset, one)[0]), medians(offset, weights), len(offset)
        ),
        "residual_mad_s": Estimate(float(mads(offset, one)[0]), mads(offset, weights), len(offset)),
    }


def largest_mean(count: ArrayLike, confidence: float) -> NDArray[np.float64]:
    """Return the largest mean that counts leave possible: the exact upper bound of a Poisson mean.

    A larger mean would give as few as ``count`` with a probability under ``1 - confidence``
    (Garwood 1936, Biometrika 28, 437-442): 2.3 for none at 0.9.
    """
    return chi2.ppf(confidence, 2.0 * np.asarray(count, np.float64) + 2.0) / 2.0


def noise_rate(
    group: ArrayLike, counts: ArrayLike, hours: ArrayLike, draws: Resampling
) -> tuple[Estimate, tuple[float, float]]:
    """Return false picks per hour of noise, and a 95 % interval.

    The interval is the wider of the bootstrap's and of the exact Poisson interval of the count
    (Garwood 1936), which knows what zero picks in few hours are worth.

    Parameters
    ----------
    group, counts, hours
        One a stretch of noise: its group, the picks in it and its length (h).
    draws
        From `resampling` of the groups.

    Raises
    ------
    DataError
        If there is no noise at all.
    """
    n, total = float(np.sum(counts)), float(np.sum(hours))
    if not total > 0:
        raise DataError("no stretch of noise to count false picks in")
    samples = ratios(draws.sums(group, counts), draws.sums(group, hours))
    estimate = Estimate(n / total, samples, int(n))
    low, high = estimate.interval()
    poisson_low = chi2.ppf(0.025, 2 * n) / 2 if n else 0.0
    poisson = poisson_low / total, float(largest_mean(n, 0.975)) / total
    return estimate, (float(np.nanmin([low, poisson[0]])), float(np.nanmax([high, poisson[1]])))


def best_threshold(
    labels: pd.DataFrame, picks: pd.DataFrame, tolerance_s: float, grid: ArrayLike
) -> tuple[float, float]:
    """Return the threshold to use, by F1 on validation data, and its F1 there.

    Thresholds around the best one whose F1 is within one standard error of it (binomial,
    ``sqrt(F1 (1 - F1) / labels)``) cannot be told apart; the middle of them is taken, since the
    best one itself is a matter of chance where labels are few (the one-standard-error rule of
    Breiman et al. 1984, Classification and Regression Trees, section 3.4).

    Parameters
    ----------
    labels, picks
        Of one phase, as in `match_all`; picks with ``probability`` and ``judged``.
    tolerance_s
        Largest difference of a hit.
    grid
        Thresholds to try, ascending.

    Raises
    ------
    DataError
        If there are no labels.
    """
    if labels.empty:
        raise DataError("no labels to choose a threshold on")
    table = threshold_curve(labels, picks, tolerance_s, grid)
    f1 = table["f1"].to_numpy(float)
    best = int(np.argmax(f1))
    close = f1 >= f1[best] - np.sqrt(f1[best] * (1.0 - f1[best]) / len(labels)) - 1e-12
    left = right = best
    while left > 0 and close[left - 1]:
        left -= 1
    while right + 1 < len(f1) and close[right + 1]:
        right += 1
    middle = (left + right) // 2
    return float(table["threshold"].iloc[middle]), float(f1[middle])


def threshold_curve(
    labels: pd.DataFrame, picks: pd.DataFrame, tolerance_s: float, grid: ArrayLike
) -> pd.DataFrame:
    """Return ``threshold``, ``precision``, ``recall``, ``f1`` of one phase, matched at each."""
    least = np.ravel(np.asarray(grid, float))
    probability = picks["probability"].to_numpy(float)
    judged = _at_least(probability[picks["judged"].to_numpy(bool)], least)
    tp = _at_least(_gains(labels, picks, tolerance_s), least)
    n = np.full(len(least), float(len(labels)))
    return pd.DataFrame(
        {
            "threshold": least,
            "precision": ratios(tp, judged),
            "recall": ratios(tp, n),
            "f1": ratios(2 * tp, judged + n),
        }
    )


def _gains(labels: pd.DataFrame, picks: pd.DataFrame, tolerance_s: float) -> NDArray[np.float64]:
    """Return the probabilities at which, coming down, one hit more is made.

    Only picks within the tolerance of a label can change the number of hits, which never falls
    when a pick is added.
    """
    label_t, pick_t = labels["time_s"].to_numpy(float), picks["time_s"].to_numpy(float)
    probability = picks["probability"].to_numpy(float)
    of_pick = picks.groupby(["trace", "phase"]).indices
    gains = []
    for key, i in labels.groupby(["trace", "phase"]).indices.items():
        j = of_pick.get(key)
        if j is None:
            continue
        near = j[(np.abs(pick_t[j][:, np.newaxis] - label_t[i]) <= tolerance_s).any(axis=1)]
        near = near[np.argsort(-probability[near], kind="stable")]
        before = 0
        for m in range(1, len(near) + 1):
            hits = len(match(label_t[i], pick_t[near[:m]], tolerance_s)[0])
            if hits > before:
                gains.append(probability[near[m - 1]])
            before = hits
    return np.array(gains, float)


def _at_least(values: NDArray, least: NDArray) -> NDArray[np.float64]:
    """Return how many values reach each limit."""
    return (len(values) - np.searchsorted(np.sort(values), least, side="left")).astype(float)
