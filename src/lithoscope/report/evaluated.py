"""The page of an evaluation of pickers: tables, and figures of what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lithoscope.report.page import (
    Section,
    document,
    figure,
    fixed,
    grid,
    paragraph,
    rows_of,
    table,
)
from lithoscope.report.svg import Plot
from lithoscope.report.writer import publish, script_safe

PHASES = ("P", "S")
#: Colours of models, in order; further ones begin again.
N_COLOURS = 4
#: Margins that leave room for a legend above the frame.
_ABOVE = (56.0, 14.0, 28.0, 44.0)
_BY = {
    "source": "Source",
    "snr_db": "Signal-to-noise ratio, dB",
    "distance_km": "Epicentral distance, km",
    "magnitude": "Magnitude",
}


def write_evaluation(
    path: Path | str, tables: Mapping[str, pd.DataFrame], notes: Sequence[str], *, title: str
) -> None:
    """Write one self-contained HTML page.

    Parameters
    ----------
    path
        File to write (replaced if it exists).
    tables
        ``scores``, ``differences``, ``thresholds``, ``curves``, ``reliability``, ``coverage``,
        ``residuals``, ``costs`` of `lithoscope.pipeline.evaluation.Evaluation`.
    notes
        Rules in force.
    title
        Heading.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    sections = [
        Section("scores", "Scores", _scores(tables)),
        Section("curves", "Thresholds", _curves(tables)),
        Section("classes", "Where they differ", _classes(tables["scores"])),
        Section("timing", "Timing", _timing(tables)),
        Section("calibration", "Calibration", _calibration(tables)),
        Section("rules", "Rules", "".join(paragraph(note) for note in notes)),
    ]
    publish(Path(path), document(title, notes[0] if notes else "", sections, script_safe({})))


