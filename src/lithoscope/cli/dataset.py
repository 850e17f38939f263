"""`lithoscope dataset build|show|split|convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from lithoscope.cli._options import Json, show
from lithoscope.errors import ConfigError
from lithoscope.learning.datasets import (
    WaveformDataset,
    concatenate,
    read_dataset,
    write_parts,
    write_seisbench,
)
from lithoscope.learning.splits import Split, split_by_event, split_by_source, split_by_station
from lithoscope.pipeline.datasets import DatasetSettings, dataset_from_events, dataset_from_run
from lithoscope.pipeline.progress import Terminal

app = typer.Typer(
    name="dataset", help="Labelled waveforms for training and evaluation.", no_args_is_help=True
)
Output = Annotated[Path, typer.Argument(metavar="OUTPUT", help="New folder of the dataset.")]
Paths = Annotated[
    list[Path],
    typer.Argument(metavar="DATASET...", help="Datasets: SeisBench folders, h5 and csv."),
]
By = Annotated[str, typer.Option("--by", help="station, event or source.")]
Seed = Annotated[int, typer.Option(help="Another seed gives other parts.")]
TestPart = Annotated[float, typer.Option("--test", help="Fraction of stations or events for test.")]
ValidationPart = Annotated[
    float, typer.Option("--validation", help="Fraction of stations or events for validation.")
]
TestSource = Annotated[
    list[str], typer.Option("--test-source", help="With --by source: a source for test.")
]


@app.command("build")
def build(
    output: Output,
    run: Annotated[
        Path | None, typer.Option("--run", help="Run directory to take all from.")
    ] = None,
    events: Annotated[
        list[Path], typer.Option("--events", help="QuakeML or SCML with picks; repeatable.")
    ] = [],  # noqa: B006
    data: Annotated[
        list[Path], typer.Option("--data", help="Recordings the picks belong to; repeatable.")
    ] = [],  # noqa: B006
    stations: Annotated[
        list[Path], typer.Option("--stations", "-s", help="Station files, to orient components.")
    ] = [],  # noqa: B006
    name: Annotated[str, typer.Option(help="Source name of the traces.")] = "",
    before_s: Annotated[float, typer.Option(help="Before the first pick, s.")] = 30.0,
    after_s: Annotated[float, typer.Option(help="After the last pick, s.")] = 60.0,
    kind: Annotated[
        str, typer.Option(help="manual or auto: who made the picks; default by the origin.")
    ] = "",
    noise: Annotated[int, typer.Option(help="Traces of noise a station.", min=0)] = 0,
    traces_per_file: Annotated[int | None, typer.Option(help="Traces a chunk.", min=1)] = None,
    by: By = "station",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make training data of a run, or of QuakeML with picks and recordings (SeisBench format)."""
    if (run is None) == (not events):
        raise ConfigError("name either --run RUN, or --events FILE with --data FOLDER")
    if events and not data:
        raise ConfigError("--events needs the recordings: --data FOLDER")
    values = {
        "before_s": before_s, "after_s": after_s, "noise_per_station": noise,
        "traces_per_file": traces_per_file, "kind": kind or ("auto" if run else "manual"),
    }  # fmt: skip
    settings = DatasetSettings.parse(values, where="options")
    if run is not None:
        made = dataset_from_run(run, output, settings, name=name, reporter=Terminal())
    else:
        made = dataset_from_events(
            events, data, output, settings, stations=stations, name=name, reporter=Terminal()
        )
    made = made.with_split(_split(made, by, seed, 0.35, 0.15, []))
    write_parts(output, made)
    _show(made, as_json)


@app.command("show")
def show_dataset(
    dataset: Paths,
    waveforms: Annotated[
        bool, typer.Option(help="Read all waveforms too and count bad ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What a dataset holds, by source and part, and what cannot be used and why."""
    data = concatenate([read_dataset(path) for path in dataset])
    _show(data.without_bad_waveforms() if waveforms else data, as_json)


@app.command("split")
def split(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of a dataset.")],
    by: By = "station",
    seed: Seed = 0,
    test: TestPart = 0.35,
    validation: ValidationPart = 0.15,
    test_source: TestSource = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Split a dataset into train, validation and test, and write the parts beside it."""
    data = read_dataset(dataset)
    data = data.with_split(_split(data, by, seed, test, validation, test_source))
    write_parts(dataset if dataset.is_dir() else dataset.parent, data)
    _show(data, as_json)


@app.command("convert")
def convert(
    dataset: Paths,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder.")],
    traces_per_file: Annotated[int | None, typer.Option(help="Traces a chunk.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Write datasets, joined, in the SeisBench format; traces with NaN are left out."""
    data = concatenate([read_dataset(path) for path in dataset]).without_bad_waveforms()
    write_seisbench(data, output, traces_per_file=traces_per_file)
    _show(data, as_json)


def _split(
    data: WaveformDataset, by: str, seed: int, test: float, validation: float, sources: list[str]
) -> Split:
    if by == "source":
        if not sources:
            raise ConfigError("--by source needs --test-source NAME")
        return split_by_source(data.metadata, sources)
    if by not in ("station", "event"):
        raise ConfigError(f"--by {by}: allowed are station, event and source")
    rule = split_by_station if by == "station" else split_by_event
    return rule(data.metadata, seed, test=test, validation=validation)


def _show(data: WaveformDataset, as_json: bool) -> None:
    table = overview(data)
    value = {
        "traces": len(data),
        "parts": table.to_dict("records"),
        "left_out": data.exclusions.to_dict("records"),
        "notes": list(data.notes),
    }
    lines = [table.to_string(index=False)]
    if len(data.exclusions):
        lines += ["", "left out:", data.exclusions.to_string(index=False)]
    show(value, as_json, "\n".join([*lines, *(["", *data.notes] if data.notes else [])]))


def overview(data: WaveformDataset) -> pd.DataFrame:
    """Return one row a source and part: traces, stations, events, labels, rates."""
    rows: list[dict[str, Any]] = []
    for (source, part), own in data.metadata.groupby(["source", "split"], sort=True):
        labels = [phase for some in own["labels"] for phase, _ in some]
        rates = sorted(set(own["sampling_rate_hz"]))
        rows.append(
            {
                "source": source,
                "part": part or "-",
                "traces": len(own),
                "stations": own["station"].nunique(),
                "events": own.loc[own["event"] != "", "event"].nunique(),
                "P": labels.count("P"),
                "S": labels.count("S"),
                "manual": int((own["kind"] == "manual").sum()),
                "noise": int((own["kind"] == "noise").sum()),
                "rates_hz": ", ".join(f"{rate:g}" for rate in rates),
            }
        )
    return pd.DataFrame(rows)
