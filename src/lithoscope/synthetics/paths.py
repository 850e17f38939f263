"""Rays, source parts and coda of each earthquake, as the tables that `excitation.excite` takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lithoscope.synthetics.excitation import N_CODA_COLUMNS, N_RAY_COLUMNS, N_SURFACE_COLUMNS
from lithoscope.synthetics.sources import Floats, Sources, log_uniform
from lithoscope.synthetics.training_settings import SyntheticSettings

N_REFLECTIONS = 3
N_SUBEVENTS = 6


@dataclass(frozen=True)
class Paths:
    """Tables of k earthquakes.

    Attributes
    ----------
    rays
        (k, rays, 6), see `excitation.excite`.
    subevents
        (k, 2, parts, 2).
    coda
        (k, 2, 6).
    surface
        (k, 6).
    arrivals
        (k, 2, m, 2) delay after the first arrival in samples, ascending, and relative amplitude
        (0: none) of what may be the first that is seen: each part of the source in head wave and
        direct wave.
    """

    rays: Floats
    subevents: Floats
    coda: Floats
    surface: Floats
    arrivals: Floats


def draw_paths(
    rng: np.random.Generator, sources: Sources, rate_hz: float, how: SyntheticSettings
) -> Paths:
    """Draw what lies between source and station; earthquakes of one place share it."""
    gap = (sources.onset[:, 1] - sources.onset[:, 0]) / rate_hz
    direct, head = _head_waves(rng, gap, sources.distance_km, how)
    shared = sources.place
    direct, head = direct[shared], head[shared]
    rays = np.concatenate(
        [
            _direct(sources, direct, head),
            _conversions(rng, sources, gap, direct, how),
            _reflections(rng, sources, gap, direct, how),
        ],
        axis=1,
    )
    rays[:, :, 1] = np.round(rays[:, :, 1] * rate_hz)
    rays[:, :, 5] *= rate_hz
    parts = _subevents(rng, sources, rate_hz, how)
    return Paths(
        rays=rays,
        subevents=parts,
        coda=_coda(rng, sources, rays, rate_hz, how),
        surface=_surface_waves(rng, sources, rays, rate_hz, how)[shared],
        arrivals=_arrivals(np.round(direct * rate_hz), head, parts),
    )


def _arrivals(direct: Floats, head: Floats, parts: Floats) -> Floats:
    """Delays and amplitudes of the parts of the source in both waves, by time."""
    late = parts.copy()
    late[..., 0] += direct[..., None]
    early = parts.copy()
    early[..., 1] *= np.where(direct > 0, head, 0.0)[..., None]
    both = np.concatenate([early, late], axis=2)
    # Those that do not exist go last.
    key = np.where(both[..., 1] > 0, both[..., 0], np.inf)
    order = np.argsort(key, axis=2, kind="stable")
    return np.take_along_axis(both, order[..., None], axis=2)


def _head_waves(
    rng: np.random.Generator, gap: Floats, distance: Floats, how: SyntheticSettings
) -> tuple[Floats, Floats]:
    """Lead of the head wave in s and its amplitude, P and S; they grow with distance."""
    k = len(gap)
    has = rng.uniform(size=k) < how.head_wave_part * np.clip(distance / 60.0, 0.4, 1.5)
    lead = np.minimum(log_uniform(rng, (0.06, 4.0), k), 0.25 * gap)
    lead_s = np.minimum(lead * rng.uniform(1.3, 1.9, k), 0.5 * gap)
    amplitude = log_uniform(rng, (0.04, 0.7), (k, 2))
    has_s = has & (rng.uniform(size=k) < 0.6)
    both = np.stack([has, has_s], axis=1)
    return np.where(both, np.stack([lead, lead_s], axis=1), 0.0), np.where(both, amplitude, 1.0)


def _direct(sources: Sources, direct: Floats, head: Floats) -> Floats:
    """Direct P and S, and the head waves ahead of them."""
    k = len(sources.trace)
    out = np.zeros((k, 4, N_RAY_COLUMNS))
    p = _p_motion(sources.incidence) * sources.amplitude[:, :1]
    s = _s_motion(sources.incidence, sources.amplitude)
    steep = _p_motion(0.7 * sources.incidence) * sources.amplitude[:, :1]
    for row, (group, motion) in enumerate(((0, p), (1, s))):
        out[:, row, 0], out[:, row, 1], out[:, row, 2:5] = group, direct[:, group], motion
    for row, (group, motion) in enumerate(((0, steep), (1, s)), start=2):
        present = (direct[:, group] > 0)[:, None]
        out[:, row, 0] = group
        out[:, row, 2:5] = np.where(present, head[:, group, None] * motion, 0.0)
        out[:, row, 5] = 0.15 * direct[:, group]
    return out


def _p_motion(incidence: Floats) -> Floats:
    """Z R T of a P wave that comes up at this angle from the vertical."""
    zero = np.zeros_like(incidence)
    return np.stack([np.cos(incidence), np.sin(incidence), zero], axis=1)


def _s_motion(incidence: Floats, amplitude: Floats) -> Floats:
    """Z R T of S: SV in the plane of the ray, steeper than P by Snell's law, and SH."""
    angle = np.arcsin(np.sin(incidence) / 1.75)
    sv, sh = amplitude[:, 1], amplitude[:, 2]
    return np.stack([-sv * np.sin(angle), sv * np.cos(angle), sh], axis=1)


