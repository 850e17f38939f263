"""Opening HDF5 files with one-line errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lithoscope.errors import DataError, StorageError


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a file for reading; a failure inside the block is a `DataError` that names the file.

    Raises
    ------
    DataError
        If the file is no HDF5, truncated or damaged.
    """
    import h5py  # 12 MB that most commands do not need

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (DataError, StorageError):
        raise
    except (OSError, RuntimeError, KeyError) as error:
        reason = (str(error).strip("'\"").splitlines() or ["unknown"])[0][:120]
        raise DataError(
            f"{path}: cannot be read as HDF5, damaged or incomplete? ({reason}); copy it again"
        ) from None
