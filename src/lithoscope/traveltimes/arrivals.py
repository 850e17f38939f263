"""Exact first arrivals for arrays of sources and receivers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import ModelError
from lithoscope.traveltimes._rays import first_arrivals_kernel
from lithoscope.traveltimes.models import VelocityModel


@dataclass(frozen=True)
class FirstArrivals:
    """First arrivals, one per source-receiver pair.

    Attributes
    ----------
    time_s
        Travel time.
    slowness_s_per_km
        Horizontal slowness, the derivative of time with distance.
    vertical_slowness_s_per_km
        Derivative of time with source depth (positive: a deeper source arrives later).
    takeoff_deg
        Angle at the source, 0 = down, 180 = up.
    """

    time_s: NDArray[np.float64]
    slowness_s_per_km: NDArray[np.float64]
    vertical_slowness_s_per_km: NDArray[np.float64]
    takeoff_deg: NDArray[np.float64]


def first_arrivals(
    model: VelocityModel,
    phase: str,
    distance_km: ArrayLike,
    source_depth_km: ArrayLike,
    receiver_depth_km: ArrayLike,
) -> FirstArrivals:
    """Solve for the first arrivals of P or S in a layered model.

    Direct rays, rays that turn in gradient layers, head waves along every interface and
    diffractions into shadow zones are compared; either end may lie above the other. Times are
    exact to rounding (about 1e-9 s) in a flat Earth.

    Parameters
    ----------
    model
        Velocities by depth; above its first top the velocity is that of the top.
    phase
        'P' or 'S'.
    distance_km
        Epicentral distance, not negative.
    source_depth_km, receiver_depth_km
        Below sea level, positive down; a station at elevation e has depth -e / 1000.

    Returns
    -------
    FirstArrivals
        Arrays of the broadcast shape of the inputs; NaN where an input is NaN.

    Raises
    ------
    ModelError
        If the phase is unknown, a distance is negative, or a depth lies more than 100 km above
        the model's top.
    """
    profile = model.profile(phase)
    arrays = [np.asarray(v, float) for v in (distance_km, source_depth_km, receiver_depth_km)]
    x, source, receiver = np.broadcast_arrays(*arrays)
    if np.any(x < 0):
        raise ModelError(f"distance {float(np.nanmin(x)):g} km is negative; distances start at 0")
    shallow = min((float(np.nanmin(v)) for v in (source, receiver) if v.size), default=0.0)
    if shallow < profile.edge_km[0]:
        raise ModelError(
            f"depth {shallow:g} km lies more than 100 km above the top of model '{model.name}'; "
            "depths are km below sea level"
        )
    shape = x.shape
    good = np.isfinite(x) & np.isfinite(source) & np.isfinite(receiver)
    time, slowness, direction = (np.full(shape, np.nan) for _ in range(3))
    found = [np.empty(int(good.sum())) for _ in range(3)]
    first_arrivals_kernel(
        profile.edge_km,
        profile.v_top,
        profile.v_bottom,
        np.ascontiguousarray(x[good]),
        np.ascontiguousarray(source[good]),
        np.ascontiguousarray(receiver[good]),
        *found,
    )
    time[good], slowness[good], direction[good] = found
    # A ray that leaves upwards from an interface leaves into the layer above it.
    side = np.where(direction < 0, np.nextafter(source, -np.inf), source)
    v = profile.velocity(np.where(good, side, profile.edge_km[0]))
    sine = np.clip(slowness * v, 0.0, 1.0)
    vertical = -direction * np.sqrt(1.0 - sine**2) / v
    angle = np.degrees(np.arcsin(sine))
    return FirstArrivals(time, slowness, vertical, np.where(direction < 0, 180.0 - angle, angle))


def travel_time(
    model: VelocityModel,
    phase: str,
    distance_km: ArrayLike,
    source_depth_km: ArrayLike,
    receiver_depth_km: ArrayLike,
) -> NDArray[np.float64]:
    """Return first-arrival times in s; see `first_arrivals` for parameters and errors."""
    return first_arrivals(model, phase, distance_km, source_depth_km, receiver_depth_km).time_s
