"""The generic core against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from lithoscope.inversion import (
    StudentMixture,
    covariance,
    half_widths,
    inlier_probability,
    mixture,
    sample_adaptively,
    scaled_ellipse,
    shortest_intervals,
)


def test_mixture_is_gaussian_near_zero_and_flat_far_out():
    expected = 0.9 * stats.norm.pdf(0.07, scale=0.05) + 0.1 / 20
    assert mixture(0.07, 0.05, 0.1, 20.0) == pytest.approx(expected, rel=1e-12)
    assert mixture(5.0, 0.05, 0.1, 20.0) == pytest.approx(0.1 / 20, rel=1e-12)
    assert inlier_probability(5.0, 0.05, 0.1, 20.0) == pytest.approx(0.0, abs=1e-12)
    mass = integrate.quad(lambda r: mixture(r, 0.05, 0.1, 20.0), -10, 10, points=[0.0])[0]
    assert mass == pytest.approx(1.0, abs=1e-6)


def test_student_mixture_density_is_scipys():
    matrix = np.array([[2.0, 0.6], [0.6, 1.0]])
    ours = StudentMixture.from_covariances(
        np.array([0.3, 0.7]), np.array([[0.0, 0.0], [3.0, 1.0]]), np.stack([matrix, matrix]), 5.0
    )
    points = np.random.default_rng(0).normal(size=(20, 2))
    theirs = 0.3 * stats.multivariate_t.pdf(points, [0, 0], matrix, df=5)
    theirs += 0.7 * stats.multivariate_t.pdf(points, [3, 1], matrix, df=5)
    assert np.allclose(np.exp(ours.log_density(points)), theirs, rtol=1e-10)


def test_sampler_finds_two_modes_from_a_poor_start():
    """Truth: 0.25 N(-3, 0.5) + 0.75 N(3, 1) in each of two dimensions' first axis."""

    def log_posterior(x):
        one = 0.25 * stats.norm.pdf(x[:, 0], -3, 0.5) + 0.75 * stats.norm.pdf(x[:, 0], 3, 1)
        return np.log(one + 1e-300) - 0.5 * x[:, 1] ** 2

    start = StudentMixture.from_covariances(
        np.ones(2), np.array([[-2.0, 1.0], [2.0, -1.0]]), np.stack([np.eye(2) * 4] * 2)
    )
    answer = sample_adaptively(
        log_posterior, start, np.random.default_rng(1), target=4000, n_round=4000
    )
    assert answer.status == "converged"
    mean, matrix = covariance(answer.points, answer.weights)
    # Closed form: mean 1.5, variance 0.25 * 0.25 + 0.75 + 0.25 * 0.75 * 36; five standard errors.
    assert mean[0] == pytest.approx(1.5, abs=5 * 2.75 / math.sqrt(4000))
    assert matrix[0, 0] == pytest.approx(7.5625, rel=0.1)
    low = float(answer.weights[answer.points[:, 0] < 0].sum())
    assert low == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / 4000))


def test_a_hopeless_start_is_not_called_converged():
    start = StudentMixture.from_covariances(np.ones(1), np.array([[50.0]]), np.array([[[0.01]]]))
    answer = sample_adaptively(
        lambda x: -0.5 * x[:, 0] ** 2 / 1e-4,
        start,
        np.random.default_rng(0),
        target=500,
        n_round=100,
        max_rounds=2,
    )
    assert answer.status == "low effective size"


def test_shortest_interval_of_an_exponential_starts_at_zero():
    rng = np.random.default_rng(3)
    values = rng.exponential(1.0, 20_000)
    weights = np.full(20_000, 1 / 20_000)
    (low, high), (_, high95) = shortest_intervals(values, weights, (0.68, 0.95))
    assert low < 1e-3
    # -ln(1 - mass), known to sqrt(mass / (1 - mass) / n); four of those.
    assert high == pytest.approx(-math.log(0.32), abs=4 * math.sqrt(0.68 / 0.32 / 20_000))
    assert high95 == pytest.approx(-math.log(0.05), abs=4 * math.sqrt(0.95 / 0.05 / 20_000))


def test_ellipse_and_half_widths_hold_their_mass():
    rng = np.random.default_rng(5)
    points = rng.multivariate_normal([1.0, 2.0], [[4.0, 1.0], [1.0, 1.0]], 20_000)
    weights = np.full(20_000, 1 / 20_000)
    axes, directions, scales = scaled_ellipse(points, weights, np.array([1.0, 2.0]), (0.68, 0.95))
    # Closed form: sqrt(-2 ln(1 - mass)) for a Gaussian.
    assert scales[0] == pytest.approx(math.sqrt(-2 * math.log(0.32)), rel=0.02)
    assert scales[1] == pytest.approx(math.sqrt(-2 * math.log(0.05)), rel=0.02)
    values = np.linalg.eigvalsh([[4.0, 1.0], [1.0, 1.0]])[::-1]
    assert np.allclose(axes**2, values, rtol=0.05)
    assert np.allclose(directions.T @ directions, np.eye(2))
    assert half_widths(points[:, 0], weights, 1.0, (0.68,))[0] == pytest.approx(
        2 * stats.norm.ppf(0.84), rel=0.03
    )
