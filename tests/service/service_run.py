"""A small run directory made by hand, and a server on it as a user would start one."""

from __future__ import annotations

import atexit
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import obspy
import pandas as pd
from obspy.core import inventory as fdsn

from lithoscope.catalog import Catalog, Store
from lithoscope.pipeline.relocate import keep_settings
from lithoscope.pipeline.run import STORE_NAME
from lithoscope.pipeline.rundir import MARKER
from lithoscope.pipeline.settings import RunSettings, render_toml
from lithoscope.schema import ARRIVALS, EVENTS, PICKS, PROBLEMS, STATION_MAGNITUDES, STATIONS
from lithoscope.schema import pick_id as make_pick_id
from lithoscope.service.server import listen, make_server
from lithoscope.service.settings import ServiceSettings

START = pd.Timestamp("2024-05-01T00:00:00", tz="UTC")
STATION_CODES = ("XX.AAA..HH", "XX.BBB.00.HH", "YY.CCC..EH")
PLACES = {
    "XX.AAA..HH": (10.0, 45.0, 100.0),
    "XX.BBB.00.HH": (10.2, 45.1, 200.0),
    "YY.CCC..EH": (9.9, 45.2, 300.0),
}
RATE_HZ, LENGTH_S = 50.0, 600


@cache
def _files() -> Path:
    """Write the recordings and the station file of every run, once."""
    folder = tempfile.TemporaryDirectory(prefix="lithoscope-test-")
    atexit.register(folder.cleanup)
    path = Path(folder.name)
    (path / "data").mkdir()
    _write_waveforms(path / "data")
    _write_stations(path / "stations.xml")
    return path


def make_run(folder: Path, n_events: int = 6) -> Path:
    """Write a finished run with recordings, StationXML and a catalogue; return its folder."""
    run, data = folder / "run", folder / "data"
    run.mkdir(parents=True)
    shutil.copytree(_files(), folder, dirs_exist_ok=True)
    (run / "config.toml").write_text(render_toml(RunSettings()))
    marker = {
        "status": "done",
        "sources": [str(data)],
        "stations": [str(folder / "stations.xml")],
    }
    (run / MARKER).write_text(json.dumps(marker))
    with Store(run / STORE_NAME) as store:
        store.write(make_catalog(n_events))
        keep_settings(store, RunSettings())
    return run


def make_catalog(n_events: int) -> Catalog:
    """Return events every 60 s with P and S at all stations."""
    events, arrivals, picks, magnitudes = [], [], [], []
    for number in range(n_events):
        time = START + pd.Timedelta(seconds=60 + 60 * number)
        name = f"ls{number:04d}_AAA"
        size = np.nan if number == 1 else 1.0 + 0.5 * number
        events.append(_event(name, time, number, size))
        for station in STATION_CODES:
            for phase, after in (("P", 4.0), ("S", 7.0)):
                moment = time + pd.Timedelta(seconds=after)
                pick = make_pick_id(station, phase, moment.value)
                picks.append(
                    {
                        "pick_id": pick,
                        "station": station,
                        "phase": phase,
                        "time": moment,
                        "time_sigma_s": 0.05,
                        "probability": 0.9,
                        "polarity": 1,
                        "model": "test",
                    }
                )
                arrivals.append(
                    {
                        "event_id": name,
                        "pick_id": pick,
                        "station": station,
                        "phase": phase,
                        "time": moment,
                        "distance_km": 20.0,
                        "azimuth_deg": 45.0,
                        "residual_s": 0.01,
                        "weight": 0.99,
                    }
                )
            magnitudes.append(
                {
                    "event_id": name,
                    "station": station,
                    "channel": station + "N",
                    "magnitude_type": "ML",
                    "magnitude": size,
                    "amplitude_mm": 0.1,
                    "amplitude_time": time,
                    "used": bool(np.isfinite(size)),
                }
            )
    stations = [
        {"station": code, "longitude": x, "latitude": y, "elevation_m": z}
        for code, (x, y, z) in PLACES.items()
    ]
    problem = {"what": "XX.AAA..HH", "problem": "gap", "detail": "1 s", "action": "used"}
    return Catalog(
        events=EVENTS.table(events),
        arrivals=ARRIVALS.table(arrivals),
        picks=PICKS.table(picks),
        station_magnitudes=STATION_MAGNITUDES.table(magnitudes),
        stations=STATIONS.table(stations),
        problems=PROBLEMS.table([problem]),
    )


