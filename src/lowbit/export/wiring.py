# SPDX-License-Identifier: Apache-2.0
"""Which op reads which tensor at the border of float and integers, mended and checked after litert-quantizer.

For an output of the model litert-quantizer puts a DEQUANTIZE behind its tensor and hands the float tensor to the
file's last op too, if that reads the tensor: its list of readers has -1 for "the output". Such a file computes
nonsense, or LiteRT refuses it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from lowbit.errors import ExportError
from lowbit.runtime import flatbuffer

_INTEGER = (schema.TensorType.INT8, schema.TensorType.INT16)
_FLOAT = schema.TensorType.FLOAT32
_BRIDGES = ("QUANTIZE", "DEQUANTIZE")


def mend(model: Any) -> None:
    """Hand integer ops the integers of a tensor where they were given its dequantized values."""
    graph = model.subgraphs[0]
    source = {
        int(operator.outputs[0]): int(operator.inputs[0])
        for operator in graph.operators
        if flatbuffer.op_name(model, operator) == "DEQUANTIZE"
    }
    for operator in graph.operators:
        if _is_quantized(graph.tensors[int(operator.outputs[0])]):
            operator.inputs = np.array([source.get(int(i), int(i)) for i in operator.inputs], dtype="int32")


def check(model: Any) -> None:
    """Raises ExportError for an op, QUANTIZE and DEQUANTIZE aside, with float and quantized tensors side by side."""
    for operator in model.subgraphs[0].operators:
        op = flatbuffer.op_name(model, operator)
        tensors = [] if op in _BRIDGES else list(_activations(model, operator))
        quantized = [tensor for tensor in tensors if _is_quantized(tensor)]
        real = [tensor for tensor in tensors if tensor.type == _FLOAT]
        if quantized and real:
            raise ExportError(
                f"{op} of the written file has the float tensor {flatbuffer.text(real[0].name)!r} beside the integers "
                f"{flatbuffer.text(quantized[0].name)!r}; expected one kind, or a QUANTIZE or DEQUANTIZE between "
                "them; keep the layer float with a rule, and report this"
            )


def _activations(model: Any, operator: Any) -> Iterator[Any]:
    for number in [*operator.inputs, *operator.outputs]:
        tensor = model.subgraphs[0].tensors[int(number)]
        if number >= 0 and flatbuffer.constant(model, tensor, "uint8") is None:
            yield tensor


def _is_quantized(tensor: Any) -> bool:
    parameters = tensor.quantization
    return tensor.type in _INTEGER and parameters is not None and parameters.scale is not None
