"""How large model errors really are, from the residuals of the events found so far."""

from __future__ import annotations

import numpy as np
import pytest

from lithoscope.association._arrays import Net, Picks
from lithoscope.association._errors import model_factors

ERROR_S, FRACTION, OWN_S = 0.05, 0.03, 0.05
HOUR_S = 3600.0


def residuals_of(n_events: int, factor: float, hours: np.ndarray) -> tuple[Net, Picks, tuple]:
    """Return network, picks, and (origins, residuals, chosen) of events of 20 arrivals each."""
    rng = np.random.default_rng(17)
    n_rows = 20
    travel = rng.uniform(2.0, 20.0, (n_events, n_rows))
    sigma2 = factor * (ERROR_S**2 + (FRACTION * travel) ** 2) + OWN_S**2
    # Four unknowns of each event have taken their part of the scatter.
    residuals = rng.normal(size=travel.shape) * np.sqrt(sigma2 * (n_rows - 4) / n_rows)
    origins = np.zeros((n_events, 4))
    origins[:, 3] = HOUR_S * (hours + 0.5)
    chosen = np.arange(n_events * n_rows).reshape(n_events, n_rows)
    time = (origins[:, 3, None] + travel + residuals).ravel()
    n_hours = int(hours.max()) + 1
    picks = Picks(
        start=np.arange(n_rows + 1) * n_events,
        time=time,
        sigma=np.full(time.size, OWN_S),
        rate=np.ones(time.size),
        gain=np.ones(time.size),
        twin=np.full(time.size, -1),
        sigma_max=np.full(n_rows, OWN_S),
        alive=np.ones((n_hours, n_rows), dtype=bool),
        first_hour=0,
        model2=np.ones(n_hours),
    )
    nothing = np.empty(0)
    net = Net(nothing, nothing, None, 60.0, ERROR_S, FRACTION)
    return net, picks, (origins, residuals, chosen)


@pytest.mark.parametrize("factor", [0.03, 0.3, 1.0, 3.0])
def test_the_factor_of_simulated_residuals_is_found(factor: float) -> None:
    net, picks, events = residuals_of(300, factor, np.zeros(300))
    found = model_factors(net, picks, *events, HOUR_S)
    # Factors tried are 26 % apart; the scatter of 6000 residuals and the prior add a few per cent.
    assert found[0] == pytest.approx(factor, rel=0.2)


def test_without_events_the_stated_errors_hold() -> None:
    net, picks, events = residuals_of(1, 0.1, np.array([0.0]))
    none = tuple(part[:0] for part in events)
    # The prior is wide, its mean in the logarithm stays near one.
    assert model_factors(net, picks, *none, HOUR_S)[0] == pytest.approx(1.0, rel=0.1)
    few = model_factors(net, picks, *events, HOUR_S)[0]
    assert 0.1 < few < 1.0  # one event moves it part of the way


def test_events_beyond_the_window_change_no_digit() -> None:
    hours = np.repeat([0.0, 1.0, 5.0, 9.0], 30)
    net, picks, events = residuals_of(hours.size, 0.2, hours)
    whole = model_factors(net, picks, *events, 2 * HOUR_S)
    near = hours < 6
    part = model_factors(net, picks, *(v[near] for v in events), 2 * HOUR_S)
    np.testing.assert_array_equal(whole[:7], part[:7])
    assert whole[9] != part[9]
