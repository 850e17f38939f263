"""Evaluation of pickers whose quality is known by construction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lithoscope import schema
from lithoscope.cli.evaluate import as_values, evaluation_text, save_evaluation
from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.datasets import SeisBenchWriter, WaveformDataset, read_dataset
from lithoscope.pipeline.evaluated_picks import snr_db, truth
from lithoscope.pipeline.evaluation import Contestant, Evaluation, evaluate
from lithoscope.waveforms import Record

RATE_HZ, LENGTH_S = 20.0, 60.0
N_TRACES, P_S, S_S = 60, 20.0, 26.0


class Oracle:
    """Knows the onsets and errs as told: its picks have a sigma, false ones before P."""

    name, sampling_rate_hz, context_s = "oracle", RATE_HZ, 1.0

    def __init__(self, sigma_s: float, false_rate: float, seed: int, promised: float = 1.0) -> None:
        self.sigma_s, self.false_rate = sigma_s, false_rate
        self.promised = promised  # stated sigma over true sigma
        self.rng = np.random.default_rng(seed)

    def unusable(self, record: Record) -> str | None:
        """Return None: everything can be used."""

    def annotate(self, record: Record) -> NDArray[np.float32]:
        """Return nothing of interest."""
        return np.zeros((3, record.n_samples), np.float32)

    def pick(self, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the onsets of `dataset` with errors, and false picks of low probability."""
        rows = []
        if record.n_samples > 0.9 * LENGTH_S * RATE_HZ:
            for phase, t in (("P", P_S), ("S", S_S)):
                rows.append((phase, t + self.sigma_s * self.rng.normal(), 0.9))
            for t in self.rng.uniform(2, 17, self.rng.poisson(self.false_rate * 15 / 3600)):
                rows.append(("P", t, 0.4))
        table = [
            {
                "pick_id": f"{record.station}/{k}", "station": record.station, "phase": phase,
                "time": pd.Timestamp(record.starttime_ns + round(t * 1e9), tz="UTC"),
                "time_sigma_s": self.sigma_s * self.promised, "probability": probability,
            }
            for k, (phase, t, probability) in enumerate(rows)
        ]  # fmt: skip
        return schema.PICKS.table(table), schema.DETECTIONS.empty()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> WaveformDataset:
    """Return sixty traces of thirty stations: noise, with tenfold amplitude from P on."""
    folder = tmp_path_factory.mktemp("made") / "d"
    rng = np.random.default_rng(5)
    with SeisBenchWriter(folder) as writer:
        for i in range(N_TRACES):
            data = rng.normal(size=(3, int(LENGTH_S * RATE_HZ)))
            data[:, int(P_S * RATE_HZ) :] *= 10.0
            writer.add(
                data,
                {
                    "trace": f"t{i}", "source": "made", "station": f"XX.S{i % 30}..HH",
                    "event": f"e{i}", "sampling_rate_hz": RATE_HZ, "magnitude": i / 20.0,
                    "labels": [("P", P_S * RATE_HZ), ("S", S_S * RATE_HZ)],
                },
            )  # fmt: skip
    return read_dataset(folder)


@pytest.fixture(scope="module")
def result(dataset: WaveformDataset) -> Evaluation:
    """Return a sharp picker beside one of 0.1 s, on half of the traces."""
    sharp, blunt = Oracle(0.02, 0.0, 1), Oracle(0.1, 240.0, 2, promised=0.5)
    own = {"P": 0.2, "S": 0.2}
    return evaluate(
        [Contestant("sharp", sharp, own), Contestant("blunt", blunt, own)], dataset, n_samples=300
    )


def value(result: Evaluation, model: str, measure: str, phase: str, **more: object) -> pd.Series:
    """Return one row of the scores on all traces."""
    s = result.scores
    s = s[(s["model"] == model) & (s["measure"] == measure) & (s["phase"] == phase)]
    for name, wanted in ({"by": "all"} | more).items():
        s = s[s[name] == wanted]
    assert len(s) == 1
    return s.iloc[0]


def test_scores_are_those_the_pickers_were_made_with(result: Evaluation) -> None:
    n = N_TRACES
    assert value(result, "sharp", "f1", "P", tolerance_s=0.1)["value"] == 1.0  # five sigma
    blunt = value(result, "blunt", "recall", "P", tolerance_s=0.1)
    # one sigma within 0.1 s; three binomial standard deviations
    assert blunt["value"] == pytest.approx(0.683, abs=3 * np.sqrt(0.683 * 0.317 / n))
    assert blunt["low"] < 0.683 < blunt["high"]
    assert value(result, "blunt", "recall", "P", tolerance_s=0.5)["value"] == 1.0
    mad = value(result, "blunt", "residual_mad_s", "S")
    assert mad["low"] < 0.6745 * 0.1 < mad["high"]
    # 60 traces of 17 s of noise, of which the false picks fill 15 s
    rate = value(result, "blunt", "false_per_hour", "P")
    assert rate["low"] < 240 * 15 / 17 < rate["high"]
    assert value(result, "sharp", "false_per_hour", "P")["value"] == 0.0
    assert value(result, "sharp", "one_sigma", "P")["value"] == pytest.approx(0.683, abs=0.18)
    # its sigmas are half of what they should be: 0.383 within
    assert value(result, "blunt", "one_sigma", "S")["value"] == pytest.approx(0.383, abs=0.19)


