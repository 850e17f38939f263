"""Draw the record section of one event: traces, picks, predictions and neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from event_evidence import STEP_S
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import butter, sosfilt

from lithoscope.waveforms import Record, read_records

INK, GREY, P_COLOUR, S_COLOUR = "#1f2933", "#b6bfc9", "#1769aa", "#c2352b"
OURS, THEIRS = "#2f855a", "#d97706"
BAND_HZ = (2.0, 15.0)
BEFORE_S, READ_BEFORE_S = 3.0, 6.0  # the filter has settled where the drawing starts
STATIONS = 14


def draw_section(
    opened: Any, reference: pd.DataFrame, event: pd.Series, row: Any, target: Path
) -> None:
    """Write the record section of an event.

    The nearest stations and those with arrivals by distance, Z dark, the stronger horizontal grey,
    each to its own peak. Long lines: picks of the event (P blue, S red; dotted: weight under 0.5).
    Short thick ones: predicted, with -ln q beside them at the right. Triangles: P (up) and S
    (down) of other events, green of the run, orange of the reference.

    Parameters
    ----------
    opened
        Catalogue, archive, channels and evidence of the run.
    reference
        Reference catalogue.
    event
        To draw.
    row
        Its verdict.
    target
        PNG.
    """
    evidence, catalog = opened.evidence, opened.catalog
    distance, travel = evidence.arrivals(event)
    mine = catalog.arrivals[catalog.arrivals["event_id"] == event["event_id"]]
    used = np.flatnonzero(evidence.sites["station"].isin(mine["station"]))
    order = np.argsort(distance)
    shown = [s for s in order if s in set(order[:STATIONS]) | set(used)]
    length_s = float(travel[shown].max()) + 8.0
    figure = Figure(figsize=(11, 0.5 * len(shown) + 1.4), layout="constrained")
    axes = figure.subplots()
    _neighbours(axes, opened, reference, event, shown, length_s)
    for level, s in enumerate(shown):
        station = evidence.sites["station"][s]
        _traces(axes, opened, event, station, -level, length_s)
        said = _predictions(axes, evidence, event, travel[s], s, -level)
        axes.text(length_s, -level, said, va="center", fontsize=8, color=INK)
        name = f"{station.split('.')[1]} {distance[s]:.0f} km "
        axes.text(-BEFORE_S, -level, name, ha="right", va="center", fontsize=8, color=INK)
        _picks(axes, event, mine[mine["station"] == station], -level)
    title = (
        f"{event['time']:%H:%M:%S.%f}"[:-4]
        + f"  {row.kind}: {row.verdict}   expected by chance: {row.expected:g} (with what others "
        f"explain {row.with_others:g}); best nearby {row.nearby:g}, {row.late_s:+.1f} s, "
        f"{row.far_km:g} km"
    )
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    axes.set(xlim=(-BEFORE_S, length_s), ylim=(-len(shown) + 0.3, 0.7), yticks=[])
    axes.set_xlabel("seconds after the origin time; right: -ln q of P, S", fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(target, dpi=80)


def join_sections(sections: Sequence[Path], target: Path, columns: int = 2) -> None:
    """Put record sections side by side on one sheet of few colours."""
    images = [Image.open(path).convert("RGB") for path in sections]
    width = max(image.width for image in images)
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    heights = [max(image.height for image in row) for row in rows]
    sheet = Image.new("RGB", (columns * width, sum(heights)), "white")
    for number, row in enumerate(rows):
        for column, image in enumerate(row):
            sheet.paste(image, (column * width, sum(heights[:number])))
    small = sheet.resize((sheet.width * 3 // 4, sheet.height * 3 // 4), Image.Resampling.LANCZOS)
    # Tints of the colours used and nothing else, so that the file is small and red stays red.
    colours = np.array([to_rgb(c) for c in (INK, GREY, P_COLOUR, S_COLOUR, OURS, THEIRS)])
    tints = np.linspace(0.0, 0.75, 4)[:, np.newaxis, np.newaxis]
    entries = np.vstack([(colours * (1 - tints) + tints).reshape(-1, 3), np.ones(3)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.round(255 * entries).astype(np.uint8).tobytes())
    small.quantize(palette=palette, dither=Image.Dither.NONE).save(target, optimize=True)


def _predictions(
    axes: Axes, evidence: Any, event: pd.Series, travel: NDArray[np.float64], s: int, level: int
) -> str:
    """Draw where P and S are predicted; return what the curves say there."""
    said = []
    for phase, colour in ((0, P_COLOUR), (1, S_COLOUR)):
        at = travel[phase]
        axes.plot([at, at], [level - 0.5, level - 0.25], color=colour, lw=2.5, alpha=0.7)
        k = round((evidence.seconds(event) + at) / STEP_S)
        inside = 0 <= k < evidence.surprises.shape[2]
        said.append(f"{evidence.surprises[s, phase, k]:.1f}" if inside else "-")
    return "  " + " ".join(said)


def _picks(axes: Axes, event: pd.Series, arrivals: pd.DataFrame, level: int) -> None:
    for arrival in arrivals.itertuples():
        at = (arrival.time - event["time"]).total_seconds()
        colour = P_COLOUR if arrival.phase == "P" else S_COLOUR
        style = "-" if arrival.weight >= 0.5 else ":"
        axes.plot([at, at], [level - 0.5, level + 0.5], color=colour, lw=1.4, ls=style)


def _neighbours(
    axes: Axes,
    opened: Any,
    reference: pd.DataFrame,
    event: pd.Series,
    shown: list[int],
    length_s: float,
) -> None:
    for table, colour in ((opened.catalog.events, OURS), (reference, THEIRS)):
        offsets = (table["time"] - event["time"]).dt.total_seconds()
        near = table[(offsets.abs() < length_s) & (table["event_id"] != event["event_id"])]
        for _, other in near.iterrows():
            travel = opened.evidence.arrivals(other)[1]
            at = travel + (other["time"] - event["time"]).total_seconds()
            for level, s in enumerate(shown):
                for phase, mark in ((0, "^"), (1, "v")):
                    if -BEFORE_S < at[s, phase] < length_s:
                        height = -level + 0.42 * (1 - 2 * phase)
                        axes.plot(at[s, phase], height, mark, ms=4, color=colour, mew=0)


def _traces(
    axes: Axes, opened: Any, event: pd.Series, station: str, level: int, length_s: float
) -> None:
    origin_ns = int(event["time"].value)
    start = origin_ns - round((BEFORE_S + READ_BEFORE_S) * 1e9)
    end = origin_ns + round(length_s * 1e9)
    for record in read_records(opened.archive, station, start, end, channels=opened.channels)[0]:
        _trace(axes, record, origin_ns, level)


def _trace(axes: Axes, record: Record, origin_ns: int, level: int) -> None:
    """Draw Z and the stronger horizontal, filtered causally so that no onset moves forward."""
    seconds = (record.times_ns() - origin_ns) / 1e9
    shown = seconds >= -BEFORE_S
    if not shown.any():
        return
    high = min(BAND_HZ[1], 0.45 * record.sampling_rate_hz)
    fs = record.sampling_rate_hz
    sos = butter(3, (BAND_HZ[0], high), btype="bandpass", fs=fs, output="sos")
    data = record.data.astype(float)
    traces = sosfilt(sos, data - data[:, :1], axis=1)[:, shown]
    peaks = np.abs(traces).max(axis=1)
    horizontal = 1 if peaks[1] >= peaks[2] else 2
    for component, colour in ((horizontal, GREY), (0, INK)):
        if record.mask[component] and peaks[component] > 0:
            values = 0.5 * traces[component] / peaks[component]
            axes.plot(seconds[shown], level + values, color=colour, lw=0.6)
