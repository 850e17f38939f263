"""Records of one station from an archive."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.schema import PROBLEMS
from lithoscope.waveforms._components import (
    Interval,
    Track,
    adopt_horizontals,
    grid_shift,
    group_runs,
    intervals,
)
from lithoscope.waveforms._load import SEAM_S, Samples, _problem, load
from lithoscope.waveforms._runs import Run, plan_runs
from lithoscope.waveforms.archive import Archive
from lithoscope.waveforms.orientation import epoch_starts_ns, orient
from lithoscope.waveforms.quality import FLAT, MISSING, VALID, clipped, spikes, stretches
from lithoscope.waveforms.record import Record, nearest_sample, offset_ns
from lithoscope.waveforms.resampling import half_width_s, interpolate
from lithoscope.waveforms.settings import WaveformSettings


def read_records(
    archive: Archive,
    station: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
    *,
    channels: pd.DataFrame | None = None,
    settings: WaveformSettings | None = None,
) -> tuple[list[Record], pd.DataFrame]:
    """Read the records of a station in ``[start_ns, end_ns)``.

    A record spans the longest time in which the same components have data. It ends where any of
    them has a gap, samples that are not finite, one value repeated for `flat_s` (a dead
    component repeats it throughout), zeros in place of data for `fill_s`, or a clock step; the
    others go on in the next record, with the missing one masked. Samples are those of the files,
    as float32 (exact to 24 bits), no mean removed. A component whose samples lie up to half a
    sampling interval off the vertical's is put on the vertical's times; one of another sampling
    rate is resampled to the vertical's.

    The result depends on the data and on the window alone: files cut elsewhere give the same
    records, and a shorter window gives the same samples at the same times. Memory is at most some
    6 bytes for each sample and component in the window (of three), and the file being read (of a
    long miniSEED file of one channel: a part).

    Parameters
    ----------
    archive
        From `index_archive`.
    station
        NET.STA.LOC.BI.
    start_ns, end_ns
        Window, ns since 1970; None means the archive's first and last sample.
    channels
        CHANNELS table for azimuths and dips. Without an entry, 1 counts as N and 2 as E, and
        that is reported.
    settings
        When a component counts as unusable.

    Returns
    -------
    records, problems
        Records in time order, and PROBLEMS found on reading (those of the index, such as gaps,
        are in the archive).

    Raises
    ------
    DataError
        If the archive does not hold the station.
    """
    settings = settings or WaveformSettings()
    runs = [
        run
        for _, part in archive.of_station(station).groupby("channel")
        for run in plan_runs(part)[0]
    ]
    first_ns, last_ns = archive.span_ns(station)
    start_ns = first_ns if start_ns is None else int(start_ns)
    end_ns = last_ns + half_sample_ns(runs) if end_ns is None else int(end_ns)
    if end_ns < start_ns:
        raise DataError(f"{station}: window ends ({end_ns} ns) before it starts ({start_ns} ns)")
    records: list[Record] = []
    problems: list[dict[str, Any]] = []
    for group in adopt_horizontals(group_runs(runs)):
        found, rows = _read_group(group, station, start_ns, end_ns, channels, settings)
        records += found
        problems += rows
    records.sort(key=lambda r: (r.starttime_ns, r.sampling_rate_hz))
    table = PROBLEMS.table(problems).drop_duplicates(ignore_index=True)
    return records, table


def half_sample_ns(runs: list[Run]) -> int:
    """Return half the shortest sampling interval of the runs."""
    return max(int(0.5 * NS_PER_S / max(run.rate_hz for run in runs)), 1)


def _read_group(
    group: list[Run],
    station: str,
    start_ns: int,
    end_ns: int,
    channels: pd.DataFrame | None,
    settings: WaveformSettings,
) -> tuple[list[Record], list[dict[str, Any]]]:
    reference = group[0]
    rates = {run.rate_hz for run in group}
    # What lies this near outside the window decides what becomes of its edges.
    pad_s = max(settings.flat_s, SEAM_S) + 3.0 * settings.fill_s + 2.0 / min(rates)
    if len(rates) > 1:
        pad_s += max(half_width_s(r, reference.rate_hz) for r in rates)
    pad_ns = int(pad_s * NS_PER_S)
    epochs = epoch_starts_ns(channels, [run.channel for run in group])
    loaded, problems = load(group, station, start_ns - pad_ns, end_ns + pad_ns)
    tracks = []
    while loaded:  # a track has all that is needed of its samples
        samples = loaded.popleft()
        samples.seams += [
            nearest_sample(t - samples.run.origin_ns, samples.run.rate_hz) for t in epochs
        ]
        track, rows = _track(samples, reference, settings, start_ns, end_ns)
        problems += rows
        tracks.append(track)
        del samples
    records = []
    for whole in _records(tracks, station, reference.rate_hz):
        record = whole.cut(start_ns, end_ns)
        if record.n_samples > 1:
            records.append(record)
        elif record.n_samples == 1:
            what = next(c for c in record.channels if c)
            detail = "a piece of a single sample"
            moment = record.starttime_ns
            problems.append(_problem(what, "one sample", detail, "skipped", moment, moment))
    judged = [_judged(record, settings, problems) for record in records]
    records, rows = orient(judged, channels)
    return records, problems + rows


def _track(
    samples: Samples, reference: Run, settings: WaveformSettings, start_ns: int, end_ns: int
) -> tuple[Track, list[dict[str, Any]]]:
    run, values, first = samples.run, samples.values, samples.first
    limit = min(max(round(settings.flat_s * run.rate_hz), 2), run.n_samples)
    table = stretches(values, limit, max(round(settings.fill_s * run.rate_hz), 20))
    problems = []
    for kind, name in ((MISSING, "missing samples"), (FLAT, "flat")):
        rows = table[table[:, 2] == kind]
        seen = [
            (a, b)
            for a, b in zip(rows[:, 0] + first, rows[:, 1] + first, strict=True)
            if run.time_ns(int(b) - 1) >= start_ns and run.time_ns(int(a)) < end_ns
        ]
        if seen:
            problems.append(_stretch_problem(samples, name, seen, start_ns, end_ns))
    valid = table[table[:, 2] == VALID][:, :2] + first
    if run.rate_hz != reference.rate_hz:
        return _converted(samples, reference, valid), problems
    shift = grid_shift(run, reference)
    cuts = tuple(seam - shift for seam in samples.seams)
    return Track(run, shift, first - shift, values, valid - shift, cuts), problems


def _stretch_problem(
    samples: Samples, name: str, seen: list[tuple[int, int]], start_ns: int, end_ns: int
) -> dict[str, Any]:
    run = samples.run
    low = max(run.time_ns(int(seen[0][0])), start_ns)
    high = min(run.time_ns(int(seen[-1][1]) - 1), end_ns)
    total = sum(int(b - a) for a, b in seen) / run.rate_hz
    whole = name == "flat" and len(seen) == 1 and seen[0][1] - seen[0][0] == samples.values.size
    if whole:
        value = float(samples.values[0])
        return _problem(run.channel, "dead", f"constant at {value:g}", "masked", low, high)
    detail = f"{len(seen)} stretch(es), {total:.6g} s"
    if name == "missing samples":
        detail += " not finite (NaN), or not in the file as its header says"
    return _problem(run.channel, name, detail, "treated as a gap", low, high)


def _converted(samples: Samples, reference: Run, valid: NDArray[np.int64]) -> Track:
    """Resample a track of another rate onto the reference's grid, each valid stretch by itself."""
    run, rate = samples.run, reference.rate_hz
    pieces: list[tuple[int, NDArray[np.float32]]] = []
    for start, stop in valid:
        begin_ns, last_ns = run.time_ns(int(start)), run.time_ns(int(stop) - 1)
        low = int(np.ceil((begin_ns - reference.origin_ns) * rate / NS_PER_S - 1e-6))
        high = int(np.floor((last_ns - reference.origin_ns) * rate / NS_PER_S + 1e-6))
        if high < low or stop - start < 2:
            continue
        position = Fraction(reference.time_ns(low) - begin_ns) * Fraction(run.rate_hz) / NS_PER_S
        part = samples.values[start - samples.first : stop - samples.first]
        pieces.append((low, interpolate(part, run.rate_hz, rate, position, high - low + 1)))
    proxy = _proxy(run, reference)
    if not pieces:
        return Track(proxy, 0, 0, np.empty(0, np.float32), np.empty((0, 2), np.int64), ())
    first = pieces[0][0]
    values = np.full(pieces[-1][0] + pieces[-1][1].size - first, np.nan, np.float32)
    for low, part in pieces:
        values[low - first : low - first + part.size] = part
    rows = np.array([(low, low + part.size) for low, part in pieces], np.int64)
    return Track(proxy, 0, first, values, rows, ())


