"""`lithoscope serve`."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from lithoscope.errors import ConfigError, LithoscopeError


def command(
    source: Annotated[
        str, typer.Argument(metavar="RUN_OR_DATABASE", help="Run directory, SQLite file or URL.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65_535)] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with a token, or NAME:TOKEN, a line, that allows reviews; else the "
            "environment variable LITHOSCOPE_TOKEN. Without: read-only."
        ),
    ] = None,
    waveforms: Annotated[
        list[Path] | None,
        typer.Option(help="Recordings, in place of those that the run names; repeatable."),
    ] = None,
    stations: Annotated[
        list[Path] | None,
        typer.Option(
            "--stations", "-s", help="Station files, in place of those of the run; repeatable."
        ),
    ] = None,
    catalog: Annotated[str, typer.Option(help="Name of the catalogue in answers.")] = "lithoscope",
    contributor: Annotated[str, typer.Option(help="Who contributes it.")] = "lithoscope",
) -> None:
    """Serve a catalogue: a page, FDSN web services, a JSON API and live updates."""
    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} not installed; `pip install lithoscope[serve]` adds the "
            "service"
        )
    from lithoscope.service.server import listen, make_server
    from lithoscope.service.settings import ServiceSettings, read_tokens

    settings = ServiceSettings(
        source=source,
        waveforms=tuple(str(path) for path in waveforms or ()),
        stations=tuple(str(path) for path in stations or ()),
        tokens=read_tokens(token_file),
        catalog=catalog,
        contributor=contributor,
        processes=1,
    )
    listener = listen(host, port)  # refuse an address in use before the catalogue is read
    try:
        server = make_server(settings)
    except LithoscopeError:
        listener.close()
        raise
    address = f"[{host}]" if ":" in host else host
    kind = "reviews with a token" if settings.tokens else "read-only"
    typer.echo(f"serving {source} on http://{address}:{listener.getsockname()[1]}/ ({kind})")
    # A thread that reads the store gives way some ten times a read; at Python's 5 ms each it would
    # wait longer for its turn than it works.
    sys.setswitchinterval(0.0005)
    with suppress(KeyboardInterrupt):  # the usual way to end it
        server.run(sockets=[listener])
