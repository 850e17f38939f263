"""What must not change an answer, what is refused, and what is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from location_helpers import CENTRE, LAYERS, simulate
from scipy.stats import binom

from lithoscope.errors import ConfigError, DataError, StationError
from lithoscope.location import (
    DepthPrior,
    LocationSettings,
    MapPrior,
    NetworkLocator,
    Picked,
    ProductPrior,
    RegionPrior,
    _prepare,
    locate,
)
from lithoscope.location._summary import at_least
from lithoscope.schema import EVENTS, PICKS

EXACT = LocationSettings(model_error_floor_s=0.0, model_error_fraction=0.0)


@pytest.fixture(scope="module")
def data():
    return simulate(5, 3, n_p=12, n_s=8)


@pytest.fixture(scope="module")
def answer(data):
    assignments, picks, stations, _ = data
    return locate(assignments, picks, stations, LAYERS, EXACT, keep_samples=True)


def picked(assignments, picks):
    rows = assignments[["pick_id"]].merge(picks, on="pick_id")
    text = (rows[name].to_numpy(object) for name in ("pick_id", "station", "phase"))
    rows = PICKS.check(rows)
    numbers = (rows[name].to_numpy(float) for name in ("time_sigma_s", "probability"))
    return Picked(*text, rows["time"].to_numpy("datetime64[ns]"), *numbers)


def test_one_table_serves_all_events_of_a_network(data, monkeypatch):
    """Those of few stations need no other one, up to 800 km."""

    class Asked(Exception):
        pass

    def ask(*_, max_distance_km, **__):
        raise Asked(max_distance_km)

    monkeypatch.setattr(_prepare, "build_tables", ask)
    assignments, picks, stations, _ = data
    first = assignments[assignments["event_id"] == "ev00001"]
    few = first[first["pick_id"].isin(picks.sort_values("time")["pick_id"])].head(5)
    wide = stations.assign(longitude=12.0 + 40.0 * (stations["longitude"] - 12.0))

    def alone(rows, sites):
        with pytest.raises(Asked) as asked:
            locate(rows, picks, sites, LAYERS, EXACT)
        return asked.value.args[0]

    def network(rows, sites):
        with pytest.raises(Asked) as asked:
            NetworkLocator(sites, LAYERS, EXACT).locate("e", picked(rows, picks))
        return asked.value.args[0]

    assert alone(few, stations) < alone(first, stations)
    everywhere = {network(rows, stations) for rows in (few, first)}
    assert len(everywhere) == 1
    assert alone(few, stations) < everywhere.pop() <= 800.0
    assert network(few, wide) <= max(800.0, alone(few, wide))


def test_one_at_a_time_events_are_located_as_together(data, answer):
    assignments, picks, stations, _ = data
    locator = NetworkLocator(stations, LAYERS, EXACT)
    for name, mine in assignments.groupby("event_id"):
        found = locator.locate(name, picked(mine, picks))
        event = answer.events[answer.events["event_id"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(EVENTS.table([found.row]), event)
        arrivals = answer.arrivals[answer.arrivals["event_id"] == name]
        np.testing.assert_array_equal(found.arrivals["pick_id"], arrivals["pick_id"])
        np.testing.assert_array_equal(found.arrivals["residual_s"], arrivals["residual_s"])
        np.testing.assert_array_equal(found.arrivals["weight"], arrivals["weight"])
    too_few = locator.locate("e", picked(assignments.head(3), picks))
    assert too_few.row is None
    assert [p["problem"] for p in too_few.problems] == ["too few picks"]


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_changes_nothing(data, answer, seed):
    assignments, picks, stations, _ = data
    rng = np.random.default_rng(seed)
    mixed = [t.iloc[rng.permutation(len(t))] for t in (assignments, picks, stations)]
    again = locate(*mixed, LAYERS, EXACT)
    pd.testing.assert_frame_equal(again.events, answer.events)
    pd.testing.assert_frame_equal(again.arrivals, answer.arrivals)


def test_other_events_and_stations_change_nothing(data, answer):
    assignments, picks, stations, _ = data
    one = assignments[assignments["event_id"] == "ev00001"]
    mine = picks[picks["pick_id"].isin(one["pick_id"])]
    near = stations[stations["station"].isin(mine["station"])]
    alone = locate(one, mine, near, LAYERS, EXACT).events
    theirs = answer.events[answer.events["event_id"] == "ev00001"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, theirs)


def test_a_later_recording_gives_the_same_place(data, answer):
    assignments, picks, stations, _ = data
    later = picks.assign(time=picks["time"] + pd.Timedelta("400D 3.123456789s"))
    events = locate(assignments, later, stations, LAYERS, EXACT).events
    assert np.allclose(events["longitude"], answer.events["longitude"], rtol=0, atol=1e-9)
    shift = (events["time"] - answer.events["time"]) - pd.Timedelta("400D 3.123456789s")
    assert (shift.abs() <= pd.Timedelta("2ns")).all()


def test_samples_agree_with_the_table(answer):
    for row in answer.events.itertuples():
        draws = answer.samples[row.event_id]
        assert draws.shape == (EXACT.n_samples, 4)
        # The standard deviation of 800 draws is known to 2.5 %; four of those.
        assert np.std(draws[:, 3]) == pytest.approx(row.depth_sigma_km, rel=0.1)
        inside = np.mean(np.abs(draws[:, 0]) <= row.time_95_half_s)
        assert inside == pytest.approx(0.95, abs=0.03)


def test_every_pick_has_an_arrival_and_outliers_lose_their_weight(data, answer):
    _, picks, _, _ = data
    both = answer.arrivals.merge(picks[["pick_id", "wrong"]], on="pick_id")
    assert len(both) == len(picks)
    assert (both.loc[both["wrong"], "weight"] < 0.5).all()
    assert both.loc[~both["wrong"], "weight"].median() > 0.95


def test_too_few_picks_are_reported(data):
    assignments, picks, stations, _ = data
    found = locate(assignments[:3], picks, stations, LAYERS, EXACT)
    assert len(found.events) == 0
    assert found.problems["what"].tolist() == ["ev00000"]
    assert found.problems["problem"].tolist() == ["too few picks"]
    assert len(locate(assignments[:0], picks, stations, LAYERS).events) == 0


def test_picks_of_two_events_are_reported(data):
    """A third of the picks moved alike, as those of another event: left out, and said so."""
    assignments, picks, stations, _ = data
    one = assignments[assignments["event_id"] == "ev00002"]
    plain = locate(one, picks, stations, LAYERS, EXACT).problems
    assert "picks contradict each other" not in plain["problem"].tolist()
    moved = picks["pick_id"].isin(one["pick_id"][::3])
    mixed = picks.assign(time=picks["time"].where(~moved, picks["time"] + pd.Timedelta(4, "s")))
    found = locate(one, mixed, stations, LAYERS, EXACT).problems
    row = found[found["problem"] == "picks contradict each other"].iloc[0]
    assert row["what"] == "ev00002"
    assert f"of {len(one)} left out" in row["detail"]


def test_chance_of_many_outliers():
    """Against the binomial distribution, and by hand for two unlike chances."""
    assert at_least(0, np.array([0.3, 0.4])) == pytest.approx(1.0)
    assert at_least(1, np.array([0.3, 0.4])) == pytest.approx(1 - 0.7 * 0.6)
    assert at_least(2, np.array([0.3, 0.4])) == pytest.approx(0.12)
    assert at_least(3, np.full(20, 0.05)) == pytest.approx(binom.sf(2, 20, 0.05), rel=1e-9)


def test_two_stations_are_ambiguous(data):
    """P and S of two stations leave the mirror image: both must be in the region."""
    assignments, picks, stations, _ = data
    wanted = assignments[assignments["event_id"] == "ev00002"].merge(picks, on="pick_id")
    both = wanted.groupby("station")["phase"].transform("nunique") == 2
    names = sorted(wanted.loc[both & ~wanted["wrong"], "station"].unique())[:2]
    few = wanted[wanted["station"].isin(names)][["pick_id"]].assign(event_id="ev00002")
    row = locate(few, picks, stations, LAYERS, EXACT).events.iloc[0]
    assert row["ambiguous"]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"phase": "Pg"}, DataError, "must be P or S"),
        ({"time_sigma_s": 0.0}, DataError, "must be positive"),
        ({"time": pd.NaT}, DataError, "has no time"),
        ({"station": "XX.NONE..HH"}, StationError, "XX.NONE..HH"),
    ],
)
def test_bad_picks_are_named(data, change, error, text):
    assignments, picks, stations, _ = data
    column, value = next(iter(change.items()))
    bad = picks.astype({"time": object}) if value is pd.NaT else picks.copy()
    bad.loc[0, column] = value
    with pytest.raises(error, match=text) as caught:
        locate(assignments, bad, stations, LAYERS)
    assert "\n" not in str(caught.value)


def test_bad_tables_are_refused(data):
    assignments, picks, stations, _ = data
    with pytest.raises(DataError, match="more than one event"):
        locate(pd.concat([assignments, assignments[:1]]), picks, stations, LAYERS)
    with pytest.raises(DataError, match="not in the picks table"):
        locate(assignments, picks[5:], stations, LAYERS)
    swapped = stations.assign(latitude=stations["longitude"] + 90)
    with pytest.raises(StationError, match="swapped"):
        locate(assignments, picks, swapped, LAYERS)
    with pytest.raises(ConfigError, match="max_depth_km"):
        LocationSettings.parse({"min_depth_km": 10.0, "max_depth_km": 5.0})


def test_depth_prior_holds_the_depth(data):
    assignments, picks, stations, _ = data
    prior = DepthPrior("uniform", low_km=25.0, high_km=26.0)
    events = locate(assignments[:20], picks, stations, LAYERS, EXACT, prior=prior).events
    assert events["depth_km"].between(25.0, 26.0).all()
    assert events["depth_95_high_km"].le(26.0).all()


def test_gaussian_depth_prior_agrees_with_reweighted_samples(data, answer):
    assignments, picks, stations, _ = data
    plain = answer.events.iloc[0]
    width = 0.7 * plain["depth_sigma_km"]
    prior = DepthPrior("gaussian", mean_km=plain["depth_km"], sigma_km=width)
    row = locate(assignments, picks, stations, LAYERS, EXACT, prior=prior).events.iloc[0]
    depth = answer.samples[plain["event_id"]][:, 3]
    weight = np.exp(-0.5 * (depth / width) ** 2)
    weight /= weight.sum()
    mean = weight @ depth
    expected = np.sqrt(weight @ (depth - mean) ** 2)
    # Some 500 effective draws on either side: 4.5 % standard deviation of the ratio, three of it.
    assert row["depth_sigma_km"] == pytest.approx(expected, rel=0.135)


def test_region_and_map_priors_multiply():
    lon, lat = CENTRE.inverse([-5.0, 5.0], [-5.0, 5.0])
    region = RegionPrior.box(lon[0], lon[1], lat[0], lat[1])
    grid = MapPrior(
        np.linspace(lon[0], lon[1], 5), np.linspace(lat[0], lat[1], 5), np.eye(5), background=0.1
    )
    prior = ProductPrior((region, grid)).on(CENTRE)
    inside = prior.log_density([0.0, 2.5, 30.0], [0.0, -2.5, 0.0], [5.0, 5.0, 5.0])
    assert inside[0] == pytest.approx(0.0, abs=0.02)  # on the map's diagonal
    assert inside[1] == pytest.approx(np.log(0.1), abs=1e-6)  # background
    assert inside[2] == -np.inf  # outside the region
    with pytest.raises(ConfigError, match="not all zero"):
        MapPrior(np.arange(3.0), np.arange(3.0), np.zeros((3, 3)))
    with pytest.raises(ConfigError, match="three corners"):
        RegionPrior((1.0, 2.0), (1.0, 2.0))
