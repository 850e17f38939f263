"""Global search: a beam of ever smaller cells over the whole region, then climbing from the best.

No step depends on a starting point. Cells are judged by the best that may lie inside them (see
`_kernels.profile`), so a narrow maximum inside a coarse cell is not overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.location import _kernels
from lithoscope.location._kernels import CoarseTimes
from lithoscope.location.priors import Prior
from lithoscope.traveltimes import TravelTimeTables

Array = NDArray[np.float64]

# s/km of a typical crustal P wave; only scales how far a search may be widened.
_SLOWNESS = 0.2
_BEAM = 24
_STARTS = 6
_RUNGS = 5
_SEEDED = 12
_MAX_MODES = 12
# Log prior of what a prior forbids, while cells are ranked: their centre is not all they hold.
_IMPOSSIBLE = -1000.0
_MIN_RADIUS_KM = 1.0
# Steps of the coarse times, and how far apart in depth receivers may be that share them.
_COARSE_STEP_KM = 1.0
_BAND_KM = 0.25
_KEPT = 4
_coarse: dict[tuple[int, int], tuple[TravelTimeTables, NDArray[np.float32]]] = {}
# Two maxima are separate when the likelihood between them falls this far below the lower one.
_VALLEY = 2.0


@dataclass(frozen=True)
class Problem:
    """One event: its picks, travel times, errors, region and prior, in a plane.

    ``box`` is (2, 3): lower and upper easting, northing, depth in km. ``obs`` and ``errors`` are
    those of `_kernels`.
    """

    tables: Any
    coarse: Any
    obs: Any
    errors: Any
    box: Array
    prior: Prior | None = None

    def log_prior(self, places: Array) -> Array:
        """Return the log prior at (n, 3) places."""
        if self.prior is None:
            return np.zeros(len(places))
        return self.prior.log_density(places[:, 0], places[:, 1], places[:, 2])

    def log_posterior(self, points: Array) -> Array:
        """Return the log posterior at (n, 4) points; -inf outside the region."""
        inside = np.all((points[:, 1:] >= self.box[0]) & (points[:, 1:] <= self.box[1]), axis=1)
        out = np.full(len(points), -np.inf)
        kept = points[inside]
        if len(kept):
            value = _kernels.log_likelihood(self.tables, self.obs, self.errors, kept)
            out[inside] = value + self.log_prior(kept[:, 1:])
        return out

    def breadth(self, usual: int) -> int:
        """Return how many cells to follow: more with few picks, which leave many maxima."""
        return int(usual * np.clip(20.0 / len(self.obs[0]), 1.0, 4.0))

    def profile(self, nodes: Array, radius_km: float, guess: Array | None = None) -> Array:
        """Return (n, 3): log posterior maximised over origin time, that time, its sigma."""
        guess = np.full(len(nodes), np.nan) if guess is None else guess
        out = _kernels.profile(
            self.tables, self.coarse, self.obs, self.errors, nodes, radius_km, guess
        )
        if self.prior is not None:
            out[:, 0] += np.maximum(self.log_prior(nodes), _IMPOSSIBLE)
        return out


@dataclass(frozen=True)
class Mode:
    """A local maximum: place (origin time, easting, northing, depth), covariance, log posterior."""

    point: Array
    covariance: Array
    value: float


def find_modes(problem: Problem) -> list[Mode]:
    """Return the maxima of the posterior, best first (at least one).

    Depth is where picks leave several (one a layer, above and below the stations), so the epicentre
    of the best is tried again from a ladder of depths.
    """
    centres, half, values = beam(problem)
    starts = _spread(centres, values[:, 0], half, problem.breadth(_STARTS))
    radius = float(np.linalg.norm(half))
    found = climb(problem, centres[starts], values[starts, 1], radius)
    best = max(found, key=lambda mode: mode.value)
    top, bottom = problem.box[:, 2]
    rungs = top + (bottom - top) * np.linspace(0.0, 1.0, problem.breadth(_RUNGS)) ** 2
    ladder = np.column_stack([np.tile(best.point[1:3], (len(rungs), 1)), rungs])
    origins = problem.profile(ladder, 0.0)[:, 1]
    found += climb(problem, ladder, origins, 0.0)
    return distinct(found)


def distinct(found: list[Mode]) -> list[Mode]:
    """Sort maxima by value; drop doubles, and those e^15 less likely than the best."""
    kept: list[Mode] = []
    for mode in sorted(found, key=lambda m: -m.value):
        if kept and (mode.value < kept[0].value - 15.0 or len(kept) == _MAX_MODES):
            break
        steps = [(mode.point - other.point, other.covariance) for other in kept]
        if all(step @ np.linalg.solve(matrix, step) > 0.1 for step, matrix in steps):
            kept.append(mode)
    return kept


def first_cells(problem: Problem) -> tuple[Array, Array]:
    """Return centres (n, 3) and half widths (3,) of the coarsest cells."""
    size = problem.box[1] - problem.box[0]
    counts = np.array([12, 12, 4])
    wide = size[:2].max()
    counts[:2] = np.maximum(6, np.round(12 * size[:2] / wide)).astype(int)
    counts[2] = int(np.clip(round(12 * size[2] / wide), 4, 8))
    half = 0.5 * size / counts
    axes = [problem.box[0, k] + half[k] * (2 * np.arange(counts[k]) + 1) for k in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid, half


def beam(problem: Problem) -> tuple[Array, Array, Array]:
    """Halve the most promising cells until they are small; return centres, half widths, values."""
    centres, half = first_cells(problem)
    values = problem.profile(centres, float(np.linalg.norm(half)))
    if problem.prior is not None:
        centres, values = _with_seeds(problem, centres, half, values)
    wanted = max(_MIN_RADIUS_KM, 2.0 * float(np.median(problem.obs[1])) / _SLOWNESS)
    while float(np.linalg.norm(half)) > wanted:
        best = np.argsort(-values[:, 0], kind="stable")[: problem.breadth(_BEAM)]
        centres, guess = split(centres[best], half), np.repeat(values[best, 1], 8)
        half = 0.5 * half
        values = problem.profile(centres, float(np.linalg.norm(half)), guess)
        if problem.prior is not None:
            centres, values = _with_seeds(problem, centres, half, values)
    return centres, half, values


def split(centres: Array, half: Array) -> Array:
    """Return the centres of the eight halves of each cell."""
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
    return (centres[:, None, :] + 0.5 * half * signs).reshape(-1, 3)


def _with_seeds(
    problem: Problem, centres: Array, half: Array, values: Array
) -> tuple[Array, Array]:
    """Add cells where the prior is large: it may be narrower than a cell."""
    best = centres[np.argsort(-values[:, 0], kind="stable")[:_SEEDED]]
    nodes = [np.empty((0, 3))]
    places: Any = getattr(problem.prior, "seeds", list)()
    if len(places):
        depths = np.unique(best[:, 2])
        repeated = np.repeat(np.asarray(places), len(depths), axis=0)
        nodes.append(np.column_stack([repeated, np.tile(depths, len(places))]))
    levels = np.asarray(getattr(problem.prior, "depth_seeds", list)(), float)
    for known in (best, *nodes[1:]):
        repeated = np.repeat(known[:, :2], len(levels), axis=0)
        nodes.append(np.column_stack([repeated, np.tile(levels, len(known))]))
    more = np.unique(np.concatenate(nodes), axis=0)
    more = more[np.all((more >= problem.box[0]) & (more <= problem.box[1]), axis=1)]
    if len(more) == 0:
        return centres, values
    found = problem.profile(more, float(np.linalg.norm(half)))
    return np.concatenate([centres, more]), np.concatenate([values, found])


def _spread(centres: Array, values: Array, half: Array, n: int) -> list[int]:
    """Pick the best cells that are not neighbours of one already picked."""
    chosen: list[int] = []
    left = np.array(values)
    for _ in range(n):
        k = int(np.argmax(left))
        if not np.isfinite(left[k]):
            break
        chosen.append(k)
        near = np.all(np.abs(centres - centres[k]) <= 3.5 * half, axis=1)
        left[near] = -np.inf
    return chosen


def climb(problem: Problem, places: Array, origins: Array, radius_km: float) -> list[Mode]:
    """Climb from places (n, 3) to the maxima of the likelihood that they lead to."""
    starts = np.column_stack([origins, places])
    return _climb(problem, starts, np.array([radius_km * _SLOWNESS, 0.0]))


def climb_from_sample(problem: Problem, point: Array) -> Mode:
    """Climb from a point that is already close."""
    return _climb(problem, point[None], np.zeros(1))[0]


def climb_again(problem: Problem, modes: list[Mode]) -> list[Mode]:
    """Return the maxima that those of a problem with other errors lead to."""
    return distinct([climb_from_sample(problem, mode.point) for mode in modes])


def _climb(problem: Problem, starts: Array, widen: Array) -> list[Mode]:
    box = np.empty((2, 4))
    box[:, 0] = (-1e9, 1e9)
    box[:, 1:] = problem.box
    points, precisions = _kernels.climb_all(
        problem.tables, problem.obs, problem.errors, starts, box, widen, 25
    )
    values = problem.log_posterior(points)
    if problem.prior is not None:
        here = problem.log_posterior(starts)
        better = here > values
        points[better], values[better] = starts[better], here[better]
    # Nothing is known better than the region allows, nor worse: keeps the matrix invertible.
    spread = problem.box[1] - problem.box[0]
    loose = np.diag(np.concatenate([[1e-6], 12.0 / spread**2]))
    covariances = np.linalg.inv(precisions + loose)
    return [Mode(*each) for each in zip(points, covariances, values.tolist(), strict=True)]


def separate(problem: Problem, modes: list[Mode]) -> list[Mode]:
    """Drop maxima that are one: no valley of the posterior lies between them and a better one."""
    kept: list[Mode] = []
    for mode in modes:
        if all(_valley(problem, mode, other) for other in kept):
            kept.append(mode)
    return kept


def _valley(problem: Problem, a: Mode, b: Mode) -> bool:
    """Tell whether the straight way from a to b leads through a valley."""
    if np.linalg.norm(a.point[1:] - b.point[1:]) < 1e-3:
        return False
    along = np.linspace(0.0, 1.0, 13)[1:-1, None]
    nodes = a.point[1:] + along * (b.point[1:] - a.point[1:])
    origins = problem.profile(nodes, 0.0)[:, 1]
    lowest = float(problem.log_posterior(np.column_stack([origins, nodes])).min())
    return lowest < min(a.value, b.value) - _VALLEY


def polish(problem: Problem, mode: Mode) -> Mode:
    """Walk uphill in the posterior with a prior of any form, by shrinking steps along the axes."""
    scale = np.sqrt(np.diag(mode.covariance))
    directions = np.concatenate([np.eye(4), -np.eye(4)])
    point, value = mode.point.copy(), mode.value
    step = 0.3
    while step > 1e-3:
        trial = point + step * scale * directions
        # The best origin time of each place keeps the walk on the ridge.
        trial[:, 0] = problem.profile(trial[:, 1:], 0.0, np.full(8, point[0]))[:, 1]
        values = problem.log_posterior(trial)
        best = int(np.argmax(values))
        if values[best] > value:
            point, value = trial[best], float(values[best])
        else:
            step *= 0.5
    return Mode(point, mode.covariance, value)


def band_depths(receiver_depths: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return the depths (km) that stand for receivers in the coarse times, and each one's band.

    They are multiples of a fixed step, so that other stations change no answer.
    """
    bands = np.round(receiver_depths / _BAND_KM).astype(np.int64)
    depths, band = np.unique(bands, return_inverse=True)
    return np.asarray(depths * _BAND_KM, float), band.astype(np.int64)


def coarse_times(tables: TravelTimeTables, band: NDArray[np.int64]) -> CoarseTimes:
    """Tabulate the coarse times; the tables' receivers from ``len(band)`` on are the bands.

    Those of the last few tables are kept, as the tables are.
    """
    key = id(tables), len(band)
    if key not in _coarse:
        while len(_coarse) >= _KEPT:
            _coarse.pop(next(iter(_coarse)))
        # With the tables themselves: no others can have their id as long as they are here.
        _coarse[key] = tables, _fill_coarse(tables, len(band))
    top = np.array([tables.min_depth_km, _COARSE_STEP_KM])
    return CoarseTimes(_coarse[key][1], band, top)


def _fill_coarse(tables: TravelTimeTables, n_receivers: int) -> NDArray[np.float32]:
    step = _COARSE_STEP_KM
    first = np.arange(n_receivers, len(tables.receiver_depth_km))
    n_depth = int(np.ceil((tables.max_depth_km - tables.min_depth_km) / step)) + 1
    n_distance = int(np.ceil(tables.max_distance_km / step)) + 1
    times = np.empty((2, len(first), max(n_depth, 2), n_distance), np.float32)
    _kernels.fill_coarse(tables.arrays, first, tables.min_depth_km, step, times)
    return times
