"""Magnitudes of an event whose hypocentre has moved, from the amplitudes measured before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lithoscope.magnitude.network import network_columns
from lithoscope.magnitude.settings import MagnitudeSettings
from lithoscope.magnitude.windows import hypocentral_distance
from lithoscope.schema import EVENTS, STATION_MAGNITUDES

_COLUMNS = ("magnitude", "magnitude_type", "magnitude_sigma", "n_magnitudes", "magnitude_reason")


def moved_magnitudes(
    events: pd.DataFrame,
    station_magnitudes: pd.DataFrame,
    stations: pd.DataFrame,
    settings: MagnitudeSettings | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the distance correction of station magnitudes at the new hypocentres.

    A station magnitude changes by ``-log10 A0(new distance) + log10 A0(old distance)``: amplitude
    and station correction stay. Which stations count stays too, and so does the window in which
    the amplitude was read; after a move of many kilometres measure anew (`local_magnitudes`).

    Parameters
    ----------
    events
        EVENTS with the new hypocentres.
    station_magnitudes
        STATION_MAGNITUDES of these events, with the distances they were taken at.
    stations
        STATIONS; magnitudes of a station that is not in it stay.

    Returns
    -------
    EVENTS with new network magnitudes, and STATION_MAGNITUDES. An event without station
    magnitudes keeps what it has.
    """
    settings = settings or MagnitudeSettings()
    events, table = EVENTS.check(events), STATION_MAGNITUDES.check(station_magnitudes)
    attenuation = settings.attenuation()
    known = stations.drop_duplicates("station")
    places = known[["longitude", "latitude", "elevation_m"]].to_numpy(float)
    positions = {
        code: (float(place[0]), float(place[1]), float(place[2]))
        for code, place in zip(known["station"], places, strict=True)
    }
    columns: list[dict[str, Any]] = []
    by_event: dict[str, Any] = {str(e.event_id): e for e in events.itertuples(index=False)}
    rows: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in table.to_dict("records")
    ]
    for row in rows:
        event, position = by_event.get(row["event_id"]), positions.get(row["station"])
        if event is None or position is None or not np.isfinite(row["distance_km"]):
            continue
        distance = hypocentral_distance(event, position)
        if np.isfinite(row["magnitude"]):
            row["magnitude"] += float(attenuation(distance) - attenuation(row["distance_km"]))
        row["distance_km"] = distance
    for name, event in by_event.items():
        mine = [row for row in rows if row["event_id"] == name]
        kept = {column: getattr(event, column) for column in _COLUMNS}
        columns.append(network_columns(mine, settings) if mine else kept)
    moved = events.assign(**pd.DataFrame(columns, index=events.index)) if columns else events
    return EVENTS.check(moved), STATION_MAGNITUDES.table(rows)
