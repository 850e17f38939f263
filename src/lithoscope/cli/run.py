"""`lithoscope run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.catalog import read_reference
from lithoscope.cli._options import (
    Assignments,
    ConfigFile,
    Json,
    Model,
    Sources,
    StationFiles,
    catalogue_text,
    require_stations,
    settings_from,
    show,
)
from lithoscope.pipeline import run
from lithoscope.pipeline.progress import Terminal


def command(
    data: Sources,
    stations: StationFiles = [],  # noqa: B006 (Typer copies it)
    config: ConfigFile = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory.")] = Path("run"),
    model: Model = "",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes, one thread each; default engine.workers (2).", min=1),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Catalogue to compare with in the report.")
    ] = None,
    setting: Assignments = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Continuous data to a catalogue with exports and report; run again to resume."""
    if reference is not None:
        read_reference(reference)  # refuse a wrong one before the work, not after it
    engine = {"workers": workers} if workers else {}
    settings = settings_from(config, setting, model, engine=engine)
    result = run(
        data,
        require_stations(stations),
        output,
        settings,
        reference=reference,
        reporter=Terminal(),
    )
    summary = {
        "run": str(result.path),
        "events": len(result.catalog.events),
        "picks": len(result.catalog.picks),
        "problems": len(result.catalog.problems),
        "seconds": round(result.seconds, 1),
    }
    lines = [catalogue_text(result.catalog.events), ""]
    if settings.output.report:
        lines.append(f"report:  {result.path / 'report.html'}")
    if settings.output.exports:
        lines.append(f"exports: {result.path / 'exports'}")
    show(summary, as_json, "\n".join(lines))
