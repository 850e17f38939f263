"""Local magnitudes of events: station by station, then the network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lithoscope import stations as metadata
from lithoscope.constants import NS_PER_S
from lithoscope.errors import LithoscopeError
from lithoscope.magnitude.amplitude import (
    COMPONENTS,
    Amplitude,
    measure,
    untapered_span,
    usable_span,
)
from lithoscope.magnitude.attenuation import Attenuation
from lithoscope.magnitude.blocks import BlockReader, Reader
from lithoscope.magnitude.network import network_columns
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
    there is no magnitude or a doubtful one (most stations clipped), ``magnitude_reason``; and
    STATION_MAGNITUDES, one row for every station tried, with the reason where it was refused.
    ``channel`` and ``amplitude_time`` are those of the larger horizontal, ``amplitude_mm`` is the
    geometric mean of the horizontals used.
    """
    settings = settings or MagnitudeSettings()
    events, arrivals = EVENTS.check(events), ARRIVALS.check(arrivals)
    everything = EVENTS.check(others) if others is not None else events
    by_event: dict[str, list[Any]] = {}
    for arrival in arrivals.itertuples(index=False):
        by_event.setdefault(str(arrival.event_id), []).append(arrival)
    network = _Network(inventory, BlockReader(read), settings)
    rows: list[dict[str, Any]] = []
    columns: list[dict[str, Any]] = []
    rows_of_events: list[Any] = list(events.itertuples(index=False))
    for event in rows_of_events:
        near = neighbours(event, everything, settings.overlap_fraction)
        mine = by_event.get(event.event_id, [])
        measured = _Event(event, mine, list(near.itertuples(index=False)), network).measure()
        rows += measured
        columns.append(network_columns(measured, settings))
    result = events.assign(**pd.DataFrame(columns, index=events.index)) if columns else events
    return EVENTS.check(result), STATION_MAGNITUDES.table(rows)


@dataclass(frozen=True)
class _Network:
    """Stations, records and settings, the same for all events."""

    inventory: Inventory
    read: Reader
    settings: MagnitudeSettings

    @cached_property
    def attenuation(self) -> Attenuation:
        return self.settings.attenuation()

    @cached_property
    def codes(self) -> list[str]:
        return sorted(set(self.inventory.stations["station"]))

    @cached_property
    def _fixed(self) -> dict[str, tuple[float, float, float]]:
        """Positions of stations that have one epoch without limits, for speed."""
        table = self.inventory.stations
        once = ~table["station"].duplicated(keep=False)
        always = table[once & table["starttime"].isna() & table["endtime"].isna()]
        values = zip(always["longitude"], always["latitude"], always["elevation_m"], strict=True)
        return dict(zip(always["station"], values, strict=True))

    def position(self, code: str, time_ns: int) -> tuple[float, float, float]:
        return self._fixed.get(code) or self.inventory.position(code, time_ns)


