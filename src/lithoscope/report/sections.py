"""Record sections: which events, which stations, which window, and the data the page draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import LithoscopeError
from lithoscope.geo import distance_azimuth
from lithoscope.report.context import Context
from lithoscope.report.maps import short_code
from lithoscope.report.page import Section, fixed, moment, paragraph, rows_of
from lithoscope.report.svg import escape
from lithoscope.report.traces import SETTLE_S, Window, envelope, packed
from lithoscope.traveltimes import travel_time

_MODEL_TOLERANCE_S = 0.02
_MAX_COLUMNS, _MIN_COLUMNS = 1000, 150


def chosen_events(context: Context) -> NDArray[np.int64]:
    """Return rows of the events that get a record section, in order of time."""
    events, most = context.events, context.settings.record_sections
    if len(events) <= most:
        return np.arange(len(events))
    order = pd.DataFrame(
        {
            "new": events["event_id"].isin(context.new_ids),
            "magnitude": events["magnitude"].fillna(-np.inf),
            "picks": events["n_p"] + events["n_s"],
        }
    ).sort_values(["new", "magnitude", "picks"], ascending=False, kind="stable")
    return np.sort(order.index[:most].to_numpy())


def record_sections(context: Context) -> tuple[Section, dict[str, Any]]:
    """Return the section of the page and the data its script draws.

    Only the windows are read, one station at a time; what is kept is a few hundred columns a
    trace.
    """
    anchor, title, short = "records", "Record sections", "Records"
    empty: dict[str, Any] = {"band": "", "events": []}
    if context.events.empty:
        return Section(anchor, title, paragraph("There are no events.", "empty"), short), empty
    if context.read is None:
        text = "The recordings were not at hand when this report was written."
        return Section(anchor, title, paragraph(text, "empty"), short), empty
    chosen = chosen_events(context)
    columns = _columns(context, len(chosen))
    drawn = [_event(context, int(i), columns) for i in chosen]
    low, high = context.settings.filter_low_hz, context.settings.filter_high_hz
    band = f"Butterworth {low:g} to {high:g} Hz (at most 0.4 of the sampling rate), order 3, causal"
    options = "".join(
        f'<option value="{k}">{escape(d["title"])}</option>' for k, d in enumerate(drawn)
    )
    words = paragraph(_choice_words(context, len(chosen))) + _model_note(drawn)
    body = words + _controls(options, band)
    return Section(anchor, title, body, short), {"band": band, "events": drawn}


def _model_note(drawn: list[dict[str, Any]]) -> str:
    """Return a warning if predicted arrivals and the catalogue's residuals disagree."""
    differences = []
    for row in (row for event in drawn for row in event["rows"]):
        predicted = dict(row["q"])
        for phase, at, _, residual, _ in row["p"]:
            if phase in predicted and residual is not None:
                differences.append(abs(at - residual - predicted[phase]))
    if not differences or np.median(differences) < _MODEL_TOLERANCE_S:
        return ""
    return paragraph(
        f"The dotted arrivals differ from those the events were located with by "
        f"{np.median(differences):.2f} s (median): the velocity model or the station positions at "
        f"hand are not the ones of the location.",
        "note",
    )


def _choice_words(context: Context, n: int) -> str:
    total = len(context.events)
    if n == total:
        return f"All {total} events. Choose one here, in the table of events or on a map."
    shown = set(context.events["event_id"].iloc[chosen_events(context)])
    unmatched = ""
    if context.comparison is not None:
        n_new = len(shown & context.new_ids)
        unmatched = f"{n_new} of the {len(context.new_ids)} that the reference lacks, then "
    return (
        f"{n} of {total} events: {unmatched}the largest by magnitude, then those with the most "
        f"picks. The setting record_sections allows more."
    )


