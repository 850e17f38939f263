"""Draw the record sections of events that a reference catalogue does not list.

    python docs/figures/unmatched_events.py RUN REFERENCE [--until TIME] [--time-s 2] [--pages DIR]

RUN is a run directory whose waveforms and stations are still where the run found them. Every event
of the run inside the reference's time that no reference event matches is one panel: the nearest
stations by distance, vertical component dark and the stronger horizontal one grey, each to its own
peak. Long lines are picks of the event (P blue, S red; dashed = weight below 0.5), short ones are
where the velocity model puts P and S. Small triangles are the P (up) and S (down) of other events:
green of this run, orange of the reference. ``--pages`` writes large sheets to look at;
``--target`` the small one for the documentation. A table of features goes to standard output.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.signal import butter, sosfilt

from lithoscope.catalog import Catalog, Comparison, compare, read_reference
from lithoscope.geo import distance_azimuth
from lithoscope.pipeline import load_settings, open_archive, open_run, velocity_model
from lithoscope.pipeline.rundir import RunDirectory
from lithoscope.traveltimes import VelocityModel, travel_time
from lithoscope.waveforms import Archive, Record, read_records

INK, GREY, P_COLOUR, S_COLOUR = "#1f2933", "#b6bfc9", "#1769aa", "#c2352b"
OURS, THEIRS = "#2f855a", "#d97706"
BAND_HZ = (2.0, 15.0)
BEFORE_S = 2.0
READ_BEFORE_S = 6.0  # so that the filter has settled where the drawing starts
TINTS = (0.0, 0.25, 0.5, 0.75)  # part of white in the colours of the small sheet


@dataclass(frozen=True)
class Sheet:
    """What the panels are drawn from."""

    catalog: Catalog
    reference: pd.DataFrame
    archive: Archive
    channels: pd.DataFrame
    model: VelocityModel
    length_s: float
    n_stations: int
    only_used: bool = False


def open_sheet(run: Path, reference: pd.DataFrame, length_s: float, n_stations: int) -> Sheet:
    """Read the run's catalogue, and open its recordings where the run found them."""
    marker = RunDirectory(run).read_marker()
    settings = load_settings(run / "config.toml")
    sources, stations = ([Path(p) for p in marker[key]] for key in ("sources", "stations"))
    archive, inventory = open_archive(sources, stations, settings)
    return Sheet(
        open_run(run),
        reference,
        archive,
        inventory.channels,
        velocity_model(settings.model),
        length_s,
        n_stations,
    )


def predicted(sheet: Sheet, event: pd.Series, site: pd.Series) -> tuple[float, float, float]:
    """Return the distance (km) and the travel times of P and S (s)."""
    distance, _ = distance_azimuth(
        event["longitude"], event["latitude"], site["longitude"], site["latitude"]
    )
    p, s = (
        float(
            travel_time(sheet.model, phase, distance, event["depth_km"], -site["elevation_m"] / 1e3)
        )
        for phase in ("P", "S")
    )
    return float(distance), p, s


