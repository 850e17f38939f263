"""From runs of single channels to gap-free pieces with a fixed set of components."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lithoscope.waveforms._runs import Run
from lithoscope.waveforms.record import nearest_sample

# Horizontal pairs in order of preference, and verticals.
PAIRS = (("N", "E"), ("1", "2"), ("2", "3"), ("R", "T"))
VERTICALS = ("Z", "3", "1")


@dataclass(eq=False)
class Track:
    """One channel of a group: where its samples sit on the group's grid, and which are usable.

    ``values[i]`` is sample ``first + i`` of the group's grid; ``valid`` holds rows of start and
    stop on that grid; ``run`` tells the exact time of a sample, ``shift`` turns a sample of the
    group's grid into one of the run's. Values are let go once the records have them.
    """

    run: Run
    shift: int
    first: int
    values: NDArray[np.float32]
    valid: NDArray[np.int64]
    cuts: tuple[int, ...]

    @property
    def letter(self) -> str:
        return self.run.channel[-1]

    def time_ns(self, sample: int) -> int:
        return self.run.time_ns(sample + self.shift)


@dataclass(frozen=True)
class Interval:
    """Samples ``start <= i < stop`` of a group's grid in which the same tracks are usable."""

    start: int
    stop: int
    rows: tuple[Track | None, Track | None, Track | None]


def group_runs(runs: list[Run]) -> list[list[Run]]:
    """Divide runs of one sampling rate into groups that do not touch in time.

    The first run of each group is its reference: a vertical if there is one, the earliest.
    """
    groups: list[list[Run]] = []
    ends: list[float] = []
    for run in sorted(runs, key=lambda r: (r.rate_hz, r.origin_ns, r.channel)):
        step_ns = 1e9 / run.rate_hz
        same = groups and groups[-1][0].rate_hz == run.rate_hz
        if same and run.origin_ns <= ends[-1] + step_ns:
            groups[-1].append(run)
            ends[-1] = max(ends[-1], run.end_ns)
        else:
            groups.append([run])
            ends.append(run.end_ns)
    for group in groups:
        group.sort(key=_reference_order)
    return groups


def _reference_order(run: Run) -> tuple[int, int, str]:
    letter = run.channel[-1]
    rank = VERTICALS.index(letter) if letter in VERTICALS[:2] else len(VERTICALS)
    return rank, run.origin_ns, run.channel


def adopt_horizontals(groups: list[list[Run]]) -> list[list[Run]]:
    """Move groups without a vertical to one of another rate that has it at the same time."""
    with_vertical = [g for g in groups if g[0].channel[-1] in VERTICALS[:2]]
    out = [list(g) for g in with_vertical]
    for group in groups:
        if any(group is g for g in with_vertical):
            continue
        start, end = min(r.origin_ns for r in group), max(r.end_ns for r in group)
        hosts = [
            host
            for host in out
            if host[0].rate_hz != group[0].rate_hz
            and min(r.origin_ns for r in host) < end
            and max(r.end_ns for r in host) > start
        ]
        if len(hosts) == 1:
            hosts[0].extend(group)
        else:
            out.append(list(group))
    return out


def grid_shift(run: Run, reference: Run) -> int:
    """Return s: sample i of the reference's grid is nearest to sample i + s of the run."""
    return nearest_sample(reference.origin_ns - run.origin_ns, run.rate_hz)


def intervals(tracks: list[Track]) -> list[Interval]:
    """Sweep the group's grid: each interval has a fixed choice of tracks for Z, N and E."""
    bounds: set[int] = set()
    for track in tracks:
        bounds.update(track.valid.ravel().tolist())
        bounds.update(track.cuts)
    edges = sorted(bounds)
    out: list[Interval] = []
    cuts = {c for t in tracks for c in t.cuts}
    pointers = [0] * len(tracks)
    for start, stop in itertools.pairwise(edges):
        present = []
        for k, track in enumerate(tracks):
            while pointers[k] < len(track.valid) and track.valid[pointers[k], 1] <= start:
                pointers[k] += 1
            if pointers[k] < len(track.valid) and track.valid[pointers[k], 0] <= start:
                present.append(track)
        rows = _choose(present)
        if all(row is None for row in rows):
            continue
        last = out[-1] if out else None
        if last and last.stop == start and last.rows == rows and start not in cuts:
            out[-1] = Interval(last.start, stop, rows)
        else:
            out.append(Interval(start, stop, rows))
    return out


def _choose(present: list[Track]) -> tuple[Track | None, Track | None, Track | None]:
    by_letter: dict[str, Track] = {}
    for track in present:
        by_letter.setdefault(track.letter, track)
    vertical = next((by_letter[v] for v in VERTICALS[:2] if v in by_letter), None)
    free = {k: t for k, t in by_letter.items() if t is not vertical}
    best = max(PAIRS, key=lambda pair: sum(c in free for c in pair))
    return vertical, free.get(best[0]), free.get(best[1])
