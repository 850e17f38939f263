"""Calibration recovers known distortions, and refuses what it cannot know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.calibration import (
    Calibration,
    Curve,
    calibrated,
    expit,
    fit_probability,
    fit_sigma,
    fit_threshold,
    logit,
    sigma_factor,
    threshold,
)
from lithoscope.learning.reliability import calibration_error, coverage, reliability


def overconfident(n, seed=0):
    """Return raw probabilities, hits and true probabilities: raw log odds are twice too large."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-0.5, 1.5, n)
    return expit(2 * truth), rng.random(n) < expit(truth), expit(truth)


def test_probabilities_are_right_after_calibration():
    raw, hit, _ = overconfident(4000)
    curve = fit_probability(raw, hit)
    other, outcome, truth = overconfident(20000, seed=1)
    p = calibrated(curve, logit(other))
    # 15 classes of 267 picks: each knot is known to 0.03
    assert np.mean(np.abs(p - truth)) < 0.03
    assert calibration_error(p, outcome) < 0.03
    assert calibration_error(other, outcome) > 0.07
    table = reliability(p, outcome)
    assert table["n"].sum() == 20000
    assert (table["low"] < table["observed"]).all()
    assert (table["observed"] < table["high"]).all()


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 1000), n=st.integers(40, 400))
def test_calibration_keeps_the_order_and_is_continuous(seed, n):
    raw, hit, _ = overconfident(n, seed)
    if not 0 < hit.sum() < n:
        return
    curve = fit_probability(raw, hit)
    x = np.linspace(-14, 14, 20001)
    p = calibrated(curve, x)
    assert (np.diff(p) > 0).all()
    # steps would make a pick's probability jump where its raw value moves by a rounding error
    assert np.diff(p).max() < 0.05
    assert p[0] < 1e-3
    assert p[-1] < 1


def test_an_empty_curve_changes_nothing():
    x = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(calibrated(Curve(), x), expit(x))
    np.testing.assert_array_equal(sigma_factor(Curve(), expit(x)), 1.0)


def test_weights_balance_the_sources():
    raw = np.full(400, 0.5)
    hit = np.arange(400) < 300
    weight = np.where(hit, 1.0, 3.0)
    curve = fit_probability(raw, hit, weight=weight)
    assert calibrated(curve, 0.0) == pytest.approx(0.5, abs=0.01)


def test_sigmas_hold_68_percent_in_every_class():
    rng = np.random.default_rng(3)

    def sample(n):
        p = rng.uniform(0.2, 1.0, n)
        raw = np.exp(rng.normal(-3.5, 0.4, n))
        return rng.normal(0, raw * (3.0 - 2.0 * p)), raw, p

    residual, raw, p = sample(1500)
    curve = fit_sigma(residual, raw, p)
    residual, raw, p = sample(8000)
    table = coverage(residual, raw * sigma_factor(curve, p), p)
    # a class of the fit holds 250: 68 % is known to 3 %
    assert table["one_sigma"].between(0.62, 0.74).all()
    assert table["n"].iloc[-1] == 8000
    assert table["one_sigma"].iloc[-1] == pytest.approx(0.683, abs=0.03)
    assert table["two_sigma"].iloc[-1] == pytest.approx(0.954, abs=0.03)


def test_thresholds_keep_the_rate_asked_for_nine_times_in_ten():
    # Noise in which a threshold t leaves 60 (1 - sqrt(t)) picks an hour, seen for 3 hours only.
    rng = np.random.default_rng(4)
    rates = np.array([2.0, 5.0, 20.0])
    left = []
    for _ in range(400):
        curve = fit_threshold(rng.random(rng.poisson(60 * 3.0)) ** 2, 3.0, rates_per_hour=rates)
        left.append([60 * (1 - np.sqrt(threshold(curve, rate))) for rate in rates])
    kept = (np.array(left) <= rates).mean(axis=0)
    # 0.9 at least, as counts are whole; 400 draws know it to 0.015. Not so cautious as to be idle.
    assert (kept > 0.85).all()
    assert (np.mean(left, axis=0) > 0.3 * rates).all()


def test_thresholds_are_given_for_the_rates_that_the_noise_can_tell():
    rng = np.random.default_rng(4)
    curve = fit_threshold(rng.random(60 * 30) ** 2, 30.0)
    # 0.1 an hour is 3 in 30 hours: none of the picks may remain to be sure of that; 0.2 leaves 2
    assert (curve.x[0], curve.x[-1]) == (0.2, 50.0)
    assert threshold(curve, 3.0) < threshold(curve, 2.0)
    with pytest.raises(ConfigError, match=r"0\.01 false P picks.*measured from 0\.2 to 50"):
        threshold(curve, 0.01, what="P picks")
    with pytest.raises(ConfigError, match="no rate of false picks is known"):
        threshold(Curve(), 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_probability([0.5] * 10, [True] * 10), "10 picks; calibration needs at least"),
        (lambda: fit_probability([0.5] * 50, [True] * 50), "needs hits and misses"),
        (lambda: fit_sigma([0.1] * 50, [0.0] * 50, [0.5] * 50), "above zero"),
        (lambda: fit_sigma([0.1] * 5, [0.1] * 5, [0.5] * 5), "5 residuals"),
        (lambda: fit_threshold([0.5, 0.4], 10.0), "use more hours of noise"),
        (lambda: fit_threshold([0.5, 0.4], 0.0), "more than 0"),
        (lambda: reliability([0.5], [True, False]), "1 probabilities for 2 picks"),
        (lambda: reliability([1.5], [True]), "within 0 and 1"),
    ],
)
def test_too_little_or_wrong_data_is_refused(call, message):
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "y"), [((0.1, 0.2), (0.5,)), ((0.2, 0.1), (0.1, 0.2)), ((0.1, np.nan), (0.1, 0.2))]
)
def test_a_curve_of_other_shape_is_refused(x, y):
    with pytest.raises(ValidationError):
        Curve(x=x, y=y)


def test_the_tables_survive_a_file():
    raw, hit, _ = overconfident(500)
    before = Calibration(event=fit_probability(raw, hit))
    assert Calibration.parse(before.model_dump(mode="json")) == before
