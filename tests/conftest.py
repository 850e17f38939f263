"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def data_root() -> Path:
    """Return the folder of real data: LITHOSCOPE_DATA, or ../shared/data beside the project."""
    return Path(os.environ.get("LITHOSCOPE_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data():
    """Return a function from a folder name to its path; without the folder, skip or fail.

    Under CI=true missing data fail the test, so that a green run cannot hide a skipped check.
    """

    def find(folder: str) -> Path:
        path = data_root() / folder
        if path.is_dir():
            return path
        message = f"real data not found: {path} (set LITHOSCOPE_DATA)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)

    return find


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a module on one process, so that what they share is made once.

    Tests that name a group of their own are the long ones: they begin first, so that no process
    is left alone with them at the end.
    """
    grouped = [item for item in items if item.get_closest_marker("xdist_group")]
    others = [item for item in items if not item.get_closest_marker("xdist_group")]
    for item in others:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items[:] = grouped + others
