"""Which pieces of a channel continue one another: decided from the index alone.

The same pieces give the same runs whatever window is read later, so a cut of the work changes
no record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd

from lithoscope.waveforms.record import NS_PER_S, nearest_sample, offset_ns

# Header rates that agree to this are one rate: over a day at 100 Hz they differ by 0.09 samples.
_SAME_RATE = 1e-8
_JITTER_SAMPLES = 0.1


@dataclass(frozen=True)
class Piece:
    """One piece of a file on the sample grid of its run.

    ``first`` is the number of its first sample on the grid (negative if the run begins inside
    it); it provides samples from ``own`` on, the ones before come from pieces that start earlier.
    """

    path: str
    format: str
    start_ns: int
    n_samples: int
    first: int
    own: int

    @property
    def stop(self) -> int:
        return self.first + self.n_samples


@dataclass
class Run:
    """Pieces of one channel without a gap between them, on one grid of samples."""

    channel: str
    rate_hz: float
    origin_ns: int
    n_samples: int = 0
    pieces: list[Piece] = field(default_factory=list)

    def time_ns(self, sample: int) -> int:
        return self.origin_ns + offset_ns(sample, self.rate_hz)

    @property
    def end_ns(self) -> int:
        """Time of the last sample."""
        return self.time_ns(self.n_samples - 1)


def plan_runs(segments: pd.DataFrame) -> tuple[list[Run], list[dict[str, Any]]]:
    """Join the segments of one channel into runs; return them and PROBLEMS rows.

    Pieces are taken by start time (of equal starts the longer first, then by content). A piece
    that starts within half a sample of the end of the run, or before, is joined: the run's
    first piece fixes the grid, and each later piece sits at the nearest sample of it. One that
    starts later than that begins a new run. Where pieces overlap, the earlier-starting one is
    kept; one that overlaps and lies more than a tenth of a sample off the grid goes on, where
    the earlier one ends, in a run of its own (a clock step). A piece of another sampling rate
    begins a new run; where it overlaps one that started earlier it is skipped and reported.
    """
    rows = segments.sort_values(
        ["starttime_ns", "n_samples", "file_digest"], ascending=[True, False, True]
    )
    runs: list[Run] = []
    problems: list[dict[str, Any]] = []
    clock_steps: list[tuple[int, float]] = []
    jitter = 0.0
    columns = ["path", "format", "channel", "starttime_ns", "sampling_rate_hz", "n_samples"]
    for path, form, channel, start_ns, rate, n_samples in zip(
        *(rows[c] for c in columns), strict=True
    ):
        run = runs[-1] if runs else None
        if run is not None and abs(rate / run.rate_hz - 1.0) > _SAME_RATE:
            if start_ns <= run.end_ns:
                problems.append(_rate_conflict(channel, run, start_ns, rate, n_samples))
                continue
            run = None
        first = nearest_sample(start_ns - run.origin_ns, rate) if run is not None else 0
        if run is None or first > run.n_samples:
            run, first = Run(channel, float(rate), int(start_ns)), 0
            runs.append(run)
        off = abs((start_ns - run.origin_ns) * rate / NS_PER_S - first)
        covered = run.n_samples - first
        if off > _JITTER_SAMPLES and 0 < covered < n_samples:
            # Data that overlap off the grid are of another clock: they go on with their own.
            clock_steps.append((covered, off))
            run = Run(channel, float(rate), int(start_ns) + offset_ns(covered, rate))
            runs.append(run)
            first, off = -covered, 0.0
        jitter = max(jitter, off)
        own = max(first, run.n_samples)
        run.pieces.append(Piece(path, form, int(start_ns), int(n_samples), first, own))
        run.n_samples = max(run.n_samples, first + int(n_samples))
    problems += _gap_row(runs)
    if clock_steps:
        covered, off = max(clock_steps)
        detail = (
            f"{len(clock_steps)} piece(s) start before the end of the one before (by up to "
            f"{covered} sample(s)) and off its grid (there by {off:.2f} samples)"
        )
        action = "the earlier-starting piece kept; a new record begins where it ends"
        problems.append(_row(runs, "clock step", detail, action))
    if jitter > _JITTER_SAMPLES:
        detail = f"pieces start up to {jitter:.2f} samples off the grid of the piece before"
        problems.append(_row(runs, "time jitter", detail, "joined at the nearest sample"))
    return runs, problems


def _gap_row(runs: list[Run]) -> list[dict[str, Any]]:
    pairs = list(pairwise(runs))
    gaps = [(b.origin_ns - a.time_ns(a.n_samples)) / NS_PER_S for a, b in pairs]
    steps = [a for a, b in pairs if abs(a.rate_hz / b.rate_hz - 1.0) > _SAME_RATE]
    missing = [g for g, (a, _) in zip(gaps, pairs, strict=True) if g >= 0.5 / a.rate_hz]
    rows = []
    if missing:
        detail = f"{len(missing)} gap(s), {sum(missing):.6g} s in all, longest {max(missing):.6g} s"
        rows.append(_row(runs, "gap", detail, "kept as gaps"))
    if steps:
        detail = f"{len(steps)} change(s) of the sampling rate"
        rows.append(_row(runs, "sampling rate changes", detail, "records end there"))
    return rows


def _row(runs: list[Run], problem: str, detail: str, action: str) -> dict[str, Any]:
    return {
        "what": runs[0].channel,
        "problem": problem,
        "detail": detail,
        "action": action,
        "starttime": pd.Timestamp(runs[0].origin_ns, tz="UTC"),
        "endtime": pd.Timestamp(runs[-1].end_ns, tz="UTC"),
    }


def _rate_conflict(
    channel: str, run: Run, start_ns: int, rate: float, n_samples: int
) -> dict[str, Any]:
    end_ns = start_ns + offset_ns(n_samples - 1, rate)
    return {
        "what": channel,
        "problem": "two sampling rates",
        "detail": f"a piece at {rate:g} Hz overlaps one at {run.rate_hz:g} Hz that starts earlier",
        "action": "skipped",
        "starttime": pd.Timestamp(start_ns, tz="UTC"),
        "endtime": pd.Timestamp(end_ns, tz="UTC"),
    }
