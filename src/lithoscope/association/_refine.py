"""All events at once: each pick goes to the event that explains it best, events move, and
those that no longer stand fall and give their picks back."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from lithoscope.association._arrays import (
    FloatArray,
    IntArray,
    first_at,
    travel_time,
)
from lithoscope.association._fit import (
    FACTOR,
    N_FITTED,
    TRIED,
    detected,
    improbable,
    locate,
    residual_gain,
    score,
)
from lithoscope.association._search import cell_spread, fill_cell, leaf_of

MAX_ROUNDS = 16
# Coda and bursts: the time around a pick in which lesser picks of its row speak against it.
BURST_S = 15.0
# A pick at the onset that another event explains as the other phase needs this gain: mostly one
# onset was picked twice, yet where events overlap P of one and S of another do meet.
TWIN_GAIN = 3.0
# The least by which a bid raises the price of a pick: two matchings that differ by less are alike.
AUCTION_STEP = 1e-3


class Events(NamedTuple):
    """Events by origin time, and what is remembered of each from one refinement to the next."""

    origins: FloatArray  # (n, 4) east, north, depth, time
    ranges: FloatArray  # (n, `N_FITTED`) what `score` fitted, and whether other depths were tried
    chosen: IntArray  # (n, rows) pick of each row or -1
    given: IntArray  # (n, rows) picks it was last located with; -2 = it must be located anew
    kept: IntArray  # (n, rows) those of them that the score kept
    margins: FloatArray  # (n,) what `improbable` returned


def no_events(n_rows: int) -> Events:
    none = np.empty((0, n_rows), dtype=np.int64)
    return Events(np.empty((0, 4)), np.empty((0, N_FITTED)), none, none, none, np.empty(0))


def with_new(events: Events, origins: FloatArray, ranges: FloatArray) -> Events:
    """Return the events and new ones, by origin time."""
    unknown = np.full((len(origins), events.given.shape[1]), -2)
    new = Events(origins, ranges, unknown, unknown, unknown, np.zeros(len(origins)))
    joined = [np.concatenate(pair) for pair in zip(events, new, strict=True)]
    order = np.lexsort(joined[0].T)
    return Events(*(part[order] for part in joined))


@njit(cache=True)
def _reachable(net, rules, picks, origin, ranges, members, rows, gains):  # type: ignore[no-untyped-def]
    """Append every pick that can belong to an event, its row and its gain."""
    factor = ranges[FACTOR]
    for row in range(2 * net.east.size):
        site = row // 2
        d = math.hypot(origin[0] - net.east[site], origin[1] - net.north[site])
        tt = travel_time(net, row, d, origin[2])[0]
        error2 = factor * (net.error_s**2 + (net.error_fraction * tt) ** 2)
        reach = rules.gate * math.sqrt(error2 + picks.sigma_max[row] ** 2)
        end = picks.start[row + 1]
        i = first_at(picks.time, picks.start[row], end, origin[3] + tt - reach)
        if i == end or picks.time[i] > origin[3] + tt + reach:
            continue
        p = detected(math.hypot(d, origin[2]), ranges, row % 2)
        bonus = math.log(p) - math.log(1.0 - p)
        while i < end and picks.time[i] <= origin[3] + tt + reach:
            r, s, gain = residual_gain(net, picks, row, i, d, origin, factor)
            if abs(r) <= rules.gate * s and gain + bonus > 0.0:
                members.append(i)
                rows.append(row)
                gains.append(gain + bonus)
            i += 1


@njit(cache=True)
def _pairs(net, rules, picks, origins, ranges, stale, spans, known):  # type: ignore[no-untyped-def]
    """List every event and pick that can belong together: event, (pick, row), gain.

    Only events that are ``stale`` are worked out; ``spans`` (n, 2) says where the others lie in
    ``known``, the list of the round before, and receives where all lie in the new one.
    """
    members = [0 for _ in range(0)]
    rows = [0 for _ in range(0)]
    gains = [0.0 for _ in range(0)]
    for e in range(origins.shape[0]):
        first = len(members)
        if stale[e]:
            _reachable(net, rules, picks, origins[e], ranges[e], members, rows, gains)
        else:
            for k in range(spans[e, 0], spans[e, 1]):
                members.append(known[1][k])
                rows.append(known[2][k])
                gains.append(known[3][k])
        spans[e] = first, len(members)
    events = np.empty(len(members), dtype=np.int64)
    for e in range(origins.shape[0]):
        events[spans[e, 0] : spans[e, 1]] = e
    return events, np.array(members), np.array(rows), np.array(gains)


@njit(cache=True)
def _matching(pairs, n_picks):  # type: ignore[no-untyped-def]
    """Return which pairs make up the matching of largest total gain, by auction (Bertsekas 1988,
    Annals of Operations Research 14, 105-123, doi:10.1007/BF02186476).

    A bidder is one row of one event. It bids for the pick of the largest gain less price, up to
    where its second choice (or none, 0) would be as good; who is outbid bids again.
    """
    events, members, rows, gains = pairs
    price = np.zeros(n_picks)
    holder = np.full(n_picks, -1)  # first pair of the bidder
    won = np.full(n_picks, -1)  # its pair
    waiting = [k for k in range(events.size - 1, -1, -1)]
    n = 0
    for k in range(events.size - 1, -1, -1):
        if k == 0 or events[k] != events[k - 1] or rows[k] != rows[k - 1]:
            waiting[n] = k
            n += 1
    while n > 0:
        n -= 1
        first = waiting[n]
        best, second, chosen = 0.0, 0.0, -1
        k = first
        while k < events.size and events[k] == events[first] and rows[k] == rows[first]:
            value = gains[k] - price[members[k]]
            if value > best:
                best, second, chosen = value, best, k
            elif value > second:
                second = value
            k += 1
        if chosen < 0:
            continue
        i = members[chosen]
        price[i] += best - second + AUCTION_STEP
        if holder[i] >= 0:
            waiting[n] = holder[i]
            n += 1
        holder[i], won[i] = first, chosen
    matched = np.zeros(events.size)
    for k in won:
        if k >= 0:
            matched[k] = 1.0
    return matched


@njit(cache=True)
def _assign(picks, pairs, chosen, owner, contested):  # type: ignore[no-untyped-def]
    """Give picks to events, so that the sum of gains is largest; each pick goes to one event.

    ``contested`` receives how much of each event's score other events would have from its picks
    where they have none of their own: what it explains that they could not is the rest.
    """
    chosen[:] = -1
    owner[:] = -1
    contested[:] = 0.0
    events, members, rows, gains = pairs
    # A pair outside the best matching gains less than it displaces: such fill what is left.
    rank = gains + 1e6 * _matching(pairs, owner.size)
    order = np.argsort(-rank, kind="mergesort")
    for k in order:
        e, i, row = events[k], members[k], rows[k]
        if owner[i] >= 0 or chosen[e, row] >= 0:
            continue
        other = owner[picks.twin[i]] if picks.twin[i] >= 0 else -1
        if other == e or (other >= 0 and gains[k] < TWIN_GAIN):
            continue
        owner[i] = e
        chosen[e, row] = i
    wanted = np.zeros(owner.size, dtype=np.bool_)
    lent = np.full(chosen.shape, -1)
    for k in order:
        e, i, row = events[k], members[k], rows[k]
        holder = owner[i]
        if holder < 0 or holder == e or wanted[i] or chosen[e, row] >= 0 or lent[e, row] == holder:
            continue
        wanted[i] = True
        lent[e, row] = holder
        contested[holder] += gains[k]


@njit(cache=True)
def _burst_loss(picks, chosen, owner, sizes, e):  # type: ignore[no-untyped-def]
    """Return what an event's score loses where its picks lie among many lesser ones.

    The coda of a large event triggers pickers again and again; some of these picks fit a common
    origin. Picks of events of the same size or larger are no sign of coda and do not count.
    """
    loss = 0.0
    for row in range(chosen.shape[1]):
        i = chosen[e, row]
        if i < 0:
            continue
        end = picks.start[row + 1]
        j = first_at(picks.time, picks.start[row], end, picks.time[i] - BURST_S)
        others = -0.5
        while j < end and picks.time[j] <= picks.time[i] + BURST_S:
            if j != i and (owner[j] < 0 or sizes[owner[j]] < sizes[e]):
                others += 1.0
            j += 1
        rate = others / (2 * BURST_S)
        if rate > picks.rate[i]:
            loss += math.log(rate / picks.rate[i])
    return loss


@njit(cache=True)
def _fall(origins, margins, horizon_s):  # type: ignore[no-untyped-def]
    """Return which events stay: of failing ones that overlap in time only the worst falls now."""
    stay = np.ones(margins.size, dtype=np.bool_)
    for e in np.argsort(margins, kind="mergesort"):
        if margins[e] >= 0.0:
            break
        alone = True
        for f in range(margins.size):
            if not stay[f] and abs(origins[f, 3] - origins[e, 3]) < horizon_s:
                alone = False
        if alone:
            stay[e] = False
    return stay


@njit(cache=True)
def _restart(net, grid, rules, picks, events, owner):  # type: ignore[no-untyped-def]
    """Locate each event anew from other depths, with its own picks and those of no event.

    An event can hold to picks that fit a wrong place and leave out clear ones; it moves where
    the evidence is larger. Each is tried once (`TRIED`). Returns which have moved.
    """
    origins, ranges, chosen, _, _, margins = events
    free = owner < 0
    for i in range(free.size):
        if picks.twin[i] >= 0 and owner[picks.twin[i]] >= 0:
            free[i] = False
    rows = chosen.shape[1]
    trial, fitted = np.empty(4), np.empty(N_FITTED)
    taken = np.empty(rows, dtype=np.int64)
    moved = np.zeros(margins.size, dtype=np.bool_)
    for e in range(origins.shape[0]):
        if ranges[e, TRIED] > 0.0:
            continue
        ranges[e, TRIED] = 1.0
        for i in chosen[e]:
            if i >= 0:
                free[i] = True
        for k in range(rules.n_starts):
            part = ((k + 0.5) / rules.n_starts) ** 2
            trial[:] = origins[e]
            trial[2] = grid.low[2] + part * (grid.high[2] - grid.low[2])
            trial[3] -= _mean_delay(net, trial, origins[e], chosen[e])
            cell = leaf_of(grid, trial)
            if not grid.known[cell]:
                fill_cell(net, grid, grid.shape.shape[0] - 1, cell)
            spread = 0.3 * cell_spread(grid, cell)
            log_det = locate(net, grid, rules, picks, free, cell, trial, spread, 1.0, taken)
            if log_det == -math.inf:
                continue
            total = score(net, rules, picks, trial, taken, 1.0, fitted)
            margin = improbable(rules, taken, total, log_det)
            if margin > margins[e] + 0.5:
                for row in range(rows):
                    if taken[row] >= 0:
                        free[taken[row]] = True
                margins[e] = margin
                origins[e] = trial
                ranges[e, :TRIED] = fitted[:TRIED]
                chosen[e] = taken
                moved[e] = True
        for i in chosen[e]:
            if i >= 0:
                free[i] = False
    return moved


@njit(cache=True)
def _mean_delay(net, trial, origin, chosen):  # type: ignore[no-untyped-def]
    """Return by how much later the chosen arrivals come from ``trial`` than from ``origin``."""
    total, n = 0.0, 0
    for row in range(chosen.size):
        if chosen[row] >= 0:
            site = row // 2
            d = math.hypot(origin[0] - net.east[site], origin[1] - net.north[site])
            total += travel_time(net, row, d, trial[2])[0] - travel_time(net, row, d, origin[2])[0]
            n += 1
    return total / max(n, 1)


@njit(cache=True)
def _settle(net, grid, rules, picks, events):  # type: ignore[no-untyped-def]
    """Locate and weigh the events whose picks have changed; return which these are.

    The others stay as they are, to the last digit.
    """
    origins, ranges, chosen, given, kept, margins = events
    free = np.ones(1, dtype=np.bool_)
    changed = np.zeros(margins.size, dtype=np.bool_)
    for e in range(margins.size):
        if (chosen[e] == given[e]).all():
            chosen[e] = kept[e]
            continue
        changed[e] = True
        given[e] = chosen[e]
        used = ranges[e, FACTOR]
        log_det = locate(net, grid, rules, picks, free, 0, origins[e], -1.0, used, chosen[e])
        total = score(net, rules, picks, origins[e], chosen[e], used, ranges[e])
        margins[e] = improbable(rules, chosen[e], total, log_det)
        kept[e] = chosen[e]
    return changed


@njit(cache=True)
def refine(net, grid, rules, picks, events):  # type: ignore[no-untyped-def]
    """Iterate assignment, location and the fall of events until nothing changes.

    Returns
    -------
    The events that stand, and each pick's owner or -1.
    """
    owner = np.full(picks.time.size, -1)
    stale = np.ones(events.margins.size, dtype=np.bool_)
    spans = np.zeros((stale.size, 2), dtype=np.int64)
    none = np.empty(0, dtype=np.int64)
    pairs = (none, none, none, np.empty(0))
    restarted = rules.n_starts == 0
    for _ in range(MAX_ROUNDS):
        before = owner.copy()
        n = stale.size
        contested = np.empty(n)
        pairs = _pairs(net, rules, picks, events.origins, events.ranges, stale, spans, pairs)
        _assign(picks, pairs, events.chosen, owner, contested)
        stale = _settle(net, grid, rules, picks, events)
        sizes = np.array([(events.chosen[e] >= 0).sum() for e in range(n)])
        standing = events.margins - contested
        for e in range(n):
            standing[e] -= _burst_loss(picks, events.chosen, owner, sizes, e)
        stay = _fall(events.origins, standing, net.longest_s)
        if not stay.all():
            origins, ranges, chosen, given, kept, margins = events
            events = Events(
                origins[stay], ranges[stay], chosen[stay], given[stay], kept[stay], margins[stay]
            )
            stale, spans = stale[stay], spans[stay]
            owner[:] = -2
        elif (owner == before).all():
            if restarted:
                break
            restarted = True
            moved = _restart(net, grid, rules, picks, events, owner)
            if not moved.any():
                break
            stale |= moved
            for e in np.flatnonzero(moved):
                events.given[e] = -2
    owner[:] = -1
    for e in range(stale.size):
        for i in events.chosen[e]:
            if i >= 0:
                owner[i] = e
    return events, owner


@njit(cache=True)
def explain(net, picks, origins, ranges, chosen):  # type: ignore[no-untyped-def]
    """Return residuals (s) and the probability that each chosen pick is the event's."""
    residuals = np.zeros(chosen.shape)
    certainty = np.zeros(chosen.shape)
    for e in range(chosen.shape[0]):
        for row in range(chosen.shape[1]):
            i = chosen[e, row]
            if i >= 0:
                site = row // 2
                d = math.hypot(origins[e, 0] - net.east[site], origins[e, 1] - net.north[site])
                r, _, gain = residual_gain(net, picks, row, i, d, origins[e], ranges[e, FACTOR])
                hypocentral = math.hypot(d, origins[e, 2])
                p = detected(hypocentral, ranges[e], row % 2)
                residuals[e, row] = r
                certainty[e, row] = 1.0 / (1.0 + math.exp(-gain) * (1.0 - p) / p)
    return residuals, certainty
