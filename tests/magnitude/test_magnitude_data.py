"""Local magnitudes of real recordings against the networks' own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lithoscope.catalog import read_reference
from lithoscope.geo import distance_azimuth
from lithoscope.magnitude import local_magnitudes
from lithoscope.schema import ARRIVALS, EVENTS
from lithoscope.stations import Inventory, read_stations
from lithoscope.waveforms import Archive, index_archive, read_records

pytestmark = pytest.mark.data

VP, VS = 6.0, 3.47  # km/s, only to place windows where the tests have no picks


def events_and_arrivals(
    reference: pd.DataFrame, inventory: Inventory, codes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables as the locator would, with arrivals where P and S should be."""
    events, arrivals = [], []
    for event in reference.itertuples():
        for code in codes:
            lon, lat, elevation = inventory.position(code, event.time.value)
            distance, azimuth = distance_azimuth(event.longitude, event.latitude, lon, lat)
            r = np.hypot(distance, event.depth_km + elevation / 1000.0)
            for phase, speed in (("P", VP), ("S", VS)):
                arrivals.append(
                    {
                        "event_id": event.event_id,
                        "pick_id": f"{event.event_id}/{code}/{phase}",
                        "station": code,
                        "phase": phase,
                        "time": event.time + pd.Timedelta(r / speed, "s"),
                        "distance_km": float(distance),
                        "azimuth_deg": float(azimuth),
                        "residual_s": 0.0,
                        "weight": 1.0,
                    }
                )
        events.append(
            {name: getattr(event, name) for name in ("event_id", "time", "longitude", "latitude")}
            | {"depth_km": event.depth_km, "n_p": len(codes), "n_s": len(codes)}
            | dict.fromkeys(["time_sigma_s", "east_sigma_km", "north_sigma_km"], 0.1)
            | {"depth_sigma_km": 0.5}
        )
    return EVENTS.table(events), ARRIVALS.table(arrivals)


def run(reference: pd.DataFrame, archive: Archive, inventory: Inventory):
    codes = sorted(set(archive.stations()) & set(inventory.stations["station"]))
    events, arrivals = events_and_arrivals(reference, inventory, codes)

    def read(station: str, start: int, end: int):
        return read_records(archive, station, start, end, channels=inventory.channels)[0]

    return local_magnitudes(events, arrivals, inventory, read)


def test_ridgecrest_agrees_with_scsn(real_data):
    folder = real_data("continuous/ridgecrest_2019")
    archive = index_archive(folder / "waveforms")
    inventory = read_stations(folder / "stations.csv", codes=archive.stations())
    reference = read_reference(folder / "reference" / "scsn_to_1733.tsv")
    large = {
        "event_id": "M6.4",
        "time": pd.Timestamp("2019-07-04T17:33:49", tz="UTC"),
        "longitude": -117.504,
        "latitude": 35.705,
        "depth_km": 10.7,
        "magnitude": 6.4,
    }
    reference = pd.concat([reference, pd.DataFrame([large])], ignore_index=True)
    events, rows = run(reference, archive, inventory)
    difference = (events["magnitude"] - reference["magnitude"])[:-1]
    # Two of the fifteen lie 1.3 s apart and one follows 10 s after a larger one.
    assert difference.notna().sum() >= 12
    assert difference.abs().median() <= 0.3
    assert abs(difference.median()) <= 0.2
    assert events.loc[difference[difference.isna()].index, "magnitude_reason"].ne("").all()
    # Most sensors are on the rail in the M6.4, and the catalogue says so.
    mainshock = events.iloc[-1]
    assert mainshock["magnitude_reason"].startswith("may be too small")
    assert mainshock["magnitude"] > 5.5
    clipped = rows[(rows["event_id"] == "M6.4") & rows["reason"].str.startswith("clipped")]
    assert len(clipped) >= 10
    # Stations without a gain are named in every event.
    for site in ("CI.WBS..HH", "CI.WOR..HH"):
        assert not rows.loc[rows["station"] == site, "used"].any()


def gmprocess_event(folder: Path) -> pd.DataFrame:
    content = json.loads((folder / "event.json").read_text())
    if "properties" in content:
        lon, lat, depth = content["geometry"]["coordinates"]
        time = pd.Timestamp(content["properties"]["time"], unit="ms", tz="UTC")
        magnitude = content["properties"]["mag"]
    else:
        lon, lat, depth, magnitude = (content[k] for k in ("lon", "lat", "depth", "magnitude"))
        time = pd.Timestamp(content["time"])
        time = time.tz_localize("UTC") if time.tzinfo is None else time
    row = {"event_id": "x", "time": time, "longitude": lon, "latitude": lat}
    return pd.DataFrame([row | {"depth_km": depth, "magnitude": magnitude}])


def run_gmprocess(folder: Path):
    archive = index_archive(sorted(folder.rglob("*.mseed")))
    inventory = read_stations(sorted(folder.rglob("*.xml")), codes=archive.stations())
    reference = gmprocess_event(folder)
    events, rows = run(reference, archive, inventory)
    return events.iloc[0], rows, float(reference["magnitude"].iloc[0])


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        # One strong-motion sensor; the network's magnitude is ML: the scatter of one station.
        ("asdf/nc71126864", 0.6),
        # Moment magnitudes of M4.4 to 5.7 from one to three stations: twice that scatter.
        ("fdsn/uu60363602", 0.6),
        ("fdsn/se60247871", 0.6),
        ("fdsn/nc51194936", 0.6),
    ],
)
def test_full_responses_of_other_networks(real_data, name, tolerance):
    event, _, magnitude = run_gmprocess(real_data("events/usgs_gmprocess") / name)
    assert event["magnitude"] == pytest.approx(magnitude, abs=tolerance)


def test_clipped_samples_are_refused(real_data):
    folder = real_data("events/usgs_gmprocess") / "clipping_samples" / "hv70907436"
    event, rows, _ = run_gmprocess(folder)
    assert rows["reason"].str.startswith("clipped").all()
    assert "6 clipped" in event["magnitude_reason"]


def test_a_broken_horizontal_is_refused(real_data):
    """BHE of UW.SP2 records a hundredth of what BHN does."""
    folder = real_data("events/usgs_gmprocess") / "fdsn" / "uw61251926" / "broad_band"
    event, rows, _ = run_gmprocess(folder)
    assert rows["reason"].iloc[0].startswith("horizontals disagree")
    assert np.isnan(event["magnitude"])


def test_accelerometers_beside_clipped_broadbands(real_data):
    folder = real_data("events/usgs_gmprocess") / "tutorials" / "nc73291880"
    event, rows, _ = run_gmprocess(folder)
    bands = rows[rows["station"].str.startswith("BK.BRIB")].set_index("station")
    assert bands.loc["BK.BRIB.01.HH", "reason"].startswith("clipped")
    assert bands.loc["BK.BRIB.01.HN", "used"]
    assert event["n_magnitudes"] >= 10