def _conversions(
    rng: np.random.Generator, sources: Sources, gap: Floats, direct: Floats, how: SyntheticSettings
) -> Floats:
    """Ps after P on the radial, Sp ahead of S on the vertical, from layers under the station."""
    k = len(gap)
    out = np.zeros((k, 3, N_RAY_COLUMNS))
    has = rng.uniform(size=(k, 3)) < how.conversion_part
    delay = np.minimum(log_uniform(rng, (0.02, 2.5), (k, 3)), 0.4 * gap[:, None])
    size = has * log_uniform(rng, (0.05, 0.7), (k, 3)) * rng.choice([-1.0, 1.0], (k, 3))
    for row in (0, 1):
        out[:, row, 1] = direct[:, 0] + delay[:, row]
        out[:, row, 3] = size[:, row] * sources.amplitude[:, 0]
        out[:, row, 2] = 0.2 * out[:, row, 3]
    # It leaves as S, so it has the wavelet of S but arrives before it: with the P group's start.
    out[:, 2, 1] = np.maximum(gap - 0.6 * delay[:, 2], 0.05 * gap)
    sv = sources.amplitude[:, 1]
    out[:, 2, 2], out[:, 2, 3] = 0.3 * size[:, 2] * sv, 0.1 * size[:, 2] * sv
    return out


def _reflections(
    rng: np.random.Generator, sources: Sources, gap: Floats, direct: Floats, how: SyntheticSettings
) -> Floats:
    """Reflected and refracted later arrivals of either sign, at other angles; near multiples."""
    k, m = len(gap), N_REFLECTIONS
    out = np.zeros((k, 2 * m, N_RAY_COLUMNS))
    for group in (0, 1):
        rows = slice(group * m, (group + 1) * m)
        has = rng.uniform(size=(k, m)) < how.reflection_part
        size = has * log_uniform(rng, (0.1, 0.7), (k, m)) * rng.choice([-1.0, 1.0], (k, m))
        most = np.clip((0.8, 1.5)[group] * gap, 0.05, 8.0)[:, None]
        delay = most * rng.uniform(size=(k, m)) ** 1.5
        # The first is a near multiple, strong and soon.
        size[:, 0] *= rng.uniform(1.0, 4.0, k)
        delay[:, 0] = np.minimum(log_uniform(rng, (0.02, 0.4), k), most[:, 0])
        out[:, rows, 0] = group
        out[:, rows, 1] = direct[:, group, None] + delay
        angle = sources.incidence[:, None] * rng.uniform(0.3, 1.2, (k, m))
        if group == 0:
            level = size * sources.amplitude[:, :1]
            out[:, rows, 2], out[:, rows, 3] = level * np.cos(angle), level * np.sin(angle)
        else:
            turn = rng.normal(size=(k, m, 2)) * 0.5 + 1.0
            sv, sh = (size * sources.amplitude[:, c, None] * turn[:, :, c - 1] for c in (1, 2))
            out[:, rows, 2], out[:, rows, 3] = -sv * np.sin(angle), sv * np.cos(angle)
            out[:, rows, 4] = sh
    return out


