"""Codes of networks, stations, locations and channels as FDSN requests name them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from lithoscope.service.fdsn import FdsnError
from lithoscope.service.times import parse_time

CODES = ("network", "station", "location", "channel")
_ONE = re.compile(r"[A-Za-z0-9*?_\-]{0,12}", re.ASCII)
#: Lines of one POST request.
MOST_LINES = 5_000


@dataclass(frozen=True)
class Wanted:
    """Patterns of the four codes and a time window; None = any."""

    network: str | None = None
    station: str | None = None
    location: str | None = None
    channel: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None

    def matches(self, codes: pd.Series) -> pd.Series:
        """Return which of the codes NET.STA.LOC.CHA (or its beginning) fit."""
        parts = [_expression(name, getattr(self, name)) for name in CODES]
        n_parts = int(codes.str.count(r"\.").max()) + 1 if len(codes) else 4
        return codes.str.fullmatch(r"\.".join(parts[:n_parts])).astype(bool)


def _expression(name: str, text: str | None) -> str:
    """Return the regular expression of a list of patterns.

    Raises
    ------
    FdsnError
        400 for characters that no code has.
    """
    if text is None:
        return r"[^.]*"
    out = []
    for part in text.split(","):
        part = part.strip()
        if name == "location" and part == "--":
            part = ""
        if _ONE.fullmatch(part) is None or (not part and name != "location"):
            raise FdsnError(400, f"{name} = '{text[:100]}' is no code; * and ? stand for any")
        escaped = re.escape(part).replace(r"\*", "[^.]*").replace(r"\?", "[^.]")
        out.append(escaped)
    return f"(?:{'|'.join(out)})"


def parse_lines(body: str) -> tuple[list[tuple[str, str]], list[Wanted]]:
    """Return the parameters and the selections of a POST body.

    First ``name=value`` a line, then ``NET STA LOC CHA START END`` a line, ``--`` for an empty
    location, ``*`` for any time.

    Raises
    ------
    FdsnError
        400 for a line of another form, 413 for too many.
    """
    values: list[tuple[str, str]] = []
    wanted: list[Wanted] = []
    lines = [line.strip() for line in body.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > MOST_LINES:
        raise FdsnError(413, f"{len(lines)} lines; one request holds {MOST_LINES}")
    for line in lines:
        if "=" in line and not wanted:
            name, _, text = line.partition("=")
            values.append((name.strip(), text.strip()))
            continue
        words = line.split()
        if len(words) != 6:
            raise FdsnError(400, f"line '{line[:100]}': write NET STA LOC CHA START END")
        try:
            start, end = (None if w == "*" else parse_time(w) for w in words[4:])
        except ValueError as error:
            raise FdsnError(400, f"line '{line[:100]}': {error}") from None
        network, station, location, channel = words[:4]
        selection = Wanted(network, station, location, channel, start, end)
        for name in CODES:
            _expression(name, getattr(selection, name))
        if start is not None and end is not None and start > end:
            raise FdsnError(400, f"line '{line[:100]}': the start is after the end")
        wanted.append(selection)
    if not wanted:
        raise FdsnError(400, "the body names no stream; write NET STA LOC CHA START END")
    return values, wanted
