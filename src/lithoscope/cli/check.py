"""`lithoscope check`."""

from __future__ import annotations

from lithoscope.cli._options import (
    Assignments,
    ConfigFile,
    Json,
    Sources,
    StationFiles,
    settings_from,
    show,
)
from lithoscope.pipeline import check


def command(
    data: Sources,
    stations: StationFiles = [],  # noqa: B006
    config: ConfigFile = None,
    setting: Assignments = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """What is there, what is unusable and why, and what a run would use and skip."""
    overview, problems = check(data, stations, settings_from(config, setting))
    text = overview.to_string(index=False)
    if len(problems):
        columns = ["what", "problem", "detail", "action"]
        text += "\n\n" + problems[columns].to_string(index=False)
    else:
        text += "\n\nno problems found"
    value = {
        "stations": overview.to_dict("records"),
        "problems": problems.to_dict("records"),
    }
    show(value, as_json, text)
