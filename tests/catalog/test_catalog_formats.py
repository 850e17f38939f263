"""Flat files, phase files and references: round trips, formats, and one-line errors."""

from __future__ import annotations

import errno
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from random_catalogs import catalogs, example_catalog

from lithoscope.catalog import FORMATS, Catalog, Store, export, read_catalog, read_reference
from lithoscope.errors import ConfigError, DataError, StorageError

FEW = settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.generate))


@FEW
@given(catalogs())
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_come_back(tmp_path_factory, form, catalog):
    folder = tmp_path_factory.mktemp("tables")
    export(catalog, folder, form)
    assert read_catalog(folder).equals(catalog)


def test_every_format_takes_a_file_or_a_folder(tmp_path):
    for form in FORMATS:
        paths = export(example_catalog(), tmp_path / "exports", form)
        assert paths
        assert all(p.is_file() and p.parent == tmp_path / "exports" for p in paths)
        if form not in ("csv", "parquet"):
            (first, *_) = export(example_catalog(), tmp_path / f"named.{form}", form)
            assert first == tmp_path / f"named.{form}"
    assert not list((tmp_path / "exports").glob(".*"))  # no temporary files are left


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_catalogue_is_fine(tmp_path, form):
    for path in export(Catalog(), tmp_path / "out", form):
        assert path.is_file()


def test_geojson(tmp_path):
    catalog = example_catalog()
    events = catalog.events.copy()
    events.loc[1, "longitude"] = 242.5
    events.loc[1, "depth_km"] = np.nan
    (path,) = export(Catalog(events=events), tmp_path / "events.geojson", "geojson")
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["type"] == "FeatureCollection"
    for feature, row in zip(content["features"], events.itertuples(), strict=True):
        assert feature["type"] == "Feature"
        assert feature["id"] == row.event_id
        lon, lat, *altitude = feature["geometry"]["coordinates"]
        assert -180 <= lon <= 180
        assert lat == row.latitude
        assert altitude == ([] if np.isnan(row.depth_km) else [-1000 * row.depth_km])
        assert pd.Timestamp(feature["properties"]["time"]) == row.time
    assert content["features"][1]["geometry"]["coordinates"][0] == pytest.approx(-117.5)
    assert content["features"][2]["properties"]["magnitude"] is None


def test_nonlinloc_phases(tmp_path):
    """Read as NonLinLoc does: white space, in the order of its documentation."""
    catalog = example_catalog()
    phases, stations = export(catalog, tmp_path / "phases.obs", "nlloc")
    blocks = [b.splitlines() for b in phases.read_text().strip().split("\n\n")]
    assert len(blocks) == len(catalog.events)
    picks = catalog.picks.set_index("pick_id")
    for block, event in zip(blocks, catalog.events["event_id"], strict=True):
        assert block[0] == f"PUBLIC_ID {event}"
        rows = catalog.arrivals[catalog.arrivals["event_id"] == event].sort_values("time")
        for line, row in zip(block[1:], rows.itertuples(), strict=True):
            words = line.split()
            assert len(words) == 15
            assert words[0] == row.station.split(".")[1]
            assert words[4] == row.phase
            motion = {1: "U", -1: "D", 0: "?"}[picks.loc[row.pick_id, "polarity"]]
            assert words[5] == motion
            start = pd.Timestamp(f"{words[6]}T{words[7]}", tz="UTC")
            time = start + pd.Timedelta(float(words[8]), "s")
            assert abs((time - row.time).total_seconds()) <= 0.5e-4 + 1e-9
            assert words[9] == "GAU"
            sigma = picks.loc[row.pick_id, "time_sigma_s"]
            assert float(words[10]) == pytest.approx(sigma, rel=0.005)
            assert float(words[14]) == pytest.approx(row.weight, abs=1e-4)
    for line, row in zip(
        stations.read_text().splitlines(), catalog.stations.itertuples(), strict=True
    ):
        words = line.split()
        assert words[:3] == ["GTSRCE", row.station.split(".")[1], "LATLON"]
        assert [float(w) for w in words[3:5]] == pytest.approx([row.latitude, row.longitude])
        assert float(words[6]) == pytest.approx(row.elevation_m / 1000)


