"""`lithoscope magnitude`."""

from __future__ import annotations

from lithoscope.cli._options import (
    Folder,
    Sources,
    TableOptions,
    catalogue_text,
    load,
    require_stations,
    save,
    show,
    with_options,
)
from lithoscope.magnitude import correct_stations, local_magnitudes
from lithoscope.pipeline.run import open_archive
from lithoscope.pipeline.stages import ArchiveReader
from lithoscope.schema import ARRIVALS, EVENTS, STATION_MAGNITUDES


@with_options
def command(folder: Folder, data: Sources, *, options: TableOptions) -> None:
    """Local magnitudes: reads events and arrivals, writes events and station magnitudes."""
    settings = options.settings()
    archive, inventory = open_archive(data, require_stations(options.stations), settings)
    reader = ArchiveReader(archive, inventory.channels, settings)
    events, magnitudes = local_magnitudes(
        load(folder, EVENTS), load(folder, ARRIVALS), inventory, reader, settings.magnitude
    )
    events, magnitudes = correct_stations(events, magnitudes, settings.magnitude)
    save(folder, EVENTS, events, options.form)
    save(folder, STATION_MAGNITUDES, magnitudes, options.form)
    measured = int(events["magnitude"].notna().sum())
    summary = {"events": len(events), "with_magnitude": measured}
    show(summary, options.as_json, catalogue_text(events))
