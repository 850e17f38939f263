"""The store as the service reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.catalog import Catalog, Change, EventQuery, Store
from lithoscope.catalog.plain import Solution
from lithoscope.catalog.store_query import STATUSES
from lithoscope.errors import LithoscopeError
from lithoscope.pipeline.relocate import posterior_samples

_ARRIVALS = ["event_id", "time", "phase", "residual_s", "weight", "distance_km"]


class StoreView:
    """Reads of a `Store`, in the form that answers need."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sequence(self) -> int:
        """Return the number of the latest change."""
        return self._store.sequence()

    def events(self, event_ids: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return the columns of EVENTS with version, updated_ns and evaluation (`Snapshot`).

        Rejected and cancelled events are in.
        """
        ids = None if event_ids is None else tuple(event_ids)
        return self._store.event_columns(EventQuery(eventid=ids, status=tuple(STATUSES)))

    def solutions(self, event_ids: Sequence[str]) -> dict[str, Solution]:
        """Return events with what they rest on and how they are judged."""
        return self._store.solutions(event_ids)

    def changes(self, after: int, limit: int) -> list[Change]:
        """Return what happened after a sequence number, oldest first."""
        return self._store.changes(after, limit)

    def catalog(self, event_ids: Sequence[str]) -> Catalog:
        """Return events with their arrivals, picks, station magnitudes and evaluation."""
        return self._store.catalog(event_ids)

    def versions(self, event_id: str) -> pd.DataFrame:
        """Return one row a version of an event, the first first."""
        return self._store.versions(event_id)

    def audit(self, event_id: str | None = None) -> pd.DataFrame:
        """Return who changed what: event_id, made_at, user, action, detail; latest first."""
        table = self._store.audit(event_id)
        return table.assign(
            detail=[
                "; ".join(filter(None, (_difference(before, after), comment)))
                for before, after, comment in zip(
                    table["before"], table["after"], table["comment"], strict=True
                )
            ]
        )

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the store."""
        return self._store.table(name)

    def state(self, name: str) -> dict[str, Any]:
        """Return what `watch` says of itself; empty for a finished run."""
        found = self._store.state(name, {})
        return found if isinstance(found, dict) else {}

    def arrivals_of(self, station: str, limit: int) -> pd.DataFrame:
        """Return the arrivals of a station, latest first."""
        return self._store.of_station("arrivals", station, limit)[_ARRIVALS]

    def picks_and_arrivals(self, station: str) -> tuple[int, int]:
        """Return how many picks and arrivals a station has."""
        counts = self._store.counts(station)
        return counts["picks"], counts["arrivals"]

    def problems(self, limit: int) -> tuple[int, pd.DataFrame]:
        """Return how many problems there are, and the first of them."""
        first = self._store.first_rows("problems", limit)
        n = len(first) if len(first) < limit else self._store.count_rows("problems")
        return n, first

    def samples(self, event_id: str, n: int) -> np.ndarray | None:
        """Return draws of longitude, latitude, depth and time offset; None if there are none."""
        try:
            return np.asarray(posterior_samples(self._store, event_id, n=n))
        except LithoscopeError:  # picks or model of an imported catalogue are not known
            return None


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return what changed, in words."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ", ".join(
        f"{name} {json.dumps(before.get(name))} -> {json.dumps(after.get(name))}" for name in names
    )
