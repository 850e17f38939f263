"""`lithoscope train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lithoscope.cli._options import Json, show
from lithoscope.pipeline.progress import Terminal
from lithoscope.pipeline.training import (
    Outcome,
    load_training,
    train_fold,
    train_model,
    write_guard,
)


def command(
    config: Annotated[Path, typer.Argument(help="TOML configuration of the training.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the training; resumed if it exists.")
    ],
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    fold: Annotated[
        int | None,
        typer.Option("--fold", help="Train this fold only (from 0), to have several side by side."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a picker, or fine-tune one on your own data; run again to go on after a stop."""
    terminal = Terminal()
    settings = load_training(config)
    with terminal.track("training", settings.training.steps) as step:

        def progress(done: int, total: int, text: str) -> None:
            step.done = done - 1  # a run that goes on does not begin at 0
            step()

        if fold is not None:
            folder = train_fold(
                settings, output, fold, device=device, progress=progress, say=terminal.say
            )
            show({"model": str(folder)}, as_json, f"fold {fold} in {folder}")
            return
        outcome = train_model(
            settings,
            output,
            device=device,
            progress=progress,
            say=terminal.say,
        )
    if outcome.guard is not None:
        write_guard(outcome.guard, outcome.folder)
    summary = {
        "model": str(outcome.folder),
        "step": outcome.step,
        "validation": {k: v for k, v in outcome.score.items() if k != "step"},
        "recommended": outcome.recommended,
    }
    show(summary, as_json, _text(outcome))
    if not outcome.recommended:
        raise typer.Exit(1)


def _text(outcome: Outcome) -> str:
    lines = [f"model in {outcome.folder}, weights of step {outcome.step}"]
    score = outcome.score
    lines += [
        f"validation {k.upper()}: best F1 within 0.1 s {score[f'{k}_f1']:.3f}"
        for k in "ps"
        if f"{k}_f1" in score
    ]
    if outcome.guard is not None:
        lines.append(outcome.guard.to_string(index=False, float_format="{:.3f}".format))
        lines.append(
            "recommended: it won more on the new data than it lost on the old"
            if outcome.recommended
            else "NOT recommended: it lost more on the old data than it won on the new; keep the "
            "old model, or train with a lower learning_rate, fewer steps or trainable = ['head']"
        )
    return "\n".join(lines)
