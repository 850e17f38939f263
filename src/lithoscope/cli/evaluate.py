"""`lithoscope evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from lithoscope.cli._options import Json, show
from lithoscope.errors import ConfigError
from lithoscope.files import replacing
from lithoscope.learning.datasets import (
    WaveformDataset,
    concatenate,
    read_dataset,
)
from lithoscope.learning.splits import split_by_event, split_by_station
from lithoscope.pipeline.evaluation import Evaluation, Noise, contestant, evaluate
from lithoscope.pipeline.progress import Terminal
from lithoscope.report import write_evaluation

SPLITS = ("file", "station", "event", "none")


def command(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="classical, a model's name, or a model's folder."),
    ],
    dataset: Annotated[
        list[Path],
        typer.Argument(metavar="DATASET...", help="Labelled data: SeisBench folders, h5 and csv."),
    ],
    against: Annotated[
        list[str], typer.Option("--against", help="Another picker to compare with; repeatable.")
    ] = [],  # noqa: B006  Typer copies it
    part: Annotated[str, typer.Option(help="Part of the split to score, or all.")] = "test",
    split: Annotated[
        str,
        typer.Option(
            help="file: the split written with the data, if any; station, event: made here; none."
        ),
    ] = "file",
    noise: Annotated[
        list[Path],
        typer.Option("--noise", help="Continuous data without events, to count false picks in."),
    ] = [],  # noqa: B006
    noise_end: Annotated[
        str, typer.Option(help="Use continuous data before this time (UTC) only.")
    ] = "",
    own_thresholds: Annotated[
        bool,
        typer.Option(help="Use each picker's own thresholds even where there is validation data."),
    ] = False,
    samples: Annotated[int, typer.Option(help="Bootstrap samples.", min=100)] = 1000,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for page, tables (CSV) and evaluation.json."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Precision, recall, F1, residuals, false picks and calibration of pickers on labelled data."""
    data = read_all(dataset, split)
    test, validation = parts(data, part)
    end = _moment(noise_end)
    calm = [Noise(path.name, [path], end=end) for path in noise]
    result = evaluate(
        [contestant(name) for name in (model, *against)],
        test,
        validation=None if own_thresholds else validation,
        noise=calm,
        n_samples=samples,
        reporter=Terminal(),
    )
    if output is not None:
        save_evaluation(result, output, title=f"{model} on {', '.join(p.name for p in dataset)}")
    lines = [evaluation_text(result)]
    if len(data.exclusions):
        left = data.exclusions.to_string(index=False)
        lines += ["", "left out:", left]
    if output is not None:
        lines += ["", f"page: {output / 'evaluation.html'}"]
    show(as_values(result), as_json, "\n".join(lines))


def read_all(paths: list[Path], split: str) -> WaveformDataset:
    """Read datasets as one, without unreadable traces, with the split asked for."""
    if split not in SPLITS:
        raise ConfigError(f"--split {split}: allowed are {', '.join(SPLITS)}")
    data = concatenate([read_dataset(path) for path in paths]).without_bad_waveforms()
    if split == "station":
        return data.with_split(split_by_station(data.metadata))
    if split == "event":
        return data.with_split(split_by_event(data.metadata))
    if split == "none":
        return WaveformDataset(
            data.metadata.assign(split=""), data.readers, data.keys, data.exclusions
        )
    return data


def parts(data: WaveformDataset, part: str) -> tuple[WaveformDataset, WaveformDataset | None]:
    """Return the traces to score, and those to choose thresholds on where there are any."""
    has = set(data.metadata["split"]) - {""}
    if part == "all" or not has:
        return data, None
    own = data.part(part)
    return own, data.part("validation") if "validation" in has and part != "validation" else None


def save_evaluation(result: Evaluation, folder: Path, *, title: str) -> None:
    """Write the page, one CSV a table, and everything as JSON."""
    for name, table in result.tables().items():
        with replacing(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    with replacing(folder / "evaluation.json") as temporary:
        temporary.write_text(json.dumps(as_values(result), indent=1), encoding="utf-8")
    write_evaluation(folder / "evaluation.html", result.tables(), result.notes, title=title)


def as_values(result: Evaluation) -> dict[str, Any]:
    """Return all tables as lists of rows; what is not known is null."""
    return {
        name: json.loads(table.to_json(orient="records", double_precision=6))
        for name, table in result.tables().items()
        if name != "residuals"
    } | {"notes": list(result.notes)}


def evaluation_text(result: Evaluation) -> str:
    """Return the scores on all traces as a table for the terminal, and the rules."""
    scores = result.scores[result.scores["by"].isin(["all", "source"])]
    chosen = scores[scores["measure"].isin(["precision", "recall", "f1"])]
    rows: list[dict[str, Any]] = []
    for (phase, tolerance, of, model), part in chosen.groupby(_KEY, sort=False):
        found = part.set_index("measure").to_dict("index")
        row = {"phase": phase, "within_s": tolerance, "source": of or "all", "model": model}
        for measure in ("precision", "recall"):
            row[measure] = f"{found[measure]['value']:.3f}"
        f1 = found["f1"]
        row["F1 (95 %)"] = f"{f1['value']:.3f} ({f1['low']:.3f} to {f1['high']:.3f})"
        rows.append(row | {"labels": f1["n"]})
    table = pd.DataFrame(rows).sort_values(["phase", "within_s", "source"], kind="stable")
    lines = [table.to_string(index=False), ""]
    whole = scores[(scores["by"] == "all")]
    for name, unit in _FIGURES.items():
        r: Any
        for r in whole[whole["measure"] == name].itertuples():
            lines.append(
                f"{r.model}, {r.phase}: {name} {r.value:.3f} ({r.low:.3f} to {r.high:.3f}) {unit}"
            )
    lines += ["", result.thresholds.to_string(index=False), "", result.costs.to_string(index=False)]
    return "\n".join([*lines, "", *result.notes])


_KEY = ["phase", "tolerance_s", "of", "model"]
_FIGURES = {
    "residual_median_s": "s",
    "residual_mad_s": "s",
    "false_per_hour": "per hour of noise",
    "one_sigma": "of residuals within one sigma",
    "calibration_error": "expected calibration error",
}


def _moment(text: str) -> pd.Timestamp | None:
    if not text:
        return None
    try:
        time = pd.Timestamp(text)
    except ValueError:
        raise ConfigError(
            f"--noise-end {text}: a time such as 2019-07-04T17:00:00 needed"
        ) from None
    return time.tz_localize("UTC") if time.tzinfo is None else time
