"""Components in the directions of the ground: up, north, east."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lithoscope.waveforms.record import Record


def orient(
    records: list[Record], channels: pd.DataFrame | None
) -> tuple[list[Record], list[dict[str, Any]]]:
    return records, []
