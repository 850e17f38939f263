"""What every picker offers: records in; probabilities, picks and detections out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from lithoscope.waveforms import Record


@runtime_checkable
class Picker(Protocol):
    """A method that finds onsets of P and S on one station.

    Attributes
    ----------
    name
        Name and version, written into the column ``model`` of its tables.
    sampling_rate_hz
        Rate at which the picker works; it resamples records itself where it has to.
    context_s
        Output at time t depends only on data within ``t - context_s`` to ``t + context_s``.
    """

    name: str
    sampling_rate_hz: float
    context_s: float

    def unusable(self, record: Record) -> str | None:
        """Return why nothing can be picked on a record, or None."""
        ...

    def annotate(self, record: Record) -> NDArray[np.float32]:
        """Return probabilities of P, S and event, ``(3, n)`` in 0 to 1, at the record's samples."""
        ...

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the picks (PICKS) and detections (DETECTIONS) of one record."""
        ...
