"""Association on a rolling window, so that its answer is that of one association over all picks.

An event depends on picks a travel time away (its own), half an hour away (how often its stations
pick without it) and half a day away (whether they record at all). So a part of the time is
associated anew with all picks of the hour around it, one pick an hour of each station and phase
beyond that, and the picks of events outside the part taken as explained. Parts are cut where no
known event begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from lithoscope.association import (
    Association,
    AssociationSettings,
    SearchGround,
    associate,
    search_ground,
)
from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.packing import Packed
from lithoscope.schema import ASSIGNMENTS
from lithoscope.traveltimes import VelocityModel

# A quick look counts noise within this time of a pick (s).
_QUICK_RATE_S = 120.0
# Known origins this near to a cut (s) move it: a repeated search may place them a little otherwise.
_PAUSE_S = 5.0


@dataclass
class Solution(Packed):
    """One event as the association sees it."""

    tables: ClassVar[tuple[str, ...]] = ("assignments",)
    name: str  # id by the rule of the schema, from its first pick
    origin_s: float
    assignments: pd.DataFrame
    pick_ids: frozenset[str] = field(default_factory=frozenset)


def solutions_of(found: Association) -> list[Solution]:
    """Return the events of an association, by origin time."""
    rows: dict[str, list[int]] = {}
    for k, name in enumerate(found.assignments["event_id"].tolist()):
        rows.setdefault(name, []).append(k)
    origins_ns = found.candidates["time"].to_numpy("datetime64[ns]").view(np.int64)
    out = []
    for name, origin_ns in zip(found.candidates["event_id"].tolist(), origins_ns, strict=True):
        mine = ASSIGNMENTS.check(found.assignments.iloc[rows[name]])
        out.append(Solution(name, origin_ns / NS_PER_S, mine, frozenset(mine["pick_id"])))
    return sorted(out, key=lambda s: (s.origin_s, s.name))


def window(
    picks: pd.DataFrame, span_s: tuple[float, float], reach_s: float, settings: AssociationSettings
) -> pd.DataFrame:
    """Return the picks that decide about origins in a span.

    All within ``reach_s`` and the window of noise rates; beyond, to where a station counts as
    alive, the first of each hour, station and phase.
    """
    seconds = picks["time"].to_numpy("datetime64[ns]").view(np.int64) / NS_PER_S
    near_s = reach_s + settings.rate_window_s
    far_s = settings.alive_window_s + 7200.0 + reach_s
    kept = (seconds >= span_s[0] - near_s) & (seconds <= span_s[1] + near_s)
    far = (seconds >= span_s[0] - far_s) & (seconds <= span_s[1] + far_s) & ~kept
    stations, phases = picks["station"].to_numpy(object), picks["phase"].to_numpy(object)
    seen: set[tuple[str, str, int]] = set()
    for k in np.flatnonzero(far):
        hour = stations[k], phases[k], int(seconds[k] // 3600.0)
        if hour not in seen:
            seen.add(hour)
            kept[k] = True
    return picks[kept].reset_index(drop=True)


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
    """All that it takes to associate a part of the time, here or in another process.

    ``picks`` are those that decide about it; ``explained`` the ids of those that belong to events
    outside.
    """

    span_s: tuple[float, float]
    picks: pd.DataFrame
    stations: pd.DataFrame
    model: VelocityModel
    settings: AssociationSettings
    explained: frozenset[str]
    quick: bool


def look_at(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: AssociationSettings,
    known: list[Solution],
    span_s: tuple[float, float],
    reach_s: float,
    *,
    quick: bool = False,
) -> Look:
    """Prepare to find the events with an origin in a span.

    Parameters
    ----------
    known
        Those outside the span, at least.
    reach_s
        Longest travel time.
    quick
        Count noise within two minutes in place of half an hour, and so need the picks of these
        only, part no mixtures and end long searches: the answer is provisional.
    """
    if quick:
        rate_s = min(settings.rate_window_s, _QUICK_RATE_S)
        settings = settings.model_copy(update={"rate_window_s": rate_s})
    outside = [s for s in known if not span_s[0] <= s.origin_s < span_s[1]]
    explained = frozenset().union(*(s.pick_ids for s in outside)) if outside else frozenset()
    last_s = picks["time"].max().value / NS_PER_S if len(picks) else span_s[0]
    near = window(picks, (span_s[0], min(span_s[1], last_s)), reach_s, settings)
    explained = explained.intersection(near["pick_id"])
    return Look(span_s, near, stations, model, settings, explained, quick)


def associate_span(look: Look, ground: SearchGround | None = None) -> list[Solution]:
    """Return the events with an origin in a span, by origin time; on a ground if it is at hand."""
    found = associate(
        look.picks,
        look.stations,
        look.model,
        look.settings,
        span_s=look.span_s,
        explained=look.explained,
        quick=look.quick,
        ground=ground,
    )
    return [s for s in solutions_of(found) if look.span_s[0] <= s.origin_s < look.span_s[1]]


def associate_elsewhere(look: Look, version: int) -> list[Solution]:
    """Do as `associate_span` in another process, which keeps the ground of a network's version."""
    if version not in _grounds:
        _grounds.clear()
        _grounds[version] = search_ground(look.stations, look.model, look.settings)
    return associate_span(look, _grounds[version])


_grounds: dict[int, SearchGround] = {}
