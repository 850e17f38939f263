"""The server process: sockets, and clients that are slow on purpose or by misfortune."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lithoscope.errors import StorageError
from lithoscope.service.app import create_app
from lithoscope.service.settings import Limits, ServiceSettings

_RESET = struct.pack("ii", 1, 0)  # linger for no time


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP protocol with bounds on connections.

    uvicorn itself waits for ever for the head of a request, and for a client that does not read
    its answer. Here a connection ends when a head has not arrived after ``request_s``, or when
    nothing could be sent for ``stalled_s``; and one address has at most
    ``connections_per_client`` of the ``connections`` in all.
    """

    limits: ClassVar[Limits]
    open_by_client: ClassVar[Counter[str]]
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _counted = ""

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        client = str(peer[0]) if isinstance(peer, tuple) else "local"
        super().connection_made(transport)
        self.open_by_client[client] += 1
        self._counted = client
        if (
            self.open_by_client[client] > self.limits.connections_per_client
            or self.open_by_client.total() > self.limits.connections
        ):
            self._cut()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_by_client[self._counted] -= 1
        if self.open_by_client[self._counted] <= 0:
            del self.open_by_client[self._counted]
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(self.limits.request_s, self._head_missing)

    def _head_missing(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._cut()

    def _cut(self) -> None:
        # With a reset the kernel, too, lets go of what the client does not take.
        held = self.transport.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def handle_events(self) -> None:
        super().handle_events()
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            if self._deadline is None:
                self._await_head()
        else:
            self._cut_if_stalled()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cut_if_stalled()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _cut_if_stalled(self) -> None:
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.stalled_s, self._cut)


def make_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return the protocol of one server, which counts its connections."""
    own = {"limits": limits, "open_by_client": Counter[str]()}
    return type("Protocol", (BoundedProtocol,), own)


def make_server(settings: ServiceSettings, log_level: str = "warning") -> uvicorn.Server:
    """Return a server that serves ``settings`` once it is given a socket (`listen`)."""
    config = uvicorn.Config(
        create_app(settings),
        http=make_protocol(settings.limits),
        ws="none",
        log_level=log_level,
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32_768,
        backlog=512,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises
    ------
    StorageError
        If the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it on, the end
    # of an answer waits 40 ms for the client to acknowledge its beginning.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise StorageError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another "
            "with --host and --port"
        ) from None
    return listener
