"""Read station metadata from any mix of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.errors import StationError
from lithoscope.schema import CHANNELS, PROBLEMS, STATIONS
from lithoscope.stations._checks import check_sites
from lithoscope.stations._sites import Site, match_codes, problem
from lithoscope.stations._tables import read_gtsrce, read_table
from lithoscope.stations._xml import read_inventory
from lithoscope.stations.inventory import Inventory, ResponseKey, start_key
from lithoscope.stations.settings import StationSettings


def read_stations(
    paths: Path | str | Sequence[Path | str],
    settings: StationSettings | None = None,
    *,
    codes: Sequence[str] | None = None,
) -> Inventory:
    """Read StationXML, SeisComP XML, dataless SEED, CSV-like tables or NonLinLoc station lines.

    A table needs a header line (or the setting `columns`) with ``station`` (a station code,
    NET.STA or NET.STA.LOC.BI), ``longitude``, ``latitude``, and an elevation with its unit in
    the name (``elevation_m``, ``elevation_km``; depth of the sensor in ``depth_m``); and may have
    ``network, location, channel`` or ``band, starttime, endtime, azimuth_deg, dip_deg, unit``,
    and ``gain`` in counts per unit: one number, or several whose order a column ``component``
    (E,N,Z) or the name (``gain_ENZ``) tells. Common short names (lon, lat, elv(m)) are known.
    What is wrong with single stations or gains is in the problems; the rest is used.

    Parameters
    ----------
    paths
        A file, a folder of such files, or a list.
    settings
        Units and columns where a table leaves them open.
    codes
        NET.STA.LOC.BI of the data. Rows that name only parts of a code stand for all the codes
        that agree with them; data without metadata are reported.

    Raises
    ------
    StationError
        If a file cannot be read, lacks a column, or no station is usable.
    """
    settings = settings or StationSettings()
    files = _files(paths)
    sites: list[Site] = []
    problems: list[dict[str, Any]] = []
    for path in files:
        found, rows = _read_file(path, settings)
        sites += found
        problems += rows
    sites, rows = check_sites(sites)
    problems += rows
    if not sites:
        names = ", ".join(path.name for path in files)
        first = f"; {problems[0]['what']}: {problems[0]['problem']}" if problems else ""
        raise StationError(f"{names}: no usable station in it{first}; check the coordinates")
    if codes is not None:
        sites, rows = match_codes(sites, codes)
        problems += rows
    stations = _stations_table(sites)
    channels, responses = _channels_table(sites)
    problems += _overlaps(stations, "station") + _overlaps(channels, "channel")
    table = PROBLEMS.table(problems).drop_duplicates(ignore_index=True)
    return Inventory(stations, channels, responses, table)


def _files(paths: Path | str | Sequence[Path | str]) -> list[Path]:
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    out: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            out += sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() != ".md")
        elif path.is_file():
            out.append(path)
        else:
            raise StationError(f"{path}: no such station file; check the path")
    if not out:
        raise StationError("no station files given; give StationXML or a table with coordinates")
    return out


def _read_file(path: Path, settings: StationSettings) -> tuple[list[Site], list[dict[str, Any]]]:
    start = path.read_bytes()[:4096]
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") or start[6:7] in (b"V", b"A"):
        return read_inventory(path), []
    if b"\x00" in start or start.lstrip().startswith((b"{", b"[")):
        return read_inventory(path), []
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    if any(line.startswith("B050F03") for line in lines[:50]):
        return read_inventory(path), []
    if any(line.split()[:1] == ["GTSRCE"] for line in lines):
        return read_gtsrce(path, lines), []
    return read_table(path, lines, settings)


def _stations_table(sites: list[Site]) -> pd.DataFrame:
    rows = [
        {
            "station": s.code,
            "longitude": s.longitude,
            "latitude": s.latitude,
            "elevation_m": s.elevation_m,
            "starttime": s.starttime,
            "endtime": s.endtime,
        }
        for s in sites
    ]
    table = STATIONS.table(rows)
    where = ["station", "longitude", "latitude", "elevation_m"]
    merged = [
        {**dict(zip(where, key, strict=True)), "starttime": a, "endtime": b}
        for key, part in table.groupby(where, sort=True)
        for a, b in _merged(part)
    ]
    return STATIONS.table(merged).sort_values(["station", "starttime"], ignore_index=True)


def _merged(part: pd.DataFrame) -> list[tuple[Any, Any]]:
    """Join epochs that touch or overlap."""
    spans: list[tuple[Any, Any]] = []
    order = part.sort_values("starttime", na_position="first")
    for start, end in zip(order["starttime"], order["endtime"], strict=True):
        if spans and (pd.isna(spans[-1][1]) or pd.isna(start) or start <= spans[-1][1]):
            low, high = spans[-1]
            spans[-1] = (low, pd.NaT if pd.isna(high) or pd.isna(end) else max(high, end))
        else:
            spans.append((start, end))
    return spans


def _channels_table(sites: list[Site]) -> tuple[pd.DataFrame, dict[ResponseKey, Any]]:
    rows: list[dict[str, Any]] = []
    responses: dict[ResponseKey, Any] = {}
    for site in sites:
        for row in site.channels:
            channel = site.code + row.component
            rows.append(
                {
                    "channel": channel,
                    "station": site.code,
                    "azimuth_deg": row.azimuth_deg,
                    "dip_deg": row.dip_deg,
                    "gain": row.gain,
                    "unit": row.unit,
                    "gain_frequency_hz": row.gain_frequency_hz,
                    "starttime": site.starttime,
                    "endtime": site.endtime,
                    "has_response": row.response is not None,
                }
            )
            if row.response is not None:
                responses[channel, start_key(site.starttime)] = row.response
    table = CHANNELS.table(rows).drop_duplicates(ignore_index=True)
    return table.sort_values(["channel", "starttime"], ignore_index=True), responses


def _overlaps(table: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    rows = []
    for code, part in table.groupby(column):
        part = part.sort_values("starttime", na_position="first")
        for (_, a), (_, b) in zip(part.iterrows(), part.iloc[1:].iterrows(), strict=False):
            if pd.isna(a["endtime"]) or pd.isna(b["starttime"]) or b["starttime"] < a["endtime"]:
                detail = "two epochs with different values hold at the same time"
                action = "the later-starting one used"
                rows.append(problem(str(code), "overlapping epochs", detail, action))
                break
    return rows
