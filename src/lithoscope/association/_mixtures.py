"""Events that are mixed in one: two that overlap can be joined to one of more picks than either."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lithoscope.association._arrays import FloatArray, Grid, IntArray, Net, Picks, Rules
from lithoscope.association._fit import FACTOR, N_FITTED
from lithoscope.association._network import root_starts
from lithoscope.association._onsets import only
from lithoscope.association._refine import Events
from lithoscope.association._search import search

# An event whose model errors exceed the stated variance by this factor may be a mixture. Where the
# stated errors explain it, it is left alone: sharp windows would split a single event.
DOUBTFUL = 2.0
# Model errors of the search for what is mixed, as part of the stated ones.
SHARP = 0.3
EVERY_NODE = np.iinfo(np.int64).max


def look(
    net: Net,
    grid: Grid,
    rules: Rules,
    picks: Picks,
    around: NDArray[np.bool_],
    among: NDArray[np.bool_],
    span_s: tuple[float, float],
    spans: FloatArray,
    *,
    beyond: bool = False,
    most: int = EVERY_NODE,
) -> tuple[FloatArray, FloatArray]:
    """Search around some picks for events of those ``among``, with origin times in ``span_s``.

    Or ``beyond``, to the ends of the roots that hold these times. Returns origins (n, 4) and what
    was fitted (n, `N_FITTED`). No more than ``most`` nodes of the search are looked at.
    """
    root_s = 2.0 ** np.ceil(np.log2(2 * spans[0]))
    roots = root_starts(picks.time[around], net, root_s)
    roots = roots[(roots + root_s > span_s[0]) & (roots <= span_s[1])]
    left = only(picks, among)
    free = np.ones(left.time.size, dtype=np.bool_)
    if beyond:
        span_s = -math.inf, math.inf
    return search(net, grid, rules, left, free, roots, root_s, span_s, spans, most)


def unmix(
    net: Net,
    grid: Grid,
    rules: Rules,
    picks: Picks,
    events: Events,
    owner: IntArray,
    free: NDArray[np.bool_],
    spans: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Search for events that fit sharply among the picks of each event that does not.

    A mixture needs large model errors. Its own picks and those of no event are searched with small
    ones, as far before and after it as its last pick is late, for events of at least half its
    evidence: of two events one has that. Returned are origins and what was fitted, as of `look`;
    which of the events stands their common evidence decides.
    """
    sharp = net._replace(error_s=SHARP * net.error_s, error_fraction=SHARP * net.error_fraction)
    origins, fitted = [np.empty((0, 4))], [np.empty((0, N_FITTED))]
    for e in np.flatnonzero(events.ranges[:, FACTOR] > DOUBTFUL):
        half = 0.5 * (events.margins[e] + rules.promise_min)
        strict = rules._replace(promise_min=max(half, rules.promise_min))
        own = owner == e
        moment = events.origins[e, 3]
        reach = picks.time[own].max() - moment
        near = np.abs(picks.time - moment) <= 2 * reach
        span_s = (moment - reach, moment + reach)
        among = own | (free & near)
        found = look(sharp, grid, strict, picks, own, among, span_s, spans, beyond=True)
        origins.append(found[0])
        fitted.append(found[1])
    table = np.concatenate(fitted)
    # The factor counts from the stated errors.
    table[:, FACTOR] *= SHARP**2
    return np.concatenate(origins), table