def draw_event(axes: Axes, sheet: Sheet, event: pd.Series, size: float) -> None:
    """Draw the record section of one event."""
    catalog = sheet.catalog
    mine = catalog.arrivals[catalog.arrivals["event_id"] == event["event_id"]]
    sites = catalog.stations.copy()
    found = [predicted(sheet, event, site) for _, site in sites.iterrows()]
    sites["distance_km"], sites["p_s"], sites["s_s"] = np.array(found).T
    used = sites[sites["station"].isin(mine["station"])]
    if sheet.only_used:
        sites = used.nsmallest(sheet.n_stations, "distance_km")
    else:
        nearest = sites.nsmallest(sheet.n_stations, "distance_km")
        sites = pd.concat([nearest, used]).drop_duplicates("station").sort_values("distance_km")
    for row, (_, site) in enumerate(sites.iterrows()):
        draw_station(axes, sheet, event, site, -row)
        for arrival in mine[mine["station"] == site["station"]].itertuples():
            at = (arrival.time - event["time"]).total_seconds()
            colour = P_COLOUR if arrival.phase == "P" else S_COLOUR
            style = "-" if arrival.weight >= 0.5 else ":"
            axes.plot([at, at], [-row - 0.5, -row + 0.5], color=colour, lw=0.16 * size, ls=style)
        label = f"{site['station'].split('.')[1]} {site['distance_km']:.0f}"
        axes.text(
            -BEFORE_S - 0.1, -row, label, ha="right", va="center", fontsize=0.8 * size, color=INK
        )
    magnitude = "" if np.isnan(event["magnitude"]) else f"  ML {event['magnitude']:.1f}"
    axes.set_title(
        f"{event['time']:%H:%M:%S}{magnitude}  {event['n_p']} P {event['n_s']} S",
        loc="left",
        fontsize=size,
        color=INK,
        pad=2,
    )
    axes.set(xlim=(-BEFORE_S, sheet.length_s - BEFORE_S), ylim=(-len(sites) + 0.3, 0.7), yticks=[])
    axes.tick_params(labelsize=0.8 * size, length=2, pad=1, colors=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw_station(axes: Axes, sheet: Sheet, event: pd.Series, site: pd.Series, level: int) -> None:
    """Draw one station's traces, and where P and S of all events should arrive."""
    origin_ns = int(event["time"].value)
    start = origin_ns - round((BEFORE_S + READ_BEFORE_S) * 1e9)
    end = origin_ns + round((sheet.length_s - BEFORE_S) * 1e9)
    records, _ = read_records(sheet.archive, site["station"], start, end, channels=sheet.channels)
    for record in records:
        draw_record(axes, record, origin_ns, level)
    for other, colour in ((sheet.catalog.events, OURS), (sheet.reference, THEIRS)):
        offsets = (other["time"] - event["time"]).dt.total_seconds()
        near = other[(offsets.abs() < sheet.length_s) & (other["event_id"] != event["event_id"])]
        for _, neighbour in near.iterrows():
            _, p, s = predicted(sheet, neighbour, site)
            offset = (neighbour["time"] - event["time"]).total_seconds()
            axes.plot(offset + p, level + 0.42, "^", ms=2, color=colour, mew=0)
            axes.plot(offset + s, level - 0.42, "v", ms=2, color=colour, mew=0)
    for at, colour in ((site["p_s"], P_COLOUR), (site["s_s"], S_COLOUR)):
        axes.plot([at, at], [level - 0.5, level - 0.25], color=colour, lw=2.2, alpha=0.7)


def draw_record(axes: Axes, record: Record, origin_ns: int, level: int) -> None:
    """Draw Z and the stronger horizontal, filtered causally so that no onset moves forward."""
    seconds = (record.times_ns() - origin_ns) / 1e9
    shown = seconds >= -BEFORE_S
    if not shown.any():
        return
    sos = butter(3, BAND_HZ, btype="bandpass", fs=record.sampling_rate_hz, output="sos")
    data = record.data.astype(float)
    traces = sosfilt(sos, data - data[:, :1], axis=1)[:, shown]
    peaks = np.abs(traces).max(axis=1)
    horizontal = 1 if peaks[1] >= peaks[2] else 2
    for component, colour, width in ((horizontal, GREY, 0.5), (0, INK, 0.5)):
        if record.mask[component] and peaks[component] > 0:
            values = 0.5 * traces[component] / peaks[component]
            axes.plot(seconds[shown], level + values, color=colour, lw=width)


def features(sheet: Sheet, event: pd.Series) -> dict[str, object]:
    """Return what a filter of events could look at."""
    mine = sheet.catalog.arrivals[sheet.catalog.arrivals["event_id"] == event["event_id"]]
    good = mine[mine["weight"] >= 0.5].merge(
        sheet.catalog.picks[["pick_id", "probability", "snr"]], on="pick_id"
    )
    pairs = good.groupby("station")["phase"].nunique()
    return {
        "time": f"{event['time']:%H:%M:%S.%f}"[:-4],
        "longitude": round(event["longitude"], 3),
        "latitude": round(event["latitude"], 3),
        "depth_km": round(event["depth_km"], 1),
        "ml": round(event["magnitude"], 2),
        "n_p": event["n_p"],
        "n_s": event["n_s"],
        "pairs": int((pairs == 2).sum()),
        "stations": len(pairs),
        "outliers": int((mine["weight"] < 0.5).sum()),
        "gap": round(event["azimuthal_gap_deg"]),
        "rms_s": round(event["rms_s"], 3),
        "major_km": round(event["ellipse_68_major_km"], 2),
        "depth_sigma": round(event["depth_sigma_km"], 2),
        "mean_prob": round(good["probability"].mean(), 2),
        "snr": round(good["snr"].median(), 1),
        "ambiguous": event["ambiguous"],
    }


def chosen_events(sheet: Sheet, found: Comparison, until: pd.Timestamp | None) -> pd.DataFrame:
    """Return the events that no reference event matches, by time."""
    matched = set(found.matched["event_id"])
    events = sheet.catalog.events
    last = until if until is not None else found.span[1]
    inside = (events["time"] >= sheet.catalog.picks["time"].min()) & (events["time"] <= last)
    return events[inside & ~events["event_id"].isin(matched)].sort_values("time")


def draw_sheet(
    sheet: Sheet, events: pd.DataFrame, columns: int, panel: tuple[float, float], size: float
) -> Figure:
    """Draw one panel an event."""
    rows = -(-len(events) // columns)
    figure = Figure(figsize=(columns * panel[0], rows * panel[1]), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (_, event) in zip(grid, events.iterrows(), strict=False):
        draw_event(axes, sheet, event, size)
    for axes in grid[len(events) :]:
        axes.set_axis_off()
    figure.supxlabel("seconds after the origin time; left: station, km", fontsize=size, color=INK)
    return figure


def save_small(figure: Figure, target: Path) -> None:
    """Write a PNG that holds only tints of the colours used."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    buffer.seek(0)
    colours = np.array([to_rgb(c) for c in (INK, GREY, P_COLOUR, S_COLOUR, OURS, THEIRS)])
    tints = np.array(TINTS)[:, None, None]
    entries = np.vstack([(colours * (1 - tints) + tints).reshape(-1, 3), np.ones(3)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.round(255 * entries).astype(np.uint8).tobytes())
    image = Image.open(buffer).convert("RGB")
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(target, optimize=True)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--until", type=pd.Timestamp, help="events up to here, UTC")
    parser.add_argument("--time-s", type=float, default=2.0)
    parser.add_argument("--distance-km", type=float, default=5.0)
    parser.add_argument("--length-s", type=float, default=20.0, help="drawn of each event")
    parser.add_argument("--stations", type=int, default=10, help="how many to draw")
    parser.add_argument("--matched", action="store_true", help="draw the matched ones instead")
    parser.add_argument("--pages", type=Path, help="folder for large sheets, 2 events each")
    parser.add_argument("--target", type=Path, help="PNG of the small sheet")
    return parser.parse_args(argv)


def main() -> None:
    """Print the table and draw what was asked for."""
    options = arguments()
    until = options.until
    if until is not None and until.tzinfo is None:
        until = until.tz_localize("UTC")
    reference = read_reference(options.reference)
    sheet = open_sheet(options.run, reference, options.length_s, options.stations)
    found = compare(
        sheet.catalog.events, reference, time_s=options.time_s, distance_km=options.distance_km
    )
    events = chosen_events(sheet, found, until)
    if options.matched:
        every = sheet.catalog.events
        events = every[every["event_id"].isin(found.matched["event_id"])].sort_values("time")
    table = pd.DataFrame([features(sheet, event) for _, event in events.iterrows()])
    print(table.to_string(index=False))
    print(f"{len(events)} events drawn, {len(found.matched)} matched, {len(found.missed)} missed")
    if options.pages:
        options.pages.mkdir(parents=True, exist_ok=True)
        for first in range(0, len(events), 2):
            figure = draw_sheet(sheet, events.iloc[first : first + 2], 2, (8.0, 9.0), 9.0)
            figure.savefig(options.pages / f"events_{first + 1:02d}.png", dpi=100)
    if options.target:
        small = replace(sheet, only_used=True)
        save_small(draw_sheet(small, events, 4, (3.3, 2.2), 6.5), options.target)
        print(f"{options.target.name}: {options.target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