def _colour(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the style class of each model."""
    models = list(dict.fromkeys(tables["scores"]["model"]))
    return {name: f"m{i % N_COLOURS}" for i, name in enumerate(models)}


def _with_interval(row: Any, digits: int) -> str:
    """Return value and interval of a row of scores."""
    text, low, high = (fixed(row[c], digits) for c in ("value", "low", "high"))
    return text if low == "–" else f"{text} ({low} to {high})"


def _scores(tables: Mapping[str, pd.DataFrame]) -> str:
    scores = tables["scores"]
    whole = scores[scores["by"] == "all"]
    rows = []
    for (model, phase), part in whole.groupby(["model", "phase"], sort=False):
        for tolerance in sorted(part.loc[part["measure"] == "f1", "tolerance_s"].unique()):
            here = part[part["tolerance_s"] == tolerance].set_index("measure")
            cells = [_with_interval(here.loc[m], 3) for m in ("precision", "recall", "f1")]
            rows.append((model, phase, f"{tolerance:g}", *cells, int(here.loc["f1", "n"])))
    header = ("Model", "Phase", "Within, s", "Precision", "Recall", "F1", "Labels")
    out = table(header, rows, caption="Hits, with 95 % intervals", numeric=(2, 6), tall=False)
    thresholds = [
        (r.model, r.phase, fixed(r.threshold, 2), r.rule) for r in rows_of(tables["thresholds"])
    ]
    out += table(
        ("Model", "Phase", "Threshold", "Rule"), thresholds, caption="Thresholds", numeric=(2,),
        tall=False,
    )  # fmt: skip
    out += _noise_table(whole) + _difference_table(tables["differences"])
    costs = [
        (r.model, fixed(r.data_h, 2), fixed(r.cpu_s, 1), fixed(r.cpu_s_per_station_day, 1),
         r.unusable or "–")
        for r in rows_of(tables["costs"])
    ]  # fmt: skip
    names = ("Model", "Data, h", "CPU s", "CPU s a station-day", "Not picked")
    return out + table(names, costs, caption="Cost", numeric=(1, 2, 3), tall=False)


def _noise_table(whole: pd.DataFrame) -> str:
    rates = whole[whole["measure"] == "false_per_hour"]
    rows = [
        (r["model"], r["phase"], _with_interval(r, 2), r["n"]) for r in rates.to_dict("records")
    ]
    header = ("Model", "Phase", "False picks per hour", "Picks counted")
    return table(header, rows, caption="Noise", numeric=(3,), tall=False) if rows else ""


def _difference_table(differences: pd.DataFrame) -> str:
    rows = [
        (r.against, r.phase, f"{r.tolerance_s:g}",
         f"{fixed(r.value, 3, sign=True)} ({fixed(r.low, 3, sign=True)} to "
         f"{fixed(r.high, 3, sign=True)})")
        for r in rows_of(differences[differences["by"] == "all"])
    ]  # fmt: skip
    if not rows:
        return ""
    caption = "F1 of the first model minus each other, from the same resampled groups"
    header = ("Against", "Phase", "Within, s", "Difference of F1")
    return table(header, rows, caption=caption, numeric=(2,), tall=False)


def _curves(tables: Mapping[str, pd.DataFrame]) -> str:
    colour, curves = _colour(tables), tables["curves"]
    thresholds = tables["thresholds"].set_index(["model", "phase"])["threshold"]
    figures = []
    for phase in PHASES:
        here = curves[curves["phase"] == phase]
        if here.empty:
            continue
        plot = Plot(
            (0.0, 1.0), (0.0, 1.0), "Recall", "Precision", f"Precision and recall, {phase}",
            "One curve a model; the dot is its threshold.", margins=_ABOVE,
        )  # fmt: skip
        for model, part in here.groupby("model", sort=False):
            css = colour[str(model)]
            plot.line(part["recall"], part["precision"], f"line {css}")
            at = (part["threshold"] - thresholds[model, phase]).abs().argmin()
            plot.dots(part["recall"].iloc[[at]], part["precision"].iloc[[at]], 4.5, f"dot {css}")
        plot.legend_above([(f"line {css}", name) for name, css in colour.items()])
        figures.append(figure(plot.svg(), f"{phase} picks; dots: thresholds in use."))
    return grid(*figures) + grid(*(_noise_curve(curves, phase, colour) for phase in PHASES))


def _noise_curve(curves: pd.DataFrame, phase: str, colour: Mapping[str, str]) -> str:
    here = curves[(curves["phase"] == phase) & (curves["false_per_hour"] > 0)]
    if here.empty:
        return ""
    high = max(10.0 ** np.ceil(np.log10(here["false_per_hour"].max())), 10.0)
    low = 10.0 ** np.floor(np.log10(here["false_per_hour"].min()))
    plot = Plot(
        (0.0, 1.0), (low, high), "Recall", "False picks per hour", f"Noise, {phase}",
        "False picks per hour of noise against recall, by threshold.", log_y=True, margins=_ABOVE,
    )  # fmt: skip
    for model, part in here.groupby("model", sort=False):
        plot.line(part["recall"], part["false_per_hour"], f"line {colour[str(model)]}")
    return figure(plot.svg(), f"{phase} picks: lower and farther right is better.")


def _classes(scores: pd.DataFrame) -> str:
    colour = _colour({"scores": scores})
    figures = []
    tolerance = scores.loc[scores["measure"] == "f1", "tolerance_s"].min()
    chosen = scores[(scores["measure"] == "f1") & (scores["tolerance_s"] == tolerance)]
    for by, label in _BY.items():
        for phase in PHASES:
            here = chosen[(chosen["by"] == by) & (chosen["phase"] == phase)]
            if len(here):
                figures.append(_class_figure(here, by, label, phase, colour))
    words = f"F1 within {tolerance:g} s by class of label, with 95 % intervals."
    return paragraph(words) + grid(*figures)


def _class_figure(
    here: pd.DataFrame, by: str, label: str, phase: str, colour: Mapping[str, str]
) -> str:
    names = list(dict.fromkeys(here["of"]))
    ticks = [(float(i), _short(name, by)) for i, name in enumerate(names)]
    plot = Plot(
        (-0.5, len(names) - 0.5), (0.0, 1.0), label, "F1", f"F1 of {phase} by {by}",
        "Dots with bars: value and 95 % interval of each model.", x_ticks=ticks,
        margins=_ABOVE,
    )  # fmt: skip
    models = list(colour)
    for i, model in enumerate(models):
        part = here[here["model"] == model]
        shift = 0.12 * (i - (len(models) - 1) / 2)
        x = np.array([names.index(name) for name in part["of"]], float) + shift
        plot.segments(x, part["low"], x, part["high"], f"bar {colour[model]}")
        plot.dots(x, part["value"], 3.5, f"dot {colour[model]}")
    plot.legend_above([(f"dot {css}", name) for name, css in colour.items()])
    n = here.groupby("of", sort=False)["n"].first()
    counts = ", ".join(f"{_short(str(k), by)}: {v}" for k, v in n.items())
    return figure(plot.svg(), f"{phase}; labels: {counts}.")


def _short(name: str, by: str) -> str:
    """Return a label of a class short enough for an axis."""
    if by == "source":
        return name[:14]
    low, _, high = name.partition(" to ")
    if low == "-inf":
        return f"< {high}"
    return f"> {low}" if high == "inf" else f"{low}–{high}"


def _timing(tables: Mapping[str, pd.DataFrame]) -> str:
    colour, residuals = _colour(tables), tables["residuals"]
    figures = []
    for phase in PHASES:
        here = residuals[residuals["phase"] == phase]
        if here.empty:
            continue
        edges = np.linspace(-0.5, 0.5, 51)
        counts = {
            str(model): np.histogram(part["offset_s"], edges)[0] / len(part)
            for model, part in here.groupby("model", sort=False)
        }
        high = max(float(c.max()) for c in counts.values()) * 1.1
        plot = Plot(
            (-0.5, 0.5), (0.0, high), "Pick minus label, s", "Part of the hits",
            f"Residuals, {phase}", "Histogram of residuals of the hits within 0.5 s.",
            margins=_ABOVE,
        )  # fmt: skip
        for name, values in counts.items():
            plot.steps(edges, np.append(values, 0.0), f"line {colour[name]}")
        plot.legend_above([(f"line {colour[m]}", m) for m in counts])
        figures.append(figure(plot.svg(), f"{phase} picks within 0.5 s of their label."))
    scores = tables["scores"]
    rows = []
    whole = scores[scores["by"] == "all"]
    for key, part in whole.groupby(["model", "phase"], sort=False):
        found = part.set_index("measure")
        if "residual_median_s" in found.index:
            cells = [
                _with_interval(found.loc[m], 3) for m in ("residual_median_s", "residual_mad_s")
            ]
            rows.append((*key, *cells))
    header = ("Model", "Phase", "Median, s", "Median absolute deviation, s")
    return table(header, rows, caption="Residuals of the hits", tall=False) + grid(*figures)


def _calibration(tables: Mapping[str, pd.DataFrame]) -> str:
    colour = _colour(tables)
    figures = [
        *(reliability_figure(tables["reliability"], phase, colour) for phase in PHASES),
        *(coverage_figure(tables["coverage"], phase, colour) for phase in PHASES),
    ]
    return grid(*figures)


def reliability_figure(reliability: pd.DataFrame, phase: str, colour: Mapping[str, str]) -> str:
    """Return promised against observed rates of hits, on the diagonal if calibrated.

    Parameters
    ----------
    reliability
        ``model, phase, n, promised, observed, low, high`` (68 % interval).
    phase
        P or S.
    colour
        Style class of each model.
    """
    here = reliability[reliability["phase"] == phase] if len(reliability) else reliability
    if here.empty:
        return ""
    plot = Plot(
        (0.0, 1.0), (0.0, 1.0), "Probability given", "Part that is right",
        f"Reliability, {phase}", "Calibrated probabilities lie on the diagonal.", margins=_ABOVE,
    )  # fmt: skip
    plot.line([0, 1], [0, 1], "line ref")
    for model, part in here.groupby("model", sort=False):
        css = colour[str(model)]
        plot.segments(part["promised"], part["low"], part["promised"], part["high"], f"bar {css}")
        plot.line(part["promised"], part["observed"], f"line thin {css}")
        plot.dots(part["promised"], part["observed"], 3.5, f"dot {css}")
    plot.legend_above([(f"dot {css}", name) for name, css in colour.items()])
    return figure(plot.svg(), f"{phase} picks; bars: 68 % intervals of the observed rate.")


def coverage_figure(coverage: pd.DataFrame, phase: str, colour: Mapping[str, str]) -> str:
    """Return the part of residuals within one sigma by probability, beside 63 to 73 %.

    Parameters
    ----------
    coverage
        ``model, phase, low_probability, high_probability, n, one_sigma, low, high``.
    phase
        P or S.
    colour
        Style class of each model.
    """
    here = coverage[coverage["phase"] == phase] if len(coverage) else coverage
    if here.empty:
        return ""
    plot = Plot(
        (0.0, 1.0), (0.0, 1.0), "Probability of the pick", "Part within one sigma",
        f"Coverage of sigmas, {phase}", "Calibrated sigmas lie in the band of 63 to 73 %.",
        margins=_ABOVE,
    )  # fmt: skip
    plot.boxes([0.0], [1.0], [0.63], [0.73], "fill band")
    models = list(colour)
    for model, part in here.groupby("model", sort=False):
        css = colour[str(model)]
        whole = part["high_probability"] - part["low_probability"] > 0.99
        classes = part[~whole]
        shift = 0.012 * (models.index(str(model)) - (len(models) - 1) / 2)
        x = 0.5 * (classes["low_probability"] + classes["high_probability"]) + shift
        plot.segments(x, classes["low"], x, classes["high"], f"bar {css}")
        plot.dots(x, classes["one_sigma"], 3.5, f"dot {css}")
    plot.legend_above([(f"dot {css}", name) for name, css in colour.items()])
    every = here[here["high_probability"] - here["low_probability"] > 0.99]
    text = "; ".join(f"{r.model} {100 * r.one_sigma:.0f} % of {r.n}" for r in rows_of(every))
    return figure(plot.svg(), f"{phase} picks; in all: {text}. Band: 63 to 73 %.")
