"""Station corrections from the station magnitudes of many events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lithoscope.magnitude.network import network_columns, robust_mean
from lithoscope.magnitude.settings import MagnitudeSettings
from lithoscope.schema import EVENTS, STATION_MAGNITUDES

_ITERATIONS = 100
_CONVERGED = 1e-6  # magnitude units


def estimate_station_corrections(
    station_magnitudes: pd.DataFrame, *, min_events: int = 10, station_sigma: float = 0.3
) -> dict[str, float]:
    """Return what to add to each station's magnitudes so that stations agree.

    Solves ``magnitude = event term - correction`` by robust means of events and stations in turn.
    The median of the corrections is zero, so the level of the catalogue stays that of the median
    station. Magnitudes that carry corrections already give what is to be added to those.

    Parameters
    ----------
    station_magnitudes
        STATION_MAGNITUDES; rows that were not used are left out.
    min_events
        Stations with fewer magnitudes get no correction: their mean is too uncertain.
    station_sigma
        Expected scatter of single station magnitudes.
    """
    table = STATION_MAGNITUDES.check(station_magnitudes)
    table = table[table["used"]]
    counts = table["station"].value_counts()
    table = table[table["station"].isin(counts.index[counts >= min_events])]
    # An event at one station says nothing about how stations differ.
    table = table[table.groupby("event_id")["station"].transform("nunique") > 1]
    if table.empty:
        return {}
    stations, j = np.unique(table["station"].to_numpy(str), return_inverse=True)
    events, i = np.unique(table["event_id"].to_numpy(str), return_inverse=True)
    values = table["magnitude"].to_numpy(float)
    correction = np.zeros(len(stations))
    for _ in range(_ITERATIONS):
        event_term = _means(values + correction[j], i, len(events), station_sigma)
        moved = _means(event_term[i] - values, j, len(stations), station_sigma)
        moved -= np.median(moved)
        change = float(np.max(np.abs(moved - correction)))
        correction = moved
        if change < _CONVERGED:
            break
    return {str(name): float(value) for name, value in zip(stations, correction, strict=True)}


def correct_stations(
    events: pd.DataFrame,
    station_magnitudes: pd.DataFrame,
    settings: MagnitudeSettings | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimate station corrections from a whole catalogue and apply them.

    Call it once with all events, after `local_magnitudes`; which parts those were measured in
    does not matter. With ``correction_events`` zero, or too few events, nothing changes.

    Returns
    -------
    EVENTS with new network magnitudes, and STATION_MAGNITUDES with corrected magnitudes.
    """
    settings = settings or MagnitudeSettings()
    events, table = EVENTS.check(events), STATION_MAGNITUDES.check(station_magnitudes)
    if settings.correction_events == 0:
        return events, table
    corrections = estimate_station_corrections(
        table, min_events=settings.correction_events, station_sigma=settings.station_sigma
    )
    if not corrections:
        return events, table
    table["magnitude"] += table["station"].map(corrections).fillna(0.0)
    by_event: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        by_event.setdefault(row["event_id"], []).append({str(k): v for k, v in row.items()})
    columns = [network_columns(by_event.get(name, []), settings) for name in events["event_id"]]
    return EVENTS.check(events.assign(**pd.DataFrame(columns, index=events.index))), table


def _means(values: np.ndarray, group: np.ndarray, n: int, sigma: float) -> np.ndarray:
    order = np.argsort(group, kind="stable")
    parts = np.split(values[order], np.searchsorted(group[order], np.arange(1, n)))
    return np.array([robust_mean(part, sigma).magnitude for part in parts])
