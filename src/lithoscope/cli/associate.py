"""`lithoscope associate`."""

from __future__ import annotations

from lithoscope.association import associate
from lithoscope.cli._options import (
    Folder,
    Model,
    TableOptions,
    load,
    require_stations,
    save,
    show,
    with_options,
)
from lithoscope.pipeline import sites_for_picks
from lithoscope.pipeline.run import velocity_model
from lithoscope.schema import ASSIGNMENTS, CANDIDATES, PICKS


@with_options
def command(folder: Folder, *, model: Model = "", options: TableOptions) -> None:
    """Picks to candidate events: reads picks, writes candidates and assignments."""
    settings = options.settings(model)
    picks = load(folder, PICKS)
    sites = sites_for_picks(picks, require_stations(options.stations), settings)
    found = associate(picks, sites, velocity_model(settings.model), settings.association)
    save(folder, CANDIDATES, found.candidates, options.form)
    save(folder, ASSIGNMENTS, found.assignments, options.form)
    summary = {"candidates": len(found.candidates), "assigned": len(found.assignments)}
    show(
        summary,
        options.as_json,
        f"{len(found.candidates)} candidate events with {len(found.assignments)} of "
        f"{len(picks)} picks in {folder}",
    )
