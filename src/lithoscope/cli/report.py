"""`lithoscope report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.cli._options import Json, show
from lithoscope.pipeline import rewrite_report


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    reference: Annotated[
        Path | None, typer.Option(help="Catalogue to compare with: QuakeML, SCML, CSV.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run again, with a comparison if a reference is given."""
    path = rewrite_report(run, reference)
    show({"report": str(path)}, as_json, str(path))
