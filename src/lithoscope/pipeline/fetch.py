"""`fetch`: recordings and station metadata of an FDSN data centre into an SDS archive."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError, DataError, StationError, StorageError
from lithoscope.files import remove_leftovers, replacing, storage_error
from lithoscope.pipeline.fetch_state import DayChannel, Journal
from lithoscope.pipeline.progress import Reporter, Silent
from lithoscope.pipeline.spans import Span, merged, without
from lithoscope.waveforms.fdsn import (
    ChannelEpoch,
    FdsnServer,
    RefusedError,
    join_records,
    read_epochs,
    read_spans,
)

DAY_NS = 86_400 * NS_PER_S
#: More gaps than this in a day are asked for by one request over all of them.
MOST_REQUESTS_A_DAY = 3
_MISSING = ["channel", "starttime", "endtime", "missing_s", "outcome", "attempts", "reason"]


@dataclass(frozen=True)
class Selection:
    """What to fetch: FDSN patterns (``*``, ``?``, comma lists; ``--`` = empty location), times."""

    network: str
    station: str
    location: str
    channel: str
    start_ns: int
    end_ns: int

    def matches(self, code: str) -> bool:
        """Return whether NET.STA.LOC.CHA matches the patterns."""
        wanted = (self.network, self.station, self.location, self.channel)
        return all(
            any(fnmatchcase(part, p.strip().replace("--", "")) for p in patterns.split(","))
            for part, patterns in zip(code.split("."), wanted, strict=True)
        )


@dataclass(frozen=True)
class FetchResult:
    """Where the archive is, how many day-channels ended how, and the spans that are missing.

    ``missing`` has one row a span: channel, starttime, endtime, missing_s, outcome (partial,
    empty or refused), attempts, reason.
    """

    path: Path
    outcomes: dict[str, int]
    n_requests: int
    n_bytes: int
    missing: pd.DataFrame


def fetch(
    selection: Selection,
    output: Path,
    server: FdsnServer,
    *,
    stations: Sequence[Path] = (),
    retries: int = 2,
    reporter: Reporter | None = None,
    now_ns: int | None = None,
) -> FetchResult:
    """Download what is selected and not there yet; run again to go on after a stop.

    Files appear below ``output``: ``waveforms`` (an SDS archive of the records as sent),
    ``stations`` (StationXML with responses, a file a station), ``fetch.jsonl`` (what was asked
    for and received), ``missing.csv``. A file is replaced whole, so a kill loses at most the
    request that was under way.

    Parameters
    ----------
    selection
        Channels and times. Days of a channel outside its epochs are not asked for; nor is what
        lies in the future.
    output
        Folder, new or of an earlier fetch (also of other channels or times).
    server
        The data centre.
    stations
        StationXML files that take the place of the station service.
    retries
        How often what is missing is asked for again, after everything was asked for once. A gap
        shorter than two samples is none.
    reporter
        Receives messages and progress.
    now_ns
        The present, ns since 1970, if it is not to be the clock's.

    Raises
    ------
    ServerAwayError
        If the server does not answer; what was received is kept.
    DataError
        If nothing matches the selection.
    StorageError
        If a file cannot be written, or another process works in the folder.
    """
    if selection.end_ns <= selection.start_ns:
        raise ConfigError("the end of the time to fetch is not after its start; give a later --end")
    reporter = reporter or Silent()
    with _lock(output):
        remove_leftovers(output)
        epochs = _epochs(selection, server, output, stations)
        units = day_channels(epochs, selection, time.time_ns() if now_ns is None else now_ns)
        job = _Job(output, server, Journal(output / "fetch.jsonl"), retries)
        todo = [unit for unit in units if not job.is_final(unit)]
        reporter.say(
            f"{len(units)} day-channels of {len({e.channel for e in epochs})} channels, "
            f"{len(todo)} to ask for"
        )
        for number in range(retries + 1):
            what = "fetching" if number == 0 else f"missing data, try {number + 1}"
            with reporter.track(what, len(todo)) as step:
                for unit in todo:
                    job.ask(unit)
                    step()
            todo = [unit for unit in units if not job.is_final(unit)]
            if not todo:
                break
        result = _summary(job, units)
        with replacing(output / "missing.csv") as temporary:
            result.missing.to_csv(temporary, index=False)
    return result


@dataclass(frozen=True)
class _Job:
    output: Path
    server: FdsnServer
    journal: Journal
    retries: int

    def path(self, unit: DayChannel) -> Path:
        return self.output / "waveforms" / sds_path(unit.channel, unit.day)

    def is_final(self, unit: DayChannel) -> bool:
        path = self.path(unit)
        size = path.stat().st_size if path.exists() else 0
        return self.journal.get(unit).is_final(unit, size, self.retries)

    def ask(self, unit: DayChannel) -> None:
        """Ask for what is missing of a day-channel, and write file and state, in this order."""
        path, state = self.path(unit), self.journal.get(unit).renewed(unit)
        held = _read(path)
        gaps = _gaps(unit, held)
        content, refused = held, ""
        try:
            for start_ns, end_ns in _requests(gaps):
                received = self.server.waveforms(unit.channel, start_ns, end_ns)
                content = (
                    join_records(content, received)
                    if content and received
                    else (content or received)
                )
        except RefusedError as error:
            refused = str(error)
        gaps = _gaps(unit, content)
        if gaps == list(unit.wanted):
            content = held  # a server may send a record that only touches the time
        if content != held:
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        state = replace(
            state,
            asked=tuple(merged([*state.asked, *unit.wanted])),
            gaps=tuple(gaps),
            attempts=state.attempts + 1,
            n_bytes=len(content),
            refused=refused,
        )
        self.journal.record(unit, state)


def sds_path(channel: str, day: str) -> Path:
    """Return YEAR/NET/STA/CHA.D/NET.STA.LOC.CHA.D.YEAR.DAY (SeisComP Data Structure)."""
    network, station, _, code = channel.split(".")
    year = day[:4]
    number = date.fromisoformat(day).strftime("%j")
    return Path(year) / network / station / f"{code}.D" / f"{channel}.D.{year}.{number}"


def day_channels(
    epochs: Sequence[ChannelEpoch], selection: Selection, now_ns: int
) -> list[DayChannel]:
    """Cut the channel epochs into UTC days, as far as they are selected and past; by day first."""
    wanted: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for epoch in epochs:
        start = max(epoch.start_ns, selection.start_ns)
        end = min(epoch.end_ns, selection.end_ns, now_ns)
        for day in range(start // DAY_NS, -(-end // DAY_NS)):
            span = max(start, day * DAY_NS), min(end, (day + 1) * DAY_NS)
            if span[0] < span[1]:
                name = pd.Timestamp(day * DAY_NS, unit="ns").strftime("%Y-%m-%d")
                wanted[name, epoch.channel].append(span)
    return [
        DayChannel(channel, day, tuple(merged(spans)))
        for (day, channel), spans in sorted(wanted.items())
    ]


def _read(path: Path) -> bytes:
    """Return the records of a file; nothing if there is none or it is damaged."""
    try:
        content = path.read_bytes()
        read_spans(content)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise storage_error("read", path, error) from None
    except DataError:
        return b""
    return content


def _gaps(unit: DayChannel, content: bytes) -> list[Span]:
    """Return what is wanted and not in the records, gaps of less than two samples left out."""
    if not content:
        return list(unit.wanted)
    held = [s for s in read_spans(content) if s.channel == unit.channel]
    if not held:
        return list(unit.wanted)
    shortest = 1.5 * NS_PER_S / min(s.sampling_rate_hz for s in held)
    missing = without(unit.wanted, [(s.start_ns, s.end_ns) for s in held])
    return [(start, end) for start, end in missing if end - start >= shortest]


def _requests(gaps: list[Span]) -> list[Span]:
    return gaps if len(gaps) <= MOST_REQUESTS_A_DAY else [(gaps[0][0], gaps[-1][1])]


def _epochs(
    selection: Selection, server: FdsnServer, output: Path, stations: Sequence[Path]
) -> list[ChannelEpoch]:
    """Return the channels to fetch; their StationXML lies in the folder afterwards."""
    folder = output / "stations"
    if stations:
        found: list[ChannelEpoch] = []
        for path in stations:
            try:
                found += read_epochs(path.read_bytes())
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / path.name)
            except shutil.SameFileError:
                pass
            except OSError as error:
                raise storage_error("read", path, error) from None
            except DataError as error:
                raise StationError(f"{path}: {error}; give StationXML") from None
    else:
        s = selection
        found = server.channels(s.network, s.station, s.location, s.channel, s.start_ns, s.end_ns)
    epochs = [
        e
        for e in found
        if selection.matches(e.channel)
        and e.start_ns < selection.end_ns
        and e.end_ns > selection.start_ns
    ]
    if not epochs:
        raise DataError(
            "no channel matches the selection at that time; check --network, --station, "
            "--location, --channel, --start and --end"
        )
    if not stations:
        _keep_station_files(epochs, server, folder)
    return epochs


def _keep_station_files(epochs: list[ChannelEpoch], server: FdsnServer, folder: Path) -> None:
    """Ask for the StationXML of stations whose file is missing or lacks a channel."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for epoch in epochs:
        network, station, location, channel = epoch.channel.split(".")
        wanted[f"{network}.{station}"].add(f"{location}.{channel}")
    for name, channels in sorted(wanted.items()):
        path = folder / f"{name}.xml"
        known = _known_channels(path)
        if channels <= known:
            continue
        codes = ",".join(sorted({c.partition(".")[2] for c in channels | known}))
        network, station = name.split(".")
        content = server.station_xml(network, station, "*", codes)
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def _known_channels(path: Path) -> set[str]:
    try:
        return {e.channel.split(".", 2)[2] for e in read_epochs(path.read_bytes())}
    except (OSError, DataError):
        return set()  # it is asked for anew


