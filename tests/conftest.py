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
