"""QuakeML 1.2 (basic event description) without loss.

What QuakeML has an element for is in that element. Columns it has no place for (the covariance,
95 % regions, probabilities, reasons, nanoseconds) go into one comment per object, the word
``lithoscope`` and JSON, which `read_catalog` reads back.

The document is written event by event with the standard library, so a large catalogue needs little
memory and the same catalogue gives the same bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd

from lithoscope.catalog.quakeml_words import EVENT_TYPES
from lithoscope.catalog.tables import SCHEMAS, Catalog, rows_of
from lithoscope.constants import EARTH_RADIUS_KM
from lithoscope.errors import DataError
from lithoscope.files import replacing

COMMENT_MARK = "lithoscope "
ID_ROOT = "smi:local/lithoscope/"
KM_PER_DEGREE = math.pi / 180.0 * EARTH_RADIUS_KM
# IASPEI's IAML is a ground displacement; the magnification that Wood-Anderson mm carry.
WOOD_ANDERSON_GAIN = 2080.0
_CODE_LENGTH = 8  # longest code that the QuakeML schema allows

QUAKEML_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" '
    'xmlns="http://quakeml.org/xmlns/bed/1.2">\n'
    f'<eventParameters publicID="{ID_ROOT}catalogue">\n'
)
QUAKEML_TAIL = "</eventParameters>\n</q:quakeml>\n"


def write_quakeml(catalog: Catalog, path: Path) -> list[Path]:
    """Write the events with their picks, arrivals, magnitudes and uncertainties.

    Picks of no event, detections, stations and problems have no place in QuakeML and are left
    out. Origins and magnitudes say how they are judged (``catalog.evaluation``; without it,
    automatic and preliminary); an event that an operator has moved has two origins, the automatic
    one and the preferred one. Picks are automatic unless their model is ``manual``.

    Raises
    ------
    DataError
        If an event has no time or position, or an id occurs twice.
    StorageError
        If the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(QUAKEML_HEAD)
        for element in quakeml_events(catalog):
            ET.indent(element, " ")
            file.write(ET.tostring(element, encoding="unicode") + "\n")
        file.write(QUAKEML_TAIL)
    return [path]


def resource_id(kind: str, name: str) -> str:
    """Return the QuakeML id of an object; characters that ids cannot hold become ``~xx``."""
    coded = "".join(
        c if re.fullmatch(r"[A-Za-z0-9._/\-]", c) else "".join(f"~{b:02x}" for b in c.encode())
        for c in name
    )
    return f"{ID_ROOT}{kind}/{coded}"


def _check(catalog: Catalog) -> None:
    events = catalog.events
    if events["event_id"].duplicated().any():
        twice = events.loc[events["event_id"].duplicated(), "event_id"].iloc[0]
        raise DataError(f"event id '{twice}' occurs twice; QuakeML needs unique ids")
    position = np.isfinite(events[["longitude", "latitude"]].to_numpy(float)).all(axis=1)
    bad = events["time"].isna() | ~position
    if bad.any():
        first = events.loc[bad, "event_id"].iloc[0]
        raise DataError(f"event '{first}' has no time or position; QuakeML needs both")


def quakeml_events(catalog: Catalog) -> Iterator[ET.Element]:
    """Yield the ``event`` element of each event; `QUAKEML_HEAD` and `QUAKEML_TAIL` go around them.

    Raises
    ------
    DataError
        As `write_quakeml`, before the first element.
    """
    _check(catalog)
    return _events(catalog)


def quakeml_event(event: Any) -> ET.Element:
    """Return the ``event`` element of one automatic, unjudged solution without its arrivals.

    ``event`` has the columns of EVENTS as attributes and a time and a position; a service that
    answers many small requests is spared the tables of `quakeml_events`.
    """
    return _event(_Solution(event, [], [], []), None, [])


@dataclass(frozen=True)
class _Solution:
    """An origin of an event, what it rests on, and how it is judged."""

    event: Any
    arrivals: list[Any]
    picks: list[Any]
    magnitudes: list[Any]
    mode: str = "automatic"
    status: str = "preliminary"
    kind: str = ""  # what the ids of an operator's solution end in

    def name(self, what: str) -> str:
        return resource_id(what, self.event.event_id + self.kind)