def _summary(job: _Job, units: list[DayChannel]) -> FetchResult:
    outcomes: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    n_bytes = 0
    for unit in sorted(units, key=lambda u: (u.channel, u.day)):
        state = job.journal.get(unit)
        outcomes[state.outcome] += 1
        n_bytes += state.n_bytes
        for start, end in without(unit.wanted, without(unit.wanted, state.gaps)):
            row = {
                "channel": unit.channel,
                "starttime": start,
                "endtime": end,
                "outcome": state.outcome,
                "attempts": state.attempts,
                "reason": state.refused,
            }
            last = rows[-1] if rows else {}
            same = all(last.get(k) == row[k] for k in ("channel", "outcome", "attempts", "reason"))
            if same and last["endtime"] == start:
                last["endtime"] = end
            else:
                rows.append(row)
    table = pd.DataFrame(rows, columns=_MISSING)
    table["missing_s"] = (table["endtime"] - table["starttime"]).astype("float64") / NS_PER_S
    for name in ("starttime", "endtime"):
        table[name] = pd.to_datetime(table[name].astype("int64"), utc=True)
    names = ("complete", "partial", "empty", "refused")
    return FetchResult(
        job.output, {n: outcomes[n] for n in names}, job.server.n_requests, n_bytes, table
    )


@contextmanager
def _lock(output: Path) -> Iterator[None]:
    try:
        output.mkdir(parents=True, exist_ok=True)
        handle = (output / ".lock").open("w")
    except OSError as error:
        raise storage_error("use", output, error) from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(
                f"another process is fetching into '{output}'; wait for it or choose another "
                "--output"
            ) from None
        yield
