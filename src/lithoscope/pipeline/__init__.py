"""Configuration, run directory, resume, and the stages in order."""

from lithoscope.pipeline.entry import (
    check,
    open_run,
    pick,
    rewrite_report,
    sites_for_picks,
)
from lithoscope.pipeline.run import RunResult, open_archive, run, velocity_model
from lithoscope.pipeline.settings import RunSettings, load_settings, render_toml

__all__ = [
    "RunResult",
    "RunSettings",
    "check",
    "load_settings",
    "open_archive",
    "open_run",
    "pick",
    "render_toml",
    "rewrite_report",
    "run",
    "sites_for_picks",
    "velocity_model",
]
