"""Which streams a request means: station patterns and selectors of SeedLink 3.1 and 4."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STATION_CHARACTERS = re.compile(r"[A-Za-z0-9?*_]*\Z")
SELECTOR_CHARACTERS = re.compile(r"[A-Za-z0-9?*_!-]*\Z")


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text fits a pattern with ``*`` and ``?``, in time that is never exponential.

    Patterns come from clients: as regular expressions, a few of them could hold a server.
    """
    i = j = 0
    star, resume = -1, 0
    while i < len(text):
        if j < len(pattern) and pattern[j] == "*":
            star, resume = j, i
            j += 1
        elif j < len(pattern) and pattern[j] in ("?", text[i]):
            i, j = i + 1, j + 1
        elif star >= 0:
            resume += 1
            i, j = resume, star + 1
        else:
            return False
    return not pattern[j:].strip("*")


def is_pattern(text: str) -> bool:
    """Tell whether a text has wildcards."""
    return "*" in text or "?" in text


def stream_id(location: str, channel: str) -> str:
    """Return ``LOC_B_S_SS`` as SeedLink 4 names a stream: ``00_H_H_Z``, ``_B_H_N``."""
    return f"{location}_{'_'.join(channel) if len(channel) == 3 else channel}"


def selector3_to_4(selector: str) -> str | None:
    """Translate ``CCC`` or ``LLCCC`` of 3.1 (``!`` negates, ``-`` is an empty location).

    Returns None for anything else.
    """
    negate, plain = ("!", selector[1:]) if selector.startswith("!") else ("", selector)
    if len(plain) == 3:
        return f"{negate}*_{'_'.join(plain)}"
    if len(plain) == 5:
        return f"{negate}{plain[:2]}_{'_'.join(plain[2:])}"
    return None


def selector4_to_3(selector: str) -> str | None:
    """Translate ``LOC_B_S_SS`` of one-letter parts to 3.1; None where 3.1 has no word for it."""
    negate, plain = ("!", selector[1:]) if selector.startswith("!") else ("", selector)
    parts = plain.split("_")
    if len(parts) != 4 or any(len(p) != 1 for p in parts[1:]):
        return None
    location, channel = parts[0], "".join(parts[1:])
    if "*" in channel:
        channel = channel.replace("*", "?")
    if location == "*":
        return negate + channel
    if location == "":
        return f"{negate}--{channel}"
    return f"{negate}{location}{channel}" if len(location) == 2 else None


@dataclass
class Selection:
    """Streams asked of one station pattern: those that match a selector and no negated one.

    Attributes
    ----------
    station
        ``NET_STA`` with wildcards; None means every station.
    selectors
        Selectors of SeedLink 4, ``!`` first if negated, with the format they want ("" or "3").
    """

    station: str | None
    selectors: list[tuple[str, str]] = field(default_factory=list)

    def format_of(self, stream: str) -> str | None:
        """Return None if a stream of this station is not wanted, otherwise its format."""
        wanted = [(s, f) for s, f in self.selectors if not s.startswith("!")]
        if not wanted:
            return ""
        # Leading dashes stand for an empty location code.
        return next((form for s, form in wanted if matches(s.lstrip("-"), stream)), None)

    def excludes(self, stream: str) -> bool:
        """Tell whether a negated selector names a stream."""
        negated = (s[1:].lstrip("-") for s, _ in self.selectors if s.startswith("!"))
        return any(matches(s, stream) for s in negated)


class StreamFilter:
    """Tell which streams a connection gets, and in which format; no selection means all."""

    def __init__(self, selections: list[Selection]) -> None:
        self._all = not selections
        self._named: dict[str, Selection] = {}
        self._patterns: list[tuple[str, Selection]] = []
        for selection in selections:
            station = "*" if selection.station is None else selection.station
            if is_pattern(station):
                self._patterns.append((station, selection))
            else:
                self._named[station] = selection
        self._known: dict[tuple[str, str], str | None] = {}

    def format_of(self, station: str, stream: str) -> str | None:
        """Return None if the stream is not wanted, otherwise "" (as it is) or "3"."""
        if self._all:
            return ""
        key = (station, stream)
        if key not in self._known:
            self._known[key] = self._find(station, stream)
        return self._known[key]

    def _find(self, station: str, stream: str) -> str | None:
        """Ask the selection that names the station first, then the patterns."""
        fitting = [self._named[station]] if station in self._named else []
        fitting += [s for pattern, s in self._patterns if matches(pattern, station)]
        if any(s.excludes(stream) for s in fitting):
            return None
        return next((f for s in fitting if (f := s.format_of(stream)) is not None), None)
