"""Metadata rows of a dataset: columns, checks of the labels, counted exclusions."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lithoscope.errors import DataError

COLUMNS: dict[str, str] = {
    "trace": "str",
    "source": "str",
    "station": "str",
    "event": "str",
    "starttime": "datetime64[ns, UTC]",
    "sampling_rate_hz": "float64",
    "n_samples": "int64",
    "valid_start": "int64",
    "valid_end": "int64",
    "labels": "object",
    "kind": "str",
    "snr_db": "float64",
    "distance_km": "float64",
    "magnitude": "float64",
    "split": "str",
}
_DEFAULTS: dict[str, Any] = {
    "event": "", "starttime": pd.NaT, "kind": "manual", "snr_db": math.nan,
    "distance_km": math.nan, "magnitude": math.nan, "split": "",
}  # fmt: skip

Label = tuple[str, float]


EXCLUSIONS = pd.DataFrame(
    {
        "source": pd.Series([], dtype="str"),
        "reason": pd.Series([], dtype="str"),
        "n": pd.Series([], dtype="int64"),
        "example": pd.Series([], dtype="str"),
    }
)


def phase_kind(name: str) -> str:
    """Return P or S for a phase name such as Pg, Sn, pP; "" for others."""
    first = str(name).strip()[:1].upper()
    return first if first in ("P", "S") else ""


def fault(labels: list[Label], valid_start: int, valid_end: int) -> str:
    """Return why labels cannot be used, or "".

    The first S of a trace must not come before its first P when both are labelled, and every
    label must lie in the valid part.
    """
    if not labels:
        return "no P or S label"
    if any(not valid_start <= sample < valid_end for _, sample in labels):
        return "label outside the trace"
    first = {k: min((s for p, s in labels if p == k), default=math.nan) for k in "PS"}
    if first["P"] >= first["S"]:
        return "P not before S"
    return ""


def metadata_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return checked metadata with all columns.

    Raises
    ------
    DataError
        If there is no row, or two rows have one name.
    """
    if not rows:
        raise DataError("the dataset has no usable row")
    table = pd.DataFrame({c: [row.get(c, _DEFAULTS.get(c)) for row in rows] for c in COLUMNS})
    table["starttime"] = pd.to_datetime(table["starttime"], utc=True, errors="coerce")
    table = table.astype(COLUMNS)
    if table["trace"].duplicated().any():
        twice = table.loc[table["trace"].duplicated(), "trace"].iloc[0]
        raise DataError(f"two traces are called '{twice}'; names must be unique")
    return table
