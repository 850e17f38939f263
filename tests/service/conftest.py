"""One run and one server for all tests of the service that change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_run import make_run, serving

from lithoscope.service.settings import ServiceSettings


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def address(small_run: Path):
    with serving(ServiceSettings(source=str(small_run))) as url:
        yield url
