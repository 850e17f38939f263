"""Files of a source, and what their headers say; every ObsPy error is translated here."""

from __future__ import annotations

import glob
import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import obspy
from obspy.core.util.base import ENTRY_POINTS

from lithoscope.errors import DataError
from lithoscope.waveforms.obspy_errors import READ_ERRORS, first_line
from lithoscope.waveforms.remote import (
    RemoteFile,
    cached_text,
    canonical,
    is_url,
    keep_text,
    list_objects,
    local_copy,
)

# ObsPy unpickles any file that names its Stream class, also inside gz, zip and tar files, and a
# pickle can run code. Without this reader no file of an untrusted folder is ever unpickled.
ENTRY_POINTS["waveform"].pop("PICKLE", None)


@dataclass(frozen=True)
class FileHeader:
    """Headers of one file: its format, a hash of its bytes, one entry a trace, complaints."""

    path: Path | RemoteFile
    format: str
    digest: str
    traces: tuple[tuple[str, int, float, int], ...]  # channel, start_ns, rate_hz, n_samples
    complaints: tuple[str, ...]


def list_files(sources: Path | str | Sequence[Path | str]) -> list[Path | RemoteFile]:
    """Return every file under the sources, sorted, each once; hidden files are left out.

    A source may be a URL of a store (see `lithoscope.waveforms.remote`).

    Raises
    ------
    DataError
        If a source does not exist.
    """
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    found: set[Path | RemoteFile] = set()
    for name in given:
        if is_url(name):
            found.update(list_objects(str(name)))
            continue
        source = Path(name) if "://" not in str(name) else Path(canonical(name))
        if source.is_dir():
            found.update(
                p
                for p in source.rglob("*")
                if p.is_file() and not any(q.startswith(".") for q in p.relative_to(source).parts)
            )
        elif source.is_file():
            found.add(source)
        else:
            matches = [Path(p) for p in glob.glob(str(source), recursive=True)]
            if not matches:
                raise DataError(f"{source}: no such file or folder; check the path of the data")
            found.update(p for p in matches if p.is_file())
    return sorted(found, key=str)


def read_header(path: Path | RemoteFile) -> FileHeader:
    """Read the headers of one file.

    Raises
    ------
    DataError
        If no ObsPy reader makes waveforms of it (the reason is the text).
    """
    if not isinstance(path, RemoteFile):
        return _read_local_header(path)
    kept = cached_text(path, "headers")
    if kept is None:
        kept = _header_text(path)
        keep_text(path, "headers", kept)
    content = json.loads(kept)
    if "unreadable" in content:
        raise DataError(content["unreadable"])
    traces = tuple(tuple(trace) for trace in content["traces"])
    return FileHeader(path, content["format"], content["digest"], traces, content["complaints"])


def _header_text(file: RemoteFile) -> str:
    """Return the headers of an object as JSON; a foreign file's too, so it is fetched once."""
    with local_copy(file) as copy:
        try:
            header = _read_local_header(copy)
        except DataError as error:
            return json.dumps({"unreadable": str(error).replace(str(copy), file.name)})
    names = ("format", "digest", "traces", "complaints")
    return json.dumps({name: getattr(header, name) for name in names})


def _read_local_header(path: Path) -> FileHeader:
    digest, start = _hash(path)
    if start is None:
        raise DataError("empty file")
    stream, complaints = read_quietly(
        path, format="MSEED" if _is_miniseed(start) else None, headonly=True
    )
    traces = tuple(
        (
            channel_code(trace),
            int(trace.stats.starttime.ns),
            float(trace.stats.sampling_rate),
            int(trace.stats.npts),
        )
        for trace in stream
    )
    name = str(stream[0].stats.get("_format", "")) if len(stream) else ""
    if name == "MSEED" and path.stat().st_size % stream[0].stats.mseed.record_length:
        complaints = (*complaints, "the file ends inside a record")
    return FileHeader(path, name, digest, traces, complaints)


def read_quietly(source: Path | BytesIO, **options: Any) -> tuple[obspy.Stream, tuple[str, ...]]:
    """Call `obspy.read`; return its stream and its warnings as text, or raise `DataError`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            # ObsPy expands wildcards in names; "[" in a folder's name must not be one.
            name = glob.escape(str(source)) if isinstance(source, Path) else source
            stream = obspy.read(name, **options)
        except READ_ERRORS as error:
            raise DataError(first_line(error)) from None
    relevant = [w for w in caught if not issubclass(w.category, DeprecationWarning)]
    texts = dict.fromkeys(first_line(w.message) for w in relevant)
    return stream, tuple(texts)


def channel_code(trace: Any) -> str:
    """Return NET.STA.LOC.CHA of a trace, an empty location written as nothing."""
    codes = (
        trace.stats.network,
        trace.stats.station,
        trace.stats.location,
        trace.stats.channel,
    )
    network, station, location, channel = (str(c).strip().strip("\x00") for c in codes)
    return f"{network}.{station}.{'' if location == '--' else location}.{channel}"


def _hash(path: Path) -> tuple[str, bytes | None]:
    state = hashlib.blake2b(digest_size=16)
    start = None
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                start = block[:64] if start is None else start
                state.update(block)
    except OSError as error:
        raise DataError(error.strerror or str(error)) from None
    return state.hexdigest(), start


def _is_miniseed(start: bytes) -> bool:
    # Fixed header of a data record: six digits or blanks, quality, blank or null (SEED 2.4, ch. 8).
    return (
        len(start) >= 48
        and all(c in b"0123456789 \x00" for c in start[:6])
        and start[6] in b"DRQM"
        and start[7] in b" \x00"
    )
