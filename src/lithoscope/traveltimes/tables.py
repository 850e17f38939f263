"""Build travel-time tables for a set of receivers, and check them against exact rays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import ModelError
from lithoscope.traveltimes._levels import (
    SIDE_KM,
    UNREACHED,
    depth_nodes,
    direct_rows,
    fill_windows,
    level_terms,
)
from lithoscope.traveltimes._verify import cell_errors
from lithoscope.traveltimes.lookup import (
    AT_BIN,
    AT_CELL,
    AT_LEVEL,
    AT_NODE,
    AT_NODE_TERM,
    AT_ROW_TERM,
    AT_SLOWNESS,
    N_HEADER,
    TableArrays,
    lookup_many,
)
from lithoscope.traveltimes.models import PHASES, Profile, VelocityModel

_RECEIVER_ROUNDING_KM = 1e-4  # receivers within 5 cm share a row
_N_DISTANCE_BINS = 96
_N_DEPTH_BINS = 2048
_ATTEMPTS = 7
# The grid is made for these receivers, so that times to one receiver do not depend on the others:
# from 3 km above to 1 km below sea level, off round numbers.
_REFERENCE_KM = np.arange(12, dtype=float) * 0.3613 - 2.9137


@dataclass(frozen=True)
class TravelTimeTables:
    """First-arrival times from any depth and distance to a fixed set of receivers.

    Attributes
    ----------
    model
        What they were built from.
    receiver_depth_km
        Receivers, in the order of their index.
    max_distance_km, min_depth_km, max_depth_km
        Domain; outside it times are NaN.
    tolerance_s
        Largest error asked for.
    error_s
        Largest error met among random points when they were built.
    arrays
        What `lookup` takes inside Numba code.
    depth_nodes_km
        Depths at which times are held.
    """

    model: VelocityModel
    receiver_depth_km: NDArray[np.float64]
    max_distance_km: float
    min_depth_km: float
    max_depth_km: float
    tolerance_s: float
    error_s: float
    arrays: TableArrays
    depth_nodes_km: NDArray[np.float64]

    def times(
        self, phase: str, receiver: ArrayLike, distance_km: ArrayLike, depth_km: ArrayLike
    ) -> NDArray[np.float64]:
        """Return times in s for broadcast arrays of receiver index, distance and depth."""
        return self.derivatives(phase, receiver, distance_km, depth_km)[0]

    def derivatives(
        self, phase: str, receiver: ArrayLike, distance_km: ArrayLike, depth_km: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return (time_s, dt/ddistance, dt/ddepth in s/km); NaN outside the domain."""
        if phase not in PHASES:
            raise ModelError(f"phase '{phase}' is unknown; use 'P' or 'S'")
        who, x, z = np.broadcast_arrays(
            np.asarray(receiver, np.int64),
            np.asarray(distance_km, float),
            np.asarray(depth_km, float),
        )
        shape = x.shape
        n = len(self.receiver_depth_km)
        if who.size and not (who.min() >= 0 and who.max() < n):
            raise ModelError(f"receiver index {who.max()} is out of range; there are {n} receivers")
        out = np.empty((3, x.size))
        who, x, z = (np.ascontiguousarray(v).ravel() for v in (who, x, z))
        lookup_many(self.arrays, PHASES.index(phase), who, x, z, out)
        time, t_x, t_z = out.reshape(3, *shape)
        return time, t_x, t_z


T = TypeVar("T")

_KEPT = 4  # tables of a process; association and location of one network need one each
_built: dict[Any, TravelTimeTables] = {}  # those asked for last are last
_KEPT_GRIDS = 16


@dataclass(frozen=True)
class _Grid:
    """Depth nodes, largest step of levels below them (km), and steps of w."""

    node: NDArray[np.float64]
    scale: float
    n_w: int


_grids: dict[Any, _Grid] = {}  # of the reference receivers, by model and domain


