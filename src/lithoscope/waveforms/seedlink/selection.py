"""Which streams a request means: station patterns and selectors of SeedLink 3.1 and 4."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STATION_CHARACTERS = re.compile(r"[A-Za-z0-9?*_]*\Z")
SELECTOR_CHARACTERS = re.compile(r"[A-Za-z0-9?*_!-]*\Z")


def glob(pattern: str) -> str:
    """Return the regular expression of a pattern with ``*`` and ``?``."""
    return "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)


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

    def patterns(self) -> tuple[list[str], list[str]]:
        """Return regular expressions of ``NET_STA_LOC_B_S_SS`` to take and to leave out."""
        station = glob(self.station) if self.station is not None else ".*"
        take: list[str] = []
        leave: list[str] = []
        for selector, _ in self.selectors:
            target = leave if selector.startswith("!") else take
            # Leading dashes stand for an empty location code.
            target.append(f"{station}_{glob(selector.removeprefix('!').lstrip('-'))}")
        return (take or [f"{station}_.*"]), leave


class StreamFilter:
    """Tell which streams a connection gets, and in which format."""

    def __init__(self, selections: list[Selection]) -> None:
        parts = [(s, *s.patterns()) for s in selections]
        take = [p for _, patterns, _ in parts for p in patterns]
        leave = [p for _, _, patterns in parts for p in patterns]
        self._take = re.compile("|".join(f"(?:{p})\\Z" for p in take)) if take else None
        self._leave = re.compile("|".join(f"(?:{p})\\Z" for p in leave)) if leave else None
        self._formats = [
            (
                re.compile(glob(s.station if s.station is not None else "*") + r"\Z"),
                [(re.compile(glob(text.lstrip("-")) + r"\Z"), form) for text, form in s.selectors],
            )
            for s in selections
        ]
        self._known: dict[tuple[str, str], str | None] = {}

    def format_of(self, station: str, stream: str) -> str | None:
        """Return None if the stream is not wanted, otherwise "" (as it is) or "3"."""
        key = (station, stream)
        if key not in self._known:
            self._known[key] = self._find(station, stream)
        return self._known[key]

    def _find(self, station: str, stream: str) -> str | None:
        name = f"{station}_{stream}"
        if self._take is not None and not self._take.match(name):
            return None
        if self._leave is not None and self._leave.match(name):
            return None
        for pattern, selectors in self._formats:
            if pattern.match(station):
                for selector, form in selectors:
                    if selector.match(stream):
                        return form
        return ""
