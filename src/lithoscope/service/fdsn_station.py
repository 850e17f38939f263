"""FDSN station service 1: StationXML and text of what the run knows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from starlette.requests import Request
from starlette.responses import Response

from lithoscope.schema import CHANNELS
from lithoscope.service.fdsn import NODATA, FdsnError, Parameter, Service, check_order
from lithoscope.service.patterns import Wanted, parse_lines
from lithoscope.service.replies import reply
from lithoscope.service.selection import angle, around
from lithoscope.service.state import State
from lithoscope.service.times import iso
from lithoscope.stations import Inventory
from lithoscope.stations.stationxml import stationxml

_P = Parameter
SERVICE = Service(
    "station",
    "1.1.0",
    (
        _P("starttime", "time", "in operation at or after", "start"),
        _P("endtime", "time", "in operation at or before", "end"),
        _P("startbefore", "time", "epoch starts before"),
        _P("startafter", "time", "epoch starts after"),
        _P("endbefore", "time", "epoch ends before"),
        _P("endafter", "time", "epoch ends after"),
        _P("network", "text", "codes, commas between; * and ? stand for any", "net"),
        _P("station", "text", "codes", "sta"),
        _P("location", "text", "codes; -- is the empty one", "loc"),
        _P("channel", "text", "codes", "cha"),
        _P("minlatitude", "float", "southern limit", "minlat", -90, 90),
        _P("maxlatitude", "float", "northern limit", "maxlat", -90, 90),
        _P("minlongitude", "float", "western limit", "minlon", -180, 180),
        _P("maxlongitude", "float", "eastern limit", "maxlon", -180, 180),
        _P("latitude", "float", "centre of a radius", "lat", -90, 90),
        _P("longitude", "float", "centre of a radius", "lon", -180, 180),
        _P("minradius", "float", "degrees, at least", "", 0, 180),
        _P("maxradius", "float", "degrees, at most", "", 0, 180),
        _P(
            "level",
            "text",
            "how deep the answer goes",
            options=("network", "station", "channel", "response"),
            default="station",
        ),
        _P("includerestricted", "boolean", "taken and ignored: nothing is", default=True),
        _P(
            "includeavailability",
            "boolean",
            "from when to when there are recordings here",
            default=False,
        ),
        _P("matchtimeseries", "boolean", "only channels with recordings here", default=False),
        _P("updatedafter", "time", "taken and ignored: the time of a change is not known"),
        _P("format", "text", "format", options=("xml", "text"), default="xml"),
        NODATA,
    ),
    methods=("GET", "POST"),
    answers=("application/xml", "text/plain"),
)
_HEADS = {
    "network": "#Network|Description|StartTime|EndTime|TotalStations",
    "station": "#Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime",
    "channel": "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|"
    "SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime",
}
_ALWAYS = pd.Timestamp("1700-01-01", tz="UTC")
_STILL = pd.Timestamp("2250-01-01", tz="UTC")


async def query(state: State, request: Request) -> Response:
    """Answer ``query`` by GET or POST."""
    if request.method == "POST":
        items, wanted = parse_lines((await request.body()).decode("utf-8", "replace"))
        values = SERVICE.parse(items)
    else:
        values = SERVICE.parse(request.query_params.multi_items())
        names = ("network", "station", "location", "channel", "starttime", "endtime")
        wanted = [Wanted(*(values[name] for name in names))]
    _check(values)
    body = await state.workers.run(_answer, state, values, wanted)
    media = "application/xml" if values["format"] == "xml" else "text/plain; charset=utf-8"
    return await reply(state.workers, request, body, media)


def _check(values: dict[str, Any]) -> None:
    check_order(
        values,
        [("starttime", "endtime"), ("minlatitude", "maxlatitude"), ("minradius", "maxradius")],
    )
    centre = values["latitude"], values["longitude"]
    if None in centre and (*centre, values["minradius"], values["maxradius"]) != (None,) * 4:
        raise FdsnError(400, "a radius needs both latitude and longitude")
    if values["format"] == "text" and values["level"] == "response":
        raise FdsnError(400, "format = text has no level = response")


def _answer(state: State, values: dict[str, Any], wanted: list[Wanted]) -> bytes:
    if not state.recordings.wait(state.settings.limits.compute_s / 2):
        raise FdsnError(503, "the stations are still being read; try again in a moment")
    inventory = _selected(state, _whole(state), values, wanted)
    if inventory.stations.empty:
        raise FdsnError(values["nodata"], "no station fits the request")
    if len(inventory.channels) > state.settings.limits.channels:
        raise FdsnError(413, f"{len(inventory.channels)} channels fit; ask for fewer")
    rates = _rates(state)
    if values["format"] == "text":
        lines = _LINES[values["level"]](inventory, rates)
        return ("\n".join([_HEADS[values["level"]], *lines]) + "\n").encode()
    extents = _extents(state) if values["includeavailability"] else {}
    return stationxml(inventory, values["level"], sampling_rate_hz=rates, extents_ns=extents)


def _whole(state: State) -> Inventory:
    """Return all stations, and the channels of the station files and of the recordings."""
    known = state.recordings.inventory
    channels = CHANNELS.empty() if known is None else known.channels
    segments = state.recordings.segments()
    if segments is not None:
        pairs = segments[["channel", "station"]].drop_duplicates()
        more = pairs[~pairs["channel"].isin(set(channels["channel"]))]
        if len(more):
            channels = pd.concat([part for part in (channels, CHANNELS.check(more)) if len(part)])
    return Inventory(
        state.sites.table().reset_index(drop=True),
        CHANNELS.check(channels),
        {} if known is None else known.responses,
    )


def _rates(state: State) -> dict[str, float]:
    segments = state.recordings.segments()
    if segments is None:
        return {}
    last = segments.drop_duplicates("channel", keep="last")
    return dict(zip(last["channel"], last["sampling_rate_hz"].astype(float), strict=True))


def _extents(state: State) -> dict[str, tuple[int, int]]:
    """Return the first and the last sample of every channel."""
    segments = state.recordings.segments()
    if segments is None:
        return {}
    table = segments.groupby("channel").agg({"starttime_ns": "min", "endtime_ns": "max"})
    return {
        str(name): (int(start), int(end))
        for name, start, end in table.itertuples(index=True, name=None)
    }


def _selected(
    state: State, whole: Inventory, values: dict[str, Any], wanted: list[Wanted]
) -> Inventory:
    stations = whole.stations[_inside(whole.stations, values)]
    channels = whole.channels[whole.channels["station"].isin(set(stations["station"]))]
    segments = state.recordings.segments()
    if values["matchtimeseries"]:
        recorded = set() if segments is None else set(segments["channel"])
        channels = channels[channels["channel"].isin(recorded)]
    by_channel = any(w.channel is not None or w.location is not None for w in wanted)
    kept_stations, kept_channels = _none(stations), _none(channels)
    for selection in wanted:
        one = replace(selection, location=None, channel=None)
        parts = stations["station"].str.split(".", n=2)
        kept_stations |= one.matches(parts.str[0] + "." + parts.str[1]) & _in_time(
            stations, selection, values
        )
        kept_channels |= selection.matches(channels["channel"]) & _in_time(
            channels, selection, values
        )
    stations, channels = stations[kept_stations], channels[kept_channels]
    if by_channel or values["matchtimeseries"]:
        stations = stations[stations["station"].isin(set(channels["station"]))]
    channels = channels[channels["station"].isin(set(stations["station"]))]
    return replace(
        whole,
        stations=stations.reset_index(drop=True),
        channels=channels.reset_index(drop=True),
    )


def _none(table: pd.DataFrame) -> pd.Series:
    return pd.Series(np.zeros(len(table), bool), index=table.index)


def _inside(table: pd.DataFrame, values: dict[str, Any]) -> np.ndarray:
    longitude = table["longitude"].to_numpy(float)
    longitude = np.where(np.abs(longitude) > 180, (longitude + 180) % 360 - 180, longitude)
    latitude = table["latitude"].to_numpy(float)
    good = np.isfinite(longitude) & np.isfinite(latitude)
    good &= around(longitude, (values["minlongitude"], values["maxlongitude"]))
    if values["minlatitude"] is not None:
        good &= latitude >= values["minlatitude"]
    if values["maxlatitude"] is not None:
        good &= latitude <= values["maxlatitude"]
    if values["latitude"] is not None:
        distance = angle((values["longitude"], values["latitude"]), longitude, latitude)
        low, high = values["minradius"], values["maxradius"]
        good &= (distance >= (0.0 if low is None else low)) & (
            distance <= (180.0 if high is None else high)
        )
    return good


def _in_time(table: pd.DataFrame, selection: Wanted, values: dict[str, Any]) -> pd.Series:
    """Return which epochs overlap the window and fit the limits on their ends."""
    starts = table["starttime"].fillna(_ALWAYS).astype("int64")
    ends = table["endtime"].fillna(_STILL).astype("int64")
    good = ~_none(table)
    if selection.start_ns is not None:
        good &= ends >= selection.start_ns
    if selection.end_ns is not None:
        good &= starts <= selection.end_ns
    for name, side, below in (
        ("startbefore", starts, True),
        ("startafter", starts, False),
        ("endbefore", ends, True),
        ("endafter", ends, False),
    ):
        if values[name] is not None:
            good &= side < values[name] if below else side > values[name]
    return good


def _network_lines(inventory: Inventory, _: dict[str, float]) -> Iterator[str]:
    parts = inventory.stations["station"].str.split(".", n=2)
    for code, rows in inventory.stations.groupby(parts.str[0], sort=True):
        n_stations = parts[rows.index].str[1].nunique()
        yield "|".join([str(code), "", *_epoch(rows), str(n_stations)])


def _station_lines(inventory: Inventory, _: dict[str, float]) -> Iterator[str]:
    table = inventory.stations
    parts = table["station"].str.split(".", n=2)
    for (network, code), rows in table.groupby([parts.str[0], parts.str[1]], sort=True):
        yield "|".join(
            [str(network), str(code), *_position(rows.iloc[0]), str(code), *_epoch(rows)]
        )


def _channel_lines(inventory: Inventory, rates: dict[str, float]) -> Iterator[str]:
    table = inventory.stations.drop_duplicates("station", keep="last").set_index("station")
    for row in inventory.channels.to_dict("records"):
        network, station, location, code = str(row["channel"]).split(".")
        yield "|".join(
            [
                *(network, station, location, code),
                *_position(table.loc[row["station"]]),
                "0",
                *(_text(row[name]) for name in ("azimuth_deg", "dip_deg")),
                "",
                *(_text(row[name]) for name in ("gain", "gain_frequency_hz")),
                str(row["unit"]),
                _text(rates.get(str(row["channel"]), math.nan)),
                *_epoch(pd.DataFrame([row])),
            ]
        )


_LINES = {"network": _network_lines, "station": _station_lines, "channel": _channel_lines}


def _position(row: Any) -> list[str]:
    return [_text(row[name]) for name in ("latitude", "longitude", "elevation_m")]


def _text(value: Any) -> str:
    return f"{float(value):.10g}" if math.isfinite(value) else ""


def _epoch(rows: pd.DataFrame) -> list[str]:
    starts, ends = rows["starttime"], rows["endtime"]
    start = "" if starts.isna().any() else iso(starts.min().value)[:-1]
    return [start, "" if ends.isna().any() else iso(ends.max().value)[:-1]]
