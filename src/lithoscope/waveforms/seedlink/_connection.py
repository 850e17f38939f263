"""One connection to a SeedLink server: commands and their replies, packets and their frames."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from lithoscope import __version__
from lithoscope.errors import DataError
from lithoscope.waveforms.seedlink.packet import record_length

HEADER_3 = 8
HEADER_4 = struct.Struct("<2s1s1sIQB")  # signature, format, subformat, length, sequence, ID length
RECORD_3 = 512  # what a record of 3.1 measures unless it says otherwise
_MAX_PAYLOAD = 1 << 24
_MAX_LINE = 8192
_MAX_RECORD = 1 << 16


class LinkError(Exception):
    """The connection cannot go on; make it again."""


class Refused(LinkError):
    """The server answered ERROR to a command."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What arrived: a data record, an INFO answer, or the end of the stream."""

    kind: Literal["data", "info", "end"]
    payload: bytes = b""
    sequence: int = -1
    station: str = ""


class Connection:
    """Socket, read buffer and version of one connection."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timeout_s = timeout_s
        self._buffer = bytearray()
        self._start = 0
        self.is_4 = False
        self.speaks_4 = False
        self.last_refusal = ""

    def close(self) -> None:
        """Close the socket; a read under way in another thread ends."""
        with suppress(OSError):  # not connected any more
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def send(self, command: str) -> None:
        """Send a command that has no reply, or whose reply arrives among the packets."""
        self._socket.settimeout(self._timeout_s)
        self._socket.sendall(command.encode("ascii") + b"\r\n")

    def command(self, command: str) -> None:
        """Send a command and wait for OK; raise `Refused` on ERROR."""
        self.send(command)
        reply = self._line()
        if reply.startswith("ERROR"):
            self.last_refusal = f"{command}: {reply.replace(chr(13), ' ')}"
            raise Refused(self.last_refusal)
        if not reply.startswith("OK"):
            raise LinkError(f"'{command}' was answered by '{reply[:60]}'")

    def hello(self) -> str:
        """Greet; return the server's name, and note whether it has SeedLink 4."""
        self.send("HELLO")
        first, organization = self._line(), self._line()
        name, _, capabilities = first.partition("::")
        self.speaks_4 = any(c.startswith("SLPROTO:4") for c in capabilities.split())
        if "seedlink" not in name.lower():
            raise LinkError(f"'{first[:60]}' is no answer of a SeedLink server")
        return f"{name.strip()}, {organization.strip()}"

    def negotiate_4(self) -> None:
        """Ask for SeedLink 4."""
        self.command("SLPROTO 4.0")
        self.is_4 = True
        self.command(f"USERAGENT lithoscope/{__version__}")

    def receive(self, wait_s: float) -> Frame | None:
        """Return the next frame, None if none is complete within ``wait_s``.

        Raises
        ------
        LinkError
            If the connection ended, or what arrives is no SeedLink.
        """
        end = time.monotonic() + wait_s
        while (frame := self._frame()) is None:
            left = end - time.monotonic()
            if left <= 0 or not self._fill(left):
                return None
        return frame

    def _frame(self) -> Frame | None:
        """Take one frame from the buffer if a whole one is there."""
        start, size = self._start, len(self._buffer) - self._start
        if size < 3:
            return None
        head = bytes(self._buffer[start : start + 8])
        if head.startswith(b"SE"):
            return self._frame_4(start, size)
        if head.startswith(b"SL"):
            return self._frame_3(start, size)
        if head.startswith(b"END"):
            self._start += 3
            return Frame("end")
        if b"ERROR".startswith(head[:5]) or head.startswith(b"ERROR"):
            raise LinkError("the server reports an error in the stream")
        raise LinkError(f"what arrives is no SeedLink packet ({head!r})")

    def _frame_4(self, start: int, size: int) -> Frame | None:
        if size < HEADER_4.size:
            return None
        _, form, _, length, sequence, id_length = HEADER_4.unpack_from(self._buffer, start)
        if length > _MAX_PAYLOAD:
            raise LinkError(f"a packet of {length} bytes is announced")
        if size < HEADER_4.size + id_length + length:
            return None
        first = start + HEADER_4.size + id_length
        station = bytes(self._buffer[start + HEADER_4.size : first]).decode("ascii", "replace")
        payload = bytes(self._buffer[first : first + length])
        self._start = first + length
        return Frame("data" if form in b"23" else "info", payload, sequence, station)

    def _frame_3(self, start: int, size: int) -> Frame | None:
        if size < HEADER_3 + 64:
            return None
        head = bytes(self._buffer[start : start + HEADER_3])
        first = start + HEADER_3
        is_info = head[:6] == b"SLINFO"
        try:
            length = record_length(bytes(self._buffer[first : first + 64])) or RECORD_3
        except (DataError, struct.error):
            length = RECORD_3
        if not 64 <= length <= _MAX_RECORD:
            length = RECORD_3
        if size < HEADER_3 + length:
            return None
        try:
            sequence = -1 if is_info else int(head[2:], 16)
        except ValueError:
            raise LinkError(f"what arrives is no SeedLink packet ({head!r})") from None
        self._start = first + length
        payload = bytes(self._buffer[first : first + length])
        return Frame("info" if is_info else "data", payload, sequence)

    def _line(self) -> str:
        """Return the next line, without its end."""
        end = time.monotonic() + self._timeout_s
        while (found := self._buffer.find(b"\r\n", self._start)) < 0:
            left = end - time.monotonic()
            if left <= 0 or len(self._buffer) - self._start > _MAX_LINE or not self._fill(left):
                raise LinkError("the server does not answer")
        line = bytes(self._buffer[self._start : found])
        self._start = found + 2
        return line.decode("ascii", "replace")

    def _fill(self, wait_s: float) -> bool:
        """Read more; return False after ``wait_s`` without anything."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._socket.settimeout(max(wait_s, 1e-3))
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        if not data:
            raise LinkError("the server closed the connection")
        self._buffer += data
        return True