def _events(catalog: Catalog) -> Iterator[ET.Element]:
    shown, automatic = _solutions(catalog), {}
    judged: dict[str, tuple[str, str]] = {}
    comments: dict[str, list[Any]] = {}
    if catalog.evaluation is not None:
        automatic = {s.event.event_id: s for s in _solutions(catalog.evaluation.automatic)}
        for row in rows_of(catalog.evaluation.judged):
            judged[row.event_id] = (row.evaluation_mode, row.evaluation_status)
        for row in rows_of(catalog.evaluation.comments):
            comments.setdefault(row.event_id, []).append(row)
    for solution in shown:
        name = solution.event.event_id
        mode, status = judged.get(name, ("automatic", "preliminary"))
        other = automatic.get(name)
        if other is not None and _same_origin(solution, other):
            other = None
        kind = "/manual" if other is not None else ""
        preferred = replace(solution, mode=mode, status=status, kind=kind)
        yield _event(preferred, other, comments.get(name, []))


def _solutions(catalog: Catalog) -> Iterator[_Solution]:
    picks = catalog.picks.drop_duplicates("pick_id").set_index("pick_id", drop=False)
    arrivals = dict(list(catalog.arrivals.groupby("event_id")))
    magnitudes = dict(list(catalog.station_magnitudes.groupby("event_id")))
    for event in rows_of(catalog.events):
        mine = arrivals.get(event.event_id, catalog.arrivals.iloc[:0])
        yield _Solution(
            event,
            rows_of(mine),
            rows_of(picks.loc[[name for name in mine["pick_id"] if name in picks.index]]),
            rows_of(magnitudes.get(event.event_id, catalog.station_magnitudes.iloc[:0])),
        )


def _same_origin(one: _Solution, other: _Solution) -> bool:
    """Return whether two solutions differ in judgement or type at most."""
    names = ("time", "longitude", "latitude", "depth_km")
    same = all(getattr(one.event, n) == getattr(other.event, n) for n in names)
    return same and {a.pick_id for a in one.arrivals} == {a.pick_id for a in other.arrivals}


def _event(solution: _Solution, automatic: _Solution | None, comments: list[Any]) -> ET.Element:
    event = solution.event
    root = ET.Element("event", {"publicID": resource_id("event", event.event_id)})
    _text(root, "preferredOriginID", solution.name("origin"))
    if math.isfinite(event.magnitude):
        _text(root, "preferredMagnitudeID", solution.name("magnitude"))
    if event.event_type in EVENT_TYPES:
        _text(root, "type", event.event_type)
        _text(root, "typeCertainty", "known" if solution.mode == "manual" else "suspected")
    # Refused station magnitudes: QuakeML demands a value for each, so they live in the comment.
    written = [m for m in solution.magnitudes if math.isfinite(m.magnitude)]
    refused = [_row_json(m, "station_magnitudes") for m in solution.magnitudes if m not in written]
    _comment(root, {"refused_station_magnitudes": refused} if refused else {})
    for number, comment in enumerate(comments):
        _operators_comment(root, comment, number)
    both = [solution] if automatic is None else [automatic, solution]
    for pick in {pick.pick_id: pick for one in both for pick in one.picks}.values():
        root.append(_pick(pick))
    for row in written:
        root.append(_amplitude(row))
        root.append(_station_magnitude(row, solution.name("origin")))
    for one in both:
        root.append(_origin(one))
        if math.isfinite(one.event.magnitude):
            root.append(_magnitude(one, written if one is solution else []))
    return root


def _operators_comment(root: ET.Element, comment: Any, number: int) -> None:
    name = f"{root.attrib['publicID']}/comment/{number + 1}"
    element = ET.SubElement(root, "comment", {"id": name})
    _text(element, "text", comment.text)
    made = ET.SubElement(element, "creationInfo")
    _text(made, "author", comment.user)
    _text(made, "creationTime", _time(comment.made_at))


def _pick(pick: Any) -> ET.Element:
    element = ET.Element("pick", {"publicID": resource_id("pick", pick.pick_id)})
    _quantity(element, "time", _time(pick.time), pick.time_sigma_s)
    _waveform(element, pick.station, pick.station.split(".")[-1])
    _text(element, "phaseHint", pick.phase)
    if pick.polarity:
        _text(element, "polarity", "positive" if pick.polarity > 0 else "negative")
    if pick.model:
        _text(element, "methodID", resource_id("picker", pick.model))
    _text(element, "evaluationMode", "manual" if pick.model == "manual" else "automatic")
    _comment(element, _row_json(pick, "picks"))
    return element


