"""Two pickers as one: the second adds the onsets that the first does not see."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.picking.interface import Picker
from lithoscope.schema import PICKS
from lithoscope.waveforms import Record

#: Picks of the second this near to a pick of the first, of either phase, are dropped (s).
SAME_S = 0.5


class CombinedPicker:
    """Picks of one picker, and those of another where the first has none within half a second.

    A learned picker and the classical one miss different faint onsets; for a small network, where
    every pick counts, both together miss fewer, at the price of more false picks for the
    association to sort out. Detections are those of the first.

    Parameters
    ----------
    first, second
        Pickers; each keeps its own probabilities, sigmas and name in the column ``model``.
    """

    def __init__(self, first: Picker, second: Picker) -> None:
        self.first = first
        self.second = second
        self.name = f"{first.name}+{second.name}"
        self.sampling_rate_hz = first.sampling_rate_hz
        self.context_s = max(first.context_s, second.context_s) + SAME_S

    def unusable(self, record: Record) -> str | None:
        """Return why neither can pick a record, or None."""
        first, second = self.first.unusable(record), self.second.unusable(record)
        return first if first and second else None

    def annotate(self, record: Record) -> NDArray[np.float32]:
        """Return the larger of both pickers' probabilities, ``(3, n)``: P, S, event."""
        return np.maximum(self.first.annotate(record), self.second.annotate(record))

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the picks (PICKS) of both and the detections (DETECTIONS) of the first."""
        picks, detections = self.first.pick(record)
        more, _ = self.second.pick(record)
        if len(picks) and len(more):
            known = np.sort(picks["time"].astype("int64").to_numpy())
            times = more["time"].astype("int64").to_numpy()
            at = np.searchsorted(known, times)
            gap = np.minimum(
                np.abs(times - known[np.maximum(at - 1, 0)]),
                np.abs(known[np.minimum(at, len(known) - 1)] - times),
            )
            more = more[gap > SAME_S * NS_PER_S]
        if len(more):
            picks = pd.concat([picks, more]) if len(picks) else more
            picks = PICKS.table(picks.sort_values(["time", "phase"]).to_dict("records"))
        return picks, detections
