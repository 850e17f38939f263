"""Is there evidence for an event at the stations? A score, and how high chance scores.

The score looks at no pick and no threshold, but at the picker's curves of P and S: their largest
values within `TOLERANCE_S` of a moment, and the part q of all moments of some minutes around with
one as large or larger. At a moment without meaning q is uniform, so -ln q has mean 1, on a quiet
trace as on a busy one. The evidence for an event is the mean of -ln q at the predicted P and S of
the nearest stations: those must have seen it, whether they were picked or not. An arrival outside
the data, or within `CLAIM_S` of one that an event known otherwise explains, says nothing and
counts as 1.

Chance: the traces of each station are turned by a time of its own (end to beginning), which keeps
every onset, P with its S, and destroys what stations have in common. Then every place of a grid
and every moment is scored and the best of each second kept. A search like this one is what an
association does, so the part of those seconds that score as high as an event is how often chance
makes as good an event in a second of data; times the length of the data, how many of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from lithoscope.constants import NS_PER_S
from lithoscope.geo import distance_azimuth
from lithoscope.picking import Picker
from lithoscope.traveltimes import VelocityModel, travel_time
from lithoscope.waveforms import Record

TOLERANCE_S = 0.4
CLAIM_S = 0.6
#: Numbers of nearest stations that an event may be seen at: small ones at few.
NEAREST = (4, 8, 16)
STEP_S = 0.05
SCAN_S = 0.1
#: Moments are compared with those of their own stretch of this length.
STRETCH_S = 300.0
#: Over the best part of the seconds of chance the tail is taken as exponential.
TAIL = 0.01
SPACING_KM, DEPTHS = 4.0, 4
#: Expected number of chance events as good: below the first real, above the second like chance.
REAL, CHANCE = 0.05, 1.0


def onsets(records: Iterable[Record], picker: Picker, start_ns: int, n: int) -> NDArray[np.float32]:
    """Return the picker's probability of P and S, its largest around every step, ``(2, n)``.

    NaN where there are no data.
    """
    out = np.full((2, n), np.nan, np.float32)
    for record in records:
        if picker.unusable(record) is not None:
            continue
        fs = record.sampling_rate_hz
        width = 2 * round(TOLERANCE_S * fs) + 1
        largest = maximum_filter1d(picker.annotate(record)[:2], width, axis=1)
        offset_s = (record.starttime_ns - start_ns) / NS_PER_S
        first = max(int(np.ceil(offset_s / STEP_S)), 0)
        last = min(int((offset_s + (record.n_samples - 1) / fs) / STEP_S), n - 1)
        steps = np.arange(first, last + 1)
        at = np.rint((steps * STEP_S - offset_s) * fs).astype(int)
        out[:, steps] = largest[:, np.clip(at, 0, record.n_samples - 1)]
    return out


def surprise(curve: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return -ln q of every step of one curve; 1, its mean by chance, where there are no data."""
    out = np.ones(len(curve), np.float32)
    length = round(STRETCH_S / STEP_S)
    pieces = max(len(curve) // length, 1)
    for part in np.array_split(np.arange(len(curve)), pieces):
        known = part[np.isfinite(curve[part])]
        if len(known):
            values = np.sort(curve[known])
            higher = len(known) - np.searchsorted(values, curve[known], side="left")
            out[known] = -np.log(higher / len(known))
    return out


@dataclass(frozen=True)
class Evidence:
    """What is known of the traces, and how to predict arrivals.

    ``surprises`` is ``(stations, 2, n)`` with a step of `STEP_S` from ``start_ns`` on; ``terms``
    ``(stations, 2)`` is added to travel times (s).
    """

    start_ns: int
    sites: pd.DataFrame
    model: VelocityModel
    terms: NDArray[np.float64]
    surprises: NDArray[np.float32]

    @property
    def length_s(self) -> float:
        """Length of the data."""
        return self.surprises.shape[2] * STEP_S

    def seconds(self, event: pd.Series) -> float:
        """Return the origin time after the start of the data."""
        return float(event["time"].value - self.start_ns) / NS_PER_S

    def arrivals(self, place: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return distances (km) of all stations and travel times ``(stations, 2)`` from a place."""
        here = place["longitude"], place["latitude"]
        sites = self.sites
        distance = np.asarray(distance_azimuth(*here, sites["longitude"], sites["latitude"])[0])
        below = -sites["elevation_m"].to_numpy() / 1e3
        times = [
            travel_time(self.model, phase, distance, place["depth_km"], below) for phase in "PS"
        ]
        return distance, np.stack(times, axis=1) + self.terms

    def without(self, others: pd.DataFrame) -> Evidence:
        """Return the same with what belongs to other events counted as saying nothing."""
        out = self.surprises.copy()
        for _, other in others.iterrows():
            at = self.seconds(other) + self.arrivals(other)[1]
            low = np.maximum(np.rint((at - CLAIM_S) / STEP_S).astype(int), 0)
            high = np.maximum(np.rint((at + CLAIM_S) / STEP_S).astype(int), 0)
            for s in range(len(out)):
                for phase in (0, 1):
                    out[s, :, low[s, phase] : high[s, phase] + 1] = 1.0
        return replace(self, surprises=out)

    def score(self, event: pd.Series) -> NDArray[np.float64]:
        """Return the mean of -ln q at P and S of the nearest stations, for each of `NEAREST`."""
        distance, travel = self.arrivals(event)
        steps = np.rint((self.seconds(event) + travel) / STEP_S).astype(int)
        n = self.surprises.shape[2]
        said = [
            [self.surprises[s, k, j] if 0 <= (j := steps[s, k]) < n else 1.0 for k in (0, 1)]
            for s in np.argsort(distance)
        ]
        return np.array([np.mean(said[:count]) for count in NEAREST])


def places(evidence: Evidence, events: pd.DataFrame) -> list[pd.Series]:
    """Return a grid over stations and events."""
    sites = evidence.sites
    west, east = (f(list(sites["longitude"]) + list(events["longitude"])) for f in (np.min, np.max))
    south, north = (f(list(sites["latitude"]) + list(events["latitude"])) for f in (np.min, np.max))
    middle = 0.5 * (south + north)
    ns_km = float(distance_azimuth(west, south, west, north)[0])
    ew_km = float(distance_azimuth(west, middle, east, middle)[0])
    return [
        pd.Series({"longitude": lon, "latitude": lat, "depth_km": depth})
        for lon in np.linspace(west, east, max(round(ew_km / SPACING_KM), 2))
        for lat in np.linspace(south, north, max(round(ns_km / SPACING_KM), 2))
        for depth in np.linspace(0.0, max(float(events["depth_km"].max()), 5.0), DEPTHS)
    ]


Plan = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


def scan(surprises: NDArray[np.float32], plan: Plan) -> tuple[NDArray[np.float32], NDArray]:
    """Return the best score of all places at each step of `SCAN_S`, and the numbers of the places.

    One row for each of `NEAREST`.
    """
    thin = np.ascontiguousarray(surprises[:, :, :: round(SCAN_S / STEP_S)])
    n = thin.shape[2]
    longest = max(int(steps.max()) for _, steps in plan)
    padded = np.concatenate([thin, np.ones((*thin.shape[:2], longest), np.float32)], axis=2)
    best = np.zeros((len(NEAREST), n), np.float32)
    where = np.zeros((len(NEAREST), n), np.int32)
    for number, (near, steps) in enumerate(plan):
        total = np.zeros(n, np.float32)
        done = 0
        for row, count in enumerate(NEAREST):
            for s, step in zip(near[done:count], steps[done:count], strict=True):
                total += padded[s, 0, step[0] : step[0] + n]
                total += padded[s, 1, step[1] : step[1] + n]
            done = min(count, len(near))
            mean = total / (2 * done)
            better = mean > best[row]
            best[row, better], where[row, better] = mean[better], number
    return best, where


def each_second(best: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the largest of each second, row by row."""
    second = round(1.0 / SCAN_S)
    whole = best[:, : best.shape[1] // second * second]
    return whole.reshape(len(best), -1, second).max(axis=2).astype(np.float64)


def turned(evidence: Evidence, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the traces with each station turned by a time of its own."""
    n = evidence.surprises.shape[2]
    shifts = rng.integers(0, n, len(evidence.surprises))
    rolled = [np.roll(s, k, axis=1) for s, k in zip(evidence.surprises, shifts, strict=True)]
    return np.stack(rolled)


def plan_of(evidence: Evidence, grid: list[pd.Series]) -> Plan:
    """Return the nearest stations of each place and their travel times in steps of the scan."""
    plan = []
    for place in grid:
        distance, travel = evidence.arrivals(place)
        near = np.argsort(distance)[: max(NEAREST)]
        plan.append((near, np.maximum(np.rint(travel[near] / SCAN_S), 0).astype(np.int64)))
    return plan


@dataclass(frozen=True)
class Chance:
    """Best scores of the seconds of data in which stations have nothing in common."""

    scores: NDArray[np.float64]  # (NEAREST, seconds), ascending

    def part(self, values: NDArray[np.floating]) -> float:
        """Return the part of the seconds that score as high or higher.

        That of the number of stations that speaks loudest, times how many are tried.
        """
        return min(len(values) * min(self._parts(values)), 1.0)

    def loudest(self, values: NDArray[np.floating]) -> int:
        """Return which of `NEAREST` speaks loudest."""
        return int(np.argmin(self._parts(values)))

    def _parts(self, values: NDArray[np.floating]) -> list[float]:
        return [self._part(row, float(v)) for row, v in zip(self.scores, values, strict=True)]

    @staticmethod
    def _part(scores: NDArray[np.float64], value: float) -> float:
        n = len(scores)
        top = max(round(TAIL * n), 10)
        edge = scores[-top]
        if value <= edge:
            return float(n - np.searchsorted(scores, value, side="left")) / n
        mean = float((scores[-top:] - edge).mean())
        return top / n * float(np.exp(-(value - edge) / max(mean, 1e-9)))


def verdict(expected: float) -> str:
    """Return the word for an expected number of chance events."""
    if expected < REAL:
        return "real"
    return "doubtful" if expected < CHANCE else "like chance"
