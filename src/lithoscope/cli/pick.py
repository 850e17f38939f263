"""`lithoscope pick`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.cli._options import (
    PickerChoice,
    Sources,
    TableOptions,
    picker_settings,
    save,
    show,
    with_options,
)
from lithoscope.pipeline import pick
from lithoscope.pipeline.progress import Terminal
from lithoscope.schema import DETECTIONS, PICKS, PROBLEMS


@with_options
def command(
    data: Sources,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the tables.")],
    *,
    picker: PickerChoice = "",
    options: TableOptions,
) -> None:
    """Continuous data to picks and detections."""
    settings = options.settings(picking=picker_settings(picker))
    picks, detections, problems = pick(data, options.stations, settings, reporter=Terminal())
    save(output, PICKS, picks, options.form)
    save(output, DETECTIONS, detections, options.form)
    save(output, PROBLEMS, problems, options.form)
    summary = {"picks": len(picks), "detections": len(detections), "problems": len(problems)}
    show(
        summary, options.as_json, f"{len(picks)} picks and {len(detections)} detections in {output}"
    )
