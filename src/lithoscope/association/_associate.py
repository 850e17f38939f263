"""Picks to events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lithoscope.association._arrays import Rules
from lithoscope.association._network import (
    build_grid,
    build_net,
    find_sites,
    region_of,
    root_starts,
    smallest_bound,
    time_spans,
)
from lithoscope.association._onsets import build_onsets, check_picks
from lithoscope.association._search import search
from lithoscope.association.settings import AssociationSettings
from lithoscope.schema import ASSIGNMENTS, CANDIDATES, STATIONS, event_id
from lithoscope.traveltimes import VelocityModel

_DAY_S = 86400.0


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
    than ``alive_window_s`` do not change an event.
    """
    settings = settings or AssociationSettings()
    table = check_picks(picks)
    if table.empty:
        return Association(CANDIDATES.empty(), ASSIGNMENTS.empty())
    places = STATIONS.check(stations)
    sites = find_sites(places)
    onsets = build_onsets(table, places, sites, settings.rate_window_s)
    low, high = region_of(sites, model, settings)
    net = build_net(sites, model, low, high, settings)
    vp, vs = float(np.median(model.vp_km_s)), float(np.median(model.vs_km_s))
    grid = build_grid(low, high, net.times.shape[0], vp, settings)
    log_hypotheses = math.log(
        float(np.prod(high - low)) * _DAY_S / settings.false_events_per_day
    )
    rules = Rules(
        settings.gate_sigma,
        log_hypotheses,
        smallest_bound(grid, vp, log_hypotheses),
        smallest_bound(grid, vp, log_hypotheses),
        settings.min_picks,
        settings.min_stations,
        settings.alive_window_s,
    )
    spans = time_spans(net, grid, vs)
    root_s = 2.0 ** math.ceil(math.log2(2 * spans[0]))
    roots = root_starts(onsets.picks.time, net, root_s)
    free = np.ones(onsets.picks.time.size, dtype=np.bool_)
    origins, chosen, nodes, fits = search(
        net, grid, rules, onsets.picks, free, roots, root_s, spans, onsets.source.size
    )
    associate.info = (nodes, fits, grid.known.sum(), grid.known.size, rules.bound_min, log_hypotheses, grid.shape[-1], high-low)
    return _tables(onsets, sites, origins, chosen, net)


def _tables(onsets, sites, origins, chosen, net):
    from lithoscope.association._arrays import travel_time as tt
    cand, ass = [], []
    lon, lat = sites.projection.inverse(origins[:, 0], origins[:, 1])
    for k in range(len(origins)):
        rows = np.flatnonzero(chosen[k] >= 0)
        idx = onsets.source[chosen[k][rows]]
        sub = onsets.table.iloc[idx]
        f = int(np.argmin(onsets.seconds[idx]))
        eid = event_id(sub["station"].iloc[f], int(sub["time"].astype("int64").iloc[f]))
        cand.append(dict(event_id=eid, time=pd.Timestamp(int(origins[k, 3] * 1e9), tz="UTC"), longitude=lon[k], latitude=lat[k], depth_km=origins[k, 2], n_p=int((rows % 2 == 0).sum()), n_s=int((rows % 2 == 1).sum())))
        for r, p in zip(rows, sub["pick_id"]):
            ass.append(dict(event_id=eid, pick_id=p))
    return Association(CANDIDATES.table(cand), ASSIGNMENTS.table(ass))
