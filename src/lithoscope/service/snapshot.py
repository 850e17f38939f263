"""The events in memory: columns to select by, and each event's text made once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.service.solutions import Solutions
from lithoscope.service.times import iso

#: Slots that may stand empty before they are taken back, beside as many as are in use.
_MOST_EMPTY = 10_000


class Snapshot:
    """All events of a store at one moment, in order of time.

    Parameters
    ----------
    solutions
        Solutions of which some are current.
    slots
        The current ones.
    sequence
        The store's count of changes that this is the state after.
    slot_of
        The current slot of each event, if that is known already.

    Attributes
    ----------
    slots
        Slot of each row.
    time_ns, updated_ns, longitude, latitude, depth_km, magnitude
        Columns in order of the rows; longitudes from -180 to 180 degrees.
    """

    def __init__(
        self,
        solutions: Solutions,
        slots: NDArray[np.intp],
        sequence: int,
        slot_of: dict[str, int] | None = None,
    ) -> None:
        self.solutions, self.sequence = solutions, sequence
        self.slots = _in_order(solutions, slots)
        self.time_ns = self._column("time_ns")
        self.updated_ns = self._column("updated_ns")
        self.longitude, self.latitude = self._column("turned_longitude"), self._column("latitude")
        self.depth_km, self.magnitude = self._column("depth_km"), self._column("magnitude")
        if slot_of is None:
            names = solutions.column("event_id", self.slots).tolist()
            slot_of = dict(zip(names, self.slots.tolist(), strict=True))
        self._slot_of = slot_of
        self._equal: dict[tuple[str, tuple[str, ...]], NDArray[np.bool_]] = {}

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]], sequence: int) -> Snapshot:
        """Return the events of a whole store (`Store.event_columns`)."""
        solutions = Solutions(columns)
        return cls(solutions, np.arange(solutions.size), sequence)

    def after(
        self, touched: Iterable[str], columns: Mapping[str, NDArray[Any]], sequence: int
    ) -> Snapshot:
        """Return the events after some of them have changed, the others as they are here.

        Parameters
        ----------
        touched
            Ids of events that are new, changed or gone.
        columns
            Those of them that are there.
        sequence
            The store's count of changes after it.
        """
        slot_of = self._slot_of.copy()
        gone = [slot_of.pop(name) for name in touched if name in slot_of]
        kept = self.slots[~np.isin(self.slots, gone)]
        new = self.solutions.add(columns)
        names = self.solutions.column("event_id", new).tolist()
        slot_of.update(zip(names, new.tolist(), strict=True))
        slots = np.concatenate([kept, new])
        if self.solutions.size > 2 * len(slots) + _MOST_EMPTY:
            solutions = self.solutions.only(slots)
            return Snapshot(solutions, np.arange(solutions.size), sequence)
        return Snapshot(self.solutions, slots, sequence, slot_of)

    def __len__(self) -> int:
        return len(self.slots)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._slot_of

    def _column(self, name: str) -> NDArray[Any]:
        return self.solutions.column(name, self.slots)

    def row(self, event_id: str) -> int | None:
        """Return the row of an event, None if there is no such event."""
        slot = self._slot_of.get(event_id)
        if slot is None:
            return None
        time_ns = self.solutions.column("time_ns", np.array([slot]))[0]
        low, high = (int(np.searchsorted(self.time_ns, time_ns, side=s)) for s in _SIDES)
        return low + int(np.flatnonzero(self.slots[low:high] == slot)[0])

    def key(self, event_id: str) -> tuple[int, int] | None:
        """Return what stands for the current solution of an event and no other, None if none."""
        slot = self._slot_of.get(event_id)
        return None if slot is None else (self.solutions.generation, slot)

    def event_ids(self, rows: NDArray[np.intp]) -> list[str]:
        """Return the ids of rows."""
        names: list[str] = self.solutions.column("event_id", self.slots[rows]).tolist()
        return names

    def records(self, rows: NDArray[np.intp]) -> list[Any]:
        """Return rows as named tuples of all columns (`ShownEvent`)."""
        return self.solutions.rows(self.slots[rows])

    def equal(self, name: str, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which rows have one of some texts in a column, whatever their case."""
        key = (name, tuple(texts))
        found = self._equal.get(key)
        if found is None:
            wanted = self.solutions.codes(name, key[1])
            found = np.isin(self._column(f"{name} code"), wanted)
            if len(self._equal) < 100:  # clients choose the texts
                self._equal[key] = found
        return found

    @property
    def withdrawn(self) -> NDArray[np.bool_]:
        """Which events an operator has rejected, or the watch has cancelled."""
        return self.equal("evaluation_status", ("rejected",))

    @cached_property
    def plain(self) -> NDArray[np.bool_]:
        """Which events nobody has judged: all that is said of them is in the columns."""
        automatic = self.equal("evaluation_mode", ("automatic",))
        return automatic & self.equal("evaluation_status", ("preliminary",))

    def compact(self, rows: NDArray[np.intp]) -> str:
        """Return rows as the inner part of a JSON array of arrays."""
        fragments = self.solutions.compact
        return ",".join([fragments[slot] for slot in self.slots[rows].tolist()])

    def lines(self, rows: NDArray[np.intp], catalog: str, contributor: str) -> str:
        """Return rows as lines of the FDSN event text format (1.2, with the event type).

        Lines are kept, so the names of a server's catalogue and contributor do not change.
        """
        slots = self.slots[rows]
        kept = self.solutions.lines
        found = [kept[slot] for slot in slots.tolist()]
        if None in found:
            missing = [n for n, line in enumerate(found) if line is None]
            for n, line in zip(
                missing, self._lines(slots[missing], catalog, contributor), strict=True
            ):
                found[n] = kept[slots[n]] = line
        return "".join(line or "" for line in found)

    def _lines(self, slots: NDArray[np.intp], catalog: str, contributor: str) -> Iterator[str]:
        columns = [self.solutions.column(name, slots).tolist() for name in _LINE]
        source, name = _plain(contributor), _plain(catalog)
        return (_text_line(row, name, source) for row in zip(*columns, strict=True))

    @cached_property
    def overview(self) -> dict[str, Any]:
        """Number, times, magnitudes and limits of the events that are not withdrawn."""
        shown = ~self.withdrawn
        times, size = self.time_ns[shown], self.magnitude[shown]
        size = size[np.isfinite(size)]
        placed = shown & np.isfinite(self.longitude) & np.isfinite(self.latitude)
        longitude, latitude = self.longitude[placed], self.latitude[placed]
        limits = None
        if len(longitude):
            limits = (longitude.min(), latitude.min(), longitude.max(), latitude.max())
        return {
            "n_events": int(shown.sum()),
            "starttime": iso(int(times[0])) if len(times) else None,
            "endtime": iso(int(times[-1])) if len(times) else None,
            "min_magnitude": float(size.min()) if len(size) else None,
            "max_magnitude": float(size.max()) if len(size) else None,
            "limits": limits,
        }


