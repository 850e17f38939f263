"""Measure pickers beside each other on labelled records and on noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.bootstrap import resampling
from lithoscope.learning.datasets import WaveformDataset
from lithoscope.learning.metrics import (
    TOLERANCES_S,
    best_threshold,
)
from lithoscope.picking import (
    ClassicalPicker,
    ClassicalPickerSettings,
    LearnedPickerSettings,
    Picker,
)
from lithoscope.picking.windowed import trained_picker
from lithoscope.pipeline.evaluated_picks import (
    Noise,
    Truth,
    pick_dataset,
    pick_noise,
    truth,
)
from lithoscope.pipeline.evaluated_scores import (
    FLOOR,
    GRID,
    Result,
    measure,
    phase_of,
)
from lithoscope.pipeline.progress import Reporter, Silent


@dataclass(frozen=True)
class Contestant:
    """A picker to measure.

    Attributes
    ----------
    name
        What the tables call it.
    picker
        Made with thresholds at `FLOOR`.
    thresholds
        Its own thresholds by phase, for use where none are chosen on validation data.
    settled
        What thresholds were chosen on already, by F1 as here, before the model saw those data;
        then no others are chosen. Empty otherwise.
    """

    name: str
    picker: Picker
    thresholds: Mapping[str, float]
    settled: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Measured figures.

    Attributes
    ----------
    scores
        ``model, by`` (all, source, snr_db, distance_km, magnitude), ``of`` (which class),
        ``phase, tolerance_s, measure`` (precision, recall, f1, residual_median_s,
        residual_mad_s, false_per_hour, calibration_error, one_sigma), ``value, low, high`` (95 %),
        ``n`` behind it.
    differences
        The first model minus each other in F1, from the same bootstrap samples:
        ``against, by, of, phase, tolerance_s, value, low, high``.
    thresholds
        ``model, phase, threshold, rule``.
    curves
        ``model, phase, threshold, precision, recall, f1, false_per_hour``, at `TOLERANCES_S` [0].
    reliability, coverage
        Tables of `lithoscope.learning.reliability` with ``model`` and ``phase``.
    residuals
        Hits: ``model, phase, source, offset_s, time_sigma_s, probability``.
    costs
        ``model, cpu_s, data_h, cpu_s_per_station_day, unusable``.
    notes
        Rules in force, for the reader.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    thresholds: pd.DataFrame
    curves: pd.DataFrame
    reliability: pd.DataFrame
    coverage: pd.DataFrame
    residuals: pd.DataFrame
    costs: pd.DataFrame
    notes: tuple[str, ...]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return all tables by their names."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "notes"}


def contestant(choice: str, *, settled: bool = False) -> Contestant:
    """Return the picker that a user names, with thresholds at `FLOOR`.

    Parameters
    ----------
    choice
        ``classical``, the name of a model, or a model's folder.
    settled
        Take the thresholds of best F1 from the model's card if it has them: for validation data
        that the model has been trained on since they were chosen.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.
    """
    if choice == "classical":
        own = ClassicalPickerSettings()
        low = own.model_copy(
            update={"p_threshold": FLOOR, "s_threshold": FLOOR, "single_threshold": FLOOR}
        )
        usual = {"P": own.p_threshold, "S": own.s_threshold}
        return Contestant("classical", ClassicalPicker(low), usual)
    settings = LearnedPickerSettings(p_threshold=FLOOR, s_threshold=FLOOR)
    picker = trained_picker(choice, settings)
    card = picker.model.card
    best = card.thresholds.best_p, card.thresholds.best_s
    if settled and None not in best:
        found = {"P": float(best[0] or 0.0), "S": float(best[1] or 0.0)}
        return Contestant(card.name, picker, found, card.thresholds.best_on)
    return Contestant(card.name, picker, {"P": card.thresholds.p, "S": card.thresholds.s})


def evaluate(
    contestants: Sequence[Contestant],
    dataset: WaveformDataset,
    *,
    validation: WaveformDataset | None = None,
    noise: Sequence[Noise] = (),
    tolerances_s: Sequence[float] = TOLERANCES_S,
    n_samples: int = 1000,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Measure pickers on the same records.

    Parameters
    ----------
    contestants
        The first one is compared with the others.
    dataset
        Test traces; they choose nothing.
    validation
        Traces on which each picker's thresholds are chosen (by F1 within the smallest tolerance,
        `best_threshold`); without, each picker's own thresholds are used.
    noise
        Continuous records without events; all picks there count as false.
    tolerances_s
        Farthest that a hit may lie from its label; ascending.
    n_samples, seed
        Of the bootstrap.
    reporter
        Receives progress.

    Raises
    ------
    DataError
        If there is no label, or noise without a usable record.
    ConfigError
        If two contestants share a name, or there is none.
    """
    names = [c.name for c in contestants]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"pickers to evaluate: {', '.join(names) or 'none'}; each once, please")
    known = truth(dataset)
    if known.labels.empty:
        raise DataError("the dataset has no label to evaluate on")
    tolerances, teller = sorted(tolerances_s), reporter or Silent()
    calm = pd.DataFrame(columns=known.noise.columns)
    results = []
    for one in contestants:
        result, spans = _run(one, dataset, known, validation, noise, tolerances[0], teller)
        results.append(result)
        calm = spans if len(spans) else calm
    every = pd.concat([known.noise, calm], ignore_index=True) if len(calm) else known.noise
    draws = resampling(np.concatenate([known.labels["group"], every["group"]]), n_samples, seed)
    tables = measure(results, known, every, draws, tolerances)
    return Evaluation(**tables, notes=_notes(known, every, dataset))


