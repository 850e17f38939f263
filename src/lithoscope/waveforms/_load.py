"""Samples of the runs of one station inside a window of time."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
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
from lithoscope.waveforms._long import read_long
from lithoscope.waveforms._runs import Piece, Run
from lithoscope.waveforms.record import (
    beyond_exact,
    nearest_sample,
    offset_ns,
    sample_at_or_after,
)
from lithoscope.waveforms.remote import local_copy

# Overlapping data are compared this long before one piece takes over from another.
SEAM_S = 10.0


@dataclass
class Samples:
    """Part of a run: values from sample ``first`` of its grid on, NaN where missing.

    ``seams`` are samples of the grid where the data jump from one clock to another.
    """

    run: Run
    first: int
    values: NDArray[np.float32]
    seams: list[int] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Samples ``first <= i < stop`` of the grid of a run."""

    run: Run
    first: int
    stop: int


@dataclass(frozen=True)
class _Part:
    """Data of one piece as read: from sample ``first`` of the run's grid on.

    ``large`` tells of values beyond 24 bits that are rounded already.
    """

    piece: Piece
    first: int
    values: NDArray[Any]
    large: bool = False


def load(
    runs: list[Run], station: str, start_ns: int, end_ns: int
) -> tuple[deque[Samples], list[dict[str, Any]]]:
    """Read ``[start_ns, end_ns)`` of the runs, each file once and only the time it needs.

    A run is put together as soon as the last of its files is read, and what was read is let go.
    """
    wanted: list[_Wanted] = []
    for run in runs:
        first = max(sample_at_or_after(start_ns - run.origin_ns, run.rate_hz), 0)
        stop = min(sample_at_or_after(end_ns - run.origin_ns, run.rate_hz), run.n_samples)
        if stop > first:
            wanted.append(_Wanted(run, first, stop))
    by_file: dict[tuple[str, str], list[tuple[_Wanted, Piece]]] = defaultdict(list)
    for want in wanted:
        for piece in want.run.pieces:
            if piece.first < want.stop and piece.stop > want.first:
                by_file[piece.path, piece.format].append((want, piece))
    files = sorted(by_file.items())
    last = {id(want): path for (path, _), pieces in files for want, _ in pieces}
    problems: list[dict[str, Any]] = []
    parts: dict[int, list[_Part]] = {id(want): [] for want in wanted}
    filled: dict[int, tuple[Samples, list[dict[str, Any]]]] = {}
    for (path, form), pieces in files:
        for want, part in _read_file(path, form, station, pieces, start_ns, end_ns, problems):
            parts[id(want)].append(part)
        for want, _ in pieces:
            if last[id(want)] == path and id(want) in parts:
                filled[id(want)] = _fill(want, parts.pop(id(want)))
    for want in wanted:
        problems += filled[id(want)][1]
    return deque(filled[id(want)][0] for want in wanted), problems


def _read_file(
    path: str,
    form: str,
    station: str,
    pieces: list[tuple[_Wanted, Piece]],
    start_ns: int,
    end_ns: int,
    problems: list[dict[str, Any]],
) -> list[tuple[_Wanted, _Part]]:
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
    with local_copy(path) as copy:
        if form == "MSEED" and len(pieces) == 1 and np.isinf([first_ns, last_ns]).all():
            want, piece = pieces[0]
            long = read_long(copy, want.run.channel, want.run.rate_hz, piece)
            if long is not None:
                return [(want, _Part(piece, piece.first, *long))]
        try:
            stream, complaints = read_quietly(copy, **options)
        except DataError as error:
            problems.append(_problem(Path(path).name, "unreadable", str(error), "treated as a gap"))
            return []
    problems += [_problem(Path(path).name, "damaged", text, "used as read") for text in complaints]
    free = list(pieces)
    out = []
    for want, piece, trace in _owned(stream, free, first_ns, last_ns):
        inside = nearest_sample(trace.stats.starttime.ns - piece.start_ns, want.run.rate_hz)
        values: NDArray[Any] = np.asarray(trace.data)
        if np.ma.isMaskedArray(trace.data):
            values = np.ma.filled(trace.data.astype(float), np.nan)
        if values.dtype.kind not in "iuf":
            detail = f"samples of type {values.dtype}"
            problems.append(_problem(want.run.channel, "no numbers", detail, "skipped"))
            continue
        out.append((want, _Part(piece, piece.first + inside, values)))
    return out


