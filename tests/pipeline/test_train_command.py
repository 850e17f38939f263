"""`lithoscope train`: from a configuration to a model that picks; fine-tuning and its guard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from training_files import TINY, copy_part, write_shocks

pytest.importorskip("torch")

from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.datasets import read_dataset
from lithoscope.learning.models import load_model
from lithoscope.learning.splits import folds_by_station, site, split_by_station
from lithoscope.picking import LearnedPicker
from lithoscope.pipeline.training import load_training, train_fold, train_model

STEPS = 120


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training on made records and synthetics, calibrated on unseen stations."""
    folder = tmp_path_factory.mktemp("start")
    write_shocks(folder / "shocks.h5", 150, seed=5)
    (folder / "train.toml").write_text(
        'name = "tiny"\nvalidation = ["shocks.h5"]\n'
        + TINY
        + f"steps = {STEPS}\nvalidate_every = 40\n"
        + '[[sources]]\nkind = "dataset"\npath = "shocks.h5"\nshare = 0.8\n'
        + '[[sources]]\nkind = "synthetic"\ntraces = 40\nshare = 0.2\n'
    )
    train_model(load_training(folder / "train.toml"), folder / "out")
    return folder


def test_a_tiny_training_improves_and_its_model_picks(start: Path) -> None:
    lines = (start / "out" / "curves.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert [int(float(r["step"])) for r in rows] == [40, 80, 120]
    assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])
    assert max(float(r["score"]) for r in rows) > float(rows[0]["score"])

    model = load_model(start / "out" / "tiny")
    assert model.card.calibration.s.probability.x
    assert model.card.training.seed == 0
    dataset = read_dataset(start / "shocks.h5")
    dataset = dataset.with_split(split_by_station(dataset.metadata)).part("test")
    picker = LearnedPicker(model)
    near = 0
    for i in range(len(dataset)):
        picks = picker.pick(dataset.record(i))[0]
        times = (picks["time"].astype("int64").to_numpy() - dataset.start_ns(i)) / 1e9
        label = dict(dataset.metadata.iloc[i]["labels"])["P"] / 100.0
        near += bool((np.abs(times[(picks["phase"] == "P").to_numpy()] - label) < 0.5).any())
    assert near > len(dataset) / 3


def test_folds_hold_every_station_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lithoscope.pipeline.calibrate_model.COPIES", 1)
    write_shocks(tmp_path / "shocks.h5", 36, seed=6)
    (tmp_path / "c.toml").write_text(
        'name = "tiny"\nfolds = 2\n'
        + TINY
        + "steps = 5\nvalidate_every = 5\n"
        + '[[sources]]\nkind = "dataset"\npath = "shocks.h5"\npart = "train+validation"\n'
    )
    settings = load_training(tmp_path / "c.toml")
    out = tmp_path / "out"
    first = train_fold(settings, out, 1)
    before = (first / "model.onnx").stat().st_mtime_ns, (first / "weights.npz").read_bytes()
    outcome = train_model(settings, out)
    assert (out / "fold-1" / "tiny" / "weights.npz").read_bytes() == before[1]
    assert "2 folds" in outcome.card.training.recipe

    dataset = read_dataset(tmp_path / "shocks.h5")
    parts = split_by_station(dataset.metadata).parts
    pool = dataset.metadata[np.isin(parts, ("train", "validation"))]
    folds = folds_by_station(list(zip(pool["source"], pool["station"], strict=True)), 2)
    assert set(folds) == {site(s) for s in pool["station"]}
    n = [sum(folds[site(s)] == k for s in pool["station"]) for k in (0, 1)]
    assert abs(n[0] - n[1]) <= pool["station"].value_counts().max()
    with pytest.raises(ConfigError, match="folds = 2"):
        train_fold(settings, out, 2)


def tune(start: Path, folder: Path, dataset: Path, steps: int, rate: str = "2e-3"):
    text = (
        f'name = "tuned"\nstart = "{start / "out" / "tiny"}"\nold = ["{start / "shocks.h5"}"]\n'
        + TINY.replace("5e-3", rate)
        + f'steps = {steps}\n[[sources]]\nkind = "dataset"\npath = "{dataset}"\n'
    )
    (folder / "tune.toml").write_text(text)
    return train_model(load_training(folder / "tune.toml"), folder / "out")


