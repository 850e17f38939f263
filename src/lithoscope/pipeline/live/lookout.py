"""When and where events are looked for: quickly at the edge of the data, thoroughly behind it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from lithoscope.constants import NS_PER_S
from lithoscope.pipeline.live.aside import Aside
from lithoscope.pipeline.live.events import LiveEvents
from lithoscope.pipeline.live.glimpse import Row
from lithoscope.pipeline.live.health import Meter
from lithoscope.pipeline.live.network import Network
from lithoscope.pipeline.live.picks import PickBoard, Repicked
from lithoscope.pipeline.live.rolling import (
    Look,
    Solution,
    associate_elsewhere,
    associate_span,
    cut,
    look_at,
)
from lithoscope.pipeline.live.view import View

# While data wait, a thorough look is followed by a rest of so many times its length, here and in
# another process, within these limits (s).
_REST, _REST_ASIDE = 5.0, 2.0
_REST_S = 0.3, 10.0
# A quick look is for origins up to this long before now (s of data).
_QUICK_S = 15.0


@dataclass(frozen=True)
class Seen:
    """Events with an origin in a span, and the picks that they are made of, by id.

    A quick look may miss some.
    """

    span_s: tuple[float, float]
    found: list[Solution]
    picks: dict[str, Row]
    quick: bool = False


@dataclass
class _Out:
    """A look that is worked on in another process; ``renamed`` are picks that moved meanwhile."""

    span_s: tuple[float, float]
    picks: View
    answer: Future[list[Solution]]
    begun: float
    renamed: dict[str, str] = field(default_factory=dict)


class Lookout:
    """Looks for events where picks changed.

    Parameters
    ----------
    network, board, events
        What is known.
    aside
        Where thorough looks are worked on while data wait.
    meter
        Takes the time that looks need.
    """

    def __init__(
        self, network: Network, board: PickBoard, events: LiveEvents, aside: Aside, meter: Meter
    ) -> None:
        self.network = network
        self.board = board
        self.events = events
        self.aside = aside
        self.meter = meter
        # From when on picks changed since the last look, and since the last thorough one.
        self.changed_ns: int | None = None
        self.owed_ns: int | None = None
        self._rest_until = 0.0
        self._out: _Out | None = None

    @property
    def busy(self) -> bool:
        """Whether a look is worked on in another process."""
        return self._out is not None

    def note(self, done: Repicked) -> None:
        """Take note of picks that changed."""
        if self._out is not None:
            self._out.renamed |= done.renamed
        if done.changed_ns is not None:
            self.changed_ns = min(self.changed_ns or done.changed_ns, done.changed_ns)
            self.owed_ns = min(self.owed_ns or done.changed_ns, done.changed_ns)

    def forget(self) -> None:
        """Leave the look that is worked on: a greater one follows."""
        if self._out is not None:
            self._out.answer.cancel()
            self._out = None

    def look(self, clock_ns: int, *, hurry: bool) -> Iterator[Seen]:
        """Look again for the events that changed picks can belong to.

        At once for those with an origin shortly before the change; for the others when there is
        time: now if no data wait, else beside the picking. What is seen is to be taken in before
        the next is asked for.

        Parameters
        ----------
        clock_ns
            Data time of the network.
        hurry
            Whether data wait.
        """
        yield from self._taken()
        if self.owed_ns is None or not self.network.picked:
            return
        rested = time.monotonic() >= self._rest_until
        if self._out is None and (rested or not hurry):
            if hurry and self.aside.apart:
                self._send(clock_ns)
            else:
                yield self._thoroughly()
        if self.changed_ns is not None:
            yield self._quickly(clock_ns)

    def span(self, span_s: tuple[float, float], *, quick: bool = False) -> Seen:
        """Return the events with an origin in a span."""
        if self.network.ground is None:  # no station has coordinates
            return Seen(span_s, [], {})
        picks, look = self._look_at(span_s, quick=quick)
        found = associate_span(look, self.network.ground)
        return Seen(span_s, found, picks.rows(_ids(found)), quick)

    def _look_at(self, span_s: tuple[float, float], *, quick: bool = False) -> tuple[View, Look]:
        picks = self.board.view(self.network.picked)
        settings, reach_s = self.network.settings.association, self.network.longest_s
        return picks, look_at(
            picks, settings, self.events.solutions(), span_s, reach_s, quick=quick
        )

    def _thoroughly(self) -> Seen:
        assert self.owed_ns is not None
        began = time.monotonic()
        start = self.owed_ns / NS_PER_S - self.network.longest_s - 1.0
        seen = self.span((cut(self.events.solutions(), start), math.inf))
        self.changed_ns = self.owed_ns = None
        cost = time.monotonic() - began
        self.meter.add("associate", cost)
        self._rest(_REST * cost)
        return seen

    def _quickly(self, clock_ns: int) -> Seen:
        assert self.changed_ns is not None
        began = time.monotonic()
        behind_s = min(self.network.longest_s, _QUICK_S)
        clock_s = clock_ns / NS_PER_S
        start = max(self.changed_ns / NS_PER_S - behind_s, clock_s - _QUICK_S) - 1.0
        start = cut(self.events.solutions(), start)
        if self._out is not None:
            start = max(start, self._out.span_s[1])
        seen = self.span((start, math.inf), quick=True)
        self.changed_ns = None
        self.meter.add("associate quickly", time.monotonic() - began)
        return seen

    def _send(self, clock_ns: int) -> None:
        """Have origins associated beside the picking, up to where quick looks begin."""
        assert self.owed_ns is not None
        known = self.events.solutions()
        start = cut(known, self.owed_ns / NS_PER_S - self.network.longest_s - 1.0)
        end = cut(known, clock_ns / NS_PER_S - _QUICK_S)
        if end <= start:
            return
        picks, look = self._look_at((start, end))
        network = self.network.sites, self.network.model, look.settings
        answer = self.aside.submit(associate_elsewhere, look, network, self.network.version)
        self._out = _Out((start, end), picks, answer, time.monotonic())
        # What changed may belong to later origins too.
        self.owed_ns = round(end * NS_PER_S)

    def _taken(self) -> list[Seen]:
        """Return the answer of the other process, if it is there."""
        out = self._out
        if out is None or not out.answer.done():
            return []
        self._out = None
        cost = time.monotonic() - out.begun
        self._rest(_REST_ASIDE * cost)
        begin, end = out.span_s
        start = round((begin + self.network.longest_s + 1.0) * NS_PER_S)
        owed, self.owed_ns = self.owed_ns, min(self.owed_ns or start, start)
        found = self.aside.result(out.answer)
        self.owed_ns = owed
        self.meter.add("associate", cost)
        found = [solution.renamed(out.renamed) for solution in found]
        away = [s.pick_ids for s in self.events.solutions() if not begin <= s.origin_s < end]
        # An event that was found beyond the span meanwhile may be one of these.
        found = [s for s in found if all(2 * len(s.pick_ids & ids) <= len(ids) for ids in away)]
        # Picks that are gone by now are as they were; what changed since is owed a look.
        ids = _ids(found)
        picks = out.picks.rows(ids) | self.board.view(self.network.picked).rows(ids)
        return [Seen(out.span_s, found, picks)]

    def _rest(self, seconds: float) -> None:
        self._rest_until = time.monotonic() + min(max(seconds, _REST_S[0]), _REST_S[1])


def _ids(found: list[Solution]) -> frozenset[str]:
    return frozenset().union(*(solution.pick_ids for solution in found))
