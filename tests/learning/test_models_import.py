"""Models of other programs: SeisBench's files, and what of them is refused."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from lithoscope.errors import ConfigError, ModelError
from lithoscope.learning import model_import, models
from lithoscope.learning.model_import import import_model
from lithoscope.learning.networks.eqtransformer import EQTransformer, EQTransformerConfig
from lithoscope.learning.networks.phasenet import PhaseNet, PhaseNetConfig, from_tensorflow
from lithoscope.learning.onnx_export import to_onnx
from lithoscope.learning.seisbench_models import read_seisbench, rebuild

torch.set_num_threads(1)
PADDING = ((3, 3), (2, 3), (1, 3), (2, 3))
SMALL = PhaseNetConfig(filters=(2, 3, 4, 5, 6), padding=PADDING)
NARROW = EQTransformerConfig(
    filters=(3, 4), kernels=(5, 3), residual_kernels=(3, 2), recurrences=1, hidden=4, attention=5,
    feed=6,
)  # fmt: skip
REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "seisbench"


def stated(family: str) -> dict:
    return json.loads((REFERENCE / f"{family}.json").read_text())


def pair(folder: Path, network, stated: dict, ending: str = "") -> Path:
    """Write a SeisBench pair ``mine.pt``, ``mine.json`` and return its path without ending."""
    torch.manual_seed(1)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) * 0.5 + 0.2)
    torch.save(network.state_dict(), folder / f"mine.pt{ending}")
    (folder / f"mine.json{ending}").write_text(json.dumps(stated))
    return folder / "mine"


def test_a_phasenet_is_imported_and_runs_as_it_did(tmp_path: Path) -> None:
    what = stated("phasenet")
    what["model_args"] |= {"phases": "PSN", "component_order": "NEZ", "sampling_rate": 50}
    what["default_args"] = {"blinding": [250, 250], "P_threshold": 0.21, "overlap": 0.5}
    what["docstring"] = "Made\nfor a test."
    network = PhaseNet(SMALL).eval()
    pair(tmp_path, network, what, ".v3")
    card, folder = import_model(tmp_path / "mine.json.v3", name="ours", folder=tmp_path / "out")
    assert folder == tmp_path / "out" / "ours"
    model = models.load_model(folder)
    assert model.card == card
    assert (card.name, card.version, card.family) == ("ours", "3", "phasenet")
    assert card.description == "Made for a test."
    assert card.output.names == ("p", "s", "noise")
    assert (card.input.components, card.input.rate_hz) == ("NEZ", 50.0)
    assert (card.windows.length, card.windows.step, card.windows.blinding) == (
        3001, 3001 - 1500, (250, 250),
    )  # fmt: skip
    assert (card.thresholds.p, card.thresholds.s) == (0.21, 0.3)
    assert card.size.parameters == sum(p.numel() for p in network.parameters())
    x = np.random.default_rng(0).standard_normal((3, 3, 3001), np.float32)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.network.run(x)[0], wanted, atol=1e-6)
    with pytest.raises(ModelError, match="exists"):
        import_model(tmp_path / "mine.pt.v3", name="ours", folder=tmp_path / "out")


def test_an_eqtransformer_of_any_size_is_rebuilt_and_exported(tmp_path: Path) -> None:
    what = stated("eqtransformer")
    what["model_args"] |= {"in_samples": 121, "norm": "peak", "norm_detrend": True}
    what["default_args"] = {"blinding": [10, 10], "overlap": 60, "detection_threshold": 0.4}
    network, card = rebuild(read_seisbench(pair(tmp_path, EQTransformer(NARROW), what)))
    assert network.config == NARROW
    assert card.output.names == ("event", "p", "s")
    assert (card.input.preprocessing, card.input.together) == ("peak", False)
    assert card.input.detrend
    assert card.windows.stacking == "maximum"
    assert (card.thresholds.event, card.thresholds.p) == (0.4, 0.1)
    # An odd number of samples: the decoder must find its way back to it. `to_onnx` compares the
    # two networks itself.
    content = to_onnx(network, (2, 3, 121))
    target = tmp_path / "model"
    models.save_model(card, content, target)
    assert models.load_model(target).network.output_shapes == ((None, 3, 121),)


def test_attention_sums_to_one_and_stays_within_its_width() -> None:
    network = EQTransformer(NARROW).eval()
    attention = network.pick_attentions[0]
    x = torch.zeros(1, 4, 9)
    x[..., 4] = 1.0
    out = attention(x)[0, 0]
    # All scores are equal (weights are zero), so each step is the mean of itself and neighbours.
    wanted = torch.tensor([0, 0, 0, 1, 1, 1, 0, 0, 0]) / 3.0
    assert torch.allclose(out, wanted, atol=1e-5)
    whole = network.transformer_d.attention(x)[0, 0]
    assert torch.allclose(whole, torch.full((9,), 1 / 9), atol=1e-5)


def test_padding_of_tensorflow_by_brute_force() -> None:
    network = PhaseNet(PhaseNetConfig(filters=(2, 3, 4), n_in=1))
    for n in (20, 21, 22, 23, 47, 188):
        left, right = network._padding(0, n)
        steps = -(-n // 4)
        assert (n + left + right - 7) // 4 + 1 == steps
        assert 0 <= right - left <= 1
        assert network(torch.zeros(1, 1, n)).shape == (1, 3, n)


def test_released_phasenet_needs_all_its_variables() -> None:
    with pytest.raises(ModelError, match="Input__input_conv__kernel"):
        from_tensorflow({"a": np.zeros(3)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filter_args": ["highpass"], "filter_kwargs": {"freq": 1}}, "filters the whole stream"),
        ({"in_channels": 4}, "4 components"),
        ({"phases": "NPX"}, "P and S are required"),
        ({"original_compatible": True}, "original_compatible"),
        ({"norm_axis": [-1]}, "'norm_axis' is not known"),
        ({"component_order": "12Z"}, "ZNE"),
    ],
)
def test_arguments_that_mean_something_else_are_refused(
    tmp_path: Path, change: dict, words: str
) -> None:
    what = stated("phasenet")
    what["model_args"] |= change
    path = pair(tmp_path, PhaseNet(SMALL), what)
    with pytest.raises((ModelError, ConfigError), match=words) as caught:
        rebuild(read_seisbench(path))
    assert "\n" not in str(caught.value)
    assert "mine" in str(caught.value)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = pair(tmp_path, PhaseNet(SMALL), stated("phasenet"))
    weights, arguments = tmp_path / "mine.pt", tmp_path / "mine.json"

    def says(words: str) -> None:
        with pytest.raises(ModelError, match=words) as caught:
            rebuild(read_seisbench(path))
        assert "\n" not in str(caught.value)

    content, text = weights.read_bytes(), arguments.read_text()
    weights.write_bytes(content[: len(content) // 2])
    says("damaged")
    weights.write_bytes(b"")
    says("damaged")
    torch.save(types.SimpleNamespace(a=1), weights)
    says("more than weights")
    torch.save([1, 2], weights)
    says("no weights by name")
    torch.save({"conv.weight": torch.zeros(3)}, weights)
    says("neither SeisBench's PhaseNet")
    state = PhaseNet(SMALL).state_dict()
    torch.save({k: v for k, v in state.items() if "up_branch.2" not in k}, weights)
    says("are not those of a phasenet")
    weights.write_bytes(content)
    arguments.write_text(text[:20])
    says("no JSON")
    arguments.write_text("{}")
    says("model_args")
    arguments.unlink()
    says("is a pair mine.pt and mine.json")


def test_installed_seisbench_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "seisbench", None)
    with pytest.raises(ModelError, match="not installed"):
        import_model("seisbench:PhaseNet/stead", folder=tmp_path)
    with pytest.raises(ModelError, match="write seisbench:PhaseNet"):
        import_model("seisbench:GPD/stead", folder=tmp_path)
    asked = []

    class Fake:
        weights_version, weights_docstring, default_args = "2", "Of a test.", {"S_threshold": 0.4}

        def state_dict(self) -> dict:
            return PhaseNet(SMALL).state_dict()

        def get_model_args(self) -> dict:
            return stated("phasenet")["model_args"]

        @classmethod
        def from_pretrained(cls, name: str) -> Fake:
            asked.append(name)
            return cls()

    library = types.ModuleType("seisbench")
    library.models = types.ModuleType("seisbench.models")  # type: ignore[attr-defined]
    library.models.PhaseNet = Fake
    monkeypatch.setitem(sys.modules, "seisbench", library)
    monkeypatch.setitem(sys.modules, "seisbench.models", library.models)
    seen = {}

    def export(network, shape: tuple[int, ...]) -> bytes:
        seen["shape"] = shape
        raise ModelError("far enough")

    monkeypatch.setattr(model_import, "to_onnx", export)
    with pytest.raises(ModelError, match="far enough"):
        import_model("seisbench:PhaseNet/stead", folder=tmp_path)
    assert asked == ["stead"]
    assert seen["shape"] == (2, 3, 3001)


def test_without_pytorch_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModelError, match=r"onnxscript.*lithoscope\[train\]"):
        import_model(tmp_path / "mine.pt")
