"""From the picks table to sorted arrays: one entry per onset, with the local rate of picks."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from lithoscope.association._arrays import FloatArray, IntArray, Picks, first_at
from lithoscope.association._network import Sites
from lithoscope.association.settings import AssociationSettings
from lithoscope.errors import DataError, StationError
from lithoscope.schema import PICKS

# Same onset: times that agree within this many sigma.
_SAME_SIGMA = 3.0
# Probabilities of pickers are seldom calibrated at the ends: their log odds stay within this.
_MAX_LOG_ODDS = 1.5
# Picks that do not count in the long to the short windows of the local rate. The first one adds
# a pick, so that no rate is 0. While all picks count, the short windows grant an earlier event
# and a doublet; once only unexplained picks count, half a pick against the accident of one.
_GRANTED = (-1.0, 0.0, 2.0, 2.0)
_GRANTED_NOISE = (-1.0, 0.0, 0.5, 0.5)


@dataclass(frozen=True)
class PickArrays:
    """Picks as arrays of one length, in any order; text as objects."""

    ids: NDArray[np.object_]
    station: NDArray[np.object_]
    phase: NDArray[np.object_]
    time_ns: IntArray  # since 1970
    sigma_s: FloatArray
    probability: FloatArray  # NaN: unknown

    @classmethod
    def of_table(cls, picks: pd.DataFrame) -> PickArrays:
        """Return the columns of PICKS; raise `DataError` at the first pick that has no time."""
        table = PICKS.check(picks)
        time = table["time"].to_numpy("datetime64[ns]")
        missing = np.isnat(time)
        if missing.any():
            raise DataError(f"pick {table['pick_id'][int(np.argmax(missing))]} has no time")
        return cls(
            table["pick_id"].to_numpy(object),
            table["station"].to_numpy(object),
            table["phase"].to_numpy(object),
            time.view(np.int64),
            table["time_sigma_s"].to_numpy(float),
            table["probability"].to_numpy(float),
        )

    @classmethod
    def joined(cls, parts: Sequence[PickArrays]) -> PickArrays:
        """Return the picks of some parts, one after the other; there is one part at least."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(values) for values in columns))

    def take(self, index: NDArray[Any] | slice) -> PickArrays:
        """Return some of the picks."""
        return PickArrays(*(values[index] for values in vars(self).values()))

    def __len__(self) -> int:
        return self.ids.size


@dataclass(frozen=True)
class Onsets:
    """Sorted arrays for the search and the way back to the picks."""

    picks: Picks
    source: IntArray  # index of each onset in what is given
    given: PickArrays
    seconds: FloatArray  # of each pick that is given: s since 1970
    double: IntArray  # given picks that are the same onset on another instrument
    double_of: IntArray  # the onset that each of them is


def check_picks(picks: PickArrays) -> None:
    """Raise `DataError` at the first pick that cannot be used."""
    phase, ids, sigma = picks.phase, picks.ids, picks.sigma_s
    wrong = (phase != "P") & (phase != "S")
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(f"pick {ids[k]}: phase '{phase[k]}' is unknown; use P or S")
    if len(set(ids.tolist())) < len(ids):
        again = ids[pd.Series(ids).duplicated().to_numpy()][0]
        raise DataError(f"pick id {again} occurs more than once; ids must be unique")
    bad = ~(np.isfinite(sigma) & (sigma > 0))
    if bad.any():
        k = int(np.argmax(bad))
        raise DataError(f"pick {ids[k]}: time_sigma_s = {sigma[k]:g}; it must be positive")


def station_codes(picks: PickArrays) -> tuple[list[str], IntArray]:
    """Return the names of the stations of picks, sorted, and the number of each pick's one."""
    stations = picks.station.tolist()
    names = sorted(set(stations))
    number = {name: k for k, name in enumerate(names)}
    return names, np.fromiter((number[name] for name in stations), np.int64, len(stations))


