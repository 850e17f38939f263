"""Local magnitudes of events: station by station, then the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lithoscope import stations as metadata
from lithoscope.constants import NS_PER_S
from lithoscope.errors import LithoscopeError
from lithoscope.magnitude.amplitude import COMPONENTS, Amplitude, measure, usable_span
from lithoscope.magnitude.network import robust_mean
from lithoscope.magnitude.settings import MagnitudeSettings
from lithoscope.magnitude.windows import (
    Waves,
    Window,
    apparent_velocity,
    hypocentral_distance,
    neighbours,
    waves,
    window,
)
from lithoscope.schema import ARRIVALS, EVENTS, STATION_MAGNITUDES
from lithoscope.stations import Inventory
from lithoscope.waveforms import Record

Reader = Callable[[str, int, int], list[Record]]

# Data read beyond the windows, so that the response filter has settled inside them.
_MARGIN_S = 10.0
_NO_DATA = "no data"


def local_magnitudes(
    events: pd.DataFrame,
    arrivals: pd.DataFrame,
    inventory: Inventory,
    read: Reader,
    settings: MagnitudeSettings | None = None,
    *,
    others: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure local magnitudes from Wood-Anderson amplitudes.

    A station's magnitude is the mean over its horizontals of log10 of the zero-to-peak amplitude
    in mm, plus the distance correction of the scale and the station's own. Where the picked
    sensor is clipped or has no response, another sensor at the same site (same NET.STA) is tried.
    The vertical is used only where a site has no horizontal; its type is then ``MLv``. The event's
    magnitude is a robust mean over sites (`robust_mean`), one value a site.

    Parameters
    ----------
    events, arrivals
        EVENTS and ARRIVALS tables; the magnitudes in ``events`` are replaced.
    inventory
        Positions and responses.
    read
        Returns the records of a station (NET.STA.LOC.BI) between two times in ns since 1970.
    settings
        `MagnitudeSettings`.
    others
        All EVENTS of the catalogue, if ``events`` is only a part of it: an event can be disturbed
        by one that is not in the part.

    Returns
    -------
    EVENTS with ``magnitude``, ``magnitude_type``, ``magnitude_sigma``, ``n_magnitudes`` and, where
    there is no magnitude, ``magnitude_reason``; and STATION_MAGNITUDES, one row for every station
    tried, with the reason where it was refused. ``channel`` and ``amplitude_time`` are those of
    the larger horizontal, ``amplitude_mm`` is the geometric mean of the horizontals used.
    """
    settings = settings or MagnitudeSettings()
    events, arrivals = EVENTS.check(events), ARRIVALS.check(arrivals)
    everything = EVENTS.check(others) if others is not None else events
    by_event = {name: rows for name, rows in arrivals.groupby("event_id")}
    rows: list[dict[str, Any]] = []
    columns: list[dict[str, Any]] = []
    rows_of_events: list[Any] = list(events.itertuples(index=False))
    for event in rows_of_events:
        mine = by_event.get(event.event_id, arrivals.iloc[:0])
        measured = _Event(event, mine, everything, inventory, read, settings).measure()
        rows += measured
        columns.append(_network(measured, settings))
    result = events.assign(**pd.DataFrame(columns, index=events.index)) if columns else events
    return EVENTS.check(result), STATION_MAGNITUDES.table(rows)


def _network(rows: list[dict[str, Any]], settings: MagnitudeSettings) -> dict[str, Any]:
    used = [row for row in rows if row["used"]]
    if not used:
        if not rows:
            reason = "no station to measure: no arrivals, or none in the station list"
        else:
            reasons = pd.Series([row["reason"].split(":")[0] for row in rows]).value_counts()
            counts = ", ".join(f"{n} {text}" for text, n in reasons.items())
            reason = f"no usable station of {len(rows)}: {counts}"
        return {
            "magnitude": np.nan,
            "magnitude_type": "",
            "magnitude_sigma": np.nan,
            "n_magnitudes": 0,
            "magnitude_reason": reason,
        }
    mean = robust_mean([row["magnitude"] for row in used], settings.station_sigma)
    verticals = sum(row["magnitude_type"] == "MLv" for row in used)
    return {
        "magnitude": mean.magnitude,
        "magnitude_type": "MLv" if 2 * verticals > len(used) else "ML",
        "magnitude_sigma": mean.sigma,
        "n_magnitudes": len(used),
        "magnitude_reason": "",
    }