def _event(name: str, time: pd.Timestamp, number: int, size: float) -> dict[str, Any]:
    return {
        "event_id": name,
        "time": time,
        "longitude": 10.0 + 0.02 * number,
        "latitude": 45.0 + 0.03 * number,
        "depth_km": 5.0 + number,
        "time_sigma_s": 0.1,
        "east_sigma_km": 0.5,
        "north_sigma_km": 0.5,
        "depth_sigma_km": 1.0,
        "cov_time_time_s2": 0.01,
        "cov_time_east_s_km": 0.0,
        "cov_time_north_s_km": 0.0,
        "cov_time_up_s_km": 0.0,
        "cov_east_east_km2": 0.25,
        "cov_east_north_km2": 0.0,
        "cov_east_up_km2": 0.0,
        "cov_north_north_km2": 0.25,
        "cov_north_up_km2": 0.0,
        "cov_up_up_km2": 1.0,
        "ellipse_68_major_km": 0.8,
        "ellipse_68_minor_km": 0.7,
        "ellipse_azimuth_deg": 30.0,
        "n_p": 3,
        "n_s": 3,
        "rms_s": 0.02,
        "magnitude": size,
        "magnitude_type": "ML" if np.isfinite(size) else "",
        "magnitude_sigma": 0.1 if np.isfinite(size) else np.nan,
        "n_magnitudes": 3,
        "event_type": "quarry blast" if number == 2 else "earthquake",
    }


def _write_waveforms(folder: Path) -> None:
    generator = np.random.default_rng(7)
    n_samples = int(RATE_HZ * LENGTH_S)
    for station in STATION_CODES:
        network, code, location, band = station.split(".")
        for component in "ZNE":
            data = generator.normal(0, 300, n_samples).astype(np.int32)
            header = {
                "network": network,
                "station": code,
                "location": location,
                "channel": band + component,
                "sampling_rate": RATE_HZ,
                "starttime": obspy.UTCDateTime(ns=START.value),
            }
            trace = obspy.Trace(data, header)
            stream = obspy.Stream([trace])
            if station == "XX.BBB.00.HH":  # a gap of 30 s
                start = trace.stats.starttime
                stream = obspy.Stream(
                    [trace.slice(endtime=start + 299.98), trace.slice(starttime=start + 330)]
                )
            stream.write(folder / f"{station}{component}.mseed", format="MSEED", reclen=512)


def _write_stations(path: Path) -> None:
    networks = []
    for name in ("XX", "YY"):
        stations = []
        for station, (longitude, latitude, elevation) in PLACES.items():
            network, code, location, band = station.split(".")
            if network != name:
                continue
            place = {"latitude": latitude, "longitude": longitude, "elevation": elevation}
            channels = [
                fdsn.Channel(
                    band + component,
                    location,
                    depth=0.0,
                    azimuth=azimuth,
                    dip=dip,
                    sample_rate=RATE_HZ,
                    start_date=obspy.UTCDateTime(2020, 1, 1),
                    response=_response(),
                    **place,
                )
                for component, azimuth, dip in (("Z", 0, -90), ("N", 0, 0), ("E", 90, 0))
            ]
            start = obspy.UTCDateTime(2020, 1, 1)
            stations.append(fdsn.Station(code, channels=channels, start_date=start, **place))
        networks.append(fdsn.Network(name, stations=stations))
    fdsn.Inventory(networks=networks, source="test").write(path, format="STATIONXML")


def _response() -> Any:
    return fdsn.Response.from_paz([0j, 0j], [-4.4 + 4.4j, -4.4 - 4.4j], 6e8)


@contextmanager
def serving(settings: ServiceSettings, send_buffer: int = 0) -> Iterator[str]:
    """Run a server in a thread on a free port; yield its address."""
    listener = listen("127.0.0.1", 0)
    if send_buffer:  # connections have the buffers of their listener
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = make_server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        # The socket listens already: the first answer comes when the server is up.
        get(address, "/fdsnws/event/1/version").raise_for_status()
        yield address
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


# One client without certificates: reading those for every request costs more than the request.
CLIENT = httpx.Client(verify=False, timeout=60)


def get(address: str, path: str, **options: Any) -> httpx.Response:
    """Return the answer to a GET."""
    return CLIENT.get(address + path, **options)
