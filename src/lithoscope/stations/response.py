"""Ground motion and Wood-Anderson amplitudes from counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.interpolate import CubicSpline
from scipy.signal import detrend

from lithoscope.stations.inventory import Inventory, start_key
from lithoscope.stations.settings import StationSettings
from lithoscope.waveforms import Record
from lithoscope.waveforms.obspy_errors import READ_ERRORS

# Wood-Anderson torsion seismograph as built: Uhrhammer & Collins (1990), BSSA 80, 702-716; the
# IASPEI (2013) standard for ML uses the same three values.
WA_MAGNIFICATION = 2080.0
WA_PERIOD_S = 0.8
WA_DAMPING = 0.7
# Evalresp warns at 5 %. A factor of two is far beyond what a filter does to a gain; a stage given
# twice or in another unit is off by far more.
GAIN_FACTOR = 2.0
_POWERS = {"m": -1, "m/s": 0, "m/s**2": 1}

# The cosine tapers: at each end of the record in time, and towards the Nyquist frequency.
_TAPER_PART, _TAPER_S = 0.05, 5.0
_HIGH_PASSED, _HIGH_STOPPED = 0.8, 0.95
_NODES = 256  # of either spacing; 0.2 Hz apart at 100 Hz, which follows delays of over a second

_Transfer = Callable[[NDArray[np.complex128]], NDArray[np.complex128]]


@dataclass(frozen=True)
class GroundMotion:
    """A record in physical units.

    Attributes
    ----------
    station, starttime_ns, sampling_rate_hz, channels, clipped
        As in the `Record`.
    data
        ``(3, n)`` up, north, east; zeros where the component is missing or refused.
    unit
        Of ``data``.
    mask
        ``(3,)``, True where there is an amplitude.
    reasons
        Why there is none, "" where there is one.
    methods
        "response" (deconvolved), "gain" (divided, a flat response assumed; a second half says so
        where there is a response that ObsPy cannot evaluate) or "".
    """

    station: str
    starttime_ns: int
    sampling_rate_hz: float
    data: NDArray[np.float64]
    unit: str
    mask: NDArray[np.bool_]
    reasons: tuple[str, str, str]
    methods: tuple[str, str, str]
    channels: tuple[str, str, str]
    clipped: NDArray[np.bool_]

    def times_ns(self) -> NDArray[np.int64]:
        """Return the time of every sample, ns since 1970."""
        steps = np.arange(self.data.shape[1]) * (1e9 / self.sampling_rate_hz)
        return self.starttime_ns + np.rint(steps).astype(np.int64)


WoodAnderson = GroundMotion


def to_wood_anderson(
    record: Record, inventory: Inventory, settings: StationSettings | None = None
) -> WoodAnderson:
    """Simulate the trace of a Wood-Anderson seismograph, in mm.

    Counts are turned into ground velocity as in `to_velocity` and passed through
    ``2080 s / (s^2 + 2 h w0 s + w0^2)`` with h = 0.7 and w0 = 2 pi / 0.8 s (Uhrhammer & Collins
    1990; the older standard, 2800, gives amplitudes 1.35 times as large). The parameters,
    refusals and limits are those of `to_velocity`.
    """
    corner = 2.0 * np.pi / WA_PERIOD_S

    def transfer(s: NDArray[np.complex128]) -> NDArray[np.complex128]:
        pendulum = s**2 + 2.0 * WA_DAMPING * corner * s + corner**2
        return 1000.0 * WA_MAGNIFICATION * s / pendulum

    return _converted(record, inventory, settings or StationSettings(), transfer, "mm")


def to_velocity(
    record: Record, inventory: Inventory, settings: StationSettings | None = None
) -> GroundMotion:
    """Turn counts into ground velocity, in m/s.

    A linear trend is removed and 5 % of the record (at most 5 s) tapered at each end, so read
    that much more than is to be measured. A full response is evaluated by ObsPy (evalresp) and
    divided out above a water level; a channel that has only a gain is divided by it as if its
    response were flat, and acceleration is integrated, displacement differentiated, in the
    frequency domain. Both are band-passed by cosine tapers: from half of ``highpass_hz`` (zero)
    to it (one), and from 80 % (one) to 95 % (zero) of the Nyquist frequency. The filter is
    zero-phase.

    Each row is converted with the gain of the channel it came from. Rows rotated from channels
    of unequal gains are off by up to their difference; read without ``channels`` to avoid it.

    Parameters
    ----------
    record
        In counts.
    inventory
        Gains and responses, valid at the record's start.
    settings
        ``highpass_hz``, ``water_level_db``.

    Returns
    -------
    GroundMotion
        Components without a usable gain or response are masked and have a reason: missing, no
        metadata at that time, no response or gain, or a unit that is no ground motion.
    """
    return _converted(record, inventory, settings or StationSettings(), np.ones_like, "m/s")


def _converted(
    record: Record,
    inventory: Inventory,
    settings: StationSettings,
    transfer: _Transfer,
    unit: str,
) -> GroundMotion:
    data = np.zeros((3, record.n_samples))
    reasons, methods = ["", "", ""], ["", "", ""]
    n_fft = next_fast_len(2 * record.n_samples, real=True)
    frequency = rfftfreq(n_fft, 1.0 / record.sampling_rate_hz)
    s = 2j * np.pi * frequency
    band = _band(frequency, record.sampling_rate_hz, settings.highpass_hz)
    shape = transfer(s) * band
    for row in range(3):
        if record.n_samples < 2 or not record.mask[row]:
            reasons[row] = "component missing"
            continue
        system, methods[row], reasons[row] = _to_counts(
            record.channels[row], inventory, record.starttime_ns, frequency, band, settings
        )
        if system is None:
            continue
        spectrum = rfft(_prepared(record.data[row], record.sampling_rate_hz), n_fft)
        spectrum = np.divide(spectrum * shape, system, out=np.zeros_like(spectrum), where=band > 0)
        data[row] = irfft(spectrum, n_fft)[: record.n_samples]
    return GroundMotion(
        record.station,
        record.starttime_ns,
        record.sampling_rate_hz,
        data,
        unit,
        np.array([m != "" for m in methods]),
        (reasons[0], reasons[1], reasons[2]),
        (methods[0], methods[1], methods[2]),
        record.channels,
        record.clipped,
    )


def _prepared(values: NDArray[np.float32], rate_hz: float) -> NDArray[np.float64]:
    out = np.asarray(detrend(values.astype(np.float64)))
    n_taper = min(int(_TAPER_PART * out.size), int(_TAPER_S * rate_hz))
    if n_taper > 0:
        ramp = 0.5 * (1.0 - np.cos(np.pi * np.arange(n_taper) / n_taper))
        out[:n_taper] *= ramp
        out[-n_taper:] *= ramp[::-1]
    return out


def _band(frequency: NDArray[np.float64], rate_hz: float, low_hz: float) -> NDArray[np.float64]:
    nyquist = 0.5 * rate_hz
    rise = np.clip((frequency - 0.5 * low_hz) / (0.5 * low_hz), 0.0, 1.0)
    fall = np.clip(
        (_HIGH_STOPPED * nyquist - frequency) / ((_HIGH_STOPPED - _HIGH_PASSED) * nyquist), 0.0, 1.0
    )
    return np.asarray(0.25 * (1.0 - np.cos(np.pi * rise)) * (1.0 - np.cos(np.pi * fall)))


def _to_counts(
    channel: str,
    inventory: Inventory,
    time_ns: int,
    frequency: NDArray[np.float64],
    band: NDArray[np.float64],
    settings: StationSettings,
) -> tuple[NDArray[np.complex128] | None, str, str]:
    """Return counts per m/s at the frequencies, the method, and the reason if there is none."""
    row = inventory.channel(channel, time_ns)
    if row is None:
        known = channel in set(inventory.channels["channel"])
        return None, "", "no metadata at this time" if known else "no metadata for this channel"
    if row["unit"] and row["unit"] not in ("m", "m/s", "m/s**2"):
        return None, "", f"unit not convertible: {row['unit']}"
    if row["has_response"]:
        system = _response(
            inventory.responses[channel, start_key(row["starttime"])], frequency, band
        )
        if system is not None:
            factor = _disagreement(system, frequency, band, row)
            if factor > GAIN_FACTOR:
                return (
                    None,
                    "",
                    f"response and stated gain differ by a factor of {factor:.2g}; "
                    "check the metadata",
                )
            level = np.abs(system).max() * 10.0 ** (-settings.water_level_db / 20.0)
            weak = np.abs(system) < level
            phase = np.exp(1j * np.angle(system[weak]))
            system[weak] = level * phase
            return system, "response", ""
    if pd.isna(row["gain"]):
        lacking = "response cannot be evaluated" if row["has_response"] else "no response"
        return None, "", f"{lacking} and no gain"
    if not row["unit"]:
        return None, "", "unit of the gain unknown"
    power = _POWERS[row["unit"]]
    s = 2j * np.pi * np.where(frequency > 0, frequency, 1.0)
    method = "gain, response cannot be evaluated" if row["has_response"] else "gain"
    return row["gain"] * s**power, method, ""


def _disagreement(
    system: NDArray[np.complex128],
    frequency: NDArray[np.float64],
    band: NDArray[np.float64],
    row: Any,
) -> float:
    """Return by what factor (1 or more) response and stated gain differ where the gain holds.

    A stage gain given twice or in another unit shows here; 1 where nothing can be compared.
    """
    if pd.isna(row["gain"]) or not row["unit"] or pd.isna(row["gain_frequency_hz"]):
        return 1.0
    nearest = int(np.argmin(np.abs(frequency - row["gain_frequency_hz"])))
    if band[nearest] < 1.0:
        return 1.0
    stated = row["gain"] * (2 * np.pi * frequency[nearest]) ** _POWERS[row["unit"]]
    ratio = float(np.abs(system[nearest])) / stated
    return max(ratio, 1.0 / ratio)


def _response(
    response: Any, frequency: NDArray[np.float64], band: NDArray[np.float64]
) -> NDArray[np.complex128] | None:
    """Return the response to velocity inside the band; None if ObsPy cannot evaluate it.

    Evalresp is slow, so it is evaluated at a few hundred frequencies and interpolated by cubic
    splines of log amplitude and phase.
    """
    inside = frequency[band > 0]
    if inside.size < 2:
        return None
    ends = inside[0], inside[-1]
    nodes = np.unique(np.concatenate([np.geomspace(*ends, _NODES), np.linspace(*ends, _NODES)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            values = response.get_evalresp_response_for_frequencies(nodes, output="VEL")
        except READ_ERRORS:
            return None
    if not np.all(np.isfinite(values)) or not np.all(np.abs(values) > 0):
        return None
    amplitude = CubicSpline(nodes, np.log(np.abs(values)))
    phase = CubicSpline(nodes, np.unwrap(np.angle(values)))
    out = np.zeros(frequency.size, np.complex128)
    out[band > 0] = np.exp(amplitude(inside) + 1j * phase(inside))
    return out
