"""Time line and magnitude distribution."""

from __future__ import annotations

import numpy as np

from lithoscope.errors import LithoscopeError
from lithoscope.report.context import Context
from lithoscope.report.page import Section, figure, fixed, grid, paragraph, table
from lithoscope.report.svg import Plot, padded, time_ticks
from lithoscope.seismicity import MagnitudeDistribution, magnitude_distribution

_WIDE = 960.0


def timeline_section(context: Context) -> Section:
    """Return magnitudes and the number of events against time."""
    events = context.events[context.events["time"].notna()]
    if events.empty:
        return Section("time", "Time line", paragraph("No events, so no time line.", "empty"))
    seconds = events["time"].astype("int64").to_numpy() / 1e9
    low_ns, high_ns = context.span_ns
    low_ns = min(low_ns, int(seconds.min() * 1e9))
    high_ns = max(high_ns, int(seconds.max() * 1e9))
    x_range = padded([low_ns / 1e9, high_ns / 1e9], 0.01, 1.0)
    ticks = time_ticks(int(x_range[0] * 1e9), int(x_range[1] * 1e9), 9)
    day = str(np.datetime64(low_ns, "ns"))[:10]
    label = f"Time, UTC (starts {day})"
    parts = [_magnitude_time(context, seconds, x_range, ticks, label)]
    plot = Plot(
        x_range,
        (0.0, len(events) * 1.06),
        label,
        "Events so far",
        "Cumulative number of events",
        f"Number of events rising to {len(events)}.",
        _WIDE,
        220,
        counts="y",
    )
    plot.x_ticks = ticks
    order = np.sort(seconds)
    count = np.arange(len(order) + 2.0)
    count[-1] = len(order)
    plot.steps([x_range[0], *order, x_range[1]], count, "line")
    parts.append(figure(plot.svg("wide"), "Number of events since the start of the data.", "wide"))
    return Section("time", "Time line", "".join(parts))


def _magnitude_time(
    context: Context,
    seconds: np.ndarray,
    x_range: tuple[float, float],
    ticks: list[tuple[float, str]],
    label: str,
) -> str:
    events = context.events[context.events["time"].notna()]
    magnitude = events["magnitude"].to_numpy(float)
    known = np.isfinite(magnitude)
    if not known.any():
        return paragraph(f"No magnitudes to draw: {no_magnitude_words(context)}", "empty")
    low, high = padded(magnitude, 0.12, 0.3)
    plot = Plot(
        x_range,
        (low, high),
        label,
        "Magnitude",
        "Magnitude against time",
        f"Magnitudes of {int(known.sum())} events from {np.nanmin(magnitude):.1f} to "
        f"{np.nanmax(magnitude):.1f}.",
        _WIDE,
        280,
    )
    plot.x_ticks = ticks
    sigma = events["magnitude_sigma"].to_numpy(float)
    crowd = " crowd" if known.sum() > 300 else ""
    plot.segments(seconds, magnitude - sigma, seconds, magnitude + sigma, f"bar{crowd}")
    index = events.index.to_numpy()
    extra = [f'class="{context.depth_class[i]}" data-e="{i}"' for i in index]
    plot.dots(seconds, magnitude, context.radius[index], "ev", extra=extra)
    without = int((~known).sum())
    if without:
        plot.segments(
            np.where(known, np.nan, seconds), low, seconds, low + 0.05 * (high - low), "line warn"
        )
    more = f" Ticks at the bottom: {without} events without a magnitude." if without else ""
    caption = f"Bars: plus or minus 1 sigma of the network magnitude.{more}"
    return figure(plot.svg("wide"), caption, "wide")


def no_magnitude_words(context: Context, n_reasons: int = 4) -> str:
    """Return why events have no magnitude: the kinds of reasons, most frequent first."""
    events = context.events
    if events.empty:
        return "there are no events."
    missing = events[~np.isfinite(events["magnitude"])]
    reasons = missing["magnitude_reason"][missing["magnitude_reason"] != ""]
    if reasons.empty:
        return "the catalogue gives no reason."
    # reasons that differ only in counts of stations or in names of events are one
    kinds = reasons.str.replace(r"\S*\d\S*", "#", regex=True)
    groups = sorted(reasons.groupby(kinds), key=lambda item: (-len(item[1]), item[0]))
    words = [f"{group.mode().iloc[0]} ({len(group)} events)" for _, group in groups[:n_reasons]]
    return "; ".join(words)