def test_nonlinloc_matches_obspys_writer(tmp_path):
    """The same picks through ObsPy's own NLLOC_OBS writer, field by field."""
    import obspy

    catalog = example_catalog(n_events=1)
    (phases, _) = export(catalog, tmp_path / "ours.obs", "nlloc")
    (quakeml,) = export(catalog, tmp_path / "ours.xml", "quakeml")
    obspy.read_events(str(quakeml))[:1].write(str(tmp_path / "obspy.obs"), format="NLLOC_OBS")
    theirs = [w.split() for w in (tmp_path / "obspy.obs").read_text().splitlines()[1:]]
    ours = [w.split() for w in phases.read_text().strip().splitlines()[1:]]
    for a, b in zip(sorted(ours), sorted(theirs), strict=True):
        assert a[:5] == b[:5]
        assert a[6:8] == b[6:8]
        assert float(a[8]) == pytest.approx(float(b[8]), abs=1.1e-4)
        assert a[9:13] == b[9:13]


def test_seconds_never_read_sixty(tmp_path):
    catalog = example_catalog(n_events=1, n_stations=1)
    time = pd.Timestamp("2020-01-01T23:59:59.99999Z")
    tables = dict(catalog.tables())
    tables["arrivals"] = catalog.arrivals.assign(time=time)
    tables["events"] = catalog.events.assign(time=time)
    catalog = Catalog(**tables)
    text = export(catalog, tmp_path / "a.obs", "nlloc")[0].read_text()
    assert " 20200102 0000  0.0000 " in text
    text = export(catalog, tmp_path / "a.pha", "hypodd")[0].read_text()
    assert text.startswith("# 2020 01 02 00 00  0.00")


def test_hypodd_phases(tmp_path):
    catalog = example_catalog()
    phases, stations, ids = export(catalog, tmp_path / "phases.pha", "hypodd")
    sharpest = catalog.picks.set_index("pick_id").loc[catalog.arrivals["pick_id"], "time_sigma_s"]
    events, current = [], None
    for line in phases.read_text().splitlines():
        words = line.split()
        if words[0] == "#":
            assert len(words) == 15
            current = int(words[-1])
            events.append(words)
        else:
            name, seconds, weight, phase = words
            assert phase in "PS"
            assert len(name) <= 7
            assert 0 < float(weight) <= 1
            event = catalog.events.iloc[current - 1]
            mine = catalog.arrivals[catalog.arrivals["event_id"] == event["event_id"]]
            row = mine[mine["station"].str.contains(f".{name}.", regex=False)]
            row = row[row["phase"] == phase].iloc[0]
            assert float(seconds) == pytest.approx(
                (row["time"] - event["time"]).total_seconds(), abs=1e-4
            )
            sigma = catalog.picks.set_index("pick_id").loc[row["pick_id"], "time_sigma_s"]
            expected = row["weight"] * sharpest.min() / sigma
            assert float(weight) == pytest.approx(expected, abs=1e-4)
    assert len(events) == len(catalog.events)
    assert float(events[0][7]) == pytest.approx(catalog.events["latitude"][0], abs=1e-5)
    assert float(events[2][10]) == 0.0  # no magnitude
    assert len(stations.read_text().splitlines()) == len(catalog.stations)
    assert ids.read_text().splitlines()[1] == f"1,{catalog.events['event_id'][0]}"


def test_labels_of_two_networks_that_share_a_code(tmp_path):
    catalog = example_catalog(codes=["AA.ONE..HH", "BB.ONE..HH", "AA.TWO..HH", "AA.TWO..HN"])
    text = export(catalog, tmp_path / "a.obs", "nlloc")[1].read_text()
    labels = [line.split()[1] for line in text.splitlines()]
    assert labels[:3] == ["AA_ONE", "BB_ONE", "TWO"]


