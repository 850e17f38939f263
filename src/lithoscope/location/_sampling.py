"""Posterior samples of one event: Student t mixtures first, cells of an octree where those fail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lithoscope.inversion.importance import (
    StudentMixture,
    WeightedSamples,
    sample_adaptively,
    weigh,
)
from lithoscope.location import _search
from lithoscope.location._search import Mode, Problem

Array = NDArray[np.float64]

# With fewer picks than this the posterior is seldom a single peak; cells need no such assumption.
FEW_PICKS = 9
# Cells for each sample that is wanted, and at most.
_CELLS_PER_SAMPLE, _MOST_CELLS = 7.5, 6000
_SPLIT_AT_ONCE = 160
_TIME_DOF = 5.0


def sample(
    problem: Problem, modes: list[Mode], rng: np.random.Generator, target: int
) -> WeightedSamples:
    """Return posterior draws (origin time, easting, northing, depth) worth ``target`` if possible.

    A mixture of Student t densities around the maxima is tried and adapted first; with few picks or
    a low effective size, draws come from the cells of an octree that is refined where the
    posterior is, and the better of the two answers is returned with its status.
    """
    n_picks = len(problem.obs[0])
    answer = None
    if n_picks >= FEW_PICKS and np.isfinite(modes[0].value):
        answer = _from_modes(problem, modes, rng, target)
        if answer.status == "converged":
            return answer
    cells = _from_cells(problem, rng, 4 * target)
    if cells.effective_size < target and cells.effective_size > 30:
        start = _fitted(cells)
        refined = sample_adaptively(
            problem.log_posterior, start, rng, target=target, n_round=2 * target, max_rounds=4
        )
        cells = max(cells, refined, key=lambda a: a.effective_size)
    if answer is None or cells.effective_size > answer.effective_size:
        answer = cells
    return answer


def _from_modes(
    problem: Problem, modes: list[Mode], rng: np.random.Generator, target: int
) -> WeightedSamples:
    modes = [mode for mode in modes if np.isfinite(mode.value)]
    values = np.array([mode.value for mode in modes])
    logdets = np.array([np.linalg.slogdet(mode.covariance)[1] for mode in modes])
    mass = np.exp(np.minimum(values - values.max() + 0.5 * (logdets - logdets[0]), 3.0))
    start = StudentMixture.from_covariances(
        np.maximum(mass / mass.sum(), 0.05),
        np.stack([mode.point for mode in modes]),
        np.stack([1.05 * mode.covariance for mode in modes]),
        dof=8.0,
    )
    return sample_adaptively(
        problem.log_posterior, start, rng, target=target, n_round=int(1.25 * target), max_rounds=5
    )


def _fitted(cells: WeightedSamples) -> StudentMixture:
    mean = cells.weights @ cells.points
    centred = cells.points - mean
    matrix = (centred * cells.weights[:, None]).T @ centred
    return StudentMixture.from_covariances(np.ones(1), mean[None], 1.3 * matrix[None])


def _from_cells(problem: Problem, rng: np.random.Generator, n: int) -> WeightedSamples:
    """Draw from cells by their mass, uniformly inside each, origin time from a Student t."""
    centres, halves, mass = _leaves(problem, n / 4)
    total = np.cumsum(mass)
    positions = (np.arange(n) + rng.random(n)) / n * total[-1]
    index = np.minimum(np.searchsorted(total, positions), len(mass) - 1)
    places = centres[index] + halves[index] * rng.uniform(-1.0, 1.0, (n, 3))
    volume = 8.0 * halves[index].prod(axis=1)
    conditional = problem.profile(places, 0.0)
    sigma = 1.3 * conditional[:, 2]
    standard = rng.standard_t(_TIME_DOF, n)
    points = np.concatenate([(conditional[:, 1] + sigma * standard)[:, None], places], axis=1)
    log_time = -0.5 * (_TIME_DOF + 1) * np.log1p(standard**2 / _TIME_DOF) - np.log(sigma)
    log_proposal = np.log(mass[index] / total[-1] / volume) + log_time
    return weigh(points, problem.log_posterior(points), log_proposal, n / 4)


def _leaves(problem: Problem, target: float) -> tuple[Array, Array, Array]:
    """Refine cells where the posterior mass is; return centres, half widths (n, 3), masses."""
    centres, half = _search.first_cells(problem)
    level = np.zeros(len(centres), int)
    values = problem.profile(centres, float(np.linalg.norm(half)))
    logs = values[:, 0] + np.log(values[:, 2])
    evaluated = len(centres)
    while evaluated < min(_CELLS_PER_SAMPLE * target, _MOST_CELLS):
        weight = logs - 3.0 * np.log(2.0) * level
        best = np.argsort(-weight, kind="stable")[:_SPLIT_AT_ONCE]
        best = best[weight[best] > weight[best[0]] - 10.0]
        keep = np.ones(len(centres), bool)
        keep[best] = False
        parts_c, parts_l, parts_v = [centres[keep]], [level[keep]], [logs[keep]]
        for lev in np.unique(level[best]):
            these = best[level[best] == lev]
            cell = half / 2.0**lev
            children = _search.split(centres[these], cell)
            value = problem.profile(children, float(np.linalg.norm(cell)) / 2.0)
            parts_c.append(children)
            parts_l.append(np.full(len(children), lev + 1))
            parts_v.append(value[:, 0] + np.log(value[:, 2]))
            evaluated += len(children)
        centres = np.concatenate(parts_c)
        level = np.concatenate(parts_l)
        logs = np.concatenate(parts_v)
    halves = half / 2.0 ** level[:, None]
    weight = logs - 3.0 * np.log(2.0) * level
    mass = np.exp(weight - weight.max())
    useful = mass > 0
    return centres[useful], halves[useful], mass[useful]
