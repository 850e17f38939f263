"""The training loop: one pass through the steps, with checkpoints to go on from."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lithoscope.errors import ConfigError, DataError
from lithoscope.files import replacing
from lithoscope.learning.networks.picknet import PickNet, PickNetSettings
from lithoscope.learning.training.batches import Batches
from lithoscope.learning.training.examples import Example
from lithoscope.learning.training.losses import loss
from lithoscope.learning.training.settings import TrainingSettings
from lithoscope.learning.training.sources import Mixture
from lithoscope.learning.training.validate import outputs, scores

#: Settings that may differ when a run goes on: they change no result.
FREE = {"workers", "threads", "checkpoint_every"}
CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
CURVES = "curves.csv"

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Trained:
    """Result of a training run.

    Attributes
    ----------
    net
        Network with the averaged weights of the best validation, or of the end where there is
        none or ``keep = "last"``.
    step
        Step of these weights.
    score
        Its validation scores.
    stopped_early
        True if the patience ran out.
    """

    net: PickNet
    step: int
    score: dict[str, float]
    stopped_early: bool


def train(
    mixture: Mixture,
    validation: Sequence[Example],
    settings: TrainingSettings,
    folder: Path,
    *,
    start: PickNet | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    stop_at: int | None = None,
) -> Trained:
    """Train a network, or go on where a checkpoint in the folder stands.

    The batch of a step depends on seed and step only, and a checkpoint holds weights, averages,
    optimiser and the random state, so a run in two parts ends like a run in one.

    Parameters
    ----------
    mixture
        Sources of examples.
    validation
        Labelled traces that choose the weights to keep; never the test set.
    settings
        How.
    folder
        Gets ``checkpoint.pt``, ``best.pt`` and ``curves.csv``.
    start
        Network to start from (fine-tuning); default: random weights from the seed.
    device
        ``cpu`` or ``cuda``.
    progress
        Called with step, steps, and a line about the last one.
    stop_at
        Stop (with a checkpoint) before this step: to be continued.

    Raises
    ------
    ConfigError
        If the folder's checkpoint was made with other settings, or there is no such device.
    DataError
        If the loss is no longer a number.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch sees none here; use --device cpu")
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    state = _State.begin(settings, folder, start, device)
    batches = Batches(mixture, settings).loader(state.step)
    last = min(settings.steps, stop_at or settings.steps)
    began = time.monotonic()
    first = state.step
    while state.step < last and not state.finished:
        parts = state.advance(next(batches))
        state.sums.append(parts["loss"])
        if state.step % settings.validate_every == 0 or state.step == settings.steps:
            state.validate(validation)
        if state.step % settings.checkpoint_every == 0 or state.step in (last, settings.steps):
            state.save()
        if progress is not None:
            rate = (state.step - first) / max(time.monotonic() - began, 1e-9)
            left = (last - state.step) / max(rate, 1e-9)
            progress(state.step, settings.steps, f"loss {parts['loss']:.3f}, {left:.0f} s left")
    return state.result()


