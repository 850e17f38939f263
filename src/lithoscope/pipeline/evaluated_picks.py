"""Tables that an evaluation works on: labels, picks beside them, and stretches of noise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.learning.bootstrap import groups
from lithoscope.learning.datasets import WaveformDataset
from lithoscope.learning.metrics import inside, judged_spans
from lithoscope.picking import Picker
from lithoscope.stations import preferred_stations
from lithoscope.waveforms import Record, index_archive, read_records

#: Noise ends this long before the first label of a trace and begins this long after its start (s).
BEFORE_LABEL_S, AFTER_START_S = 2.0, 1.0
#: Shortest stretch of noise that is counted (s).
LEAST_NOISE_S = 3.0
#: Signal-to-noise ratios are measured in this band (Hz), on this long after the onset and before
#: the first label of the trace (s), leaving the last half second before it out.
SNR_BAND_HZ = (1.0, 20.0)
SIGNAL_S, NOISE_S, GUARD_S = 2.0, 3.0, 0.5
#: What labels are sorted into classes by.
ATTRIBUTES = ("snr_db", "distance_km", "magnitude")


@dataclass(frozen=True)
class Truth:
    """What a dataset says, free of any picker.

    Attributes
    ----------
    labels
        One row a label: ``trace, source, group, phase, time_s`` (from the start of the trace),
        ``snr_db, distance_km, magnitude``.
    noise
        One row a stretch: ``trace, group, first_s, last_s``.
    """

    labels: pd.DataFrame
    noise: pd.DataFrame


@dataclass(frozen=True)
class Picked:
    """What a picker found.

    Attributes
    ----------
    picks
        One row a pick: ``trace, source, group, phase, time_s, probability, time_sigma_s,
        judged`` (unmatched, it counts as
        false), ``in_noise``, and the attributes of the nearest label
        of its phase in its trace.
    cpu_s
        CPU time of picking.
    data_h
        Length of the records (h).
    unusable
        Reason why traces could not be picked, and their number.
    """

    picks: pd.DataFrame
    cpu_s: float
    data_h: float
    unusable: dict[str, int]


@dataclass(frozen=True)
class Noise:
    """Continuous records in which every pick counts as false.

    Attributes
    ----------
    name
        What the tables call it.
    sources
        Files or folders.
    start, end
        Part to use; None = all.
    """

    name: str
    sources: Sequence[Path]
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None

    def records(self) -> Iterator[tuple[str, Record]]:
        """Yield (group, record), station by station; one band a station."""
        archive = index_archive(list(self.sources))
        stations, _ = preferred_stations(archive)
        first, last = (None if t is None else int(t.value) for t in (self.start, self.end))
        for station in sorted(stations):
            if last is not None and archive.span_ns(station)[0] >= last:
                continue
            for record in read_records(archive, station, first, last)[0]:
                if record.n_samples / record.sampling_rate_hz > 2 * AFTER_START_S + LEAST_NOISE_S:
                    yield f"{self.name}|{station}", record


def truth(dataset: WaveformDataset) -> Truth:
    """Return the labels of a dataset, with signal-to-noise ratios, and its stretches of noise.

    Noise is what comes before the first label of a trace picked by hand whose first label is a P,
    and traces of kind noise.
    """
    group = groups(dataset.metadata)
    labels: list[dict[str, Any]] = []
    noise: list[dict[str, Any]] = []
    for i in range(len(dataset)):
        row, record = dataset.metadata.iloc[i], dataset.record(i)
        own = _label_seconds(dataset, i)
        base = {"trace": row["trace"], "source": row["source"], "group": group[i]}
        ratios = snr_db(record, own)
        for (phase, t), ratio in zip(own, ratios, strict=True):
            known = {"distance_km": row["distance_km"], "magnitude": row["magnitude"]}
            labels.append(base | known | {"phase": phase, "time_s": t, "snr_db": ratio})
        end_s = record.n_samples / record.sampling_rate_hz
        last = -1.0
        if row["kind"] == "noise":
            last = end_s - AFTER_START_S
        elif row["kind"] == "manual" and own and own[0][0] == "P":
            last = own[0][1] - BEFORE_LABEL_S
        if last - AFTER_START_S >= LEAST_NOISE_S:
            noise.append(base | {"first_s": AFTER_START_S, "last_s": last})
    columns = ["trace", "source", "group", "first_s", "last_s"]
    names = ["trace", "source", "group", "phase", "time_s", *ATTRIBUTES]
    return Truth(pd.DataFrame(labels, columns=names), pd.DataFrame(noise, columns=columns))


def pick_dataset(
    picker: Picker,
    dataset: WaveformDataset,
    known: Truth,
    *,
    step: Callable[[], object] | None = None,
) -> Picked:
    """Pick all traces of a dataset.

    Parameters
    ----------
    picker
        Its threshold should be low: thresholds are applied to the table.
    dataset, known
        The dataset and what `truth` returned for it.
    step
        Called after each trace.
    """
    group = groups(dataset.metadata)
    tables, hours, cpu = [], 0.0, 0.0
    unusable: dict[str, int] = {}
    noise = known.noise.groupby("trace")[["first_s", "last_s"]]
    spans = {name: list(part.itertuples(index=False, name=None)) for name, part in noise}
    for i in range(len(dataset)):
        row, record = dataset.metadata.iloc[i], dataset.record(i)
        if step is not None:
            step()
        if why := _unusable(picker, record):
            unusable[why] = unusable.get(why, 0) + 1
            continue
        begin = time.process_time()
        found, _ = picker.pick(record)
        cpu += time.process_time() - begin
        length = record.n_samples / record.sampling_rate_hz
        hours += length / 3600.0
        own = _label_seconds(dataset, i)
        table = _pick_columns(found, record.starttime_ns)
        judged = np.zeros(len(table), bool)
        for phase in "PS":
            here = table["phase"].to_numpy(str) == phase
            allowed = judged_spans(own, phase, str(row["kind"]), length)
            judged[here] = inside(table["time_s"].to_numpy(float)[here], allowed)
        tables.append(
            table.assign(
                trace=row["trace"],
                source=row["source"],
                group=group[i],
                judged=judged,
                in_noise=inside(table["time_s"], spans.get(row["trace"], [])),
            )
        )
    picks = pd.concat([_no_picks(), *tables], ignore_index=True)
    return Picked(_with_attributes(picks, known.labels), cpu, hours, unusable)


def pick_noise(picker: Picker, noise: Sequence[Noise]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pick continuous noise; return (picks, stretches), columns as in `Picked` and `Truth`.

    Raises
    ------
    DataError
        If a source has no usable record.
    """
    tables = [_no_picks()]
    rows: list[tuple[str, str, str, float, float]] = []
    for one in noise:
        before = len(rows)
        for number, (group, record) in enumerate(one.records()):
            if _unusable(picker, record):
                continue
            trace = f"{group}/{number}"
            last = record.n_samples / record.sampling_rate_hz - AFTER_START_S
            found, _ = picker.pick(record)
            table = _pick_columns(found, record.starttime_ns)
            within = inside(table["time_s"], [(AFTER_START_S, last)])
            tables.append(
                table.assign(
                    trace=trace, source=one.name, group=group, judged=True, in_noise=within
                )
            )
            rows.append((trace, one.name, group, AFTER_START_S, last))
        if len(rows) == before:
            raise DataError(f"noise '{one.name}': no record that can be picked")
    spans = pd.DataFrame(rows, columns=["trace", "source", "group", "first_s", "last_s"])
    return pd.concat(tables, ignore_index=True), spans


