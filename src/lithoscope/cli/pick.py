"""`lithoscope pick`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.cli._options import (
    Assignments,
    ConfigFile,
    Json,
    Sources,
    StationFiles,
    save,
    settings_from,
    show,
)
from lithoscope.pipeline import pick
from lithoscope.pipeline.progress import Terminal
from lithoscope.schema import DETECTIONS, PICKS, PROBLEMS

Form = Annotated[str, typer.Option("--format", help="csv or parquet.")]


def command(
    data: Sources,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the tables.")],
    stations: StationFiles = [],  # noqa: B006
    config: ConfigFile = None,
    setting: Assignments = [],  # noqa: B006
    form: Form = "csv",
    as_json: Json = False,
) -> None:
    """Continuous data to picks and detections."""
    picks, detections, problems = pick(
        data, stations, settings_from(config, setting), reporter=Terminal()
    )
    save(output, PICKS, picks, form)
    save(output, DETECTIONS, detections, form)
    save(output, PROBLEMS, problems, form)
    summary = {"picks": len(picks), "detections": len(detections), "problems": len(problems)}
    show(summary, as_json, f"{len(picks)} picks and {len(detections)} detections in {output}")
