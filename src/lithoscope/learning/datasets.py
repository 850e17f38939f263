"""Labelled waveforms for training and measuring pickers, whatever file they come from."""

from __future__ import annotations

from pathlib import Path

from lithoscope.errors import DataError
from lithoscope.learning import _labelled
from lithoscope.learning._dataset import (
    UNKNOWN_START_NS,
    WaveformDataset,
    WaveformReader,
    concatenate,
)

__all__ = ["UNKNOWN_START_NS", "WaveformDataset", "WaveformReader", "concatenate", "read_dataset"]


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
        counted in ``exclusions``.

    Raises
    ------
    DataError
        If the layout is none of these, a file is damaged, the components are not three, or no
        usable row remains.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"dataset '{path}' does not exist")
    return concatenate(_labelled.read(path))
