"""From a network's outputs to onsets with time, sigma and probability, and to detections.

Every rule looks at a stated stretch of the outputs only, so no choice depends on where a record
begins, and every number is a continuous function of the outputs, so that a rounding error stays
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from lithoscope.learning.calibration import (
    EVENT_WITHIN_S,
    Curve,
    PhaseCalibration,
    calibrated,
    evidence,
    sigma_factor,
)
from lithoscope.learning.peaks import local_maxima
from lithoscope.picking._annotate import Outputs

#: Onsets of P and S closer than this are one arrival and get the more probable phase (s) ...
RIVAL_S = 0.2
#: ... unless the other one is all but certain to be one, too.
CERTAIN = 0.9
#: An onset so soon after the start of a record has no noise before it to stand out from (s).
EDGE_S = 0.3
#: Sigmas are held within this range (s): below a part of a sample no picker knows the time.
SIGMA_S = (0.004, 1.0)
#: An offset beyond this is no refinement of a peak (s).
OFFSET_S = 0.5
#: A detection ends after this at the latest (s); longer signals are cut short.
LONGEST_S = 30.0


@dataclass(frozen=True)
class Onsets:
    """Onsets of one phase in order of time; times in s after the origin of the outputs.

    ``event``: largest log odds of an event within `EVENT_WITHIN_S` after the onset.
    """

    time_s: NDArray[np.float64]
    sigma_s: NDArray[np.float64]
    probability: NDArray[np.float64]
    event: NDArray[np.float64]

    def take(self, which: NDArray) -> Onsets:
        """Return some of them."""
        return Onsets(
            self.time_s[which], self.sigma_s[which], self.probability[which], self.event[which]
        )


def inverse(curve: Curve, probability: float) -> float:
    """Return the raw log odds at which the calibrated probability reaches a value."""
    grid = np.linspace(-15.0, 15.0, 6001)
    values = calibrated(curve, grid)
    return float(np.interp(probability, values, grid))


def onsets(
    outputs: Outputs, phase: int, calibration: PhaseCalibration, floor: float, apart_s: float
) -> Onsets:
    """Return the onsets of one phase.

    An onset is a maximum of the logit over ``floor`` that no larger one of the same phase
    stands beside within ``apart_s``. A parabola through the maximum and its neighbours gives its
    place between samples; there the offset and log sigma are interpolated.

    Parameters
    ----------
    outputs
        Of the network over a record.
    phase
        0 for P, 1 for S.
    calibration
        Of that phase.
    floor
        Smallest raw logit.
    apart_s
        Smallest distance between onsets (s).
    """
    y = outputs.logits[phase]
    at = local_maxima(y, round(apart_s / outputs.step_s), floor)
    if not len(at):
        return Onsets(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))
    shift = _vertex(y, at)
    fine = outputs.fine[phase]
    offset = _between(fine.index, fine.offset_s, at, shift)
    log_sigma = _between(fine.index, fine.log_sigma, at, shift)
    time_s = outputs.delay_s + (at + shift) * outputs.step_s
    event = event_after(outputs, at)
    probability = calibrated(
        calibration.probability, evidence(y[at], event, calibration.event_weight)
    )
    sigma = np.exp(log_sigma) * sigma_factor(calibration.sigma_scale, probability)
    found = Onsets(
        time_s + np.clip(offset, -OFFSET_S, OFFSET_S), np.clip(sigma, *SIGMA_S), probability, event
    )
    return found.take(np.argsort(found.time_s, kind="stable"))


def event_after(outputs: Outputs, at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the largest log odds of an event from outputs ``at`` to `EVENT_WITHIN_S` later."""
    event = outputs.logits[2]
    within = at[:, np.newaxis] + np.arange(round(EVENT_WITHIN_S / outputs.step_s) + 1)
    return event[np.minimum(within, len(event) - 1)].max(axis=1).astype(np.float64)


