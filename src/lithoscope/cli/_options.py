"""Options shared by several commands, and tables in folders."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import pandas as pd
import typer

from lithoscope.catalog import read_table, write_table
from lithoscope.errors import ConfigError, DataError, StationError
from lithoscope.pipeline.pickers import with_picker
from lithoscope.pipeline.settings import RunSettings, load_settings, parse_assignments
from lithoscope.schema import ARRIVALS, ASSIGNMENTS, EVENTS, PICKS, Schema

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...", help="Folders, files or URLs (s3:// ...) of continuous data."
    ),
]
StationFiles = Annotated[
    list[Path],
    typer.Option(
        "--stations", "-s", help="StationXML, SeisComP XML or CSV with coordinates; repeatable."
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; see `lithoscope config`.")
]
Assignments = Annotated[
    list[str],
    typer.Option("--set", help="One setting, such as location.max_depth_km=30; repeatable."),
]
Model = Annotated[
    str, typer.Option("--model", "-m", help="Velocity model: a file or a built-in name.")
]
PickerChoice = Annotated[
    str,
    typer.Option(
        "--picker", help="learned, classical, both, or a trained model: its name or its folder."
    ),
]
Form = Annotated[str, typer.Option("--format", help="csv or parquet.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Folder of tables: picks, assignments, events ...")
]


@dataclass(frozen=True)
class DataOptions:
    """Options of every command that reads recordings or station files."""

    stations: StationFiles = field(default_factory=list)
    config: ConfigFile = None
    setting: Assignments = field(default_factory=list)
    as_json: Json = False

    def settings(self, model: str = "", **groups: dict[str, Any]) -> RunSettings:
        """Combine the configuration file and the options; options win."""
        return settings_from(self.config, self.setting, model, **groups)


@dataclass(frozen=True)
class TableOptions(DataOptions):
    """Options of every command that writes tables of one stage."""

    form: Form = "csv"


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose parameter ``options``, a dataclass, is spelt out for Typer."""
    *own, options = inspect.signature(function, eval_str=True).parameters.values()
    group = options.annotation
    hints = get_type_hints(group, include_extras=True)
    spelt_out = [
        inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=f.default if f.default_factory is MISSING else f.default_factory(),
            annotation=hints[f.name],
        )
        for f in fields(group)
    ]

    def command(**values: Any) -> None:
        chosen = group(**{f.name: values.pop(f.name) for f in fields(group)})
        function(**values, options=chosen)

    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature([*own, *spelt_out])  # type: ignore[attr-defined]
    return command


SUFFIXES = (".csv", ".parquet")
_EXPORT = "`lithoscope export RUN --format csv` writes the tables of a run"
_MADE_BY = {
    PICKS.name: f"`lithoscope pick` writes it, and {_EXPORT}",
    ASSIGNMENTS.name: "`lithoscope associate` writes it",
    EVENTS.name: f"`lithoscope locate` writes it, and {_EXPORT}",
    ARRIVALS.name: f"`lithoscope locate` writes it, and {_EXPORT}",
}


def settings_from(
    config: Path | None, assignments: list[str], model: str = "", **groups: dict[str, Any]
) -> RunSettings:
    """Combine the configuration file and the options; options win."""
    overrides: dict[str, Any] = parse_assignments(assignments)
    for group, values in groups.items():
        overrides[group] = {**overrides.get(group, {}), **values}
    if model:
        key = "path" if Path(model).exists() else "name"
        overrides["model"] = {**overrides.get("model", {}), key: model}
    return load_settings(config, overrides)


def picker_settings(choice: str) -> dict[str, str]:
    """Return the settings of group ``picking`` that the option --picker stands for."""
    return with_picker(choice) if choice else {}


def require_stations(stations: list[Path]) -> list[Path]:
    """Refuse a missing station file before any work is done."""
    if not stations:
        raise StationError("no station file given; name one with --stations FILE")
    return stations


def load(folder: Path, schema: Schema) -> pd.DataFrame:
    """Read a table of a folder, CSV or Parquet, named after its schema."""
    for suffix in SUFFIXES:
        path = folder / f"{schema.name}{suffix}"
        if path.exists():
            return read_table(path, schema)
    raise DataError(
        f"'{folder}' has no {schema.name}.csv or {schema.name}.parquet; {_MADE_BY[schema.name]}"
    )


def save(folder: Path, schema: Schema, table: pd.DataFrame, form: str) -> None:
    """Write a table of a folder as CSV or Parquet."""
    if f".{form}" not in SUFFIXES:
        raise ConfigError(f"--format {form}: allowed are csv and parquet")
    write_table(table, schema, folder / f"{schema.name}.{form}")


def show(value: Any, as_json: bool, text: str) -> None:
    """Print a result for people or for machines."""
    typer.echo(json.dumps(value, default=str) if as_json else text)


def catalogue_text(events: pd.DataFrame) -> str:
    """Return the catalogue as a table for the terminal, with a legend."""
    if events.empty:
        return "no events"
    lines = [
        "time (UTC)               longitude  latitude  depth km    +- km (E, N, depth)  "
        "magnitude      P  S  gap"
    ]
    e: Any
    for e in events.sort_values("time").itertuples():
        size = (
            f"{e.magnitude_type} {e.magnitude:4.1f} +- {e.magnitude_sigma:3.1f}"
            if pd.notna(e.magnitude)
            else "none"
        )
        note = " ambiguous" if e.ambiguous else ""
        lines.append(
            f"{e.time:%Y-%m-%dT%H:%M:%S.%f}"[:-3]
            + f"  {e.longitude:9.4f} {e.latitude:9.4f} {e.depth_km:9.1f}  "
            + f"{e.east_sigma_km:6.1f}{e.north_sigma_km:6.1f}{e.depth_sigma_km:6.1f}    "
            + f"{size:16s}{e.n_p:3d}{e.n_s:3d} {e.azimuthal_gap_deg:4.0f}{note}"
        )
    lines += [
        "+-: 1 sigma; P, S: arrivals used; gap: largest angle without a station, degrees; "
        "ambiguous: several",
        "places explain the picks, or the region is wider than the network",
    ]
    reasons = events.loc[events["magnitude"].isna(), "magnitude_reason"].value_counts()
    for reason, n in reasons[reasons.index != ""].head(3).items():
        lines.append(f"no magnitude for {n} event{'s' if n > 1 else ''}: {reason}")
    return "\n".join(lines)
