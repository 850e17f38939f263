"""From a trained network to a model folder: exported, calibrated on validation traces, carded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    Calibration,
    Curve,
    PhaseCalibration,
    calibrated,
    evidence,
    expit,
    fit_probability,
    fit_sigma,
    fit_threshold,
    logit,
)
from lithoscope.learning.cards import Input, ModelCard, Output, Size, Thresholds, Windows
from lithoscope.learning.metrics import (
    TOLERANCES_S,
    best_threshold,
    inside,
    judged_spans,
    match,
)
from lithoscope.learning.models import load_model, save_model
from lithoscope.learning.onnx_export import require_training, to_onnx
from lithoscope.learning.splits import site
from lithoscope.learning.training.augment import AugmentationSettings, augment
from lithoscope.learning.training.examples import Example
from lithoscope.picking import LearnedPicker, LearnedPickerSettings, Onsets
from lithoscope.pipeline.evaluated_scores import GRID
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
#: With this many hits on the traces themselves, sigmas are fitted to these alone: noise that is
#: added to copies moves onsets more than the traces' own does.
ENOUGH_HITS = 120
#: Weight of the event output in the evidence for P and S. On stations held out, up to 0.5 costs
#: no F1 within 0.1 s (P 0.931 and 0.928, S 0.850 and 0.852 with 0 and 0.5) and leaves half of the
#: picks in noise; with 1 F1 falls (0.912, 0.843). docs/training-log.md.
EVENT_WEIGHT = 0.5
#: Changed copies of each validation trace, beside the trace itself.
COPIES = 8
#: Start of the records made of traces (ns); no meaning, but on the grid of the network.
_START_NS = 1_500_000_000_000_000_000


@dataclass(frozen=True)
class Judged:
    """A labelled trace and the picks of a model that has not seen it.

    Attributes
    ----------
    example
        The trace.
    onsets
        P and S down to `FLOOR`, times in s after sample 0 of the trace.
    original
        False for a changed copy.
    """

    example: Example
    onsets: tuple[Onsets, Onsets]
    original: bool


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
    low = LearnedPickerSettings(p_threshold=FLOOR, s_threshold=FLOOR)
    traces = []
    for place, examples in judged:
        own = picker if place == folder else LearnedPicker(load_model(place), low)
        traces += _picked(own, examples, mixture, seed)
    false = [picker.onsets(record) for record in noise]
    hours = sum(r.n_samples / r.sampling_rate_hz for r in noise) / 3600.0
    (p, p_level, p_rate, p_best, p_note), (s, s_level, s_rate, s_best, s_note) = [
        _phase(traces, false, hours, k) for k in (0, 1)
    ]
    card = model.card.model_copy(
        update={
            "calibration": Calibration(p=p, s=s),
            "thresholds": Thresholds(
                p=p_level,
                s=s_level,
                event=EVENT_LEVEL,
                false_p_per_hour=p_rate,
                false_s_per_hour=s_rate,
                best_p=p_best,
                best_s=s_best,
                best_on=_judged_on(traces, len(judged)),
            ),
            "known_failures": (*model.card.known_failures, *p_note, *s_note),
        }
    )
    return save_model(card, model.network.content, folder)


def _judged_on(traces: Sequence[Judged], n_models: int) -> str:
    n = sum(one.original for one in traces)
    stations = len({site(one.example.station) for one in traces})
    how = f"held out in {n_models} folds" if n_models > 1 else "of the validation part"
    return f"{n} traces of {stations} stations, {how}"


def _phase(
    traces: Sequence[Judged], false: Sequence[tuple[Onsets, Onsets]], hours: float, k: int
) -> tuple[PhaseCalibration, float, float | None, float | None, tuple[str, ...]]:
    """Return calibration, threshold, its rate of false picks, the best one, what failed."""
    phase = "PS"[k]
    labels, picks = _tables(traces, k)
    heard = [logit(one[k].probability) for one in false], [one[k].event for one in false]
    y_false, e_false = (np.concatenate([np.zeros(0), *parts]) for parts in heard)
    try:
        picks["raw"] = expit(evidence(logit(picks["raw"]), picks["event"], EVENT_WEIGHT))
        x_false = evidence(y_false, e_false, EVENT_WEIGHT)
        curve, sigma = _fit(picks, x_false)
    except DataError as error:
        return PhaseCalibration(), LEVELS[k], None, None, (f"{phase} is not calibrated: {error}",)
    p_false = calibrated(curve, x_false)
    thresholds, note = _thresholds(p_false, hours, phase)
    level = LEVELS[k]
    rate = float((p_false >= level).sum() / hours) if hours > 0 else None
    picks = picks[picks["original"]].assign(
        probability=calibrated(curve, logit(picks.loc[picks["original"], "raw"]))
    )
    best = best_threshold(labels, picks.reset_index(drop=True), TOLERANCES_S[0], GRID)[0]
    return (
        PhaseCalibration(
            event_weight=EVENT_WEIGHT, probability=curve, sigma_scale=sigma, threshold=thresholds
        ),
        level,
        rate,
        best,
        note,
    )


def _thresholds(
    p_false: NDArray[np.float64], hours: float, phase: str
) -> tuple[Curve, tuple[str, ...]]:
    """Return the thresholds by rate of false picks, and why there are none."""
    if hours <= 0:
        return Curve(), ()
    try:
        return fit_threshold(p_false, hours), ()
    except DataError as error:
        return Curve(), (f"{phase}: no rate of false picks is known: {error}",)


def _picked(
    picker: LearnedPicker, examples: Sequence[Example], mixture: Mixture | None, seed: int
) -> list[Judged]:
    """Pick the traces and their changed copies."""
    how = AugmentationSettings(
        overlay=0.0, edge=0.0, fault=0.0, noise=0.7 if mixture is not None else 0.0
    )
    out = []
    for i, one in enumerate(examples):
        out.append(Judged(one, _pick(picker, one), True))
        for k in range(COPIES):
            rng = np.random.default_rng([seed, i, k])
            noise = mixture.noise(rng, one.n_samples) if mixture is not None else None
            copy = augment(one, rng, how, noise=noise)
            copy = replace(copy, station=one.station, kind=one.kind)
            out.append(Judged(copy, _pick(picker, copy), False))
    return out


def _pick(picker: LearnedPicker, one: Example) -> tuple[Onsets, Onsets]:
    begin, end = one.span
    record = Record(
        "XX.TRACE..HH", _START_NS, 100.0, one.data, one.mask, ("", "", ""), np.zeros(3, bool)
    ).cut(_START_NS + begin * 10_000_000, _START_NS + end * 10_000_000)
    p, s = picker.onsets(record)
    lead_s = begin / 100.0
    return replace(p, time_s=p.time_s + lead_s), replace(s, time_s=s.time_s + lead_s)


def _tables(traces: Sequence[Judged], k: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the labels of the originals, and the picks of all, of one phase.

    Labels: ``trace, phase, time_s``. Picks: those, ``raw`` probability, ``event`` log odds,
    ``time_sigma_s``,
    ``residual_s`` to the matched label (NaN without), ``judged`` and ``original``. Picks at onsets
    that noise has hidden are neither right nor wrong and left out.
    """
    phase = "PS"[k]
    labels, picks = [], []
    for number, one in enumerate(traces):
        known = one.example.picks
        own = known[known[:, 2] > 0.5]
        here = own[own[:, 0] == k, 1] / 100.0
        hidden = known[(known[:, 0] == k) & (known[:, 2] <= 0.5), 1] / 100.0
        found = one.onsets[k]
        times = found.time_s
        i, j = match(here, times, RESIDUAL_S)
        residual = np.full(len(times), np.nan)
        residual[j] = times[j] - here[i]
        named = [("PS"[int(row[0])], row[1] / 100.0) for row in own]
        spans = judged_spans(named, phase, one.example.kind, one.example.n_samples / 100.0)
        rows = pd.DataFrame(
            {
                "trace": number,
                "phase": phase,
                "time_s": times,
                "raw": found.probability,
                "event": found.event,
                "time_sigma_s": found.sigma_s,
                "residual_s": residual,
                "judged": inside(times, spans),
                "original": one.original,
            }
        )
        picks.append(rows[~(np.abs(times[:, None] - hidden) < RESIDUAL_S).any(1)])
        if one.original:
            labels += [(number, phase, t) for t in here]
    return (
        pd.DataFrame(labels, columns=["trace", "phase", "time_s"]),
        pd.concat(picks, ignore_index=True),
    )


def _fit(picks: pd.DataFrame, x_false: NDArray[np.float64]) -> tuple[Curve, Curve]:
    """Fit probability, with picks in noise among the wrong ones, and sigma."""
    judged = picks[picks["judged"]]
    # All copies of a trace together weigh as much as the trace.
    weight = np.where(judged["original"], 1.0, 1.0 / COPIES)
    curve = fit_probability(
        np.concatenate([judged["raw"], expit(x_false)]),
        np.concatenate([judged["residual_s"].notna(), np.zeros(len(x_false), bool)]),
        weight=np.concatenate([weight, np.ones(len(x_false))]),
    )
    hits = picks[picks["residual_s"].notna()]
    if hits["original"].sum() >= ENOUGH_HITS:
        hits = hits[hits["original"]]
    probability = calibrated(curve, logit(hits["raw"]))
    return curve, fit_sigma(hits["residual_s"], hits["time_sigma_s"], probability)


def today() -> str:
    """Return the day, for cards."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def program() -> str:
    """Return what trained the model, for cards."""
    return f"lithoscope {__version__}"
