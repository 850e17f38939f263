"""Write the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lithoscope.catalog import Catalog, Comparison
from lithoscope.files import replacing
from lithoscope.report.arrivals import residual_section, wadati_section
from lithoscope.report.compared import comparison_section
from lithoscope.report.context import Context, Reader
from lithoscope.report.magnitudes import magnitude_section, timeline_section
from lithoscope.report.maps import map_section
from lithoscope.report.page import document, moment
from lithoscope.report.quality import availability_section, quality_section
from lithoscope.report.sections import record_sections
from lithoscope.report.settings import ReportSettings
from lithoscope.report.summary import appendix_section, events_section, summary_section


def write_report(
    path: Path | str,
    catalog: Catalog,
    *,
    title: str,
    settings: Mapping[str, Any],
    model: Any = None,
    versions: Mapping[str, Any] | None = None,
    read: Reader | None = None,
    comparison: Comparison | None = None,
    segments: pd.DataFrame | None = None,
    run_time_s: float | None = None,
    report_settings: ReportSettings | None = None,
) -> None:
    """Write one self-contained HTML page about a catalogue.

    The page loads nothing from anywhere: figures are inline SVG, record sections are drawn by an
    inline script from data in the page. The same input gives the same bytes. The file appears
    whole or not at all.

    Parameters
    ----------
    path
        File to write (replaced if it exists).
    catalog
        Tables of `lithoscope.schema`; any of them may be empty.
    title
        Heading.
    settings
        The run's resolved configuration, nested mappings, for the appendix.
    model
        `VelocityModel` of the run, for predicted arrivals and the appendix; None leaves them out.
    versions
        Software and data versions for the appendix.
    read
        Reader of recordings: ``read(station, start_ns, end_ns)`` returns Records in counts. None
        leaves out the record sections.
    comparison
        Result of `lithoscope.catalog.compare`.
    segments
        When there are recordings: ``station``, ``starttime_ns``, ``endtime_ns`` (as in
        ``Archive.segments``), for the availability bars.
    run_time_s
        How long the run took, for the summary.
    report_settings
        What to draw.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    context = Context(
        catalog, comparison, model, read, segments, report_settings or ReportSettings()
    )
    records, data = record_sections(context)
    with_records = {int(event["i"]) for event in data["events"]}
    sections = [
        summary_section(context, run_time_s),
        map_section(context),
        timeline_section(context),
        magnitude_section(context),
        records,
        events_section(context, with_records),
    ]
    if comparison is not None:
        sections.append(comparison_section(context))
    sections += [
        wadati_section(context),
        residual_section(context),
        quality_section(context),
        availability_section(context),
        appendix_section(context, settings, versions or {}),
    ]
    low, high = context.span_ns
    subtitle = f"{moment(low, 0)} to {moment(high, 0)} UTC" if high > low else "No data"
    publish(Path(path), document(title, subtitle, sections, script_safe(data)))


def script_safe(data: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def publish(path: Path, text: str) -> None:
    """Write a page whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
