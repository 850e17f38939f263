"""The catalogue: one bundle of checked tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lithoscope import schema

SCHEMAS: dict[str, schema.Schema] = {
    "events": schema.EVENTS,
    "arrivals": schema.ARRIVALS,
    "picks": schema.PICKS,
    "detections": schema.DETECTIONS,
    "station_magnitudes": schema.STATION_MAGNITUDES,
    "stations": schema.STATIONS,
    "problems": schema.PROBLEMS,
}


@dataclass(frozen=True)
class Evaluation:
    """How the events of a catalogue are judged, where not all are automatic and preliminary.

    Attributes
    ----------
    judged
        Columns ``event_id``, ``evaluation_mode``, ``evaluation_status`` (QuakeML's words); events
        that are not there are automatic and preliminary.
    automatic
        Latest automatic solutions of events whose solution in the catalogue is an operator's.
    comments
        What operators wrote: ``event_id``, ``user``, ``made_at``, ``text``.
    """

    judged: pd.DataFrame
    automatic: Catalog
    comments: pd.DataFrame


@dataclass(frozen=True)
class Catalog:
    """Everything a run knows, as tables of `lithoscope.schema`; a table left out is empty.

    ``picks`` holds all picks; those that no arrival names are unassociated. Tables are checked
    and brought into the order and types of their schema when the catalogue is made.
    ``evaluation`` is None where nobody has judged the events; it is no part of `equals`.

    Raises
    ------
    DataError
        If a table lacks a required column or a value does not fit its type.
    """

    events: pd.DataFrame = field(default_factory=schema.EVENTS.empty)
    arrivals: pd.DataFrame = field(default_factory=schema.ARRIVALS.empty)
    picks: pd.DataFrame = field(default_factory=schema.PICKS.empty)
    detections: pd.DataFrame = field(default_factory=schema.DETECTIONS.empty)
    station_magnitudes: pd.DataFrame = field(default_factory=schema.STATION_MAGNITUDES.empty)
    stations: pd.DataFrame = field(default_factory=schema.STATIONS.empty)
    problems: pd.DataFrame = field(default_factory=schema.PROBLEMS.empty)
    evaluation: Evaluation | None = None

    def __post_init__(self) -> None:
        for name, table_schema in SCHEMAS.items():
            object.__setattr__(self, name, table_schema.check(getattr(self, name)))

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the name and the table of each part, always in the same order."""
        for name in SCHEMAS:
            yield name, getattr(self, name)

    def equals(self, other: Catalog) -> bool:
        """Return whether every table equals the other's, row by row (NaN equals NaN)."""
        return all(
            mine.equals(theirs)
            for (_, mine), (_, theirs) in zip(self.tables(), other.tables(), strict=True)
        )


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Return the rows as named tuples, untyped: the schema, not the type checker, knows them."""
    return list(frame.itertuples(index=False))
