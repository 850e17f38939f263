"""Ways to make one example into many: nature's variety and the faults of instruments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import butter, sosfilt

from lithoscope.learning.preprocessing import RATE_HZ
from lithoscope.learning.training.examples import Example
from lithoscope.settings import Settings


class AugmentationSettings(Settings):
    """How often each change is made."""

    rotate: float = Field(0.5, ge=0, le=1, description="Turn the horizontals by any angle.")
    stretch: float = Field(0.3, ge=0, le=1, description="Play slower or faster (0.7 to 1.4).")
    overlay: float = Field(0.25, ge=0, le=1, description="Add a second example.")
    noise: float = Field(0.4, ge=0, le=1, description="Add real noise of another station.")
    filter: float = Field(0.15, ge=0, le=1, description="Filter (causal), as instruments do.")
    vertical_only: float = Field(0.12, ge=0, le=1, description="Keep the vertical only.")
    drop_one: float = Field(0.06, ge=0, le=1, description="Lose one component.")
    fault: float = Field(0.06, ge=0, le=1, description="Spikes, steps, clipping, gaps.")
    edge: float = Field(0.2, ge=0, le=1, description="Let the data begin or end in the window.")


def augment(
    example: Example,
    rng: np.random.Generator,
    how: AugmentationSettings,
    *,
    other: Example | None = None,
    noise: NDArray[np.float32] | None = None,
) -> Example:
    """Return a changed example of the same length.

    Parameters
    ----------
    example
        A window.
    rng
        Source of the random numbers.
    how
        How often.
    other
        An example of the same length to add on top; used with probability ``overlay``.
    noise
        Real noise ``(3, n)`` of the same length; used with probability ``noise``.
    """
    out = replace(example, data=example.data.copy())
    if rng.random() < 0.5:
        np.negative(out.data, out=out.data)
    if rng.random() < how.rotate:
        _rotate(out, rng)
    if rng.random() < how.stretch:
        out = _stretch(out, float(np.exp(rng.uniform(np.log(0.7), np.log(1.4)))))
    if other is not None and rng.random() < how.overlay:
        out = _overlay(out, other, float(10.0 ** rng.uniform(-1.5, 1.0)))
    if noise is not None and rng.random() < how.noise:
        out = _bury(out, noise, float(10.0 ** rng.uniform(-1.0, 1.0)))
    if rng.random() < how.filter:
        _filter(out, rng)
    if rng.random() < how.fault:
        _fault(out, rng)
    out = _lose(out, rng, how)
    if rng.random() < how.edge:
        out = _edge(out, rng)
    return out


def roughness(data: NDArray[np.float32]) -> float:
    """Return the root mean square of first differences: a size that slow drifts do not sway."""
    if data.shape[-1] < 2:
        return 0.0
    step = np.diff(data, axis=-1)
    return float(np.sqrt(np.mean(step * step, dtype=np.float64)))


def quiet_level(data: NDArray[np.float32], span: tuple[int, int]) -> float:
    """Return the roughness of the quieter seconds of a window (their lower quartile)."""
    begin, end = span
    n = (end - begin) // 100
    if n < 4:
        return roughness(data[:, begin:end])
    step = np.diff(data[:, begin : begin + n * 100], axis=1, append=0)
    per_second = (step[:, :].reshape(3, n, 100)[:, :, :-1] ** 2).mean((0, 2))
    return float(np.sqrt(np.quantile(per_second, 0.25)))


def _rotate(example: Example, rng: np.random.Generator) -> None:
    if not example.mask[1:].all():
        return
    angle = rng.uniform(0, 2 * np.pi)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    north, east = example.data[1].copy(), example.data[2].copy()
    example.data[1], example.data[2] = c * north - s * east, s * north + c * east


def _stretch(example: Example, factor: float) -> Example:
    """Play the window ``factor`` times slower around its middle."""
    n = example.n_samples
    middle = n / 2.0
    at = (np.arange(n) - middle) / factor + middle
    begin, end = example.span
    data = np.stack([np.interp(at, np.arange(n), row) for row in example.data]).astype(np.float32)
    new = [int(np.ceil((x - middle) * factor + middle)) for x in (begin, end)]
    valid = (max(new[0], 0), min(new[1], n))
    if factor < 1.0:  # outside the old window nothing is known
        first, last = (int(np.ceil((x - middle) * factor + middle)) for x in (0, n - 1))
        valid = (max(valid[0], first), min(valid[1], last))
    data[:, : valid[0]] = 0.0
    data[:, valid[1] :] = 0.0

    def move(sample: NDArray[np.float64]) -> NDArray[np.float64]:
        return (sample - middle) * factor + middle

    picks, events, unknown = example.picks.copy(), example.events.copy(), example.unknown.copy()
    picks[:, 1] = move(picks[:, 1])
    events[:, :2] = move(events[:, :2])
    unknown[:, 1:] = move(unknown[:, 1:])
    inside = (picks[:, 1] >= valid[0]) & (picks[:, 1] < valid[1])
    return Example(data, example.mask, picks[inside], events, unknown, valid)


def _overlay(example: Example, other: Example, ratio: float) -> Example:
    size, added = roughness(example.data), roughness(other.data)
    if not (size > 0 and added > 0):
        return example
    factor = np.float32(ratio * size / added)
    data = example.data + factor * other.data
    out = Example(
        data,
        example.mask & other.mask,
        _still_seen(example, data, _still_seen_rows(other, data, factor)),
        np.concatenate([example.events, other.events]),
        np.concatenate([example.unknown, other.unknown]),
        (max(example.span[0], other.span[0]), min(example.span[1], other.span[1])),
    )
    out.data[~out.mask] = 0.0
    return _clean(out)


def _bury(example: Example, noise: NDArray[np.float32], ratio: float) -> Example:
    level, added = quiet_level(example.data, example.span), roughness(noise)
    if not (level > 0 and added > 0):
        return example
    data = example.data + np.float32(ratio * level / added) * noise
    begin, end = example.span
    data[:, :begin] = 0.0
    data[:, end:] = 0.0
    data[~example.mask] = 0.0
    return replace(example, data=data, picks=_still_seen(example, data, None))


def _still_seen(
    example: Example, data: NDArray[np.float32], more: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    rows = _still_seen_rows(example, data, np.float32(1.0))
    return rows if more is None else np.concatenate([rows, more])


def _still_seen_rows(
    example: Example, data: NDArray[np.float32], factor: np.float32
) -> NDArray[np.float64]:
    """Return picks with their probability lowered where the sum now hides the onset.

    Seen = the first second after the onset, alone, is as rough as the sum before the onset;
    under half of that it is hidden.
    """
    picks = example.picks.copy()
    for row in picks:
        at = int(row[1])
        alone = factor * roughness(example.data[:, at : at + 100])
        before = roughness(data[:, max(at - 200, 0) : at])
        if before > 0:
            seen = float(np.clip((alone / before - 0.5) / 0.7, 0.0, 1.0))
            row[2] *= seen
            row[3] *= seen
    return picks[picks[:, 2] > 0.02]


def _filter(example: Example, rng: np.random.Generator) -> None:
    order = int(rng.integers(1, 4))
    kind = int(rng.integers(3))
    corners = (rng.uniform(0.5, 4.0), rng.uniform(8.0, 45.0))
    if kind == 2:
        sos = butter(order, corners, "bandpass", output="sos", fs=RATE_HZ)
    else:
        sos = butter(order, corners[kind], ("high", "low")[kind], output="sos", fs=RATE_HZ)
    begin, end = example.span
    part = example.data[:, begin:end]
    if part.shape[1]:
        example.data[:, begin:end] = sosfilt(sos, part - part[:, :1], axis=1)


def _fault(example: Example, rng: np.random.Generator) -> None:
    n, kind = example.n_samples, int(rng.integers(4))
    size = float(np.abs(example.data).max()) or 1.0
    at = int(rng.integers(n))
    if kind == 0:  # spikes
        for _ in range(int(rng.integers(1, 4))):
            example.data[rng.integers(3), rng.integers(n)] += size * 10.0 ** rng.uniform(-1.5, 1)
    elif kind == 1:  # a step on all components
        example.data[:, at:] += np.float32(size * 10.0 ** rng.uniform(-2, 0.5))
    elif kind == 2:  # clipping
        limit = size * 10.0 ** rng.uniform(-1.2, -0.1)
        np.clip(example.data, -limit, limit, out=example.data)
    else:  # a value held, as some digitisers fill a gap
        end = min(at + int(rng.integers(20, 600)), n)
        example.data[:, at:end] = example.data[:, at : at + 1]
    example.data[~example.mask] = 0.0
    example.data[:, : example.span[0]] = 0.0
    example.data[:, example.span[1] :] = 0.0


def _lose(example: Example, rng: np.random.Generator, how: AugmentationSettings) -> Example:
    mask = example.mask.copy()
    u = rng.random()
    if u < how.vertical_only:
        mask[1:] = False
    elif u < how.vertical_only + how.drop_one:
        mask[rng.integers(3)] = False
    if not mask.any() or (mask == example.mask).all():
        return example
    example.data[~mask] = 0.0
    return replace(example, mask=mask)


def _edge(example: Example, rng: np.random.Generator) -> Example:
    """Let the data begin or end somewhere in the outer thirds of the window."""
    n = example.n_samples
    cut = int(rng.integers(n // 3))
    begin, end = example.span
    begin, end = (max(begin, cut), end) if rng.random() < 0.5 else (begin, min(end, n - cut))
    example.data[:, :begin] = 0.0
    example.data[:, end:] = 0.0
    return _clean(replace(example, valid=(begin, max(end, begin))))


def _clean(example: Example) -> Example:
    begin, end = example.span
    inside = (example.picks[:, 1] >= begin) & (example.picks[:, 1] < end)
    return replace(example, picks=example.picks[inside])
