"""From posterior samples to a row of the events table and rows of arrivals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lithoscope.geo import LocalProjection
from lithoscope.inversion import regions
from lithoscope.inversion.importance import WeightedSamples
from lithoscope.location import _kernels
from lithoscope.location._observations import EventPicks
from lithoscope.location._search import Mode, Problem

Array = NDArray[np.float64]

MASSES = (0.68, 0.95)
_COVARIANCE_COLUMNS = (
    ("cov_time_time_s2", 0, 0),
    ("cov_time_east_s_km", 0, 1),
    ("cov_time_north_s_km", 0, 2),
    ("cov_time_up_s_km", 0, 3),
    ("cov_east_east_km2", 1, 1),
    ("cov_east_north_km2", 1, 2),
    ("cov_east_up_km2", 1, 3),
    ("cov_north_north_km2", 2, 2),
    ("cov_north_up_km2", 2, 3),
    ("cov_up_up_km2", 3, 3),
)
# A maximum counts when this share of the posterior belongs to it.
_MODE_SHARE = 0.10


def uncertainty(answer: WeightedSamples, point: Array) -> dict[str, float]:
    """Return covariance, sigmas and regions of the samples around the maximum ``point``."""
    _, matrix = regions.covariance(answer.points, answer.weights)
    upward = matrix * np.outer([1, 1, 1, -1], [1, 1, 1, -1])  # the table counts up, samples down
    row = {name: float(upward[a, b]) for name, a, b in _COVARIANCE_COLUMNS}
    sigmas = np.sqrt(np.diag(matrix))
    names = ("time_sigma_s", "east_sigma_km", "north_sigma_km", "depth_sigma_km")
    row |= {name: float(value) for name, value in zip(names, sigmas, strict=True)}
    axes, directions, scales = regions.scaled_ellipse(
        answer.points[:, 1:3], answer.weights, point[1:3], MASSES
    )
    row["ellipse_azimuth_deg"] = (
        math.degrees(math.atan2(directions[0, 0], directions[1, 0])) % 180.0
    )
    depth = regions.shortest_intervals(answer.points[:, 3], answer.weights, MASSES)
    time = regions.half_widths(answer.points[:, 0], answer.weights, float(point[0]), MASSES)
    for k, mass in enumerate(("68", "95")):
        row[f"ellipse_{mass}_major_km"] = scales[k] * float(axes[0])
        row[f"ellipse_{mass}_minor_km"] = scales[k] * float(axes[1])
        row[f"depth_{mass}_low_km"], row[f"depth_{mass}_high_km"] = depth[k]
        row[f"time_{mass}_half_s"] = time[k]
    return row


def count_modes(answer: WeightedSamples, modes: list[Mode]) -> int:
    """Count the maxima that hold at least a tenth of the posterior; samples go to the nearest."""
    if len(modes) == 1:
        return 1
    distance = np.empty((len(answer.points), len(modes)))
    for k, mode in enumerate(modes):
        inverse = np.linalg.inv(mode.covariance[1:, 1:])
        step = answer.points[:, 1:] - mode.point[1:]
        distance[:, k] = np.einsum("ni,ij,nj->n", step, inverse, step)
    nearest = distance.argmin(axis=1)
    share = np.bincount(nearest, weights=answer.weights, minlength=len(modes))
    return max(1, int((share >= _MODE_SHARE).sum()))


def arrivals(
    event: EventPicks, problem: Problem, point: Array, projection: LocalProjection
) -> tuple[dict[str, NDArray], dict[str, float]]:
    """Return the columns of the event's arrivals, and the quality figures that follow from them."""
    n = len(event.pick_ids)
    work = np.empty((n, 4))
    _kernels.predict(problem.tables, problem.obs, point[1], point[2], point[3], work)
    residual = problem.obs[0] - point[0] - work[:, 0]
    weight = _kernels.weights(problem.obs, problem.errors, residual, work)
    east = problem.obs[5] - point[1]
    north = problem.obs[6] - point[2]
    distance = np.hypot(east, north)
    azimuth = np.degrees(np.arctan2(east, north)) % 360.0
    horizontal = np.hypot(work[:, 1], work[:, 2])
    takeoff = np.degrees(np.arctan2(horizontal, -work[:, 3]))
    columns: dict[str, NDArray] = {
        "distance_km": distance,
        "azimuth_deg": azimuth,
        "takeoff_deg": takeoff,
        "residual_s": residual,
        "weight": weight,
    }
    used = weight > 0.5
    total = float(weight.sum())
    quality = {
        "n_p": int((used & (event.phases == 0)).sum()),
        "n_s": int((used & (event.phases == 1)).sum()),
        "azimuthal_gap_deg": _gap(azimuth[used]),
        "nearest_station_km": float(distance[used].min()) if used.any() else math.nan,
        "rms_s": math.sqrt(float(weight @ residual**2) / total) if total > 0 else math.nan,
    }
    return columns, quality


def at_least(count: int, probabilities: Array) -> float:
    """Return the chance that ``count`` or more of independent events of these chances happen."""
    by_number = np.ones(1)
    for p in probabilities:
        by_number = np.convolve(by_number, (1.0 - p, p))
    return min(1.0, float(by_number[count:].sum()))


def _gap(azimuths: Array) -> float:
    """Return the largest angle without a station (degrees); 360 for none or one."""
    if len(azimuths) < 2:
        return 360.0
    ordered = np.sort(azimuths)
    return float(np.diff(np.append(ordered, ordered[0] + 360.0)).max())
