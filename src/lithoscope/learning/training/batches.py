"""Batches for training: drawn, augmented, prepared; the same for a step whoever makes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lithoscope.learning.preprocessing import CHANNELS, prepare
from lithoscope.learning.training.augment import augment
from lithoscope.learning.training.examples import N_TARGETS, STEP, Example, targets
from lithoscope.learning.training.settings import TrainingSettings
from lithoscope.learning.training.sources import Mixture

Batch = tuple[Tensor, Tensor, Tensor]


class Batches(Dataset[Batch]):
    """Batch of a step; depends on the seed and the step only.

    Parameters
    ----------
    mixture
        Sources of examples.
    settings
        Size, seed and changes.
    """

    def __init__(self, mixture: Mixture, settings: TrainingSettings) -> None:
        self.mixture = mixture
        self.settings = settings

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, step: int) -> Batch:
        how = self.settings
        rng = np.random.default_rng([how.seed, step])
        n = how.window_samples
        return collate([self._one(rng, n) for _ in range(how.batch_size)])

    def _one(self, rng: np.random.Generator, n: int) -> Example:
        how = self.settings.augmentation
        example = self.mixture.draw(rng, n)
        other = self.mixture.draw(rng, n) if rng.random() < how.overlay else None
        noise = self.mixture.noise(rng, n) if rng.random() < how.noise else None
        # The draws above already decided whether; what was drawn is used.
        always = how.model_copy(update={"overlay": 1.0, "noise": 1.0})
        return augment(example, rng, always, other=other, noise=noise)

    def loader(self, first_step: int) -> Iterator[Batch]:
        """Return batches from a step on, made ahead by ``workers`` processes."""
        steps = range(first_step, self.settings.steps)
        return iter(
            DataLoader(
                self,
                batch_size=None,
                sampler=steps,  # type: ignore[arg-type]
                num_workers=self.settings.workers,
                generator=torch.Generator(),  # leaves the state that dropout draws from alone
                prefetch_factor=4 if self.settings.workers else None,
            )
        )


def collate(examples: list[Example]) -> Batch:
    """Return input ``(b, 6, 1, n)``, targets and weights ``(b, 5, n / 2)``."""
    n = examples[0].n_samples
    x = np.zeros((len(examples), CHANNELS, 1, n), np.float32)
    y = np.zeros((len(examples), N_TARGETS, n // STEP), np.float32)
    w = np.zeros_like(y)
    for i, one in enumerate(examples):
        x[i, :, 0] = prepare(np.ascontiguousarray(one.data, np.float32), one.mask, 0, one.span)
        y[i], w[i] = targets(one)
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(w)
