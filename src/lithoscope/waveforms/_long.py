"""A long miniSEED file a part at a time, as ObsPy holds all of its records until the last."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lithoscope.constants import NS_PER_S
from lithoscope.errors import DataError
from lithoscope.waveforms._files import channel_code, read_quietly
from lithoscope.waveforms._runs import Piece
from lithoscope.waveforms.record import beyond_exact, offset_ns

# A multiple of every record length (powers of two) that is in use.
_PART_BYTES = 1 << 19
# Times in the headers may drift by this much over a part. Parts in another order are off by the
# length of one, at least a sample for each of its records.
_DRIFT_SAMPLES = 50


def read_long(
    path: Path, channel: str, rate_hz: float, piece: Piece
) -> tuple[NDArray[np.float32], bool] | None:
    """Read a file that holds one piece of one channel, and nothing else, part by part.

    Samples are numbered by counting, as when the file is read at once.

    Returns
    -------
    values, large
        All samples of the piece, and whether any was beyond 24 bits (it is rounded); or None if
        the file is short or anything in it is not as expected, so that it must be read at once.
    """
    try:
        size = path.stat().st_size
        if size < 2 * _PART_BYTES:
            return None
        with path.open("rb") as file:
            return _joined(file, size, channel, rate_hz, piece)
    except (OSError, DataError):
        return None  # reading at once says what is wrong


def _joined(
    file: io.BufferedReader, size: int, channel: str, rate_hz: float, piece: Piece
) -> tuple[NDArray[np.float32], bool] | None:
    values = np.empty(piece.n_samples, np.float32)
    done, large = 0, False
    while content := file.read(_PART_BYTES):
        stream, complaints = read_quietly(io.BytesIO(content), format="MSEED")
        if complaints or len(stream) != 1 or channel_code(stream[0]) != channel:
            return None
        data, start_ns = stream[0].data, stream[0].stats.starttime.ns
        if size % stream[0].stats.mseed.record_length:
            return None
        late_ns = abs(start_ns - piece.start_ns - offset_ns(done, rate_hz))
        slack = _DRIFT_SAMPLES if done else 0.5
        fits = late_ns * rate_hz <= slack * NS_PER_S and done + data.size <= values.size
        if data.dtype.kind not in "iuf" or not fits:
            return None
        large = large or beyond_exact(data)
        values[done : done + data.size] = data
        done += data.size
    return (values, large) if done == values.size else None
