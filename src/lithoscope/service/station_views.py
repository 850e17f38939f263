"""What is known of one station."""

from __future__ import annotations

from typing import Any

from lithoscope.constants import NS_PER_S
from lithoscope.service.elsewhere import Desk
from lithoscope.service.features import json_rows
from lithoscope.service.sites import availability
from lithoscope.service.state import State
from lithoscope.service.times import iso, now_ns
from lithoscope.service.traces import (
    channel_pieces,
    extremes,
    shortened,
    spectrogram,
    without_mean,
)

_STEPS, _BINS = 240, 96  # of a spectrogram


def detail(state: State, site: dict[str, Any]) -> dict[str, Any]:
    """Return the station's state, its channels and how much it contributed."""
    code = site["station"]
    n_picks, n_arrivals = state.view.picks_and_arrivals(code)
    return {
        "station": site,
        "channels": state.sites.channels(code),
        "n_picks": n_picks,
        "n_arrivals": n_arrivals,
    }


def _span(state: Desk, code: str, hours: float) -> tuple[int, int] | None:
    """Return the last hours: up to now on a live system, else up to the last sample."""
    segments = state.recordings.segments(code)
    if segments is None or segments.empty:
        return None
    end_ns = int(segments["endtime_ns"].max())
    length = round(hours * 3600 * NS_PER_S)
    if state.source.live:
        end_ns = max(end_ns, now_ns())
    else:
        length = min(length, max(end_ns - int(segments["starttime_ns"].min()), NS_PER_S))
    return end_ns - length, end_ns


def _reason(state: Desk) -> str:
    return state.recordings.reason or "the recordings do not hold this station"


def waveform(state: Desk, site: dict[str, Any], hours: float, columns: int) -> dict[str, Any]:
    """Return each channel as least and greatest values."""
    code = site["station"]
    answer = {"station": code, "starttime": None, "endtime": None, "unit": "counts"}
    span = _span(state, code, hours)
    if span is None:
        return answer | {"channels": [], "reason": _reason(state)}
    start_ns, end_ns = span
    channels = []
    records = state.recordings.read(code, start_ns, end_ns)
    for name, pieces in channel_pieces(records).items():
        low, high = extremes(without_mean(pieces), start_ns, end_ns, columns)
        channels.append(
            {
                "channel": name,
                "starttime": iso(start_ns),
                "step_s": (end_ns - start_ns) / columns / NS_PER_S,
                "minimum": shortened(low),
                "maximum": shortened(high),
            }
        )
    times = {"starttime": iso(start_ns), "endtime": iso(end_ns)}
    reason = "" if channels else "there are no data in these hours"
    return answer | times | {"channels": channels, "reason": reason}


def spectrogram_view(state: Desk, site: dict[str, Any], hours: float) -> dict[str, Any]:
    """Return the power of the station's vertical, or of its first channel."""
    code = site["station"]
    answer: dict[str, Any] = {
        "station": code,
        "channel": "",
        "starttime": None,
        "step_s": 0.0,
        "frequencies_hz": [],
        "level_db": [],
        "unit": "dB of counts**2/Hz",
    }
    span = _span(state, code, hours)
    if span is None:
        return answer | {"reason": _reason(state)}
    start_ns, end_ns = span
    steps = max(1, min(_STEPS, (end_ns - start_ns) // (5 * NS_PER_S)))
    pieces = channel_pieces(state.recordings.read(code, start_ns, end_ns))
    if not pieces:
        return answer | {"reason": "there are no data in these hours"}
    name = next(iter(pieces))
    frequencies, level = spectrogram(pieces[name], start_ns, end_ns, int(steps), _BINS)
    return answer | {
        "channel": name,
        "starttime": iso(start_ns),
        "step_s": (end_ns - start_ns) / steps / NS_PER_S,
        "frequencies_hz": [round(f, 4) for f in frequencies.tolist()],
        "level_db": [shortened(row) for row in level.round(1)],
        "reason": "",
    }


def residuals(state: State, site: dict[str, Any], limit: int) -> dict[str, Any]:
    """Return the residuals of the station's arrivals, latest first."""
    table = state.view.arrivals_of(site["station"], limit)
    names = ["event_id", "time", "phase", "residual_s", "weight", "distance_km"]
    return {"station": site["station"], "residuals": json_rows(table[names])}


def availability_view(state: State, site: dict[str, Any]) -> dict[str, Any]:
    """Return when any channel of the station recorded."""
    code = site["station"]
    segments = state.recordings.segments(code)
    found = availability(segments) if segments is not None else None
    if found is None or found["start_ns"] is None:
        return {
            "station": code,
            "starttime": None,
            "endtime": None,
            "available_percent": None,
            "n_gaps": 0,
            "spans": [],
        }
    return {
        "station": code,
        "starttime": iso(found["start_ns"]),
        "endtime": iso(found["end_ns"]),
        "available_percent": found["percent"],
        "n_gaps": found["n_gaps"],
        "spans": [[iso(start), iso(end)] for start, end in found["spans"]],
    }
