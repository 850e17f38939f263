"""Where packets come from: SeedLink servers, a folder that grows, a list in memory."""

from __future__ import annotations

import heapq
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

from lithoscope.errors import ConfigError, DataError
from lithoscope.waveforms.seedlink import Packet, SeedLinkClient, decode
from lithoscope.waveforms.seedlink.packet import record_length

_BLOCK = 1 << 16  # bytes; longer than any record in use
# What a selector of the address may look like: NET_STA or NET_STA:LOCCHA, wildcards included.
_SELECTOR = re.compile(r"^[A-Za-z0-9?*]{1,8}_[A-Za-z0-9?*]{1,8}(:[!A-Za-z0-9?*.\-_]{1,16})?$")


class PacketSource(Protocol):
    """Something that yields packets, and None now and then to show that it is alive.

    Attributes
    ----------
    name
        What messages call it.
    """

    name: str

    def __iter__(self) -> Iterator[Packet | None]: ...

    def mark(self) -> tuple[str, int]:
        """Return what to remember of the packet yielded last: a key, and its newest value.

        Called in the thread that iterates, before the next packet is asked for.
        """
        ...

    def resume(self, marks: dict[str, int]) -> None:
        """Go on after remembered packets; called before iteration."""
        ...

    def about(self) -> dict[str, Any]:
        """Return what is known of the connection, for people."""
        ...

    def close(self) -> None:
        """End the iteration, from any thread."""
        ...


class SeedLinkSource:
    """A SeedLink server.

    Parameters
    ----------
    url
        ``seedlink://HOST[:PORT]``, with ``?NET_STA:LOCCHA,NET_STA,...`` to select streams.
    start
        For the first connection: None for the next packets, ``earliest`` for all that the server
        holds, or ns since 1970.

    Raises
    ------
    ConfigError
        If the address is of another form.
    """

    def __init__(self, url: str, *, start: Literal["earliest"] | int | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "seedlink" or not parts.hostname:
            raise ConfigError(
                f"source '{url}': write seedlink://HOST:PORT, with ?NET_STA:LOCCHA,... to select"
            )
        self.selections = [s for s in unquote(parts.query).split(",") if s]
        for selector in self.selections:
            if not _SELECTOR.match(selector):
                raise ConfigError(
                    f"source '{url}': '{selector}' is no selector; write NET_STA or "
                    "NET_STA:LOCCHA, such as CI_CLC:HH? (* and ? stand for anything)"
                )
        self.name = f"seedlink://{parts.netloc}"
        self.start = start
        self._state: dict[str, int] = {}
        self._mark = ("", -1)
        self._client: SeedLinkClient | None = None
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Packet | None]:
        self._client = SeedLinkClient(
            self.name, self.selections, state=self._state or None, start=self.start
        )
        if self._closed.is_set():
            self._client.close()
        for packet in self._client:
            if packet is not None:
                self._mark = packet.station_id, packet.sequence
            yield packet

    def mark(self) -> tuple[str, int]:
        return self._mark

    def resume(self, marks: dict[str, int]) -> None:
        self._state = dict(marks)

    def about(self) -> dict[str, Any]:
        status = getattr(self._client, "status", None)
        names = ("protocol", "n_packets", "n_bad", "n_reconnects", "last_error")
        return {n: getattr(status, n) for n in names if hasattr(status, n)}

    def close(self) -> None:
        self._closed.set()
        if self._client is not None:
            self._client.close()


