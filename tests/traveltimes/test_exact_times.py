"""Exact first arrivals against closed forms, an independent solver, and properties."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import ModelError
from lithoscope.traveltimes import VelocityModel, builtin_model, first_arrivals, travel_time


def linear_time(v0, g, x, za, zb):
    """Travel time in v = v0 + g z (Slotnick 1959; Cerveny 2001, eq. 3.7.12)."""
    va, vb = v0 + g * za, v0 + g * zb
    return np.arccosh(1.0 + g * g * (x * x + (za - zb) ** 2) / (2.0 * va * vb)) / g


@pytest.mark.parametrize(("source", "receiver"), [(10, 0), (0, 10), (5, 5), (0, 0), (35, 1.5)])
@pytest.mark.parametrize("g", [0.005, 0.05, 0.6])
def test_linear_gradient_is_exact(source, receiver, g):
    model = VelocityModel([0.0], [5.0], [3.0], [g], [g / 2], "gradient")
    x = np.linspace(0.0, 300.0, 121)
    for phase, v0, slope in (("P", 5.0, g), ("S", 3.0, g / 2)):
        np.testing.assert_allclose(
            travel_time(model, phase, x, source, receiver),
            linear_time(v0, slope, x, source, receiver),
            atol=1e-9,
        )


def test_constant_velocity_is_distance_over_velocity():
    model = VelocityModel.constant_layers([0.0], [6.0], [3.5])
    x = np.linspace(0.0, 300.0, 61)
    times = travel_time(model, "S", x, 12.0, -1.5)  # the receiver stands above the top
    np.testing.assert_allclose(times, np.hypot(x, 13.5) / 3.5, atol=1e-12)


def test_two_layer_direct_and_head_wave():
    v1, v2, h, z = 5.0, 8.0, 30.0, 10.0
    model = VelocityModel.constant_layers([0.0, h], [v1, v2], [v1 / 1.7, v2 / 1.7])
    x = np.linspace(0.0, 300.0, 301)
    sine = v1 / v2
    head = x / v2 + (2 * h - z) * np.sqrt(1 - sine**2) / v1
    critical = (2 * h - z) * sine / np.sqrt(1 - sine**2)
    expected = np.minimum(np.hypot(x, z) / v1, np.where(x >= critical, head, np.inf))
    found = first_arrivals(model, "P", x, z, 0.0)
    np.testing.assert_allclose(found.time_s, expected, atol=1e-11)
    # The head wave leaves downwards at the critical angle, the direct wave upwards.
    assert found.takeoff_deg[-1] == pytest.approx(np.degrees(np.arcsin(sine)))
    assert found.takeoff_deg[0] == 180.0
    assert found.slowness_s_per_km[-1] == pytest.approx(1 / v2)


def test_low_velocity_layer_and_shadow():
    """A fast lid over a slow layer: near the surface the wave runs in the lid and below it."""
    model = VelocityModel.constant_layers([0.0, 5.0, 10.0], [6.0, 4.0, 5.0], [3.4, 2.2, 2.8])
    times = travel_time(model, "P", 100.0, 7.0, 6.0)
    up = np.sqrt(1 / 4.0**2 - 1 / 6.0**2) * (2.0 + 1.0)  # both ends in the slow layer
    assert times == pytest.approx(100.0 / 6.0 + up, abs=1e-10)
    assert first_arrivals(model, "P", 100.0, 7.0, 6.0).takeoff_deg > 90.0


def shortest_path(model, phase, step, n_x, n_z, z0, source_row):
    """Return times on a grid by Dijkstra's method over many directions; never early."""
    z = z0 + step * np.arange(n_z)
    profile = model.profile(phase)
    middle = 1.0 / profile.velocity(z[:-1] + step / 2)
    along = 1.0 / np.maximum(profile.velocity(z), profile.velocity(z - 1e-9))
    reach = [(i, j) for i in range(-7, 8) for j in range(-7, 8) if np.gcd(i, j) == 1 and (i or j)]
    down = np.concatenate([[0.0], np.cumsum(middle)])
    time = np.full((n_x, n_z), np.inf)
    time[0, source_row] = 0.0
    queue = [(0.0, 0, source_row)]
    while queue:
        t, a, b = heapq.heappop(queue)
        if t > time[a, b]:
            continue
        for i, j in reach:
            c, d = a + i, b + j
            if not (0 <= c < n_x and 0 <= d < n_z):
                continue
            mean = along[b] if j == 0 else (down[d] - down[b]) / (d - b)
            new = t + step * np.hypot(i, j) * mean
            if new < time[c, d] - 1e-12:
                time[c, d] = new
                heapq.heappush(queue, (new, c, d))
    return time


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_layers_against_dijkstra(seed):
    rng = np.random.default_rng(seed)
    depth = np.concatenate([[0.0], np.sort(rng.choice(np.arange(2, 18), 4, replace=False))])
    vp = rng.uniform(3.0, 8.0, 5)  # low-velocity layers included
    model = VelocityModel.constant_layers(depth, vp, vp / 1.75)
    step, n_x, n_z = 0.5, 90, 49
    source_row = int(rng.integers(0, 40))
    grid = shortest_path(model, "P", step, n_x, n_z, 0.0, source_row)
    x, z = np.meshgrid(step * np.arange(n_x), step * np.arange(n_z), indexing="ij")
    exact = travel_time(model, "P", x, step * source_row, z)
    late = grid - exact
    assert late.min() > -1e-9  # a path on the grid is a path in the Earth
    # With directions up to 7:1 an angle is off by at most atan(1/14): 0.26 % per leg, and
    # each interface crossed off its nearest node costs at most step^2 / (8 h v), 4 ms.
    assert np.all(late <= 0.0026 * exact + 0.02)


