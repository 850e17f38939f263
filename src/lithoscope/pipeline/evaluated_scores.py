"""Scores of several pickers on one set of labels, by class, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.learning.bootstrap import Estimate, Resampling, ratios
from lithoscope.learning.metrics import (
    Matched,
    detection,
    match_all,
    noise_rate,
    threshold_curve,
    timing,
)
from lithoscope.learning.reliability import calibration_error, coverage, reliability
from lithoscope.pipeline.evaluated_picks import Picked, Truth

#: Probability down to which picks are taken for curves and for the choice of thresholds.
FLOOR = 0.05
GRID = tuple(round(0.05 + 0.01 * k, 2) for k in range(95))
#: Residuals and probabilities are judged on hits within this (s).
TIMING_S = 0.5
#: Classes of probability in the expected calibration error.
N_CLASSES = 10
#: Limits of the classes that scores are split by.
CLASSES = {
    "snr_db": (-np.inf, 5.0, 15.0, 25.0, np.inf),
    "distance_km": (0.0, 10.0, 30.0, 100.0, np.inf),
    "magnitude": (-np.inf, 1.0, 2.0, 3.0, np.inf),
}
Key = tuple[str, str, str, float]
SCORES = ["model", "by", "of", "phase", "tolerance_s", "measure", "value", "low", "high", "n"]


DIFFERENCES = ["against", "by", "of", "phase", "tolerance_s", "value", "low", "high"]


@dataclass(frozen=True)
class Result:
    """One contestant's picks, on the data and on continuous noise, and its thresholds."""

    name: str
    picked: Picked
    noise: pd.DataFrame
    thresholds: dict[str, float]
    rule: str


class Collected:
    """Rows of all tables while they are being made."""

    def __init__(self) -> None:
        self.scores: list[dict[str, Any]] = []
        self.differences: list[dict[str, Any]] = []
        self.reliability: list[pd.DataFrame] = []
        self.coverage: list[pd.DataFrame] = []
        self.residuals: list[pd.DataFrame] = []
        self.curves: list[pd.DataFrame] = []
        self.first: dict[Key, Estimate] = {}


def measure(
    results: Sequence[Result],
    known: Truth,
    noise: pd.DataFrame,
    draws: Resampling,
    tolerances: Sequence[float],
) -> dict[str, pd.DataFrame]:
    """Return the tables of `lithoscope.pipeline.evaluation.Evaluation`.

    Parameters
    ----------
    results
        The first one is compared with the others.
    known
        Labels.
    noise
        All stretches of noise, of the traces and of continuous records.
    draws
        Bootstrap weights of all groups.
    tolerances
        Ascending (s).
    """
    out = Collected()
    for result in results:
        for phase in "PS":
            labels = phase_of(known.labels, phase)
            if len(labels):
                _measure_phase(out, result, phase, labels, draws, tolerances)
                out.scores += _noise_rows(result, phase, noise, draws)
                curve = threshold_curve(
                    labels, phase_of(result.picked.picks, phase), tolerances[0], GRID
                )
                rates = _rates(result, phase, noise)
                out.curves.append(
                    curve.assign(model=result.name, phase=phase, false_per_hour=rates)
                )
    thresholds = [
        {"model": r.name, "phase": p, "threshold": t, "rule": r.rule}
        for r in results
        for p, t in r.thresholds.items()
    ]
    return {
        "scores": pd.DataFrame(out.scores, columns=SCORES),
        "differences": pd.DataFrame(out.differences, columns=DIFFERENCES),
        "thresholds": pd.DataFrame(thresholds),
        "curves": _joined(out.curves),
        "reliability": _joined(out.reliability),
        "coverage": _joined(out.coverage),
        "residuals": _joined(out.residuals),
        "costs": pd.DataFrame([_cost(r) for r in results]),
    }


def _measure_phase(
    out: Collected,
    result: Result,
    phase: str,
    labels: pd.DataFrame,
    draws: Resampling,
    tolerances: Sequence[float],
) -> None:
    every = phase_of(result.picked.picks, phase)
    picks = every[every["probability"] >= result.thresholds[phase]]
    for tolerance in tolerances:
        for by, of, part in _classes(match_all(labels, picks, tolerance)):
            key = (by, of, phase, tolerance)
            found = detection(part, draws)
            out.scores += _rows(result.name, key, found)
            # The first model stands in `first` before any other comes.
            if out.first.setdefault(key, found["f1"]) is not found["f1"]:
                out.differences.append(_difference(result.name, key, out.first[key], found["f1"]))
    matched = match_all(labels, picks, TIMING_S)
    for by, of, part in _classes(matched):
        out.scores += _rows(result.name, (by, of, phase, TIMING_S), timing(part, draws))
    _calibration(out, result.name, phase, match_all(labels, every, TIMING_S), draws)


def phase_of(table: pd.DataFrame, phase: str) -> pd.DataFrame:
    return table[table["phase"].to_numpy(str) == phase].reset_index(drop=True)


def _classes(matched: Matched) -> Iterator[tuple[str, str, Matched]]:
    """Yield the whole, each source, and each class of each attribute that is known."""
    yield "all", "", matched
    labels, picks = matched.labels, matched.picks
    sources = sorted(set(labels["source"]))
    for name in sources if len(sources) > 1 else []:
        yield (
            "source",
            name,
            Matched(labels[labels["source"] == name], picks[picks["source"] == name]),
        )
    for name, edges in CLASSES.items():
        for low, high in pairwise(edges):
            own = labels[(labels[name] >= low) & (labels[name] < high)]
            if len(own):
                near = picks[(picks[name] >= low) & (picks[name] < high)]
                yield name, f"{low:g} to {high:g}", Matched(own, near)


