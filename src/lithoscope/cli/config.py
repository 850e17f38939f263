"""`lithoscope config`."""

from __future__ import annotations

import typer

from lithoscope.cli._options import Assignments, ConfigFile, settings_from
from lithoscope.pipeline.settings import render_toml


def command(config: ConfigFile = None, setting: Assignments = []) -> None:  # noqa: B006
    """Print the configuration in force, every key with its description."""
    typer.echo(render_toml(settings_from(config, setting)))
