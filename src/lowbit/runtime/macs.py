# SPDX-License-Identifier: Apache-2.0
"""Multiply-accumulates and weights of a `.tflite`, and what of them is in integers, from the shapes it stores."""

import os
from collections.abc import Iterable, Iterator
from math import prod

from lowbit.results import Workload
from lowbit.runtime.interpreter import read_content
from lowbit.runtime.schema import Graph, StoredOp, StoredTensor, read_graphs

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
WEIGHTED = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV",
    "CONV_3D",
    "CONV_3D_TRANSPOSE",
    "FULLY_CONNECTED",
    "BATCH_MATMUL",
)
TRANSPOSED = ("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE")  # inputs: output shape, kernel, data; input channels last
RECURRENT = (
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "LSTM",
    "RNN",
)
FLOATS = ("float32", "float16", "bfloat16", "float64")


def workload(path: str | os.PathLike[str]) -> Workload:
    """The work of one invocation with the shapes stored in the file (batch 1 as lowbit writes them).

    The body of a loop counts once, as the file does not tell how often it runs. Float activations with integer weights
    (dynamic range) count as float. Raises FileFormatError for an unusable file.
    """
    return workload_of(read_graphs(read_content(path), path))


def workload_of(graphs: Iterable[Graph]) -> Workload:
    """The same for a file that was read already: the sum over all its subgraphs."""
    return Workload.total(part for graph in graphs for part in _parts(graph))


def is_integer(graph: Graph, op: StoredOp) -> bool:
    """Whether an op computes on integers: no operand that is not a constant is float."""
    operands = (graph.tensors[index] for index in (*op.inputs, *op.outputs))
    return not any(tensor.dtype in FLOATS for tensor in operands if not tensor.constant)


def weight_source(graph: Graph) -> dict[int, int]:
    """Tensors that are conversions of stored ones (weight-only and float16 files): converted index -> stored index."""
    return {
        op.outputs[0]: op.inputs[0]
        for op in graph.ops
        if op.name in CONVERSIONS and graph.tensors[op.inputs[0]].constant
    }


def macs_of(graph: Graph, op: StoredOp) -> int:
    """Multiply-accumulates of one op as `Workload` defines them; 0 for an op without products of two tensors."""
    inputs = [graph.tensors[index] for index in op.inputs]
    if op.name in RECURRENT:
        matrices = sum(tensor.elements for tensor in inputs[1:] if tensor.constant and len(tensor.shape) == 2)
        return inputs[0].elements // inputs[0].shape[-1] * matrices
    if op.name not in WEIGHTED:
        return 0
    output = graph.tensors[op.outputs[0]]
    if op.name == "BATCH_MATMUL":  # transposed or not: the first operand's matrix is rows x contracted size
        return output.elements * (prod(inputs[0].shape[-2:]) // output.shape[-2])
    if op.name in TRANSPOSED:
        return inputs[2].elements * prod(inputs[1].shape[:-1])
    return output.elements * _products(op.name, inputs[1])


def _products(name: str, kernel: StoredTensor) -> int:
    """Products summed for one output element.

    Kernels: conv (out, height, width, in), depthwise (1, height, width, channels), dense (out, in), 3-D (depth,
    height, width, in, out).
    """
    if name == "DEPTHWISE_CONV_2D":
        return prod(kernel.shape[1:3])
    return prod(kernel.shape[:-1] if name == "CONV_3D" else kernel.shape[1:])


def _parts(graph: Graph) -> Iterator[Workload]:
    """One part for each op; a constant that several ops read counts at the first of them."""
    sources = weight_source(graph)
    counted: set[int] = set()
    for op in graph.ops:
        if op.name in CONVERSIONS:
            continue
        read = {sources.get(index, index) for index in op.inputs} - counted
        weights = {index for index in read if _is_weight(graph.tensors[index], op)}
        counted |= weights
        yield Workload.of(
            macs_of(graph, op),
            sum(graph.tensors[index].elements for index in weights),
            integer=is_integer(graph, op),
        )


def _is_weight(tensor: StoredTensor, op: StoredOp) -> bool:
    """Not shapes and axes, which are plain integers. One number beside an op without a kernel is a setting, such as
    an epsilon or the 6 of ReLU6."""
    is_number = tensor.constant and (tensor.quantized or tensor.dtype in FLOATS)
    return is_number and (tensor.elements > 1 or op.name in WEIGHTED or op.name in RECURRENT)
