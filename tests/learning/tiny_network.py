"""Very small ONNX networks for tests of loading and running."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def convolution(
    channels: int, outputs: int, *, rank: int = 4, n: int | None = None, stride: int = 1
) -> bytes:
    """Return the bytes of a network ``(batch, channels, [1,] n)`` -> ``(batch, outputs, ...)``.

    Output k at a sample is (k + 1) times the mean of the channels there.
    """
    ones = [1] * (rank - 2)
    shape = ["batch", channels, *ones[1:], n or "n"]
    kernel = np.repeat(np.arange(1, outputs + 1, dtype=np.float32) / channels, channels)
    weight = numpy_helper.from_array(kernel.reshape(outputs, channels, *ones), "weight")
    node = helper.make_node(
        "Conv", ["x", "weight"], ["y"], kernel_shape=ones, strides=[*ones[1:], stride]
    )
    graph = helper.make_graph(
        [node],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", outputs, *ones[1:], "m"])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()
