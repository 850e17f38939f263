"""Index of the headers of any set of waveform files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.schema import PROBLEMS
from lithoscope.waveforms._files import FileHeader, list_files, read_header
from lithoscope.waveforms._runs import plan_runs
from lithoscope.waveforms.record import offset_ns
from lithoscope.waveforms.remote import RemoteFile
from lithoscope.waveforms.settings import WaveformSettings

COMPONENTS = "ZNE123RT"

_COLUMNS = [
    "path",
    "channel",
    "station",
    "starttime_ns",
    "endtime_ns",
    "sampling_rate_hz",
    "n_samples",
    "format",
    "file_digest",
]


@dataclass(frozen=True)
class Archive:
    """What an archive holds, by headers only.

    Attributes
    ----------
    segments
        One row a piece of one channel: ``path, channel (NET.STA.LOC.CHA), station
        (NET.STA.LOC.BI), starttime_ns, endtime_ns (last sample), sampling_rate_hz, n_samples,
        format (ObsPy's name), file_digest (hash of the file's bytes)``.
    problems
        PROBLEMS found while indexing.
    """

    segments: pd.DataFrame
    problems: pd.DataFrame

    @cached_property
    def _rows(self) -> dict[Any, Any]:
        """Rows of each station; a search of millions of segments for each of as many units."""
        return dict(self.segments.groupby("station").indices)

    def __getstate__(self) -> dict[str, Any]:
        return {"segments": self.segments, "problems": self.problems}

    def stations(self) -> list[str]:
        """Return the codes NET.STA.LOC.BI, sorted."""
        return sorted(self._rows)

    def channels(self, station: str) -> list[str]:
        """Return the codes NET.STA.LOC.CHA of a station, sorted."""
        return sorted(self.of_station(station)["channel"].unique())

    def of_station(self, station: str) -> pd.DataFrame:
        """Return the segments of one station.

        Raises
        ------
        DataError
            If the archive does not hold it.
        """
        rows = self.segments.iloc[self._rows.get(station, [])]
        if rows.empty:
            known = self.stations()
            raise DataError(
                f"station '{station}' is not in the data; there are {', '.join(known[:5])}"
                + (f" and {len(known) - 5} more" if len(known) > 5 else "")
            )
        return rows

    def span_ns(self, station: str | None = None) -> tuple[int, int]:
        """Return the first and the last sample's time (of all stations), ns since 1970."""
        rows = self.segments if station is None else self.of_station(station)
        return int(rows["starttime_ns"].min()), int(rows["endtime_ns"].max())

    def digest(self, station: str, start_ns: int, end_ns: int) -> str:
        """Return a key of the content that ``[start_ns, end_ns)`` of a station is read from.

        It changes when the bytes of a file that overlaps the range change, when such a file
        comes or goes, and with nothing else: not with paths, nor with other files.
        """
        rows = self.of_station(station)
        rows = rows[(rows["starttime_ns"] < end_ns) & (rows["endtime_ns"] >= start_ns)]
        names = ["channel", "starttime_ns", "n_samples", "sampling_rate_hz", "file_digest"]
        state = hashlib.blake2b(f"{station} {start_ns} {end_ns}\n".encode(), digest_size=16)
        for line in sorted(
            "{} {} {} {!r} {}".format(*row) for row in zip(*(rows[c] for c in names), strict=True)
        ):
            state.update(line.encode() + b"\n")
        return state.hexdigest()


