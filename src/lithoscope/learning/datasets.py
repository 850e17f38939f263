"""Labelled waveforms for training and measuring pickers, whatever file they come from."""

from __future__ import annotations

from pathlib import Path

from lithoscope.errors import DataError
from lithoscope.learning import _labelled, _seisbench
from lithoscope.learning._dataset import (
    UNKNOWN_START_NS,
    WaveformDataset,
    WaveformReader,
    add_exclusions,
    concatenate,
)
from lithoscope.learning._seisbench_write import SeisBenchWriter, write_parts, write_seisbench
from lithoscope.learning.splits import SPLIT_FILE, read_split

__all__ = [
    "UNKNOWN_START_NS",
    "SeisBenchWriter",
    "WaveformDataset",
    "WaveformReader",
    "add_exclusions",
    "concatenate",
    "read_dataset",
    "write_parts",
    "write_seisbench",
]


def read_dataset(path: Path) -> WaveformDataset:
    """Read a dataset; the layout is recognised.

    Parameters
    ----------
    path
        A folder in the SeisBench format (``metadata*.csv`` and ``waveforms*.hdf5``), a folder
        with pairs ``NAME.h5`` and ``NAME.csv`` (dataset ``x``), or one such ``NAME.h5``.

    Returns
    -------
    WaveformDataset
        Rows that cannot be used (no label, P after S, label outside the trace) are left out and
        counted in ``exclusions``. A file ``split.csv`` in the folder (`splits.write_split`) gives
        the parts.

    Raises
    ------
    DataError
        If the layout is none of these, a file is damaged, the components are not three, or no
        usable row remains.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"dataset '{path}' does not exist")
    if _seisbench.is_seisbench(path):
        parts = _seisbench.read(path)
    elif _labelled.pairs(path):
        parts = _labelled.read(path)
    else:
        raise DataError(
            f"'{path}' is no dataset: neither waveforms*.hdf5 with metadata*.csv (SeisBench) nor "
            "pairs NAME.h5 and NAME.csv"
        )
    dataset = concatenate(parts)
    written = path / SPLIT_FILE if path.is_dir() else path.with_name(SPLIT_FILE)
    return (
        dataset.with_split(read_split(written, dataset.metadata)) if written.is_file() else dataset
    )