def _controls(options: str, band: str) -> str:
    return (
        '<noscript><p class="empty">Record sections are drawn by a script inside this page; '
        "allow scripts to see them. All else on this page works without.</p></noscript>"
        '<div id="viewer" hidden><div class="controls">'
        f'<button type="button" id="previous">←<span class="vh"> previous event</span></button>'
        f'<label>Event <select id="choose">{options}</select></label>'
        f'<button type="button" id="next"><span class="vh">next event </span>→</button>'
        '<label>Component <select id="component"><option value="z">vertical</option>'
        '<option value="h">horizontal (transverse)</option></select></label>'
        '<label>Gain <input id="gain" type="range" min="0" max="5" step="0.5" value="0"></label>'
        '<label><input id="predicted" type="checkbox" checked> predicted arrivals</label></div>'
        '<div class="scroll"><canvas id="canvas" role="img" tabindex="0" aria-label="Record '
        'section of the chosen event; its picks are in the table below"></canvas></div>'
        '<p class="small">Traces in order of distance, each scaled to its own peak; '
        f"{escape(band)}. Solid lines: picks of this event, P <b class=p>blue</b> and S "
        "<b class=s>red</b>, the shade is plus or minus 1 sigma; faded: outliers (weight 0.5 or "
        "less); grey: picks not in this event; dotted: arrivals predicted by the velocity model. "
        "Left and right arrow keys change the event.</p>"
        '<div class="table tall" tabindex="0" role="region" aria-label="Picks of the chosen event">'
        '<table><caption id="picks-of">Picks of the chosen event</caption><thead><tr>'
        '<th scope="col">Station</th><th scope="col" class=n>Distance, km</th>'
        '<th scope="col">Phase</th><th scope="col" class=n>After origin, s</th>'
        '<th scope="col" class=n>Sigma, s</th><th scope="col" class=n>Residual, s</th>'
        '<th scope="col" class=n>Weight</th></tr></thead><tbody id="pick-rows"></tbody></table>'
        "</div></div>"
    )


def _columns(context: Context, n_events: int) -> int:
    """Return the columns a trace that keep the page within its size."""
    n_traces = 2 * n_events * min(context.settings.record_section_stations, _n_stations(context))
    room = context.settings.record_section_size_mb * 1e6 * 0.75 / 2 / max(n_traces, 1)
    return int(np.clip(room, _MIN_COLUMNS, _MAX_COLUMNS))


def _n_stations(context: Context) -> int:
    return max(1, len(set(context.stations["station"]) | set(context.arrivals["station"])))


def _event(context: Context, index: int, columns: int) -> dict[str, Any]:
    event = context.events.iloc[index]
    origin_ns = event["time"].value
    picked = context.arrivals[context.arrivals["event_id"] == event["event_id"]]
    rows = _stations_of(context, event, picked)
    predicted = _predict(context, event, rows)
    start_s, end_s = _window(context, origin_ns, picked, predicted)
    window = Window(
        origin_ns + round(start_s * NS_PER_S), origin_ns + round(end_s * NS_PER_S), columns
    )
    out = []
    for k, row in enumerate(rows_of(rows)):
        traces = _traces(context, row.station, window, row.azimuth_deg)
        times = {phase: predicted[phase][k] for phase in ("P", "S")}
        out.append(
            {
                "s": row.station,
                "k": short_code(row.station),
                "d": _json_number(row.distance_km, 2),
                **traces,
                "q": [[phase, round(float(t), 3)] for phase, t in times.items() if np.isfinite(t)],
                "p": _picks_of(picked, row.station, origin_ns, context),
                "o": _other_picks(context, picked, row.station, origin_ns, window),
            }
        )
    magnitude = event["magnitude"]
    size = f" · {event['magnitude_type']} {fixed(magnitude, 1)}" if np.isfinite(magnitude) else ""
    mark = " · not in reference" if event["event_id"] in context.new_ids else ""
    return {
        "i": index,
        "id": event["event_id"],
        "title": f"{moment(event['time'], 1)}{size}{mark}",
        "from": round(start_s, 3),
        "to": round(end_s, 3),
        "n": columns,
        "rows": out,
    }


