"""QuakeML 1.2 (basic event description) without loss.

What QuakeML has an element for is in that element. Columns it has no place for (the covariance,
95 % regions, probabilities, reasons, nanoseconds) go into one comment per object, the word
``lithoscope`` and JSON, which `read_catalog` reads back.

The document is written event by event, so a large catalogue needs little memory and the same
catalogue gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lithoscope.catalog.plain import solutions
from lithoscope.catalog.quakeml_text import ID_ROOT, event_text
from lithoscope.catalog.tables import Catalog
from lithoscope.errors import DataError
from lithoscope.files import replacing

QUAKEML_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" '
    'xmlns="http://quakeml.org/xmlns/bed/1.2">\n'
    f'<eventParameters publicID="{ID_ROOT}catalogue">\n'
)
QUAKEML_TAIL = "</eventParameters>\n</q:quakeml>\n"


def write_quakeml(catalog: Catalog, path: Path) -> list[Path]:
    """Write the events with their picks, arrivals, magnitudes and uncertainties.

    Picks of no event, detections, stations and problems have no place in QuakeML and are left
    out. Origins and magnitudes say how they are judged (``catalog.evaluation``; without it,
    automatic and preliminary); an event that an operator has moved has two origins, the automatic
    one and the preferred one. Picks are automatic unless their model is ``manual``.

    Raises
    ------
    DataError
        If an event has no time or position, or an id occurs twice.
    StorageError
        If the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(QUAKEML_HEAD)
        file.writelines(quakeml_events(catalog))
        file.write(QUAKEML_TAIL)
    return [path]


def quakeml_events(catalog: Catalog) -> Iterator[str]:
    """Yield the ``event`` element of each event; `QUAKEML_HEAD` and `QUAKEML_TAIL` go around them.

    Raises
    ------
    DataError
        As `write_quakeml`, before the first element.
    """
    _check(catalog)
    return (event_text(solution) for solution in solutions(catalog))


def _check(catalog: Catalog) -> None:
    events = catalog.events
    if events["event_id"].duplicated().any():
        twice = events.loc[events["event_id"].duplicated(), "event_id"].iloc[0]
        raise DataError(f"event id '{twice}' occurs twice; QuakeML needs unique ids")
    position = np.isfinite(events[["longitude", "latitude"]].to_numpy(float)).all(axis=1)
    bad = events["time"].isna() | ~position
    if bad.any():
        first = events.loc[bad, "event_id"].iloc[0]
        raise DataError(f"event '{first}' has no time or position; QuakeML needs both")
