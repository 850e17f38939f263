"""Matching is one to one and optimal; differences have the right signs."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lithoscope.catalog import compare, read_reference
from lithoscope.errors import DataError
from lithoscope.geo import LocalProjection, distance_azimuth

T0 = pd.Timestamp("2019-07-04T17:00:00", tz="UTC")
PLANE = LocalProjection(10.0, 45.0)


def table(rows: list[tuple[float, float, float]], prefix: str) -> pd.DataFrame:
    """Return events from (seconds, east km, north km)."""
    lon, lat = PLANE.inverse([r[1] for r in rows], [r[2] for r in rows])
    return pd.DataFrame(
        {
            "event_id": [f"{prefix}{i}" for i in range(len(rows))],
            "time": [T0 + pd.Timedelta(r[0], "s") for r in rows],
            "longitude": np.atleast_1d(lon),
            "latitude": np.atleast_1d(lat),
            "depth_km": 8.0,
            "magnitude": [1.0 + i for i in range(len(rows))],
        }
    )


def best_by_force(a: pd.DataFrame, b: pd.DataFrame, time_s: float, distance_km: float):
    """Return the largest number of pairs and its smallest cost over all matchings."""
    cost = np.full((len(a), len(b)), np.inf)
    for i, x in enumerate(a.itertuples()):
        for j, y in enumerate(b.itertuples()):
            dt = abs((x.time - y.time).total_seconds())
            d, _ = distance_azimuth(x.longitude, x.latitude, y.longitude, y.latitude)
            if dt <= time_s and d <= distance_km:
                cost[i, j] = (dt / time_s) ** 2 + (d / distance_km) ** 2
    best = (0, 0.0)
    slots = [*range(len(b)), *[-1] * len(a)]
    for choice in set(permutations(slots, len(a))):
        pairs = [(i, j) for i, j in enumerate(choice) if j >= 0 and np.isfinite(cost[i, j])]
        total = float(sum(cost[i, j] for i, j in pairs))
        best = max(best, (len(pairs), -total))
    return best


EVENTS = st.lists(
    st.tuples(st.floats(0, 6), st.floats(-6, 6), st.floats(-6, 6)), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(EVENTS, EVENTS)
def test_the_matching_is_the_best_there_is(ours, theirs):
    a, b = table(ours, "a"), table(theirs, "b")
    result = compare(a, b, time_s=2.0, distance_km=5.0)
    pairs = result.matched
    assert pairs["event_id"].is_unique
    assert pairs["reference_id"].is_unique
    assert (pairs["time_difference_s"].abs() <= 2.0).all()
    assert (pairs["distance_km"] <= 5.0).all()
    cost = (pairs["time_difference_s"] / 2.0) ** 2 + (pairs["distance_km"] / 5.0) ** 2
    n, negative = best_by_force(a, b, 2.0, 5.0)
    assert len(pairs) == n
    assert cost.sum() == pytest.approx(-negative, abs=1e-6)
    found = [*pairs["event_id"], *result.new["event_id"], *result.outside["event_id"]]
    assert sorted(found) == sorted(a["event_id"])
    reference = [*pairs["reference_id"], *result.missed["event_id"]]
    assert sorted(reference) == sorted(b["event_id"])


def test_nearest_first_would_lose_a_pair():
    a = table([(0.0, 0, 0), (1.9, 0, 0)], "a")
    b = table([(0.9, 0, 0), (-1.0, 0, 0)], "b")
    assert len(compare(a, b).matched) == 2


def test_differences_are_event_minus_reference():
    a = table([(1.0, 3.0, -2.0)], "a").assign(depth_km=10.0, magnitude=2.5)
    b = table([(0.5, 0.0, 0.0)], "b").assign(depth_km=8.0, magnitude=3.0)
    row = compare(a, b).matched.iloc[0]
    assert row["time_difference_s"] == pytest.approx(0.5)
    # The plane is exact along lines through its centre, where the reference lies.
    assert row["east_difference_km"] == pytest.approx(3.0, abs=1e-3)
    assert row["north_difference_km"] == pytest.approx(-2.0, abs=1e-3)
    assert row["distance_km"] == pytest.approx(np.hypot(3, 2), abs=1e-3)
    assert row["depth_difference_km"] == 2.0
    assert row["magnitude_difference"] == -0.5


def test_the_summary_counts_what_both_have():
    a = table([(0.0, 0, 0), (100.0, 1, 0), (200.0, 2, 0)], "a").assign(magnitude=[1.0, np.nan, 3.2])
    b = table([(0.1, 0, 0), (100.3, 1, 0), (200.2, 2, 0)], "b").assign(magnitude=[1.2, 2.0, 3.0])
    summary = compare(a, b).summary.set_index("difference")
    assert summary.loc["time_difference_s", "median"] == pytest.approx(-0.2)
    assert summary.loc["time_difference_s", "mad"] == pytest.approx(0.1)
    assert summary.loc["magnitude_difference", "n"] == 2
    assert summary.loc["magnitude_difference", "median_absolute"] == pytest.approx(0.2)


def test_events_outside_the_reference_are_not_called_new():
    a = table([(-100.0, 0, 0), (0.0, 0, 0), (50.0, 20, 0), (500.0, 0, 0)], "a")
    b = table([(0.5, 0, 0), (100.0, 0, 0)], "b")
    result = compare(a, b)
    assert result.outside["event_id"].tolist() == ["a0", "a3"]
    assert result.new["event_id"].tolist() == ["a2"]
    assert result.missed["event_id"].tolist() == ["b1"]
    longer = compare(a, b, span=(T0 - pd.Timedelta("5s"), T0 + pd.Timedelta("600s")))
    assert longer.new["event_id"].tolist() == ["a2", "a3"]
    shorter = compare(a, b, span=(T0 - pd.Timedelta("5s"), T0 + pd.Timedelta("60s")))
    assert shorter.missed.empty
    assert shorter.reference_outside["event_id"].tolist() == ["b1"]


@pytest.mark.parametrize("empty", ["events", "reference", "both"])
def test_empty_catalogues(empty):
    full = table([(0.0, 0, 0)], "a")
    a = full.iloc[:0] if empty in ("events", "both") else full
    b = full.iloc[:0] if empty in ("reference", "both") else full
    result = compare(a, b)
    assert result.matched.empty
    assert len(result.missed) == len(b)
    assert len(result.new) + len(result.outside) == len(a)
    assert result.summary["n"].eq(0).all()


def test_a_thousand_events_at_once_are_still_fast():
    rng = np.random.default_rng(5)
    rows = [(float(t), *rng.normal(0, 3, 2)) for t in np.sort(rng.uniform(0, 3600, 1000))]
    a, b = table(rows, "a"), table([(t + 0.2, x, y) for t, x, y in rows], "b")
    assert len(compare(a, b).matched) == 1000


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        ({}, {"time_s": 0.0}, "above zero"),
        ({"latitude": np.nan}, {}, "no time or position"),
        ({"event_id": "same"}, {}, "occurs twice"),
        ({}, {"span": (T0, T0)}, "start must be earlier"),
    ],
)
def test_bad_input(change, kwargs, message):
    a = table([(0.0, 0, 0), (10.0, 0, 0)], "a")
    with pytest.raises(DataError, match=message):
        compare(a.assign(**change), a, **kwargs)
    with pytest.raises(DataError, match="lacks column"):
        compare(a.drop(columns="depth_km"), a)


@pytest.mark.data
def test_references_of_the_data_folders(real_data):
    folder = real_data("continuous/ridgecrest_2019") / "reference"
    scsn = read_reference(folder / "scsn_to_1733.tsv")
    assert len(scsn) == 15
    assert scsn["depth_km"].between(6, 13.5).all()
    assert scsn["time"].iloc[0] == pd.Timestamp("2019-07-04T17:02:55.340Z")
    gamma = read_reference(folder / "gamma_to_1733.tsv")
    result = compare(gamma, scsn, distance_km=10.0)
    assert len(result.matched) >= 8
    iceland = read_reference(
        real_data("continuous/iceland_holuhraun_2014") / "reference_events.csv"
    )
    assert len(iceland) == 27
    assert iceland["event_id"].str.startswith("2014").all()
    reloc = read_reference(real_data("picks/italy_2016") / "reference" / "hypoDD.reloc")
    assert len(reloc) == 539
    assert reloc["magnitude"].isna().all()
