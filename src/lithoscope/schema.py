"""The tables that flow between stages: column names, types and meanings, and one check for all.

Every stage takes and returns pandas tables in these schemas. Times are UTC
(``datetime64[ns, UTC]``); depth is km below sea level, positive down; elevation is m above
sea level; distances are km; uncertainties are 1 sigma unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from lithoscope.errors import DataError

Kind = Literal["text", "float", "integer", "boolean", "time"]

_DTYPES: dict[str, Any] = {
    "text": "str",
    "float": "float64",
    "integer": "int64",
    "boolean": "bool",
    "time": "datetime64[ns, UTC]",
}
_DEFAULTS: dict[str, Any] = {
    "text": "",
    "float": np.nan,
    "integer": 0,
    "boolean": False,
    "time": pd.NaT,
}
_PANDAS_DTYPES = {kind: pd.api.types.pandas_dtype(name) for kind, name in _DTYPES.items()}


@dataclass(frozen=True)
class Column:
    """One column: its type, what it means, and whether input may leave it out.

    A missing optional column is filled with ``default`` (NaN, NaT, "" or False by type).
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = True


@dataclass(frozen=True)
class Schema:
    """Ordered columns of a table."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def empty(self) -> pd.DataFrame:
        """Return a table of this schema without rows."""
        return _empty(self).copy()

    def table(self, rows: Any) -> pd.DataFrame:
        """Build a checked table from anything `pandas.DataFrame` accepts (list of dicts, ...)."""
        columns = _columns(rows)
        made = None if columns is None else _made(columns, self)
        if made is not None:
            return made
        frame = pd.DataFrame(rows)
        return self.empty() if frame.empty else self.check(frame)

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``frame`` with the columns of this schema, in order and with the right types.

        Columns that the schema does not know are dropped; optional ones are filled.

        Raises
        ------
        DataError
            If a required column is missing or a value does not fit its type.
        """
        if _fits(frame, self):
            return frame.reset_index(drop=True)  # a lazy copy: most tables have been here before
        missing = [c.name for c in self.columns if c.required and c.name not in frame.columns]
        if missing:
            raise DataError(
                f"table '{self.name}' lacks column(s) {', '.join(missing)}; "
                f"it has {', '.join(map(str, frame.columns)) or 'none'}"
            )
        out = {}
        for column in self.columns:
            if column.name in frame.columns:
                out[column.name] = _convert(frame[column.name], column, self.name)
            else:
                out[column.name] = _filled(len(frame), column, frame.index)
        return pd.DataFrame(out, index=frame.index).reset_index(drop=True)


@lru_cache(maxsize=64)
def _empty(schema: Schema) -> pd.DataFrame:
    return pd.DataFrame({c.name: pd.Series([], dtype=_DTYPES[c.kind]) for c in schema.columns})


@lru_cache(maxsize=64)
def _layout(schema: Schema) -> tuple[list[str], list[Any], list[str]]:
    """Return names and types of all columns, and the names of those of text."""
    types = [_PANDAS_DTYPES[column.kind] for column in schema.columns]
    return schema.names, types, [c.name for c in schema.columns if c.kind == "text"]


def _fits(frame: pd.DataFrame, schema: Schema) -> bool:
    """Return whether all columns are there in order, have their types and need no filling in."""
    names, types, texts = _layout(schema)
    if frame.columns.tolist() != names or frame.dtypes.tolist() != types:
        return False
    return frame.empty or not any(frame[name].array.isna().any() for name in texts)


def _columns(rows: Any) -> dict[str, Any] | None:
    """Return rows as columns of one length, None if they are not plain ones."""
    if isinstance(rows, dict):
        kinds = (list, tuple, np.ndarray, pd.DatetimeIndex)
        plain = all(isinstance(v, kinds) and np.ndim(v) == 1 for v in rows.values())
        return rows if plain and len({len(v) for v in rows.values()}) == 1 else None
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        names = rows[0].keys()
        if all(row.keys() == names for row in rows):
            return {name: [row[name] for row in rows] for name in names}
    return None


