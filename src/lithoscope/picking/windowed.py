"""Networks of others that work on windows, PhaseNet and EQTransformer, as pickers.

A record is resampled to the model's rate and cut into overlapping windows that begin at multiples
of the model's step counted from 1970; one window more begins where the record begins, and one
ends where it ends. Each is normalised as the model's card says, and the outputs of the windows
over a sample are averaged, or the largest is taken, as the card says. So a shifted start or
another chunking changes nothing but what lies within one window of the record's ends.

A pick is a local maximum of a phase's probability. Such networks give no time uncertainty; the
card states one for each phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.constants import NS_PER_S
from lithoscope.errors import ModelError
from lithoscope.learning.calibration import Curve, calibrated, logit, sigma_factor
from lithoscope.learning.cards import Input, ModelCard
from lithoscope.learning.models import Model, load_model
from lithoscope.learning.peaks import local_maxima
from lithoscope.picking._peaks import inverse, largest
from lithoscope.picking._tables import (
    LOWEST_HZ,
    detections_table,
    picks_columns,
    picks_of,
    require_finite,
    rounded,
)
from lithoscope.picking._trained import TrainedPicker
from lithoscope.picking.learned import LearnedPicker
from lithoscope.picking.settings import LearnedPickerSettings
from lithoscope.waveforms import Record, resample
from lithoscope.waveforms.resampling import half_width_s

#: Divisors of a window that this program knows.
DIVISORS = ("std", "peak")


def trained_picker(
    model: Model | Path | str, settings: LearnedPickerSettings | None = None
) -> LearnedPicker | WindowedPicker:
    """Return the picker that runs a model: `LearnedPicker` for our own, else `WindowedPicker`.

    Raises as they do.
    """
    settings = settings or LearnedPickerSettings()
    if not isinstance(model, Model):
        model = load_model(model, threads=settings.threads)
    kind = LearnedPicker if model.card.family == "lithoscope" else WindowedPicker
    return kind(model, settings)


class WindowedPicker(TrainedPicker):
    """Picks P and S with a PhaseNet or an EQTransformer.

    Parameters
    ----------
    model
        Name of a model, its folder, or a loaded one.
    settings
        Thresholds; `apart_s` is the distance within which the largest probability is the pick,
        `batch` the number of windows given to the network at once (times 4).

    Attributes
    ----------
    name
        Name and version of the model.
    sampling_rate_hz
        Rate of the network; other records are resampled to it.
    context_s
        Reach of the data that a pick depends on (s).
    thresholds
        Probabilities of P, S and event that are in force.

    Raises
    ------
    ModelError
        If there is no such model, or its card does not say how to run it on windows.
    ConfigError
        If a rate of false picks is wanted that was not measured for this model.
    """

    def __init__(
        self, model: Model | Path | str, settings: LearnedPickerSettings | None = None
    ) -> None:
        super().__init__(model, settings)
        card = self.model.card
        _check(card)
        self.context_s = float(
            np.ceil(
                card.windows.length / self.sampling_rate_hz
                + half_width_s(LOWEST_HZ, self.sampling_rate_hz)
                + self.settings.apart_s
            )
        )

    def annotate(self, record: Record) -> NDArray[np.float32]:
        """Return ``(3, n)`` probabilities of P, S and event at the record's samples.

        Calibrated if the card holds a calibration. Event: the model's detection, or one minus its
        noise probability.

        Raises
        ------
        DataError
            If a sample is not finite.
        """
        if self.unusable(record):
            return np.zeros((3, record.n_samples), np.float32)
        own, raw = self._raw(record)
        curves = self._curves()
        out = np.stack(
            [calibrated(c, logit(p)) if c.x else p for c, p in zip(curves, raw, strict=True)]
        ).astype(np.float32)
        if own.sampling_rate_hz == record.sampling_rate_hz:
            return out
        lead_s = (record.starttime_ns - own.starttime_ns) / NS_PER_S
        at = (lead_s + np.arange(record.n_samples) / record.sampling_rate_hz) * own.sampling_rate_hz
        index = np.arange(own.n_samples)
        return np.stack([np.interp(at, index, row) for row in out]).astype(np.float32)

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the picks (PICKS) and detections (DETECTIONS) of one record, in order of time.

        A pick is a sample whose probability reaches the threshold and is the largest within
        `apart_s`; a detection is a stretch over the event threshold.

        Raises
        ------
        DataError
            If a sample is not finite.
        """
        if self.unusable(record):
            return schema.PICKS.empty(), schema.DETECTIONS.empty()
        own, raw = self._raw(record)
        tables = [self._picks(record, own, raw[k], k) for k in (0, 1)]
        picks = pd.concat(tables).sort_values(["time", "phase"], ignore_index=True)
        return schema.PICKS.table(picks), self._detections(own, raw[2])

    def _curves(self) -> tuple[Curve, Curve, Curve]:
        calibration = self.model.card.calibration
        return calibration.p.probability, calibration.s.probability, calibration.event

    def _raw(self, record: Record) -> tuple[Record, NDArray[np.float32]]:
        """Return the record at the model's rate and raw P, S and event, ``(3, n)``."""
        require_finite(record)
        own = resample(record, self.sampling_rate_hz)
        outputs = stacked(own, self.model, 4 * self.settings.batch)
        names = self.model.card.output.names
        p, s = outputs[names.index("p")], outputs[names.index("s")]
        # Without a detection: the probabilities of a softmax, so this is one minus that of noise.
        event = outputs[names.index("event")] if "event" in names else p + s
        return own, np.stack([p, s, event])

    def _picks(self, record: Record, own: Record, raw: NDArray[np.float32], k: int) -> pd.DataFrame:
        card = self.model.card
        curve = self._curves()[k]
        rate = own.sampling_rate_hz
        level = 1.0 / (1.0 + np.exp(-inverse(curve, self.thresholds[k])))
        at = local_maxima(raw, round(self.settings.apart_s * rate), 0.99 * level)
        probability = calibrated(curve, logit(raw[at])) if curve.x else raw[at].astype(np.float64)
        keep = probability >= self.thresholds[k]
        at, probability = at[keep], probability[keep]
        scale = (card.calibration.p, card.calibration.s)[k].sigma_scale
        sigma = (card.sigmas.p_s, card.sigmas.s_s)[k] * sigma_factor(scale, probability)
        times = rounded(own.starttime_ns, at / rate)
        columns = picks_columns(
            record, "PS"[k], times, sigma, probability, model=self.name, rate_hz=rate
        )
        return picks_of(columns)

    def _detections(self, own: Record, raw: NDArray[np.float32]) -> pd.DataFrame:
        curve = self._curves()[2]
        value = calibrated(curve, logit(raw)) if curve.x else raw
        inside = np.concatenate([[False], value >= self.thresholds[2], [False]])
        turns = np.flatnonzero(inside[1:] != inside[:-1])
        rate = own.sampling_rate_hz
        first, last = turns[::2], turns[1::2]
        return detections_table(
            own.station,
            rounded(own.starttime_ns, first / rate),
            rounded(own.starttime_ns, last / rate),
            largest(value, first, last),
            model=self.name,
        )


