"""Labelled datasets from catalogues with picks and the recordings they were made on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from lithoscope.catalog import Catalog, read_catalog
from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.learning.datasets import (
    SeisBenchWriter,
    WaveformDataset,
    add_exclusions,
    read_dataset,
)
from lithoscope.learning.splits import site
from lithoscope.pipeline.entry import open_run
from lithoscope.pipeline.progress import Reporter, Silent
from lithoscope.pipeline.rundir import RunDirectory
from lithoscope.settings import Settings
from lithoscope.stations import preferred_stations, read_stations
from lithoscope.waveforms import Archive, Record, index_archive, read_records

#: Noise keeps this distance (s) before the next pick and after the last one.
NOISE_BEFORE_S, NOISE_AFTER_S = 30.0, 180.0
#: Arrivals of our own catalogues that are more likely outliers than not are no labels.
LEAST_WEIGHT = 0.5


class DatasetSettings(Settings):
    """How traces are cut from recordings."""

    before_s: float = Field(30.0, gt=0, le=3600, description="Before the first pick, s.")
    after_s: float = Field(60.0, gt=0, le=3600, description="After the last pick, s.")
    kind: Literal["manual", "auto"] = Field(
        "manual",
        description="Who made the picks: manual (an analyst, who missed little) or auto.",
    )
    noise_per_station: int = Field(
        0,
        ge=0,
        le=10000,
        description="Traces of noise a station, cut far from all picks; only for catalogues that "
        "miss few events.",
    )
    traces_per_file: int | None = Field(
        None, ge=1, description="Traces a chunk of the dataset; left out, one file."
    )


def dataset_from_run(
    run: Path, output: Path, settings: DatasetSettings | None = None, *, name: str = "",
    reporter: Reporter | None = None,
) -> WaveformDataset:  # fmt: skip
    """Build a dataset from a finished run: its associated picks and the recordings it used.

    Raises
    ------
    DataError
        If the run has not finished, its recordings are gone, or nothing usable remains.
    """
    catalog = open_run(run)
    marker = RunDirectory(run).read_marker()
    sources = [Path(p) for p in marker.get("sources", [])]
    stations = [Path(p) for p in marker.get("stations", [])]
    gone = [str(p) for p in [*sources, *stations] if not p.exists()]
    if gone:
        raise DataError(f"the run in '{run}' was made from {', '.join(gone)}, no longer there")
    settings = settings or DatasetSettings(kind="auto")
    return build_dataset(
        catalog, sources, output, settings, stations=stations, name=name or run.resolve().name,
        reporter=reporter,
    )  # fmt: skip


def dataset_from_events(
    events: Sequence[Path], sources: Sequence[Path], output: Path,
    settings: DatasetSettings | None = None, *, stations: Sequence[Path] = (), name: str = "",
    reporter: Reporter | None = None,
) -> WaveformDataset:  # fmt: skip
    """Build a dataset from QuakeML or SCML with picks, and recordings. See `build_dataset`."""
    catalogs = [read_catalog(path) for path in events]
    arrivals = pd.concat([c.arrivals for c in catalogs], ignore_index=True)
    found = pd.concat([c.events for c in catalogs], ignore_index=True).drop_duplicates("event_id")
    both = Catalog(events=found, arrivals=arrivals.drop_duplicates(["event_id", "pick_id"]))
    return build_dataset(
        both, sources, output, settings, stations=stations, name=name or events[0].stem,
        reporter=reporter,
    )  # fmt: skip


def build_dataset(
    catalog: Catalog,
    sources: Sequence[Path],
    output: Path,
    settings: DatasetSettings | None = None,
    *,
    stations: Sequence[Path] = (),
    name: str = "dataset",
    reporter: Reporter | None = None,
) -> WaveformDataset:
    """Cut one trace for each event and station, write them, and return the dataset.

    A trace reaches from ``before_s`` before the first to ``after_s`` after the last pick of its
    event at the station, or to the ends of the gap-free record; its labels are all picks of the
    station inside. Arrivals with a weight under 0.5 are no labels.

    Parameters
    ----------
    catalog
        Events and arrivals. Stations may be named without location and band.
    sources
        Folders or files of recordings.
    output
        New or empty folder, written in the SeisBench format.
    settings
        How traces are cut.
    stations
        Station files, for the orientation of components 1 and 2.
    name
        Source name of the traces.
    reporter
        Receives progress.

    Returns
    -------
    WaveformDataset
        Exclusions count the station-events without data, with a gap at an onset, or with
        contradictory picks.

    Raises
    ------
    DataError
        If the catalogue has no picks or nothing usable remains.
    """
    settings, reporter = settings or DatasetSettings(), reporter or Silent()
    arrivals = catalog.arrivals[~(catalog.arrivals["weight"] < LEAST_WEIGHT)]
    if arrivals.empty:
        raise DataError("the catalogue has no associated picks to make labels of")
    archive = index_archive(list(sources))
    channels = None
    if stations:
        channels = read_stations(list(stations), codes=archive.stations()).channels
    labels = arrivals.assign(
        magnitude=arrivals["event_id"].map(catalog.events.set_index("event_id")["magnitude"])
    )
    with SeisBenchWriter(output, traces_per_file=settings.traces_per_file) as writer:
        bad = _write(writer, archive, channels, labels, settings, name, reporter)
    if not any(output.glob("metadata*.csv")):
        why = bad[0][1] if bad else "no traces"
        raise DataError(f"no usable trace of {len(bad)} ({why}); nothing written to '{output}'")
    made = read_dataset(output)
    return WaveformDataset(
        made.metadata, made.readers, made.keys, add_exclusions(made.exclusions, bad), made.notes
    )


def _write(
    writer: SeisBenchWriter,
    archive: Archive,
    channels: pd.DataFrame | None,
    arrivals: pd.DataFrame,
    settings: DatasetSettings,
    name: str,
    reporter: Reporter,
) -> list[tuple[str, str, str]]:
    """Write the traces of all arrivals (with a column magnitude); return what is left out."""
    of_site = _archive_stations(archive)
    magnitude = arrivals.drop_duplicates("event_id").set_index("event_id")["magnitude"]
    bad: list[tuple[str, str, str]] = []
    groups = list(arrivals.groupby(arrivals["station"].map(site)))
    with reporter.track("stations", len(groups)) as step:
        for code, own in groups:
            station = of_site.get(str(code))
            if station is None:
                missing = (name, "no recordings of the station", str(code))
                bad += [missing] * own["event_id"].nunique()
            else:
                for record, row in _traces(archive, station, own, channels, settings):
                    if isinstance(record, str):
                        bad.append((name, record, row["trace"]))
                        continue
                    known = {"source": name, "magnitude": magnitude.get(row["event"], np.nan)}
                    bad += _add(writer, record, row | known)
            step()
    return bad


def _archive_stations(archive: Archive) -> dict[str, str]:
    """Return NET.STA -> the NET.STA.LOC.BI of the archive that a run would pick on."""
    chosen, _ = preferred_stations(archive)
    return {site(code): code for code in sorted(chosen, reverse=True)}


def _traces(
    archive: Archive,
    station: str,
    arrivals: pd.DataFrame,
    channels: pd.DataFrame | None,
    settings: DatasetSettings,
) -> Iterator[tuple[Record | str, dict[str, Any]]]:
    """Yield the traces of a station: (record, row), or the reason why there is none."""
    times = arrivals["time"].dt.as_unit("ns").astype("int64")
    picks = sorted(set(zip(times, arrivals["phase"], strict=True)))
    for event, own in arrivals.groupby("event_id", sort=True):
        inner = times.loc[own.index]
        first = int(inner.min()) - round(settings.before_s * NS_PER_S)
        last = int(inner.max()) + round(settings.after_s * NS_PER_S)
        row = {
            "trace": f"{event}/{station}", "station": station, "event": str(event),
            "kind": settings.kind, "distance_km": float(own["distance_km"].iloc[0]),
        }  # fmt: skip
        record = _record_around(archive, station, first, last, inner, channels)
        if not isinstance(record, str):
            row["labels"] = _labels_inside(record, picks)
        yield record, row
    for number, (first, last) in enumerate(_noise_windows(archive, station, picks, settings)):
        row = {
            "trace": f"noise {number}/{station}", "station": station, "event": "",
            "kind": "noise", "labels": [],
        }  # fmt: skip
        found = read_records(archive, station, first, last, channels=channels)[0]
        whole = [r for r in found if r.n_samples >= 0.9 * r.sampling_rate_hz * _length_s(settings)]
        if whole:
            yield whole[0], row


def _record_around(
    archive: Archive,
    station: str,
    first: int,
    last: int,
    times: pd.Series,
    channels: pd.DataFrame | None,
) -> Record | str:
    """Return the longest record with all onsets inside, or why there is none."""
    records, _ = read_records(archive, station, first, last, channels=channels)
    holding = [r for r in records if r.starttime_ns < times.min() and r.endtime_ns > times.max()]
    if holding:
        return max(holding, key=lambda r: (int(r.mask.sum()), r.n_samples))
    return "a gap at an onset" if records else "no recordings at that time"


def _labels_inside(record: Record, picks: Sequence[tuple[int, str]]) -> list[tuple[str, float]]:
    rate = record.sampling_rate_hz / NS_PER_S
    return [
        (phase, (t - record.starttime_ns) * rate)
        for t, phase in picks
        if record.starttime_ns <= t <= record.endtime_ns
    ]


def _add(
    writer: SeisBenchWriter, record: Record, row: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """Write a trace; return its exclusion if its labels cannot be used."""
    values = {
        "starttime": pd.Timestamp(record.starttime_ns, tz="UTC"),
        "sampling_rate_hz": record.sampling_rate_hz,
    }
    try:
        writer.add(record.data, row | values)
    except DataError as error:
        return [(row["source"], str(error).partition("': ")[2] or str(error), row["trace"])]
    return []


def _noise_windows(
    archive: Archive,
    station: str,
    picks: Sequence[tuple[int, str]],
    settings: DatasetSettings,
) -> list[tuple[int, int]]:
    """Return windows far from all picks, evenly spread over those there are."""
    if not settings.noise_per_station:
        return []
    start, end = archive.span_ns(station)
    length = round(_length_s(settings) * NS_PER_S)
    begin = np.arange(start, end - length, length, dtype=np.int64)
    times = np.array([t for t, _ in picks], np.int64)
    near = np.zeros(len(begin), bool)
    for t in times:
        near |= (begin < t + round(NOISE_AFTER_S * NS_PER_S)) & (
            begin + length > t - round(NOISE_BEFORE_S * NS_PER_S)
        )
    calm = begin[~near]
    if not len(calm):
        return []
    chosen = np.unique(
        np.linspace(0, len(calm) - 1, settings.noise_per_station).round().astype(int)
    )
    return [(int(calm[i]), int(calm[i]) + length) for i in chosen]


def _length_s(settings: DatasetSettings) -> float:
    return settings.before_s + settings.after_s
