"""Labelled traces for fitting and measuring pickers: reading, split, and harder copies.

The split keeps a station (NCEDC), an event (STEAD, Iceland, coal mine) on one side:

- NCEDC (both files): by station, the hash of its code decides; all events are distinct.
- STEAD sample (one station), coal mine: by event, the hash of the event decides.
- Iceland: by time; events before 00:05 on 24 August 2014 train, the later ones test.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import resample_poly

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "ncedc_phasenet_train",
    "ncedc_deepdenoiser",
    "stead_eqt_50",
    "iceland_holuhraun_qm",
    "mine_coal_node",
)
MANUAL = ("ncedc_phasenet_train", "ncedc_deepdenoiser", "stead_eqt_50", "mine_coal_node")


@dataclass(frozen=True)
class Trace:
    """One labelled trace.

    ``p`` and ``s`` are all labelled onsets in samples; ``judged`` says for each phase in which
    span of samples (first, last) an unlabelled onset may be called false; ``timed`` whether the
    labels say something about the precision of onset times.
    """

    origin: str
    name: str
    data: NDArray[np.float32]
    sampling_rate_hz: float
    p: tuple[float, ...]
    s: tuple[float, ...]
    judged: dict[str, tuple[float, float]] = field(default_factory=dict)
    training: bool = True
    timed: bool = True

    @property
    def mask(self) -> NDArray[np.bool_]:
        return np.array([bool(np.any(c != c[0])) for c in self.data])


def folder() -> Path:
    """Return the folder of labelled traces below LITHOSCOPE_DATA."""
    return Path(os.environ.get("LITHOSCOPE_DATA", ROOT.parent / "shared" / "data")) / "labelled"


def load(files: tuple[str, ...] = FILES) -> list[Trace]:
    """Read labelled traces; zero padding is cut off and labels of overlapping traces merged."""
    import h5py

    traces = []
    for name in files:
        rows = pd.read_csv(folder() / f"{name}.csv")
        with h5py.File(folder() / f"{name}.h5") as file:
            samples = file["x"][:]
        merged = _merged_labels(rows)
        for i, row in rows.iterrows():
            a, b = int(row.valid_start), int(row.valid_end)
            p, s = merged[i]
            p = tuple(t - a for t in p if a <= t < b)
            s = tuple(t - a for t in s if a <= t < b)
            judged = _judged(name, p, s, b - a)
            data = samples[i][:, a:b]
            traces.append(
                Trace(name, str(row.trace), data, 100.0, p, s, judged, _trains(name, row))
            )
    return traces


def _merged_labels(rows: pd.DataFrame) -> list[tuple[list[float], list[float]]]:
    own = [
        tuple([float(v)] if v == v else [] for v in (row.p_sample, row.s_sample))
        for row in rows.itertuples()
    ]
    for found, others in zip(own, rows.other_picks, strict=True):
        for phase, sample in json.loads(others):
            found["PS".index(phase)].append(float(sample))
    if "t0" not in rows or rows.t0.isna().any():
        return own
    start = pd.to_datetime(rows.t0).dt.as_unit("ns").astype("int64").to_numpy() / 1e7
    out = []
    for i in range(len(rows)):
        same = np.flatnonzero(rows.trace == rows.trace[i])
        out.append(
            tuple(
                sorted({round(t + start[j] - start[i], 1) for j in same for t in own[j][k]})
                for k in (0, 1)
            )
        )
    return out


def _judged(name: str, p: tuple, s: tuple, n: int) -> dict[str, tuple[float, float]]:
    """Where unlabelled onsets count as false; nowhere in a swarm or after a P without its S."""
    if name == "iceland_holuhraun_qm":
        return {"P": (0.0, 0.0), "S": (0.0, 0.0)}
    if s:
        return {"P": (0.0, float(n)), "S": (0.0, float(n))}
    return {"P": (0.0, p[0] + 30.0), "S": (0.0, p[0] + 20.0)}


def _trains(name: str, row: pd.Series) -> bool:
    if name.startswith("ncedc"):
        key = ".".join(row.trace.split("_")[:2])
    elif name == "iceland_holuhraun_qm":
        return str(row.event) < "20140824000500"
    else:
        key = str(row.event) if "event" in row else str(row.trace)
    return int(hashlib.sha1(key.encode()).hexdigest(), 16) % 10 < 6


def harder(trace: Trace, rng: np.random.Generator, others: list[Trace]) -> list[Trace]:
    """Return harder copies of a training trace.

    More noise; a second event; spikes and steps; sampled at 50 Hz; and, since larger events are
    slower and longer versions of small ones, stretched in time by 2 and 4 and compressed by 2.
    """
    out = []
    first = min(trace.p + trace.s)
    n = trace.data.shape[1]
    if first > 500:
        out.append(_noisier(trace, rng, int(first) - 30))
        out.append(_with_glitches(trace, rng, int(first) - 100))
    if trace.p and trace.s and n > 3000:
        out.append(_with_second(trace, rng, others))
    half = _slower(trace)
    out += [half, replace(half, sampling_rate_hz=100.0, timed=False)]
    out += [replace(trace, sampling_rate_hz=rate, timed=False) for rate in (50.0, 25.0)]
    return out


def _slower(trace: Trace) -> Trace:
    """Return the trace at half its sampling rate."""
    half = resample_poly(trace.data, 1, 2, axis=1).astype(np.float32)
    return replace(
        trace,
        data=half,
        sampling_rate_hz=trace.sampling_rate_hz / 2,
        p=tuple(t / 2 for t in trace.p),
        s=tuple(t / 2 for t in trace.s),
        judged={k: (a / 2, b / 2) for k, (a, b) in trace.judged.items()},
    )


def _noisier(trace: Trace, rng: np.random.Generator, n_noise: int) -> Trace:
    """Add the trace's own noise before P, repeated with tapered seams, times 1 to 30."""
    noise = trace.data[:, :n_noise].astype(np.float64)
    noise -= noise.mean(axis=1, keepdims=True)
    taper = np.sin(np.linspace(0, np.pi / 2, 50))
    piece = noise[:, ::-1].copy()
    n = trace.data.shape[1]
    tiled = np.zeros((3, n + n_noise))
    step = n_noise - 50
    piece[:, :50] *= taper
    piece[:, -50:] *= taper[::-1]
    for at in range(0, n, step):
        tiled[:, at : at + n_noise] += piece
    shift = int(rng.integers(0, step))
    after = _size(trace.data[:, n_noise + 30 :])
    level = max(_size(noise), 1e-30)
    factor = np.exp(rng.uniform(np.log(0.05), np.log(1.0))) * after / level
    data = trace.data + min(factor, 1e6) * tiled[:, shift : shift + n]
    return _changed(trace, data)


