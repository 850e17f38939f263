"""Picks of a simulated catalogue, with outliers and noise picks, and the truth about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.geo import distance_azimuth
from lithoscope.schema import PICKS, pick_id


class EarthModel(Protocol):
    """What a simulation asks of the Earth; `lithoscope.traveltimes.VelocityModel` has it."""

    def travel_time(
        self,
        phase: str,
        distance_km: ArrayLike,
        source_depth_km: ArrayLike,
        receiver_depth_km: ArrayLike,
    ) -> NDArray[np.float64]:
        """Return first-arrival times in s."""
        ...


@dataclass(frozen=True)
class SimulatedPicks:
    """Picks and the truth about them.

    Attributes
    ----------
    picks
        PICKS table, by time.
    truth
        One row per pick, same order: pick_id, event_id ("" for a noise pick), outlier (True if
        the time was moved), error_s (true onset to pick; NaN for noise).
    """

    picks: pd.DataFrame
    truth: pd.DataFrame


def simulate_picks(
    events: pd.DataFrame,
    stations: pd.DataFrame,
    model: EarthModel,
    rng: np.random.Generator,
    *,
    sigma_p_s: float = 0.05,
    sigma_s_s: float = 0.1,
    detection_p: float = 0.95,
    detection_s: float = 0.8,
    half_distance_km: float = 75.0,
    by_magnitude: bool = False,
    outlier_fraction: float = 0.05,
    outlier_s: tuple[float, float] = (2.0, 6.0),
    noise_fraction: float = 0.0,
    min_picks: int = 0,
) -> SimulatedPicks:
    """Draw the picks that a network would make of a catalogue.

    A pick is exact travel time plus a Gaussian error. It exists with probability ``detection_*``
    times 1 / (1 + (d / h)^4) at epicentral distance d, where h is ``half_distance_km``.
    With the defaults, 30 stations within +-50 km make about 40 picks an event.

    Parameters
    ----------
    events
        event_id, time, longitude, latitude, depth_km, and magnitude if ``by_magnitude``.
    stations
        STATIONS table.
    model
        Earth; times are solved exactly, not read from tables.
    rng
        Source of the random numbers.
    sigma_p_s, sigma_s_s
        Standard errors, written into ``time_sigma_s``.
    detection_p, detection_s
        Largest probability that a station sees the phase.
    half_distance_km
        Distance at which half of them are left.
    by_magnitude
        Let this distance grow by 10^(0.4 (M - 2)), at most 10 times.
    outlier_fraction, outlier_s
        Part of the picks moved, early or late at even odds, by a uniform amount in this range.
    noise_fraction
        Part of all picks (0 to below 1) that belong to no event: uniform in time from the first to
        the last pick, in station and phase.
    min_picks
        Events with fewer picks get more at the stations left, nearest first.

    Returns
    -------
    SimulatedPicks

    Raises
    ------
    DataError
        If a fraction is out of range or a column is missing.
    """
    for name, value in (("outlier_fraction", outlier_fraction), ("noise_fraction", noise_fraction)):
        if not 0.0 <= value < 1.0:
            raise DataError(f"{name} = {value:g}; a part from 0 to below 1 is required")
    distance, _ = distance_azimuth(
        events["longitude"].to_numpy()[:, None],
        events["latitude"].to_numpy()[:, None],
        stations["longitude"].to_numpy()[None],
        stations["latitude"].to_numpy()[None],
    )
    chance = _chance(events, distance, half_distance_km, by_magnitude)
    seen = np.stack(
        [rng.uniform(size=chance.shape) < p * chance for p in (detection_p, detection_s)], axis=2
    )
    _top_up(seen, distance, min_picks)
    frame = _onsets(events, stations, model, distance, seen)
    _add_errors(frame, (sigma_p_s, sigma_s_s), outlier_fraction, outlier_s, rng)
    noise = _noise(frame["time_ns"].to_numpy(), stations["station"].to_numpy(), noise_fraction, rng)
    frame = pd.concat([frame, noise], ignore_index=True) if len(noise) else frame
    return _tables(frame, sigma_p_s, sigma_s_s, rng)


def _onsets(
    events: pd.DataFrame,
    stations: pd.DataFrame,
    model: EarthModel,
    distance: NDArray[np.float64],
    seen: NDArray[np.bool_],
) -> pd.DataFrame:
    """Return true onsets: station, phase, time_ns, event_id, and travel_s still to be added."""
    event, station, phase = np.nonzero(seen)
    depth = events["depth_km"].to_numpy()[event]
    receiver = -stations["elevation_m"].to_numpy()[station] / 1000.0
    travel = np.empty(len(event))
    for code, letter in enumerate("PS"):
        use = phase == code
        travel[use] = model.travel_time(
            letter, distance[event[use], station[use]], depth[use], receiver[use]
        )
    return pd.DataFrame(
        {
            "station": stations["station"].to_numpy()[station],
            "phase": np.where(phase == 0, "P", "S"),
            "time_ns": events["time"].dt.as_unit("ns").astype("int64").to_numpy()[event],
            "event_id": events["event_id"].to_numpy()[event],
            "travel_s": travel,
        }
    )


def _add_errors(
    frame: pd.DataFrame,
    sigma_s: tuple[float, float],
    outlier_fraction: float,
    outlier_s: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Turn true onsets into picks, in place: Gaussian errors, and outliers on top of them."""
    n = len(frame)
    error = rng.normal(size=n) * np.where(frame["phase"] == "P", *sigma_s)
    outlier = rng.uniform(size=n) < outlier_fraction
    shift = rng.uniform(*outlier_s, n) * rng.choice([-1.0, 1.0], n)
    frame["outlier"] = outlier
    frame["error_s"] = error + np.where(outlier, shift, 0.0)
    offset = np.round((frame.pop("travel_s") + frame["error_s"]).to_numpy() * NS_PER_S)
    frame["time_ns"] += offset.astype(np.int64)


