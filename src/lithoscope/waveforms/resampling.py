"""Change of sampling rate without aliasing and without moving times.

A windowed-sinc low-pass (Kaiser window, 80 dB) is evaluated at the wanted output times, so that
any ratio of rates and any offset of the two sample grids is one operation. The filter is
symmetric, hence zero-phase and acausal: nothing moves in time, but an onset with energy near the
new Nyquist frequency gets a small ringing in front of it, at most `half_width_s` long. The
transition band (75 to 100 % of Nyquist) is as wide as it is to keep that short.

References: Kaiser (1974), Proc. IEEE Int. Symp. Circuits and Systems, 20-23 (window and its
length); Oppenheim & Schafer (2010), Discrete-Time Signal Processing, section 7.5.3.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.waveforms.record import Record

_ATTENUATION_DB = 80.0
_PASSBAND = 0.75  # of the lower Nyquist frequency; from there to 1.0 the filter falls to -80 dB
_MAX_PHASES = 4096


def resample(record: Record, sampling_rate_hz: float) -> Record:
    """Return the record at another sampling rate.

    Output samples lie at whole multiples of ``1 / sampling_rate_hz`` seconds since 1970 and
    inside the record, so that they do not depend on where the data start; a record that already
    has the rate is returned as it is, on its own grid. Amplitudes below 75 % of the lower
    Nyquist frequency are kept, those above it are rejected by 80 dB. Nearer to the ends than
    `half_width_s`, values depend on a constant extension of the record.

    Parameters
    ----------
    record
        Any record.
    sampling_rate_hz
        Wanted rate, above zero.

    Raises
    ------
    DataError
        If the rate is not positive, or the record is shorter than one output sample.
    """
    rate_in, rate_out = record.sampling_rate_hz, float(sampling_rate_hz)
    if not (np.isfinite(rate_out) and rate_out > 0):
        raise DataError(f"cannot resample to {sampling_rate_hz} Hz; the rate must be above 0")
    if rate_in == rate_out:
        return record
    exact = _as_fraction(rate_out)
    first = -(-(record.starttime_ns * exact) // NS_PER_S)
    last = (record.endtime_ns * exact) // NS_PER_S
    if record.n_samples < 2 or last < first:
        raise DataError(
            f"{record.station}: {record.n_samples} sample(s) at {rate_in:g} Hz are too short "
            f"for {rate_out:g} Hz; leave such pieces out"
        )
    start = Fraction(int(first) * NS_PER_S) / exact
    position = (start - record.starttime_ns) * _as_fraction(rate_in) / NS_PER_S
    data = np.zeros((3, int(last - first) + 1), np.float32)
    for row in np.flatnonzero(record.mask):
        data[row] = interpolate(record.data[row], rate_in, rate_out, position, data.shape[1])
    return replace(record, starttime_ns=round(start), sampling_rate_hz=rate_out, data=data)


def half_width_s(rate_in_hz: float, rate_out_hz: float) -> float:
    """Return how far (s) the filter reaches to each side of an output sample."""
    return _half_taps(rate_in_hz, rate_out_hz) / rate_in_hz


def interpolate(
    values: NDArray[np.float32],
    rate_in_hz: float,
    rate_out_hz: float,
    position: Fraction,
    n_out: int,
) -> NDArray[np.float32]:
    """Evaluate low-passed ``values`` at ``position + k rate_in / rate_out`` (input samples).

    Positions are exact fractions; ratios with more than 4096 distinct phases are rounded to
    1/4096 of an input sample.
    """
    step = _as_fraction(rate_in_hz) / _as_fraction(rate_out_hz)
    phases = step.denominator
    if phases > _MAX_PHASES:
        phases = _MAX_PHASES
        grid = np.rint(np.arange(n_out) * (float(step) * phases) + float(position * phases))
        index, phase = np.divmod(grid.astype(np.int64), phases)
        fractions = np.arange(phases) / phases
    else:
        cycle = [position + k * step for k in range(phases)]
        whole = np.array([c.numerator // c.denominator for c in cycle], np.int64)
        fractions = np.array([float(c - c.numerator // c.denominator) for c in cycle])
        turns, phase = np.divmod(np.arange(n_out), phases)
        index = whole[phase] + turns * step.numerator
    taps = _filters(rate_in_hz, rate_out_hz, fractions)
    return _dot(np.ascontiguousarray(values), taps, index, phase)


def _as_fraction(rate_hz: float) -> Fraction:
    # Header rates are float32 or rounded decimals: 1/3 Hz steps and 0.001 Hz steps stay exact.
    return Fraction(rate_hz).limit_denominator(100_000)


def _half_taps(rate_in_hz: float, rate_out_hz: float) -> int:
    nyquist = 0.5 * min(rate_in_hz, rate_out_hz) / rate_in_hz
    width = (1.0 - _PASSBAND) * nyquist
    # Kaiser's formula for the order, halved.
    return int(np.ceil((_ATTENUATION_DB - 7.95) / (14.36 * width) / 2.0)) + 1


def _filters(
    rate_in_hz: float, rate_out_hz: float, fractions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one row of taps for each fractional position, each with unit sum."""
    half = _half_taps(rate_in_hz, rate_out_hz)
    nyquist = 0.5 * min(rate_in_hz, rate_out_hz) / rate_in_hz
    cutoff = 0.5 * (1.0 + _PASSBAND) * nyquist
    beta = 0.1102 * (_ATTENUATION_DB - 8.7)
    lag = np.arange(-half + 1, half + 1)[None, :] - fractions[:, None]
    window = np.i0(beta * np.sqrt(np.clip(1.0 - (lag / half) ** 2, 0.0, None))) / np.i0(beta)
    taps = 2.0 * cutoff * np.sinc(2.0 * cutoff * lag) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


# Reordering the sum lets it use vector units; the order is fixed when compiled, so one input
# gives one output on every run and for every position.
@njit(cache=True, fastmath={"reassoc", "contract"})
def _dot(values, taps, index, phase):  # type: ignore[no-untyped-def]  # pragma: no cover
    n = values.size
    width = taps.shape[1]
    half = width // 2
    out = np.empty(index.size, np.float32)
    for k in range(index.size):
        start = index[k] - half + 1
        row = taps[phase[k]]
        total = 0.0
        if start >= 0 and start + width <= n:
            piece = values[start : start + width]
            for j in range(width):
                total += row[j] * piece[j]
        else:
            for j in range(width):
                total += row[j] * values[min(max(start + j, 0), n - 1)]
        out[k] = total
    return out
