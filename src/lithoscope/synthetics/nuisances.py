"""Signals and faults that are not earthquakes and carry no label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len

from lithoscope.synthetics.sources import log_uniform

Floats = NDArray[np.float32]
Kind = Callable[[np.random.Generator, Floats, float], None]


def _span(rng: np.random.Generator, n: int, rate: float, low_s: float, high_s: float) -> slice:
    length = int(log_uniform(rng, (low_s, high_s), 1)[0] * rate)
    start = int(rng.integers(-length // 2, n - 1))
    return slice(max(start, 0), min(max(start + length, 1), n))


def _level(rng: np.random.Generator, data: Floats, low_db: float, high_db: float) -> float:
    """Amplitude between these levels over the typical level of the trace."""
    typical = float(np.median(np.abs(data[:, ::16]))) or float(np.abs(data).max()) or 1.0
    return typical * float(10.0 ** (rng.uniform(low_db, high_db) / 20.0))


def _mix(rng: np.random.Generator) -> Floats:
    """Share of the signal on each component."""
    share = np.abs(rng.normal(size=(3, 1))) + 0.1
    return np.asarray(share / share.max() * rng.choice([-1.0, 1.0], (3, 1)), np.float32)


def _add(data: Floats, part: slice, signal: NDArray[np.floating], share: Floats) -> None:
    data[:, part] += share * signal.astype(np.float32)


def _band_noise(rng: np.random.Generator, n: int, low: float, high: float, rate: float) -> Floats:
    m = next_fast_len(n, real=True)
    f = np.fft.rfftfreq(m, 1.0 / rate)
    high = min(high, 0.45 * rate)
    # Butterworth band pass of order 2, amplitude only.
    offset = (f * f - low * high) / (np.maximum(f, f[1]) * (high - low))
    spectrum = rng.standard_normal((len(f), 2)).view(complex)[:, 0] / np.sqrt(1.0 + offset**4)
    noise = irfft(spectrum, m)[:n]
    return np.asarray(noise / max(float(np.sqrt(np.mean(noise**2))), 1e-9), np.float32)


def footsteps(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """Short thuds, evenly spaced, coming and going."""
    n = data.shape[1]
    part = _span(rng, n, rate, 2.0, 30.0)
    length = part.stop - part.start
    train = np.zeros(length)
    step = rng.uniform(0.35, 1.2) * rate
    at = np.arange(rng.uniform(0, step), length, step) + rng.normal(0, 0.03 * step, 1)[0]
    at = at[(at >= 0) & (at < length)].astype(int)
    train[at] = rng.uniform(0.5, 1.0, len(at))
    f, decay = rng.uniform(8, 40), rng.uniform(0.02, 0.2)
    t = np.arange(int(5 * decay * rate) + 2) / rate
    thud = np.exp(-t / decay) * np.sin(2 * np.pi * f * t)
    signal = np.convolve(train, thud)[:length] * np.hanning(length + 2)[1:-1]
    _add(data, part, signal * _level(rng, data, 6, 30), _mix(rng))


def vehicle(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A train or lorry: band noise that swells and fades, with faint harmonics."""
    part = _span(rng, data.shape[1], rate, 4.0, 60.0)
    length = part.stop - part.start
    low = log_uniform(rng, (1.0, 15.0), 1)[0]
    high = low * rng.uniform(1.5, 5.0)
    swell = np.hanning(length + 2)[1:-1] ** rng.uniform(0.5, 3.0)
    level = _level(rng, data, 3, 25)
    for row in range(3):
        data[row, part] += _band_noise(rng, length, low, high, rate) * (swell * level)


