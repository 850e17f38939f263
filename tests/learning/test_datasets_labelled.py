"""Pairs NAME.h5 and NAME.csv: what is read, what is left out and counted, clear errors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lithoscope.errors import DataError
from lithoscope.learning.datasets import read_dataset


def write_pair(folder: Path, rows: list[dict[str, Any]], data: Any = None, **attrs: Any) -> Path:
    """Write NAME.h5 and NAME.csv; rows without values get a P at 100 and an S at 200."""
    base: dict[str, Any] = {"p_sample": 100.0, "s_sample": 200.0, "other_picks": "[]"}
    table = pd.DataFrame(
        [{"idx": i, "trace": f"XX.S{i}..HH", **base, **row} for i, row in enumerate(rows)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "made.csv", index=False)
    if data is None:
        data = np.random.default_rng(0).normal(size=(len(rows), 3, 500))
    with h5py.File(folder / "made.h5", "w") as file:
        file["x"] = np.asarray(data, np.float32)
        file.attrs["components"] = "ZNE"
        file.attrs["sampling_rate"] = 100.0
        for name, value in attrs.items():
            file.attrs[name] = value
    return folder / "made.h5"


def test_real_files(real_data) -> None:
    folder = real_data("labelled")
    data = read_dataset(folder)
    assert set(data.metadata["source"]) == {p.stem for p in folder.glob("*.h5")}
    assert data.exclusions["n"].sum() + len(data) == sum(
        len(pd.read_csv(p)) for p in folder.glob("*.csv")
    )
    for source, part in data.metadata.groupby("source"):
        i = int(part.index[len(part) // 2])
        with h5py.File(folder / f"{source}.h5") as file:
            expected = file["x"][int(data.metadata["trace"][i].rpartition("/")[2])]
        np.testing.assert_array_equal(data.waveform(i), expected)
        record = data.record(i)
        assert record.data.shape[1] == part.loc[i, "valid_end"] - part.loc[i, "valid_start"]
    stead = data.metadata[data.metadata["trace"].str.startswith("stead")]
    assert set(stead["station"]) == {"TA.109C"}


def test_labels_of_overlapping_windows_are_shared(tmp_path: Path) -> None:
    """The same station, two windows 1 s apart: each holds both labels, at its own samples."""
    write_pair(
        tmp_path,
        [
            {"trace": "XX.A..HH", "t0": "2020-01-01T00:00:00Z"},
            {"trace": "XX.A..HH", "t0": "2020-01-01T00:00:01Z", "s_sample": 150.0},
            {"trace": "XX.B..HH", "t0": "2020-01-01T00:00:01Z"},
        ],
    )
    labels = read_dataset(tmp_path).metadata["labels"]
    assert sorted(labels[0]) == [("P", 100.0), ("P", 200.0), ("S", 200.0), ("S", 250.0)]
    assert sorted(labels[1]) == [("P", 0.0), ("P", 100.0), ("S", 100.0), ("S", 150.0)]
    assert labels[2] == [("P", 100.0), ("S", 200.0)]


def test_components_in_another_order(tmp_path: Path) -> None:
    data = np.arange(3)[None, :, None] + np.zeros((1, 3, 500))
    path = write_pair(tmp_path, [{}], data, components="ENZ")
    assert read_dataset(path).waveform(0)[:, 0].tolist() == [2, 1, 0]


def test_unusable_rows_are_counted_and_named(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {},
        {"p_sample": np.nan, "s_sample": np.nan},
        {"p_sample": 300.0},
        {"s_sample": 500.0},
        {"p_sample": -1.0},
        {"valid_start": 0, "valid_end": 900},
        {"p_sample": np.nan, "s_sample": np.nan},
    ]
    for row in rows:
        row.setdefault("valid_start", 0)
        row.setdefault("valid_end", 500)
    data = read_dataset(write_pair(tmp_path, rows))
    assert list(data.metadata["trace"]) == ["made/0"]
    found = data.exclusions.set_index("reason")
    assert found["n"].to_dict() == {
        "no P or S label": 2,
        "P not before S": 1,
        "label outside the trace": 2,
        "valid part outside the trace": 1,
    }
    assert found.loc["no P or S label", "example"] == "made/1"


def test_nan_is_refused_when_read_and_can_be_left_out(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=(3, 3, 500))
    samples[1, 0, 7] = np.nan
    samples[2] = 5.0
    data = read_dataset(write_pair(tmp_path, [{}, {}, {}], samples))
    with pytest.raises(DataError, match="'made/1' holds NaN"):
        data.waveform(1)
    clean = data.without_bad_waveforms()
    assert list(clean.metadata["trace"]) == ["made/0"]
    assert dict(zip(clean.exclusions["reason"], clean.exclusions["n"], strict=True)) == {
        "NaN or infinite samples": 1,
        "no component with signal": 1,
    }


def test_masks_and_pickling(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=(1, 3, 500))
    samples[0, 1:] = 0.0
    data = pickle.loads(pickle.dumps(read_dataset(write_pair(tmp_path, [{}], samples))))
    assert data.mask(0).tolist() == [True, False, False]
    assert data.record(0).mask.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:3000]), "cannot be read as HDF5"),
        (lambda p: p.write_bytes(b"no hdf5"), "cannot be read as HDF5"),
        (lambda p: write_pair(p.parent, [{}], np.zeros((1, 2, 500))), r"\(traces, 3, samples\)"),
        (lambda p: write_pair(p.parent, [{}, {}], np.zeros((1, 3, 500))), "2 rows for 1 traces"),
        (lambda p: write_pair(p.parent, [{"p_sample": 400.0}]), "left out: 1 x P not before S"),
        (lambda p: write_pair(p.parent, [{"p_sample": "soon"}]), "'soon' is no number"),
        (lambda p: write_pair(p.parent, [{"other_picks": "P 3"}]), "a JSON list"),
        (lambda p: write_pair(p.parent, [{}], components="ZRT"), "components 'ZRT'"),
        (lambda p: write_pair(p.parent, [], np.zeros((0, 3, 500))), "lacks|no usable row|no CSV"),
        (lambda p: p.with_suffix(".csv").unlink(), "holds no pair|no dataset"),
    ],
)
def test_bad_files_are_one_line_errors(tmp_path: Path, change, message: str) -> None:
    path = write_pair(tmp_path, [{}])
    change(path)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_dataset(tmp_path / "nowhere")