def build_tables(
    model: VelocityModel,
    receiver_depth_km: ArrayLike,
    *,
    max_distance_km: float,
    min_depth_km: float,
    max_depth_km: float,
    tolerance_s: float = 5e-4,
) -> TravelTimeTables:
    """Tabulate first P and S arrivals for a set of receivers.

    Parameters
    ----------
    model
        Velocities.
    receiver_depth_km
        Depth of each receiver (km below sea level; -elevation_m / 1000); equal ones share work.
    max_distance_km
        Largest epicentral distance.
    min_depth_km, max_depth_km
        Range of source depths; receivers may lie outside it.
    tolerance_s
        Largest allowed difference from exact rays; the tables are refined until random points
        agree within it. The refinement follows the model and the domain, not the receivers,
        unless they lie far from -3 to 1 km: times to a receiver do not depend on the others.

    Raises
    ------
    ModelError
        If the domain is empty or not finite, there is no receiver, or the tolerance cannot be met.

    Notes
    -----
    The last few tables of a process are kept, and the same question gets the same tables: do not
    write to their arrays.
    """
    receivers = np.atleast_1d(np.asarray(receiver_depth_km, float)).ravel()
    _check_domain(receivers, max_distance_km, min_depth_km, max_depth_km, tolerance_s)
    domain = (max_distance_km, min_depth_km, max_depth_km, tolerance_s)
    key = (_content(model), receivers.tobytes(), domain)
    tables = _built.pop(key, None) or _build(model, receivers, *domain)
    _keep(_built, key, tables, _KEPT)
    return tables


def _keep(kept: dict[Any, T], key: Any, value: T, most: int) -> None:
    """Put a value last, and let the first ones go where there are too many."""
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value


def _content(model: VelocityModel) -> tuple[str, bytes]:
    values = [getattr(model, field.name) for field in fields(model) if field.name != "name"]
    return model.name, np.concatenate(values).tobytes()


def _build(
    model: VelocityModel,
    receivers: NDArray[np.float64],
    max_distance_km: float,
    min_depth_km: float,
    max_depth_km: float,
    tolerance_s: float,
) -> TravelTimeTables:
    limit = float(max_distance_km)
    key = (_content(model), limit, min_depth_km, max_depth_km, tolerance_s)
    grid = _grids.get(key)
    if grid is None:
        profiles = (model.profile("P"), model.profile("S"))
        node = depth_nodes(profiles, min_depth_km, max_depth_km, tolerance_s, 1.0)
        grid, _ = _refine(model, _REFERENCE_KM, _Grid(node, 1.0, 193), limit, tolerance_s, 0.65)
        _keep(_grids, key, grid, _KEPT_GRIDS)
    # Seldom a step more: only receivers unlike the reference ones can ask for it.
    _, tables = _refine(model, receivers, grid, limit, tolerance_s, 1.0)
    return tables


def _refine(
    model: VelocityModel,
    receivers: NDArray[np.float64],
    grid: _Grid,
    distance: float,
    tolerance: float,
    part: float,
) -> tuple[_Grid, TravelTimeTables]:
    """Split cells until random points are within ``part`` of the tolerance."""
    profiles = (model.profile("P"), model.profile("S"))
    rounded = np.round(receivers / _RECEIVER_ROUNDING_KM) * _RECEIVER_ROUNDING_KM
    rows, row = np.unique(rounded, return_inverse=True)
    done: TravelTimeTables | None = None
    error = np.zeros(len(grid.node) - 1)
    open_cells = np.arange(len(error))
    for attempt in range(_ATTEMPTS):
        node = grid.node
        tables = TravelTimeTables(
            model,
            receivers,
            distance,
            float(node[0]),
            float(node[-1]),
            float(tolerance),
            np.nan,
            _tabulate(model, rows, row, grid, distance, tolerance, done),
            node,
        )
        done = tables
        error[open_cells] = cell_errors(tables, profiles, open_cells, attempt)
        worst = float(error.max())
        if worst <= part * tolerance:
            return grid, replace(tables, error_s=worst)
        bad = error > 0.5 * tolerance
        middle = 0.5 * (node[:-1] + node[1:])
        split = bad & (np.diff(node) > 1e-3)
        error, open_cells = np.repeat(error, 1 + split), np.flatnonzero(np.repeat(bad, 1 + split))
        node = np.sort(np.concatenate([node, middle[split]]))
        finer = attempt % 3 == 2  # what depth cannot mend, distance must
        grid = _Grid(
            node, grid.scale * (0.7 if finer else 1.0), 2 * grid.n_w - 1 if finer else grid.n_w
        )
    raise ModelError(
        f"travel-time tables of model '{model.name}' are off by {worst:.1e} s where "
        f"{tolerance:.1e} s is allowed; allow more or smooth the model"
    )


