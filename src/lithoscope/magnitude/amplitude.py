"""Peak amplitude of an event on a Wood-Anderson seismogram."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from lithoscope.constants import NS_PER_S
from lithoscope.magnitude.settings import MagnitudeSettings
from lithoscope.magnitude.windows import Window
from lithoscope.waveforms import Record

_HIGHPASS_ORDER = 2
# Ends of a record that `lithoscope.stations.to_wood_anderson` tapers.
_TAPER_PART, _TAPER_S = 0.05, 5.0
COMPONENTS = ("Z", "N", "E")


@dataclass(frozen=True)
class Amplitude:
    """Peak of one component: mm zero to peak, its time (ns), peak over noise, or why not."""

    component: int
    amplitude_mm: float = np.nan
    time_ns: int = 0
    snr: float = np.nan
    reason: str = ""


def measure(
    trace_mm: NDArray[np.float64],
    times_ns: NDArray[np.int64],
    sampling_rate_hz: float,
    component: int,
    window: Window,
    settings: MagnitudeSettings,
) -> Amplitude:
    """Return the peak of one Wood-Anderson trace in the window.

    The trace is taken as it is where its peak is ``clean_snr`` times the noise; otherwise it is
    measured again after a causal high-pass (so that no signal leaks into the noise before it) and
    the better of the two ratios counts.
    """
    best = _peak(trace_mm, times_ns, component, window)
    corner = settings.highpass_hz
    if not best.snr >= settings.clean_snr and 0 < corner < 0.4 * sampling_rate_hz:
        sos = butter(_HIGHPASS_ORDER, corner, "highpass", fs=sampling_rate_hz, output="sos")
        filtered = _peak(sosfilt(sos, trace_mm), times_ns, component, window)
        if filtered.snr > best.snr or np.isnan(best.snr):
            best = filtered
    if not np.isfinite(best.amplitude_mm) or best.amplitude_mm <= 0.0:
        return Amplitude(component, reason="no signal: the trace is zero or not finite")
    if best.snr < settings.min_snr:
        reason = f"low signal to noise: {best.snr:.2f}, needs {settings.min_snr:g}"
        return replace(best, reason=reason)
    return best


def _peak(
    trace: NDArray[np.float64], times: NDArray[np.int64], component: int, window: Window
) -> Amplitude:
    signal = (times >= window.signal_start) & (times <= window.signal_end)
    quiet = (times >= window.noise_start) & (times <= window.noise_end)
    if window.between_start is not None:
        quiet |= (times >= window.between_start) & (times <= window.signal_start)
    if not signal.any() or not quiet.any():
        return Amplitude(component)
    centred = np.abs(trace - np.mean(trace[(times <= window.noise_end) & quiet]))
    at = int(np.argmax(np.where(signal, centred, -1.0)))
    noise = float(np.max(centred[quiet]))
    snr = float(centred[at] / noise) if noise > 0 else np.inf
    return Amplitude(component, float(centred[at]), int(times[at]), snr)


def usable_span(window: Window, settings: MagnitudeSettings) -> tuple[int, int]:
    """Return the least time (ns) that data must cover without a gap: 2 s of noise to after S."""
    start = window.noise_end - round(min(2.0, settings.noise_window_s) * NS_PER_S)
    return start, window.s_time + round(settings.min_s_window_s * NS_PER_S)


def untapered_span(record: Record) -> tuple[int, int]:
    """Return the first and last time (ns) of a record that the response filter leaves untapered."""
    taper = min(_TAPER_PART * (record.endtime_ns - record.starttime_ns), _TAPER_S * NS_PER_S)
    return record.starttime_ns + round(taper), record.endtime_ns - round(taper)
