"""FDSN dataselect service 1: miniSEED of the recordings behind the catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pandas as pd
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lithoscope.constants import NS_PER_S
from lithoscope.service.fdsn import NODATA, FdsnError, Parameter, Service, check_order
from lithoscope.service.patterns import Wanted, parse_lines
from lithoscope.service.state import State
from lithoscope.waveforms.miniseed import miniseed

_P = Parameter
_MEDIA = "application/vnd.fdsn.mseed"
SERVICE = Service(
    "dataselect",
    "1.1.1",
    (
        _P("starttime", "time", "samples at or after", "start"),
        _P("endtime", "time", "samples at or before", "end"),
        _P("network", "text", "codes, commas between; * and ? stand for any", "net"),
        _P("station", "text", "codes", "sta"),
        _P("location", "text", "codes; -- is the empty one", "loc"),
        _P("channel", "text", "codes", "cha"),
        _P(
            "quality",
            "text",
            "taken and ignored: there is one version of the data",
            options=("b", "d", "m", "q", "r"),
            default="b",
        ),
        _P("minimumlength", "float", "s; shorter pieces are left out", "", 0, 1e9, default=0.0),
        _P("longestonly", "boolean", "the longest piece of each channel only", default=False),
        _P("format", "text", "format", options=("miniseed", "mseed"), default="miniseed"),
        NODATA,
    ),
    methods=("GET", "POST"),
    media=_MEDIA,
    answers=(_MEDIA,),
)
_LONG_AGO, _FAR = -(2**63) + 1, 2**63 - 1


async def query(state: State, request: Request) -> Response:
    """Answer ``query`` by GET or POST."""
    if request.method == "POST":
        body = (await request.body()).decode("utf-8", "replace")
        items, wanted = parse_lines(body)
        values = SERVICE.parse(items)
    else:
        values = SERVICE.parse(request.query_params.multi_items())
        check_order(values, [("starttime", "endtime")])
        names = ("network", "station", "location", "channel", "starttime", "endtime")
        wanted = [Wanted(*(values[name] for name in names))]
    pieces = await state.slow.threads().run(_plan, state, values, wanted)
    first = await state.slow.threads().run(next, pieces, b"")
    if not first:
        raise FdsnError(values["nodata"], "no data fit the request")

    async def stream() -> AsyncIterator[bytes]:
        piece = first
        while piece:
            yield piece
            piece = await state.slow.threads().run(next, pieces, b"")

    headers = {"Content-Disposition": 'attachment; filename="fdsnws-dataselect.mseed"'}
    return StreamingResponse(stream(), media_type=_MEDIA, headers=headers)


def _plan(state: State, values: dict[str, Any], wanted: list[Wanted]) -> Iterator[bytes]:
    """Return the pieces of the answer, none of them read yet.

    Raises
    ------
    FdsnError
        413 if they hold too many samples, 503 while the index is being made.
    """
    if not state.recordings.wait(state.settings.limits.compute_s / 2):
        raise FdsnError(503, "the recordings are still being indexed; try again in a moment")
    segments = state.recordings.segments()
    if segments is None:
        raise FdsnError(values["nodata"], state.recordings.reason)
    windows: dict[tuple[str, int, int], None] = {}
    n_samples = 0.0
    for selection in wanted:
        start_ns = _LONG_AGO if selection.start_ns is None else selection.start_ns
        end_ns = _FAR if selection.end_ns is None else selection.end_ns
        rows = segments[(segments["starttime_ns"] <= end_ns) & (segments["endtime_ns"] >= start_ns)]
        rows = rows[selection.matches(rows["channel"])]
        for channel, part in rows.groupby("channel", sort=True):
            for low, high in _spans(part, start_ns, end_ns, values):
                windows[str(channel), low, high] = None
                rate = float(part["sampling_rate_hz"].max())
                n_samples += (high - low) * rate / NS_PER_S + 1
    most = state.settings.limits.samples
    if n_samples > most:
        raise FdsnError(
            413, f"{n_samples:.3g} samples fit and one answer holds {most:.3g}; ask for less"
        )
    return _read(segments, list(windows))


def _read(segments: pd.DataFrame, windows: list[tuple[str, int, int]]) -> Iterator[bytes]:
    for channel, start_ns, end_ns in windows:
        yield from miniseed(segments, channel, start_ns, end_ns)


def _spans(
    rows: pd.DataFrame, start_ns: int, end_ns: int, values: dict[str, Any]
) -> list[tuple[int, int]]:
    """Return the gap-free windows that are wanted, first to last sample time."""
    rows = rows.sort_values("starttime_ns")
    starts = np.maximum(rows["starttime_ns"].to_numpy(np.int64), start_ns).tolist()
    ends = np.minimum(rows["endtime_ns"].to_numpy(np.int64), end_ns).tolist()
    steps = (1.5 * NS_PER_S / rows["sampling_rate_hz"].to_numpy(float)).tolist()
    spans: list[list[int]] = []
    for start, end, step in zip(starts, ends, steps, strict=True):
        if spans and start - spans[-1][1] <= step:
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([start, end])
    shortest = values["minimumlength"] * NS_PER_S
    spans = [span for span in spans if span[1] - span[0] >= shortest]
    if values["longestonly"] and spans:
        spans = [max(spans, key=lambda span: span[1] - span[0])]
    return [(low, high) for low, high in spans]