def index_archive(
    sources: Path | str | Sequence[Path | str],
    settings: WaveformSettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Archive:
    """Index every waveform file under ``sources`` by its headers.

    A source is a path, or a URL of a store that fsspec reads (`lithoscope.waveforms.remote`).

    Files may be in any format that ObsPy reads, in any order and folder structure (an SDS
    archive is a folder like any other). Files that hold no waveforms are listed, not fatal; a
    file with the same bytes as another is used once. Each file is read once, for its headers
    and a hash of its bytes.

    Parameters
    ----------
    sources
        A folder (searched to any depth), a file, a pattern, or a list of these.
    settings
        Channels to use.
    progress
        Called with the number of files done and in all.

    Raises
    ------
    DataError
        If there are no files, or none of them holds a usable waveform.
    """
    settings = settings or WaveformSettings()
    files = list_files(sources)
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    where = str(given[0]) if len(given) == 1 else f"{given[0]} and {len(given) - 1} other sources"
    if not files:
        raise DataError(f"no files found in {where}; give a folder with waveform files")
    headers: list[FileHeader] = []
    foreign: list[tuple[Path | RemoteFile, str]] = []
    for number, path in enumerate(files):
        try:
            headers.append(read_header(path))
        except DataError as error:
            foreign.append((path, str(error)))
        if progress is not None:
            progress(number + 1, len(files))
    problems = _foreign_rows(foreign)
    headers, repeated = _drop_duplicates(headers)
    problems += repeated
    rows: list[dict[str, Any]] = []
    for header in headers:
        problems += [
            _problem(header.path.name, "damaged", text, "read as far as possible")
            for text in header.complaints
        ]
        rows += _usable_rows(header, settings, problems)
    if not rows:
        raise DataError(f"no usable waveforms found in {where}; {_reasons(problems)}")
    segments = pd.DataFrame(rows, columns=_COLUMNS).sort_values(
        ["channel", "starttime_ns", "n_samples", "file_digest"], ignore_index=True
    )
    for station, part in segments.groupby("station", sort=True):
        found = [plan_runs(rows)[1] for _, rows in part.groupby("channel", sort=True)]
        problems += _shared(str(station), found)
    return Archive(segments, PROBLEMS.table(problems))


def _problem(what: str, problem: str, detail: str, action: str, **times: Any) -> dict[str, Any]:
    return {"what": what, "problem": problem, "detail": detail, "action": action, **times}


def _reasons(problems: list[dict[str, Any]], limit: int = 3) -> str:
    """Return each different reason once, with the first file or channel it is true of."""
    found: dict[tuple[str, str], list[str]] = {}
    for p in problems:
        reason = p["problem"], p["detail"].split(", in ")[0]  # whatever file it is in
        found.setdefault(reason, []).append(f"{p['what']}: {p['problem']} ({p['detail']})")
    parts = [
        f"{alike[0]} and {len(alike) - 1} more like it" if len(alike) > 1 else alike[0]
        for alike in list(found.values())[:limit]
    ]
    return "; ".join(parts + ["..."] * (len(found) > limit))


def _shared(station: str, found: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Join rows that say the same of all channels of a station."""
    keys = ("problem", "detail", "action")
    first = found[0]
    if len(found) == 1 or any(
        [[r[k] for k in keys] for r in f] != [[r[k] for k in keys] for r in first] for f in found
    ):
        return [row for rows in found for row in rows]
    return [{**row, "what": station} for row in first]


# A file so called is meant to be waveforms, so it is named when it cannot be read.
_WAVEFORM_SUFFIXES = {
    *(".mseed", ".miniseed", ".msd", ".ms", ".seed", ".sac", ".gse", ".gse2", ".gcf", ".slist"),
    *(".sgy", ".segy", ".seg2", ".evt", ".sg2", ".q", ".ah", ".y"),
}


def _foreign_rows(foreign: list[tuple[Path | RemoteFile, str]]) -> list[dict[str, Any]]:
    """List unreadable files: each that should have been waveforms, the others by suffix."""
    rows, other = [], Counter[str]()
    for path, reason in foreign:
        unknown = reason.startswith(("Unknown format", "Cannot open", "Format"))
        promised = path.suffix.lower() in _WAVEFORM_SUFFIXES
        if (unknown or "empty" in reason) and not promised:
            other[path.suffix or path.name] += 1
        else:
            rows.append(_problem(path.name, "unreadable", reason, "skipped"))
    if other:
        text = ", ".join(f"{count} {suffix}" for suffix, count in sorted(other.items()))
        rows.append(_problem("files", "not waveforms", text, "skipped"))
    return rows


def _drop_duplicates(headers: list[FileHeader]) -> tuple[list[FileHeader], list[dict[str, Any]]]:
    kept: dict[str, FileHeader] = {}
    rows = []
    for header in headers:
        first = kept.setdefault(header.digest, header)
        if first is not header:
            detail = f"same bytes as {first.path.name}"
            rows.append(_problem(header.path.name, "duplicate file", detail, "skipped"))
    return list(kept.values()), rows


def _usable_rows(
    header: FileHeader, settings: WaveformSettings, problems: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    now_ns = int(datetime.now(UTC).timestamp() * NS_PER_S)
    rows = []
    for channel, start_ns, rate_hz, n_samples in header.traces:
        if not any(fnmatchcase(channel, p) for p in settings.include) or any(
            fnmatchcase(channel, p) for p in settings.exclude
        ):
            continue
        code = channel.rsplit(".", 1)[1]
        reason = _refusal(code, rate_hz, n_samples, settings)
        end_ns = start_ns + (offset_ns(n_samples - 1, rate_hz) if rate_hz > 0 else 0)
        times = {
            "starttime": pd.Timestamp(start_ns, tz="UTC"),
            "endtime": pd.Timestamp(end_ns, tz="UTC"),
        }
        if reason:
            detail = f"{reason[1]}, in {header.path.name}"
            problems.append(_problem(channel, reason[0], detail, "skipped", **times))
            continue
        if end_ns > now_ns:
            detail = f"ends {times['endtime']:%Y-%m-%d %H:%M:%S}, after now, in {header.path.name}"
            problems.append(_problem(channel, "in the future", detail, "used", **times))
        rows.append(
            {
                "path": str(header.path),
                "channel": channel,
                "station": channel[:-1],
                "starttime_ns": start_ns,
                "endtime_ns": end_ns,
                "sampling_rate_hz": rate_hz,
                "n_samples": n_samples,
                "format": header.format,
                "file_digest": header.digest,
            }
        )
    return rows


def _refusal(
    code: str, rate_hz: float, n_samples: int, settings: WaveformSettings
) -> tuple[str, str] | None:
    if n_samples == 0:
        return "zero-length", "trace without samples"
    if not code or code[-1] not in COMPONENTS:
        return "component unknown", f"channel code '{code}' does not end in one of Z N E 1 2 3 R T"
    if rate_hz < settings.minimum_sampling_rate_hz:
        limit = settings.minimum_sampling_rate_hz
        return "sampling rate too low", f"{rate_hz:g} Hz, at least {limit:g} Hz is needed"
    if n_samples == 1:
        return "one sample", "trace of a single sample"
    return None
