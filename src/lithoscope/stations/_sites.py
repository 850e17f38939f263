"""What every reader hands over: positions and channels, some parts of the code unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

# Input units that a length, velocity or acceleration in SI follows from, and their size.
_UNITS = {
    "m": ("m", 1.0),
    "m/s": ("m/s", 1.0),
    "m/s/s": ("m/s**2", 1.0),
    "m/s**2": ("m/s**2", 1.0),
    "m/s^2": ("m/s**2", 1.0),
    "m/s2": ("m/s**2", 1.0),
    "m/(s**2)": ("m/s**2", 1.0),
    "nm": ("m", 1e-9),
    "nm/s": ("m/s", 1e-9),
    "nm/s**2": ("m/s**2", 1e-9),
    "nm/s/s": ("m/s**2", 1e-9),
    "um/s": ("m/s", 1e-6),
    "mm/s": ("m/s", 1e-3),
    "cm/s": ("m/s", 1e-2),
    "cm/s**2": ("m/s**2", 1e-2),
    "gal": ("m/s**2", 1e-2),
    "g": ("m/s**2", 9.80665),  # standard gravity
}


@dataclass(frozen=True)
class ChannelRow:
    """One channel and epoch: its code's last letter, direction, gain, response."""

    component: str
    azimuth_deg: float = float("nan")
    dip_deg: float = float("nan")
    gain: float = float("nan")
    unit: str = ""
    gain_frequency_hz: float = float("nan")
    response: Any = None


@dataclass(frozen=True)
class Site:
    """One position and epoch; parts of the code that the file does not give are None."""

    network: str | None
    station: str
    location: str | None
    band: str | None
    longitude: float
    latitude: float
    elevation_m: float
    starttime: Any = pd.NaT
    endtime: Any = pd.NaT
    channels: tuple[ChannelRow, ...] = field(default=())

    @property
    def code(self) -> str:
        parts = (self.network, self.station, self.location, self.band)
        return ".".join(part or "" for part in parts)

    @property
    def complete(self) -> bool:
        return None not in (self.network, self.location, self.band)


def problem(what: str, name: str, detail: str, action: str) -> dict[str, Any]:
    """Return a PROBLEMS row."""
    return {"what": what, "problem": name, "detail": detail, "action": action}


def si_unit(text: str, gain: float) -> tuple[str, float]:
    """Return SI unit and counts per SI unit; units that are no ground motion stay as they are."""
    name = text.strip().lower().replace(" ", "")
    if name not in _UNITS:
        return text.strip(), gain
    unit, size = _UNITS[name]
    return unit, gain / size


def direction(component: str) -> tuple[float, float]:
    """Return azimuth and dip (degrees) that a component's letter promises, NaN where none."""
    nan = float("nan")
    return {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0)}.get(component, (nan, nan))


def match_codes(sites: list[Site], codes: Sequence[str]) -> tuple[list[Site], list[dict[str, Any]]]:
    """Give sites with open parts the codes of the data; report data that have no metadata.

    A site stands for every code that agrees in the parts it names. A code that no site stands
    for takes the position of a site of the same network and station, without its gain.
    """
    out = [site for site in sites if site.complete]
    problems: list[dict[str, Any]] = []
    covered = {site.code for site in out}
    open_sites = [site for site in sites if not site.complete]
    for site in open_sites:
        hits = [code for code in codes if _stands_for(site, code)]
        out += [_renamed(site, code) for code in hits]
        covered.update(hits)
        if not hits:
            out.append(site)
    for code in codes:
        if code in covered:
            continue
        network, station = (*code.split("."), "", "")[:2]
        near = [s for s in sites if s.station == station and s.network in (network, None)]
        if near:
            out += [_renamed(replace(s, channels=()), code) for s in near]
            text = f"the metadata have {', '.join(sorted({s.code for s in near}))} only"
            action = "position of the station used, no gain"
            problems.append(problem(code, "no channel metadata", text, action))
        else:
            action = "cannot be used for location"
            text = "the data have this station, the metadata do not"
            problems.append(problem(code, "no metadata", text, action))
    return out, problems


def _stands_for(site: Site, code: str) -> bool:
    parts = code.split(".")
    if len(parts) != 4:
        return site.station == code or site.code == code
    given = (site.network, site.station, site.location, site.band)
    return all(a is None or a == b for a, b in zip(given, parts, strict=True))


def _renamed(site: Site, code: str) -> Site:
    parts = code.split(".")
    if len(parts) != 4:
        return site
    network, station, location, band = parts
    return replace(site, network=network, station=station, location=location, band=band)
