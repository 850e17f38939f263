"""Rays and scattered waves of an earthquake, before its wavelet is applied.

Two groups of arrivals, those that left the source as P and as S, each on vertical, radial and
transverse; both start exactly at a whole sample. Convolved with the wavelets of the two groups
they are the seismogram.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Columns of the table of rays.
GROUP, DELAY, VERTICAL, RADIAL, TRANSVERSE, TAIL = range(6)
N_RAY_COLUMNS = 6
# Columns of the table of codas, one row per group.
START, LAPSE, RISE, DECAY, ENERGY, EXCHANGE = range(6)
N_CODA_COLUMNS = 6
# Columns of the table of surface waves.
BEGIN, LENGTH, FROM, TO, RAYLEIGH, LOVE = range(6)
N_SURFACE_COLUMNS = 6


@njit(cache=True)
def excite(out, rays, subevents, coda, surface, noise, rate):  # type: ignore[no-untyped-def]
    """Fill ``out`` (events, 2, 3, n) with the rays and coda of each event.

    Parameters
    ----------
    out
        Zeros; overwritten.
    rays
        (events, rays, 6): group, delay after the group's start (samples), amplitudes Z R T, decay
        time of its exponential tail (samples; 0 for a sharp ray).
    subevents
        (events, 2, k, 2): delay (samples) and amplitude of each part of the source, per group.
    coda
        (events, 2, 6): start sample, travel time (samples), rise time, decay time (samples),
        energy over its first 5 s, part of it that grows towards S (exchange between P and S).
    surface
        (events, 6): delay after the S group's start and length (samples), first and last frequency
        (cycles per sample), energies of Rayleigh and Love waves.
    noise
        (events, 3, n) Gaussian, of unit variance.
    rate
        Samples per second.
    """
    n_events, _, _, n = out.shape
    for e in range(n_events):
        for g in range(2):
            _scatter(out[e, g], coda[e], g, noise[e], rate)
        for r in range(rays.shape[1]):
            g = int(rays[e, r, GROUP])
            start = int(coda[e, g, START]) + int(rays[e, r, DELAY])
            for k in range(subevents.shape[2]):
                size = subevents[e, g, k, 1]
                first = start + int(subevents[e, g, k, 0])
                if size == 0.0 or first >= n:
                    continue
                for c in range(3):
                    amplitude = size * rays[e, r, VERTICAL + c]
                    if amplitude != 0.0:
                        _ray(out[e, g, c], first, amplitude, rays[e, r, TAIL])
        _surface(out[e, 1], int(coda[e, 1, START]), surface[e])


@njit(cache=True)
def _surface(out, start, surface):  # type: ignore[no-untyped-def]
    """Dispersed trains, long periods first; Rayleigh waves move in an ellipse."""
    length = surface[LENGTH]
    if length < 1.0:
        return
    first, n = start + int(surface[BEGIN]), out.shape[1]
    # Energy of sin^2 times cosine over the length is 3/16 of it.
    rayleigh, love = (
        np.sqrt(surface[RAYLEIGH] * 5.3 / length),
        np.sqrt(surface[LOVE] * 5.3 / length),
    )
    for i in range(max(first, 0), min(n, first + int(length))):
        t = i - first
        phase = 2.0 * np.pi * t * (surface[FROM] + 0.5 * (surface[TO] - surface[FROM]) * t / length)
        shape = np.sin(np.pi * t / length) ** 2
        out[0, i] += rayleigh * shape * np.cos(phase)
        out[1, i] += 0.7 * rayleigh * shape * np.sin(phase)
        out[2, i] += love * shape * np.cos(1.2 * phase)


@njit(cache=True)
def _ray(row, first, amplitude, tail):  # type: ignore[no-untyped-def]
    n = row.size
    if tail <= 0.0:
        if first >= 0:
            row[first] += amplitude
        return
    # A head wave is the integral of the incident wave; the tail stands for it, with unit energy.
    keep = np.exp(-1.0 / tail)
    level = amplitude * np.sqrt(1.0 - keep * keep)
    for i in range(first, min(n, first + int(6 * tail) + 1)):
        if i >= 0:
            row[i] += level
        level *= keep


@njit(cache=True)
def _scatter(out, coda, g, noise, rate):  # type: ignore[no-untyped-def]
    """Envelope of single isotropic scattering (Sato 1977, J. Phys. Earth 25, 27-41)."""
    n = out.shape[1]
    start = int(coda[g, START])
    travel, rise, decay = coda[g, LAPSE], coda[g, RISE], coda[g, DECAY]
    energy, exchange = coda[g, ENERGY], coda[g, EXCHANGE]
    gap = coda[1, START] - coda[0, START]  # S minus P
    if energy <= 0.0 or start >= n:
        return
    # Step of the envelope: it varies slowly except at its start.
    norm = 0.0
    for i in range(int(5.0 * rate)):
        norm += _envelope(i + 0.5, travel, rise, decay, exchange, gap, g)
    scale = np.sqrt(energy / (3.0 * norm)) if norm > 0.0 else 0.0
    i = max(start, 0)
    value = np.sqrt(_envelope(i - start + 0.5, travel, rise, decay, exchange, gap, g))
    while i < n:
        age = i - start
        step = min(1 + int(age // 16), n - i)
        after = np.sqrt(_envelope(age + step + 0.5, travel, rise, decay, exchange, gap, g))
        slope = (after - value) / step
        for j in range(step):
            level = scale * (value + slope * j)
            for c in range(3):
                # The coda of P still comes up steeply.
                part = 0.75 if g == 0 and c > 0 else 1.0
                out[c, i + j] = part * level * noise[(c + g) % 3, i + j]
        value = after
        i += step


@njit(cache=True)
def _envelope(age, travel, rise, decay, exchange, gap, g):  # type: ignore[no-untyped-def]
    x = 1.0 + (age + rise) / travel
    single = np.log((x + 1.0) / (x - 1.0)) / x
    start = 1.0 - np.exp(-age / rise)
    level = single * np.exp(-2.0 * age / decay) * start
    if g == 0:
        # Waves that change type on the way arrive between P and S, most of them late.
        part = age / gap
        grow = part * part if part < 1.0 else np.exp(-2.0 * (part - 1.0))
        level *= 1.0 + exchange * grow
        if part > 1.0:
            level *= np.exp(-(part - 1.0))
    return level * start
