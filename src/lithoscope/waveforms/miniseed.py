"""Recordings as miniSEED, cut from whatever files hold them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from obspy import UTCDateTime

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.waveforms._files import channel_code, read_quietly
from lithoscope.waveforms.obspy_errors import READ_ERRORS, first_line

_RECORD_BYTES = 4096
_PIECE_NS = 6 * 3600 * NS_PER_S  # memory of one piece: 9 MB at 100 Hz
_CODE_LENGTHS = (2, 5, 2, 3)  # SEED 2.4: network, station, location, channel


def miniseed(segments: pd.DataFrame, channel: str, start_ns: int, end_ns: int) -> Iterator[bytes]:
    """Yield the samples of a channel with ``start_ns <= time <= end_ns`` as miniSEED 2 records.

    Samples and times are those of the files; integers are packed as Steim2 (as plain integers
    where a difference is too large for it), floats as they are. Where files overlap, so do the
    records. Each piece holds whole records and at most six hours.

    Parameters
    ----------
    segments
        Rows of `Archive.segments`.
    channel
        NET.STA.LOC.CHA.
    start_ns, end_ns
        Window, ns since 1970, both ends in it.

    Raises
    ------
    DataError
        If a file cannot be read any more, or the codes do not fit miniSEED.
    """
    codes = channel.split(".")
    if len(codes) != 4 or any(len(c) > n for c, n in zip(codes, _CODE_LENGTHS, strict=True)):
        raise DataError(f"channel '{channel}' does not fit miniSEED (codes of 2, 5, 2, 3 letters)")
    rows = segments[segments["channel"] == channel]
    rows = rows[(rows["starttime_ns"] <= end_ns) & (rows["endtime_ns"] >= start_ns)]
    files = rows.groupby(["path", "format"], sort=False)
    parts = [
        (
            max(start_ns, int(part["starttime_ns"].min())),
            min(end_ns, int(part["endtime_ns"].max())),
            str(path),
            str(form),
        )
        for (path, form), part in files
    ]
    for first_ns, last_ns, path, form in sorted(parts):
        low_ns = first_ns
        while low_ns <= last_ns:
            high_ns = min(low_ns + _PIECE_NS - 1, last_ns)
            piece = _piece(path, form, channel, low_ns, high_ns)
            if piece:
                yield piece
            low_ns = high_ns + 1


def _piece(path: str, form: str, channel: str, start_ns: int, end_ns: int) -> bytes:
    options = {"sourcename": channel} if form == "MSEED" else {}
    stream, _ = read_quietly(
        Path(path),
        format=form or None,
        starttime=UTCDateTime(ns=start_ns),
        endtime=UTCDateTime(ns=end_ns),
        **options,
    )
    out = BytesIO()
    for trace in stream:
        if channel_code(trace) != channel or not trace.stats.npts:
            continue
        trace.data = _writable(trace.data)
        for form_of_samples in ("STEIM2", "INT32") if trace.data.dtype == np.int32 else (None,):
            buffer = BytesIO()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    trace.write(
                        buffer, format="MSEED", reclen=_RECORD_BYTES, encoding=form_of_samples
                    )
            except READ_ERRORS as error:
                if form_of_samples != "STEIM2":
                    raise DataError(f"{channel}: {first_line(error)}") from None
                continue
            out.write(buffer.getvalue())
            break
    return out.getvalue()


def _writable(values: np.ndarray) -> np.ndarray:
    """Return samples in a type that miniSEED has, without loss."""
    values = np.ma.getdata(values)
    if values.dtype.kind in "iu" and values.dtype.itemsize > 4:
        small = len(values) == 0 or (abs(int(values.min())) | abs(int(values.max()))) < 2**31
        return np.ascontiguousarray(values, np.int32 if small else np.float64)
    if values.dtype.kind in "iu":
        return np.ascontiguousarray(values, np.int32)
    return np.ascontiguousarray(values, np.float32 if values.dtype.itemsize <= 4 else np.float64)