def stacked(record: Record, model: Model, batch: int = 16) -> NDArray[np.float32]:
    """Return the model's outputs over a record at its rate, ``(outputs, n)``.

    Zero where every window over a sample is blinded: near the ends of the record.

    Raises
    ------
    ModelError
        If the network returns another shape than its card says.
    """
    windows, names = model.card.windows, model.card.output.names
    n, length = record.n_samples, windows.length
    first = round(record.starttime_ns * record.sampling_rate_hz / NS_PER_S)
    order = ["ZNE".index(c) for c in model.card.input.components]
    data = record.data if n >= length else np.pad(record.data, ((0, 0), (0, length - n)))
    view = sliding_window_view(data, length, axis=1)
    total = np.zeros((len(names), max(n, length)), np.float32)
    count = np.zeros(max(n, length), np.float32)
    before, after = windows.blinding
    for starts in _batches(_starts(n, first, length, windows.step), batch):
        x = view[:, starts].transpose(1, 0, 2)[:, order]
        y = model.network.run(prepare(x, model.card.input, min(n, length)))[0]
        if y.shape != (len(starts), len(names), length):
            raise ModelError(
                f"model '{model.card.name}': the network returned shape {y.shape} for input "
                f"{x.shape}; its card promises {len(names)} outputs for every sample"
            )
        for window, a in zip(y, starts, strict=True):
            part = slice(a + before, a + length - after)
            inner = window[:, before : length - after]
            if windows.stacking == "mean":
                total[:, part] += inner
            else:
                np.maximum(total[:, part], inner, out=total[:, part])
            count[part] += 1.0
    if windows.stacking == "mean":
        total /= np.maximum(count, 1.0)
    return total[:, :n]


