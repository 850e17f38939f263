"""QuakeML and SCML to tables, by ObsPy's readers."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import obspy
import pandas as pd
from obspy.core.event import Event, Origin, Pick

from lithoscope.catalog.quakeml_text import COMMENT_MARK, KM_PER_DEGREE, resource_id
from lithoscope.catalog.tables import SCHEMAS, Catalog
from lithoscope.errors import DataError
from lithoscope.files import storage_error

_SAME_TIME_NS = 1000  # ours is written to the microsecond
_MISSING = math.nan


def read_event_xml(path: Path) -> Catalog:
    """Read QuakeML or SCML into a catalogue.

    Each event gives its preferred (else first) origin and magnitude, the picks that this origin
    uses and their arrivals. Phases count as P or S by their first letter; of several of one kind
    at a station the first is kept. In SCML without any event, each origin counts as one. What
    cannot be used (an event without origin, other phases) is
    in ``problems``. A pick without an uncertainty has sigma NaN. Files that `export` wrote give
    equal tables back.

    Raises
    ------
    StorageError
        If the file cannot be read.
    DataError
        If it is not QuakeML or SCML that ObsPy reads.
    """
    try:
        source = _with_events(path)
        events = obspy.read_events(source if source is not None else str(path))
    except OSError as error:
        raise storage_error("read", path, error) from None
    except (TypeError, ValueError, SyntaxError, AttributeError, KeyError, NotImplementedError) as e:
        reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise DataError(f"{path}: is not QuakeML or SCML that can be read ({reason})") from None
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    for event in events:
        _read_event(event, rows)
    tables: dict[str, Any] = {name: SCHEMAS[name].table(rows[name]) for name in SCHEMAS}
    tables["picks"] = tables["picks"].drop_duplicates("pick_id", ignore_index=True)
    return Catalog(**tables)


def _with_events(path: Path) -> io.BytesIO | None:
    """Return SCML that has origins but no event with an event for each; None for other files."""
    root = ET.parse(path).getroot()
    space, _, name = root.tag.rpartition("}")
    parameters = root.find(f"{space}}}EventParameters") if name == "seiscomp" else None
    if parameters is None or parameters.find(f"{space}}}event") is not None:
        return None
    for origin in parameters.findall(f"{space}}}origin"):
        identifier = origin.attrib["publicID"]
        event = ET.SubElement(parameters, f"{space}}}event", {"publicID": identifier + "/event"})
        for tag in ("originReference", "preferredOriginID"):
            ET.SubElement(event, f"{space}}}{tag}").text = identifier
    ET.register_namespace("", space[1:])
    return io.BytesIO(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _read_event(event: Event, rows: dict[str, list[dict[str, Any]]]) -> None:
    name = _event_name(event)
    origin = event.preferred_origin() or (event.origins[0] if event.origins else None)
    if origin is None or origin.time is None or origin.latitude is None:
        rows["problems"].append(_problem(name, "no origin", "no time or position", "skipped"))
        return
    own = _own(origin, "events")
    row = _event_row(event, origin)
    if own is not None and _unchanged(own, row):
        row = own
    name = row["event_id"] = own["event_id"] if own is not None else name
    arrivals = _read_arrivals(event, origin, name, rows)
    if own is None:
        row["n_p"] = sum(a["phase"] == "P" and a["weight"] > 0.5 for a in arrivals)
        row["n_s"] = sum(a["phase"] == "S" and a["weight"] > 0.5 for a in arrivals)
    rows["events"].append(row)
    rows["arrivals"] += arrivals
    for magnitude in event.station_magnitudes:
        rows["station_magnitudes"].append(
            _own(magnitude, "station_magnitudes") or _station_magnitude(magnitude, name)
        )
    refused = (_comment(event) or {}).get("refused_station_magnitudes", [])
    rows["station_magnitudes"] += [_whole(r, "station_magnitudes") for r in refused]


def _event_name(event: Event) -> str:
    text = str(event.resource_id)
    prefix = resource_id("event", "")
    return text[len(prefix) :] if text.startswith(prefix) else text


def _comment(thing: Any) -> dict[str, Any] | None:
    """Return what our writer left in a comment."""
    for comment in thing.comments:
        ours = str(comment.resource_id).endswith("/comment")  # operators' comments are numbered
        if ours and comment.text and comment.text.startswith(COMMENT_MARK):
            try:
                content = json.loads(comment.text[len(COMMENT_MARK) :])
            except ValueError:
                return None
            return content if isinstance(content, dict) else None
    return None


def _own(thing: Any, table: str) -> dict[str, Any] | None:
    """Return the table row that our writer left in a comment."""
    content = _comment(thing)
    return None if content is None else _whole(content, table)


def _whole(content: dict[str, Any], table: str) -> dict[str, Any]:
    """Return a row with every column: what the comment leaves out is NaN, NaT, "" or 0."""
    absent = {"text": "", "float": _MISSING, "integer": 0, "boolean": False, "time": pd.NaT}
    row = {}
    for column in SCHEMAS[table].columns:
        value = content.get(column.name, absent[column.kind])
        if column.kind == "time" and isinstance(value, int):
            value = pd.Timestamp(value, tz="UTC")
        row[column.name] = value
    return row


def _unchanged(own: dict[str, Any], row: dict[str, Any]) -> bool:
    """Return whether the elements still say what the comment says (nobody edited them)."""
    if abs(own["time"].value - row["time"].value) > _SAME_TIME_NS:
        return False
    for name in ("longitude", "latitude", "depth_km", "magnitude"):
        a, b = own.get(name, _MISSING), row.get(name, _MISSING)
        if not (math.isnan(a) and math.isnan(b)) and not abs(a - b) <= 1e-9 * max(1.0, abs(a)):
            return False
    return True


def _event_row(event: Event, origin: Origin) -> dict[str, Any]:
    magnitude = event.preferred_magnitude() or (event.magnitudes[-1] if event.magnitudes else None)
    parallel = KM_PER_DEGREE * math.cos(math.radians(origin.latitude))
    ellipse = origin.origin_uncertainty
    quality = origin.quality
    sixty_eight = ellipse is not None and (ellipse.confidence_level or 68.0) < 70.0
    row = {
        "event_id": _event_name(event),
        "time": _time(origin.time),
        "longitude": origin.longitude,
        "latitude": origin.latitude,
        "depth_km": _number(origin.depth) / 1000.0,
        "time_sigma_s": _sigma(origin.time_errors),
        "east_sigma_km": _sigma(origin.longitude_errors) * parallel,
        "north_sigma_km": _sigma(origin.latitude_errors) * KM_PER_DEGREE,
        "depth_sigma_km": _sigma(origin.depth_errors) / 1000.0,
        "n_p": 0,
        "n_s": 0,
        "event_type": event.event_type or "",
    }
    if sixty_eight:
        row["ellipse_68_major_km"] = _number(ellipse.max_horizontal_uncertainty) / 1000.0
        row["ellipse_68_minor_km"] = _number(ellipse.min_horizontal_uncertainty) / 1000.0
        row["ellipse_azimuth_deg"] = _number(ellipse.azimuth_max_horizontal_uncertainty)
    if quality is not None:
        row["rms_s"] = _number(quality.standard_error)
        row["azimuthal_gap_deg"] = _number(quality.azimuthal_gap)
        row["nearest_station_km"] = _number(quality.minimum_distance) * KM_PER_DEGREE
    if magnitude is not None:
        row["magnitude"] = _number(magnitude.mag)
        row["magnitude_type"] = magnitude.magnitude_type or ""
        row["magnitude_sigma"] = _sigma(magnitude.mag_errors)
        row["n_magnitudes"] = magnitude.station_count or 0
    return row


def _read_arrivals(
    event: Event, origin: Origin, name: str, rows: dict[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    picks = {str(pick.resource_id): pick for pick in event.picks}
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for arrival in origin.arrivals:
        pick = picks.get(str(arrival.pick_id))
        if pick is None:
            rows["problems"].append(_problem(name, "no pick", str(arrival.pick_id), "skipped"))
            continue
        kind = (arrival.phase or pick.phase_hint or "?")[0].upper()
        if kind not in "PS":
            what = arrival.phase or pick.phase_hint or "none"
            rows["problems"].append(_problem(name, "other phase", f"phase {what}", "skipped"))
            continue
        found.append(_pick_and_arrival(pick, arrival, kind, name))
    # The first of each kind at a station; the sort is stable, so ties keep the file's order.
    first: dict[tuple[str, str], int] = {}
    for i in sorted(range(len(found)), key=lambda i: found[i][0]["time"].value):
        key = (found[i][0]["station"], found[i][0]["phase"])
        if first.setdefault(key, i) != i and not found[i][0].get("_own"):
            what = f"later {key[1]} at {key[0]}"
            rows["problems"].append(_problem(name, "second phase", what, "skipped"))
    kept = [f for i, f in enumerate(found) if f[0].get("_own") or i in first.values()]
    rows["picks"] += [pick for pick, _ in kept]
    return [arrival for _, arrival in kept]


def _pick_and_arrival(
    pick: Pick, arrival: Any, kind: str, name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    row = _pick_row(pick, kind)
    own = _own(pick, "picks")
    if own is not None and abs(own["time"].value - row["time"].value) <= _SAME_TIME_NS:
        row = own | {"_own": True}
    weight = 1.0 if arrival.time_weight is None else float(arrival.time_weight)
    plain = {
        "event_id": name,
        "pick_id": row["pick_id"],
        "station": row["station"],
        "phase": kind,
        "time": row["time"],
        "distance_km": _number(arrival.distance) * KM_PER_DEGREE,
        "azimuth_deg": _number(arrival.azimuth),
        "takeoff_deg": _number(arrival.takeoff_angle),
        "residual_s": _number(arrival.time_residual),
        "weight": float(np.clip(weight, 0.0, 1.0)),
    }
    own = _own(arrival, "arrivals")
    if own is not None and own.get("time") == row["time"]:
        return row, own
    return row, plain


def _pick_row(pick: Pick, kind: str) -> dict[str, Any]:
    stream = pick.waveform_id
    band = (stream.channel_code or "")[:2]
    station = ".".join(
        [stream.network_code or "", stream.station_code or "", stream.location_code or "", band]
    )
    polarity = {"positive": 1, "negative": -1}.get(pick.polarity or "", 0)
    return {
        "pick_id": str(pick.resource_id),
        "station": station,
        "phase": kind,
        "time": _time(pick.time),
        "time_sigma_s": _sigma(pick.time_errors),
        "polarity": polarity,
        "model": pick.evaluation_mode or "",
    }


def _station_magnitude(magnitude: Any, name: str) -> dict[str, Any]:
    stream = magnitude.waveform_id
    channel = "" if stream is None else stream.get_seed_string().replace("None", "")
    return {
        "event_id": name,
        "station": channel[:-1] if channel.count(".") == 3 else channel,
        "channel": channel,
        "magnitude_type": magnitude.station_magnitude_type or "",
        "magnitude": _number(magnitude.mag),
        "used": False,
        "reason": "not ours: read from a file",
    }


def _problem(what: str, problem: str, detail: str, action: str) -> dict[str, str]:
    return {"what": what, "problem": problem, "detail": detail, "action": action}


def _time(time: obspy.UTCDateTime) -> pd.Timestamp:
    return pd.Timestamp(time.ns, tz="UTC")


def _number(content: float | None) -> float:
    return _MISSING if content is None else float(content)


def _sigma(errors: Any) -> float:
    """Return the uncertainty, else the mean of the lower and upper one, else NaN."""
    if errors is None:
        return _MISSING
    if errors.uncertainty is not None:
        return float(errors.uncertainty)
    sides = [e for e in (errors.lower_uncertainty, errors.upper_uncertainty) if e is not None]
    return float(np.mean(sides)) if sides else _MISSING
