"""`lithoscope magnitude`."""

from __future__ import annotations

from lithoscope.cli._options import (
    Assignments,
    ConfigFile,
    Folder,
    Json,
    Sources,
    StationFiles,
    catalogue_text,
    load,
    require_stations,
    save,
    settings_from,
    show,
)
from lithoscope.cli.pick import Form
from lithoscope.magnitude import correct_stations, local_magnitudes
from lithoscope.pipeline.run import open_archive
from lithoscope.pipeline.stages import ArchiveReader
from lithoscope.schema import ARRIVALS, EVENTS, STATION_MAGNITUDES


def command(
    folder: Folder,
    data: Sources,
    stations: StationFiles = [],  # noqa: B006
    config: ConfigFile = None,
    setting: Assignments = [],  # noqa: B006
    form: Form = "csv",
    as_json: Json = False,
) -> None:
    """Local magnitudes: reads events and arrivals, writes events and station magnitudes."""
    settings = settings_from(config, setting)
    archive, inventory = open_archive(data, require_stations(stations), settings)
    reader = ArchiveReader(archive, inventory.channels, settings)
    events, magnitudes = local_magnitudes(
        load(folder, EVENTS), load(folder, ARRIVALS), inventory, reader, settings.magnitude
    )
    events, magnitudes = correct_stations(events, magnitudes, settings.magnitude)
    save(folder, EVENTS, events, form)
    save(folder, STATION_MAGNITUDES, magnitudes, form)
    measured = int(events["magnitude"].notna().sum())
    summary = {"events": len(events), "with_magnitude": measured}
    show(summary, as_json, catalogue_text(events))
