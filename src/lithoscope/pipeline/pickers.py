"""The picker, as the configuration names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lithoscope.errors import ConfigError, ModelError
from lithoscope.learning.models import find_model, list_models
from lithoscope.picking import (
    ClassicalPicker,
    ClassicalPickerSettings,
    CombinedPicker,
    LearnedPicker,
    LearnedPickerSettings,
    Picker,
)
from lithoscope.picking.windowed import WindowedPicker, trained_picker
from lithoscope.settings import Settings

# How a picker cuts its work; no result depends on it.
_WITHOUT_EFFECT = {"chunk_s", "batch", "threads"}
# What a model's card says about the model rather than to the picker.
_TOLD_ONLY = {"description", "licence", "citation", "known_failures", "size", "training", "scores"}


class PickingSettings(Settings):
    """Which picker works, and the settings of each."""

    method: Literal["classical", "learned", "both"] = Field(
        "learned",
        description="Picker: learned, classical, or both: the learned one, and the classical one "
        "where the first has no pick within 0.5 s; for small networks.",
    )
    model: str = Field(
        "lithopick",
        description="Trained model of the learned picker: a name that `lithoscope models list` "
        "shows, or the folder of a model.",
    )
    classical: ClassicalPickerSettings = Field(
        ClassicalPickerSettings(), description="Classical picker."
    )
    learned: LearnedPickerSettings = Field(LearnedPickerSettings(), description="Learned picker.")


def make_picker(settings: PickingSettings) -> Picker:
    """Return the picker that the settings name.

    Raises
    ------
    ConfigError
        If a learned picker is wanted and no model is named.
    ModelError
        If there is no such model, or it is damaged or made for something else.
    """
    if settings.method == "classical":
        return ClassicalPicker(settings.classical)
    if not settings.model:
        names = [listed.name for listed in list_models()]
        known = ", ".join(names) or "none; `lithoscope train` makes one"
        raise ConfigError(
            "picking.method = 'learned' needs a model in picking.model: a model's folder, or one "
            f"of the models there are ({known})"
        )
    learned = trained_picker(settings.model, settings.learned)
    if settings.method == "both":
        return CombinedPicker(learned, ClassicalPicker(settings.classical))
    return learned


def picker_key(settings: PickingSettings, picker: Picker) -> dict[str, Any]:
    """Return what identifies the results of a picker made from these settings.

    A trained model counts by the content of its network and by what its card says to the picker,
    not by its name or place.
    """

    def part(settings: Settings, left_out: set[str]) -> dict[str, Any]:
        return settings.model_dump(mode="json", exclude=left_out)

    if isinstance(picker, CombinedPicker):
        keys = [picker_key(settings, one) for one in (picker.first, picker.second)]
        return {"picker": picker.name, "first": keys[0], "second": keys[1]}
    if not isinstance(picker, LearnedPicker | WindowedPicker):
        return {"picker": picker.name, "settings": part(settings.classical, _WITHOUT_EFFECT)}
    return {
        "picker": picker.name,
        "settings": part(settings.learned, _WITHOUT_EFFECT),
        "network": picker.model.network.sha256,
        "card": part(picker.model.card, _TOLD_ONLY),
    }


def with_picker(choice: str) -> dict[str, str]:
    """Return the settings of group ``picking`` for a user's word: a method, or a model.

    ``classical``, ``learned`` and ``both`` are methods; anything else is the name or folder of a
    model.

    Raises
    ------
    ConfigError
        If it is none of them.
    """
    if choice in ("classical", "learned", "both"):
        return {"method": choice}
    try:
        find_model(choice)
    except ModelError as error:
        raise ConfigError(
            f"the picker is 'classical', 'learned', 'both' or a model: {error}"
        ) from None
    return {"method": "learned", "model": absolute_model(choice, Path())}


def absolute_model(model: str, base: Path) -> str:
    """Return a model's folder as an absolute path, and a model's name as it is."""
    folder = base / model
    return str(folder.resolve()) if model and folder.exists() else model
