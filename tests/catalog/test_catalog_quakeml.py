"""QuakeML is valid and reads back to the same tables; SCML of the SED is read."""

from __future__ import annotations

import re

import numpy as np
import obspy
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from obspy.io.quakeml.core import _validate
from random_catalogs import example_catalog

from lithoscope.catalog import Catalog, export, read_catalog
from lithoscope.catalog.quakeml_text import resource_id
from lithoscope.errors import DataError, StorageError

ID_PATTERN = (  # QuakeML-BED-1.2.xsd, ResourceIdentifier
    r"(smi|quakeml):[\w\d][\w\d\-\.\*\(\)_~']{2,}/[\w\d\-\.\*\(\)_~']"
    r"[\w\d\-\.\*\(\)\+\?_~'=,;#/&]*"
)


def in_order(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return frame.sort_values(keys, kind="stable").reset_index(drop=True)


def assert_same(read: Catalog, written: Catalog) -> None:
    """Everything that QuakeML can carry: all but unassociated picks, detections and stations."""
    pd.testing.assert_frame_equal(read.events, written.events)
    keys = ["event_id", "pick_id"]
    pd.testing.assert_frame_equal(in_order(read.arrivals, keys), in_order(written.arrivals, keys))
    used = written.picks[written.picks["pick_id"].isin(written.arrivals["pick_id"])]
    pd.testing.assert_frame_equal(in_order(read.picks, ["pick_id"]), in_order(used, ["pick_id"]))
    keys = ["event_id", "station"]
    pd.testing.assert_frame_equal(
        in_order(read.station_magnitudes, keys), in_order(written.station_magnitudes, keys)
    )


def test_round_trip_and_validity(tmp_path):
    catalog = example_catalog()
    (path,) = export(catalog, tmp_path / "out.xml", "quakeml")
    assert _validate(str(path))
    assert_same(read_catalog(path), catalog)


CODES = ["XX.VERYLONGNAME.00.HH", "é.SÅ N..E", "X.A-B.10.", "XX.S'1*.00.HH", "A.B.C.D"]


def test_odd_codes(tmp_path):
    catalog = example_catalog(codes=CODES)
    (path,) = export(catalog, tmp_path / "odd.xml", "quakeml")
    assert _validate(str(path))
    assert_same(read_catalog(path), catalog)


@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(seed=st.integers(0, 2**32), text=st.text(st.characters(exclude_categories=("Cs",))))
def test_any_values_survive(tmp_path_factory, seed, text):
    """Any number or NaN in any column, and any text in the reasons."""
    rng = np.random.default_rng(seed)

    def numbers(n: int) -> np.ndarray:
        values = rng.normal(size=n) * 10.0 ** rng.integers(-12, 12, n)
        return np.where(rng.random(n) < 0.3, np.nan, values)

    catalog = example_catalog(n_events=3, n_stations=2)
    events, picks = catalog.events.copy(), catalog.picks.copy()
    for frame in (events, picks):
        for name in frame.select_dtypes("float").columns:
            frame[name] = numbers(len(frame))
    events["longitude"] = rng.uniform(-180, 180, len(events))
    events["latitude"] = rng.uniform(-89.9, 89.9, len(events))
    events["magnitude_reason"] = text
    picks["model"] = text
    catalog = Catalog(**dict(catalog.tables()) | {"events": events, "picks": picks})
    path = tmp_path_factory.mktemp("quakeml") / "any.xml"
    export(catalog, path, "quakeml")
    assert _validate(str(path))
    assert_same(read_catalog(path), catalog)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_ids_are_valid_and_distinct(name):
    coded = resource_id("pick", name)
    assert re.fullmatch(ID_PATTERN, coded)
    tail = coded.rsplit("pick/", 1)[1] if "pick/" not in name else None
    if tail is not None:
        parts = re.split(r"(~[0-9a-f]{2})", tail)
        raw = b"".join(
            bytes.fromhex(p[1:]) if re.fullmatch(r"~[0-9a-f]{2}", p) else p.encode() for p in parts
        )
        assert raw.decode() == name


def test_the_same_catalogue_gives_the_same_bytes(tmp_path):
    paths = [export(example_catalog(), tmp_path / n, "quakeml")[0] for n in ("a.xml", "b.xml")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_other_programs_see(tmp_path):
    """The elements themselves, not our comment, as ObsPy reads them."""
    catalog = example_catalog()
    (path,) = export(catalog, tmp_path / "out.xml", "quakeml")
    event, row = obspy.read_events(str(path))[0], catalog.events.iloc[0]
    origin = event.preferred_origin()
    assert abs(origin.time.ns - row["time"].value) <= 1000
    assert origin.depth == pytest.approx(1000 * row["depth_km"])
    assert origin.depth_errors.uncertainty == pytest.approx(1000 * row["depth_sigma_km"])
    assert origin.depth_errors.confidence_level == 68.0
    assert origin.depth_errors.lower_uncertainty == pytest.approx(700.0)
    ellipse = origin.origin_uncertainty
    assert ellipse.max_horizontal_uncertainty == pytest.approx(1000 * row["ellipse_68_major_km"])
    assert ellipse.azimuth_max_horizontal_uncertainty == row["ellipse_azimuth_deg"]
    assert ellipse.preferred_description == "uncertainty ellipse"
    km = origin.longitude_errors.uncertainty * 111.195 * np.cos(np.radians(row["latitude"]))
    assert km == pytest.approx(row["east_sigma_km"], rel=1e-3)
    assert (event.event_type, event.event_type_certainty) == ("earthquake", "suspected")
    assert event.preferred_magnitude().mag == row["magnitude"]
    assert event.preferred_magnitude().mag_errors.uncertainty == row["magnitude_sigma"]
    assert len(event.picks) == len(origin.arrivals) == 8
    assert {p.evaluation_mode for p in event.picks} == {"automatic"}
    assert origin.evaluation_mode == "automatic"
    assert {a.type for a in event.amplitudes} == {"IAML"}
    assert len(event.station_magnitudes) == 3
    assert event.amplitudes[0].waveform_id.channel_code == "HHE"
    third = obspy.read_events(str(path))[2]
    assert third.preferred_magnitude() is None
    assert third.event_type is None


def test_an_edited_file_is_believed_where_it_was_edited(tmp_path):
    (path,) = export(example_catalog(n_events=1), tmp_path / "out.xml", "quakeml")
    text = path.read_text()
    latitude = re.search(r"<latitude>\s*<value>([-0-9.]+)</value>", text)[1]
    path.write_text(text.replace(f"<value>{latitude}</value>", "<value>35.5</value>"))
    event = read_catalog(path).events.iloc[0]
    assert event["latitude"] == 35.5
    assert np.isnan(event["cov_east_east_km2"])  # the comment's covariance no longer holds


def test_empty_catalogue(tmp_path):
    (path,) = export(Catalog(), tmp_path / "empty.xml", "quakeml")
    assert _validate(str(path))
    assert read_catalog(path).equals(Catalog())


def test_events_that_quakeml_cannot_hold(tmp_path):
    events = example_catalog().events
    with pytest.raises(DataError, match="no time or position"):
        export(Catalog(events=events.assign(latitude=np.nan)), tmp_path / "a.xml", "quakeml")
    with pytest.raises(DataError, match="occurs twice"):
        export(Catalog(events=pd.concat([events, events])), tmp_path / "a.xml", "quakeml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"<?xml version='1.0'?><q/>", b"<quakeml", b"<html><body>404</body></html>"],
)
def test_other_xml_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "other.xml"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_catalog(path)
    assert "\n" not in str(error.value)
    with pytest.raises(StorageError, match="no such file"):
        read_catalog(tmp_path / "none.xml")


@pytest.mark.data
@pytest.mark.no_cover  # the same lines many times
def test_swiss_catalogues(real_data):
    """46 distinct events; every arrival has its pick, phase and residual."""
    events, picks = {}, set()
    for path in sorted(real_data("picks/swiss_sed").glob("catalog_*.scml")):
        catalog = read_catalog(path)
        assert len(catalog.events)
        assert set(catalog.arrivals["pick_id"]) == set(catalog.picks["pick_id"])
        assert set(catalog.picks["phase"]) <= {"P", "S"}
        assert not catalog.arrivals.duplicated(["event_id", "station", "phase"]).any()
        if "<event " in path.read_text():
            events |= {e.event_id: e for e in catalog.events.itertuples()}
        picks |= set(catalog.picks["pick_id"])
    assert len(events) == 46
    assert len(picks) > 2000
    depths = np.array([e.depth_km for e in events.values()])
    assert (np.isfinite(depths) & (depths > -5) & (depths < 60)).all()
    latitudes = np.array([e.latitude for e in events.values()])
    assert ((latitudes > 45) & (latitudes < 48.5)).all()
    magnitudes = np.array([e.magnitude for e in events.values()])
    assert np.isfinite(magnitudes).mean() > 0.9
