"""EQTransformer (Mousavi et al. 2020), for running models that others have trained.

Convolutions with pooling bring a window down to one step in 128 samples; residual convolutions,
bidirectional recurrences and two self-attentions follow; three decoders bring it back up to a
detection, a P and an S probability, the two phases after a recurrence and an attention of their
own that sees three steps only. Names of the parameters are those of SeisBench's weight files, so
that such files load unchanged.

Reference: Mousavi, Ellsworth, Zhu, Chuang & Beroza (2020), Nature Communications 11, 3952,
doi:10.1038/s41467-020-17591-w, figure 1 and methods; additive attention after Bahdanau et al.
(2015), arXiv:1409.0473.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class EQTransformerConfig:
    """Shape of an EQTransformer.

    Attributes
    ----------
    filters, kernels
        Filters and lengths of the encoder's convolutions, the finest level first; the decoders
        have them in reverse order.
    residual_kernels
        Lengths of the residual convolutions.
    recurrences
        Bidirectional recurrent blocks.
    hidden
        Channels after them.
    attention, feed
        Inner channels of an attention, and of the two layers that follow it.
    n_in, phases
        Components, and outputs beside the detection.
    """

    filters: tuple[int, ...] = (8, 16, 16, 32, 32, 64, 64)
    kernels: tuple[int, ...] = (11, 9, 7, 7, 5, 5, 3)
    residual_kernels: tuple[int, ...] = (3, 3, 3, 3, 2, 3, 2)
    recurrences: int = 3
    hidden: int = 16
    attention: int = 32
    feed: int = 128
    n_in: int = 3
    phases: int = 2


#: Added to the sum of attention weights, to the variance of a step, and to that of a batch.
_SUM, _STEP, _BATCH = 1e-5, 1e-14, 1e-3


class EQTransformer(nn.Module):
    """The network: ``(batch, n_in, n)`` to probabilities ``(batch, 1 + phases, n)``.

    The first output is the detection. Normalisation and tapering of the input are not part of it.
    """

    def __init__(self, config: EQTransformerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EQTransformerConfig()
        top, hidden = config.filters[-1], config.hidden
        self.encoder = _Encoder(config)
        self.res_cnn_stack = _Chain(_Residual(top, k) for k in config.residual_kernels)
        self.bi_lstm_stack = _Chain(
            _Recurrence(hidden if i else top, hidden) for i in range(config.recurrences)
        )
        self.transformer_d0 = _Transformer(config)
        self.transformer_d = _Transformer(config)
        self.decoder_d = _Decoder(config)
        self.conv_d = _head(config)
        each = range(config.phases)
        self.pick_lstms = nn.ModuleList(nn.LSTM(hidden, hidden, batch_first=True) for _ in each)
        self.pick_attentions = nn.ModuleList(_Attention(config, width=3) for _ in each)
        self.pick_decoders = nn.ModuleList(_Decoder(config) for _ in each)
        self.pick_convs = nn.ModuleList(_head(config) for _ in each)

    def forward(self, x: Tensor) -> Tensor:
        """Return the probability of a detection and of each phase at every sample."""
        n = x.shape[-1]
        x = self.bi_lstm_stack(self.res_cnn_stack(self.encoder(x)))
        x = self.transformer_d(self.transformer_d0(x))
        outputs = [self.conv_d(self.decoder_d(x, n))]
        branches = (self.pick_lstms, self.pick_attentions, self.pick_decoders, self.pick_convs)
        for lstm, attention, decoder, head in zip(*branches, strict=True):
            y = attention(lstm(x.mT)[0].mT)
            outputs.append(head(decoder(y, n)))
        return torch.sigmoid(torch.cat(outputs, dim=1))


class _Chain(nn.Module):
    def __init__(self, members) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        for member in self.members:
            x = member(x)
        return x


def _convolutions(widths: tuple[int, ...], kernels: tuple[int, ...]) -> nn.ModuleList:
    pairs = zip(widths[:-1], widths[1:], kernels, strict=True)
    return nn.ModuleList(nn.Conv1d(a, b, k, padding="same") for a, b, k in pairs)


def _head(config: EQTransformerConfig) -> nn.Conv1d:
    return nn.Conv1d(config.filters[0], 1, config.kernels[0], padding="same")


class _Encoder(nn.Module):
    """Convolve, rectify and keep the larger of two samples, level by level."""

    def __init__(self, config: EQTransformerConfig) -> None:
        super().__init__()
        self.convs = _convolutions((config.n_in, *config.filters), config.kernels)

    def forward(self, x: Tensor) -> Tensor:
        for convolution in self.convs:
            # A last odd sample makes a pair of its own.
            x = functional.max_pool1d(torch.relu(convolution(x)), 2, ceil_mode=True)
        return x


class _Decoder(nn.Module):
    """Double the samples, convolve and rectify, back through the lengths of the encoder."""

    def __init__(self, config: EQTransformerConfig) -> None:
        super().__init__()
        widths = (config.hidden, *config.filters[::-1])
        self.convs = _convolutions(widths, config.kernels[::-1])

    def forward(self, x: Tensor, n: int) -> Tensor:
        lengths = [n]
        for _ in self.convs[1:]:
            lengths.append(-(-lengths[-1] // 2))
        for convolution, length in zip(self.convs, reversed(lengths), strict=True):
            doubled = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = torch.relu(convolution(doubled[..., :length]))
        return x


class _Residual(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        # TensorFlow's "same": of an even kernel the longer side looks ahead.
        self.sides = ((kernel - 1) // 2, kernel // 2)
        self.norm1 = nn.BatchNorm1d(width, eps=_BATCH)
        self.conv1 = nn.Conv1d(width, width, kernel)
        self.norm2 = nn.BatchNorm1d(width, eps=_BATCH)
        self.conv2 = nn.Conv1d(width, width, kernel)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.pad(torch.relu(self.norm1(x)), self.sides))
        return x + self.conv2(functional.pad(torch.relu(self.norm2(y)), self.sides))


class _Recurrence(nn.Module):
    def __init__(self, into: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(into, hidden, batch_first=True, bidirectional=True)
        self.conv = nn.Conv1d(2 * hidden, hidden, 1)
        self.norm = nn.BatchNorm1d(hidden, eps=_BATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.lstm(x.mT)[0].mT))


class _Attention(nn.Module):
    """Additive self-attention; with a width, each step sees only as many around itself."""

    def __init__(self, config: EQTransformerConfig, width: int | None = None) -> None:
        super().__init__()
        inner = config.attention
        self.width = width
        self.Wx = nn.Parameter(torch.zeros(config.hidden, inner))
        self.Wt = nn.Parameter(torch.zeros(config.hidden, inner))
        self.bh = nn.Parameter(torch.zeros(inner))
        self.Wa = nn.Parameter(torch.zeros(inner, 1))
        self.ba = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        steps = x.mT
        asks = (steps @ self.Wt)[:, :, None]
        answers = (steps @ self.Wx)[:, None]
        score = (torch.tanh(asks + answers + self.bh) @ self.Wa)[..., 0] + self.ba
        weight = torch.exp(score - score.amax(-1, keepdim=True))
        if self.width is not None:
            at = torch.arange(x.shape[-1], device=x.device)
            weight = weight * (torch.abs(at[:, None] - at) <= self.width // 2)
        # The sum is that of the steps seen, the largest score that of all, as in training.
        return ((weight / (weight.sum(-1, keepdim=True) + _SUM)) @ steps).mT


class _StepNorm(nn.Module):
    """Normalise the channels of every step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width, 1))
        self.beta = nn.Parameter(torch.zeros(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        spread = torch.sqrt(centred.square().mean(1, keepdim=True) + _STEP)
        return self.gamma * centred / spread + self.beta


class _Feed(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, inner)
        self.lin2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(torch.relu(self.lin1(x.mT))).mT


class _Transformer(nn.Module):
    def __init__(self, config: EQTransformerConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.norm1 = _StepNorm(config.hidden)
        self.ff = _Feed(config.hidden, config.feed)
        self.norm2 = _StepNorm(config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.ff(x))
