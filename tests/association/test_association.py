"""Association against simulated truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pick_simulator import (
    EPOCH_S,
    LAYERED,
    Simulation,
    evaluate,
    finish,
    make_events,
    make_picks,
    make_stations,
    simulate,
)

from lithoscope.association import (
    Association,
    AssociationSettings,
    PickArrays,
    associate,
    find_events,
    search_ground,
)
from lithoscope.errors import ConfigError, DataError, StationError
from lithoscope.geo import distance_azimuth

FEW = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))


def events_at(rows: list[tuple[float, float, float, float, int]]) -> pd.DataFrame:
    """Return events from rows of time after the epoch, east, north, depth and stations."""
    table = pd.DataFrame(rows, columns=["time_s", "east", "north", "depth_km", "n_stations"])
    return table.assign(time_s=table["time_s"] + EPOCH_S)


def members(result: Association) -> set[frozenset[str]]:
    groups = result.assignments.groupby("event_id")["pick_id"]
    return {frozenset(group) for _, group in groups}


@pytest.fixture(scope="module")
def hour() -> Simulation:
    """An hour with 20 events, noise included."""
    rng = np.random.default_rng(11)
    stations = make_stations(rng)
    events = make_events(rng, 20, 1.0)
    picks = make_picks(rng, stations, events, LAYERED, hours=1.0)
    return Simulation(picks, stations, LAYERED, events)


def test_ten_thousand_picks_are_associated_right() -> None:
    simulation = simulate(10_000, seed=1)
    result = associate(simulation.picks, simulation.stations, simulation.model)
    figures = evaluate(simulation, result)
    assert figures["event_recall"] >= 0.98
    assert figures["event_precision"] >= 0.98
    assert figures["pick_recall"] >= 0.97
    assert figures["pick_precision"] >= 0.97


def test_events_every_ten_seconds() -> None:
    # Picks of several events cross in time at every station.
    rng = np.random.default_rng(5)
    stations = make_stations(rng)
    events = make_events(rng, 60, 1 / 6)
    picks = make_picks(rng, stations, events, LAYERED, hours=1 / 6)
    simulation = Simulation(picks, stations, LAYERED, events)
    figures = evaluate(simulation, associate(picks, stations, LAYERED))
    assert figures["event_recall"] >= 0.98
    assert figures["event_precision"] >= 0.98
    assert figures["pick_recall"] >= 0.97
    assert figures["pick_precision"] >= 0.97


def test_events_mixed_in_one_are_parted() -> None:
    # 200 s in which wide windows find an event of more picks than the two that it is made of.
    dense = simulate(10_000, seed=203, hours=0.794)
    first, last = (pd.Timestamp(EPOCH_S + s, unit="s", tz="UTC") for s in (1800, 2000))
    picks = dense.picks[dense.picks["time"].between(first, last)]
    simulation = Simulation(picks, dense.stations, LAYERED, dense.events)
    figures = evaluate(simulation, associate(picks, dense.stations, LAYERED))
    assert figures["event_precision"] == 1.0
    assert figures["pick_recall"] >= 0.97
    assert figures["pick_precision"] >= 0.97


def test_origins_are_near_the_truth(hour: Simulation) -> None:
    result = associate(hour.picks, hour.stations, LAYERED)
    assert len(result.candidates) == len(hour.events)
    off_s = (
        result.candidates["time"].astype("int64").to_numpy() / 1e9
        - hour.events["time_s"].to_numpy()
    )
    # The tolerance is that of a preliminary origin: the model error allowed at 20 km of P path.
    assert np.median(np.abs(off_s)) < 0.15
    assert set(result.assignments["pick_id"]) <= set(hour.picks["pick_id"])
    assert not result.assignments["pick_id"].duplicated().any()
    assert result.assignments["residual_s"].abs().median() < 0.1


@pytest.mark.parametrize("gap_s", [3.0, 6.0])
def test_two_events_seconds_apart_both_survive(gap_s: float) -> None:
    rng = np.random.default_rng(2)
    stations = make_stations(rng)
    events = events_at([(600, 5, 5, 8, 20), (600 + gap_s, 5.5, 5, 8, 16)])
    picks = make_picks(rng, stations, events, LAYERED, hours=1.0, noise=0.5)
    simulation = Simulation(picks, stations, LAYERED, events)
    figures = evaluate(simulation, associate(picks, stations, LAYERED))
    assert figures["event_recall"] == 1.0
    assert figures["event_precision"] == 1.0
    assert figures["pick_precision"] > 0.95


def test_simultaneous_events_far_apart_both_survive() -> None:
    rng = np.random.default_rng(3)
    stations = make_stations(rng)
    events = events_at([(600, -30, -30, 8, 10), (601, 30, 30, 8, 10)])
    picks = make_picks(rng, stations, events, LAYERED, hours=1.0, noise=0.3)
    simulation = Simulation(picks, stations, LAYERED, events)
    figures = evaluate(simulation, associate(picks, stations, LAYERED))
    assert figures["event_recall"] == 1.0
    assert figures["event_precision"] == 1.0


def test_p_of_one_event_and_s_of_another_at_one_onset_go_to_both() -> None:
    rng = np.random.default_rng(12)
    stations = make_stations(rng)
    first, second = (600, -5, -5, 8, 30), (600, 20, 15, 8, 30)
    both = [
        make_picks(rng, stations, events_at([e]), LAYERED, hours=1.0, noise=0)
        for e in (first, second)
    ]
    # The second event moves so that its P meets the first one's S at a station.
    s_picks = both[0][both[0]["phase"] == "S"].set_index("station")["time"]
    p_picks = both[1][both[1]["phase"] == "P"].set_index("station")["time"]
    place = s_picks.index.intersection(p_picks.index)[0]
    late = s_picks[place] - p_picks[place] + pd.Timedelta(seconds=0.1)
    later = both[1].assign(time=both[1]["time"] + late, event=1)
    later["pick_id"] = later["pick_id"] + "-later"
    picks = pd.concat([both[0].assign(event=0), later], ignore_index=True)
    result = associate(picks, stations, LAYERED)
    assert len(result.candidates) == 2
    owner = result.assignments.set_index("pick_id")["event_id"]
    met = picks[(picks["station"] == place)].set_index(["event", "phase"])["pick_id"]
    assert owner[met[0, "S"]] == owner[met[0, "P"]]
    assert owner[met[1, "P"]] != owner[met[0, "S"]]


@pytest.mark.parametrize("seed", [0, 1])
def test_coda_of_a_large_event_spawns_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stations = make_stations(rng)
    events = events_at([(600, 0, 0, 8, 30)])
    picks = make_picks(rng, stations, events, LAYERED, hours=1.0, noise=0.0)
    arrival = picks.groupby("station")["time"].min().astype("int64") / 1e9
    coda = [
        (-1, site, phase, arrival[code] + rng.exponential(20.0))
        for site, code in enumerate(stations["station"])
        if code in arrival
        for phase in "PPPPSSSS"
    ]
    table = pd.DataFrame(coda, columns=["event", "site", "phase", "t"])
    picks = pd.concat([picks, finish(table, stations, rng)], ignore_index=True)
    result = associate(picks, stations, LAYERED)
    assert len(result.candidates) == 1
    assert result.candidates["n_p"].iloc[0] >= 25


def test_late_triggers_at_every_station_are_no_second_event() -> None:
    # S onsets that the picker called P, at all stations: they lie on one moveout, the wrong one.
    rng = np.random.default_rng(4)
    stations = make_stations(rng)
    events = events_at([(600, 0, 0, 8, 30)])
    picks = make_picks(rng, stations, events, LAYERED, hours=1.0, noise=0.0)
    false = picks[picks["phase"] == "S"].assign(phase="P", event=-1)
    false["pick_id"] = false["pick_id"] + "x"
    result = associate(pd.concat([picks, false]), stations, LAYERED)
    assert len(result.candidates) == 1


def test_noise_alone_makes_no_events() -> None:
    rng = np.random.default_rng(6)
    stations = make_stations(rng)
    n = 8000
    table = pd.DataFrame(
        {
            "event": -1,
            "site": rng.integers(0, 30, n),
            "phase": rng.choice(["P", "S"], n),
            "t": EPOCH_S + rng.uniform(0, 86400, n),
        }
    )
    result = associate(finish(table, stations, rng), stations, LAYERED)
    # Allowed are 0.1 a day.
    assert len(result.candidates) == 0
    assert result.assignments.empty


def small_network(rng: np.random.Generator) -> pd.DataFrame:
    stations = make_stations(rng, 4, 5.0)
    stations["longitude"] = [12.96, 13.04, 12.97, 13.05]
    stations["latitude"] = [42.77, 42.78, 42.83, 42.84]
    return stations


def test_four_stations_within_ten_kilometres() -> None:
    rng = np.random.default_rng(7)
    stations = small_network(rng)
    events = events_at([(t, 1, -1, 4, 4) for t in (500, 1500, 2800)])
    picks = make_picks(rng, stations, events, LAYERED, hours=1.0, noise=0.0, shares=(1.0, 0.8))
    # All P, one or two S, and a noise pick a station every five minutes.
    p = picks[picks["phase"] == "P"]
    s = picks[picks["phase"] == "S"].groupby("event").head(2)
    noise = pd.DataFrame(
        {
            "event": -1,
            "site": rng.integers(0, 4, 48),
            "phase": rng.choice(["P", "S"], 48),
            "t": EPOCH_S + rng.uniform(0, 3600, 48),
        }
    )
    picks = pd.concat([p, s, finish(noise, stations, rng)], ignore_index=True)
    simulation = Simulation(picks, stations, LAYERED, events)
    result = associate(picks, stations, LAYERED)
    figures = evaluate(simulation, result)
    assert figures["event_recall"] == 1.0
    assert figures["event_precision"] == 1.0


def test_p_picks_alone_make_events() -> None:
    rng = np.random.default_rng(8)
    stations = make_stations(rng, 10, 100.0)
    events = events_at([(500, 20, 10, 8, 10), (1500, -40, 30, 10, 10)])
    picks = make_picks(rng, stations, events, LAYERED, hours=1.0, noise=0.4)
    picks = picks[picks["phase"] == "P"]
    figures = evaluate(
        Simulation(picks, stations, LAYERED, events), associate(picks, stations, LAYERED)
    )
    assert figures["event_recall"] == 1.0
    assert figures["event_precision"] == 1.0


def test_two_instruments_of_a_site_count_once_and_share_the_event(hour: Simulation) -> None:
    extra = hour.stations.assign(station=hour.stations["station"].str.replace("HH", "HN"))
    both = hour.picks.assign(station=hour.picks["station"].str.replace("HH", "HN"))
    both["pick_id"] = both["pick_id"].str.replace("HH", "HN")
    stations = pd.concat([hour.stations, extra], ignore_index=True)
    result = associate(pd.concat([hour.picks, both]), stations, LAYERED)
    alone = associate(hour.picks, hour.stations, LAYERED)
    assert len(result.candidates) == len(alone.candidates)
    assert len(result.assignments) == 2 * len(alone.assignments)


@FEW
@given(seed=st.integers(0, 1000))
def test_order_of_rows_changes_nothing(hour: Simulation, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picks = hour.picks.sample(frac=1.0, random_state=rng)
    stations = hour.stations.sample(frac=1.0, random_state=rng)
    expected = associate(hour.picks, hour.stations, LAYERED)
    result = associate(picks, stations, LAYERED)
    pd.testing.assert_frame_equal(result.candidates, expected.candidates)
    pd.testing.assert_frame_equal(result.assignments, expected.assignments)


@FEW
@given(days=st.floats(1.1, 400.0), before=st.booleans())
def test_picks_far_away_in_time_change_nothing(hour: Simulation, days: float, before: bool) -> None:
    expected = associate(hour.picks, hour.stations, LAYERED)
    shift = pd.Timedelta(days=-days if before else days).round("us")
    other = hour.picks.assign(time=hour.picks["time"] + shift)
    other["pick_id"] = other["pick_id"] + "-other"
    result = associate(pd.concat([other, hour.picks]), hour.stations, LAYERED)
    half_day = pd.Timedelta(hours=12)
    first, last = hour.picks["time"].min() - half_day, hour.picks["time"].max() + half_day
    mine = result.candidates[result.candidates["time"].between(first, last)]
    pd.testing.assert_frame_equal(mine.reset_index(drop=True), expected.candidates)


@FEW
@given(shift_s=st.floats(0.001, 5000.0))
def test_shifted_picks_make_the_same_events(hour: Simulation, shift_s: float) -> None:
    expected = associate(hour.picks, hour.stations, LAYERED)
    moved = hour.picks.assign(time=hour.picks["time"] + pd.Timedelta(seconds=shift_s).round("us"))
    assert members(associate(moved, hour.stations, LAYERED)) == members(expected)


def test_a_different_cut_of_time_gives_the_same_events() -> None:
    # An event far enough from the cut does not feel what is beyond it.
    simulation = simulate(1000, seed=4, hours=24.0)
    window = pd.Timedelta(hours=5)
    begin = simulation.picks["time"].min()
    chosen = AssociationSettings(alive_window_s=3600.0)
    whole = associate(simulation.picks, simulation.stations, LAYERED, chosen)
    part = simulation.picks[simulation.picks["time"].between(begin + window, begin + 3 * window)]
    cut = associate(part, simulation.stations, LAYERED, chosen)
    inner = (begin + window + window / 2, begin + 2.5 * window)
    a = whole.candidates[whole.candidates["time"].between(*inner)].reset_index(drop=True)
    b = cut.candidates[cut.candidates["time"].between(*inner)].reset_index(drop=True)
    assert len(a) >= 3
    pd.testing.assert_frame_equal(a, b)


def test_a_part_of_the_time_has_the_events_that_all_of_it_has_there(hour: Simulation) -> None:
    whole = associate(hour.picks, hour.stations, hour.model)
    times = whole.candidates["time"].astype("int64").to_numpy() / 1e9
    gaps = np.diff(times)
    cuts = times[:-1][gaps > 20.0] + 10.0
    begin, end = cuts[len(cuts) // 3], cuts[2 * len(cuts) // 3]
    inside = set(whole.candidates["event_id"][(times > begin) & (times < end)])
    assert 5 < len(inside) < len(times) - 10
    others = whole.assignments[~whole.assignments["event_id"].isin(inside)]["pick_id"]
    part = associate(
        *(hour.picks, hour.stations, hour.model), span_s=(begin, end), explained=set(others)
    )
    assert set(part.candidates["event_id"]) == inside
    mine = whole.assignments[whole.assignments["event_id"].isin(inside)]
    assert set(part.assignments["pick_id"]) == set(mine["pick_id"])


def test_without_tables_and_on_known_ground_the_events_are_the_same(hour: Simulation) -> None:
    ground = search_ground(hour.stations, hour.model)
    picks, how = PickArrays.of_table(hour.picks), AssociationSettings()
    whole = associate(hour.picks, hour.stations, hour.model).assignments
    expected = {
        str(name): dict(zip(mine["pick_id"], mine["residual_s"], strict=True))
        for name, mine in whole.groupby("event_id")
    }
    for _ in range(2):  # the second time all cells are known
        found = find_events(picks, ground, how)
        assert [e.time_ns for e in found] == sorted(e.time_ns for e in found)
        again = {e.event_id: dict(zip(e.pick_ids, e.residuals_s, strict=True)) for e in found}
        assert again == expected
    assert find_events(picks.take(slice(0, 1)), ground, how) == []
    assert find_events(picks.take(slice(0, 0)), ground, how) == []


def test_no_picks_make_no_events(hour: Simulation) -> None:
    result = associate(hour.picks.iloc[:0], hour.stations, LAYERED)
    assert result.candidates.empty
    assert result.assignments.empty


def test_one_pick_makes_no_event(hour: Simulation) -> None:
    assert associate(hour.picks.iloc[:1], hour.stations, LAYERED).candidates.empty


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("phase", "Pn", "use P or S"),
        ("time", pd.NaT, "has no time"),
        ("time_sigma_s", 0.0, "must be positive"),
        ("time_sigma_s", np.nan, "must be positive"),
    ],
)
def test_unusable_picks_are_named(hour: Simulation, column: str, value: object, words: str) -> None:
    picks = hour.picks.copy()
    picks[column] = picks[column].where(picks.index != 3, value)
    with pytest.raises(DataError, match=words) as caught:
        associate(picks, hour.stations, LAYERED)
    assert picks["pick_id"].iloc[3] in str(caught.value)


def test_pick_ids_must_be_unique(hour: Simulation) -> None:
    picks = pd.concat([hour.picks, hour.picks.iloc[:1]])
    with pytest.raises(DataError, match="more than once"):
        associate(picks, hour.stations, LAYERED)


def test_an_unknown_station_is_named(hour: Simulation) -> None:
    with pytest.raises(StationError, match=r"XX\.S00"):
        associate(hour.picks, hour.stations.iloc[1:], LAYERED)


def test_a_station_without_coordinates_is_named(hour: Simulation) -> None:
    stations = hour.stations.copy()
    stations.loc[2, "latitude"] = np.nan
    with pytest.raises(StationError, match="S02"):
        associate(hour.picks, stations, LAYERED)


def test_depths_that_cannot_be_are_refused(hour: Simulation) -> None:
    with pytest.raises(ConfigError, match="max_depth_km"):
        associate(hour.picks, hour.stations, LAYERED, AssociationSettings(max_depth_km=-5.0))


def test_epicentres_lie_inside_the_region(hour: Simulation) -> None:
    result = associate(hour.picks, hour.stations, LAYERED, AssociationSettings(margin_km=5.0))
    away, _ = distance_azimuth(
        13.0, 42.8, result.candidates["longitude"], result.candidates["latitude"]
    )
    assert (away < 55.0 * np.sqrt(2)).all()
