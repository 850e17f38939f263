"""Events as texts, each made once."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.catalog.plain import Solution
from lithoscope.catalog.quakeml_text import ID_ROOT, Parts, event_text
from lithoscope.service.cache import Cache
from lithoscope.service.features import feature
from lithoscope.service.snapshot import Snapshot
from lithoscope.service.view import StoreView

_CACHE_SIZE = 96_000_000
_PREFIX = f"{ID_ROOT}event/"


class EventTexts:
    """QuakeML event elements; those made before are kept while their solution is current."""

    def __init__(self, view: StoreView) -> None:
        self._view = view
        self._made: Cache[str] = Cache(_CACHE_SIZE)

    def of(self, events: Snapshot, rows: NDArray[np.intp], parts: Parts) -> str:
        """Return the elements of the rows, one after the other."""
        names = events.event_ids(rows)
        texts = [self._made.get(_key(events, name, parts)) for name in names]
        missing = [n for n, text in enumerate(texts) if text is None]
        if missing:
            made = self._make(events, rows[missing], parts)
            for n in missing:
                text = made.get(names[n], "")  # an event withdrawn this moment
                texts[n] = text
                self._made.put(_key(events, names[n], parts), text)
        return "".join(text or "" for text in texts)

    def missing(
        self, events: Snapshot, rows: NDArray[np.intp], parts: Parts
    ) -> list[tuple[str, Parts]]:
        """Return the events of the rows that have not been made yet, as keys of `load`."""
        return [
            (name, parts)
            for name in events.event_ids(rows)
            if self._made.get(_key(events, name, parts)) is None
        ]

    def load(self, keys: list[tuple[str, Parts]]) -> dict[tuple[str, Parts], str]:
        """Return the elements of events, each with its own parts."""
        found = self._view.solutions([name for name, _ in keys])
        return {
            (name, parts): event_text(found[name], parts)
            for name, parts in keys
            if name in found and _placed(found[name].event)
        }

    def keep(self, events: Snapshot, made: dict[tuple[str, Parts], str]) -> None:
        """Keep elements for `of`."""
        for (name, parts), text in made.items():
            if name in events:
                self._made.put(_key(events, name, parts), text)

    def _make(self, events: Snapshot, rows: NDArray[np.intp], parts: Parts) -> dict[str, str]:
        plain = rows[:0] if parts.any else rows[events.plain[rows]]
        made = {
            event.event_id: event_text(Solution(event), parts)
            for event in events.records(plain)
            if _placed(event)
        }
        others = rows if parts.any else rows[~events.plain[rows]]
        if len(others):
            found = self.load([(name, parts) for name in events.event_ids(others)])
            made |= {name: text for (name, _), text in found.items()}
        return made


def _placed(event: Any) -> bool:
    return all(v is not None and math.isfinite(v) for v in (event.longitude, event.latitude))


def _key(events: Snapshot, name: str, parts: Parts) -> tuple[tuple[int, int] | None, Parts]:
    return events.key(name), parts


def event_name(text: str) -> str:
    """Return our event id of an id as a client writes it: our own, or QuakeML's publicID."""
    if not text.startswith(_PREFIX):
        return text
    coded = text[len(_PREFIX) :]
    try:
        return re.sub(
            r"(?:~[0-9a-f]{2})+",
            lambda m: bytes.fromhex(m.group().replace("~", "")).decode(),
            coded,
        )
    except UnicodeDecodeError:
        return text


class EventFeatures:
    """GeoJSON features; those made before are kept while their solution is current."""

    def __init__(self) -> None:
        self._made: Cache[str] = Cache(_CACHE_SIZE // 3)

    def of(self, events: Snapshot, rows: NDArray[np.intp]) -> str:
        """Return the features of the rows, with commas between them."""
        names = events.event_ids(rows)
        texts = [self._made.get(events.key(name)) for name in names]
        missing = [n for n, text in enumerate(texts) if text is None]
        for n, event in zip(missing, events.records(rows[missing]), strict=True):
            text = json.dumps(feature(event), allow_nan=False)
            texts[n] = text
            self._made.put(events.key(names[n]), text)
        return ",".join(text or "" for text in texts)
