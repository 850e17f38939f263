"""Imports point one way, and heavy libraries stay in their rooms (docs/interfaces.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "lithoscope"

# Ground floor first: a room may import those before it, never those after it.
ORDER = [
    "errors",
    "constants",
    "settings",
    "schema",
    "geo",
    "files",
    "waveforms",
    "stations",
    "inversion",
    "learning",
    "synthetics",
    "traveltimes",
    "picking",
    "association",
    "location",
    "magnitude",
    "classification",
    "seismicity",
    "catalog",
    "report",
    "pipeline",
    "service",
    "cli",
]
# Where a library may be imported; None = nowhere.
KEPT_IN = {
    "obspy": {"waveforms", "stations", "catalog", "synthetics"},
    "matplotlib": {"report"},
    "sqlalchemy": {"catalog"},
    "typer": {"cli"},
    "rich": {"cli", "pipeline"},
    "torch": {"learning"},
    "fastapi": {"service"},
    "starlette": {"service"},
    "uvicorn": {"service"},
    "dask": {"pipeline"},
    "distributed": {"pipeline"},
    "fsspec": {"waveforms"},
}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.append(node.module or "")
            if node.module == "lithoscope":
                names += [f"lithoscope.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    assert here in ORDER, f"room '{here}' is not in the list of rooms"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "lithoscope" and len(parts) > 1 and parts[1] in ORDER:
            assert ORDER.index(parts[1]) <= ORDER.index(here), f"{path} imports {name}"
        if parts[0] in KEPT_IN:
            assert here in KEPT_IN[parts[0]], f"{path} imports {name}"


def test_the_rule_would_catch_a_wrong_import(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from lithoscope.cli import main\nimport obspy\n")
    assert imported(wrong) == ["lithoscope.cli", "obspy"]
    assert ORDER.index("cli") > ORDER.index("geo")
