"""`lithoscope locate`."""

from __future__ import annotations

from lithoscope.cli._options import (
    Assignments,
    ConfigFile,
    Folder,
    Json,
    Model,
    StationFiles,
    catalogue_text,
    load,
    require_stations,
    save,
    settings_from,
    show,
)
from lithoscope.cli.pick import Form
from lithoscope.location import locate
from lithoscope.pipeline import sites_for_picks
from lithoscope.pipeline.prior import build_prior
from lithoscope.pipeline.run import velocity_model
from lithoscope.schema import ARRIVALS, ASSIGNMENTS, EVENTS, PICKS, STATION_TERMS


def command(
    folder: Folder,
    stations: StationFiles = [],  # noqa: B006
    model: Model = "",
    config: ConfigFile = None,
    setting: Assignments = [],  # noqa: B006
    form: Form = "csv",
    as_json: Json = False,
) -> None:
    """Assigned picks to hypocentres: reads picks and assignments, writes events and arrivals."""
    settings = settings_from(config, setting, model)
    picks = load(folder, PICKS)
    assignments = load(folder, ASSIGNMENTS)
    sites = sites_for_picks(picks, require_stations(stations), settings)
    located = locate(
        assignments,
        picks,
        sites,
        velocity_model(settings.model),
        settings.location,
        prior=build_prior(settings.prior),
    )
    save(folder, EVENTS, located.events, form)
    save(folder, ARRIVALS, located.arrivals, form)
    if located.terms is not None:
        save(folder, STATION_TERMS, located.terms.table, form)
    summary = {"events": len(located.events), "not_located": len(located.problems)}
    show(summary, as_json, catalogue_text(located.events))
