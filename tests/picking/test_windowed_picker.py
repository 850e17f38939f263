"""PhaseNet and EQTransformer in our engine: parity with SeisBench, invariance, rules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import seisbench_recipe as recipe
import torch

from lithoscope.errors import DataError, ModelError
from lithoscope.learning.cards import Input, ModelCard, Output, Sigmas, Windows
from lithoscope.learning.models import Model
from lithoscope.learning.seisbench_models import Foreign, rebuild
from lithoscope.picking.settings import LearnedPickerSettings
from lithoscope.picking.windowed import WindowedPicker, prepare, stacked, trained_picker
from lithoscope.waveforms import Record

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "seisbench"
TOLERANCE = {"phasenet": 1e-5, "eqtransformer": 1e-4}  # tests/reference/seisbench/README.md


torch.set_num_threads(1)


class Torch:
    """A PyTorch network where an `OnnxModel` is expected: exporting takes long."""

    def __init__(self, network) -> None:
        self.network = network

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [self.network(torch.from_numpy(np.ascontiguousarray(x))).numpy()]


class Function:
    """The same from a function of the batch."""

    def __init__(self, function) -> None:
        self.function = function

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        return [self.function(x)]


def record(data: np.ndarray, start_ns: int = 0, rate_hz: float = 100.0) -> Record:
    return Record(
        "XX.A..HH", start_ns, rate_hz, data.astype(np.float32), np.ones(3, bool),
        ("XX.A..HHZ", "XX.A..HHN", "XX.A..HHE"), np.zeros(3, bool),
    )  # fmt: skip


def small(function, **changes) -> Model:
    """A model of windows of 100 samples, 40 apart, whose outputs are a function of its input."""
    values = {
        "name": "small",
        "family": "phasenet",
        "input": Input(preprocessing="peak"),
        "output": Output(names=("noise", "p", "s")),
        "windows": Windows(length=100, step=40),
        "sigmas": Sigmas(p_s=0.05, s_s=0.1),
    }
    return Model(ModelCard(**(values | changes)), Function(function), Path())


@pytest.fixture(scope="module")
def rebuilt():
    """Return the rebuilt networks with the seeded weights, and their cards."""

    def make(family: str) -> Model:
        stated = json.loads((REFERENCE / f"{family}.json").read_text())
        if family == "phasenet":
            from lithoscope.learning.networks.phasenet import PhaseNet as Network
        else:
            from lithoscope.learning.networks.eqtransformer import EQTransformer as Network
        state = Network().state_dict()
        made = recipe.weights({name: tuple(value.shape) for name, value in state.items()})
        weights = state | {name: torch.from_numpy(value) for name, value in made.items()}
        foreign = Foreign(family, "1", weights, stated["model_args"], {}, "")
        network, card = rebuild(foreign)
        return Model(card, Torch(network), Path())

    return {family: make(family) for family in recipe.STEP}


@pytest.mark.parametrize("family", list(recipe.STEP))
def test_outputs_are_those_of_seisbench(rebuilt, family: str) -> None:
    with np.load(REFERENCE / "annotations.npz") as file:
        wanted = file[family]
    assert np.ptp(wanted, axis=1).min() > 0.8  # a constant would be easy to match
    data = record(recipe.record(family), recipe.starttime_ns(family))
    found = stacked(data, rebuilt[family], batch=2)[:, ::10]
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE[family])
    # The test would see another rule for the windows, the components or the divisor.
    card = rebuilt[family].card
    for part, change in (
        ("windows", {"stacking": "mean" if family == "eqtransformer" else "maximum"}),
        ("windows", {"step": card.windows.step // 2}),
        ("input", {"components": "ENZ"}),
        ("input", {"preprocessing": "peak"}),
    ):
        other = card.model_copy(update={part: getattr(card, part).model_copy(update=change)})
        changed = stacked(data, replace(rebuilt[family], card=other))[:, ::10]
        assert np.abs(changed - wanted).max() > 50 * TOLERANCE[family], change


@pytest.mark.parametrize("norm", ["std", "peak"])
@pytest.mark.parametrize("together", [True, False])
def test_preparation_by_its_definition(norm: str, together: bool) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal([[[3.0], [-50.0], [0.0]]], [[[1.0], [20.0], [5.0]]], (4, 3, 300))
    x += np.linspace(0, 30, 300)
    how = Input(preprocessing=norm, together=together, detrend=True, taper_samples=6)
    found = prepare(x.astype(np.float32), how, 300)
    fit = np.stack([np.polyval(np.polyfit(np.arange(300), r, 1), np.arange(300))
                    for r in x.reshape(-1, 300)]).reshape(x.shape)  # fmt: skip
    wanted = x - fit
    axes = (1, 2) if together else (2,)
    if norm == "std":
        wanted /= wanted.std(axes, keepdims=True, ddof=1)
    else:
        wanted /= np.abs(wanted).max(axes, keepdims=True)
    taper = np.ones(300)
    taper[:6] = np.sin(np.arange(6) * np.pi / 10) ** 2
    np.testing.assert_allclose(found, wanted * taper * taper[::-1], atol=2e-5)


@pytest.mark.parametrize("factor", [1e-30, 1e-9, 1.0, 1e9])
def test_units_do_not_matter_and_dead_components_are_zeros(factor: float) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, 3, 200)).astype(np.float32)
    x[0, 1] = 4.0
    for norm in ("std", "peak"):
        how = Input(preprocessing=norm)
        found = prepare(x * np.float32(factor), how, 200)
        np.testing.assert_allclose(found, prepare(x, how, 200), atol=1e-5)
        assert not found[0, 1].any()
        assert not prepare(np.zeros((1, 3, 200), np.float32), how, 200).any()


def test_windows_are_anchored_to_absolute_time_and_averaged() -> None:
    def place(x: np.ndarray) -> np.ndarray:
        # Each output sample says where it stands in its window.
        return np.broadcast_to(np.arange(100, dtype=np.float32), x.shape).copy()

    rng = np.random.default_rng(3)
    data = rng.standard_normal((3, 350))
    first = 1_000_000_017
    found = stacked(record(data, first * 10_000_000), small(place))[0]
    starts = {0, 250} | {a for a in range(-60, 251) if (first + a) % 40 == 0 and a >= 0}
    wanted = [np.mean([i - a for a in starts if 0 <= i - a < 100]) for i in range(350)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    windows = Windows(length=100, step=40, blinding=(10, 20), stacking="maximum")
    found = stacked(record(data, first * 10_000_000), small(place, windows=windows))[0]
    wanted = [max([i - a for a in starts if 10 <= i - a < 80] or [0]) for i in range(350)]
    np.testing.assert_array_equal(found, wanted)


def test_a_cut_changes_nothing_beyond_one_window(rebuilt) -> None:
    model = rebuilt["phasenet"]
    whole = record(recipe.record("phasenet"), recipe.starttime_ns("phasenet"))
    picker = WindowedPicker(model, LearnedPickerSettings(batch=1))
    cut = whole.cut(whole.starttime_ns + 7_770_000_000, whole.endtime_ns + 1_000_000)
    a, b = stacked(whole, model), stacked(cut, model, batch=3)
    far = 777 + model.card.windows.length
    np.testing.assert_allclose(b[:, far - 777 :], a[:, far:], atol=1e-6)
    after = whole.starttime_ns + 7_770_000_000 + round(picker.context_s * 1e9)
    tables = [picker.pick(r)[0] for r in (whole, cut)]
    late = [t[t["time"].astype("int64") > after].reset_index(drop=True) for t in tables]
    assert len(late[0]) > 10
    assert late[0]["pick_id"].tolist() == late[1]["pick_id"].tolist()
    np.testing.assert_allclose(late[0]["probability"], late[1]["probability"], atol=1e-5)


def bumps(at: dict[str, list[tuple[int, float]]]):
    """Return a network whose P and S rise to given heights at absolute samples."""

    def run(x: np.ndarray) -> np.ndarray:
        out = np.zeros_like(x)
        # The vertical holds the sample number, scaled by its peak within the window.
        place = np.rint((x[:, 0] / x[:, 0].max(1, keepdims=True)) * 49.5 + 49.5)
        for k, phase in enumerate(("p", "s"), start=1):
            for sample, height in at[phase]:
                out[:, k] += height * np.exp(-0.5 * ((place - sample) / 4.0) ** 2)
        out[:, 0] = 1.0 - out[:, 1] - out[:, 2]
        return out

    return run


def test_picks_are_local_maxima_with_the_sigmas_of_the_card() -> None:
    data = np.zeros((3, 100))
    data[0] = np.arange(100)
    network = bumps({"p": [(20, 0.9), (50, 0.29)], "s": [(70, 0.6), (82, 0.4)]})
    model = small(network, windows=Windows(length=100, step=100))
    start = 86_400_000_000_000
    picks, detections = WindowedPicker(model).pick(record(data, start))
    assert picks["phase"].tolist() == ["P", "S"]  # 0.29 is too low, 0.4 too near a larger one
    times = picks["time"].astype("int64").to_numpy() - start
    assert times.tolist() == [200_000_000, 700_000_000]
    assert picks["time_sigma_s"].tolist() == [0.05, 0.1]
    np.testing.assert_allclose(picks["probability"], [0.9, 0.6], atol=0.02)
    assert set(picks["model"]) == {"small-1"}
    assert len(detections) == 2
    # A lower threshold adds picks and moves none.
    more = WindowedPicker(model, LearnedPickerSettings(p_threshold=0.1, apart_s=0.05)).pick(
        record(data, start)
    )[0]
    assert set(picks["pick_id"]) < set(more["pick_id"])
    assert len(more) == 4


def test_other_rates_and_short_records(rebuilt) -> None:
    picker = WindowedPicker(rebuilt["phasenet"])
    rng = np.random.default_rng(5)
    half = record(rng.standard_normal((3, 2000)), 12_345_678_900, 50.0)
    out = picker.annotate(half)
    assert out.shape == (3, 2000)
    assert np.isfinite(out).all()
    assert 0 <= out.min() <= out.max() <= 1
    assert picker.annotate(record(rng.standard_normal((3, 150)))).shape == (3, 150)
    assert "needs at least" in picker.unusable(record(np.zeros((3, 50))))
    assert "20 Hz" in picker.unusable(record(np.zeros((3, 500)), 0, 10.0))
    assert picker.pick(record(np.zeros((3, 50))))[0].empty


def test_what_cannot_run_is_refused() -> None:
    def nothing(x: np.ndarray) -> np.ndarray:
        return x[:, :, :50]

    with pytest.raises(ModelError, match="promises 3 outputs"):
        stacked(record(np.ones((3, 300))), small(nothing))
    for change, words in (
        ({"output": Output(names=("p", "x"))}, "needs 'p' and 's'"),
        ({"input": Input(preprocessing="rms")}, "allowed are std, peak"),
        ({"sigmas": Sigmas()}, "no time uncertainty"),
        ({"family": "lithoscope"}, "learned picker"),
    ):
        with pytest.raises(ModelError, match=words):
            WindowedPicker(small(nothing, **change))
    bad = np.ones((3, 300))
    bad[1, 7] = np.nan
    with pytest.raises(DataError, match="not finite"):
        WindowedPicker(small(nothing)).pick(record(bad))
    assert isinstance(trained_picker(small(nothing)), WindowedPicker)


@pytest.mark.data
def test_the_released_phasenet_picks_as_its_authors_say(real_data) -> None:
    # A plain port scored P F1 0.93 and S F1 0.84 within 0.1 s on these records (README of the
    # peers), with 30 s windows cut around the labels. Two standard errors of an F1 of 154: 0.06.
    from lithoscope.learning.datasets import read_dataset
    from lithoscope.learning.model_import import _released_phasenet

    network, card = _released_phasenet(real_data("peers") / "phasenet_190703.npz")
    picker = WindowedPicker(Model(card, Torch(network), Path()))
    dataset = read_dataset(real_data("labelled"))
    rows = dataset.metadata[dataset.metadata["source"] == "ncedc_phasenet_train"]
    score = {"P": np.zeros(3), "S": np.zeros(3)}
    for i in rows.index:
        begin = max(int(rows.valid_start[i]), int(min(at for _, at in rows.labels[i])) - 900)
        end = min(int(rows.valid_end[i]), begin + 3000)
        picks = picker.pick(record(dataset.waveform(i)[:, begin:end]))[0]
        for phase, sample in rows.labels[i]:
            times = picks["time"][picks["phase"] == phase].astype("int64") / 1e9
            hit = (np.abs(times - (sample - begin) / 100) <= 0.1).any()
            score[phase] += (hit, len(times), 1)
    f1 = {phase: 2 * hits / (n + labels) for phase, (hits, n, labels) in score.items()}
    assert f1["P"] > 0.93 - 0.06
    assert f1["S"] > 0.84 - 0.06
