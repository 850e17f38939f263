"""The archives of the real data: what is known of them by other means is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy.signal import tests as obspy_tests

from lithoscope.waveforms import index_archive, read_records, resample

pytestmark = pytest.mark.data


def ns(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").value)


def test_ridgecrest_is_read_bit_for_bit(real_data):
    folder = real_data("continuous/ridgecrest_2019/waveforms")
    archive = index_archive(folder)
    assert len(archive.stations()) == 21
    assert archive.problems.empty
    start, end = ns("2019-07-04 17:30"), ns("2019-07-04 17:40")
    for station in ("CI.CLC..HH", "PB.B916..EH"):
        records, _ = read_records(archive, station, start, end)
        assert len(records) == 1
        record = records[0]
        assert record.mask.all()
        stream = obspy.read(archive.of_station(station).iloc[0]["path"])
        for row, channel in enumerate(record.channels):
            trace = next(t for t in stream if t.id == channel)
            times = trace.stats.starttime.ns + 10_000_000 * np.arange(trace.stats.npts)
            keep = (times >= start) & (times < end)
            assert np.array_equal(record.data[row], trace.data[keep].astype(np.float32))
            assert record.starttime_ns == times[keep][0]


def test_ridgecrest_clips_in_the_main_shock_and_not_before(real_data):
    """M6.4 at 17:33:49 within 15 km of CI.CLC: broadband velocity leaves the 24-bit range."""
    archive = index_archive(real_data("continuous/ridgecrest_2019/waveforms"))
    clipped = {}
    for name, (a, b) in {"before": ("17:00", "17:30"), "main": ("17:33", "17:36")}.items():
        window = ns(f"2019-07-04 {a}"), ns(f"2019-07-04 {b}")
        found = [read_records(archive, s, *window)[0][0].clipped.any() for s in archive.stations()]
        clipped[name] = dict(zip(archive.stations(), found, strict=True))
    assert not any(clipped["before"].values())
    assert clipped["main"]["CI.CLC..HH"]
    assert sum(clipped["main"].values()) >= 10
    assert not clipped["main"]["CI.WNM..HN"]  # an accelerometer


def test_holuhraun_gaps_and_times(real_data):
    archive = index_archive(real_data("continuous/iceland_holuhraun_2014/mseed"))
    assert len(archive.stations()) == 12
    for station in archive.stations():
        records, problems = read_records(archive, station)
        assert problems[problems["problem"] == "overlap disagrees"].empty
        assert all(r.mask.all() for r in records)
        assert records[0].starttime_ns == ns("2014-08-24 00:01:00.12")
        assert records[1].starttime_ns == ns("2014-08-24 00:02:24.42")


def test_aegean_vertical_only_with_gaps(real_data):
    archive = index_archive(real_data("continuous/aegean_2020"))
    assert len(archive.stations()) == 9
    records, _ = read_records(archive, "HT.HORT..HH")
    assert len(records) == 10
    assert {tuple(r.mask) for r in records} == {(True, False, False)}
    gaps = archive.problems[archive.problems["what"] == "HT.HORT..HHZ"]
    assert gaps.iloc[0]["detail"].startswith("9 gap(s)")


@pytest.mark.parametrize(
    ("folder", "n_stations"),
    [
        ("continuous/le_teil_2019", 11),
        ("continuous/westmorland_2020", 16),
        ("continuous/iceland_hengill_2018", 20),
    ],
)
def test_folders_with_other_files_are_read_whole(real_data, folder, n_stations):
    archive = index_archive(real_data(folder))
    assert len(archive.stations()) == n_stations
    assert set(archive.problems["problem"]) == {"not waveforms"}
    for station in archive.stations()[:6]:
        for record in read_records(archive, station)[0]:
            at_100 = resample(record, 100.0)
            assert at_100.sampling_rate_hz == 100.0
            expected = record.n_samples * 100.0 / record.sampling_rate_hz
            assert abs(at_100.n_samples - expected) <= 1


def test_a_channel_without_a_code_is_named_and_skipped(real_data):
    archive = index_archive(real_data("continuous/iceland_holuhraun_2014"))
    assert "component unknown" in set(archive.problems["problem"])
    assert len(archive.stations()) == 12


def test_sds_archive_with_a_window_across_its_start(real_data):
    archive = index_archive(real_data("continuous/chile_cx_2014/archive"))
    start = ns("2014-05-01 00:00")
    records, _ = read_records(archive, "CX.PB01..HH", start, start + 600 * 10**9)
    assert len(records) == 1
    assert records[0].n_samples == 60_000
    assert records[0].starttime_ns == ns("2014-05-01 00:00:00.008393")  # the vertical's clock


def test_obspys_own_unterhaching_files():
    """ASCII files of four stations, some with two bands: they come with ObsPy."""
    folder = Path(obspy_tests.__file__).parent / "data"
    archive = index_archive(sorted(folder.glob("BW.UH?._.*.slist.gz")))
    bands = ["BW.UH1..EH", "BW.UH1..SH", "BW.UH2..SH", "BW.UH3..SH", "BW.UH4..EH"]
    assert archive.stations() == bands
    records, _ = read_records(archive, "BW.UH3..SH")
    assert len(records) == 1
    assert records[0].mask.all()
    assert [r.n_samples for r in read_records(archive, "BW.UH1..EH")[0]] == [2001, 2001]
    rates = {s: read_records(archive, s)[0][0].sampling_rate_hz for s in bands}
    assert rates == dict(zip(bands, (200.0, 50.0, 50.0, 50.0, 100.0), strict=True))
