"""The picker that the configuration names, and what identifies its results."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import card
from tiny_network import convolution

from lithoscope.errors import ConfigError, ModelError
from lithoscope.learning.models import save_model
from lithoscope.learning.preprocessing import CHANNELS
from lithoscope.picking import ClassicalPicker, LearnedPicker
from lithoscope.pipeline import load_settings
from lithoscope.pipeline.pickers import PickingSettings, make_picker, picker_key, with_picker
from lithoscope.pipeline.settings import absolute_paths


def save(folder: Path, outputs: int = 7, **changes: object) -> Path:
    save_model(card(**changes), convolution(CHANNELS, outputs, stride=2), folder)
    return folder


def key(**settings: object) -> dict:
    parsed = PickingSettings.parse(settings)
    return picker_key(parsed, make_picker(parsed))


def learned(folder: Path, **settings: object) -> dict:
    return key(method="learned", model=str(folder), **settings)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "one")


def test_the_settings_name_the_picker(model: Path) -> None:
    assert isinstance(make_picker(PickingSettings(method="classical")), ClassicalPicker)
    picker = make_picker(PickingSettings(method="learned", model=str(model)))
    assert isinstance(picker, LearnedPicker)
    assert picker.name == "tiny-1"


def test_a_missing_model_is_one_line_that_says_what_there_is(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITHOSCOPE_MODELS", str(model.parent))
    with pytest.raises(ConfigError, match=r"picking\.model.*one") as caught:
        make_picker(PickingSettings(method="learned", model=""))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"no model 'two'.*one"):
        make_picker(PickingSettings(method="learned", model="two"))
    assert make_picker(PickingSettings(method="learned", model="one")).name == "tiny-1"


def test_results_are_known_by_the_content_of_the_model_not_by_its_place(
    model: Path, tmp_path: Path
) -> None:
    same = learned(model)
    assert learned(save(tmp_path / "copy")) == same
    assert learned(save(tmp_path / "described", description="ours")) == same
    assert learned(model, learned={"threads": 2, "batch": 8, "chunk_s": 60}) == same
    assert learned(model, classical={"p_threshold": 0.9}) == same
    others = [
        learned(save(tmp_path / "other", outputs=8)),
        learned(save(tmp_path / "stricter", thresholds={"p": 0.9})),
        learned(model, learned={"p_threshold": 0.9}),
        key(method="classical"),
        key(method="classical", classical={"p_threshold": 0.9}),
    ]
    assert all(other != same for other in others)
    assert len({str(other) for other in others}) == len(others)


def test_a_word_of_the_user_is_a_method_or_a_model(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert with_picker("classical") == {"method": "classical"}
    assert with_picker("learned") == {"method": "learned"}
    monkeypatch.chdir(model.parent)
    assert with_picker("one") == {"method": "learned", "model": str(model)}
    with pytest.raises(
        ConfigError, match="'classical', 'learned', 'both' or a model: no model 'clasical'"
    ):
        with_picker("clasical")


def test_a_model_beside_the_configuration_is_found_from_any_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = model.parent / "config.toml"
    config.write_text('[picking]\nmethod = "learned"\nmodel = "one"\n')
    assert load_settings(config).picking.model == str(model)
    config.write_text('[picking]\nmodel = "a-packaged-one"\n')
    assert load_settings(config).picking.model == "a-packaged-one"
    monkeypatch.chdir(model.parent)
    settings = absolute_paths(load_settings(None, {"picking": {"model": "one"}}))
    monkeypatch.chdir(tmp_path)
    assert settings.picking.model == str(model)
