"""Quality of picks and data: counts, probabilities, sigmas, availability, problems."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.report.arrivals import MAX_ROWS
from lithoscope.report.context import Context
from lithoscope.report.page import (
    Section,
    duration,
    figure,
    fixed,
    grid,
    moment,
    paragraph,
    rows_of,
    table,
)
from lithoscope.report.svg import Plot, time_ticks

_MAX_PROBLEMS = 2000


def quality_section(context: Context) -> Section:
    """Return picks per station, their probabilities and sigmas."""
    anchor, title = "picks", "Picks"
    picks = context.catalog.picks
    if picks.empty:
        return Section(anchor, title, paragraph("There are no picks.", "empty"))
    used = picks["pick_id"].isin(set(context.arrivals["pick_id"]))
    counts = _pick_counts(picks, used)
    header = ("Station", "P", "P used", "S", "S used", "Unused", "Median sigma P, s", "…S, s")
    rows = [
        (
            r.station, r.p, r.p_used, r.s, r.s_used, r.p + r.s - r.p_used - r.s_used,
            fixed(r.p_sigma, 3), fixed(r.s_sigma, 3),
        )
        for r in rows_of(counts)
    ]  # fmt: skip
    listing = table(header, rows, caption="Picks per station", numeric=range(1, 8))
    body = grid(
        _per_station(counts),
        f"<div>{_histograms(picks, used)}{listing}</div>",
    )
    return Section(anchor, title, body)


def _pick_counts(picks: pd.DataFrame, used: pd.Series) -> pd.DataFrame:
    out = []
    for station, group in picks.assign(used=used).groupby("station", sort=True):
        row: dict[str, object] = {"station": station}
        for phase in ("P", "S"):
            part = group[group["phase"] == phase]
            key = phase.lower()
            row[key], row[f"{key}_used"] = len(part), int(part["used"].sum())
            row[f"{key}_sigma"] = part["time_sigma_s"].median() if len(part) else np.nan
        out.append(row)
    return pd.DataFrame(out)


def _per_station(counts: pd.DataFrame) -> str:
    total = (counts["p"] + counts["s"]).to_numpy()
    order = np.sort(np.argsort(-total, kind="stable")[:MAX_ROWS])
    shown = counts.iloc[order].reset_index(drop=True)
    plot = Plot(
        (0.0, float(max(total.max(), 1)) * 1.03),
        (len(shown) - 0.4, -0.6),
        "Picks",
        "",
        "Picks per station",
        f"Bars of the picks of {len(shown)} stations: in events and not.",
        height=76 + 17 * len(shown),
        margins=(112, 14, 28, 44),
        y_grid=False,
        counts="x",
    )
    plot.y_ticks = [(float(i), str(name)) for i, name in enumerate(shown["station"])]
    rows = np.arange(len(shown), dtype=float)
    start = np.zeros(len(shown))
    left = (shown["p"] + shown["s"] - shown["p_used"] - shown["s_used"]).to_numpy(float)
    for values, css in (
        (shown["p_used"].to_numpy(float), "fill p"),
        (shown["s_used"].to_numpy(float), "fill s"),
        (left, "fill rest"),
    ):
        some = values > 0
        ends = start + values
        plot.boxes(start[some], ends[some], rows[some] - 0.36, rows[some] + 0.36, css)
        start = ends
    plot.legend_above(
        [("fill p", "P in events"), ("fill s", "S in events"), ("fill rest", "unused")]
    )
    more = f" The {MAX_ROWS} stations with most picks." if len(counts) > MAX_ROWS else ""
    return figure(plot.svg(), f"Picks in events and picks that fit no event.{more}")


def _histograms(picks: pd.DataFrame, used: pd.Series) -> str:
    out = []
    probability = picks["probability"].to_numpy(float)
    if np.isfinite(probability).any():
        edges = np.linspace(0.0, 1.0, 26)
        out.append(
            _histogram(
                picks["phase"], probability, used, edges, [0, 0.2, 0.4, 0.6, 0.8, 1.0],
                ("Probability of the pick", "Pick probabilities"),
                "Probability that the picker gives a pick; thick lines: all picks, thin lines: "
                "picks in events.",
            )
        )  # fmt: skip
    sigma = picks["time_sigma_s"].to_numpy(float)
    if (sigma > 0).any():
        log = np.log10(np.where(sigma > 0, sigma, np.nan))
        low, high = np.floor(np.nanmin(log) * 2) / 2, np.ceil(np.nanmax(log) * 2) / 2
        edges = np.linspace(low, max(high, low + 1.0), 26)
        out.append(
            _histogram(
                picks["phase"], log, used, edges, None,
                ("Sigma of the onset time, s", "Pick sigmas"),
                "1 sigma of the onset time as the picker states it; thick lines: all picks, thin "
                "lines: picks in events.",
            )
        )  # fmt: skip
    return "".join(out)


def _histogram(
    phases: pd.Series,
    values: NDArray[np.float64],
    used: pd.Series,
    edges: NDArray[np.float64],
    ticks: list[float] | None,
    names: tuple[str, str],
    caption: str,
) -> str:
    lines, entries, top = [], [], 1
    for phase in ("P", "S"):
        mask = (phases == phase).to_numpy() & np.isfinite(values)
        for subset, css in ((mask, "line"), (mask & used.to_numpy(), "line thin")):
            count = np.histogram(values[subset], edges)[0]
            lines.append((count, f"{css} {phase.lower()}"))
            top = max(top, int(count.max()))
        entries.append((f"line {phase.lower()}", f"{phase}: {int(mask.sum())}"))
    plot = Plot(
        (float(edges[0]), float(edges[-1])),
        (0.0, top * 1.12),
        names[0],
        "Picks",
        names[1],
        f"Histogram of {len(values)} picks.",
        height=220,
        counts="y",
    )
    if ticks is not None:
        plot.x_ticks = [(v, f"{v:g}") for v in ticks]
    else:
        whole = np.arange(np.ceil(edges[0]), np.floor(edges[-1]) + 1)
        steps = [p + np.log10(m) for p in range(-6, 4) for m in (1, 2, 5)]
        inside = [v for v in steps if edges[0] <= v <= edges[-1]]
        marks = inside if len(inside) <= 9 else list(whole)
        plot.x_ticks = [(float(v), f"{10 ** float(v):.2g}") for v in marks]
    for count, css in lines:
        plot.steps(edges, np.append(count, 0).astype(float), css)
    plot.legend(entries, right=ticks is None)
    return figure(plot.svg(), caption)


def availability_section(context: Context) -> Section:
    """Return when each station has data, and what was skipped and why."""
    body = [_availability(context), problems_table(context.catalog.problems)]
    return Section("data", "Data: availability, skipped and why", "".join(body), "Data")


def coverage(segments: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Return per station the union of its segments, ``(n, 2)`` ns since 1970."""
    out = {}
    for station, group in segments.groupby("station", sort=True):
        spans = group[["starttime_ns", "endtime_ns"]].to_numpy(np.int64)
        spans = spans[np.argsort(spans[:, 0], kind="stable")]
        reach = np.maximum.accumulate(spans[:, 1])
        # pieces less than two samples apart belong together
        join = 2e9 / float(group["sampling_rate_hz"].min()) if "sampling_rate_hz" in group else 1e9
        breaks = np.flatnonzero(spans[1:, 0] > reach[:-1] + join) + 1
        starts = spans[np.concatenate([[0], breaks]).astype(int), 0]
        ends = reach[np.concatenate([breaks - 1, [len(reach) - 1]]).astype(int)]
        out[str(station)] = np.column_stack([starts, ends])
    return out


