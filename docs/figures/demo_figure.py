"""Draw docs/figures/demo.png from a run of `lithoscope demo`, and put its table into README.md.

python docs/figures/demo_figure.py [RUN]

Left: epicentres with their 68 % ellipses and the stations. Right: the record section of the event
with the smallest epicentral error, with its picks. Without RUN the demo is run in a temporary
folder.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy.signal import butter, sosfilt

from lithoscope.catalog import Catalog
from lithoscope.cli._options import catalogue_text
from lithoscope.geo import LocalProjection
from lithoscope.pipeline import open_run
from lithoscope.pipeline.demo import demo_sources, run_demo
from lithoscope.waveforms import Record, index_archive, read_records

TARGET = Path(__file__).with_name("demo.png")
README = Path(__file__).resolve().parents[2] / "README.md"
TABLE_START, TABLE_END = "<!-- demo table: docs/figures/demo_figure.py -->", "<!-- end -->"
INK, FAINT, P_COLOUR, S_COLOUR = "#1f2933", "#9aa5b1", "#1769aa", "#c2352b"
EVENT_COLOURS = ("#0f766e", "#d97706", "#7c3aed", "#be185d", "#4d7c0f")
BAND_HZ = (2.0, 20.0)
BEFORE_S, AFTER_S = 0.5, 5.5


def draw_map(axes: Axes, catalog: Catalog, chosen: str) -> None:
    """Draw stations and events in km around the middle of the network."""
    stations, events = catalog.stations, catalog.events.sort_values("time")
    plane = LocalProjection.around(stations["longitude"], stations["latitude"])
    east, north = plane.forward(stations["longitude"], stations["latitude"])
    middle = np.array([np.mean(east), np.mean(north)])
    x, y = plane.forward(events["longitude"], events["latitude"])
    rank = np.argsort(np.argsort(-events["ellipse_68_major_km"].to_numpy()))
    for i, event in enumerate(events.itertuples()):
        colour = EVENT_COLOURS[i % len(EVENT_COLOURS)]
        at = np.array([x[i], y[i]]) - middle
        axes.add_patch(
            Ellipse(
                at,
                2 * event.ellipse_68_major_km,
                2 * event.ellipse_68_minor_km,
                angle=90 - event.ellipse_azimuth_deg,
                facecolor=to_rgba(colour, 0.14),
                edgecolor=colour,
                lw=1.2,
            )
        )
        # The largest region lowest and with the largest dot, so that none hides another.
        place = rank[i]
        axes.plot(*at, "o", ms=12 - 2.5 * place, color=colour, mec="white", zorder=4 + place)
        mark = " (right)" if event.event_id == chosen else ""
        label = (
            f"{event.time:%H:%M:%S}{mark}  depth {event.depth_km:.1f} "
            f"± {event.depth_sigma_km:.1f} km"
        )
        axes.plot([], [], "o", ms=7, color=colour, label=label)
    axes.plot(
        east - middle[0], north - middle[1], "^", ms=10, color=INK, mec="white", mew=1, zorder=20
    )
    for code, e, n in zip(stations["station"], east - middle[0], north - middle[1], strict=True):
        axes.annotate(
            code.split(".")[1],
            (e, n),
            (0, 8),
            textcoords="offset points",
            ha="center",
            color=INK,
            fontsize=9,
            fontweight="bold",
        )
    reach = 1.15 * max(_reach(events, np.c_[x, y] - middle), float(np.abs(east - middle[0]).max()))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set(xlabel="km east of the network's middle", ylabel="km north")
    axes.legend(loc="lower left", frameon=False, fontsize=8.5, handletextpad=0.3)
    axes.set_title("Where: 68 % regions of the epicentres", loc="left", fontsize=11, color=INK)


def _reach(events: pd.DataFrame, at: np.ndarray) -> float:
    return float((np.abs(at).max(axis=1) + events["ellipse_68_major_km"].to_numpy()).max())


def draw_section(axes: Axes, catalog: Catalog, chosen: str) -> None:
    """Draw the traces of one event by distance, each to its own peak, with its picks."""
    event = catalog.events.set_index("event_id").loc[chosen]
    arrivals = catalog.arrivals[catalog.arrivals["event_id"] == chosen]
    sigma = catalog.picks.set_index("pick_id")["time_sigma_s"]
    archive = index_archive(demo_sources())
    origin_ns = int(event["time"].value)
    first = arrivals.groupby("station")["distance_km"].first().sort_values()
    rows = []
    for station in first.index:
        phases = set(arrivals.loc[arrivals["station"] == station, "phase"])
        # S is shown on N where there is one, else with P on Z.
        on_n = {"S"} & phases if any(c[-1] in "N1" for c in archive.channels(station)) else set()
        rows.append((station, 0, "Z", phases - on_n))
        if on_n:
            rows.append((station, 1, "N", on_n))
    for row, (station, component, name, phases) in enumerate(rows):
        start, end = (origin_ns + round(s * 1e9) for s in (BEFORE_S - 4.0, AFTER_S))
        records, _ = read_records(archive, station, start, end)
        for record in records:
            if record.mask[component]:
                _trace(axes, record, component, origin_ns, -row)
        label = f"{station.split('.')[1]} {name}\n{first[station]:.1f} km"
        axes.text(BEFORE_S - 0.08, -row, label, ha="right", va="center", fontsize=9, color=INK)
        mine = arrivals[(arrivals["station"] == station) & arrivals["phase"].isin(phases)]
        for arrival in mine.itertuples():
            at = (arrival.time.value - origin_ns) / 1e9
            colour = P_COLOUR if arrival.phase == "P" else S_COLOUR
            error = float(sigma[arrival.pick_id])
            axes.fill_between(
                [at - error, at + error], -row - 0.42, -row + 0.42, color=colour, alpha=0.2, lw=0
            )
            axes.plot([at, at], [-row - 0.42, -row + 0.42], color=colour, lw=1.8)
            axes.text(at - 0.04, -row + 0.3, arrival.phase, color=colour, ha="right", fontsize=10)
    axes.set(xlim=(BEFORE_S, AFTER_S), ylim=(-len(rows) + 0.4, 0.6), yticks=[])
    axes.set_xlabel(f"seconds after {event['time']:%H:%M:%S.%f}"[:-4] + " UTC (origin time)")
    axes.set_title("How we know: onsets, shaded ± 1 sigma", loc="left", fontsize=11, color=INK)


def _trace(axes: Axes, record: Record, component: int, origin_ns: int, level: float) -> None:
    """Draw one component, band-passed causally so that nothing moves ahead of its onset."""
    values = record.data[component].astype(float)
    sos = butter(3, BAND_HZ, btype="bandpass", fs=record.sampling_rate_hz, output="sos")
    values = sosfilt(sos, values - values[0])
    seconds = (record.times_ns() - origin_ns) / 1e9
    peak = np.abs(values[seconds > BEFORE_S]).max()
    axes.plot(seconds, level + 0.45 * values / peak, color=INK, lw=0.7)


def draw(catalog: Catalog, target: Path = TARGET) -> None:
    """Draw both panels and write ``target``."""
    events = catalog.events
    chosen = str(events.loc[events["ellipse_68_major_km"].idxmin(), "event_id"])
    figure = Figure(figsize=(10.5, 4.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    draw_map(left, catalog, chosen)
    draw_section(right, catalog, chosen)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(colors=INK, labelsize=9)
    right.spines["left"].set_visible(False)
    left.grid(color=FAINT, alpha=0.25, lw=0.6)
    left.set_axisbelow(True)
    figure.suptitle(
        f"lithoscope demo: {len(events)} events below Unterhaching, 27 May 2010, four stations",
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
        color=INK,
    )
    figure.savefig(target, dpi=130, metadata={"Software": None})


def write_table(catalog: Catalog) -> None:
    """Replace the demo's table in README.md."""
    before, _, rest = README.read_text(encoding="utf-8").partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    block = f"{TABLE_START}\n```\n{catalogue_text(catalog.events)}\n```\n{TABLE_END}"
    README.write_text(before + block + after, encoding="utf-8")


def main() -> None:
    """Draw from the given run, or from a new one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, help="run directory of `lithoscope demo`")
    run = parser.parse_args().run
    if run is not None:
        catalog = open_run(run)
    else:
        with tempfile.TemporaryDirectory() as folder:
            catalog = run_demo(Path(folder) / "run").catalog
    draw(catalog)
    write_table(catalog)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
