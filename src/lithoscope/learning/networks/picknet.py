"""PickNet: a fully convolutional network from prepared samples to P, S and event.

An encoder of four levels (50, 12.5, 3.1 and 0.8 samples a second), the lowest with growing
dilations so that a P seen 20 s ago can tell an S; a decoder that adds each level back; seven
outputs at 50 samples a second. Cheap operations at full rate, channels where they are cheap.
The shape follows U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28) as PhaseNet
does (Zhu & Beroza 2019, doi:10.1093/gji/ggy423).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lithoscope.learning.preprocessing import CHANNELS

#: Input samples per output sample.
OUTPUT_STRIDE = 2
#: Input samples per step of the lowest level; chunks begin and end at multiples of it.
STRIDE = 128
#: What the rows of the output are. Logits; offsets and log sigmas in s, onset = sample + offset.
OUTPUTS = ("p", "s", "event", "p_offset", "p_log_sigma", "s_offset", "s_log_sigma")


@dataclass(frozen=True)
class PickNetSettings:
    """Sizes of the network.

    Attributes
    ----------
    widths
        Channels of the four levels, the finest first.
    kernel
        Taps of the convolutions below the finest level.
    dilations
        Of the convolutions at the lowest level.
    dropout
        Share of the lowest level's channels silenced in training.
    """

    widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4)
    dropout: float = 0.1


def _convolve(into: int, out: int, taps: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    # Two-dimensional with a height of 1: ONNX Runtime has its fast kernels for these.
    pad = dilation * (taps - 1) // 2
    return nn.Sequential(
        nn.Conv2d(into, out, (1, taps), (1, stride), (0, pad), (1, dilation), bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


class _Up(nn.Module):
    """Bring a level up to the next finer one and add it there."""

    def __init__(self, into: int, out: int, taps: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(into, out, 1)
        self.spread = nn.Upsample(scale_factor=(1, 4), mode="nearest")
        self.join = _convolve(out, out, taps)

    def forward(self, low: Tensor, fine: Tensor) -> Tensor:
        return self.join(torch.relu(self.spread(self.mix(low)) + fine))


class PickNet(nn.Module):
    """The network.

    Parameters
    ----------
    settings
        Sizes; default `PickNetSettings`.
    """

    def __init__(self, settings: PickNetSettings | None = None) -> None:
        super().__init__()
        how = settings or PickNetSettings()
        a, b, c, d = how.widths
        k = how.kernel
        self.level1 = nn.Sequential(_convolve(CHANNELS, a, 9, 2), _convolve(a, a, 3))
        self.level2 = nn.Sequential(_convolve(a, b, k, 4), _convolve(b, b, k))
        self.level3 = nn.Sequential(_convolve(b, c, k, 4), _convolve(c, c, k))
        self.level4 = _convolve(c, d, k, 4)
        self.deep = nn.ModuleList(_convolve(d, d, k, 1, dilation) for dilation in how.dilations)
        self.drop = nn.Dropout2d(how.dropout)
        self.up3, self.up2, self.up1 = _Up(d, c, k), _Up(c, b, k), _Up(b, a, 3)
        self.head = nn.Conv2d(a, len(OUTPUTS), (1, 3), padding=(0, 1))
        # Onsets are rare: start from a low probability, a sigma of 0.1 s and no offset.
        with torch.no_grad():
            start = torch.tensor([-4.0, -4.0, -2.0, 0.0, -2.3, 0.0, -2.3])
            self.head.bias.copy_(start)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, 7, 1, n / 2)``, rows `OUTPUTS`, for ``(batch, 6, 1, n)``.

        ``n`` is a multiple of `STRIDE`. Output j stands at input sample 2 j.
        """
        one = self.level1(x)
        two = self.level2(one)
        three = self.level3(two)
        low = self.level4(three)
        for layer in self.deep:
            low = low + layer(low)
        low = self.drop(low)
        return self.head(self.up1(self.up2(self.up3(low, three), two), one))


def reach(settings: PickNetSettings | None = None) -> int:
    """Return the distance (input samples) beyond which nothing changes an output.

    Measured on a network in which every weight is positive, so that no path is cut: the
    gradient of the outputs at all positions within one step of the lowest level.
    """
    net = PickNet(settings).eval()
    for parameter in net.parameters():
        parameter.data.fill_(1e-2)
    n = 96 * STRIDE
    x = torch.ones(1, CHANNELS, 1, n, requires_grad=True)
    middle, per = n // 2, STRIDE // OUTPUT_STRIDE
    outputs = net(x)[0, 0, 0]
    furthest = 0
    for j in range(middle // OUTPUT_STRIDE, middle // OUTPUT_STRIDE + per):
        (slope,) = torch.autograd.grad(outputs[j], x, retain_graph=True)
        touched = torch.nonzero(slope.sum((0, 1, 2)))[:, 0]
        at = j * OUTPUT_STRIDE
        furthest = max(furthest, at - int(touched[0]), int(touched[-1]) - at)
    return furthest
