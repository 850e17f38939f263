"""Layered velocity models: piecewise-linear velocity with depth, jumps allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lithoscope.errors import ModelError

PHASES = ("P", "S")

# How far the first layer reaches up and the last one down; beyond any station or ray of ours.
_ABOVE_KM = 100.0
_BELOW_KM = 2000.0


@dataclass(frozen=True)
class Profile:
    """One phase's velocity as layers with a linear velocity each, for the ray kernels.

    ``edge_km`` has one element more than the layers; ``v_top`` and ``v_bottom`` are the
    velocities (km/s) just inside the upper and lower edge of each layer.
    """

    edge_km: NDArray[np.float64]
    v_top: NDArray[np.float64]
    v_bottom: NDArray[np.float64]

    def velocity(self, depth_km: ArrayLike) -> NDArray[np.float64]:
        """Return the velocity (km/s) at a depth; on an interface, that of the layer below."""
        z = np.asarray(depth_km, float)
        i = np.clip(np.searchsorted(self.edge_km, z, side="right") - 1, 0, len(self.v_top) - 1)
        part = (z - self.edge_km[i]) / (self.edge_km[i + 1] - self.edge_km[i])
        return self.v_top[i] + part * (self.v_bottom[i] - self.v_top[i])


@dataclass(frozen=True)
class VelocityModel:
    """Velocities that change with depth only: layers with a linear velocity, jumps allowed.

    Parameters
    ----------
    depth_km
        Tops of the layers, km below sea level, strictly increasing; the first is the top of the
        model, the last layer reaches down without end.
    vp_km_s, vs_km_s
        Velocities at the top of each layer; they may fall with depth (low-velocity layers).
    vp_gradient_per_s, vs_gradient_per_s
        Increase of velocity with depth inside each layer, km/s per km; zero for constant layers.
    name
        What reports call the model.

    Raises
    ------
    ModelError
        If depths do not increase, a value is not finite, vp > vs > 0 fails anywhere in a layer,
        or the velocity of the last layer falls with depth (it would reach zero).

    Notes
    -----
    A station or source above the first top stands in material with the velocity of that top,
    constant upwards, so stations above sea level need no change of the model.
    """

    depth_km: NDArray[np.float64]
    vp_km_s: NDArray[np.float64]
    vs_km_s: NDArray[np.float64]
    vp_gradient_per_s: NDArray[np.float64]
    vs_gradient_per_s: NDArray[np.float64]
    name: str = "unnamed"

    def __post_init__(self) -> None:
        for field in ("depth_km", "vp_km_s", "vs_km_s", "vp_gradient_per_s", "vs_gradient_per_s"):
            values = np.array(getattr(self, field), dtype=float).ravel()
            values.setflags(write=False)
            object.__setattr__(self, field, values)
        _check(self, None)

    @classmethod
    def constant_layers(
        cls,
        depth_km: ArrayLike,
        vp_km_s: ArrayLike,
        vs_km_s: ArrayLike | None = None,
        *,
        vp_vs_ratio: float = 1.73,
        name: str = "unnamed",
    ) -> VelocityModel:
        """Return a model of constant layers from their tops; without ``vs`` it is vp / ratio."""
        depth, vp = np.atleast_1d(np.asarray(depth_km, float)), np.atleast_1d(vp_km_s)
        vs = np.asarray(vp, float) / vp_vs_ratio if vs_km_s is None else np.atleast_1d(vs_km_s)
        zero = np.zeros(len(depth))
        return cls(depth, np.asarray(vp, float), np.asarray(vs, float), zero, zero, name)

    @classmethod
    def linear_nodes(
        cls, depth_km: ArrayLike, vp_km_s: ArrayLike, vs_km_s: ArrayLike, *, name: str = "unnamed"
    ) -> VelocityModel:
        """Return a model with linear velocity between nodes; two nodes at one depth are a jump.

        Below the last node the velocity is constant.
        """
        depth, vp, vs = (np.asarray(v, float).ravel() for v in (depth_km, vp_km_s, vs_km_s))
        step = np.diff(depth)
        if np.any(step < 0):
            row = int(np.argmax(step < 0)) + 1
            raise ModelError(
                f"velocity model '{name}': depth decreases to {depth[row]:g} km at node {row + 1}; "
                "order the nodes by increasing depth"
            )
        inside = np.append(step > 0, True)
        safe = np.where(step > 0, step, 1.0)
        gp, gs = np.append(np.diff(vp) / safe, 0.0), np.append(np.diff(vs) / safe, 0.0)
        return cls(depth[inside], vp[inside], vs[inside], gp[inside], gs[inside], name)

    def profile(self, phase: str) -> Profile:
        """Return the velocities of one phase ('P' or 'S') for the ray kernels."""
        if phase not in PHASES:
            raise ModelError(f"phase '{phase}' is unknown; use 'P' or 'S'")
        v = self.vp_km_s if phase == "P" else self.vs_km_s
        g = self.vp_gradient_per_s if phase == "P" else self.vs_gradient_per_s
        top, bottom = self.depth_km[0] - _ABOVE_KM, self.depth_km[-1] + _BELOW_KM
        edge = np.concatenate([[top], self.depth_km, [bottom]])
        v_top = np.concatenate([v[:1], v])
        v_bottom = np.concatenate([v[:1], v + g * np.diff(edge[1:])])
        if g[0] == 0.0:  # the first layer simply reaches higher
            edge, v_top, v_bottom = np.delete(edge, 1), v_top[1:], v_bottom[1:]
        return Profile(edge, v_top, v_bottom)

    def travel_time(
        self,
        phase: str,
        distance_km: ArrayLike,
        source_depth_km: ArrayLike,
        receiver_depth_km: ArrayLike,
    ) -> NDArray[np.float64]:
        """Return exact first-arrival times in s; see `lithoscope.traveltimes.travel_time`."""
        from lithoscope.traveltimes.arrivals import travel_time

        return travel_time(self, phase, distance_km, source_depth_km, receiver_depth_km)


def _check(model: VelocityModel, rows: Sequence[str] | None) -> None:
    """Raise `ModelError` at the first layer that cannot be; ``rows`` name the layers."""
    values = [
        model.depth_km,
        model.vp_km_s,
        model.vs_km_s,
        model.vp_gradient_per_s,
        model.vs_gradient_per_s,
    ]
    n = len(model.depth_km)
    head = f"velocity model '{model.name}'"
    if n == 0:
        raise ModelError(f"{head} has no layers; give at least one row of depth, vp and vs")
    if any(len(v) != n for v in values):
        raise ModelError(f"{head}: depth, velocities and gradients have different lengths")
    for i in range(n):
        where = rows[i] if rows is not None else f"layer {i + 1}"
        if not all(np.isfinite(v[i]) for v in values):
            raise ModelError(f"{head}, {where}: a value is not finite; give numbers only")
        if i > 0 and model.depth_km[i] <= model.depth_km[i - 1]:
            raise ModelError(
                f"{head}, {where}: depth {model.depth_km[i]:g} km does not increase on "
                f"{model.depth_km[i - 1]:g} km above it; order the layers by increasing depth"
            )
        thickness = model.depth_km[i + 1] - model.depth_km[i] if i + 1 < n else 0.0
        for z in (0.0, thickness):
            vp = model.vp_km_s[i] + z * model.vp_gradient_per_s[i]
            vs = model.vs_km_s[i] + z * model.vs_gradient_per_s[i]
            if not vp > vs > 0:
                raise ModelError(
                    f"{head}, {where}: vp = {vp:g} and vs = {vs:g} km/s at "
                    f"{model.depth_km[i] + z:g} km; vp > vs > 0 is required"
                )
    if model.vp_gradient_per_s[-1] < 0 or model.vs_gradient_per_s[-1] < 0:
        raise ModelError(
            f"{head}: the velocity of the last layer falls with depth without end; "
            "add a layer below it with a gradient of 0"
        )
