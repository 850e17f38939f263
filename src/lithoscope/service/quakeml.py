"""Events as QuakeML, each made once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from lithoscope.catalog import Catalog
from lithoscope.catalog.quakeml_write import ID_ROOT, quakeml_event, quakeml_events
from lithoscope.service.cache import Cache
from lithoscope.service.snapshot import Snapshot
from lithoscope.service.view import StoreView

_CACHE_SIZE = 96_000_000
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PREFIX = f"{ID_ROOT}event/"
_OF_STATIONS = ("stationMagnitude", "amplitude")


@dataclass(frozen=True)
class Parts:
    """What of an event a request wants beside its preferred origin and magnitude."""

    origins: bool = False
    magnitudes: bool = False
    arrivals: bool = False

    @property
    def any(self) -> bool:
        return self.origins or self.magnitudes or self.arrivals


class EventTexts:
    """QuakeML event elements; those made before are kept while their solution is current."""

    def __init__(self, view: StoreView) -> None:
        self._view = view
        self._made: Cache[str] = Cache(_CACHE_SIZE)

    def of(self, events: Snapshot, rows: NDArray[np.intp], parts: Parts) -> str:
        """Return the elements of the rows, one after the other."""
        keys = [_key(events, row, parts) for row in rows.tolist()]
        texts = [self._made.get(key) for key in keys]
        missing = [n for n, text in enumerate(texts) if text is None]
        if missing:
            made = self._make(events, rows[missing], parts)
            for n in missing:
                name = events.event_ids[rows[n]]
                text = made.get(name, "")  # an event withdrawn this moment
                texts[n] = text
                self._made.put(keys[n], text)
        return "".join(text or "" for text in texts)

    def missing(
        self, events: Snapshot, rows: NDArray[np.intp], parts: Parts
    ) -> list[tuple[str, Parts]]:
        """Return the events of the rows that have not been made yet, as keys of `load`."""
        return [
            (events.event_ids[row], parts)
            for row in rows.tolist()
            if self._made.get(_key(events, row, parts)) is None
        ]

    def load(self, keys: list[tuple[str, Parts]]) -> dict[tuple[str, Parts], str]:
        """Return the elements of events, each with its own parts."""
        found: dict[tuple[str, Parts], str] = {}
        for parts in {parts for _, parts in keys}:
            names = [name for name, own in keys if own == parts]
            made = self._elements(self._view.catalog(names), parts)
            found |= {(name, parts): text for name, text in made.items()}
        return found

    def keep(self, events: Snapshot, made: dict[tuple[str, Parts], str]) -> None:
        """Keep elements for `of`."""
        for (name, parts), text in made.items():
            if name in events.position:
                self._made.put(_key(events, events.position[name], parts), text)

    def _make(self, events: Snapshot, rows: NDArray[np.intp], parts: Parts) -> dict[str, str]:
        plain = rows[:0] if parts.any else rows[events.plain[rows]]
        made = {
            event.event_id: _written(_trimmed(quakeml_event(event), parts))
            for event in events.records(plain)
            if math.isfinite(event.longitude) and math.isfinite(event.latitude)
        }
        names = [events.event_ids[row] for row in rows.tolist()]
        others = names if parts.any else [n for n in names if not events.plain[events.position[n]]]
        return made | (self._elements(self._view.catalog(others), parts) if others else {})

    def _elements(self, catalog: Catalog, parts: Parts) -> dict[str, str]:
        placed = catalog.events
        placed = placed[np.isfinite(placed["longitude"]) & np.isfinite(placed["latitude"])]
        elements = quakeml_events(replace(catalog, events=placed))
        return {
            name: _written(_trimmed(element, parts))
            for name, element in zip(placed["event_id"].tolist(), elements, strict=True)
        }


def _key(events: Snapshot, row: int, parts: Parts) -> tuple[str, int, int, Parts]:
    return (
        events.event_ids[row],
        int(events.versions[row]),
        int(events.updated_ns[row]),
        parts,
    )


def _trimmed(event: ET.Element, parts: Parts) -> ET.Element:
    """Return the element with no more than what was asked for."""
    preferred = event.findtext("preferredOriginID")
    for child in list(event):
        if (
            (child.tag == "pick" and not parts.arrivals)
            or (child.tag in _OF_STATIONS and not parts.magnitudes)
            or (child.tag == "origin" and not parts.origins and child.get("publicID") != preferred)
        ):
            event.remove(child)
    if not parts.arrivals:
        _drop(event, "origin", "arrival")
    if not parts.magnitudes:
        _drop(event, "magnitude", "stationMagnitudeContribution")
    return event


def _drop(event: ET.Element, parent: str, tag: str) -> None:
    for element in event.findall(parent):
        for child in element.findall(tag):
            element.remove(child)


def _written(event: ET.Element) -> str:
    text = ET.tostring(event, encoding="unicode")
    # Characters that no XML document may hold, from a database that somebody else filled.
    return _NO_XML.sub("_", text) + "\n"


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


class EventLines:
    """Lines of the FDSN text format; those made before are kept."""

    def __init__(self, catalog: str, contributor: str) -> None:
        self._names = (catalog, contributor)
        self._made: dict[str, tuple[int, int, str]] = {}

    def of(self, events: Snapshot, rows: NDArray[np.intp]) -> str:
        """Return the lines of the rows, one after the other."""
        out = []
        missing = []
        for number, row in enumerate(rows.tolist()):
            name = events.event_ids[row]
            version, updated, line = self._made.get(name, (0, 0, ""))
            if version != events.versions[row] or updated != events.updated_ns[row]:
                missing.append(number)
            out.append(line)
        if missing:
            made = events.lines(rows[missing], *self._names)
            for number, line in zip(missing, made, strict=True):
                row, out[number] = rows[number], line
                stamp = int(events.versions[row]), int(events.updated_ns[row])
                self._made[events.event_ids[row]] = (*stamp, line)
        return "".join(out)
