"""The classical picker: band-wise power, likelihood ratios, AIC onsets, fitted probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.constants import NS_PER_S
from lithoscope.picking import _calibration, _measures
from lithoscope.picking._bank import design
from lithoscope.picking._candidates import Candidates, find
from lithoscope.picking._context import relate
from lithoscope.picking.settings import ClassicalPickerSettings
from lithoscope.waveforms import Record, resample

#: Sampling rates (Hz) worked on as they are; the bands adapt to them.
NATIVE_HZ = (8.0, 250.0)
#: Shortest record that can hold an onset and noise before it (s).
SHORTEST_S = 1.0
#: Onsets of P and S closer than this are one arrival and get the more probable phase (s).
RIVAL_S = 0.12
#: Times are rounded to this (ns), so that the rounding of a start time does not show in an id.
TIME_STEP_NS = 100_000
#: Probability below which a candidate is not even shown by `ClassicalPicker.annotate`.
SHOWN = 0.05


@dataclass(frozen=True)
class _Onset:
    """One classified candidate."""

    phase: str
    time_ns: int
    sigma_s: float
    probability: float
    amplitude: float
    snr: float
    polarity: int
    end_ns: int  # the signal has sunk into the noise again


class ClassicalPicker:
    """Picks P and S without training data of the target region.

    Three steps: a rise of power in octave bands is detected by a likelihood ratio of short to
    long windows; the onset is the best split of a window in two variances (AIC) in the band where
    that split is clearest; a regression on some twenty ratios around the onset gives the
    probability of P and of S. The time sigma comes from the width of the split's posterior and
    the signal-to-noise ratio, calibrated so that 68 % of analysts' picks lie within it. Method,
    measured figures and limits: docs/picking.md.

    P is timed on the vertical, S on the horizontals; with one group of components only, both
    on that, with fewer S. All ratios are free of the data's unit. Every decision depends on data
    within `context_s` only, so cutting or shifting a record changes nothing farther from the cut.

    Attributes
    ----------
    sampling_rate_hz
        Rate to which records outside 8 to 250 Hz are resampled; the others keep theirs.
    context_s
        Reach of the data that an output depends on (s).
    """

    name = "classical-1"
    sampling_rate_hz = 100.0
    context_s = 70.0

    def __init__(self, settings: ClassicalPickerSettings | None = None) -> None:
        self.settings = settings or ClassicalPickerSettings()

    def unusable(self, record: Record) -> str | None:
        """Return why nothing can be picked on a record, or None.

        Such a record gives empty tables; this is the sentence to show for it.
        """
        if record.sampling_rate_hz < NATIVE_HZ[0]:
            return (
                f"sampled at {record.sampling_rate_hz:g} Hz; "
                f"picking needs at least {NATIVE_HZ[0]:g} Hz"
            )
        if record.n_samples < SHORTEST_S * record.sampling_rate_hz:
            return f"{record.n_samples} samples; picking needs at least {SHORTEST_S:g} s of data"
        if not record.mask.any():
            return "no component with data"
        return None

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return picks and detections of one record.

        Parameters
        ----------
        record
            Any length, 8 Hz or more, finite samples in any unit.

        Returns
        -------
        picks, detections
            Tables PICKS and DETECTIONS in order of time; empty where `unusable` gives a reason.
        """
        onsets = [o for o in self._onsets(record) if o.probability >= self._threshold(o, record)]
        rows = [
            {
                "pick_id": schema.pick_id(record.station, o.phase, o.time_ns),
                "station": record.station,
                "phase": o.phase,
                "time": pd.Timestamp(o.time_ns, tz="UTC"),
                "time_sigma_s": o.sigma_s,
                "probability": o.probability,
                "amplitude": o.amplitude,
                "snr": o.snr,
                "polarity": o.polarity,
                "model": self.name,
            }
            for o in onsets
        ]
        found = [
            {
                "station": record.station,
                "starttime": pd.Timestamp(start, tz="UTC"),
                "endtime": pd.Timestamp(end, tz="UTC"),
                "probability": value,
                "model": self.name,
            }
            for start, end, value in _detections(onsets)
        ]
        return schema.PICKS.table(rows), schema.DETECTIONS.table(found)

    def annotate(self, record: Record) -> NDArray[np.float32]:
        """Return ``(3, n)`` probabilities of P, S and event at the record's samples.

        P and S: a Gaussian of the pick's sigma with the pick's probability as its height (the
        largest where several overlap), for all candidates of 0.05 and more. Event: the
        probability of the detection that holds the sample.
        """
        out = np.zeros((3, record.n_samples), np.float32)
        if not record.n_samples:
            return out
        t = (record.times_ns() - record.starttime_ns) / NS_PER_S
        onsets = list(self._onsets(record))
        for o in onsets:
            at, row = (o.time_ns - record.starttime_ns) / NS_PER_S, out["PS".index(o.phase)]
            first, last = np.searchsorted(t, [at - 5 * o.sigma_s, at + 5 * o.sigma_s])
            bump = o.probability * np.exp(-0.5 * ((t[first:last] - at) / o.sigma_s) ** 2)
            row[first:last] = np.maximum(row[first:last], bump)
        for start, end, value in _detections(onsets):
            first, last = np.searchsorted(
                t,
                [(start - record.starttime_ns) / NS_PER_S, (end - record.starttime_ns) / NS_PER_S],
            )
            out[2, first:last] = np.maximum(out[2, first:last], value)
        return out

    def _threshold(self, onset: _Onset, record: Record) -> float:
        if onset.phase == "P":
            return self.settings.p_threshold
        three = record.mask[0] and record.mask[1:].any()
        return self.settings.s_threshold if three else self.settings.single_threshold

    def _onsets(self, record: Record) -> list[_Onset]:
        """Return all candidates worth showing, in order of time."""
        if self.unusable(record):
            return []
        if record.sampling_rate_hz > NATIVE_HZ[1]:
            record = resample(record, self.sampling_rate_hz)
        found = [
            onset
            for first, last, begin, end in _chunks(record, self.settings.chunk_s, self.context_s)
            for onset in self._chunk(record, first, last, begin, end)
        ]
        return sorted(found, key=lambda o: (o.time_ns, o.phase))

    def _chunk(
        self, record: Record, first: int, last: int, begin: int, end: int
    ) -> Iterator[_Onset]:
        """Yield onsets whose candidate lies in samples [begin, end), from data [first, last)."""
        data = record.data[:, first:last]
        fs = record.sampling_rate_hz
        bank = design(fs)
        groups = find(data, record.mask, bank)
        apart = round(self.settings.apart_s * fs)
        sides = classify(groups, fs)
        for (phase, key, values), (_, rival, others) in zip(sides, sides[::-1], strict=True):
            c = groups[key]
            keep = _most_probable(c.onset, values, apart) & (values >= SHOWN)
            keep &= ~_outdone(c.onset, values, groups[rival].onset, others, round(RIVAL_S * fs))
            keep &= (c.onset + first >= begin) & (c.onset + first < end)
            bias, sigma = _calibration.timing(phase, c.features, fs)
            for i in np.flatnonzero(keep):
                measured = _measures.measure(data, c, int(i), key, fs)
                offset_s = (int(c.onset[i]) + first) / fs
                yield _Onset(
                    phase,
                    _rounded(record.starttime_ns, offset_s - float(bias[i])),
                    float(sigma[i]),
                    float(values[i]),
                    measured.amplitude,
                    measured.snr,
                    measured.polarity if phase == "P" else 0,
                    _rounded(record.starttime_ns, offset_s + measured.duration_s),
                )


