"""A page with the comparison alone, for `lithoscope compare`."""

from __future__ import annotations

from pathlib import Path

from lithoscope.catalog.compare import Comparison
from lithoscope.catalog.tables import Catalog
from lithoscope.report.compared import comparison_section
from lithoscope.report.context import Context
from lithoscope.report.page import document
from lithoscope.report.sections import record_sections
from lithoscope.report.settings import ReportSettings
from lithoscope.report.writer import publish, script_safe


def write_comparison(
    path: Path | str, catalog: Catalog, comparison: Comparison, *, title: str
) -> None:
    """Write one self-contained HTML page with matched, missed and new events and their plots.

    Parameters
    ----------
    path
        File to write (replaced if it exists).
    catalog
        Supplies the stations of the map; may be empty.
    comparison
        Result of `lithoscope.catalog.compare`.
    title
        Heading.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    settings = ReportSettings(record_sections=0)
    context = Context(catalog, comparison, None, None, None, settings)
    _, data = record_sections(context)
    start, end = (f"{t:%Y-%m-%d %H:%M:%S}" for t in comparison.span)
    page = document(
        title, f"{start} to {end} UTC", [comparison_section(context)], script_safe(data)
    )
    publish(Path(path), page)
