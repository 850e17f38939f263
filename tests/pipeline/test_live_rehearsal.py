"""What a watch does before data come."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

from lithoscope.errors import StationError
from lithoscope.location import NetworkLocator
from lithoscope.pipeline.live.aside import Aside
from lithoscope.pipeline.live.network import Network
from lithoscope.pipeline.live.rehearsal import is_network, locate_once, seek_once, until
from lithoscope.pipeline.settings import RunSettings
from lithoscope.schema import STATIONS
from lithoscope.traveltimes import builtin_model


def sites(n: int, spread_deg: float = 0.3) -> pd.DataFrame:
    """Return stations around a place."""
    angle = np.arange(n) * 2.4
    return STATIONS.table(
        {
            "station": [f"XX.S{k:03d}..HH" for k in range(n)],
            "longitude": 20.0 + spread_deg * np.cos(angle) * np.sqrt(np.arange(n) / n),
            "latitude": 40.0 + spread_deg * np.sin(angle) * np.sqrt(np.arange(n) / n),
            "elevation_m": np.full(n, 500.0),
        }
    )


def test_the_made_up_earthquake_is_found_and_located() -> None:
    """Else the code that follows a find would not be loaded."""
    some, settings = sites(7), RunSettings()
    model = builtin_model("iasp91")
    for found in seek_once(some, model, settings.association):
        (event,) = found
        assert len(event.pick_ids) >= 12
        assert abs(event.origin_s) < 1.0
    row = locate_once(NetworkLocator(some, model, settings.location), some).row
    assert row is not None
    assert abs(row["longitude"] - 20.0) < 0.05
    assert abs(row["latitude"] - 40.0) < 0.05


def test_only_what_may_be_one_network_is_rehearsed_on() -> None:
    assert is_network(sites(1))
    assert is_network(sites(100))
    assert not is_network(sites(101))
    assert not is_network(sites(0))
    assert not is_network(sites(20, spread_deg=8.0))


def test_a_rehearsal_reads_the_station_files(tmp_path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text("station,longitude,latitude,elevation_m\nXX.A,20,40,0\nXX.B,20.1,40,0\n")
    network = Network([path], RunSettings())
    assert list(network.expected()["longitude"]) == [20.0, 20.1]
    network.rehearse(Aside(apart=False))
    assert network.picked == []
    path.write_text("station,longitude,latitude,elevation_m\n")
    with pytest.raises(StationError, match="no usable station"):
        Network([path], RunSettings()).rehearse(Aside(apart=False))


def test_work_that_is_waited_for_is_left_when_stopped_and_its_errors_come_here() -> None:
    seen: list[int] = []
    stop, go = threading.Event(), threading.Event()
    until(stop, lambda: seen.append(1))
    assert seen == [1]
    with pytest.raises(ZeroDivisionError):
        until(stop, lambda: seen.append(1 // 0))
    threading.Timer(0.05, stop.set).start()
    until(stop, lambda: bool(go.wait(60.0)) and None)
    assert not go.is_set()
    go.set()
