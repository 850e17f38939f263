"""A record through a network, piece by piece, with the same outputs however it is cut.

Pieces begin and end at multiples of the network's stride, counted in samples from 1970, and each is
read with all the samples that can reach its outputs. Beyond the ends of a record the network
sees zeros, as in training. Samples are read, resampled and prepared block by block, so memory
does not grow with the record but for three float32 outputs at 50 Hz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import ModelError
from lithoscope.waveforms import Record, resample
from lithoscope.waveforms.resampling import half_width_s

#: Rows of a network's output: logits, then onset minus sample time and ln sigma (s) of P and S.
ROWS = 7


@dataclass(frozen=True)
class Network:
    """What runs, and what a chunked run has to know about it.

    Attributes
    ----------
    run
        ``(batch, channels, 1, n)`` to ``(batch, 7, 1, n / output_stride)``, n a multiple of
        ``stride``; output j stands at input sample ``j * output_stride``.
    prepare
        ``(data (3, n), mask (3,), first, valid)`` to ``(channels, n)``, as
        `lithoscope.learning.preprocessing.prepare`.
    rate_hz
        Rate of the input.
    stride, output_stride
        Input samples per step of the coarsest level, and per output.
    reach, prepare_reach
        Input samples to each side that an output (a prepared sample) depends on.
    """

    run: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    prepare: Callable[..., NDArray[np.float32]]
    rate_hz: int
    stride: int
    output_stride: int
    reach: int
    prepare_reach: int


@dataclass(frozen=True)
class Fine:
    """Offsets and log sigmas of one phase, kept only where its logit is high (and beside that)."""

    index: NDArray[np.int64]  # output
    offset_s: NDArray[np.float32]
    log_sigma: NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """What a network says about a record.

    Output j stands ``delay_s + j * step_s`` after ``origin_ns``.
    """

    origin_ns: int
    delay_s: float
    step_s: float
    logits: NDArray[np.float32]  # (3, m): P, S, event
    fine: tuple[Fine, Fine]  # P, S


class Samples:
    """A record at the network's rate, read by index; indices count samples from 1970."""

    def __init__(self, record: Record, rate_hz: int) -> None:
        self.record = record
        self.rate_hz = rate_hz
        self.native = record.sampling_rate_hz == rate_hz
        if self.native:
            # The nearest sample of the grid; the record keeps its own times.
            self.first = (2 * record.starttime_ns * rate_hz + NS_PER_S) // (2 * NS_PER_S)
            self.stop = self.first + record.n_samples
            self.origin_ns = record.starttime_ns
        else:
            # `resample` puts samples on the grid, inside the record.
            self.first = -(-record.starttime_ns * rate_hz // NS_PER_S)
            self.stop = record.endtime_ns * rate_hz // NS_PER_S + 1
            self.origin_ns = self.first * NS_PER_S // rate_hz

    def read(self, begin: int, end: int) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """Return ``(3, end - begin)`` samples, zeros outside the record, and the valid range."""
        out = np.zeros((3, end - begin), np.float32)
        low, high = max(begin, self.first), min(end, self.stop)
        if high <= low:
            return out, (0, 0)
        if self.native:
            piece = self.record.data[:, low - self.first : high - self.first]
        else:
            piece = self._resampled(low, high)
        out[:, low - begin : high - begin] = piece
        return out, (low - begin, high - begin)

    def _resampled(self, low: int, high: int) -> NDArray[np.float32]:
        rate = self.record.sampling_rate_hz
        margin = round((half_width_s(rate, self.rate_hz) + 2.0 / rate) * NS_PER_S)
        piece = self.record.cut(
            low * NS_PER_S // self.rate_hz - margin, high * NS_PER_S // self.rate_hz + margin
        )
        done = resample(piece, self.rate_hz)
        first = (2 * done.starttime_ns * self.rate_hz + NS_PER_S) // (2 * NS_PER_S)
        return done.data[:, low - first : high - first]


def annotate(
    record: Record,
    network: Network,
    *,
    floors: tuple[float, float],
    chunk: int,
    batch: int,
    since_ns: int | None = None,
) -> Outputs:
    """Return the network's outputs over a record.

    Parameters
    ----------
    record
        Any rate that `lithoscope.waveforms.resample` takes; finite samples.
    network
        What to run.
    floors
        Logits of P and of S over which offsets and sigmas are kept.
    chunk
        Samples (at the network's rate) worked on at once; rounded up to the stride.
    batch
        Chunks given to the network together.
    since_ns
        Only outputs from this time on (ns since 1970) are wanted.

    Raises
    ------
    ModelError
        If the output has another shape than `Network` says.
    """
    part = _Part.of(record, network, since_ns)
    pads, margins = _pads(network), _margins(network)
    for pieces in _batches(part.begin, part.end, _up(chunk, network.stride), batch):
        stack = _stacked(part.source, network, pieces, pads, margins)
        part.take(pieces[0][0], _joined(*_inner(_run(network, stack), network, pads)), floors)
    return part.outputs()


def annotate_together(
    records: Sequence[Record],
    network: Network,
    *,
    floors: tuple[float, float],
    chunk: int,
    since_ns: Sequence[int],
    context: tuple[int, int] | None = None,
) -> list[Outputs]:
    """Return the network's outputs over some short records, which it is given several at a time.

    As `annotate` of each from its own ``since_ns`` on, but for rounding errors; ``chunk`` bounds
    the samples that are worked on at once. With ``context`` the network sees no more than so many
    samples before and after what is wanted, and its answer is rougher.
    """
    parts = [_Part.of(r, network, t) for r, t in zip(records, since_ns, strict=True)]
    longest = max((p.end - p.begin for p in parts), default=0)
    if not longest:
        return [part.outputs() for part in parts]
    pads = _pads(network, context)
    margins = _margins(network, context)
    at_once = max(chunk // (longest + sum(pads)), 1)
    for k in range(0, len(parts), at_once):
        some = parts[k : k + at_once]
        # A network works on one length at a time: shorter stretches begin sooner.
        begins = [part.end - longest for part in some]
        stacks = [
            _stacked(part.source, network, [(begin, part.end)], pads, margins)
            for part, begin in zip(some, begins, strict=True)
        ]
        before, inner, after = _inner(_run(network, np.concatenate(stacks)), network, pads)
        for i, (part, begin) in enumerate(zip(some, begins, strict=True)):
            one = slice(i, i + 1)
            part.take(begin, _joined(before[one], inner[one], after[one]), floors)
    return [part.outputs() for part in parts]


@dataclass
class _Part:
    """Outputs of a record from some time on, filled in piece by piece."""

    source: Samples
    network: Network
    begin: int  # samples from 1970 that cover the outputs, multiples of the stride
    end: int
    first: int  # output, counted from 1970
    logits: NDArray[np.float32]
    fine: tuple[list[NDArray], list[NDArray]]

    @classmethod
    def of(cls, record: Record, network: Network, since_ns: int | None) -> _Part:
        source = Samples(record, network.rate_hz)
        stride, step = network.stride, network.output_stride
        first = source.first
        if since_ns is not None:
            first = max(first, min(since_ns * network.rate_hz // NS_PER_S, source.stop))
        out0 = -(-first // step)
        total = max(-(-source.stop // step) - out0, 0)
        begin, end = first // stride * stride, -(-source.stop // stride) * stride
        return cls(source, network, begin, end, out0, np.empty((3, total), np.float32), ([], []))

    def take(self, begin: int, values: NDArray[np.float32], floors: tuple[float, float]) -> None:
        """Take outputs in from sample ``begin`` on, with one more on each side."""
        total = self.logits.shape[1]
        j = begin // self.network.output_stride - 1 - self.first
        low, high = max(j + 1, 0), min(j + values.shape[1] - 1, total)
        self.logits[:, low:high] = values[:3, low - j : high - j]
        for k in (0, 1):
            near = values[k] > floors[k]
            near[1:] |= values[k, :-1] > floors[k]
            near[:-1] |= values[k, 1:] > floors[k]
            at = np.flatnonzero(near)
            rows = values[3 + 2 * k : 5 + 2 * k, at]
            self.fine[k].append(np.concatenate([(at + j)[np.newaxis], rows]).astype(np.float64))

    def outputs(self) -> Outputs:
        step, rate_hz = self.network.output_stride, self.network.rate_hz
        delay_s = (self.first * step - self.source.first) / rate_hz
        fine = (_gather(self.fine[0]), _gather(self.fine[1]))
        return Outputs(self.source.origin_ns, delay_s, step / rate_hz, self.logits, fine)


def _gather(parts: list[NDArray]) -> Fine:
    index, offset, log_sigma = np.concatenate([np.zeros((3, 0)), *parts], axis=1)
    return Fine(index.astype(np.int64), offset.astype(np.float32), log_sigma.astype(np.float32))


def _pads(network: Network, context: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return how many samples the network sees before and after what is wanted."""
    before, after = context or (network.reach, network.reach)
    step, stride = network.output_stride, network.stride
    return _up(before + step, stride), _up(after + step, stride)


def _margins(network: Network, context: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return how many samples before and after that its input is prepared from."""
    reach = _up(network.prepare_reach, network.stride)
    if context is None:
        return reach, reach
    return min(_up(context[0] // 2, network.stride), reach), 0


def _stacked(
    source: Samples,
    network: Network,
    pieces: list[tuple[int, int]],
    pads: tuple[int, int],
    margins: tuple[int, int],
) -> NDArray[np.float32]:
    """Return what the network sees of adjoining pieces of one length: they and what they reach."""
    begin, end = pieces[0][0], pieces[-1][1]
    length = pieces[0][1] - begin
    low = begin - pads[0] - margins[0]
    data, valid = source.read(low, end + pads[1] + margins[1])
    prepared = network.prepare(data, source.record.mask, low, valid)
    stack = np.empty((len(pieces), prepared.shape[0], 1, length + sum(pads)), np.float32)
    for i, (a, b) in enumerate(pieces):
        stack[i, :, 0] = prepared[:, a - pads[0] - low : b + pads[1] - low]
    return stack


def _run(network: Network, stack: NDArray[np.float32]) -> NDArray[np.float32]:
    out = network.run(stack)
    wanted = (len(stack), ROWS, 1, stack.shape[3] // network.output_stride)
    if out.shape != wanted:
        raise ModelError(
            f"the network returned shape {out.shape} for input {stack.shape}; "
            f"a picker's output is {wanted}"
        )
    return out


def _inner(
    out: NDArray[np.float32], network: Network, pads: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the outputs before each piece, in it, and after it."""
    first = pads[0] // network.output_stride
    stop = out.shape[3] - pads[1] // network.output_stride
    return out[:, :, 0, first - 1], out[:, :, 0, first:stop], out[:, :, 0, stop]


def _joined(
    before: NDArray[np.float32], inner: NDArray[np.float32], after: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return ``(7, m + 2)`` outputs of adjoining pieces, and one on each side."""
    b, rows, m = inner.shape
    out = np.empty((rows, b * m + 2), np.float32)
    out[:, 0], out[:, -1] = before[0], after[-1]
    for i in range(b):
        out[:, 1 + i * m : 1 + (i + 1) * m] = inner[i]
    return out


def _batches(begin: int, end: int, chunk: int, batch: int) -> Iterator[list[tuple[int, int]]]:
    """Yield adjoining pieces of one length; cuts at absolute multiples of ``chunk``."""
    edges = [begin, *range((begin // chunk + 1) * chunk, end, chunk), end]
    group: list[tuple[int, int]] = []
    for a, b in pairwise(edges):
        if group and (len(group) == batch or b - a != group[0][1] - group[0][0]):
            yield group
            group = []
        group.append((a, b))
    if group:
        yield group


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
