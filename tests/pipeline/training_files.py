"""Small labelled files and configurations for tests of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

TINY = """
[training]
widths = [8, 8, 16, 16]
batch_size = 16
window_samples = 2048
learning_rate = 5e-3
warm_up_steps = 10
average = 0.95
"""


def write_shocks(path: Path, n: int, seed: int, n_stations: int = 20) -> Path:
    """Write clear records, P on the vertical and S on the horizontals; return the HDF5 file."""
    rng = np.random.default_rng(seed)
    length = 3000
    t = np.arange(length)
    rows, data = [], []
    for i in range(n):
        wave = rng.normal(size=(3, length))
        p = float(rng.integers(600, 1500))
        s = p + float(rng.integers(200, 800))
        for onset, parts, hz, size in ((p, [0], 8.0, 10.0), (s, [1, 2], 4.0, 20.0)):
            after = np.clip(t - onset, 0, None) / 100.0
            size = size * rng.uniform(0.5, 2.0)
            wave[parts] += size * np.sin(2 * np.pi * hz * after) * np.exp(-after) * (after > 0)
        data.append(wave)
        rows.append(
            {
                "idx": i,
                "origin": "shocks",
                "p_sample": p,
                "s_sample": s,
                "valid_start": 0,
                "valid_end": length,
                "other_picks": "[]",
                "trace": f"XX.S{i % n_stations:02d}..HH",
                "kind": "manual",
                "event": f"e{i}",
            }
        )
    return write_labelled(path, rows, np.stack(data))


def write_labelled(path: Path, rows: Sequence[dict], data: np.ndarray) -> Path:
    """Write rows and waveforms ``(n, 3, samples)`` as HDF5 and CSV."""
    pd.DataFrame(rows).to_csv(path.with_suffix(".csv"), index=False)
    with h5py.File(path, "w") as file:
        file["x"] = np.asarray(data, np.float32)
    return path


def copy_part(source: Path, target: Path, keep: Sequence[int], *, late_s: float = 0.0) -> Path:
    """Copy some rows of a labelled file; ``late_s`` moves every label, as a bad clock would."""
    table = pd.read_csv(source.with_suffix(".csv")).iloc[list(keep)].copy()
    for column in ("p_sample", "s_sample"):
        moved = table[column] + 100.0 * late_s
        table[column] = moved.where(moved < table["valid_end"] - 1)
    if late_s:
        table["other_picks"] = "[]"
    with h5py.File(source) as file:
        data = file["x"][sorted(keep)]
    table["idx"] = range(len(table))
    return write_labelled(target, table.to_dict("records"), data)
