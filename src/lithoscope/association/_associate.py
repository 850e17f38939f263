"""Picks to events."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.association._arrays import FloatArray, Grid, IntArray, Net, Rules
from lithoscope.association._mixtures import EVERY_NODE, look, unmix
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
    PickArrays,
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
# Nodes of a quick search, at most 10 ms: of 175 events of quick looks 172 are found in so many.
_QUICK_NODES = 150


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


@dataclass(frozen=True)
class SearchGround:
    """Where and how events are sought: all that does not depend on picks.

    The times of a cell are worked out when the cell is first looked at and are kept, so that
    further searches on the same ground take less time; their answers are the same.
    """

    places: pd.DataFrame
    sites: Sites
    net: Net
    grid: Grid
    rules: Rules
    spans: FloatArray

    @property
    def longest_s(self) -> float:
        """Longest travel time from the region to a station, s."""
        return float(self.net.longest_s)

    def reserve(self) -> None:
        """Take the memory of all cells at once: a process that lives for months must not grow."""
        for times in (self.grid.time_low, self.grid.time_high, self.grid.nearest):
            times[~self.grid.known] = 0


def search_ground(
    stations: pd.DataFrame, model: VelocityModel, settings: AssociationSettings | None = None
) -> SearchGround:
    """Prepare to associate the picks of some stations, see `associate`.

    Raises
    ------
    StationError
        If there is no station or one has no coordinates.
    ConfigError
        If the settings leave no region to search.
    """
    settings = settings or AssociationSettings()
    places = STATIONS.check(stations)
    sites = find_sites(places)
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
    spans = time_spans(net, grid, float(np.median(model.vs_km_s)))
    return SearchGround(places, sites, net, grid, rules, spans)


def associate(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: AssociationSettings | None = None,
    *,
    span_s: tuple[float, float] | None = None,
    explained: Collection[str] = (),
    quick: bool = False,
    ground: SearchGround | None = None,
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
    quick
        Whether to leave out the look for two events mixed in one, which takes as long as all the
        rest, and searches that are long: most find nothing. For a first answer.
    ground
        `search_ground` of these stations, model and settings (``rate_window_s`` may differ), where
        it is at hand.

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
    given = PickArrays.of_table(picks)
    if not len(given):
        return Association(CANDIDATES.empty(), ASSIGNMENTS.empty())
    check_picks(given)
    ground = ground or search_ground(stations, model, settings)
    return _tables(_found(given, ground, settings, span_s, explained, quick), ground.sites)


@dataclass(frozen=True)
class FoundEvent:
    """An event as its picks, by time.

    ``event_id`` is that of the schema, from the first pick; ``time_ns`` the origin time.
    """

    event_id: str
    time_ns: int
    pick_ids: tuple[str, ...]
    residuals_s: tuple[float, ...]


def find_events(
    picks: PickArrays,
    ground: SearchGround,
    settings: AssociationSettings,
    *,
    span_s: tuple[float, float] | None = None,
    explained: Collection[str] = (),
    quick: bool = False,
) -> list[FoundEvent]:
    """Find events as `associate` does, without tables: many times faster where there are few.

    Returned by origin time; parameters and errors as there.
    """
    if not len(picks):
        return []
    check_picks(picks)
    got = _found(picks, ground, settings, span_s, explained, quick)
    if not got.first.size:
        return []
    ids, residuals = got.given.ids[got.pick].tolist(), got.residual.tolist()
    ends = [*got.first[1:].tolist(), len(ids)]
    out = [
        FoundEvent(name, moment, tuple(ids[a:b]), tuple(residuals[a:b]))
        for name, moment, a, b in zip(
            got.names.tolist(), got.moments.tolist(), got.first.tolist(), ends, strict=True
        )
    ]
    return [out[k] for k in np.argsort(got.moments, kind="stable")]


@dataclass(frozen=True)
class _Explained:
    origins: FloatArray  # (n, 4) east, north, depth, time
    chosen: IntArray  # (n, rows) onset of each row or -1
    residuals: FloatArray  # (n, rows)
    certainty: FloatArray  # (n, rows) probability that the pick is the event's


def _find(
    onsets: Onsets,
    ground: SearchGround,
    settings: AssociationSettings,
    span_s: tuple[float, float],
    quick: bool,
) -> _Explained:
    """Search and refine in turns; from the second on noise is what the first left over.

    The second turn looks for events mixed in one, if asked to, the third where picks are left, the
    last where they have become free, as those of an event that fell.
    """
    net, grid, rules, spans = ground.net, ground.grid, ground.rules, ground.spans
    picks = onsets.picks
    free = np.ones(picks.time.size, dtype=np.bool_)
    most = _QUICK_NODES if quick else EVERY_NODE
    new = look(net, grid, rules, picks, free, free, span_s, spans, most=most)
    events = with_new(no_events(2 * net.east.size), *new)
    events, owner = refine(net, grid, rules, picks, events)
    for mixed in (False,) if quick else (True, False):
        free = unexplained(picks.twin, owner)
        onsets = with_noise_rates(onsets, free, settings.rate_window_s)
        picks = onsets.picks
        events.given[:] = -2
        if mixed:
            new = unmix(net, grid, rules, picks, events, owner, free, spans)
        else:
            new = look(net, grid, rules, picks, free, free, span_s, spans, most=most)
        events, owner = refine(net, grid, rules, picks, with_new(events, *new))
    freed = unexplained(picks.twin, owner)
    new = look(net, grid, rules, picks, freed & ~free, freed, span_s, spans, most=most)
    events, _ = refine(net, grid, rules, picks, with_new(events, *new))
    residuals, certainty = explain(net, onsets.picks, events.origins, events.ranges, events.chosen)
    return _Explained(events.origins, events.chosen, residuals, certainty)


@dataclass(frozen=True)
class _Found:
    """Events and their arrivals, these by event, time and station."""

    given: PickArrays
    origins: FloatArray  # (n, 4) east, north, depth, time
    names: NDArray[np.object_]  # (n,) ids
    moments: IntArray  # (n,) origin times, ns since 1970
    first: IntArray  # (n,) first arrival of each
    event: IntArray  # (m,) of each arrival
    pick: IntArray  # (m,) index in ``given``
    residual: FloatArray  # (m,)
    certainty: FloatArray  # (m,)


def _found(
    given: PickArrays,
    ground: SearchGround,
    settings: AssociationSettings,
    span_s: tuple[float, float] | None,
    explained: Collection[str],
    quick: bool,
) -> _Found:
    onsets = build_onsets(given, ground.places, ground.sites, settings)
    if explained:
        onsets = without(onsets, explained)
    found = _find(onsets, ground, settings, span_s or (-math.inf, math.inf), quick)
    event, row = np.nonzero(found.chosen >= 0)
    onset = found.chosen[event, row]
    pick, residual = onsets.source[onset], found.residuals[event, row]
    certainty = found.certainty[event, row]
    if onsets.double.size:
        arrivals = pd.DataFrame(
            {"event": event, "pick": pick, "residual_s": residual, "certainty": certainty}
        )
        arrivals = pd.concat([arrivals, _doubles(onsets, arrivals, onset)], ignore_index=True)
        event, pick, residual, certainty = (arrivals[name].to_numpy() for name in arrivals)
    ns, station = given.time_ns[pick], given.station[pick]
    order = np.lexsort([station.astype(str), ns, event])
    event = event[order]
    first = np.flatnonzero(np.append(True, event[1:] != event[:-1])) if event.size else event
    sooner = order[first]
    names = [event_id(given.station[k], int(given.time_ns[k])) for k in pick[sooner]]
    return _Found(
        given,
        found.origins,
        np.array(names, dtype=object),
        (found.origins[:, 3] * 1e9).astype(np.int64),
        first,
        event,
        pick[order],
        residual[order],
        certainty[order],
    )


def _tables(found: _Found, sites: Sites) -> Association:
    """Return events and assignments."""
    if not found.event.size:
        return Association(CANDIDATES.empty(), ASSIGNMENTS.empty())
    lon, lat = sites.projection.inverse(found.origins[:, 0], found.origins[:, 1])
    n_all = np.diff(np.append(found.first, found.event.size))
    is_p = (found.given.phase[found.pick] == "P").astype(np.int64)
    n_p = np.add.reduceat(is_p, found.first)
    sooner = np.argsort(found.moments, kind="stable")
    candidates: dict[str, Any] = {
        "event_id": found.names,
        "time": pd.DatetimeIndex(found.moments.view("datetime64[ns]"), tz="UTC"),
        "longitude": lon,
        "latitude": lat,
        "depth_km": found.origins[:, 2],
        "n_p": n_p,
        "n_s": n_all - n_p,
        "score": np.add.reduceat(found.certainty, found.first),
    }
    assignments = {
        "event_id": found.names[found.event],
        "pick_id": found.given.ids[found.pick],
        "residual_s": found.residual,
    }
    return Association(
        CANDIDATES.table({name: values[sooner] for name, values in candidates.items()}),
        ASSIGNMENTS.table(assignments),
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
    table["station"] = onsets.given.station[doubles]
    table["phase"] = onsets.given.phase[doubles]
    best = table.assign(off=table["residual_s"].abs()).sort_values(["off", "pick"])
    best = best.drop_duplicates(["event", "station", "phase"])
    return best[["event", "pick", "residual_s", "certainty"]]
