"""The files of the page: nothing from outside, no markup from data, nothing a policy forbids."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "src/lithoscope/service/static"
FILES = sorted(p for p in STATIC.rglob("*") if p.is_file())
SCRIPTS = [p for p in FILES if p.suffix == ".js"]


def name(path: Path) -> str:
    return str(path.relative_to(STATIC))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_address_outside(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|[\"'(]//[a-z]", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_data_never_become_markup_or_code(path: Path) -> None:
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    assert not re.search(banned, path.read_text())


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_import_is_a_file_and_is_used(path: Path) -> None:
    text = path.read_text()
    for names, source in re.findall(r"^import (.+?) from \"(.+?)\";", text, re.M):
        target = (path.parent / source).resolve()
        assert target.is_file(), source
        exported = target.read_text()
        for found in re.findall(r"\w+", names.replace("* as ", "")):
            assert len(re.findall(rf"\b{found}\b", text)) > 1, f"{found} is not used"
            if "*" not in names:
                assert re.search(rf"export [\w ]*\b{found}\b", exported), f"{found} not in {source}"


def test_the_page_obeys_its_own_policy() -> None:
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|style=|\son\w+=", page)
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    for reference in re.findall(r"(?:src|href)=\"(static/[^\"]+)\"", page):
        assert (STATIC / reference.removeprefix("static/")).is_file(), reference


def test_modules_stay_small() -> None:
    for path in SCRIPTS:
        assert len(path.read_text().splitlines()) <= 400, path.name


def test_the_files_are_installed() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())
    kinds = patterns["tool"]["setuptools"]["package-data"]["lithoscope"]
    for path in FILES:
        inside = str(path.relative_to(ROOT / "src/lithoscope"))
        assert any(fnmatch(inside, kind) for kind in kinds), inside
