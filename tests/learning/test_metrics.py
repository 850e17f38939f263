"""Matching, judged picks, scores and their bootstrap."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import DataError
from lithoscope.learning.bootstrap import groups, medians, resampling
from lithoscope.learning.metrics import (
    best_threshold,
    detection,
    inside,
    judged_spans,
    match,
    match_all,
    noise_rate,
    threshold_curve,
    timing,
)

TIMES = st.lists(st.integers(0, 40).map(lambda k: k / 10), max_size=5)


def best_by_trial(labels: list[float], picks: list[float], tolerance: float) -> tuple[int, float]:
    """Return the largest number of pairs and, of those pairings, the smallest total distance."""
    for size in range(min(len(labels), len(picks)), 0, -1):
        totals = [
            sum(abs(a - b) for a, b in zip(some, other, strict=True))
            for some in combinations(labels, size)
            for other in permutations(picks, size)
            if all(abs(a - b) <= tolerance for a, b in zip(some, other, strict=True))
        ]
        if totals:
            return size, min(totals)
    return 0, 0.0


@settings(max_examples=100, deadline=None)
@given(labels=TIMES, picks=TIMES, tolerance=st.sampled_from([0.0, 0.25, 0.55, 1.05]))
def test_matching_is_the_best_one_to_one_pairing(labels, picks, tolerance: float) -> None:
    i, j = match(labels, picks, tolerance)
    assert len(set(i)) == len(i) == len(j) == len(set(j))
    gap = np.abs(np.array(labels)[i] - np.array(picks)[j]) if len(i) else np.zeros(0)
    assert (gap <= tolerance).all()
    size, total = best_by_trial(labels, picks, tolerance)
    assert len(i) == size
    assert gap.sum() == pytest.approx(total, abs=1e-9)


def test_many_picks_match_quickly() -> None:
    rng = np.random.default_rng(0)
    labels = np.sort(rng.uniform(0, 86400, 5000))
    i, _ = match(labels, labels[::-1] + rng.normal(0, 0.02, 5000), 0.1)
    assert len(i) > 4990  # 0.1 s is five sigma
    assert (np.diff(labels[i]) >= 0).all()


def test_a_pick_counts_as_false_only_where_labels_are_complete() -> None:
    labels = [("P", 5.0), ("S", 9.0)]
    assert judged_spans(labels, "P", "manual", 60.0) == [(0.0, 19.0)]
    assert judged_spans(labels[:1], "P", "manual", 60.0) == [(0.0, 15.0)]
    assert judged_spans(labels[:1], "S", "manual", 60.0) == []
    assert judged_spans(labels, "S", "auto", 60.0) == [(4.0, 6.0), (8.0, 10.0)]
    assert judged_spans([], "P", "noise", 60.0) == [(0.0, 60.0)]
    assert inside([3.9, 4.0, 7.0, 9.5], [(4.0, 6.0), (8.0, 10.0)]).tolist() == [0, 1, 0, 1]


def table(rows: list[tuple[str, float]], **more: object) -> pd.DataFrame:
    """Return labels or picks of phase P, one a (trace, time); the group is the trace."""
    frame = pd.DataFrame(rows, columns=["trace", "time_s"])
    return frame.assign(phase="P", group="x|" + frame["trace"], **more)


def test_scores_by_hand() -> None:
    """Three labels; two hits, one of them beside a second pick, a pick that nobody judges."""
    labels = table([("a", 10.0), ("b", 10.0), ("c", 10.0)])
    picks = table(
        [("a", 10.05), ("a", 10.08), ("b", 9.96), ("c", 10.3), ("c", 55.0)],
        judged=[True, True, True, True, False],
    )
    draws = resampling(labels["group"], 200)
    found = detection(match_all(labels, picks, 0.1), draws)
    assert found["precision"].value == 2 / 4
    assert found["recall"].value == 2 / 3
    assert found["f1"].value == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    later = match_all(labels, picks, 0.5)
    assert later.picks["offset_s"].round(9).tolist()[:1] == [0.05]
    assert np.isnan(later.picks["offset_s"][1])
    residual = timing(later, draws)
    assert residual["residual_median_s"].value == pytest.approx(0.05)
    assert residual["residual_mad_s"].value == pytest.approx(0.09)  # 0, 0.09, 0.25


def test_another_phase_and_another_trace_are_no_hits() -> None:
    labels = table([("a", 10.0)])
    for other in (table([("b", 10.0)]), table([("a", 10.0)]).assign(phase="S")):
        assert not match_all(labels, other, 0.5).labels["hit"].any()


def test_groups_are_the_coarser_of_station_and_event_that_are_many() -> None:
    def rows(source: str, n_stations: int, n_events: int) -> pd.DataFrame:
        k = np.arange(60)
        return pd.DataFrame(
            {
                "source": source,
                "station": [f"XX.S{i}.0{i % 2}.HH" for i in k % n_stations],
                "event": [f"e{i}" for i in k % n_events],
            }
        )

    many = groups(pd.concat([rows("a", 20, 30), rows("b", 2, 30), rows("c", 3, 4)]))
    assert [len(set(many[i : i + 60])) for i in (0, 60, 120)] == [20, 30, 4]
    nameless = rows("d", 1, 1).assign(event="")
    assert len(set(groups(nameless))) == 60


def test_the_bootstrap_finds_the_spread_of_clustered_hits() -> None:
    """Groups that hit or miss as a whole: the spread is that of the groups, not of the labels."""
    n_groups, n_each = 40, 25
    rng = np.random.default_rng(1)
    good = rng.random(n_groups) < 0.7
    rows = [(f"{g}", 10.0 + 20 * k) for g in range(n_groups) for k in range(n_each)]
    labels = table(rows)
    picks = table([r for r in rows if good[int(r[0])]], judged=True)
    recall = detection(match_all(labels, picks, 0.1), resampling(labels["group"], 4000))["recall"]
    p = good.mean()
    assert recall.value == p
    # standard deviation of a binomial proportion of 40 groups; bootstrap noise is 1/sqrt(8000)
    assert recall.samples.std() == pytest.approx(np.sqrt(p * (1 - p) / n_groups), rel=0.06)
    low, high = recall.interval()
    assert low < p < high


def test_sources_keep_their_size_in_every_sample() -> None:
    draws = resampling([f"a|{i}" for i in range(5)] + [f"b|{i}" for i in range(3)], 50)
    assert (draws.weights[:, :5].sum(axis=1) == 5).all()
    assert (draws.weights[:, 5:].sum(axis=1) == 3).all()
    assert (draws.weights == resampling(draws.names, 50).weights).all()


@given(
    values=st.lists(st.integers(-20, 20), min_size=1, max_size=8),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_weighted_medians_are_medians_of_repeated_values(values: list[int], seed: int) -> None:
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(values)))
    found = medians(np.array(values, float), weights)
    for row, value in zip(weights, found, strict=True):
        repeated = np.repeat(values, row)
        if len(repeated):
            assert value == np.median(repeated)
        else:
            assert np.isnan(value)


def test_false_picks_an_hour_and_what_zero_is_worth() -> None:
    group = ["n|a", "n|b", "n|c"]
    draws = resampling(group, 500)
    rate, (low, high) = noise_rate(group, [0, 0, 0], [1.0, 0.5, 0.5], draws)
    assert (rate.value, low) == (0.0, 0.0)
    assert high == pytest.approx(3.6889 / 2, rel=1e-4)  # Garwood: 3.6889 for no count
    rate, (low, high) = noise_rate(group, [4, 0, 0], [1.0, 0.5, 0.5], draws)
    assert rate.value == 2.0
    assert low <= 1.0899 / 2  # Garwood: 1.0899 to 10.2416 for a count of four
    assert high >= 10.2416 / 2 - 1e-3
    with pytest.raises(DataError, match="no stretch of noise"):
        noise_rate([], [], [], draws)


def test_the_threshold_is_the_best_on_the_given_data() -> None:
    labels = table([("a", 10.0), ("b", 10.0)])
    picks = table([("a", 10.0), ("b", 10.0), ("a", 30.0), ("b", 40.0)], judged=True).assign(
        probability=[0.9, 0.5, 0.45, 0.2]
    )
    grid = np.arange(0.1, 1.0, 0.1)
    assert best_threshold(labels, picks, 0.1, grid)[0] == pytest.approx(0.5)
    with pytest.raises(DataError, match="no labels"):
        best_threshold(labels.iloc[:0], picks, 0.1, grid)


def test_of_thresholds_that_cannot_be_told_apart_the_middle_is_taken() -> None:
    """Ten labels, nine hits of probability 0.95: F1 is 18/19 from 0.31 on, worse below."""
    labels = table([(f"{k}", 10.0) for k in range(10)])
    hits = table([(f"{k}", 10.0) for k in range(9)], judged=True).assign(probability=0.95)
    false = table([(f"{k}", 30.0) for k in range(9)], judged=True).assign(probability=0.3)
    picks = pd.concat([hits, false], ignore_index=True)
    threshold, f1 = best_threshold(labels, picks, 0.1, np.arange(5, 100) / 100)
    assert threshold == pytest.approx((0.31 + 0.95) / 2)
    assert f1 == 18 / 19


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 9)), max_size=9
    ),
    marks=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), min_size=1, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_the_curve_is_what_matching_at_each_threshold_gives(rows, marks) -> None:
    labels = table([(name, t / 10) for name, t in marks])
    picks = table([(name, t / 10) for name, t, _ in rows], judged=True).assign(
        probability=[p / 10 for _, _, p in rows]
    )
    grid = np.arange(0.05, 1.0, 0.1)
    curve = threshold_curve(labels, picks, 0.25, grid)
    for least, recall in zip(grid, curve["recall"], strict=True):
        kept = picks[picks["probability"] >= least]
        assert recall == match_all(labels, kept, 0.25).labels["hit"].mean()
