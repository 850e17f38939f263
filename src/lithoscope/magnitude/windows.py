"""When an event's waves are at a station, and which other events disturb them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.geo import distance_azimuth
from lithoscope.magnitude.settings import MagnitudeSettings

VP_VS = 1.73  # of a Poisson solid; only places windows where a phase was not picked
DEFAULT_VP_KM_S = 6.0
_GUARD_S = 0.5  # onsets may be earlier than picked or predicted
# Another event can matter at a station up to this long before or after an event's own time.
SEARCH_S = 300.0


@dataclass(frozen=True)
class Window:
    """Where to measure, ns since 1970.

    ``noise_start`` to ``noise_end`` lies before P; ``signal_start`` to ``signal_end`` holds P and
    S, or S alone where an earlier event's S comes between (``between_start`` to ``signal_start``
    then counts as noise as well). ``reason`` is set where nothing can be measured.
    """

    noise_start: int
    noise_end: int
    signal_start: int
    s_time: int
    signal_end: int
    between_start: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Waves:
    """P and S times of an event at a station, ns since 1970."""

    event_id: str
    origin: int
    p: int
    s: int


def apparent_velocity(event: Any, arrivals: list[Any]) -> float:
    """Return the median of distance / travel time over the event's P (S x Vp/Vs) arrivals, km/s."""
    speeds = []
    for arrival in arrivals:
        seconds = (arrival.time.value - event.time.value) / NS_PER_S
        if arrival.weight > 0.5 and seconds > 0:
            distance = np.hypot(arrival.distance_km, _depth(event.depth_km))
            speeds.append(distance / seconds * (VP_VS if arrival.phase == "S" else 1.0))
    speeds = [v for v in speeds if 1.0 < v < 12.0]
    return float(np.median(speeds)) if speeds else DEFAULT_VP_KM_S


def hypocentral_distance(event: Any, position: tuple[float, float, float]) -> float:
    """Return the distance in km from the event to (longitude, latitude, elevation in m)."""
    longitude, latitude, elevation_m = position
    epicentral, _ = distance_azimuth(event.longitude, event.latitude, longitude, latitude)
    return float(np.hypot(epicentral, _depth(event.depth_km) + elevation_m / 1000.0))


def waves(event: Any, picked: list[Any], distance_km: float, vp_km_s: float) -> Waves:
    """Return P and S times: as picked, else from the other phase, else by ``vp_km_s``."""
    origin = event.time.value
    times: dict[str, int] = {}
    for arrival in picked:
        if arrival.weight > 0.5:
            time = arrival.time.value
            times[arrival.phase] = min(time, times.get(arrival.phase, time))
    p, s = times.get("P"), times.get("S")
    if p is None:
        seconds = distance_km / vp_km_s if s is None else (s - origin) / NS_PER_S / VP_VS
        p = origin + round(seconds * NS_PER_S)
    if s is None or s <= p:
        s = origin + round((p - origin) * VP_VS)
    return Waves(event.event_id, origin, p, max(s, p))


def window(
    mine: Waves, others: list[Waves], distance_km: float, settings: MagnitudeSettings
) -> Window:
    """Return where to measure ``mine`` so that no wave of ``others`` sets the peak.

    The noise window is ``noise_window_s`` long and ends 0.5 s before P. The signal window runs
    from there to ``R / end_velocity_km_s + tail_s`` after the origin. Another event cuts its end
    0.5 s before the first of its P and S that leaves ``min_s_window_s`` after our S; an earlier
    event whose S comes between our P and S moves the start to our S, and what lies between counts
    as noise. Where neither helps, the window says which event is in the way.
    """
    guard = round(_GUARD_S * NS_PER_S)
    least = round(settings.min_s_window_s * NS_PER_S)
    noise_end = mine.p - guard
    noise_start = noise_end - round(settings.noise_window_s * NS_PER_S)
    length_s = distance_km / settings.end_velocity_km_s + settings.tail_s
    end = max(mine.origin + round(length_s * NS_PER_S), mine.s + least)
    start, between, reason = noise_end, None, ""
    for other in others:
        if other.s < mine.s - guard:
            if other.s > mine.p - guard:  # its S lies between our P and S
                start = mine.s - guard
                first = other.s - guard
                between = first if between is None else min(between, first)
            continue
        cut = next((t - guard for t in (other.p, other.s) if t - guard >= mine.s + least), None)
        if cut is None:
            reason = f"overlapping event: {other.event_id} may be larger"
        else:
            end = min(end, cut)
    return Window(noise_start, noise_end, start, mine.s, end, between, reason)


def neighbours(event: Any, events: pd.DataFrame, fraction: float) -> pd.DataFrame:
    """Return the events near in time that may be as large, judged by their number of arrivals."""
    near = (events["time"] - event.time).abs() <= pd.Timedelta(SEARCH_S, "s")
    size = events["n_p"] + events["n_s"]
    large = size >= fraction * (event.n_p + event.n_s)
    return events[near & large & (events["event_id"] != event.event_id)]


def _depth(depth_km: float) -> float:
    return float(depth_km) if np.isfinite(depth_km) else 0.0