def _proxy(run: Run, reference: Run) -> Run:
    """Return a run of the same channel on the grid of the reference."""
    return Run(run.channel, reference.rate_hz, reference.origin_ns, reference.n_samples)


def _records(tracks: list[Track], station: str, rate_hz: float) -> list[Record]:
    """Put the tracks side by side, letting go of the values of each once they are copied."""
    found = intervals(tracks)
    data = [np.zeros((3, interval.stop - interval.start), np.float32) for interval in found]
    uses: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, interval in enumerate(found):
        for row, track in enumerate(interval.rows):
            uses[id(track)].append((number, row))
    for track in tracks:
        for number, row in uses[id(track)]:
            start, stop = found[number].start - track.first, found[number].stop - track.first
            data[number][row] = track.values[start:stop]
        track.values = np.empty(0, np.float32)
    return [_record(i, station, rate_hz, rows) for i, rows in zip(found, data, strict=True)]


def _record(interval: Interval, station: str, rate_hz: float, data: NDArray[np.float32]) -> Record:
    clock = next(track for track in interval.rows if track is not None)
    return Record(
        station,
        clock.time_ns(interval.start),
        rate_hz,
        data,
        np.array([track is not None for track in interval.rows]),
        tuple("" if t is None else t.run.channel for t in interval.rows),  # type: ignore[arg-type]
        np.zeros(3, bool),
    )


def _judged(record: Record, settings: WaveformSettings, problems: list[dict[str, Any]]) -> Record:
    """Set the clipping flags; report clipped and spiky components."""
    flags = np.zeros(3, bool)
    for row in np.flatnonzero(record.mask):
        values, name = record.data[row], record.channels[row]
        flags[row] = clipped(values, settings.clip_run_samples)
        if flags[row]:
            peak = int(np.argmax(np.abs(values)))
            moment = record.starttime_ns + offset_ns(peak, record.sampling_rate_hz)
            detail = f"largest value {values[peak]:.9g}"
            problems.append(_problem(name, "clipped", detail, "flagged", moment, moment))
        count, first = spikes(values, settings.spike_ratio)
        if count:
            moment = record.starttime_ns + offset_ns(first, record.sampling_rate_hz)
            detail = f"{count} spike(s), the first at this time"
            problems.append(_problem(name, "spiky", detail, "used", moment, record.endtime_ns))
    return replace(record, clipped=flags)
