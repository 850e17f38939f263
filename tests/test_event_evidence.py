"""The score of `benchmarks/event_evidence.py`: what it makes of real, absent and shared onsets."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import event_evidence as ev

from lithoscope.constants import NS_PER_S
from lithoscope.traveltimes import builtin_model

LENGTH_S = 600.0
START = pd.Timestamp("2020-01-01", tz="UTC")
MODEL = builtin_model("iasp91")


def event(second: float, longitude: float = 10.0) -> pd.Series:
    """Return an event some seconds after the start of the data."""
    at = START + pd.Timedelta(second, "s")
    return pd.Series({"time": at, "longitude": longitude, "latitude": 45.0, "depth_km": 8.0})


def make(events: list[pd.Series], n_stations: int = 10, seed: int = 0) -> ev.Evidence:
    """Return noise of a picker with the onsets of events and as many random ones a station."""
    rng = np.random.default_rng(seed)
    angle = np.arange(n_stations) * 2.4
    sites = pd.DataFrame(
        {
            "station": [f"XX.S{k}..HH" for k in range(n_stations)],
            "longitude": 10.0 + 0.03 * np.sqrt(1 + np.arange(n_stations)) * np.cos(angle),
            "latitude": 45.0 + 0.03 * np.sqrt(1 + np.arange(n_stations)) * np.sin(angle),
            "elevation_m": 0.0,
        }
    )
    n = int(LENGTH_S / ev.STEP_S)
    blank = ev.Evidence(
        START.value, sites, MODEL, np.zeros((n_stations, 2)), np.zeros((n_stations, 2, n))
    )
    curves = rng.random((n_stations, 2, n)).astype(np.float32)
    width = round(ev.TOLERANCE_S / ev.STEP_S)
    for s in range(n_stations):
        for phase in (0, 1):
            at = [blank.seconds(one) + blank.arrivals(one)[1][s, phase] for one in events]
            for moment in [*at, *rng.uniform(0, LENGTH_S, 2 * len(events))]:
                k = round(moment / ev.STEP_S)
                curves[s, phase, max(k - width, 0) : k + width + 1] = 1.0 + rng.random()
    surprises = np.stack([[ev.surprise(c) for c in both] for both in curves])
    return ev.Evidence(START.value, sites, MODEL, blank.terms, surprises)


def chance_of(evidence: ev.Evidence, turns: int = 3) -> tuple[ev.Chance, ev.Plan]:
    """Return the scores of turned traces over a coarse grid."""
    grid = [event(0.0, 10.0 + east) for east in np.linspace(-0.1, 0.1, 15)]
    plan = ev.plan_of(evidence, grid)
    rng = np.random.default_rng(1)
    parts = [ev.each_second(ev.scan(ev.turned(evidence, rng), plan)[0]) for _ in range(turns)]
    return ev.Chance(np.sort(np.concatenate(parts, axis=1), axis=1)), plan


def test_surprise_has_mean_one_by_chance_and_one_where_there_are_no_data() -> None:
    curve = np.random.default_rng(0).random(24_000).astype(np.float32)
    curve[5000:6000] = np.nan
    found = ev.surprise(curve)
    assert (found[5000:6000] == 1.0).all()
    # Every stretch holds each rank once, so the mean is 1 but for the last of Stirling's terms.
    assert np.delete(found, slice(5000, 6000)).mean() == pytest.approx(1.0, abs=2e-3)


def test_events_are_real_and_phantoms_are_not() -> None:
    events = [event(s) for s in (50.0, 170.0, 290.0, 410.0, 530.0)]
    evidence = make(events)
    chance, plan = chance_of(evidence)
    for one in events:
        assert ev.verdict(chance.part(evidence.score(one)) * LENGTH_S) == "real"
    rng = np.random.default_rng(2)
    for one in events:  # time-shuffled: each station turned by a time of its own
        shuffled = ev.replace(evidence, surprises=ev.turned(evidence, rng))
        assert ev.verdict(chance.part(shuffled.score(one)) * LENGTH_S) == "like chance"
    # A moment and place without an event, over the true traces.
    assert ev.verdict(chance.part(evidence.score(event(110.0))) * LENGTH_S) == "like chance"
    # Even the best of all places and moments of shuffled data: a search finds no real event.
    best = ev.each_second(ev.scan(ev.turned(evidence, rng), plan)[0])
    assert min(chance.part(column) for column in best.T) * LENGTH_S > ev.REAL / 10


def test_parts_are_how_often_chance_scores_as_high() -> None:
    evidence = make([event(s) for s in (50.0, 290.0)])
    chance, plan = chance_of(evidence, 4)
    fresh = ev.turned(evidence, np.random.default_rng(3))
    parts = np.array([chance.part(column) for column in ev.each_second(ev.scan(fresh, plan)[0]).T])
    for level in (0.1, 0.3):
        # The best of three numbers of stations, times three: no more often than the level says,
        # within three binomial deviations of 600 seconds that are alike over some 3 s each.
        assert (parts <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 200)


def test_what_another_event_explains_is_no_evidence() -> None:
    one, ghost = event(300.0), event(300.3, 10.01)
    evidence = make([one])
    chance, _ = chance_of(evidence)
    assert ev.verdict(chance.part(evidence.score(ghost)) * LENGTH_S) == "real"
    rest = evidence.without(one.to_frame().T.astype({"time": "datetime64[ns, UTC]"}))
    assert ev.verdict(chance.part(rest.score(ghost)) * LENGTH_S) == "like chance"
    later = event(320.0)
    assert rest.score(later) == pytest.approx(evidence.score(later))


def test_onsets_are_the_largest_probability_around_each_step() -> None:
    class Stub:
        def unusable(self, record: object) -> None:
            return None

        def annotate(self, record: object) -> np.ndarray:
            out = np.zeros((3, 1000), np.float32)
            out[0, 500] = 0.9
            return out

    class Stretch:
        sampling_rate_hz, n_samples = 100.0, 1000
        starttime_ns = START.value + 2 * NS_PER_S

    found = ev.onsets([Stretch()], Stub(), START.value, 300)  # type: ignore[list-item, arg-type]
    assert np.isnan(found[:, :40]).all()
    assert np.isnan(found[:, 240:]).all()
    high = np.flatnonzero(found[0] > 0.5) * ev.STEP_S  # the sample lies 7 s after the start
    assert high.min() == pytest.approx(7.0 - ev.TOLERANCE_S)
    assert high.max() == pytest.approx(7.0 + ev.TOLERANCE_S)
    assert (found[1, 40:240] == 0).all()