def test_the_difference_is_that_of_the_same_groups(result: Evaluation) -> None:
    d = result.differences
    row = d[(d["by"] == "all") & (d["phase"] == "S") & (d["tolerance_s"] == 0.1)].iloc[0]
    ours = value(result, "sharp", "f1", "S", tolerance_s=0.1)["value"]
    theirs = value(result, "blunt", "f1", "S", tolerance_s=0.1)["value"]
    assert row["value"] == pytest.approx(ours - theirs)
    assert 0.0 < row["low"] < row["value"] < row["high"]


def test_classes_hold_every_label_once(result: Evaluation) -> None:
    s = result.scores
    f1 = s[(s["model"] == "sharp") & (s["measure"] == "f1") & (s["tolerance_s"] == 0.2)]
    for by in ("magnitude", "snr_db"):
        assert f1.loc[(f1["by"] == by) & (f1["phase"] == "P"), "n"].sum() == N_TRACES
    assert set(f1.loc[f1["by"] == "magnitude", "of"]) == {"-inf to 1", "1 to 2", "2 to 3"}
    assert "distance_km" not in set(s["by"])  # not known here


def test_signal_to_noise_ratio_of_a_known_one(dataset: WaveformDataset) -> None:
    found = truth(dataset).labels
    # white noise times ten: 20 dB; the largest of two components of 40 samples is a little more
    assert found.loc[found["phase"] == "P", "snr_db"].median() == pytest.approx(20.0, abs=1.5)
    record = dataset.record(0)
    assert np.isnan(snr_db(record, [("P", 0.3)])).all()


def test_thresholds_come_from_validation_data_alone(dataset: WaveformDataset) -> None:
    """False picks of probability 0.4 hurt F1, true ones have 0.9: the best lies between."""
    picker = Oracle(0.01, 600.0, 3)
    half = dataset.subset(range(30))
    found = evaluate(
        [Contestant("one", picker, {"P": 0.2, "S": 0.2})], half,
        validation=dataset.subset(range(30, 60)), n_samples=100,
    )  # fmt: skip
    thresholds = found.thresholds.set_index("phase")
    assert 0.4 < thresholds["threshold"]["P"] <= 0.9
    assert "validation" in thresholds["rule"]["P"]
    assert value(found, "one", "f1", "P", tolerance_s=0.1)["value"] == 1.0
    curve = found.curves[found.curves["phase"] == "P"]
    assert curve["false_per_hour"].iloc[0] > 300
    assert curve["false_per_hour"].iloc[-1] == 0


def test_settled_thresholds_are_kept(dataset: WaveformDataset) -> None:
    """They were chosen before the model saw the data that would choose others."""
    picker = Oracle(0.02, 0.0, seed=4)
    one = Contestant("a", picker, {"P": 0.95, "S": 0.5}, settled="folds")
    result = evaluate([one], dataset, validation=dataset, n_samples=10)
    assert set(result.thresholds["rule"]) == {"by F1 within 0.1 s on folds"}
    recall = result.scores.query("by == 'all' and measure == 'recall' and tolerance_s == 0.5")
    assert recall.set_index("phase")["value"].round(2).to_dict() == {"P": 0.0, "S": 1.0}


def test_tables_page_and_text(tmp_path: Path, result: Evaluation) -> None:
    save_evaluation(result, tmp_path, title="made")
    values = json.loads((tmp_path / "evaluation.json").read_text())
    assert values == json.loads(json.dumps(as_values(result)))
    assert len(pd.read_csv(tmp_path / "scores.csv")) == len(result.scores)
    page = (tmp_path / "evaluation.html").read_text()
    for title in ("Precision and recall, P", "Reliability, S", "Coverage of sigmas, P", "Noise, P"):
        assert title in page
    assert "http" not in page.replace("http-equiv", "")
    text = evaluation_text(result)
    assert "false_per_hour" in text
    assert "a hit is a pick" in text


def test_wrong_use(dataset: WaveformDataset) -> None:
    one = Contestant("one", Oracle(0.1, 0.0, 0), {"P": 0.2, "S": 0.2})
    with pytest.raises(ConfigError, match="each once"):
        evaluate([one, one], dataset)
    noise = dataset.metadata.assign(labels=[[] for _ in range(N_TRACES)], kind="noise")
    with pytest.raises(DataError, match="no label"):
        evaluate([one], WaveformDataset(noise, dataset.readers, dataset.keys))