def _made(columns: dict[str, Any], schema: Schema) -> pd.DataFrame | None:
    """Return columns as a table, None unless there are rows and all values have their types.

    A few rows are so made ten times faster than with a conversion column by column.
    """
    n = len(next(iter(columns.values()), ()))
    out = {}
    for column in schema.columns:
        if column.name in columns:
            out[column.name] = _values(columns[column.name], column.kind)
        elif not column.required:
            out[column.name] = _values([_DEFAULTS[column.kind]] * n, column.kind)
        if out.get(column.name) is None:
            return None
    return pd.DataFrame(out) if n else None


def _values(values: Any, kind: Kind) -> Any:
    """Return values as an array of a column, None if some would need converting."""
    if kind == "text":
        some = values.tolist() if isinstance(values, np.ndarray) else list(values)
        if not all(type(v) is str for v in some):
            return None
        return pd.Series(some, dtype=_PANDAS_DTYPES["text"]).array
    if kind == "time":
        if isinstance(values, pd.DatetimeIndex):
            return values if values.dtype == _PANDAS_DTYPES["time"] else None
        if not all(v is pd.NaT or (type(v) is pd.Timestamp and v.tzinfo) for v in values):
            return None
        moments = np.array([v.value for v in values], np.int64).view("datetime64[ns]")
        return pd.DatetimeIndex(moments, tz="UTC")
    array = np.asarray(values)
    if array.dtype.kind not in {"float": "fiu", "integer": "iu", "boolean": "b"}[kind]:
        return None
    return array.astype(_DTYPES[kind], copy=False)


def _filled(n: int, column: Column, index: pd.Index) -> pd.Series:
    return pd.Series([_DEFAULTS[column.kind]] * n, index=index, dtype=_DTYPES[column.kind])


def _convert(values: pd.Series, column: Column, table: str) -> pd.Series:
    if values.dtype == _PANDAS_DTYPES[column.kind] and column.kind != "text":
        return values
    try:
        if column.kind == "time":
            return pd.to_datetime(values, utc=True, format="ISO8601").astype(_DTYPES["time"])
        if column.kind == "text":
            return values.fillna("").astype("str")
        return values.astype(_DTYPES[column.kind])
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"table '{table}', column '{column.name}': cannot be read as {column.kind} ({reason})"
        ) from None


STATIONS = Schema(
    "stations",
    (
        Column("station", "text", "NET.STA.LOC.BI: network, station, location, band + instrument"),
        Column("longitude", "float", "degrees east, WGS84"),
        Column("latitude", "float", "degrees north, WGS84"),
        Column("elevation_m", "float", "m above sea level, sensor depth taken off"),
        Column("starttime", "time", "valid from, NaT = always", required=False),
        Column("endtime", "time", "valid to, NaT = still", required=False),
    ),
)

CHANNELS = Schema(
    "channels",
    (
        Column("channel", "text", "NET.STA.LOC.CHA"),
        Column("station", "text", "NET.STA.LOC.BI it belongs to"),
        Column("azimuth_deg", "float", "positive motion, clockwise from north", required=False),
        Column("dip_deg", "float", "positive motion, down from horizontal (Z up = -90)", False),
        Column("gain", "float", "counts per input unit, NaN = unknown", required=False),
        Column("unit", "text", "input unit: m, m/s, m/s**2, '' = unknown", required=False),
        Column("gain_frequency_hz", "float", "where the gain holds", required=False),
        Column("starttime", "time", "valid from", required=False),
        Column("endtime", "time", "valid to", required=False),
        Column("has_response", "boolean", "a full response is known", required=False),
    ),
)

PICKS = Schema(
    "picks",
    (
        Column("pick_id", "text", "unique: STATION/PHASE/time in ns since 1970"),
        Column("station", "text", "NET.STA.LOC.BI"),
        Column("phase", "text", "P or S"),
        Column("time", "time", "onset"),
        Column("time_sigma_s", "float", "1 sigma of the onset time"),
        Column("probability", "float", "that this is an onset of this phase, 0 to 1", False),
        Column(
            "amplitude", "float", "peak of the trace after the onset, in the data's unit", False
        ),
        Column("snr", "float", "amplitude ratio after / before the onset", required=False),
        Column("polarity", "integer", "first motion: 1 up, -1 down, 0 unknown", required=False),
        Column("model", "text", "picker that made it", required=False),
    ),
)

