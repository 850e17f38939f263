"""`lithoscope demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.cli._options import (
    Json,
    PickerChoice,
    catalogue_text,
    picker_settings,
    show,
)
from lithoscope.pipeline.demo import LIMITS, run_demo
from lithoscope.pipeline.progress import Terminal


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory.")] = Path(
        "demo-run"
    ),
    picker: PickerChoice = "",
    as_json: Json = False,
) -> None:
    """The main job on real recordings that come with ObsPy (Unterhaching, 27 May 2010)."""
    result = run_demo(output, picking=picker_settings(picker), reporter=Terminal())
    exports = sorted(str(p) for p in (result.path / "exports").iterdir())
    summary = {
        "run": str(result.path),
        "events": len(result.catalog.events),
        "report": str(result.path / "report.html"),
        "exports": exports,
    }
    text = "\n".join(
        [
            catalogue_text(result.catalog.events),
            "",
            LIMITS,
            "",
            f"report:  {result.path / 'report.html'}",
            *(f"export:  {name}" for name in exports),
        ]
    )
    show(summary, as_json, text)
