"""Static station terms: what the model's times lack at a station, for all events of a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.errors import DataError
from lithoscope.location import _coupling, _joint, _kernels, _search
from lithoscope.location._joint import Fit, Rows, Shift
from lithoscope.location._observations import EventPicks
from lithoscope.location._prepare import Prepared, Target, prepare, problem_row
from lithoscope.location._search import Problem
from lithoscope.location.priors import Prior
from lithoscope.location.settings import LocationSettings
from lithoscope.traveltimes import VelocityModel

Array = NDArray[np.float64]

# So many events tell all that static terms can; the best recorded ones are taken.
_MAX_EVENTS = 1500
_MAX_ITERATIONS = 15
_TOLERANCE_S = 5e-3
# The first round doubts the model more than the settings do, so that no station whose term is
# large is taken for a series of outliers.
_FIRST_SCALE = 2.0
# What the terms given by a user leave of the model error's variance.
_LEFT_BY_GIVEN = 0.2
_ANCHORS = ["event_id", "origin_s", "easting_km", "northing_km", "depth_km"]


@dataclass(frozen=True)
class StationTerms:
    """Terms that `locate` adds to predicted times, with their uncertainty.

    Attributes
    ----------
    table
        Table STATION_TERMS: ``term_s`` is positive where waves come later than the model says.
    fit
        How the terms were found; None when they were given: their correlation then follows the
        distance between stations.
    anchors
        Where each event stood when the terms were estimated (event_id, origin_s after its first
        pick, easting_km, northing_km, depth_km): serves to leave an event's own picks out of the
        terms it is given. Empty for given terms.
    scale, left
        Factors on the model error of the settings: for picks without a term, and for those with
        one (what is not static).
    problems
        Table PROBLEMS.
    """

    table: pd.DataFrame
    fit: Fit | None = None
    anchors: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_ANCHORS))
    scale: float = 1.0
    left: float = float(np.sqrt(_LEFT_BY_GIVEN))
    problems: pd.DataFrame = field(default_factory=schema.PROBLEMS.empty)

    def index(self, event: EventPicks) -> NDArray[np.int64]:
        """Return the table's row of each pick, -1 where it has none."""
        rows = {
            key: k
            for k, key in enumerate(zip(self.table["station"], self.table["phase"], strict=True))
        }
        keys = zip(event.stations, np.where(event.phases == 0, "P", "S"), strict=True)
        return np.array([rows.get((s, str(p)), -1) for s, p in keys], np.int64)

    def to_tables(self) -> dict[str, pd.DataFrame]:
        """Return everything as tables; `from_tables` reads them back."""
        tables = {"terms": self.table, "anchors": self.anchors, "problems": self.problems}
        factors = {"scale": self.scale, "left": self.left}
        if self.fit is not None:
            factors["share"] = self.fit.share
            columns = [self.fit.terms, *self.fit.shift.kernel.T, *self.fit.shift.operator]
            columns += list(self.fit.covariance)
            tables["fit"] = pd.DataFrame({f"{k:05d}": v for k, v in enumerate(columns)})
        return {**tables, "factors": pd.DataFrame([factors])}

    @classmethod
    def from_tables(cls, tables: Mapping[str, pd.DataFrame]) -> StationTerms:
        """Return what `to_tables` has written."""
        factors = tables["factors"].iloc[0]
        fit = None
        if "fit" in tables:
            columns = np.ascontiguousarray(tables["fit"].to_numpy(float).T)
            shift = Shift(np.ascontiguousarray(columns[1:5].T), columns[5:9])
            fit = Fit(columns[0], columns[9:], shift, float(factors["scale"]), factors["share"])
        return cls(
            schema.STATION_TERMS.check(tables["terms"]),
            fit,
            tables["anchors"],
            float(factors["scale"]),
            float(factors["left"]),
            schema.PROBLEMS.check(tables["problems"]),
        )


def read_station_terms(path: Path) -> StationTerms:
    """Read terms from a CSV file with columns station, phase, term_s, sigma_s.

    Raises
    ------
    DataError
        If the file cannot be read, a station and phase stands twice, or a value is out of range.
    """
    try:
        table = schema.STATION_TERMS.check(pd.read_csv(path, comment="#"))
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise DataError(f"station terms '{path}': {error}") from None
        reason = str(error).splitlines()[0]
        raise DataError(f"station terms '{path}' cannot be read: {reason}") from None
    twice = table.duplicated(["station", "phase"])
    wrong = ~table["phase"].isin(["P", "S"]) | ~np.isfinite(table["term_s"])
    wrong |= ~(table["sigma_s"] >= 0)
    for bad, why in ((twice, "stands twice"), (wrong, "needs phase P or S, a term, sigma_s >= 0")):
        if bad.any():
            row = table[bad].iloc[0]
            raise DataError(f"station terms '{path}': {row['station']} {row['phase']} {why}")
    return StationTerms(table)


