"""`lithoscope review`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from lithoscope.catalog import Store
from lithoscope.cli._options import Json, show
from lithoscope.errors import DataError
from lithoscope.pipeline.review import Action, NewPick, review
from lithoscope.pipeline.run import STORE_NAME


def command(
    store: Annotated[
        str, typer.Argument(metavar="RUN", help="Run directory, store file or database URL.")
    ],
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Id of the event.")],
    action: Annotated[
        str,
        typer.Argument(
            metavar="ACTION",
            help="accept, reject, retype, comment, add_pick, move_pick or remove_pick.",
        ),
    ],
    comment: Annotated[str, typer.Option(help="Free text, kept with the decision.")] = "",
    event_type: Annotated[
        str | None, typer.Option("--type", help="For retype: a word of QuakeML.")
    ] = None,
    pick: Annotated[
        str | None, typer.Option(help="For move_pick and remove_pick: id of the pick.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="For add_pick and move_pick: time of the pick, UTC.")
    ] = None,
    station: Annotated[str, typer.Option(help="For add_pick: NET.STA.LOC.BI.")] = "",
    phase: Annotated[str, typer.Option(help="For add_pick: P or S.")] = "",
    sigma: Annotated[
        float, typer.Option(help="For add_pick: 1 sigma of the time of the pick, s.")
    ] = 0.05,
    user: Annotated[str, typer.Option(help="Who decides; default: who is logged in.")] = "",
    as_json: Json = False,
) -> None:
    """Decide on an event; a changed pick locates it anew at once."""
    path = Path(store)
    url = str(path / STORE_NAME) if path.is_dir() else store
    try:
        moment = None if time is None else pd.Timestamp(time)
    except ValueError:
        raise DataError(f"time '{time}' is no time; write it as 2026-05-04T03:02:01.25") from None
    with Store(url) as opened:
        kind: Action = action  # type: ignore[assignment]
        change = review(
            opened,
            event,
            kind,
            user=user or _who(),
            comment=comment,
            event_type=event_type,
            pick_id=pick,
            time=moment,
            new=NewPick(station, phase, sigma) if station else None,
        )
        row = opened.versions(event).iloc[-1]
    value = {
        "event_id": event,
        "version": change.version,
        "evaluation_status": str(row["evaluation_status"]),
        "time": str(row["time"]),
        "longitude": float(row["longitude"]),
        "latitude": float(row["latitude"]),
        "depth_km": float(row["depth_km"]),
    }
    text = (
        f"{event}: version {change.version}, {row['evaluation_status']}; "
        f"{row['time']:%Y-%m-%dT%H:%M:%S}, {row['longitude']:.4f} {row['latitude']:.4f}, "
        f"{row['depth_km']:.1f} km"
    )
    show(value, as_json, text)


def _who() -> str:
    """Return the name of who is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise DataError("who decides is not known here; say it with --user") from None
