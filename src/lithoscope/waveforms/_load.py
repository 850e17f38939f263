"""Samples of the runs of one station inside a window of time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from obspy import UTCDateTime

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.waveforms._files import channel_code, read_quietly
from lithoscope.waveforms._runs import Piece, Run
from lithoscope.waveforms.record import nearest_sample, offset_ns, sample_at_or_after

# Overlapping data are compared this long before one piece takes over from another.
SEAM_S = 10.0
_EXACT = 2**24  # float32 holds all integers up to this


@dataclass
class Samples:
    """Part of a run: values from sample ``first`` of its grid on, NaN where missing.

    ``seams`` are samples of the grid where the data jump from one clock to another.
    """

    run: Run
    first: int
    values: NDArray[np.float32]
    seams: list[int] = field(default_factory=list)

    @property
    def stop(self) -> int:
        return self.first + self.values.size


@dataclass(frozen=True)
class _Part:
    """Data of one piece as read: from sample ``first`` of the run's grid on."""

    piece: Piece
    first: int
    values: NDArray[Any]


def load(
    runs: list[Run], station: str, start_ns: int, end_ns: int
) -> tuple[list[Samples], list[dict[str, Any]]]:
    """Read ``[start_ns, end_ns)`` of the runs, each file once and only the time it needs."""
    wanted: list[Samples] = []
    for run in runs:
        first = max(sample_at_or_after(start_ns - run.origin_ns, run.rate_hz), 0)
        stop = min(sample_at_or_after(end_ns - run.origin_ns, run.rate_hz), run.n_samples)
        if stop > first:
            wanted.append(Samples(run, first, np.full(stop - first, np.nan, np.float32)))
    by_file: dict[tuple[str, str], list[tuple[Samples, Piece]]] = defaultdict(list)
    for samples in wanted:
        for piece in samples.run.pieces:
            if piece.first < samples.stop and piece.stop > samples.first:
                by_file[piece.path, piece.format].append((samples, piece))
    problems: list[dict[str, Any]] = []
    parts: dict[int, list[_Part]] = defaultdict(list)
    for (path, form), pieces in sorted(by_file.items()):
        for samples, part in _read_file(path, form, station, pieces, start_ns, end_ns, problems):
            parts[id(samples)].append(part)
    for samples in wanted:
        problems += _fill(samples, parts[id(samples)])
    return wanted, problems


def _read_file(
    path: str,
    form: str,
    station: str,
    pieces: list[tuple[Samples, Piece]],
    start_ns: int,
    end_ns: int,
    problems: list[dict[str, Any]],
) -> list[tuple[Samples, _Part]]:
    margin = int(3 * NS_PER_S / min(s.run.rate_hz for s, _ in pieces))
    options: dict[str, Any] = {"format": form} if form else {}
    if form == "MSEED":
        options["sourcename"] = station + "?"
    first_ns, last_ns = -np.inf, np.inf
    if start_ns > min(p.start_ns for _, p in pieces):
        first_ns = start_ns - margin
        options["starttime"] = UTCDateTime(ns=first_ns)
    if end_ns < max(s.run.time_ns(p.stop) for s, p in pieces):
        last_ns = end_ns + margin
        options["endtime"] = UTCDateTime(ns=last_ns)
    try:
        stream, complaints = read_quietly(Path(path), **options)
    except DataError as error:
        problems.append(_problem(Path(path).name, "unreadable", str(error), "treated as a gap"))
        return []
    problems += [_problem(Path(path).name, "damaged", text, "used as read") for text in complaints]
    free = list(pieces)
    out = []
    for trace in stream:
        owner = _owner(trace, free, first_ns, last_ns)
        if owner is None:
            continue
        free.remove(owner)
        samples, piece = owner
        inside = nearest_sample(trace.stats.starttime.ns - piece.start_ns, samples.run.rate_hz)
        values: NDArray[Any] = np.asarray(trace.data)
        if np.ma.isMaskedArray(trace.data):
            values = np.ma.filled(trace.data.astype(float), np.nan)
        if values.dtype.kind not in "iuf":
            detail = f"samples of type {values.dtype}"
            problems.append(_problem(samples.run.channel, "no numbers", detail, "skipped"))
            continue
        out.append((samples, _Part(piece, piece.first + inside, values)))
    return out