def burst(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A cultural burst: band noise with fast rise and slow decay, the same on no two components."""
    n = data.shape[1]
    start = int(rng.integers(0, n - 2))
    decay = log_uniform(rng, (0.05, 3.0), 1)[0]
    rise = decay * rng.uniform(0.0, 0.7) + 0.01
    t = np.arange(min(n - start, int(8 * (decay + rise) * rate) + 2)) / rate
    shape = (1 - np.exp(-t / rise)) * np.exp(-t / decay)
    low = log_uniform(rng, (1.0, 25.0), 1)[0]
    level = _level(rng, data, 6, 30)
    share = _mix(rng)
    for row in range(3):
        noise = _band_noise(rng, len(t), low, low * rng.uniform(1.3, 4), rate)
        data[row, start : start + len(t)] += share[row] * (noise * (shape * level))


def machine(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A rotating machine or mains hum: a tone and harmonics, switched on and off."""
    part = _span(rng, data.shape[1], rate, 3.0, 120.0)
    length = part.stop - part.start
    t = np.arange(length) / rate
    tone = log_uniform(rng, (0.8, 45.0), 1)[0]
    drift = 1.0 + rng.normal() * 0.01 * t / max(t[-1], 1.0)
    signal = np.zeros(length)
    for k in range(1, int(rng.integers(1, 6))):
        if k * tone < 0.48 * rate:
            size = rng.uniform(0.1, 1.0) / k
            signal += size * np.sin(2 * np.pi * k * tone * drift * t + rng.uniform(0, 6.3))
    ramp = int(rng.uniform(0.0, 1.0) * rate) + 1
    edge = np.minimum(np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)) / ramp, 1.0)
    _add(data, part, signal * edge * _level(rng, data, 0, 25), _mix(rng))


