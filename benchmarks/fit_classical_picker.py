"""Fit the classical picker's probabilities, time bias and time sigma to labelled traces.

    python benchmarks/fit_classical_picker.py

Writes src/lithoscope/picking/classical_model.csv. Uses only the training part of the labelled
traces (split: picker_data.py) and harder copies of it made with seed 1: the trace's own noise
added, spikes and steps in the noise, a second event in the coda, 50 Hz. A candidate is an onset
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
from lithoscope.picking._bank import design
from lithoscope.picking._candidates import find
from lithoscope.picking._features import NAMES
from lithoscope.picking.classical import _most_probable

OUT = Path(__file__).resolve().parents[1] / "src/lithoscope/picking/classical_model.csv"
#: Weight of the copies beside the traces as recorded, and ridge on the coefficients.
COPY_WEIGHT, RIDGE = 0.5, 30.0
SEED = 1


def copies(traces: list[Trace]) -> list[tuple[Trace, float]]:
    """Return the traces with weight 1 and their harder copies."""
    rng = np.random.default_rng(SEED)
    others = [t for t in traces if t.p and t.s and t.mask.all() and t.origin in MANUAL[:3]]
    out = []
    for trace in traces:
        out.append((trace, 1.0))
        if trace.p or trace.s:
            for repeat in range(2):
                out += [
                    (t, COPY_WEIGHT)
                    for t in harder(trace, rng, others)
                    if repeat == 0 or t.sampling_rate_hz == 100.0
                ]
    return out


def candidates(traces: list[tuple[Trace, float]]) -> pd.DataFrame:
    """Return one row a candidate and phase: group, distance to the nearest label, features."""
    parts = []
    for number, (trace, weight) in enumerate(traces):
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
                part["manual"] = trace.origin in MANUAL
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


def fit_probability(rows: pd.DataFrame, names: tuple[str, ...]) -> calibration.Model:
    """Return a ridge logistic regression with squares and products."""
    distance = rows["off"].abs()
    tolerance = np.where(rows["manual"], 0.25, 0.4)
    yes = rows["nearest"] & (distance < tolerance)
    double = ~rows["nearest"] & (distance > 0.1) & (distance < 0.5) & rows["manual"]
    no = double | (rows["judged"] & (distance > 0.5))
    use = (yes | no).to_numpy()
    y, weight = yes[use].to_numpy(float), rows.loc[use, "weight"].to_numpy()
    x = rows.loc[use, list(names)].to_numpy()
    mean, scale = x.mean(axis=0), x.std(axis=0)
    a = calibration.terms(calibration.standardise(x, mean, scale), quadratic=True)

    def loss(b: NDArray) -> tuple[float, NDArray]:
        z = a @ b
        p = 1.0 / (1.0 + np.exp(-z))
        value = np.sum(weight * (np.logaddexp(0, z) - y * z)) + 0.5 * RIDGE * np.sum(b[1:] ** 2)
        return value, a.T @ (weight * (p - y)) + RIDGE * np.concatenate([[0.0], b[1:]])

    best = minimize(loss, np.zeros(a.shape[1]), jac=True, method="L-BFGS-B",
                    options={"maxiter": 3000})  # fmt: skip
    print(
        f"  {int(y.sum())} onsets, {int((1 - y).sum())} others, mean loss {best.fun / len(y):.3f}"
    )
    return calibration.Model(names, mean, scale, best.x, True)


def fit_quantile(x: NDArray, y: NDArray, weight: NDArray, level: float) -> calibration.Model:
    """Return a linear quantile regression (smoothed pinball loss) on the timing features."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    a = calibration.terms(calibration.standardise(x, mean, scale), quadratic=False)
    soft = 0.02 * np.std(y)

    def loss(b: NDArray) -> tuple[float, NDArray]:
        r = y - a @ b
        value = np.sum(weight * (level * r + soft * np.logaddexp(0, -r / soft)))
        slope = level - 1.0 / (1.0 + np.exp(np.clip(r / soft, -50, 50)))
        return value, -a.T @ (weight * slope)

    start = np.concatenate([[np.quantile(y, level)], np.zeros(a.shape[1] - 1)])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return calibration.Model(calibration.TIMING, mean, scale, best.x, False)


def kept(rows: pd.DataFrame, model: calibration.Model) -> pd.DataFrame:
    """Return the candidates that would become picks near a manual label."""
    rows = rows.copy()
    rows["value"] = 1.0 / (1.0 + np.exp(-model(rows[list(NAMES)].to_numpy())))
    keep = np.zeros(len(rows), dtype=bool)
    position = pd.Series(np.arange(len(rows)), index=rows.index)
    for _, part in rows.groupby("number"):
        apart = round(0.4 * part["fs"].iloc[0])
        keep[position[part.index]] = _most_probable(
            part["onset"].to_numpy(), part["value"].to_numpy(), apart
        )
    rows = rows[keep]
    return rows[(rows["value"] >= 0.3) & (rows["off"].abs() < 0.5) & rows["manual"]]


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


def main() -> None:
    """Fit all models and write them."""
    rows = candidates(copies([t for t in load() if t.training]))
    models = {}
    for name, phase, group, names in (
        ("P3", "P", "Z", NAMES),
        ("S3", "S", "H", NAMES),
        ("P1", "P", "Z", calibration.SINGLE),
        ("S1", "S", "Z", calibration.SINGLE),
    ):
        print(name)
        part = rows[(rows["phase"] == phase) & (rows["group"] == group)]
        if name.endswith("3"):
            part = part[part["three"]]
        models[name] = fit_probability(part, names)
        if name.endswith("3"):
            timed = kept(part, models[name])
            x, off = timed[list(calibration.TIMING)].to_numpy(), timed["off"].to_numpy()
            weight = timed["weight"].to_numpy()
            bias = models[f"{phase}-bias"] = fit_quantile(x, off, weight, 0.5)
            shift = np.clip(bias(timed[list(NAMES)].to_numpy()), -0.15, 0.15)
            size = np.log(np.maximum(np.abs(off - shift), 0.002))
            models[f"{phase}-sigma"] = fit_quantile(x, size, weight, 0.68)
            print(f"  {len(timed)} timed")
    with OUT.open("w", encoding="utf-8") as file:
        file.write("# written by benchmarks/fit_classical_picker.py; do not edit\n")
        table(models).to_csv(file, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
