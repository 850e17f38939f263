"""One training example: three components with what is known about them, and its targets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lithoscope.learning.preprocessing import RATE_HZ

#: Width (1 sigma) of the bump that stands for an onset, P and S (s): about what analysts differ by.
BUMP_S = (0.07, 0.1)
#: Timing is learned within this distance of an onset (s).
TIMED_S = 0.3
#: Output samples a second, and input samples per output sample.
STEP = 2
OUTPUT_HZ = RATE_HZ / STEP

#: Rows of the targets: P, S, event, then time from the sample to the nearest onset of P and S (s).
N_TARGETS = 5

EMPTY_PICKS = np.zeros((0, 4))
EMPTY_SPANS = np.zeros((0, 3))


@dataclass(frozen=True)
class Example:
    """A stretch of three components and its labels; samples at 100 Hz.

    Attributes
    ----------
    data
        ``(3, n)`` float32, Z N E, any unit.
    mask
        True where a component exists.
    picks
        ``(k, 4)``: phase (0 P, 1 S), sample, probability that it is one, weight of its time.
    events
        ``(k, 3)``: first and last sample in which an earthquake is seen, probability.
    unknown
        ``(k, 3)``: row (0 P, 1 S, 2 event), first and last sample of which nothing is known.
    valid
        Samples ``[begin, end)`` that hold data.
    station
        Station of a labelled trace, by which folds are made; empty elsewhere.
    kind
        Who labelled it: ``manual`` or ``auto``; empty where no dataset did.
    """

    data: NDArray[np.float32]
    mask: NDArray[np.bool_]
    picks: NDArray[np.float64] = field(default_factory=EMPTY_PICKS.copy)
    events: NDArray[np.float64] = field(default_factory=EMPTY_SPANS.copy)
    unknown: NDArray[np.float64] = field(default_factory=EMPTY_SPANS.copy)
    valid: tuple[int, int] | None = None
    station: str = ""
    kind: str = ""

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.data.shape[1]

    @property
    def span(self) -> tuple[int, int]:
        """Samples ``[begin, end)`` that hold data."""
        return self.valid or (0, self.n_samples)


def crop(example: Example, begin: int, n: int) -> Example:
    """Return n samples from sample ``begin``, which may be negative; outside there are no data."""
    data = np.zeros((3, n), np.float32)
    first, last = example.span
    lo, hi = max(begin, first), min(begin + n, last)
    if hi > lo:
        data[:, lo - begin : hi - begin] = example.data[:, lo:hi]
    valid = (lo - begin, max(hi, lo) - begin)
    picks = example.picks - np.array([0.0, begin, 0.0, 0.0])
    inside = (picks[:, 1] >= valid[0]) & (picks[:, 1] < valid[1])
    shift = np.array([begin, begin, 0.0])
    events = example.events - shift
    unknown = example.unknown - np.array([0.0, begin, begin])
    return Example(
        data,
        example.mask,
        picks[inside],
        events[(events[:, 1] > 0) & (events[:, 0] < n)],
        unknown[(unknown[:, 2] > 0) & (unknown[:, 1] < n)],
        valid,
    )


def targets(example: Example) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the network should say, and how much each value counts.

    Returns
    -------
    target
        ``(5, n / 2)``: P, S, event (0 to 1); offset of P and of S (s) from the sample to the
        nearest onset.
    weight
        The same shape; 0 where nothing is known or no data are.
    """
    n = example.n_samples // STEP
    target = np.zeros((N_TARGETS, n), np.float32)
    weight = np.zeros((N_TARGETS, n), np.float32)
    begin, end = example.span
    weight[:3, (begin + STEP - 1) // STEP : (end + STEP - 1) // STEP] = 1.0
    for row, first, last in example.unknown:
        weight[int(row), max(int(first) // STEP, 0) : max(int(last) // STEP + 1, 0)] = 0.0
    for phase, sample, probability, timing in example.picks:
        _mark(target, weight, int(phase), sample, probability, timing)
    for first, last, probability in example.events:
        part = target[2, max(round(first / STEP), 0) : max(round(last / STEP), 0)]
        np.maximum(part, probability, out=part)
    return target, weight


def _mark(
    target: NDArray[np.float32],
    weight: NDArray[np.float32],
    phase: int,
    sample: float,
    probability: float,
    timing: float,
) -> None:
    at = sample / STEP
    width = BUMP_S[phase] * OUTPUT_HZ
    near = int(np.ceil(max(4 * width, TIMED_S * OUTPUT_HZ)))
    lo, hi = max(int(at) - near, 0), min(int(at) + near + 2, target.shape[1])
    if hi <= lo:
        return
    away = at - np.arange(lo, hi)
    bump = probability * np.exp(-0.5 * (away / width) ** 2)
    part = target[phase, lo:hi]
    np.maximum(part, bump, out=part)
    offset = away / OUTPUT_HZ
    closer = (np.abs(offset) <= TIMED_S) & (
        (weight[3 + phase, lo:hi] == 0) | (np.abs(offset) < np.abs(target[3 + phase, lo:hi]))
    )
    target[3 + phase, lo:hi][closer] = offset[closer]
    # The samples at the peak matter most: there the offset will be read.
    share = np.exp(-0.5 * (away / (2.0 * width)) ** 2)
    weight[3 + phase, lo:hi][closer] = (timing * probability * share)[closer]