def teleseism(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A distant earthquake: below 2 Hz, emergent, mostly vertical, long coda."""
    n = data.shape[1]
    start = int(rng.integers(-n // 2, n - 100))
    t = (np.arange(n) - start) / rate
    rise, decay = rng.uniform(1.0, 8.0), rng.uniform(10.0, 60.0)
    shape = np.where(t > 0, (1 - np.exp(-np.maximum(t, 0) / rise)) ** 2, 0.0)
    shape *= np.exp(-np.maximum(t, 0) / decay)
    high = rng.uniform(0.3, 1.8)
    level = _level(rng, data, 3, 40)
    common = _band_noise(rng, n, 0.15 * high, high, rate)
    for row, share in enumerate((1.0, 0.3, 0.3)):
        own = _band_noise(rng, n, 0.15 * high, high, rate)
        data[row] += (share * common + 0.3 * own) * (shape * level)


def spikes(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """Single samples, or a few, off by a lot; on one component or all."""
    n = data.shape[1]
    rows = [int(rng.integers(3))] if rng.uniform() < 0.6 else [0, 1, 2]
    level = _level(rng, data, 15, 70)
    for at in rng.integers(0, n - 4, int(rng.integers(1, 6))):
        width = int(rng.integers(1, 4))
        for row in rows:
            data[row, at : at + width] += level * rng.choice([-1.0, 1.0])


def step(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A jump of the zero line that decays (mass movement, temperature, telemetry)."""
    n = data.shape[1]
    start = int(rng.integers(0, n))
    t = np.arange(n - start) / rate
    decay = log_uniform(rng, (0.3, 1000.0), 1)[0]
    _add(data, slice(start, n), np.exp(-t / decay) * _level(rng, data, 10, 50), _mix(rng))


def calibration(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A calibration pulse: the sensor's answer to a step of current, and to its end."""
    n = data.shape[1]
    f, h = log_uniform(rng, (0.3, 5.0), 1)[0], rng.uniform(0.4, 0.9)
    w = 2 * np.pi * f
    t = np.arange(int(8 / f * rate)) / rate
    pulse = np.exp(-h * w * t) * np.sin(w * np.sqrt(1 - h * h) * t)
    level = _level(rng, data, 20, 60)
    start, width = int(rng.integers(0, n)), int(rng.uniform(1, 20) * rate)
    for sign, at in ((1.0, start), (-1.0, start + width)):
        if at < n:
            m = min(len(pulse), n - at)
            data[:, at : at + m] += (sign * level * pulse[:m]).astype(np.float32)


def airwave(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A sonic or air wave: an N-shaped or ringing pulse of high frequency, no S after it."""
    n = data.shape[1]
    start = int(rng.integers(0, n - 60))
    f, decay = log_uniform(rng, (4.0, 40.0), 1)[0], rng.uniform(0.03, 0.8)
    t = np.arange(min(n - start, int(6 * decay * rate) + 4)) / rate
    ring = np.exp(-t / decay) * np.sin(2 * np.pi * f * t + rng.uniform(0, 6.3))
    _add(data, slice(start, start + len(t)), ring * _level(rng, data, 10, 45), _mix(rng))


def gap(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """Missing data: zeros, the last value held, or a straight line across."""
    n = data.shape[1]
    part = _span(rng, n, rate, 0.05, 20.0)
    rows = slice(None) if rng.uniform() < 0.7 else slice(int(rng.integers(3)), None)
    kind = rng.integers(3)
    before = data[rows, max(part.start - 1, 0), None]
    after = data[rows, min(part.stop, n - 1), None]
    if kind == 0:
        data[rows, part] = 0.0
    elif kind == 1:
        data[rows, part] = before
    else:
        line = np.linspace(0.0, 1.0, part.stop - part.start, dtype=np.float32)
        data[rows, part] = before + (after - before) * line


def padding(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """Zeros at one end of the window, tapered or not."""
    n = data.shape[1]
    m = int(rng.uniform(0.02, 0.5) * n)
    taper = int(rng.uniform(0.0, 3.0) * rate) if rng.uniform() < 0.5 else 0
    weight = np.ones(n, np.float32)
    weight[:m] = 0.0
    weight[m : m + taper] = 0.5 - 0.5 * np.cos(
        np.pi * np.arange(len(weight[m : m + taper])) / taper
    )
    data *= weight if rng.uniform() < 0.5 else weight[::-1]


def clipping(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A converter that saturates below the largest amplitude."""
    level = float(np.abs(data).max()) * rng.uniform(0.1, 0.9)
    np.clip(data, -level, level, out=data)


def telemetry(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """Glitches of a digital link: bits set wrongly for a few samples, or a block repeated."""
    n = data.shape[1]
    row = int(rng.integers(3))
    if rng.uniform() < 0.5:
        at = rng.integers(0, n, int(rng.integers(3, 40)))
        data[row, at] += _level(rng, data, 20, 60) * 2.0 ** -rng.integers(0, 5, len(at))
    else:
        m = int(rng.uniform(0.1, 1.0) * rate)
        first = int(rng.integers(m, n - m))
        data[:, first : first + m] = data[:, first - m : first]


def dead(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """One component gives only its own electronic noise."""
    row = int(rng.integers(3)) if data[1:].any() else 1  # the vertical may be all there is
    data[row] = rng.standard_normal(data.shape[1]) * _level(rng, data, -30, 0)


def swapped(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """Components exchanged or turned over."""
    order = [0, 2, 1] if rng.uniform() < 0.7 else rng.permutation(3)
    data[:] = data[order] * rng.choice([-1.0, 1.0], (3, 1))


def quantised(rng: np.random.Generator, data: Floats, rate: float) -> None:
    """A converter whose step is not small against the noise."""
    size = _level(rng, data, -12, 6)
    np.round(data / size, out=data)
    data *= size


SIGNALS: tuple[Kind, ...] = (
    footsteps, vehicle, burst, burst, machine, teleseism, spikes, step, calibration, airwave
)  # fmt: skip
FAULTS: tuple[Kind, ...] = (
    gap, padding, clipping, telemetry, dead, swapped, quantised
)  # fmt: skip


def add_nuisances(rng: np.random.Generator, data: Floats, rate_hz: float, part: float) -> None:
    """Add signals that are no earthquakes to (n, 3, samples) in place.

    Parameters
    ----------
    rng
        Source of the random numbers.
    data
        Noise; the level of a nuisance is drawn relative to the typical level of its trace.
    rate_hz
        Samples per second.
    part
        Mean number of signals per trace (Poisson).
    """
    count = rng.poisson(part, len(data))
    for i in np.flatnonzero(count):
        for _ in range(count[i]):
            SIGNALS[int(rng.integers(len(SIGNALS)))](rng, data[i], rate_hz)


def add_faults(rng: np.random.Generator, data: Floats, rate_hz: float, part: float) -> None:
    """Give this part of the traces (n, 3, samples) one fault of the recording, in place."""
    for i in np.flatnonzero(rng.uniform(size=len(data)) < part):
        FAULTS[int(rng.integers(len(FAULTS)))](rng, data[i], rate_hz)
