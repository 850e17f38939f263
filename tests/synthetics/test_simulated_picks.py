"""Simulated networks, catalogues and picks hold what they promise."""

import numpy as np
import pandas as pd
import pytest

from lithoscope.errors import DataError, StationError
from lithoscope.geo import LocalProjection, distance_azimuth
from lithoscope.schema import PICKS, STATIONS
from lithoscope.synthetics import random_network, simulate_catalogue, simulate_picks
from lithoscope.traveltimes import builtin_model, travel_time

MODEL = builtin_model("southern_california")


def scene(seed=1, n_events=500, **options):
    rng = np.random.default_rng(seed)
    stations = random_network(30, 50.0, rng)
    events = simulate_catalogue(n_events, rng)
    return stations, events, simulate_picks(events, stations, MODEL, rng, **options)


def test_network_lies_in_its_square_and_is_spread_out():
    stations = random_network(30, 50.0, np.random.default_rng(0), longitude=15.0, latitude=-30.0)
    pd.testing.assert_frame_equal(STATIONS.check(stations), stations)
    plane = LocalProjection(15.0, -30.0)
    places = np.column_stack(plane.forward(stations["longitude"], stations["latitude"]))
    assert np.abs(places).max() <= 50.0
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e3 * np.eye(30)
    assert apart.min() > 2.0
    assert stations["station"].is_unique


def test_magnitudes_follow_gutenberg_richter():
    events = simulate_catalogue(20000, np.random.default_rng(0), b_value=1.0, magnitude=(1.0, 9.0))
    # Aki (1965): b = log10(e) / (mean - smallest), standard error b / sqrt(n); 4 sigma.
    b = np.log10(np.e) / (events["magnitude"].mean() - 1.0)
    assert b == pytest.approx(1.0, abs=4.0 / np.sqrt(20000))
    assert events["time"].is_monotonic_increasing


def test_rate_of_events():
    events = simulate_catalogue(5000, np.random.default_rng(0), every_s=10.0)
    gaps = events["time"].diff().dropna().dt.total_seconds()
    assert gaps.mean() == pytest.approx(10.0, abs=4 * 10.0 / np.sqrt(5000))


def test_pick_statistics_match_what_is_stated():
    _, events, made = scene()
    pd.testing.assert_frame_equal(PICKS.check(made.picks), made.picks)
    assert made.picks["pick_id"].tolist() == made.truth["pick_id"].tolist()
    assert made.picks["time"].is_monotonic_increasing
    assert 38 <= len(made.picks) / len(events) <= 42
    n = len(made.picks)
    outlier = made.truth["outlier"].to_numpy()
    assert outlier.mean() == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / n))
    moved = made.truth["error_s"].abs()[outlier]
    assert 1.5 < moved.min() < 2.5
    assert 5.5 < moved.max() < 6.5
    for phase, sigma in (("P", 0.05), ("S", 0.1)):
        good = (made.picks["phase"] == phase).to_numpy() & ~outlier
        error = made.truth["error_s"][good]
        assert error.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * good.sum()))
        assert abs(error.mean()) < 4 * sigma / np.sqrt(good.sum())
        assert (made.picks["time_sigma_s"][made.picks["phase"] == phase] == sigma).all()


def test_pick_is_origin_plus_travel_time_plus_error():
    stations, events, made = scene(n_events=30)
    table = made.picks.merge(made.truth, on="pick_id").merge(stations, on="station")
    table = table.merge(events, on="event_id", suffixes=("", "_event"))
    distance, _ = distance_azimuth(
        table["longitude_event"], table["latitude_event"], table["longitude"], table["latitude"]
    )
    for phase in "PS":
        use = table["phase"] == phase
        part = table[use]
        travel = travel_time(
            MODEL, phase, distance[use], part["depth_km"], -part["elevation_m"] / 1000.0
        )
        seen = (part["time"] - part["time_event"]).dt.total_seconds() - part["error_s"]
        np.testing.assert_allclose(seen, travel, atol=2e-9)  # times are whole nanoseconds


def test_noise_picks_are_the_stated_part_and_uniform():
    _, _, made = scene(noise_fraction=0.3)
    noise = (made.truth["event_id"] == "").to_numpy()
    assert noise.mean() == pytest.approx(0.3, abs=1e-4)
    moment = made.picks["time"].astype("int64").to_numpy()[noise]
    part = (moment - moment.min()) / np.ptp(moment)
    assert part.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * noise.sum()))
    assert made.picks["probability"].between(0, 1).all()


def test_detection_falls_with_distance_and_grows_with_magnitude():
    rng = np.random.default_rng(0)
    stations = random_network(30, 50.0, rng)
    events = simulate_catalogue(200, rng, magnitude=(1.0, 1.0))
    large = events.assign(magnitude=3.0)
    few = simulate_picks(events, stations, MODEL, np.random.default_rng(1), by_magnitude=True)
    many = simulate_picks(large, stations, MODEL, np.random.default_rng(1), by_magnitude=True)
    assert len(few.picks) < 0.7 * len(many.picks)


def test_every_event_can_be_given_enough_picks():
    _, events, made = scene(n_events=50, half_distance_km=5.0, min_picks=6)
    counts = made.truth["event_id"].value_counts()
    assert len(counts) == len(events)
    assert counts.min() >= 6


def test_same_seed_same_picks_other_seed_others():
    a, b, c = scene(7, 20)[2], scene(7, 20)[2], scene(8, 20)[2]
    pd.testing.assert_frame_equal(a.picks, b.picks)
    pd.testing.assert_frame_equal(a.truth, b.truth)
    assert a.picks["pick_id"].tolist() != c.picks["pick_id"].tolist()


def test_nothing_in_nothing_out():
    _, _, made = scene(n_events=0)
    assert len(made.picks) == 0
    assert len(made.truth) == 0


def test_bad_requests_are_refused_in_one_line():
    rng = np.random.default_rng(0)
    with pytest.raises(StationError, match="must be positive"):
        random_network(0, 50.0, rng)
    with pytest.raises(DataError, match="smaller value first"):
        simulate_catalogue(3, rng, depth_km=(10.0, 2.0))
    with pytest.raises(DataError, match=r"noise_fraction = 1;.*required"):
        scene(noise_fraction=1.0)
