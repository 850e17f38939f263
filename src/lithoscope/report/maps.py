"""Map with error ellipses, and depth sections."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.report.context import Context
from lithoscope.report.page import Section, figure, grid, paragraph
from lithoscope.report.svg import Plot, escape, nice_ticks, number, tick_label

_Range = tuple[float, float]


def map_section(context: Context) -> Section:
    """Return the section with an overview, the epicentres with ellipses and two depth sections."""
    n_events, n_stations = len(context.events), len(context.stations)
    east, north = context.event_plane
    if not np.isfinite(np.concatenate([east, context.station_plane[0]])).any():
        return Section("map", "Map", paragraph("No events and no stations to draw.", "empty"))
    all_east = np.concatenate([east, context.station_plane[0]])
    all_north = np.concatenate([north, context.station_plane[1]])
    overview = frame(all_east, all_north)
    figures = figure(
        draw_map(context, overview, "Overview map", ellipses=True),
        f"{n_stations} stations (triangles) and {n_events} events (circles; size by magnitude, "
        f"colour by depth, dashed = ambiguous). {_ellipse_words(context)} "
        f"{_outside(context, overview)}",
    )
    if n_events:
        close = frame(*_bulk(context))
        if (close[0][1] - close[0][0]) < 0.6 * (overview[0][1] - overview[0][0]):
            nearer = figure(
                draw_map(context, close, "Epicentres", ellipses=True),
                f"The epicentres closer up. {_ellipse_words(context)} {_outside(context, close)}",
            )
            figures = grid(figures, nearer) + grid(*depth_figures(context, close))
        else:
            beside = "".join(depth_figures(context, overview))
            figures = grid(figures, f"<div>{beside}</div>")
    lon, lat = context.projection.longitude, context.projection.latitude
    legend = depth_legend(context) if n_events else ""
    note = paragraph(
        f"Azimuthal equidistant projection around {abs(lon):.2f}° {'E' if lon >= 0 else 'W'}, "
        f"{abs(lat):.2f}° {'N' if lat >= 0 else 'S'} (WGS84), the same scale in all directions.",
        "small",
    )
    return Section("map", "Map and depth sections", legend + figures + note, "Map")


def frame(east: NDArray[np.float64], north: NDArray[np.float64]) -> tuple[_Range, _Range]:
    """Return easting and northing limits (km) that hold the points, in a handsome proportion."""
    good = np.isfinite(east) & np.isfinite(north)
    if not good.any():
        return (-5.0, 5.0), (-4.25, 4.25)
    e0, e1 = float(east[good].min()), float(east[good].max())
    n0, n1 = float(north[good].min()), float(north[good].max())
    wide = max((e1 - e0) * 1.16, (n1 - n0) * 1.16 / 1.1, 1.0)
    high = min(max((n1 - n0) * 1.16, 0.7 * wide), 1.1 * wide)
    middle_e, middle_n = (e0 + e1) / 2, (n0 + n1) / 2
    return (middle_e - wide / 2, middle_e + wide / 2), (middle_n - high / 2, middle_n + high / 2)


def _bulk(context: Context) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return corner points of a frame around nearly all epicentres and their ellipses."""
    east, north = context.event_plane
    good = np.isfinite(east)
    east, north = east[good], north[good]
    if len(east) == 0:
        return east, north
    reach = np.nan_to_num(context.events["ellipse_95_major_km"].to_numpy(float)[good])
    reach = np.minimum(reach, np.quantile(reach, 0.75))
    e, n = _core(east - reach, east + reach), _core(north - reach, north + reach)
    return np.array(e, dtype=float), np.array(n, dtype=float)


