"""Real picks: our hypocentres beside those of NonLinLoc and the SED."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from reference_events import (
    alaska,
    carmel_on_the_catalogues_lattice,
    differences,
    mt_carmel,
    swiss,
    unterhaching,
)

from lithoscope import schema
from lithoscope.geo import distance_azimuth
from lithoscope.location import LocationSettings, locate, read_map_prior
from lithoscope.traveltimes import builtin_model, travel_time


@pytest.mark.data
def test_alaska_agrees_with_nonlinloc(real_data):
    table = differences(*alaska(real_data("picks/alaska_nonlinloc")))
    assert len(table) == 7
    assert table["epicentre_km"].median() < 2.0
    assert table["depth_difference_km"].abs().median() < 3.0


def test_unterhaching_agrees_with_nonlinloc():
    table = differences(*unterhaching())
    # A fifth of NonLinLoc's own sigma would be 0.03 km; its model is only inferred here.
    assert table["epicentre_km"].iloc[0] < 0.2
    assert abs(table["depth_difference_km"].iloc[0]) < 0.3


@pytest.mark.data
def test_mt_carmel_agrees_where_four_picks_suffice(real_data):
    located, reference = mt_carmel(real_data("picks/mt_carmel_2008"))
    table = differences(located, reference)
    assert len(located.events) == 38
    # Rows on the edge of the catalogue's grid (0 and 30 km) are no maxima.
    inside = table[table["depth_km_theirs"].between(0.4, 29.5)]
    assert len(inside) >= 30
    assert inside["epicentre_km"].median() < 0.1


@pytest.mark.data
def test_mt_carmel_differs_by_the_cells_of_the_catalogue(real_data):
    """On the catalogue's own lattice our likelihood has its best node where the catalogue has.

    NonLinLoc with the catalogue's settings comes within 0.016 km: a tenth of a cell.
    """
    folder = real_data("picks/mt_carmel_2008")
    located, reference = mt_carmel(folder)
    table = differences(located, reference)
    near = table[table["depth_km_theirs"].between(0.4, 29.5) & (table["epicentre_km"] < 1.0)]
    assert len(near) == 30
    nodes = carmel_on_the_catalogues_lattice(folder, located, near)
    assert nodes["epicentre_km"].median() <= 0.016


@pytest.mark.data
def test_mt_carmel_events_off_the_catalogue_are_not_reported_as_precise(real_data):
    table = differences(*mt_carmel(real_data("picks/mt_carmel_2008")))
    off = table[table["epicentre_km"] > 1.0]
    assert len(off) >= 2
    assert off["ambiguous"].all()
    # Where they lie far apart, the regions say so: none is smaller than the network's radius.
    assert (off["ellipse_95_major_km"] > 5.0).all()


@pytest.mark.data
def test_swiss_agrees_with_the_sed(real_data):
    located, reference = swiss(real_data("picks/swiss_sed"))
    table = differences(located, reference)
    assert len(table) >= 40
    assert table["epicentre_km"].median() < 2.0


def _le_teil(folder, hypocentre):
    """Return tables of P picks that a source at ``hypocentre`` would give the real stations."""
    stations = pd.read_csv(folder / "stations.csv")
    stations["station"] = [
        f"{r.network}.{r.station}.{r.location:02d}.HH" for r in stations.itertuples()
    ]
    stations["elevation_m"] = 200.0
    lon, lat, depth = hypocentre
    distance, _ = distance_azimuth(lon, lat, stations["longitude"], stations["latitude"])
    rng = np.random.default_rng(4)
    late = travel_time(builtin_model("iasp91"), "P", distance, depth, -0.2)
    late = late + rng.normal(0, 0.1, len(late))
    time = pd.Timestamp("2019-11-11T10:52:46", tz="UTC") + pd.to_timedelta(late, unit="s")
    picks = pd.DataFrame({"station": stations["station"], "phase": "P", "time": time})
    picks["time_sigma_s"] = 0.1
    ns = picks["time"].astype("datetime64[ns, UTC]").astype("int64")
    picks["pick_id"] = [
        schema.pick_id(s, "P", t) for s, t in zip(picks["station"], ns, strict=True)
    ]
    return pd.DataFrame({"event_id": "teil", "pick_id": picks["pick_id"]}), picks, stations


@pytest.mark.data
def test_insar_map_as_prior_shrinks_the_ellipse(real_data):
    """The real map and stations of Le Teil; picks simulated from the CEA's location."""
    folder = real_data("continuous/le_teil_2019")
    cea = (4.65, 44.53, 2.0)
    tables = _le_teil(folder, cea)
    prior = read_map_prior(folder / "displacement_06-11-2019_12-11-2019.tif")
    model, settings = builtin_model("iasp91"), LocationSettings(max_depth_km=30.0)
    plain = locate(*tables, model, settings).events.iloc[0]
    informed = locate(*tables, model, settings, prior=prior).events.iloc[0]
    assert informed["ellipse_95_major_km"] < plain["ellipse_95_major_km"]
    far, _ = distance_azimuth(informed["longitude"], informed["latitude"], cea[0], cea[1])
    assert far < 3.0
