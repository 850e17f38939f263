"""Every station file of the real data can be read; known positions come out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lithoscope.errors import StationError
from lithoscope.stations import StationSettings, explain, read_stations, to_wood_anderson
from lithoscope.waveforms import index_archive, read_records

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("folder", "name", "settings", "n_stations", "first"),
    [
        ("continuous/ridgecrest_2019", "stations.csv", {}, 21, (-117.36453, 35.52495, 670.0)),
        (
            "continuous/iceland_holuhraun_2014",
            "iceland_stations.txt",
            {"elevation_unit": "km"},
            12,
            (-17.13372, 64.6836, 1381.0),
        ),
        ("continuous/aegean_2020", "aegean_stations.csv", {}, 9, (23.222, 39.3056, 510.0)),
        ("continuous/le_teil_2019", "stations.csv", {}, 11, (3.451818, 44.519686, 0.0)),
        ("continuous/westmorland_2020", "stations.csv", {}, 16, (-115.73, 33.365, -54.0)),
        ("continuous/westmorland_2020", "stations.xml", {}, 16, (-115.72963, 33.36465, -55.8)),
        (
            "continuous/iceland_hengill_2018/station_inventory",
            "stations.csv",
            {"elevation_unit": "m"},
            20,
            (-21.267, 64.049, 414.0),
        ),
        (
            "picks/italy_2016",
            "station.dat",
            {
                "columns": (
                    "longitude",
                    "latitude",
                    "network",
                    "station",
                    "channel",
                    "elevation_km",
                )
            },
            60,
            (12.7657, 42.5792, 253.0),
        ),
        ("picks/alaska_nonlinloc/obs", "station_coordinates.txt", {}, 80, None),
        ("picks/mt_carmel_2008", "MtCarmel_station.in", {}, 4, (-87.892303, 38.452702, 113.0)),
        ("continuous/chile_cx_2014", "CXstatlist.txt", {}, 22, None),
        ("picks/swiss_sed", "inventory_f474b7eb.scml", {}, 3, (8.318864, 46.578146, 1746.0)),
        ("picks/swiss_sed", "stations_ca7f0dde.scml", {}, 6, None),
        ("continuous/aegean_2020", "undervolc.xml", {}, None, (55.6529, -21.2437, 2373.0)),
    ],
)
def test_station_files(real_data, folder, name, settings, n_stations, first):
    inventory = read_stations(real_data(folder) / name, StationSettings(**settings))
    if n_stations is not None:
        assert len(inventory.stations) == n_stations
    if first is not None:
        columns = inventory.stations[["longitude", "latitude", "elevation_m"]].to_numpy()
        assert np.isclose(columns, first, rtol=0, atol=1e-4).all(axis=1).any()
    gains = inventory.channels["gain"].dropna()
    assert (gains > 0).all()


def test_elevations_without_a_unit_name_the_remedy(real_data):
    path = real_data("continuous/iceland_holuhraun_2014") / "iceland_stations.txt"
    with pytest.raises(StationError, match="set elevation_unit to 'm' or 'km'"):
        read_stations(path)


def test_swiss_epochs(real_data):
    inventory = read_stations(real_data("picks/swiss_sed") / "inventory_f474b7eb.scml")
    for year, elevation_m in ((2020, 1281.2), (2022, 1278.0)):
        moment = int(pd.Timestamp(year, 1, 1, tz="UTC").value)
        assert inventory.position("CH.HASLI..HH", moment)[2] == pytest.approx(elevation_m)
    assert inventory.channels["has_response"].all()


def test_ridgecrest_explained(real_data):
    folder = real_data("continuous/ridgecrest_2019")
    archive = index_archive(folder / "waveforms")
    inventory = read_stations(folder / "stations.csv", codes=archive.stations())
    overview, problems = explain(archive, inventory)
    table = overview.set_index("station")
    assert table["used"].all()
    assert (table["available_percent"] > 99.9).all()
    without = set(table.index[table["amplitudes"] == "none"])
    assert without == {"CI.WBS..HH", "CI.WOR..HH"}  # as the folder's README says
    clipped = problems[problems["problem"] == "clipped"]
    assert len({what.rsplit(".", 1)[0] for what in clipped["what"]}) >= 10
    assert (problems["problem"] == "orientation unknown").sum() == 4  # PB borehole stations


@pytest.mark.data
def test_response_that_contradicts_its_own_gain_is_refused(real_data):
    # SL.KOGS: input in nm/s**2 and a stage gain counted twice; ML 0.1 for an M 5.4 if believed.
    folder = real_data("events/usgs_gmprocess") / "fdsn" / "us70008dx7"
    archive = index_archive(folder)
    inventory = read_stations([folder / "SL.KOGS.xml"], codes=archive.stations())
    records, _ = read_records(archive, "SL.KOGS..HN")
    reasons = to_wood_anderson(records[0], inventory).reasons
    assert any("differ by a factor of 4.2e+05; check the metadata" in text for text in reasons)
