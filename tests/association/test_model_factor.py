"""How large an event's own model errors are, and which picks go to which event."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from lithoscope.association._fit import fit_factor
from lithoscope.association._refine import _matching

RULES = SimpleNamespace(model_doubt=1.0)
# Model errors of 0.2 s and picks of 0.05 s; gain of a pick at a noise rate of one in 100 s.
STATED2, OWN2, PEAK = 0.2**2, 0.05**2, np.log(100 / np.sqrt(2 * np.pi))


def factor(square: np.ndarray) -> float:
    fill = np.full(square.size, 1.0)
    return fit_factor.py_func(RULES, square, STATED2 * fill, OWN2 * fill, PEAK * fill)


def squares(rng: np.random.Generator, n: int, size: float) -> np.ndarray:
    """Return squares of residuals of model errors ``size`` times those stated, four fitted."""
    sigma = np.sqrt(size**2 * STATED2 + OWN2)
    return rng.normal(0, sigma, n) ** 2 * (n - 4) / n


@pytest.mark.parametrize(("size", "low", "high"), [(1.0, 0.7, 1.5), (0.0, 0.01, 0.1)])
def test_the_factor_is_that_of_the_residuals(size: float, low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    found = np.median([factor(squares(rng, 25, size)) for _ in range(20)])
    assert low <= found <= high


def test_few_picks_leave_the_factor_near_the_stated_errors() -> None:
    assert factor(np.zeros(5)) > 0.2
    assert factor(np.zeros(30)) < 0.02


def test_a_pick_of_another_event_leaves_the_factor_alone() -> None:
    good = squares(np.random.default_rng(4), 24, 0.3)
    assert factor(np.append(good, 1.5**2)) == pytest.approx(factor(good), rel=0.25)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_events=st.integers(1, 6),
    n_picks=st.integers(1, 6),
)
def test_picks_are_shared_out_so_that_the_sum_of_gains_is_largest(
    seed: int, n_events: int, n_picks: int
) -> None:
    rng = np.random.default_rng(seed)
    table = np.where(
        rng.random((n_events, n_picks)) < 0.6, rng.uniform(0.1, 10, (n_events, n_picks)), 0
    )
    events, members = np.nonzero(table)
    pairs = (events, members, np.zeros(events.size, dtype=np.int64), table[events, members])
    matched = _matching.py_func(pairs, n_picks) > 0
    assert np.unique(events[matched]).size == np.unique(members[matched]).size == matched.sum()
    rows, columns = linear_sum_assignment(-table)
    # Every bidder can miss the optimum by one step.
    assert table[rows, columns].sum() - pairs[3][matched].sum() <= 1e-3 * (n_events + 1)
