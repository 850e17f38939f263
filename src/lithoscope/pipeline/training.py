"""`lithoscope train`: configuration in, a calibrated model with its card out."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lithoscope.errors import ConfigError
from lithoscope.files import replacing, storage_error
from lithoscope.learning.cards import ModelCard
from lithoscope.learning.models import find_model, load_model
from lithoscope.learning.onnx_export import require_training
from lithoscope.learning.training.examples import Example
from lithoscope.picking import ClassicalPicker, LearnedPicker, Picker
from lithoscope.picking.windowed import WindowedPicker
from lithoscope.pipeline.calibrate_model import calibrate
from lithoscope.pipeline.training_folds import Job, one_fold, out_of_fold
from lithoscope.pipeline.training_settings import TrainSettings
from lithoscope.pipeline.training_sources import (
    SourceSettings,
    dataset_examples,
    labelled,
    mixture,
    noise_records,
    synthetic_examples,
)

if TYPE_CHECKING:
    from lithoscope.learning.networks.picknet import PickNet

#: Traces of the synthetic test set that stands for old data where none is named.
SYNTHETIC_TEST = 400
_SYNTHETIC_SEED = 20_201


@dataclass(frozen=True)
class Outcome:
    """What `train_model` made.

    Attributes
    ----------
    folder
        The model.
    card
        Its card.
    step, score
        Step of the weights kept, and their validation scores.
    guard
        After fine-tuning: ``test`` (new, old), ``phase``, ``before``, ``after`` (F1 within
        0.1 s); None otherwise.
    recommended
        False if fine-tuning lost more on old data than it won on new.
    """

    folder: Path
    card: ModelCard
    step: int
    score: dict[str, float]
    guard: pd.DataFrame | None
    recommended: bool


def load_training(path: Path) -> TrainSettings:
    """Read the TOML configuration of a training; paths in it are relative to its folder.

    Raises
    ------
    ConfigError
        If it cannot be read, or holds an unknown key or a value out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_error("read the configuration", path, error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    settings: TrainSettings = TrainSettings.parse(values, where=str(path))
    return _resolved(settings, path.parent)


def train_model(
    settings: TrainSettings,
    output: Path,
    *,
    device: str = "cpu",
    progress: Callable[[int, int, str], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Train (or go on training), calibrate and export a model.

    Parameters
    ----------
    settings
        The configuration.
    output
        Folder of the training: checkpoint, learning curves, and the model in a folder of its
        name.
    device
        ``cpu`` or ``cuda``.
    progress
        Told of each step.
    say
        Told of each stage.

    Raises
    ------
    ModelError
        If PyTorch and ONNX are not installed, or a model cannot be loaded.
    ConfigError, DataError
        If the configuration or the data are of no use.
    """
    require_training()
    start = _first_weights(settings)
    guarded = start is not None and settings.guard
    if guarded and not any(_new_tests(s) for s in settings.sources):
        raise ConfigError(
            "fine-tuning needs test records of the new data: no dataset among the sources has a "
            "test part; add stations, or name a table with `split`"
        )
    say("loading sources")
    teacher = _teacher(settings.teacher)
    job = Job(settings, output, mixture(settings.sources, teacher), start, device, progress)
    validation = _examples(settings.validation, "validation", settings.split)
    judged = out_of_fold(job, say)
    say(f"training {settings.training.steps} steps; {len(validation)} validation traces")
    trained, folder, card = job.train(job.sources, validation, settings.training, output)
    say("calibrating")
    judged = judged or ([(folder, validation)] if validation else [])
    if judged:
        noise = noise_records(settings.noise, teacher)
        seed = settings.training.seed
        card = calibrate(folder, judged, noise, mixture=job.sources, seed=seed)
    guard = _guard(settings, folder, say) if guarded else None
    kept = guard is None or _won(guard)
    return Outcome(folder, card, trained.step, trained.score, guard, kept)


def train_fold(
    settings: TrainSettings,
    output: Path,
    fold: int,
    *,
    device: str = "cpu",
    progress: Callable[[int, int, str], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Train one fold only, so that several can be trained side by side; return its model.

    `train_model` on the same folder then finds it done.

    Raises
    ------
    ConfigError
        If there is no such fold; else as `train_model`.
    """
    require_training()
    if not 0 <= fold < settings.folds:
        raise ConfigError(f"fold {fold}: the configuration has folds = {settings.folds}, from 0 on")
    start = _first_weights(settings)
    say("loading sources")
    sources = mixture(settings.sources, _teacher(settings.teacher))
    return one_fold(fold, Job(settings, output, sources, start, device, progress))[0]


def _first_weights(settings: TrainSettings) -> PickNet | None:
    """Return the network that a training starts from, None for new weights."""
    from lithoscope.learning.training.weights import read_weights

    return read_weights(find_model(settings.start)) if settings.start else None


def _examples(paths: Sequence[Path], part: str, split: Path | None) -> list[Example]:
    return dataset_examples(labelled(paths, part, split)) if paths else []


def _teacher(name: str) -> Picker | None:
    if not name:
        return None
    if name == "classical":
        return ClassicalPicker()
    model = load_model(name)
    return LearnedPicker(model) if model.card.family == "lithoscope" else WindowedPicker(model)


def _guard(settings: TrainSettings, folder: Path, say: Callable[[str], None]) -> pd.DataFrame:
    """Score the model before and after fine-tuning on new and on old test data."""
    from lithoscope.learning.training.validate import outputs, scores
    from lithoscope.learning.training.weights import read_weights

    say("comparing with the model before fine-tuning")
    fresh = [e for s in settings.sources if s.path for e in _new_tests(s)]
    old = _examples(settings.old, "test", None) or synthetic_test()
    before, after = read_weights(find_model(settings.start)), read_weights(folder)
    rows = []
    for name, examples in (("new", fresh), ("old", old)):
        for net, column in ((before, "before"), (after, "after")):
            result = scores(outputs(net, examples), examples)
            rows += [(name, k, column, result.get(f"{k.lower()}_f1")) for k in "PS"]
    table = pd.DataFrame(rows, columns=["test", "phase", "when", "f1"])
    wide = table.pivot(index=["test", "phase"], columns="when", values="f1").reset_index()
    return wide[["test", "phase", "before", "after"]].rename_axis(columns=None)


def _new_tests(source: SourceSettings) -> list[Example]:
    """Return the test part of a source of labelled traces; empty if it has none."""
    if source.kind != "dataset" or source.path is None:
        return []
    whole = labelled([source.path], None, source.split)
    rows = whole.metadata["split"] == "test"
    return dataset_examples(whole.subset(rows.to_numpy())) if rows.any() else []


def synthetic_test() -> list[Example]:
    """Return the fixed synthetic seismograms that stand for old data."""
    return synthetic_examples(np.random.default_rng(_SYNTHETIC_SEED), SYNTHETIC_TEST)


def _won(guard: pd.DataFrame) -> bool:
    """Return True if the mean gain on new data is above zero and above the mean loss on old."""
    change = (guard["after"] - guard["before"]).groupby(guard["test"]).mean()
    gain, loss = float(change.get("new", 0.0)), -float(change.get("old", 0.0))
    return gain > 0.0 and gain >= loss


def _resolved(settings: TrainSettings, folder: Path) -> TrainSettings:
    def at(path: Path | None) -> Path | None:
        return path if path is None else folder / path

    def source(one: SourceSettings) -> SourceSettings:
        return one.model_copy(update={"path": at(one.path), "split": at(one.split)})

    update: dict[str, Any] = {
        "sources": tuple(source(s) for s in settings.sources),
        "noise": tuple(source(s) for s in settings.noise),
        "validation": tuple(folder / p for p in settings.validation),
        "old": tuple(folder / p for p in settings.old),
        "split": at(settings.split),
    }
    for key in ("teacher", "start"):
        name = getattr(settings, key)
        if name and (folder / name).is_dir():
            update[key] = str(folder / name)
    return settings.model_copy(update=update)


def write_guard(guard: pd.DataFrame, folder: Path) -> None:
    """Write the table of the guard as CSV into a model's folder."""
    with replacing(folder / "guard.csv") as part:
        guard.to_csv(part, index=False, float_format="%.4f")
