"""`lithoscope demo`: the main job on real recordings that come with ObsPy.

Four short-period stations of network BW around the geothermal plant of Unterhaching, south of
Munich, 27 May 2010, 16:24:03 to 16:27:54 UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import Transformer

from lithoscope.errors import DataError
from lithoscope.pipeline.progress import Reporter
from lithoscope.pipeline.run import RunResult, run
from lithoscope.pipeline.rundir import RunDirectory
from lithoscope.pipeline.settings import RunSettings

RECORDINGS = (
    "BW.UH1._.SHZ.D.2010.147.cut.slist.gz",
    "BW.UH2._.SHZ.D.2010.147.cut.slist.gz",
    "BW.UH3._.SHE.D.2010.147.cut.slist.gz",
    "BW.UH3._.SHN.D.2010.147.cut.slist.gz",
    "BW.UH3._.SHZ.D.2010.147.cut.slist.gz",
    "BW.UH4._.EHZ.D.2010.147.cut.slist.gz",
)

# Linear gradient fitted to the travel times of ObsPy's located event of the same day
# (io/nlloc/tests/data/nlloc_custom.hyp, columns TTpred + Tcorr): three unknowns (velocity at
# 0.4 km above sea level, gradient, Vp/Vs), eight times, root mean square misfit 0.025 s.
# tests/pipeline/test_demo.py repeats the fit.
TOP_KM, BOTTOM_KM = -0.4, 8.0
VP_TOP_KM_S, VP_GRADIENT_PER_S, VP_VS = 2.927, 0.527, 1.889

LIMITS = """What these four stations can and cannot resolve: only UH3 has horizontal components, so
S is read at one station of four and depth trades off with origin time; the velocity model is a
three-parameter fit to one located event 32 minutes later; gains are unknown, so there are no
magnitudes. The +- figures hold for this model and do not include its own error beyond the stated
travel-time error. Four minutes of data say nothing about rates or completeness."""


def demo_sources() -> list[Path]:
    """Return the recordings inside the installed ObsPy package.

    Raises
    ------
    DataError
        If the installed ObsPy lacks them.
    """
    folder = Path(str(files("obspy"))) / "signal" / "tests" / "data"
    found = [folder / name for name in RECORDINGS]
    missing = [path.name for path in found if not path.exists()]
    if missing:
        raise DataError(
            f"the installed ObsPy lacks the sample recordings {', '.join(missing)}; "
            "reinstall obspy from its wheel"
        )
    return found


def demo_stations() -> str:
    """Return a station CSV derived from ObsPy's NonLinLoc sample of the same network.

    Its phase lines give each station in km, Gauss-Krueger zone 4 (EPSG:31468), and depth
    relative to sea level (-0.4 km for all four, so 400 m here).
    """
    sample = Path(str(files("obspy"))) / "io" / "nlloc" / "tests" / "data" / "nlloc_custom.hyp"
    to_wgs84 = Transformer.from_crs("EPSG:31468", "EPSG:4326", always_xy=True)
    bands = {"UH1": "SH", "UH2": "SH", "UH3": "SH", "UH4": "EH"}
    rows = {}
    for line in sample.read_text().splitlines():
        if re.match(r"UH\d ", line):
            fields = line.partition(">")[2].split()
            code, (x_km, y_km, z_km) = line.split()[0], map(float, fields[3:6])
            lon, lat = to_wgs84.transform(x_km * 1e3, y_km * 1e3)
            elevation_m = -1000 * z_km
            rows[code] = f"BW,{code},{bands[code]},{lon:.6f},{lat:.6f},{elevation_m:.0f}"
    header = "network,station,band,longitude,latitude,elevation_m"
    return "\n".join([header, *(rows[code] for code in sorted(rows))]) + "\n"


def demo_model() -> str:
    """Return the velocity model as CSV, linear between its nodes."""
    depth = np.array([TOP_KM, BOTTOM_KM])
    vp = VP_TOP_KM_S + VP_GRADIENT_PER_S * (depth - TOP_KM)
    lines = [f"{z:.1f},{p:.4f},{p / VP_VS:.4f}" for z, p in zip(depth, vp, strict=True)]
    return "\n".join(["depth_km,vp_km_s,vs_km_s", *lines]) + "\n"


def run_demo(
    output: Path, *, picking: Mapping[str, Any] | None = None, reporter: Reporter | None = None
) -> RunResult:
    """Run the main job on the sample recordings; write catalogue, exports and report.

    ``picking`` holds settings of the picker that differ from the defaults.
    """
    sources = demo_sources()
    directory = RunDirectory(output)
    with directory.lock():
        if not directory.read_marker():
            directory.write_marker({})
        directory.write_text("stations.csv", demo_stations())
        directory.write_text("model.csv", demo_model())
    settings = RunSettings.parse(
        {
            "model": {"path": str(output / "model.csv"), "interpolation": "linear"},
            # Four stations, one of them with horizontals: every faint onset counts.
            "picking": {"method": "both", **(picking or {})},
            "location": {"max_depth_km": BOTTOM_KM},
            "output": {
                "title": "Unterhaching, 27 May 2010",
                "exports": ("quakeml", "csv", "geojson", "nlloc", "hypodd"),
            },
        },
        where="demo",
    )
    return run(sources, [output / "stations.csv"], output, settings, reporter=reporter)