def test_phase_files_need_uncertainties_and_short_labels(tmp_path):
    catalog = example_catalog()
    tables = dict(catalog.tables()) | {"picks": catalog.picks.assign(time_sigma_s=np.nan)}
    with pytest.raises(DataError, match="time_sigma_s is not above zero"):
        export(Catalog(**tables), tmp_path / "a.obs", "nlloc")
    with pytest.raises(DataError, match="more than the 7 characters"):
        export(example_catalog(codes=["XX.LONGNAME..HH"]), tmp_path / "a.pha", "hypodd")


def test_unknown_format_and_places_that_cannot_be_written(tmp_path):
    with pytest.raises(ConfigError, match="choose one of quakeml"):
        export(Catalog(), tmp_path / "a", "kml")
    (tmp_path / "file").write_text("x")
    for form in FORMATS:
        with pytest.raises(StorageError) as error:
            export(example_catalog(), tmp_path / "file" / "below.out", form)
        assert "\n" not in str(error.value)
    with pytest.raises(StorageError, match="needs a folder"):
        export(Catalog(), tmp_path / "file", "csv")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "events.geojson"
    export(example_catalog(), path, "geojson")
    before = path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(StorageError, match="the disk is full; free space") as error:
        export(Catalog(), path, "geojson")
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_store_is_read_as_a_catalogue(tmp_path):
    Store(tmp_path / "a.sqlite").write(example_catalog())
    assert read_catalog(tmp_path / "a.sqlite").equals(example_catalog())
    assert len(read_reference(tmp_path / "a.sqlite")) == 3


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("time,latitude,longitude,depth_km,mag\n2020-01-01T00:00:00Z,45,10,7.5,2\n", 7.5),
        ("Time\tLon\tLat\tdepth(m)\n2020-01-01 00:00:00\t10\t45\t7500\n", 7.5),
        ("id;origin_time;LON;LAT;Depth;ML\n7;2020-01-01T00:00:00.000;10;45;7.5;2\n", 7.5),
        ("time,lat,lon\n2020-01-01,45,10\n", np.nan),
    ],
)
def test_reference_tables_in_the_wild(tmp_path, text, depth):
    path = tmp_path / "reference.csv"
    path.write_text(text)
    row = read_reference(path).iloc[0]
    assert row["time"] == pd.Timestamp("2020-01-01", tz="UTC")
    assert (row["longitude"], row["latitude"]) == (10.0, 45.0)
    np.testing.assert_equal(row["depth_km"], depth)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "no column for time, longitude, latitude"),
        ("time,lat,lon\nyesterday,45,10\n", "not ISO 8601"),
        ("time,lat,lon\n2020-01-01,north,10\n", "latitude = 'north' is not a number"),
        ("time,lat,lon\n2020-01-01,145,10\n", "swapped"),
        ("time,lat,lon\n2020-01-01,nan,10\n", "not a number"),
        ("time,lat,lon\n,45,10\n", "row 1 has no time"),
    ],
)
def test_bad_references(tmp_path, text, message):
    path = tmp_path / "reference.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_reference(path)
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "noise.bin"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(DataError, match="neither text"):
        read_reference(path)
    with pytest.raises(DataError, match="no catalogue"):
        read_catalog(path)
    with pytest.raises(StorageError, match="neither events nor picks"):
        read_catalog(tmp_path)
    bad = tmp_path / "bad.reloc"
    bad.write_text("1 2 3\n")
    with pytest.raises(DataError, match="line 1"):
        read_reference(bad)
    table = tmp_path / "events.parquet"
    table.write_bytes(b"PAR1 no parquet")
    with pytest.raises(StorageError, match="cannot read"):
        read_catalog(tmp_path)
