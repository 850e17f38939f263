"""Configuration of `lithoscope train`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lithoscope.learning.cards import TrainingData
from lithoscope.learning.training.settings import TrainingSettings
from lithoscope.pipeline.training_sources import SourceSettings
from lithoscope.settings import Settings


class TrainSettings(Settings):
    """Configuration of `lithoscope train`."""

    name: str = Field("my-picker", description="Name of the model and of its folder.")
    version: str = Field("1", description="Version of the model.")
    description: str = Field("", description="What the model is for.")
    licence: str = Field("", description="Licence of the weights.")
    training: TrainingSettings = Field(TrainingSettings(), description="How it is trained.")
    sources: tuple[SourceSettings, ...] = Field((), description="Where examples come from.")
    teacher: str = Field(
        "",
        description="Model whose picks label continuous records and fill in missing labels: a "
        "name, a model's folder, or classical.",
    )
    validation: tuple[Path, ...] = Field(
        (), description="Datasets whose validation part chooses the weights and calibrates."
    )
    folds: int = Field(
        0,
        ge=0,
        description="Calibrate out of fold: the stations of the labelled sources are held out in "
        "turn by this many further trainings, whose picks there fit probabilities, sigmas and "
        "thresholds; 0 = calibrate on `validation` alone.",
    )
    split: Path | None = Field(
        None, description="Table of the split of these datasets; default: by station, seed 0."
    )
    noise: tuple[SourceSettings, ...] = Field(
        (),
        description="Records for the rate of false picks; stretches in which the teacher sees "
        "anything are left out.",
    )
    start: str = Field(
        "", description="Model to fine-tune: a name or a model's folder; empty = train from new."
    )
    guard: bool = Field(
        True,
        description="After fine-tuning, compare with the model before on new and old test data.",
    )
    old: tuple[Path, ...] = Field(
        (),
        description="Datasets whose test part must not get worse by fine-tuning; default: "
        "synthetic seismograms.",
    )
    data: tuple[TrainingData, ...] = Field((), description="Sources and licences, for the card.")
