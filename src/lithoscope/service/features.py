"""Rows of tables as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.service.times import iso

_NAT = np.iinfo(np.int64).min


def json_value(value: Any) -> Any:
    """Return a cell as JSON knows it: times as text, what is not known as None."""
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        return iso(value.value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON objects."""
    return [
        {str(name): json_value(value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def json_row(row: Any) -> dict[str, Any]:
    """Return a plain row (`lithoscope.catalog.plain`) as a JSON object."""
    out: dict[str, Any] = {}
    for name, value in zip(row._fields, row, strict=True):
        if name.endswith("_ns"):
            known = value is not None and value != _NAT
            out[name[:-3]] = iso(value) if known else None
        elif value.__class__ is float and not math.isfinite(value):
            out[name] = None
        else:
            out[name] = value
    return out


def feature(event: Any) -> dict[str, Any]:
    """Return an event as an RFC 7946 feature: a point (degrees, m above sea level)."""
    fields = json_row(event)
    name = fields.pop("event_id")
    geometry = None
    if fields["longitude"] is not None and fields["latitude"] is not None:
        longitude = fields["longitude"]
        if abs(longitude) > 180.0:
            longitude = (longitude + 180.0) % 360.0 - 180.0
        coordinates = [longitude, fields["latitude"]]
        if fields["depth_km"] is not None:
            coordinates.append(-1000.0 * fields["depth_km"])
        geometry = {"type": "Point", "coordinates": coordinates}
    return {"type": "Feature", "id": name, "geometry": geometry, "properties": fields}
