"""The configuration of a run: one TOML file, every key with a default and a description."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lithoscope.association import AssociationSettings
from lithoscope.catalog.export import Format
from lithoscope.errors import ConfigError
from lithoscope.location import LocationSettings
from lithoscope.magnitude import MagnitudeSettings
from lithoscope.pipeline.live.settings import LiveSettings
from lithoscope.pipeline.pickers import PickingSettings, absolute_model
from lithoscope.pipeline.prior import PriorSettings
from lithoscope.report import ReportSettings
from lithoscope.settings import Settings
from lithoscope.stations import StationSettings
from lithoscope.waveforms import WaveformSettings


class ModelSettings(Settings):
    """Velocity model of location and association."""

    name: str = Field("iasp91", description="Name of a built-in velocity model.")
    path: str = Field("", description="File with a velocity model; takes the place of the name.")
    interpolation: Literal["constant", "linear"] | None = Field(
        None,
        description="Velocity between the rows of a file: constant layers or linear; left out, "
        "what the format says (constant for CSV, linear for .nd).",
    )


class OutputSettings(Settings):
    """What a run writes beside its store."""

    title: str = Field("Earthquake catalogue", description="Heading of the report.")
    exports: tuple[Format, ...] = Field(
        ("quakeml", "csv"),
        description="Formats written at the end: quakeml, csv, parquet, geojson, nlloc, hypodd.",
    )
    report: bool = Field(True, description="Write report.html.")


class EngineSettings(Settings):
    """How the work is spread; never changes a result."""

    kind: Literal["local", "dask"] = Field(
        "local", description="local (processes of this machine) or dask (a Dask cluster)."
    )
    workers: int = Field(2, ge=1, description="Processes; each uses one thread.")
    scheduler: str = Field(
        "",
        description="Address of a running Dask scheduler, such as tcp://host:8786, whose workers "
        "are taken as they are; empty: a cluster of `workers` processes of this machine.",
    )


class RunSettings(Settings):
    """Everything that decides the result of `lithoscope run`."""

    waveforms: WaveformSettings = Field(WaveformSettings(), description="Reading of waveforms.")
    stations: StationSettings = Field(StationSettings(), description="Reading of station files.")
    model: ModelSettings = Field(ModelSettings(), description="Velocity model.")
    picking: PickingSettings = Field(PickingSettings(), description="Which picker, and how.")
    association: AssociationSettings = Field(
        AssociationSettings(), description="From picks to events."
    )
    location: LocationSettings = Field(LocationSettings(), description="Hypocentres.")
    prior: PriorSettings = Field(PriorSettings(), description="Prior of the hypocentres.")
    magnitude: MagnitudeSettings = Field(MagnitudeSettings(), description="Magnitudes.")
    output: OutputSettings = Field(OutputSettings(), description="Exports and report.")
    report: ReportSettings = Field(ReportSettings(), description="What the report draws.")
    engine: EngineSettings = Field(EngineSettings(), description="Processes.")
    live: LiveSettings = Field(LiveSettings(), description="What only `lithoscope watch` uses.")


_PATHS = (("model", "path"), ("prior", "map_path"), ("location", "station_terms"))
# What may stand in place of a file name.
_NO_PATHS = ("", "none", "estimate")


def absolute_paths(settings: RunSettings) -> RunSettings:
    """Return the settings with absolute file names, so that they hold in any folder."""
    changed: dict[str, Settings] = {}
    for name, key in _PATHS:
        group = getattr(settings, name)
        if (path := getattr(group, key)) not in _NO_PATHS:
            changed[name] = group.model_copy(update={key: str(Path(path).resolve())})
    model = absolute_model(settings.picking.model, Path())
    changed["picking"] = settings.picking.model_copy(update={"model": model})
    return settings.model_copy(update=changed)


def load_settings(path: Path | None, overrides: Mapping[str, Any] | None = None) -> RunSettings:
    """Read a TOML file, apply overrides (nested mapping), and validate.

    Relative file names inside the configuration are taken from the file's own folder.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no TOML, or has an unknown key or a value out of range.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"configuration '{path}' cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"configuration '{path}' is no valid TOML: {error}") from None
        for group, key in _PATHS:
            name = values.get(group, {}).get(key)
            if name is not None and name not in _NO_PATHS:
                values[group][key] = str(path.parent / name)
        if model := values.get("picking", {}).get("model"):
            values["picking"]["model"] = absolute_model(model, path.parent)
    values = _merge(values, overrides or {})
    settings: RunSettings = RunSettings.parse(values, where=str(path or "options"))
    return settings


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Turn ``group.key=value`` texts (TOML values) into a nested mapping.

    Raises
    ------
    ConfigError
        If a text is not of that form, or names an unknown key (the nearest one is named).
    """
    result: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        parts = name.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError(f"setting '{text}' is not of the form group.key=value")
        if parts[0] not in RunSettings.model_fields:
            near = difflib.get_close_matches(parts[0], list(RunSettings.model_fields), 1, 0.0)
            raise ConfigError(f"unknown group '{parts[0]}'; did you mean '{near[0]}'?")
        try:
            parsed = tomllib.loads(f"v = {value.strip()}")["v"]
        except tomllib.TOMLDecodeError:
            parsed = value.strip()
        nested: Any = parsed
        for part in reversed(parts):
            nested = {part: nested}
        result = _merge(result, nested)
    return result


def render_toml(settings: RunSettings) -> str:
    """Return the configuration as TOML, every key preceded by its description."""
    lines = ["# Lithoscope configuration", ""]
    for group, field in type(settings).model_fields.items():
        lines += [f"# {field.description}", *_render_group(group, getattr(settings, group)), ""]
    return "\n".join(lines)


def _render_group(name: str, group: Settings) -> list[str]:
    lines = [f"[{name}]"]
    nested: list[str] = []
    for key, field in type(group).model_fields.items():
        value = getattr(group, key)
        if isinstance(value, Settings):
            nested += ["", *_render_group(f"{name}.{key}", value)]
            continue
        lines.append(f"# {field.description or key}")
        if value is None:
            lines.append(f"# {key} =    (decided from the data)")
        else:
            lines.append(f"{key} = {_render_value(value)}")
    return lines + nested


def _render_value(value: Any) -> str:
    if isinstance(value, Settings):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_render_value(v) for v in value) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(k))} = {_render_value(v)}" for k, v in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value))


def _merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in extra.items():
        if isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = _merge(out[key], value)
        else:
            out[key] = value
    return out