def _rows(model: str, key: Key, found: Mapping[str, Estimate]) -> list[dict[str, Any]]:
    by, of, phase, tolerance = key
    rows = []
    for measure, estimate in found.items():
        low, high = estimate.interval()
        rows.append(
            {
                "model": model, "by": by, "of": of, "phase": phase, "tolerance_s": tolerance,
                "measure": measure, "value": estimate.value, "low": low, "high": high,
                "n": estimate.n,
            }
        )  # fmt: skip
    return rows


def _difference(against: str, key: Key, ours: Estimate, theirs: Estimate) -> dict[str, Any]:
    by, of, phase, tolerance = key
    both = Estimate(ours.value - theirs.value, ours.samples - theirs.samples, ours.n)
    low, high = both.interval()
    return {
        "against": against, "by": by, "of": of, "phase": phase, "tolerance_s": tolerance,
        "value": both.value, "low": low, "high": high,
    }  # fmt: skip


def _noise_rows(
    result: Result, phase: str, noise: pd.DataFrame, draws: Resampling
) -> list[dict[str, Any]]:
    """Return false picks per hour, on all noise and by its source."""
    if noise.empty:
        return []
    counts, hours = _counts(result, phase, noise, result.thresholds[phase])
    sources = noise["source"].to_numpy(str)
    rows = []
    for of in ("", *(sorted(set(sources)) if len(set(sources)) > 1 else ())):
        here = sources == of if of else np.ones(len(noise), bool)
        estimate, (low, high) = noise_rate(
            noise["group"].to_numpy(str)[here], counts[here], hours[here], draws
        )
        rows.append(
            {
                "model": result.name, "by": "source" if of else "all", "of": of, "phase": phase,
                "tolerance_s": np.nan, "measure": "false_per_hour", "value": estimate.value,
                "low": low, "high": high, "n": estimate.n,
            }
        )  # fmt: skip
    return rows


def _counts(
    result: Result, phase: str, noise: pd.DataFrame, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return false picks and hours of each stretch of noise."""
    picks = pd.concat([result.picked.picks, result.noise], ignore_index=True)
    picks = picks[
        picks["in_noise"].to_numpy(bool)
        & (picks["phase"].to_numpy(str) == phase)
        & (picks["probability"].to_numpy(float) >= threshold)
    ]
    number = picks["trace"].value_counts()
    counts = noise["trace"].map(number).fillna(0.0).to_numpy(float)
    hours = (noise["last_s"] - noise["first_s"]).to_numpy(float) / 3600.0
    return counts, hours


def _rates(result: Result, phase: str, noise: pd.DataFrame) -> list[float]:
    if noise.empty:
        return [float("nan")] * len(GRID)
    both = [_counts(result, phase, noise, least) for least in GRID]
    return [float(counts.sum() / hours.sum()) for counts, hours in both]


def _calibration(
    out: Collected, model: str, phase: str, matched: Matched, draws: Resampling
) -> None:
    """Collect residuals, reliability and coverage of all picks down to `FLOOR`, and scores."""
    picks = matched.picks
    hits = picks[picks["offset_s"].notna()]
    judged = picks[picks["judged"].to_numpy(bool)]
    name, key = {"model": model, "phase": phase}, ("all", "", phase, TIMING_S)
    columns = ["source", "offset_s", "time_sigma_s", "probability"]
    out.residuals.append(hits[columns].assign(**name))
    if len(judged):
        hit = judged["offset_s"].notna()
        out.reliability.append(reliability(judged["probability"], hit).assign(**name))
        out.scores += _rows(model, key, {"calibration_error": _calibration_error(judged, draws)})
    sized = hits[hits["time_sigma_s"] > 0]
    if len(sized):
        residual, sigma = sized["offset_s"].to_numpy(float), sized["time_sigma_s"].to_numpy(float)
        table = coverage(residual, sigma, sized["probability"])
        out.coverage.append(table.assign(**name))
        within = np.abs(residual) <= sigma
        samples = ratios(
            draws.sums(sized["group"], within), draws.sums(sized["group"], np.ones(len(sized)))
        )
        estimate = Estimate(float(within.mean()), samples, len(sized))
        out.scores += _rows(model, key, {"one_sigma": estimate})


def _calibration_error(judged: pd.DataFrame, draws: Resampling) -> Estimate:
    """Return the expected calibration error of judged picks; its samples redo it by groups."""
    probability = judged["probability"].to_numpy(float)
    hit = judged["offset_s"].notna().to_numpy()
    number = np.minimum((probability * N_CLASSES).astype(int), N_CLASSES - 1)
    excess = [
        np.abs(draws.sums(judged["group"], (probability - hit) * (number == k)))
        for k in np.unique(number)
    ]
    samples = ratios(np.sum(excess, axis=0), draws.sums(judged["group"], np.ones(len(judged))))
    value = calibration_error(probability, hit, n_classes=N_CLASSES)
    return Estimate(value, samples, len(judged))


def _cost(result: Result) -> dict[str, Any]:
    picked = result.picked
    why = "; ".join(f"{n} x {reason}" for reason, n in picked.unusable.items())
    per_day = picked.cpu_s / picked.data_h * 24.0 if picked.data_h else np.nan
    return {
        "model": result.name,
        "cpu_s": picked.cpu_s,
        "data_h": picked.data_h,
        "cpu_s_per_station_day": per_day,
        "unusable": why,
    }


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