@dataclass(frozen=True)
class _Event:
    """One event, its arrivals, and the events that may disturb it."""

    event: Any
    arrivals: list[Any]
    near: list[Any]
    network: _Network

    @cached_property
    def speed(self) -> float:
        return apparent_velocity(self.event, self.arrivals)

    def measure(self) -> list[dict[str, Any]]:
        """Return one STATION_MAGNITUDES row for each station tried."""
        rows: list[dict[str, Any]] = []
        for codes in self._sites():
            rows += self._measure_site(codes)
        return rows

    def _sites(self) -> list[list[str]]:
        """Return the codes to try at each site, those with an arrival first."""
        picked = sorted({arrival.station for arrival in self.arrivals})
        wanted = set(map(_site, picked))
        sites: dict[str, list[str]] = {}
        for code in [*picked, *self.network.codes]:
            if self.network.settings.stations == "all" or _site(code) in wanted:
                codes = sites.setdefault(_site(code), [])
                if code not in codes:
                    codes.append(code)
        return [codes for _, codes in sorted(sites.items())]

    def _measure_site(self, codes: list[str]) -> list[dict[str, Any]]:
        """Try the codes of a site until one gives a horizontal; else keep a vertical."""
        picked = [arrival for arrival in self.arrivals if arrival.station in codes]
        with_pick = {arrival.station for arrival in picked}
        rows: list[dict[str, Any]] = []
        fallback: dict[str, Any] | None = None
        for code in codes:
            row = self._measure_station(code, picked)
            if row["reason"].startswith(_NO_DATA) and code not in with_pick:
                continue  # a sensor of the station list that these data do not have
            rows.append(row)
            if row["used"] and row["magnitude_type"] == "ML":
                if fallback is not None:
                    fallback |= {"used": False, "reason": f"{code} has horizontals and is used"}
                break
            if row["used"] and fallback is not None:
                row |= {"used": False, "reason": f"{fallback['station']} is used at this site"}
            elif row["used"]:
                fallback = row
        return rows

    def _measure_station(self, code: str, picked: list[Any]) -> dict[str, Any]:
        network, settings = self.network, self.network.settings
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
            position = network.position(code, self.event.time.value)
        except LithoscopeError as error:
            return row | {"reason": f"no coordinates: {error}"}
        distance = hypocentral_distance(self.event, position)
        row["distance_km"] = distance
        farthest = settings.max_distance_km or network.attenuation.max_distance_km
        if not settings.min_distance_km <= distance <= farthest:
            limits = f"{settings.min_distance_km:g} to {farthest:g} km"
            return row | {"reason": f"outside the distance range: {distance:.1f} km, {limits}"}
        here = waves(self.event, picked, distance, self.speed)
        theirs = [
            waves(other, [], hypocentral_distance(other, position), self.speed)
            for other in self.near
        ]
        return row | self._amplitude_row(code, distance, here, theirs)

    def _amplitude_row(
        self, code: str, distance: float, here: Waves, theirs: list[Waves]
    ) -> dict[str, Any]:
        settings = self.network.settings
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
        ratio = largest.amplitude_mm / min(a.amplitude_mm for a in good)
        if ratio > settings.max_horizontal_ratio:
            return out | {"reason": f"horizontals disagree: by a factor of {ratio:.0f}"}
        log_amplitude = float(np.mean([np.log10(a.amplitude_mm) for a in good]))
        correction = settings.correction(code) + (settings.vertical_correction if vertical else 0.0)
        return out | {
            "magnitude": log_amplitude + float(self.network.attenuation(distance)) + correction,
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
            records = self.network.read(code, start, end)
        except LithoscopeError as error:
            return [], ("", "", ""), f"{_NO_DATA}: {error}"
        first, last = usable_span(span, self.network.settings)
        usable = ((r, *untapered_span(r)) for r in records)
        found = next((u for u in usable if u[1] <= first and u[2] >= last), None)
        if found is None:
            what = "a gap or the end of the data" if records else "none for this event"
            return [], ("", "", ""), f"{_NO_DATA}: {what}"
        record, start, end = found
        span = replace(
            span,
            noise_start=max(span.noise_start, start),
            signal_end=min(span.signal_end, end),
        )
        components = [i for i in (1, 2) if record.mask[i]]
        if not components and record.mask[0] and self.network.settings.vertical == "fallback":
            components = [0]
        if not components:
            return [], record.channels, "no horizontal component"
        return self._on_wood_anderson(record, components, span), record.channels, ""

    def _on_wood_anderson(
        self, record: Record, components: list[int], span: Window
    ) -> list[Amplitude]:
        clipped = [i for i in components if record.clipped[i]]
        if clipped:  # the other horizontal alone would be the smaller one
            return [Amplitude(i, reason=f"clipped: {COMPONENTS[i]} on a rail") for i in clipped]
        simulated = metadata.to_wood_anderson(record, self.network.inventory)
        times = record.times_ns()
        out = []
        for i in components:
            if simulated.reasons[i]:
                out.append(Amplitude(i, reason=simulated.reasons[i]))
            else:
                trace = np.asarray(simulated.data[i], float)
                rate = record.sampling_rate_hz
                out.append(measure(trace, times, rate, i, span, self.network.settings))
        return out


def _site(code: str) -> str:
    return ".".join(code.split(".")[:2])


def _or_zero(value: float) -> float:
    return value if np.isfinite(value) else 0.0
