"""Fixtures of the waveform tests."""

from __future__ import annotations

import numpy as np
import pytest
from miniseed_files import make_trace, noise, save


@pytest.fixture
def three(tmp_path):
    """Return a folder with one three-component station of 60 s, and its samples (Z, N, E)."""
    data = {c: noise(6000, seed) for seed, c in enumerate("ZNE")}
    for component, values in data.items():
        save(tmp_path / f"{component}.mseed", [make_trace(f"XX.AAA..HH{component}", values)])
    return tmp_path, np.array([data[c] for c in "ZNE"])
