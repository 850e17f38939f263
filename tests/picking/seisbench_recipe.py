"""Weights and a record that anybody can make again: what SeisBench and we are compared on.

NumPy only, since it runs in SeisBench's environment too (`tests/reference/seisbench/make.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 100.0
#: Samples from window to window, and in the record.
STEP = {"phasenet": 1501, "eqtransformer": 3000}
LENGTH = {"phasenet": 3001 + 3 * 1501, "eqtransformer": 6000 + 2 * 3000}
# Factors on the last convolutions, so that probabilities use the whole range of 0 to 1.
_LAST = {"out.weight": 2.0, "conv_d.weight": 10.0, "pick_convs.0.weight": 30.0,
         "pick_convs.1.weight": 40.0}  # fmt: skip
_BIAS = {"conv_d.bias": -9.3, "pick_convs.0.bias": 6.5, "pick_convs.1.bias": 15.0}


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Return seeded weights for every name of a state dict but counters."""
    rng = np.random.default_rng(20200101)
    out = {}
    for name in sorted(n for n in shapes if not n.endswith("num_batches_tracked")):
        value = rng.standard_normal(shapes[name])
        if name.endswith("running_var"):
            value = 0.5 + np.abs(value)
        elif name.endswith("gamma") or (value.ndim == 1 and name.endswith("weight")):
            value = 1.0 + 0.2 * value
        elif value.ndim == 1 or name.endswith("beta"):
            value = 0.2 * value + _BIAS.get(name, 0.0)
        else:
            value *= np.sqrt(2.0 / np.prod(value.shape[1:])) * _LAST.get(name, 1.0)
        out[name] = value.astype(np.float32)
    return out


def starttime_ns(family: str) -> int:
    """Return a start that is a multiple of the step: SeisBench counts from the first sample."""
    first = 157_784_000_000 // STEP[family] * STEP[family]  # samples to 2020-01-01, about
    return first * 10_000_000


def record(family: str) -> NDArray[np.float32]:
    """Return ``(3, n)`` Z N E: coloured noise in counts with offsets, and bursts that decay."""
    n = LENGTH[family]
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((3, n + 50))
    smooth = np.stack([np.convolve(row, np.hanning(9), mode="same") for row in noise])[:, 50:]
    t = np.arange(n)
    data = 100.0 * smooth + np.array([[500.0], [-20.0], [0.0]]) + 0.01 * t
    for onset, size in ((1700, 2e3), (3100, 300.0), (5200, 1e4), (9000, 1e3)):
        late = np.maximum(t - onset, 0)
        burst = size * (t >= onset) * np.exp(-late / 150.0) * np.sin(late * 0.35 + 0.01 * late**1.2)
        data += np.array([[1.0], [0.6], [-0.8]]) * burst
    return np.rint(data).astype(np.float32)
