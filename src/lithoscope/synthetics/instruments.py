"""Sensors and recorders of the training seismograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lithoscope.synthetics.training_settings import SyntheticSettings
from lithoscope.synthetics.wavelets import instrument_filter

# Natural frequencies in Hz (0: broadband, flat here) and how often each is drawn.
CORNERS_HZ = (0.0, 0.2, 1.0, 2.0, 4.5, 10.0)
CORNER_PARTS = (0.42, 0.05, 0.2, 0.12, 0.18, 0.03)
# Rates at which the data were recorded before they became 100 Hz, and how often.
RECORDED_HZ = (20.0, 25.0, 40.0, 50.0, 62.5, 80.0, 100.0, 125.0, 200.0, 250.0)
RECORDED_PARTS = (0.01, 0.01, 0.05, 0.06, 0.02, 0.02, 0.57, 0.05, 0.16, 0.05)


@dataclass(frozen=True)
class Instruments:
    """Sensor and recorder of each trace.

    Attributes
    ----------
    corner_hz, damping
        Of the velocity sensor; corner 0 means flat.
    accelerometer
        True where the trace is acceleration.
    cutoff_hz
        Above this nothing was recorded; infinite where no filter bites.
    passband
        Part of it up to which all was.
    """

    corner_hz: NDArray[np.float64]
    damping: NDArray[np.float64]
    accelerometer: NDArray[np.bool_]
    cutoff_hz: NDArray[np.float64]
    passband: NDArray[np.float64]

    def response(self, n_fft: int, rate_hz: float) -> NDArray[np.complex64]:
        """Transfer functions from ground velocity, (n, n_fft/2 + 1)."""
        return instrument_filter(self.corner_hz, self.damping, self.accelerometer, rate_hz, n_fft)


def draw_instruments(rng: np.random.Generator, n: int, how: SyntheticSettings) -> Instruments:
    """Draw the sensors and recorders of ``n`` traces."""
    accelerometer = rng.uniform(size=n) < how.accelerometer_part
    corner = rng.choice(CORNERS_HZ, n, p=CORNER_PARTS)
    recorded = rng.choice(RECORDED_HZ, n, p=RECORDED_PARTS)
    cutoff = recorded * rng.uniform(0.44, 0.5, n)
    # At 100 Hz and above others have a filter of minimum phase, or none that bites.
    soft = rng.uniform(size=n) >= how.linear_phase_part
    soft &= (recorded >= 100.0) | (how.linear_phase_part == 0.0)
    return Instruments(
        corner_hz=np.where(accelerometer, 0.0, corner),
        damping=rng.uniform(0.5, 0.9, n),
        accelerometer=accelerometer,
        cutoff_hz=np.where(soft, np.inf, np.minimum(cutoff, 50.0)),
        passband=rng.uniform(0.3, 0.8, n),
    )