def magnitude_section(context: Context) -> Section:
    """Return the magnitude distribution with completeness and b-value."""
    anchor, title = "magnitudes", "Magnitude distribution"
    magnitudes = context.events["magnitude"].to_numpy(float)
    try:
        found = magnitude_distribution(magnitudes, bin_width=context.settings.magnitude_bin)
    except LithoscopeError:
        text = f"No event has a magnitude: {no_magnitude_words(context)}"
        return Section(anchor, title, paragraph(text, "empty"), "Magnitudes")
    n = int(np.isfinite(magnitudes).sum())
    without = len(magnitudes) - n
    notes = [paragraph(f"Not estimated: {reason}.", "note") for reason in found.reasons]
    if without:
        notes.append(
            paragraph(
                f"{without} events have no magnitude and are not counted: "
                f"{no_magnitude_words(context)}",
                "note",
            )
        )
    parts = grid(
        _distribution_figure(found, n, context), f"<div>{_estimates(found)}{''.join(notes)}</div>"
    )
    return Section(anchor, title, parts, "Magnitudes")


def _distribution_figure(found: MagnitudeDistribution, n: int, context: Context) -> str:
    width = context.settings.magnitude_bin
    centres, counts = found.centres, found.counts
    cumulative = np.cumsum(counts[::-1])[::-1]
    x_range = (float(centres[0] - 3 * width), float(centres[-1] + 3 * width))
    plot = Plot(
        x_range,
        (0.7, 1.6 * max(n, 2)),
        "Magnitude",
        "Events",
        "Magnitude distribution",
        f"Events in bins of {width:g} and their cumulative number, {n} events.",
        height=340,
        log_y=True,
    )
    entries = [("fill bins", f"per bin of {width:g}"), ("dot cum", "this or larger")]
    if found.completeness is not None:
        c = found.completeness
        plot.boxes(c.magnitude - c.sigma, c.magnitude + c.sigma, 0.7, 1.6 * max(n, 2), "fill band")
        plot.line([c.magnitude, c.magnitude], [0.7, 1.6 * max(n, 2)], "line ref")
        entries.append(("line ref", "completeness"))
    inset = 0.06 * width
    plot.boxes(
        centres - width / 2 + inset, centres + width / 2 - inset, 0.7, np.maximum(counts, 0.7),
        "fill bins",
    )  # fmt: skip
    plot.dots(centres - width / 2, cumulative, 2.6, "dot cum")
    if found.b is not None:
        edge = np.linspace(found.b.completeness - width / 2, x_range[1], 2)
        plot.line(edge, 10 ** (found.b.a - found.b.b * edge), "line fit")
        entries.append(("line fit", f"b = {found.b.b:.2f}"))
    plot.legend(entries)
    return figure(
        plot.svg(),
        "Bars: events per bin. Dots: events of this magnitude or larger. The shaded strip is plus "
        "or minus 1 sigma of the completeness.",
    )


def _estimates(found: MagnitudeDistribution) -> str:
    rows: list[tuple[str, str, str, str]] = []
    for c in (found.completeness, found.completeness_b_stability):
        if c is not None:
            rows.append(
                (
                    f"Completeness, {c.method}",
                    f"{fixed(c.magnitude, 1)} ± {fixed(c.sigma)}",
                    str(c.n_above),
                    "1 sigma over bootstrap resamples of the events",
                )
            )
    b = found.b
    if b is not None:
        method = f"b-value, {b.method}"
        above = "1 sigma (Shi & Bolt 1982), completeness taken as known"
        rows.append((method, f"{fixed(b.b)} ± {fixed(b.sigma)}", str(b.n), above))
        both = "1 sigma over bootstrap resamples, completeness estimated anew in each"
        rows.append((method, f"{fixed(b.b)} ± {fixed(found.b_sigma_total)}", str(b.n), both))
        rows.append(("a-value", fixed(b.a), str(b.n), "log10 of the events of magnitude 0 or more"))
    p = found.b_positive
    if p is not None:
        meaning = "1 sigma (Shi & Bolt 1982); no completeness needed"
        rows.append((p.method, f"{fixed(p.b)} ± {fixed(p.sigma)}", str(p.n), meaning))
    if not rows:
        return ""
    header = ("Estimate", "Value", "Events used", "What the uncertainty means")
    return table(header, rows, caption="Completeness and b-value", numeric=(1, 2), tall=False)
