"""Draw earthquakes for training seismograms: where, how large, along which path.

Everything here is random parameters with physical ranges; no waveform yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lithoscope.synthetics.training_settings import SyntheticSettings

Floats = NDArray[np.float64]

# Corner frequency k beta / r of P and S, Madariaga (1976, BSSA 66, 639-666), table 1, for a
# rupture at 0.9 beta.
CORNER_FACTORS = (0.32, 0.21)
# A pulse of lower corner would last longer than the padding ahead of the window (20 s).
LOWEST_CORNER_HZ = 0.12
WINDOW_PARTS = (0.0, 0.97)  # P inside the window lies in this part of it


@dataclass(frozen=True)
class Sources:
    """Parameters of k earthquakes, one row each; groups are P and S.

    Attributes
    ----------
    trace, number
        Trace of the batch, and number of the earthquake in it.
    onset
        (k, 2) samples after the window's start, fractional; may lie outside.
    travel_s
        (k, 2) travel times.
    magnitude, distance_km
        Moment magnitude and hypocentral distance.
    corner_hz, t_star_s
        (k, 2).
    azimuth, incidence
        Radians; back azimuth's opposite (direction of travel), and angle from vertical of P.
    amplitude
        (k, 3) radiated P, SV and SH displacement, with sign.
    snr_db
        Wanted signal-to-noise ratio of the first phase in the window.
    place
        Earthquakes of a trace with the same number here share path and source place.
    """

    trace: NDArray[np.int64]
    number: NDArray[np.int64]
    onset: Floats
    travel_s: Floats
    magnitude: Floats
    distance_km: Floats
    corner_hz: Floats
    t_star_s: Floats
    azimuth: Floats
    incidence: Floats
    amplitude: Floats
    snr_db: Floats
    place: NDArray[np.int64] = field(repr=False)


def log_uniform(
    rng: np.random.Generator, limits: tuple[float, float], size: int | tuple[int, ...]
) -> Floats:
    """Draw between two positive limits, uniform in the logarithm."""
    return np.asarray(np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), size)))


def draw_sources(
    rng: np.random.Generator, n: int, n_samples: int, rate_hz: float, how: SyntheticSettings
) -> Sources:
    """Draw the earthquakes of ``n`` traces."""
    count = rng.choice(4, size=n, p=np.array(how.event_count_parts))
    trace = np.repeat(np.arange(n), count)
    first = np.concatenate([[0], np.cumsum(count)])[:-1]
    k = len(trace)
    number = np.arange(k) - first[trace]
    same = (number > 0) & (rng.uniform(size=k) < how.same_source_part)
    place = np.where(same, first[trace], np.arange(k))  # whose path this earthquake shares

    gap_s = log_uniform(rng, how.s_minus_p_s, k)[place]
    gap_s *= np.exp(0.03 * rng.normal(size=k) * same)
    vp = rng.uniform(*how.p_velocity_km_s, k)[place]
    ratio = rng.uniform(*how.vp_vs, k)[place]
    travel_p = gap_s / (ratio - 1.0)
    travel = np.stack([travel_p, travel_p + gap_s], axis=1)
    distance = travel_p * vp
    onset_p = _onsets(rng, number, gap_s, n_samples / rate_hz, how)
    magnitude = _magnitudes(rng, distance, how)
    beta = rng.uniform(*how.shear_velocity_km_s, k) * 1e3
    radius = _radius(rng, magnitude, how)
    corner = np.array(CORNER_FACTORS)[None] * (beta / radius)[:, None]
    corner *= np.exp(0.3 * rng.normal(size=k))[:, None]  # directivity: the same for both
    corner = np.maximum(corner, LOWEST_CORNER_HZ)
    return Sources(
        trace=trace,
        number=number,
        onset=np.stack([onset_p, onset_p + gap_s], axis=1) * rate_hz,
        travel_s=travel,
        magnitude=magnitude,
        distance_km=distance,
        corner_hz=corner,
        t_star_s=_attenuation(rng, travel, how)[place],
        azimuth=rng.uniform(0.0, 2.0 * np.pi, k)[place],
        incidence=np.radians(50.0 * rng.beta(1.2, 2.4, k))[place],
        amplitude=_radiation(rng, k, ratio, how),
        snr_db=_snr(rng, k, how),
        place=place,
    )


def _onsets(
    rng: np.random.Generator,
    number: NDArray[np.int64],
    gap_s: Floats,
    window_s: float,
    how: SyntheticSettings,
) -> Floats:
    """P times in s: inside the window, before it with S inside, or so that only coda is left."""
    inside = rng.uniform(*WINDOW_PARTS, len(number)) * window_s
    s_inside = rng.uniform(0.0, 1.0, len(number)) * np.minimum(window_s, gap_s) - gap_s
    coda_only = -gap_s - rng.exponential(6.0, len(number)) - 0.5
    u, (p_out, s_out) = rng.uniform(size=len(number)), how.outside_parts
    time = np.where(u < s_out, coda_only, np.where(u < s_out + p_out, s_inside, inside))
    step = log_uniform(rng, how.spacing_s, len(number))
    for i in np.flatnonzero(number > 0):
        time[i] = time[i - 1] + step[i]
    return time


def _magnitudes(rng: np.random.Generator, distance_km: Floats, how: SyntheticSettings) -> Floats:
    """Magnitudes that a station at this distance can record: small ones only near."""
    low, high = how.magnitude
    least = np.clip(-1.5 + 1.6 * np.log10(np.maximum(distance_km, 1.0)), low, high - 1.0)
    most = np.clip(2.5 + 1.8 * np.log10(np.maximum(distance_km, 1.0)), least + 1.0, high)
    return np.asarray(least + (most - least) * rng.beta(1.1, 2.6, len(least)))


def _radius(rng: np.random.Generator, magnitude: Floats, how: SyntheticSettings) -> Floats:
    """Radius in m of a circular source, Eshelby (1957): r^3 = 7 M0 / (16 stress drop)."""
    moment = 10.0 ** (1.5 * magnitude + 9.1)
    median, factor = how.stress_drop_mpa
    stress = median * 1e6 * np.exp(np.log(factor) * rng.normal(size=len(magnitude)))
    return np.asarray(np.cbrt(7.0 * moment / (16.0 * stress)))


def _attenuation(rng: np.random.Generator, travel: Floats, how: SyntheticSettings) -> Floats:
    """Return t* of P and S: path over Q, and kappa under the station."""
    k = len(travel)
    q_s = log_uniform(rng, how.q_s, k)
    q_p = q_s * rng.uniform(1.0, 2.2, k)
    kappa = log_uniform(rng, how.kappa_s, k)
    t_star = travel / np.stack([q_p, q_s], axis=1)
    t_star += np.stack([kappa * rng.uniform(0.4, 0.8, k), kappa], axis=1)
    return np.asarray(np.clip(t_star, 1e-3, 0.35))  # beyond, no local event is recorded


def _radiation(rng: np.random.Generator, k: int, ratio: Floats, how: SyntheticSettings) -> Floats:
    """Far-field amplitudes of a double couple in a random direction (Aki & Richards, eq. 4.29).

    S is larger by (vp/vs)^3 before attenuation. Scattering near the source fills the nodes.
    """
    theta = np.arccos(rng.uniform(-1.0, 1.0, k))
    phi = rng.uniform(0.0, 2.0 * np.pi, k)
    p = np.sin(2 * theta) * np.cos(phi)
    s = np.stack([np.cos(2 * theta) * np.cos(phi), -np.cos(theta) * np.sin(phi)], axis=1)
    turn = rng.uniform(0.0, 2.0 * np.pi, k)
    sv = np.cos(turn) * s[:, 0] - np.sin(turn) * s[:, 1]
    sh = np.sin(turn) * s[:, 0] + np.cos(turn) * s[:, 1]
    fill = rng.normal(size=(3, k)) * 0.35
    out = np.stack([p + fill[0], (sv + fill[1]) * ratio**3, (sh + fill[2]) * ratio**3], axis=1)
    blast = rng.uniform(size=k) < how.explosion_part
    out[blast, 0] = np.abs(out[blast, 0]) + 1.0
    out[blast, 1:] *= 0.15
    return np.asarray(out)


def _snr(rng: np.random.Generator, k: int, how: SyntheticSettings) -> Floats:
    low = rng.normal(*how.p_snr_db, k)
    high = rng.uniform(*how.high_snr_db, k)
    mixed = np.where(rng.uniform(size=k) < how.low_snr_part, low, high)
    return np.asarray(np.clip(mixed, *how.snr_limits_db))
