"""`lithoscope compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.catalog import Catalog, Comparison, compare, read_reference
from lithoscope.cli._options import Json, show
from lithoscope.errors import DataError
from lithoscope.pipeline import open_run
from lithoscope.report import write_comparison
from lithoscope.schema import EVENTS


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory, or a catalogue file.")],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="Catalogue: QuakeML, SCML, CSV, TSV.")
    ],
    time_s: Annotated[float, typer.Option(help="Largest difference of origin times, s.")] = 2.0,
    distance_km: Annotated[float, typer.Option(help="Largest epicentre difference, km.")] = 5.0,
    page: Annotated[
        Path | None,
        typer.Option(help="HTML page with the plots; default RUN/compare.html, or compare.html."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Matched, missed and new events, and their differences in time, place and magnitude."""
    if not run.exists():
        raise DataError(f"'{run}' does not exist; name a run directory or a catalogue file")
    catalog = open_run(run) if run.is_dir() else Catalog(events=EVENTS.empty())
    events = catalog.events if run.is_dir() else read_reference(run)
    comparison = compare(events, read_reference(reference), time_s=time_s, distance_km=distance_km)
    target = page or (run / "compare.html" if run.is_dir() else Path("compare.html"))
    write_comparison(target, catalog, comparison, title=f"{run} beside {reference.name}")
    value = {
        "matched": len(comparison.matched),
        "missed": len(comparison.missed),
        "new": len(comparison.new),
        "outside": len(comparison.outside),
        "differences": comparison.summary.to_dict("records"),
        "page": str(target),
    }
    show(value, as_json, f"{comparison_text(comparison)}\n\nplots: {target}")


def comparison_text(comparison: Comparison) -> str:
    """Return counts and differences (run minus reference) for the terminal."""
    start, end = (f"{t:%Y-%m-%dT%H:%M:%S}" for t in comparison.span)
    lines = [
        f"matched {len(comparison.matched)}, missed {len(comparison.missed)}, "
        f"new {len(comparison.new)} between {start} and {end} "
        f"(pairs within {comparison.time_s:g} s and {comparison.distance_km:g} km); "
        f"{len(comparison.outside)} events of the run lie outside that time",
        "",
        comparison.summary.to_string(index=False, float_format="%.3f"),
    ]
    for name, table in (("missed", comparison.missed), ("new", comparison.new)):
        if len(table):
            columns = ["time", "longitude", "latitude", "depth_km", "magnitude"]
            lines += ["", name, table[columns].to_string(index=False, float_format="%.3f")]
    return "\n".join(lines)
