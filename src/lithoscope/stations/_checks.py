"""Positions, epochs and gains that cannot be right."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.geo import distance_azimuth
from lithoscope.stations._sites import ChannelRow, Site, problem

# Farther than this from the middle of the other stations, a position is compared with its swap.
_FAR_KM = 1000.0
_SAME_PLACE_KM = 0.001


def check_sites(sites: list[Site]) -> tuple[list[Site], list[dict[str, Any]]]:
    """Drop sites without a usable position and gains that are not positive; report all of it."""
    problems: list[dict[str, Any]] = []
    kept: list[Site] = []
    for site in sites:
        reason = _position_fault(site)
        if reason:
            problems.append(problem(site.code, *reason, "station not used"))
            continue
        if site.longitude > 180.0:
            site = replace(site, longitude=site.longitude - 360.0)
        if pd.notna(site.starttime) and pd.notna(site.endtime) and site.starttime >= site.endtime:
            detail = f"starts {site.starttime:%Y-%m-%d}, ends {site.endtime:%Y-%m-%d}"
            problems.append(problem(site.code, "epoch reversed", detail, "not used"))
            continue
        if math.isnan(site.elevation_m) or not -11_000.0 <= site.elevation_m <= 9_000.0:
            detail = f"{site.elevation_m:g} m; the Earth has -11000 to 9000 m, check the unit"
            problems.append(problem(site.code, "elevation out of range", detail, "not used"))
            continue
        channels = tuple(_checked_gain(site, row, problems) for row in site.channels)
        kept.append(replace(site, channels=channels))
    kept, swapped = _drop_swapped(kept)
    return kept, problems + swapped + _same_place(kept)


def _position_fault(site: Site) -> tuple[str, str] | None:
    lon, lat = site.longitude, site.latitude
    text = f"longitude {lon:g}, latitude {lat:g}"
    if math.isnan(lon) or math.isnan(lat):
        return "no coordinates", text
    if lon == 0.0 and lat == 0.0:
        return "no coordinates", f"{text}: both zero"
    if abs(lat) > 90.0 and abs(lat) <= 360.0 and abs(lon) <= 90.0:
        return "coordinates swapped", f"{text}: latitude is -90 to 90; exchange the two"
    if abs(lat) > 90.0 or not -180.0 <= lon <= 360.0:
        return "coordinates out of range", f"{text}: allowed are -180 to 360 and -90 to 90"
    return None


def _checked_gain(site: Site, row: ChannelRow, problems: list[dict[str, Any]]) -> ChannelRow:
    if math.isnan(row.gain) or (row.gain > 0.0 and math.isfinite(row.gain)):
        return row
    detail = f"{row.gain:g} counts per {row.unit or 'unit'}; it must be above 0"
    name = "negative gain" if row.gain < 0.0 else "zero gain"
    problems.append(problem(site.code + row.component, name, detail, "no amplitudes from it"))
    return replace(row, gain=math.nan, response=None)


def _drop_swapped(sites: list[Site]) -> tuple[list[Site], list[dict[str, Any]]]:
    """Drop stations far from all others whose exchanged coordinates lie among them."""
    if len({(s.network, s.station) for s in sites}) < 3:
        return sites, []
    lon = np.array([s.longitude for s in sites])
    lat = np.array([s.latitude for s in sites])
    middle = float(np.median(lon)), float(np.median(lat))
    away = distance_azimuth(lon, lat, *middle)[0]
    extent = max(2.0 * float(np.median(away)), 100.0)
    problems, kept = [], []
    for site, distance in zip(sites, away, strict=True):
        exchanged = math.inf
        if abs(site.longitude) <= 90.0:
            exchanged = float(distance_azimuth(site.latitude, site.longitude, *middle)[0])
        if distance > max(_FAR_KM, extent) and exchanged < extent:
            detail = (
                f"longitude {site.longitude:g}, latitude {site.latitude:g} is {distance:.0f} km "
                f"from the other stations, exchanged {exchanged:.0f} km"
            )
            row = problem(site.code, "coordinates swapped", detail, "station not used")
            problems.append(row)
        else:
            kept.append(site)
    return kept, problems


def _same_place(sites: list[Site]) -> list[dict[str, Any]]:
    """Report different stations (not bands or locations of one) at one point."""
    cells: dict[tuple[float, float], dict[tuple[str | None, str], str]] = defaultdict(dict)
    for site in sites:
        cell = round(site.longitude, 5), round(site.latitude, 5)
        cells[cell].setdefault((site.network, site.station), site.code)
    rows = []
    for (lon, lat), names in cells.items():
        if len(names) > 1:
            detail = f"{', '.join(sorted(names.values()))} at {lon:g}, {lat:g}"
            what = min(names.values())
            rows.append(problem(what, "stations at one place", detail, "both used"))
    return rows
