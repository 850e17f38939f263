"""Networks in ONNX, run by ONNX Runtime: loaded once in a process, threads capped."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lithoscope.errors import ModelError
from lithoscope.files import storage_error

_loaded: dict[tuple[Any, ...], OnnxModel] = {}


class OnnxModel:
    """One network with one input.

    Threads do not spin while they wait, so that several processes can share a machine. A pickled
    model is loaded anew where it is unpickled.

    Parameters
    ----------
    source
        An ONNX file, or its bytes.
    threads
        Threads that one call may use.

    Raises
    ------
    ModelError
        If the content is not a network that ONNX Runtime can load, or has several inputs.
    StorageError
        If the file cannot be read.
    """

    def __init__(self, source: Path | str | bytes, threads: int = 1) -> None:
        if threads < 1:
            raise ModelError(f"{threads} threads for a network; at least 1 is needed")
        self.threads = threads
        self.content = source if isinstance(source, bytes) else _read(Path(source))
        self.where = "these bytes" if isinstance(source, bytes) else f"'{source}'"
        self._source = source
        self._session = _session(self.content, threads, self.where)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ModelError(f"{self.where}: a network with {len(inputs)} inputs; one is required")
        self.input_name: str = inputs[0].name
        #: Sizes of the input; None where any size is taken.
        self.input_shape = tuple(d if isinstance(d, int) else None for d in inputs[0].shape)
        outputs = self._session.get_outputs()
        self.output_names = tuple(o.name for o in outputs)
        #: Sizes of each output; None where they follow the input.
        self.output_shapes = tuple(
            tuple(d if isinstance(d, int) else None for d in o.shape) for o in outputs
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._source, self.threads)

    @property
    def sha256(self) -> str:
        """Digest of the file's content, as the model card states it."""
        return hashlib.sha256(self.content).hexdigest()

    def run(self, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return all outputs for a batch.

        Raises
        ------
        ModelError
            If the network does not take an array of this shape.
        """
        batch = np.ascontiguousarray(x, np.float32)
        try:
            return list(self._session.run(None, {self.input_name: batch}))
        except _errors() as error:
            shape = ", ".join("any" if d is None else str(d) for d in self.input_shape)
            raise ModelError(
                f"{self.where} cannot run on an array of shape {batch.shape}; "
                f"it takes ({shape}): {_line(error)}"
            ) from None


def cached_model(path: Path | str, threads: int = 1) -> OnnxModel:
    """Return the network of a file, loaded once in this process.

    A file that has changed since, by size or time, is loaded again. Raises as `OnnxModel` does.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise storage_error("read the network", path, error) from None
    # A forked process has no threads of its parent's sessions, so it needs its own.
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, threads, os.getpid())
    if key not in _loaded:
        _loaded[key] = OnnxModel(path, threads)
    return _loaded[key]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise storage_error("read the network", path, error) from None


def _session(content: bytes, threads: int, where: str) -> Any:
    import onnxruntime  # slow to import, and not needed by every command

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors reach the user as exceptions, once
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _errors() as error:
        raise ModelError(
            f"{where} is not a network that ONNX Runtime {onnxruntime.__version__} can load "
            f"(damaged or not ONNX); fetch or export it again: {_line(error)}"
        ) from None


def _errors() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises; its exceptions have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = [v for v in vars(state).values() if isinstance(v, type) and issubclass(v, Exception)]
    return (*kinds, ValueError, RuntimeError)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 200 else text[:200] + " ..."
