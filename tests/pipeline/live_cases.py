"""A small network as a stream, for the tests of `watch`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synthetic_archive import SyntheticArchive

from lithoscope.catalog import Catalog, Store
from lithoscope.pipeline import RunSettings, load_settings
from lithoscope.pipeline.live.engine import WatchResult, watch
from lithoscope.pipeline.live.sources import MemorySource
from lithoscope.waveforms import index_archive
from lithoscope.waveforms.seedlink import Packet, decode
from lithoscope.waveforms.seedlink.cutting import ArchiveCutter

BASE: dict[str, Any] = {
    "picking": {"method": "classical"},
    "output": {"report": False, "exports": []},
    "engine": {"workers": 1},
    "live": {"status_s": 600.0},
}


def settings(**groups: dict[str, Any]) -> RunSettings:
    """Return a quick configuration with some keys of some groups changed."""
    changed = {name: {**BASE.get(name, {}), **values} for name, values in groups.items()}
    return load_settings(None, {**BASE, **changed})


def packets_of(folder: Path, packet_s: float = 4.0) -> list[Packet]:
    """Return the packets of an archive in the order of their last samples."""
    cutter = ArchiveCutter(index_archive([folder]), packet_s=packet_s)
    return [replace(decode(c.raw), sequence=n) for n, c in enumerate(cutter)]


def watched(
    packets: Sequence[Packet | None],
    case: SyntheticArchive,
    output: Path,
    configuration: RunSettings | None = None,
) -> tuple[Catalog, WatchResult]:
    """Run a watch over packets until they end, and return the catalogue that it left."""
    source = MemorySource(packets)
    result = watch([source], [case.stations], output, configuration or settings())
    return catalogue(output), result


def catalogue(output: Path) -> Catalog:
    with Store(output / "catalogue.sqlite") as store:
        return store.read()


@dataclass(frozen=True)
class Faults:
    """Faults of a stream, all within a lateness of ``late`` packets."""

    seed: int
    late: int = 0
    doubled: float = 0.0
    dropped: float = 0.0

    def __call__(self, packets: Sequence[Packet]) -> Iterator[Packet]:
        rng = np.random.default_rng(self.seed)
        order = np.arange(len(packets)) + rng.integers(0, self.late + 1, len(packets))
        for number in np.argsort(order, kind="stable"):
            if rng.random() < self.dropped:
                continue
            yield packets[number]
            if rng.random() < self.doubled:
                yield packets[number]


def assert_same_catalogue(live: Catalog, batch: Catalog) -> None:
    """Hold the final solution of a watch to that of a run: the acceptance of issue 4."""
    mine = live.events.sort_values("time", ignore_index=True)
    theirs = batch.events.sort_values("time", ignore_index=True)
    assert len(mine) == len(theirs)
    off = (mine["time"] - theirs["time"]).abs()
    assert off.max() <= pd.Timedelta("1ms"), off
    for column, most in (("longitude", 1e-5), ("latitude", 1e-5), ("depth_km", 1e-3)):
        np.testing.assert_allclose(mine[column], theirs[column], atol=most)
    np.testing.assert_allclose(mine["magnitude"], theirs["magnitude"], atol=0.01)
    arrivals = [sorted(c.arrivals["pick_id"]) for c in (live, batch)]
    assert arrivals[0] == arrivals[1]
    assert sorted(live.picks["pick_id"]) == sorted(batch.picks["pick_id"])
    spans = [c.detections[["station", "starttime", "endtime"]] for c in (live, batch)]
    spans = [s.sort_values(["station", "starttime"], ignore_index=True) for s in spans]
    pd.testing.assert_frame_equal(*spans)


def command(case: SyntheticArchive, source: str, output: Path, *more: str) -> list[str]:
    """Return the command line of a watch."""
    return [
        *(sys.executable, "-m", "lithoscope", "watch", source, "--stations", str(case.stations)),
        *("--output", str(output), "--picker", "classical", "--set", "engine.workers=1", *more),
    ]
