"""Draw docs/figures/picker_calibration.png: do probabilities and sigmas of the picker come true?

python docs/figures/picker_calibration.py
"""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))

from evaluate_classical_picker import collect  # noqa: E402
from picker_data import MANUAL, load  # noqa: E402

from lithoscope.picking import ClassicalPicker  # noqa: E402

EDGES = (0.12, 0.3, 0.5, 0.7, 0.85, 0.95, 1.001)
COLOURS = {"P": "tab:blue", "S": "tab:red"}


def draw_probability(axes: plt.Axes, picks: pd.DataFrame, phase: str) -> None:
    """Draw the part of picks that lie within 0.5 s of a label against their probability."""
    judged = picks[(picks["phase"] == phase) & picks["judged"].astype(bool)]
    true = (judged["off"].abs() <= 0.5).to_numpy()
    p = judged["probability"].to_numpy()
    x, y, error = [], [], []
    for low, high in pairwise(EDGES):
        use = (p >= low) & (p < high)
        if use.sum() >= 5:
            k, n = true[use].sum(), use.sum()
            share = (k + 0.5) / (n + 1)
            x.append(p[use].mean())
            y.append(k / n)
            error.append(math.sqrt(share * (1 - share) / n))
    axes.errorbar(x, y, error, marker="o", color=COLOURS[phase], label=f"{phase} ({len(p)} picks)")


def draw_sigma(axes: plt.Axes, picks: pd.DataFrame, phase: str) -> None:
    """Draw the part of labels within k sigma against k."""
    use = (picks["phase"] == phase) & picks["origin"].isin(MANUAL) & (picks["off"].abs() <= 0.5)
    ratio = (picks["off"].abs() / picks["time_sigma_s"])[use].to_numpy()
    k = np.linspace(0, 4, 81)
    axes.plot(
        k, [(ratio <= v).mean() for v in k], color=COLOURS[phase], label=f"{phase} ({len(ratio)})"
    )


def main() -> None:
    """Draw both panels on the test part of the labelled traces."""
    picks, _ = collect(ClassicalPicker(), [t for t in load() if not t.training], 0.12)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    left.plot([0, 1], [0, 1], color="0.7", label="perfect")
    k = np.linspace(0, 4, 81)
    normal = [math.erf(v / math.sqrt(2)) for v in k]
    right.plot(k, normal, color="0.7", label="normal distribution")
    for phase in "PS":
        draw_probability(left, picks, phase)
        draw_sigma(right, picks, phase)
    left.set(
        xlabel="probability", ylabel="part within 0.5 s of a label", xlim=(0, 1), ylim=(0, 1.02)
    )
    right.set(xlabel="distance from the label (sigma)", ylabel="part within", ylim=(0, 1.02))
    right.axvline(1, color="0.85")
    right.axhline(0.68, color="0.85")
    left.legend()
    right.legend()
    figure.savefig(HERE / "picker_calibration.png", dpi=120)


if __name__ == "__main__":
    main()
