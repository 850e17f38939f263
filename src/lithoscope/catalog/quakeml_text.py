"""Elements of QuakeML 1.2 as text, each made in one step from a plain row.

The order of the elements is that of the schema; numbers are written so that they read back to the
last digit. Text is escaped, and what no XML document may hold becomes ``_``.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lithoscope.catalog.plain import Solution
from lithoscope.catalog.quakeml_words import EVENT_TYPES
from lithoscope.catalog.tables import SCHEMAS
from lithoscope.constants import EARTH_RADIUS_KM

COMMENT_MARK = "lithoscope "
ID_ROOT = "smi:local/lithoscope/"
KM_PER_DEGREE = math.pi / 180.0 * EARTH_RADIUS_KM
# IASPEI's IAML is a ground displacement; the magnification that Wood-Anderson mm carry.
WOOD_ANDERSON_GAIN = 2080.0
_CODE_LENGTH = 8  # longest code that the QuakeML schema allows
_EPOCH = datetime(1970, 1, 1)  # UTC
_PLAIN_ID = re.compile(r"[A-Za-z0-9._/\-]*")
_NO_CODE = re.compile(r"[^\x20-\x7e]")
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Parts:
    """What of an event is written beside its preferred origin and magnitude."""

    origins: bool = True
    magnitudes: bool = True
    arrivals: bool = True

    @property
    def any(self) -> bool:
        return self.origins or self.magnitudes or self.arrivals


ALL = Parts()


def resource_id(kind: str, name: str) -> str:
    """Return the QuakeML id of an object; characters that ids cannot hold become ``~xx``."""
    if _PLAIN_ID.fullmatch(name) is None:
        name = "".join(
            c if _PLAIN_ID.fullmatch(c) else "".join(f"~{b:02x}" for b in c.encode()) for c in name
        )
    return f"{ID_ROOT}{kind}/{name}"


def event_text(solution: Solution, parts: Parts = ALL) -> str:
    """Return the ``event`` element of an event that has a time and a position.

    Without ``parts.origins`` only the preferred origin is written, without ``parts.arrivals`` no
    pick, without ``parts.magnitudes`` no station magnitude. Counts of arrivals are written where
    the arrivals are known.
    """
    event = solution.event
    name = resource_id("event", event.event_id)
    ids = _Ids(event.event_id, "" if solution.automatic is None else "/manual")
    out = [f'<event publicID="{name}">{_tag("preferredOriginID", ids.of("origin"))}']
    if finite(event.magnitude):
        out.append(_tag("preferredMagnitudeID", ids.of("magnitude")))
    if event.event_type in EVENT_TYPES:
        out.append(_tag("type", event.event_type))
        out.append(
            _tag("typeCertainty", "known" if solution.mode == "manual" else "suspected") + "\n"
        )
    rows = [row for row in solution.magnitudes if finite(row.magnitude)] if parts.magnitudes else []
    if parts.magnitudes and len(rows) < len(solution.magnitudes):
        # Refused ones: QuakeML demands a value for each, so they live in the comment.
        refused = [r for r in solution.magnitudes if not finite(r.magnitude)]
        content = [_row_json(row, "station_magnitudes") for row in refused]
        out.append(_comment(name, {"refused_station_magnitudes": content}))
    out += [_operators_comment(name, c, n) for n, c in enumerate(solution.comments, 1)]
    origins = [solution]
    if solution.automatic is not None and parts.origins:
        origins.insert(0, solution.automatic)
    if parts.arrivals:
        out += [_pick(p) for p in {p.pick_id: p for one in origins for p in one.picks}.values()]
    for row in rows:
        out += [_amplitude(row), _station_magnitude(row, ids.of("origin"))]
    for one in origins:
        own = ids if one is solution else _Ids(event.event_id)
        out.append(_origin(one, own, parts))
        if finite(one.event.magnitude):
            out.append(_magnitude(one, own, rows if one is solution else []))
    out.append("</event>\n")
    return "".join(out)


@dataclass(frozen=True)
class _Ids:
    """Ids of what belongs to one solution of an event."""

    event_id: str
    kind: str = ""  # what the ids of an operator's solution end in

    def of(self, what: str) -> str:
        return resource_id(what, self.event_id + self.kind)


def finite(value: float | None) -> bool:
    """Return whether a number is known."""
    return value is not None and math.isfinite(value)


def clean(text: str) -> str:
    """Return text as the content of an element."""
    return escape(text if text.isprintable() else _NO_XML.sub("_", text))


def _tag(tag: str, content: object) -> str:
    return f"<{tag}>{content}</{tag}>"


def _number(tag: str, value: float | None, factor: float = 1.0) -> str:
    """Return an element, or nothing for a number that is not known."""
    if value is None or not math.isfinite(value):
        return ""
    return f"<{tag}>{float(factor * value)!r}</{tag}>"


def _quantity(
    tag: str,
    value: float,
    uncertainty: float | None = None,
    confidence: str = "",
    *,
    factor: float = 1.0,
    more: str = "",
) -> str:
    """Return a value with its uncertainty; ``factor`` applies to the value."""
    sigma = _number("uncertainty", uncertainty)
    after = confidence if sigma else ""
    return f"<{tag}>{_number('value', value, factor)}{sigma}{after}{more}</{tag}>"


_CONFIDENCE = "<confidenceLevel>68.0</confidenceLevel>"


def iso_time(time_ns: int) -> str:
    """Return ISO 8601 with microseconds, what readers agree on (half a one to the even)."""
    whole, rest = divmod(int(time_ns), 1000)
    if rest > 500 or (rest == 500 and whole % 2):
        whole += 1
    return (_EPOCH + timedelta(microseconds=whole)).isoformat(timespec="microseconds") + "Z"


def _timed(tag: str, time_ns: int, sigma_s: float | None = None, confidence: str = "") -> str:
    sigma = _number("uncertainty", sigma_s)
    after = confidence if sigma else ""
    return f"<{tag}><value>{iso_time(time_ns)}</value>{sigma}{after}</{tag}>"


def _operators_comment(event: str, comment: Any, number: int) -> str:
    return (
        f'<comment id="{event}/comment/{number}">{_tag("text", clean(comment.text))}<creationInfo>'
        f"{_tag('author', clean(comment.user))}{_tag('creationTime', iso_time(comment.made_at))}"
        "</creationInfo></comment>\n"
    )


def _pick(pick: Any) -> str:
    name = resource_id("pick", pick.pick_id)
    polarity, method = "", ""
    if pick.polarity:
        polarity = _tag("polarity", "positive" if pick.polarity > 0 else "negative")
    if pick.model:
        method = _tag("methodID", resource_id("picker", pick.model))
    return (
        f'<pick publicID="{name}">{_timed("time", pick.time_ns, pick.time_sigma_s)}'
        f"{_waveform(pick.station)}{_tag('phaseHint', clean(pick.phase))}{polarity}{method}"
        f"{_tag('evaluationMode', 'manual' if pick.model == 'manual' else 'automatic')}"
        f"{_comment(name, _row_json(pick, 'picks'))}</pick>\n"
    )


def _origin(solution: Solution, ids: _Ids, parts: Parts) -> str:
    event, name = solution.event, ids.of("origin")
    parallel = KM_PER_DEGREE * max(math.cos(math.radians(event.latitude)), 1e-6)
    out = [
        f'<origin publicID="{name}">',
        _timed("time", event.time_ns, event.time_sigma_s, _CONFIDENCE),
        _place("longitude", event.longitude, event.east_sigma_km, parallel),
        _place("latitude", event.latitude, event.north_sigma_km, KM_PER_DEGREE),
        _depth(event),
        _ellipse(event),
        _quality(solution),
        _judgement(solution),
        _comment(name, _row_json(event, "events")),
    ]
    if parts.arrivals:
        prefix = f"{ids.event_id}{ids.kind}"
        out += [_arrival(row, f"{prefix}/{n}") for n, row in enumerate(solution.arrivals or ())]
    out.append("</origin>\n")
    return "".join(out)


def _place(tag: str, degrees: float, sigma_km: float | None, km_per_degree: float) -> str:
    sigma = None if sigma_km is None else sigma_km / km_per_degree
    return _quantity(tag, degrees, sigma, _CONFIDENCE)


def _depth(event: Any) -> str:
    if not finite(event.depth_km):
        return ""
    sigma_km, low, high = event.depth_sigma_km, event.depth_68_low_km, event.depth_68_high_km
    more = "" if low is None else _number("lowerUncertainty", 1000.0 * (event.depth_km - low))
    more += "" if high is None else _number("upperUncertainty", 1000.0 * (high - event.depth_km))
    sigma = None if sigma_km is None else 1000.0 * sigma_km
    return (
        _quantity("depth", event.depth_km, sigma, _CONFIDENCE, factor=1000.0, more=more)
        + "<depthType>from location</depthType>"
    )


def _ellipse(event: Any) -> str:
    if not finite(event.ellipse_68_major_km):
        return ""
    return (
        "<originUncertainty>"
        f"{_number('maxHorizontalUncertainty', event.ellipse_68_major_km, 1000.0)}"
        f"{_number('minHorizontalUncertainty', event.ellipse_68_minor_km, 1000.0)}"
        f"{_number('azimuthMaxHorizontalUncertainty', event.ellipse_azimuth_deg)}{_CONFIDENCE}"
        "<preferredDescription>uncertainty ellipse</preferredDescription></originUncertainty>"
    )


def _quality(solution: Solution) -> str:
    event, arrivals = solution.event, solution.arrivals
    phases = stations = ""
    if arrivals is not None:
        phases = _tag("associatedPhaseCount", len(arrivals))
        used = {a.station for a in arrivals if a.weight is not None and a.weight > 0.5}
        stations = _tag("usedStationCount", len(used))
    nearest_km = event.nearest_station_km
    nearest = None if nearest_km is None else nearest_km / KM_PER_DEGREE
    return (
        f"<quality>{phases}{_tag('usedPhaseCount', event.n_p + event.n_s)}{stations}"
        f"{_number('standardError', event.rms_s)}"
        f"{_number('azimuthalGap', event.azimuthal_gap_deg)}"
        f"{_number('minimumDistance', nearest)}</quality>"
    )


def _judgement(solution: Solution) -> str:
    return _tag("evaluationMode", solution.mode) + _tag("evaluationStatus", solution.status)


def _arrival(row: Any, name: str) -> str:
    name = resource_id("arrival", name)
    distance = None if row.distance_km is None else row.distance_km / KM_PER_DEGREE
    takeoff = _number("value", row.takeoff_deg)
    return (
        f'<arrival publicID="{name}">{_tag("pickID", resource_id("pick", row.pick_id))}'
        f"{_tag('phase', clean(row.phase))}{_number('azimuth', row.azimuth_deg)}"
        f"{_number('distance', distance)}{_tag('takeoffAngle', takeoff) if takeoff else ''}"
        f"{_number('timeResidual', row.residual_s)}{_number('timeWeight', row.weight)}"
        f"{_comment(name, _row_json(row, 'arrivals'))}</arrival>\n"
    )


def _amplitude(row: Any) -> str:
    name = resource_id("amplitude", f"{row.event_id}/{row.station}/{row.magnitude_type}")
    known = finite(row.amplitude_mm)
    metres = row.amplitude_mm / 1000.0 / WOOD_ANDERSON_GAIN if known else 0.0
    time = "" if row.amplitude_time_ns is None else _timed("scalingTime", row.amplitude_time_ns)
    return (
        f'<amplitude publicID="{name}">{_quantity("genericAmplitude", metres)}'
        f"<type>IAML</type><unit>m</unit>{time}{_number('snr', row.snr)}"
        f"{_waveform(row.channel or row.station)}"
        f"{_tag('magnitudeHint', clean(row.magnitude_type))}"
        "<evaluationMode>automatic</evaluationMode></amplitude>\n"
    )


def _station_magnitude(row: Any, origin_id: str) -> str:
    key = f"{row.event_id}/{row.station}/{row.magnitude_type}"
    name = resource_id("stationMagnitude", key)
    return (
        f'<stationMagnitude publicID="{name}">{_tag("originID", origin_id)}'
        f"{_quantity('mag', row.magnitude)}{_tag('type', clean(row.magnitude_type))}"
        f"{_tag('amplitudeID', resource_id('amplitude', key))}"
        f"{_waveform(row.channel or row.station)}"
        f"{_comment(name, _row_json(row, 'station_magnitudes'))}</stationMagnitude>\n"
    )


def _magnitude(solution: Solution, ids: _Ids, rows: list[Any]) -> str:
    event = solution.event
    kind = _tag("type", clean(event.magnitude_type[:32])) if event.magnitude_type else ""
    return (
        f'<magnitude publicID="{ids.of("magnitude")}">'
        f"{_quantity('mag', event.magnitude, event.magnitude_sigma, _CONFIDENCE)}{kind}"
        f"{_tag('stationCount', event.n_magnitudes)}{_tag('originID', ids.of('origin'))}"
        f"{_judgement(solution)}{''.join(_contribution(row, event) for row in rows)}</magnitude>\n"
    )


def _contribution(row: Any, event: Any) -> str:
    key = f"{row.event_id}/{row.station}/{row.magnitude_type}"
    return (
        "<stationMagnitudeContribution>"
        f"{_tag('stationMagnitudeID', resource_id('stationMagnitude', key))}"
        f"{_number('residual', row.magnitude - event.magnitude)}"
        f"{_tag('weight', 1.0 if row.used else 0.0)}</stationMagnitudeContribution>"
    )


def _waveform(code: str) -> str:
    """Return the stream; codes longer than QuakeML allows are cut (the comment has them whole)."""
    parts = [_NO_CODE.sub("_", part)[:_CODE_LENGTH] for part in code.split(".")]
    network, station, location = ([*parts, "", "", ""])[:3]
    attributes = f"networkCode={quoteattr(network)} stationCode={quoteattr(station)}"
    if location:
        attributes += f" locationCode={quoteattr(location)}"
    if parts[-1]:
        attributes += f" channelCode={quoteattr(parts[-1])}"
    return f"<waveformID {attributes}/>"


def _comment(owner: str, content: dict[str, Any]) -> str:
    if not content:
        return ""
    text = escape(json.dumps(content, allow_nan=False))
    return f'<comment id="{owner}/comment"><text>{COMMENT_MARK}{text}</text></comment>'


def _places(table: str) -> list[tuple[int, str, str]]:
    """Return where in a row each column lies, its name and kind, in order of name."""
    columns = enumerate(SCHEMAS[table].columns)
    return sorted(((i, c.name, c.kind) for i, c in columns), key=lambda place: place[1])


_PLACES = {n: _places(n) for n in ("events", "arrivals", "picks", "station_magnitudes")}


def _row_json(row: Any, table: str) -> dict[str, Any]:
    """Return the known columns of a row; times as ns since 1970."""
    out: dict[str, Any] = {}
    for place, name, kind in _PLACES[table]:
        value = row[place]
        if value is None or (kind == "float" and not math.isfinite(value)):
            continue
        if kind != "text" or value:
            out[name] = value
    return out
