"""Reading the SeisBench format: waveforms*.hdf5 beside metadata*.csv.

The format as its documentation describes it (https://seisbench.readthedocs.io, "Data format";
Woollam et al. 2022, doi:10.1785/0220210324): group ``data`` holds one array a trace, or blocks of
many; ``trace_name`` names the array and, after ``$``, the part of a block
(``bucket0$3,:3,:6000``); group ``data_format`` gives ``dimension_order``, ``component_order`` and
``sampling_rate``, which columns of a trace override. Several files of each (chunks) carry one
suffix; a file ``chunks`` may list the suffixes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.errors import DataError
from lithoscope.learning._dataset import WaveformDataset, add_exclusions
from lithoscope.learning._hdf5 import open_hdf5
from lithoscope.learning._rows import (
    EXCLUSIONS,
    UNLABELLED,
    Label,
    distinct,
    fault,
    metadata_table,
    number,
    phase_kind,
    records,
)

ARRIVAL = re.compile(r"^trace_(?P<phase>\w+?)_arrival_sample$")
#: Column of ours with onsets beyond the first P and S, JSON list of [phase, sample].
OTHER = "trace_other_arrivals"
_COMPONENTS = {"Z": 0, "N": 1, "1": 1, "E": 2, "2": 2}
_SPLITS = {"dev": "validation", "train": "train", "test": "test", "dropped": "dropped"}


@dataclass(frozen=True)
class Part:
    """Where a trace lies in its file: array, index in it, and which of its axes are C and W."""

    array: str
    index: tuple[int | slice, ...]
    order: str
    components: str

    def text(self) -> str:
        """Return the key of a reader."""
        return json.dumps([self.array, _index_text(self.index), self.order, self.components])


@dataclass(frozen=True)
class SeisBenchReader:
    """Reads traces of one waveforms file; keys are those of `Part.text`."""

    path: Path

    def read(self, key: str) -> NDArray[np.float32]:
        """Return ``(3, n)`` samples, Z N E; components that the trace lacks are zeros."""
        array, index, order, components = json.loads(key)
        with open_hdf5(self.path) as file:
            values = np.asarray(file["data"][array][_parse_index(index)], np.float32)
        values = values if order == "CW" else values.T
        out = np.zeros((3, values.shape[1]), np.float32)
        for row, name in enumerate(components):
            if name in _COMPONENTS:
                out[_COMPONENTS[name]] = values[row]
        return out


def is_seisbench(path: Path) -> bool:
    """Return whether a folder looks like this format."""
    return path.is_dir() and any(path.glob("waveforms*.hdf5")) and any(path.glob("metadata*.csv"))


def chunks(path: Path) -> list[str]:
    """Return the suffixes of the files, sorted.

    Raises
    ------
    DataError
        If a chunk has waveforms without metadata or the other way round.
    """
    listed = path / "chunks"
    names = listed.read_text().split() if listed.is_file() else []
    if not names:
        tables = {p.name[len("metadata") : -len(".csv")] for p in path.glob("metadata*.csv")}
        arrays = {p.name[len("waveforms") : -len(".hdf5")] for p in path.glob("waveforms*.hdf5")}
        names = sorted(tables | arrays)
    for name in names:
        for file in (f"metadata{name}.csv", f"waveforms{name}.hdf5"):
            if not (path / file).is_file():
                raise DataError(f"'{path}': {file} is missing; both files of a chunk are needed")
    return sorted(names)


def read(path: Path) -> list[WaveformDataset]:
    """Return one dataset a chunk.

    Raises
    ------
    DataError
        See `lithoscope.learning.datasets.read_dataset`.
    """
    return [_read_chunk(path, name) for name in chunks(path)]


def _read_chunk(path: Path, chunk: str) -> WaveformDataset:
    table = _table(path / f"metadata{chunk}.csv")
    file = path / f"waveforms{chunk}.hdf5"
    with open_hdf5(file) as content:
        if "data" not in content:
            raise DataError(
                f"{file}: has no group 'data'; it has {', '.join(content) or 'nothing'}"
            )
        shapes = {name: array.shape for name, array in content["data"].items()}
        form = _data_format(content)
    columns = {str(c): phase_kind(m["phase"]) for c in table if (m := ARRIVAL.match(str(c)))}
    name, rows, keys, bad = path.resolve().name, [], [], []
    for i, row in enumerate(records(table)):
        trace = str(row.get("trace_name_original") or f"{name}/{chunk}{i}")
        source = str(row.get("trace_source_dataset") or name)
        made = _row(row, {c: kind for c, kind in columns.items() if kind}, shapes, form)
        if isinstance(made, str):
            bad.append((source, made, trace))
            continue
        part, values = made
        rows.append(values | {"trace": trace, "source": source})
        keys.append((file.name, part.text()))
    metadata = metadata_table(rows)
    exclusions = add_exclusions(EXCLUSIONS.copy(), bad)
    return WaveformDataset(metadata, {file.name: SeisBenchReader(file)}, keys, exclusions)


def _table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: is no CSV table ({str(error).splitlines()[0]})") from None
    if "trace_name" not in table:
        raise DataError(f"{path}: lacks the column trace_name")
    return table


def _data_format(content: Any) -> dict[str, Any]:
    """Return dimension_order, component_order and sampling_rate, defaults filled in."""
    out: dict[str, Any] = {"dimension_order": "CW", "component_order": "ZNE", "sampling_rate": None}
    for key in out:
        if "data_format" in content and key in content["data_format"]:
            value = content["data_format"][key][()]
            if isinstance(value, np.ndarray):
                value = b"".join(value.astype("S1")) if value.ndim else value.item()
            out[key] = value.decode() if isinstance(value, bytes) else value
    return out


def _row(
    row: dict[str, Any],
    arrivals: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    form: Mapping[str, Any],
) -> tuple[Part, dict[str, Any]] | str:
    """Return where a trace lies and its metadata, or why it cannot be used."""
    located = _locate(row, shapes, form)
    if isinstance(located, str):
        return located
    part, n_samples = located
    rate_hz = number(row, "trace_sampling_rate_hz", math.nan)
    step_s = number(row, "trace_dt_s", math.nan)
    if not math.isfinite(rate_hz):
        rate_hz = 1.0 / step_s if step_s > 0 else float(form["sampling_rate"] or math.nan)
    if not rate_hz > 0:
        return "no sampling rate"
    noise = str(row.get("trace_category", "")).lower() == "noise"
    labels = _labels(row, arrivals)
    reason = fault(labels, 0, n_samples)
    if reason and not (noise and reason == UNLABELLED):
        return reason
    return part, _values(row, arrivals, noise) | {
        "sampling_rate_hz": rate_hz,
        "n_samples": n_samples,
        "valid_start": 0,
        "valid_end": n_samples,
        "labels": labels,
    }


def _locate(
    row: dict[str, Any], shapes: Mapping[str, tuple[int, ...]], form: Mapping[str, Any]
) -> tuple[Part, int] | str:
    array, _, text = str(row["trace_name"]).partition("$")
    if array not in shapes:
        return "no waveform of that name"
    index = _parse_index(text)
    left = []
    for axis, length in enumerate(shapes[array]):
        here = index[axis] if axis < len(index) else slice(None)
        if isinstance(here, slice):
            left.append(len(range(*here.indices(length))))
        elif not -length <= here < length:
            return "no waveform of that name"
    order = str(form["dimension_order"]).replace("N", "")
    components = str(row.get("trace_component_order") or form["component_order"]).upper()
    if len(left) != 2 or sorted(order) != ["C", "W"]:
        return "array without one component and one sample axis"
    if left[order.index("C")] != len(components):
        return "number of components differs from the component order"
    if not any(c in _COMPONENTS for c in components):
        return "no component Z, N or E"
    n_samples = left[order.index("W")]
    return (Part(array, index, order, components), n_samples) if n_samples else "empty trace"


def _labels(row: dict[str, Any], arrivals: Mapping[str, str]) -> list[Label]:
    out = [(kind, number(row, column, math.nan)) for column, kind in arrivals.items()]
    if row.get(OTHER):
        try:
            out += [(phase_kind(p), float(s)) for p, s in json.loads(row[OTHER]) if phase_kind(p)]
        except (ValueError, TypeError):
            raise DataError(
                f"{OTHER} of trace '{row['trace_name']}': {row[OTHER][:60]!r}; "
                "a JSON list of [phase, sample] needed"
            ) from None
    return distinct([label for label in out if math.isfinite(label[1])])


def _values(row: dict[str, Any], arrivals: Mapping[str, str], noise: bool) -> dict[str, Any]:
    codes = [str(row.get(c, "")) for c in _STATION]
    if len(codes[3]) == 3:
        codes[3] = codes[3][:2]
    statuses = {
        str(row.get(column.replace("_arrival_sample", "_status"), "")).lower()
        for column in arrivals
        if row.get(column)
    } - {""}
    auto = bool(statuses) and all(s.startswith("auto") for s in statuses)
    return {
        "station": ".".join(codes).rstrip("."),
        "event": str(row.get("source_id", "")),
        "starttime": row.get("trace_start_time") or None,
        "kind": "noise" if noise else "auto" if auto else "manual",
        "snr_db": _lenient(row, "trace_snr_db"),
        "distance_km": _lenient(row, "path_ep_distance_km"),
        "magnitude": _lenient(row, "source_magnitude"),
        "split": _SPLITS.get(str(row.get("split", "")), ""),
    }


_STATION = (
    "station_network_code",
    "station_code",
    "station_location_code",
    "trace_channel",
)


def _lenient(row: dict[str, Any], name: str) -> float:
    """Return a number that describes a trace, NaN where it is none (STEAD lists three)."""
    try:
        return float(row.get(name) or math.nan)
    except ValueError:
        return math.nan


def _parse_index(text: str) -> tuple[int | slice, ...]:
    """Return the index that follows ``$``, such as ``3,:3,:6000``."""
    out: list[int | slice] = []
    for piece in text.split(",") if text else []:
        try:
            bounds = [int(b) if b.strip() else None for b in piece.split(":")]
        except ValueError:
            raise DataError(f"trace_name index '{text}'; numbers and slices needed") from None
        out.append(bounds[0] if len(bounds) == 1 and bounds[0] is not None else slice(*bounds))
    return tuple(out)


def _index_text(index: tuple[int | slice, ...]) -> str:
    return ",".join(
        f"{'' if i.start is None else i.start}:{'' if i.stop is None else i.stop}"
        + (f":{i.step}" if i.step is not None else "")
        if isinstance(i, slice)
        else str(i)
        for i in index
    )
