"""What a picker sees at the edge of the data: a table is made of new picks only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lithoscope.picking import LearnedPicker, Picker
from lithoscope.picking._tables import picks_table, rounded
from lithoscope.schema import PICKS
from lithoscope.waveforms import Record

Key = tuple[int, str, float]  # time (ns since 1970), phase, probability of a pick


@dataclass(frozen=True)
class Glimpse:
    """Picks as keys, and a function that returns tables of some of them, by number."""

    keys: list[Key]
    rows: Callable[[Sequence[int]], list[pd.DataFrame]]


def keys_of(picks: pd.DataFrame) -> list[Key]:
    """Return time, phase and probability of picks."""
    times = picks["time"].astype("int64").tolist()
    return list(zip(times, picks["phase"], picks["probability"].tolist(), strict=True))


def glimpse(picker: Picker, record: Record, start_ns: int) -> Glimpse:
    """Return the picks of a record from a time on.

    Those of `Picker.pick`. Of the learned picker only onsets are asked for: its tables take more
    time than its network, and most looks at the edge of the data show nothing new.
    """
    if picker.unusable(record) is not None:
        return Glimpse([], lambda _: [])
    if isinstance(picker, LearnedPicker):
        return _learned(picker, record, start_ns)
    picks, _ = picker.pick(record)
    picks = picks[picks["time"].astype("int64") >= start_ns]
    return Glimpse(keys_of(picks), lambda some: [picks.iloc[list(some)]])


def _learned(picker: LearnedPicker, record: Record, start_ns: int) -> Glimpse:
    found = dict(zip("PS", picker.onsets(record, since_ns=start_ns), strict=True))
    times = {phase: rounded(record.starttime_ns, some.time_s) for phase, some in found.items()}
    places = [(p, int(i)) for p in "PS" for i in np.flatnonzero(times[p] >= start_ns)]
    keys = [(int(times[p][i]), p, float(found[p].probability[i])) for p, i in places]

    def rows(some: Sequence[int]) -> list[pd.DataFrame]:
        tables = []
        for phase in "PS":
            at = [places[k][1] for k in some if places[k][0] == phase]
            if at:
                onsets = found[phase].take(np.array(at))
                table = picks_table(
                    *(record, phase, times[phase][at], onsets.sigma_s, onsets.probability),
                    model=picker.name,
                    rate_hz=picker.sampling_rate_hz,
                )
                tables.append(PICKS.check(table))
        return tables

    return Glimpse(keys, rows)
