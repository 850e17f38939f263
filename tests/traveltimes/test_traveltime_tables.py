"""Tables against exact rays: within their tolerance, with the right derivatives, NaN outside."""

import numpy as np
import pytest
from numba import njit

import lithoscope.traveltimes.tables as tables_module
from lithoscope.errors import ModelError
from lithoscope.traveltimes import (
    VelocityModel,
    build_tables,
    builtin_model,
    lookup,
    read_velocity_model,
    travel_time,
)
from lithoscope.traveltimes.tables import _built

DOMAIN = {"max_distance_km": 200.0, "min_depth_km": -1.0, "max_depth_km": 40.0}


def random_model(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    depth = np.concatenate([[0.0], np.cumsum(rng.uniform(0.5, 9.0, n - 1))])
    vp = rng.uniform(2.5, 6.0) + np.cumsum(rng.uniform(-0.3, 0.9, n))
    gradient = rng.choice([0.0, 0.0, 0.02, 0.1], n)
    return VelocityModel(depth, vp, vp / 1.75, gradient, gradient / 1.75, f"random {seed}")


def check(tables, n=4000, seed=99):
    rng = np.random.default_rng(seed)
    receivers = tables.receiver_depth_km
    who = rng.integers(0, len(receivers), n)
    x = tables.max_distance_km * rng.uniform(size=n) ** rng.choice([1.0, 3.0], n)
    z = rng.uniform(tables.min_depth_km, tables.max_depth_km, n)
    near = rng.uniform(size=n) < 0.2  # sources at the depth of the receiver, and on interfaces
    z[near] = receivers[who[near]]
    on = rng.uniform(size=n) < 0.1
    z[on] = rng.choice(tables.model.depth_km, on.sum())
    z = np.clip(z, tables.min_depth_km, tables.max_depth_km)
    for phase in "PS":
        exact = travel_time(tables.model, phase, x, z, receivers[who])
        worst = np.abs(tables.times(phase, who, x, z) - exact).max()
        assert worst < tables.tolerance_s, (tables.model.name, phase, worst)


@pytest.mark.parametrize("seed", range(8))
def test_random_models_within_tolerance(seed):
    receivers = -np.random.default_rng(seed).uniform(-0.5, 2.0, 4)
    check(build_tables(random_model(seed), receivers, **DOMAIN))


@pytest.mark.parametrize("seed", range(4))
def test_models_that_fall_slowly_with_depth(seed):
    rng = np.random.default_rng(seed)
    fall = -(10.0 ** rng.uniform(-5, -2.5, 3))
    gradient = np.array([0.05, 0.0, *fall, 0.0])
    depth = np.array([0.0, 5.0, 31.0, 40.0, 60.0, 80.0])
    vp = np.array([5.3, 6.2, 8.1, 8.1, 8.1, 8.1]) + np.append([0.0] * 3, 20.0 * np.cumsum(fall))
    model = VelocityModel(depth, vp, vp / 1.8, gradient, gradient / 1.8, f"falling {seed}")
    check(
        build_tables(
            model, [-1.2, 0.3], max_distance_km=185.0, min_depth_km=-1.6, max_depth_km=45.0
        )
    )


@pytest.mark.parametrize("name", ["southern_california", "iasp91", "constant"])
def test_builtin_models_within_tolerance(name):
    check(build_tables(builtin_model(name), [-2.0, -0.3, 0.0, 0.4], **DOMAIN))


def test_tables_meet_the_analytic_gradient():
    v0, g = 5.0, 0.05
    model = VelocityModel([-3.0], [v0 - 3 * g], [2.5], [g], [g / 2])
    tables = build_tables(model, [-1.2], **DOMAIN)
    rng = np.random.default_rng(0)
    x, z = rng.uniform(0, 200, 5000), rng.uniform(-1, 40, 5000)
    va, vb = v0 - 1.2 * g, v0 + g * z
    exact = np.arccosh(1 + g * g * (x * x + (z + 1.2) ** 2) / (2 * va * vb)) / g
    assert np.abs(tables.times("P", 0, x, z) - exact).max() < 5e-4


@pytest.mark.parametrize(("v0", "g"), [(5.0, 0.05), (3.0, 0.2)])
def test_gradient_models_near_the_receivers(v0, g):
    # Sources within some hundred metres of receivers above sea level, some at their very depth:
    # rays leave almost level, and levels of turning rays come into reach at once.
    top = v0 - 3 * g
    model = VelocityModel([-3.0], [top], [top / 1.75], [g], [g / 1.75], f"gradient {g:g}")
    receivers = -np.array([0.21, 0.59, 0.98, 1.08, 1.46, 2.4])
    tables = build_tables(model, receivers, **DOMAIN)
    rng = np.random.default_rng(3)
    n = 20_000
    who = rng.integers(0, len(receivers), n)
    x = 200.0 * rng.uniform(size=n) ** rng.choice([1.0, 4.0], n)
    z = receivers[who] + rng.normal(0, 0.3, n) ** rng.choice([1, 3], n)
    z = np.clip(z, DOMAIN["min_depth_km"], DOMAIN["max_depth_km"])
    r = receivers[who]
    for k, phase in enumerate("PS"):
        v, a = np.array([v0 + g * z, v0 + g * r]) / 1.75**k, g / 1.75**k
        exact = np.arccosh(1 + a * a * (x * x + (z - r) ** 2) / (2 * v[0] * v[1])) / a
        worst = np.abs(tables.times(phase, who, x, z) - exact).max()
        assert worst < tables.tolerance_s, (phase, worst)


@pytest.mark.data
@pytest.mark.parametrize(
    "file", ["italy_2016/itvel.nd", "alaska_nonlinloc/nlloc_sample.in",
             "mt_carmel_2008/VEL_waldhauser.in"],
)  # fmt: skip
def test_published_models_within_tolerance(real_data, file):
    model = read_velocity_model(real_data("picks") / file)
    check(build_tables(model, [-1.5, 0.0], **DOMAIN))


def test_derivatives():
    model = builtin_model("southern_california")
    tables = build_tables(model, [-0.5], **DOMAIN)
    rng = np.random.default_rng(5)
    x, z = rng.uniform(1, 200, 3000), rng.uniform(0, 40, 3000)
    t, t_x, t_z = tables.derivatives("P", 0, x, z)
    from lithoscope.traveltimes import first_arrivals

    exact = first_arrivals(model, "P", x, z, -0.5)
    # Cells that hold a kink may take the other branch: 1 in 100 is left out.
    for found, true in ((t_x, exact.slowness_s_per_km), (t_z, exact.vertical_slowness_s_per_km)):
        off = np.abs(found - true)
        assert np.quantile(off, 0.98) < 4e-3
        assert np.median(off) < 5e-4
    np.testing.assert_allclose(t, exact.time_s, atol=5e-4)


def test_lookup_works_inside_numba_and_agrees_with_python():
    tables = build_tables(builtin_model("iasp91"), [0.0, -1.0], **DOMAIN)

    @njit
    def total(t):
        return lookup(t, 0, 1, 30.0, 10.0)[0] + lookup(t, 1, 0, 30.0, 10.0)[0]

    expected = tables.times("P", 1, 30.0, 10.0) + tables.times("S", 0, 30.0, 10.0)
    assert total(tables.arrays) == pytest.approx(float(expected), abs=1e-12)


def test_nan_outside_the_domain():
    tables = build_tables(builtin_model("iasp91"), [0.0], **DOMAIN)
    x = np.array([200.1, -0.1, 10.0, 10.0, np.nan, 200.0, 0.0])
    z = np.array([10.0, 10.0, -1.01, 40.01, 5.0, 40.0, 0.0])
    t = tables.times("P", 0, x, z)
    np.testing.assert_array_equal(np.isnan(t), [True] * 5 + [False] * 2)
    assert t[-1] == 0.0  # at the receiver


def test_receivers_at_one_depth_share_a_row():
    tables = build_tables(builtin_model("constant"), [-0.5, -1.0, -0.50001], **DOMAIN)
    assert tables.arrays.direct.shape[1] == 2
    times = tables.times("P", [0, 1, 2], 10.0, 5.0)
    assert times[0] == times[2] < times[1]


def test_times_to_a_receiver_do_not_depend_on_the_others():
    model = random_model(3)
    alone = build_tables(model, [-0.77], **DOMAIN)
    among = build_tables(model, [-2.1, -0.77, 0.2, -0.3], **DOMAIN)
    rng = np.random.default_rng(0)
    x, z = rng.uniform(0, 200, 2000), rng.uniform(-1, 40, 2000)
    for phase in "PS":
        one, other = alone.times(phase, 0, x, z), among.times(phase, 1, x, z)
        np.testing.assert_array_equal(one, other)


def test_building_is_deterministic():
    a = build_tables(random_model(3), [0.0], **DOMAIN)
    _built.clear()
    b = build_tables(random_model(3), [0.0], **DOMAIN)
    assert a is not b
    for left, right in zip(a.arrays, b.arrays, strict=True):
        np.testing.assert_array_equal(left, right)


def test_velocity_that_falls_to_a_uniform_layer():
    model = VelocityModel([0.0, 10.0], [6.0, 5.0], [3.4, 2.9], [-0.1, 0.0], [-0.05, 0.0])
    check(build_tables(model, [0.5], **DOMAIN))


def test_the_same_question_gets_the_same_tables():
    model = random_model(3)
    first = build_tables(model, [0.0, -1.0], **DOMAIN)
    assert build_tables(random_model(3), [0.0, -1.0], **DOMAIN) is first
    for other in (
        build_tables(model, [0.0, -1.1], **DOMAIN),
        build_tables(model, [0.0, -1.0], **DOMAIN | {"max_depth_km": 41.0}),
        build_tables(random_model(4), [0.0, -1.0], **DOMAIN),
    ):
        assert other is not first


def test_bad_domains_are_refused_in_one_line():
    model = builtin_model("iasp91")
    with pytest.raises(ModelError, match="max_distance_km = 0"):
        build_tables(model, [0.0], max_distance_km=0.0, min_depth_km=0.0, max_depth_km=10.0)
    with pytest.raises(ModelError, match="less than max_depth_km"):
        build_tables(model, [0.0], max_distance_km=9.0, min_depth_km=10.0, max_depth_km=10.0)
    with pytest.raises(ModelError, match="at least one receiver"):
        build_tables(model, [], **DOMAIN)
    with pytest.raises(ModelError, match="receiver index 3 is out of range"):
        build_tables(model, [0.0], **DOMAIN).times("P", 3, 1.0, 1.0)


def test_tables_are_the_same_whatever_was_asked_before(monkeypatch):
    """What refinement came to is kept for other receivers; the tables asked for last stay."""
    monkeypatch.setattr(tables_module, "_built", {})
    monkeypatch.setattr(tables_module, "_grids", {})
    model = builtin_model("iasp91")
    domain = {"max_distance_km": 50.0, "min_depth_km": -1.0, "max_depth_km": 20.0}
    first = build_tables(model, [0.0, -0.5], **domain)
    after = build_tables(model, [-1.0], **domain)
    assert build_tables(model, [0.0, -0.5], **domain) is first
    for k in range(3):
        build_tables(model, [0.1 * k], **domain)
        assert build_tables(model, [0.0, -0.5], **domain) is first
    assert len(tables_module._built) == 4
    assert len(tables_module._grids) == 1
    monkeypatch.setattr(tables_module, "_built", {})
    monkeypatch.setattr(tables_module, "_grids", {})
    alone = build_tables(model, [-1.0], **domain)
    assert alone is not after
    assert alone.error_s == after.error_s
    for mine, theirs in zip(alone.arrays, after.arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)
