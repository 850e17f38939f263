"""Summary, table of events, and the appendix of settings, model and versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lithoscope.report.context import Context
from lithoscope.report.magnitudes import no_magnitude_words
from lithoscope.report.page import (
    Markup,
    Section,
    cards,
    duration,
    figure,
    fixed,
    grid,
    moment,
    paragraph,
    rows_of,
    table,
)
from lithoscope.report.svg import Plot, escape


def summary_section(context: Context, run_time_s: float | None) -> Section:
    """Return the key figures."""
    events, picks = context.events, context.catalog.picks
    low, high = context.span_ns
    used = int(picks["pick_id"].isin(set(context.arrivals["pick_id"])).sum())
    known = events["magnitude"].to_numpy(float)
    known = known[np.isfinite(known)]
    n_stations = picks["station"].nunique()
    span = f"{moment(low, 0)} to {moment(high, 0)} UTC" if high > low else "no data"
    items = [
        (f"{len(events):,}", "Events", _event_words(context)),
        (f"{len(picks):,}", "Picks", f"{used:,} in events, {len(picks) - used:,} in none"),
        (f"{len(context.stations):,}", "Stations", f"{n_stations:,} of them have picks"),
        (duration((high - low) / 1e9), "Time span", span),
    ]
    if len(known):
        words = f"{len(known):,} of {len(events):,} events have one"
        items.append((f"{fixed(known.min(), 1)} to {fixed(known.max(), 1)}", "Magnitudes", words))
    else:
        items.append(("none", "Magnitudes", no_magnitude_words(context, 1)))
    if context.comparison is not None:
        c = context.comparison
        total = len(c.matched) + len(c.missed)
        words = f"{len(c.missed)} missed, {len(c.new)} new"
        items.append((f"{len(c.matched)} of {total}", "Reference events matched", words))
    if len(context.catalog.problems):
        items.append((f"{len(context.catalog.problems):,}", "Problems", "listed under Data"))
    if run_time_s is not None:
        items.append((duration(run_time_s), "Run time", "from start to the catalogue"))
    return Section("summary", "Summary", cards(items) + _location_words(context))


def _event_words(context: Context) -> str:
    n = int(context.events["ambiguous"].sum())
    return f"{n} ambiguous in position" if n else ""


def _location_words(context: Context) -> str:
    events = context.events
    if events.empty:
        return paragraph("No event was found in these data.", "empty")
    major = events["ellipse_68_major_km"].to_numpy(float)
    depth = events["depth_sigma_km"].to_numpy(float)
    time = events["time_sigma_s"].to_numpy(float)
    parts = []
    if np.isfinite(major).any():
        parts.append(f"long half axis of the 68 % ellipse {np.nanmedian(major):.2g} km")
    if np.isfinite(depth).any():
        parts.append(f"1 sigma of depth {np.nanmedian(depth):.2g} km")
    if np.isfinite(time).any():
        parts.append(f"1 sigma of origin time {np.nanmedian(time):.2g} s")
    if not parts:
        return ""
    return paragraph(
        f"Median uncertainty: {', '.join(parts)}. Uncertainties follow from the pick uncertainties "
        f"and the stated model error; a velocity model that is wrong as a whole shifts all events "
        f"together by more than they say."
    )


def events_section(context: Context, with_records: set[int]) -> Section:
    """Return the sortable table of all events."""
    events = context.events
    if events.empty:
        return Section("events", "Events", paragraph("There are no events.", "empty"))
    header = [
        "Time (UTC)", "± s", "Longitude", "Latitude", "95 % half axes, km", "Depth, km",
        "68 % depth, km", "Magnitude", "±", "P", "S", "Gap, °", "Nearest, km", "RMS, s", "Type",
        "Remarks",
    ]  # fmt: skip
    rows = [_event_row(context, r, r.Index in with_records) for r in rows_of(events)]
    attributes = [f'id="e{i}" data-e="{i}"' for i in range(len(events))]
    words = paragraph(
        "± of the time and of the magnitude are 1 sigma; the 95 % half axes belong to the ellipse "
        "that holds the epicentre with 95 % probability, the 68 % depths to the shortest interval "
        "that holds the depth with 68 %. A click on a heading sorts; times with an underline lead "
        "to the record section.",
        "small",
    )
    listing = table(
        header,
        rows,
        caption=f"All {len(rows)} events",
        numeric=(1, 2, 3, 7, 8, 9, 10, 11, 12, 13),
        identifier="event-table",
        row_attributes=attributes,
    )
    return Section("events", "Events", words + listing)


def _event_row(context: Context, r: Any, has_records: bool) -> list[object]:
    when: object = moment(r.time)
    if has_records:
        when = Markup(f'<button type="button" class="link" data-show="{r.Index}">{when}</button>')
    axes = "–"
    if np.isfinite(r.ellipse_95_major_km):
        axes = f"{fixed(r.ellipse_95_major_km)} × {fixed(r.ellipse_95_minor_km)}"
    depths = "–"
    if np.isfinite(r.depth_68_low_km):
        depths = f"{fixed(r.depth_68_low_km, 1)} to {fixed(r.depth_68_high_km, 1)}"
    remarks = []
    if r.ambiguous:
        remarks.append(f"ambiguous ({r.n_modes} maxima)" if r.n_modes > 1 else "ambiguous")
    if r.event_id in context.new_ids:
        remarks.append("not in reference")
    elif r.event_id in context.matched_ids:
        remarks.append("in reference")
    if not np.isfinite(r.magnitude) and r.magnitude_reason:
        remarks.append(f"no magnitude: {r.magnitude_reason}")
    size = fixed(r.magnitude)
    if np.isfinite(r.magnitude) and r.magnitude_type:
        size = f"{r.magnitude_type} {size}"
    return [
        when, fixed(r.time_sigma_s), fixed(r.longitude, 4), fixed(r.latitude, 4), axes,
        fixed(r.depth_km, 1), depths, size, fixed(r.magnitude_sigma), r.n_p, r.n_s,
        fixed(r.azimuthal_gap_deg, 0), fixed(r.nearest_station_km, 1), fixed(r.rms_s, 3),
        r.event_type, "; ".join(remarks),
    ]  # fmt: skip


def appendix_section(
    context: Context, settings: Mapping[str, Any], versions: Mapping[str, Any]
) -> Section:
    """Return the velocity model, the stations, every setting and the versions."""
    parts = [_model(context)]
    if len(context.stations):
        rows = [
            (r.station, fixed(r.longitude, 5), fixed(r.latitude, 5), fixed(r.elevation_m, 0))
            for r in rows_of(context.stations)
        ]
        header = ("Station", "Longitude", "Latitude", "Elevation, m")
        parts.append(table(header, rows, caption=f"Stations ({len(rows)})", numeric=(1, 2, 3)))
    flat = [(key, value) for key, value in flatten(settings)]
    if flat:
        parts.append(table(("Setting", "Value"), flat, caption="Settings of the run"))
    if versions:
        lines = [(str(k), str(v)) for k, v in versions.items()]
        parts.append(table(("Software", "Version"), lines, caption="Versions", tall=False))
    body = "".join(f"<div>{p}</div>" for p in parts if p)
    return Section("appendix", "Appendix: model, stations, settings, versions", body, "Appendix")


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys and values as text."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        else:
            yield name, str(value)


def _model(context: Context) -> str:
    model = context.model
    if model is None:
        return paragraph("The velocity model was not at hand.", "note")
    depth = np.asarray(model.depth_km, float)
    rows = [
        (fixed(z, 2), fixed(vp, 3), fixed(vs, 3), fixed(gp, 4), fixed(gs, 4), fixed(vp / vs, 3))
        for z, vp, vs, gp, gs in zip(
            depth, model.vp_km_s, model.vs_km_s, model.vp_gradient_per_s, model.vs_gradient_per_s,
            strict=True,
        )
    ]  # fmt: skip
    header = (
        "Top, km", "Vp, km/s", "Vs, km/s", "Vp gradient, 1/s", "Vs gradient, 1/s", "Vp/Vs",
    )  # fmt: skip
    name = getattr(model, "name", "") or "unnamed"
    listing = table(header, rows, caption=f"Velocity model: {name}", numeric=range(6), tall=False)
    bottom = float(depth[-1] + max(5.0, 0.2 * (depth[-1] - depth[0])))
    tops, ends = depth, np.append(depth[1:], bottom)
    z = np.column_stack([tops, ends]).ravel()
    plot = Plot(
        (0.0, 1.0),
        (bottom, float(depth[0])),
        "Velocity, km/s",
        "Depth below sea level, km",
        "Velocity model",
        f"P and S velocities against depth of the model {escape(name)}.",
        height=330,
    )
    profiles = []
    for v, g in (
        (model.vp_km_s, model.vp_gradient_per_s),
        (model.vs_km_s, model.vs_gradient_per_s),
    ):
        top = np.asarray(v, float)
        profiles.append(np.column_stack([top, top + np.asarray(g) * (ends - tops)]).ravel())
    plot.x_range = (0.0, float(max(p.max() for p in profiles)) * 1.08)
    plot.line(profiles[0], z, "line p")
    plot.line(profiles[1], z, "line s")
    plot.legend([("line p", "P"), ("line s", "S")])
    return grid(listing, figure(plot.svg(), "The last layer reaches down without end."))
