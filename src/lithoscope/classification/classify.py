"""Event types by interface; until a classifier is trained, every event says that it has none."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from lithoscope.errors import DataError
from lithoscope.schema import EVENTS

NOT_CLASSIFIED = "not classified"
TYPE_COLUMNS = ("event_type", "event_type_probability", "event_type_reason")


class Classifier(Protocol):
    """Anything that names the type of events."""

    name: str

    def classify(self, events: pd.DataFrame) -> pd.DataFrame:
        """Return ``event_type``, ``event_type_probability`` (0 to 1, NaN without a type) and
        ``event_type_reason`` (why there is no type, '' otherwise), one row an event, same index.
        """
        ...


class Unclassified:
    """Gives every event the type 'not classified' and says why."""

    name = "none"

    def classify(self, events: pd.DataFrame) -> pd.DataFrame:
        """Return 'not classified', no probability and the reason for each event."""
        n = len(events)
        values = {
            "event_type": [NOT_CLASSIFIED] * n,
            "event_type_probability": np.full(n, np.nan),
            "event_type_reason": ["no classifier yet: event types need a trained one"] * n,
        }
        return pd.DataFrame(values, index=events.index)


def classify(events: pd.DataFrame, classifier: Classifier | None = None) -> pd.DataFrame:
    """Return the events with their type.

    Parameters
    ----------
    events
        EVENTS table.
    classifier
        Names the types; by default `Unclassified`.

    Raises
    ------
    DataError
        If the classifier breaks its contract: another number of events, a probability outside
        0 to 1, or a type without a probability.
    """
    events = EVENTS.check(events)
    return EVENTS.check(events.assign(**type_columns(events, classifier)))


def type_columns(events: pd.DataFrame, classifier: Classifier | None = None) -> dict[str, Any]:
    """Return what `classify` puts into a checked table, by column."""
    classifier = classifier or Unclassified()
    types = classifier.classify(events)
    if not types.index.equals(events.index) or set(TYPE_COLUMNS) - set(types.columns):
        raise DataError(
            f"classifier '{classifier.name}': must return {', '.join(TYPE_COLUMNS)} "
            f"for each of the {len(events)} events"
        )
    probability = types["event_type_probability"].to_numpy(float)
    unnamed = (types["event_type"] == NOT_CLASSIFIED).to_numpy(bool)
    if not (unnamed | ((probability >= 0.0) & (probability <= 1.0))).all():
        raise DataError(
            f"classifier '{classifier.name}': an event type came without a probability of 0 to 1"
        )
    return {name: types[name] for name in TYPE_COLUMNS} | {"event_type_probability": probability}