def _core(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits that leave out what lies far off the middle 80 %."""
    if len(low) < 8:
        return float(low.min()), float(high.max())
    a, b = np.quantile(low, 0.1), np.quantile(high, 0.9)
    margin = 0.75 * (b - a)
    return float(max(low.min(), a - margin)), float(min(high.max(), b + margin))


def _outside(context: Context, limits: tuple[_Range, _Range]) -> str:
    east, north = context.event_plane
    (e0, e1), (n0, n1) = limits
    inside = (east >= e0) & (east <= e1) & (north >= n0) & (north <= n1)
    n = int(len(east) - inside.sum())
    return f"{n} events lie outside this frame." if n else ""


def _ellipse_words(context: Context) -> str:
    level, _, _ = ellipse_axes(context.events)
    if not level:
        return "The catalogue has no error ellipses."
    return (
        f"Ellipses, drawn to scale, hold the true epicentre with {level} % probability if the "
        f"velocity model and the pick uncertainties are right."
    )


def ellipse_axes(events: pd.DataFrame) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Return the level in % (95, else 68, else 0) and the half axes in km."""
    for level in (95, 68):
        major = events[f"ellipse_{level}_major_km"].to_numpy(float)
        minor = events[f"ellipse_{level}_minor_km"].to_numpy(float)
        if np.isfinite(major).any():
            return level, major, minor
    return 0, np.full(len(events), np.nan), np.full(len(events), np.nan)


def map_plot(context: Context, limits: tuple[_Range, _Range], title: str, description: str) -> Plot:
    """Return an empty map with degrees on its edges, a graticule and a scale bar."""
    (e0, e1), (n0, n1) = limits
    margins = (58, 12, 12, 30)
    width = 520.0
    inner = width - margins[0] - margins[1]
    height = inner * (n1 - n0) / (e1 - e0) + margins[2] + margins[3]
    plot = Plot((e0, e1), (n0, n1), "", "", title, description, width, height, margins=margins)
    plot.x_ticks, plot.y_ticks, lines = _graticule(context, limits)
    plot.y_grid = False
    for east, north in lines:
        plot.line(east, north, "graticule")
    length = round_length((e1 - e0) / 3)
    left, base = e0 + 0.04 * (e1 - e0), n0 + 0.04 * (n1 - n0)
    text = f"{length:g} km"
    plot.line([left, left + length], [base, base], "scalebar")
    plot.text(left + length / 2, base + 0.02 * (n1 - n0), text, "scaletext", "middle")
    return plot


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above ``longest``."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(next(m * power for m in (5, 2, 1) if m * power <= longest * (1 + 1e-9)))


def _graticule(
    context: Context, limits: tuple[_Range, _Range]
) -> tuple[
    list[tuple[float, str]],
    list[tuple[float, str]],
    list[tuple[NDArray[np.float64], NDArray[np.float64]]],
]:
    (e0, e1), (n0, n1) = limits
    along = np.linspace(0, 1, 41)
    lon_edge, _ = context.projection.inverse(e0 + along * (e1 - e0), np.full(41, n0))
    _, lat_edge = context.projection.inverse(np.full(41, e0), n0 + along * (n1 - n0))
    lon_edge = np.degrees(np.unwrap(np.radians(lon_edge)))
    lons = nice_ticks(float(lon_edge[0]), float(lon_edge[-1]), 5)
    lats = nice_ticks(float(lat_edge[0]), float(lat_edge[-1]), 6)
    x_ticks = [
        (float(np.interp(v, lon_edge, e0 + along * (e1 - e0))), _degrees(v, lons, "E", "W"))
        for v in lons
    ]
    y_ticks = [
        (float(np.interp(v, lat_edge, n0 + along * (n1 - n0))), _degrees(v, lats, "N", "S"))
        for v in lats
    ]
    lat_fine = np.linspace(lat_edge[0] - 1e-3, lat_edge[-1] + 0.02 * np.ptp(lat_edge), 41)
    lon_fine = np.linspace(lon_edge[0] - 0.1 * np.ptp(lon_edge), lon_edge[-1] * 1.0, 41)
    lon_fine = np.append(lon_fine, lon_edge[-1] + 0.1 * np.ptp(lon_edge))
    lines = [context.projection.forward(np.full(41, v), lat_fine) for v in lons]
    lines += [context.projection.forward(lon_fine, np.full(42, v)) for v in lats]
    return x_ticks, y_ticks, lines


def _degrees(value: float, ticks: NDArray[np.float64], plus: str, minus: str) -> str:
    step = float(ticks[1] - ticks[0]) if len(ticks) > 1 else 0.0
    value = (value + 180.0) % 360.0 - 180.0 if plus == "E" else value
    return f"{tick_label(abs(float(value)), step)}°{plus if value >= 0 else minus}"


def draw_map(context: Context, limits: tuple[_Range, _Range], title: str, *, ellipses: bool) -> str:
    """Return the map of stations, events and ellipses inside ``limits``."""
    east, north = context.event_plane
    words = (
        f"Map of {len(context.stations)} stations and {len(context.events)} events; "
        f"all positions and uncertainties are in the table of events."
    )
    plot = map_plot(context, limits, title, words)
    if ellipses:
        _draw_ellipses(plot, context, limits)
    draw_stations(plot, context)
    order = np.argsort(-context.radius, kind="stable")
    order = order[np.isfinite(east[order])]
    ambiguous = context.events["ambiguous"].to_numpy(bool)
    extra = [
        f'class="{context.depth_class[i]}{" amb" if ambiguous[i] else ""}" data-e="{i}"'
        for i in order
    ]
    plot.dots(east[order], north[order], context.radius[order], "ev", extra=extra)
    return plot.svg("map")


def draw_stations(plot: Plot, context: Context, *, names: bool = True) -> None:
    """Draw triangles, with names where they have room."""
    east, north = context.station_plane
    good = np.isfinite(east)
    px, py = plot.x(east[good]), plot.y(north[good])
    path = "".join(f"M{a:.1f} {b - 5:.1f}l5 9h-10z" for a, b in zip(px, py, strict=True))
    if path:
        plot.add(f'<path class="station" d="{path}"/>')
    if not names or good.sum() > 60:
        return
    taken: list[tuple[float, float]] = []
    codes = context.stations["station"].to_numpy()[good]
    for a, b, code in zip(px, py, codes, strict=True):
        if any(abs(a - p) < 34 and abs(b - q) < 11 for p, q in taken):
            continue
        taken.append((a, b))
        name = escape(short_code(str(code)))
        plot.add(f'<text class="name" x="{a:.1f}" y="{b + 15:.1f}">{name}</text>')


def short_code(code: str) -> str:
    """Return the station's own code out of NET.STA.LOC.BI."""
    parts = code.split(".")
    return parts[1] if len(parts) > 1 and parts[1] else code


def _draw_ellipses(plot: Plot, context: Context, limits: tuple[_Range, _Range]) -> None:
    _, major, minor = ellipse_axes(context.events)
    east, north = context.event_plane
    azimuth = context.events["ellipse_azimuth_deg"].to_numpy(float)
    per_km = float(plot.x(1.0) - plot.x(0.0))
    (e0, e1), (n0, n1) = limits
    good = np.isfinite(major * minor * azimuth * east)
    good &= (east + major > e0) & (east - major < e1) & (north + major > n0) & (north - major < n1)
    good &= (major * per_km > 1.2) & (major * per_km < 2e4)
    out = []
    for i in np.flatnonzero(good):
        # azimuth is clockwise from north; the SVG ellipse's long axis starts out pointing east
        out.append(
            f'<ellipse rx="{number(major[i] * per_km)}" ry="{number(minor[i] * per_km)}" '
            f'transform="translate({float(plot.x(east[i])):.1f} {float(plot.y(north[i])):.1f})'
            f'rotate({number(azimuth[i] - 90, 0)})"/>'
        )
    crowd = " crowd" if len(out) > 150 else ""
    plot.add(f'<g class="ellipse{crowd}">{"".join(out)}</g>')


def depth_figures(context: Context, limits: tuple[_Range, _Range]) -> list[str]:
    """Return the sections seen from the south (E-W) and from the east (N-S)."""
    east, north = context.event_plane
    (e0, e1), (n0, n1) = limits
    inside = (east >= e0) & (east <= e1) & (north >= n0) & (north <= n1)
    out = []
    for name, values, (low, high), left, right in (
        ("West to east", east, (e0, e1), "W", "E"),
        ("South to north", north, (n0, n1), "S", "N"),
    ):
        out.append(_depth_figure(context, name, values, (low, high), inside, (left, right)))
    return out


def _depth_figure(
    context: Context,
    name: str,
    along: NDArray[np.float64],
    limits: _Range,
    inside: NDArray[np.bool_],
    ends: tuple[str, str],
) -> str:
    events = context.events
    depth = events["depth_km"].to_numpy(float)
    low, high = (
        events["depth_68_low_km"].to_numpy(float),
        events["depth_68_high_km"].to_numpy(float),
    )
    missing = ~np.isfinite(low) | ~np.isfinite(high)
    sigma = events["depth_sigma_km"].to_numpy(float)
    low, high = np.where(missing, depth - sigma, low), np.where(missing, depth + sigma, high)
    good = inside & np.isfinite(depth)
    shown = depth[good]
    tops = np.append(np.nan_to_num(low[good], nan=0.0), 0.0)
    ends_of_bars = np.nan_to_num(high[good], nan=0.0)
    deepest = float(np.max(np.append(shown, 1.0)))
    if len(ends_of_bars):
        deepest = max(deepest, min(float(np.quantile(ends_of_bars, 0.95)), 1.6 * deepest + 2))
    axis = context.station_plane[0 if ends[0] == "W" else 1]
    height = -context.stations["elevation_m"].to_numpy(float) / 1000.0
    in_frame = height[(axis >= limits[0]) & (axis <= limits[1]) & np.isfinite(height)]
    shallowest = max(float(np.min(np.append(tops, in_frame))), -6.0)
    middle = (limits[0] + limits[1]) / 2
    plot = Plot(
        (limits[0] - middle, limits[1] - middle),
        (deepest * 1.05, shallowest - 0.04 * deepest),
        f"{name}, km from the middle of the map",
        "Depth below sea level, km",
        f"Depth section {name.lower()}",
        f"Depths of {int(good.sum())} events from {ends[0]} to {ends[1]} with error bars.",
        width=520,
        height=330,
    )
    plot.segments(along - middle, np.where(good, low, np.nan), along - middle, high, "bar")
    order = np.argsort(-context.radius, kind="stable")
    order = order[good[order]]
    extra = [f'class="{context.depth_class[i]}" data-e="{i}"' for i in order]
    plot.dots(along[order] - middle, depth[order], context.radius[order], "ev", extra=extra)
    for a, z in zip(plot.x(axis - middle), plot.y(height), strict=True):
        if np.isfinite(a) and np.isfinite(z):
            plot.add(f'<path class="station" d="M{a:.1f} {z - 5:.1f}l5 9h-10z"/>')
    per_km = (float(plot.y(1.0) - plot.y(0.0))) / float(plot.x(1.0) - plot.x(0.0))
    scale = "the same as" if abs(per_km - 1) < 0.05 else f"{per_km:.2g} times"
    bars = "68 % intervals (shortest)" if (~missing & good).any() else "plus or minus 1 sigma"
    caption = f"{name}. Bars: {bars} of the depth. The vertical scale is {scale} the horizontal."
    return figure(plot.svg(), caption)


def depth_legend(context: Context) -> str:
    """Return the key of the depth colours."""
    edges = context.depth_edges
    step = edges[1] - edges[0]
    cells = "".join(
        f'<span><i class="d{i}"></i>{tick_label(edges[i], step)}</span>' for i in range(8)
    )
    return f'<p class="key">Depth from, km: {cells}</p>'
