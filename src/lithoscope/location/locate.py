"""Locate events: the posterior of each hypocentre from its picks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.errors import ModelError
from lithoscope.geo import LocalProjection
from lithoscope.location import _search, _summary
from lithoscope.location._kernels import CoarseTimes
from lithoscope.location._observations import EventPicks, join
from lithoscope.location._sampling import sample
from lithoscope.location._search import Mode, Problem, coarse_times
from lithoscope.location.priors import Prior, bind
from lithoscope.location.settings import LocationSettings
from lithoscope.traveltimes import TravelTimeTables, VelocityModel, build_tables

Array = NDArray[np.float64]

# Four unknowns: fewer picks leave a line or more of equally good hypocentres.
_MIN_PICKS = 4
_MIN_PICKS_WITH_PRIOR = 3
# Tables reach this far times a power of two, so that other events rarely change them.
_REACH_KM = 100.0
_HIGHEST_KM = -9.0
_NOT_CLASSIFIED = "not classified"


@dataclass(frozen=True)
class Located:
    """What `locate` returns.

    Attributes
    ----------
    events, arrivals
        Tables EVENTS and ARRIVALS; every located event and every one of its picks.
    samples
        By event id, ``(n, 4)``: origin time (s), east, north (km), depth (km, positive down), each
        relative to the maximum in ``events``; None unless asked for.
    problems
        Table PROBLEMS: events not located and why, and posteriors to be read with care.
    """

    events: pd.DataFrame
    arrivals: pd.DataFrame
    samples: dict[str, Array] | None
    problems: pd.DataFrame


def locate(
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: LocationSettings | None = None,
    *,
    prior: Prior | None = None,
    keep_samples: bool = False,
) -> Located:
    """Compute the posterior of origin time and hypocentre of each event.

    The likelihood of a pick is a mixture: with probability ``1 - eps`` its residual is Gaussian
    with the variance ``time_sigma_s**2 + floor**2 + (fraction * travel time)**2``, with ``eps`` it
    is uniform over ``outlier_width_s``. The prior is uniform in space and time over the searched
    region unless one is given. The maximum is found by a search of the whole region, the posterior
    by importance sampling; see ``docs/location.md``.

    Parameters
    ----------
    assignments, picks, stations
        Tables ASSIGNMENTS, PICKS, STATIONS. Other rows than those of an event change nothing in its
        answer; nor does the order of rows.
    model
        Velocities by depth.
    settings
        See `LocationSettings`.
    prior
        Knowledge beside the picks, see `lithoscope.location.priors`.
    keep_samples
        Whether to return posterior samples.

    Returns
    -------
    Located
        The point given is the maximum of the posterior; regions hold 68 % and 95 % of it. The
        ellipse is centred on the maximum, the depth interval is the shortest.

    Raises
    ------
    DataError, StationError
        If a table cannot be used; the pick or station is named.

    Notes
    -----
    An error of the velocity model beyond the model error of the settings is not in the covariance.
    Events with fewer than 4 picks (3 with a prior) are not located; they are in ``problems``.
    """
    settings = settings or LocationSettings()
    observed = join(assignments, picks, stations, settings)
    rows, parts = [], []
    samples: dict[str, Array] = {}
    problems = list(observed.problems)
    enough = _MIN_PICKS if prior is None else _MIN_PICKS_WITH_PRIOR
    located = []
    for event in observed.events():
        if len(event.pick_ids) < enough:
            problems.append(
                _problem(event.event_id, "too few picks", f"{len(event.pick_ids)}, {enough} needed")
            )
        else:
            located.append((event, *_region(event, model, settings)))
    if located:
        depths, band = _search.band_depths(observed.receiver_depths)
        receivers = np.concatenate([observed.receiver_depths, depths])
        tables = _tables(model, receivers, [box for _, _, box in located], settings)
        coarse = coarse_times(tables, band)
        for event, projection, box in located:
            row, columns, draws, found = _locate_one(
                event, projection, box, tables, coarse, settings, prior, keep_samples
            )
            rows.append(row)
            parts.append(columns)
            problems.extend(found)
            samples[event.event_id] = draws
    return Located(
        schema.EVENTS.table(rows),
        _arrivals_table(parts),
        samples if keep_samples else None,
        schema.PROBLEMS.table(problems),
    )


def _problem(event_id: str, problem: str, detail: str, action: str = "not located") -> dict:
    return {"what": event_id, "problem": problem, "detail": detail, "action": action}


def _region(
    event: EventPicks, model: VelocityModel, settings: LocationSettings
) -> tuple[LocalProjection, Array]:
    """Return the plane of an event and the region searched, from its own stations alone."""
    centre = LocalProjection.around(event.longitudes, event.latitudes)
    projection = _projection(round(2 * centre.longitude) / 2, round(2 * centre.latitude) / 2)
    east, north = projection.forward(event.longitudes, event.latitudes)
    aperture = float(np.hypot(np.ptp(east), np.ptp(north)))
    margin = max(settings.search_margin_km, settings.search_margin_factor * aperture)
    top = settings.min_depth_km
    if top is None:
        top = max(_top(model, settings), -float(event.elevations_m.max()) / 1000.0)
    if top >= settings.max_depth_km:
        raise ModelError(
            f"model '{model.name}' starts at {top:g} km, below max_depth_km = "
            f"{settings.max_depth_km:g}; raise max_depth_km"
        )
    low = [east.min() - margin, north.min() - margin, top]
    high = [east.max() + margin, north.max() + margin, settings.max_depth_km]
    return projection, np.array([low, high])


@lru_cache(maxsize=256)
def _projection(longitude: float, latitude: float) -> LocalProjection:
    return LocalProjection(longitude, latitude)


def _top(model: VelocityModel, settings: LocationSettings) -> float:
    """Return the shallowest depth of the tables; it must not depend on the stations."""
    if settings.min_depth_km is not None:
        return settings.min_depth_km
    return max(float(model.depth_km[0]), _HIGHEST_KM)


def _tables(
    model: VelocityModel, receiver_depths: Array, boxes: list[Array], settings: LocationSettings
) -> TravelTimeTables:
    reach = max(float(np.hypot(*(box[1, :2] - box[0, :2]))) for box in boxes)
    return build_tables(
        model,
        receiver_depths,
        max_distance_km=_REACH_KM * 2.0 ** np.ceil(np.log2(max(reach / _REACH_KM, 1.0))),
        min_depth_km=_top(model, settings),
        max_depth_km=settings.max_depth_km,
    )


def _locate_one(
    event: EventPicks,
    projection: LocalProjection,
    box: Array,
    tables: TravelTimeTables,
    coarse: CoarseTimes,
    settings: LocationSettings,
    prior: Prior | None,
    keep_samples: bool,
) -> tuple[dict[str, Any], dict[str, Any], Array, list[dict]]:
    """Return the event's row, arrival columns, samples and problems."""
    east, north = projection.forward(event.longitudes, event.latitudes)
    seconds = (event.times_ns - event.reference_ns) / 1e9
    obs = (seconds, event.sigmas, event.outliers, event.phases, event.receivers, east, north)
    errors = (
        settings.model_error_floor_s,
        settings.model_error_fraction,
        settings.outlier_width_s,
    )
    problem = Problem(
        tables.arrays, coarse, obs, errors, box, None if prior is None else bind(prior, projection)
    )
    seed = int.from_bytes(hashlib.sha256(event.event_id.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    modes = _search.find_modes(problem)
    answer = sample(problem, modes, rng, settings.n_samples)
    modes = _improve(problem, modes, answer)
    point = modes[0].point
    row: dict[str, Any] = _summary.uncertainty(answer, point)
    columns, quality = _summary.arrivals(event, problem, point, projection)
    row |= quality
    row["n_modes"] = _summary.count_modes(answer, _search.separate(problem, modes))
    aperture = float(np.hypot(np.ptp(east), np.ptp(north)))
    wide = 2.0 * row["ellipse_95_major_km"] > aperture
    row["ambiguous"] = row["n_modes"] > 1 or wide
    row["event_id"] = event.event_id
    row["time"] = pd.Timestamp(event.reference_ns + round(point[0] * 1e9), tz="UTC")
    longitude, latitude = projection.inverse(point[1], point[2])
    row |= {"longitude": float(longitude), "latitude": float(latitude)}
    row |= {"depth_km": float(point[3]), "event_type": _NOT_CLASSIFIED}
    draws = np.empty((0, 4))
    if keep_samples:
        draws = answer.resample(settings.n_samples, rng) - point
    columns |= {
        "event_id": np.full(len(event.pick_ids), event.event_id),
        "pick_id": np.array(event.pick_ids),
        "station": np.array(event.stations),
        "phase": np.where(event.phases == 0, "P", "S"),
        "time_ns": event.times_ns,
    }
    return row, columns, draws, _warnings(event, answer, settings, box)


def _improve(problem: Problem, modes: list[Mode], answer: Any) -> list[Mode]:
    """Climb from the best draw when it beats the best maximum found (kinks, priors)."""
    best = int(np.argmax(answer.log_posterior))
    if problem.prior is not None and answer.log_posterior[best] > -np.inf:
        scale = modes[0].covariance
        start = Mode(answer.points[best], scale, float(answer.log_posterior[best]))
        return _search.distinct([_search.polish(problem, start), *modes])
    if answer.log_posterior[best] <= modes[0].value:
        return modes
    mode = _search.climb_from_sample(problem, answer.points[best])
    return _search.distinct([mode, *modes])


def _warnings(event: EventPicks, answer: Any, settings: LocationSettings, box: Array) -> list[dict]:
    """Say what is wrong with the posterior, if anything."""
    found = []
    if answer.status != "converged":
        found.append(
            _problem(
                event.event_id,
                "posterior poorly sampled",
                f"effective size {answer.effective_size:.0f} of {settings.n_samples} wanted",
                "located; regions are rough",
            )
        )
    edge = 0.01 * (box[1, :2] - box[0, :2])
    places = answer.points[:, 1:3]
    outer = np.any((places < box[0, :2] + edge) | (places > box[1, :2] - edge), axis=1)
    share = float(answer.weights[outer].sum())
    if share > 0.01:
        found.append(
            _problem(
                event.event_id,
                "posterior reaches the edge of the search",
                f"{100 * share:.0f} % of it; raise search_margin_km",
                "located; regions are too small",
            )
        )
    return found


def _arrivals_table(parts: list[dict[str, Any]]) -> pd.DataFrame:
    if not parts:
        return schema.ARRIVALS.empty()
    joined: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    joined["time"] = pd.to_datetime(joined.pop("time_ns"), unit="ns", utc=True)
    return schema.ARRIVALS.table(joined)