def _stations_of(context: Context, event: pd.Series, picked: pd.DataFrame) -> pd.DataFrame:
    """Return station, position, distance and azimuth: those with picks, then the nearest."""
    table = context.stations[["station", "longitude", "latitude", "elevation_m"]].copy()
    table["distance_km"], table["azimuth_deg"] = (
        distance_azimuth(
            event["longitude"], event["latitude"], table["longitude"], table["latitude"]
        )
        if len(table)
        else (np.zeros(0), np.zeros(0))
    )
    own = picked.drop_duplicates("station")
    unknown = own[~own["station"].isin(set(table["station"]))]
    extra = unknown[["station", "distance_km", "azimuth_deg"]].assign(elevation_m=0.0)
    if len(extra):
        table = pd.concat([table, extra], ignore_index=True) if len(table) else extra
    table["without"] = ~table["station"].isin(set(own["station"]))
    table = table.sort_values(["without", "distance_km", "station"], kind="stable")
    table = table.head(context.settings.record_section_stations)
    return table.sort_values(["distance_km", "station"], kind="stable").reset_index(drop=True)


def _predict(
    context: Context, event: pd.Series, rows: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Return predicted times after the origin, s; NaN without a model."""
    nothing = np.full(len(rows), np.nan)
    out = {"P": nothing, "S": nothing}
    good = np.isfinite(rows["distance_km"].to_numpy(float))
    if context.model is None or not good.any() or not np.isfinite(event["depth_km"]):
        return out
    part = rows[good]
    for phase in ("P", "S"):
        times = nothing.copy()
        try:
            times[good] = travel_time(
                context.model,
                phase,
                part["distance_km"].to_numpy(float),
                float(event["depth_km"]),
                -np.nan_to_num(part["elevation_m"].to_numpy(float)) / 1000.0,
            )
        except LithoscopeError:  # an event outside the model has no predictions
            return out
        out[phase] = times
    return out


def _window(
    context: Context,
    origin_ns: int,
    picked: pd.DataFrame,
    predicted: dict[str, NDArray[np.float64]],
) -> tuple[float, float]:
    after = (picked["time"].astype("int64").to_numpy() - origin_ns) / NS_PER_S
    times = np.concatenate([after, predicted["P"], predicted["S"]])
    times = times[np.isfinite(times)]
    first, last = (float(times.min()), float(times.max())) if len(times) else (0.0, 20.0)
    length = max(last - first, 2.0)
    start = min(first, max(0.0, first - length)) - max(2.0, 0.12 * length)
    end = min(last + max(3.0, 0.3 * length), start + context.settings.record_section_max_s)
    return start, end


def _traces(context: Context, station: str, window: Window, azimuth_deg: float) -> dict[str, str]:
    if context.read is None:
        return {"z": "", "h": ""}
    start_ns = window.start_ns - round(SETTLE_S * NS_PER_S)
    try:
        records = context.read(station, start_ns, window.end_ns)
    except LithoscopeError:  # named among the problems; here the row says 'no data'
        records = []
    band = (context.settings.filter_low_hz, context.settings.filter_high_hz)
    return {kind: packed(envelope(records, window, kind, azimuth_deg, band)) for kind in "zh"}


def _picks_of(
    picked: pd.DataFrame, station: str, origin_ns: int, context: Context
) -> list[list[Any]]:
    out = []
    for row in rows_of(picked[picked["station"] == station]):
        sigma = context.pick_sigma.get(row.pick_id, np.nan)
        numbers = [(row.time.value - origin_ns) / NS_PER_S, sigma, row.residual_s, row.weight]
        out.append([row.phase, *(_json_number(v, 3) for v in numbers)])
    return out


def _json_number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None


def _other_picks(
    context: Context, picked: pd.DataFrame, station: str, origin_ns: int, window: Window
) -> list[list[Any]]:
    table = context.picks_by_station.get(station)
    if table is None:
        return []
    times = table["time"].astype("int64").to_numpy()
    a, b = np.searchsorted(times, [window.start_ns, window.end_ns])
    part = table.iloc[a:b]
    part = part[~part["pick_id"].isin(set(picked["pick_id"]))]
    return [[r.phase, round((r.time.value - origin_ns) / NS_PER_S, 3)] for r in rows_of(part)]
