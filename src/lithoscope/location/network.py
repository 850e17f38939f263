"""Location of one event after another with the same stations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lithoscope import schema
from lithoscope.location._observations import Picked, Places, observe
from lithoscope.location._prepare import network_reach_km, prepared
from lithoscope.location.locate import locate_one
from lithoscope.location.priors import Prior
from lithoscope.location.settings import LocationSettings
from lithoscope.location.terms import StationTerms, anchors_by_event, for_event
from lithoscope.traveltimes import VelocityModel


@dataclass(frozen=True)
class LocatedEvent:
    """One event as `lithoscope.location.locate` would locate it.

    Attributes
    ----------
    row
        Of EVENTS; None if there are too few picks.
    arrivals
        Columns of ARRIVALS, ``time_ns`` (since 1970) in the place of ``time``.
    problems
        Rows of PROBLEMS.
    """

    row: dict[str, Any] | None
    arrivals: dict[str, Any]
    problems: list[dict[str, Any]]


class NetworkLocator:
    """Locates events of a network one at a time, in less time than `locate` needs for one.

    What depends on the stations alone is made once: their places, and travel times to all of them
    as far as for an event that all picked (800 km at most). The answers are those of `locate`.

    Parameters
    ----------
    stations, model, settings, prior, terms
        As for `locate`; ``settings.station_terms`` does not matter.

    Raises
    ------
    DataError
        If the table of stations cannot be used.
    """

    def __init__(
        self,
        stations: pd.DataFrame,
        model: VelocityModel,
        settings: LocationSettings,
        *,
        prior: Prior | None = None,
        terms: StationTerms | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self.prior = prior
        self.terms = terms
        self._places = Places.of(schema.STATIONS.check(stations))
        self._depths = np.unique(self._places.depths_km)
        self._reach_km = network_reach_km(self._places, settings)
        self._anchors = anchors_by_event(terms)
        self._said: list[dict[str, Any]] = []
        if terms is not None:
            self._said = terms.problems.to_dict("records")  # type: ignore[assignment]

    def locate(
        self, event_id: str, picked: Picked, *, n_samples: int | None = None
    ) -> LocatedEvent:
        """Locate one event.

        Parameters
        ----------
        event_id
            Decides the random numbers.
        picked
            Its picks.
        n_samples
            Effective posterior samples wanted, if others than the settings say.

        Raises
        ------
        DataError, StationError
            As of `locate`.
        """
        settings = self.settings
        if n_samples is not None:
            settings = settings.model_copy(update={"n_samples": n_samples})
        ids = np.full(len(picked.ids), event_id)
        observed = observe(ids, picked, self._places, settings, self._depths)
        whole = prepared(observed, self.model, settings, self.prior, self._reach_km)
        problems = [*whole.problems, *self._said]
        if not whole.targets:
            return LocatedEvent(None, {}, problems)
        (target,) = whole.targets
        problem, shared = for_event(whole, target, self.terms, self._anchors.get(event_id))
        row, arrivals, _, found = locate_one(whole, target, problem, shared, False)
        return LocatedEvent(row, arrivals, problems + found)
