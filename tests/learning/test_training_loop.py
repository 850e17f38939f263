"""Training: targets, changes, a loop that can stop and go on, and learning that helps."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.networks.picknet import (
    OUTPUT_STRIDE,
    STRIDE,
    PickNet,
    PickNetSettings,
    reach,
)
from lithoscope.learning.preprocessing import CHANNELS
from lithoscope.learning.training.augment import AugmentationSettings, augment
from lithoscope.learning.training.examples import Example, crop, targets
from lithoscope.learning.training.loop import train
from lithoscope.learning.training.settings import TrainingSettings
from lithoscope.learning.training.sources import Mixture, TraceSource
from lithoscope.learning.training.validate import outputs, scores

TINY = TrainingSettings(
    widths=(8, 8, 16, 16),
    steps=20,
    batch_size=8,
    window_samples=1024,
    learning_rate=5e-3,
    warm_up_steps=5,
    validate_every=10,
    checkpoint_every=10,
    dropout=0.1,
)


def shock(seed: int, n: int = 2048) -> Example:
    """A P of 8 Hz on the vertical and an S of 4 Hz on the horizontals, in noise."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(3, n)).astype(np.float32)
    p = float(rng.integers(400, n - 900))
    s = p + float(rng.integers(150, 500))
    t = np.arange(n)
    for onset, rows, hz, size in ((p, [0], 8.0, 10.0), (s, [1, 2], 4.0, 20.0)):
        after = np.clip(t - onset, 0, None) / 100.0
        wave = size * np.sin(2 * np.pi * hz * after) * np.exp(-after / 1.0) * (after > 0)
        data[rows] += wave.astype(np.float32)
    picks = np.array([[0, p, 1, 1], [1, s, 1, 1]], float)
    return Example(data, np.ones(3, bool), picks, np.array([[p, s + 1.4 * (s - p), 1.0]]))


def shocks(first: int, n: int) -> list[Example]:
    return [shock(first + i) for i in range(n)]


def test_targets_peak_at_the_onset_and_offsets_lead_to_it() -> None:
    one = shock(1)
    target, weight = targets(one)
    for phase in (0, 1):
        onset = one.picks[phase, 1]
        top = int(np.argmax(target[phase]))
        assert abs(top * OUTPUT_STRIDE - onset) <= OUTPUT_STRIDE / 2
        timed = np.flatnonzero(weight[3 + phase])
        assert len(timed) > 10
        reached = timed * OUTPUT_STRIDE / 100.0 + target[3 + phase, timed]
        np.testing.assert_allclose(reached, onset / 100.0, atol=1e-5)


def test_what_is_unknown_or_without_data_has_no_weight() -> None:
    one = shock(2)
    masked = Example(one.data, one.mask, one.picks, one.events, np.array([[1, 100.0, 900.0]]))
    weight = targets(masked)[1]
    assert not weight[1, 50:451].any()
    assert weight[0, 50:451].all()
    part = crop(one, -500, 2048)
    assert part.span == (500, 2048)
    assert not targets(part)[1][:3, :250].any()
    assert targets(part)[1][:3, 250:].all()
    np.testing.assert_array_equal(part.data[:, 500:], one.data[:, :1548])


@pytest.mark.parametrize("seed", range(12))
def test_changes_keep_onsets_where_the_wave_begins(seed: int) -> None:
    """Whatever is done to an example, the energy after a kept label exceeds that before."""
    rng = np.random.default_rng(seed)
    how = AugmentationSettings(stretch=1.0, rotate=1.0, filter=0.0, fault=0.0, edge=0.3)
    one = shock(seed)
    noise = rng.normal(size=one.data.shape).astype(np.float32)
    changed = augment(one, rng, how, noise=noise)
    begin, end = changed.span
    assert not changed.data[:, :begin].any()
    assert not changed.data[:, end:].any()
    for phase, sample, probability, _ in changed.picks:
        at = int(sample)
        if phase or probability < 0.9 or at - begin < 150 or end - at < 60 or not changed.mask[0]:
            continue
        after = np.abs(changed.data[0, at + 2 : at + 40]).max()
        assert after > 1.2 * np.sqrt(np.mean(changed.data[0, at - 100 : at - 2] ** 2))