def _availability(context: Context) -> str:
    low_ns, high_ns = context.span_ns
    picks = context.catalog.picks
    if context.segments is not None and len(context.segments):
        spans = coverage(context.segments)
        words = "Bars: recordings found, gaps of single channels not counted."
    elif len(picks):
        grouped = picks.groupby("station", sort=True)["time"]
        first, last = grouped.min(), grouped.max()
        spans = {
            str(s): np.array([[first[s].value, last[s].value]], dtype=np.int64) for s in first.index
        }
        words = "The recordings were not at hand: bars reach from the first to the last pick only."
    else:
        return paragraph("Neither recordings nor picks are at hand to show availability.", "empty")
    names = sorted(set(spans))
    shown = names[: 2 * MAX_ROWS]
    x_range = (low_ns / 1e9, max(high_ns, low_ns + 10**9) / 1e9)
    plot = Plot(
        x_range,
        (len(shown) - 0.4, -0.6),
        f"Time, UTC (starts {str(np.datetime64(low_ns, 'ns'))[:10]})",
        "",
        "Data availability",
        f"Bars of the times with data of {len(shown)} stations.",
        width=960,
        height=76 + 16 * len(shown),
        margins=(112, 14, 28, 44),
        y_grid=False,
    )
    plot.x_ticks = time_ticks(int(x_range[0] * 1e9), int(x_range[1] * 1e9), 9)
    plot.y_ticks = [(float(i), name) for i, name in enumerate(shown)]
    place = {name: float(i) for i, name in enumerate(shown)}
    bars = [(place[s], *row) for s in shown for row in spans[s].tolist()]
    table_ = np.array(bars, dtype=float)
    plot.boxes(
        table_[:, 1] / 1e9,
        table_[:, 2] / 1e9,
        table_[:, 0] - 0.32,
        table_[:, 0] + 0.32,
        "fill bins",
    )
    marked = _draw_problems(plot, context.catalog.problems, place)
    if marked:
        plot.legend_above([("fill bins", "data"), ("fill warn", "problem reported")])
        words += f" {marked} problems with a known time are marked; the table says what they are."
    more = f" The first {len(shown)} of {len(names)} stations." if len(names) > len(shown) else ""
    return figure(plot.svg("wide"), f"{words}{more}", "wide")


