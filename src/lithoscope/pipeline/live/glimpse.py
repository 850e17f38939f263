"""What a picker sees at the edge of the data: a table is made of new picks only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.picking import LearnedPicker, Picker
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


def key_of(row: Row) -> Key:
    """Return time, phase and probability of a pick."""
    return row[_TIME], row[_PHASE], row[_PROBABILITY]


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


def glimpse(picker: Picker, record: Record, start_ns: int) -> Glimpse:
    """Return the picks of a record from a time on.

    Those of `Picker.pick`. Of the learned picker only onsets are asked for: the rest takes more
    time than its network, and most looks at the edge of the data show nothing new.
    """
    if picker.unusable(record) is not None:
        return Glimpse([], lambda _: [])
    if isinstance(picker, LearnedPicker):
        return _learned(picker, record, start_ns)
    picks, _ = picker.pick(record)
    found = rows_of(picks[picks["time"].astype("int64") >= start_ns])
    return Glimpse([key_of(row) for row in found], lambda some: [found[k] for k in some])


def _learned(picker: LearnedPicker, record: Record, start_ns: int) -> Glimpse:
    onsets = dict(zip("PS", picker.onsets(record, since_ns=start_ns), strict=True))
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
