"""`lithoscope watch`."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer

from lithoscope.cli._options import (
    DataOptions,
    Model,
    PickerChoice,
    picker_settings,
    require_stations,
    show,
    with_options,
)
from lithoscope.constants import NS_PER_S
from lithoscope.errors import ConfigError
from lithoscope.pipeline.live.engine import watch
from lithoscope.pipeline.live.health import status_line
from lithoscope.pipeline.live.sources import open_source
from lithoscope.pipeline.progress import Terminal


@with_options
def command(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="seedlink://HOST:PORT[?NET_STA:LOCCHA,...], or a folder of miniSEED that grows.",
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory.")] = Path("watch"),
    model: Model = "",
    picker: PickerChoice = "",
    store: Annotated[
        str, typer.Option(help="Database, such as postgresql://user@host/name; default SQLite.")
    ] = "",
    start: Annotated[
        str,
        typer.Option(
            help="Where a server that is new to this watch begins: now, earliest, or a time."
        ),
    ] = "now",
    until_idle: Annotated[
        float | None,
        typer.Option(
            help="Stop after so many seconds without data, with the final solution of all that is "
            "kept, as `lithoscope run` would make it.",
            min=0.1,
        ),
    ] = None,
    options: DataOptions,
) -> None:
    """Data that come in to a catalogue that grows; stop with Ctrl-C, begin again to go on."""
    settings = options.settings(model, picking=picker_settings(picker))
    opened = [open_source(text, start=_start(start)) for text in sources]
    names = [source.name for source in opened]
    if len(set(names)) < len(names):
        raise ConfigError("two sources are the same; give each server or folder once")
    with _stopped_by_signals() as stop:
        result = watch(
            opened,
            require_stations(options.stations),
            output,
            settings,
            store=store,
            until_idle_s=until_idle,
            stop=stop,
            reporter=Terminal(),
            on_status=_json_status if options.as_json else _line_status,
        )
    summary = {
        "run": str(result.path),
        "events": result.n_events,
        "packets": result.n_packets,
        "health": result.health,
    }
    text = f"{result.n_events} events from {result.n_packets} packets; results in {result.path}"
    show(summary, options.as_json, text)


def _start(text: str) -> Literal["earliest"] | int | None:
    if text == "now":
        return None
    if text == "earliest":
        return "earliest"
    try:
        moment = pd.Timestamp(text)
    except ValueError:
        raise ConfigError(
            f"--start {text}: write now, earliest, or a time such as 2024-05-01T12:00:00Z"
        ) from None
    utc = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return int(utc.value // NS_PER_S * NS_PER_S)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Let SIGINT and SIGTERM stop the watch cleanly; a second one ends it at once."""
    stop = threading.Event()

    def handle(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        sys.stderr.write("stopping; once more to stop at once\n")
        stop.set()

    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _line_status(health: dict[str, Any]) -> None:
    line = status_line(health)
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{line}")
    else:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _json_status(health: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"status": health}) + "\n")
    sys.stdout.flush()