def test_the_stated_reach_is_the_reach() -> None:
    torch.manual_seed(0)
    size = PickNetSettings((8, 8, 8, 8))
    net = PickNet(size).eval()
    far = reach(size)
    n = 2 * (-(-far // STRIDE) + 2) * STRIDE
    x = torch.randn(1, CHANNELS, 1, n)
    at = n // 2 // OUTPUT_STRIDE
    with torch.inference_mode():
        before = net(x)[..., at]
        y = x.clone()
        y[..., : n // 2 - far] += 5.0
        y[..., n // 2 + far + 1 :] -= 5.0
        torch.testing.assert_close(net(y)[..., at], before, rtol=0, atol=1e-6)


def test_two_runs_of_ten_steps_end_like_one_of_twenty(tmp_path: Path) -> None:
    mixture, validation = Mixture([TraceSource("a", shocks(0, 20))], [1.0]), shocks(500, 4)
    whole = train(mixture, validation, TINY, tmp_path / "whole")
    train(mixture, validation, TINY, tmp_path / "parts", stop_at=10)
    parts = train(mixture, validation, TINY, tmp_path / "parts")
    np.testing.assert_equal((whole.step, whole.score), (parts.step, parts.score))  # NaN is NaN
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(parts.net.state_dict()[name], value, rtol=0, atol=0)
    curves = [(tmp_path / name / "curves.csv").read_text() for name in ("whole", "parts")]
    assert curves[0] == curves[1]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    mixture = Mixture([TraceSource("a", shocks(0, 4))], [1.0])
    train(mixture, [], TINY, tmp_path, stop_at=2)
    other = TINY.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(ConfigError, match="other settings"):
        train(mixture, [], other, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match="no readable checkpoint"):
        train(mixture, [], TINY, tmp_path)


def test_training_learns_and_frozen_parts_stay(tmp_path: Path) -> None:
    mixture, held_out = Mixture([TraceSource("a", shocks(0, 60))], [1.0]), shocks(900, 24)
    how = TINY.model_copy(
        update={
            "steps": 150,
            "validate_every": 50,
            "augmentation": AugmentationSettings(overlay=0, noise=0, fault=0, vertical_only=0),
        }
    )
    torch.manual_seed(how.seed)
    start = PickNet(PickNetSettings(how.widths))
    before = scores(outputs(start.eval(), held_out), held_out)["score"]
    result = train(mixture, held_out[:8], how, tmp_path / "full")
    after = scores(outputs(result.net, held_out), held_out)["score"]
    assert after > before + 0.1
    with (tmp_path / "full" / "curves.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < losses[0]

    frozen = how.model_copy(update={"steps": 5, "trainable": ("head", "up1")})
    tuned = train(mixture, [], frozen, tmp_path / "frozen", start=result.net).net.state_dict()
    for name, value in result.net.state_dict().items():
        same = torch.equal(value, tuned[name])
        if not name.startswith(("head", "up1")):
            assert same, name
    assert not torch.equal(result.net.state_dict()["head.weight"], tuned["head.weight"])


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    mixture = Mixture([TraceSource("a", shocks(0, 2))], [1.0])
    wrong = TINY.model_copy(update={"trainable": ("nothing",)})
    with pytest.raises(ConfigError, match="no part of the network"):
        train(mixture, [], wrong, tmp_path / "a")
    with pytest.raises(DataError, match="no source"):
        train(Mixture([], []), [], TINY, tmp_path / "b")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="cuda"):
            train(mixture, [], TINY, tmp_path / "c", device="cuda")
