"""Association of real picks: the first hours of 14 October 2016 in central Italy."""

from __future__ import annotations

import italy
import numpy as np
import pandas as pd
import pytest


@pytest.mark.data
def test_italy_finds_the_relocated_events(real_data) -> None:
    folder = real_data("picks/italy_2016")
    hours = 1.5
    picks = italy.read_picks(folder, hours=(0.0, hours))
    events = italy.associate_day(folder, picks).candidates
    reference = italy.read_relocated(folder)
    reference = reference[reference["time"] < italy.DAY + pd.Timedelta(hours=hours, minutes=-1)]
    found = italy.matches(reference, events)
    assert np.mean(found >= 0) >= 0.95
