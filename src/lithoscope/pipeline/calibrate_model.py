"""From a trained network to a model folder: exported, calibrated on validation traces, carded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope import __version__
from lithoscope.errors import DataError
from lithoscope.learning import preprocessing
from lithoscope.learning.calibration import (
    MIN_FALSE,
    Calibration,
    Curve,
    PhaseCalibration,
    calibrated,
    fit_probability,
    fit_sigma,
    fit_threshold,
    logit,
)
from lithoscope.learning.cards import Input, ModelCard, Output, Size, Thresholds, Windows
from lithoscope.learning.metrics import COMPLETE_AFTER_S, match
from lithoscope.learning.models import load_model, save_model
from lithoscope.learning.onnx_export import require_training, to_onnx
from lithoscope.learning.training.augment import AugmentationSettings, augment
from lithoscope.learning.training.examples import Example
from lithoscope.picking import LearnedPicker, LearnedPickerSettings
from lithoscope.waveforms import Record

if TYPE_CHECKING:
    from lithoscope.learning.networks.picknet import PickNet, PickNetSettings
    from lithoscope.learning.training.sources import Mixture

#: A pick within this of a label is an onset (s), as in the benchmark's calibration.
RESIDUAL_S = 0.5
#: Calibrated probabilities from which on P and S are picked: low, since the association weighs
#: picks by their probability and needs the faint ones. Where picks are the end, take higher ones.
LEVELS = (0.15, 0.2)
#: Raw probability down to which picks are looked at.
FLOOR = 0.01
#: Probability from which on a detection is made.
EVENT_LEVEL = 0.3
#: Changed copies of each validation trace, beside the trace itself.
COPIES = 8
#: Start of the records made of traces (ns); no meaning, but on the grid of the network.
_START_NS = 1_500_000_000_000_000_000


@dataclass(frozen=True)
class Found:
    """Picks of one phase on labelled traces: what calibration needs."""

    raw: NDArray[np.float64]
    sigma_s: NDArray[np.float64]
    residual_s: NDArray[np.float64]  # to the matched label; NaN without one


def export(net: PickNet, card: ModelCard, folder: Path, settings: PickNetSettings) -> ModelCard:
    """Write the network with a card that has no calibration yet; weights beside it.

    ``weights.npz`` holds the network before export, which fine-tuning starts from.
    """
    require_training()
    from lithoscope.learning.networks.picknet import OUTPUT_STRIDE, OUTPUTS, STRIDE, reach
    from lithoscope.learning.training.weights import write_weights

    content = to_onnx(net, (2, preprocessing.CHANNELS, 1, 16 * STRIDE), free={0: 1, 3: STRIDE})
    card = card.model_copy(
        update={
            "family": "lithoscope",
            "input": Input(
                rate_hz=preprocessing.RATE_HZ,
                components="ZNE",
                channels=preprocessing.CHANNELS,
                preprocessing=preprocessing.NAME,
            ),
            "output": Output(names=OUTPUTS, stride=OUTPUT_STRIDE),
            "windows": Windows(align=STRIDE, reach=reach(settings)),
            "size": Size(parameters=sum(p.numel() for p in net.parameters())),
        }
    )
    card = save_model(card, content, folder)
    write_weights(net, settings, folder)
    return card


def calibrate(
    folder: Path,
    judged: Sequence[tuple[Path, Sequence[Example]]],
    noise: Sequence[Record],
    *,
    mixture: Mixture | None = None,
    seed: int = 0,
) -> ModelCard:
    """Fit probabilities, sigmas and thresholds of a model and write them on its card.

    Each validation trace is picked as it is and in `COPIES` changed copies (turned, buried in
    noise, vertical only, ...), so that faint and odd onsets are known as well.

    Parameters
    ----------
    folder
        Model without calibration.
    judged
        Models and labelled traces that they have not seen: the model itself with the validation
        part, or the models of several folds with the stations held out of each, whose picks
        together stand for those of the model.
    noise
        Records in which every pick counts as false.
    mixture
        Gives real noise to bury copies in.
    seed
        Of the changes.

    A phase with too few labels stays as the network gives it; the card says so.
    """
    model = load_model(folder)
    picker = LearnedPicker(model, LearnedPickerSettings(p_threshold=FLOOR, s_threshold=FLOOR))
    traces, picked = [], []
    for place, examples in judged:
        low = LearnedPickerSettings(p_threshold=FLOOR, s_threshold=FLOOR)
        own = picker if place == folder else LearnedPicker(load_model(place), low)
        copies = _copies(examples, mixture, seed)
        traces += copies
        picked += [_picked(own, one) for one in copies]
    false = [picker.pick(record)[0] for record in noise]
    hours = sum(r.n_samples / r.sampling_rate_hz for r in noise) / 3600.0
    done = [_phase(traces, picked, false, hours, k) for k in (0, 1)]
    (p, p_level, p_rate, p_note), (s, s_level, s_rate, s_note) = done
    card = model.card.model_copy(
        update={
            "calibration": Calibration(p=p, s=s),
            "thresholds": Thresholds(
                p=p_level,
                s=s_level,
                event=EVENT_LEVEL,
                false_p_per_hour=p_rate,
                false_s_per_hour=s_rate,
            ),
            "known_failures": (*model.card.known_failures, *p_note, *s_note),
        }
    )
    return save_model(card, model.network.content, folder)


def _phase(
    traces: Sequence[Example],
    picked: Sequence[pd.DataFrame],
    false: Sequence[pd.DataFrame],
    hours: float,
    k: int,
) -> tuple[PhaseCalibration, float, float | None, tuple[str, ...]]:
    """Return calibration, threshold and its rate of false picks, and what could not be done."""
    phase = "PS"[k]
    found = _found(traces, picked, k)
    try:
        curve, sigma = _fit(found)
    except DataError as error:
        return PhaseCalibration(), LEVELS[k], None, (f"{phase} is not calibrated: {error}",)
    tables = [t.loc[t["phase"] == phase, "probability"].to_numpy(float) for t in false]
    p_false = calibrated(curve, logit(np.concatenate([np.zeros(0), *tables])))
    known = hours > 0 and len(p_false) >= MIN_FALSE
    thresholds = fit_threshold(p_false, hours) if known else Curve()
    level = LEVELS[k]
    rate = float((p_false >= level).sum() / hours) if hours > 0 else None
    return (
        PhaseCalibration(probability=curve, sigma_scale=sigma, threshold=thresholds),
        level,
        rate,
        (),
    )


def _copies(validation: Sequence[Example], mixture: Mixture | None, seed: int) -> list[Example]:
    """Return the traces and their changed copies."""
    how = AugmentationSettings(
        overlay=0.0, edge=0.0, fault=0.0, noise=0.7 if mixture is not None else 0.0
    )
    out = []
    for i, one in enumerate(validation):
        out.append(one)
        for k in range(COPIES):
            rng = np.random.default_rng([seed, i, k])
            noise = mixture.noise(rng, one.n_samples) if mixture is not None else None
            out.append(augment(one, rng, how, noise=noise))
    return out


def _picked(picker: LearnedPicker, one: Example) -> pd.DataFrame:
    """Return the picks of a trace, whose sample 0 is at `_START_NS`."""
    begin, end = one.span
    record = Record(
        "XX.TRACE..HH", _START_NS, 100.0, one.data, one.mask, ("", "", ""), np.zeros(3, bool)
    ).cut(_START_NS + begin * 10_000_000, _START_NS + end * 10_000_000)
    return picker.pick(record)[0]


def _found(traces: Sequence[Example], picked: Sequence[pd.DataFrame], phase: int) -> Found:
    rows: list[tuple[float, float, float]] = []
    for one, table in zip(traces, picked, strict=True):
        labels = one.picks[(one.picks[:, 0] == phase) & (one.picks[:, 2] > 0.5), 1] / 100.0
        hidden = one.picks[(one.picks[:, 0] == phase) & (one.picks[:, 2] <= 0.5), 1] / 100.0
        if not len(labels):
            continue
        picks = table[table["phase"] == "PS"[phase]]
        times = (picks["time"].astype("int64").to_numpy() - _START_NS) / 1e9
        i, j = match(labels, times, RESIDUAL_S)
        residual = np.full(len(times), np.nan)
        residual[j] = times[j] - labels[i]
        near_hidden = (np.abs(times[:, None] - hidden) < RESIDUAL_S).any(1)
        judged = (times <= labels.max() + COMPLETE_AFTER_S) & ~near_hidden
        values = picks[["probability", "time_sigma_s"]].to_numpy(float)
        for r in np.flatnonzero(judged):
            rows.append((values[r, 0], values[r, 1], residual[r]))
    return Found(*np.array(rows, float).reshape(-1, 3).T)


def _fit(found: Found) -> tuple[Curve, Curve]:
    matched = np.isfinite(found.residual_s)
    curve = fit_probability(found.raw, matched)
    probability = calibrated(curve, logit(found.raw[matched]))
    return curve, fit_sigma(found.residual_s[matched], found.sigma_s[matched], probability)


def today() -> str:
    """Return the day, for cards."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def program() -> str:
    """Return what trained the model, for cards."""
    return f"lithoscope {__version__}"
