"""What an archive and its metadata hold, and what a run would make of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.schema import PROBLEMS
from lithoscope.stations._sites import problem
from lithoscope.stations.inventory import Inventory
from lithoscope.waveforms import Archive, WaveformSettings, read_records

# SEED instrument codes (manual 2.4, appendix A) with ground velocity before acceleration, and
# band codes by how well they suit local earthquakes.
_INSTRUMENTS, _BANDS = "HLPNG", "HECDBSGFML"
_SAME_AVAILABILITY = 0.9
_APART = 0.01
_DAY_NS = 86_400 * NS_PER_S


def preferred_stations(archive: Archive) -> tuple[list[str], pd.DataFrame]:
    """Choose which band of each site to pick on; return the codes and PROBLEMS on the others.

    Several bands or locations of one NET.STA record the same ground, and picking all of them
    would count every onset twice. The band with the most data (components times seconds) is
    taken; of those within 10 % of it, seismometers come before accelerometers (HH, EH, BH, SH,
    HN, ...), then the location code decides. A further band is used as well if it was recording
    at other times.
    """
    sites: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for code in archive.stations():
        sites[tuple(code.split(".")[:2])].append(code)
    chosen: list[str] = []
    problems: list[dict[str, Any]] = []
    for codes in sites.values():
        amount = {code: _component_seconds(archive, code) for code in codes}
        best = max(amount.values())
        codes = sorted(codes, key=lambda c: (amount[c] < _SAME_AVAILABILITY * best, *_rank(c)))
        used = [codes[0]]
        for code in codes[1:]:
            if all(_overlap(archive, code, other) < _APART for other in used):
                used.append(code)
                continue
            detail = f"{amount[code]:.0f} component-seconds, {used[0]} has {amount[used[0]]:.0f}"
            problems.append(problem(code, "second band of a site", detail, f"{used[0]} is used"))
        chosen += used
    return sorted(chosen), PROBLEMS.table(problems)


def explain(
    archive: Archive,
    inventory: Inventory,
    settings: WaveformSettings | None = None,
    *,
    read: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tell, station by station, what there is, and what a run would use and skip.

    Parameters
    ----------
    archive, inventory
        The data and their metadata.
    settings
        When a component counts as unusable.
    read
        Also read the samples, a day at a time, to find dead, flat, clipped and spiky channels
        and overlaps that disagree; without it only headers are looked at.
    progress
        Called with the number of stations done and in all.

    Returns
    -------
    overview, problems
        ``overview`` has one row a station: ``station, channels, sampling_rate_hz, starttime,
        endtime, available_percent`` (of the archive's span, its best channel), ``n_gaps`` (of
        that channel), ``coordinates`` (bool), ``amplitudes`` ("response", "gain", "none"),
        ``used`` (bool) and ``reason``. ``problems`` are all those of the archive, the
        inventory and the samples.
    """
    chosen, about_choice = preferred_stations(archive)
    whole = archive.span_ns()
    rows = []
    tables = [archive.problems, inventory.problems, about_choice]
    stations = archive.stations()
    for number, station in enumerate(stations):
        rows.append(_overview(archive, inventory, station, whole, station in chosen))
        if read:
            tables.append(_sample_problems(archive, inventory, station, settings))
        if progress is not None:
            progress(number + 1, len(stations))
    found = [table for table in tables if len(table)]
    problems = pd.concat(found, ignore_index=True).drop_duplicates() if found else PROBLEMS.empty()
    return pd.DataFrame(rows), PROBLEMS.check(problems)


def _rank(code: str) -> tuple[int, int, str]:
    band = code.rsplit(".", 1)[1].ljust(2)
    instrument = _INSTRUMENTS.find(band[1])
    kind = _BANDS.find(band[0])
    return (
        len(_INSTRUMENTS) if instrument < 0 else instrument // 3,
        len(_BANDS) if kind < 0 else kind,
        code,
    )


