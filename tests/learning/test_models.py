"""Model folders: cards, digests, loading, and what is said of damaged ones."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tiny_network import convolution

from lithoscope.errors import ConfigError, ModelError, StorageError
from lithoscope.learning import models, preprocessing
from lithoscope.learning.calibration import Calibration, Curve, PhaseCalibration
from lithoscope.learning.cards import (
    Input,
    ModelCard,
    Output,
    Score,
    Training,
    TrainingData,
    Windows,
    read_card,
    render_card,
    write_card,
)
from lithoscope.learning.runtime import OnnxModel, cached_model


def full_card(**changes: object) -> ModelCard:
    values = {
        "name": "tiny",
        "version": "3",
        "family": "lithoscope",
        "description": 'Quotes " and \\ and µ\tand\x7f.',
        "input": Input(
            preprocessing=preprocessing.NAME, channels=preprocessing.CHANNELS, components="ZNE"
        ),
        "output": Output(names=("p", "s"), stride=2),
        "windows": Windows(align=128, reach=4000),
        "training": Training(
            data=(
                TrainingData(name="a", licence="MIT"),
                TrainingData(name="b", licence="CC BY 4.0"),
            ),
            seed=7,
        ),
        "calibration": Calibration(
            p=PhaseCalibration(probability=Curve(x=(0.1, 0.5), y=(0.05, 0.6)))
        ),
        "scores": (
            Score(dataset="x", phase="P", measure="f1", tolerance_s=0.1, value=0.9, low=0.87),
            Score(dataset="x", phase="S", measure="f1", value=1e-12),
        ),
        "known_failures": ("teleseisms",),
    }
    return ModelCard(**(values | changes))  # type: ignore[arg-type]


def saved(tmp_path: Path, **changes: object) -> Path:
    folder = tmp_path / "tiny"
    models.save_model(full_card(**changes), convolution(preprocessing.CHANNELS, 2), folder)
    return folder


def test_card_survives_its_file(tmp_path: Path) -> None:
    card = full_card()
    write_card(card, tmp_path / "card.toml")
    assert read_card(tmp_path / "card.toml") == card
    assert "steps" not in render_card(card)  # unknown, so not stated


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("name = 'a'\nfamily = 'phasenet'\nvesion = '1'", ConfigError, "did you mean 'version'"),
        ("name = 'a b'\nfamily = 'phasenet'", ConfigError, "letters, digits"),
        ("name = 'a'\nfamily = 'other'", ConfigError, "phasenet"),
        ("family = 'phasenet'", ConfigError, "name"),
        ("name = 'a", ModelError, "no TOML"),
        ("name='a'\nfamily='phasenet'\n[input]\ncomponents='ZZE'", ConfigError, "ZNE"),
        ("name='a'\nfamily='phasenet'\n[windows]\nlength=9\nstep=7\nblinding=[2,2]", ConfigError,
         "holes"),
    ],
)  # fmt: skip
def test_wrong_cards_are_refused_in_one_line(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(error, match=words) as caught:
        read_card(tmp_path / "card.toml")
    assert "\n" not in str(caught.value)
    assert "card.toml" in str(caught.value)


def test_model_is_saved_loaded_and_run(tmp_path: Path) -> None:
    model = models.load_model(saved(tmp_path))
    assert model.card.size.file_bytes == len(model.network.content)
    assert model.network.input_shape == (None, preprocessing.CHANNELS, 1, None)
    x = np.ones((5, preprocessing.CHANNELS, 1, 64), np.float32)
    (y,) = model.network.run(x)
    np.testing.assert_allclose(y[:, :, 0], np.broadcast_to([[[1.0], [2.0]]], (5, 2, 64)), rtol=1e-6)
    # The same network in the same process is not loaded twice, and travels to other processes.
    assert models.load_model(tmp_path / "tiny" / "card.toml").network is model.network
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model.network)).run(x)[0], y)


def test_changed_file_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(convolution(3, 1))
    first = cached_model(path)
    path.write_bytes(convolution(3, 2))
    assert cached_model(path).run(np.ones((1, 3, 1, 4), np.float32))[0].shape == (1, 2, 1, 4)
    assert cached_model(path) is not first


def test_user_models_are_listed_and_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(models.VARIABLE, str(tmp_path))
    saved(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.onnx").write_bytes(b"")
    found = {m.name: m for m in models.list_models()}
    assert found["tiny"].card is not None
    assert not found["tiny"].packaged
    assert "no card.toml" in found["broken"].problem
    assert models.find_model("tiny") == tmp_path / "tiny"
    assert models.default_user_folder() == tmp_path
    with pytest.raises(ModelError, match="tiny"):
        models.load_model("tinny")
    with pytest.raises(ModelError, match="holds no model"):
        models.load_model(tmp_path)


def test_export_copies_the_whole_model(tmp_path: Path) -> None:
    target = models.export_model(saved(tmp_path), tmp_path / "out")
    assert models.load_model(target).card == models.load_model(tmp_path / "tiny").card
    with pytest.raises(ModelError, match="exists"):
        models.export_model(tmp_path / "tiny", tmp_path / "out")


def test_damaged_and_foreign_models_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    content = (folder / "model.onnx").read_bytes()

    def says(words: str) -> None:
        with pytest.raises((ModelError, StorageError), match=words) as caught:
            models.load_model(folder)
        assert "\n" not in str(caught.value)

    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    says("not a network that ONNX Runtime")
    (folder / "model.onnx").write_bytes(convolution(preprocessing.CHANNELS, 3))
    says("SHA-256")
    (folder / "model.onnx").unlink()
    says("no model.onnx")
    (folder / "model.onnx").write_bytes(content)
    card = read_card(folder / "card.toml")
    for change, words in (
        ({"channels": 3}, "takes 6 channels"),
        ({"rate_hz": 50.0}, "made for 50 Hz"),
        ({"preprocessing": "another"}, "preprocessing 'another'"),
    ):
        given = card.input.model_copy(update=change)
        write_card(card.model_copy(update={"input": given}), folder / "card.toml")
        says(words)
    write_card(card.model_copy(update={"family": "phasenet"}), folder / "card.toml")
    says("windows.length")
    (folder / "card.toml").unlink()
    says("no card.toml")


def test_a_wrong_array_is_refused() -> None:
    network = OnnxModel(convolution(3, 1, n=100))
    with pytest.raises(ModelError, match=r"\(any, 3, 1, 100\)"):
        network.run(np.zeros((1, 3, 1, 99), np.float32))
    with pytest.raises(ModelError, match="threads"):
        OnnxModel(convolution(3, 1), threads=0)
    with pytest.raises(StorageError, match="no such file"):
        OnnxModel("nowhere.onnx")


def test_nothing_is_written_for_a_network_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="channels"):
        models.save_model(full_card(), convolution(3, 2), tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()
