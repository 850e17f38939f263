"""Locate events: the posterior of each hypocentre from its picks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.geo import LocalProjection
from lithoscope.location import _search, _summary
from lithoscope.location._observations import EventPicks
from lithoscope.location._prepare import Prepared, Target, prepare, problem_row
from lithoscope.location._sampling import sample
from lithoscope.location._search import Mode, Problem
from lithoscope.location.priors import Prior
from lithoscope.location.settings import LocationSettings
from lithoscope.location.terms import (
    StationTerms,
    anchors_by_event,
    estimate_station_terms,
    for_event,
    read_station_terms,
)
from lithoscope.traveltimes import VelocityModel

Array = NDArray[np.float64]

_NOT_CLASSIFIED = "not classified"
# Left-out picks are reported when chance alone would leave out as many less often than this.
_SELDOM = 0.05


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
    terms
        Station terms that were used; None for none.
    planes
        By event id, the plane that east and north of the samples lie in; None unless asked for.
    """

    events: pd.DataFrame
    arrivals: pd.DataFrame
    samples: dict[str, Array] | None
    problems: pd.DataFrame
    terms: StationTerms | None = None
    planes: dict[str, LocalProjection] | None = None


def locate(
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: LocationSettings | None = None,
    *,
    prior: Prior | None = None,
    keep_samples: bool = False,
    terms: StationTerms | None = None,
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
    if terms is None:
        terms = station_terms(assignments, picks, stations, model, settings, prior=prior)
    prepared = prepare(assignments, picks, stations, model, settings, prior)
    anchors = anchors_by_event(terms)
    rows, parts = [], []
    samples: dict[str, Array] = {}
    problems = list(prepared.problems)
    if terms is not None:
        found_before: list[dict[str, Any]] = terms.problems.to_dict("records")  # type: ignore[assignment]
        problems += found_before
    for target in prepared.targets:
        key = target.event.event_id
        problem, shared = for_event(prepared, target, terms, anchors.get(key))
        row, columns, draws, found = locate_one(prepared, target, problem, shared, keep_samples)
        rows.append(row)
        parts.append(columns)
        problems.extend(found)
        samples[key] = draws
    return Located(
        schema.EVENTS.table(rows),
        arrivals_table(parts),
        samples if keep_samples else None,
        schema.PROBLEMS.table(problems),
        terms,
        {t.event.event_id: t.projection for t in prepared.targets} if keep_samples else None,
    )


def station_terms(
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: LocationSettings,
    *,
    prior: Prior | None = None,
) -> StationTerms | None:
    """Return the station terms that the settings ask for: none, estimated, or from a file."""
    if settings.station_terms == "none":
        return None
    if settings.station_terms == "estimate":
        return estimate_station_terms(assignments, picks, stations, model, settings, prior=prior)
    return read_station_terms(Path(settings.station_terms))


def locate_one(
    prepared: Prepared,
    target: Target,
    problem: Problem,
    shared: Array | None,
    keep_samples: bool,
) -> tuple[dict[str, Any], dict[str, Any], Array, list[dict]]:
    """Return the event's row of EVENTS, arrival columns, samples and problems."""
    event, projection, settings = target.event, target.projection, prepared.settings
    seed = int.from_bytes(hashlib.sha256(event.event_id.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    modes = _search.find_modes(problem)
    if shared is not None or settings.correlated:
        problem = prepared.coupled(problem, modes[0].point, shared)
        modes = _search.climb_again(problem, modes)
    answer = sample(problem, modes, rng, settings.n_samples)
    modes = _improve(problem, modes, answer)
    point = modes[0].point
    row: dict[str, Any] = _summary.uncertainty(answer, point)
    columns, quality = _summary.arrivals(event, problem, point, projection)
    row |= quality
    row["n_modes"] = _summary.count_modes(answer, _search.separate(problem, modes))
    aperture = float(np.hypot(np.ptp(problem.obs[5]), np.ptp(problem.obs[6])))
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
    found = _warnings(event, answer, settings, target.box)
    return row, columns, draws, found + _contradiction(event, columns["weight"])


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
            problem_row(
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
            problem_row(
                event.event_id,
                "posterior reaches the edge of the search",
                f"{100 * share:.0f} % of it; raise search_margin_km",
                "located; regions are too small",
            )
        )
    return found


def _contradiction(event: EventPicks, weights: Array) -> list[dict]:
    """Say when more picks were left out than their probabilities of being wrong allow."""
    n_out = int((weights <= 0.5).sum())
    chance = _summary.at_least(n_out, event.outliers)
    if chance >= _SELDOM:
        return []
    detail = (
        f"{n_out} of {len(weights)} left out, {event.outliers.sum():.1f} expected "
        f"(chance {chance:.1g}); perhaps of two events, or a wrong model"
    )
    row = problem_row(
        event.event_id, "picks contradict each other", detail, "located; look at the picks"
    )
    return [row]


def arrivals_table(parts: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the arrival columns of some events as ARRIVALS."""
    if not parts:
        return schema.ARRIVALS.empty()
    joined: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    joined["time"] = pd.to_datetime(joined.pop("time_ns"), unit="ns", utc=True)
    return schema.ARRIVALS.table(joined)
