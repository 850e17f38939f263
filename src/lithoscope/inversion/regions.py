"""Credible regions and moments of weighted posterior samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def covariance(samples: Array, weights: Array) -> tuple[Array, Array]:
    """Return mean ``(d,)`` and covariance ``(d, d)`` of samples ``(n, d)``; weights sum to 1."""
    mean = weights @ samples
    centred = samples - mean
    return mean, (centred * weights[:, None]).T @ centred


def quantile(values: Array, weights: Array, mass: float) -> float:
    """Return the smallest value below or at which ``mass`` of the weight lies."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    index = int(np.searchsorted(total, mass * total[-1]))
    return float(values[order[min(index, len(values) - 1)]])


def shortest_intervals(
    values: Array, weights: Array, masses: tuple[float, ...]
) -> list[tuple[float, float]]:
    """Return for each mass the shortest interval that holds it (highest posterior density).

    Of a posterior with two separate peaks this is the one interval that spans what is needed,
    not a union of two. An interval is at least as wide as the spacing of the samples.
    """
    order = np.argsort(values, kind="stable")
    sorted_values = values[order]
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    total /= total[-1]
    n = len(sorted_values)
    out = []
    for mass in masses:
        last = np.searchsorted(total, total[:-1] + mass - 1e-12)  # one past the last sample inside
        possible = last <= n
        if not possible.any():
            out.append((float(sorted_values[0]), float(sorted_values[-1])))
            continue
        first = np.flatnonzero(possible)
        width = sorted_values[last[possible] - 1] - sorted_values[first]
        best = int(np.argmin(width))
        out.append((float(sorted_values[first[best]]), float(sorted_values[last[first[best]] - 1])))
    return out


def half_widths(
    values: Array, weights: Array, centre: float, masses: tuple[float, ...]
) -> list[float]:
    """Return the half widths of the intervals around ``centre`` that hold each mass."""
    distance = np.abs(values - centre)
    return [quantile(distance, weights, mass) for mass in masses]


def scaled_ellipse(
    points: Array, weights: Array, centre: Array, masses: tuple[float, ...]
) -> tuple[Array, Array, list[float]]:
    """Return an ellipse around ``centre`` that holds each mass of the points.

    The shape is that of the covariance; the scale is found by counting weight, so the region holds
    its mass whatever the form of the posterior.

    Returns
    -------
    axes
        ``(2,)`` square roots of the covariance's eigenvalues, larger first.
    directions
        ``(2, 2)`` unit vectors in columns, in the same order.
    scales
        One factor for each mass: half axes are ``scale * axes``.
    """
    _, matrix = covariance(points, weights)
    values, vectors = np.linalg.eigh(matrix)
    floor = max(float(values[-1]) * 1e-12, 1e-18)
    axes = np.sqrt(np.maximum(values[::-1], floor))
    directions = vectors[:, ::-1]
    radius = np.sqrt(np.sum(((points - centre) @ directions / axes) ** 2, axis=1))
    return axes, directions, [quantile(radius, weights, mass) for mass in masses]