DETECTIONS = Schema(
    "detections",
    (
        Column("station", "text", "NET.STA.LOC.BI"),
        Column("starttime", "time", "an event is recorded here from"),
        Column("endtime", "time", "to"),
        Column("probability", "float", "0 to 1"),
        Column("model", "text", "picker that made it", required=False),
    ),
)

CANDIDATES = Schema(
    "candidates",
    (
        Column("event_id", "text", "ls + time of the first pick + its station code"),
        Column("time", "time", "preliminary origin time"),
        Column("longitude", "float", "preliminary epicentre"),
        Column("latitude", "float", "preliminary epicentre"),
        Column("depth_km", "float", "preliminary depth below sea level"),
        Column("n_p", "integer", "associated P picks"),
        Column("n_s", "integer", "associated S picks"),
        Column("score", "float", "expected number of true picks above chance", required=False),
    ),
)

ASSIGNMENTS = Schema(
    "assignments",
    (
        Column("event_id", "text", "event the pick belongs to"),
        Column("pick_id", "text", "each pick at most once"),
        Column("residual_s", "float", "observed minus predicted at the candidate", False),
    ),
)

EVENTS = Schema(
    "events",
    (
        Column("event_id", "text", "ls + time of the first pick + its station code"),
        Column("time", "time", "origin time, maximum of the posterior"),
        Column("longitude", "float", "maximum of the posterior"),
        Column("latitude", "float", "maximum of the posterior"),
        Column("depth_km", "float", "below sea level, maximum of the posterior"),
        Column("time_sigma_s", "float", "1 sigma of the marginal posterior"),
        Column("east_sigma_km", "float", "1 sigma"),
        Column("north_sigma_km", "float", "1 sigma"),
        Column("depth_sigma_km", "float", "1 sigma"),
        Column("cov_time_time_s2", "float", "posterior covariance", False),
        Column("cov_time_east_s_km", "float", "posterior covariance", False),
        Column("cov_time_north_s_km", "float", "posterior covariance", False),
        Column("cov_time_up_s_km", "float", "posterior covariance", False),
        Column("cov_east_east_km2", "float", "posterior covariance", False),
        Column("cov_east_north_km2", "float", "posterior covariance", False),
        Column("cov_east_up_km2", "float", "posterior covariance", False),
        Column("cov_north_north_km2", "float", "posterior covariance", False),
        Column("cov_north_up_km2", "float", "posterior covariance", False),
        Column("cov_up_up_km2", "float", "posterior covariance", False),
        Column("ellipse_68_major_km", "float", "half axis, holds 68 % of the epicentre", False),
        Column("ellipse_68_minor_km", "float", "half axis", False),
        Column("ellipse_95_major_km", "float", "half axis, holds 95 % of the epicentre", False),
        Column("ellipse_95_minor_km", "float", "half axis", False),
        Column("ellipse_azimuth_deg", "float", "of the major axis, from north", False),
        Column("depth_68_low_km", "float", "shortest interval that holds 68 %", False),
        Column("depth_68_high_km", "float", "", False),
        Column("depth_95_low_km", "float", "shortest interval that holds 95 %", False),
        Column("depth_95_high_km", "float", "", False),
        Column("time_68_half_s", "float", "half width of the interval that holds 68 %", False),
        Column("time_95_half_s", "float", "half width of the interval that holds 95 %", False),
        Column("n_modes", "integer", "separate maxima of the posterior worth 10 % or more", False),
        Column("ambiguous", "boolean", "several modes, or a region wider than the network", False),
        Column("n_p", "integer", "P arrivals used (weight above 0.5)"),
        Column("n_s", "integer", "S arrivals used (weight above 0.5)"),
        Column("azimuthal_gap_deg", "float", "largest gap between used stations", False),
        Column("nearest_station_km", "float", "epicentral distance", False),
        Column("rms_s", "float", "weighted root mean square residual", False),
        Column("magnitude", "float", "network magnitude, NaN = none", False),
        Column("magnitude_type", "text", "ML, ...", False),
        Column("magnitude_sigma", "float", "1 sigma of the network magnitude", False),
        Column("n_magnitudes", "integer", "station magnitudes used", False),
        Column("magnitude_reason", "text", "why there is none", False),
        Column("event_type", "text", "earthquake, ..., or 'not classified'", False),
        Column("event_type_probability", "float", "0 to 1", False),
        Column("event_type_reason", "text", "why not classified", False),
    ),
)

