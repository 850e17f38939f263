"""Examples to train on: from labelled datasets, from records with a teacher, from synthetics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.datasets import WaveformDataset, concatenate, read_dataset
from lithoscope.learning.peaks import local_maxima
from lithoscope.learning.preprocessing import RATE_HZ
from lithoscope.learning.splits import read_split, split_by_station
from lithoscope.learning.training.examples import Example
from lithoscope.learning.training.sources import (
    MadeSource,
    Mixture,
    RecordSource,
    Source,
    TraceSource,
)
from lithoscope.picking import Picker
from lithoscope.settings import Settings
from lithoscope.stations import preferred_stations
from lithoscope.synthetics.training import synthesize
from lithoscope.waveforms import Record, index_archive, read_records, resample

#: Teacher's outputs lower than this are no onset.
FAINT = 0.1
#: Onsets with a stronger one of their phase within this are dropped (s).
APART_S = 0.5
#: Teacher's onsets over this count for times, and for what is an event.
SURE, LIKELY = 0.5, 0.3
#: Weight of times: analysts, programs, teachers.
MANUAL, AUTOMATIC, TAUGHT = 1.0, 0.5, 0.3
#: An earthquake is seen until this part of S - P after S (as in Mousavi et al. 2020).
TAIL = 1.4
#: Synthetic onsets stronger than the first are labels, weaker than the second hidden (dB).
VISIBLE_DB, HIDDEN_DB = 3.0, -6.0


class SourceSettings(Settings):
    """One source of examples."""

    kind: Literal["dataset", "records", "synthetic"] = Field(
        description="dataset: labelled traces; records: continuous data with a teacher's soft "
        "labels; synthetic: seismograms made here."
    )
    path: Path | None = Field(None, description="Dataset, or files or folder of records.")
    share: float = Field(1.0, gt=0, description="How often it is drawn, relative to the others.")
    part: str = Field(
        "train",
        description="Part of the dataset's split that is used; several joined by '+', such as "
        "train+validation.",
    )
    split: Path | None = Field(None, description="Table of the split; default: by station, seed 0.")
    start: datetime | None = Field(None, description="UTC time from which on records are used.")
    end: datetime | None = Field(None, description="UTC time until which records are used.")
    traces: int = Field(20000, ge=1, description="Synthetic traces made at the start.")
    seed: int = Field(0, ge=0, description="Seed of the synthetic traces.")


def mixture(settings: Sequence[SourceSettings], teacher: Picker | None) -> Mixture:
    """Return the sources of a training run, loaded.

    Parameters
    ----------
    settings
        Sources in order.
    teacher
        Picker at 100 Hz whose ``annotate`` gives soft labels; needed for records, and used to
        fill in onsets that labels leave out.

    Raises
    ------
    ConfigError
        If a path or the teacher is missing.
    DataError
        If a source is empty.
    """
    if not settings:
        raise ConfigError("no sources; name at least one [[sources]] in the configuration")
    sources = [_source(one, teacher) for one in settings]
    return Mixture(sources, [one.share for one in settings])


def _source(settings: SourceSettings, teacher: Picker | None) -> Source:
    if settings.kind == "synthetic":
        return MadeSource.make("synthetic", synthetic_examples, settings.traces, settings.seed)
    if settings.path is None:
        raise ConfigError(f"a source of kind '{settings.kind}' needs a path")
    if settings.kind == "dataset":
        dataset = labelled([settings.path], settings.part, settings.split)
        return TraceSource(settings.path.stem, dataset_examples(dataset, teacher))
    if teacher is None:
        raise ConfigError(f"records of '{settings.path}' have no labels: name a teacher model")
    records = record_examples(settings, teacher)
    if not records:
        raise DataError(f"no record of 15 s or more in '{settings.path}' in the time wanted")
    return RecordSource(settings.path.stem, records)


def labelled(paths: Sequence[Path], part: str | None, split: Path | None = None) -> WaveformDataset:
    """Return parts of labelled datasets; without a split of their own they are split by station.

    Several parts are joined by ``+``. Without the name of a part all rows come back.

    Raises
    ------
    DataError
        If the part is empty.
    """
    dataset = concatenate([read_dataset(path) for path in paths])
    if split is not None:
        dataset = dataset.with_split(read_split(split, dataset.metadata))
    elif not (dataset.metadata["split"] != "").any():
        dataset = dataset.with_split(split_by_station(dataset.metadata))
    return (dataset if part is None else dataset.part(part)).without_bad_waveforms()


def dataset_examples(dataset: WaveformDataset, teacher: Picker | None = None) -> list[Example]:
    """Return the labelled traces at 100 Hz, their valid part only.

    What the labels say is certain. Elsewhere the teacher's onsets stand with its probability,
    and without a teacher a phase that a trace has no label of is unknown in it.
    """
    out = []
    for i in range(len(dataset)):
        record = _at_rate(dataset.record(i))
        if record.n_samples < 5 * RATE_HZ:
            continue
        row = dataset.metadata.iloc[i]
        timing = MANUAL if row["kind"] == "manual" else AUTOMATIC
        start = dataset.start_ns(i) - row["valid_start"] / row["sampling_rate_hz"] * NS_PER_S
        lead = (start - record.starttime_ns) / NS_PER_S
        picks = [
            ("PS".index(phase), (lead + sample / row["sampling_rate_hz"]) * RATE_HZ, 1.0, timing)
            for phase, sample in row["labels"]
        ]
        one = _labelled_example(record, np.array(picks, float).reshape(-1, 4), teacher)
        out.append(replace(one, station=str(row["station"]), kind=str(row["kind"])))
    return out


def _labelled_example(
    record: Record, picks: NDArray[np.float64], teacher: Picker | None
) -> Example:
    n = record.n_samples
    unknown: list[tuple[int, float, float]] = []
    events: list[tuple[float, float, float]] = []
    p, s = (picks[picks[:, 0] == k, 1] for k in (0, 1))
    later = s[s > p[0]] if len(p) else s[:0]
    if len(later):
        end = later[0] + TAIL * (later[0] - p[0])
        events.append((p[0], end, 1.0))
        unknown.append((2, end, n))
    else:
        unknown.append((2, p[0] if len(p) else 0, n))
    if teacher is not None:
        soft = _taught(teacher.annotate(record))
        far = [
            not (np.abs(picks[picks[:, 0] == row[0], 1] - row[1]) < RATE_HZ).any() for row in soft
        ]
        soft[:, 3] = 0.0
        picks = np.concatenate([picks, soft[np.array(far, bool)]])
    else:
        unknown += [(k, 0, n) for k, found in enumerate((p, s)) if not len(found)]
    return Example(_scaled(record.data), record.mask, picks, _spans(events), _spans(unknown))


def record_examples(settings: SourceSettings, teacher: Picker) -> list[Example]:
    """Return continuous records at 100 Hz with the teacher's onsets."""
    return [example for example, _ in _records_with(settings, teacher)]