def estimate_station_terms(
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    settings: LocationSettings | None = None,
    *,
    prior: Prior | None = None,
) -> StationTerms:
    """Estimate terms of all stations and phases jointly with the events' hypocentres.

    Terms have a Gaussian prior of zero mean whose size is the static share of the model error of
    the settings, so that few or doubtful picks give small terms; the size and the share themselves
    are found from the residuals (empirical Bayes, see `_joint`). What a common shift of all events
    could explain is left at the prior and stays in the covariance. Hypocentres and terms are
    iterated to convergence. The order of rows changes nothing.

    Returns
    -------
    StationTerms
        No rows where the settings give the model no error.
    """
    settings = settings or LocationSettings()
    prepared = prepare(assignments, picks, stations, model, settings, prior)
    if settings.model_error_floor_s == 0.0 and settings.model_error_fraction == 0.0:
        return StationTerms(schema.STATION_TERMS.empty())
    largest = sorted(prepared.targets, key=lambda t: (-len(t.event.pick_ids), t.event.event_id))
    targets = sorted(largest[:_MAX_EVENTS], key=lambda t: t.event.event_id)
    if not targets:
        return StationTerms(schema.STATION_TERMS.empty())
    return _iterate(prepared, targets)


def _iterate(prepared: Prepared, targets: list[Target]) -> StationTerms:
    keys, alike = _keys(targets, prepared.settings)
    rows = {key: k for k, key in enumerate(keys)}
    index = [
        np.array([rows[s, "PS"[p]] for s, p in zip(t.event.stations, t.event.phases, strict=True)])
        for t in targets
    ]
    terms = np.zeros(len(keys))
    points: list[Array] = []
    left, change, shifted, linear, fit = _FIRST_SCALE, np.inf, terms, None, None
    for _ in range(_MAX_ITERATIONS):
        problems = [
            prepared.problem(t, terms[k], np.zeros(len(k)), left)
            for t, k in zip(targets, index, strict=True)
        ]
        points = _climb(problems, points)
        linear = _linearise(targets, problems, points, index, terms)
        fit = _joint.solve(linear, alike)
        shifted = fit.shift.of(fit.terms)
        change = float(np.abs(fit.terms - shifted - terms).max())
        terms, left = fit.terms - shifted, fit.scale * np.sqrt(1.0 - fit.share)
        if change < _TOLERANCE_S:
            break
    assert fit is not None
    assert linear is not None
    table = schema.STATION_TERMS.table(
        {
            "station": [key[0] for key in keys],
            "phase": [key[1] for key in keys],
            "term_s": terms,
            "sigma_s": np.sqrt(np.diag(fit.covariance) + shifted**2),
            "n_picks": np.bincount(linear.term, linear.weight > 0.5, len(keys)).astype(int),
        }
    )
    anchors = pd.DataFrame(np.array(points), columns=_ANCHORS[1:])
    anchors.insert(0, "event_id", [t.event.event_id for t in targets])
    found = []
    if change >= _TOLERANCE_S:
        detail = f"they still changed by {change:.3f} s after {_MAX_ITERATIONS} rounds"
        found = [problem_row("station terms", "not converged", detail, "used as they are")]
    return StationTerms(table, fit, anchors, fit.scale, float(left), schema.PROBLEMS.table(found))


def _keys(targets: list[Target], settings: LocationSettings) -> tuple[list[tuple[str, str]], Array]:
    """Return the sorted pairs of station and phase, and the correlation of their terms."""
    places: dict[tuple[str, str], tuple[float, float]] = {}
    for t in targets:
        event = t.event
        for k, name in enumerate(event.stations):
            places[name, "PS"[event.phases[k]]] = (event.longitudes[k], event.latitudes[k])
    keys = sorted(places)
    lon, lat = np.array([places[key] for key in keys]).T
    plane = targets[0].projection.around(lon, lat)
    east, north = plane.forward(lon, lat)
    phases = np.array([key[1] == "S" for key in keys], np.int64)
    return keys, _coupling.correlation(east, north, phases, settings.model_error_correlation_km)


