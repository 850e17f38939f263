"""One training, and trainings that hold stations out in turn, for figures that none has touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lithoscope.learning.cards import ModelCard, Training
from lithoscope.learning.splits import folds_by_station, site
from lithoscope.learning.training.examples import Example
from lithoscope.learning.training.settings import TrainingSettings
from lithoscope.learning.training.sources import Mixture
from lithoscope.pipeline.calibrate_model import export, program, today
from lithoscope.pipeline.training_settings import TrainSettings
from lithoscope.pipeline.training_sources import dataset_examples, labelled

if TYPE_CHECKING:
    from lithoscope.learning.networks.picknet import PickNet
    from lithoscope.learning.training.loop import Trained


@dataclass(frozen=True)
class Job:
    """What the trainings of one command share.

    Attributes
    ----------
    settings, output
        Configuration, and the folder of the training.
    sources
        All examples.
    start
        Network to start from; None = new weights.
    device
        ``cpu`` or ``cuda``.
    progress
        Told of each step.
    """

    settings: TrainSettings
    output: Path
    sources: Mixture
    start: PickNet | None
    device: str
    progress: Callable[[int, int, str], None] | None

    def train(
        self,
        sources: Mixture,
        followed: Sequence[Example],
        how: TrainingSettings,
        place: Path,
    ) -> tuple[Trained, Path, ModelCard]:
        """Train in ``place`` (or go on there), and export; return weights, folder and card."""
        from lithoscope.learning.networks.picknet import PickNetSettings
        from lithoscope.learning.training.loop import train

        trained = train(
            sources,
            followed,
            how,
            place,
            start=self.start,
            device=self.device,
            progress=self.progress,
        )
        folder = place / self.settings.name
        sizes = PickNetSettings(how.widths, dropout=how.dropout)
        return trained, folder, export(trained.net, self._card(trained.step), folder, sizes)

    def _card(self, step: int) -> ModelCard:
        settings, how = self.settings, self.settings.training
        return ModelCard(
            name=settings.name,
            version=settings.version,
            family="lithoscope",
            description=settings.description,
            licence=settings.licence,
            training=Training(
                data=settings.data,
                splits="test, validation and training share no station (SHA-256 of NET.STA, seed 0)"
                if settings.split is None
                else f"as in {settings.split.name}",
                recipe=f"AdamW, cosine schedule from {how.learning_rate:g}, batches of "
                f"{how.batch_size} windows of {how.window_samples} samples, averaged weights"
                + (f"; fine-tuned from {Path(settings.start).name}" if settings.start else "")
                + (f"; calibrated out of {settings.folds} folds" if settings.folds else ""),
                seed=how.seed,
                steps=step,
                commit=program(),
                date=today(),
            ),
        )


def out_of_fold(job: Job, say: Callable[[str], None]) -> list[tuple[Path, list[Example]]]:
    """Return, for each fold, a model that has not seen its stations, and their traces."""
    pairs = []
    for k in range(job.settings.folds):
        say(f"fold {k + 1} of {job.settings.folds}")
        pairs.append(one_fold(k, job))
    return pairs


def one_fold(k: int, job: Job) -> tuple[Path, list[Example]]:
    """Train without the labelled stations of fold k; return the model and those traces.

    The held-out traces are followed in the learning curve, but choose no weights. What is judged
    there is what the labels say, not what a teacher adds.
    """
    settings = job.settings
    known = [
        (source.path.stem, one)
        for source in settings.sources
        if source.kind == "dataset" and source.path is not None
        for one in dataset_examples(labelled([source.path], source.part, source.split))
    ]
    fold = folds_by_station([(name, one.station) for name, one in known], settings.folds)

    def held_out(one: Example) -> bool:
        return fold[site(one.station)] == k

    traces = [one for _, one in known if held_out(one)]
    how = settings.training.model_copy(update={"keep": "last", "patience": 0})
    place = job.output / f"fold-{k}"
    _, folder, _ = job.train(job.sources.without(held_out), traces, how, place)
    return folder, traces
