"""Single stages and finished runs, for users who enter or leave in the middle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from lithoscope.catalog import Catalog, Store, compare, read_reference
from lithoscope.errors import DataError
from lithoscope.pipeline.engine import make_engine
from lithoscope.pipeline.pickers import make_picker
from lithoscope.pipeline.progress import Reporter, Silent
from lithoscope.pipeline.run import STORE_NAME, open_archive, velocity_model, versions
from lithoscope.pipeline.rundir import MARKER, RunDirectory
from lithoscope.pipeline.settings import RunSettings, load_settings
from lithoscope.pipeline.stages import ArchiveReader, Context, pick_stage, site_positions
from lithoscope.pipeline.tables import stack_problems
from lithoscope.report import write_report
from lithoscope.schema import CHANNELS, PROBLEMS, STATIONS
from lithoscope.stations import Inventory, explain, preferred_stations, read_stations
from lithoscope.waveforms import Archive, index_archive
from lithoscope.waveforms.remote import is_url


def check(
    sources: Sequence[Path | str], stations: Sequence[Path], settings: RunSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what a run would use and skip: one row a station, and PROBLEMS."""
    archive, inventory = _open(sources, stations, settings)
    return explain(archive, inventory)


def pick(
    sources: Sequence[Path | str],
    stations: Sequence[Path],
    settings: RunSettings,
    *,
    reporter: Reporter | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Pick all stations of the data; return PICKS, DETECTIONS, PROBLEMS.

    Coordinates are not needed; station files only serve to orient components.
    """
    picker = make_picker(settings.picking)
    archive, inventory = _open(sources, stations, settings)
    chosen, about_choice = preferred_stations(archive)
    sites = pd.DataFrame({"station": sorted(chosen)})
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(make_engine(**settings.engine.model_dump())) as engine,
    ):
        context = Context(
            directory=RunDirectory(Path(folder)),
            engine=engine,
            reporter=reporter or Silent(),
            settings=settings,
            archive=archive,
            inventory=inventory,
            sites=sites,
            model=velocity_model(settings.model),
            picker=picker,
        )
        picks, detections, problems = pick_stage(context)
    every = stack_problems([archive.problems, inventory.problems, about_choice, problems])
    return picks, detections, every


def _open(
    sources: Sequence[Path | str], stations: Sequence[Path], settings: RunSettings
) -> tuple[Archive, Inventory]:
    if stations:
        return open_archive(sources, stations, settings)
    archive = index_archive(list(sources), settings.waveforms)
    return archive, Inventory(STATIONS.empty(), CHANNELS.empty(), {}, PROBLEMS.empty())


def sites_for_picks(
    picks: pd.DataFrame, stations: Sequence[Path], settings: RunSettings
) -> pd.DataFrame:
    """Return the STATIONS rows of the stations that the picks name."""
    codes = sorted(set(picks["station"]))
    inventory = read_stations(list(stations), settings.stations, codes=codes)
    moment = int(picks["time"].min().value) if len(picks) else 0
    return site_positions(inventory, codes, moment)


def open_run(path: Path) -> Catalog:
    """Return the catalogue of a finished run.

    Raises
    ------
    DataError
        If the folder holds no run, or one that has not finished.
    """
    if not (path / MARKER).exists():
        raise DataError(f"'{path}' is no run directory (it has no {MARKER})")
    if not (path / STORE_NAME).exists():
        raise DataError(f"the run in '{path}' has not finished; repeat `lithoscope run` to resume")
    return Store(f"sqlite:///{path / STORE_NAME}").read()


def rewrite_report(path: Path, reference: Path | None = None) -> Path:
    """Write the report of a finished run again and return where it is.

    Record sections need the waveforms where the run found them.
    """
    catalog = open_run(path)
    directory = RunDirectory(path)
    marker = directory.read_marker()
    if marker.get("status") != "done":
        raise DataError(
            f"the last run in '{path}' has not finished, so its configuration and its catalogue "
            "may not belong together; repeat `lithoscope run` to resume"
        )
    settings = load_settings(path / "config.toml")
    sources = [p if is_url(p) else Path(p) for p in marker.get("sources", [])]
    stations = [Path(p) for p in marker.get("stations", [])]
    gone = [str(p) for p in [*sources, *stations] if isinstance(p, Path) and not p.exists()]
    if gone:
        raise DataError(
            f"the run was made from {', '.join(gone)}, which is no longer there; put it back to "
            "write the report"
        )
    archive, inventory = open_archive(sources, stations, settings)
    comparison = compare(catalog.events, read_reference(reference)) if reference else None
    target = path / "report.html"
    write_report(
        target,
        catalog,
        title=settings.output.title,
        settings=settings.model_dump(mode="json"),
        model=velocity_model(settings.model),
        versions=versions(),
        read=ArchiveReader(archive, inventory.channels, settings),
        comparison=comparison,
        segments=archive.segments,
        report_settings=settings.report,
    )
    return target
