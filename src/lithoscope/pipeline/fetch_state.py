"""What a download has asked for and received: a journal that a kill can only cut at its end."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from lithoscope.files import storage_error
from lithoscope.pipeline.spans import Span, without

Outcome = Literal["complete", "partial", "empty", "refused"]


@dataclass(frozen=True)
class DayChannel:
    """One channel (NET.STA.LOC.CHA) on one UTC day, and the spans of it that are wanted."""

    channel: str
    day: str  # YYYY-MM-DD
    wanted: tuple[Span, ...]


@dataclass(frozen=True)
class State:
    """What is known of a day-channel: spans asked for and still missing, tries, bytes, refusal."""

    asked: tuple[Span, ...] = ()
    gaps: tuple[Span, ...] = ()
    attempts: int = 0
    n_bytes: int = 0
    refused: str = ""

    @property
    def outcome(self) -> Outcome:
        if self.refused:
            return "refused"
        if not self.gaps:
            return "complete"
        return "partial" if self.n_bytes else "empty"

    def renewed(self, unit: DayChannel) -> State:
        """Return the state with its tries forgotten if a new time is wanted."""
        if without(unit.wanted, self.asked):
            return replace(self, attempts=0, refused="")
        return self

    def is_final(self, unit: DayChannel, n_bytes_now: int, retries: int) -> bool:
        """Return whether nothing is left to ask, as long as the file is as it was left."""
        if without(unit.wanted, self.asked) or n_bytes_now != self.n_bytes:
            return False
        return self.outcome in ("complete", "refused") or self.attempts > retries


class Journal:
    """States by channel and day, in a file of one JSON line for each change; the last one counts.

    A line is on disk before `record` returns. A line cut by a kill is ignored when read, which
    costs one request at most.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._states: dict[tuple[str, str], State] = {}
        self._torn = False
        if path.exists():
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise storage_error("read", path, error) from None
            for line in text.splitlines():
                self._take(line)
            self._torn = bool(text) and not text.endswith("\n")

    def get(self, unit: DayChannel) -> State:
        """Return what is known; a state without tries if nothing is."""
        return self._states.get((unit.channel, unit.day), State())

    def record(self, unit: DayChannel, state: State) -> None:
        """Add a state; safe against a kill and a power cut."""
        self._states[unit.channel, unit.day] = state
        line = json.dumps({"channel": unit.channel, "day": unit.day, **asdict(state)})
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(("\n" if self._torn else "") + line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error("write", self.path, error) from None
        self._torn = False

    def _take(self, line: str) -> None:
        try:
            content = json.loads(line)
            key = content.pop("channel"), content.pop("day")
            for name in ("asked", "gaps"):
                content[name] = _spans(content[name])
            self._states[key] = State(**content)
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # cut by a kill, or not ours: the file of that day is looked at again


def _spans(pairs: Sequence[Sequence[int]]) -> tuple[Span, ...]:
    return tuple((int(start), int(end)) for start, end in pairs)