def classify(
    groups: dict[str, Candidates], sampling_rate_hz: float
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Return, for P and S, the group of components it is timed on and its probabilities."""
    three = len(groups) == 2
    key_p, key_s = ("Z", "H") if three else (next(iter(groups)),) * 2
    name_p, name_s = ("P3", "S3") if three else ("P1", "S1")
    p, s = groups[key_p], groups[key_s]
    first_p = _calibration.first_look(name_p, p.features)
    first_s = _calibration.first_look(name_s, s.features)
    related_p = relate(p.onset, first_p, s.onset, first_s, sampling_rate_hz)
    related_s = relate(s.onset, first_s, p.onset, first_p, sampling_rate_hz)
    return [
        ("P", key_p, _calibration.probability(name_p, related_p)),
        ("S", key_s, _calibration.probability(name_s, related_s)),
    ]


def _rounded(start_ns: int, offset_s: float) -> int:
    """Return start + offset in whole steps; a float holds an absolute time to 256 ns only."""
    time_ns = start_ns + round(offset_s * NS_PER_S)
    return (time_ns + TIME_STEP_NS // 2) // TIME_STEP_NS * TIME_STEP_NS


def _chunks(
    record: Record, chunk_s: float, context_s: float
) -> Iterator[tuple[int, int, int, int]]:
    """Yield samples (first, last) to read and (begin, end) to keep; cuts at multiples of chunk_s.

    The cuts are absolute times, so they do not move with the start of the record.
    """
    n, fs = record.n_samples, record.sampling_rate_hz
    step, pad = round(chunk_s * NS_PER_S), round(context_s * fs)
    k = record.starttime_ns // step
    begin = 0
    while begin < n:
        k += 1
        end = min(n, int(np.ceil((k * step - record.starttime_ns) / NS_PER_S * fs)))
        if end > begin:
            yield max(begin - pad, 0), min(end + pad, n), begin, end
        begin = max(end, begin)


def _most_probable(
    onset: NDArray[np.int64], values: NDArray[np.float64], apart: int
) -> NDArray[np.bool_]:
    """Return True where no onset within ``apart`` samples is more probable (ties: the earlier)."""
    keep = np.ones(len(onset), dtype=bool)
    order = np.argsort(onset, kind="stable")
    for a, i in enumerate(order):
        for j in order[a + 1 :]:
            if onset[j] - onset[i] > apart:
                break
            keep[j if values[j] <= values[i] else i] = False
    return keep


def _outdone(
    onset: NDArray[np.int64],
    values: NDArray[np.float64],
    rival: NDArray[np.int64],
    others: NDArray[np.float64],
    apart: int,
) -> NDArray[np.bool_]:
    """Return True where the other phase is more probable within ``apart`` samples."""
    first = np.searchsorted(rival, onset - apart)
    last = np.searchsorted(rival, onset + apart, side="right")
    best = [others[a:b].max() if b > a else -1.0 for a, b in zip(first, last, strict=True)]
    return np.array(best, dtype=float) > values


def _detections(onsets: list[_Onset]) -> list[tuple[int, int, float]]:
    """Return (start, end, probability): from each P to the end of its signal or the next P.

    An S inside adds its evidence; an S in no such interval makes one of its own.
    """
    starts = [o for o in onsets if o.phase == "P"]
    out = []
    for i, p in enumerate(starts):
        end = min(p.end_ns, starts[i + 1].time_ns) if i + 1 < len(starts) else p.end_ns
        out.append([p.time_ns, end, 1.0 - p.probability])
    spans = np.array([[a, b] for a, b, _ in out], dtype=np.int64).reshape(-1, 2)
    for s in onsets:
        if s.phase == "P":
            continue
        i = int(np.searchsorted(spans[:, 0], s.time_ns, side="right")) - 1
        if i >= 0 and s.time_ns < spans[i, 1]:
            out[i][2] *= 1.0 - s.probability
        else:
            out.append([s.time_ns, s.end_ns, 1.0 - s.probability])
    return [(int(a), int(b), 1.0 - q) for a, b, q in sorted(out) if b > a]