def _vertex(y: NDArray[np.float32], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far (samples, within 0.5) the vertex of the parabola lies from a maximum.

    Where two samples are equally high, either gives the same place between them.
    """
    inner = (at > 0) & (at < len(y) - 1)
    middle = y[at].astype(np.float64)
    left = np.where(inner, y[np.maximum(at - 1, 0)], middle)
    right = np.where(inner, y[np.minimum(at + 1, len(y) - 1)], middle)
    bend = 2.0 * middle - left - right
    return np.where(bend > 0, 0.5 * (right - left) / np.where(bend > 0, bend, 1.0), 0.0)


def _between(
    index: NDArray[np.int64],
    values: NDArray[np.float32],
    at: NDArray[np.int64],
    shift: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return values at ``at + shift``; linear between samples, as kept in `Fine`."""
    other = at + np.sign(shift).astype(np.int64)
    here = values[np.searchsorted(index, at)].astype(np.float64)
    k = np.minimum(np.searchsorted(index, other), len(index) - 1)
    there = np.where(index[k] == other, values[k], here)
    return here + np.abs(shift) * (there - here)


def compete(p: Onsets, s: Onsets) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which P and which S stay where both phases claim the same arrival.

    Of a P and an S within `RIVAL_S`, both over their thresholds, the less probable one goes
    (of equals the S), unless its own probability is `CERTAIN` or more.
    """
    if not (p.time_s.size and s.time_s.size):
        return np.ones(p.time_s.size, np.bool_), np.ones(s.time_s.size, np.bool_)
    return _stays(p, s, wins_ties=True), _stays(s, p, wins_ties=False)


def _stays(own: Onsets, others: Onsets, *, wins_ties: bool) -> NDArray[np.bool_]:
    first = np.searchsorted(others.time_s, own.time_s - RIVAL_S)
    last = np.searchsorted(others.time_s, own.time_s + RIVAL_S, side="right")
    best = np.array(
        [others.probability[a:b].max(initial=-1.0) for a, b in zip(first, last, strict=True)],
        dtype=np.float64,
    )
    wins = own.probability >= best if wins_ties else own.probability > best
    return wins | (own.probability >= CERTAIN)


@dataclass(frozen=True)
class Stretches:
    """Stretches in which an event is recorded; times in s after the origin of the outputs."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    probability: NDArray[np.float64]


def detections(outputs: Outputs, curve: Curve, low: float, high: float) -> Stretches:
    """Return the stretches where an event is recorded, in order of time.

    A stretch begins where the probability of an event rises over ``low`` and ends where it falls
    below it again, after `LONGEST_S` at most; it counts if it reaches ``high``, and its
    probability is its largest one. Its ends are interpolated between samples.
    """
    y = outputs.logits[2]
    level, top = inverse(curve, low), inverse(curve, high)
    inside = np.concatenate([[False], y >= level, [False]])
    turns = np.flatnonzero(inside[1:] != inside[:-1])
    first, last = turns[::2], turns[1::2]
    stop = np.minimum(last, first + round(LONGEST_S / outputs.step_s))
    peak = largest(y, first, stop)
    keep = peak >= top
    first, last, stop, peak = first[keep], last[keep], stop[keep], peak[keep]
    start = first - _crossing(y, first, first - 1, level)
    end = np.where(stop == last, last - 1 + _crossing(y, last - 1, last, level), stop - 1)
    start, end = (outputs.delay_s + t * outputs.step_s for t in (start, end))
    some = end > start
    return Stretches(start[some], end[some], calibrated(curve, peak[some]))


def largest(
    y: NDArray[np.floating], first: NDArray[np.int64], stop: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the largest value in each ``y[first : stop]``; none is empty, none overlaps."""
    if not len(first):
        return np.zeros(0)
    # Every other segment of reduceat is one between stretches; the end of the data is no index.
    edges = np.stack([first, stop], axis=1).ravel()
    if edges[-1] == len(y):
        edges = edges[:-1]
    return np.maximum.reduceat(y, edges)[::2].astype(np.float64)


def largest_ahead(y: NDArray[np.floating], n: int) -> NDArray[np.floating]:
    """Return the largest of each value and the n after it."""
    return maximum_filter1d(y, n + 1, origin=-((n + 1) // 2), mode="nearest")


def _crossing(
    y: NDArray[np.float32], inside: NDArray[np.int64], outside: NDArray[np.int64], level: float
) -> NDArray[np.float64]:
    """Return how far from the samples inside towards those outside ``level`` is crossed."""
    known = (outside >= 0) & (outside < len(y))
    a = y[inside].astype(np.float64)
    b = np.where(known, y[np.clip(outside, 0, len(y) - 1)], a)
    return np.where(a > b, (a - level) / np.where(a > b, a - b, 1.0), 0.0)
