"""PhaseNet (Zhu & Beroza 2019), for running models that others have trained.

A one-dimensional U-net: every level has a convolution that keeps the length and, but for the
deepest, one that divides it by the stride; on the way up a transposed convolution, its output
cropped to the length of the level's skip connection and put behind it, and one convolution. Each
is followed by batch normalisation and ReLU; a convolution of length 1 and a softmax end it.

Two layouts of padding are in use. TensorFlow's "same" padding, that of the published program,
depends on the length of the input; a port with fixed padding states it level by level. Names of
the parameters are those of SeisBench's weight files, so that such files load unchanged.

Reference: Zhu & Beroza (2019), Geophys. J. Int. 216, 261-273, doi:10.1093/gji/ggy423, figure 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from lithoscope.errors import ModelError


@dataclass(frozen=True)
class PhaseNetConfig:
    """Shape of a PhaseNet.

    Attributes
    ----------
    filters
        Filters of each level, shallowest first.
    kernel, stride
        Length and stride (samples) of the convolutions.
    n_in, n_out
        Components and classes.
    epsilon
        Added to the variance in batch normalisation.
    padding
        Samples put before and after the input of each strided convolution, one pair a level but
        for the deepest; None = TensorFlow's "same" padding.
    """

    filters: tuple[int, ...] = (8, 16, 32, 64, 128)
    kernel: int = 7
    stride: int = 4
    n_in: int = 3
    n_out: int = 3
    epsilon: float = 1e-3
    padding: tuple[tuple[int, int], ...] | None = None


class PhaseNet(nn.Module):
    """The network: ``(batch, n_in, n)`` to probabilities ``(batch, n_out, n)``.

    Normalisation of the input (each component demeaned and divided by its standard deviation
    over the window) is not part of it.
    """

    def __init__(self, config: PhaseNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PhaseNetConfig()
        filters, kernel, stride = config.filters, config.kernel, config.stride
        self.inc = nn.Conv1d(config.n_in, filters[0], kernel, padding="same")
        self.in_bn = self._norm(filters[0])
        self.down_branch = nn.ModuleList()
        below = filters[0]
        for level, width in enumerate(filters):
            parts: list[nn.Module] = [
                nn.Conv1d(below, width, kernel, padding="same", bias=False),
                self._norm(width),
            ]
            if level < len(filters) - 1:
                parts.append(nn.Conv1d(width, width, kernel, stride, bias=False))
                parts.append(self._norm(width))
            self.down_branch.append(nn.ModuleList(parts))
            below = width
        self.up_branch = nn.ModuleList()
        for width in reversed(filters[:-1]):
            parts = [
                nn.ConvTranspose1d(below, width, kernel, stride, bias=False),
                self._norm(width),
                nn.Conv1d(2 * width, width, kernel, padding="same", bias=False),
                self._norm(width),
            ]
            self.up_branch.append(nn.ModuleList(parts))
            below = width
        self.out = nn.Conv1d(filters[0], config.n_out, 1)

    def _norm(self, width: int) -> nn.BatchNorm1d:
        return nn.BatchNorm1d(width, eps=self.config.epsilon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the probability of every class at every sample."""
        x = torch.relu(self.in_bn(self.inc(x)))
        skips = []
        down: Any = self.down_branch
        for level, parts in enumerate(down):
            x = torch.relu(parts[1](parts[0](x)))
            if len(parts) > 2:
                skips.append(x)
                x = functional.pad(x, self._padding(level, x.shape[-1]))
                x = torch.relu(parts[3](parts[2](x)))
        up: Any = self.up_branch
        for (rise, rise_norm, convolution, norm), skip in zip(up, reversed(skips), strict=True):
            x = torch.relu(rise_norm(self._crop(rise(x))))
            x = torch.cat([skip, _centre(x, skip.shape[-1])], dim=1)
            x = torch.relu(norm(convolution(x)))
        return torch.softmax(self.out(x), dim=1)

    def _padding(self, level: int, n: int) -> tuple[int, int]:
        if self.config.padding is not None:
            return self.config.padding[level]
        stride = self.config.stride
        total = max((-(-n // stride) - 1) * stride + self.config.kernel - n, 0)
        return total // 2, total - total // 2

    def _crop(self, x: torch.Tensor) -> torch.Tensor:
        # A "same" transposed convolution is stride times as long as its input.
        excess = self.config.kernel - self.config.stride
        return x[..., excess // 2 : x.shape[-1] - (excess - excess // 2)]


def _centre(x: torch.Tensor, n: int) -> torch.Tensor:
    start = (x.shape[-1] - n) // 2
    return x[..., start : start + n]


def from_tensorflow(arrays: Mapping[str, NDArray[np.float32]]) -> PhaseNet:
    """Return the network of the published program from its variables, in evaluation mode.

    Parameters
    ----------
    arrays
        Variables by name, with ``__`` in place of ``/`` (``DownConv_0__down_conv1_1__kernel``);
        kernels (length, 1, in, out), transposed ones (length, 1, out, in).

    Raises
    ------
    ModelError
        If a variable is missing or has another shape.
    """
    try:
        return _from_tensorflow(arrays)
    except KeyError as error:
        raise ModelError(
            f"PhaseNet weights lack the variable {error}; give those of the published program"
        ) from None
    except RuntimeError as error:
        raise ModelError(
            f"PhaseNet weights do not fit together: {' '.join(str(error).split())}"
        ) from None


def _from_tensorflow(arrays: Mapping[str, NDArray[np.float32]]) -> PhaseNet:
    levels = sum(name.endswith("kernel") and "down_conv1" in name for name in arrays)
    kernels = [arrays[f"DownConv_{i}__down_conv1_{i + 1}__kernel"] for i in range(levels)]
    config = PhaseNetConfig(
        filters=tuple(int(k.shape[-1]) for k in kernels),
        kernel=int(arrays["Input__input_conv__kernel"].shape[0]),
        n_in=int(arrays["Input__input_conv__kernel"].shape[2]),
        n_out=int(arrays["Output__output_conv__kernel"].shape[-1]),
    )
    state = {"inc.bias": arrays["Input__input_conv__bias"]}
    state["out.bias"] = arrays["Output__output_conv__bias"]
    pairs = [("inc", "Input__input_conv"), ("out", "Output__output_conv")]
    norms = [("in_bn", "Input__input_bn")]
    for i in range(levels):
        source = f"DownConv_{i}__down_{{}}_{i + 1}"
        pairs.append((f"down_branch.{i}.0", source.format("conv1")))
        norms.append((f"down_branch.{i}.1", source.format("bn1")))
        if i < levels - 1:
            pairs.append((f"down_branch.{i}.2", source.format("conv3")))
            norms.append((f"down_branch.{i}.3", source.format("bn3")))
            up, source = levels - 2 - i, f"UpConv_{i}__up_{{}}_{i + 1}"
            pairs += [(f"up_branch.{up}.{2 * j}", source.format(f"conv{j}")) for j in (0, 1)]
            norms += [(f"up_branch.{up}.{2 * j + 1}", source.format(f"bn{j}")) for j in (0, 1)]
    for target, name in pairs:
        # (length, 1, a, b) to (b, a, length): out and in of a convolution, in and out of a
        # transposed one, as PyTorch has them.
        state[f"{target}.weight"] = arrays[f"{name}__kernel"][:, 0].transpose(2, 1, 0)
    parts = {"weight": "gamma", "bias": "beta"}
    parts |= {"running_mean": "moving_mean", "running_var": "moving_variance"}
    for target, name in norms:
        state |= {f"{target}.{ours}": arrays[f"{name}__{theirs}"] for ours, theirs in parts.items()}
        state[f"{target}.num_batches_tracked"] = np.zeros((), np.int64)
    network = PhaseNet(config)
    network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    return network.eval()
