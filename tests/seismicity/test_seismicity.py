"""Completeness, b-value and Wadati on simulated catalogues with known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from lithoscope.errors import DataError
from lithoscope.schema import ARRIVALS, PICKS
from lithoscope.seismicity import (
    b_positive,
    b_stability,
    b_value,
    magnitude_bins,
    magnitude_distribution,
    maximum_curvature,
    wadati,
)


def complete(rng, n, b=1.0, lowest=1.0, width=0.1):
    """Magnitudes above the lower edge of the bin centred on ``lowest``."""
    return lowest - width / 2 + rng.exponential(1 / (b * np.log(10)), n)


def detected(rng, n, middle=1.0, fade=0.2, b=1.0):
    """Magnitudes thinned by a detection probability that fades in around ``middle``."""
    magnitude = rng.exponential(1 / (b * np.log(10)), n)
    return magnitude[rng.random(n) < norm.cdf((magnitude - middle) / fade)]


def coverage_band(n_runs, level, extra=0.0):
    """Return limits that the share of covered runs leaves with probability 1e-3 at most."""
    half = 3.3 * np.sqrt(level * (1 - level) / n_runs)
    return level - half - extra, level + half + extra


@pytest.mark.parametrize("b", [0.7, 1.0, 1.5])
def test_b_value_matches_the_closed_form(b):
    """The geometric likelihood, maximised by brute force, has its top at the estimate."""
    magnitudes = complete(np.random.default_rng(1), 400, b)
    estimate = b_value(magnitudes, 1.0).b
    steps = np.round(np.round(magnitudes / 0.1) - 10)
    trial = estimate + np.linspace(-0.02, 0.02, 41)
    q = 10 ** (-trial * 0.1)
    likelihood = len(steps) * np.log(1 - q) + steps.sum() * np.log(q)
    assert abs(trial[np.argmax(likelihood)] - estimate) < 6e-4  # half a step of the trials


def test_b_value_agrees_with_utsu_for_narrow_bins():
    magnitudes = complete(np.random.default_rng(2), 500, width=0.01)
    utsu = np.log10(np.e) / (np.mean(np.round(magnitudes, 2)) - 1.0 + 0.005)
    # the binning term is (b ln10 dm)^2 / 12 = 4e-5 of b
    assert b_value(magnitudes, 1.0, bin_width=0.01).b == pytest.approx(utsu, rel=2e-4)


@pytest.mark.parametrize("n", [60, 400])
def test_b_sigmas_cover_the_truth(n):
    rng = np.random.default_rng(n)
    inside, inside_95 = 0, 0
    for _ in range(600):
        found = b_value(complete(rng, n), 1.0)
        inside += abs(found.b - 1) < found.sigma
        inside_95 += abs(found.b - 1) < 1.96 * found.sigma
    low, high = coverage_band(600, 0.683, extra=0.01)
    assert low < inside / 600 < high
    low, high = coverage_band(600, 0.95, extra=0.015)
    assert low < inside_95 / 600 < high


def test_b_positive_covers_and_survives_changing_completeness():
    rng = np.random.default_rng(7)
    inside = 0
    plain, positive = [], []
    for _ in range(300):
        found = b_positive(complete(rng, 400))
        inside += abs(found.b - 1) < found.sigma
    low, high = coverage_band(300, 0.683, extra=0.02)
    assert low < inside / 300 < high
    for _ in range(20):
        magnitudes = complete(rng, 3000)
        # as after a large event: only magnitudes above a threshold that falls from 2.5 to 1
        threshold = 1.0 + 1.5 * np.exp(-np.arange(3000) / 400)
        seen = magnitudes[magnitudes > threshold]
        plain.append(b_value(seen, 1.1).b)
        positive.append(b_positive(seen).b)
    assert abs(np.mean(positive) - 1) < 0.05
    assert np.mean(plain) < 0.95


def test_completeness_of_a_sharp_cut_is_the_cut():
    magnitudes = complete(np.random.default_rng(3), 3000, lowest=1.3)
    found = maximum_curvature(magnitudes, correction=0.0)
    assert found.magnitude == pytest.approx(1.3)
    assert found.n_above == 3000
    assert found.sigma < 0.05
    assert b_stability(magnitudes).magnitude == pytest.approx(1.3, abs=0.1)


def test_completeness_of_a_gradual_fade():
    """Detection is 50 % at 1.0 and 89 to 99.9 % at the estimate; sigma matches the scatter."""
    rng = np.random.default_rng(4)
    found = [maximum_curvature(detected(rng, 6000), n_bootstrap=100) for _ in range(40)]
    values = np.array([f.magnitude for f in found])
    assert 1.25 < values.mean() < 1.6
    scatter = values.std(ddof=1)
    stated = np.mean([f.sigma for f in found])
    assert 0.5 < stated / scatter < 2.0  # 40 runs know their scatter to 11 %, bins are coarse


def test_total_sigma_of_b_covers():
    rng = np.random.default_rng(5)
    inside, n_runs = 0, 80
    for _ in range(n_runs):
        found = magnitude_distribution(detected(rng, 2000))
        inside += abs(found.b.b - 1) < found.b_sigma_total
    low, _ = coverage_band(n_runs, 0.683)
    # the fade leaves b some 0.02 too low: over 0.1 of total sigma this costs under 3 %
    assert low - 0.03 < inside / n_runs


def test_same_input_same_answer_and_order_does_not_matter():
    magnitudes = detected(np.random.default_rng(6), 1000)
    first, second = maximum_curvature(magnitudes), maximum_curvature(magnitudes[::-1])
    assert first == second


@pytest.mark.parametrize("function", [maximum_curvature, b_stability])
def test_too_few_events_are_refused(function):
    with pytest.raises(DataError, match=r"29 magnitudes.*at least 30"):
        function(np.linspace(1, 3, 29))


def test_degenerate_input_says_why():
    with pytest.raises(DataError, match="one bin"):
        b_value(np.full(50, 1.0), 1.0)
    with pytest.raises(DataError, match="needs at least 30"):
        b_value(np.linspace(1, 2, 100), 1.9)
    with pytest.raises(DataError, match="bin_width = 0"):
        b_value(np.ones(50), 1.0, bin_width=0)
    with pytest.raises(DataError, match="no finite"):
        magnitude_bins([np.nan])
    few = magnitude_distribution([1.0, np.nan, 2.0])
    assert few.b is None
    assert few.completeness is None
    assert np.isnan(few.b_sigma_total)
    assert any("at least 30" in reason for reason in few.reasons)


def test_bins_count_every_magnitude_once():
    centres, counts = magnitude_bins([0.95, 1.0, 1.04, 1.05, -0.3, np.nan, np.inf])
    assert counts.sum() == 5
    assert centres[0] == pytest.approx(-0.3)
    assert counts[np.isclose(centres, 1.0)] == 3  # half steps go up: 0.95 here, 1.05 above


def pairs(rng, ratio=1.75, n_events=8, n_stations=10, outliers=0.0, sigma=(0.05, 0.1)):
    """ARRIVALS and PICKS of P and S times with origins that nobody knows."""
    arrivals, sigmas = [], []
    for event in range(n_events):
        for station in range(n_stations):
            travel = rng.uniform(2, 12)
            for phase, time, s in zip("PS", (travel, ratio * travel), sigma, strict=True):
                shift = rng.normal(0, s)
                if rng.random() < outliers:
                    shift += rng.uniform(0.5, 2) * rng.choice([-1, 1])
                key = f"{event}/{station}/{phase}"
                at = pd.Timestamp("2020-01-01", tz="UTC") + pd.Timedelta(
                    round((time + shift + 100 * event) * 1e9), "ns"
                )
                name = f"X.S{station}..HH"
                arrivals.append((f"e{event}", key, name, phase, at, 1.0, 0.0, 0.0, 1.0))
                sigmas.append((key, name, phase, at, s))
    names = ["event_id", "pick_id", "station", "phase", "time"]
    more = ["distance_km", "azimuth_deg", "residual_s", "weight"]
    return (
        ARRIVALS.check(pd.DataFrame(arrivals, columns=[*names, *more])),
        PICKS.check(pd.DataFrame(sigmas, columns=["pick_id", *names[2:], "time_sigma_s"])),
    )


@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_wadati_covers_the_truth(outliers):
    rng = np.random.default_rng(11)
    errors, sigmas = [], []
    for _ in range(60):
        fit = wadati(*pairs(rng, outliers=outliers))
        errors.append(fit.vp_vs - 1.75)
        sigmas.append(fit.sigma)
    inside = np.mean(np.abs(errors) < sigmas)
    low, high = coverage_band(60, 0.683, extra=0.03)
    assert low < inside < high
    # no bias beyond four standard errors of the mean, with or without outliers
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(60)


def test_wadati_is_exact_without_noise():
    fit = wadati(*pairs(np.random.default_rng(1), ratio=1.8, sigma=(1e-9, 1e-9)))
    assert fit.vp_vs == pytest.approx(1.8, abs=1e-6)
    assert fit.s_minus_p_s == pytest.approx(0.8 * fit.p_travel_s, abs=1e-6)
    assert (fit.n_pairs, fit.n_events) == (80, 8)


def test_wadati_refuses_what_cannot_be_fitted():
    arrivals, picks = pairs(np.random.default_rng(1), n_events=1, n_stations=4)
    with pytest.raises(DataError, match="at least 5"):
        wadati(arrivals, picks)
    with pytest.raises(DataError, match="0 stations"):
        wadati(arrivals.iloc[:0], picks)
