"""`lithoscope export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.catalog import export
from lithoscope.catalog.export import Format
from lithoscope.cli._options import Json, show
from lithoscope.pipeline import open_run


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    form: Annotated[
        Format,
        typer.Option("--format", help="quakeml, csv, parquet, geojson, nlloc or hypodd."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; default RUN/exports.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the catalogue of a run in another format."""
    paths = export(open_run(run), output or run / "exports", form)
    names = [str(path) for path in paths]
    show(names, as_json, "\n".join(names))
