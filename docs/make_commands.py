"""Write docs/commands.md from the command line's own help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from lithoscope.cli import app

TARGET = Path(__file__).with_name("commands.md")


def render() -> str:
    """Return the reference of all commands as Markdown."""
    group = typer.main.get_command(app)
    lines = ["# Commands", "", "Written by `python docs/make_commands.py`.", ""]
    for name, command in sorted(_commands(group)):
        lines += [f"## lithoscope {name}", "", (command.help or "").strip(), ""]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            label = ", ".join(parameter.opts) if parameter.param_type_name == "option" else ""
            label = label or (parameter.metavar or parameter.name)
            lines.append(f"- `{label}`: {getattr(parameter, 'help', '') or ''}".rstrip())
        lines.append("")
    return "\n".join(lines)


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and commands, those of groups under the group's name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