def _run(
    one: Contestant,
    dataset: WaveformDataset,
    known: Truth,
    validation: WaveformDataset | None,
    noise: Sequence[Noise],
    tolerance_s: float,
    reporter: Reporter,
) -> tuple[Result, pd.DataFrame]:
    thresholds, rule = dict(one.thresholds), "its own"
    if one.settled:
        rule = f"by F1 within 0.1 s on {one.settled}"
    elif validation is not None:
        basis = truth(validation)
        with reporter.track(f"{one.name}: validation traces", len(validation)) as step:
            found = pick_dataset(one.picker, validation, basis, step=step)
        rule = f"by F1 within {tolerance_s:g} s on validation data"
        thresholds |= best_thresholds(basis, found.picks, tolerance_s)
    with reporter.track(f"{one.name}: traces", len(dataset)) as step:
        picked = pick_dataset(one.picker, dataset, known, step=step)
    if noise:
        reporter.say(f"{one.name}: noise")
    calm, spans = pick_noise(one.picker, noise)
    return Result(one.name, picked, calm, thresholds, rule), spans


def best_thresholds(
    known: Truth, picks: pd.DataFrame, tolerance_s: float = TOLERANCES_S[0]
) -> dict[str, float]:
    """Return the thresholds of best F1 on labelled traces, of each phase that has labels.

    Parameters
    ----------
    known
        Their labels.
    picks
        A picker's picks on them, down to `FLOOR`.
    tolerance_s
        Farthest that a hit may lie from its label.
    """
    found = {}
    for phase in "PS":
        labels = phase_of(known.labels, phase)
        if len(labels):
            found[phase] = best_threshold(labels, phase_of(picks, phase), tolerance_s, GRID)[0]
    return found


def _notes(known: Truth, noise: pd.DataFrame, dataset: WaveformDataset) -> tuple[str, ...]:
    hours = float((noise["last_s"] - noise["first_s"]).sum()) / 3600.0
    labels = known.labels["phase"].value_counts()
    return (
        f"{len(dataset)} traces, {labels.get('P', 0)} P and {labels.get('S', 0)} S labels, "
        f"{hours:.2f} h of noise",
        "a hit is a pick of the label's phase within the tolerance; each label and pick used once",
        "an unmatched pick counts as false where labels of its phase are complete: in traces "
        "picked by hand that have one, up to 10 s after the last label; in traces picked "
        "automatically within 1 s of a label; nowhere in traces without a label of its phase",
        "95 % intervals: bootstrap of stations or events within each source, whichever is coarser "
        "and has at least 10",
        *dataset.notes,
    )
