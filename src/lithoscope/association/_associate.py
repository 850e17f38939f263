"""Picks to events."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lithoscope.association._arrays import FloatArray, Grid, IntArray, Net, Rules
from lithoscope.association._mixtures import look, unmix
from lithoscope.association._network import (
    Sites,
    build_grid,
    build_net,
    find_sites,
    region_of,
    smallest_promise,
    time_spans,
)
from lithoscope.association._onsets import (
    Onsets,
    build_onsets,
    check_picks,
    unexplained,
    with_noise_rates,
    without,
)
from lithoscope.association._refine import explain, no_events, refine, with_new
from lithoscope.association.settings import AssociationSettings
from lithoscope.schema import ASSIGNMENTS, CANDIDATES, STATIONS, event_id
from lithoscope.traveltimes import VelocityModel

_DAY_S = 86400.0
_N_STARTS = 3


@dataclass(frozen=True)
class Association:
    """Events made of picks.

    Attributes
    ----------
    candidates
        One row an event (`lithoscope.schema.CANDIDATES`), by origin time.
    assignments
        One row an associated pick (`lithoscope.schema.ASSIGNMENTS`); a pick occurs at most once.
    """

    candidates: pd.DataFrame
    assignments: pd.DataFrame


def associate(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: AssociationSettings | None = None,
    *,
    span_s: tuple[float, float] | None = None,
    explained: Collection[str] = (),
    mixtures: bool = True,
) -> Association:
    """Find the events that the picks were caused by, and which pick belongs to which.

    Parameters
    ----------
    picks
        `lithoscope.schema.PICKS`: station, phase (P or S), time, time_sigma_s and, if known,
        probability. Noise picks, outliers and picks of both phases at one onset are expected.
    stations
        `lithoscope.schema.STATIONS`; give the stations that record, since their spread sets the
        region and the silence of a near one speaks against an event.
    model
        Velocities by depth; the same one that the events will be located with.
    settings
        See `AssociationSettings`; everything follows from network, model and pick rates.
    span_s
        First and last origin time to look for, s since 1970; None for all. Picks outside still
        tell how often stations pick.
    explained
        Ids of picks that belong to events outside the span: no event gets them, and they are no
        noise.
    mixtures
        Whether to look for two events mixed in one, which takes as long as all the rest.

    Returns
    -------
    Association
        Events and assignments. Picks in no event are simply not assigned.

    Raises
    ------
    DataError
        If a pick has no time, a phase other than P and S, a sigma that is not positive, or an
        id that occurs twice.
    StationError
        If a station of a pick is unknown or has no coordinates.

    Notes
    -----
    The result depends on the set of picks alone, not on their order; picks further away in time
    than ``alive_window_s`` do not change an event. Within a span it is that of all picks if those
    of other events are named; a station's noise rate may differ a little, as the first look at
    all picks need not have explained the same ones.
    """
    settings = settings or AssociationSettings()
    table = check_picks(picks)
    if table.empty:
        return Association(CANDIDATES.empty(), ASSIGNMENTS.empty())
    places = STATIONS.check(stations)
    sites = find_sites(places)
    onsets = build_onsets(table, places, sites, settings)
    if explained:
        onsets = without(onsets, explained)
    net, grid, rules = _prepare(sites, model, settings)
    spans = time_spans(net, grid, float(np.median(model.vs_km_s)))
    span_s = span_s or (-math.inf, math.inf)
    found = _find(onsets, net, grid, rules, spans, settings, span_s, mixtures)
    return _tables(onsets, sites, found)


def longest_travel_time_s(
    stations: pd.DataFrame, model: VelocityModel, settings: AssociationSettings | None = None
) -> float:
    """Return the longest travel time (s) from the region that `associate` searches to a station."""
    settings = settings or AssociationSettings()
    net, _, _ = _prepare(find_sites(STATIONS.check(stations)), model, settings)
    return float(net.longest_s)


def _prepare(
    sites: Sites, model: VelocityModel, settings: AssociationSettings
) -> tuple[Net, Grid, Rules]:
    low, high = region_of(sites, settings)
    net = build_net(sites, model, low, high, settings)
    vp = float(np.median(model.vp_km_s))
    grid = build_grid(low, high, 2 * sites.east.size, vp, settings)
    volume_km3 = float(np.prod(high - low))
    log_hypotheses = math.log(volume_km3 * _DAY_S / settings.false_events_per_day)
    rules = Rules(
        settings.gate_sigma,
        log_hypotheses,
        smallest_promise(grid, vp, log_hypotheses),
        settings.min_picks,
        settings.min_stations,
        settings.model_error_doubt,
        _N_STARTS,
    )
    return net, grid, rules


@dataclass(frozen=True)
class _Found:
    origins: FloatArray  # (n, 4) east, north, depth, time
    chosen: IntArray  # (n, rows) onset of each row or -1
    residuals: FloatArray  # (n, rows)
    certainty: FloatArray  # (n, rows) probability that the pick is the event's


def _find(
    onsets: Onsets,
    net: Net,
    grid: Grid,
    rules: Rules,
    spans: FloatArray,
    settings: AssociationSettings,
    span_s: tuple[float, float],
    mixtures: bool,
) -> _Found:
    """Search and refine in turns; from the second on noise is what the first left over.

    The second turn looks for events mixed in one, if asked to, the third where picks are left, the
    last where they have become free, as those of an event that fell.
    """
    picks = onsets.picks
    free = np.ones(picks.time.size, dtype=np.bool_)
    new = look(net, grid, rules, picks, free, free, span_s, spans)
    events = with_new(no_events(2 * net.east.size), *new)
    events, owner = refine(net, grid, rules, picks, events)
    for mixed in (True, False) if mixtures else (False,):
        free = unexplained(picks.twin, owner)
        onsets = with_noise_rates(onsets, free, settings.rate_window_s)
        picks = onsets.picks
        events.given[:] = -2
        if mixed:
            new = unmix(net, grid, rules, picks, events, owner, free, spans)
        else:
            new = look(net, grid, rules, picks, free, free, span_s, spans)
        events, owner = refine(net, grid, rules, picks, with_new(events, *new))
    freed = unexplained(picks.twin, owner)
    new = look(net, grid, rules, picks, freed & ~free, freed, span_s, spans)
    events, _ = refine(net, grid, rules, picks, with_new(events, *new))
    residuals, certainty = explain(net, onsets.picks, events.origins, events.ranges, events.chosen)
    return _Found(events.origins, events.chosen, residuals, certainty)


def _tables(onsets: Onsets, sites: Sites, found: _Found) -> Association:
    event, row = np.nonzero(found.chosen >= 0)
    onset = found.chosen[event, row]
    arrivals = pd.DataFrame(
        {
            "event": event,
            "pick": onsets.source[onset],
            "residual_s": found.residuals[event, row],
            "certainty": found.certainty[event, row],
        }
    )
    arrivals = pd.concat([arrivals, _doubles(onsets, arrivals, onset)], ignore_index=True)
    if arrivals.empty:
        return Association(CANDIDATES.empty(), ASSIGNMENTS.empty())
    picks = onsets.table.iloc[arrivals["pick"]].reset_index(drop=True)
    arrivals["ns"] = picks["time"].astype("int64")
    arrivals["is_p"] = picks["phase"] == "P"
    arrivals[["pick_id", "station"]] = picks[["pick_id", "station"]]
    arrivals = arrivals.sort_values(["event", "ns", "station"], kind="stable")
    groups = arrivals.groupby("event", sort=True)
    first = groups[["station", "ns"]].first()
    ids = [event_id(s, int(t)) for s, t in zip(first["station"], first["ns"], strict=True)]
    lon, lat = sites.projection.inverse(found.origins[:, 0], found.origins[:, 1])
    n_p = groups["is_p"].sum().to_numpy()
    candidates = pd.DataFrame(
        {
            "event_id": ids,
            "time": pd.to_datetime((found.origins[:, 3] * 1e9).astype(np.int64), utc=True),
            "longitude": lon,
            "latitude": lat,
            "depth_km": found.origins[:, 2],
            "n_p": n_p,
            "n_s": groups.size().to_numpy() - n_p,
            "score": groups["certainty"].sum().to_numpy(),
        }
    )
    arrivals["event_id"] = np.array(ids)[arrivals["event"].to_numpy()]
    return Association(
        CANDIDATES.table(candidates.sort_values("time", kind="stable")),
        ASSIGNMENTS.table(arrivals),
    )


def _doubles(onsets: Onsets, arrivals: pd.DataFrame, onset: IntArray) -> pd.DataFrame:
    """Return the arrivals of other instruments at the sites of ``arrivals``: same onsets."""
    if not onsets.double.size:
        return arrivals.iloc[:0]
    where = np.full(onsets.source.size, -1)
    where[onset] = np.arange(onset.size)
    line = where[onsets.double_of]
    doubles, line = onsets.double[line >= 0], line[line >= 0]
    parents = arrivals.iloc[line]
    shift = onsets.seconds[doubles] - onsets.seconds[parents["pick"]]
    table = pd.DataFrame(
        {
            "event": parents["event"].to_numpy(),
            "pick": doubles,
            "residual_s": parents["residual_s"].to_numpy() + shift,
            "certainty": 0.0,
        }
    )
    table["station"] = onsets.table["station"].to_numpy()[doubles]
    table["phase"] = onsets.table["phase"].to_numpy()[doubles]
    best = table.assign(off=table["residual_s"].abs()).sort_values(["off", "pick"])
    best = best.drop_duplicates(["event", "station", "phase"])
    return best[["event", "pick", "residual_s", "certainty"]]