def _origin(solution: _Solution) -> ET.Element:
    event, arrivals = solution.event, solution.arrivals
    element = ET.Element("origin", {"publicID": solution.name("origin")})
    parallel = KM_PER_DEGREE * max(math.cos(math.radians(event.latitude)), 1e-6)
    _quantity(element, "time", _time(event.time), event.time_sigma_s, confidence=68.0)
    _quantity(element, "longitude", event.longitude, event.east_sigma_km / parallel, 68.0)
    _quantity(element, "latitude", event.latitude, event.north_sigma_km / KM_PER_DEGREE, 68.0)
    if math.isfinite(event.depth_km):
        depth = _quantity(
            element, "depth", 1000.0 * event.depth_km, 1000.0 * event.depth_sigma_km, 68.0
        )
        _text(depth, "lowerUncertainty", 1000.0 * (event.depth_km - event.depth_68_low_km))
        _text(depth, "upperUncertainty", 1000.0 * (event.depth_68_high_km - event.depth_km))
        _text(element, "depthType", "from location")
    if math.isfinite(event.ellipse_68_major_km):
        ellipse = ET.SubElement(element, "originUncertainty")
        _text(ellipse, "maxHorizontalUncertainty", 1000.0 * event.ellipse_68_major_km)
        _text(ellipse, "minHorizontalUncertainty", 1000.0 * event.ellipse_68_minor_km)
        _text(ellipse, "azimuthMaxHorizontalUncertainty", event.ellipse_azimuth_deg)
        _text(ellipse, "confidenceLevel", 68.0)
        _text(ellipse, "preferredDescription", "uncertainty ellipse")
    quality = ET.SubElement(element, "quality")
    _text(quality, "associatedPhaseCount", len(arrivals))
    _text(quality, "usedPhaseCount", event.n_p + event.n_s)
    _text(quality, "usedStationCount", len({a.station for a in arrivals if a.weight > 0.5}))
    _text(quality, "standardError", event.rms_s)
    _text(quality, "azimuthalGap", event.azimuthal_gap_deg)
    _text(quality, "minimumDistance", event.nearest_station_km / KM_PER_DEGREE)
    _judgement(element, solution)
    _comment(element, _row_json(event, "events"))
    for number, arrival in enumerate(arrivals):
        element.append(_arrival(arrival, f"{event.event_id}{solution.kind}/{number}"))
    return element


def _judgement(element: ET.Element, solution: _Solution) -> None:
    _text(element, "evaluationMode", solution.mode)
    _text(element, "evaluationStatus", solution.status)


def _arrival(row: Any, name: str) -> ET.Element:
    element = ET.Element("arrival", {"publicID": resource_id("arrival", name)})
    _text(element, "pickID", resource_id("pick", row.pick_id))
    _text(element, "phase", row.phase)
    _text(element, "azimuth", row.azimuth_deg)
    _text(element, "distance", row.distance_km / KM_PER_DEGREE)
    _text(element, "takeoffAngle", row.takeoff_deg, value=True)
    _text(element, "timeResidual", row.residual_s)
    _text(element, "timeWeight", row.weight)
    _comment(element, _row_json(row, "arrivals"))
    return element


def _amplitude(row: Any) -> ET.Element:
    name = resource_id("amplitude", f"{row.event_id}/{row.station}/{row.magnitude_type}")
    element = ET.Element("amplitude", {"publicID": name})
    metres = row.amplitude_mm / 1000.0 / WOOD_ANDERSON_GAIN
    _quantity(element, "genericAmplitude", metres if math.isfinite(metres) else 0.0)
    _text(element, "type", "IAML")
    _text(element, "unit", "m")
    if row.amplitude_time is not pd.NaT:
        _quantity(element, "scalingTime", _time(row.amplitude_time))
    _text(element, "snr", row.snr)
    _waveform(element, row.channel or row.station, (row.channel or row.station).split(".")[-1])
    _text(element, "magnitudeHint", row.magnitude_type)
    _text(element, "evaluationMode", "automatic")
    return element


