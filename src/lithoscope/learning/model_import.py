"""Models that others trained, made into models of this program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lithoscope.errors import ModelError
from lithoscope.files import storage_error
from lithoscope.learning.cards import (
    Input,
    ModelCard,
    Output,
    Size,
    Thresholds,
    Training,
    Windows,
)
from lithoscope.learning.models import (
    CARD,
    NETWORK,
    default_user_folder,
    packaged_folder,
    save_model,
)
from lithoscope.learning.onnx_export import require_training, to_onnx
from lithoscope.learning.seisbench_models import (
    CITATIONS,
    SIGMAS,
    read_installed,
    read_seisbench,
    rebuild,
)

if TYPE_CHECKING:
    from torch import nn


def import_model(
    source: str | Path, *, name: str | None = None, folder: Path | None = None
) -> tuple[ModelCard, Path]:
    """Turn somebody else's PhaseNet or EQTransformer into a model folder of ours.

    Parameters
    ----------
    source
        One of the two files of a SeisBench model, or their path without ending; or
        ``seisbench:CLASS/WEIGHTS`` for weights that an installed SeisBench finds, such as
        ``seisbench:PhaseNet/stead``; or an ``.npz`` with the variables of PhaseNet's published
        program.
    name
        Name of the new model; default: that of the file.
    folder
        Where its folder is put; default: the user's models.

    Returns
    -------
    card, folder
        The card as written and where it lies.

    Raises
    ------
    ModelError
        If PyTorch or ONNX are missing, the files are damaged, the architecture or an argument is
        not known, or a model of that name exists.
    StorageError
        If a file cannot be read or written.
    """
    require_training()
    text = str(source)
    if text.endswith(".npz"):
        network, card = _released_phasenet(Path(source))
    else:
        foreign = (
            read_installed(text.removeprefix("seisbench:"))
            if text.startswith("seisbench:")
            else read_seisbench(Path(source))
        )
        network, card = rebuild(foreign)
    if name:
        card = ModelCard.parse(card.model_dump() | {"name": name}, where="--name")
    base = folder or default_user_folder()
    target = base / card.name
    if folder is None and (packaged_folder() / card.name).exists():
        raise ModelError(f"a model '{card.name}' comes with the package; choose another name")
    if (target / NETWORK).exists() or (target / CARD).exists():
        raise ModelError(f"'{target}' exists; remove it or choose another name")
    shape = (2, card.input.channels, card.windows.length)
    count = sum(p.numel() for p in network.parameters())
    card = card.model_copy(update={"size": Size(parameters=count)})
    return save_model(card, to_onnx(network, shape), target), target


def _released_phasenet(path: Path) -> tuple[nn.Module, ModelCard]:
    """Return the PhaseNet that its authors published, from its variables as arrays."""
    from lithoscope.learning.networks.phasenet import from_tensorflow

    try:
        with np.load(path, allow_pickle=False) as file:
            network = from_tensorflow({name: file[name] for name in file.files})
    except OSError as error:
        raise storage_error("read", path, error) from None
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"'{path}' is no .npz of plain arrays: {error}") from None
    card = ModelCard(
        name=path.stem,
        family="phasenet",
        description="PhaseNet as its authors published it.",
        licence="MIT (AI4EPS/PhaseNet)",
        citation=CITATIONS["phasenet"],
        known_failures=("as far as its maker states them",),
        training=Training(recipe="trained by its authors on NCEDC records of 1984 to 2018"),
        sigmas=SIGMAS["phasenet"],
        input=Input(components="ENZ", channels=3, preprocessing="std"),
        output=Output(names=("noise", "p", "s")),
        windows=Windows(length=3000, step=1500, reach=3000),
        thresholds=Thresholds(p=0.3, s=0.3, event=0.3),
    )
    return network, card