def station_rows(
    names: list[str], code: IntArray, time_ns: IntArray, stations: pd.DataFrame
) -> IntArray:
    """Return the row of the stations table that holds for each pick.

    A pick outside all epochs of its station takes the epoch nearest in time.
    """
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(stations["station"].tolist()):
        rows_of.setdefault(name, []).append(row)
    unknown = [name for name in names if name not in rows_of]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise StationError(
            f"picks of station {unknown[0]}{more} have no entry in the stations table; "
            "add it or leave those picks out"
        )
    out = np.array([rows_of[name][0] for name in names], dtype=np.int64)[code]
    several = [k for k, name in enumerate(names) if len(rows_of[name]) > 1]
    if not several:
        return out
    begin = stations["starttime"].to_numpy("datetime64[ns]")
    end = stations["endtime"].to_numpy("datetime64[ns]")
    begin = np.where(np.isnat(begin), np.datetime64(0, "ns"), begin)
    end = np.where(np.isnat(end), pd.Timestamp.max.to_datetime64(), end)
    moment = time_ns.view("datetime64[ns]")
    for k in several:
        rows = np.array(rows_of[names[k]])
        mine = np.flatnonzero(code == k)
        t = moment[mine][:, None]
        off = np.maximum(begin[rows] - t, t - end[rows]).astype(np.int64)
        out[mine] = rows[np.argmin(np.maximum(off, 0), axis=1)]
    return out


def build_onsets(
    given: PickArrays, stations: pd.DataFrame, sites: Sites, settings: AssociationSettings
) -> Onsets:
    """Sort picks by site, phase and time, merge doubles, and weigh them by the local rate."""
    station_names, code = station_codes(given)
    site = sites.of_row[station_rows(station_names, code, given.time_ns, stations)]
    row = 2 * site + (given.phase == "S").astype(np.int64)
    seconds = given.time_ns / 1e9
    sigma = given.sigma_s
    odds = _log_odds(given.probability)
    order = np.lexsort((given.ids.astype(str), sigma, seconds, row))
    stands_for = _doubles(row[order], seconds[order], sigma[order], odds[order], code[order])
    keep = stands_for == np.arange(order.size)
    source = order[keep]
    double, double_of = order[~keep], (np.cumsum(keep) - 1)[stands_for[~keep]]
    n_rows = 2 * sites.east.size
    start = np.searchsorted(row[source], np.arange(n_rows + 1))
    everything = np.ones(source.size, dtype=np.bool_)
    rate = local_rates(start, seconds[source], everything, settings.rate_window_s, _GRANTED)
    gain = odds[source] - np.log(rate) - 0.5 * math.log(2 * math.pi)
    largest = np.zeros(n_rows)
    np.maximum.at(largest, row[source], sigma[source])
    twin = _twins(start, seconds[source], sigma[source])
    alive, first_hour = _alive(row[source], seconds[source], n_rows, settings.alive_window_s)
    picks = Picks(
        start,
        seconds[source],
        sigma[source],
        rate,
        gain,
        twin,
        largest,
        alive,
        first_hour,
    )
    return Onsets(picks, source, given, seconds, double, double_of)


def _alive(
    row: IntArray, seconds: FloatArray, n_rows: int, window_s: float
) -> tuple[NDArray[np.bool_], int]:
    """Return by hour and row whether there is a pick of the row within the window."""
    hour = np.floor(seconds / 3600.0).astype(np.int64)
    reach = math.ceil(window_s / 3600.0)
    first = int(hour.min())
    counts = np.zeros((int(hour.max()) - first + 2, n_rows), dtype=np.int64)
    np.add.at(counts, (hour - first + 1, row), 1)
    total = counts.cumsum(axis=0)
    n = total.shape[0] - 1
    later = np.minimum(np.arange(n) + 1 + reach, n)
    earlier = np.maximum(np.arange(n) - reach, 0)
    return total[later] > total[earlier], first


def _log_odds(probability: FloatArray) -> FloatArray:
    p = np.clip(np.where(np.isfinite(probability), probability, 0.5), 1e-6, 1 - 1e-6)
    return np.clip(np.log(p / (1 - p)), -_MAX_LOG_ODDS, _MAX_LOG_ODDS)


