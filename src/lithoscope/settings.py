"""Base of every settings class: unknown keys are refused and the nearest known one is named."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from lithoscope.errors import ConfigError


class Settings(BaseModel):
    """Frozen group of settings; each field has a default, a unit in its name and a description."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str = "configuration") -> Any:
        """Validate ``values``; raise a one-line `ConfigError` that names the key at fault.

        Parameters
        ----------
        values
            Nested mapping as read from TOML.
        where
            What the message calls the origin of the values (a file name).

        Raises
        ------
        ConfigError
            For an unknown key (the nearest known one is named) or a value out of range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(_one_line(cls, error, where)) from None


def _one_line(cls: type[Settings], error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _known_keys(cls, path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.0)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{where}: unknown key '{name}'{hint}"
    return f"{where}: {name} = {first['input']!r}: {first['msg']}"


def _known_keys(cls: type[Settings], path: list[str]) -> list[str]:
    model: Any = cls
    for part in path:
        if part.isdigit():  # a place in a list of groups
            continue
        model = model.model_fields[part].annotation
        inner = [a for a in get_args(model) if isinstance(a, type) and issubclass(a, Settings)]
        model = inner[0] if inner else model
    return list(model.model_fields)
