"""A model folder with a small network of random weights, for tests of what surrounds a network."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from lithoscope.learning import preprocessing
from lithoscope.learning.calibration import Calibration, Curve, PhaseCalibration
from lithoscope.learning.cards import Input, ModelCard, Output, Thresholds, Windows
from lithoscope.learning.models import save_model

PHASE = PhaseCalibration(
    event_weight=0.5,
    probability=Curve(x=(0.02, 0.3, 0.8, 0.98), y=(0.01, 0.2, 0.6, 0.9)),
    sigma_scale=Curve(x=(0.2, 0.9), y=(1.6, 0.9)),
    threshold=Curve(x=(1.0, 10.0, 100.0), y=(0.8, 0.5, 0.2)),
)


def card(**changes) -> ModelCard:
    """Return the card of the network that `content` makes."""
    values = {
        "name": "tiny",
        "family": "lithoscope",
        "input": Input(channels=preprocessing.CHANNELS, preprocessing=preprocessing.NAME),
        "output": Output(stride=2),
        "windows": Windows(align=128, reach=2200),
        "thresholds": Thresholds(p=0.25, s=0.25, event=0.5),
        "calibration": Calibration(p=PHASE, s=PHASE, event=Curve(x=(0.1, 0.9), y=(0.2, 0.8))),
    }
    return ModelCard(**(values | changes))


def content(*, seed: int = 0) -> tuple[bytes, int]:
    """Return an ONNX network and its reach; its picks mean nothing but are many."""
    import torch

    from lithoscope.learning.networks.picknet import PickNet, PickNetSettings, reach

    torch.manual_seed(seed)
    sizes = PickNetSettings(widths=(8, 8, 16, 16), dropout=0.0)
    net = PickNet(sizes).eval()
    x = torch.randn(4, preprocessing.CHANNELS, 1, 8192)
    with torch.no_grad():
        y = net(x)[..., 1000:-1000].transpose(0, 1).flatten(1)
        # Logits and the rest get the spread of a trained network's.
        spread = torch.tensor([2.0, 2.0, 2.0, 0.02, 0.3, 0.02, 0.3])
        middle = torch.tensor([-2.0, -2.0, 0.0, 0.0, -3.0, 0.0, -3.0])
        factor = spread / y.std(1)
        net.head.weight *= factor[:, None, None, None]
        net.head.bias.copy_(middle + factor * (net.head.bias - y.mean(1)))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (x[:1, ..., :1280],),
            file,
            input_names=["samples"],
            output_names=["outputs"],
            dynamic_axes={"samples": {0: "batch", 3: "n"}, "outputs": {0: "batch", 3: "m"}},
            dynamo=False,
        )
    return file.getvalue(), reach(sizes)


def write_model(folder: Path, **changes) -> Path:
    """Write the model's folder and return it."""
    network, far = content()
    save_model(card(windows=Windows(align=128, reach=far), **changes), network, folder)
    return folder