def _station_magnitude(row: Any, origin_id: str) -> ET.Element:
    key = f"{row.event_id}/{row.station}/{row.magnitude_type}"
    element = ET.Element("stationMagnitude", {"publicID": resource_id("stationMagnitude", key)})
    _text(element, "originID", origin_id)
    _quantity(element, "mag", row.magnitude)
    _text(element, "type", row.magnitude_type)
    _text(element, "amplitudeID", resource_id("amplitude", key))
    _waveform(element, row.channel or row.station, (row.channel or row.station).split(".")[-1])
    _comment(element, _row_json(row, "station_magnitudes"))
    return element


def _magnitude(solution: _Solution, rows: list[Any]) -> ET.Element:
    event = solution.event
    element = ET.Element("magnitude", {"publicID": solution.name("magnitude")})
    _quantity(element, "mag", event.magnitude, event.magnitude_sigma, 68.0)
    if event.magnitude_type:
        _text(element, "type", event.magnitude_type[:32])
    _text(element, "stationCount", event.n_magnitudes)
    _text(element, "originID", solution.name("origin"))
    _judgement(element, solution)
    for row in rows:
        key = f"{row.event_id}/{row.station}/{row.magnitude_type}"
        part = ET.SubElement(element, "stationMagnitudeContribution")
        _text(part, "stationMagnitudeID", resource_id("stationMagnitude", key))
        _text(part, "residual", row.magnitude - event.magnitude)
        _text(part, "weight", 1.0 if row.used else 0.0)
    return element


def _text(parent: ET.Element, tag: str, content: Any, *, value: bool = False) -> None:
    """Add an element; numbers that are not finite are left out."""
    if isinstance(content, float) and not math.isfinite(content):
        return
    if value:
        parent = ET.SubElement(parent, tag)
        tag = "value"
    ET.SubElement(parent, tag).text = repr(float(content)) if _is_float(content) else str(content)


def _is_float(content: Any) -> bool:
    return isinstance(content, float | np.floating)


def _quantity(
    parent: ET.Element,
    tag: str,
    content: Any,
    uncertainty: float = math.nan,
    confidence: float | None = None,
) -> ET.Element:
    element = ET.SubElement(parent, tag)
    _text(element, "value", content)
    _text(element, "uncertainty", uncertainty)
    if confidence is not None and math.isfinite(uncertainty):
        _text(element, "confidenceLevel", confidence)
    return element


def _waveform(parent: ET.Element, station: str, channel: str) -> None:
    """Add the stream; codes longer than QuakeML allows are cut (the comment has them whole)."""
    parts = ([*station.split("."), "", "", ""])[:3]
    network, code, location = (re.sub(r"[^\x20-\x7e]", "_", p)[:_CODE_LENGTH] for p in parts)
    attributes = {"networkCode": network, "stationCode": code}
    if location:
        attributes["locationCode"] = location
    if channel:
        attributes["channelCode"] = re.sub(r"[^\x20-\x7e]", "_", channel)[:_CODE_LENGTH]
    ET.SubElement(parent, "waveformID", attributes)


def _time(time: pd.Timestamp) -> str:
    """Return ISO 8601 with microseconds, what readers agree on."""
    rounded = pd.Timestamp(time).round("us")
    return f"{rounded.strftime('%Y-%m-%dT%H:%M:%S')}.{rounded.microsecond:06d}Z"


def _comment(parent: ET.Element, content: dict[str, Any]) -> None:
    if content:
        element = ET.SubElement(parent, "comment", {"id": f"{parent.attrib['publicID']}/comment"})
        _text(element, "text", COMMENT_MARK + json.dumps(content, allow_nan=False, sort_keys=True))


def _row_json(row: Any, table: str) -> dict[str, Any]:
    """Return the known columns of a row; times as ns since 1970."""
    out: dict[str, Any] = {}
    for column in SCHEMAS[table].columns:
        content = getattr(row, column.name)
        if column.kind == "time":
            if content is not pd.NaT:
                out[column.name] = content.value
        elif column.kind == "float":
            if math.isfinite(content):
                out[column.name] = float(content)
        elif column.kind == "integer":
            out[column.name] = int(content)
        elif column.kind == "boolean":
            out[column.name] = bool(content)
        elif content:
            out[column.name] = content
    return out
