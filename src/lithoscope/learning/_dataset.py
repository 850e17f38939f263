"""The dataset of labelled waveforms, free of any file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.learning._rows import COLUMNS, EXCLUSIONS
from lithoscope.learning.splits import PARTS, Split
from lithoscope.waveforms import Record

#: Start given to records whose true start is not known (July 2017, no meaning).
UNKNOWN_START_NS = 1_500_000_000 * NS_PER_S


class WaveformReader(Protocol):
    """Reads one trace; picklable, so that processes can share a dataset."""

    def read(self, key: str) -> NDArray[np.float32]:
        """Return ``(3, n)`` samples, Z N E; a missing component is zeros."""
        ...


@dataclass(frozen=True)
class WaveformDataset:
    """Labelled three-component traces; waveforms are read when asked for.

    Attributes
    ----------
    metadata
        One row a trace, index 0 to n - 1. Columns: ``trace`` (unique name), ``source``,
        ``station`` (NET.STA...), ``event`` ("" unknown), ``starttime`` (UTC of sample 0, NaT
        unknown), ``sampling_rate_hz``, ``n_samples``, ``valid_start`` and ``valid_end`` (samples
        outside are padding), ``labels`` (list of (phase, sample), phase P or S, sorted by sample,
        all of them inside the valid part; empty in rows of noise only), ``kind`` (manual, auto, or
        noise), ``snr_db``, ``distance_km``, ``magnitude`` (NaN unknown), ``split`` ("" none).
    readers
        One reader a source file, by its name.
    keys
        Per row (name of the reader, key of the trace there).
    exclusions
        What was left out: ``source``, ``reason``, ``n``, ``example``.
    notes
        What a user should know (rule of the split first, then its notes).
    """

    metadata: pd.DataFrame
    readers: dict[str, WaveformReader]
    keys: Sequence[tuple[str, str]]
    exclusions: pd.DataFrame = field(default_factory=EXCLUSIONS.copy)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.metadata)

    def waveform(self, i: int) -> NDArray[np.float32]:
        """Return ``(3, n_samples)`` samples of row ``i``, Z N E; padding included.

        Raises
        ------
        DataError
            If the trace has NaN or infinite samples, another number of samples than its row says,
            or cannot be read.
        """
        name, key = self.keys[i]
        data = self.readers[name].read(key)
        row = self.metadata.iloc[i]
        if data.shape != (3, row["n_samples"]):
            raise DataError(
                f"trace '{row['trace']}' has shape {data.shape}; (3, {row['n_samples']}) needed"
            )
        if not np.isfinite(data).all():
            raise DataError(
                f"trace '{row['trace']}' holds NaN or infinite samples; leave it out with "
                "without_bad_waveforms()"
            )
        return data

    def mask(self, i: int) -> NDArray[np.bool_]:
        """Return ``(3,)``, True where the component of row ``i`` varies in the valid part."""
        return _varies(self._valid(i))

    def record(self, i: int) -> Record:
        """Return the valid part of row ``i`` as a `Record`; an unknown start becomes July 2017."""
        row = self.metadata.iloc[i]
        data = self._valid(i)
        return Record(
            station_of_record(row["station"]),
            self.start_ns(i),
            float(row["sampling_rate_hz"]),
            data,
            _varies(data),
            ("", "", ""),
            np.zeros(3, dtype=bool),
        )

    def start_ns(self, i: int) -> int:
        """Return the time of the first valid sample of row ``i``, as `record` uses it."""
        row = self.metadata.iloc[i]
        start = row["starttime"]
        if pd.isna(start):
            return UNKNOWN_START_NS
        return int(start.value) + round(row["valid_start"] / row["sampling_rate_hz"] * NS_PER_S)

    def label_times_ns(self, i: int) -> list[tuple[str, int]]:
        """Return (phase, time) of the labels of row ``i``, on the clock of `record`."""
        row = self.metadata.iloc[i]
        step_ns = NS_PER_S / row["sampling_rate_hz"]
        first, start = row["valid_start"], self.start_ns(i)
        return [(phase, start + round((s - first) * step_ns)) for phase, s in row["labels"]]

    def subset(self, rows: NDArray | Sequence[int]) -> WaveformDataset:
        """Return the rows with these positions, or where a boolean array is True."""
        chosen = np.asarray(rows)
        at = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(int)
        metadata = self.metadata.iloc[at].reset_index(drop=True)
        return replace(self, metadata=metadata, keys=[self.keys[i] for i in at])

    def part(self, name: str) -> WaveformDataset:
        """Return the rows of a part of the split, or of several joined by ``+``.

        Raises
        ------
        DataError
            If no row belongs to it.
        """
        names = [one.strip() for one in name.split("+")]
        chosen = self.metadata["split"].isin(names).to_numpy()
        if not chosen.any():
            has = ", ".join(sorted(set(self.metadata["split"]) - {""})) or "no split"
            raise DataError(f"no row in part '{name}' (of {', '.join(PARTS)}); dataset has {has}")
        return self.subset(chosen)

    def with_split(self, split: Split) -> WaveformDataset:
        """Return the dataset with the parts of a split; dropped rows keep the part ``dropped``."""
        metadata = self.metadata.assign(split=split.parts)
        return replace(self, metadata=metadata, notes=(split.rule, *split.notes))

    def without_bad_waveforms(self) -> WaveformDataset:
        """Read all traces; leave out, and count, those with NaN, or without any signal."""
        keep = np.ones(len(self), dtype=bool)
        bad: list[tuple[str, str, str]] = []
        for i in range(len(self)):
            row = self.metadata.iloc[i]
            try:
                reason = "" if self.mask(i).any() else "no component with signal"
            except DataError as error:
                text = str(error)
                reason = "NaN or infinite samples" if "NaN" in text else "waveform not readable"
            if reason:
                keep[i] = False
                bad.append((row["source"], reason, row["trace"]))
        out = self.subset(keep)
        return replace(out, exclusions=add_exclusions(self.exclusions, bad))

    def _valid(self, i: int) -> NDArray[np.float32]:
        row = self.metadata.iloc[i]
        return self.waveform(i)[:, int(row["valid_start"]) : int(row["valid_end"])]


def concatenate(datasets: Sequence[WaveformDataset]) -> WaveformDataset:
    """Return one dataset with the rows of all.

    Raises
    ------
    DataError
        If there is no row at all (the message counts what was left out), or two traces have one
        name.
    """
    readers: dict[str, WaveformReader] = {}
    keys: list[tuple[str, str]] = []
    for number, one in enumerate(datasets):
        names = {name: f"{number}:{name}" for name in one.readers}
        readers |= {names[name]: reader for name, reader in one.readers.items()}
        keys += [(names[name], key) for name, key in one.keys]
    exclusions = pd.concat([EXCLUSIONS, *(d.exclusions for d in datasets)], ignore_index=True)
    if not any(len(d) for d in datasets):
        raise DataError(f"no usable row in the dataset{excluded_text(exclusions)}")
    metadata = pd.concat([d.metadata for d in datasets], ignore_index=True)
    if metadata["trace"].duplicated().any():
        twice = metadata.loc[metadata["trace"].duplicated(), "trace"].iloc[0]
        raise DataError(f"two traces are called '{twice}'; names must be unique")
    notes = tuple(dict.fromkeys(note for d in datasets for note in d.notes))
    return WaveformDataset(metadata[list(COLUMNS)], readers, keys, exclusions, notes)


def excluded_text(exclusions: pd.DataFrame) -> str:
    """Return what was left out in brackets, or ""."""
    rows = exclusions.groupby("reason", sort=False)["n"].sum()
    text = ", ".join(f"{n} x {reason}" for reason, n in rows.items())
    return f" (left out: {text})" if text else ""


def add_exclusions(before: pd.DataFrame, bad: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    """Return a table of exclusions with (source, reason, trace) added and counted."""
    if not bad:
        return before
    table = pd.DataFrame(bad, columns=["source", "reason", "example"])
    counted = table.groupby(["source", "reason"], as_index=False, sort=False).agg(
        n=("example", "size"), example=("example", "first")
    )
    return pd.concat([before, counted[list(before.columns)]], ignore_index=True)


def station_of_record(station: str) -> str:
    """Return NET.STA.LOC.BI of a station that may be named by its first parts only."""
    parts = [*str(station).split("."), "", "", "", ""][:4]
    return ".".join([parts[0] or "XX", parts[1] or "UNKN", parts[2], parts[3] or "HH"])


def _varies(data: NDArray[np.float32]) -> NDArray[np.bool_]:
    if data.shape[1] == 0:
        return np.zeros(3, dtype=bool)
    return (data != data[:, :1]).any(axis=1)
