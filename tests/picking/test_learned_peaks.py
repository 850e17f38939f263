"""From a network's outputs to picks and detections, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.learning.calibration import (
    EVENT_ENOUGH,
    Curve,
    PhaseCalibration,
    calibrated,
    expit,
    logit,
)
from lithoscope.picking._annotate import Fine, Outputs
from lithoscope.picking._peaks import (
    CERTAIN,
    LONGEST_S,
    RIVAL_S,
    SIGMA_S,
    Onsets,
    compete,
    detections,
    inverse,
    largest_ahead,
    onsets,
)

STEP_S = 0.02


def outputs(p=None, s=None, event=None, offset=None, log_sigma=None, delay_s=0.0):
    """Return outputs with all offsets and sigmas kept; what is not given is low."""
    given = [v for v in (p, s, event) if v is not None]
    n = len(given[0])
    low = np.full(n, -9.0)
    logits = np.array([low if v is None else v for v in (p, s, event)], np.float32)
    fine = Fine(
        np.arange(n),
        np.zeros(n, np.float32) if offset is None else np.asarray(offset, np.float32),
        np.full(n, np.log(0.05), np.float32)
        if log_sigma is None
        else np.asarray(log_sigma, np.float32),
    )
    return Outputs(0, delay_s, STEP_S, logits, (fine, fine))


def hill(n, centre, height=3.0, bend=0.5):
    """Return a parabola: height at ``centre`` (samples), falling by ``bend`` times distance^2."""
    return height - bend * (np.arange(n) - centre) ** 2


@settings(deadline=None, max_examples=50)
@given(centre=st.floats(5.0, 15.0), error=st.floats(-0.05, 0.05))
def test_a_pick_lies_at_the_vertex_plus_the_offset_there(centre, error):
    # offsets that all point to one onset: sample + offset = centre + error
    offset = (centre - np.arange(21)) * STEP_S + error
    found = onsets(
        outputs(p=hill(21, centre), offset=offset, delay_s=0.01), 0, PhaseCalibration(), 0.0, 0.4
    )
    assert len(found.time_s) == 1
    # float32 offsets up to 0.3 s
    assert found.time_s[0] == pytest.approx(0.01 + centre * STEP_S + error, abs=1e-6)
    assert found.sigma_s[0] == pytest.approx(0.05, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(tilt=st.floats(-1e-5, 1e-5), slope=st.floats(-0.5, 0.5))
def test_a_tie_of_two_samples_moves_no_pick(tilt, slope):
    y = hill(20, 9.5)
    offset = slope * STEP_S * np.arange(20)
    times = []
    for change in (0.0, tilt):
        changed = y.copy()
        changed[10] += change
        times.append(
            onsets(outputs(p=changed, offset=offset), 0, PhaseCalibration(), 0.0, 0.4).time_s[0]
        )
    # a change of the logit by 1e-5 on a hill of bend 0.5 moves its vertex by 1e-5 samples
    assert abs(times[1] - times[0]) < 1e-6


def test_the_largest_of_close_maxima_is_kept_and_equal_ones_once():
    y = np.full(200, -5.0)
    y[[20, 35, 60, 80, 81, 150]] = [1.0, 2.0, 1.5, 3.0, 3.0, 0.5]
    found = onsets(outputs(s=y), 1, PhaseCalibration(), 0.0, 0.4)
    # 20 is 15 samples from a larger one, 60 is 20 from one (0.4 s: not farther), 80 and 81 tie
    places = found.time_s / STEP_S
    assert places == pytest.approx([35.0, 80.5, 150.0], abs=1e-6)
    assert found.probability == pytest.approx(expit([2.0, 3.0, 0.5]))


def test_probability_and_sigma_are_calibrated_and_sigma_is_bounded():
    calibration = PhaseCalibration(
        probability=Curve(x=(0.2, 0.9), y=(0.1, 0.8)), sigma_scale=Curve(x=(0.0, 1.0), y=(1.0, 3.0))
    )
    y = np.full(300, -5.0)
    y[[50, 150, 250]] = logit([0.9, 0.9, 0.2])
    log_sigma = np.full(300, np.log(0.02))
    log_sigma[150] = 5.0
    found = onsets(outputs(p=y, log_sigma=log_sigma), 0, calibration, -4.0, 0.4)
    assert found.probability == pytest.approx([0.8, 0.8, 0.1], rel=1e-5)
    assert found.sigma_s == pytest.approx([0.02 * 2.6, SIGMA_S[1], 0.02 * 1.2], rel=1e-4)


@settings(deadline=None, max_examples=50)
@given(probability=st.floats(0.01, 0.96))
def test_a_threshold_is_the_same_before_and_after_calibration(probability):
    curve = Curve(x=(0.02, 0.3, 0.8, 0.98), y=(0.01, 0.2, 0.6, 0.9))
    # the raw grid is 0.005 wide in log odds
    assert calibrated(curve, inverse(curve, probability)) == pytest.approx(probability, abs=1e-3)


def some(times, probabilities):
    times = np.array(times, float)
    sigma, event = np.full(len(times), 0.05), np.full(len(times), 5.0)
    return Onsets(times, sigma, np.array(probabilities, float), event)


def test_an_onset_without_an_event_after_it_loses_evidence():
    rng = np.random.default_rng(1)
    s, event = rng.normal(size=400) - 3.0, np.full(400, -4.0)
    s[[100, 300]] = 2.0
    event[330:] = 4.0  # 0.6 s after the second
    found = onsets(outputs(s=s, p=s, event=event), 1, PhaseCalibration(event_weight=0.5), 1.0, 0.5)
    assert found.event.tolist() == [-4.0, 4.0]
    expected = expit([2.0 - 0.5 * (EVENT_ENOUGH + 4.0), 2.0])
    assert found.probability == pytest.approx(expected, abs=1e-6)


@given(n=st.integers(1, 80), seed=st.integers(0, 99))
def test_largest_ahead_is_that_of_a_loop(n, seed):
    y = np.random.default_rng(seed).normal(size=120)
    assert largest_ahead(y, n) == pytest.approx([y[i : i + n + 1].max() for i in range(120)])


def test_of_two_phases_at_one_arrival_the_more_probable_stays():
    near = 0.9 * RIVAL_S
    sure = CERTAIN + 0.01
    p = some([10.0, 20.0, 30.0, 40.0], [0.4, 0.3, sure, 0.4])
    s = some([10.0 + near, 20.0 + near, 30.0 + near, 40.0 + 2 * near], [0.3, 0.9, 0.99, 0.9])
    keep_p, keep_s = compete(p, s)
    # the third P is itself all but certain; the fourth S is too far to be a rival
    assert keep_p.tolist() == [True, False, True, True]
    assert keep_s.tolist() == [False, True, True, True]


def test_equal_rivals_leave_the_p():
    keep_p, keep_s = compete(some([5.0], [0.4]), some([5.0], [0.4]))
    assert keep_p.tolist() == [True]
    assert keep_s.tolist() == [False]


def test_detections_begin_and_end_between_samples_and_must_reach_the_threshold():
    n = 5000
    y = np.full(n, -6.0)
    y[100:200] = 3.0  # one
    y[300:340] = 0.2  # over the lower level, not the upper
    y[500:4000] = 1.0  # longer than the longest
    y[4990:] = 2.0  # to the end of the data
    found = detections(outputs(event=y), Curve(), low=0.5, high=0.7)
    crossing = 6.0 / 9.0  # from -6 to 3, level 0
    expected = [
        (99 + crossing, 200 - crossing, expit(3.0)),
        (499 + 6.0 / 7.0, 500 + LONGEST_S / STEP_S - 1, expit(1.0)),
        (4989 + 6.0 / 8.0, n - 1, expit(2.0)),
    ]
    assert found.start_s / STEP_S == pytest.approx([e[0] for e in expected], abs=1e-5)
    assert found.end_s / STEP_S == pytest.approx([e[1] for e in expected], abs=1e-5)
    assert found.probability == pytest.approx([e[2] for e in expected])


def test_no_outputs_give_nothing():
    nothing = outputs(p=np.zeros(0))
    assert not len(onsets(nothing, 0, PhaseCalibration(), 0.0, 0.4).time_s)
    assert not len(detections(nothing, Curve(), 0.1, 0.3).start_s)
