"""Velocity models: files of several programs, checks, built-in models."""

import numpy as np
import pytest

from lithoscope.errors import ModelError
from lithoscope.traveltimes import (
    BUILTIN_MODELS,
    VelocityModel,
    builtin_model,
    read_velocity_model,
)


def write(tmp_path, text, name="model.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_csv_rows_are_tops_of_constant_layers(tmp_path):
    path = write(tmp_path, "depth_km,vp_km_s,vs_km_s\n-1,4.0,2.3\n5,6.0,3.5\n")
    model = read_velocity_model(path)
    np.testing.assert_array_equal(model.depth_km, [-1.0, 5.0])
    np.testing.assert_array_equal(model.vp_gradient_per_s, 0.0)
    np.testing.assert_allclose(model.profile("P").velocity([-2, 0, 4.99, 5, 90]), [4, 4, 4, 6, 6])


@pytest.mark.parametrize(
    "text",
    ["Depth,Vp,Vs\n0,4,2\n", "depth vp vs\n0 4 2\n", "# note\nid;Vp;VS;depth\na;4;2;0\n"],
)
def test_other_headers(tmp_path, text):
    model = read_velocity_model(write(tmp_path, text))
    assert (model.depth_km[0], model.vp_km_s[0], model.vs_km_s[0]) == (0.0, 4.0, 2.0)


def test_rows_as_nodes(tmp_path):
    path = write(tmp_path, "depth,vp,vs\n0,4,2\n10,6,3\n10,7,4\n")
    model = read_velocity_model(path, interpolation="linear")
    np.testing.assert_allclose(model.profile("P").velocity([0, 5, 10, 99]), [4, 5, 7, 7])
    with pytest.raises(ModelError, match=r"line 4.*does not increase"):
        read_velocity_model(path)


def test_gradients_in_csv(tmp_path):
    path = write(tmp_path, "depth,vp,vp_grad,vs,vs_grad\n0,4,0.1,2,0.05\n")
    np.testing.assert_allclose(read_velocity_model(path).profile("S").velocity([0, 10]), [2, 2.5])


def test_nonlinloc_layers(tmp_path):
    text = "CONTROL 1 5\nLAYER 0.0 5.0 0.1 2.9 0.05 2.7 0.0\n#LAYER 1 1 1 1 1\nLAYER 4 6 0 3.5 0\n"
    model = read_velocity_model(write(tmp_path, text, "x.in"))
    np.testing.assert_allclose(model.profile("P").velocity([0, 2, 4]), [5.0, 5.2, 6.0])
    with pytest.raises(ModelError, match="leave interpolation out"):
        read_velocity_model(write(tmp_path, text, "x.in"), interpolation="linear")


def test_nd_stops_at_the_outer_core(tmp_path):
    text = "0 5.8 3.3 2.6\n20 5.8 3.3\n20 6.5 3.7\nmantle\n35 8 4.4\n2891 13.7 7.2\n2891 8.0 0\n"
    model = read_velocity_model(write(tmp_path, text, "m.nd"))
    assert model.depth_km[-1] == 2891.0
    np.testing.assert_allclose(model.profile("P").velocity([10, 20, 27.5]), [5.8, 6.5, 7.25])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,5,3\n8,6,3.5\n4,7,4\n", r"line 4: depth 4 km does not increase on 8 km"),
        ("0,3,5\n", r"line 2: vp = 3 and vs = 5 km/s; vp > vs > 0"),
        ("0,5,0\n", r"line 2: vp = 5 and vs = 0"),
        ("0,5,nan\n", "line 2: a value is not finite"),
        ("0,fast,3\n", "line 2: 'fast' is no number"),
        ("0,5\n", r"line 2: 2 value\(s\)"),
        ("", "no rows"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, rows, message):
    with pytest.raises(ModelError, match=message) as error:
        read_velocity_model(write(tmp_path, "depth_km,vp_km_s,vs_km_s\n" + rows))
    assert "\n" not in str(error.value)
    assert "model.csv" in str(error.value)


def test_missing_file_header_and_option(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_velocity_model(tmp_path / "none.csv")
    with pytest.raises(ModelError, match="lacks vs"):
        read_velocity_model(write(tmp_path, "depth,vp\n0,5\n"))
    with pytest.raises(ModelError, match="'cubic' is unknown"):
        read_velocity_model(write(tmp_path, "depth,vp,vs\n0,5,3\n"), interpolation="cubic")


def test_velocity_that_falls_without_end_is_refused():
    with pytest.raises(ModelError, match="falls with depth without end"):
        VelocityModel([0.0], [5.0], [3.0], [-0.01], [0.0])
    with pytest.raises(ModelError, match=r"layer 1: vp = -5.*at 10 km"):
        VelocityModel([0.0, 10.0], [5.0, 5.0], [3.0, 3.0], [-1.0, 0.0], [-0.1, 0.0])


def test_builtin_models():
    for name in BUILTIN_MODELS:
        assert builtin_model(name).name == name
    with pytest.raises(ModelError, match="did you mean 'iasp91'"):
        builtin_model("iasp")


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "layers", "top"),
    [
        ("picks/italy_2016/itvel.nd", None, 5.3),
        ("picks/alaska_nonlinloc/nlloc_sample.in", 9, 5.3),
        ("picks/mt_carmel_2008/VEL_waldhauser.in", 10, 1.42),
        ("continuous/iceland_holuhraun_2014/iceland_vmodel.txt", 19, 1.5),
    ],
)
def test_published_files(real_data, file, layers, top):
    folder, rest = file.split("/", 1)
    model = read_velocity_model(real_data(folder) / rest)
    assert model.vp_km_s[0] == top
    assert layers is None or len(model.depth_km) == layers


def test_nonlinloc_columns_without_the_keyword(tmp_path):
    rows = "-0.2 3.32 0.0 1.87 0.0 2.7 0.0\n0.8 4.2 0.1 2.36 0.05 2.7 0.0\n"
    bare, named = tmp_path / "bare.txt", tmp_path / "named.txt"
    bare.write_text("# model layers\n" + rows)
    named.write_text("".join(f"LAYER {row}\n" for row in rows.splitlines()))
    a, b = read_velocity_model(bare), read_velocity_model(named)
    assert list(a.vp_gradient_per_s) == [0.0, 0.1]
    for field in ("depth_km", "vp_km_s", "vs_km_s", "vp_gradient_per_s", "vs_gradient_per_s"):
        assert list(getattr(a, field)) == list(getattr(b, field))
