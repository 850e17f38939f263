"""Reading catalogues that others made: events to compare with, and picks to locate."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from lithoscope.catalog.flat import read_tables
from lithoscope.catalog.store import Store
from lithoscope.catalog.tables import Catalog
from lithoscope.errors import DataError, StorageError
from lithoscope.files import storage_error

REFERENCE_COLUMNS = ["event_id", "time", "longitude", "latitude", "depth_km", "magnitude"]

# Column names in the wild, after lower case and dropping everything but letters and digits.
_ALIASES = {
    "event_id": ("eventid", "id", "evid", "eventindex", "eventidx", "publicid"),
    "time": ("time", "origintime", "datetime", "otime", "timeutc"),
    "longitude": ("longitude", "lon", "long", "lng"),
    "latitude": ("latitude", "lat"),
    "magnitude": ("magnitude", "mag", "ml", "mw", "magnitudeml"),
}
_DEPTHS = {  # km per unit of the column
    "depthkm": 1.0,
    "depth": 1.0,
    "dep": 1.0,
    "z": 1.0,
    "zkm": 1.0,
    "depthm": 1e-3,
}


def read_reference(path: str | Path) -> pd.DataFrame:
    """Read the events of a reference catalogue.

    Parameters
    ----------
    path
        QuakeML or SCML; CSV or TSV with a header (usual names are understood; a depth column is
        km unless its name says m); hypoDD's ``.reloc`` or ``.loc``; a folder of tables or a store
        of ours.

    Returns
    -------
    Table with ``event_id``, ``time``, ``longitude``, ``latitude``, ``depth_km`` and ``magnitude``
    (NaN where none), in order of time.

    Raises
    ------
    StorageError
        If the file cannot be read.
    DataError
        If it has no known format, or a needed column or value is missing.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "table":
        events = _read_delimited(path)
    elif kind == "hypodd":
        events = _read_hypodd(path)
    else:
        events = read_catalog(path).events
    events = events[REFERENCE_COLUMNS].copy()
    return events.sort_values(["time", "event_id"], kind="stable").reset_index(drop=True)


def read_catalog(path: str | Path) -> Catalog:
    """Read a whole catalogue with picks and arrivals.

    Parameters
    ----------
    path
        QuakeML or SCML file, a folder of CSV or Parquet tables, or an SQLite store.

    Raises
    ------
    StorageError
        If the file cannot be read.
    DataError
        If it is none of these formats.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "folder":
        return read_tables(path)
    if kind == "sqlite":
        return Store(path).read()
    if kind == "xml":
        from lithoscope.catalog.quakeml_read import read_event_xml  # ObsPy takes a second to load

        return read_event_xml(path)
    raise DataError(
        f"{path}: is no catalogue with picks that we can read; "
        f"give QuakeML, SCML, a folder of tables or a store"
    )


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise storage_error("read", path, error) from None
    if not head.strip():
        raise DataError(f"{path}: is empty; expected a catalogue")
    if head.startswith(b"SQLite format 3"):
        return "sqlite"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "xml"
    if path.suffix in (".reloc", ".loc"):
        return "hypodd"
    return "table"


def _read_delimited(path: Path) -> pd.DataFrame:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is neither text nor a known catalogue format") from None
    except OSError as error:
        raise storage_error("read", path, error) from None
    header = text.splitlines()[0]
    separator = max("\t,;", key=header.count)
    try:
        frame = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", comment=None)
    except ValueError as error:
        raise StorageError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
    names = {_letters(c): c for c in frame.columns}
    found = {
        k: next((names[a] for a in alias if a in names), None) for k, alias in _ALIASES.items()
    }
    missing = [k for k in ("time", "longitude", "latitude") if found[k] is None]
    if missing:
        raise DataError(
            f"{path}: no column for {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns))}"
        )
    out = pd.DataFrame(index=frame.index)
    out["time"] = _times(frame[found["time"]], path)
    for name in ("longitude", "latitude"):
        out[name] = _numbers(frame[found[name]], name, path, required=True)
    depth = next((key for key in _DEPTHS if key in names), None)
    out["depth_km"] = np.nan
    if depth is not None:
        out["depth_km"] = _numbers(frame[names[depth]], names[depth], path) * _DEPTHS[depth]
    out["magnitude"] = np.nan
    if found["magnitude"] is not None:
        out["magnitude"] = _numbers(frame[found["magnitude"]], "magnitude", path)
    out["event_id"] = [f"reference{i + 1:06d}" for i in range(len(frame))]
    if found["event_id"] is not None:
        ids = frame[found["event_id"]]
        if not ids.isna().any() and not ids.duplicated().any():
            out["event_id"] = ids.astype(str)
    return out


def _letters(name: object) -> str:
    return "".join(c for c in str(name).lower() if c.isalnum())


def _times(values: pd.Series, path: Path) -> pd.Series:
    try:
        times = pd.to_datetime(values, utc=True, format="ISO8601")
    except (ValueError, TypeError):
        raise DataError(
            f"{path}: times such as '{values.iloc[0]}' are not ISO 8601 (2019-07-04T17:02:55.34)"
        ) from None
    if times.isna().any():
        raise DataError(f"{path}: row {int(np.flatnonzero(times.isna())[0]) + 1} has no time")
    return times.astype("datetime64[ns, UTC]")


def _numbers(values: pd.Series, name: str, path: Path, *, required: bool = False) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    bad = numbers.isna() & values.notna() & (values.str.strip().str.lower() != "nan")
    if required:
        bad |= ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(f"{path}, row {row + 1}: {name} = '{values.iloc[row]}' is not a number")
    limit = {"longitude": 360.0, "latitude": 90.0}.get(name, math.inf)
    outside = numbers.abs() > limit
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise DataError(
            f"{path}, row {row + 1}: {name} = {numbers.iloc[row]} is out of range (+-{limit:g}); "
            f"are the columns swapped?"
        )
    return numbers.astype(float)


def _read_hypodd(path: Path) -> pd.DataFrame:
    """Read hypoDD's output: id, lat, lon, depth, x, y, z, ex, ey, ez, yr, mo, dy, hr, mi, sc, mag.

    A magnitude of 0.0 is hypoDD's sign for none only when all events have it.
    """
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            event = words[0]
            latitude, longitude, depth = (float(w) for w in words[1:4])
            year, month, day, hour, minute = (int(w) for w in words[10:15])
            second, magnitude = float(words[15]), float(words[16])
            start = pd.Timestamp(year, month, day, hour, minute, tz="UTC")
        except (ValueError, IndexError):
            raise DataError(f"{path}, line {number}: is not hypoDD's format") from None
        time = start + pd.Timedelta(round(second * 1e9), "ns")
        rows.append((event, time, longitude, latitude, depth, magnitude))
    frame = pd.DataFrame(rows, columns=REFERENCE_COLUMNS)
    if len(frame) and (frame["magnitude"] == 0.0).all():
        frame["magnitude"] = np.nan
    frame["time"] = frame["time"].astype("datetime64[ns, UTC]")
    return frame