_SIDES: tuple[Any, Any] = ("left", "right")


def _in_order(solutions: Solutions, slots: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return slots in order of time; equal times in order of id."""
    slots = slots[np.argsort(solutions.column("time_ns", slots), kind="stable")]
    times = solutions.column("time_ns", slots)
    same = np.flatnonzero(times[1:] == times[:-1])
    for first in same[np.diff(same, prepend=-2) > 1].tolist():
        end = int(np.searchsorted(times, times[first], side="right"))
        run = slots[first:end]
        names = solutions.column("event_id", run).tolist()
        slots[first:end] = run[sorted(range(len(run)), key=names.__getitem__)]
    return slots


_LINE = (
    "event_id",
    "time_ns",
    "latitude",
    "longitude",
    "depth_km",
    "magnitude_type",
    "magnitude",
    "event_type",
)


def _text_line(row: tuple[Any, ...], catalog: str, contributor: str) -> str:
    name, time_ns, latitude, longitude, depth_km, magnitude_type, magnitude, event_type = row
    name = _plain(name)
    kind, author = "", ""
    if math.isfinite(magnitude):
        kind, author = _plain(magnitude_type), contributor
    return (
        f"{name}|{iso(time_ns)[:-1]}|{_number(latitude, 6)}|{_number(longitude, 6)}|"
        f"{_number(depth_km, 3)}|{contributor}|{catalog}|{contributor}|{name}|{kind}|"
        f"{_number(magnitude, 2)}|{author}||{_plain(event_type)}\n"
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if math.isfinite(value) else ""


def _plain(text: str) -> str:
    """Return text that cannot end a field or a line."""
    if text.isprintable() and "|" not in text:
        return text
    return "".join(c if c.isprintable() and c != "|" else "_" for c in text)
