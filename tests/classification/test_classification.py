"""No classifier yet: every event says so; the interface holds classifiers to their contract."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lithoscope.classification import classify
from lithoscope.errors import DataError
from lithoscope.schema import EVENTS


@pytest.fixture
def events():
    numbers = dict.fromkeys([c.name for c in EVENTS.columns if c.kind == "float"], 1.0)
    numbers |= {"n_p": 4, "n_s": 3, "time": pd.Timestamp("2020-01-01", tz="UTC")}
    return EVENTS.table([numbers | {"event_id": name} for name in ("a", "b")])


class Classifier:
    """Returns what the test gives it."""

    name = "test"

    def __init__(self, **columns):
        self.columns = columns

    def classify(self, events):
        return pd.DataFrame(self.columns, index=events.index)


def test_not_classified_and_why(events):
    out = classify(events)
    assert (out["event_type"] == "not classified").all()
    assert out["event_type_probability"].isna().all()
    assert out["event_type_reason"].str.startswith("no classifier yet").all()
    columns = ["event_type", "event_type_probability", "event_type_reason"]
    pd.testing.assert_frame_equal(out.drop(columns=columns), events.drop(columns=columns))


def test_no_events():
    assert classify(EVENTS.empty()).equals(EVENTS.empty())


def test_a_classifier_of_ones_own(events):
    own = Classifier(
        event_type=["earthquake", "not classified"],
        event_type_probability=[0.9, np.nan],
        event_type_reason=["", "too noisy"],
    )
    out = classify(events, own)
    assert out["event_type"].tolist() == ["earthquake", "not classified"]
    assert out["event_type_probability"].iloc[0] == 0.9
    assert out["event_type_reason"].iloc[1] == "too noisy"


@pytest.mark.parametrize("probability", [1.2, -0.1, np.nan])
def test_a_type_needs_a_probability(events, probability):
    own = Classifier(
        event_type="earthquake", event_type_probability=probability, event_type_reason=""
    )
    with pytest.raises(DataError, match="without a probability of 0 to 1"):
        classify(events, own)


def test_a_classifier_must_answer_for_every_event(events):
    with pytest.raises(DataError, match="for each of the 2 events"):
        classify(events, Classifier(event_type="earthquake"))
