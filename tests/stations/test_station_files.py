"""Station metadata from tables and inventories, and what is wrong with them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from obspy import UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity

from lithoscope.errors import ConfigError, StationError
from lithoscope.stations import StationSettings, read_stations

HEADER = "network,station,location,band,longitude,latitude,elevation_m\n"
NOW_NS = 1_600_000_000 * 10**9


def table(tmp_path, text: str, name: str = "stations.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def names(inventory) -> set[str]:
    return set(inventory.problems["problem"])


def refused(path, match: str, **settings) -> None:
    with pytest.raises(StationError, match=match) as error:
        read_stations(path, StationSettings(**settings))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (
            "network,station,location,band,longitude,latitude,elevation_m",
            "XX,AAA,,HH,10.5,50.25,1234",
        ),
        ("net,sta,loc,cha,lon,lat,elevation_km", "XX,AAA,--,HHZ,10.5,50.25,1.234"),
        ("station\tlng\tlat\telv(m)", "XX.AAA..HH\t10.5\t50.25\t1234"),
        ("Latitude;Longitude;Elevation [km];Name", "50.25;10.5;1.234;XX.AAA"),
        ("station lon lat elev_m depth_m", "XX.AAA 10.5 50.25 1240 6"),
        ("# a comment\n\nnetwork,station,longitude,latitude,height_m", "XX,AAA,10.5,50.25,1234"),
        ('"network","station","latidude","longitude","elevation_m"', '"XX","AAA",50.25,10.5,1234'),
    ],
)
def test_many_ways_to_write_a_table(tmp_path, header, row):
    inventory = read_stations(table(tmp_path, f"{header}\n{row}\n"), codes=["XX.AAA..HH"])
    assert inventory.position("XX.AAA..HH", NOW_NS) == (10.5, 50.25, pytest.approx(1234.0))


def test_elevation_without_a_unit_is_refused_unless_set(tmp_path):
    path = table(tmp_path, "station,longitude,latitude,elevation\nA,10,50,1.5\n")
    refused(
        path,
        "'elevation' has no unit; rename it elevation_m or elevation_km, or set elevation_unit",
    )
    settings = StationSettings(elevation_unit="km")
    assert read_stations(path, settings).stations["elevation_m"].tolist() == [1500.0]


def test_no_elevation_is_assumed_and_reported(tmp_path):
    inventory = read_stations(table(tmp_path, "station,longitude,latitude\nA,10,50\n"))
    assert inventory.stations["elevation_m"].tolist() == [0.0]
    assert inventory.problems.iloc[0]["action"] == "0 m assumed"


def test_a_table_without_header_needs_the_columns(tmp_path):
    path = table(tmp_path, "13.35 42.97 XO AM05 EHZ 0.464\n", "station.dat")
    refused(path, "no header line; name the columns in order in the setting 'columns'")
    columns = ("longitude", "latitude", "network", "station", "channel", "elevation_km")
    inventory = read_stations(path, StationSettings(columns=columns))
    row = inventory.stations.iloc[0]
    assert (row["longitude"], row["latitude"], row["elevation_m"]) == (13.35, 42.97, 464.0)


def test_nonlinloc_lines(tmp_path):
    text = "# label\nGTSRCE  AAA LATLON 38.45 -87.89 0.1 0.113\n"
    inventory = read_stations(table(tmp_path, text, "sta.in"), codes=["XX.AAA..HH"])
    assert inventory.position("XX.AAA..HH", NOW_NS) == (-87.89, 38.45, pytest.approx(13.0))
    refused(table(tmp_path, "GTSRCE A XYZ 1 2 3 4\n"), "is no GTSRCE line of type LATLON")


@pytest.mark.parametrize(
    ("header", "gains", "expected"),
    [
        (
            "unit,gain_counts_per_unit_ENZ_or_12Z",
            "m/s,1/2/3",
            {"E": 1, "N": 2, "Z": 3, "1": 1, "2": 2},
        ),
        ("unit,gain", "m/s,5", {"E": 5, "N": 5, "Z": 5, "1": 5, "2": 5}),
        ("unit,gain", "nm/s,5", {"Z": 5e9}),
        ("unit,gain_ZNE", "m/s^2,1/2/3", {"Z": 1, "N": 2, "E": 3}),
    ],
)
def test_gains(tmp_path, header, gains, expected):
    text = f"station,longitude,latitude,elevation_m,{header}\nXX.A..HH,10,50,0,{gains}\n"
    channels = read_stations(table(tmp_path, text)).channels.set_index("channel")
    for component, gain in expected.items():
        assert channels.loc[f"XX.A..HH{component}", "gain"] == pytest.approx(gain)
    assert set(channels["unit"]) <= {"m/s", "m/s**2"}


def test_gains_in_a_component_column(tmp_path):
    header = "station\tlng\tlat\telv(m)\tunit\tcomponent\tresponse\n"
    text = header + "XX.A..HH\t1\t2\t3\tm/s\tE,N,Z\t7,8,9\n"
    channels = read_stations(table(tmp_path, text)).channels.set_index("channel")
    assert channels.loc["XX.A..HHZ", "gain"] == 9
    assert channels.loc["XX.A..HHZ", "dip_deg"] == -90
    assert channels.loc["XX.A..HHE", "azimuth_deg"] == 90


def test_gains_of_unknown_order_are_not_guessed(tmp_path):
    text = "station,longitude,latitude,elevation_m,unit,gain\nXX.A..HH,10,50,0,m/s,1/2/3\n"
    inventory = read_stations(table(tmp_path, text))
    assert inventory.channels.empty
    assert names(inventory) == {"gain order unknown"}


@pytest.mark.parametrize(("gain", "name"), [("-3", "negative gain"), ("0", "zero gain")])
def test_gains_that_are_not_positive(tmp_path, gain, name):
    text = f"station,longitude,latitude,elevation_m,unit,gain\nXX.A..HH,10,50,0,m/s,{gain}\n"
    inventory = read_stations(table(tmp_path, text))
    assert names(inventory) == {name}
    assert inventory.channels["gain"].isna().all()
    assert len(inventory.stations) == 1


def test_station_without_coordinates(tmp_path):
    inventory = read_stations(
        table(tmp_path, HEADER + "XX,A,,HH,10,50,0\nXX,B,,HH,,,0\nXX,C,,HH,0,0,0\n")
    )
    assert inventory.stations["station"].tolist() == ["XX.A..HH"]
    assert inventory.problems["what"].tolist() == ["XX.B..HH", "XX.C..HH"]
    assert names(inventory) == {"no coordinates"}
    with pytest.raises(StationError, match=r"'XX\.B\.\.HH' has no metadata"):
        inventory.position("XX.B..HH", NOW_NS)


def test_no_station_with_coordinates_at_all(tmp_path):
    refused(
        table(tmp_path, HEADER + "XX,B,,HH,,,0\n"), "no usable station in it; XX.B..HH: no coord"
    )


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("XX,B,,HH,35.5,-117.4,0", "coordinates swapped"),
        ("XX,B,,HH,10,500,0", "coordinates out of range"),
        ("XX,B,,HH,-200,50,0", "coordinates out of range"),
        ("XX,B,,HH,50.1,10.1,0", "coordinates swapped"),  # within range, but not with the others
        ("XX,B,,HH,10,50,12345", "elevation out of range"),
    ],
)
def test_impossible_positions(tmp_path, row, name):
    good = "".join(f"XX,A{k},,HH,{10 + k / 10},{50 - k / 10},100\n" for k in range(5))
    inventory = read_stations(table(tmp_path, HEADER + good + row + "\n"))
    assert names(inventory) == {name}
    assert inventory.problems.iloc[0]["what"] == "XX.B..HH"
    assert len(inventory.stations) == 5


def test_a_far_station_that_no_swap_explains_is_kept(tmp_path):
    good = "".join(f"XX,A{k},,HH,{10 + k / 10},{50 - k / 10},100\n" for k in range(5))
    inventory = read_stations(table(tmp_path, HEADER + good + "XX,B,,HH,-120,40,0\n"))
    assert len(inventory.stations) == 6
    assert inventory.problems.empty


def test_longitudes_to_360_are_turned(tmp_path):
    inventory = read_stations(table(tmp_path, HEADER + "XX,A,,HH,242.5,35,0\n"))
    assert inventory.stations["longitude"].tolist() == [-117.5]


def test_two_stations_at_one_place_are_reported_and_kept(tmp_path):
    rows = "XX,A,,HH,10,50,0\nXX,A,,HN,10,50,0\nXX,B,,HH,10,50,0\n"
    inventory = read_stations(table(tmp_path, HEADER + rows))
    assert len(inventory.stations) == 3
    assert len(inventory.problems) == 1
    assert inventory.problems.iloc[0]["problem"] == "stations at one place"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no stations in it"),
        ("longitude,latitude\n1,2\n", "no column 'station'"),
        (HEADER + "XX,A,,HH,ten,50,0\n", "line 2: longitude 'ten' is no number"),
        (HEADER + "XX,,,HH,10,50,0\n", "line 2: no station code"),
        ('{"a": 1}', "not a station inventory"),
        ("<html></html>", "not a station inventory"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, match):
    refused(table(tmp_path, text), match)


def test_missing_file(tmp_path):
    refused(tmp_path / "none.xml", "no such station file")


def test_epochs_in_a_table(tmp_path):
    header = "station,longitude,latitude,elevation_m,starttime,endtime\n"
    rows = "XX.A..HH,10,50,0,2010-01-01,2015-01-01\nXX.A..HH,11,51,5,2015-01-01,\n"
    inventory = read_stations(table(tmp_path, header + rows))
    assert inventory.problems.empty
    early = int(pd.Timestamp("2012-01-01", tz="UTC").value)
    change = int(pd.Timestamp("2015-01-01", tz="UTC").value)
    assert inventory.position("XX.A..HH", early)[0] == 10
    assert inventory.position("XX.A..HH", change)[0] == 11
    with pytest.raises(StationError, match=r"but not for 2001.*valid 2010-01-01 to 2015"):
        inventory.position("XX.A..HH", int(pd.Timestamp("2001-01-01", tz="UTC").value))


def test_overlapping_and_reversed_epochs(tmp_path):
    header = "station,longitude,latitude,elevation_m,starttime,endtime\n"
    rows = (
        "XX.A..HH,10,50,0,2010-01-01,2016-01-01\nXX.A..HH,11,51,5,2015-01-01,\n"
        "XX.B..HH,12,52,5,2015-01-01,2014-01-01\n"
    )
    inventory = read_stations(table(tmp_path, header + rows))
    assert names(inventory) == {"overlapping epochs", "epoch reversed"}
    both = int(pd.Timestamp("2015-06-01", tz="UTC").value)
    assert inventory.position("XX.A..HH", both)[0] == 11


def test_codes_of_the_data(tmp_path):
    """A row that names less stands for all that agree; what stays without metadata is said."""
    text = "network,station,band,longitude,latitude,elevation_m,unit,gain\nXX,A,HH,10,50,7,m/s,3\n"
    codes = ["XX.A..HH", "XX.A.10.HH", "XX.A..HN", "YY.B..HH"]
    inventory = read_stations(table(tmp_path, text), codes=codes)
    assert inventory.stations["station"].tolist() == ["XX.A..HH", "XX.A..HN", "XX.A.10.HH"]
    assert set(inventory.channels["station"]) == {"XX.A..HH", "XX.A.10.HH"}
    found = dict(zip(inventory.problems["what"], inventory.problems["problem"], strict=True))
    assert found == {"XX.A..HN": "no channel metadata", "YY.B..HH": "no metadata"}


def test_unknown_setting_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'elevation_unit'"):
        StationSettings.parse({"elevation_units": "m"})


def station_xml(tmp_path, epochs, *, gain=1e9):
    channels = [
        Channel(
            code,
            "00",
            latitude=47.0,
            longitude=longitude,
            elevation=500.0,
            depth=20.0,
            azimuth=0.0,
            dip=-90.0,
            sample_rate=100.0,
            start_date=UTCDateTime(start),
            end_date=UTCDateTime(end) if end else None,
            response=Response(
                instrument_sensitivity=InstrumentSensitivity(gain, 1.0, "M/S", "COUNTS")
            ),
        )
        for code, longitude, start, end in epochs
    ]
    station = Station("AAA", 47.0, 8.0, 500.0, channels=channels)
    path = tmp_path / "station.xml"
    Inventory(networks=[Network("XX", [station])], source="t").write(str(path), format="STATIONXML")
    return path


def test_stationxml_epochs_depth_and_gain(tmp_path):
    epochs = [("HHZ", 8.0, "2000-01-01", "2010-01-01"), ("HHZ", 8.1, "2010-01-01", "3000-01-01")]
    inventory = read_stations(station_xml(tmp_path, epochs))
    assert inventory.position("XX.AAA.00.HH", 10**18) == (8.0, 47.0, 480.0)
    assert inventory.position("XX.AAA.00.HH", NOW_NS) == (8.1, 47.0, 480.0)
    assert inventory.channels["gain"].tolist() == [1e9, 1e9]
    assert inventory.channels["unit"].tolist() == ["m/s", "m/s"]
    assert not inventory.channels["has_response"].any()
    assert inventory.problems.empty
    assert pickle.loads(pickle.dumps(inventory)).position("XX.AAA.00.HH", NOW_NS)[0] == 8.1


def test_stationxml_with_negative_gain(tmp_path):
    inventory = read_stations(station_xml(tmp_path, [("HHZ", 8.0, "2000-01-01", None)], gain=-5.0))
    assert names(inventory) == {"negative gain"}
    assert np.isnan(inventory.channels["gain"][0])


def test_several_files_and_a_folder(tmp_path):
    station_xml(tmp_path, [("HHZ", 8.0, "2000-01-01", None)])
    table(tmp_path, HEADER + "YY,B,,HH,10,50,0\n")
    assert len(read_stations(tmp_path).stations) == 2
    assert len(read_stations([tmp_path / "station.xml", tmp_path / "stations.csv"]).stations) == 2
