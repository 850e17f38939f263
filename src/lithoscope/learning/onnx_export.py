"""From a PyTorch network to ONNX, checked against the original on the way."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from lithoscope.errors import ModelError
from lithoscope.learning.runtime import OnnxModel

if TYPE_CHECKING:
    from torch import nn

#: Largest difference between ONNX Runtime and PyTorch, relative to the largest output. Both round
#: to float32 in another order, which steep layers amplify (a wrong conversion differs by 0.1).
TOLERANCE = 1e-3
#: Version of the ONNX operators that is written.
OPSET = 18


def require_training() -> None:
    """Refuse work that needs PyTorch and ONNX where they are not installed.

    Raises
    ------
    ModelError
        Naming the extra that brings them.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"this needs {error.name}, which is not installed: pip install 'lithoscope[train]'"
        ) from None


def to_onnx(
    network: nn.Module,
    shape: tuple[int, ...],
    *,
    free: Mapping[int, int] | None = None,
    seed: int = 0,
) -> bytes:
    """Return a network as ONNX, in evaluation mode, with one input ``x`` and outputs ``y0, ...``.

    Both are run on the same random input, in `shape` and with the free axes changed.

    Parameters
    ----------
    network
        Takes one float32 array; gives one or a tuple of them.
    shape
        Shape of an input, first axis the batch (2 or more, so that it is not taken for fixed).
    free
        Axes that may have other sizes, and what these are multiples of; default: the batch.
    seed
        Of the random input.

    Raises
    ------
    ModelError
        If PyTorch or ONNX are not installed, or the outputs differ by more than `TOLERANCE`
        of the largest.
    """
    require_training()
    import torch

    free = dict(free or {0: 1})
    network = network.eval()
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal(shape, np.float32))
    dimensions = {
        axis: torch.export.Dim(f"n{axis}", min=1) * multiple
        if multiple > 1
        else torch.export.Dim(f"n{axis}", min=1)
        for axis, multiple in free.items()
    }
    with _quiet(), torch.inference_mode():
        first = network(x)
        n_outputs = 1 if isinstance(first, torch.Tensor) else len(first)
        program: Any = torch.onnx.export(
            network,
            (x,),
            dynamo=True,
            dynamic_shapes=(dimensions,),
            input_names=["x"],
            output_names=[f"y{i}" for i in range(n_outputs)],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    content: bytes = program.model_proto.SerializeToString()
    other = tuple(n + free.get(axis, 0) for axis, n in enumerate(shape))
    for size in (shape, other):
        _compare(network, OnnxModel(content), rng.standard_normal(size, np.float32))
    return content


def _compare(network: nn.Module, model: OnnxModel, x: np.ndarray) -> None:
    import torch

    with torch.inference_mode():
        wanted = network(torch.from_numpy(x))
    wanted = [wanted] if isinstance(wanted, torch.Tensor) else wanted
    for ours, theirs in zip(model.run(x), wanted, strict=True):
        reference = theirs.numpy()
        difference = float(np.abs(ours - reference).max())
        allowed = TOLERANCE * max(float(np.abs(reference).max()), 1e-3)
        if not difference <= allowed:
            raise ModelError(
                f"the ONNX network differs from the PyTorch network by {difference:.1e} on input "
                f"{x.shape} (allowed {allowed:.1e}); try other versions of torch and onnxruntime"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what PyTorch's exporter says about its own future and about packages it misses."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            # It takes the weights of a recurrence out of their list and puts them back.
            warnings.filterwarnings("ignore", "The tensor attributes", UserWarning)
            yield
    finally:
        log.setLevel(level)