def _subevents(
    rng: np.random.Generator, sources: Sources, rate_hz: float, how: SyntheticSettings
) -> Floats:
    """Source in parts: a cascade that grows, spread over the duration 1 / corner frequency.

    P and S see the same parts at delays stretched by directivity. The first part is never below
    5 % of the largest, so the onset stays the onset.
    """
    k, m = len(sources.trace), N_SUBEVENTS
    out = np.zeros((k, 2, m, 2))
    out[:, :, 0, 1] = 1.0
    broken = rng.uniform(size=k) < how.subevent_part
    duration = rng.uniform(0.4, 1.6, k) / sources.corner_hz[:, 1]
    # Small shocks, too, start softly now and then: the slow onset of a nucleation.
    duration = np.where(rng.uniform(size=k) < 0.3, np.maximum(duration, 0.15), duration)
    delay = np.sort(rng.uniform(size=(k, m)), axis=1) * np.minimum(duration, 3.0)[:, None]
    delay[:, 0] = 0.0
    growth = rng.uniform(0.0, 3.0, k)[:, None]
    size = np.exp(growth * (np.linspace(0.0, 1.0, m) - 1.0) + 0.4 * rng.normal(size=(k, m)))
    size *= rng.uniform(size=(k, m)) < 0.6
    size[:, 0] = np.maximum(np.exp(-growth[:, 0]), 0.05 * size.max(axis=1))
    for group in (0, 1):
        stretch = rng.uniform(0.6, 1.4, k)[:, None]
        out[broken, group, :, 0] = np.round(delay * stretch * rate_hz)[broken]
        out[broken, group, :, 1] = size[broken]
    out[:, :, :, 1] /= np.sqrt((out[:, :, :, 1] ** 2).sum(axis=2, keepdims=True))
    return out


def _coda(
    rng: np.random.Generator,
    sources: Sources,
    rays: Floats,
    rate_hz: float,
    how: SyntheticSettings,
) -> Floats:
    """Scattered energy relative to the rays of the group, and how it rises and decays."""
    k = len(sources.trace)
    out = np.zeros((k, 2, N_CODA_COLUMNS))
    out[:, :, 0] = np.ceil(sources.onset)
    out[:, :, 1] = sources.travel_s * rate_hz
    # Forward scattering lengthens the rise with distance (Sato & Fehler 1998, chapter 8).
    reach = np.clip(sources.distance_km / 100.0, 0.02, 3.0)[:, None]
    out[:, :, 2] = np.maximum(log_uniform(rng, (0.05, 1.2), (k, 2)) * reach * rate_hz, 1.0)
    frequency = np.clip(np.minimum(sources.corner_hz, 0.4 / sources.t_star_s), 0.5, 20.0)
    exponent = rng.uniform(*how.coda_exponent, k)[:, None]
    q0 = log_uniform(rng, how.coda_q, k)[:, None]
    out[:, :, 3] = q0 * frequency ** (exponent - 1.0) / np.pi * rate_hz
    for group in (0, 1):
        own = rays[:, :, 0] == group
        energy = (rays[:, :, 2:5] ** 2).sum(axis=2) * own
        level = log_uniform(rng, ((0.4, 12.0), (0.3, 8.0))[group], k)
        out[:, group, 4] = energy.sum(axis=1) * level
    out[:, 0, 5] = rng.uniform(0.0, 25.0, k)
    return out


def _surface_waves(
    rng: np.random.Generator,
    sources: Sources,
    rays: Floats,
    rate_hz: float,
    how: SyntheticSettings,
) -> Floats:
    """Trains of 0.05 to 2 Hz at 1.8 to 3.2 km/s, from sources more than 15 km away.

    The wavelet of the source passes them only where it reaches such long periods.
    """
    k = len(sources.trace)
    out = np.zeros((k, N_SURFACE_COLUMNS))
    has = (rng.uniform(size=k) < how.surface_wave_part) & (sources.distance_km > 15.0)
    fast, slow = rng.uniform(2.7, 3.2, k), rng.uniform(1.8, 2.4, k)
    begin = np.maximum(sources.distance_km / fast - sources.travel_s[:, 1], 0.0) + 0.3
    out[:, 0] = begin * rate_hz
    out[:, 1] = has * sources.distance_km * (1.0 / slow - 1.0 / fast) * rate_hz
    out[:, 2] = log_uniform(rng, (0.05, 0.3), k) / rate_hz
    out[:, 3] = log_uniform(rng, (0.4, 2.0), k) / rate_hz
    s = ((rays[:, :, 2:5] ** 2).sum(axis=2) * (rays[:, :, 0] == 1)).sum(axis=1)
    out[:, 4:] = s[:, None] * log_uniform(rng, (0.3, 30.0), (k, 2))
    return out