def _with_glitches(trace: Trace, rng: np.random.Generator, n_noise: int) -> Trace:
    """Put spikes, steps and short flat stretches where there is only noise."""
    data = trace.data.astype(np.float64).copy()
    size = max(_size(data[:, :n_noise]), 1e-30)
    for _ in range(4):
        at = int(rng.integers(150, max(n_noise, 151)))
        height = size * np.exp(rng.uniform(np.log(5), np.log(500))) * rng.choice([-1, 1])
        where = slice(0, 3) if rng.random() < 0.5 else slice(*sorted(rng.choice(4, 2, False)))
        kind = rng.integers(0, 3)
        if kind == 0:
            data[where, at : at + int(rng.integers(1, 4))] += height
        elif kind == 1:
            data[where, at:] += height
        else:
            data[where, at:] += height * np.exp(-np.arange(data.shape[1] - at) / 500.0)
    return _changed(trace, data)


def _with_second(trace: Trace, rng: np.random.Generator, others: list[Trace]) -> Trace:
    """Add another event of 0.03 to 3 times the amplitude, 1 to 20 s later."""
    other = others[int(rng.integers(len(others)))]
    shift = int(trace.p[0] - other.p[0] + rng.uniform(100, 2000))
    n = trace.data.shape[1]
    added = np.zeros((3, n))
    a, b = max(shift, 0), min(n, shift + other.data.shape[1])
    if b <= a:
        return trace
    piece = other.data[:, a - shift : b - shift].astype(np.float64)
    piece -= np.median(piece, axis=1, keepdims=True)
    ramp = np.clip(np.arange(piece.shape[1]) / 300.0, 0, 1)
    scale = _size(trace.data) / max(_size(other.data), 1e-30)
    added[:, a:b] = piece * ramp * scale * np.exp(rng.uniform(np.log(0.03), np.log(3.0)))
    p = trace.p + tuple(t + shift for t in other.p if 0 <= t + shift < n)
    s = trace.s + tuple(t + shift for t in other.s if 0 <= t + shift < n)
    return replace(_changed(trace, trace.data + added), p=p, s=s)


def _size(data: NDArray) -> float:
    """Return the standard deviation of the first differences: free of offsets and microseism."""
    return float(np.diff(data, axis=1).std())


def _changed(trace: Trace, data: NDArray[np.float64]) -> Trace:
    masked = data * trace.mask[:, np.newaxis]
    return replace(trace, data=masked.astype(np.float32))
