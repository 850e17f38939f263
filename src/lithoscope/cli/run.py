"""`lithoscope run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.catalog import read_reference
from lithoscope.cli._options import (
    DataOptions,
    Model,
    PickerChoice,
    Sources,
    catalogue_text,
    picker_settings,
    require_stations,
    show,
    with_options,
)
from lithoscope.pipeline import run
from lithoscope.pipeline.plan import Plan
from lithoscope.pipeline.plan import plan as make_plan
from lithoscope.pipeline.progress import Terminal


@with_options
def command(
    data: Sources,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory.")] = Path("run"),
    model: Model = "",
    picker: PickerChoice = "",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes, one thread each; default engine.workers (2).", min=1),
    ] = None,
    engine: Annotated[str, typer.Option(help="local or dask; default engine.kind (local).")] = "",
    scheduler: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Running Dask scheduler, such as tcp://host:8786; without it --engine dask takes "
            "processes of this machine.",
        ),
    ] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what the run would do and cost; do not run.")
    ] = False,
    reference: Annotated[
        Path | None, typer.Option(help="Catalogue to compare with in the report.")
    ] = None,
    options: DataOptions,
) -> None:
    """Continuous data to a catalogue with exports and report; run again to resume."""
    if reference is not None:
        read_reference(reference)  # refuse a wrong one before the work, not after it
    spread = {"kind": engine, "workers": workers, "scheduler": scheduler}
    settings = options.settings(
        model,
        engine={key: value for key, value in spread.items() if value},
        picking=picker_settings(picker),
    )
    if plan:
        stations = require_stations(options.stations)
        expected = make_plan(data, stations, settings, reporter=Terminal())
        show(expected.as_dict(), options.as_json, plan_text(expected))
        return
    result = run(
        data,
        require_stations(options.stations),
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
    show(summary, options.as_json, "\n".join(lines))


def plan_text(plan: Plan) -> str:
    """Return a plan for the terminal."""
    table = plan.stages.copy()
    for name in ("cpu_s", "wall_s"):
        table[name] = table[name].map("{:.1f}".format)
    title = {"cpu_s": "CPU s", "wall_s": "wall s"}
    return "\n".join(
        [
            f"{plan.n_stations} stations, {plan.station_hours:.1f} station-hours, "
            f"{plan.n_bytes / 1e9:.2f} GB, {plan.n_units} units (a station and a day)",
            "",
            table.rename(columns=title).to_string(index=False),
            "",
            f"expected: {plan.cpu_s:.0f} CPU s, {plan.wall_s:.0f} s with {plan.workers} "
            f"worker(s) on {plan.cores} idle core(s), about {plan.n_events:.0f} events",
            f"memory:   {plan.worker_gb:.2f} GB a worker, {plan.client_gb:.2f} GB for the process "
            "that leads",
            f"calibrated on {plan.calibrated_hours:.1f} station-hours; other times may have more "
            "or fewer events",
        ]
    )
