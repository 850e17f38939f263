"""`lithoscope fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from lithoscope.cli._options import Json, show
from lithoscope.errors import ConfigError
from lithoscope.pipeline.fetch import FetchResult, Selection, fetch
from lithoscope.pipeline.progress import Terminal
from lithoscope.waveforms.fdsn import FdsnServer

# Rows of the list of what is missing that a terminal shows; all of them are in missing.csv.
_MOST_ROWS = 20


def command(
    *,
    url: Annotated[
        str, typer.Option(help="FDSN data centre: base URL, or a name ObsPy knows (EARTHSCOPE).")
    ],
    network: Annotated[str, typer.Option(help="Codes with * and ?, separated by commas.")],
    station: Annotated[str, typer.Option(help="Codes with * and ?.")] = "*",
    location: Annotated[str, typer.Option(help="Codes with * and ?; -- for none.")] = "*",
    channel: Annotated[str, typer.Option(help="Codes with * and ?.")] = "HH?,EH?",
    start: Annotated[str, typer.Option(help="First time, UTC, such as 2024-03-01.")],
    end: Annotated[str, typer.Option(help="Time after the last, UTC.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the archive; run again to resume.")
    ],
    station_url: Annotated[
        str, typer.Option(help="Base URL of the station service, if it is elsewhere.")
    ] = "",
    stations: Annotated[
        list[Path],
        typer.Option("--stations", "-s", help="StationXML in place of the station service."),
    ] = [],  # noqa: B006
    retries: Annotated[
        int, typer.Option(help="How often missing data are asked for again.", min=0)
    ] = 2,
    requests_per_s: Annotated[
        float, typer.Option("--requests-per-s", help="Most requests a second.", min=0.001, max=50)
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Recordings and station metadata of an FDSN data centre, into an SDS archive."""
    selection = Selection(
        network, station, location, channel, _moment("--start", start), _moment("--end", end)
    )
    server = FdsnServer(url, station_url=station_url, requests_per_s=requests_per_s)
    result = fetch(
        selection, output, server, stations=stations, retries=retries, reporter=Terminal()
    )
    value = {
        "archive": str(output),
        "day_channels": result.outcomes,
        "requests": result.n_requests,
        "bytes": result.n_bytes,
        "missing": result.missing.to_dict("records"),
    }
    show(value, as_json, fetch_text(result))


def fetch_text(result: FetchResult) -> str:
    """Return the outcome for the terminal: counts, what is missing, what to do next."""
    counts = ", ".join(f"{n} {name}" for name, n in result.outcomes.items() if n)
    lines = [f"day-channels: {counts}; {result.n_bytes / 1e6:.1f} MB"]
    if len(result.missing):
        shown = result.missing.drop(columns="reason").head(_MOST_ROWS)
        lines += ["", "missing:", shown.to_string(index=False)]
        if len(result.missing) > _MOST_ROWS:
            lines.append(f"and {len(result.missing) - _MOST_ROWS} more")
        lines.append(f"all of it: {result.path / 'missing.csv'}")
    lines += [
        "",
        f"next: lithoscope run {result.path / 'waveforms'} --stations {result.path / 'stations'}",
    ]
    return "\n".join(lines)


def _moment(option: str, text: str) -> int:
    try:
        moment = pd.Timestamp(text)
        moment = moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")
        return int(moment.as_unit("ns").value)
    except (ValueError, AttributeError):
        raise ConfigError(f"{option} '{text}' is no time; write 2024-03-01T12:00:00") from None
