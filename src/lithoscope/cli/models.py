"""`lithoscope models list|show|export|import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.cli._options import Json, show
from lithoscope.learning.cards import ModelCard, render_card
from lithoscope.learning.model_import import import_model
from lithoscope.learning.models import export_model, list_models, load_model

app = typer.Typer(help="Trained models: which there are, their cards, copies, other programs'.")

Named = Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model, or its folder.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show all models: those of the package and the user's own."""
    rows = [
        {
            "name": m.name,
            "version": m.card.version if m.card else "",
            "family": m.card.family if m.card else "",
            "rate_hz": m.card.input.rate_hz if m.card else None,
            "packaged": m.packaged,
            "folder": str(m.folder),
            "description": m.card.description if m.card else "",
            "problem": m.problem,
        }
        for m in list_models()
    ]
    lines = [
        f"{r['name']:24s} {r['family'] or '-':14s} "
        f"{r['problem'] or r['description']} ({'package' if r['packaged'] else r['folder']})"
        for r in rows
    ]
    show(rows, as_json, "\n".join(lines) or "no models; `lithoscope train` makes one")


@app.command("show")
def show_(model: Named, as_json: Json = False) -> None:
    """Print a model's card, after checking that its network can be loaded and is the card's."""
    card = load_model(model).card
    show(card.model_dump(mode="json"), as_json, render_card(card).rstrip())


@app.command("export")
def export(
    model: Named,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder in which the copy is put.")
    ] = Path(),
) -> None:
    """Copy a model, ONNX file and card, into a folder of its own."""
    typer.echo(f"{model} copied to {export_model(model, output)}")


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A SeisBench PhaseNet or EQTransformer: either file of the pair NAME.pt and "
            "NAME.json, or seisbench:PhaseNet/WEIGHTS where SeisBench is installed; or an .npz "
            "with the variables of PhaseNet's published program.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the new model.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder in which it is put.")
    ] = None,
) -> None:
    """Turn a model of another program into one that runs here, with its own preprocessing."""
    card, folder = import_model(source, name=name or None, folder=output)
    typer.echo(_imported(card, folder))


def _imported(card: ModelCard, folder: Path) -> str:
    windows = card.windows
    return (
        f"{card.name}: {card.family}, {card.input.rate_hz:g} Hz, components "
        f"{card.input.components}, windows of {windows.length} samples every {windows.step}, "
        f"stacked by {windows.stacking}; thresholds P {card.thresholds.p:g}, "
        f"S {card.thresholds.s:g}\nin {folder}; the card holds no scores: measure it with "
        "`lithoscope evaluate`"
    )
