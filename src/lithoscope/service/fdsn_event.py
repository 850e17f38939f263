"""FDSN event service 1: QuakeML, text, GeoJSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from lithoscope.catalog.quakeml_text import Parts
from lithoscope.catalog.quakeml_write import QUAKEML_HEAD, QUAKEML_TAIL
from lithoscope.service.fdsn import (
    NODATA,
    FdsnError,
    Parameter,
    Service,
    check_order,
)
from lithoscope.service.quakeml import event_name
from lithoscope.service.replies import chunked
from lithoscope.service.selection import ORDERS, Selection
from lithoscope.service.snapshot import Snapshot
from lithoscope.service.state import State

_P = Parameter
SERVICE = Service(
    "event",
    "1.2.0",
    (
        _P("starttime", "time", "origin time on or after", "start"),
        _P("endtime", "time", "origin time on or before", "end"),
        _P("minlatitude", "float", "southern limit", "minlat", -90, 90),
        _P("maxlatitude", "float", "northern limit", "maxlat", -90, 90),
        _P("minlongitude", "float", "western limit", "minlon", -180, 180),
        _P(
            "maxlongitude",
            "float",
            "eastern limit; below the western one: across the date line",
            "maxlon",
            -180,
            180,
        ),
        _P("latitude", "float", "centre of a radius", "lat", -90, 90),
        _P("longitude", "float", "centre of a radius", "lon", -180, 180),
        _P("minradius", "float", "degrees from the centre, at least", "", 0, 180),
        _P("maxradius", "float", "degrees from the centre, at most", "", 0, 180),
        _P("mindepth", "float", "km below sea level, at least"),
        _P("maxdepth", "float", "km below sea level, at most"),
        _P("minmagnitude", "float", "at least", "minmag"),
        _P("maxmagnitude", "float", "at most", "maxmag"),
        _P("magnitudetype", "text", "type of the magnitude, such as ML", "magtype"),
        _P("eventtype", "text", "QuakeML event types, separated by commas"),
        _P("includeallorigins", "boolean", "automatic and reviewed origins", default=False),
        _P("includeallmagnitudes", "boolean", "magnitudes of all stations too", default=False),
        _P("includearrivals", "boolean", "picks and arrivals too", default=False),
        _P("eventid", "text", "ids of events, separated by commas"),
        _P("limit", "integer", "most events of one answer", "", 1),
        _P("offset", "integer", "first event of the answer, counted from 1", "", 1, default=1),
        _P("orderby", "text", "order", options=ORDERS, default="time"),
        _P("catalog", "text", "name of the catalogue"),
        _P("contributor", "text", "name of the contributor"),
        _P("updatedafter", "time", "changed after"),
        _P(
            "format",
            "text",
            "xml is QuakeML 1.2; json is GeoJSON too",
            options=("xml", "text", "json", "geojson"),
            default="xml",
        ),
        NODATA,
    ),
    resources=("catalogs", "contributors"),
    answers=("application/xml", "text/plain", "application/geo+json"),
)

#: Events of a request so small that its reading is shared with others.
_FEW = 3


def selection_of(values: dict[str, Any]) -> Selection:
    """Return what checked parameters ask for.

    Raises
    ------
    FdsnError
        400 for limits the wrong way round, or half a centre.
    """
    check_order(
        values,
        [
            ("starttime", "endtime"),
            ("minlatitude", "maxlatitude"),
            ("minradius", "maxradius"),
            ("mindepth", "maxdepth"),
            ("minmagnitude", "maxmagnitude"),
        ],
    )
    centre = None
    if values["latitude"] is not None and values["longitude"] is not None:
        centre = (values["longitude"], values["latitude"])
    elif any(values[n] is not None for n in ("latitude", "longitude", "minradius", "maxradius")):
        raise FdsnError(400, "a radius needs both latitude and longitude")
    low, high = values["minradius"], values["maxradius"]
    return Selection(
        start_ns=values["starttime"],
        end_ns=values["endtime"],
        latitude=(values["minlatitude"], values["maxlatitude"]),
        longitude=(values["minlongitude"], values["maxlongitude"]),
        depth_km=(values["mindepth"], values["maxdepth"]),
        magnitude=(values["minmagnitude"], values["maxmagnitude"]),
        centre=centre,
        radius_deg=(0.0 if low is None else low, 180.0 if high is None else high),
        magnitude_type=values["magnitudetype"],
        event_types=_listed(values["eventtype"]),
        event_ids=tuple(event_name(name) for name in _listed(values["eventid"])),
        updated_after_ns=values["updatedafter"],
        order=values["orderby"],
    )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


async def query(state: State, request: Request) -> Response:
    """Answer ``query``."""
    values = SERVICE.parse(request.query_params.multi_items())
    events = state.feed.snapshot
    rows = _rows(state, events, values)
    if not len(rows):
        raise FdsnError(values["nodata"], "no event fits the request")
    make = {"text": _text, "xml": _quakeml}.get(values["format"], _geojson)
    return await make(state, request, events, rows, values)


def _rows(state: State, events: Snapshot, values: dict[str, Any]) -> NDArray[np.intp]:
    selection = selection_of(values)
    for name in ("catalog", "contributor"):
        own = getattr(state.settings, name)
        if values[name] is not None and values[name].lower() != own.lower():
            return np.zeros(0, np.intp)
    rows = selection.rows(events)
    first = values["offset"] - 1
    rows = rows[first : None if values["limit"] is None else first + values["limit"]]
    limits = state.settings.limits
    most = limits.rows if values["format"] == "text" else limits.events
    if values["format"] == "xml" and (
        values["includearrivals"] or values["includeallorigins"] or values["includeallmagnitudes"]
    ):
        most = limits.arrival_events
    if len(rows) > most:
        raise FdsnError(
            413,
            f"{len(rows)} events fit and one answer holds {most}; ask for less, or in parts by "
            "limit and offset",
        )
    return rows


async def _text(
    state: State, request: Request, events: Snapshot, rows: NDArray[np.intp], _: dict[str, Any]
) -> Response:
    head = (
        "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|"
        "MagType|Magnitude|MagAuthor|EventLocationName|EventType\n"
    )

    def make(part: NDArray[np.intp]) -> str:
        return events.lines(part, state.settings.catalog, state.settings.contributor)

    media = "text/plain; charset=utf-8"
    return await chunked(
        state.workers, request, head, rows, make, "", media=media, size=5000, at_once=400
    )


async def _geojson(
    state: State, request: Request, events: Snapshot, rows: NDArray[np.intp], _: dict[str, Any]
) -> Response:
    first = int(rows[0])

    def make(part: NDArray[np.intp]) -> str:
        text = state.features.of(events, part)
        return text if int(part[0]) == first else "," + text

    head, media = '{"type":"FeatureCollection","features":[', "application/geo+json"
    return await chunked(
        state.workers, request, head, rows, make, "]}", media=media, size=500, at_once=20
    )


async def _quakeml(
    state: State,
    request: Request,
    events: Snapshot,
    rows: NDArray[np.intp],
    values: dict[str, Any],
) -> Response:
    parts = Parts(
        origins=values["includeallorigins"],
        magnitudes=values["includeallmagnitudes"],
        arrivals=values["includearrivals"],
    )

    made: list[Any] = []
    if parts.any and len(rows) <= _FEW:
        # What many clients ask for one by one is read together.
        keys = state.texts.missing(events, rows, parts)
        made = [(key, await request.app.state.quakeml.get(key)) for key in keys]
        state.texts.keep(events, {key: text for key, text in made if text is not None})

    def make(part: NDArray[np.intp]) -> str:
        return state.texts.of(events, part, parts)

    return await chunked(
        state.workers,
        request,
        QUAKEML_HEAD,
        rows,
        make,
        QUAKEML_TAIL,
        media="application/xml",
        size=50,
        at_once=_FEW if made else 0,
    )
