"""The demo finds what ObsPy's own coincidence-trigger test finds, and nothing else."""

from __future__ import annotations

import re
import shutil
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy.signal.trigger import coincidence_trigger
from scipy.optimize import least_squares

from lithoscope.catalog import Store
from lithoscope.geo import distance_azimuth
from lithoscope.pipeline.demo import (
    TOP_KM,
    VP_GRADIENT_PER_S,
    VP_TOP_KM_S,
    VP_VS,
    demo_sources,
    demo_stations,
    run_demo,
)
from lithoscope.pipeline.relocate import Relocator
from lithoscope.pipeline.review import review
from lithoscope.pipeline.run import STORE_NAME

# obspy/signal/tests/test_trigger.py, test_coincidence_trigger: three events, no false triggers,
# each trigger inside the window asserted there.
TRIGGERS = [
    ("2010-05-27T16:24:31Z", "2010-05-27T16:24:35Z"),
    ("2010-05-27T16:26:59Z", "2010-05-27T16:27:03Z"),
    ("2010-05-27T16:27:27Z", "2010-05-27T16:27:33Z"),
]
LONGEST_TRAVEL_TIME = pd.Timedelta("4s")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    return run_demo(tmp_path_factory.mktemp("demo") / "run")


@pytest.fixture(scope="module")
def catalog(finished):
    return finished.catalog


def sensitive_triggers() -> list[pd.Timestamp]:
    """Return the triggers of that test's fifth, "extremely sensitive" part, as it sets them.

    By its own words four of the five are events.
    """
    stream = obspy.Stream([tr for path in demo_sources() for tr in obspy.read(str(path))])
    stream = stream.select(channel="*HZ")
    stream.filter("bandpass", freqmin=10, freqmax=20)
    ids = ["BW.UH1..SHZ", "BW.UH3..SHZ"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the other stations are not among the ids
        found = coincidence_trigger("recstalta", 2.5, 1, stream, 2, trace_ids=ids, sta=0.3, lta=5)
    return [pd.Timestamp(one["time"].datetime, tz="UTC") for one in found]


def test_the_three_events_and_no_invented_one(catalog) -> None:
    times = catalog.events["time"].sort_values()
    for start, end in TRIGGERS:
        earliest = pd.Timestamp(start) - LONGEST_TRAVEL_TIME
        assert ((times > earliest) & (times < pd.Timestamp(end))).sum() == 1
    triggers = sensitive_triggers()
    assert len(triggers) == 5
    for time in times:
        assert any(time < t < time + LONGEST_TRAVEL_TIME for t in triggers)
    assert len(times) <= 4


def test_events_lie_under_the_network_with_stated_errors(catalog) -> None:
    stations = catalog.stations
    for event in catalog.events.itertuples():
        offset, _ = distance_azimuth(
            event.longitude, event.latitude, stations["longitude"].mean(), 48.05
        )
        assert offset < 10
        # Four onsets leave a long ellipse; then the event must say so.
        assert 0 < event.east_sigma_km < (30 if event.ambiguous else 5)
        # A maximum on the model's top lies just outside the central 68 %.
        assert event.depth_68_low_km - 0.05 <= event.depth_km <= event.depth_68_high_km
        assert np.isnan(event.magnitude)
        assert event.magnitude_reason


def _sample_lines() -> list[str]:
    path = Path(str(files("obspy"))) / "io" / "nlloc" / "tests" / "data" / "nlloc_custom.hyp"
    return path.read_text().splitlines()


def test_station_coordinates_agree_with_a_second_source() -> None:
    rows = {line.split(",")[1]: line.split(",") for line in demo_stations().splitlines()[1:]}
    assert sorted(rows) == ["UH1", "UH2", "UH3", "UH4"]
    # UH1 in the station service's answer kept in ObsPy's SeisHub client test (48.081493 N,
    # 11.636093 E, 500 m): within 10 m.
    offset, _ = distance_azimuth(float(rows["UH1"][3]), float(rows["UH1"][4]), 11.636093, 48.081493)
    assert offset < 0.01
    # ObsPy's QuakeML version of the same event gives it in degrees; the distances from there to
    # our stations are those NonLinLoc printed.
    for line in _sample_lines():
        if re.match(r"UH\d ", line):
            code, printed = line.split()[0], float(line.partition(">")[2].split()[6])
            lon, lat = float(rows[code][3]), float(rows[code][4])
            offset, _ = distance_azimuth(11.6455375456, 48.0470705175, lon, lat)
            assert offset == pytest.approx(printed, abs=0.01)


def test_velocity_model_is_the_fit_it_is_said_to_be() -> None:
    distance, p_time, s_time = [], [], []
    for line in _sample_lines():
        if re.match(r"UH\d ", line):
            fields = line.partition(">")[2].split()
            seconds = float(fields[0]) + float(fields[-1])
            if " P " in line:
                distance.append(float(fields[6]))
                p_time.append(seconds)
            else:
                s_time.append(seconds)
    offset, source = np.array(distance), 4.57949

    def times(top: float, gradient: float) -> np.ndarray:
        bottom = top + gradient * (source - TOP_KM)
        squared = offset**2 + (source - TOP_KM) ** 2
        return np.arccosh(1 + gradient**2 * squared / (2 * top * bottom)) / gradient

    def misfit(x: np.ndarray) -> np.ndarray:
        t = times(x[0], x[1])
        return np.concatenate([t - p_time, t * x[2] - s_time])

    fit = least_squares(misfit, (3.0, 0.3, 1.8))
    np.testing.assert_allclose(fit.x, [VP_TOP_KM_S, VP_GRADIENT_PER_S, VP_VS], atol=6e-4)
    assert np.sqrt(np.mean(fit.fun**2)) < 0.026


def test_a_new_run_keeps_what_operators_decided(finished, tmp_path) -> None:
    """And relocation from the run's store alone gives the run's own answer."""
    output = Path(shutil.copytree(finished.path, tmp_path / "run"))
    before = finished.catalog.events
    rejected, moved = before["event_id"].iloc[:2]
    with Store(output / STORE_NAME) as store:
        solution = store.event(moved)
        again = Relocator.of(store).locate(solution).events
        names = ["longitude", "latitude", "depth_km", "time_sigma_s", "cov_up_up_km2"]
        np.testing.assert_allclose(again[names], solution.events[names], rtol=1e-9)
        review(store, rejected, "reject", user="ana", comment="not an earthquake")
        worst = solution.arrivals.sort_values("weight")["pick_id"].iloc[0]
        review(store, moved, "remove_pick", user="ana", pick_id=worst)
        reviewed = store.event(moved).events
    events = run_demo(output).catalog.events
    assert set(events["event_id"]) == set(before["event_id"]) - {rejected}
    mine = events[events["event_id"] == moved].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, reviewed)
    others = events[~events["event_id"].isin([rejected, moved])].reset_index(drop=True)
    untouched = before[~before["event_id"].isin([rejected, moved])].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, untouched)
    log = (output / "log.txt").read_text()
    assert "2 event(s) that operators reviewed are kept as they left them" in log
    exported = obspy.read_events(str(output / "exports" / "catalogue.xml"))
    event = next(e for e in exported if str(e.resource_id).endswith(moved))
    assert [o.evaluation_mode for o in event.origins] == ["automatic", "manual"]