@dataclass(frozen=True)
class _Event:
    """One event and all that its measurement needs."""

    event: Any
    arrivals: pd.DataFrame
    everything: pd.DataFrame
    inventory: Inventory
    read: Reader
    settings: MagnitudeSettings

    def measure(self) -> list[dict[str, Any]]:
        """Return one STATION_MAGNITUDES row for each station tried."""
        speed = apparent_velocity(self.event, self.arrivals)
        near = neighbours(self.event, self.everything, self.settings.overlap_fraction)
        rows: list[dict[str, Any]] = []
        for codes in self._sites().values():
            rows += self._measure_site(codes, speed, near)
        return rows

    def _sites(self) -> dict[str, list[str]]:
        """Return the codes to try at each site, those with an arrival first."""
        sites: dict[str, list[str]] = {}
        picked = sorted(set(self.arrivals["station"]))
        known = sorted(set(self.inventory.stations["station"]))
        for code in [*picked, *known]:
            site = _site(code)
            wanted = self.settings.stations == "all" or site in map(_site, picked)
            if wanted and code not in sites.setdefault(site, []):
                sites[site].append(code)
        return {site: codes for site, codes in sorted(sites.items()) if codes}

    def _measure_site(
        self, codes: list[str], speed: float, near: pd.DataFrame
    ) -> list[dict[str, Any]]:
        """Try the codes of a site until one gives a horizontal; else keep a vertical."""
        picked = self.arrivals[self.arrivals["station"].isin(codes)]
        rows, fallback = [], None
        for code in codes:
            row = self._measure_station(code, picked, speed, near)
            if row["reason"].startswith(_NO_DATA) and code not in set(picked["station"]):
                continue  # a sensor of the station list that these data do not have
            if row["used"] and row["magnitude_type"] == "MLv":
                fallback = fallback or row
                if fallback is not row:
                    row["used"], row["reason"] = False, f"{fallback['station']} is used here"
            rows.append(row)
            if row["used"] and row["magnitude_type"] == "ML":
                if fallback is not None:
                    fallback["used"] = False
                    fallback["reason"] = f"{code} has horizontals and is used here"
                break
        return rows

    def _measure_station(
        self, code: str, picked: pd.DataFrame, speed: float, near: pd.DataFrame
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "event_id": self.event.event_id,
            "station": code,
            "channel": "",
            "magnitude_type": "ML",
            "magnitude": np.nan,
            "distance_km": np.nan,
            "used": False,
            "reason": "",
        }
        try:
            position = self.inventory.position(code, self.event.time.value)
        except LithoscopeError as error:
            return row | {"reason": f"no coordinates: {error}"}
        distance = hypocentral_distance(self.event, position)
        row["distance_km"] = distance
        scale = self.settings.attenuation()
        farthest = self.settings.max_distance_km or scale.max_distance_km
        if not self.settings.min_distance_km <= distance <= farthest:
            limits = f"{self.settings.min_distance_km:g} to {farthest:g} km"
            return row | {"reason": f"outside the distance range: {distance:.1f} km, {limits}"}
        here = waves(self.event, picked, distance, speed)
        none = picked.iloc[:0]
        theirs = [
            waves(other, none, hypocentral_distance(other, position), speed)
            for other in near.itertuples(index=False)
        ]
        return row | self._amplitude_row(code, distance, here, theirs)

    def _amplitude_row(
        self, code: str, distance: float, here: Waves, theirs: list[Waves]
    ) -> dict[str, Any]:
        settings = self.settings
        span = window(here, theirs, distance, settings)
        if span.reason:
            return {"reason": span.reason}
        amplitudes, channels, reason = self._amplitudes(code, span)
        good = [a for a in amplitudes if not a.reason]
        largest = max(good or amplitudes, key=lambda a: _or_zero(a.amplitude_mm), default=None)
        if largest is None:
            return {"reason": reason}
        vertical = largest.component == 0
        out: dict[str, Any] = {
            "channel": channels[largest.component],
            "magnitude_type": "MLv" if vertical else "ML",
            "snr": largest.snr,
        }
        if not good:
            return out | {"reason": largest.reason}
        log_amplitude = float(np.mean([np.log10(a.amplitude_mm) for a in good]))
        correction = settings.correction(code) + (settings.vertical_correction if vertical else 0.0)
        return out | {
            "magnitude": log_amplitude + float(settings.attenuation()(distance)) + correction,
            "amplitude_mm": 10.0**log_amplitude,
            "amplitude_time": pd.Timestamp(largest.time_ns, tz="UTC"),
            "snr": min(a.snr for a in good),
            "used": True,
        }

    def _amplitudes(
        self, code: str, span: Window
    ) -> tuple[list[Amplitude], tuple[str, str, str], str]:
        """Return an amplitude for each component that may count, or why there is none at all."""
        margin = round(_MARGIN_S * NS_PER_S)
        start, end = span.noise_start - margin, span.signal_end + margin
        try:
            records = self.read(code, start, end)
        except LithoscopeError as error:
            return [], ("", "", ""), f"{_NO_DATA}: {error}"
        first, last = usable_span(span, self.settings)
        record = next(
            (r for r in records if r.starttime_ns <= first and r.endtime_ns >= last), None
        )
        if record is None:
            what = "a gap or the end of the data" if records else "none for this event"
            return [], ("", "", ""), f"{_NO_DATA}: {what}"
        components = [i for i in (1, 2) if record.mask[i]]
        if not components and record.mask[0] and self.settings.vertical == "fallback":
            components = [0]
        if not components:
            return [], record.channels, "no horizontal component"
        return self._on_wood_anderson(record, components, span), record.channels, ""

    def _on_wood_anderson(
        self, record: Record, components: list[int], span: Window
    ) -> list[Amplitude]:
        clipped = [i for i in components if record.clipped[i]]
        out = [Amplitude(i, reason=f"clipped: {COMPONENTS[i]} sits on a rail") for i in clipped]
        whole = [i for i in components if i not in clipped]
        if not whole:
            return out
        simulated = metadata.to_wood_anderson(record, self.inventory)
        times = record.times_ns()
        for i in whole:
            if simulated.reasons[i]:
                out.append(Amplitude(i, reason=simulated.reasons[i]))
            else:
                trace = np.asarray(simulated.data[i], float)
                rate = record.sampling_rate_hz
                out.append(measure(trace, times, rate, i, span, self.settings))
        return out


def _site(code: str) -> str:
    return ".".join(code.split(".")[:2])


def _or_zero(value: float) -> float:
    return value if np.isfinite(value) else 0.0
