"""Flat files of a catalogue: CSV, Parquet and GeoJSON."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.catalog.tables import SCHEMAS, Catalog
from lithoscope.errors import DataError, StorageError
from lithoscope.files import replacing, storage_error
from lithoscope.schema import Schema


def iso_time(time: pd.Timestamp) -> str:
    """Return ISO 8601 with nanoseconds and Z, or '' for NaT."""
    if time is pd.NaT:
        return ""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S')}.{time.value % 1_000_000_000:09d}Z"


def write_csv(catalog: Catalog, folder: Path) -> list[Path]:
    """Write ``TABLE.csv`` for each table; see `write_table`."""
    return _write_tables(catalog, folder, "csv")


def write_parquet(catalog: Catalog, folder: Path) -> list[Path]:
    """Write ``TABLE.parquet`` for each table (times as UTC nanoseconds)."""
    return _write_tables(catalog, folder, "parquet")


def _write_tables(catalog: Catalog, folder: Path, suffix: str) -> list[Path]:
    paths = []
    for name, frame in catalog.tables():
        paths.append(folder / f"{name}.{suffix}")
        write_table(frame, SCHEMAS[name], paths[-1])
    return paths


def write_table(frame: pd.DataFrame, schema: Schema, path: Path) -> None:
    """Write one table as Parquet or, by any other suffix, as CSV.

    CSV is UTF-8 with ISO 8601 times, empty = NaN or unknown; text is always quoted and numbers
    have all their digits, so that reading gives an equal table.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    if path.suffix == ".parquet":
        with replacing(path) as temporary:
            frame.to_parquet(temporary, engine="pyarrow", index=False)
        return
    text = frame.copy()
    for column in schema.columns:
        if column.kind == "time":
            text[column.name] = [iso_time(t) for t in frame[column.name]]
    with replacing(path) as temporary:
        text.to_csv(
            temporary,
            index=False,
            encoding="utf-8",
            quoting=csv.QUOTE_NONNUMERIC,
            lineterminator="\n",
        )


def read_tables(folder: Path) -> Catalog:
    """Read a folder of CSV or Parquet tables as `write_csv` or `write_parquet` left it.

    Raises
    ------
    StorageError
        If the folder holds no table or a file cannot be read.
    """
    tables: dict[str, Any] = {}
    for name, schema in SCHEMAS.items():
        for suffix in ("parquet", "csv"):
            path = folder / f"{name}.{suffix}"
            if path.is_file():
                tables[name] = read_table(path, schema)
                break
    if "events" not in tables and "picks" not in tables:
        raise StorageError(
            f"{folder}: holds neither events nor picks as CSV or Parquet; "
            f"expected files such as events.csv"
        )
    return Catalog(**tables)


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """Read one CSV or Parquet file and check it against ``schema``.

    Raises
    ------
    StorageError
        If the file cannot be read.
    DataError
        If it does not fit the schema.
    """
    try:
        if path.suffix == ".parquet":
            return schema.check(pd.read_parquet(path, engine="pyarrow"))
        # The round-trip parser keeps every digit; text such as "NA" stays text.
        frame = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8")
    except OSError as error:
        raise storage_error("read", path, error) from None
    except (ValueError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise StorageError(f"cannot read {path}: {reason}") from None
    return schema.check(_typed(frame, schema, path))


def _typed(frame: pd.DataFrame, schema: Schema, path: Path) -> pd.DataFrame:
    out = frame.copy()
    flags = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}
    for column in schema.columns:
        if column.name not in frame.columns:
            continue
        values = frame[column.name]
        if column.kind == "float":
            out[column.name] = _numbers(values, column.name, path)
        elif column.kind == "boolean":
            out[column.name] = [flags.get(v, False) for v in values]
        elif column.kind == "time":
            out[column.name] = values.astype(object).where(values != "", None)
    return out


def _numbers(values: pd.Series, name: str, path: Path) -> list[float]:
    numbers = []
    for row, text in enumerate(values):
        try:
            numbers.append(float(text) if text.strip() else math.nan)
        except ValueError:
            raise DataError(f"{path}, row {row + 1}: {name} = '{text}' is not a number") from None
    return numbers


def write_geojson(catalog: Catalog, path: Path) -> list[Path]:
    """Write the events as an RFC 7946 feature collection of points.

    Coordinates are longitude, latitude and altitude in m (minus the depth); all columns of the
    events table are properties, unknown ones null.
    """
    features = [_feature(row) for row in catalog.events.to_dict("records")]
    document = {"type": "FeatureCollection", "features": features}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return [path]


def _feature(row: dict[Any, Any]) -> dict[str, Any]:
    geometry = None
    if np.isfinite(row["longitude"]) and np.isfinite(row["latitude"]):
        longitude = (row["longitude"] + 180.0) % 360.0 - 180.0
        if abs(row["longitude"]) <= 180.0:
            longitude = row["longitude"]
        coordinates = [longitude, row["latitude"]]
        if np.isfinite(row["depth_km"]):
            coordinates.append(-1000.0 * row["depth_km"])
        geometry = {"type": "Point", "coordinates": coordinates}
    properties = {str(name): _plain(value) for name, value in row.items() if name != "event_id"}
    return {
        "type": "Feature",
        "id": row["event_id"],
        "geometry": geometry,
        "properties": properties,
    }


def _plain(value: Any) -> Any:
    if value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        return iso_time(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
