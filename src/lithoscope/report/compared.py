"""Comparison with a reference catalogue."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lithoscope.report.context import Context
from lithoscope.report.maps import draw_stations, frame, map_plot
from lithoscope.report.page import Section, figure, fixed, grid, moment, paragraph, rows_of, table
from lithoscope.report.svg import Plot

_PANELS = (
    ("time_difference_s", "Origin time difference, s"),
    ("distance_km", "Epicentre distance, km"),
    ("depth_difference_km", "Depth difference, km"),
    ("magnitude_difference", "Magnitude difference"),
)
_NAMES = {
    "time_difference_s": "Origin time",
    "distance_km": "Epicentre distance",
    "east_difference_km": "Easting",
    "north_difference_km": "Northing",
    "depth_difference_km": "Depth",
    "magnitude_difference": "Magnitude",
}


def comparison_section(context: Context) -> Section:
    """Return matched, missed and new events and the differences; needs a comparison."""
    c = context.comparison
    if c is None:
        return Section("reference", "Comparison", "")
    start, end = (moment(t, 0) for t in c.span)
    words = (
        f"{len(c.matched)} matched, {len(c.missed)} missed, {len(c.new)} new between {start} and "
        f"{end} UTC. A pair differs by at most {c.time_s:g} s and {c.distance_km:g} km. "
        f"{len(c.outside)} events and {len(c.reference_outside)} reference events lie outside that "
        f"time and are not judged. Differences are this catalogue minus the reference, whose own "
        f"errors they contain."
    )
    rows = [
        (
            _NAMES.get(r.difference, r.difference), r.unit, r.n, fixed(r.median, 3, sign=True),
            fixed(1.4826 * r.mad, 3), fixed(r.median_absolute, 3),
        )
        for r in rows_of(c.summary)
    ]  # fmt: skip
    header = ("Difference", "Unit", "Pairs", "Median", "Spread", "Median absolute")
    caption = "Differences of matched events; spread: 1.4826 median absolute deviations"
    summary = table(header, rows, caption=caption, numeric=(2, 3, 4, 5), tall=False)
    panels = [_histogram(c.matched, name, label) for name, label in _PANELS]
    beside = f"<div>{panels[0]}{panels[1]}</div>"
    figures = grid(_map(context), beside) + grid(*panels[2:])
    body = paragraph(words) + summary + figures + _tables(context)
    return Section("reference", "Comparison with the reference", body, "Reference")


def _histogram(matched: pd.DataFrame, name: str, label: str) -> str:
    values = matched[name].to_numpy(float)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return ""
    reach = float(max(np.max(np.abs(values)), 1e-3)) * 1.05
    low = 0.0 if name == "distance_km" else -reach
    edges = np.linspace(low, reach, 31)
    count = np.histogram(values, edges)[0]
    plot = Plot(
        (low, reach),
        (0.0, float(count.max()) * 1.15),
        label,
        "Events",
        label.split(",")[0],
        f"Histogram of {len(values)} matched events, median {np.median(values):.3g}.",
        height=220,
        counts="y",
    )
    plot.boxes(edges[:-1], edges[1:], 0.0, count.astype(float), "fill bins")
    plot.line([np.median(values)] * 2, [0, count.max() * 1.15], "line ref")
    return figure(plot.svg(), f"{len(values)} pairs; the line is the median.")


def _map(context: Context) -> str:
    c = context.comparison
    if c is None:
        return ""
    tables = (c.matched, c.missed, c.new)
    lon = np.concatenate([t["longitude"].to_numpy(float) for t in tables])
    lat = np.concatenate([t["latitude"].to_numpy(float) for t in tables])
    if len(lon) == 0:
        return ""
    forward = context.projection.forward
    plot = map_plot(
        context,
        frame(*forward(lon, lat)),
        "Map of the comparison",
        f"{len(c.matched)} matched, {len(c.missed)} missed and {len(c.new)} new events.",
    )
    draw_stations(plot, context, names=False)
    ours = forward(c.matched["longitude"].to_numpy(float), c.matched["latitude"].to_numpy(float))
    theirs = forward(
        c.matched["reference_longitude"].to_numpy(float),
        c.matched["reference_latitude"].to_numpy(float),
    )
    plot.segments(theirs[0], theirs[1], ours[0], ours[1], "bar")
    plot.dots(ours[0], ours[1], 3.2, "dot match")
    for part, css in ((c.missed, "dot missed"), (c.new, "dot new")):
        where = forward(part["longitude"].to_numpy(float), part["latitude"].to_numpy(float))
        plot.dots(where[0], where[1], 3.6, css)
    plot.legend([("dot match", "matched"), ("dot missed", "missed"), ("dot new", "new")])
    return figure(plot.svg("map"), "Lines lead from the reference's epicentre to ours.")


def _tables(context: Context) -> str:
    c = context.comparison
    if c is None:
        return ""
    header = (
        "Event", "Reference", "Time (UTC)", "Δ time, s", "Distance, km", "Δ depth, km", "Magnitude",
        "Δ magnitude",
    )  # fmt: skip
    rows = [
        (
            r.event_id, r.reference_id, moment(r.time), fixed(r.time_difference_s, 2, sign=True),
            fixed(r.distance_km, 2), fixed(r.depth_difference_km, 2, sign=True),
            fixed(r.magnitude, 2), fixed(r.magnitude_difference, 2, sign=True),
        )
        for r in rows_of(c.matched)
    ]  # fmt: skip
    out = [table(header, rows, caption=f"Matched events ({len(rows)})", numeric=range(3, 8))]
    names = ("Event", "Time (UTC)", "Longitude", "Latitude", "Depth, km", "Magnitude")
    for part, name in ((c.missed, "Missed"), (c.new, "New")):
        lines = [
            (
                r.event_id, moment(r.time), fixed(r.longitude, 4), fixed(r.latitude, 4),
                fixed(r.depth_km, 1), fixed(r.magnitude, 2),
            )
            for r in rows_of(part)
        ]  # fmt: skip
        out.append(
            table(names, lines, caption=f"{name} events ({len(lines)})", numeric=range(2, 6))
        )
    return "".join(out)
