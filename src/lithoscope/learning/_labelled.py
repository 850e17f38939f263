"""Pairs NAME.h5 (dataset ``x``, (N, 3, n)) and NAME.csv, one row a trace."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.learning._dataset import WaveformDataset, add_exclusions
from lithoscope.learning._hdf5 import open_hdf5
from lithoscope.learning._rows import (
    EXCLUSIONS,
    Label,
    distinct,
    fault,
    metadata_table,
    number,
    phase_kind,
    records,
)

RATE_HZ = 100.0
ORDER = "ZNE"
_NEEDED = ("p_sample", "s_sample", "trace")
# NET_STA_time (NCEDC), STA.NET_time_EV (STEAD): station and the time that names the event.
_NET_STA = re.compile(r"^(?P<net>\w{1,2})_(?P<sta>\w{1,5})_(?P<event>\d{8,})")
_STA_NET = re.compile(r"^(?P<sta>\w{1,5})\.(?P<net>\w{1,2})_(?P<event>\d{8,})_EV")


@dataclass(frozen=True)
class LabelledReader:
    """Reads trace number ``key`` of ``x``; the file's components are put in the order Z N E."""

    path: Path
    order: tuple[int, int, int]

    def read(self, key: str) -> NDArray[np.float32]:
        """Return ``(3, n)`` samples, Z N E."""
        with open_hdf5(self.path) as file:
            return np.asarray(file["x"][int(key)], np.float32)[list(self.order)]


def pairs(path: Path) -> list[Path]:
    """Return the HDF5 files of this layout at ``path`` (a folder or one file)."""
    found = [path] if path.is_file() else sorted(path.glob("*.h5"))
    return [p for p in found if p.suffix == ".h5" and p.with_suffix(".csv").exists()]


def read(path: Path) -> list[WaveformDataset]:
    """Return one dataset a pair of files.

    Raises
    ------
    DataError
        See `lithoscope.learning.datasets.read_dataset`.
    """
    files = pairs(path)
    if not files:
        raise DataError(f"'{path}' holds no pair NAME.h5 and NAME.csv")
    return [_read_pair(file) for file in files]


def _read_pair(path: Path) -> WaveformDataset:
    n, n_samples, rate_hz, order = _shape(path)
    table = _table(path.with_suffix(".csv"), n)
    labels = _merged(table, rate_hz)
    rows, keys, bad = [], [], []
    for i, row in enumerate(records(table)):
        start = int(number(row, "valid_start", 0))
        end = int(number(row, "valid_end", n_samples))
        name = f"{path.stem}/{i}"
        reason = "valid part outside the trace" if not 0 <= start < end <= n_samples else ""
        own = _own(row)
        reason = reason or fault(own, start, end)
        if reason:
            bad.append((path.stem, reason, name))
            continue
        every = [label for label in labels[i] if start <= label[1] < end]
        rows.append(
            _row(row, path.stem)
            | {"trace": name, "sampling_rate_hz": rate_hz, "n_samples": n_samples}
            | {"valid_start": start, "valid_end": end, "labels": every}
        )
        keys.append((path.stem, str(i)))
    reader = LabelledReader(path, order)
    exclusions = add_exclusions(EXCLUSIONS.copy(), bad)
    return WaveformDataset(metadata_table(rows), {path.stem: reader}, keys, exclusions)


def _shape(path: Path) -> tuple[int, int, float, tuple[int, int, int]]:
    with open_hdf5(path) as file:
        if "x" not in file:
            raise DataError(f"{path}: has no dataset 'x' of traces; it has {', '.join(file)}")
        shape = file["x"].shape
        components = str(file.attrs.get("components", ORDER)).upper()
        rate_hz = float(file.attrs.get("sampling_rate", RATE_HZ))
    if len(shape) != 3 or shape[1] != 3:
        raise DataError(f"{path}: 'x' has shape {shape}; (traces, 3, samples) needed")
    if sorted(components) != sorted(ORDER):
        raise DataError(f"{path}: components '{components}'; Z, N and E in any order needed")
    if not rate_hz > 0:
        raise DataError(f"{path}: sampling_rate {rate_hz:g}; a positive number of Hz needed")
    order = (components.index("Z"), components.index("N"), components.index("E"))
    return shape[0], shape[2], rate_hz, order


def _table(path: Path, n: int) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"trace": str, "event": str, "event_time": str, "t0": str})
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: is no CSV table ({str(error).splitlines()[0]})") from None
    missing = [c for c in _NEEDED if c not in table]
    if missing:
        raise DataError(f"{path}: lacks column(s) {', '.join(missing)}")
    if "idx" in table and not table["idx"].is_unique:
        raise DataError(f"{path}: column idx repeats; one row a trace needed")
    if "idx" in table:
        table = table.sort_values("idx", kind="stable")
    if len(table) != n or ("idx" in table and list(table["idx"]) != list(range(n))):
        raise DataError(f"{path}: {len(table)} rows for {n} traces in the HDF5 file")
    return table.reset_index(drop=True)


def _own(row: dict[str, Any]) -> list[Label]:
    """Return the labels of a row: its own two and the other picks in its window."""
    out = [(k, number(row, f"{k.lower()}_sample", math.nan)) for k in "PS"]
    return [label for label in out if math.isfinite(label[1])]


def _others(row: dict[str, Any]) -> list[Label]:
    text = row.get("other_picks")
    if not isinstance(text, str):
        return []
    try:
        return [(phase_kind(p), float(s)) for p, s in json.loads(text) if phase_kind(p)]
    except (ValueError, TypeError):
        raise DataError(
            f"other_picks of trace '{row['trace']}': {text[:60]!r}; "
            "a JSON list of [phase, sample] needed"
        ) from None


def _merged(table: pd.DataFrame, rate_hz: float) -> list[list[Label]]:
    """Return per row all labels in its own samples, those of overlapping windows included."""
    found = [_own(row) + _others(row) for row in records(table)]
    if "t0" not in table or table["t0"].isna().any():
        return found
    start = pd.to_datetime(table["t0"], utc=True).dt.as_unit("ns").astype("int64").to_numpy()
    out: list[list[Label]] = []
    for i, name in enumerate(table["trace"]):
        same = np.flatnonzero((table["trace"] == name).to_numpy())
        moved = [
            (p, s + (start[j] - start[i]) * rate_hz / NS_PER_S) for j in same for p, s in found[j]
        ]
        out.append(distinct(moved))
    return out


def _row(row: dict[str, Any], source: str) -> dict[str, Any]:
    station, event = _names(row)
    return {
        "source": source,
        "station": station,
        "event": event,
        "starttime": row.get("t0"),
        "kind": "auto" if str(row.get("kind", "manual")).startswith("auto") else "manual",
        "distance_km": number(row, "dist_km", math.nan),
        "magnitude": number(row, "mag", number(row, "ev_ML", math.nan)),
    }


def _names(row: dict[str, Any]) -> tuple[str, str]:
    """Return NET.STA... and the event of a row, from its columns or its trace's name."""
    name = str(row["trace"])
    found = _NET_STA.match(name) or _STA_NET.match(name)
    station = f"{found['net']}.{found['sta']}" if found else name
    event = next(
        (str(row[c]) for c in ("event", "event_time") if isinstance(row.get(c), str)),
        found["event"] if found else "",
    )
    return station, event
