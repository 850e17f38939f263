"""Fit the classical picker's probabilities, time bias and time sigma to labelled traces.

    python benchmarks/fit_classical_picker.py

Writes src/lithoscope/picking/classical_model.csv. Uses only the training part of the labelled
traces (split: picker_data.py) and harder copies of it made with seed 1: the trace's own noise
added, spikes and steps in the noise, a second event in the coda, 50 Hz, stretched and compressed
in time. A candidate is an onset
of a phase if it is the nearest to a label and within 0.25 s of it (0.4 s in Iceland, whose
labels are automatic); it is none if it is farther than 0.1 s from a label and not the nearest, or
no label is within 0.5 s where the labels are complete. Time bias and sigma are fitted to manual
labels alone, on the picks that the probabilities keep.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from picker_data import MANUAL, Trace, harder, load
from scipy.optimize import minimize

from lithoscope.picking import _calibration as calibration
from lithoscope.picking import _context as context
from lithoscope.picking._bank import design
from lithoscope.picking._candidates import find
from lithoscope.picking._features import NAMES
from lithoscope.picking.classical import _most_probable

OUT = Path(__file__).resolve().parents[1] / "src/lithoscope/picking/classical_model.csv"
#: Weight of the copies beside the traces as recorded, and ridge on the coefficients.
COPY_WEIGHT, RIDGE = 0.5, 10.0
SEED = 1


def copies(traces: list[Trace]) -> list[tuple[Trace, float, int]]:
    """Return the traces with weight 1 and their harder copies, with the number of the source."""
    rng = np.random.default_rng(SEED)
    others = [t for t in traces if t.p and t.s and t.mask.all() and t.origin in MANUAL[:3]]
    out = []
    for source, trace in enumerate(traces):
        out.append((trace, 1.0, source))
        if trace.p or trace.s:
            for repeat in range(2):
                out += [
                    (t, COPY_WEIGHT, source)
                    for t in harder(trace, rng, others)
                    if repeat == 0 or (t.sampling_rate_hz == 100.0 and t.timed)
                ]
    return out


def candidates(traces: list[tuple[Trace, float, int]]) -> pd.DataFrame:
    """Return one row a candidate and phase: group, distance to the nearest label, features."""
    parts = []
    for number, (trace, weight, source) in enumerate(traces):
        fs = trace.sampling_rate_hz
        for key, c in find(trace.data, trace.mask, design(fs)).items():
            for phase, labels in (("P", trace.p), ("S", trace.s)):
                part = pd.DataFrame(c.features, columns=list(NAMES))
                off, nearest = _offsets(c.onset / fs, np.asarray(labels) / fs)
                a, b = trace.judged[phase]
                part["off"], part["nearest"] = off, nearest
                part["judged"] = (c.onset >= a) & (c.onset < b)
                part["onset"], part["fs"], part["number"] = c.onset, fs, number
                part["group"], part["phase"], part["weight"] = key, phase, weight
                part["source"] = source
                part["manual"] = trace.origin in MANUAL
                part["timed"] = trace.timed and trace.origin in MANUAL
                part["three"] = bool(trace.mask[0] and trace.mask[1:].any())
                parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _offsets(times: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    if not len(labels) or not len(times):
        return np.full(len(times), np.inf), np.zeros(len(times), dtype=bool)
    difference = times[:, np.newaxis] - labels
    which = np.argmin(np.abs(difference), axis=1)
    off = difference[np.arange(len(times)), which]
    nearest = np.zeros(len(times), dtype=bool)
    nearest[np.argmin(np.abs(difference), axis=0)] = True
    return off, nearest


def decided(rows: pd.DataFrame) -> tuple[NDArray, NDArray]:
    """Return (which candidates are certain to be an onset or none, which of all are onsets)."""
    distance = rows["off"].abs()
    tolerance = np.where(rows["manual"], 0.25, 0.4)
    yes = rows["nearest"] & (distance < tolerance)
    double = ~rows["nearest"] & (distance > 0.1) & (distance < 0.5) & rows["manual"]
    no = double | (rows["judged"] & (distance > 0.5))
    return (yes | no).to_numpy(), yes.to_numpy()


def fit_probability(rows: pd.DataFrame, x: NDArray, names: tuple[str, ...]) -> calibration.Model:
    """Return a ridge logistic regression on the features ``x`` with squares and products."""
    use, yes = decided(rows)
    y, weight, x = yes[use].astype(float), rows["weight"].to_numpy()[use], x[use]
    mean, scale = x.mean(axis=0), x.std(axis=0)
    a = calibration.terms(calibration.standardise(names, x, mean, scale), quadratic=True)

    def loss(b: NDArray) -> tuple[float, NDArray]:
        z = a @ b
        p = 1.0 / (1.0 + np.exp(-z))
        value = np.sum(weight * (np.logaddexp(0, z) - y * z)) + 0.5 * RIDGE * np.sum(b[1:] ** 2)
        return value, a.T @ (weight * (p - y)) + RIDGE * np.concatenate([[0.0], b[1:]])

    best = minimize(
        loss, np.zeros(a.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 3000}
    )
    print(
        f"  {int(y.sum())} onsets, {int((1 - y).sum())} others, mean loss {best.fun / len(y):.3f}"
    )
    return calibration.Model(names, mean, scale, best.x, True)


def first_look(rows: pd.DataFrame, names: tuple[str, ...]) -> tuple[calibration.Model, NDArray]:
    """Return the model and, for each candidate, the logit of a model fitted to other traces."""
    x = rows[list(names)].to_numpy()
    out = np.zeros(len(rows))
    half = rows["source"].to_numpy() % 2
    for side in (0, 1):
        model = fit_probability(rows[half != side], x[half != side], names)
        out[half == side] = np.clip(model(x[half == side]), -context.LIMIT, context.LIMIT)
    return fit_probability(rows, x, names), out


def related(own: pd.DataFrame, other: pd.DataFrame) -> NDArray:
    """Return the features of the second look for candidates with logits in column ``first``."""
    out = np.zeros((len(own), len(context.NAMES)))
    others = dict(list(other.groupby("number")))
    at = pd.Series(np.arange(len(own)), index=own.index)
    for number, part in own.groupby("number"):
        rest = others.get(number, other.iloc[:0])
        out[at[part.index]] = context.relate(
            part["onset"].to_numpy(), part["first"].to_numpy(), rest["onset"].to_numpy(),
            rest["first"].to_numpy(), part["fs"].iloc[0],
        )  # fmt: skip
    return out


def fit_quantile(x: NDArray, y: NDArray, weight: NDArray, level: float) -> calibration.Model:
    """Return a linear quantile regression (smoothed pinball loss) on the timing features."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    a = calibration.terms(
        calibration.standardise(calibration.TIMING, x, mean, scale), quadratic=False
    )
    soft = 0.02 * np.std(y)

    def loss(b: NDArray) -> tuple[float, NDArray]:
        r = y - a @ b
        value = np.sum(weight * (level * r + soft * np.logaddexp(0, -r / soft)))
        slope = level - 1.0 / (1.0 + np.exp(np.clip(r / soft, -50, 50)))
        return value, -a.T @ (weight * slope)

    start = np.concatenate([[np.quantile(y, level)], np.zeros(a.shape[1] - 1)])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return calibration.Model(calibration.TIMING, mean, scale, best.x, False)


