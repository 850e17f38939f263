"""Find trained models, those of the package and the user's own, and load them with their cards.

A model is a folder with `model.onnx` and `card.toml`. Packaged ones lie in ``picking/models`` of
the package; the user's in the folders named by the environment variable LITHOSCOPE_MODELS, and
in ``lithoscope/models`` under XDG_DATA_HOME (``~/.local/share``).
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import lithoscope
from lithoscope.errors import LithoscopeError, ModelError
from lithoscope.files import replacing, storage_error
from lithoscope.learning import preprocessing
from lithoscope.learning.cards import ModelCard, read_card, write_card
from lithoscope.learning.runtime import OnnxModel, cached_model

#: Files of a model's folder.
NETWORK, CARD = "model.onnx", "card.toml"
#: Environment variable with folders of models, separated as in PATH.
VARIABLE = "LITHOSCOPE_MODELS"


@dataclass(frozen=True)
class Model:
    """A loaded model: its card, its network and where they come from."""

    card: ModelCard
    network: OnnxModel
    folder: Path


@dataclass(frozen=True)
class Listed:
    """One entry of `list_models`."""

    name: str
    folder: Path
    packaged: bool
    card: ModelCard | None
    problem: str


def packaged_folder() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(lithoscope.__file__).parent / "picking" / "models"


def user_folders() -> list[Path]:
    """Return the folders of the user's models; the last one is where imports are put."""
    named = [Path(p) for p in os.environ.get(VARIABLE, "").split(os.pathsep) if p]
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return [*named, Path(data) / "lithoscope" / "models"]


def default_user_folder() -> Path:
    """Return where an imported model is put: the first user folder."""
    return user_folders()[0]


def list_models() -> list[Listed]:
    """Return all models, packaged ones first, each with its card or why it cannot be read."""
    found: dict[str, Listed] = {}
    for base in [packaged_folder(), *user_folders()]:
        folders = sorted(base.iterdir()) if base.is_dir() else []
        for folder in folders:
            if not (folder / NETWORK).exists() and not (folder / CARD).exists():
                continue
            if folder.name in found:
                continue
            card, problem = None, ""
            try:
                card = _card(folder)
            except LithoscopeError as error:
                problem = str(error)
            packaged = base == packaged_folder()
            found[folder.name] = Listed(folder.name, folder, packaged, card, problem)
    return list(found.values())


def find_model(name_or_path: str | Path) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    name_or_path
        Name of a packaged or user's model, or the path of a model's folder or of a file in it.

    Raises
    ------
    ModelError
        If there is none; the message names those there are.
    """
    path = Path(name_or_path)
    if path.name in (NETWORK, CARD) and path.is_file():
        return path.parent
    if (path / NETWORK).is_file() or (path / CARD).is_file():
        return path
    for base in [packaged_folder(), *user_folders()]:
        folder = base / str(name_or_path)
        if path.parent == Path() and ((folder / NETWORK).is_file() or (folder / CARD).is_file()):
            return folder
    if path.exists():
        raise ModelError(f"'{path}' holds no model; a model is a folder with {NETWORK} and {CARD}")
    known = ", ".join(m.name for m in list_models()) or "none"
    raise ModelError(f"no model '{name_or_path}'; there are: {known} (or give a model's folder)")


def load_model(name_or_path: str | Path, *, threads: int = 1) -> Model:
    """Load a model, check it against its card, and return it.

    Networks are loaded once in a process (`cached_model`).

    Parameters
    ----------
    name_or_path
        As in `find_model`.
    threads
        Threads that one call of the network may use.

    Raises
    ------
    ModelError
        If there is no such model, its card or network is missing or damaged, the network is not
        the one of the card (digest), takes another number of channels, or is a network of this
        program made for another rate or preprocessing.
    """
    folder = find_model(name_or_path)
    card = _card(folder)
    path = folder / NETWORK
    if not path.is_file():
        raise ModelError(f"'{folder}' has a card but no {NETWORK}; copy the whole folder again")
    network = cached_model(path, threads)
    if card.sha256 and network.sha256 != card.sha256:
        raise ModelError(
            f"'{path}' is not the network its card describes (SHA-256 {network.sha256[:12]}..., "
            f"card {card.sha256[:12]}...); copy the whole folder again"
        )
    _check(card, network, folder)
    return Model(card, network, folder)


def save_model(card: ModelCard, network: bytes | Path, folder: Path) -> ModelCard:
    """Write a model's folder; the digest and size of the network are put on the card.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    ModelError
        If the network cannot be loaded or does not fit the card; nothing is written then.
    StorageError
        If the folder cannot be written.
    """
    loaded = OnnxModel(network)
    size = card.size.model_copy(update={"file_bytes": len(loaded.content)})
    card = card.model_copy(update={"sha256": loaded.sha256, "size": size})
    _check(card, loaded, folder)
    with replacing(folder / NETWORK) as part:
        part.write_bytes(loaded.content)
    write_card(card, folder / CARD)
    return card


def export_model(name_or_path: str | Path, folder: Path) -> Path:
    """Copy a model's files into ``folder/NAME``, for another computer or program.

    Raises
    ------
    ModelError
        If the model is damaged, or the place is taken.
    StorageError
        If it cannot be written.
    """
    model = load_model(name_or_path)
    target = folder / model.card.name
    if target.exists():
        raise ModelError(f"'{target}' exists; remove it or choose another folder")
    try:
        target.mkdir(parents=True)
        for name in (NETWORK, CARD):
            shutil.copyfile(model.folder / name, target / name)
    except OSError as error:
        raise storage_error("write", target, error) from None
    return target


def _card(folder: Path) -> ModelCard:
    if not (folder / CARD).is_file():
        raise ModelError(
            f"'{folder}' has no {CARD}; without it nothing is known about rate, components or "
            "thresholds: copy the whole folder, or use `lithoscope models import`"
        )
    return read_card(folder / CARD)


def _check(card: ModelCard, network: OnnxModel, folder: Path) -> None:
    """Refuse a network that does not fit its card, or a card that does not fit this program."""
    shape = network.input_shape
    if len(shape) < 3 or shape[1] != card.input.channels:
        raise ModelError(
            f"'{folder}': the network takes {shape[1] if len(shape) > 1 else 'no'} channels, its "
            f"card says {card.input.channels}; network and card do not belong together"
        )
    if card.family != "lithoscope":
        if not card.windows.length:
            raise ModelError(
                f"'{folder}': the card of a {card.family} model must state windows.length"
            )
        return
    if card.input.rate_hz != preprocessing.RATE_HZ:
        raise ModelError(
            f"'{folder}': made for {card.input.rate_hz:g} Hz; models of this family run at "
            f"{preprocessing.RATE_HZ:g} Hz (records are resampled to it): train it again"
        )
    ours = (preprocessing.NAME, preprocessing.CHANNELS)
    if (card.input.preprocessing, card.input.channels) != ours:
        raise ModelError(
            f"'{folder}': made for preprocessing '{card.input.preprocessing}' with "
            f"{card.input.channels} channels; this version has '{ours[0]}' with {ours[1]}: "
            "use the version that trained it, or train it again"
        )
