"""The SeisBench format: read as SeisBench writes it, written so that it reads back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lithoscope.errors import ConfigError, DataError
from lithoscope.learning.datasets import (
    SeisBenchWriter,
    WaveformDataset,
    concatenate,
    read_dataset,
    write_seisbench,
)
from lithoscope.learning.splits import split_by_event

SAMPLE = Path(__file__).parents[1] / "reference" / "seisbench_sample"
ORDER = {"Z": 0, "N": 1, "1": 1, "E": 2, "2": 2}


def by_hand(folder: Path, rows: list[dict[str, Any]], **arrays: Any) -> Path:
    """Write a dataset with h5py alone; keywords are arrays, ``form`` the data_format group."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        for name, value in arrays.pop("form", {}).items():
            file[f"data_format/{name}"] = value
        file.create_group("data")
        for name, value in arrays.items():
            file[f"data/{name}"] = np.asarray(value, np.float32)
    return folder


def row(name: str, **more: Any) -> dict[str, Any]:
    """Return a row with a P at 10, an S at 20, at 100 Hz."""
    return {
        "trace_name": name,
        "trace_p_arrival_sample": 10,
        "trace_s_arrival_sample": 20,
        "trace_sampling_rate_hz": 100.0,
    } | more


def test_a_dataset_that_seisbench_wrote() -> None:
    data = read_dataset(SAMPLE)
    m = data.metadata.set_index("trace")
    assert list(m.index) == [f"row{i}" for i in range(6)]
    assert m["sampling_rate_hz"].tolist() == [100.0, 50.0, 100.0, 100.0, 100.0, 200.0]
    assert m["kind"].tolist() == ["manual", "auto", "manual", "manual", "manual", "noise"]
    parts = ["train", "validation", "test", "test", "train", "train"]
    assert m["split"].tolist() == parts
    assert m["labels"]["row0"] == [("P", 100.0), ("S", 180.25)]
    assert m["labels"]["row1"] == [("P", 50.0), ("S", 90.0)]  # Pg, Sn
    assert m["labels"]["row3"] == [("P", 10.0), ("S", 60.0)]  # PmP is no first arrival
    assert m["labels"]["row5"] == []
    assert (m["station"]["row0"], m["station"]["row1"]) == ("XX.AAA..HH", "XX.BBB")
    assert m["starttime"]["row0"] == pd.Timestamp("2020-01-01", tz="UTC")
    assert m["magnitude"]["row0"] == 1.5
    assert data.exclusions.to_dict("records") == [
        {"source": "seisbench_sample", "reason": "P not before S", "n": 1, "example": "row6"}
    ]
    expected = pd.read_csv(SAMPLE / "expected.csv", dtype={"component": str})
    for i, trace in enumerate(m.index):
        values = data.waveform(i)
        present = expected[expected["trace"] == trace]
        for e in present.itertuples():
            own = values[ORDER[str(e.component)]]
            assert (own[0], own[-1]) == (np.float32(e.first), np.float32(e.last))
            assert own.sum(dtype=float) == pytest.approx(e.total, abs=1e-3)
        assert int(data.mask(i).sum()) == len(present)


def test_dimensions_rates_and_components_as_the_format_allows(tmp_path: Path) -> None:
    block = np.arange(2 * 40 * 3).reshape(2, 40, 3)
    data = read_dataset(
        by_hand(
            tmp_path / "given name",
            [
                {k: v for k, v in row("many$1,5:35").items() if k != "trace_sampling_rate_hz"}
                | {"trace_dt_s": 0.02},
                row("one", trace_component_order="ZHN", trace_sampling_rate_hz=np.nan),
            ],
            many=block,
            one=block[0],
            form={"dimension_order": "NWC", "component_order": "ENZ", "sampling_rate": 40.0},
        )
    )
    assert data.metadata["sampling_rate_hz"].tolist() == [50.0, 40.0]
    np.testing.assert_array_equal(data.waveform(0), block[1, 5:35, ::-1].T)
    z, hydrophone, n = block[0].T
    assert hydrophone.any()
    np.testing.assert_array_equal(data.waveform(1), [z, n, np.zeros(40)])
    assert set(data.metadata["source"]) == {"given name"}


def test_what_is_written_reads_back(tmp_path: Path, made: WaveformDataset) -> None:
    write_seisbench(made, tmp_path / "whole")
    write_seisbench(made, tmp_path / "chunks", traces_per_file=4)
    assert len(list((tmp_path / "chunks").glob("waveforms*.hdf5"))) == 3
    for name in ("whole", "chunks"):
        back = read_dataset(tmp_path / name)
        assert (back.notes, len(back.exclusions)) == (made.notes, 0)
        padding = ["n_samples", "valid_start", "valid_end", "labels", "starttime"]
        pd.testing.assert_frame_equal(
            back.metadata.drop(columns=padding), made.metadata.drop(columns=padding)
        )
        for i in range(len(made)):
            a, b = made.metadata.iloc[i][["valid_start", "valid_end"]]
            np.testing.assert_array_equal(back.waveform(i), made.waveform(i)[:, a:b])
            shifted = [(p, s - a) for p, s in made.metadata["labels"][i]]
            assert back.metadata["labels"][i] == shifted
            assert back.record(i).starttime_ns == made.record(i).starttime_ns


