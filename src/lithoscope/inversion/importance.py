"""Adaptive importance sampling with mixtures of Student t densities.

The sampler keeps every draw of every round and weighs it by the average of all proposals used
(adaptive multiple importance sampling, Cornuet et al. 2012, doi:10.1111/j.1467-9469.2011.00756.x),
so no round is wasted and the estimates are consistent. After a round the mixture is refitted to
the weighted draws, component by component.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogDensity = Callable[[Array], Array]


@dataclass(frozen=True)
class StudentMixture:
    """Mixture of multivariate t densities.

    Parameters
    ----------
    shares
        ``(k,)`` weights of the components, sum 1.
    means
        ``(k, d)``.
    factors
        ``(k, d, d)`` lower Cholesky factors of the scale matrices.
    dof
        Degrees of freedom, above 2; small ones give heavy tails.
    """

    shares: Array
    means: Array
    factors: Array
    dof: float = 5.0

    @classmethod
    def from_covariances(
        cls, shares: Array, means: Array, covariances: Array, dof: float = 5.0
    ) -> StudentMixture:
        """Build the mixture; covariances are made positive definite where they are not."""
        factors = np.stack([_cholesky(matrix) for matrix in covariances])
        return cls(np.asarray(shares) / np.sum(shares), np.asarray(means), factors, dof)

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return ``(n, d)`` independent draws."""
        dimension = self.means.shape[1]
        component = np.searchsorted(np.cumsum(self.shares), rng.random(n) * (1 - 1e-12))
        component = np.minimum(component, len(self.shares) - 1)
        normal = rng.standard_normal((n, dimension))
        scale = np.sqrt(self.dof / rng.chisquare(self.dof, n))
        steps = np.einsum("nij,nj->ni", self.factors[component], normal)
        return np.asarray(self.means[component] + steps * scale[:, None])

    def log_density(self, points: Array) -> Array:
        """Return the log density at ``(n, d)`` points."""
        inverse: NDArray = np.linalg.inv(self.factors)
        logdet = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        with np.errstate(divide="ignore"):
            shares = np.log(self.shares)
        return np.asarray(_log_density(points, shares, self.means, inverse, logdet, self.dof))

    def responsibilities(self, points: Array) -> Array:
        """Return ``(n, k)`` probabilities that a point comes from each component."""
        inverse = np.linalg.inv(self.factors)
        out = np.empty((len(points), len(self.shares)))
        for k in range(len(self.shares)):
            z = (points - self.means[k]) @ inverse[k].T
            logdet = np.log(np.diag(self.factors[k])).sum()
            tail = 0.5 * (self.dof + points.shape[1])
            out[:, k] = -logdet - tail * np.log1p(np.sum(z * z, axis=1) / self.dof)
        out += np.log(np.maximum(self.shares, 1e-300))
        out -= out.max(axis=1, keepdims=True)
        np.exp(out, out=out)
        return np.asarray(out / out.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class WeightedSamples:
    """Answer of a sampler: draws with normalised weights, and how good they are.

    Attributes
    ----------
    points, weights
        ``(n, d)`` and ``(n,)``; weights sum to 1.
    log_posterior
        ``(n,)`` unnormalised log density of each draw.
    effective_size
        1 / sum of squared weights: the number of independent draws they are worth.
    status
        'converged', or 'low effective size' when the target was missed.
    """

    points: Array
    weights: Array
    log_posterior: Array
    effective_size: float
    status: str
    rounds: int = 1
    proposal: StudentMixture | None = field(default=None, repr=False)

    def resample(self, n: int, rng: np.random.Generator) -> Array:
        """Return ``n`` equally weighted samples (systematic resampling)."""
        positions = (np.arange(n) + rng.random()) / n
        index = np.searchsorted(np.cumsum(self.weights), positions * (1 - 1e-12))
        return np.asarray(self.points[np.minimum(index, len(self.points) - 1)])


def weigh(
    points: Array, log_posterior: Array, log_proposal: Array, target: float
) -> WeightedSamples:
    """Turn draws from a proposal into weighted samples; ``target`` is the wanted effective size."""
    logw = log_posterior - log_proposal
    peak = logw.max()
    if not math.isfinite(peak):
        weights = np.full(len(points), 1.0 / len(points))
        return WeightedSamples(points, weights, log_posterior, 0.0, "low effective size")
    weights = np.exp(logw - peak)
    weights /= weights.sum()
    size = float(1.0 / np.sum(weights**2))
    status = "converged" if size >= target else "low effective size"
    return WeightedSamples(points, weights, log_posterior, size, status)


def sample_adaptively(
    log_posterior: LogDensity,
    start: StudentMixture,
    rng: np.random.Generator,
    *,
    target: float,
    n_round: int,
    max_rounds: int = 6,
) -> WeightedSamples:
    """Sample an unnormalised density until the draws are worth ``target`` independent ones.

    Parameters
    ----------
    log_posterior
        Maps ``(n, d)`` points to ``(n,)`` log densities; -inf outside the support.
    start
        First proposal; it should cover every mode.
    rng
        Source of random numbers; the same state gives the same answer.
    target
        Wanted effective sample size.
    n_round
        Draws a round; doubled when a round was worth less than a tenth of its draws.
    max_rounds
        Rounds after which the sampler gives up; the status then says so.
    """
    proposals = [start]
    counts = [0]
    points = np.empty((0, start.means.shape[1]))
    values = np.empty(0)
    answer = None
    n = n_round
    densities = np.empty((0, 0))
    for round_ in range(1, max_rounds + 1):
        new = proposals[-1].draw(n, rng)
        points = np.concatenate([points, new])
        values = np.concatenate([values, log_posterior(new)])
        counts[-1] += n
        densities = _extend(densities, proposals, points, len(new))
        log_proposal = _log_mean(densities, np.asarray(counts, float))
        answer = weigh(points, values, log_proposal, target)
        if answer.effective_size >= target or round_ == max_rounds:
            break
        share = answer.effective_size / len(points)
        if share > 0.3:  # the proposal is good: draw what is missing from it
            n = int(min(1.2 * (target - answer.effective_size) / share, n_round)) + 20
            continue
        n = min(2 * n, 8 * n_round) if share < 0.1 else n_round
        proposals.append(_refit(proposals[-1], answer))
        counts.append(0)
    assert answer is not None
    return WeightedSamples(
        answer.points,
        answer.weights,
        answer.log_posterior,
        answer.effective_size,
        answer.status,
        round_,
        proposals[-1],
    )


def _extend(old: Array, proposals: list[StudentMixture], points: Array, n_new: int) -> Array:
    """Add the newest proposal's row and the new points' columns to the table of densities."""
    rows = []
    for k, proposal in enumerate(proposals):
        if k < old.shape[0]:
            rows.append(np.concatenate([old[k], proposal.log_density(points[-n_new:])]))
        else:
            rows.append(proposal.log_density(points))
    return np.stack(rows)


def _log_mean(densities: Array, counts: Array) -> Array:
    if len(counts) == 1:
        return np.asarray(densities[0])
    peak = densities.max(axis=0)
    return np.asarray(np.log((counts / counts.sum()) @ np.exp(densities - peak)) + peak)


def _refit(mixture: StudentMixture, answer: WeightedSamples) -> StudentMixture:
    """Fit shares, means and scales to the weighted draws; keep a component that gets too few."""
    dimension = mixture.means.shape[1]
    # Flattened weights keep one lucky draw from collapsing the fit (Ionides 2008, truncation).
    limit = 1.0 / math.sqrt(len(answer.weights))
    weights = np.minimum(answer.weights, max(limit, float(np.median(answer.weights))))
    weights = weights / weights.sum()
    shares, means, matrices = [], [], []
    for k, r in enumerate(mixture.responsibilities(answer.points).T):
        w = weights * r
        share = float(w.sum())
        size = share**2 / max(float(np.sum(w**2)), 1e-300)
        if size < 4 * dimension:
            shares.append(max(share, 0.02))
            means.append(mixture.means[k])
            matrices.append(2.0 * mixture.factors[k] @ mixture.factors[k].T)
            continue
        w /= share
        mean = w @ answer.points
        centred = answer.points - mean
        shares.append(max(share, 0.02))
        means.append(mean)
        matrices.append(1.1 * (centred * w[:, None]).T @ centred)
    return StudentMixture.from_covariances(
        np.asarray(shares), np.stack(means), np.stack(matrices), mixture.dof
    )


def _cholesky(matrix: Array) -> Array:
    matrix = 0.5 * (matrix + matrix.T)
    scale = np.maximum(np.diag(matrix), 1e-12)
    for jitter in (0.0, 1e-10, 1e-6, 1e-3, 1e-1):
        try:
            return np.asarray(np.linalg.cholesky(matrix + np.diag(jitter * scale)))
        except np.linalg.LinAlgError:
            continue
    return np.diag(np.sqrt(scale))


@njit(cache=True)
def _log_density(
    points: Array, log_shares: Array, means: Array, inverse: NDArray, logdet: Array, dof: float
) -> Array:
    n, d = points.shape
    components = means.shape[0]
    tail = 0.5 * (dof + d)
    constant = math.lgamma(tail) - math.lgamma(0.5 * dof) - 0.5 * d * math.log(dof * math.pi)
    out = np.empty(n)
    terms = np.empty(components)
    for i in range(n):
        peak = -np.inf
        for k in range(components):
            total = 0.0
            for a in range(d):
                z = 0.0
                for b in range(a + 1):
                    z += inverse[k, a, b] * (points[i, b] - means[k, b])
                total += z * z
            terms[k] = log_shares[k] - logdet[k] - tail * math.log1p(total / dof)
            peak = max(peak, terms[k])
        total = 0.0
        for k in range(components):
            total += math.exp(terms[k] - peak)
        out[i] = constant + peak + math.log(total)
    return out
