"""The learned picker: a trained network, its calibration, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.constants import NS_PER_S
from lithoscope.errors import ModelError
from lithoscope.learning import preprocessing
from lithoscope.learning.calibration import EVENT_WITHIN_S, calibrated, evidence
from lithoscope.learning.models import Model
from lithoscope.picking._annotate import Network, Outputs, annotate, annotate_together
from lithoscope.picking._peaks import (
    EDGE_S,
    LONGEST_S,
    RIVAL_S,
    Onsets,
    compete,
    detections,
    inverse,
    largest_ahead,
    onsets,
)
from lithoscope.picking._tables import (
    LOWEST_HZ,
    detections_table,
    picks_columns,
    picks_of,
    require_finite,
    rounded,
)
from lithoscope.picking._trained import TrainedPicker
from lithoscope.picking.settings import LearnedPickerSettings
from lithoscope.waveforms import Record
from lithoscope.waveforms.resampling import half_width_s

#: Outputs turned into probabilities at once by `LearnedPicker.annotate`.
_PIECE = 1 << 18

# What the network sees before and after what `onsets_together` is asked for (s).
_NEAR_S = 10.0, 3.5


class LearnedPicker(TrainedPicker):
    """Picks P and S with a trained network, and says how sure it is.

    The network sees samples at its own rate (100 Hz), free of unit and offset; its output at a
    sample depends on samples within its reach only, so pieces, batches, files and streams give the
    same picks. Probabilities and sigmas are calibrated (model card). Method, figures and limits:
    docs/picking.md.

    Parameters
    ----------
    model
        Name of a model, its folder, or a loaded one.
    settings
        Thresholds and how the work is cut.

    Attributes
    ----------
    name
        Name and version of the model.
    sampling_rate_hz
        Rate of the network; other records are resampled to it piece by piece.
    context_s
        Reach of the data that a pick, or a detection from its start on, depends on (s).
    near_s
        Reach of the data before an onset that `onsets_together` looks at (s).
    thresholds
        Probabilities of P, S and event that are in force.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged or made for something else.
    ConfigError
        If a rate of false picks is wanted that was not measured for this model.
    """

    def __init__(
        self, model: Model | Path | str, settings: LearnedPickerSettings | None = None
    ) -> None:
        super().__init__(model, settings)
        self._network = _network(self.model)
        reach = self._network.reach + self._network.prepare_reach + self._network.stride
        self.context_s = float(
            np.ceil(
                reach / self.sampling_rate_hz
                + half_width_s(LOWEST_HZ, self.sampling_rate_hz)
                + max(self.settings.apart_s + RIVAL_S, EVENT_WITHIN_S, LONGEST_S)
            )
        )
        stride_s = self._network.stride / self.sampling_rate_hz
        self.near_s = self._before_ns / NS_PER_S + 1.5 * _NEAR_S[0] + 4 * stride_s
        calibration = self.model.card.calibration
        self._floors = (
            inverse(calibration.p.probability, self.thresholds[0]),
            inverse(calibration.s.probability, self.thresholds[1]),
        )

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return picks and detections of one record.

        Parameters
        ----------
        record
            Any length, 20 Hz or more, samples in any unit; missing components masked.

        Returns
        -------
        picks, detections
            Tables PICKS and DETECTIONS in order of time; empty where `unusable` gives a reason.

        Raises
        ------
        DataError
            If a sample is not finite.
        """
        if self.unusable(record):
            return schema.PICKS.empty(), schema.DETECTIONS.empty()
        outputs = self._outputs(record)
        origin = outputs.origin_ns
        parts = [
            picks_columns(
                record,
                phase,
                rounded(origin, found.time_s),
                found.sigma_s,
                found.probability,
                model=self.name,
                rate_hz=self.sampling_rate_hz,
            )
            for phase, found in zip("PS", self._onsets(outputs, record), strict=True)
        ]
        picks = picks_of({name: parts[0][name] + parts[1][name] for name in parts[0]})
        picks = picks.sort_values(["time", "phase"], ignore_index=True)
        high = self.thresholds[2]
        curve = self.model.card.calibration.event
        heard = detections(outputs, curve, self.settings.event_end * high, high)
        return picks, detections_table(
            record.station,
            rounded(origin, heard.start_s),
            rounded(origin, heard.end_s),
            heard.probability,
            model=self.name,
        )

    def annotate(self, record: Record) -> NDArray[np.float32]:
        """Return ``(3, n)`` probabilities of P, S and event at the record's samples.

        The calibrated outputs of the network, linear between its own samples. Calibration is that
        of picks: away from a maximum the value of P or S is a curve to look at, not the
        probability of anything.

        Raises
        ------
        DataError
            If a sample is not finite.
        """
        out = np.zeros((3, record.n_samples), np.float32)
        if self.unusable(record):
            return out
        outputs = self._outputs(record)
        calibration = self.model.card.calibration
        weights = (calibration.p.event_weight, calibration.s.event_weight, 0.0)
        curves = (calibration.p.probability, calibration.s.probability, calibration.event)
        ahead = round(EVENT_WITHIN_S / outputs.step_s)
        # Times of the record's samples, counted in outputs.
        lead_s = (record.starttime_ns - outputs.origin_ns) / NS_PER_S - outputs.delay_s
        m = outputs.logits.shape[1]
        for begin in range(0, record.n_samples, _PIECE):
            index = np.arange(begin, min(begin + _PIECE, record.n_samples))
            at = np.clip((lead_s + index / record.sampling_rate_hz) / outputs.step_s, 0, m - 1)
            low, high = int(at[0]), min(int(at[-1]) + 2, m)
            event = largest_ahead(outputs.logits[2, low : high + ahead], ahead)[: high - low]
            for k, (curve, weight) in enumerate(zip(curves, weights, strict=True)):
                values = calibrated(curve, evidence(outputs.logits[k, low:high], event, weight))
                out[k, index] = np.interp(at, np.arange(low, high), values)
        return out

    def onsets(self, record: Record, *, since_ns: int | None = None) -> tuple[Onsets, Onsets]:
        """Return the onsets of P and S as `pick` does, times in s after the record's start.

        With the event output beside each: what calibration needs.

        Parameters
        ----------
        record
            As for `pick`.
        since_ns
            Onsets before this time (ns since 1970) may be left out, which saves their work.

        Raises
        ------
        DataError
            If a sample is not finite.
        """
        if since_ns is not None:
            since_ns -= self._before_ns
        return self._of_record(self._outputs(record, since_ns), record)

    def onsets_together(
        self, records: Sequence[Record], since_ns: Sequence[int]
    ) -> list[tuple[Onsets, Onsets]]:
        """Return about what `onsets` does of each of some short records, in half the time.

        The network sees no more than `near_s` of the data before what is wanted and 3.5 s of the
        silence after a record, so that values differ a little: of 324 picks of Ridgecrest and
        Westmorland as many, 315, are seen at the edge of the data as with all that it can reach,
        and as soon.

        Raises
        ------
        DataError
            If a sample is not finite.
        """
        for record in records:
            require_finite(record)
        outputs = annotate_together(
            records,
            self._network,
            floors=self._floors,
            chunk=self._chunk,
            since_ns=[time_ns - self._before_ns for time_ns in since_ns],
            context=(self._near(_NEAR_S[0]), self._near(_NEAR_S[1])),
        )
        return [self._of_record(o, r) for o, r in zip(outputs, records, strict=True)]

    def _near(self, seconds: float) -> int:
        return min(round(seconds * self.sampling_rate_hz), self._network.reach)

    @property
    def _chunk(self) -> int:
        return round(self.settings.chunk_s * self.sampling_rate_hz)

    @property
    def _before_ns(self) -> int:
        """An onset depends on others within these distances, and so do those."""
        return round((2 * self.settings.apart_s + RIVAL_S) * NS_PER_S)

    def _of_record(self, outputs: Outputs, record: Record) -> tuple[Onsets, Onsets]:
        """Return onsets with times counted from the record's start."""
        lead_s = (outputs.origin_ns - record.starttime_ns) / NS_PER_S
        p, s = self._onsets(outputs, record)
        return replace(p, time_s=p.time_s + lead_s), replace(s, time_s=s.time_s + lead_s)

    def _outputs(self, record: Record, since_ns: int | None = None) -> Outputs:
        require_finite(record)
        return annotate(
            record,
            self._network,
            floors=self._floors,
            chunk=self._chunk,
            batch=self.settings.batch,
            since_ns=since_ns,
        )

    def _onsets(self, outputs: Outputs, record: Record) -> tuple[Onsets, Onsets]:
        """Return the onsets of both phases over their thresholds, after their competition."""
        calibration = self.model.card.calibration
        start = (record.starttime_ns - outputs.origin_ns) / NS_PER_S
        length = record.n_samples / record.sampling_rate_hz
        found = []
        for k, phase in enumerate((calibration.p, calibration.s)):
            some = onsets(outputs, k, phase, self._floors[k], self.settings.apart_s)
            inside = (some.time_s >= start + EDGE_S) & (some.time_s < start + length)
            found.append(some.take(inside & (some.probability >= self.thresholds[k])))
        keep_p, keep_s = compete(found[0], found[1])
        return found[0].take(keep_p), found[1].take(keep_s)


def _network(model: Model) -> Network:
    """Return how to run a model of our own family."""
    card = model.card
    if card.family != "lithoscope":
        raise ModelError(
            f"model '{card.name}' is of the family {card.family}, which works on windows; "
            "the learned picker runs models of the family lithoscope"
        )
    rate = card.input.rate_hz
    if rate != round(rate):
        raise ModelError(f"model '{card.name}' is made for {rate:g} Hz; the rate must be whole")

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return model.network.run(x)[0]

    return Network(
        run=run,
        prepare=preprocessing.prepare,
        rate_hz=round(rate),
        stride=int(np.lcm(card.windows.align, preprocessing.ALIGN)),
        output_stride=card.output.stride,
        reach=card.windows.reach,
        prepare_reach=preprocessing.REACH,
    )