def _check_domain(
    receivers: NDArray[np.float64], distance: float, upper: float, lower: float, tolerance: float
) -> None:
    if receivers.size == 0 or not np.all(np.isfinite(receivers)):
        raise ModelError("travel-time tables need at least one receiver with a finite depth in km")
    if not (np.isfinite(distance) and distance > 0):
        raise ModelError(f"max_distance_km = {distance:g}; a positive distance is required")
    if not (np.isfinite(upper) and np.isfinite(lower) and lower - upper > 1e-3):
        raise ModelError(
            f"depths from {upper:g} to {lower:g} km; min_depth_km must be less than max_depth_km"
        )
    if not tolerance > 0:
        raise ModelError(f"tolerance_s = {tolerance:g}; a positive time is required")


def _tabulate(
    model: VelocityModel,
    rows: NDArray[np.float64],
    row: NDArray[np.intp],
    grid: _Grid,
    distance: float,
    tolerance: float,
    done: TravelTimeTables | None,
) -> TableArrays:
    """Fill the arrays; direct times at nodes that ``done`` has are copied."""
    node, scale, n_w = grid.node, grid.scale, grid.n_w
    profiles = (model.profile("P"), model.profile("S"))
    upper, lower = float(node[0]), float(node[-1])
    top = min(upper, float(rows.min()), float(model.depth_km[0])) - 1.0
    levels = [_levels(p, node, rows, top, lower, distance, tolerance, scale) for p in profiles]
    n_levels = max(len(v[0]) for v in levels)
    shape = (2, len(rows), len(node) - 1, _N_DISTANCE_BINS, 2)
    direct = np.empty((2, len(rows), len(node), n_w), np.float32)
    slowness = np.zeros((2, n_levels))
    terms = [
        np.full((2, n, n_levels), UNREACHED) for n in (len(node), len(node), len(rows), len(rows))
    ]
    window = np.zeros(shape, np.uint16)
    for phase, profile in enumerate(profiles):
        edge, v_top, v_bottom = profile.edge_km, profile.v_top, profile.v_bottom
        new = np.arange(len(node))
        if done is not None and done.arrays.direct.shape[3] == n_w:
            old = np.isin(node, done.depth_nodes_km)
            new = np.flatnonzero(~old)
            direct[phase][:, old] = done.arrays.direct[phase]
        fresh = np.empty((len(rows), len(new), n_w), np.float32)
        direct_rows(edge, v_top, v_bottom, rows, node[new], fresh)
        direct[phase][:, new] = fresh
        p, *parts = levels[phase]
        slowness[phase, : len(p)] = p
        for target, part in zip(terms, parts, strict=True):
            target[phase, :, : len(p)] = part
        fill_windows(p, parts[0], parts[1], parts[2], parts[3], distance, window[phase])
    cell = np.clip(np.searchsorted(node, rows, side="right") - 1, -1, len(node) - 2)
    cell[rows > lower] = -1
    bins = np.linspace(upper, lower, _N_DEPTH_BINS, endpoint=False)
    start = np.clip(np.searchsorted(node, bins, side="right") - 1, 0, len(node) - 2)
    node_time, node_distance, row_time, row_distance = terms
    limits = [
        distance,
        upper,
        lower,
        _N_DEPTH_BINS / (lower - upper),
        _N_DISTANCE_BINS**2 / distance,
    ]
    slow = np.stack([1.0 / p.velocity(rows) for p in profiles])
    node_time, node_distance, row_time, row_distance = terms
    real = [
        rows,
        slow,
        np.concatenate([node, 1.0 / np.diff(node), [0.0]]),
        slowness,
        np.stack([row_time, row_distance], axis=3),
        np.stack([node_time, node_distance], axis=3),
    ]
    at = np.cumsum([part.size for part in real])[:-1]
    header = np.zeros(N_HEADER, np.int64)
    header[:4] = len(rows), len(node), n_levels, len(start)
    header[AT_CELL] = N_HEADER + len(row)
    header[AT_BIN] = header[AT_CELL] + len(rows)
    header[[AT_SLOWNESS, AT_NODE, AT_LEVEL, AT_ROW_TERM, AT_NODE_TERM]] = at
    return TableArrays(
        layout=np.concatenate([header, row, cell, start]).astype(np.int32),
        real=np.concatenate([part.ravel() for part in real]),
        direct=direct,
        window=window,
        limits=np.array(limits, float),
    )


