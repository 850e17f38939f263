"""Simple three-component seismograms with known onsets.

Not a wave simulation: each event sends a Brune-type P pulse (mostly vertical) and S pulse (mostly
horizontal), each followed by a coda of decaying coloured noise, onto a background of coloured
noise. Onsets are causal: before the P onset the trace holds background only. Amplitudes fall
with distance and grow with magnitude as in a local-magnitude scale, so that detection and onset
tests see realistic ratios; they are not meant for calibrating magnitudes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.geo import distance_azimuth
from lithoscope.synthetics.picks import EarthModel
from lithoscope.waveforms.record import Record

_POSITION = ["station", "longitude", "latitude", "elevation_m"]


@dataclass(frozen=True)
class SeismogramSettings:
    """How the seismograms are made.

    Attributes
    ----------
    sampling_rate_hz
        Samples per second.
    noise_counts
        Root mean square of the background.
    noise_colour
        Coefficient of its first-order recursion, 0 = white, towards 1 = red.
    counts_at_magnitude_0
        P amplitude of magnitude 0 at 10 km hypocentral distance.
    stress_frequency_hz
        Corner frequency of magnitude 2; it falls by 10^0.5 per unit of magnitude.
    coda_s
        Decay time of the coda.
    coda_level
        Its amplitude just after the onset, relative to the pulse.
    """

    sampling_rate_hz: float = 100.0
    noise_counts: float = 20.0
    noise_colour: float = 0.9
    counts_at_magnitude_0: float = 60.0
    stress_frequency_hz: float = 8.0
    coda_s: float = 4.0
    coda_level: float = 0.6


def simulate_records(
    events: pd.DataFrame,
    stations: pd.DataFrame,
    model: EarthModel,
    rng: np.random.Generator,
    *,
    start: str,
    duration_s: float,
    settings: SeismogramSettings | None = None,
) -> tuple[list[Record], pd.DataFrame]:
    """Simulate what the stations record of a catalogue.

    Parameters
    ----------
    events
        event_id, time, longitude, latitude, depth_km, magnitude.
    stations
        STATIONS table.
    model
        Earth; onset times are exact.
    rng
        Source of the random numbers.
    start, duration_s
        UTC time of the first sample, and length.
    settings
        How; default `SeismogramSettings`.

    Returns
    -------
    records
        One per station, counts, Z N E.
    onsets
        True onsets: event_id, station, phase, time, snr (pulse amplitude over the background).

    Raises
    ------
    DataError
        If the duration is not positive.
    """
    how = settings or SeismogramSettings()
    if not duration_s > 0:
        raise DataError(f"duration_s = {duration_s:g}; a positive time is required")
    start_ns = int(pd.Timestamp(start, tz="UTC").as_unit("ns").value)
    n = round(duration_s * how.sampling_rate_hz)
    ids = events["event_id"].tolist()
    depth, size = events["depth_km"].to_numpy(float), events["magnitude"].to_numpy(float)
    origin = events["time"].dt.as_unit("ns").astype("int64").to_numpy() - start_ns
    records, rows = [], []
    for code, lon, lat, elevation in stations[_POSITION].to_numpy(object):
        data = _background(n, how, rng)
        distance, azimuth = distance_azimuth(events["longitude"], events["latitude"], lon, lat)
        receiver = -float(elevation) / 1000.0
        hypocentral = np.hypot(distance, depth - receiver)
        travel = [model.travel_time(phase, distance, depth, receiver) for phase in "PS"]
        for i, (event, magnitude) in enumerate(zip(ids, size, strict=True)):
            for phase in (0, 1):
                offset = int(origin[i]) + round(float(travel[phase][i]) * NS_PER_S)
                peak = _amplitude(magnitude, float(hypocentral[i]), how) * (1.0, 2.0)[phase]
                offset_s = offset / NS_PER_S
                _add(data, offset_s, phase, peak, magnitude, float(azimuth[i]), how, rng)
                if 0.0 <= offset_s < duration_s:
                    snr = peak / how.noise_counts
                    rows.append((event, code, "PS"[phase], start_ns + offset, snr))
        records.append(_record(code, start_ns, data, how.sampling_rate_hz))
    onsets = pd.DataFrame(rows, columns=["event_id", "station", "phase", "time", "snr"])
    onsets["time"] = pd.to_datetime(onsets["time"], unit="ns", utc=True)
    return records, onsets


def _background(n: int, how: SeismogramSettings, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return coloured noise (3, n) of the stated root mean square."""
    colour = how.noise_colour
    warm = 1000  # samples until the recursion forgets its start
    white = rng.normal(size=(3, n + warm)) * np.sqrt(1.0 - colour**2)
    return how.noise_counts * np.asarray(lfilter([1.0], [1.0, -colour], white))[:, warm:]


def _amplitude(magnitude: float, hypocentral_km: float, how: SeismogramSettings) -> float:
    # Slope of amplitude with distance after Hutton & Boore (1987, BSSA 77, 2074-2094), eq. 6,
    # anchored here at 10 km.
    distance = max(hypocentral_km, 0.5)
    loss = 1.110 * np.log10(distance / 10.0) + 0.00189 * (distance - 10.0)
    return float(how.counts_at_magnitude_0 * 10.0 ** (magnitude - loss))


def _add(
    data: NDArray[np.float64],
    offset_s: float,
    phase: int,
    size: float,
    magnitude: float,
    azimuth: float,
    how: SeismogramSettings,
    rng: np.random.Generator,
) -> None:
    """Add one phase in place: nothing before its onset, to a fraction of a sample."""
    rate = how.sampling_rate_hz
    corner = min(how.stress_frequency_hz * 10.0 ** (-0.5 * (magnitude - 2.0)), 0.2 * rate)
    length = round((6.0 * how.coda_s + 5.0 / corner) * rate)
    coda_noise = rng.normal(size=(3, length))
    first = int(np.ceil(offset_s * rate))
    begin, end = max(first, 0), min(first + length, data.shape[1])
    if end <= begin:
        return
    t = np.arange(first, first + length) / rate - offset_s
    w = 2.0 * np.pi * corner
    pulse = w * t * np.exp(1.0 - w * t)  # Brune (1970) far-field shape, peak 1
    # The coda fills the band of the pulse and starts from zero with it.
    a = np.exp(-w / rate)
    shape = np.asarray(lfilter([1.0], [1.0, -a], coda_noise)) * np.sqrt(1.0 - a * a)
    coda = how.coda_level * shape * np.exp(-t / how.coda_s) * (1.0 - np.exp(-w * t))
    north, east = np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))
    sign = rng.choice([-1.0, 1.0])
    if phase == 0:  # vertical, and some along the ray
        pattern, loud = np.array([1.0, 0.3 * north, 0.3 * east]), np.array([1.0, 0.6, 0.6])
    else:  # across the ray, and some vertical
        pattern, loud = np.array([0.3, -east, north]), np.array([0.6, 1.0, 1.0])
    signal = size * (sign * pattern[:, None] * pulse + loud[:, None] * coda)
    data[:, begin:end] += signal[:, begin - first : end - first]


def _record(station: str, start_ns: int, data: NDArray[np.float64], rate: float) -> Record:
    net, sta, loc, band = station.split(".")
    z, n, e = (f"{net}.{sta}.{loc}.{band}{c}" for c in "ZNE")
    return Record(
        station=station,
        starttime_ns=start_ns,
        sampling_rate_hz=rate,
        data=np.round(data).astype(np.float32),
        mask=np.ones(3, bool),
        channels=(z, n, e),
        clipped=np.zeros(3, bool),
    )
