"""`lithoscope compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.catalog import compare, read_reference
from lithoscope.cli._options import Json, show
from lithoscope.errors import LithoscopeError
from lithoscope.pipeline import open_run
from lithoscope.report import plot_comparison


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or a catalogue file.")
    ],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="Catalogue: QuakeML, SCML, CSV, TSV.")
    ],
    time_s: Annotated[float, typer.Option(help="Largest difference of origin times, s.")] = 2.0,
    distance_km: Annotated[float, typer.Option(help="Largest epicentre difference, km.")] = 5.0,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for the plots; default RUN/compare.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Matched, missed and new events, and their differences in time, place and magnitude."""
    if not run.exists():
        raise LithoscopeError(f"'{run}' does not exist")
    events = open_run(run).events if run.is_dir() else read_reference(run)
    comparison = compare(events, read_reference(reference), time_s=time_s, distance_km=distance_km)
    folder = plots or (run / "compare" if run.is_dir() else None)
    if folder is not None:
        plot_comparison(comparison, folder)
    show(comparison.summary(), as_json, comparison.text())
