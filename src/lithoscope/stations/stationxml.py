"""Station metadata as FDSN StationXML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, Literal

import pandas as pd
from obspy import UTCDateTime
from obspy.core import inventory as fdsn
from obspy.core.inventory.util import DataAvailability

from lithoscope.errors import StationError
from lithoscope.stations.inventory import Inventory, start_key

Level = Literal["network", "station", "channel", "response"]


def stationxml(
    inventory: Inventory,
    level: Level,
    *,
    sampling_rate_hz: Mapping[str, float] | None = None,
    extents_ns: Mapping[str, tuple[int, int]] | None = None,
    sender: str = "lithoscope",
) -> bytes:
    """Return StationXML 1.1 of the stations and channels of an inventory.

    Parameters
    ----------
    inventory
        What to write; its tables may be cut to a selection. A channel's position is that of its
        station code at the start of its epoch.
    level
        How deep to go. ``channel`` has the overall sensitivity, ``response`` the stages too,
        where they are known.
    sampling_rate_hz
        By channel, where known.
    extents_ns
        First and last sample by channel, ns since 1970: written as the availability of data of
        these channels and their stations.
    sender
        What the document says it comes from.

    Raises
    ------
    StationError
        If ObsPy cannot write it.
    """
    networks: list[Any] = []
    table = inventory.stations
    split = table["station"].str.split(".", expand=True)
    rates, extents = sampling_rate_hz or {}, extents_ns or {}
    for network_code, part in table.groupby(split[0], sort=True):
        stations = []
        if level != "network":
            for station_code, rows in part.groupby(split.loc[part.index, 1], sort=True):
                station = _station(inventory, str(station_code), rows, level, rates, extents)
                stations.append(station)
        start, end = _span(part)
        networks.append(
            fdsn.Network(
                str(network_code),
                stations=stations,
                start_date=start,
                end_date=end,
                total_number_of_stations=int(split.loc[part.index, 1].nunique()),
                selected_number_of_stations=len(stations),
            )
        )
    document = fdsn.Inventory(networks=networks, source=sender, sender=sender)
    out = BytesIO()
    try:
        document.write(out, format="STATIONXML", level=level)
    except (ValueError, TypeError, AttributeError) as error:
        raise StationError(f"StationXML cannot be written: {error}") from None
    return out.getvalue()


def _station(
    inventory: Inventory,
    code: str,
    rows: pd.DataFrame,
    level: Level,
    rates: Mapping[str, float],
    extents: Mapping[str, tuple[int, int]],
) -> Any:
    first = rows.iloc[0]
    channels: list[Any] = []
    table = inventory.channels
    mine = table[table["station"].isin(set(rows["station"]))]
    if level in ("channel", "response"):
        channels = [
            _channel(inventory, row, _place(rows, row), level, rates, extents)
            for row in mine.to_dict("records")
        ]
    start, end = _span(rows)
    return fdsn.Station(
        code,
        latitude=float(first["latitude"]),
        longitude=_longitude(first["longitude"]),
        elevation=_finite(first["elevation_m"]),
        site=fdsn.Site(name=code),
        start_date=start,
        end_date=end,
        creation_date=start,
        channels=channels,
        total_number_of_channels=len(mine),
        selected_number_of_channels=len(channels),
        data_availability=_available(mine["channel"], extents),
    )


def _available(channels: Iterable[Any], extents: Mapping[str, tuple[int, int]]) -> Any:
    """Return from when to when any of some channels has data, None if none has."""
    found = [extents[name] for name in map(str, channels) if name in extents]
    if not found:
        return None
    starts, ends = zip(*found, strict=True)
    return DataAvailability(UTCDateTime(ns=min(starts)), UTCDateTime(ns=max(ends)))


def _place(rows: pd.DataFrame, channel: Mapping[Any, Any]) -> pd.Series:
    own = rows[rows["station"] == channel["station"]]
    if pd.notna(channel["starttime"]):
        found = Inventory.epoch(own, int(channel["starttime"].value))
        if found is not None:
            return found
    return own.iloc[0]


def _channel(
    inventory: Inventory,
    row: Mapping[Any, Any],
    place: pd.Series,
    level: Level,
    rates: Mapping[str, float],
    extents: Mapping[str, tuple[int, int]],
) -> Any:
    name = str(row["channel"])
    location, code = name.split(".")[2:4]
    azimuth, dip = float(row["azimuth_deg"]), float(row["dip_deg"])
    return fdsn.Channel(
        code,
        location,
        latitude=float(place["latitude"]),
        longitude=_longitude(place["longitude"]),
        elevation=_finite(place["elevation_m"]),
        depth=0.0,  # the elevation is the sensor's own
        azimuth=azimuth % 360.0 if math.isfinite(azimuth) else None,
        dip=dip if math.isfinite(dip) else None,
        sample_rate=rates.get(name),
        start_date=_moment(row["starttime"]),
        end_date=_moment(row["endtime"]),
        response=_response(inventory, row, level),
        data_availability=_available([name], extents),
    )


def _response(inventory: Inventory, row: Mapping[Any, Any], level: Level) -> Any:
    full = inventory.responses.get((str(row["channel"]), start_key(row["starttime"])))
    if full is not None and level == "response":
        return full
    gain, unit = float(row["gain"]), str(row["unit"])
    if not (math.isfinite(gain) and gain > 0 and unit):
        return None
    frequency = float(row["gain_frequency_hz"])
    sensitivity = fdsn.InstrumentSensitivity(
        value=gain,
        frequency=frequency if math.isfinite(frequency) else 1.0,
        input_units=unit,
        output_units="counts",
    )
    return fdsn.Response(instrument_sensitivity=sensitivity)


def _span(rows: pd.DataFrame) -> tuple[Any, Any]:
    """Return the earliest start and the latest end, None where one is open."""
    starts, ends = rows["starttime"], rows["endtime"]
    start = None if starts.isna().any() else _moment(starts.min())
    return start, None if ends.isna().any() else _moment(ends.max())


def _moment(time: Any) -> Any:
    return None if pd.isna(time) else UTCDateTime(ns=int(time.value))


def _finite(value: Any) -> float:
    return float(value) if math.isfinite(value) else 0.0


def _longitude(value: Any) -> float:
    return (float(value) + 180.0) % 360.0 - 180.0 if abs(value) > 180.0 else float(value)