def _owner(
    trace: Any, free: list[tuple[Samples, Piece]], first_ns: float, last_ns: float
) -> tuple[Samples, Piece] | None:
    """Return the indexed piece, cut to the times asked for, that a trace as read fits best."""
    channel = channel_code(trace)
    start_ns, end_ns = trace.stats.starttime.ns, trace.stats.endtime.ns
    best, smallest = None, np.inf
    for samples, piece in free:
        rate = samples.run.rate_hz
        slack = 0.5 * NS_PER_S / rate
        low, high = piece.start_ns, piece.start_ns + offset_ns(piece.n_samples - 1, rate)
        if samples.run.channel == channel and low - slack <= start_ns and end_ns <= high + slack:
            misfit = abs(start_ns - max(low, first_ns)) + abs(end_ns - min(high, last_ns))
            if misfit < smallest:
                best, smallest = (samples, piece), misfit
    return best


def _fill(samples: Samples, parts: list[_Part]) -> list[dict[str, Any]]:
    """Write the parts in the run's order; where one is covered by earlier ones, compare."""
    order = {id(piece): number for number, piece in enumerate(samples.run.pieces)}
    problems: list[dict[str, Any]] = []
    large = False
    conflicts: list[tuple[int, int, int]] = []
    for part in sorted(parts, key=lambda p: order[id(p.piece)]):
        low = max(part.first, samples.first)
        stop = min(part.first + part.values.size, samples.stop)
        if stop <= low:
            continue
        new = part.values[low - part.first : stop - part.first]
        large = large or _beyond_exact(new)
        own = min(max(part.piece.own, low), stop) - low
        target = samples.values[low - samples.first : stop - samples.first]
        target[own:] = new[own:]
        if own:
            conflicts += _compare(samples, part, target[:own], new[:own].astype(np.float32), low)
    if conflicts:
        count = sum(c[2] for c in conflicts)
        problems.append(
            _problem(
                samples.run.channel,
                "overlap disagrees",
                f"{count} samples differ between overlapping pieces",
                "the earlier-starting piece kept; a new record begins where it ends",
                samples.run.time_ns(min(c[0] for c in conflicts)),
                samples.run.time_ns(max(c[1] for c in conflicts) - 1),
            )
        )
    if large:
        detail = "values beyond 2^24 counts are rounded to 24 bits"
        problems.append(_problem(samples.run.channel, "large values", detail, "used"))
    return problems


def _compare(
    samples: Samples,
    part: _Part,
    kept: NDArray[np.float32],
    other: NDArray[np.float32],
    low: int,
) -> list[tuple[int, int, int]]:
    """Fill holes of ``kept`` from ``other``; return where both exist and differ; note a seam."""
    holes = np.isnan(kept)
    kept[holes] = other[holes]
    differ = (kept != other) & ~np.isnan(other)
    if not differ.any():
        return []
    seam = part.piece.own
    if seam < part.piece.stop:
        near = round(SEAM_S * samples.run.rate_hz)
        lag = seam - near - low
        if low + kept.size == seam and differ[max(lag, 0) :].any():
            samples.seams.append(seam)
    where = np.flatnonzero(differ)
    return [(low + int(where[0]), low + int(where[-1]) + 1, int(where.size))]


def _beyond_exact(values: NDArray[Any]) -> bool:
    if values.dtype.kind == "f" or values.size == 0:
        return False
    return int(values.max()) > _EXACT or int(values.min()) < -_EXACT


def _problem(
    what: str,
    problem: str,
    detail: str,
    action: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "problem": problem, "detail": detail, "action": action}
    row["starttime"] = pd.NaT if start_ns is None else pd.Timestamp(start_ns, tz="UTC")
    row["endtime"] = pd.NaT if end_ns is None else pd.Timestamp(end_ns, tz="UTC")
    return row
