"""Solutions as plain rows: the values of a database, without tables.

A table of a few rows costs as much as one of thousands, so services that answer many small requests
work on these. Rows are named tuples of the columns of `lithoscope.schema`; times are integers, ns
since 1970 UTC, in columns named ``..._ns``; what is not known is None (or NaN).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from lithoscope.catalog.store_tables import STATE_COLUMNS, stored_name, to_columns
from lithoscope.catalog.tables import SCHEMAS, Catalog, rows_of


def _row_type(name: str, more: tuple[str, ...] = ()) -> Any:
    fields = [stored_name(c.name, c.kind) for c in SCHEMAS[name].columns]
    return namedtuple(f"{name}_row", [*fields, *more])  # type: ignore[misc]


#: Types of the rows of each table.
ROWS: dict[str, Any] = {name: _row_type(name) for name in SCHEMAS}
#: An event as the store shows it: EVENTS with its version, and how that was judged.
ShownEvent: Any = _row_type("events", STATE_COLUMNS)


@dataclass(frozen=True)
class Solution:
    """An event as located once, what it rests on, and how it is judged.

    Attributes
    ----------
    event
        Row of EVENTS.
    arrivals
        Rows of ARRIVALS; None if they were not read.
    picks, magnitudes
        Rows of PICKS and STATION_MAGNITUDES.
    mode, status
        QuakeML's evaluation.
    automatic
        The latest automatic solution, where this one is an operator's with another origin.
    comments
        What operators wrote: rows with ``user``, ``made_at`` (ns) and ``text``.
    """

    event: Any
    arrivals: list[Any] | None = None
    picks: list[Any] = field(default_factory=list)
    magnitudes: list[Any] = field(default_factory=list)
    mode: str = "automatic"
    status: str = "preliminary"
    automatic: Solution | None = None
    comments: list[Any] = field(default_factory=list)


def plain_rows(frame: pd.DataFrame, name: str) -> list[Any]:
    """Return the rows of a checked table."""
    columns = to_columns(frame, SCHEMAS[name])
    return [ROWS[name](*values) for values in zip(*columns.values(), strict=True)]


def solutions(catalog: Catalog) -> Iterator[Solution]:
    """Yield the solution of each event of a catalogue, in its order, as it is judged."""
    automatic: dict[str, Solution] = {}
    judged: dict[str, tuple[str, str]] = {}
    comments: dict[str, list[Any]] = {}
    if catalog.evaluation is not None:
        automatic = {s.event.event_id: s for s in _unjudged(catalog.evaluation.automatic)}
        for row in rows_of(catalog.evaluation.judged):
            judged[row.event_id] = (row.evaluation_mode, row.evaluation_status)
        for row in rows_of(catalog.evaluation.comments):
            comments.setdefault(row.event_id, []).append(row._replace(made_at=row.made_at.value))
    for solution in _unjudged(catalog):
        name = solution.event.event_id
        mode, status = judged.get(name, ("automatic", "preliminary"))
        other = automatic.get(name)
        if other is not None and _same_origin(solution, other):
            other = None
        yield replace(
            solution, mode=mode, status=status, automatic=other, comments=comments.get(name, [])
        )


def _unjudged(catalog: Catalog) -> Iterator[Solution]:
    tables = {
        name: plain_rows(getattr(catalog, name), name)
        for name in ("events", "arrivals", "picks", "station_magnitudes")
    }
    yield from gathered(tables)


def gathered(tables: dict[str, list[Any]]) -> Iterator[Solution]:
    """Yield the solutions whose rows lie mixed in the tables, in the order of ``events``."""
    picks: dict[str, Any] = {}
    for pick in tables["picks"]:
        picks.setdefault(pick.pick_id, pick)
    arrivals: dict[str, list[Any]] = {}
    for row in tables["arrivals"]:
        arrivals.setdefault(row.event_id, []).append(row)
    magnitudes: dict[str, list[Any]] = {}
    for row in tables["station_magnitudes"]:
        magnitudes.setdefault(row.event_id, []).append(row)
    for event in tables["events"]:
        mine = arrivals.get(event.event_id, [])
        used = [picks[a.pick_id] for a in mine if a.pick_id in picks]
        yield Solution(event, mine, used, magnitudes.get(event.event_id, []))


def _same_origin(one: Solution, other: Solution) -> bool:
    """Return whether two solutions differ in judgement or type at most."""
    names = ("time_ns", "longitude", "latitude", "depth_km")
    same = all(getattr(one.event, n) == getattr(other.event, n) for n in names)
    return same and _pick_ids(one) == _pick_ids(other)


def _pick_ids(solution: Solution) -> set[str]:
    return {arrival.pick_id for arrival in solution.arrivals or ()}
