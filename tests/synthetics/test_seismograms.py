"""Simulated seismograms: causal, deterministic, with onsets where the truth says."""

import numpy as np
import pandas as pd
import pytest
from obspy import read

from lithoscope.errors import DataError, StorageError
from lithoscope.synthetics import (
    SeismogramSettings,
    random_network,
    simulate_catalogue,
    simulate_records,
    write_archive,
)
from lithoscope.traveltimes import builtin_model

MODEL = builtin_model("iasp91")
START = "2024-01-01T00:00:00"


def scene(seed=1, n_events=2, noise=20.0, duration_s=120.0):
    rng = np.random.default_rng(seed)
    stations = random_network(3, 20.0, rng)
    events = simulate_catalogue(n_events, rng, half_width_km=20.0, magnitude=(2.5, 3.0))
    events["time"] = pd.Timestamp(START, tz="UTC") + pd.to_timedelta(
        20.0 + 50.0 * np.arange(n_events), unit="s"
    )
    settings = SeismogramSettings(noise_counts=noise)
    records, onsets = simulate_records(
        events, stations, MODEL, rng, start=START, duration_s=duration_s, settings=settings
    )
    return stations, records, onsets


def test_no_precursor_and_energy_right_after_the_onset():
    _, records, onsets = scene(n_events=1, noise=1e-6)
    for record in records:
        times = record.times_ns()
        mine = onsets[onsets["station"] == record.station].set_index("phase")["time"]
        p = mine["P"].value
        assert not record.data[:, times < p].any()
        # In half a second P reaches its peak and S has not come.
        assert np.abs(record.data[0, (times >= p) & (times < p + 500_000_000)]).max() > 20.0


def test_p_is_vertical_and_s_horizontal():
    _, records, onsets = scene(n_events=1, noise=1e-6)
    for record in records:
        times = record.times_ns()
        mine = onsets[onsets["station"] == record.station].set_index("phase")["time"]
        p, s = mine["P"].value, mine["S"].value
        early = record.data[:, (times >= p) & (times < min(p + 100_000_000, s))]
        late = record.data[:, (times >= s) & (times < s + 100_000_000)]
        assert np.abs(early[0]).max() > np.abs(early[1:]).max()
        assert np.hypot(late[1], late[2]).max() > np.abs(late[0]).max()


def test_background_has_the_stated_size():
    _, records, _ = scene(n_events=0, noise=50.0, duration_s=600.0)
    # 60,000 samples with a correlation length of 19: standard error below 2 %.
    for record in records:
        np.testing.assert_allclose(record.data.std(axis=1), 50.0, rtol=0.08)


def test_deterministic():
    first, second, other = scene(3)[1], scene(3)[1], scene(4)[1]
    for a, b, c in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        assert not np.array_equal(a.data, c.data)


def test_archive_reads_back_what_was_written(tmp_path):
    stations, records, _ = scene()
    files = write_archive(tmp_path / "data", records, stations)
    assert len(files) == len(records)
    for file, record in zip(files, records, strict=True):
        stream = read(str(file))
        for code, row in zip(record.channels, record.data, strict=True):
            trace = stream.select(id=code)[0]
            np.testing.assert_array_equal(trace.data, row.astype(np.int32))
            assert trace.stats.starttime.ns == record.starttime_ns
    back = pd.read_csv(tmp_path / "data" / "stations.csv")
    assert back["station"].tolist() == stations["station"].tolist()


def test_bad_requests_are_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match="duration_s = 0"):
        scene(duration_s=0.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_archive(tmp_path / "file", [])