def kept(rows: pd.DataFrame, values: NDArray) -> pd.DataFrame:
    """Return the candidates that would become picks near a manual label."""
    keep = np.zeros(len(rows), dtype=bool)
    at = pd.Series(np.arange(len(rows)), index=rows.index)
    for _, part in rows.groupby("number"):
        where = at[part.index].to_numpy()
        apart = round(0.4 * part["fs"].iloc[0])
        keep[where] = _most_probable(part["onset"].to_numpy(), values[where], apart)
    return rows[keep & (values >= 0.3) & (rows["off"].abs() < 0.5) & rows["timed"]]


def fit_timing(rows: pd.DataFrame, phase: str) -> dict[str, calibration.Model]:
    """Return the models of bias and sigma."""
    x, off = rows[list(calibration.TIMING)].to_numpy(), rows["off"].to_numpy()
    weight = rows["weight"].to_numpy()
    bias = fit_quantile(x, off, weight, 0.5)
    left = off - np.clip(bias(x), -calibration.BIAS_S, calibration.BIAS_S)
    size = np.log(np.maximum(np.abs(left), 0.002))
    print(f"  {len(rows)} timed")
    return {f"{phase}-bias": bias, f"{phase}-sigma": fit_quantile(x, size, weight, 0.68)}


def table(models: dict[str, calibration.Model]) -> pd.DataFrame:
    """Return the models as rows: model, kind, first and second feature of the term, value."""
    rows = []
    for name, model in models.items():
        for kind, values in (("mean", model.mean), ("scale", model.scale)):
            rows += [(name, kind, n, "", v) for n, v in zip(model.names, values, strict=True)]
        labels = [("", "")] + [(n, "") for n in model.names]
        if model.quadratic:
            i, j = np.triu_indices(len(model.names))
            labels += [(model.names[a], model.names[b]) for a, b in zip(i, j, strict=True)]
        rows += [
            (name, "coefficient", a, b, v)
            for (a, b), v in zip(labels, model.coefficients, strict=True)
        ]
    return pd.DataFrame(rows, columns=["model", "kind", "first", "second", "value"])


def fit(traces: list[Trace]) -> dict[str, calibration.Model]:
    """Return all models, fitted to the traces and harder copies of them."""
    rows = candidates(copies(traces))
    models = {}
    for kind, group_s, names in (("3", "H", NAMES), ("1", "Z", calibration.SINGLE)):
        parts = {}
        for phase, group in (("P", "Z"), ("S", group_s)):
            part = rows[(rows["phase"] == phase) & (rows["group"] == group)]
            if kind == "3":
                part = part[part["three"]]
            print(phase + kind)
            models[phase + kind], first = first_look(part, names)
            parts[phase] = part.assign(first=first)
        for phase, other in (("P", "S"), ("S", "P")):
            x = related(parts[phase], parts[other])
            print(phase + kind, "second look")
            model = fit_probability(parts[phase], x, context.NAMES)
            models[f"{phase}{kind}-second"] = model
            if kind == "3":
                values = 1.0 / (1.0 + np.exp(-model(x)))
                models |= fit_timing(kept(parts[phase], values), phase)
    return models


def main() -> None:
    """Fit all models and write them."""
    models = fit([t for t in load() if t.training])
    with OUT.open("w", encoding="utf-8") as file:
        file.write("# written by benchmarks/fit_classical_picker.py; do not edit\n")
        table(models).to_csv(file, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
