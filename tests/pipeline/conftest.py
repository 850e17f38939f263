"""Real runs shared by the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Small networks of the rooms below serve here too.
sys.path.extend(
    str(Path(__file__).parents[1] / room) for room in ("pipeline", "learning", "picking")
)

from real_runs import Timed, run_case


@pytest.fixture(scope="session")
def real_run(real_data, tmp_path_factory: pytest.TempPathFactory):
    """Return a function from the name of a case to its run; each case runs once, in this process.

    They are small: two more processes would spend most of their time on loading the libraries.
    """
    done: dict[str, Timed] = {}

    def get(name: str) -> Timed:
        if name not in done:
            output = tmp_path_factory.mktemp(name) / "run"
            done[name] = run_case(name, real_data, output, extra={"engine": {"workers": 1}})
        return done[name]

    return get
