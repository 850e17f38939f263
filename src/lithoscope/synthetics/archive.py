"""Write simulated records as miniSEED, so that a whole run can be tested end to end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from obspy import Stream, Trace, UTCDateTime

from lithoscope.errors import StorageError
from lithoscope.waveforms.record import Record


def write_archive(
    path: str | Path, records: Iterable[Record], stations: pd.DataFrame | None = None
) -> list[Path]:
    """Write one miniSEED file (Steim2) per record, and the stations as CSV beside them.

    Parameters
    ----------
    path
        Folder, made if it does not exist.
    records
        Whole counts; components that do not exist are left out.
    stations
        STATIONS table; written to ``stations.csv`` if given.

    Returns
    -------
    list of Path
        The miniSEED files.

    Raises
    ------
    StorageError
        If the folder or a file cannot be written.
    """
    folder, written = Path(path), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for record in records:
            start = UTCDateTime(ns=int(record.starttime_ns))
            file = folder / f"{record.station}.{start.strftime('%Y%m%dT%H%M%S')}.mseed"
            _stream(record, start).write(str(file), format="MSEED", encoding="STEIM2")
            written.append(file)
        if stations is not None:
            columns = ["station", "longitude", "latitude", "elevation_m"]
            stations[columns].to_csv(folder / "stations.csv", index=False)
    except OSError as error:
        raise StorageError(f"'{folder}' cannot be written: {error.strerror or error}") from None
    return written


def _stream(record: Record, start: UTCDateTime) -> Stream:
    traces = []
    for row in np.flatnonzero(record.mask):
        net, sta, loc, channel = record.channels[row].split(".")
        header = {
            "network": net,
            "station": sta,
            "location": loc,
            "channel": channel,
            "starttime": start,
            "sampling_rate": record.sampling_rate_hz,
        }
        traces.append(Trace(np.round(record.data[row]).astype(np.int32), header))
    return Stream(traces)
