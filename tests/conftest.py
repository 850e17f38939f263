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


# The files that take longest begin first, so that no process is left alone with one at the end.
LONGEST = ("test_real_catalogues.py", "test_invariance.py", "test_live_watch.py", "test_page.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; `--dist loadfile` keeps a file on one process.

    So what the tests of a file share (a run, a browser, a cluster) is made once. Coverage (`make
    coverage`) costs up to half as much again as the tests themselves, so it is not taken in
    property tests, where the same lines run many times.
    """
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONGEST)))
