"""Measure the classical picker on the labelled traces and on quiet continuous records.

On its own split of them, that of `fit_classical_picker.py`; `evaluate_pickers.py` puts pickers
beside each other.

    python benchmarks/evaluate_classical_picker.py [--small] [--part test|training] [--least P]
        [--noise] [--json FILE]

Prints, for P and S: precision, recall and F1 within 0.1, 0.2 and 0.5 s; the median and the
median absolute deviation of picked minus labelled time; how often the label lies within one
sigma, in all and by signal-to-noise ratio; and how often a probability comes true. A pick counts
as false only where the labels of a trace are complete (picker_data.py), so Iceland counts in
recall and timing alone. ``--noise`` adds picks per hour on records without catalogued
events (an upper bound of false picks, since small events may be real) and CPU time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from picker_data import FILES, MANUAL, Trace, folder, load

from lithoscope.constants import NS_PER_S
from lithoscope.picking import ClassicalPicker, Picker
from lithoscope.waveforms import Record, index_archive, read_records

TOLERANCES_S = (0.1, 0.2, 0.5)
SNR_CLASSES = ((0.0, 3.0), (3.0, 10.0), (10.0, np.inf))
START_NS = 1_500_000_000 * NS_PER_S


def to_record(trace: Trace) -> Record:
    """Return a labelled trace as a record that starts at a fixed time."""
    return Record(
        "XX.TEST..HH", START_NS, trace.sampling_rate_hz, trace.data, trace.mask,
        ("", "", ""), np.zeros(3, dtype=bool),
    )  # fmt: skip


def collect(
    picker: Picker, traces: list[Trace], least: float = 0.3
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (picks with the offset to their label, labels with the offset of their pick), s."""
    picks, labels = [], []
    for number, trace in enumerate(traces):
        found, _ = picker.pick(to_record(trace))
        found = found[found["probability"] >= least]
        at = (found["time"].astype("int64").to_numpy() - START_NS) / NS_PER_S
        for phase, samples in (("P", trace.p), ("S", trace.s)):
            rows = found[found["phase"] == phase].copy()
            own = at[(found["phase"] == phase).to_numpy()]
            wanted = np.asarray(samples) / trace.sampling_rate_hz
            pick_off, label_off = match(own, wanted)
            first, last = np.asarray(trace.judged[phase]) / trace.sampling_rate_hz
            rows["off"], rows["judged"] = pick_off, (own >= first) & (own < last)
            rows["origin"], rows["number"] = trace.origin, number
            picks.append(rows)
            judged = (wanted >= first) & (wanted < last)
            labels += [
                {"origin": trace.origin, "phase": phase, "off": o, "judged": j}
                for o, j in zip(label_off, judged, strict=True)
            ]
    return pd.concat(picks, ignore_index=True), pd.DataFrame(labels)


def match(picks: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    """Pair picks and labels one to one, nearest first; return the offsets, NaN where unpaired."""
    pick_off, label_off = np.full(len(picks), np.nan), np.full(len(labels), np.nan)
    if len(picks) and len(labels):
        gap = picks[:, np.newaxis] - labels
        for flat in np.argsort(np.abs(gap), axis=None, kind="stable"):
            i, j = np.unravel_index(flat, gap.shape)
            if np.isnan(pick_off[i]) and np.isnan(label_off[j]):
                pick_off[i] = label_off[j] = gap[i, j]
    return pick_off, label_off


def scores(picks: pd.DataFrame, labels: pd.DataFrame, tolerance_s: float) -> dict[str, float]:
    """Return precision (where judged), recall (all labels) and F1 (both where judged)."""
    good = picks["off"].abs() <= tolerance_s
    found = labels["off"].abs() <= tolerance_s
    judged = picks["judged"].astype(bool)
    precision = float(good[judged].mean()) if judged.any() else np.nan
    recall = float(found.mean()) if len(labels) else np.nan
    where = labels["judged"].astype(bool)
    inner = float(found[where].mean()) if where.any() else np.nan
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * inner / (precision + inner) if precision + inner > 0 else np.nan,
    }


def residuals(picks: pd.DataFrame, tolerance_s: float = 0.5) -> dict[str, float]:
    """Return number, median, median absolute deviation (s) and coverage of 1 and 2 sigma."""
    near = picks[picks["off"].abs() <= tolerance_s]
    off, sigma = near["off"], near["time_sigma_s"]
    return {
        "n": len(near),
        "median_s": float(off.median()),
        "mad_s": float((off - off.median()).abs().median()),
        "inside_1_sigma": float((off.abs() <= sigma).mean()),
        "inside_2_sigma": float((off.abs() <= 2 * sigma).mean()),
        "median_sigma_s": float(sigma.median()),
    }


