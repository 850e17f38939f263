"""Model cards: what a trained model takes and gives, where it comes from, how good it is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from lithoscope.errors import ModelError
from lithoscope.files import replacing, storage_error
from lithoscope.learning.calibration import Calibration
from lithoscope.settings import Settings

Family = Literal["lithoscope", "phasenet", "eqtransformer"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Input(Settings):
    """What the network takes."""

    rate_hz: float = Field(100.0, gt=0, description="Sampling rate of the samples (Hz).")
    components: str = Field("ZNE", description="Order of the components, such as ZNE or ENZ.")
    channels: int = Field(3, gt=0, description="Channels of the network's input.")
    preprocessing: str = Field(
        "", description="Lithoscope's own by its name, or what a window is divided by: std, peak."
    )
    detrend: bool = Field(False, description="A line is taken out of a window, not only its mean.")
    together: bool = Field(
        False, description="One std or peak for all components instead of one each."
    )
    taper_samples: int = Field(0, ge=0, description="Cosine taper at both ends of a window.")

    @field_validator("components")
    @classmethod
    def _letters(cls, value: str) -> str:
        if sorted(value) != ["E", "N", "Z"]:
            raise ValueError("must name Z, N and E once each, such as ZNE")
        return value


class Output(Settings):
    """What the network gives."""

    names: tuple[str, ...] = Field((), description="Outputs (classes) in the network's order.")
    stride: int = Field(1, gt=0, description="Input samples for one output sample.")


class Windows(Settings):
    """How the network is led over a record."""

    length: int = Field(0, ge=0, description="Samples in a window; 0 = any length.")
    step: int = Field(0, ge=0, description="Samples from window to window; 0 = any length.")
    blinding: tuple[int, int] = Field(
        (0, 0), description="Samples at the start and end of a window that are not used."
    )
    stacking: Literal["mean", "maximum"] = Field(
        "mean", description="How outputs of overlapping windows are combined."
    )
    align: int = Field(1, gt=0, description="Cuts lie at multiples of this, counted from 1970.")
    reach: int = Field(
        0, ge=0, description="Input samples before and after that an output depends on."
    )

    @model_validator(mode="after")
    def _overlap(self) -> Windows:
        if self.length and not 0 < self.step <= self.length - sum(self.blinding):
            raise ValueError(
                f"windows of {self.length} samples with {sum(self.blinding)} blinded, every "
                f"{self.step} samples, leave holes"
            )
        return self


class Thresholds(Settings):
    """Probabilities from which on picks and detections are made."""

    p: float = Field(0.3, ge=0, le=1, description="P picks.")
    s: float = Field(0.3, ge=0, le=1, description="S picks.")
    event: float = Field(0.3, ge=0, le=1, description="Detections.")
    false_p_per_hour: float | None = Field(
        None, ge=0, description="False P picks per station-hour of noise at that threshold."
    )
    false_s_per_hour: float | None = Field(
        None, ge=0, description="False S picks per station-hour of noise at that threshold."
    )
    best_p: float | None = Field(
        None, ge=0, le=1, description="P: of the best F1 within 0.1 s where this model was judged."
    )
    best_s: float | None = Field(None, ge=0, le=1, description="The same for S.")
    best_on: str = Field("", description="What these two were chosen on.")


class Sigmas(Settings):
    """Time uncertainty of a network that gives none itself (1 sigma)."""

    p_s: float = Field(0.0, ge=0, description="P picks (s); 0 = the network gives sigmas.")
    s_s: float = Field(0.0, ge=0, description="S picks (s); 0 = the network gives sigmas.")
    source: str = Field("", description="Where the figures come from.")


class TrainingData(Settings):
    """One source of training data."""

    name: str = Field("", description="Data set.")
    kind: str = Field("", description="synthetic, manual, automatic, teacher, noise, ...")
    amount: str = Field("", description="Traces or hours.")
    licence: str = Field("", description="Licence of the data.")
    source: str = Field("", description="Citation or address.")


class Training(Settings):
    """How the model came about."""

    data: tuple[TrainingData, ...] = Field((), description="Sources, largest first.")
    splits: str = Field("", description="How training, validation and test were kept apart.")
    recipe: str = Field("", description="Loss, optimiser, augmentation, steps, in words.")
    configuration: str = Field("", description="File of settings or command to repeat it.")
    seed: int | None = Field(None, description="Seed of all random numbers.")
    steps: int | None = Field(None, ge=0, description="Steps of the optimiser.")
    commit: str = Field("", description="Version of the program that trained it.")
    date: str = Field("", description="Day of training, YYYY-MM-DD.")


class Score(Settings):
    """One measured figure with its 95 % interval."""

    dataset: str = Field(description="Data set and part of it (test, validation).")
    phase: Literal["P", "S", "event"] = Field(description="What was picked.")
    measure: str = Field(
        description="precision, recall, f1, residual_median_s, residual_mad_s, "
        "false_per_hour, sigma_68_percent, ..."
    )
    tolerance_s: float | None = Field(None, gt=0, description="Farthest a hit lies away (s).")
    value: float = Field(description="The figure.")
    low: float | None = Field(None, description="Lower end of its 95 % interval.")
    high: float | None = Field(None, description="Upper end of its 95 % interval.")
    n: int | None = Field(None, ge=0, description="Labels or hours behind it.")


class Size(Settings):
    """What the model costs."""

    parameters: int | None = Field(None, ge=0, description="Trained numbers.")
    file_bytes: int | None = Field(None, ge=0, description="Size of the ONNX file.")
    operations_per_station_day: float | None = Field(
        None, ge=0, description="Floating-point operations for 24 h of three components."
    )
    cpu_s_per_station_day: float | None = Field(
        None, ge=0, description="CPU seconds of one core for them, network only."
    )
    machine: str = Field("", description="Where that was measured.")


class ModelCard(Settings):
    """Everything a user of a model must know, beside its ONNX file as ``card.toml``."""

    name: str = Field(description="Name, also of its folder.")
    version: str = Field("1", description="Version; part of the column `model` of pick tables.")
    family: Family = Field(description="What runs it: lithoscope, phasenet or eqtransformer.")
    sha256: str = Field("", description="Digest of the ONNX file.")
    description: str = Field("", description="What it is for, in a sentence or two.")
    licence: str = Field("", description="Licence of the weights.")
    citation: str = Field("", description="What to cite.")
    known_failures: tuple[str, ...] = Field((), description="Where it is known to fail.")
    input: Input = Field(Input(), description="What the network takes.")
    output: Output = Field(Output(), description="What the network gives.")
    windows: Windows = Field(Windows(), description="How it is led over a record.")
    thresholds: Thresholds = Field(Thresholds(), description="From where on picks are made.")
    sigmas: Sigmas = Field(Sigmas(), description="Time uncertainty where the network has none.")
    size: Size = Field(Size(), description="What it costs.")
    training: Training = Field(Training(), description="How it came about.")
    calibration: Calibration = Field(
        Calibration(), description="Raw output to probability and sigma."
    )
    scores: tuple[Score, ...] = Field((), description="Measured figures.")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("letters, digits, '.', '_' and '-', beginning with a letter or digit")
        return value

    @property
    def title(self) -> str:
        """Name and version, as pick tables show them."""
        return f"{self.name}-{self.version}"


def read_card(path: Path | str) -> ModelCard:
    """Return the card of a TOML file.

    Raises
    ------
    StorageError
        If there is no such file or it cannot be read.
    ModelError
        If it is not TOML.
    ConfigError
        If a key is unknown, missing or out of range.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_error("read the model card", path, error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: the model card is no TOML: {error}") from None
    card: ModelCard = ModelCard.parse(values, where=str(path))
    return card


def write_card(card: ModelCard, path: Path | str) -> None:
    """Write the card as TOML; what is not known is left out."""
    with replacing(Path(path)) as part:
        part.write_text(render_card(card), encoding="utf-8")


def render_card(card: ModelCard) -> str:
    """Return the card as TOML; what is not known is left out."""
    return "\n".join(_table("", card.model_dump(exclude_none=True))).strip() + "\n"


def _table(prefix: str, values: dict[str, Any]) -> list[str]:
    """Return the lines of a table: plain values first, then tables, then lists of tables."""
    lines, below = [], []
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            inner = _table(name, value)
            if inner:
                below += ["", f"[{name}]", *inner] if inner[0] else inner
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            for row in value:
                below += ["", f"[[{name}]]", *_table(name, row)]
        elif value not in ("", ()):
            lines.append(f"{key} = {_value(value)}")
    return lines + below


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML's basic strings have JSON's escapes, and want DEL escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    return repr(value)