@pytest.fixture
def made(tmp_path: Path) -> WaveformDataset:
    """Return ten traces with padding, noise, several onsets, and a split."""
    rng = np.random.default_rng(3)
    with SeisBenchWriter(tmp_path / "source") as writer:
        for i in range(10):
            writer.add(
                rng.normal(size=(3, 100 + i)),
                {
                    "trace": f"t{i}", "source": "a" if i < 5 else "b", "station": f"XX.S{i}",
                    "event": f"e{i}", "sampling_rate_hz": 100.0 / (1 + i % 2),
                    "labels": [] if i == 9 else [("P", 20.5), ("S", 41.25), ("P", 70.0)][: 1 + i],
                    "kind": "noise" if i == 9 else "auto" if i == 3 else "manual",
                    "starttime": pd.Timestamp("2021-05-05T01:02:03.25Z") if i % 3 else pd.NaT,
                    "magnitude": 0.1 * i, "distance_km": 3.0, "snr_db": 12.5,
                },
            )  # fmt: skip
    whole = read_dataset(tmp_path / "source")
    padded = whole.metadata.assign(valid_start=7, valid_end=whole.metadata["n_samples"] - 2)
    data = WaveformDataset(padded, whole.readers, whole.keys)
    return data.with_split(split_by_event(data.metadata))


def test_unusable_rows_are_counted(tmp_path: Path) -> None:
    good = np.ones((3, 40))
    rows = [
        row("good"),
        row("good", trace_p_arrival_sample=np.nan, trace_s_arrival_sample=np.nan),
        row("good", trace_p_arrival_sample=30),
        row("good", trace_s_arrival_sample=40),
        row("nowhere"),
        row("block$2"),
        row("good", trace_component_order="ZN"),
        row("good", trace_component_order="HHH"),
        row("good", trace_sampling_rate_hz=np.nan),
        row("flat"),
    ]
    data = read_dataset(by_hand(tmp_path, rows, good=good, block=good[None], flat=np.ones(40)))
    assert len(data) == 1
    assert dict(zip(data.exclusions["reason"], data.exclusions["n"], strict=True)) == {
        "no P or S label": 1,
        "P not before S": 1,
        "label outside the trace": 1,
        "no waveform of that name": 2,
        "number of components differs from the component order": 1,
        "no component Z, N or E": 1,
        "no sampling rate": 1,
        "array without one component and one sample axis": 1,
    }


def cut(path: Path) -> None:
    """Leave half of the waveforms file."""
    file = path / "waveforms.hdf5"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, "cannot be read as HDF5"),
        (lambda p: (p / "waveforms.hdf5").write_bytes(b"zero"), "cannot be read as HDF5"),
        (lambda p: by_hand(p, [{"name": "a"}]), "lacks the column trace_name"),
        (lambda p: by_hand(p, [row("a")]), "no usable row.*1 x no waveform of that name"),
        (lambda p: (p / "metadata.csv").write_text(""), "is no CSV table"),
        (lambda p: (p / "metadata.csv").write_text("trace_name\n"), "no usable row"),
        (lambda p: by_hand(p, [row("a$x")], a=np.ones((1, 3, 40))), "index 'x'"),
        (lambda p: by_hand(p, [row("a", trace_p_arrival_sample="?")], a=np.ones((3, 40))), "'\\?'"),
        (lambda p: (p / "chunks").write_text("x\n"), "metadatax.csv is missing"),
        (lambda p: h5py.File(p / "waveforms.hdf5", "w").close(), "no group 'data'"),
    ],
)
def test_bad_files_are_one_line_errors(tmp_path: Path, change: Any, message: str) -> None:
    path = by_hand(tmp_path, [row("a")], a=np.ones((3, 40)))
    read_dataset(path)
    change(path)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(path)
    assert "\n" not in str(caught.value)


def test_nan_is_refused_when_read(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(3, 40))
    values[2, 5] = np.inf
    data = read_dataset(by_hand(tmp_path, [row("a"), row("b")], a=values, b=values[:, ::-1]))
    with pytest.raises(DataError, match="NaN or infinite"):
        data.waveform(1)


def read_all(path: Path) -> list[np.ndarray]:
    """Return all traces of a dataset."""
    data = read_dataset(path)
    return [data.waveform(i) for i in range(len(data))]


def test_damaged_samples_are_one_line_errors(tmp_path: Path, made: WaveformDataset) -> None:
    write_seisbench(made, tmp_path / "written")
    file = tmp_path / "written" / "waveforms.hdf5"
    content = bytearray(file.read_bytes())
    for at in range(len(content) // 2, len(content) - 50, 97):
        content[at] ^= 0xFF  # the compressed samples are the bulk of the file's end
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged or incomplete") as caught:
        read_all(tmp_path / "written")
    assert "\n" not in str(caught.value)


def test_the_writer_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    good = {"trace": "a", "source": "s", "station": "X.Y", "sampling_rate_hz": 1.0}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(DataError, match="is not empty"), SeisBenchWriter(tmp_path / "full"):
        pass
    with pytest.raises(ConfigError, match="at least 1"):
        SeisBenchWriter(tmp_path / "new", traces_per_file=0)
    for data, labels, message in (
        (np.ones((2, 9)), [("P", 1.0)], r"shape \(2, 9\)"),
        (np.full((3, 9), np.nan), [("P", 1.0)], "NaN"),
        (np.ones((3, 9)), [], "no P or S label"),
        (np.ones((3, 9)), [("P", 5.0), ("S", 2.0)], "P not before S"),
    ):
        with (
            pytest.raises(DataError, match=message),
            SeisBenchWriter(tmp_path / "new") as writer,
        ):
            writer.add(data, good | {"labels": labels})


def test_names_must_be_unique() -> None:
    one = read_dataset(SAMPLE)
    with pytest.raises(DataError, match="two traces are called 'row0'"):
        concatenate([one, one])