@njit(cache=True)
def _doubles(row, seconds, sigma, odds, code):  # type: ignore[no-untyped-def]
    """Return for each pick the pick that stands for its onset, mostly itself.

    Different instruments of a site pick an onset twice; the surer pick stands for both.
    """
    stands_for = np.arange(row.size)
    last = -1
    for i in range(row.size):
        if last >= 0 and row[i] == row[last] and code[i] != code[last]:
            near = _SAME_SIGMA * math.hypot(sigma[i], sigma[last])
            if seconds[i] - seconds[last] <= near:
                if (odds[i], -sigma[i]) > (odds[last], -sigma[last]):
                    for k in range(last, i):
                        if stands_for[k] == last:
                            stands_for[k] = i
                    last = i
                else:
                    stands_for[i] = last
                continue
        last = i
    return stands_for


def unexplained(twin: IntArray, owner: IntArray) -> NDArray[np.bool_]:
    """Return which onsets belong to no event, neither themselves nor as the other phase."""
    return (owner < 0) & ~((twin >= 0) & (owner[twin] >= 0))


def only(picks: Picks, kept: NDArray[np.bool_]) -> Picks:
    """Return some of the picks; what is known of rows and stations stays."""
    number = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
    return picks._replace(
        start=np.append(0, np.cumsum(kept))[picks.start],
        time=picks.time[kept],
        sigma=picks.sigma[kept],
        rate=picks.rate[kept],
        gain=picks.gain[kept],
        twin=number[picks.twin[kept]],
    )


def without(onsets: Onsets, names: Collection[str]) -> Onsets:
    """Return the onsets without those of some pick ids; rates and stations stay as they are."""
    names = frozenset(names)
    ids = onsets.given.ids[onsets.source]
    kept = np.fromiter((name not in names for name in ids), np.bool_, len(ids))
    number = np.cumsum(kept) - 1
    doubles = kept[onsets.double_of]
    return replace(
        onsets,
        picks=only(onsets.picks, kept),
        source=onsets.source[kept],
        double=onsets.double[doubles],
        double_of=number[onsets.double_of[doubles]],
    )


def with_noise_rates(onsets: Onsets, noise: NDArray[np.bool_], window_s: float) -> Onsets:
    """Return the onsets weighed by the local rate of those picks that are marked as noise."""
    picks = onsets.picks
    rate = local_rates(picks.start, picks.time, noise, window_s, _GRANTED_NOISE)
    gain = picks.gain + np.log(picks.rate / rate)
    return replace(onsets, picks=picks._replace(rate=rate, gain=gain))


@njit(cache=True)
def local_rates(start, seconds, counted, window_s, granted):  # type: ignore[no-untyped-def]
    """Rate (1/s) of other counted picks of the row: the largest of several windows around.

    The long window measures noise; the short ones coda and bursts, where ``granted`` other
    picks are left out of account.
    """
    rate = np.empty(seconds.size)
    windows = (window_s, 300.0, 60.0, 15.0)
    total = np.zeros(seconds.size + 1, dtype=np.int64)
    total[1:] = np.cumsum(counted)
    for r in range(start.size - 1):
        for i in range(start[r], start[r + 1]):
            top = 0.0
            for k in range(4):
                w = windows[k]
                a = first_at(seconds, start[r], start[r + 1], seconds[i] - w)
                b = first_at(seconds, i, start[r + 1], seconds[i] + w)
                n = total[b] - total[a] - (1 if counted[i] else 0)
                top = max(top, (n - granted[k]) / (2 * w))
            rate[i] = top
    return rate


@njit(cache=True)
def _twins(start, seconds, sigma):  # type: ignore[no-untyped-def]
    """Nearest pick of the same site and the other phase that can be the same onset, or -1."""
    twin = np.full(seconds.size, -1)
    for r in range(start.size - 1):
        other = r + 1 if r % 2 == 0 else r - 1
        for i in range(start[r], start[r + 1]):
            j = first_at(seconds, start[other], start[other + 1], seconds[i])
            best = math.inf
            for k in (j - 1, j):
                if start[other] <= k < start[other + 1]:
                    gap = abs(seconds[k] - seconds[i])
                    if gap < best and gap <= _SAME_SIGMA * math.hypot(sigma[i], sigma[k]):
                        best = gap
                        twin[i] = k
    return twin