ARRIVALS = Schema(
    "arrivals",
    (
        Column("event_id", "text", ""),
        Column("pick_id", "text", ""),
        Column("station", "text", "NET.STA.LOC.BI"),
        Column("phase", "text", "P or S"),
        Column("time", "time", "of the pick"),
        Column("distance_km", "float", "epicentral"),
        Column("azimuth_deg", "float", "event to station, from north"),
        Column("takeoff_deg", "float", "at the source, 0 = down, 180 = up", required=False),
        Column("residual_s", "float", "observed minus predicted at the maximum"),
        Column("weight", "float", "probability that the pick is no outlier, 0 to 1"),
    ),
)

STATION_TERMS = Schema(
    "station_terms",
    (
        Column("station", "text", "NET.STA.LOC.BI"),
        Column("phase", "text", "P or S"),
        Column("term_s", "float", "added to the predicted time: positive = waves come later"),
        Column("sigma_s", "float", "1 sigma of the term"),
        Column("n_picks", "integer", "picks it rests on (weight above 0.5)", required=False),
    ),
)

STATION_MAGNITUDES = Schema(
    "station_magnitudes",
    (
        Column("event_id", "text", ""),
        Column("station", "text", "NET.STA.LOC.BI"),
        Column("channel", "text", "NET.STA.LOC.CHA measured", required=False),
        Column("magnitude_type", "text", "ML"),
        Column("magnitude", "float", "NaN when refused"),
        Column("amplitude_mm", "float", "Wood-Anderson, zero to peak", required=False),
        Column("amplitude_time", "time", "of that peak", required=False),
        Column("distance_km", "float", "hypocentral", required=False),
        Column("snr", "float", "amplitude over noise before P", required=False),
        Column("used", "boolean", "took part in the network magnitude"),
        Column("reason", "text", "why it was refused, '' = used", required=False),
    ),
)

PROBLEMS = Schema(
    "problems",
    (
        Column("what", "text", "file, channel or station"),
        Column("problem", "text", "gap, overlap, clipped, dead, no metadata, unreadable, ..."),
        Column("detail", "text", "one line with the numbers"),
        Column("action", "text", "what was done: used, skipped, first file kept, ..."),
        Column("starttime", "time", "", required=False),
        Column("endtime", "time", "", required=False),
    ),
)

ALL_SCHEMAS = (
    STATIONS,
    CHANNELS,
    PICKS,
    DETECTIONS,
    CANDIDATES,
    ASSIGNMENTS,
    EVENTS,
    ARRIVALS,
    STATION_MAGNITUDES,
    PROBLEMS,
)


def pick_id(station: str, phase: str, time_ns: int) -> str:
    """Return the id of a pick; the same data give the same id on every run."""
    return f"{station}/{phase}/{time_ns}"


def event_id(first_pick_station: str, first_pick_time_ns: int) -> str:
    """Return the id of an event from its earliest pick.

    A pick belongs to at most one event, so the id is unique, and it depends on the data alone.
    """
    moment = np.datetime64(first_pick_time_ns, "ns").astype("datetime64[ms]")
    stamp = str(moment).replace("-", "").replace(":", "").replace(".", "")
    return f"ls{stamp}_{first_pick_station.split('.')[1]}"