@st.composite
def models(draw):
    n = draw(st.integers(1, 5))
    thickness = draw(st.lists(st.floats(0.3, 15.0), min_size=n, max_size=n))
    vp = draw(st.lists(st.floats(1.5, 8.5), min_size=n, max_size=n))
    gradient = draw(st.lists(st.sampled_from([0.0, 0.0, 0.01, 0.1, -0.02]), min_size=n, max_size=n))
    gradient[-1] = max(gradient[-1], 0.0)
    depth = np.concatenate([[-1.0], -1.0 + np.cumsum(thickness)[:-1]])
    ratio = draw(st.floats(1.6, 2.0))
    vp, gradient = np.array(vp), np.array(gradient)
    return VelocityModel(depth, vp, vp / ratio, gradient, gradient / ratio, "random")


depths = st.floats(-3.0, 45.0)


@settings(max_examples=150, deadline=None)
@given(models(), depths, depths, st.floats(0.0, 300.0))
def test_reciprocity(model, a, b, x):
    forth, back = travel_time(model, "P", x, a, b), travel_time(model, "P", x, b, a)
    assert forth == pytest.approx(float(back), abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_a_slow_decrease_leaves_no_time_undefined(seed):
    """Depths within 1e-14 to 1e-5 km of interfaces, velocity falling by 1e-12 to 0.1 per s."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    depth = np.concatenate([[0.0], np.cumsum(rng.uniform(0.5, 9.0, n - 1))])
    vp = rng.uniform(3.0, 8.0, n)
    gradient = rng.choice([0.0, 0.02, -1e-12, -1e-9, -1e-6, -1e-3, -0.02, -0.1], n)
    gradient[-1] = 0.0
    model = VelocityModel(depth, vp, vp / 1.75, gradient, gradient / 1.75)
    k = 2000
    at = rng.choice(depth, k)
    off = 10.0 ** rng.uniform(-14, -5, k) * rng.choice([-1, 1], k)
    x = 300.0 * rng.uniform(size=k) ** 3
    receiver = rng.uniform(-3.0, 40.0, k)
    near, on = (travel_time(model, "S", x, z, receiver) for z in (at + off, at))
    assert np.isfinite(near).all()
    # Times are Lipschitz with the largest slowness; cosines near 90 degrees lose half the digits.
    slowest = min(model.profile("S").v_top.min(), model.profile("S").v_bottom.min())
    assert np.all(np.abs(near - on) <= np.abs(off) / slowest + 1e-6)


@settings(max_examples=60, deadline=None)
@given(models(), depths, depths)
def test_distance_makes_later_by_no_more_than_the_slowest_way(model, a, b):
    x = np.linspace(0.0, 250.0, 101)
    t = travel_time(model, "P", x, a, b)
    step = np.diff(t)
    assert step.min() >= -1e-9
    # Walking the rest along the receiver's depth is a path, too.
    v = float(model.profile("P").velocity(b))
    assert step.max() <= 2.5 / v + 1e-9


@settings(max_examples=60, deadline=None)
@given(models(), depths, depths, depths, st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_a_detour_is_never_faster(model, a, b, c, x, y):
    whole = travel_time(model, "S", x + y, a, c)
    parts = travel_time(model, "S", x, a, b) + travel_time(model, "S", y, b, c)
    assert whole <= parts + 1e-8


@settings(max_examples=80, deadline=None)
@given(models(), st.floats(0.0, 40.0), st.floats(-3.0, 10.0), st.floats(0.1, 200.0))
def test_derivatives_belong_to_the_times(model, z, receiver, x):
    e = 1e-5
    found = first_arrivals(model, "P", x, z, receiver)
    ends = [first_arrivals(model, "P", x + s, z + d, receiver) for s, d in _cross(e)]
    gaps = [abs(float(f.slowness_s_per_km - found.slowness_s_per_km)) for f in ends]
    turned = [
        abs(float(f.vertical_slowness_s_per_km - found.vertical_slowness_s_per_km)) for f in ends
    ]
    if max(gaps + turned) > 1e-4:
        return  # a kink, an interface or a grazing ray within the step
    along = (ends[0].time_s - ends[1].time_s) / (2 * e)
    across = (ends[2].time_s - ends[3].time_s) / (2 * e)
    assert float(found.slowness_s_per_km) == pytest.approx(float(along), abs=2e-4)
    assert float(found.vertical_slowness_s_per_km) == pytest.approx(float(across), abs=2e-4)


def _cross(e):
    return [(e, 0.0), (-e, 0.0), (0.0, e), (0.0, -e)]


def test_missing_input_gives_nan_and_shapes_broadcast():
    model = builtin_model("iasp91")
    t = travel_time(model, "P", np.array([[10.0], [np.nan]]), np.array([1.0, 2.0, np.nan]), 0.0)
    assert t.shape == (2, 3)
    np.testing.assert_array_equal(np.isnan(t), [[False, False, True], [True, True, True]])


def test_bad_questions_are_refused_in_one_line():
    model = builtin_model("iasp91")
    with pytest.raises(ModelError, match="distance -1 km is negative"):
        travel_time(model, "P", -1.0, 10.0, 0.0)
    with pytest.raises(ModelError, match="phase 'Pn' is unknown"):
        travel_time(model, "Pn", 1.0, 10.0, 0.0)
    with pytest.raises(ModelError, match="100 km above"):
        travel_time(model, "P", 1.0, 10.0, -1500.0)  # metres given for km
