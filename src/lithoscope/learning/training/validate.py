"""How good a network is on labelled traces, while it trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lithoscope.learning.networks.picknet import STRIDE, PickNet
from lithoscope.learning.peaks import local_maxima
from lithoscope.learning.preprocessing import CHANNELS, prepare
from lithoscope.learning.training.examples import OUTPUT_HZ, STEP, Example, crop

#: A pick within this of a label finds it (s).
TOLERANCE_S = 0.1
#: Peaks with a larger one of their phase within this are dropped (s).
APART_S = 0.5
#: Peaks lower than this (log odds) are not considered.
FLOOR = -5.0


@torch.no_grad()
def outputs(net: PickNet, examples: Sequence[Example]) -> list[NDArray[np.float32]]:
    """Return the network's output ``(7, n / 2)`` of each example, whatever its length."""
    net.eval()
    out = []
    for one in examples:
        n = -(-one.n_samples // STRIDE) * STRIDE
        whole = crop(one, 0, n)
        x = np.zeros((1, CHANNELS, 1, n), np.float32)
        x[0, :, 0] = prepare(whole.data, whole.mask, 0, whole.span)
        out.append(net(torch.from_numpy(x))[0, :, 0].numpy())
    net.train()
    return out


def peaks(output: NDArray[np.float32], phase: int) -> tuple[NDArray, NDArray]:
    """Return time (s after sample 0) and log odds of the picks of a phase (0 P, 1 S)."""
    y = output[phase]
    at = local_maxima(y, round(APART_S * OUTPUT_HZ), FLOOR)
    return at / OUTPUT_HZ + output[3 + 2 * phase][at], y[at]


def scores(results: Sequence[NDArray[np.float32]], examples: Sequence[Example]) -> dict[str, float]:
    """Return the best F1 over thresholds, its threshold and the median residual, by phase.

    Only traces with a label of the phase count, and only picks within them.
    """
    out: dict[str, float] = {}
    for phase, letter in enumerate("ps"):
        height: list[float] = []
        hit: list[bool] = []
        residual: list[float] = []
        n_labels = 0
        for y, one in zip(results, examples, strict=True):
            labels = one.picks[(one.picks[:, 0] == phase) & (one.picks[:, 3] > 0), 1] / (
                STEP * OUTPUT_HZ
            )
            if not len(labels):
                continue
            n_labels += len(labels)
            times, values = peaks(y, phase)
            free = list(labels)
            for k in np.argsort(-values, kind="stable"):
                near = [x for x in free if abs(times[k] - x) <= TOLERANCE_S]
                height.append(float(values[k]))
                hit.append(bool(near))
                if near:
                    nearest = min(near, key=lambda x: abs(times[k] - x))
                    free.remove(nearest)
                    residual.append(float(times[k] - nearest))
        out |= _best(letter, np.array(height), np.array(hit, bool), n_labels, residual)
    out["score"] = float(np.mean([out.get("p_f1", 0.0), out.get("s_f1", 0.0)]))
    return out


def _best(
    letter: str, height: NDArray, hit: NDArray, n_labels: int, residual: list[float]
) -> dict[str, float]:
    if not n_labels or not len(height):
        return {}
    order = np.argsort(-height, kind="stable")
    true = np.cumsum(hit[order])
    f1 = 2 * true / (np.arange(1, len(order) + 1) + n_labels)
    best = int(np.argmax(f1))
    threshold = float(1 / (1 + np.exp(-height[order][best])))
    return {
        f"{letter}_f1": float(f1[best]),
        f"{letter}_threshold": threshold,
        f"{letter}_labels": float(n_labels),
        f"{letter}_median_s": float(np.median(residual)) if residual else float("nan"),
        f"{letter}_mad_s": float(np.median(np.abs(residual))) if residual else float("nan"),
    }
