"""Remaining time is told from the pace of the work, not from what came before it."""

from __future__ import annotations

import pytest

from lithoscope.pipeline import progress
from lithoscope.pipeline.progress import Terminal


def test_loading_before_the_first_unit_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with Terminal().track("training", 100) as step:
        clock[0] = 500.0
        step.done = 40  # an earlier run's
        for _ in range(60):
            step()
            clock[0] += 2.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 42 of 100, about 116 s left"
    assert len(lines) == 12