def prepare(x: NDArray[np.float32], how: Input, valid: int) -> NDArray[np.float32]:
    """Return windows as the network wants them: centred, divided, tapered.

    Parameters
    ----------
    x
        ``(batch, components, length)``, in the network's order of components.
    how
        What the card says; `std` has n - 1 in its denominator.
    valid
        Samples from the start that hold data; the rest stays zero.

    Returns
    -------
    numpy.ndarray
        float32 of the same shape. A component without a signal is zeros, whatever the unit.
    """
    data = x[..., :valid].astype(np.float32)
    # Centring before any product, in float64: large offsets of the recorder cost no digits.
    data -= data.mean(-1, keepdims=True, dtype=np.float64).astype(np.float32)
    data -= data.mean(-1, keepdims=True)
    if how.detrend:
        ramp = np.linspace(-1.0, 1.0, valid, dtype=np.float32)
        data -= (data @ ramp / (ramp @ ramp))[..., np.newaxis] * ramp
    largest = np.abs(data).max((1, 2), keepdims=True)
    data /= np.where(largest > 0, largest, 1.0)  # squares of 1e-30 would vanish
    axes = (1, 2) if how.together else (2,)
    if how.preprocessing == "std":
        divisor = data.std(axes, keepdims=True, ddof=1)
    else:
        divisor = np.abs(data).max(axes, keepdims=True)
    data /= np.where(divisor > 0, divisor, 1.0)
    if how.taper_samples:
        # Half a cosine from 0 at the first sample to 1 at the last of the taper.
        rise = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, how.taper_samples, dtype=np.float32))
        data[..., : how.taper_samples] *= rise
        data[..., -how.taper_samples :] *= rise[::-1]
    if valid == x.shape[-1]:
        return data
    return np.pad(data, ((0, 0), (0, 0), (0, x.shape[-1] - valid)))


def _starts(n: int, first: int, length: int, step: int) -> list[int]:
    """Return the first samples of all windows, in order."""
    if n <= length:
        return [0]
    anchored = range(-first % step, n - length + 1, step)
    return sorted({0, *anchored, n - length})


def _batches(starts: list[int], size: int) -> Iterator[list[int]]:
    for i in range(0, len(starts), size):
        yield starts[i : i + size]


def _check(card: ModelCard) -> None:
    name = card.name
    if card.family == "lithoscope":
        raise ModelError(f"model '{name}' is of the family lithoscope; the learned picker runs it")
    if not {"p", "s"} <= set(card.output.names):
        raise ModelError(
            f"model '{name}': its card names the outputs {', '.join(card.output.names) or 'none'}; "
            "a picker needs 'p' and 's' among them"
        )
    if card.input.preprocessing not in DIVISORS:
        raise ModelError(
            f"model '{name}': preprocessing '{card.input.preprocessing}' is unknown for windows; "
            f"allowed are {', '.join(DIVISORS)}"
        )
    if not (card.sigmas.p_s > 0 and card.sigmas.s_s > 0):
        raise ModelError(
            f"model '{name}': its card states no time uncertainty; set sigmas.p_s and sigmas.s_s"
        )