@pytest.mark.data
def test_fine_tuning_on_50_records_improves_unseen_stations(
    start: Path, real_data, tmp_path: Path
) -> None:
    source = real_data("labelled") / "iceland_holuhraun_qm.h5"
    parts = split_by_station(read_dataset(source).metadata).parts
    train_rows = np.flatnonzero(parts == "train")[:50]
    test_rows = np.flatnonzero(parts == "test")
    copy = copy_part(source, tmp_path / "iceland.h5", sorted([*train_rows, *test_rows]))
    guard = tune(start, tmp_path, copy, 80).guard
    assert guard is not None
    new = guard[guard["test"] == "new"].set_index("phase")
    assert (new["after"] - new["before"]).mean() > 0.05
    assert set(guard["test"]) == {"new", "old"}


@pytest.mark.data
def test_the_guard_refuses_a_bad_fine_tune(
    start: Path, real_data, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Labels 3 s late, as a wrong clock makes them, in training only."""
    source = real_data("labelled") / "iceland_holuhraun_qm.h5"
    parts = split_by_station(read_dataset(source).metadata).parts
    bad = copy_part(
        source, tmp_path / "bad.h5", list(np.flatnonzero(parts == "train")[:50]), late_s=3.0
    )
    good = copy_part(source, tmp_path / "good.h5", list(np.flatnonzero(parts == "test")[:60]))
    (tmp_path / "tune.toml").write_text(
        f'name = "tuned"\nstart = "{start / "out" / "tiny"}"\nold = ["{start / "shocks.h5"}"]\n'
        + TINY
        + f'steps = 60\n[[sources]]\nkind = "dataset"\npath = "{bad}"\n'
        + f'[[sources]]\nkind = "dataset"\npath = "{good}"\npart = "test"\nshare = 1e-9\n'
    )
    outcome = train_model(load_training(tmp_path / "tune.toml"), tmp_path / "out")
    assert not outcome.recommended


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("stepps = 3", ConfigError, "did you mean"),
        ("[training]\nsteps = 0", ConfigError, "steps"),
        ("", ConfigError, "no sources"),
        ('[[sources]]\nkind = "dataset"', ConfigError, "needs a path"),
        ('[[sources]]\nkind = "dataset"\npath = "none.h5"', Exception, "none.h5"),
        ('start = "no-such-model"', Exception, "no model"),
        ('teacher = "no-such-model"', Exception, "no model"),
        ("name = [", ConfigError, "no TOML"),
    ],
)
def test_bad_configurations_say_what_to_change(
    tmp_path: Path, text: str, error: type[Exception], match: str
) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(error, match=match) as caught:
        train_model(load_training(tmp_path / "c.toml"), tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_fine_tuning_without_test_records_is_refused_before_it_begins(
    start: Path, tmp_path: Path
) -> None:
    parts = split_by_station(read_dataset(start / "shocks.h5").metadata).parts
    copy_part(start / "shocks.h5", tmp_path / "one.h5", list(np.flatnonzero(parts == "train")[:5]))
    (tmp_path / "c.toml").write_text(
        f'start = "{start / "out" / "tiny"}"\n[[sources]]\nkind = "dataset"\npath = "one.h5"\n'
    )
    with pytest.raises(ConfigError, match="test part"):
        train_model(load_training(tmp_path / "c.toml"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_records_without_a_teacher_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[[sources]]\nkind = "records"\npath = "."\n')
    with pytest.raises(ConfigError, match="teacher"):
        train_model(load_training(tmp_path / "c.toml"), tmp_path / "out")


def test_a_model_without_weights_cannot_be_tuned(start: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in ("model.onnx", "card.toml"):
        (folder / name).write_bytes((start / "out" / "tiny" / name).read_bytes())
    (tmp_path / "c.toml").write_text(json.dumps("bare").join(["start = ", "\n"]))
    with pytest.raises(DataError, match=r"weights\.npz"):
        train_model(load_training(tmp_path / "c.toml"), tmp_path / "out")
    (folder / "weights.npz").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match="no weights"):
        train_model(load_training(tmp_path / "c.toml"), tmp_path / "out")
