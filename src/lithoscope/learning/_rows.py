"""Metadata rows of a dataset: columns, checks of the labels, counted exclusions."""

from __future__ import annotations

import math
import re
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
#: What a row's labels come from; a row of noise has none and is known to hold no onset.
KINDS = ("manual", "auto", "noise")
_DEFAULTS: dict[str, Any] = {
    "event": "", "starttime": pd.NaT, "kind": "manual", "snr_db": math.nan,
    "distance_km": math.nan, "magnitude": math.nan, "split": "",
}  # fmt: skip

Label = tuple[str, float]
UNLABELLED = "no P or S label"


EXCLUSIONS = pd.DataFrame(
    {
        "source": pd.Series([], dtype="str"),
        "reason": pd.Series([], dtype="str"),
        "n": pd.Series([], dtype="int64"),
        "example": pd.Series([], dtype="str"),
    }
)


# First arrivals by name; depth phases and reflections (pP, sP, PmP, SmS) are later onsets.
_FIRST = re.compile(r"^(?:p|s|[PS][gnb*1]?|P(?:diff|K.*))$")


def phase_kind(name: str) -> str:
    """Return P or S for the name of a first arrival such as p, Pg, Pn, S1, PKP; "" for others."""
    text = str(name).strip()
    return text[0].upper() if _FIRST.match(text) else ""


def fault(labels: list[Label], valid_start: int, valid_end: int) -> str:
    """Return why labels cannot be used, or "".

    The first S of a trace must not come before its first P when both are labelled, and every
    label must lie in the valid part.
    """
    if not labels:
        return UNLABELLED
    if any(not valid_start <= sample < valid_end for _, sample in labels):
        return "label outside the trace"
    first = {k: min((s for p, s in labels if p == k), default=math.nan) for k in "PS"}
    if first["P"] >= first["S"]:
        return "P not before S"
    return ""


def distinct(labels: list[Label]) -> list[Label]:
    """Return labels in order of time, without those within a sample of another of their phase."""
    out: list[Label] = []
    for phase, sample in sorted(labels, key=lambda x: x[1]):
        if not any(p == phase and abs(s - sample) < 1.0 for p, s in out):
            out.append((phase, float(sample)))
    return out


def number(row: dict[str, Any], name: str, default: float) -> float:
    """Return a number of a row, ``default`` where the column or the value is missing.

    Raises
    ------
    DataError
        If the value is no number.
    """
    value = row.get(name)
    if value is None or value == "":
        return default
    try:
        found = float(value)
    except (TypeError, ValueError):
        trace = row.get("trace", row.get("trace_name", "?"))
        raise DataError(f"{name} of trace '{trace}': {value!r} is no number") from None
    return default if math.isnan(found) else found


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def metadata_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return metadata with all columns and the right types; empty without rows."""
    table = pd.DataFrame(
        {c: pd.Series([r.get(c, _DEFAULTS.get(c)) for r in rows], dtype="object") for c in COLUMNS}
    )
    table["starttime"] = pd.to_datetime(table["starttime"], utc=True, format="ISO8601")
    return table.astype(COLUMNS)
