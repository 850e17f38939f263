"""From samples to candidate onsets with their features: detection, timing, description."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lithoscope.learning.peaks import local_maxima
from lithoscope.picking._bank import Bank
from lithoscope.picking._detect import SCALES, characteristic
from lithoscope.picking._features import measure
from lithoscope.picking._onset import refine

#: Log likelihood ratio from which a rise of power is a candidate.
THRESHOLD = 10.0
#: Candidates closer than this to a raw flat stretch of that length before them are no onsets (s).
FLAT_S = 0.5
#: A candidate is not timed earlier than this after the one before it (s).
GUARD_S = 0.15

VERTICAL, HORIZONTAL = slice(0, 1), slice(1, 3)


@dataclass(frozen=True)
class Candidates:
    """Onsets timed on one group of components, ascending, one row of features each."""

    onset: NDArray[np.int64]  # sample
    used: NDArray[np.int64]  # filter of the bank
    spread: NDArray[np.float64]  # of the onset's posterior, samples
    features: NDArray[np.float64]
    filtered: NDArray[np.float64]  # (filters, 3, n), shared


def find(data: NDArray[np.float32], mask: NDArray[np.bool_], bank: Bank) -> dict[str, Candidates]:
    """Return candidates timed on the vertical (key ``"Z"``) and on the horizontals (``"H"``).

    A group without components is left out.
    """
    filtered = bank.apply(data)
    groups = {}
    if mask[0]:
        groups["Z"] = (VERTICAL, HORIZONTAL, 1)
    if mask[1:].any():
        groups["H"] = (HORIZONTAL, VERTICAL, int(mask[1:].sum()))
    widths = bank.high_hz - bank.low_hz
    fs = bank.sampling_rate_hz
    curves = {}
    for key, (own, _, n_components) in groups.items():
        energy = _energy(filtered[: bank.n_octaves, own])
        dof = 2.0 * widths[: bank.n_octaves] / fs * n_components
        curves[key] = [characteristic(energy, dof, fs, a, b) for a, b, _ in SCALES]
    best = {key: np.max(curve, axis=0) for key, curve in curves.items()}
    out = {}
    for key, (own, other, n_components) in groups.items():
        centres = _centres(curves[key], fs)
        limits = np.concatenate([[0], centres[:-1] + round(GUARD_S * fs)])[: len(centres)]
        dof = 2.0 * widths / fs * n_components
        onset, used, split, spread = refine(
            filtered, (own.start, own.stop), dof, fs, centres, limits
        )
        keep = _unique(onset, split)
        keep = keep[~_after_flat(data[own], onset[keep], fs)]
        onset, used, split, spread = onset[keep], used[keep], split[keep], spread[keep]
        rest = best.get("H" if key == "Z" else "Z", np.zeros(data.shape[1]))
        features = measure(
            filtered, own, other, bank.n_octaves, np.sqrt(bank.low_hz * bank.high_hz),
            fs, onset, used, split, spread, best[key], rest,
        )  # fmt: skip
        out[key] = Candidates(onset, used, spread, features, filtered)
    return out


def _energy(filtered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squares summed over components."""
    energy = np.square(filtered[:, 0])
    for c in range(1, filtered.shape[1]):
        energy += np.square(filtered[:, c])
    return energy


def _centres(curves: list[NDArray[np.float64]], fs: float) -> NDArray[np.int64]:
    found = [
        local_maxima(curve, round(radius * fs), THRESHOLD)
        for curve, (_, _, radius) in zip(curves, SCALES, strict=True)
    ]
    return np.unique(np.concatenate(found))


def _unique(onset: NDArray[np.int64], split: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return indices in order of onset; of several at one sample the one with the best split."""
    order = np.lexsort((-split, onset))
    first = np.ones(len(onset), dtype=bool)
    first[1:] = onset[order][1:] != onset[order][:-1]
    return order[first]


def _after_flat(
    data: NDArray[np.float32], onset: NDArray[np.int64], fs: float
) -> NDArray[np.bool_]:
    """Return True where every component was constant for `FLAT_S` just before the onset."""
    width = round(FLAT_S * fs)
    out = np.zeros(len(onset), dtype=bool)
    slack = round(0.1 * fs)
    for i, t in enumerate(onset):
        last = max(t - slack, 0)
        piece = data[:, max(last - width, 0) : last]
        out[i] = piece.shape[1] > 1 and bool((piece == piece[:, :1]).all())
    return out
