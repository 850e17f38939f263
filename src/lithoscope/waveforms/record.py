"""One gap-free piece of one station."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError

# A sample that lies this part of a sample before a cut still counts as lying on it.
_ON_GRID = 1e-4
_EXACT = 2**24  # float32 holds all integers up to this


@dataclass(frozen=True)
class Record:
    """Gap-free piece of one station with a fixed set of components.

    Attributes
    ----------
    station
        ``NET.STA.LOC.BI`` (band and instrument).
    starttime_ns
        First sample, integer nanoseconds since 1970 UTC.
    sampling_rate_hz
        Samples per second.
    data
        float32 ``(3, n)``: up, north, east, in the recorder's unit (counts); a missing
        component is zeros. No mean or trend is removed.
    mask
        ``(3,)``, True where the component exists.
    channels
        ``NET.STA.LOC.CHA`` of each row before rotation, ``""`` if missing.
    clipped
        ``(3,)``, True where the component touches a rail within this record (or within the
        record that it was cut from).
    """

    station: str
    starttime_ns: int
    sampling_rate_hz: float
    data: NDArray[np.float32]
    mask: NDArray[np.bool_]
    channels: tuple[str, str, str]
    clipped: NDArray[np.bool_]

    @property
    def n_samples(self) -> int:
        """Samples per component."""
        return int(self.data.shape[1])

    @property
    def endtime_ns(self) -> int:
        """Time of the last sample (one sample before the start if there is none)."""
        return self.starttime_ns + offset_ns(self.n_samples - 1, self.sampling_rate_hz)

    def times_ns(self) -> NDArray[np.int64]:
        """Return the time of every sample, ns since 1970."""
        steps = np.arange(self.n_samples) * (NS_PER_S / self.sampling_rate_hz)
        return self.starttime_ns + np.rint(steps).astype(np.int64)

    def cut(self, start_ns: int, end_ns: int) -> Record:
        """Return the samples with ``start_ns <= time < end_ns`` (possibly none), not copied."""
        if end_ns < start_ns:
            raise DataError(
                f"{self.station}: cannot cut from {start_ns} to {end_ns} ns; "
                "the end must not be before the start"
            )
        rate = self.sampling_rate_hz
        first = sample_at_or_after(start_ns - self.starttime_ns, rate)
        last = sample_at_or_after(end_ns - self.starttime_ns, rate)
        first = min(max(first, 0), self.n_samples)
        last = min(max(last, first), self.n_samples)
        return replace(
            self,
            starttime_ns=self.starttime_ns + offset_ns(first, rate),
            data=self.data[:, first:last],
        )


def offset_ns(n_samples: int, sampling_rate_hz: float) -> int:
    """Return the length of ``n_samples`` sampling intervals, rounded to ns."""
    return round(n_samples * NS_PER_S / sampling_rate_hz)


def sample_at_or_after(duration_ns: int, sampling_rate_hz: float) -> int:
    """Return the first sample number that lies ``duration_ns`` after sample 0, or later."""
    return int(np.ceil(duration_ns * sampling_rate_hz / NS_PER_S - _ON_GRID))


def nearest_sample(duration_ns: int, sampling_rate_hz: float) -> int:
    """Return the sample number nearest to ``duration_ns`` after sample 0 (halves go up)."""
    return int(np.floor(duration_ns * sampling_rate_hz / NS_PER_S + 0.5))


def beyond_exact(values: NDArray[Any]) -> bool:
    """Tell whether integers are too large for float32 to hold each of them."""
    if values.dtype.kind == "f" or values.size == 0:
        return False
    return int(values.max()) > _EXACT or int(values.min()) < -_EXACT
