"""Time to build travel-time tables and to look one time up, beside their error.

    python benchmarks/travel_times.py [--small]

Thirty receivers at different elevations, P and S, 250 km by 42 km; CPU time, median of five runs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numba import njit

from lithoscope.traveltimes import (
    VelocityModel,
    build_tables,
    builtin_model,
    lookup,
    travel_time,
)
from lithoscope.traveltimes.lookup import TableArrays

N_SOURCES = 4000
N_CHECKS = 20000


@njit(cache=True)
def sweep(
    tables: TableArrays, stations: np.ndarray, sources: np.ndarray
) -> float:  # every source to every station, P and S
    total = 0.0
    for i in range(sources.shape[0]):
        for r in range(stations.shape[0]):
            d = np.hypot(sources[i, 0] - stations[r, 0], sources[i, 1] - stations[r, 1])
            for phase in range(2):
                total += lookup(tables, phase, r, d, sources[i, 2])[0]
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="the two built-in models only")
    small = parser.parse_args().small
    rng = np.random.default_rng(0)
    receivers = -rng.uniform(0.0, 2.5, 30)
    stations = rng.uniform(-50.0, 50.0, (30, 2))
    sources = rng.normal([10.0, 0.0, 10.0], [3.0, 3.0, 1.5], (N_SOURCES, 3))
    knots = VelocityModel.linear_nodes(
        [-3.0, 1.0, 3.0, 10.0, 30.0],
        [2.0, 4.0, 5.2, 6.9, 7.3],
        [1.1, 2.2, 2.9, 3.9, 4.1],
        name="nodes",
    )
    gradient = VelocityModel([-3.0], [4.9], [2.8], [0.05], [0.03], "gradient")
    domain = {"max_distance_km": 250.0, "min_depth_km": -2.0, "max_depth_km": 40.0}
    print("| model | build, s | size, MB | look-up, ns | worst error of 40,000, s | above 5e-4 s |")
    print("|---|---|---|---|---|---|")
    build_tables(builtin_model("iasp91"), [0.0], **domain)
    models = [builtin_model("iasp91"), builtin_model("southern_california"), gradient, knots]
    for model in models[: 2 if small else 4]:
        build, look = [], []
        for _ in range(3):
            start = time.process_time()
            tables = build_tables(model, receivers, **domain)
            build.append(time.process_time() - start)
        sweep(tables.arrays, stations, sources[:2])
        for _ in range(5):
            start = time.process_time()
            sweep(tables.arrays, stations, sources)
            look.append((time.process_time() - start) / (60 * N_SOURCES) * 1e9)
        x = 250.0 * rng.uniform(size=N_CHECKS) ** rng.choice([1.0, 3.0], N_CHECKS)
        z, who = rng.uniform(-2.0, 40.0, N_CHECKS), rng.integers(0, 30, N_CHECKS)
        off = np.concatenate(
            [
                np.abs(tables.times(p, who, x, z) - travel_time(model, p, x, z, receivers[who]))
                for p in "PS"
            ]
        )
        size = sum(part.nbytes for part in tables.arrays) / 1e6
        print(
            f"| {model.name} | {np.median(build):.2f} | {size:.0f} | {np.median(look):.0f} "
            f"| {off.max():.1e} | {np.sum(off > 5e-4)} |"
        )


if __name__ == "__main__":
    main()
