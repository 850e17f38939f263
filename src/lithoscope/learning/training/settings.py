"""Settings of a training run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lithoscope.learning.training.augment import AugmentationSettings
from lithoscope.settings import Settings


class TrainingSettings(Settings):
    """How a network is trained; the sources of examples are given beside it."""

    widths: tuple[int, int, int, int] = Field(
        (16, 32, 64, 128), description="Channels of the network's four levels, the finest first."
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout at the lowest level.")
    seed: int = Field(0, ge=0, description="Seed of the start weights and of every example drawn.")
    steps: int = Field(4000, ge=1, description="Optimiser steps in all.")
    batch_size: int = Field(64, ge=1, description="Windows a step.")
    window_samples: int = Field(
        4096, ge=1024, multiple_of=128, description="Length of a window at 100 Hz."
    )
    learning_rate: float = Field(3e-3, gt=0, description="Largest learning rate (AdamW).")
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay.")
    warm_up_steps: int = Field(100, ge=0, description="Steps until the largest learning rate.")
    average: float = Field(
        0.998, ge=0, lt=1, description="Memory of the running average of weights that is kept."
    )
    event_weight: float = Field(0.15, ge=0, description="Weight of the event output's loss.")
    timing_weight: float = Field(0.02, ge=0, description="Weight of the timing loss.")
    validate_every: int = Field(250, ge=1, description="Steps between validations.")
    patience: int = Field(
        0, ge=0, description="Validations without improvement before stopping; 0 = never stop."
    )
    keep: Literal["best", "last"] = Field(
        "best", description="Weights kept: of the best validation, or of the last step."
    )
    checkpoint_every: int = Field(250, ge=1, description="Steps between checkpoints.")
    workers: int = Field(0, ge=0, le=16, description="Processes that prepare examples; 0 = none.")
    threads: int = Field(1, ge=1, le=64, description="Threads of PyTorch on the CPU.")
    augmentation: AugmentationSettings = Field(
        default=AugmentationSettings(), description="Changes made to examples."
    )
    trainable: tuple[str, ...] = Field(
        (), description="Parts of the network that may change (names begin so); empty = all."
    )
