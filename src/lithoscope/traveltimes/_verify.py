"""Compare travel-time tables with exact rays, depth cell by depth cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lithoscope.traveltimes._rays import collect, direct_limit
from lithoscope.traveltimes.arrivals import first_arrivals
from lithoscope.traveltimes.models import PHASES, Profile

if TYPE_CHECKING:
    from lithoscope.traveltimes.tables import TravelTimeTables

_N_ANYWHERE = 16  # random distances per cell and phase
_N_GRAZING = 16  # distances around that where the direct ray grazes, per cell and phase
_N_NEAR = 6  # distances comparable with the difference in depth


@njit(cache=True)
def _grazing_distances(
    edge: NDArray[np.float64],
    vt: NDArray[np.float64],
    vb: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    for i in range(a.size):
        h, va, vc, fastest = collect(edge, vt, vb, min(a[i], b[i]), max(a[i], b[i]))
        out[i] = direct_limit(h, va, vc, fastest)[0]


def cell_errors(
    tables: TravelTimeTables, profiles: tuple[Profile, ...], cells: NDArray[np.intp], seed: int
) -> NDArray[np.float64]:
    """Return the largest difference (s) from exact rays met in each of some depth cells.

    Points are drawn where times bend: around the distance at which the direct ray grazes, at
    distances like the difference in depth, and anywhere.
    """
    rng = np.random.default_rng(seed)  # the check draws at random, the tables do not
    node = tables.depth_nodes_km
    n_cells, n = len(cells), _N_ANYWHERE + _N_GRAZING + _N_NEAR
    receivers = tables.receiver_depth_km
    worst = np.zeros(n_cells)
    for phase, profile in zip(PHASES, profiles, strict=True):
        who = rng.integers(0, len(receivers), (n_cells, n))
        z = node[cells, None] + np.diff(node)[cells, None] * rng.uniform(0.2, 0.8, (n_cells, n))
        z = np.minimum(z, node[-1])
        r = receivers[who]
        x = tables.max_distance_km * rng.uniform(size=z.shape) ** rng.choice([1, 3], z.shape)
        near = slice(0, _N_NEAR)
        x[:, near] = np.abs(z - r)[:, near] * 10.0 ** rng.uniform(-0.7, 1.0, (n_cells, _N_NEAR))
        graze = slice(_N_NEAR, _N_NEAR + _N_GRAZING)
        limit = np.empty(n_cells * _N_GRAZING)
        _grazing_distances(
            profile.edge_km,
            profile.v_top,
            profile.v_bottom,
            z[:, graze].ravel(),
            r[:, graze].ravel(),
            limit,
        )
        limit = limit.reshape(n_cells, _N_GRAZING) * rng.uniform(0.7, 1.5, (n_cells, _N_GRAZING))
        x[:, graze] = np.where(np.isfinite(limit), limit, x[:, graze])
        x = np.minimum(x, tables.max_distance_km)
        exact = first_arrivals(tables.model, phase, x, z, r).time_s
        worst = np.maximum(worst, np.abs(tables.times(phase, who, x, z) - exact).max(axis=1))
    return worst
