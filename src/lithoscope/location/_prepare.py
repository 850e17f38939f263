"""What the events of one call share: regions, travel-time tables, and each event as a `Problem`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope.errors import ModelError
from lithoscope.geo import LocalProjection
from lithoscope.location import _coupling, _search
from lithoscope.location._kernels import CoarseTimes
from lithoscope.location._observations import EventPicks, Observations, Places, join
from lithoscope.location._search import Problem, coarse_times
from lithoscope.location.priors import Prior, bind
from lithoscope.location.settings import LocationSettings
from lithoscope.traveltimes import TravelTimeTables, VelocityModel, build_tables

Array = NDArray[np.float64]

# Four unknowns: fewer picks leave a line or more of equally good hypocentres.
_MIN_PICKS = 4
_MIN_PICKS_WITH_PRIOR = 3
# Tables reach this far times a power of two, so that other events rarely change them.
_REACH_KM = 100.0
_SHARED_KM = 800.0
_HIGHEST_KM = -9.0


@dataclass(frozen=True)
class Target:
    """One event that has enough picks, the plane it is located in and the region searched."""

    event: EventPicks
    projection: LocalProjection
    box: Array


@dataclass(frozen=True)
class Prepared:
    """Events ready to be located, and what they share."""

    targets: list[Target]
    tables: TravelTimeTables | None
    coarse: CoarseTimes | None
    settings: LocationSettings
    prior: Prior | None
    problems: list[dict[str, Any]]

    def problem(
        self, target: Target, terms: Array, variances: Array, scales: Array | float
    ) -> Problem:
        """Return an event's problem with station terms taken off its picks.

        Parameters
        ----------
        terms, variances
            (n,) station terms (s) and their variances (s2).
        scales
            Factor on the model error of each pick, or of all.
        """
        assert self.tables is not None
        event, settings = target.event, self.settings
        east, north = target.projection.forward(event.longitudes, event.latitudes)
        n = len(event.times_ns)
        obs = (
            (event.times_ns - event.reference_ns) / 1e9 - terms,
            np.sqrt(event.sigmas**2 + variances),
            event.outliers,
            event.phases,
            event.receivers,
            east,
            north,
            np.full(n, scales) if np.ndim(scales) == 0 else np.asarray(scales, float),
            np.empty((0, 0)),
        )
        errors = (
            settings.model_error_floor_s,
            settings.model_error_fraction,
            settings.outlier_width_s,
        )
        prior = None if self.prior is None else bind(self.prior, target.projection)
        return Problem(self.tables.arrays, self.coarse, obs, errors, target.box, prior)

    def coupled(self, problem: Problem, point: Array, shared: Array | None) -> Problem:
        """Return the problem with the errors of its picks correlated as at ``point`` (4,)."""
        phases, east, north = problem.obs[3], problem.obs[5], problem.obs[6]
        length = self.settings.model_error_correlation_km
        alike = _coupling.correlation(east, north, phases, length)
        if length == 0.0:
            alike = np.eye(len(phases))
        matrix = _coupling.coupling(
            problem.tables, problem.obs, problem.errors, point, shared, alike
        )
        return replace(problem, obs=(*problem.obs[:8], matrix))


def prepare(
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: LocationSettings,
    prior: Prior | None,
) -> Prepared:
    """Join the tables and build the travel times that all events need."""
    return prepared(join(assignments, picks, stations, settings), model, settings, prior)


def prepared(
    observed: Observations,
    model: VelocityModel,
    settings: LocationSettings,
    prior: Prior | None,
    least_reach_km: float = 0.0,
) -> Prepared:
    """Build the travel times that all events need, to ``least_reach_km`` at least."""
    problems = list(observed.problems)
    enough = _MIN_PICKS if prior is None else _MIN_PICKS_WITH_PRIOR
    targets = []
    for event in observed.events():
        if len(event.pick_ids) < enough:
            detail = f"{len(event.pick_ids)}, {enough} needed"
            problems.append(problem_row(event.event_id, "too few picks", detail))
        else:
            targets.append(Target(event, *_region(event, model, settings)))
    if not targets:
        return Prepared([], None, None, settings, prior, problems)
    depths, band = _search.band_depths(observed.receiver_depths)
    receivers = np.concatenate([observed.receiver_depths, depths])
    reach_km = max(_diagonal_km(target.box[:, :2]) for target in targets)
    tables = _tables(model, receivers, max(reach_km, least_reach_km), settings)
    return Prepared(targets, tables, coarse_times(tables, band), settings, prior, problems)


def network_reach_km(places: Places, settings: LocationSettings) -> float:
    """Return how far travel times must reach for an event that all stations picked.

    `_SHARED_KM` at most: longer tables are costly.
    """
    rows = [row for rows in places.rows_of.values() for row in rows]
    if not rows:
        return 0.0
    lonlat = places.place[rows, 0], places.place[rows, 1]
    plan = _plan(*LocalProjection.around(*lonlat).forward(*lonlat), settings)
    return min(_diagonal_km(plan), _SHARED_KM)


def problem_row(event_id: str, problem: str, detail: str, action: str = "not located") -> dict:
    """Return a row of PROBLEMS."""
    return {"what": event_id, "problem": problem, "detail": detail, "action": action}


def _region(
    event: EventPicks, model: VelocityModel, settings: LocationSettings
) -> tuple[LocalProjection, Array]:
    """Return the plane of an event and the region searched, from its own stations alone."""
    centre = LocalProjection.around(event.longitudes, event.latitudes)
    projection = _projection(round(2 * centre.longitude) / 2, round(2 * centre.latitude) / 2)
    low, high = _plan(*projection.forward(event.longitudes, event.latitudes), settings)
    top = settings.min_depth_km
    if top is None:
        top = max(_top(model, settings), -float(event.elevations_m.max()) / 1000.0)
    if top >= settings.max_depth_km:
        raise ModelError(
            f"model '{model.name}' starts at {top:g} km, below max_depth_km = "
            f"{settings.max_depth_km:g}; raise max_depth_km"
        )
    return projection, np.array([[*low, top], [*high, settings.max_depth_km]])


def _diagonal_km(plan: Array) -> float:
    return float(np.hypot(*(plan[1] - plan[0])))


def _plan(east: Array, north: Array, settings: LocationSettings) -> Array:
    """Return the least and greatest easting and northing (2, 2) searched around stations (km)."""
    aperture = float(np.hypot(np.ptp(east), np.ptp(north)))
    margin = max(settings.search_margin_km, settings.search_margin_factor * aperture)
    low = [east.min() - margin, north.min() - margin]
    return np.array([low, [east.max() + margin, north.max() + margin]])


@lru_cache(maxsize=256)
def _projection(longitude: float, latitude: float) -> LocalProjection:
    return LocalProjection(longitude, latitude)


def _top(model: VelocityModel, settings: LocationSettings) -> float:
    """Return the shallowest depth of the tables; it must not depend on the stations."""
    if settings.min_depth_km is not None:
        return settings.min_depth_km
    return max(float(model.depth_km[0]), _HIGHEST_KM)


def _tables(
    model: VelocityModel, receiver_depths: Array, reach_km: float, settings: LocationSettings
) -> TravelTimeTables:
    return build_tables(
        model,
        receiver_depths,
        max_distance_km=_REACH_KM * 2.0 ** np.ceil(np.log2(max(reach_km / _REACH_KM, 1.0))),
        min_depth_km=_top(model, settings),
        max_depth_km=settings.max_depth_km,
    )
