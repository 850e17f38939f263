"""What `lithoscope check` says about an archive."""

from __future__ import annotations

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from lithoscope.stations import explain, preferred_stations, read_stations
from lithoscope.waveforms import index_archive

START = UTCDateTime(2020, 1, 1)


def write(folder, channel: str, n: int = 6000, *, start=START, rate=100.0, values=None):
    network, station, location, code = channel.split(".")
    if values is None:
        values = np.random.default_rng(len(code) + n).normal(0, 1000, n).astype(np.int32)
    header = {
        "network": network,
        "station": station,
        "location": location,
        "channel": code,
        "starttime": start,
        "sampling_rate": rate,
    }
    name = f"{channel}.{start.timestamp:.0f}.mseed"
    Stream([Trace(values, header)]).write(str(folder / name), format="MSEED")


def chosen(folder):
    return preferred_stations(index_archive(folder))


def test_seismometers_come_before_accelerometers_and_short_bands(tmp_path):
    for band in ("HN", "BH", "HH", "EH"):
        write(tmp_path, f"XX.A..{band}Z")
    codes, problems = chosen(tmp_path)
    assert codes == ["XX.A..HH"]
    assert len(problems) == 3
    assert set(problems["action"]) == {"XX.A..HH is used"}


def test_the_band_with_much_more_data_wins(tmp_path):
    write(tmp_path, "XX.A..SHZ", 20_000)
    write(tmp_path, "XX.A..EHZ", 2000)
    assert chosen(tmp_path)[0] == ["XX.A..SH"]


def test_three_components_win_over_one(tmp_path):
    write(tmp_path, "XX.A..HHZ")
    for component in "ZNE":
        write(tmp_path, f"XX.A..EH{component}")
    assert chosen(tmp_path)[0] == ["XX.A..EH"]


def test_a_band_from_another_time_is_used_too(tmp_path):
    write(tmp_path, "XX.A..SHZ")
    write(tmp_path, "XX.A..HHZ", start=START + 3600)
    codes, problems = chosen(tmp_path)
    assert codes == ["XX.A..HH", "XX.A..SH"]
    assert problems.empty


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for component in "ZNE":
        write(folder, f"XX.A..HH{component}", 6000)
    write(folder, "XX.A..HNZ", 6000)
    write(folder, "XX.B.00.EHZ", 2000)
    write(folder, "XX.B.00.EHZ", 2000, start=START + 40)
    write(folder, "XX.C..HHZ", values=np.full(6000, 5, np.int32))
    (folder / "notes.txt").write_text("nothing")
    table = tmp_path / "stations.csv"
    table.write_text(
        "network,station,band,longitude,latitude,elevation_m,unit,gain\n"
        "XX,A,HH,10,50,0,m/s,1e9\nXX,B,EH,10.1,50,0,,\n"
    )
    index = index_archive(folder)
    return index, read_stations(table, codes=index.stations())


def test_overview_and_problems(archive):
    overview, problems = explain(*archive)
    table = overview.set_index("station")
    assert list(table.index) == ["XX.A..HH", "XX.A..HN", "XX.B.00.EH", "XX.C..HH"]
    assert table["used"].tolist() == [True, False, True, False]
    assert table["amplitudes"].tolist() == ["gain", "none", "none", "none"]
    assert table.loc["XX.A..HN", "reason"] == "another band of the site is used"
    assert table.loc["XX.C..HH", "reason"] == "no coordinates"
    assert table.loc["XX.A..HH", "channels"] == "ENZ"
    assert table.loc["XX.B.00.EH", "n_gaps"] == 1
    assert table.loc["XX.B.00.EH", "available_percent"] == pytest.approx(100 * 40 / 60, abs=0.1)
    found = set(problems["problem"])
    assert found >= {"gap", "dead", "no metadata", "not waveforms", "second band of a site"}


def test_headers_alone_do_not_find_dead_channels(archive):
    seen = []
    _, problems = explain(*archive, read=False, progress=lambda done, of: seen.append((done, of)))
    assert "dead" not in set(problems["problem"])
    assert seen == [(k, 4) for k in range(1, 5)]
