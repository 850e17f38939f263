"""Three-component seismograms with known onsets, fast enough to train a picker on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from lithoscope.errors import DataError
from lithoscope.synthetics import mixing
from lithoscope.synthetics.backgrounds import coloured_noise, real_noise
from lithoscope.synthetics.earthquakes import padded_length, seismograms
from lithoscope.synthetics.instruments import Instruments, draw_instruments
from lithoscope.synthetics.nuisances import add_faults, add_nuisances
from lithoscope.synthetics.paths import Paths, draw_paths
from lithoscope.synthetics.sources import Sources, draw_sources
from lithoscope.synthetics.training_settings import SyntheticSettings

__all__ = ["Interval", "Onset", "SyntheticBatch", "SyntheticSettings", "synthesize"]


class Onset(NamedTuple):
    """First arrival of a phase.

    Attributes
    ----------
    phase
        "P" or "S".
    sample
        Fractional sample after the trace's first. Nothing of the phase lies before it, save a
        head wave or first part of the source hidden in noise (`mixing.visible_onsets`).
    snr_db
        Power gained in 1 to 20 Hz over the power before, best component.
    event
        Number of the earthquake in its trace.
    """

    phase: str
    sample: float
    snr_db: float
    event: int


class Interval(NamedTuple):
    """Samples, first and last, between which an earthquake is visible, and its number."""

    first: int
    last: int
    event: int


@dataclass(frozen=True)
class SyntheticBatch:
    """Seismograms and the truth about them.

    Attributes
    ----------
    data
        (n, 3, n_samples) float32, Z N E, arbitrary units.
    mask
        (n, 3) False where a component does not exist (zeros).
    onsets
        Per trace, by time.
    intervals
        Per trace; also of earthquakes whose onsets lie outside.
    """

    data: NDArray[np.float32]
    mask: NDArray[np.bool_]
    onsets: list[list[Onset]] = field(default_factory=list)
    intervals: list[list[Interval]] = field(default_factory=list)


def synthesize(
    rng: np.random.Generator,
    n: int,
    *,
    n_samples: int = 6144,
    sampling_rate_hz: float = 100.0,
    settings: SyntheticSettings | None = None,
    noise: NDArray[np.float32] | None = None,
) -> SyntheticBatch:
    """Make ``n`` seismograms with known onsets.

    Parameters
    ----------
    rng
        Source of the random numbers; the same state gives the same batch.
    n
        Number of traces.
    n_samples, sampling_rate_hz
        Length and rate of the window.
    settings
        Physical ranges; default `SyntheticSettings`.
    noise
        (windows, 3, at least n_samples) pool of real noise at the same rate, used for a part of
        the traces instead of coloured noise.

    Returns
    -------
    SyntheticBatch

    Raises
    ------
    DataError
        If a number is not positive or the pool has another shape.
    """
    if n < 1 or n_samples < 256 or not sampling_rate_hz > 0:
        raise DataError(
            f"n = {n}, n_samples = {n_samples}, sampling_rate_hz = {sampling_rate_hz:g}; at least "
            "one trace, 256 samples and a positive rate are required"
        )
    how = settings or SyntheticSettings()
    mask = np.ones((n, 3), bool)
    mask[rng.uniform(size=n) < how.vertical_only_part, 1:] = False
    instruments = draw_instruments(rng, n, how)
    background = _background(rng, instruments, noise, n, n_samples, sampling_rate_hz, how)
    sources = draw_sources(rng, n, n_samples, sampling_rate_hz, how)
    paths = draw_paths(rng, sources, sampling_rate_hz, how)
    sensor = instruments.response(padded_length(n_samples), sampling_rate_hz)
    events = seismograms(rng, sources, paths, sensor, n_samples, sampling_rate_hz, how)
    data = background * mask[..., None]
    events *= mask[sources.trace][..., None]
    seen, last = _mix(rng, data, events, sources, paths, sampling_rate_hz, how)
    _decimation_filter(data, instruments, sampling_rate_hz)
    add_faults(rng, data, sampling_rate_hz, how.fault_part)
    onsets, intervals = _truth(data, sources, seen, last)
    data *= (mask * 10.0 ** rng.uniform(*how.unit_decades, (n, 1)))[..., None].astype(np.float32)
    return SyntheticBatch(data, mask, onsets, intervals)


def _mix(
    rng: np.random.Generator,
    data: NDArray[np.float32],
    events: NDArray[np.float32],
    sources: Sources,
    paths: Paths,
    rate_hz: float,
    how: SyntheticSettings,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scale the earthquakes to the noise in ``data``, add them and nuisances to it in place.

    Returns the onsets that can be seen with their signal-to-noise ratios (k, 2, 2), and the last
    samples at which the earthquakes can be seen (k,).
    """
    trace = sources.trace
    noise_band = mixing.band_filter(data, rate_hz)
    event_band = mixing.band_filter(events, rate_hz)
    factor = mixing.scale_factors(
        event_band, trace, sources.onset, sources.snr_db, noise_band, rate_hz
    ).astype(np.float32)[:, None, None]
    events *= factor
    event_band *= factor
    last = mixing.last_visible(event_band, noise_band, trace, rate_hz)
    # Nuisances hide onsets, too.
    add_nuisances(rng, data, rate_hz, how.nuisance_part)
    noise_band = mixing.band_filter(data, rate_hz)
    band = np.zeros_like(noise_band)
    for e, row in enumerate(trace):
        band[row] += event_band[e]
        data[row] += events[e]
    seen = mixing.visible_onsets(band, noise_band, trace, sources.onset, paths.arrivals, rate_hz)
    return seen, last


