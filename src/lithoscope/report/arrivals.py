"""Wadati diagram and residuals per station."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.errors import LithoscopeError
from lithoscope.report.context import Context
from lithoscope.report.page import Section, figure, fixed, grid, paragraph, rows_of, table
from lithoscope.report.svg import Plot, padded
from lithoscope.seismicity import wadati

_MAX_DOTS = 4000
MAX_ROWS = 60  # stations in a plot with one row each; tables hold all


def wadati_section(context: Context) -> Section:
    """Return S minus P against P travel time and Vp/Vs, or why there is none."""
    anchor, title = "wadati", "Wadati diagram"
    try:
        fit = wadati(context.arrivals, context.catalog.picks)
    except LithoscopeError as error:
        return Section(anchor, title, paragraph(f"Not drawn: {error}.", "empty"), "Wadati")
    x_high = float(max(fit.p_travel_s.max() * 1.05, 0.1))
    y_high = float(max(fit.s_minus_p_s.max() * 1.08, 0.1))
    plot = Plot(
        (min(0.0, float(fit.p_travel_s.min())), x_high),
        (0.0, y_high),
        "P travel time, s",
        "S minus P, s",
        "Wadati diagram",
        f"{fit.n_pairs} pairs on a line of slope {fit.vp_vs - 1:.3f}.",
        height=340,
    )
    ends = np.array([0.0, x_high])
    plot.line(ends, (fit.vp_vs - 1) * ends, "line fit")
    every = -(-fit.n_pairs // _MAX_DOTS)
    good, drawn = fit.weight >= 0.5, np.arange(fit.n_pairs) % every == 0
    for mask, radius, css in ((good, 2.2, "dot p"), (~good, 2.6, "dot hollow")):
        plot.dots(fit.p_travel_s[mask & drawn], fit.s_minus_p_s[mask & drawn], radius, css)
    plot.legend(
        [("line fit", f"Vp/Vs = {fit.vp_vs:.3f} ± {fit.sigma:.3f}"), ("dot p", "pair of P and S")],
        right=False,
    )
    caption = (
        f"{fit.n_pairs} stations with P and S in {fit.n_events} events. One ratio for all events, "
        f"an origin time per event (where S − P is zero), errors in both times, outliers "
        f"down-weighted (hollow below one half). Needs neither the velocity model nor the "
        f"catalogue's origin times."
    )
    if every > 1:
        caption += f" One pair in {every} is drawn; all are used."
    facts = [
        ("Vp/Vs", f"{fit.vp_vs:.3f} ± {fit.sigma:.3f}", "1 sigma: pick sigmas times the scatter"),
        ("Scatter", f"{fit.scatter:.2f}", "misfit over what the pick sigmas predict, 1 at least"),
    ]
    ratio = _model_ratio(context)
    if ratio:
        facts.append(("Vp/Vs of the velocity model", ratio, "lowest to highest over its layers"))
    side = table(("Quantity", "Value", "Meaning"), facts, caption="Vp/Vs", tall=False)
    return Section(anchor, title, grid(figure(plot.svg(), caption), side), "Wadati")


def _model_ratio(context: Context) -> str:
    if context.model is None:
        return ""
    ratio = np.asarray(context.model.vp_km_s) / np.asarray(context.model.vs_km_s)
    low, high = float(ratio.min()), float(ratio.max())
    return f"{low:.3f}" if high - low < 5e-4 else f"{low:.3f} to {high:.3f}"


def spread(values: NDArray[np.float64]) -> float:
    """Return the scaled median absolute deviation: 1 sigma of Gaussian data, blind to outliers."""
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if len(values) else np.nan


def station_residuals(arrivals: pd.DataFrame) -> pd.DataFrame:
    """Return per station and phase: n, outliers (weight up to 0.5), median and spread in s."""
    rows = []
    finite = arrivals[np.isfinite(arrivals["residual_s"])]
    for (station, phase), group in finite.groupby(["station", "phase"], sort=True):
        used = group[group["weight"] > 0.5]["residual_s"].to_numpy(float)
        rows.append(
            {
                "station": station,
                "phase": phase,
                "n": len(used),
                "n_outliers": len(group) - len(used),
                "median_s": float(np.median(used)) if len(used) else np.nan,
                "spread_s": spread(used) if len(used) > 2 else np.nan,
            }
        )
    columns = ["station", "phase", "n", "n_outliers", "median_s", "spread_s"]
    return pd.DataFrame(rows, columns=columns)


def residual_section(context: Context) -> Section:
    """Return residuals over all stations and per station."""
    anchor, title = "residuals", "Residuals"
    stats = station_residuals(context.arrivals)
    if stats.empty:
        text = "No arrivals with residuals, so nothing to compare with the velocity model."
        return Section(anchor, title, paragraph(text, "empty"))
    header = ("Station", "Phase", "Used", "Outliers", "Median, s", "Spread, s")
    rows = [
        (r.station, r.phase, r.n, r.n_outliers, fixed(r.median_s, 3), fixed(r.spread_s, 3))
        for r in rows_of(stats)
    ]
    listing = table(
        header, rows, caption="Residuals per station (observed − predicted)", numeric=(2, 3, 4, 5)
    )
    figures = grid(_per_station(stats), f"<div>{_histogram(context.arrivals)}{listing}</div>")
    return Section(anchor, title, figures)


def _per_station(stats: pd.DataFrame) -> str:
    total = stats.groupby("station")["n"].sum().sort_values(ascending=False, kind="stable")
    shown = sorted(total.index[:MAX_ROWS])
    reach = np.abs(stats["median_s"]) + stats["spread_s"].fillna(0)
    half = float(max(np.nanquantile(reach, 0.98) if reach.notna().any() else 0.1, 0.05)) * 1.1
    plot = Plot(
        (-half, half),
        (len(shown) - 0.4, -0.6),
        "Residual, s",
        "",
        "Residuals per station",
        f"Median and spread of the P and S residuals of {len(shown)} stations.",
        height=76 + 19 * len(shown),
        margins=(112, 14, 28, 44),
    )
    plot.y_ticks = [(float(i), name) for i, name in enumerate(shown)]
    plot.line([0, 0], [-1, len(shown)], "line zero")
    place = {name: i for i, name in enumerate(shown)}
    for phase, shift in (("P", -0.15), ("S", 0.15)):
        part = stats[(stats["phase"] == phase) & stats["station"].isin(shown)]
        y = part["station"].map(place).to_numpy(float) + shift
        median, wide = part["median_s"].to_numpy(float), part["spread_s"].to_numpy(float)
        css = phase.lower()
        plot.segments(median - wide, y, median + wide, y, f"bar {css}")
        plot.dots(median, y, 3, f"dot {css}")
    plot.legend_above([("dot p", "P"), ("dot s", "S")])
    more = f" The {MAX_ROWS} stations with most picks." if len(total) > MAX_ROWS else ""
    return figure(
        plot.svg(),
        "Dots: median of the residuals used (weight above 0.5); bars: plus or minus 1.4826 median "
        "absolute deviations, the scatter of one pick, not of the median. A median off zero is a "
        f"station term: positive means later than predicted, so the model is too fast there.{more}",
    )


def _histogram(arrivals: pd.DataFrame) -> str:
    used = arrivals[(arrivals["weight"] > 0.5) & np.isfinite(arrivals["residual_s"])]
    if used.empty:
        return ""
    values = used["residual_s"].to_numpy(float)
    half = float(max(np.quantile(np.abs(values), 0.99), 0.05)) * 1.05
    edges = np.linspace(-half, half, 41)
    counts = {
        phase: np.histogram(used.loc[used["phase"] == phase, "residual_s"], edges)[0]
        for phase in ("P", "S")
    }
    plot = Plot(
        (-half, half),
        (0.0, max(1, *(int(c.max()) for c in counts.values())) * 1.15),
        "Residual, s",
        "Arrivals",
        "Distribution of residuals",
        f"Histogram of {len(values)} residuals.",
        height=230,
        counts="y",
    )
    entries = []
    for phase, count in counts.items():
        css = phase.lower()
        plot.steps(edges, np.append(count, 0).astype(float), f"line {css}")
        part = used.loc[used["phase"] == phase, "residual_s"].to_numpy(float)
        entries.append((f"line {css}", f"{phase}: {len(part)}, spread {fixed(spread(part), 3)} s"))
    plot.legend(entries)
    limits = padded([-half, half], 0.0)
    beyond = int(np.sum(np.abs(values) > limits[1]))
    return figure(plot.svg(), f"All arrivals used. {beyond} lie outside the frame.")
