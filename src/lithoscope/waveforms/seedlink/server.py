"""SeedLink server: 3.1 and 4 from one ring of packets, one thread for all clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lithoscope.errors import ConfigError
from lithoscope.waveforms.seedlink._info import (
    document,
    error_packet,
    iso,
    json_packet,
    xml_packets,
)
from lithoscope.waveforms.seedlink._serving import ServedClient
from lithoscope.waveforms.seedlink.records import Cut
from lithoscope.waveforms.seedlink.ring import Ring
from lithoscope.waveforms.seedlink.selection import Selection

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class ServerLimits:
    """Bounds that keep one client from harming others.

    Attributes
    ----------
    ring_mb
        Memory for packets; the oldest leave when it is full.
    max_clients
        Connections at once; further ones are closed at once.
    first_command_s
        A connection that says nothing for so long is closed.
    idle_s
        A connection on which nothing went either way for so long is closed.
    send_s
        A client that takes nothing for so long while there are data for it is closed.
    """

    ring_mb: float = 64.0
    max_clients: int = 600
    first_command_s: float = 10.0
    idle_s: float = 3600.0
    send_s: float = 60.0


class SeedLinkServer:
    """Serve packets to SeedLink clients until closed.

    Every client reads the common ring at its own pace. One that falls behind the oldest packet
    of the ring goes on there: it loses packets, the server and the other clients do not wait.

    Attributes
    ----------
    ring
        The packets.
    clients
        Connections of the moment.
    n_connections
        Connections so far.
    failures
        The newest errors of this server itself; there should be none.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    organization
        Second line of the answer to HELLO.
    limits
        See `ServerLimits`.

    Raises
    ------
    ConfigError
        If the address cannot be listened at (on `start`).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 18000,
        *,
        organization: str = "Lithoscope",
        limits: ServerLimits | None = None,
    ) -> None:
        self.host, self._port = host, port
        self.organization = organization
        self.limits = limits or ServerLimits()
        self.ring = Ring(int(self.limits.ring_mb * MEGABYTE))
        self.clients: set[ServedClient] = set()
        self.n_connections = 0
        self.failures: deque[str] = deque(maxlen=100)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._woken = False
        self._moved = threading.Condition()

    @property
    def port(self) -> int:
        """The port listened at."""
        return self._port

    @property
    def url(self) -> str:
        """``seedlink://HOST:PORT``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"seedlink://{host}:{self._port}"

    def start(self) -> SeedLinkServer:
        """Begin to listen; return when clients can connect."""
        started: threading.Event = threading.Event()
        failure: list[OSError] = []
        self._loop = asyncio.new_event_loop()
        arguments = (self._loop, started, failure)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()
        started.wait()
        if failure:
            self._thread.join()
            self._loop = None
            raise ConfigError(
                f"cannot listen at {self.host}:{self._port} "
                f"({failure[0].strerror or failure[0]}); choose another --host or --port"
            )
        return self

    def close(self) -> None:
        """Close all connections and stop listening."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = None

    def __enter__(self) -> SeedLinkServer:
        return self.start() if self._loop is None else self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, cut: Cut) -> int:
        """Put a packet into the ring, for all clients; return its sequence number."""
        number = self.ring.append(cut)
        if not self._woken and self._loop is not None:
            self._woken = True
            self._loop.call_soon_threadsafe(self._wake)
        return number

    def disconnect(self) -> int:
        """Cut all connections at once, as a failing network would; return how many."""
        count = len(self.clients)
        if self._loop is not None:
            cut = threading.Event()
            self._loop.call_soon_threadsafe(self._abort)
            self._loop.call_soon_threadsafe(cut.set)
            cut.wait()
        return count

    def streaming(self) -> list[ServedClient]:
        """Return the clients that have finished their requests and get data."""
        return [c for c in list(self.clients) if c.cursor is not None]

    def backlog(self) -> int:
        """Return how many packets the slowest streaming client has yet to take."""
        cursors = [c.cursor for c in self.streaming() if c.cursor is not None]
        return max((self.ring.next - cursor for cursor in cursors), default=0)

    def wait_for_clients(self, count: int, timeout: float | None = None) -> bool:
        """Wait until so many clients get data; return whether they do."""
        with self._moved:
            return self._moved.wait_for(lambda: len(self.streaming()) >= count, timeout)

    def wait_backlog(self, packets: int, timeout: float | None = None) -> bool:
        """Wait until no streaming client is more than so many packets behind."""
        with self._moved:
            return self._moved.wait_for(lambda: self.backlog() <= packets, timeout)

    def moved(self) -> None:
        """Tell waiting threads that a client came, went, or took packets."""
        with self._moved:
            self._moved.notify_all()

    def info(self, client: ServedClient, line: str) -> bytes:
        """Return the answer to an INFO command."""
        words = line.split()[1:]
        level = words[0].upper() if words else ""
        known = {"ID", "CAPABILITIES", "FORMATS", "STATIONS", "STREAMS", "CONNECTIONS"}
        is_4 = client.session.major == 4
        if is_4 and (level not in known or len(words) > 3):
            text = "Unrecognized INFO item" if level else "No INFO item specified"
            return error_packet(self.organization, "ARGUMENTS", text)
        refused = level == "CONNECTIONS" and not client.is_trusted
        if is_4 and refused:
            text = "Client is not authorized to request connections"
            return error_packet(self.organization, "UNAUTHORIZED", text)
        if not is_4 and (refused or (client.cursor is not None and level in _NOT_IN_STREAM)):
            return b""
        only = Selection(words[1], [(w, "") for w in words[2:]]) if is_4 and words[1:] else None
        shown = level if level in known else "ID"
        value = document(
            shown, self.organization, self.ring, [c.describe() for c in self.clients], only
        )
        if is_4:
            return json_packet(value)
        started = iso(self.ring.started_ns, micro=False)
        error = level not in known - {"FORMATS"}
        return xml_packets(value, started, time.time_ns(), error=error)

    def _run(
        self, loop: asyncio.AbstractEventLoop, started: threading.Event, failure: list[OSError]
    ) -> None:
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(self._failed)
        try:
            self._server = loop.run_until_complete(
                asyncio.start_server(self._serve, self.host, self._port)
            )
            self._port = int(self._server.sockets[0].getsockname()[1])
        except OSError as error:
            failure.append(error)
            started.set()
            loop.close()
            return
        started.set()
        loop.run_forever()
        loop.run_until_complete(self._finish())
        loop.close()

    async def _finish(self) -> None:
        if self._server is not None:
            self._server.close()
        self._abort()
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = ServedClient(self, reader, writer)
        if len(self.clients) >= self.limits.max_clients:
            writer.transport.abort()
            return
        self.clients.add(client)
        self.n_connections += 1
        try:
            with suppress(OSError, TimeoutError, asyncio.CancelledError):  # it ended
                await client.run()
        finally:
            self.clients.discard(client)
            writer.transport.abort()
            self.moved()

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep what ended a connection and should not have; the others go on."""
        self.failures.append(f"{context.get('message', '')}: {context.get('exception')!r}")

    def _wake(self) -> None:
        self._woken = False
        for client in self.clients:
            client.wake.set()

    def _abort(self) -> None:
        while self.clients:  # out of the list at once: they get nothing any more
            self.clients.pop().writer.transport.abort()


_NOT_IN_STREAM = ("STATIONS", "STREAMS")