def _spans(archive: Archive, station: str) -> dict[str, list[tuple[int, int]]]:
    """Return the stretches of data of each channel, joined where they touch."""
    out: dict[str, list[tuple[int, int]]] = {}
    for channel, part in archive.of_station(station).groupby("channel"):
        step = NS_PER_S / part["sampling_rate_hz"].to_numpy()
        starts, ends = part["starttime_ns"].to_numpy(), part["endtime_ns"].to_numpy() + step
        joined: list[tuple[int, int]] = []
        for k in np.argsort(starts, kind="stable"):
            # Within half a sample two pieces are one, as on reading.
            if joined and starts[k] <= joined[-1][1] + 0.5 * step[k]:
                joined[-1] = joined[-1][0], max(joined[-1][1], int(ends[k]))
            else:
                joined.append((int(starts[k]), int(ends[k])))
        out[str(channel)] = joined
    return out


def _component_seconds(archive: Archive, station: str) -> float:
    spans = _spans(archive, station).values()
    return sum(b - a for joined in spans for a, b in joined) / NS_PER_S


def _best(spans: dict[str, list[tuple[int, int]]]) -> list[tuple[int, int]]:
    return max(spans.values(), key=lambda joined: sum(b - a for a, b in joined))


def _overlap(archive: Archive, station: str, other: str) -> float:
    """Return the part of a station's time in which the other records too."""
    mine, theirs = _best(_spans(archive, station)), _best(_spans(archive, other))
    common = sum(max(min(b, d) - max(a, c), 0) for a, b in mine for c, d in theirs)
    return common / sum(b - a for a, b in mine)


def _overview(
    archive: Archive, inventory: Inventory, station: str, whole: tuple[int, int], chosen: bool
) -> dict[str, Any]:
    segments = archive.of_station(station)
    spans = _best(_spans(archive, station))
    start_ns, end_ns = archive.span_ns(station)
    placed = bool((inventory.stations["station"] == station).any())
    channels = archive.channels(station)
    if not placed:
        reason = "no coordinates"
    elif not chosen:
        reason = "another band of the site is used"
    else:
        reason = ""
    return {
        "station": station,
        "channels": "".join(channel[-1] for channel in channels),
        "sampling_rate_hz": "/".join(f"{r:g}" for r in sorted(set(segments["sampling_rate_hz"]))),
        "starttime": pd.Timestamp(start_ns, tz="UTC"),
        "endtime": pd.Timestamp(end_ns, tz="UTC"),
        "available_percent": _percent(spans, whole),
        "n_gaps": len(spans) - 1,
        "coordinates": placed,
        "amplitudes": _amplitudes(inventory, channels, start_ns),
        "used": placed and chosen,
        "reason": reason,
    }


def _percent(spans: list[tuple[int, int]], whole: tuple[int, int]) -> float:
    length = max(whole[1] - whole[0], 1)
    return round(min(100.0 * sum(b - a for a, b in spans) / length, 100.0), 2)


def _amplitudes(inventory: Inventory, channels: list[str], time_ns: int) -> str:
    rows = [inventory.channel(channel, time_ns) for channel in channels]
    known = [row for row in rows if row is not None]
    if known and all(row["has_response"] for row in known):
        return "response"
    return "gain" if any(np.isfinite(row["gain"]) for row in known) else "none"


def _sample_problems(
    archive: Archive, inventory: Inventory, station: str, settings: WaveformSettings | None
) -> pd.DataFrame:
    """Read a station day by day and join what is found: one row a channel and problem."""
    first, last = archive.span_ns(station)
    tables = []
    for start in range(first - first % _DAY_NS, last + 1, _DAY_NS):
        _, table = read_records(
            archive,
            station,
            start,
            start + _DAY_NS,
            channels=inventory.channels,
            settings=settings,
        )
        if len(table):
            tables.append(table)
    if not tables:
        return PROBLEMS.empty()
    rows = []
    for _, part in pd.concat(tables).groupby(["what", "problem", "action"], sort=False):
        row = part.iloc[0].to_dict()
        if len(part) > 1:
            row["detail"] = f"{row['detail']}, and on {len(part) - 1} more day(s)"
            row["starttime"], row["endtime"] = part["starttime"].min(), part["endtime"].max()
        rows.append(row)
    return PROBLEMS.table(rows)
