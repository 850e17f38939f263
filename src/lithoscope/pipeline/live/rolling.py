"""Association on a rolling window, so that its answer is that of one association over all picks.

An event depends on picks a travel time away (its own), half an hour away (how often its stations
pick without it) and half a day away (whether they record at all). So a part of the time is
associated anew with all picks of the hour around it, one pick an hour of each station and phase
beyond that, and the picks of events outside the part taken as explained. Parts are cut where no
known event begins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from lithoscope.association import (
    AssociationSettings,
    FoundEvent,
    PickArrays,
    SearchGround,
    find_events,
    search_ground,
)
from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.view import View
from lithoscope.traveltimes import VelocityModel

# A quick look counts noise within this time of a pick (s).
_QUICK_RATE_S = 120.0
# Known origins this near to a cut (s) move it: a repeated search may place them a little otherwise.
_PAUSE_S = 5.0


@dataclass(frozen=True, eq=False)
class Solution:
    """One event as the association sees it; its picks by the ids that they have now."""

    name: str  # id by the rule of the schema, from its first pick
    origin_s: float
    pick_ids: frozenset[str]

    @classmethod
    def of(cls, event: FoundEvent) -> Solution:
        """Return an event of an association."""
        return cls(event.event_id, event.time_ns / NS_PER_S, frozenset(event.pick_ids))

    def renamed(self, renamed: Mapping[str, str]) -> Solution:
        """Return the same with the ids that its picks have now."""
        if self.pick_ids.isdisjoint(renamed):
            return self
        return replace(self, pick_ids=frozenset(renamed.get(name, name) for name in self.pick_ids))


def cut(known: list[Solution], at_s: float, *, later: bool = False) -> float:
    """Return the nearest time before (or after) ``at_s`` with no known origin close to it."""
    if not math.isfinite(at_s):
        return at_s
    origins = sorted((s.origin_s for s in known), reverse=not later)
    for origin in origins:
        if abs(origin - at_s) < _PAUSE_S:
            at_s = origin + (1.01 if later else -1.01) * _PAUSE_S
    return at_s


@dataclass(frozen=True)
class Look:
    """What decides about a part of the time, for an association here or in another process.

    ``explained`` are the ids of the picks that belong to events outside.
    """

    span_s: tuple[float, float]
    picks: PickArrays
    settings: AssociationSettings
    explained: frozenset[str]
    quick: bool


def look_at(
    picks: View,
    settings: AssociationSettings,
    known: list[Solution],
    span_s: tuple[float, float],
    reach_s: float,
    *,
    quick: bool = False,
) -> Look:
    """Prepare to find the events with an origin in a span.

    It takes all picks within ``reach_s`` and the window of noise rates; beyond, to where a station
    counts as alive, the first of each hour, station and phase.

    Parameters
    ----------
    picks
        All that there are.
    known
        Events known before: those outside the span, at least.
    reach_s
        Longest travel time.
    quick
        Count noise within two minutes in place of half an hour, and so need the picks of these
        only, part no mixtures and end long searches: the answer is provisional.
    """
    if quick:
        rate_s = min(settings.rate_window_s, _QUICK_RATE_S)
        settings = settings.model_copy(update={"rate_window_s": rate_s})
    near_s = reach_s + settings.rate_window_s
    far_s = settings.alive_window_s + 7200.0 + reach_s
    near = picks.between(
        (span_s[0] - near_s, span_s[1] + near_s), (span_s[0] - far_s, span_s[1] + far_s)
    )
    outside = [s.pick_ids for s in known if not span_s[0] <= s.origin_s < span_s[1]]
    explained = frozenset().union(*outside).intersection(near.ids.tolist())
    return Look(span_s, near, settings, explained, quick)


def associate_span(look: Look, ground: SearchGround) -> list[Solution]:
    """Return the events with an origin in a span, by origin time."""
    found = find_events(
        look.picks,
        ground,
        look.settings,
        span_s=look.span_s,
        explained=look.explained,
        quick=look.quick,
    )
    some = [Solution.of(event) for event in found]
    some = [s for s in some if look.span_s[0] <= s.origin_s < look.span_s[1]]
    return sorted(some, key=lambda s: (s.origin_s, s.name))


def associate_elsewhere(
    look: Look, network: tuple[pd.DataFrame, VelocityModel, AssociationSettings], version: int
) -> list[Solution]:
    """Do as `associate_span` in another process, which keeps the ground of a network's version."""
    if version not in _grounds:
        _grounds.clear()
        _grounds[version] = search_ground(*network)
    return associate_span(look, _grounds[version])


_grounds: dict[int, SearchGround] = {}
