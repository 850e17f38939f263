"""Draw docs/figures/synthetic_records.png: synthetic records beside real ones, and print how alike.

LITHOSCOPE_DATA=... python docs/figures/synthetic_records.py

Real records: analysts' labels of the training part (split by station), above 15 dB.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from lithoscope.learning.datasets import read_dataset
from lithoscope.learning.splits import split_by_station
from lithoscope.synthetics.mixing import band_filter
from lithoscope.synthetics.training import SyntheticSettings, synthesize

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LITHOSCOPE_DATA", ROOT.parent / "shared" / "data")) / "labelled"
RATE = 100
Records = Iterator[tuple[NDArray[np.float32], int, int]]


def real() -> Records:
    """Yield traces, P and S sample of the manually labelled records of the training part."""
    dataset = read_dataset(DATA)
    rows = dataset.metadata
    for i in np.flatnonzero((split_by_station(rows).parts == "train") & (rows["kind"] == "manual")):
        row = rows.iloc[i]
        p = [t for phase, t in row.labels if phase == "P"]
        s = [t for phase, t in row.labels if phase == "S" and p and t > p[0]]
        if s:
            data = dataset.waveform(i)[:, : row.valid_end]
            yield data, round(p[0]), round(s[0])


def synthetic(n: int) -> Records:
    """Yield the same of undisturbed synthetic records."""
    how = dataclasses.replace(
        SyntheticSettings(),
        event_count_parts=(0.0, 1.0, 0.0, 0.0),
        outside_parts=(0.0, 0.0),
        nuisance_part=0.0,
        fault_part=0.0,
        vertical_only_part=0.0,
        unit_decades=(0.0, 0.0),
        high_snr_db=(15.0, 45.0),
        low_snr_part=0.0,
    )
    batch = synthesize(np.random.default_rng(5), n, settings=how)
    for data, onsets in zip(batch.data, batch.onsets, strict=True):
        at = {onset.phase: round(onset.sample) for onset in onsets}
        if len(at) == 2:
            yield data, at["P"], at["S"]


def power(band: NDArray[np.float32], first: float, last: float) -> float:
    """Return the largest mean square of the components."""
    part = band[:, max(int(first), 0) : int(last)]
    return float((part.astype(float) ** 2).mean(axis=1).max()) if part.shape[1] > 3 else np.nan


def centroid(data: NDArray[np.float32], first: int) -> float:
    """Return the mean frequency of 1.5 s after a sample, 0.5 to 45 Hz."""
    part = data[:, first - 10 : first + 150].astype(float)
    spectrum = (
        np.abs(np.fft.rfft((part - part.mean(1, keepdims=True)) * np.hanning(160))) ** 2
    ).sum(0)
    f = np.fft.rfftfreq(160, 1 / RATE)
    use = (f > 0.5) & (f < 45)
    return float((spectrum[use] * f[use]).sum() / spectrum[use].sum())


def early(band: NDArray[np.float32], first: int, span: int) -> float:
    """Return the part of the energy of ``span`` samples that comes in the first 0.1 s."""
    energy = (band[:, first : first + span].astype(float) ** 2).sum(axis=0)
    return float(energy[:10].sum() / energy.sum())


def aic_offset(row: NDArray[np.float32], onset: int, span: int) -> float:
    """Return where the AIC of Maeda (1985) sees the onset, s after the label."""
    first = onset - 250
    x = row[first : onset + span].astype(float)
    k = np.arange(10, len(x) - 10)
    value = [i * np.log(x[:i].var()) + (len(x) - i) * np.log(x[i:].var()) for i in k]
    return float((first + k[int(np.argmin(value))] - onset) / RATE)


def measure(data: NDArray[np.float32], p: int, s: int) -> dict[str, float]:
    """Measure one record; empty below 15 dB."""
    data = data - data.mean(axis=1, keepdims=True)
    band, gap, n = band_filter(data.astype(np.float32), RATE), s - p, data.shape[1]
    noise = power(band, p - 250, p - 20)
    if p < 300 or s + 200 > n or gap < 20 or not power(band, p, p + 100) > 31.6 * noise > 0:
        return {}
    out = {
        "P mean frequency (Hz)": centroid(data, p),
        "log10 S/P": 0.5 * np.log10(
            power(band, s, s + np.clip(gap, 50, 200)) / power(band, p, p + min(100, gap))
        ),
    }  # fmt: skip
    if gap >= 60 and band[0].any():
        out["P energy in first 0.1 s of 1 s"] = early(band, p, min(100, gap))
        out["AIC onset minus P (s)"] = aic_offset(band[0], p, min(100, gap))
    if gap > 150:
        coda = power(band, p + 0.6 * gap, p + 0.9 * gap)
        out["log10 P coda / P"] = 0.5 * np.log10(coda / power(band, p, p + 100))
    if power(band, s, s + 150) > 6.3 * power(band, s - min(gap, 100), s - 10):
        out["S mean frequency (Hz)"] = centroid(data, s)
        out["S energy in first 0.1 s of 1.5 s"] = early(band, s, 150)
        share = (band[:, s : s + 100].astype(float) ** 2).sum(axis=1)
        out["S energy on vertical"] = share[0] / share.sum() if share[1] else np.nan
    for later in (2, 10):
        after = power(band, s + 100 * later, s + 100 * later + 150)
        if s + 100 * later + 150 < n and after > 4 * noise:
            out[f"log10 coda at S + {later} s / S"] = 0.5 * np.log10(
                after / power(band, s, s + 200)
            )
    return out


def draw_record(axes: plt.Axes, record: tuple[NDArray[np.float32], int, int]) -> None:
    """Draw Z N E above 0.5 Hz from 3 s before P."""
    data, p, s = record
    smooth = np.cumsum(data - data.mean(axis=1, keepdims=True), axis=1)
    slow = (smooth[:, 200:] - smooth[:, :-200]) / 200
    data = data[:, 100 : 100 + slow.shape[1]] - slow
    first, last = max(p - 400, 0), min(s + max(s - p, 400), data.shape[1])
    t = (np.arange(first, last) + 100 - p) / RATE
    part = data[:, first:last] / np.abs(data[:, first:last]).max()
    for row in range(3):
        axes.plot(t, part[row] - 1.3 * row, color="k", lw=0.4)
    axes.axvline(0, color="tab:red", lw=0.8)
    axes.axvline((s - p) / RATE, color="tab:blue", lw=0.8)
    axes.set_yticks([0, -1.3, -2.6], list("ZNE"))
    axes.set_xlim(t[0], t[-1])


def main() -> None:
    """Print quartiles of each measure and draw records and quartiles."""
    sets = {"real": list(real()), "synthetic": list(synthetic(400))}
    results = {k: [r for r in (measure(*x) for x in v) if r] for k, v in sets.items()}
    names = list(dict.fromkeys(key for rows in results.values() for r in rows for key in r))
    print("| measure | real: n, quartiles | synthetic: n, quartiles |\n|---|---|---|")
    quartiles: dict[tuple[str, str], NDArray[np.float64]] = {}
    for name in names:
        cells = []
        for kind, rows in results.items():
            values = np.array([r[name] for r in rows if np.isfinite(r.get(name, np.nan))])
            quartiles[name, kind] = np.quantile(values, [0.25, 0.5, 0.75])
            cells.append(f"{len(values)}: " + ", ".join(f"{q:.2f}" for q in quartiles[name, kind]))
        print(f"| {name} | " + " | ".join(cells) + " |")

    figure, panels = plt.subplots(
        5, 2, figsize=(9, 9), gridspec_kw={"height_ratios": [2] * 4 + [3]}
    )
    for column, (kind, records) in enumerate(sets.items()):
        good = [x for x in records if measure(*x) and 100 < x[2] - x[1] < 1500]
        good.sort(key=lambda x: x[2] - x[1])
        panels[0, column].set_title(kind)
        for row, i in enumerate(np.linspace(0.1, 0.95, 4) * (len(good) - 1)):
            draw_record(panels[row, column], good[int(i)])
        panels[3, column].set_xlabel("s after P")
    grid = panels[4, 0].get_gridspec()
    for axes in panels[4]:
        axes.remove()
    axes = figure.add_subplot(grid[4, :])
    for i, name in enumerate(names):
        middle, half = quartiles[name, "real"][1], np.ptp(quartiles[name, "real"]) / 2
        for kind, colour, shift in (("real", "tab:red", 0.15), ("synthetic", "k", -0.15)):
            low, centre, high = (quartiles[name, kind] - middle) / half
            axes.plot([low, high], [i + shift] * 2, color=colour, lw=3, alpha=0.5)
            axes.plot(centre, i + shift, "o", color=colour, ms=4, label=kind if i == 0 else None)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("median and quartiles, in half interquartile ranges of the real records")
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(Path(__file__).with_name("synthetic_records.png"), dpi=80)


if __name__ == "__main__":
    main()