def snr_db(record: Record, labels: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
    """Return signal-to-noise ratios of labels (dB), NaN where too little noise was recorded.

    Twenty times the logarithm of the ratio of standard deviations in 1 to 20 Hz (at most 90 % of
    Nyquist): 2 s from the onset against up to 3 s before the first label of the trace; P on the
    vertical and S on the horizontals where they are, the largest component.
    """
    rate = record.sampling_rate_hz
    high = min(SNR_BAND_HZ[1], 0.45 * rate)
    out = np.full(len(labels), np.nan)
    if not labels or high <= SNR_BAND_HZ[0] or record.n_samples < 30:
        return out
    sos = butter(2, (SNR_BAND_HZ[0], high), "bandpass", fs=rate, output="sos")
    data = record.data.astype(np.float64)
    data = sosfiltfilt(sos, data - data.mean(axis=1, keepdims=True), axis=1)
    last = round((labels[0][1] - GUARD_S) * rate)
    first = max(last - round(NOISE_S * rate), 0)
    if last - first < 0.5 * rate:
        return out
    noise = data[:, first:last].std(axis=1)
    for k, (phase, t) in enumerate(labels):
        at = round(t * rate)
        signal = data[:, at : at + round(SIGNAL_S * rate)].std(axis=1)
        rows = np.array([0] if phase == "P" else [1, 2])
        rows = rows[record.mask[rows]] if record.mask[rows].any() else np.flatnonzero(record.mask)
        ratio = signal[rows] / np.maximum(noise[rows], 1e-300)
        out[k] = 20.0 * np.log10(max(float(ratio.max(initial=0.0)), 1e-6))
    return np.where(np.abs(out) < 200.0, out, np.nan)


def _label_seconds(dataset: WaveformDataset, i: int) -> list[tuple[str, float]]:
    start = dataset.start_ns(i)
    return [(phase, (t - start) / NS_PER_S) for phase, t in dataset.label_times_ns(i)]


def _unusable(picker: Picker, record: Record) -> str | None:
    return picker.unusable(record) if record.n_samples else "no samples"


def _pick_columns(found: pd.DataFrame, start_ns: int) -> pd.DataFrame:
    time_ns = found["time"].dt.as_unit("ns").astype("int64").to_numpy()
    table = found[["phase", "probability", "time_sigma_s"]].reset_index(drop=True)
    return table.assign(time_s=(time_ns - start_ns) / NS_PER_S)


def _no_picks() -> pd.DataFrame:
    kinds = {
        "phase": "str", "probability": "float64", "time_sigma_s": "float64", "time_s": "float64",
        "trace": "str", "source": "str", "group": "str", "judged": "bool", "in_noise": "bool",
    }  # fmt: skip
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in kinds.items()})


def _with_attributes(picks: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Give each pick the attributes of the nearest label of its phase in its trace."""
    values = np.full((len(picks), len(ATTRIBUTES)), np.nan)
    of_label = labels.groupby(["trace", "phase"]).indices
    label_t, pick_t = labels["time_s"].to_numpy(float), picks["time_s"].to_numpy(float)
    known = labels[list(ATTRIBUTES)].to_numpy(float)
    for key, j in picks.groupby(["trace", "phase"]).indices.items():
        i = of_label.get(key)
        if i is not None:
            nearest = np.abs(pick_t[j][:, np.newaxis] - label_t[i]).argmin(axis=1)
            values[j] = known[i[nearest]]
    return picks.assign(**{name: values[:, k] for k, name in enumerate(ATTRIBUTES)})