def _draw_problems(plot: Plot, problems: pd.DataFrame, place: dict[str, float]) -> int:
    timed = problems[problems["starttime"].notna() & problems["endtime"].notna()]
    rows = []
    for r in rows_of(timed):
        name = next((s for s in (r.what, str(r.what)[:-1]) if s in place), None)
        if name is not None:
            rows.append((place[name], r.starttime.value / 1e9, r.endtime.value / 1e9))
    if rows:
        a = np.array(rows, dtype=float)
        plot.boxes(a[:, 1], a[:, 2], a[:, 0] - 0.32, a[:, 0] + 0.32, "fill warn")
    return len(rows)


def problems_table(problems: pd.DataFrame) -> str:
    """Return the table of everything that was skipped or doubtful."""
    if problems.empty:
        return paragraph("Nothing was skipped and no problem was reported.", "note")
    header = ("What", "Problem", "Detail", "What was done", "From (UTC)", "To (UTC)")
    ordered = problems.sort_values(["what", "starttime", "problem"], kind="stable")
    rows = [
        (r.what, r.problem, r.detail, r.action, moment(r.starttime, 1), moment(r.endtime, 1))
        for r in rows_of(ordered.head(_MAX_PROBLEMS))
    ]
    counts = problems["problem"].value_counts().sort_index()
    words = ", ".join(f"{name}: {n}" for name, n in counts.items())
    caption = f"{len(problems)} problems ({words})"
    if len(problems) > _MAX_PROBLEMS:
        caption += f"; the first {_MAX_PROBLEMS} are shown"
    return table(header, rows, caption=caption)


def data_words(context: Context) -> str:
    """Return the span of the data in words."""
    low_ns, high_ns = context.span_ns
    if high_ns <= low_ns:
        return "no data"
    return duration((high_ns - low_ns) / 1e9)
