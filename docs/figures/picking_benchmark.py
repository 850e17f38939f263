"""Draw the figures of docs/picking-benchmark.md from the tables of an evaluation.

python benchmarks/evaluate_pickers.py --output FOLDER
python docs/figures/picking_benchmark.py FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
COLOURS = ("#1f5f99", "#b3443a", "#777777", "#3d8a5f")


def main() -> None:
    """Draw both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what evaluate_pickers.py --output wrote")
    parser.add_argument("--output", type=Path, default=HERE)
    options = parser.parse_args()
    names = ("scores", "curves", "thresholds", "reliability", "coverage", "residuals")
    tables = {name: pd.read_csv(options.folder / f"{name}.csv") for name in names}
    colours = dict(zip(tables["scores"]["model"].unique(), COLOURS, strict=False))
    for name, draw in (("picking_benchmark", benchmark), ("picking_calibration", calibration)):
        figure = draw(tables, colours)
        figure.savefig(options.output / f"{name}.png", dpi=110)
        plt.close(figure)


def benchmark(tables: dict[str, pd.DataFrame], colours: dict[str, str]) -> plt.Figure:
    """Return precision and recall, F1 by signal-to-noise ratio, and residuals."""
    figure, axes = plt.subplots(2, 3, figsize=(13, 7.6), constrained_layout=True)
    scores = tables["scores"]
    least = scores.loc[scores["measure"] == "f1", "tolerance_s"].min()
    for row, phase in enumerate("PS"):
        curves(axes[row, 0], tables, phase, colours)
        chosen = scores[
            (scores["phase"] == phase) & (scores["measure"] == "f1") & (scores["by"] == "snr_db")
        ]
        by_class(axes[row, 1], chosen[chosen["tolerance_s"] == least], colours)
        axes[row, 1].set(xlabel="Signal-to-noise ratio, dB", ylabel=f"F1 of {phase}, {least:g} s")
        for model, part in tables["residuals"].groupby("model", sort=False):
            own = part[part["phase"] == phase]
            axes[row, 2].hist(
                own["offset_s"], np.linspace(-0.5, 0.5, 51), histtype="step",
                weights=np.full(len(own), 1.0 / max(len(own), 1)), color=colours[model],
                label=model,
            )  # fmt: skip
        axes[row, 2].set(xlabel=f"{phase} pick minus label, s", ylabel="part of the hits")
    axes[0, 0].legend(frameon=False)
    return figure


def curves(
    axis: plt.Axes, tables: dict[str, pd.DataFrame], phase: str, colours: dict[str, str]
) -> None:
    """Draw precision against recall; a dot at the threshold in use."""
    used = tables["thresholds"].set_index(["model", "phase"])["threshold"]
    for model, part in tables["curves"].groupby("model", sort=False):
        own = part[part["phase"] == phase]
        axis.plot(own["recall"], own["precision"], color=colours[model], label=model)
        at = own.iloc[[(own["threshold"] - used[model, phase]).abs().argmin()]]
        axis.plot(at["recall"], at["precision"], "o", color=colours[model])
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=f"recall of {phase}", ylabel="precision")


def by_class(axis: plt.Axes, chosen: pd.DataFrame, colours: dict[str, str]) -> None:
    """Draw values with 95 % intervals, class by class."""
    names = list(dict.fromkeys(chosen["of"]))
    for k, (model, part) in enumerate(chosen.groupby("model", sort=False)):
        x = np.array([names.index(n) for n in part["of"]]) + 0.1 * (k - 1)
        bars = np.abs(part[["low", "high"]].to_numpy() - part[["value"]].to_numpy()).T
        axis.errorbar(x, part["value"], bars, fmt="o", ms=4, lw=1, color=colours[model])
    axis.set(ylim=(0, 1.02), xticks=range(len(names)))
    axis.set_xticklabels([n.replace("-inf to ", "< ").replace(" to inf", " +") for n in names])


def calibration(tables: dict[str, pd.DataFrame], colours: dict[str, str]) -> plt.Figure:
    """Return reliability diagrams and the coverage of sigmas."""
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 8.4), constrained_layout=True)
    for row, phase in enumerate("PS"):
        left, right = axes[row]
        left.plot([0, 1], [0, 1], color="black", lw=0.8, ls="--")
        right.axhspan(0.63, 0.73, color="#f1dfb0")
        for model, part in tables["reliability"].groupby("model", sort=False):
            own = part[part["phase"] == phase]
            bars = np.abs(own[["low", "high"]].to_numpy() - own[["observed"]].to_numpy()).T
            left.errorbar(
                own["promised"], own["observed"], bars, fmt="o-", ms=4, lw=1,
                color=colours[model], label=model,
            )  # fmt: skip
        for k, (model, part) in enumerate(tables["coverage"].groupby("model", sort=False)):
            own = part[part["phase"] == phase]
            own = own[own["high_probability"] - own["low_probability"] < 0.99]
            x = 0.5 * (own["low_probability"] + own["high_probability"]) + 0.012 * (k - 1)
            bars = np.abs(own[["low", "high"]].to_numpy() - own[["one_sigma"]].to_numpy()).T
            right.errorbar(x, own["one_sigma"], bars, fmt="o", ms=4, lw=1, color=colours[model])
        left.set(xlabel=f"probability of {phase} given", ylabel="part that is right")
        right.set(
            xlabel=f"probability of the {phase} pick", ylabel="part within 1 sigma",
            xlim=(0, 1), ylim=(0, 1.02),
        )  # fmt: skip
    axes[0, 0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
