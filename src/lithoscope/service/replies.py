"""Bodies of answers: packed when the client can unpack them, streamed when they are long."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lithoscope.service.work import Workers

JSON = "application/json"
# Packing less than this costs more than it saves.
_SMALL = 1_500
# Work of up to so many bytes is done at once; more is left to a thread.
_AT_ONCE = 150_000
_GZIP = 16 + zlib.MAX_WBITS


def accepts_gzip(request: Request) -> bool:
    """Tell whether the client takes gzip."""
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def packed(body: bytes) -> bytes:
    """Return gzip at its fastest level."""
    maker = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return maker.compress(body) + maker.flush()


async def reply(
    workers: Workers, request: Request, body: bytes, media: str, **headers: str
) -> Response:
    """Return an answer of which all is there."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    named["Vary"] = "Accept-Encoding"
    if len(body) > _SMALL and accepts_gzip(request):
        body = packed(body) if len(body) <= _AT_ONCE else await workers.run(packed, body)
        named["Content-Encoding"] = "gzip"
    return Response(body, media_type=media, headers=named)


async def chunked(
    workers: Workers,
    request: Request,
    head: str,
    rows: NDArray[np.intp],
    make: Callable[[NDArray[np.intp]], str],
    tail: str,
    *,
    media: str,
    size: int,
    at_once: int = 0,
) -> Response:
    """Return head, the text of the rows and tail; more than ``size`` rows are streamed.

    Each piece is made when the one before has been sent, so that a slow client holds one piece
    and no thread. The first piece is made before the status is sent, and not in a thread if there
    are ``at_once`` rows or fewer.
    """
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    # To hand a little work to a thread costs more than the work.
    small = len(rows) <= at_once
    first = head + (make(parts[0]) if small else await workers.run(make, parts[0]))
    if len(parts) == 1:
        return await reply(workers, request, (first + tail).encode(), media)

    async def pieces() -> AsyncIterator[bytes]:
        yield first.encode()
        for part in parts[1:]:
            yield (await workers.run(make, part)).encode()
        yield tail.encode()

    return streamed(request, pieces(), media)


def streamed(request: Request, pieces: AsyncIterator[bytes], media: str) -> Response:
    """Return a stream of pieces, packed one by one where the client takes gzip."""
    headers = {"Vary": "Accept-Encoding"}
    if accepts_gzip(request):
        headers["Content-Encoding"] = "gzip"
        pieces = _packed_pieces(pieces)
    return StreamingResponse(pieces, media_type=media, headers=headers)


async def _packed_pieces(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    maker = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    async for piece in pieces:
        if out := maker.compress(piece):
            yield out
    yield maker.flush()


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: NaN and infinities are null."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