def _background(
    rng: np.random.Generator,
    instruments: Instruments,
    pool: NDArray[np.float32] | None,
    n: int,
    n_samples: int,
    rate_hz: float,
    how: SyntheticSettings,
) -> NDArray[np.float32]:
    response = np.abs(instruments.response(n_samples, rate_hz))
    out = coloured_noise(rng, n, n_samples, rate_hz, response)
    if pool is not None:
        real = np.flatnonzero(rng.uniform(size=n) < how.real_noise_part)
        out[real] = real_noise(rng, pool, len(real), n_samples)
    return out


def _decimation_filter(data: NDArray[np.float32], instruments: Instruments, rate_hz: float) -> None:
    """Linear-phase low pass of recorder and resampling, in place: a cosine down to its cutoff."""
    rows = np.flatnonzero(np.isfinite(instruments.cutoff_hz))
    n, ends = data.shape[-1], 128
    padded = np.pad(data[rows], ((0, 0), (0, 0), (ends, ends)), mode="reflect")
    frequency = np.fft.rfftfreq(n + 2 * ends, 1.0 / rate_hz)
    start, cutoff = instruments.passband[rows, None], instruments.cutoff_hz[rows, None]
    place = np.clip((frequency / cutoff - start) / (1.0 - start), 0.0, 1.0)
    gain = (0.5 + 0.5 * np.cos(np.pi * place)).astype(np.float32)[:, None]
    data[rows] = irfft(rfft(padded, axis=-1) * gain, n + 2 * ends, axis=-1)[..., ends:-ends]


def _truth(
    data: NDArray[np.float32],
    sources: Sources,
    seen: NDArray[np.float64],
    last: NDArray[np.int64],
) -> tuple[list[list[Onset]], list[list[Interval]]]:
    n, _, n_samples = data.shape
    onsets: list[list[Onset]] = [[] for _ in range(n)]
    intervals: list[list[Interval]] = [[] for _ in range(n)]
    for e, (trace, number) in enumerate(zip(sources.trace, sources.number, strict=True)):
        for g, phase in enumerate("PS"):
            sample, snr_db = seen[e, g]
            if 0 <= sample < n_samples and _recorded(data[trace], int(np.ceil(sample))):
                onsets[trace].append(Onset(phase, float(sample), float(snr_db), int(number)))
        first = max(int(np.ceil(seen[e, 0, 0])), 0)
        if last[e] > first:
            intervals[trace].append(Interval(first, int(last[e]), int(number)))
    for rows in onsets:
        rows.sort(key=lambda row: row.sample)
    return onsets, intervals


def _recorded(data: NDArray[np.float32], at: int) -> bool:
    """Whether any component moves at this sample: no onset lies in a gap."""
    around = data[:, max(at - 5, 0) : at + 15]
    return bool((np.ptp(around, axis=1) > 0).any())
