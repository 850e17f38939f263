"""Inventories that ObsPy reads: StationXML, SeisComP XML, dataless SEED, RESP."""

from __future__ import annotations

import glob
import math
import warnings
from pathlib import Path
from typing import Any

import obspy
import pandas as pd

from lithoscope.errors import StationError
from lithoscope.stations._sites import ChannelRow, Site, direction, si_unit
from lithoscope.waveforms.obspy_errors import READ_ERRORS, first_line


def read_inventory(path: Path) -> list[Site]:
    """Read an inventory file as sites with channels.

    Raises
    ------
    StationError
        If ObsPy cannot read it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            inventory = obspy.read_inventory(glob.escape(str(path)))
        except READ_ERRORS as error:
            raise StationError(
                f"{path.name}: not a station inventory ({first_line(error)}); give StationXML, "
                "SeisComP XML, dataless SEED or a table with a header line"
            ) from None
    sites: list[Site] = []
    for network in inventory:
        for station in network:
            if not station.channels:
                sites.append(_bare_site(network.code, station))
            for channel in station.channels:
                sites.append(_channel_site(network.code, station.code, channel))
    return sites


def _bare_site(network: str, station: Any) -> Site:
    return Site(
        network,
        station.code,
        None,
        None,
        _float(station.longitude),
        _float(station.latitude),
        _float(station.elevation),
        _moment(station.start_date),
        _moment(station.end_date),
    )


def _channel_site(network: str, station: str, channel: Any) -> Site:
    azimuth, dip = _float(channel.azimuth), _float(channel.dip)
    component = channel.code[-1:]
    if math.isnan(azimuth) and math.isnan(dip):
        azimuth, dip = direction(component)
    gain, unit, frequency, response = math.nan, "", math.nan, channel.response
    if response is not None and response.instrument_sensitivity is not None:
        total = response.instrument_sensitivity
        unit, gain = si_unit(total.input_units or "", _float(total.value))
        frequency = _float(total.frequency)
    # ObsPy can evaluate a response only from its stages.
    if response is not None and not response.response_stages:
        response = None
    row = ChannelRow(component, azimuth, dip, gain, unit, frequency, response)
    depth = _float(channel.depth)
    location = "" if channel.location_code in ("--", None) else channel.location_code.strip()
    return Site(
        network,
        station,
        location,
        channel.code[:-1],
        _float(channel.longitude),
        _float(channel.latitude),
        _float(channel.elevation) - (0.0 if math.isnan(depth) else depth),
        _moment(channel.start_date),
        _moment(channel.end_date),
        (row,),
    )


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _moment(value: Any) -> Any:
    """Return a date as a timestamp; dates beyond what nanoseconds can count mean 'always'."""
    if value is None or not pd.Timestamp.min.year < value.year < pd.Timestamp.max.year:
        return pd.NaT
    return pd.Timestamp(value.ns, tz="UTC")
