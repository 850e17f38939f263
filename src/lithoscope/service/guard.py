"""What holds for every request and every answer, whatever the route."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lithoscope.service.errors import problem
from lithoscope.service.settings import Limits

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ENDLESS = "/api/stream"


class _TooLarge(Exception):
    pass


class _TooSlow(Exception):
    pass


class Guard:
    """Adds security headers; bounds the size of bodies, the time to send them and to answer."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, text in HEADERS.items():
                    headers.setdefault(name, text)
            await send(message)

        bounded = _Receiver(receive, self.limits)
        limit_s = None if scope["path"] == _ENDLESS else self.limits.answer_s
        refusal: tuple[int, str]
        try:
            length = Headers(scope=scope).get("content-length", "0")
            if length.isdigit() and int(length[:19]) > self.limits.body_bytes:
                raise _TooLarge
            async with asyncio.timeout(limit_s):
                await self.app(scope, bounded, guarded_send)
            return
        except _TooLarge:
            refusal = 413, f"the body of a request holds {self.limits.body_bytes} bytes at most"
        except _TooSlow:
            refusal = 408, f"the request did not arrive within {self.limits.request_s:g} s"
        except TimeoutError:
            refusal = 503, "the answer took too long; ask for less"
        if not started:
            await problem(*refusal, {"Connection": "close"})(scope, receive, guarded_send)


class _Receiver:
    """Receives a request's body within its limits."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._size, self._whole = 0, False
        self._deadline = asyncio.get_running_loop().time() + limits.request_s

    async def __call__(self) -> Message:
        if self._whole:  # what comes now is the end of the connection
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message: dict[str, Any] = dict(await self._receive())
        except TimeoutError:
            raise _TooSlow from None
        self._size += len(message.get("body", b""))
        if self._size > self._limits.body_bytes:
            raise _TooLarge
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message
