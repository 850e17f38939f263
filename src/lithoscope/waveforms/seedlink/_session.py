"""What a server answers to each command of SeedLink 3.1 and 4; no sockets here.

The replies, their order and the error texts follow EarthScope's ringserver 4.5, as a client sees
it. Where a client would lose data by following it, this server keeps them, see docs/seedlink.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from lithoscope import __version__
from lithoscope.constants import NS_PER_S
from lithoscope.waveforms.seedlink.ring import Ring
from lithoscope.waveforms.seedlink.selection import (
    SELECTOR_CHARACTERS,
    STATION_CHARACTERS,
    Selection,
    StreamFilter,
    selector3_to_4,
)

SOFTWARE = f"SeedLink v4.0 (Lithoscope/{__version__}) :: SLPROTO:4.0 SLPROTO:3.1 CAP"
MAX_STATIONS = 2000
MAX_SELECTORS = 100  # of one station
_MAX_REPLY = 97  # longest reply before its end, as in ringserver
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4})[,/-](\d{1,2})[,/-](\d{1,2})(?:[,T ](\d{1,2})(?:[,:](\d{1,2})(?:[,:](\d{1,2})"
    r"(?:\.(\d{1,9}))?)?)?)?Z?\Z"
)


class Disconnect(Exception):
    """The connection is to be closed."""


@dataclass
class StationRequest:
    """What is asked of one station pattern; ``sequence`` is the last packet already received."""

    selection: Selection
    sequence: int | None = None
    everything: bool = False
    datastart_ns: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None


@dataclass
class Session:
    """State of the negotiation of one connection."""

    ring: Ring
    organization: str
    now_ns: int = 0
    major: int = 3
    minor: int = 1
    state: Literal["command", "station", "configured"] = "command"
    batch: bool = False
    extreply: bool = False
    dialup: bool = False
    client_id: str = ""
    stations: dict[str, StationRequest] = field(default_factory=dict)
    common: StationRequest = field(default_factory=lambda: StationRequest(Selection(None)))
    current: str = ""

    def handle(self, line: str, now_ns: int) -> bytes:
        """Answer a command other than INFO; raise `Disconnect` where the connection ends.

        After a command that starts the data, `state` is ``configured``.
        """
        self.now_ns = now_ns
        words = line.split()
        name = words[0].upper()
        handler = getattr(self, f"_do_{name.lower()}", None) if name in _COMMANDS else None
        if handler is None or (self.major == 4 and name in ("FETCH", "TIME")):
            return self._error("UNSUPPORTED", f"Unrecognized command: {line[:50]}", always=True)
        reply: bytes = handler(line, words[1:])
        return reply

    def _ok(self) -> bytes:
        return b"" if self.batch else b"OK\r\n"

    def _error(self, code: str, text: str, *, always: bool = False) -> bytes:
        if self.batch and not always:
            return b""
        if self.major == 4:
            reply = f"ERROR {code} {text}"
        else:
            reply = f"ERROR\r{code} {text}" if self.extreply else "ERROR"
        return reply[:_MAX_REPLY].encode("ascii", "replace") + b"\r\n"

    def _do_hello(self, line: str, words: list[str]) -> bytes:
        return f"{SOFTWARE}\r\n{self.organization}\r\n".encode()

    def _do_slproto(self, line: str, words: list[str]) -> bytes:
        match = re.match(r"(\d{1,3})(?:\.(\d{1,3}))?", words[0]) if words else None
        major, minor = (int(match[1]), int(match[2] or 0)) if match else (0, 0)
        if major == 3 or (major, minor) == (4, 0):
            self.major, self.minor = major, minor
            return self._ok()
        if self.batch:
            return b""
        return b"ERROR UNSUPPORTED unsupported protocol version\r\n"

    def _do_useragent(self, line: str, words: list[str]) -> bytes:
        self.client_id = " ".join(words)[:100]
        return self._ok()

    def _do_capabilities(self, line: str, words: list[str]) -> bytes:
        self.extreply = self.extreply or "EXTREPLY" in line
        return self._ok()

    def _do_cat(self, line: str, words: list[str]) -> bytes:
        return b"CAT command not implemented\r\n"

    def _do_batch(self, line: str, words: list[str]) -> bytes:
        self.batch = True
        return b"OK\r\n"

    def _do_auth(self, line: str, words: list[str]) -> bytes:
        if words and words[0].upper() == "USERPASS" and len(words) != 3:
            return self._error("ARGUMENTS", "AUTH USERPASS requires 2 arguments", always=True)
        if words and words[0].upper() == "JWT" and len(words) < 2:
            return self._error("ARGUMENTS", "AUTH JWT requires 1 argument", always=True)
        return self._error("INTERNAL", "Error performing authentication", always=True)

    def _do_bye(self, line: str, words: list[str]) -> bytes:
        raise Disconnect

    def _do_station(self, line: str, words: list[str]) -> bytes:
        if self.major == 4:
            if len(words) != 1 or len(words[0]) > 20:
                return self._error("ARGUMENTS", "STATION requires 1 argument")
            station = words[0]
        else:
            if not 1 <= len(words) <= 2 or max(map(len, words)) > 9:
                return self._error("ARGUMENTS", "STATION requires 1 or 2 arguments")
            station = f"{words[1] if len(words) == 2 else '*'}_{words[0]}"
        if len(self.stations) >= MAX_STATIONS:
            return self._error("LIMIT", "Station limit reached")
        if not STATION_CHARACTERS.match(station):
            return self._error("ARGUMENTS", "Invalid characters in station ID")
        self.stations.setdefault(station, StationRequest(Selection(station)))
        self.current = station
        self.state = "station"
        return self._ok()

    def _do_select(self, line: str, words: list[str]) -> bytes:
        if len(words) != 1 or len(words[0]) > 63:
            return self._error("ARGUMENTS", "SELECT requires a single argument")
        selector, form = words[0], ""
        if self.major == 4 and ":" in selector:
            selector, _, form = selector.rpartition(":")
            if form not in ("native", "3"):
                return self._error("ARGUMENTS", "Filter not supported")
            form = form.removeprefix("native")
        selector = selector.partition(".")[0]
        if self.major == 3:
            translated = selector3_to_4(selector)
            if translated is None:
                return self._error("ARGUMENTS", "Invalid selector pattern")
            selector = translated
        if not SELECTOR_CHARACTERS.match(selector):
            return self._error("ARGUMENTS", "Selector contains illegal characters")
        request = self.stations[self.current] if self.state == "station" else self.common
        if len(request.selection.selectors) >= MAX_SELECTORS:
            return self._error("LIMIT", "Selector limit reached")
        place = len(request.selection.selectors) if selector.startswith("!") else 0
        request.selection.selectors.insert(place, (selector, form))
        return self._ok()

    def _do_data(self, line: str, words: list[str]) -> bytes:
        request = StationRequest(Selection(None))
        if len(words) > (3 if self.major == 4 else 2):
            return self._error("ARGUMENTS", "Too many arguments for DATA/FETCH")
        if words and not self._sequence(words[0], request):
            return self._error("ARGUMENTS", "Invalid sequence number")
        for key, name, text in zip(("start", "end"), ("start", "end"), words[1:], strict=False):
            time_ns = parse_time(text)
            if time_ns is None:
                return self._error("ARGUMENTS", f"Error parsing {name} time")
            setattr(request, f"{key}_ns", time_ns)
        if request.sequence is not None:
            request.datastart_ns = request.start_ns
        self.dialup = self.dialup or line.upper().startswith("FETCH")
        return self._apply(request, given=bool(words))

    _do_fetch = _do_data

    def _sequence(self, text: str, request: StationRequest) -> bool:
        """Read the number of the packet wanted next; the one before it was received."""
        if self.major == 4 and text == "ALL":
            request.everything = True
            return True
        try:
            number = int(text, 10 if self.major == 4 else 16)
        except ValueError:
            return False
        if number < 0:
            return False
        if self.major == 3:
            # Numbers of 3.1 have 24 bits: take the newest such number that the ring can mean.
            newest = self.ring.next
            number = (newest & ~0xFFFFFF) | (number & 0xFFFFFF)
            if number > newest and number >= 1 << 24:
                number -= 1 << 24
        request.sequence = max(number - 1, 0)
        return True

    def _do_time(self, line: str, words: list[str]) -> bytes:
        if not 1 <= len(words) <= 2:
            return self._error("ARGUMENTS", "TIME command requires 1 or 2 arguments")
        request = StationRequest(Selection(None), start_ns=parse_time(words[0]))
        if request.start_ns is None:
            return self._error("ARGUMENTS", "Error parsing start time")
        if request.start_ns // NS_PER_S > self.now_ns // NS_PER_S:
            return self._error("ARGUMENTS", "Start time cannot be in the future")
        if len(words) == 2:
            request.end_ns = parse_time(words[1])
            if request.end_ns is None:
                return self._error("ARGUMENTS", "Error parsing end time")
        return self._apply(request, given=True)

    def _apply(self, request: StationRequest, *, given: bool) -> bytes:
        """Put what DATA or TIME asks on the current station, or start the data without one."""
        if self.state == "station":
            if given:
                request.selection = self.stations[self.current].selection
                self.stations[self.current] = request
            self.state = "command"
            return self._ok()
        if not self.stations:
            request.selection = self.common.selection
            self.common = request
        self.state = "configured"
        return b""  # the data themselves are the answer

    def _do_end(self, line: str, words: list[str]) -> bytes:
        self.state = "configured"
        return b""

    def _do_endfetch(self, line: str, words: list[str]) -> bytes:
        self.dialup = True
        return self._do_end(line, words)

    def requests(self) -> list[StationRequest]:
        """Return what was asked, station by station."""
        return list(self.stations.values()) or [self.common]

    def filter(self) -> StreamFilter:
        """Return which streams were asked for."""
        if not self.stations and not self.common.selection.selectors:
            return StreamFilter([])
        return StreamFilter([r.selection for r in self.requests()])

    def end_ns(self) -> int | None:
        """Return the latest end of a time window that was asked for."""
        ends = [r.end_ns for r in self.requests() if r.end_ns is not None]
        return max(ends, default=None)

    def first_packet(self) -> int:
        """Return the number of the first packet to send.

        The newest packet that a station says it has received decides, since one ring serves
        all; one that left the ring since means its oldest packet. Without any, the earliest
        start time; without that, the next packet to come.
        """
        requests = self.requests()
        received = [r for r in requests if r.sequence is not None and self._is_received(r)]
        if received:
            return max(r.sequence or 0 for r in received) + 1
        starts = [r.start_ns for r in requests if r.start_ns is not None]
        if starts:
            found = self.ring.after(min(starts))
            return self.ring.next if found is None else found
        if any(r.everything for r in requests):
            return self.ring.first
        return self.ring.next

    def _is_received(self, request: StationRequest) -> bool:
        number = request.sequence or 0
        if number >= self.ring.next:
            return False
        entry = self.ring.get(number)
        if entry is None or request.datastart_ns is None:
            return True
        return entry.starttime_ns // NS_PER_S == request.datastart_ns // NS_PER_S


_COMMANDS = {
    *("HELLO", "SLPROTO", "USERAGENT", "CAPABILITIES", "CAT", "BATCH", "AUTH", "BYE"),
    *("STATION", "SELECT", "DATA", "FETCH", "TIME", "END", "ENDFETCH"),
}


def parse_time(text: str) -> int | None:
    """Return ns since 1970 of ``Y,M,D,h,m,s`` or ISO 8601 text, None if it is neither."""
    match = _TIME.match(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(g or 0) for g in match.groups()[:6])
    fraction = int((match[7] or "").ljust(9, "0"))
    try:
        moment = datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    span = moment - _EPOCH + timedelta(hours=hour, minutes=minute, seconds=second)
    return (span.days * 86400 + span.seconds) * NS_PER_S + fraction