def _climb(problems: list[Problem], points: list[Array]) -> list[Array]:
    """Return the maxima: sought globally at first, then from where they were."""
    if not points:
        return [_search.find_modes(problem)[0].point for problem in problems]
    return [
        _search.climb_from_sample(problem, point).point
        for problem, point in zip(problems, points, strict=True)
    ]


def _linearise(
    targets: list[Target],
    problems: list[Problem],
    points: list[Array],
    index: list[NDArray[np.int64]],
    terms: Array,
) -> Rows:
    parts = [
        linear_rows(t.event, problem, point, terms[k])
        for t, problem, point, k in zip(targets, problems, points, index, strict=True)
    ]
    first = np.concatenate([[0], np.cumsum([len(k) for k in index])]).astype(np.int64)
    joined = [np.ascontiguousarray(np.concatenate(columns)) for columns in zip(*parts, strict=True)]
    return Rows(first, np.concatenate(index).astype(np.int64), *joined)


def linear_rows(
    event: EventPicks, problem: Problem, point: Array, terms: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Return residual before terms, kernel, pick variance, model error, weight (see `Rows`).

    ``problem`` has the terms taken off its picks; a depth at the edge of the region is fixed.
    """
    work = np.empty((len(event.times_ns), 4))
    _kernels.predict(problem.tables, problem.obs, point[1], point[2], point[3], work)
    residual = problem.obs[0] - point[0] - work[:, 0]
    weight = _kernels.weights(problem.obs, problem.errors, residual, work)
    kernel = np.column_stack([np.ones(len(work)), work[:, 1:]])
    for axis in range(3):
        if np.min(np.abs(point[1 + axis] - problem.box[:, axis])) < 1e-6:
            kernel[:, 1 + axis] = 0.0
    model = _coupling.model_error(work[:, 0], problem.errors)
    return residual + terms, kernel, event.sigmas**2, model, weight


def for_event(
    prepared: Prepared, target: Target, terms: StationTerms | None, anchor: Array | None
) -> tuple[Problem, Array | None]:
    """Return an event's problem with its terms, and the covariance of these (or None).

    Terms that the event took part in estimating are given as the other events have them.
    """
    event = target.event
    n = len(event.pick_ids)
    if terms is None:
        return prepared.problem(target, np.zeros(n), np.zeros(n), 1.0), None
    index = terms.index(event)
    known = index >= 0
    values = np.append(terms.table["term_s"].to_numpy(float), 0.0)[index]  # -1 is the last
    scales = np.where(known, terms.left, terms.scale)
    if anchor is not None and terms.fit is not None:
        problem = prepared.problem(target, values, np.zeros(n), terms.left)
        residual, kernel, pick, model, weight = linear_rows(event, problem, anchor, values)
        precision = weight / (pick + (terms.left * model) ** 2)
        values, shared = _joint.without(terms.fit, index, kernel, precision, residual)
    else:
        shared = _shared(prepared, target, terms, index)
    return prepared.problem(target, values, np.diag(shared).copy(), scales), shared


def _shared(
    prepared: Prepared, target: Target, terms: StationTerms, index: NDArray[np.int64]
) -> Array:
    """Return the (n, n) covariance of the terms of an event's picks; zero where there is none."""
    if terms.fit is not None:
        known = (index >= 0).astype(float)
        shift = terms.fit.shift.of(terms.fit.terms)
        matrix = terms.fit.covariance + np.outer(shift, shift)
        return np.asarray(matrix[np.ix_(index, index)] * np.outer(known, known))
    sigma = np.append(terms.table["sigma_s"].to_numpy(float), 0.0)[index]
    event = target.event
    east, north = target.projection.forward(event.longitudes, event.latitudes)
    length = prepared.settings.model_error_correlation_km
    alike = _coupling.correlation(east, north, event.phases, length)
    return np.asarray(alike * np.outer(sigma, sigma))


def anchors_by_event(terms: StationTerms | None) -> dict[str, Array]:
    """Return where each event stood when the terms were estimated."""
    if terms is None or terms.anchors.empty:
        return {}
    places = terms.anchors[_ANCHORS[1:]].to_numpy(float)
    return dict(zip(terms.anchors["event_id"], places, strict=True))