def _chance(
    events: pd.DataFrame, distance: NDArray[np.float64], half_distance_km: float, by_magnitude: bool
) -> NDArray[np.float64]:
    """Return how much of the largest detection probability is left (events x stations)."""
    half = np.full(len(events), half_distance_km)
    if by_magnitude:
        size = events["magnitude"].to_numpy()
        half = half * np.minimum(10.0 ** (0.4 * (size - 2.0)), 10.0)
    return 1.0 / (1.0 + (distance / half[:, None]) ** 4)


def _top_up(seen: NDArray[np.bool_], distance: NDArray[np.float64], min_picks: int) -> None:
    """Add P, then S, at the nearest stations left until each event has enough picks."""
    for i in np.flatnonzero(seen.sum(axis=(1, 2)) < min_picks):
        for j in np.argsort(distance[i], kind="stable"):
            for phase in (0, 1):
                if seen[i].sum() < min_picks:
                    seen[i, j, phase] = True


def _noise(
    time_ns: NDArray[np.int64],
    codes: NDArray[np.object_],
    fraction: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    n = round(len(time_ns) * fraction / (1.0 - fraction))
    low, high = (int(time_ns.min()), int(time_ns.max()) + 1) if len(time_ns) else (0, 1)
    return pd.DataFrame(
        {
            "station": rng.choice(codes, n),
            "phase": rng.choice(["P", "S"], n),
            "time_ns": rng.integers(low, high, n),
            "event_id": "",
            "outlier": False,
            "error_s": np.nan,
        }
    )


def _tables(
    frame: pd.DataFrame, sigma_p_s: float, sigma_s_s: float, rng: np.random.Generator
) -> SimulatedPicks:
    frame = frame.sort_values(["time_ns", "station", "phase"], kind="stable", ignore_index=True)
    real = (frame["event_id"] != "").to_numpy()
    # Pickers are surer of real onsets, but not by much.
    probability = np.where(real, rng.beta(6.0, 2.0, len(frame)), rng.beta(3.0, 3.0, len(frame)))
    rows = zip(frame["station"], frame["phase"], frame["time_ns"], strict=True)
    ids = [pick_id(station, phase, int(time)) for station, phase, time in rows]
    picks = PICKS.table(
        {
            "pick_id": ids,
            "station": frame["station"],
            "phase": frame["phase"],
            "time": pd.to_datetime(frame["time_ns"], unit="ns", utc=True),
            "time_sigma_s": np.where(frame["phase"] == "P", sigma_p_s, sigma_s_s),
            "probability": probability,
            "model": ["simulated"] * len(frame),
        }
    )
    truth = frame[["event_id", "outlier", "error_s"]].copy()
    truth.insert(0, "pick_id", ids)
    return SimulatedPicks(picks, truth)
