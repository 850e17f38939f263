"""`lithoscope models`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lithoscope import cli
from lithoscope.learning import models
from lithoscope.learning.cards import Input, ModelCard, Output, Sigmas, Windows


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's folder with one model, an identity on three components."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = ["batch", 3, 100]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    card = ModelCard(
        name="same",
        family="phasenet",
        description="Gives back what it gets.",
        input=Input(preprocessing="std"),
        output=Output(names=("noise", "p", "s")),
        windows=Windows(length=100, step=50),
        sigmas=Sigmas(p_s=0.1, s_s=0.1),
    )
    folder = tmp_path / "mine"
    models.save_model(card, made.SerializeToString(), folder / "same")
    monkeypatch.setenv(models.VARIABLE, str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return folder


def run(*words: str) -> str:
    result = CliRunner().invoke(cli.app, ["models", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_list_show_and_export(mine: Path, tmp_path: Path) -> None:
    (mine / "broken").mkdir()
    (mine / "broken" / "model.onnx").write_bytes(b"no network")
    text = run("list")
    assert "same" in text
    assert "Gives back what it gets." in text
    assert "has no card.toml" in text
    rows = {row["name"]: row for row in json.loads(run("list", "--json"))}
    assert rows["same"]["family"] == "phasenet"
    assert "card.toml" in rows["broken"]["problem"]
    assert 'components = "ZNE"' in run("show", "same")
    assert json.loads(run("show", "same", "--json"))["windows"]["length"] == 100
    run("export", "same", "--output", str(tmp_path / "copy"))
    assert models.load_model(tmp_path / "copy" / "same").card.name == "same"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "nothing"], "no model 'nothing'; there are:"),
        (["import", "nothing.pt"], "is a pair nothing.pt and nothing.json"),
        (["import", "weights.npz"], "cannot read"),
        (["export", "same", "--output", "{mine}"], "exists"),
    ],
)
def test_mistakes_are_one_line(
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    words = [word.format(mine=mine) for word in words]
    monkeypatch.setattr(sys, "argv", ["lithoscope", "models", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
