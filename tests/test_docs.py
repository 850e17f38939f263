"""The documentation matches the program."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from lithoscope.cli import app
from lithoscope.pipeline import RunSettings, load_settings, render_toml

ROOT = Path(__file__).resolve().parents[1]


def test_every_command_and_option_is_in_the_reference() -> None:
    spec = importlib.util.spec_from_file_location("make_commands", ROOT / "docs/make_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs/commands.md").read_text()
    assert module.render() == written, "run python docs/make_commands.py"
    files = [p for p in ROOT.glob("src/lithoscope/cli/*.py") if not p.name.startswith("_")]
    assert len(app.registered_commands) + len(app.registered_groups) == len(files)


def test_every_setting_has_a_description() -> None:
    for name, field in RunSettings.model_fields.items():
        group = getattr(RunSettings(), name)
        assert field.description, name
        for key, inner in type(group).model_fields.items():
            assert inner.description, f"{name}.{key}"


def test_printed_configuration_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(render_toml(RunSettings()))
    assert load_settings(path) == RunSettings()


def test_example_configurations_are_valid() -> None:
    examples = sorted((ROOT / "examples").glob("*.toml"))
    assert len(examples) >= 4
    for path in examples:
        assert load_settings(path) != RunSettings()


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "docs/index.md").read_text()
    for path in ROOT.glob("docs/*.md"):
        assert path.name == "index.md" or f"({path.name})" in contents, path.name


def test_the_readme_links_to_files_that_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert len(links) >= 10
    for link in links:
        assert (ROOT / link).is_file(), link


def test_no_file_of_the_project_names_this_machine() -> None:
    for path in [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "constraints.txt"]:
        text = path.read_text()
        for word in ("/root/", "/tmp/", "pythonhosted", "file://"):
            assert word not in text, f"{path.name} names {word}"