def _owned(
    stream: Any, free: list[tuple[_Wanted, Piece]], first_ns: float, last_ns: float
) -> Iterator[tuple[_Wanted, Piece, Any]]:
    """Yield indexed pieces, cut to the times asked for, each with the trace that it is.

    A file that has grown since it was indexed has longer traces: each piece gets its part.
    """
    for trace in stream:
        owner = _owner(trace, free, first_ns, last_ns)
        if owner is not None:
            free.remove(owner)
            yield *owner, trace
            continue
        channel, rate = channel_code(trace), trace.stats.sampling_rate
        few_ns = 2 * NS_PER_S / rate
        for want, piece in list(free):
            low = max(piece.start_ns, first_ns)
            high = min(piece.start_ns + offset_ns(piece.n_samples - 1, rate), last_ns)
            begin, end = trace.stats.starttime.ns, trace.stats.endtime.ns
            held = begin - few_ns <= low <= high <= end + few_ns
            if want.run.channel == channel and held:
                free.remove((want, piece))
                yield want, piece, trace.slice(UTCDateTime(ns=int(low)), UTCDateTime(ns=int(high)))


def _owner(
    trace: Any, free: list[tuple[_Wanted, Piece]], first_ns: float, last_ns: float
) -> tuple[_Wanted, Piece] | None:
    """Return the indexed piece, cut to the times asked for, that a trace as read fits best."""
    channel = channel_code(trace)
    start_ns, end_ns = trace.stats.starttime.ns, trace.stats.endtime.ns
    best, smallest = None, np.inf
    for want, piece in free:
        rate = want.run.rate_hz
        slack = 0.5 * NS_PER_S / rate
        low, high = piece.start_ns, piece.start_ns + offset_ns(piece.n_samples - 1, rate)
        if want.run.channel == channel and low - slack <= start_ns and end_ns <= high + slack:
            misfit = abs(start_ns - max(low, first_ns)) + abs(end_ns - min(high, last_ns))
            if misfit < smallest:
                best, smallest = (want, piece), misfit
    return best


def _fill(want: _Wanted, parts: list[_Part]) -> tuple[Samples, list[dict[str, Any]]]:
    """Write the parts in the run's order; where one is covered by earlier ones, compare."""
    order = {id(piece): number for number, piece in enumerate(want.run.pieces)}
    problems: list[dict[str, Any]] = []
    large = False
    conflicts: list[tuple[int, int, int]] = []
    only = parts[0].values[want.first - parts[0].first :] if _is_whole(want, parts) else None
    size = want.stop - want.first
    values = np.full(size, np.nan, np.float32) if only is None else only[:size]
    samples = Samples(want.run, want.first, values)
    for part in sorted(parts, key=lambda p: order[id(p.piece)]):
        low = max(part.first, want.first)
        stop = min(part.first + part.values.size, want.stop)
        if stop <= low:
            continue
        new = part.values[low - part.first : stop - part.first]
        large = large or part.large or beyond_exact(new)
        if only is not None:
            continue
        own = min(max(part.piece.own, low), stop) - low
        target = values[low - want.first : stop - want.first]
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
    return samples, problems


def _is_whole(want: _Wanted, parts: list[_Part]) -> bool:
    """Tell whether all that is wanted is one part that needs no conversion, hence no copy."""
    return (
        len(parts) == 1
        and parts[0].values.dtype == np.float32
        and parts[0].first <= want.first
        and parts[0].first + parts[0].values.size >= want.stop
    )


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
