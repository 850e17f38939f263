"""The main job on real recordings, against the catalogues of the networks (acceptance 2 and 3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lithoscope.catalog import compare, read_reference
from lithoscope.geo import distance_azimuth

pytestmark = [pytest.mark.data, pytest.mark.xdist_group("real_runs")]


def test_ridgecrest_against_scsn(real_run, real_data) -> None:
    timed = real_run("ridgecrest")
    catalog = timed.result.catalog
    events = catalog.events
    reference = read_reference(
        real_data("continuous/ridgecrest_2019") / "reference/scsn_to_1733.tsv"
    )
    found = compare(events, reference, time_s=2.0, distance_km=5.0)
    assert len(reference) == 15
    assert len(found.matched) >= 8
    large = set(reference.index[reference["magnitude"] >= 1.4])
    missed_large = found.missed[found.missed["magnitude"] >= 1.4]
    assert len(large) == 5
    assert missed_large.empty
    assert np.nanmedian(np.abs(found.matched["magnitude_difference"])) <= 0.3
    main = events[
        (events["time"] - pd.Timestamp("2019-07-04T17:33:49Z")).abs() < pd.Timedelta("5s")
    ]
    assert len(main) == 1
    row = main.iloc[0]
    assert np.isfinite(row["magnitude"]) or row["magnitude_reason"]
    assert timed.wall_s < 240
    assert timed.peak_memory_gb < 2.0


def test_iceland_swarm_against_quakemigrate(real_run, real_data) -> None:
    catalog = real_run("iceland").result.catalog
    reference = read_reference(
        real_data("continuous/iceland_holuhraun_2014") / "reference_events.csv"
    )
    found = compare(catalog.events, reference, time_s=1.0, distance_km=5.0)
    assert len(found.matched) >= 15


def test_aegean_main_event_from_vertical_components(real_run) -> None:
    catalog = real_run("aegean").result.catalog
    near = catalog.events[
        (catalog.events["time"] - pd.Timestamp("2020-10-05T14:57:51Z")).abs() < pd.Timedelta("10s")
    ]
    assert len(near) == 1
    event = near.iloc[0]
    offset, _ = distance_azimuth(23.3465, 39.8812, event["longitude"], event["latitude"])
    assert offset < 10.0
    tyrn = catalog.arrivals[
        (catalog.arrivals["event_id"] == event["event_id"])
        & catalog.arrivals["station"].str.contains("TYRN")
    ]
    # The first P at TYRN is far off; it must not pull the location.
    assert (tyrn["weight"] < 0.5).all()


def test_le_teil_from_vertical_components(real_run) -> None:
    catalog = real_run("le_teil").result.catalog
    assert len(catalog.events) == 1
    event = catalog.events.iloc[0]
    offset, _ = distance_azimuth(4.65, 44.53, event["longitude"], event["latitude"])
    assert offset < 5.0
