"""Writing the SeisBench format."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import ConfigError, DataError
from lithoscope.files import replacing, storage_error
from lithoscope.learning._dataset import WaveformDataset
from lithoscope.learning._rows import Label, fault
from lithoscope.learning._seisbench import OTHER
from lithoscope.learning.splits import SPLIT_FILE, Split, write_split

#: Traces in one array of the file.
BUCKET = 256
_SPLITS = {"validation": "dev"}


class SeisBenchWriter:
    """Writes traces one by one into a folder that SeisBench and `read_dataset` read.

    Traces are put in blocks; a block is padded to its longest trace and ``trace_name`` says which
    samples are the trace's. The metadata is written when the block ends, whole; until then the
    folder is no dataset.

    Parameters
    ----------
    folder
        New or empty folder.
    traces_per_file
        Traces after which a new chunk begins; None puts all in one file.

    Raises
    ------
    DataError
        If the folder holds files already.
    """

    def __init__(self, folder: Path, *, traces_per_file: int | None = None) -> None:
        if traces_per_file is not None and traces_per_file < 1:
            raise ConfigError(f"traces_per_file {traces_per_file}: at least 1 needed")
        self.folder = Path(folder)
        self.traces_per_file = traces_per_file
        self._rows: list[dict[str, Any]] = []
        self._block: list[NDArray[np.float32]] = []
        self._file: Any = None
        self._chunks: list[str] = []
        self._in_file = self._n_blocks = 0

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise DataError(f"'{self.folder}' is not empty; a dataset needs a new folder")
        except OSError as error:
            raise storage_error("write", self.folder, error) from None
        return self

    def add(self, data: ArrayLike, row: dict[str, Any]) -> None:
        """Add a trace.

        Parameters
        ----------
        data
            ``(3, n)`` samples, Z N E, finite.
        row
            Metadata as in `WaveformDataset.metadata`; ``labels`` in samples of ``data``,
            ``starttime`` of its first sample.

        Raises
        ------
        DataError
            If the samples or labels cannot be used.
        StorageError
            If the file cannot be written.
        """
        values = np.asarray(data, np.float32)
        if values.ndim != 2 or values.shape[0] != 3 or not values.shape[1]:
            raise DataError(f"trace '{row['trace']}' has shape {values.shape}; (3, n) needed")
        if not np.isfinite(values).all():
            raise DataError(f"trace '{row['trace']}' holds NaN or infinite samples")
        reason = fault(row["labels"], 0, values.shape[1])
        if reason and not (row.get("kind") == "noise" and not row["labels"]):
            raise DataError(f"trace '{row['trace']}': {reason}")
        if self._in_file == self.traces_per_file:
            self._close_file()
        if self._file is None:
            self._open_file()
        name = f"bucket{self._n_blocks}${len(self._block)},:3,:{values.shape[1]}"
        self._rows.append({"trace_name": name} | _columns(row, values.shape[1]))
        self._block.append(values)
        self._in_file += 1
        if len(self._block) == BUCKET:
            self._flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        if kind is not None:
            self._file.close()
            return
        self._close_file()
        if len(self._chunks) > 1:
            with replacing(self.folder / "chunks") as temporary:
                temporary.write_text("\n".join(self._chunks) + "\n")

    def _open_file(self) -> None:
        import h5py  # 12 MB that most commands do not need

        chunk = "" if self.traces_per_file is None else f"_{len(self._chunks):04d}"
        try:
            self._file = h5py.File(self.folder / f"waveforms{chunk}.hdf5", "w")
        except OSError as error:
            raise storage_error("write", self.folder, error) from None
        self._chunks.append(chunk)
        form = self._file.create_group("data_format")
        form["dimension_order"], form["component_order"] = "CW", "ZNE"
        self._file.create_group("data")
        self._in_file = self._n_blocks = 0

    def _flush(self) -> None:
        if not self._block:
            return
        longest = max(b.shape[1] for b in self._block)
        block = np.zeros((len(self._block), 3, longest), np.float32)
        for i, values in enumerate(self._block):
            block[i, :, : values.shape[1]] = values
        try:
            self._file["data"].create_dataset(
                f"bucket{self._n_blocks}", data=block, chunks=(1, 3, longest), compression="gzip"
            )
        except OSError as error:
            raise storage_error("write", self.folder, error) from None
        self._block = []
        self._n_blocks += 1

    def _close_file(self) -> None:
        self._flush()
        self._file.close()
        self._file = None
        with replacing(self.folder / f"metadata{self._chunks[-1]}.csv") as temporary:
            pd.DataFrame(self._rows).to_csv(temporary, index=False)
        self._rows = []


def write_seisbench(
    dataset: WaveformDataset, folder: Path, *, traces_per_file: int | None = None
) -> None:
    """Write the valid parts of all traces, with the split where there is one.

    Parameters
    ----------
    dataset
        Traces without NaN (see `WaveformDataset.without_bad_waveforms`).
    folder
        New or empty folder.
    traces_per_file
        Traces a chunk; None writes one file.

    Raises
    ------
    DataError
        If the folder holds files, or a trace cannot be used.
    StorageError
        If it cannot be written.
    """
    with SeisBenchWriter(folder, traces_per_file=traces_per_file) as writer:
        for i in range(len(dataset)):
            row = {str(k): v for k, v in dataset.metadata.iloc[i].to_dict().items()}
            first, last = int(row["valid_start"]), int(row["valid_end"])
            row["labels"] = [(phase, sample - first) for phase, sample in row["labels"]]
            if not pd.isna(row["starttime"]):
                row["starttime"] = pd.Timestamp(dataset.start_ns(i), tz="UTC")
            writer.add(dataset.waveform(i)[:, first:last], row)
    if (dataset.metadata["split"] != "").any():
        _write_split(folder, dataset)


def write_parts(folder: Path, dataset: WaveformDataset) -> None:
    """Write a new split of a dataset into its folder, also into SeisBench's metadata.

    Parameters
    ----------
    folder
        Where the dataset was read from.
    dataset
        What `read_dataset` returned for it, with the split (`WaveformDataset.with_split`).

    Raises
    ------
    DataError
        If the dataset has no split.
    StorageError
        If a file cannot be written.
    """
    parts = dataset.metadata["split"].to_numpy(str)
    if not (parts != "").any():
        raise DataError("the dataset has no split to write")
    _write_split(folder, dataset)
    of_trace = dict(zip(dataset.metadata["trace"], parts, strict=True))
    for path in sorted(folder.glob("metadata*.csv")):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if "trace_name_original" not in table:
            continue
        named = table["trace_name_original"].map(of_trace).fillna("")
        table["split"] = named.map(lambda part: _SPLITS.get(part, part))
        with replacing(path) as temporary:
            table.to_csv(temporary, index=False)


def _write_split(folder: Path, dataset: WaveformDataset) -> None:
    rule, *notes = dataset.notes or ("given with the data",)
    parts = dataset.metadata["split"].to_numpy(str)
    write_split(folder / SPLIT_FILE, dataset.metadata, Split(parts, rule, tuple(notes)))


def _columns(row: dict[str, Any], n_samples: int) -> dict[str, Any]:
    """Return the SeisBench columns of a row."""
    codes = [*str(row["station"]).split("."), "", "", "", ""][:4]
    start = row.get("starttime")
    first, others = _first_and_other(row["labels"])
    status = "automatic" if row.get("kind") == "auto" else "manual"
    rate_hz = float(row["sampling_rate_hz"])
    out: dict[str, Any] = {
        "trace_name_original": row["trace"],
        "trace_source_dataset": row["source"],
        "trace_start_time": "" if start is None or pd.isna(start) else start.isoformat(),
        "trace_sampling_rate_hz": rate_hz,
        "trace_dt_s": 1.0 / rate_hz,
        "trace_npts": n_samples,
        "trace_component_order": "ZNE",
        "trace_category": "noise" if row.get("kind") == "noise" else "event",
        "station_network_code": codes[0],
        "station_code": codes[1],
        "station_location_code": codes[2],
        "trace_channel": codes[3],
        "source_id": row.get("event", ""),
        "source_magnitude": row.get("magnitude", math.nan),
        "path_ep_distance_km": row.get("distance_km", math.nan),
        "trace_snr_db": row.get("snr_db", math.nan),
        "split": _SPLITS.get(str(row.get("split", "")), row.get("split", "")),
    }
    for phase in "PS":
        sample = first.get(phase, math.nan)
        out[f"trace_{phase}_arrival_sample"] = sample
        out[f"trace_{phase}_status"] = status if math.isfinite(sample) else ""
    out[OTHER] = json.dumps([[p, round(s, 4)] for p, s in others]) if others else ""
    return out


def _first_and_other(labels: list[Label]) -> tuple[dict[str, float], list[Label]]:
    first: dict[str, float] = {}
    others = []
    for phase, sample in sorted(labels, key=lambda x: x[1]):
        if phase in first:
            others.append((phase, sample))
        else:
            first[phase] = sample
    return first, others