def _levels(
    profile: Profile,
    node: NDArray[np.float64],
    rows: NDArray[np.float64],
    top: float,
    lower: float,
    distance: float,
    tolerance: float,
    scale: float,
) -> tuple[NDArray[np.float64], ...]:
    """Return slowness, node times and distances, row times and distances of the useful levels."""
    level, v, previous, previous_v, entry = _candidates(
        profile, node, top, lower, distance, tolerance, scale
    )
    kernel = (profile.edge_km, profile.v_top, profile.v_bottom)

    def terms(
        depth: NDArray[np.float64], receivers: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, tau = np.empty((len(depth), len(level))), np.empty((len(depth), len(level)))
        level_terms(*kernel, depth, level, v, previous, previous_v, entry, receivers, x, tau)
        return tau, x

    node_time, node_distance = terms(node, False)
    row_time, row_distance = terms(rows, True)
    useful = node_distance.min(axis=0) + row_distance.min(axis=0) <= distance
    order = np.flatnonzero(useful)[np.argsort(v[useful], kind="stable")]
    return (
        1.0 / v[order],
        np.ascontiguousarray(node_time[:, order]),
        np.ascontiguousarray(node_distance[:, order]),
        np.ascontiguousarray(row_time[:, order]),
        np.ascontiguousarray(row_distance[:, order]),
    )


def _candidates(
    profile: Profile,
    node: NDArray[np.float64],
    top: float,
    lower: float,
    distance: float,
    tolerance: float,
    scale: float,
) -> tuple[NDArray[np.float64], ...]:
    """Return depth and velocity of levels, and those of the neighbour each stands in for."""
    out: list[tuple[float, float, float, float, float]] = []
    deepest = lower + distance  # no first arrival turns deeper than its distance below the source
    for i in range(len(profile.v_top)):
        a, b = float(profile.edge_km[i]), float(profile.edge_km[i + 1])
        va, vb = float(profile.v_top[i]), float(profile.v_bottom[i])
        if a >= deepest or b <= top:
            continue
        if va == vb:
            out.append((a, va, 0.0, 0.0, 0.0))
            out.append((b, vb, 0.0, 0.0, 0.0))
            continue
        low, high = max(a, top), min(b, deepest)
        inside = node[(node > a + 2 * SIDE_KM) & (node < b - 2 * SIDE_KM)]
        ends = [low, *([inside[0], inside[-1]] if inside.size else []), high]
        fill = [
            depth_nodes((profile,), ends[k], ends[k + 1], tolerance, scale)
            for k in range(0, len(ends), 2)
            if ends[k + 1] - ends[k] > 1e-3
        ]
        z = np.unique(np.concatenate([[low, high], inside, *fill]))
        v = va + (vb - va) * (z - a) / (b - a)
        if vb < va:
            z, v = z[::-1], v[::-1]
        out.append((float(z[0]), float(v[0]), 0.0, 0.0, 0.0))
        out.extend(zip(z[1:], v[1:], z[:-1], v[:-1], [z[0]] * (len(z) - 1), strict=True))
    return tuple(np.array(column) for column in zip(*out, strict=True))
