"""`lithoscope locate`."""

from __future__ import annotations

from lithoscope.cli._options import (
    Folder,
    Model,
    TableOptions,
    catalogue_text,
    load,
    require_stations,
    save,
    show,
    with_options,
)
from lithoscope.location import locate
from lithoscope.pipeline import sites_for_picks
from lithoscope.pipeline.prior import build_prior
from lithoscope.pipeline.run import velocity_model
from lithoscope.schema import ARRIVALS, ASSIGNMENTS, EVENTS, PICKS, STATION_TERMS


@with_options
def command(folder: Folder, *, model: Model = "", options: TableOptions) -> None:
    """Assigned picks to hypocentres: reads picks and assignments, writes events and arrivals."""
    settings = options.settings(model)
    picks = load(folder, PICKS)
    assignments = load(folder, ASSIGNMENTS)
    sites = sites_for_picks(picks, require_stations(options.stations), settings)
    located = locate(
        assignments,
        picks,
        sites,
        velocity_model(settings.model),
        settings.location,
        prior=build_prior(settings.prior),
    )
    save(folder, EVENTS, located.events, options.form)
    save(folder, ARRIVALS, located.arrivals, options.form)
    if located.terms is not None:
        save(folder, STATION_TERMS, located.terms.table, options.form)
    summary = {"events": len(located.events), "not_located": len(located.problems)}
    show(summary, options.as_json, catalogue_text(located.events))
