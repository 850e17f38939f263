"""`fetch` takes station metadata and recordings from a server of ours, as from any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pytest
from service_run import LENGTH_S, START, STATION_CODES

from lithoscope.pipeline.fetch import Selection, fetch
from lithoscope.stations import read_stations
from lithoscope.waveforms import index_archive
from lithoscope.waveforms.fdsn import FdsnServer


def test_an_archive_fetched_from_our_own_service(address: str, small_run: Path, tmp_path) -> None:
    end = START.value + LENGTH_S * 10**9
    server = FdsnServer(address, requests_per_s=50.0)
    selection = Selection("XX,YY", "*", "*", "HH?,EH?", START.value, end)
    result = fetch(selection, tmp_path, server, retries=0)
    # Three components of three stations; one has a gap of 30 s (and a sample of 0.02 s).
    assert result.outcomes == {"complete": 6, "partial": 3, "empty": 0, "refused": 0}
    assert result.missing["channel"].str.startswith("XX.BBB.00.HH").all()
    assert result.missing["missing_s"].to_numpy() == pytest.approx(30.0, abs=0.03)
    archive = index_archive([tmp_path / "waveforms"])
    assert archive.stations() == sorted(STATION_CODES)
    for path in (small_run.parent / "data").glob("*.mseed"):
        true = obspy.read(str(path)).merge()[0]
        (held,) = (tmp_path / "waveforms").rglob(f"{true.id}.D.*")
        trace = obspy.read(str(held)).merge()[0]
        assert trace.stats.starttime == true.stats.starttime
        np.testing.assert_array_equal(np.ma.filled(trace.data, 0), np.ma.filled(true.data, 0))
    inventory = read_stations([tmp_path / "stations"], codes=archive.stations())
    assert set(inventory.stations["station"]) == set(STATION_CODES)
    assert len(inventory.responses) == 9
