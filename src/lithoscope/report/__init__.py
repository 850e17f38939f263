"""The HTML report of a catalogue."""

from lithoscope.report.compare_page import write_comparison
from lithoscope.report.evaluated import write_evaluation
from lithoscope.report.settings import ReportSettings
from lithoscope.report.writer import write_report

__all__ = ["ReportSettings", "write_comparison", "write_evaluation", "write_report"]
