"""What a picker sees at the edge of the data: a table is made of new picks only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.picking import LearnedPicker, Picker
from lithoscope.picking._peaks import Onsets
from lithoscope.picking._tables import picks_columns, picks_of, rounded
from lithoscope.schema import PICKS
from lithoscope.waveforms import Record

Row = tuple[Any, ...]  # a pick as the columns of PICKS, its time in ns since 1970
Key = tuple[int, str, float]  # time (ns since 1970), phase, probability of a pick
_TIME, _PHASE, _PROBABILITY = (PICKS.names.index(n) for n in ("time", "phase", "probability"))


@dataclass(frozen=True)
class Glimpse:
    """Picks as keys, and a function that returns some of them whole, by number."""

    keys: list[Key]
    rows: Callable[[Sequence[int]], list[Row]]

    @classmethod
    def of(cls, picks: list[Row]) -> Glimpse:
        """Return picks that are whole already."""
        return cls([key_of(row) for row in picks], lambda some: [picks[k] for k in some])


def key_of(row: Row) -> Key:
    """Return time, phase and probability of a pick."""
    return row[_TIME], row[_PHASE], row[_PROBABILITY]


def same_row(a: Row, b: Row) -> bool:
    """Tell whether two picks are the same in all that is known of them."""
    return a is b or all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))


def rows_of(picks: pd.DataFrame) -> list[Row]:
    """Return the rows of PICKS: plain, for a few picks that change often."""
    columns = {name: picks[name].tolist() for name in PICKS.names if name != "time"}
    columns["time"] = picks["time"].astype("int64").tolist()
    return list(zip(*(columns[name] for name in PICKS.names), strict=True))


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as PICKS."""
    if not rows:
        return PICKS.empty()
    return picks_of(dict(zip(PICKS.names, zip(*rows, strict=True), strict=True)))


def reach_s(picker: Picker) -> float:
    """Return how long before the picks that are wanted of `glimpses` a record is to begin."""
    return picker.near_s if isinstance(picker, LearnedPicker) else picker.context_s


def glimpses(picker: Picker, parts: Sequence[tuple[Record, int]]) -> list[Glimpse]:
    """Return the picks of some records, each from a time on.

    Those of `Picker.pick`. Of the learned picker only onsets are asked for, of all records at once:
    the rest takes more time than its network, and most looks at the edge of the data show nothing
    new.

    Raises
    ------
    DataError
        If a sample is not finite.
    """
    if not isinstance(picker, LearnedPicker):
        return [_glimpse(picker, record, start_ns) for record, start_ns in parts]
    usable = [picker.unusable(record) is None for record, _ in parts]
    some = [part for part, good in zip(parts, usable, strict=True) if good]
    found = iter(picker.onsets_together([r for r, _ in some], [t for _, t in some]))
    return [
        _learned(picker, *part, next(found)) if good else Glimpse.of([])
        for part, good in zip(parts, usable, strict=True)
    ]


def _glimpse(picker: Picker, record: Record, start_ns: int) -> Glimpse:
    if picker.unusable(record) is not None:
        return Glimpse.of([])
    picks, _ = picker.pick(record)
    return Glimpse.of(rows_of(picks[picks["time"].astype("int64") >= start_ns]))


def _learned(
    picker: LearnedPicker, record: Record, start_ns: int, found: tuple[Onsets, Onsets]
) -> Glimpse:
    onsets = dict(zip("PS", found, strict=True))
    times = {phase: rounded(record.starttime_ns, some.time_s) for phase, some in onsets.items()}
    places = [(p, int(i)) for p in "PS" for i in np.flatnonzero(times[p] >= start_ns)]
    keys = [(int(times[p][i]), p, float(onsets[p].probability[i])) for p, i in places]

    def rows(some: Sequence[int]) -> list[Row]:
        found: list[Row] = []
        for phase in "PS":
            at = [places[k][1] for k in some if places[k][0] == phase]
            if at:
                mine = onsets[phase].take(np.array(at))
                columns = picks_columns(
                    *(record, phase, times[phase][at], mine.sigma_s, mine.probability),
                    model=picker.name,
                    rate_hz=picker.sampling_rate_hz,
                )
                found += zip(*(columns[name] for name in PICKS.names), strict=True)
        return found

    return Glimpse(keys, rows)