def _records_with(settings: SourceSettings, teacher: Picker) -> Iterator[tuple[Example, Record]]:
    assert settings.path is not None
    archive = index_archive(settings.path)
    bounds = [None if t is None else _ns(t) for t in (settings.start, settings.end)]
    for station in preferred_stations(archive)[0]:
        for record in read_records(archive, station, *bounds)[0]:
            if record.n_samples >= 15 * record.sampling_rate_hz:
                whole = _at_rate(record)
                yield _taught_example(whole, teacher.annotate(whole)), whole


def _taught_example(record: Record, probabilities: NDArray[np.float32]) -> Example:
    picks = _taught(probabilities)
    events: list[tuple[float, float, float]] = []
    unknown: list[tuple[int, float, float]] = []
    likely = picks[picks[:, 2] > LIKELY]
    s = likely[likely[:, 0] == 1, 1]
    for t in likely[likely[:, 0] == 0, 1]:
        later = s[(s > t) & (s < t + 30 * RATE_HZ)]
        if len(later):
            end = later[0] + TAIL * (later[0] - t)
            events.append((t, end, 1.0))
            unknown.append((2, end, end + 2.6 * (later[0] - t) + 5 * RATE_HZ))
        else:
            unknown.append((2, t, t + 40 * RATE_HZ))
    for _, t, probability, _ in picks:
        if probability <= LIKELY or (s == t).any():
            unknown.append((2, t - 15 * RATE_HZ, t + 15 * RATE_HZ))
    return Example(_scaled(record.data), record.mask, picks, _spans(events), _spans(unknown))


