"""What all routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from lithoscope.service.cache import Cache
from lithoscope.service.elsewhere import Desk, RecordingWork
from lithoscope.service.feed import Feed
from lithoscope.service.quakeml import EventFeatures, EventTexts
from lithoscope.service.recordings import Recordings
from lithoscope.service.settings import ServiceSettings
from lithoscope.service.sites import Sites
from lithoscope.service.source import Source, open_source
from lithoscope.service.times import now_ns
from lithoscope.service.view import StoreView
from lithoscope.service.work import Workers

_ANSWERS_SIZE = 128_000_000
#: Time for which an answer from the recordings of a run that goes on is good enough.
_KEPT_NS = 5_000_000_000


@dataclass
class State:
    """The parts of a server; made once, closed with it.

    What reads recordings takes tenths of a second (``slow``); what takes milliseconds
    (``workers``) does not wait behind it.
    """

    settings: ServiceSettings
    source: Source
    view: StoreView
    feed: Feed
    workers: Workers
    slow: RecordingWork
    recordings: Recordings
    sites: Sites
    texts: EventTexts
    features: EventFeatures = field(default_factory=EventFeatures)
    answers: Cache[bytes] = field(default_factory=lambda: Cache(_ANSWERS_SIZE))
    started_ns: int = field(default_factory=now_ns)

    def close(self) -> None:
        """Let go of threads."""
        self.workers.close()
        self.slow.close()


def make_state(settings: ServiceSettings) -> State:
    """Open what is served.

    Raises
    ------
    LithoscopeError
        If it cannot be opened.
    """
    source = open_source(settings)
    view = StoreView(source.store)
    limits = settings.limits
    recordings = Recordings(source)
    sites = Sites(source, view, recordings)
    return State(
        settings=settings,
        source=source,
        view=view,
        feed=Feed(view, settings.poll_s),
        workers=Workers(limits.heavy, limits.waiting, limits.compute_s),
        slow=RecordingWork(Desk(source, view, recordings, sites), settings),
        recordings=recordings,
        sites=sites,
        texts=EventTexts(view),
    )


def recordings_age(state: State) -> tuple[int, int]:
    """Return what changes with the recordings: of a run that goes on, every few seconds."""
    return state.recordings.generation, now_ns() // _KEPT_NS if state.source.live else 0