class _State:
    """Everything that a checkpoint holds."""

    def __init__(self, settings: TrainingSettings, folder: Path, device: str) -> None:
        self.settings = settings
        self.folder = folder
        self.device = device
        self.step = 0
        self.net = PickNet(PickNetSettings(settings.widths, dropout=settings.dropout)).to(device)
        self.average = PickNet(PickNetSettings(settings.widths, dropout=settings.dropout))
        self.average.to(device).requires_grad_(False)
        self.best: dict[str, Any] | None = None
        self.since = 0
        self.finished = False
        self.sums: list[float] = []
        self.curves: list[dict[str, float]] = []
        self.optimiser: torch.optim.AdamW

    @classmethod
    def begin(
        cls, settings: TrainingSettings, folder: Path, start: PickNet | None, device: str
    ) -> _State:
        state = cls(settings, folder, device)
        if start is not None:
            state.net.load_state_dict(start.state_dict())
        state.average.load_state_dict(state.net.state_dict())
        names = settings.trainable
        chosen = [
            p
            for name, p in state.net.named_parameters()
            if not names or any(name.startswith(n) for n in names)
        ]
        if not chosen:
            raise ConfigError(f"trainable = {list(names)} names no part of the network")
        for p in state.net.parameters():
            p.requires_grad_(False)
        for p in chosen:
            p.requires_grad_(True)
        state.optimiser = torch.optim.AdamW(
            chosen, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).exists():
            state.load()
        return state

    def learning_rate(self) -> float:
        """Warm up, then fall as a cosine to a hundredth."""
        how = self.settings
        up = min(1.0, (self.step + 1) / max(how.warm_up_steps, 1))
        along = self.step / max(how.steps, 1)
        return how.learning_rate * up * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along)))

    def advance(self, batch: tuple[torch.Tensor, ...]) -> dict[str, float]:
        x, y, w = (t.to(self.device) for t in batch)
        self.net.train()
        self._freeze_statistics()
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        value, parts = loss(
            self.net(x)[:, :, 0],
            y,
            w,
            event_weight=self.settings.event_weight,
            timing_weight=self.settings.timing_weight,
        )
        if not np.isfinite(parts["loss"]):
            raise DataError(
                f"the loss is not a number at step {self.step}; lower learning_rate "
                f"({self.settings.learning_rate:g}) or look for bad examples"
            )
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self._follow()
        return parts

    def _freeze_statistics(self) -> None:
        """Batch normalisation of frozen parts keeps its statistics."""
        names = self.settings.trainable
        if not names:
            return
        for name, module in self.net.named_modules():
            frozen = not any(name.startswith(n) for n in names)
            if isinstance(module, torch.nn.BatchNorm2d) and frozen:
                module.eval()

    @torch.no_grad()
    def _follow(self) -> None:
        # A young average follows closely.
        keep = min(self.settings.average, (1 + self.step) / (10 + self.step))
        new = self.net.state_dict()
        for key, value in self.average.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(new[key], 1.0 - keep)
            else:
                value.copy_(new[key])

    def validate(self, validation: Sequence[Example]) -> None:
        row: dict[str, float] = {
            "step": self.step,
            "loss": float(np.mean(self.sums)) if self.sums else float("nan"),
            "learning_rate": self.learning_rate(),
        }
        self.sums = []
        if validation:
            cpu = self.average.to("cpu")
            row |= scores(outputs(cpu, validation), validation)
            self.average.to(self.device)
        self.curves.append(row)
        if "score" in row and (self.best is None or row["score"] > self.best["score"]["score"]):
            weights = {k: v.cpu().clone() for k, v in self.average.state_dict().items()}
            self.best = {"step": self.step, "score": row, "net": weights}
            self.since = 0
        else:
            self.since += 1
        self.finished = 0 < self.settings.patience <= self.since
        self._write_curves()

    def _write_curves(self) -> None:
        columns = list(dict.fromkeys(k for row in self.curves for k in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.curves)
        with replacing(self.folder / CURVES) as path:
            path.write_text(text.getvalue())

    def key(self) -> str:
        """Return a digest of the settings that must agree to go on."""
        what = self.settings.model_dump(mode="json", exclude=FREE)
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def save(self) -> None:
        content = {
            "key": self.key(),
            "step": self.step,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "best": self.best,
            "since": self.since,
            "finished": self.finished,
            "sums": self.sums,
            "curves": self.curves,
        }
        with replacing(self.folder / CHECKPOINT) as path:
            torch.save(content, path)

    def load(self) -> None:
        path = self.folder / CHECKPOINT
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
        except (
            OSError,
            RuntimeError,
            EOFError,
            ValueError,
            KeyError,
            pickle.UnpicklingError,
        ) as error:
            raise DataError(f"{path}: no readable checkpoint; delete it to start anew") from error
        if content["key"] != self.key():
            raise ConfigError(
                f"{path} was made with other settings; choose another output folder or delete it"
            )
        self.step = content["step"]
        self.net.load_state_dict(content["net"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        torch.set_rng_state(content["random"].cpu())
        self.best, self.since = content["best"], content["since"]
        self.finished, self.sums = content["finished"], content["sums"]
        self.curves = content["curves"]

    def result(self) -> Trained:
        net = PickNet(PickNetSettings(self.settings.widths, dropout=self.settings.dropout))
        if self.best is None or self.settings.keep == "last":
            net.load_state_dict({k: v.cpu() for k, v in self.average.state_dict().items()})
            score = self.curves[-1] if self.curves and self.best is not None else {}
            return Trained(net.eval(), self.step, score, self.finished)
        net.load_state_dict(self.best["net"])
        return Trained(net.eval(), self.best["step"], self.best["score"], self.finished)