class FolderSource:
    """A folder of miniSEED files that grows: new files, and files that become longer.

    A file counts by its path and by how many of its bytes have been read, so it must only be
    appended to. Half a record at the end waits for its other half.

    Parameters
    ----------
    folder
        Searched to any depth; hidden files and folders are left out.
    poll_s
        Time between looks.
    """

    def __init__(self, folder: Path, *, poll_s: float = 1.0) -> None:
        if not folder.is_dir():
            raise DataError(f"source '{folder}': no such folder")
        self.folder = folder
        self.name = str(folder)
        self.poll_s = poll_s
        self.n_bad = 0
        self.last_error = ""
        self._read: dict[str, int] = {}
        self._mark = ("", -1)
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Packet | None]:
        while not self._closed.is_set():
            yield from self._new_packets()
            yield None
            self._closed.wait(self.poll_s)

    def _new_packets(self) -> Iterator[Packet]:
        """Yield what is new in all files, in order of time: files may hold a station-day each."""
        heap: list[tuple[int, str]] = []
        waiting: dict[str, _Reader] = {}
        for path in self._files():
            name = str(path.relative_to(self.folder))
            reader = _Reader(path, self._read.get(name, 0))
            if (start := self._advance(name, reader)) is not None:
                reader.forget()
                waiting[name] = reader
                heapq.heappush(heap, (start, name))
        while heap and not self._closed.is_set():
            _, name = heapq.heappop(heap)
            reader = waiting[name]
            packet = reader.packet
            self._read[name] = reader.at
            self._mark = name, reader.at
            if packet is not None:
                yield packet
            if (start := self._advance(name, reader)) is not None:
                heapq.heappush(heap, (start, name))
            else:
                del waiting[name]

    def _advance(self, name: str, reader: _Reader) -> int | None:
        """Read the next good record of a file; return when it starts, None if there is none."""
        try:
            while reader.next():
                if reader.packet is not None:
                    return reader.packet.starttime_ns
                self.n_bad += 1
                self.last_error = f"{name}: damaged record before byte {reader.at}"
                self._read[name] = reader.at
        except (OSError, DataError) as error:
            # Not miniSEED, or gone: said once, not tried again until it grows.
            self.n_bad += 1
            self.last_error = f"{name}: {error}"
            self._read[name] = reader.path.stat().st_size if reader.path.exists() else 0
        return None

    def _files(self) -> list[Path]:
        """Return the files that have become longer."""
        try:
            found = sorted(p for p in self.folder.rglob("*") if p.is_file())
            grown = [
                p
                for p in found
                if p.stat().st_size > self._read.get(str(p.relative_to(self.folder)), 0)
            ]
        except OSError as error:
            self.last_error = f"{self.folder}: {error.strerror}"
            return []
        return [p for p in grown if not any(q[0] == "." for q in p.relative_to(self.folder).parts)]

    def mark(self) -> tuple[str, int]:
        return self._mark

    def resume(self, marks: dict[str, int]) -> None:
        self._read = dict(marks)

    def about(self) -> dict[str, Any]:
        return {"n_files": len(self._read), "n_bad": self.n_bad, "last_error": self.last_error}

    def close(self) -> None:
        self._closed.set()


class _Reader:
    """Records of one file from a byte on; the file is open only while a block is read."""

    def __init__(self, path: Path, at: int) -> None:
        self.path = path
        self.at = at
        self.packet: Packet | None = None
        self._block = b""

    def next(self) -> bool:
        """Go to the next whole record; ``packet`` is None if it is damaged.

        Raises
        ------
        DataError
            If the file holds something else.
        """
        size = self._size()
        if size is None:
            with self.path.open("rb") as file:
                file.seek(self.at)
                self._block = file.read(_BLOCK)
            size = self._size()
        if size is None:
            self._block = b""
            return False
        raw, self._block = self._block[:size], self._block[size:]
        self.at += size
        try:
            self.packet = decode(raw)
        except DataError:
            self.packet = None
        return True

    def forget(self) -> None:
        """Let go of what was read ahead: there may be many files that wait."""
        self._block = b""

    def _size(self) -> int | None:
        """Return the length of the record that the block begins with, None if it is not whole."""
        if len(self._block) < 64:
            return None
        size = record_length(self._block[:512])
        if size is None:
            raise DataError("no miniSEED with a record length (blockette 1000); it is skipped")
        return size if size <= len(self._block) else None


class MemorySource:
    """Packets from any iterable, for tests and simulations; it remembers how many there were."""

    def __init__(self, packets: Iterable[Packet | None], *, name: str = "memory") -> None:
        self.name = name
        self._packets = packets
        self._skip = 0
        self._count = 0
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Packet | None]:
        for number, packet in enumerate(self._packets):
            if self._closed.is_set():
                return
            if number < self._skip:
                continue
            self._count = number + 1
            yield packet

    def mark(self) -> tuple[str, int]:
        return "count", self._count

    def resume(self, marks: dict[str, int]) -> None:
        self._skip = marks.get("count", 0)

    def about(self) -> dict[str, Any]:
        return {"n_packets": self._count}

    def close(self) -> None:
        self._closed.set()


def open_source(text: str, *, start: Literal["earliest"] | int | None = None) -> PacketSource:
    """Return the source that a word of the command line names.

    Raises
    ------
    ConfigError
        If it is neither a SeedLink address nor a folder.
    """
    if text.startswith("seedlink://"):
        return SeedLinkSource(text, start=start)
    if "://" in text:
        raise ConfigError(
            f"source '{text}': sources are seedlink://HOST:PORT addresses and folders of miniSEED"
        )
    return FolderSource(Path(text))
