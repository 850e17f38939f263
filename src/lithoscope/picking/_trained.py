"""What every picker that runs a trained model has: the model, its thresholds, what it can read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lithoscope.errors import ConfigError
from lithoscope.learning.calibration import Curve, calibrated, threshold
from lithoscope.learning.models import Model, load_model
from lithoscope.picking._tables import unusable
from lithoscope.picking.settings import LearnedPickerSettings
from lithoscope.waveforms import Record


class TrainedPicker:
    """A model with the thresholds in force; `LearnedPicker` and `WindowedPicker` run it.

    Parameters
    ----------
    model
        Name of a model, its folder, or a loaded one.
    settings
        Thresholds and how the work is cut.

    Raises
    ------
    ModelError
        If there is no such model.
    ConfigError
        If a rate of false picks is wanted that was not measured for this model.
    """

    def __init__(
        self, model: Model | Path | str, settings: LearnedPickerSettings | None = None
    ) -> None:
        self.settings = settings or LearnedPickerSettings()
        self.model = (
            model if isinstance(model, Model) else load_model(model, threads=self.settings.threads)
        )
        self.name = self.model.card.title
        self.sampling_rate_hz = self.model.card.input.rate_hz
        self.thresholds = thresholds_of(self.model, self.settings)

    def unusable(self, record: Record) -> str | None:
        """Return why nothing can be picked on a record, or None.

        Such a record gives empty tables; this is the sentence to show for it.
        """
        return unusable(record)


def thresholds_of(model: Model, settings: LearnedPickerSettings) -> tuple[float, float, float]:
    """Return the thresholds in force: given ones, else by rate of false picks, else the card's."""
    card = model.card
    values = [card.thresholds.p, card.thresholds.s]
    rate = settings.false_picks_per_hour
    given = (settings.p_threshold, settings.s_threshold)
    for k, phase in enumerate("PS"):
        own = given[k]
        if own is not None:
            values[k] = own
        elif rate is not None:
            curve: Curve = (card.calibration.p, card.calibration.s)[k].threshold
            try:
                values[k] = threshold(curve, rate, what=f"{phase} picks")
            except ConfigError as error:
                raise ConfigError(f"model '{card.name}': {error}") from None
    for k, phase in enumerate("PS"):
        curve = (card.calibration.p, card.calibration.s)[k].probability
        most = float(calibrated(curve, np.inf))
        if values[k] > most:
            raise ConfigError(
                f"model '{card.name}': no {phase} pick reaches a probability of {values[k]:g}; "
                f"the largest this model gives is {most:.4g}: choose a lower threshold"
            )
    event = card.thresholds.event if settings.event_threshold is None else settings.event_threshold
    return values[0], values[1], event
