"""Station terms and correlated model errors: what they must reproduce, keep, and cover."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from location_helpers import LAYERS, check_against_truth, simulate
from scipy.stats import multivariate_normal
from uneven_earth import with_station_terms

from lithoscope.errors import DataError
from lithoscope.location import (
    LocationSettings,
    StationTerms,
    _coupling,
    _joint,
    estimate_station_terms,
    locate,
    read_station_terms,
)
from lithoscope.location._joint import Rows
from lithoscope.location._kernels import log_likelihood, predict
from lithoscope.location._prepare import prepare
from lithoscope.location._search import climb_from_sample

ESTIMATE = LocationSettings(station_terms="estimate")
NONE = LocationSettings()


@pytest.fixture(scope="module")
def uneven():
    return with_station_terms(0, 16, 0.2)


@pytest.fixture(scope="module")
def terms(uneven):
    return estimate_station_terms(*uneven[:3], LAYERS, ESTIMATE)


def test_terms_mend_the_errors_and_the_regions(uneven, terms):
    """Terms of 0.2 s are four times the floor of the model error: without them regions fail."""
    assignments, picks, stations, truth = uneven
    checks = {}
    for name, given, settings in (("with", terms, ESTIMATE), ("without", None, NONE)):
        events = locate(assignments, picks, stations, LAYERS, settings, terms=given).events
        checks[name] = check_against_truth(events, truth)
    # Events over the whole network separate terms from hypocentres: what is left is the picks'.
    assert (
        checks["with"]["epicentre_km"].median() < 0.6 * checks["without"]["epicentre_km"].median()
    )
    # 16 events of one network share its errors; a region of 95 % may miss a few of them.
    assert checks["with"]["epicentre_95"].mean() >= 0.75
    assert checks["with"]["epicentre_95"].mean() > checks["without"]["epicentre_95"].mean()


def test_order_of_rows_changes_no_term(uneven, terms):
    rng = np.random.default_rng(3)
    mixed = [table.iloc[rng.permutation(len(table))] for table in uneven[:3]]
    again = estimate_station_terms(*mixed, LAYERS, ESTIMATE)
    pd.testing.assert_frame_equal(again.table, terms.table)
    assert again.problems.empty


def test_terms_survive_their_tables(uneven, terms):
    assignments, picks, stations, _ = uneven
    one = assignments[assignments["event_id"] == "ev00003"]
    again = StationTerms.from_tables(terms.to_tables())
    first, second = (locate(one, picks, stations, LAYERS, terms=t).events for t in (terms, again))
    pd.testing.assert_frame_equal(first, second)


def test_without_error_of_the_model_there_are_no_terms(uneven):
    exact = {"model_error_floor_s": 0.0, "model_error_fraction": 0.0}
    found = estimate_station_terms(*uneven[:3], LAYERS, ESTIMATE.model_copy(update=exact))
    assert found.table.empty


def _rows(rng, n_events=6, n_terms=8):
    """Return linear picks of events in one place, each with six of eight terms."""
    term = np.concatenate([np.sort(rng.permutation(n_terms)[:6]) for _ in range(n_events)])
    mean = rng.normal(0, 0.15, (n_terms, 4))
    mean[:, 0] = 1.0
    kernel = mean[term] + rng.normal(0, 0.01, (len(term), 4)) * [0, 1, 1, 1]
    n = len(term)
    return Rows(
        np.arange(0, n + 1, 6),
        term,
        rng.normal(0, 0.2, n),
        kernel,
        np.full(n, 0.05**2),
        rng.uniform(0.1, 0.2, n),
        rng.uniform(0.5, 1.0, n),
    )


def test_leaving_an_event_out_is_solving_without_it():
    """Against the sum over the other events, solved anew."""
    rows = _rows(np.random.default_rng(1))
    fit = _joint.solve(rows, np.eye(8))
    independent = fit.scale**2 * (1 - fit.share)
    variance = (fit.scale * _joint.typical_error(rows, 8)) ** 2 * fit.share
    precision = rows.weight / (rows.pick + independent * rows.model**2)
    matrix, vector = np.diag(1 / variance), np.zeros(8)
    for first in range(6, len(rows.term), 6):
        mine = slice(first, first + 6)
        q = _joint.project(np.ascontiguousarray(rows.kernel[mine]), precision[mine])
        incidence = np.eye(8)[rows.term[mine]]
        matrix += incidence.T @ q @ incidence
        vector += incidence.T @ q @ rows.residual[mine]
    expected = np.linalg.solve(matrix, vector)
    shift = fit.shift.of(expected)
    index = rows.term[:6]
    found, covariance = _joint.without(
        fit, index, np.ascontiguousarray(rows.kernel[:6]), precision[:6], rows.residual[:6]
    )
    # The prior carries a relative 1e-6 to stay invertible.
    assert np.allclose(found, (expected - shift)[index], rtol=0, atol=1e-5)
    wanted = np.linalg.inv(matrix)[np.ix_(index, index)] + np.outer(shift[index], shift[index])
    assert np.allclose(covariance, wanted, rtol=1e-3, atol=1e-6)


def test_terms_of_one_place_do_not_move_its_events():
    """Where all events are at one point, a shift of the hypocentre is no station term."""
    rng = np.random.default_rng(2)
    rows = _rows(rng)
    kernel = rows.kernel.copy()
    for k in range(8):
        kernel[rows.term == k] = kernel[rows.term == k][0]
    shift = np.array([0.3, 2.0, -1.0, 1.5])
    rows = rows._replace(kernel=kernel, residual=rows.residual + kernel @ shift)
    fit = _joint.solve(rows, np.eye(8))
    left = fit.terms - fit.shift.of(fit.terms)
    moved = fit.shift.operator @ left
    # A step of 20 km is allowed a priori, so 1e-3 of the shift stays in the terms at most.
    assert np.all(np.abs(moved) < 2e-2)


def test_correlated_likelihood_is_the_multivariate_normal():
    assignments, picks, stations, _ = simulate(3, 1, outliers=0.0, n_p=8, n_s=6)
    settings = LocationSettings(
        model_error_floor_s=0.2, model_error_fraction=0.0, outlier_probability=1e-12
    )
    prepared = prepare(assignments, picks, stations, LAYERS, settings, None)
    target = prepared.targets[0]
    n = len(target.event.pick_ids)
    problem = prepared.problem(target, np.zeros(n), np.zeros(n), 1.0)
    start = np.array([-1.5, *target.box.mean(axis=0)])
    start[1:] = [0.0, 0.0, 8.0]
    start[0] = float(problem.profile(start[None, 1:], 0.0)[0, 1])
    best = climb_from_sample(problem, start).point
    both = prepared.coupled(problem, best, None)
    alike = _coupling.correlation(
        both.obs[5], both.obs[6], both.obs[3], settings.model_error_correlation_km
    )
    covariance = 0.04 * alike + np.diag(target.event.sigmas**2)
    points = best + np.random.default_rng(0).normal(0, [0.05, 0.4, 0.4, 0.6], (5, 4))
    expected = []
    for point in points:
        work = np.empty((n, 4))
        predict(both.tables, both.obs, point[1], point[2], point[3], work)
        expected.append(
            multivariate_normal(np.zeros(n), covariance).logpdf(both.obs[0] - point[0] - work[:, 0])
        )
    found = log_likelihood(both.tables, both.obs, both.errors, points)
    assert np.allclose(np.diff(found), np.diff(expected), rtol=1e-5, atol=1e-6)


def test_terms_of_a_file_are_added_to_predicted_times(tmp_path):
    """Terms that are right give the location that undelayed picks give."""
    assignments, picks, stations, _ = simulate(5, 1, n_p=12, n_s=8)
    names = stations["station"]
    table = pd.DataFrame({"station": names, "phase": "P", "term_s": 0.3, "sigma_s": 0.0})
    table.loc[::2, "term_s"] = -0.2
    path = tmp_path / "terms.csv"
    table.to_csv(path, index=False)
    late = dict(zip(names, table["term_s"], strict=True))
    delay = [
        late[s] if p == "P" else 0.0 for s, p in zip(picks["station"], picks["phase"], strict=True)
    ]
    delayed = picks.assign(time=picks["time"] + pd.to_timedelta(delay, unit="s"))
    zero = tmp_path / "zero.csv"
    table.assign(term_s=0.0).to_csv(zero, index=False)
    with_terms, plain = (
        locate(
            assignments, p, stations, LAYERS, LocationSettings(station_terms=str(file))
        ).events.iloc[0]
        for p, file in ((delayed, path), (picks, zero))
    )
    assert with_terms["depth_km"] == pytest.approx(plain["depth_km"], abs=1e-3)
    assert with_terms["longitude"] == pytest.approx(plain["longitude"], abs=1e-5)
    assert abs(with_terms["time"] - plain["time"]) < pd.Timedelta("1ms")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("station,phase\nA,P\n", "lacks column"),
        ("station,phase,term_s,sigma_s\nA,P,0.1,0.1\nA,P,0.2,0.1\n", "A P stands twice"),
        ("station,phase,term_s,sigma_s\nA,Pg,0.1,0.1\n", "A Pg needs phase P or S"),
        ("station,phase,term_s,sigma_s\nA,S,0.1,-1\n", "A S needs phase P or S"),
        ("station,phase,term_s,sigma_s\nA,S,fast,1\n", "cannot be read as float"),
    ],
)
def test_bad_files_of_terms_are_refused(tmp_path, text, message):
    path = tmp_path / "terms.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_station_terms(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_station_terms(tmp_path / "missing.csv")
