"""Two pickers as one: nothing of the first is lost, nothing is picked twice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lithoscope.picking import CombinedPicker
from lithoscope.schema import DETECTIONS, PICKS, pick_id
from lithoscope.waveforms import Record

START = 1_500_000_000_000_000_000
RECORD = Record(
    "XX.A..HH", START, 100.0, np.zeros((3, 5000), np.float32), np.ones(3, bool), ("",) * 3,
    np.zeros(3, bool),
)  # fmt: skip


class Listed:
    """A picker that always finds the same onsets."""

    sampling_rate_hz = 100.0

    def __init__(self, name: str, onsets: list[tuple[str, float]], context_s: float) -> None:
        self.name, self.onsets, self.context_s = name, onsets, context_s

    def unusable(self, record: Record) -> str | None:
        return None if self.onsets else f"{self.name} sees nothing"

    def annotate(self, record: Record) -> np.ndarray:
        return np.full((3, record.n_samples), len(self.onsets) / 10, np.float32)

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows = [
            {
                "pick_id": pick_id(record.station, phase, START + round(1e9 * at)),
                "station": record.station,
                "phase": phase,
                "time": pd.Timestamp(START + round(1e9 * at), tz="UTC"),
                "time_sigma_s": 0.1,
                "probability": 0.5,
                "amplitude": 1.0,
                "snr": 2.0,
                "polarity": 0,
                "model": self.name,
            }
            for phase, at in self.onsets
        ]
        return PICKS.table(rows), DETECTIONS.empty()


def test_the_second_fills_in_where_the_first_has_nothing() -> None:
    first = Listed("a", [("P", 10.0), ("S", 14.0)], 5.0)
    second = Listed("b", [("P", 9.7), ("P", 13.6), ("P", 20.0), ("S", 3.0)], 70.0)
    both = CombinedPicker(first, second)
    picks, _ = both.pick(RECORD)
    at = (picks["time"].astype("int64") - START) / 1e9
    found = list(zip(picks["phase"], at.round(3), picks["model"], strict=True))
    assert found == [("S", 3.0, "b"), ("P", 10.0, "a"), ("S", 14.0, "a"), ("P", 20.0, "b")]
    assert both.name == "a+b"
    assert both.context_s > 70.0
    assert both.annotate(RECORD).max() == np.float32(0.4)


def test_either_may_find_nothing() -> None:
    some, none = Listed("a", [("P", 10.0)], 1.0), Listed("b", [], 1.0)
    for pair in ((some, none), (none, some)):
        both = CombinedPicker(*pair)
        assert len(both.pick(RECORD)[0]) == 1
        assert both.unusable(RECORD) is None
    assert CombinedPicker(none, none).unusable(RECORD) == "b sees nothing"
