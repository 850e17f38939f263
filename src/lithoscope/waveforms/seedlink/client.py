"""SeedLink client: 3.1 and 4, resumes after the last packet, reconnects by itself."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError, DataError
from lithoscope.waveforms.seedlink._connection import Connection, Frame, LinkError, Refused
from lithoscope.waveforms.seedlink.packet import Packet, decode
from lithoscope.waveforms.seedlink.selection import (
    SELECTOR_CHARACTERS,
    matches,
    selector3_to_4,
    selector4_to_3,
)

DEFAULT_PORT = 18000
_URL = re.compile(r"(?:seedlink://)?(?P<host>\[[^\]]+\]|[^:/\s]*)(?::(?P<port>\d+))?/?\Z")
_SELECTION = re.compile(r"(?P<station>[A-Za-z0-9?*]+_[A-Za-z0-9?*]+)(?::(?P<streams>\S+))?\Z")
HANDSHAKE_S = 10.0  # longest wait for a connection, or for the answer to a command
_KEPT_PROBLEMS = 100
# Servers that number the packets of all stations in one sequence.
_COMMON_NUMBERING = ("ringserver", "lithoscope")


@dataclass
class ClientStatus:
    """What a client has seen so far.

    Attributes
    ----------
    connected
        Whether packets can arrive now.
    protocol
        ``"3.1"`` or ``"4.0"`` of the current or the last connection.
    server
        What the server says of itself.
    n_packets, n_bad, n_other
        Packets decoded; damaged ones left out; ones that hold no time series left out.
    n_reconnects
        Connections after the first.
    last_error
        Why the last connection or attempt ended.
    problems
        The newest complaints, oldest first.
    """

    connected: bool = False
    protocol: str = ""
    server: str = ""
    n_packets: int = 0
    n_bad: int = 0
    n_other: int = 0
    n_reconnects: int = 0
    last_error: str = ""
    problems: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_PROBLEMS))


def parse_url(url: str) -> tuple[str, int]:
    """Return host and port of ``seedlink://HOST[:PORT]``.

    Raises
    ------
    ConfigError
        If it is none.
    """
    match = _URL.match(url)
    port = int(match["port"] or DEFAULT_PORT) if match else 0
    if not match or not 0 < port < 65536:
        raise ConfigError(f"'{url}' is no SeedLink address; write seedlink://HOST or HOST:PORT")
    return match["host"].strip("[]") or "localhost", port


class SeedLinkClient:
    """Packets of one SeedLink server, for as long as one asks.

    Iterating yields a `Packet`, or None at least every ``tick_s`` seconds while there is nothing
    (also while the server cannot be reached), so that the caller is never held. A lost or silent
    connection is made again after a growing delay and resumes after the last packet of each
    station. Damaged records are counted in `status` and left out. Iteration ends after `close`,
    or when the server ends a time window that was asked for.

    Parameters
    ----------
    url
        ``seedlink://HOST[:PORT]``; the port is 18000 if not given.
    selections
        ``NET_STA`` or ``NET_STA:STREAMS`` with wildcards ``*`` and ``?``; STREAMS are selectors
        of 3.1 (``HHZ``, ``00HH?``) or 4 (``*_H_H_Z``), separated by commas. None means all.
    state
        Last sequence number of each station (``NET_STA``), as `state_of` returned it.
    start
        Where to begin with stations that ``state`` does not name: None with the next packet,
        ``"earliest"`` with all the server has, an integer with that time (ns since 1970).
    end_ns
        End of a time window; the server ends the connection there. Needs ``start``.
    version
        ``"3.1"`` or ``"4.0"``; None takes 4 where the server has it, otherwise 3.1.
    timeout_s
        A connection that is silent for so long, keep-alives included, counts as lost. A
        keep-alive is sent after a third of it.
    tick_s
        Longest time without a yield, but for the making of a connection (10 s an answer at most).
    backoff_s
        Delay before the first and the longest before any later attempt to reconnect; it doubles.

    Raises
    ------
    ConfigError
        For an address, selection or version that is none.
    """

    def __init__(
        self,
        url: str,
        selections: Sequence[str] = (),
        *,
        state: Mapping[str, int] | None = None,
        start: Literal["earliest"] | int | None = None,
        end_ns: int | None = None,
        version: Literal["3.1", "4.0"] | None = None,
        timeout_s: float = 60.0,
        tick_s: float = 1.0,
        backoff_s: tuple[float, float] = (1.0, 60.0),
    ) -> None:
        self.url = url
        self.address = parse_url(url)
        self.selections = _merged([_parse_selection(text) for text in selections])
        if version not in (None, "3.1", "4.0"):
            raise ConfigError(f"SeedLink version '{version}'; allowed are 3.1 and 4.0")
        if end_ns is not None and start is None:
            raise ConfigError("an end of the time window needs its start")
        self.start, self.end_ns, self.version = start, end_ns, version
        self.timeout_s, self.tick_s, self.backoff_s = timeout_s, tick_s, backoff_s
        self.status = ClientStatus()
        self._state = dict(state or {})
        self._connection: Connection | None = None
        self._closed = False

    def state_of(self) -> dict[str, int]:
        """Return the last sequence number of each station, the packet just yielded included.

        Save it after the packet itself is safe: a client made with it goes on after that packet.
        """
        return dict(self._state)

    def close(self) -> None:
        """End the connection and the iteration; may be called from another thread."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.close()

    def __enter__(self) -> SeedLinkClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Packet | None]:
        delay, longest = self.backoff_s
        first = True
        try:
            while not self._closed:
                received = self.status.n_packets
                try:
                    connection = self._connect()
                    self.status.n_reconnects += not first
                    first = False
                    yield from self._stream(connection)
                    return
                except (LinkError, OSError) as error:
                    self._lost(error)
                if self.status.n_packets > received:
                    delay = self.backoff_s[0]
                yield from self._pause(delay)
                delay = min(2 * delay, longest)
        finally:
            self._drop()

    def _lost(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        self._drop()
        if not self._closed:
            self.status.last_error = text
            self.status.problems.append(text)

    def _drop(self) -> None:
        self.status.connected = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _pause(self, seconds: float) -> Iterator[None]:
        end = time.monotonic() + seconds
        while not self._closed and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self.tick_s, 0.25))
            yield None

    def _connect(self) -> Connection:
        connection = Connection(*self.address, min(self.timeout_s, HANDSHAKE_S))
        self._connection = connection
        if self._closed:
            raise LinkError("closed")
        self.status.server = connection.hello()
        if self.version == "4.0" or (self.version is None and connection.speaks_4):
            connection.negotiate_4()
        self.status.protocol = "4.0" if connection.is_4 else "3.1"
        accepted = sum(
            self._request(connection, *part) for part in self._requests(self.status.server)
        )
        if not accepted:
            raise LinkError(f"the server accepts none of the stations ({connection.last_refusal})")
        connection.send("END")
        self.status.connected = True
        return connection

    def _requests(self, server: str) -> Iterator[tuple[str, list[str], int | None]]:
        """Yield station, selectors and last sequence.

        Where one numbering serves all stations, the newest number resumes a pattern. Elsewhere
        each known station is asked for by name, before the pattern that brings the others.
        """
        common = any(name in server.lower() for name in _COMMON_NUMBERING)
        for pattern, selectors in self.selections:
            known = {k: v for k, v in self._state.items() if matches(pattern, k)}
            if self.end_ns is not None:
                known = {}
            elif common and known:
                yield pattern, selectors, _newest(list(known.values()), self.status.protocol)
                continue
            for station in sorted(known):
                yield station, selectors, known[station]
            if pattern not in known:
                yield pattern, selectors, None

    def _request(
        self, connection: Connection, station: str, selectors: list[str], last: int | None
    ) -> bool:
        """Ask for one station; return whether the server accepts it."""
        if connection.is_4:
            commands = [f"STATION {station}", *(f"SELECT {s}" for s in _selectors(selectors, 4))]
        else:
            network, _, code = station.partition("_")
            commands = [f"STATION {code} {network}"]
            commands += [f"SELECT {s}" for s in _selectors(selectors, 3)]
        try:
            for command in [*commands, self._action(connection.is_4, last)]:
                connection.command(command)
        except Refused as error:
            self.status.problems.append(f"{station}: {error}")
            # A SELECT refused within a station leaves it wider than asked for: start again.
            if not str(error).startswith("STATION"):
                raise LinkError(f"{station}: {error}") from None
            return False
        return True

    def _action(self, is_4: bool, last: int | None) -> str:
        if last is not None:
            return f"DATA {last + 1}" if is_4 else f"DATA {(last + 1) & 0xFFFFFF:06X}"
        if self.start is None:
            return "DATA"
        if is_4 and self.start == "earliest" and self.end_ns is None:
            return "DATA ALL"
        begin_ns = 0 if self.start == "earliest" else int(self.start)
        times = [begin_ns] if self.end_ns is None else [begin_ns, self.end_ns + NS_PER_S - 1]
        if is_4:
            return " ".join(["DATA ALL", *(_time(t, "%Y-%m-%dT%H:%M:%S") + "Z" for t in times)])
        return " ".join(["TIME", *(_time(t, "%Y,%m,%d,%H,%M,%S") for t in times)])

    def _stream(self, connection: Connection) -> Iterator[Packet | None]:
        """Yield packets and ticks until the server ends the window or the link is lost."""
        heard = asked = ticked = time.monotonic()
        while not self._closed:
            frame = connection.receive(min(self.tick_s, self.timeout_s / 3))
            now = time.monotonic()
            if frame is None:
                if now - heard > self.timeout_s:
                    raise LinkError(f"nothing heard for {self.timeout_s:g} s")
                if now - max(heard, asked) > self.timeout_s / 3:
                    connection.send("INFO ID")
                    asked = now
            else:
                heard = now
                if frame.kind == "end":
                    if self.end_ns is not None:
                        return
                    raise LinkError("the server ended the stream")
                if frame.kind == "data" and (packet := self._decoded(frame)) is not None:
                    ticked = now
                    yield packet
                    continue
            if now - ticked >= self.tick_s:
                ticked = now
                yield None

    def _decoded(self, frame: Frame) -> Packet | None:
        try:
            packet = decode(frame.payload, frame.sequence)
        except DataError as error:
            if "no time series" in str(error):
                self.status.n_other += 1
            else:
                self.status.n_bad += 1
                self.status.problems.append(f"packet {frame.sequence}: {error}")
            if frame.station and frame.sequence >= 0:
                self._state[frame.station] = frame.sequence
            return None
        self.status.n_packets += 1
        self._state[packet.station_id] = frame.sequence
        return packet