def reliability(picks: pd.DataFrame, tolerance_s: float = 0.5) -> list[dict[str, float]]:
    """Return, by class of probability, the mean probability and the part that came true."""
    judged = picks[picks["judged"].astype(bool)]
    out = []
    for low, high in ((0.05, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        part = judged[(judged["probability"] >= low) & (judged["probability"] < high)]
        if len(part):
            true = float((part["off"].abs() <= tolerance_s).mean())
            out.append(
                {"n": len(part), "probability": float(part["probability"].mean()), "true": true}
            )
    return out


def report(picks: pd.DataFrame, labels: pd.DataFrame) -> dict:
    """Print the tables and return them."""
    out: dict = {}
    for phase in "PS":
        p, q = picks[picks["phase"] == phase], labels[labels["phase"] == phase]
        out[phase] = {"all": {str(t): scores(p, q, t) for t in TOLERANCES_S}}
        for t in TOLERANCES_S:
            print(phase, f"within {t} s:", _line(out[phase]["all"][str(t)]))
        for name in FILES:
            a, b = p[p["origin"] == name], q[q["origin"] == name]
            if len(b):
                out[phase][name] = scores(a, b, 0.2) | residuals(a)
                print(f"  {name} ({len(b)}):", _line(out[phase][name]))
        manual = p[p["origin"].isin(MANUAL)]
        out[phase]["timing"] = residuals(manual)
        print("  manual labels:", _line(out[phase]["timing"]))
        for low, high in SNR_CLASSES:
            part = manual[(manual["snr"] >= low) & (manual["snr"] < high)]
            out[phase][f"snr_{low:g}_{high:g}"] = residuals(part)
            print(f"    snr {low:g} to {high:g}:", _line(residuals(part)))
        out[phase]["reliability"] = reliability(p)
        for row in out[phase]["reliability"]:
            print("  reliability:", _line(row))
    return out


def noise(picker: Picker) -> dict:
    """Print and return picks per hour and CPU seconds per station-day on quiet records."""
    continuous = folder().parent / "continuous"
    out = {}
    for name, path, end in (
        ("Ridgecrest before the sequence", "ridgecrest_2019/waveforms", "2019-07-04T17:02:50"),
        ("Chile, 1 March 2014", "chile_cx_2014/CX_20140301", None),
    ):
        archive = index_archive(continuous / path)
        counts: Counter[str] = Counter()
        hours, cpu = 0.0, 0.0
        for station in archive.stations():
            last = None if end is None else pd.Timestamp(end, tz="UTC").value
            for record in read_records(archive, station, None, last)[0]:
                start = time.process_time()
                picks, _ = picker.pick(record)
                cpu += time.process_time() - start
                hours += record.n_samples / record.sampling_rate_hz / 3600
                for phase in "PS":
                    mine = picks.loc[picks["phase"] == phase, "probability"]
                    counts[phase] += len(mine)
                    counts[f"{phase}_over_0.5"] += int((mine >= 0.5).sum())
        out[name] = {f"{k}_per_hour": v / hours for k, v in counts.items()}
        out[name]["cpu_s_per_station_day"] = cpu / hours * 24
        print(name, f"({hours:.1f} station hours):", _line(out[name]))
    return out


def _line(values: dict[str, float]) -> str:
    return ", ".join(
        f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items()
    )


def main() -> None:
    """Measure the classical picker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("test", "training"), default="test")
    parser.add_argument("--least", type=float, default=0.3, help="smallest probability counted")
    parser.add_argument("--noise", action="store_true")
    parser.add_argument("--small", action="store_true", help="every sixth trace only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    traces = [t for t in load() if t.training == (options.part == "training")]
    traces = traces[:: 6 if options.small else 1]
    picker = ClassicalPicker()
    least = options.least
    picker.pick(to_record(traces[0]))  # load compiled code
    print(
        f"{picker.name}, {options.part} part, {len(traces)} traces, probability {least:g} and more"
    )
    start = time.process_time()
    picks, labels = collect(picker, traces, least)
    cpu_s = time.process_time() - start
    print(f"{cpu_s:.1f} CPU s, {1000 * cpu_s / len(traces):.0f} CPU ms a trace")
    out = report(picks, labels)
    if options.noise:
        out["noise"] = noise(picker)
    if options.json:
        options.json.write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
