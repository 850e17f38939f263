"""One client of the server: its commands in, its packets out."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lithoscope.errors import DataError
from lithoscope.waveforms.seedlink._connection import HEADER_4
from lithoscope.waveforms.seedlink._info import iso
from lithoscope.waveforms.seedlink._session import Disconnect, Session
from lithoscope.waveforms.seedlink.records import to_miniseed3
from lithoscope.waveforms.seedlink.ring import Entry

if TYPE_CHECKING:
    from lithoscope.waveforms.seedlink.server import SeedLinkServer

_MAX_LINE = 4096
_MAX_ERRORS = 10  # commands refused in a row before the connection is closed
_BATCH = 100  # packets looked at between two waits


class ServedClient:
    """A connection: a task that reads commands, and one that sends packets once they are asked."""

    def __init__(
        self, server: SeedLinkServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.session = Session(server.ring, server.organization)
        self.wake = asyncio.Event()
        self._begun = asyncio.Event()
        self.cursor: int | None = None
        self.connected_ns = time.time_ns()
        self.last_exchange = time.monotonic()
        self.n_packets = self.n_bytes = self.n_skipped = 0
        peer = writer.get_extra_info("peername") or ("", 0)
        self.address, self.port = str(peer[0]), str(peer[1])

    @property
    def is_trusted(self) -> bool:
        """Whether the client may see the other connections: it runs on the same machine."""
        try:
            return ipaddress.ip_address(self.address.partition("%")[0]).is_loopback
        except ValueError:
            return False

    def describe(self) -> dict[str, Any]:
        """Return what INFO CONNECTIONS says of the connection."""
        session = self.session
        out: dict[str, Any] = {
            **{"host": self.address, "ip_address": self.address, "client_port": self.port},
            **{"server_port": str(self.server.port), "type": "SeedLink"},
            **{"client_id": session.client_id},
            **{"protocol_version": f"{session.major}.{session.minor}"},
            **{"connect_time": iso(self.connected_ns, micro=False), "dialup_mode": session.dialup},
            **{"transmit_packets": self.n_packets, "transmit_bytes": self.n_bytes},
            **{"skipped_packets": self.n_skipped},
            "station": [
                {"id": name, "selector": [s for s, _ in request.selection.selectors]}
                for name, request in session.stations.items()
            ],
        }
        if self.cursor is not None:
            out["packet_id"] = self.cursor - 1
        return out

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        tasks = {asyncio.create_task(self._commands()), asyncio.create_task(self._send())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _commands(self) -> None:
        """Answer commands, which end with CR, LF or both."""
        buffer = b""
        errors = 0
        limits = self.server.limits
        wait = limits.first_command_s
        while True:
            data = await self._read(wait)
            wait = limits.idle_s
            if not data:
                return
            self.last_exchange = time.monotonic()
            *lines, buffer = (buffer + data).replace(b"\r", b"\n").split(b"\n")
            if len(buffer) > _MAX_LINE:
                return
            for line in lines:
                text = line.decode("ascii", "replace").strip("\0")
                if not text.split():
                    continue
                try:
                    reply = self._answer(text)
                except Disconnect:
                    return
                errors = errors + 1 if reply.startswith(b"ERROR") else 0
                if errors > _MAX_ERRORS:
                    return
                if reply:
                    self.writer.write(reply)
                    await asyncio.wait_for(self.writer.drain(), limits.send_s)

    async def _read(self, wait: float) -> bytes:
        """Return what arrives; nothing if the connection ended or was idle for too long."""
        while True:
            try:
                return await asyncio.wait_for(self.reader.read(1 << 12), wait)
            except TimeoutError:
                idle = time.monotonic() - self.last_exchange
                if idle >= wait:
                    return b""
                wait -= idle

    def _answer(self, line: str) -> bytes:
        if line[:4].upper() == "INFO":
            if self.session.major == 3 and len(line.split()) < 2:
                raise Disconnect
            return self.server.info(self, line)
        if self.cursor is not None:
            if line[:3].upper() == "BYE":
                raise Disconnect
            return b""  # a command among the data is not answered
        reply = self.session.handle(line, time.time_ns())
        if self.session.state == "configured":
            self.cursor = self.session.first_packet()
            self._begun.set()
            self.server.moved()
        return reply

    async def _send(self) -> None:
        """Send packets from the ring until the window or, when dialled up, the ring ends."""
        await self._begun.wait()
        session, ring = self.session, self.server.ring
        wanted, window = session.filter(), _Window(session.end_ns())
        while True:
            self.wake.clear()
            cursor = self.cursor or 0
            entries = ring.read(cursor, _BATCH)
            frames = []
            for entry in entries:
                form = wanted.format_of(entry.station, entry.stream)
                if form is None:
                    continue
                if window.takes(entry):
                    frames.append(self._frame(entry, form))
                if window.is_over:
                    break
            if entries:
                self.n_skipped += entries[0].sequence - cursor
                await self._write(frames)
                self.cursor = entries[-1].sequence + 1
                self.server.moved()
            if window.is_over or (session.dialup and not entries):
                self.writer.write(b"END")
                await asyncio.wait_for(self.writer.drain(), self.server.limits.send_s)
                self.writer.close()
                await self.writer.wait_closed()
                return
            if not entries:
                await self.wake.wait()

    async def _write(self, frames: list[bytes]) -> None:
        if not frames:
            await asyncio.sleep(0)
            return
        data = b"".join(frames)
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), self.server.limits.send_s)
        self.last_exchange = time.monotonic()
        self.n_packets += len(frames)
        self.n_bytes += len(data)

    def _frame(self, entry: Entry, form: str) -> bytes:
        raw = entry.raw
        if self.session.major != 4:
            return b"SL%06X" % (entry.sequence & 0xFFFFFF) + raw
        kind = b"3" if raw[:2] == b"MS" else b"2"
        if form == "3" and kind == b"2":
            with suppress(DataError):  # sent as it is where it cannot be converted
                raw, kind = to_miniseed3(raw), b"3"
        station = entry.station.encode("ascii")
        head = HEADER_4.pack(b"SE", kind, b"D", len(raw), entry.sequence, len(station))
        return head + station + raw


class _Window:
    """End of a time window: each stream ends with its first packet that begins after it."""

    def __init__(self, end_ns: int | None) -> None:
        self.end_ns = end_ns
        self._open: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()

    def takes(self, entry: Entry) -> bool:
        """Note a packet of a wanted stream; return whether it is sent."""
        if self.end_ns is None:
            return True
        key = (entry.station, entry.stream)
        if key in self._ended:
            return False
        if entry.starttime_ns > self.end_ns:
            self._open.discard(key)
            self._ended.add(key)
            return False
        self._open.add(key)
        return True

    @property
    def is_over(self) -> bool:
        """Whether all streams seen so far have ended."""
        return self.end_ns is not None and bool(self._ended) and not self._open
