"""Phase files for other location programs: NonLinLoc and hypoDD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.catalog.tables import Catalog, rows_of
from lithoscope.errors import DataError
from lithoscope.files import replacing

HYPODD_LABEL_LENGTH = 7  # hypoDD: "station label, up to 7 characters"
_HYPODD_MIN_WEIGHT = 1e-4  # ph2dt drops weights below its limit; keep outliers out altogether


def station_labels(stations: pd.Series) -> dict[str, str]:
    """Return a short label for each NET.STA.LOC.BI: the station code where that is unique.

    Two networks that share a code get ``NET_STA``. Bands of one site share the label, as they share
    the position. Blanks, which would break a column, become ``_``.
    """
    codes = sorted(set(stations))
    networks: dict[str, set[str]] = {}
    for code in codes:
        network, name = [*code.split("."), ""][:2]
        networks.setdefault(name, set()).add(network)
    labels = {}
    for code in codes:
        network, name = [*code.split("."), ""][:2]
        label = name if len(networks[name]) == 1 else f"{network}_{name}"
        labels[code] = "_".join(label.split()) or "_"
    return labels


def write_nlloc(catalog: Catalog, path: Path) -> list[Path]:
    """Write the arrivals as one NonLinLoc phase file, and the stations beside it.

    The phase file (NLLOC_OBS, a blank line after each event) carries the pick's 1 sigma as a
    Gaussian error in s and the probability that it is no outlier as prior weight. The stations go
    to ``PATH.stations`` as GTSRCE lines.

    Source: NonLinLoc 7 documentation, "Phase file format - NonLinLoc".
    """
    arrivals = _with_picks(catalog)
    labels = station_labels(pd.concat([arrivals["station"], catalog.stations["station"]]))
    by_event = _by_event(arrivals)
    lines = []
    for event in catalog.events["event_id"]:
        rows = by_event.get(event, [])
        if rows:
            lines.append(f"PUBLIC_ID {event}")
            lines += [_nlloc_line(row, labels[row.station]) for row in rows]
            lines.append("")
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return [path, _write_nlloc_stations(catalog, path, labels)]


def _nlloc_line(row: Any, label: str) -> str:
    time = pd.Timestamp(row.time).round("100us")
    seconds = time.second + time.microsecond * 1e-6
    motion = {1: "U", -1: "D"}.get(row.polarity, "?")
    sigma, weight = row.time_sigma_s, row.weight
    band = row.station.split(".")[-1]
    return (
        f"{label:<6s} ?    {band or '?':<4s} ? {row.phase:<6s} {motion} "
        f"{time.strftime('%Y%m%d %H%M')} {seconds:7.4f} GAU {sigma:9.2e} "
        f"{-1:9.2e} {-1:9.2e} {-1:9.2e} {weight:7.4f}"
    )


def _write_nlloc_stations(catalog: Catalog, path: Path, labels: dict[str, str]) -> Path:
    out = path.with_name(path.name + ".stations")
    lines = {
        f"GTSRCE {labels[s.station]} LATLON {s.latitude:.6f} {s.longitude:.6f} 0.0 "
        f"{s.elevation_m / 1000.0:.4f}": None
        for s in rows_of(catalog.stations)
    }
    with replacing(out) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return out


def write_hypodd(catalog: Catalog, path: Path) -> list[Path]:
    """Write a hypoDD phase file (input of ph2dt) and its station and id files beside it.

    Event line: ``# year month day hour minute second latitude longitude depth magnitude EH EV RMS
    ID``; then ``station travel_time weight phase``. The weight is proportional to 1 / sigma (the
    most precise pick of the catalogue has 1) times the probability that the pick is no outlier.
    An event without a magnitude has 0.0, as hypoDD has no sign for "none". ``PATH.sta`` holds the
    stations, ``PATH.ids`` the event id of each number.

    Source: Waldhauser (2001), hypoDD user manual, USGS OFR 01-113, section on ph2dt input.

    Raises
    ------
    DataError
        If a station label is longer than hypoDD reads.
    """
    arrivals = _with_picks(catalog)
    labels = station_labels(pd.concat([arrivals["station"], catalog.stations["station"]]))
    for code, label in labels.items():
        if len(label) > HYPODD_LABEL_LENGTH:
            raise DataError(
                f"station {code}: label '{label}' has more than the {HYPODD_LABEL_LENGTH} "
                f"characters that hypoDD reads; shorten the code"
            )
    by_event = _by_event(arrivals)
    sharpest = arrivals["time_sigma_s"].min()
    lines, ids = [], []
    for number, event in enumerate(rows_of(catalog.events), start=1):
        lines.append(_hypodd_event(event, number))
        ids.append(f"{number},{event.event_id}")
        for row in by_event.get(event.event_id, []):
            seconds = (row.time - event.time).total_seconds()
            weight = row.weight * sharpest / row.time_sigma_s
            if weight >= _HYPODD_MIN_WEIGHT:
                lines.append(f"{labels[row.station]:<7s} {seconds:8.4f} {weight:7.4f} {row.phase}")
    stations = {
        f"{labels[s.station]:<7s} {s.latitude:10.6f} {s.longitude:11.6f} {s.elevation_m:8.1f}": None
        for s in rows_of(catalog.stations)
    }
    outputs = {path: lines, path.with_name(path.name + ".sta"): list(stations)}
    outputs[path.with_name(path.name + ".ids")] = ["number,event_id", *ids]
    for out, content in outputs.items():
        with replacing(out) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    return list(outputs)


def _hypodd_event(event: Any, number: int) -> str:
    time = pd.Timestamp(event.time).round("10ms")
    seconds = time.second + time.microsecond * 1e-6
    values = [
        _or_zero(getattr(event, name))
        for name in ("depth_km", "magnitude", "ellipse_68_major_km", "depth_sigma_km", "rms_s")
    ]
    depth, magnitude, horizontal, vertical, rms = values
    return (
        f"# {time.strftime('%Y %m %d %H %M')} {seconds:5.2f} "
        f"{event.latitude:9.5f} {event.longitude:10.5f} {depth:8.3f} {magnitude:5.2f} "
        f"{horizontal:7.3f} {vertical:7.3f} {rms:7.4f} {number:9d}"
    )


def _by_event(arrivals: pd.DataFrame) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for row in rows_of(arrivals.sort_values("time", kind="stable")):
        out.setdefault(row.event_id, []).append(row)
    return out


def _or_zero(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0


def _with_picks(catalog: Catalog) -> pd.DataFrame:
    """Return the arrivals with the sigma and polarity of their picks.

    Raises
    ------
    DataError
        If an arrival's pick is not in the catalogue or has no positive sigma.
    """
    columns = ["pick_id", "time_sigma_s", "polarity"]
    merged = catalog.arrivals.merge(
        catalog.picks[columns].drop_duplicates("pick_id"), on="pick_id", how="left"
    )
    bad = ~(merged["time_sigma_s"] > 0)
    if bad.any():
        first = merged.loc[bad, "pick_id"].iloc[0]
        raise DataError(
            f"pick {first}: not in the picks table, or its time_sigma_s is not above zero; "
            f"a phase file needs the uncertainty of every arrival"
        )
    return merged
