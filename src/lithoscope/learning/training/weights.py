"""The weights of a network beside its ONNX file: what fine-tuning starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lithoscope.errors import DataError
from lithoscope.learning.networks.picknet import PickNet, PickNetSettings

#: File in a model's folder.
WEIGHTS = "weights.npz"


def write_weights(net: PickNet, settings: PickNetSettings, folder: Path) -> None:
    """Write ``weights.npz`` into a model's folder."""
    arrays = {k: v.detach().cpu().numpy() for k, v in net.state_dict().items()}
    np.savez_compressed(folder / WEIGHTS, widths=np.array(settings.widths), **arrays)


def read_weights(folder: Path) -> PickNet:
    """Return the network that ``weights.npz`` of a model's folder holds.

    Raises
    ------
    DataError
        If there is no such file or it is not of this network.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise DataError(
            f"'{folder}' has no weights.npz: only models that `lithoscope train` wrote "
            "can be fine-tuned"
        )
    try:
        with np.load(path) as held:
            arrays = {k: held[k] for k in held.files}
        net = PickNet(PickNetSettings(tuple(int(w) for w in arrays.pop("widths"))))  # type: ignore[arg-type]
        net.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in arrays.items()})
    except (OSError, ValueError, KeyError, RuntimeError, EOFError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{path}: no weights of this network ({first})") from None
    return net