def _taught(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the onsets of a teacher's P and S curves as rows of `Example.picks`."""
    rows = []
    for phase in (0, 1):
        y = probabilities[phase]
        kept = local_maxima(y, round(APART_S * RATE_HZ), FAINT)
        rows += [(phase, i, float(y[i]), TAUGHT if y[i] > SURE else 0.0) for i in kept]
    return np.array(sorted(rows, key=lambda row: row[1]), float).reshape(-1, 4)


def synthetic_examples(rng: np.random.Generator, n: int) -> list[Example]:
    """Return n synthetic seismograms with the onsets that can be seen."""
    batch = synthesize(rng, n)
    out = []
    for i in range(n):
        picks, unknown = [], []
        for onset in batch.onsets[i]:
            phase = "PS".index(onset.phase)
            if onset.snr_db >= VISIBLE_DB:
                picks.append((phase, onset.sample, 1.0, min(1.0, onset.snr_db / 10.0)))
            elif onset.snr_db > HIDDEN_DB:
                unknown.append((phase, onset.sample - 50, onset.sample + 50))
        events = [(one.first, one.last, 1.0) for one in batch.intervals[i]]
        out.append(
            Example(
                _scaled(batch.data[i]),
                batch.mask[i],
                np.array(picks, float).reshape(-1, 4),
                _spans(events),
                _spans(unknown),
            )
        )
    return out


def _spans(rows: Sequence[tuple[float, float, float]]) -> NDArray[np.float64]:
    return np.array(rows, float).reshape(-1, 3)


def _scaled(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the samples about their median, with a largest value of 1: any unit is safe then."""
    out = data - np.median(data, axis=1, keepdims=True)
    top = float(np.abs(out).max(initial=0.0))
    return (out / top if top > 0 else out).astype(np.float32)


def _at_rate(record: Record) -> Record:
    return record if record.sampling_rate_hz == RATE_HZ else resample(record, RATE_HZ)


def _ns(time: datetime) -> int:
    stamp = pd.Timestamp(time)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return int(stamp.as_unit("ns").value)


def noise_records(settings: Sequence[SourceSettings], teacher: Picker | None) -> list[Record]:
    """Return stretches of records, 60 s or longer, in which the teacher sees no onset.

    Raises
    ------
    ConfigError
        If there is no teacher.
    """
    out = []
    for one in settings:
        if teacher is None or one.path is None:
            raise ConfigError("noise needs a path, and a teacher that tells it from onsets")
        for example, record in _records_with(one, teacher):
            edges = np.sort(np.concatenate([[0], example.picks[:, 1], [record.n_samples]]))
            for left, right in pairwise(edges):
                # An onset's coda holds further ones that nobody has listed.
                begin, end = left + (40 if left > 0 else 0) * RATE_HZ, right - 3 * RATE_HZ
                if end - begin >= 60 * RATE_HZ:
                    step = NS_PER_S / RATE_HZ
                    first = record.starttime_ns + round(begin * step)
                    out.append(record.cut(first, record.starttime_ns + round(end * step)))
    return out
