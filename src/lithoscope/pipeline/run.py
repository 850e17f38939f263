"""`run`: continuous data to a catalogue, exports and report, in a run directory."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope import __version__
from lithoscope.catalog import Catalog, Comparison, Store, compare, export, read_reference
from lithoscope.classification import classify
from lithoscope.errors import DataError, StationError
from lithoscope.location import StationTerms
from lithoscope.pipeline.engine import Engine, make_engine
from lithoscope.pipeline.pickers import make_picker
from lithoscope.pipeline.prior import build_prior
from lithoscope.pipeline.progress import Reporter, Silent
from lithoscope.pipeline.relocate import keep_settings
from lithoscope.pipeline.rundir import RunDirectory, write_parquet
from lithoscope.pipeline.runlog import LOG_NAME, RunLog
from lithoscope.pipeline.settings import (
    ModelSettings,
    RunSettings,
    absolute_paths,
    render_toml,
)
from lithoscope.pipeline.stages import (
    ArchiveReader,
    Context,
    associate_stage,
    locate_stage,
    magnitude_stage,
    pick_stage,
    site_positions,
)
from lithoscope.pipeline.tables import stack_problems
from lithoscope.pipeline.terms import terms_stage
from lithoscope.report import write_report
from lithoscope.schema import PROBLEMS
from lithoscope.stations import Inventory, preferred_stations, read_stations
from lithoscope.traveltimes import VelocityModel, builtin_model, read_velocity_model
from lithoscope.waveforms import Archive, index_archive
from lithoscope.waveforms.remote import canonical

STORE_NAME = "catalogue.sqlite"
_LIBRARIES = (
    "obspy",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "numba",
    "onnxruntime",
    "sqlalchemy",
    "matplotlib",
)


@dataclass(frozen=True)
class RunResult:
    """Where the run lies, and its catalogue."""

    path: Path
    catalog: Catalog
    seconds: float


def run(
    sources: Sequence[Path | str],
    stations: Sequence[Path],
    output: Path,
    settings: RunSettings | None = None,
    *,
    reference: Path | None = None,
    reporter: Reporter | None = None,
) -> RunResult:
    """Make a catalogue from continuous data, resuming what an earlier run has done.

    Parameters
    ----------
    sources
        Folders, files or URLs of continuous data.
    stations
        Station files (StationXML, SeisComP XML, CSV).
    output
        Run directory; a new one, or one of an earlier run on the same data.
    settings
        Configuration; defaults where left out.
    reference
        Catalogue to compare with in the report.
    reporter
        Receives messages and progress.

    Raises
    ------
    LithoscopeError
        With one line that says what to change; finished work is kept.
    """
    settings = absolute_paths(settings or RunSettings())
    started = time.monotonic()
    directory = RunDirectory(output)
    log = RunLog(output / LOG_NAME, reporter or Silent())
    with directory.lock():
        before = directory.read_marker()
        names = [canonical(s) for s in sources]
        about = {
            "sources": names,
            "stations": [str(Path(s).resolve()) for s in stations],
            "versions": versions(),
        }
        if not before:
            directory.write_marker({"status": "running", **about})
        with log.session(_opening(before)):
            _check_same_sources(directory, before, names)
            directory.write_marker({"status": "running", **about})
            directory.write_text("config.toml", render_toml(settings))
            with closing(make_engine(**settings.engine.model_dump())) as engine:
                catalog = _work(directory, names, stations, settings, engine, reference, log)
            directory.write_marker({"status": "done", **about})
            seconds = time.monotonic() - started
            log.say(
                f"{len(catalog.events)} events from {len(catalog.picks)} picks in {seconds:.0f} s; "
                f"results in {output}"
            )
    return RunResult(output, catalog, seconds)


def _opening(before: Mapping[str, Any]) -> str:
    """Return what the log calls a run, given what is known of the one before it."""
    if not before.get("sources"):
        return "new run"
    if before.get("status") == "done":
        return "run again; what has not changed is kept"
    return "run resumed; the one before did not finish"


def _work(
    directory: RunDirectory,
    sources: Sequence[str],
    stations: Sequence[Path],
    settings: RunSettings,
    engine: Engine,
    reference: Path | None,
    log: RunLog,
) -> Catalog:
    with log.stage(f"reading {_named(sources)}") as found:
        context, problems = _prepare(directory, sources, stations, settings, engine, log)
        found(f"{len(context.archive.stations())} stations, {len(context.sites)} used")
    log.problems(problems)
    catalog, terms = _stages(context, problems, log)
    catalog = _store(context, catalog, terms, log)
    publish(context, catalog, reference, log)
    directory.sweep(context.used)
    return catalog


def _check_same_sources(
    directory: RunDirectory, marker: Mapping[str, Any], names: list[str]
) -> None:
    before = marker.get("sources")
    # A run that failed before it picked anything (a misspelt path) has nothing to protect.
    begun = (directory.path / "work").exists() or (directory.path / STORE_NAME).exists()
    if begun and before is not None and before != names:
        raise DataError(
            f"'{directory.path}' holds a run on {_named(before)}; choose another --output for "
            f"{_named(names)}"
        )


def _named(sources: Sequence[Path | str]) -> str:
    """Name one source, or the first of several."""
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return f"{sources[0]}{more}" if len(sources) else "nothing"


def _prepare(
    directory: RunDirectory,
    sources: Sequence[str],
    stations: Sequence[Path],
    settings: RunSettings,
    engine: Engine,
    reporter: Reporter,
) -> tuple[Context, pd.DataFrame]:
    picker = make_picker(settings.picking)  # refuse a missing model before the long part
    archive, inventory, sites, problems = prepare(sources, stations, settings)
    context = Context(
        directory=directory,
        engine=engine,
        reporter=reporter,
        settings=settings,
        archive=archive,
        inventory=inventory,
        sites=sites,
        model=velocity_model(settings.model),
        picker=picker,
        prior=build_prior(settings.prior),
    )
    return context, problems


def prepare(
    sources: Sequence[Path | str], stations: Sequence[Path], settings: RunSettings
) -> tuple[Archive, Inventory, pd.DataFrame, pd.DataFrame]:
    """Index the data and choose the stations; return archive, inventory, sites and PROBLEMS.

    Raises
    ------
    StationError
        If no station has coordinates.
    """
    archive, inventory = open_archive(sources, stations, settings)
    chosen, about_choice = preferred_stations(archive)
    sites = site_positions(inventory, chosen, archive.span_ns()[0])
    if sites.empty:
        raise StationError(
            f"none of the {len(chosen)} stations of the data has coordinates in the station "
            f"file(s); the data have {', '.join(sorted(chosen)[:5])}"
        )
    problems = [archive.problems, inventory.problems, about_choice, _unplaced(chosen, sites)]
    return archive, inventory, sites, stack_problems(problems)


def _unplaced(chosen: Sequence[str], sites: pd.DataFrame) -> pd.DataFrame:
    placed = set(sites["station"])
    return PROBLEMS.table(
        [
            {
                "what": station,
                "problem": "no coordinates",
                "detail": "the station file(s) do not name it, or not for this time",
                "action": "skipped",
            }
            for station in chosen
            if station not in placed
        ]
    )


def velocity_model(settings: ModelSettings) -> VelocityModel:
    """Return the velocity model that the settings name."""
    if settings.path:
        return read_velocity_model(Path(settings.path), interpolation=settings.interpolation)
    return builtin_model(settings.name)


def _stages(
    context: Context, problems: pd.DataFrame, log: RunLog
) -> tuple[Catalog, StationTerms | None]:
    n_stations, n_workers = len(context.sites), context.engine.workers
    with log.stage(f"picking {n_stations} stations with {n_workers} worker(s)") as found:
        picks, detections, about_data = pick_stage(context)
        found(f"{len(picks)} picks, {len(detections)} detections")
    log.problems(about_data)
    with log.stage(f"associating {len(picks)} picks") as found:
        candidates, assignments = associate_stage(context, picks)
        found(f"{len(candidates)} candidates with {len(assignments)} picks")
    with log.stage(f"locating {len(candidates)} events") as found:
        terms = terms_stage(context, assignments, picks)
        events, arrivals, about_events = locate_stage(
            context, candidates, assignments, picks, terms
        )
        found(f"{len(events)} located")
    log.problems(about_events)
    with log.stage(f"measuring magnitudes of {len(events)} events") as found:
        events, magnitudes = magnitude_stage(context, events, arrivals)
        found(f"{events['magnitude'].notna().sum()} measured")
    catalog = Catalog(
        events=classify(events),
        arrivals=arrivals,
        picks=picks,
        detections=detections,
        station_magnitudes=magnitudes,
        stations=context.sites,
        problems=stack_problems([problems, about_data, about_events]),
    )
    return catalog, terms


def _store(context: Context, catalog: Catalog, terms: StationTerms | None, log: RunLog) -> Catalog:
    """Write the store; return the catalogue with what operators have decided on its events."""
    with Store(f"sqlite:///{context.directory.path / STORE_NAME}") as store:
        kept = store.write(catalog)
        keep_settings(store, context.settings, terms)
        if not kept:
            return catalog
        log.say(f"{len(kept)} event(s) that operators reviewed are kept as they left them")
        return store.read()


def publish(context: Context, catalog: Catalog, reference: Path | None, log: RunLog) -> None:
    """Write tables, exports and the report of a finished catalogue into the run directory."""
    path, settings = context.directory.path, context.settings
    write_parquet(catalog.picks, path / "picks.parquet")
    write_parquet(catalog.detections, path / "detections.parquet")
    for name in settings.output.exports:
        export(catalog, path / "exports", name)
    if not settings.output.report:
        return
    with log.stage("writing the report"):
        comparison: Comparison | None = None
        if reference is not None:
            comparison = compare(catalog.events, read_reference(reference))
        write_report(
            path / "report.html",
            catalog,
            title=settings.output.title,
            settings=settings.model_dump(mode="json"),
            model=context.model,
            versions=versions(),
            read=ArchiveReader(context.archive, context.inventory.channels, settings),
            comparison=comparison,
            segments=context.archive.segments,
            report_settings=settings.report,
        )


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    found = {name: metadata.version(name) for name in _LIBRARIES}
    return {"lithoscope": __version__, "python": platform.python_version(), **found}


def open_archive(
    sources: Sequence[Path | str], stations: Sequence[Path], settings: RunSettings
) -> tuple[Archive, Inventory]:
    """Index the data and read the stations, without a run directory."""
    archive = index_archive(list(sources), settings.waveforms)
    return archive, read_stations(list(stations), settings.stations, codes=archive.stations())
