"""Associate simulated picks and, if given, one real day; beside PyOcto if it is installed.

    python benchmarks/associate_picks.py [--small] [--pyocto-python PATH] [--italy FOLDER]

PyOcto pins numpy < 2, so it needs an environment of its own:

    python -m venv DIR && DIR/bin/pip install pyocto "numpy<2"

Both programs use one thread and the same constant velocities; times are CPU seconds, the second
run in the process (compiled code is loaded).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "association"))

import italy  # noqa: E402
from pick_simulator import Simulation, evaluate, simulate  # noqa: E402

from lithoscope.association import Association, associate  # noqa: E402
from lithoscope.geo import LocalProjection  # noqa: E402
from lithoscope.schema import ASSIGNMENTS, CANDIDATES  # noqa: E402
from lithoscope.traveltimes import VelocityModel  # noqa: E402

# An event every 13 and every 10 s; and the rate of 10,000 picks a day kept up for ten days.
DENSE = [(10_000, 1.0), (10_000, 0.794)]
LONG = [(100_000, 240.0)]
CONSTANT = VelocityModel.constant_layers([0.0], [6.0], vp_vs_ratio=1.75, name="constant")

PYOCTO = """
import sys, time, pandas as pd, pyocto
folder = sys.argv[1]
picks, stations = pd.read_csv(folder + "/picks"), pd.read_csv(folder + "/stations")
model = pyocto.VelocityModel0D(6.0, 6.0 / 1.75, 1.0, association_cutoff_distance=250.0)
associator = pyocto.OctoAssociator(
    (-75, 75), (-75, 75), (0, 30), model, time_before=60.0, n_picks=8, n_p_picks=3, n_s_picks=2,
    n_p_and_s_picks=2, pick_match_tolerance=1.0, n_threads=1)
begin = time.process_time()
events, given = associator.associate(picks, stations)
print(time.process_time() - begin)
given.to_csv(folder + "/given")
"""


def run_ours(simulation: Simulation) -> tuple[Association, float]:
    begin = time.process_time()
    result = associate(simulation.picks, simulation.stations, simulation.model)
    return result, time.process_time() - begin


def run_pyocto(python: str, simulation: Simulation) -> tuple[Association, float]:
    """Run PyOcto in its own environment; its result in our tables."""
    picks = simulation.picks
    east, north = LocalProjection(13.0, 42.8).forward(
        simulation.stations["longitude"], simulation.stations["latitude"]
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds = picks["time"].astype("int64") / 1e9
        picks[["station", "phase"]].assign(time=seconds).to_csv(f"{folder}/picks")
        places = simulation.stations[["station"]].rename(columns={"station": "id"})
        places.assign(x=east, y=north, z=-simulation.stations["elevation_m"] / 1000).to_csv(
            f"{folder}/stations"
        )
        done = subprocess.run(
            [python, "-c", PYOCTO, folder], capture_output=True, text=True, check=True
        )
        given = pd.read_csv(f"{folder}/given")
    ids = picks["pick_id"].to_numpy()[given["pick_idx"].to_numpy()]
    rows = pd.DataFrame({"event_id": given["event_idx"].astype(str), "pick_id": ids})
    events = pd.DataFrame({"event_id": rows["event_id"].unique()})
    candidates = CANDIDATES.table(
        events.assign(time=pd.Timestamp(0), longitude=0.0, latitude=0.0, depth_km=0, n_p=0, n_s=0)
    )
    return Association(candidates, ASSIGNMENTS.table(rows)), float(done.stdout.split()[-1])


def line(program: str, simulation: Simulation, result: Association, seconds: float) -> str:
    figures = "  ".join(f"{v:.3f}" for v in evaluate(simulation, result).values())
    n = len(simulation.picks)
    return f"{program:10s} {n:7d}  {figures}  {seconds:7.2f} s  {n / seconds:6.0f} picks/s"


def report_italy(folder: Path) -> None:
    """Print what is found, what is additional, and what chance alone gives."""
    picks = italy.read_picks(folder)
    begin = time.process_time()
    result = italy.associate_day(folder, picks)
    seconds = time.process_time() - begin
    events = result.candidates
    relocated, real = italy.read_relocated(folder), italy.read_real(folder)
    print(f"Italy: {len(picks)} picks, {len(events)} events, {seconds:.1f} s CPU")
    for name, reference in (("hypoDD", relocated), ("REAL", real)):
        found = italy.matches(reference, events)
        print(f"{name}: {np.sum(found >= 0)} of {len(reference)} within 3 s and 10 km")
    extra = np.setdiff1d(np.arange(len(events)), italy.matches(real, events))
    n = (events["n_p"] + events["n_s"]).to_numpy()
    residual = result.assignments.merge(events[["event_id"]], on="event_id")
    rms = residual.groupby("event_id")["residual_s"].agg(lambda r: float(np.sqrt((r**2).mean())))
    rms = rms.reindex(events["event_id"]).to_numpy()
    for name, which in (("in REAL", np.setdiff1d(np.arange(len(events)), extra)), ("new", extra)):
        print(
            f"{name}: {len(which)} events, picks median {np.median(n[which]):.0f} "
            f"(10 % {np.quantile(n[which], 0.1):.0f}), rms median {np.median(rms[which]):.2f} s"
        )
    for seed in range(2):
        chance = italy.associate_day(folder, italy.shuffled(picks, seed)).candidates
        sizes = (chance["n_p"] + chance["n_s"]).tolist()
        print(f"shuffled day {seed}: {len(chance)} events, picks {sorted(sizes)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="1,000 picks only")
    parser.add_argument("--pyocto-python", help="interpreter with PyOcto")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of picks")
    parser.add_argument("--hours", type=float, nargs="+", help="one duration for each of --sizes")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation")
    parser.add_argument("--italy", type=Path, help="folder picks/italy_2016")
    options = parser.parse_args()
    sizes = options.sizes or ([1000] if options.small else [1000, 10_000, 100_000])
    hours = options.hours or [24.0] * len(sizes)
    if len(hours) != len(sizes):
        parser.error(f"{len(hours)} --hours for {len(sizes)} sizes; give one for each")
    cases = list(zip(sizes, hours, strict=True))
    if not options.small and not options.sizes:
        cases += DENSE + LONG
    run_ours(simulate(1000, seed=0, model=CONSTANT))
    print("program      picks  event recall, precision; pick recall, precision; CPU time, speed")
    for n, length in cases:
        simulation = simulate(n, seed=options.seed, hours=length, model=CONSTANT)
        gap = 3600 * length / len(simulation.events)
        print(f"{len(simulation.events)} events in {length:g} h, one every {gap:.0f} s", flush=True)
        print(line("lithoscope", simulation, *run_ours(simulation)), flush=True)
        if options.pyocto_python:
            print(
                line("PyOcto", simulation, *run_pyocto(options.pyocto_python, simulation)),
                flush=True,
            )
    if options.italy:
        report_italy(options.italy)


if __name__ == "__main__":
    main()
