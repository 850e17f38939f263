"""`lithoscope associate`."""

from __future__ import annotations

from lithoscope.association import associate
from lithoscope.cli._options import (
    Assignments,
    ConfigFile,
    Folder,
    Json,
    Model,
    StationFiles,
    load,
    require_stations,
    save,
    settings_from,
    show,
)
from lithoscope.cli.pick import Form
from lithoscope.pipeline import sites_for_picks
from lithoscope.pipeline.run import velocity_model
from lithoscope.schema import ASSIGNMENTS, CANDIDATES, PICKS


def command(
    folder: Folder,
    stations: StationFiles = [],  # noqa: B006
    model: Model = "",
    config: ConfigFile = None,
    setting: Assignments = [],  # noqa: B006
    form: Form = "csv",
    as_json: Json = False,
) -> None:
    """Picks to candidate events: reads picks, writes candidates and assignments."""
    settings = settings_from(config, setting, model)
    picks = load(folder, PICKS)
    sites = sites_for_picks(picks, require_stations(stations), settings)
    found = associate(picks, sites, velocity_model(settings.model), settings.association)
    save(folder, CANDIDATES, found.candidates, form)
    save(folder, ASSIGNMENTS, found.assignments, form)
    summary = {"candidates": len(found.candidates), "assigned": len(found.assignments)}
    show(
        summary,
        as_json,
        f"{len(found.candidates)} candidate events with {len(found.assignments)} of "
        f"{len(picks)} picks in {folder}",
    )
