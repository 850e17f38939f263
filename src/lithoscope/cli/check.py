"""`lithoscope check`."""

from __future__ import annotations

import pandas as pd

from lithoscope.cli._options import (
    DataOptions,
    Sources,
    show,
    with_options,
)
from lithoscope.pipeline import check

_TITLES = {
    "station": "station",
    "channels": "comp.",
    "sampling_rate_hz": "rate Hz",
    "starttime": "first sample",
    "endtime": "last sample",
    "available_percent": "there %",
    "n_gaps": "gaps",
    "amplitudes": "amplitude by",
    "used": "used",
    "reason": "why not",
}


@with_options
def command(data: Sources, *, options: DataOptions) -> None:
    """What is there, what is unusable and why, and what a run would use and skip."""
    overview, problems = check(data, options.stations, options.settings())
    value = {
        "stations": overview.to_dict("records"),
        "problems": problems.to_dict("records"),
    }
    text = check_text(overview, problems, with_stations=bool(options.stations))
    show(value, options.as_json, text)


def check_text(overview: pd.DataFrame, problems: pd.DataFrame, *, with_stations: bool) -> str:
    """Return the check for the terminal: stations, problems, and what a run would use."""
    table = overview[list(_TITLES)].rename(columns=_TITLES)
    for column in ("first sample", "last sample"):
        table[column] = pd.to_datetime(table[column], utc=True).dt.strftime("%Y-%m-%d %H:%M:%S")
    table["used"] = ["yes" if used else "no" for used in overview["used"]]
    lines = [table.to_string(index=False), ""]
    if len(problems):
        columns = ["what", "problem", "detail", "action"]
        lines.append(problems[columns].to_string(index=False))
    else:
        lines.append("no problems found")
    lines += ["", f"a run would use {int(overview['used'].sum())} of {len(overview)} stations"]
    if not with_stations:
        lines.append("no station file was given, so no coordinates are known: --stations FILE")
    elif not (overview["amplitudes"] != "none").any():
        lines.append("no station has a response or a gain, so there would be no magnitudes")
    return "\n".join(lines)
