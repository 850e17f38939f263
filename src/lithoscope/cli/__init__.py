"""Command line: each command parses, calls the library and prints. One file a command."""

from __future__ import annotations

import sys

import typer

from lithoscope import __version__
from lithoscope.cli import (
    associate,
    check,
    classify,
    compare,
    config,
    dataset,
    demo,
    evaluate,
    export,
    fetch,
    locate,
    magnitude,
    models,
    pick,
    replay,
    report,
    review,
    run,
    serve,
    train,
    watch,
)
from lithoscope.errors import ConfigError, LithoscopeError

app = typer.Typer(
    name="lithoscope",
    help="Earthquake catalogues with honest uncertainties from continuous recordings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for _module in (
    demo,
    fetch,
    run,
    check,
    pick,
    associate,
    locate,
    magnitude,
    classify,
    export,
    report,
    replay,
    compare,
    config,
    train,
    evaluate,
    serve,
    review,
    watch,
):
    app.command(_module.__name__.rpartition(".")[2])(_module.command)
app.add_typer(dataset.app, name="dataset")
app.add_typer(models.app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lithoscope {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and stop."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line; exit 0 done, 1 failed, 2 wrong use."""
    try:
        app()
    except ConfigError as error:
        sys.stderr.write(f"lithoscope: {error}\n")
        sys.exit(2)
    except LithoscopeError as error:
        sys.stderr.write(f"lithoscope: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("lithoscope: stopped; run again to go on where it stopped\n")
        sys.exit(1)