def _newest(numbers: list[int], protocol: str) -> int:
    """Return the newest of sequence numbers; those of 3.1 begin again after 24 bits."""
    half = 1 << 23
    if protocol == "3.1" and max(numbers) - min(numbers) > half:
        return max(n for n in numbers if n < half)
    return max(numbers)


def _parse_selection(text: str) -> tuple[str, list[str]]:
    match = _SELECTION.match(text)
    if not match:
        raise ConfigError(
            f"selection '{text}'; write NET_STA or NET_STA:STREAMS, such as CI_CCC:HH? or *_*:00BHZ"
        )
    given = match["streams"].split(",") if match["streams"] else []
    selectors = [s.partition(".")[0] for s in given]  # .D and the like name no streams
    for selector in selectors:
        known = "_" in selector or selector3_to_4(selector) is not None
        if not known or not SELECTOR_CHARACTERS.match(selector):
            raise ConfigError(
                f"selection '{text}': '{selector}' is neither CCC, LLCCC nor LOC_B_S_SS"
            )
    return match["station"], selectors


def _merged(selections: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Put the selectors of equal stations together: asked twice, a server may keep the last."""
    merged: dict[str, list[str]] = {}
    for station, selectors in selections:
        if station in merged and not (selectors and merged[station]):
            merged[station] = []  # one of them wants all
        else:
            merged.setdefault(station, []).extend(selectors)
    return list(merged.items()) or [("*_*", [])]


def _selectors(selectors: list[str], version: int) -> list[str]:
    out = []
    for selector in selectors:
        is_4 = "_" in selector
        if version == 4:
            text = selector if is_4 else selector3_to_4(selector)
        else:
            text = selector4_to_3(selector) if is_4 else selector
        if text is None:
            raise LinkError(f"selector '{selector}' cannot be said in SeedLink {version}")
        out.append(text)
    return out


def _time(time_ns: int, form: str) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // NS_PER_S)
    return moment.strftime(form)
