"""What a watch publishes of an event: its tables, with corrections of stations and a type."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lithoscope.magnitude.settings import MagnitudeSettings
from lithoscope.pipeline.live.events import LiveEvent, LiveEvents
from lithoscope.schema import EVENTS, PICKS, STATION_MAGNITUDES

SETTINGS = MagnitudeSettings()
CORRECTIONS = {"XX.A..HH": 0.25, "XX.C..HH": -0.125}


def event(magnitudes: list[float]) -> LiveEvent:
    """Return an event of magnitude 9 with magnitudes of stations A, B, C, and so on."""
    numbers = dict.fromkeys([c.name for c in EVENTS.columns if c.kind == "float"], 1.0)
    numbers |= {"n_p": 4, "n_s": 3, "time": pd.Timestamp("2020-01-01", tz="UTC")}
    rows = [
        {
            "event_id": "a",
            "station": f"XX.{name}..HH",
            "magnitude_type": "ML",
            "magnitude": value,
            "used": value == value,
            "reason": "" if value == value else "too weak: snr 1",
        }
        for name, value in zip("ABCDEFG", magnitudes, strict=False)
    ]
    found = LiveEvent("a", None, PICKS.empty())
    found.events = EVENTS.table([numbers | {"event_id": "a", "magnitude": 9.0}])
    found.raw = STATION_MAGNITUDES.table(rows)
    return found


@pytest.mark.parametrize(
    ("magnitudes", "expected"),
    [([], 9.0), ([1.0], 1.25), ([1.0, 1.25, 1.375, np.nan], 1.25), ([np.nan], np.nan)],
)
def test_the_magnitude_alone_is_that_of_the_solution(magnitudes, expected):
    events, known = LiveEvents(), event(magnitudes)
    events.corrections = CORRECTIONS
    solution = events.solution_of(known, SETTINGS)
    assert solution.events["magnitude"].iloc[0] == pytest.approx(expected, nan_ok=True)
    assert events.magnitude_of(known, SETTINGS) == pytest.approx(expected, nan_ok=True)
    corrected = solution.station_magnitudes["magnitude"] - known.raw["magnitude"]
    added = [CORRECTIONS.get(name, 0.0) for name in known.raw["station"]]
    np.testing.assert_array_equal(corrected.dropna(), np.array(added)[corrected.notna()])
    assert list(known.raw["magnitude"]) == pytest.approx(magnitudes, nan_ok=True)
