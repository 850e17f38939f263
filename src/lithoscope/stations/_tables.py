"""Station tables: CSV and its relatives, and NonLinLoc's GTSRCE lines."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.errors import StationError
from lithoscope.stations._sites import ChannelRow, Site, direction, problem, si_unit
from lithoscope.stations.settings import StationSettings

_NAMES = {
    "network": "network",
    "net": "network",
    "station": "station",
    "sta": "station",
    "name": "station",
    "code": "station",
    "station_code": "station",
    "location": "location",
    "loc": "location",
    "channel": "channel",
    "cha": "channel",
    "band": "band",
    "longitude": "longitude",
    "lon": "longitude",
    "lng": "longitude",
    "latitude": "latitude",
    "lat": "latitude",
    "unit": "unit",
    "units": "unit",
    "component": "component",
    "components": "component",
    "starttime": "starttime",
    "start": "starttime",
    "endtime": "endtime",
    "end": "endtime",
    "azimuth": "azimuth_deg",
    "azimuth_deg": "azimuth_deg",
    "dip": "dip_deg",
    "dip_deg": "dip_deg",
}
_ELEVATION = re.compile(r"^(?:elevation|elev|elv|height|altitude|alt)(?:_(m|km))?$")
_DEPTH = re.compile(r"^(?:sensor_depth|burial_depth|depth)_(m|km)$")
_GAIN = re.compile(r"^(?:gain|sensitivity|response)")
_ORDER = re.compile(r"_([enz123]{3})(?:_or_([enz123]{3}))?$")


@dataclass(frozen=True)
class _Layout:
    """Which column holds what."""

    columns: dict[str, int]
    elevation_factor: float | None  # m per unit of the column, None = there is no column
    depth_factor: float
    gain_orders: tuple[str, ...]  # components of a gain with several parts, '' = none given


def read_gtsrce(path: Path, lines: list[str]) -> list[Site]:
    """Read NonLinLoc station lines ``GTSRCE label LATLON lat lon z_km elevation_km``."""
    sites = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0] != "GTSRCE":
            continue
        if len(words) < 7 or words[2] != "LATLON":
            raise StationError(
                f"{path.name}, line {number}: '{line.strip()}' is no GTSRCE line of type LATLON; "
                "convert it to: GTSRCE label LATLON latitude longitude z_km elevation_km"
            )
        latitude, longitude, depth, elevation = (
            _number(w, path, number, "coordinate") for w in words[3:7]
        )
        height = 1000.0 * (elevation - depth)
        sites.append(Site(None, words[1], None, None, longitude, latitude, height))
    return sites


def read_table(
    path: Path, lines: list[str], settings: StationSettings
) -> tuple[list[Site], list[dict[str, Any]]]:
    """Read a table of stations with a header line (or with the columns named in the settings).

    Raises
    ------
    StationError
        If a needed column is missing, the elevation has no unit, or a number cannot be read.
    """
    numbered = [
        (number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not numbered:
        raise StationError(f"{path.name}: no stations in it; give one line a station")
    separator = _separator(numbered[0][1])
    if settings.columns:
        header = list(settings.columns)
    else:
        header = _split(numbered[0][1], separator)
        if sum(_is_number(word) for word in header) >= 2:
            raise StationError(
                f"{path.name}: no header line; name the columns in order in the setting 'columns', "
                "for example longitude, latitude, network, station, channel, elevation_km"
            )
        numbered = numbered[1:]
    problems: list[dict[str, Any]] = []
    layout = _layout(path, header, settings, problems)
    if layout.elevation_factor is None:
        detail = f"{path.name} has no elevation column"
        action = f"{settings.assumed_elevation_m:g} m assumed"
        problems.append(problem(path.name, "no elevation", detail, action))
    sites = []
    for number, line in numbered:
        words = _split(line, separator)
        if words == header:
            continue
        sites.append(_site(path, number, words, layout, settings, problems))
    return sites, problems


def _separator(line: str) -> str | None:
    return next((s for s in ("\t", ";", ",") if s in line), None)


def _split(line: str, separator: str | None) -> list[str]:
    return [word.strip().strip('"') for word in line.strip("\r\n").split(separator)]


def _layout(
    path: Path, header: list[str], settings: StationSettings, problems: list[dict[str, Any]]
) -> _Layout:
    columns: dict[str, int] = {}
    elevation_factor: float | None = None
    depth_factor = 0.0
    orders: tuple[str, ...] = ()
    for index, original in enumerate(header):
        name = re.sub(r"[\s_]*[\[(]\s*([^\])]*)\s*[\])]", r"_\1", original.strip().lower())
        name = re.sub(r"[\s\-]+", "_", name)
        if match := _ELEVATION.match(name):
            columns["elevation"] = index
            elevation_factor = _elevation_factor(path, original, match.group(1), settings)
        elif match := _DEPTH.match(name):
            columns["depth"] = index
            depth_factor = 1000.0 if match.group(1) == "km" else 1.0
        elif _GAIN.match(name):
            columns["gain"] = index
            found = _ORDER.search(name)
            orders = tuple(o.upper() for o in found.groups() if o) if found else ()
        elif name in _NAMES:
            columns.setdefault(_NAMES[name], index)
        elif near := difflib.get_close_matches(name, ["latitude", "longitude"], 1, 0.85):
            columns.setdefault(near[0], index)
            detail = f"'{original}' in {path.name}"
            problems.append(problem(path.name, "column name", detail, f"read as {near[0]}"))
    for needed in ("station", "longitude", "latitude"):
        if needed not in columns:
            raise StationError(
                f"{path.name}: no column '{needed}'; it has {', '.join(header)}; rename one, or "
                "name the columns in the setting 'columns'"
            )
    return _Layout(columns, elevation_factor, depth_factor, orders)


def _elevation_factor(
    path: Path, original: str, unit: str | None, settings: StationSettings
) -> float:
    unit = unit or (None if settings.elevation_unit == "auto" else settings.elevation_unit)
    if unit is None:
        raise StationError(
            f"{path.name}: column '{original}' has no unit; rename it elevation_m or elevation_km, "
            "or set elevation_unit to 'm' or 'km' (--set stations.elevation_unit=m)"
        )
    return 1000.0 if unit == "km" else 1.0


def _site(
    path: Path,
    number: int,
    words: list[str],
    layout: _Layout,
    settings: StationSettings,
    problems: list[dict[str, Any]],
) -> Site:
    def get(name: str) -> str | None:
        index = layout.columns.get(name)
        return words[index] if index is not None and index < len(words) else None

    def value(name: str) -> float:
        text = get(name)
        return _number(text, path, number, name) if text else math.nan

    network, station, location, band = _codes(get)
    if not station:
        raise StationError(f"{path.name}, line {number}: no station code; fill the column")
    elevation = settings.assumed_elevation_m
    if layout.elevation_factor is not None:
        elevation = value("elevation") * layout.elevation_factor
        if math.isnan(elevation):
            elevation = settings.assumed_elevation_m
            detail = f"{path.name}, line {number}: no elevation"
            problems.append(problem(station, "no elevation", detail, f"{elevation:g} m assumed"))
    depth = value("depth") * layout.depth_factor if layout.depth_factor else 0.0
    return Site(
        network,
        station,
        location,
        band,
        value("longitude"),
        value("latitude"),
        elevation - (0.0 if math.isnan(depth) else depth),
        _time(get("starttime"), path, number),
        _time(get("endtime"), path, number),
        _channels(path, number, get, layout, settings, problems, station),
    )


def _codes(get: Any) -> tuple[str | None, str, str | None, str | None]:
    """Return network, station, location and band of a row; None where the table has no say."""
    station = get("station") or ""
    band = get("band")
    if band is None and get("channel"):
        band = get("channel")[:-1]
    location = get("location")
    location = "" if location == "--" else location
    if station.count(".") == 3:
        network, station, location, band = station.split(".")
        return network, station, location, band[:2]
    if station.count(".") == 1:
        network, station = station.split(".")
        return network, station, location, band
    return get("network"), station, location, band


def _channels(
    path: Path,
    number: int,
    get: Any,
    layout: _Layout,
    settings: StationSettings,
    problems: list[dict[str, Any]],
    station: str,
) -> tuple[ChannelRow, ...]:
    text, channel = get("gain") or "", get("channel") or ""
    unit = get("unit") or ("" if settings.gain_unit == "auto" else settings.gain_unit)
    single = channel[-1] if channel else ""
    orientation = (
        (_optional(get("azimuth_deg")), _optional(get("dip_deg"))) if single else (math.nan,) * 2
    )
    if not text:
        if not single:
            return ()
        azimuth, dip = _filled(orientation, single)
        return (ChannelRow(single, azimuth, dip),)
    parts = [part for part in re.split(r"[/,; ]+", text) if part]
    values = [_number(part, path, number, "gain") for part in parts]
    component = "".join(re.split(r"[/,; ]+", get("component") or "")).upper()
    orders = (component,) if component else layout.gain_orders
    if single and len(values) == 1:
        orders = (single,)
    elif len(values) == 1:
        orders = ("ZNE12",)
        values = values * 5
    if not orders or any(len(order) != len(values) for order in orders):
        detail = f"{path.name}, line {number}: '{text}' for components '{'/'.join(orders)}'"
        action = "gain ignored; name the order in a column 'component' or as in gain_ENZ"
        problems.append(problem(station, "gain order unknown", detail, action))
        return ()
    rows: dict[str, ChannelRow] = {}
    for order in orders:
        for letter, gain in zip(order, values, strict=True):
            name, per_si = si_unit(unit, gain)
            azimuth, dip = _filled(orientation, letter)
            rows[letter] = ChannelRow(letter, azimuth, dip, per_si, name)
    return tuple(rows.values())


def _filled(given: tuple[float, float], letter: str) -> tuple[float, float]:
    azimuth, dip = direction(letter)
    return (
        azimuth if math.isnan(given[0]) else given[0],
        dip if math.isnan(given[1]) else given[1],
    )


def _optional(text: str | None) -> float:
    return float(text) if text and _is_number(text) else math.nan


def _time(text: str | None, path: Path, number: int) -> Any:
    if not text:
        return pd.NaT
    try:
        return pd.to_datetime(text, utc=True)
    except ValueError:
        raise StationError(
            f"{path.name}, line {number}: '{text}' is no time; write 2020-01-31T00:00:00"
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, path: Path, number: int, name: str) -> float:
    if not _is_number(text):
        raise StationError(f"{path.name}, line {number}: {name} '{text}' is no number")
    return float(text)
